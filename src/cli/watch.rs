//! `indexer watch` and `indexer reload`.

use std::sync::Arc;

use clap::Args;

use super::error::CliError;
use super::{EXIT_NOTHING, EXIT_OK, output};
use crate::config::Flags;
use crate::daemon::protocol::Request;
use crate::daemon::{self, Client, Start};
use crate::engine::Engine;
use crate::http;
use crate::telemetry::LogFilter;

/// Keep every registered worktree's index what is on disk, until stopped.
///
/// Runs in the foreground, as a service manager wants it; `indexer service install` makes
/// it a service of yours. `indexer add` registers worktrees, before or while it runs.
/// SIGHUP reads the configuration again, SIGTERM and Ctrl-C end it, in seconds.
#[derive(Args)]
pub(super) struct Watch {
    /// Lose every file-system event: only the polls are left. For tests.
    #[cfg(debug_assertions)]
    #[arg(long, hide = true)]
    drop_events: bool,
}

impl Watch {
    pub(super) fn run(
        &self,
        engine: Arc<Engine>,
        flags: Flags,
        log: LogFilter,
        verbosity: u8,
    ) -> Result<u8, CliError> {
        daemon::run(
            engine,
            Start {
                doors: vec![Box::new(|handle, closing| Box::pin(http::serve(handle, closing)))],
                flags,
                log,
                verbosity,
                #[cfg(debug_assertions)]
                drop_events: self.drop_events,
            },
        )?;
        Ok(EXIT_OK)
    }
}

/// Make a running daemon read its configuration again.
///
/// Exit code 1 means that none runs.
#[derive(Args)]
pub(super) struct Reload {
    /// Log this from now on, such as `info` or `contextd_indexer=debug`, whatever the
    /// configuration says.
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

impl Reload {
    pub(super) fn run(&self, engine: &Engine) -> Result<u8, CliError> {
        let Some(mut client) = Client::connect(&engine.settings().data_dir)? else {
            output::note("no daemon runs: `indexer watch` starts one");
            return Ok(EXIT_NOTHING);
        };
        client.ask(Request::Reload { log: self.log.clone() }, None, &mut |_| {})?;
        Ok(EXIT_OK)
    }
}
