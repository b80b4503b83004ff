//! `indexer once`.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::error::CliError;
use super::output::ProgressLine;
use super::{EXIT_OK, output};
use crate::daemon::Client;
use crate::daemon::protocol::{Reply, Request};
use crate::engine::Engine;
use crate::index::{Run, Scope};
use crate::wire::Outcome;

/// Bring the index of a worktree to what is on disk, then exit.
///
/// Words are searchable first, vectors are filled in behind. It can be stopped at any
/// moment: the next run goes on from there. What was embedded once, in whatever worktree
/// or branch, is not embedded again.
#[derive(Args)]
pub(super) struct Once {
    /// A path in the worktree.
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Print the outcome as one JSON document.
    #[arg(long)]
    json: bool,
    /// Look into every file again, whatever is indexed; what is there answers meanwhile.
    #[arg(long)]
    full: bool,
    /// Do not compute vectors; a later run will.
    #[arg(long)]
    lexical_only: bool,
}

impl Once {
    pub(super) fn run(&self, engine: &Arc<Engine>) -> Result<u8, CliError> {
        let mut line = ProgressLine::new();
        let outcome = match self.by_daemon(engine, &mut line)? {
            Some(outcome) => outcome,
            None => {
                let workspace = engine.open(&self.path)?;
                let vectors = (!self.lexical_only).then_some(Scope::All);
                let outcome = workspace.run(Run { full: self.full }, vectors, &mut |progress| {
                    line.show(progress);
                    ControlFlow::Continue(())
                })?;
                (&outcome).into()
            }
        };
        line.clear();
        if self.json {
            output::write_json(&outcome)?;
        } else {
            output::write(&summary(&outcome))?;
        }
        Ok(EXIT_OK)
    }

    /// The outcome of a running daemon; `None` where there is none, or where it does not
    /// keep this worktree.
    fn by_daemon(&self, engine: &Arc<Engine>, line: &mut ProgressLine) -> Result<Option<Outcome>, CliError> {
        let Some(mut client) = Client::connect(&engine.settings().data_dir)? else { return Ok(None) };
        let request = Request::Run {
            worktree: output::place(&self.path)?,
            full: self.full,
            lexical_only: self.lexical_only,
        };
        match client.ask(request, None, &mut |running| line.show_running(&running))? {
            Reply::Outcome(outcome) => Ok(Some(*outcome)),
            _ => Ok(None),
        }
    }
}

/// The outcome in a few lines for people.
fn summary(outcome: &Outcome) -> String {
    let files = &outcome.files;
    let chunks = &outcome.chunks;
    let mut text = format!(
        "{} files ({} unchanged, {} parsed, {} removed), {} chunks (+{} -{})",
        files.listed,
        files.unchanged + files.touched,
        files.parsed,
        files.removed,
        chunks.total,
        chunks.added,
        chunks.removed
    );
    if let Some(reason) = &outcome.full {
        text.push_str(&format!(", full run: {reason}"));
    }
    text.push('\n');
    if !files.skipped.is_empty() {
        let list: Vec<_> = files.skipped.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        text.push_str(&format!("skipped: {}\n", list.join(", ")));
    }
    if files.redactions > 0 {
        text.push_str(&format!("redacted: {} secrets\n", files.redactions));
    }
    for (leg, vectors) in &outcome.vectors {
        text.push_str(&format!(
            "{leg} vectors: {} needed, {} present, {} embedded, {} from the cache, {} pending\n",
            vectors.needed, vectors.present, vectors.embedded, vectors.cache_hits, vectors.pending
        ));
        if let Some(former) = &vectors.replaces {
            text.push_str(&format!("  until all are there, those of the former model {former} answer\n"));
        }
    }
    text.push_str(&format!("done in {:.1} s\n", outcome.ms.total as f64 / 1e3));
    text
}
