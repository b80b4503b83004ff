//! `indexer verify`.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::error::CliError;
use super::output::ProgressLine;
use super::{EXIT_NOTHING, EXIT_OK, json, output};
use crate::engine::Engine;
use crate::index::{Run, Verification};

/// Prove that the index is what is on disk, from the bytes.
///
/// Reads every file and every record of the index and compares. Exit code 1 means that
/// they differ: `stale` (edited since the last run), `missing`, `extra` or `wrong`.
#[derive(Args)]
pub(super) struct Verify {
    /// A path in the worktree.
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Print the result as one JSON document.
    #[arg(long)]
    json: bool,
    /// Index anew what differs, then verify again; both results are printed.
    #[arg(long)]
    repair: bool,
}

impl Verify {
    pub(super) fn run(&self, engine: &Arc<Engine>) -> Result<u8, CliError> {
        let workspace = engine.open(&self.path)?;
        let mut line = ProgressLine::new();
        let mut result = workspace.verify(&mut |progress| line.show(progress))?;
        if self.repair && !result.is_clean() {
            line.clear();
            let found =
                if self.json { format!("{}\n", json::verification(&result)) } else { report(&result) };
            output::write(&found)?;
            workspace.repair(&result, Run::default(), &mut |progress| {
                line.show(progress);
                ControlFlow::Continue(())
            })?;
            result = workspace.verify(&mut |progress| line.show(progress))?;
        }
        line.clear();
        if self.json {
            output::write_json(&json::verification(&result))?;
        } else {
            output::write(&report(&result))?;
        }
        Ok(if result.is_clean() { EXIT_OK } else { EXIT_NOTHING })
    }
}

fn report(result: &Verification) -> String {
    let mut text = String::new();
    for (path, difference) in &result.differences {
        text.push_str(&format!("{}\t{path}\n", difference.name()));
    }
    for damage in &result.damage {
        text.push_str(&format!("damaged\t{damage}\n"));
    }
    let verdict = if result.is_clean() { "index and disk are equal" } else { "index and disk differ" };
    text.push_str(&format!("{verdict}: {} files, {} chunks", result.files, result.points));
    let pending: u64 = result.pending.iter().flatten().sum();
    if pending > 0 {
        text.push_str(&format!(", {pending} vectors pending"));
    }
    text.push('\n');
    if !result.is_clean() {
        text.push_str("`indexer once` indexes what was edited; `indexer verify --repair` mends the rest\n");
    }
    text
}
