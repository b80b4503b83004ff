//! `indexer list`.

use clap::Args;

use super::error::CliError;
use super::registry::{now, shown};
use super::{EXIT_OK, output};
use crate::daemon::registry::{Registered, Registry, Source, State, View};
use crate::engine::Engine;
use crate::git::Worktree;
use crate::wire::{self, ListedWorktree};

/// List the worktrees that are registered to be kept fresh.
///
/// Looks at the disk, and changes nothing.
#[derive(Args)]
pub(super) struct List {
    /// Print the list as one JSON document.
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) fn run(&self, engine: &Engine) -> Result<u8, CliError> {
        let settings = engine.settings();
        let mut registry = Registry::load(&settings.data_dir)?;
        let changes = registry.discover(&View::of(&registry, settings.home.as_deref()), now());
        let folders = registry.entries().iter().filter_map(|entry| match &entry.source {
            Source::Folder { path, .. } => Some(path.as_path()),
            Source::Repository { .. } => None,
        });
        let worktrees = registry.worktrees();
        let worktrees: Vec<ListedWorktree> =
            worktrees.iter().map(|known| listed(engine, known)).collect::<Result<_, _>>()?;
        if self.json {
            let folders = folders.map(wire::Place::from).collect();
            output::write_json(&wire::List { worktrees, folders, problems: changes.problems })?;
            return Ok(EXIT_OK);
        }
        for known in worktrees {
            let indexed = if known.indexed { "indexed" } else { "not indexed" };
            let root = shown(&known.root.to_path());
            let branch = output::printable(known.branch.as_deref().unwrap_or("-"));
            output::write(&format!("{:<8}  {indexed:<11}  {root}  {branch}\n", known.state))?;
        }
        for path in folders {
            output::write(&format!("folder    {:<11}  {}\n", "", shown(path)))?;
        }
        for problem in &changes.problems {
            output::note(&format!("warning: {problem}"));
        }
        if registry.entries().is_empty() {
            output::note("nothing is registered; `indexer add PATH` does it");
        }
        Ok(EXIT_OK)
    }
}

fn listed(engine: &Engine, known: &Registered) -> Result<ListedWorktree, CliError> {
    let branch = || Worktree::discover(&known.root).ok()?.head().ok()?.branch;
    Ok(ListedWorktree {
        root: known.root.as_path().into(),
        project: known.project().into(),
        branch: if known.state == State::Active { branch() } else { None },
        state: known.state.name().to_owned(),
        since: match known.state {
            State::Missing { since } | State::Retired { since } => Some(since),
            State::Excluded { since } => since,
            State::Active => None,
        },
        indexed: engine.has_index(known.project(), &known.root)?,
    })
}
