//! `indexer status`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::error::CliError;
use super::registry::shown;
use super::{EXIT_NOTHING, EXIT_OK, output};
use crate::daemon::asking;
use crate::daemon::registry::State;
use crate::engine::Engine;
use crate::wire::{DaemonStatus, Place, Status as Report, WorktreeStatus};

/// Between two looks with --follow.
const FOLLOW: Duration = Duration::from_secs(1);

/// Say what is indexed, how fresh it is, and what the daemon is doing.
///
/// All registered worktrees, and the one you are in; with a path, that one alone. Exit
/// code 1 means that one of them is not indexed, or that there is none.
#[derive(Args)]
pub(super) struct Status {
    /// A path in a worktree.
    path: Option<PathBuf>,
    /// Print the status as one JSON document.
    #[arg(long)]
    json: bool,
    /// Show it again each second, until stopped.
    #[arg(short, long)]
    follow: bool,
}

impl Status {
    pub(super) fn run(&self, engine: &Arc<Engine>) -> Result<u8, CliError> {
        loop {
            let report = self.report(engine)?;
            if self.json {
                output::write_json(&report)?;
            } else {
                let clear = if self.follow && output::stdout_is_terminal() { "\x1b[H\x1b[J" } else { "" };
                output::write(&format!("{clear}{}", text(&report)))?;
            }
            if !self.follow {
                let indexed = report.worktrees.iter().filter(|tree| counts(tree)).all(|tree| tree.indexed);
                return Ok(if indexed && !report.worktrees.is_empty() { EXIT_OK } else { EXIT_NOTHING });
            }
            // Ended by Ctrl-C, or by whoever reads it.
            std::thread::park_timeout(FOLLOW);
        }
    }

    fn report(&self, engine: &Arc<Engine>) -> Result<Report, CliError> {
        let here = match &self.path {
            Some(path) => Some(engine.open(path)?),
            // Whoever is in no worktree asks for the others.
            None => engine.open(Path::new(".")).ok(),
        };
        let mut report = asking::status(engine)?;
        if let Some(here) = here {
            let root = Place::from(here.root().as_path());
            if !report.worktrees.iter().any(|tree| tree.root == root) {
                report.worktrees.push(asking::worktree_status(&here, None)?);
            }
            if self.path.is_some() {
                report.worktrees.retain(|tree| tree.root == root);
            }
        }
        Ok(report)
    }
}

/// Whether a worktree has to be indexed for all to be well.
fn counts(tree: &WorktreeStatus) -> bool {
    tree.state.as_deref().is_none_or(|state| state == State::Active.name())
}

fn text(report: &Report) -> String {
    let mut text = match &report.daemon {
        Some(daemon) => daemon_text(daemon),
        None => "no daemon runs; `indexer watch` starts one\n".to_owned(),
    };
    if report.worktrees.is_empty() {
        text.push_str("no worktrees; `indexer add PATH` registers one\n");
    }
    for tree in &report.worktrees {
        text.push_str(&worktree_text(tree, report.daemon.is_some()));
    }
    if let Some(cache) = &report.cache {
        text.push_str(&format!(
            "embedding cache: {} vectors, {:.1} MB\n",
            cache.entries,
            cache.bytes as f64 / 1e6
        ));
    }
    text
}

fn daemon_text(daemon: &DaemonStatus) -> String {
    let mut text = format!(
        "daemon: process {}, version {}, {} of {} watches\n",
        daemon.pid, daemon.version, daemon.watches.used, daemon.watches.budget
    );
    if let Some(url) = &daemon.http {
        text.push_str(&format!("  HTTP: {url}\n"));
    }
    if let Some(running) = &daemon.running {
        let (root, stage) = (shown(&running.root.to_path()), &running.stage);
        let part =
            if running.total > 0 { format!(" {}/{}", running.done, running.total) } else { String::new() };
        text.push_str(&format!("  at work: {root}: {stage}{part}\n"));
    }
    if let Some(reason) = &daemon.backfill_paused {
        text.push_str(&format!("  vectors wait: {reason}\n"));
    }
    text
}

fn worktree_text(tree: &WorktreeStatus, daemon: bool) -> String {
    let mut text = shown(&tree.root.to_path());
    if let Some(state) = tree.state.as_deref().filter(|state| *state != State::Active.name()) {
        return format!("{text}  {state}\n");
    }
    if let Some(branch) = tree.freshness.as_ref().and_then(|freshness| freshness.head.branch.as_ref()) {
        text.push_str(&format!("  {}", output::printable(branch)));
    }
    if daemon && tree.state.is_none() {
        text.push_str("  not registered (`indexer add` does it)");
    }
    text.push('\n');
    match &tree.freshness {
        Some(freshness) => text.push_str(&format!("  {}\n", freshness.sentence())),
        None => text.push_str("  not indexed yet; `indexer once` does it now\n"),
    }
    if let Some(operation) = tree.freshness.as_ref().and_then(|freshness| freshness.head.operation.as_ref()) {
        text.push_str(&format!("  a {operation} is in progress\n"));
    }
    if tree.points > 0 {
        let bytes: u64 = tree.bytes.values().sum();
        let vectors = tree.freshness.iter().flat_map(|freshness| &freshness.vectors);
        let vectors: String = vectors
            .map(|(leg, vectors)| format!(", {leg} vectors {}/{}", vectors.present, vectors.needed))
            .collect();
        text.push_str(&format!("  {} chunks{vectors}, {:.1} MB\n", tree.points, bytes as f64 / 1e6));
    }
    if !tree.queued.is_empty() {
        text.push_str(&format!("  a run waits: {}\n", tree.queued.join(", ")));
    }
    if let Some(watch) = tree.freshness.as_ref().and_then(|freshness| freshness.watch.as_ref())
        && watch.unwatched > 0
    {
        let first = watch.unwatched_paths.join(", ");
        text.push_str(&format!(
            "  polled: {}{}\n",
            output::printable(&first),
            if first.is_empty() { "all of it" } else { ", …" }
        ));
    }
    if let Some(problem) = &tree.problem {
        text.push_str(&format!(
            "  error: {} (tried {} times, again in {} s)\n",
            output::printable(&problem.failure.message),
            problem.failures,
            problem.retry_in_s
        ));
        if let Some(hint) = &problem.failure.hint {
            text.push_str(&format!("  hint: {hint}\n"));
        }
    }
    text
}
