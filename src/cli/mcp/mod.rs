//! `indexer mcp`: the door for agents on standard input and output, and the entry in other
//! programs' configuration that leads to it.
//!
//! | File | For |
//! |---|---|
//! | `install` | what is changed, shown, asked and undone |
//! | `clients` | which files, in which form |
//! | `jsonc` | JSON with comments, edited as text |

mod clients;
mod install;
mod jsonc;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::error::CliError;
use super::{EXIT_OK, output};
use crate::config::Flags;
use crate::engine::Engine;
use crate::mcp::{Access, Backend, Door};

/// Between two looks whether a model is still needed.
const LOOK: Duration = Duration::from_secs(30);

/// Serve an agent over the Model Context Protocol, on standard input and output.
///
/// Started by the agent's program, which `indexer mcp install` tells. It asks the daemon where
/// one runs and answers by itself where none does. Questions are about the worktree that the
/// client says it is in, or the current directory.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Mcp {
    #[command(subcommand)]
    command: Option<Command>,
    /// A path in the worktree that questions are about, whatever the client says.
    #[arg(short = 'C', long, value_name = "DIR")]
    worktree: Option<PathBuf>,
    /// Also offer tools that keep and find what agents learned.
    #[arg(long)]
    memory: bool,
}

#[derive(Subcommand)]
enum Command {
    Install(install::Install),
    Uninstall(install::Uninstall),
}

impl Mcp {
    pub(super) fn run(&self, engine: &Arc<Engine>, flags: &Flags) -> Result<u8, CliError> {
        match &self.command {
            Some(Command::Install(command)) => command.run(engine, flags),
            Some(Command::Uninstall(command)) => command.run(engine),
            None => self.serve(engine),
        }
    }

    fn serve(&self, engine: &Arc<Engine>) -> Result<u8, CliError> {
        let failed = |error: std::io::Error| CliError::usage(format!("the agent's connection: {error}"));
        let worktree = self.worktree.as_ref().map(|path| super::registry::resolve(path));
        let access = match self.memory {
            true => Access::of_person(),
            false => Access::of_person().without_memory(),
        };
        let backend = Backend::Away(Arc::clone(engine));
        let door = Door::new(backend, access, worktree, std::env::current_dir().ok());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(16)
            .enable_all()
            .build()
            .map_err(failed)?;
        let served = runtime.block_on(async {
            let unloading = tokio::spawn(unload_idle(Arc::clone(engine)));
            let served = door.serve(output::stdio()).await;
            unloading.abort();
            served
        });
        // Whoever asked has gone; what is still read for it is not waited for.
        runtime.shutdown_background();
        served.map(|()| EXIT_OK).map_err(failed)
    }
}

/// An agent may be quiet for hours: a model that it does not use is given back.
async fn unload_idle(engine: Arc<Engine>) {
    let Some(after) = engine.settings().watch.unload else { return };
    loop {
        tokio::time::sleep(LOOK).await;
        let engine = Arc::clone(&engine);
        // A failure leaves it loaded, and is tried again.
        let _ = tokio::task::spawn_blocking(move || engine.unload_idle(after)).await;
    }
}
