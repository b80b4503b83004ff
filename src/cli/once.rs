//! `indexer once`.

use std::path::PathBuf;

use clap::Args;

use super::context::Context;
use super::error::CliError;
use super::output::ProgressLine;
use super::{EXIT_OK, json, output};
use crate::config::Settings;
use crate::embed::Leg;
use crate::index::{Outcome, Run};

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
    /// Start from nothing instead of from what is indexed.
    #[arg(long)]
    full: bool,
    /// Do not compute vectors; a later run will.
    #[arg(long)]
    lexical_only: bool,
}

impl Once {
    pub(super) fn run(&self, settings: &Settings) -> Result<u8, CliError> {
        let context = Context::open(settings, &self.path)?;
        let mut line = ProgressLine::new();
        let outcome =
            context.run(Run { full: self.full }, self.lexical_only, &mut |progress| line.show(progress))?;
        line.clear();
        if self.json {
            output::write_json(&json::outcome(&outcome))?;
        } else {
            output::write(&summary(&outcome))?;
        }
        Ok(EXIT_OK)
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
    if let Some(reason) = outcome.full {
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
    for leg in Leg::ALL {
        if let Some(vectors) = &outcome.vectors[leg.index()] {
            text.push_str(&format!(
                "{leg} vectors: {} needed, {} present, {} embedded, {} from the cache, {} pending\n",
                vectors.needed, vectors.present, vectors.embedded, vectors.cache_hits, vectors.pending
            ));
        }
    }
    text.push_str(&format!("done in {:.1} s\n", outcome.timing.total.as_secs_f64()));
    text
}
