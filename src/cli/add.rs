//! `indexer add`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::error::CliError;
use super::registry::{now, resolve, shown, tell_daemon};
use super::{EXIT_OK, output};
use crate::daemon::registry::{Entry, Registered, Registry, Source, State, is_wide};
use crate::engine::{Engine, Workspace};

/// Register worktrees to be kept fresh.
///
/// A path in a worktree registers its repository: all of its worktrees, and those that
/// `git worktree add` makes later.
#[derive(Args)]
pub(super) struct Add {
    /// Paths in worktrees; with --recursive, folders.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Register every repository below each folder, and those that appear there later.
    ///
    /// Hidden directories, `node_modules`, `target`, repositories inside of repositories
    /// and symbolic links are not looked into.
    #[arg(short, long)]
    recursive: bool,
    /// Look into file systems that are mounted below the folders, too.
    #[arg(long, requires = "recursive")]
    other_file_systems: bool,
    /// Register the home directory or `/`, with everything in it.
    #[arg(long)]
    force: bool,
}

enum Named {
    Folder(PathBuf),
    Repository(Workspace),
}

impl Add {
    pub(super) fn run(&self, engine: &Arc<Engine>) -> Result<u8, CliError> {
        // One that is wrong registers none.
        let named: Vec<Named> =
            self.paths.iter().map(|path| self.named(engine, path)).collect::<Result<_, _>>()?;
        let settings = engine.settings();
        let now = now();
        let data_dir = &settings.data_dir;
        let before = Registry::update(data_dir, |registry| {
            let before = registry.clone();
            for named in &named {
                match named {
                    Named::Folder(path) => registry.add_folder(path, self.other_file_systems, now),
                    Named::Repository(workspace) => {
                        let common_dir = workspace.worktree().common_dir().as_path();
                        registry.add_repository(workspace.root().as_path(), common_dir, now);
                    }
                }
            }
            before
        })?;
        let (registry, changes) = Registry::refresh(data_dir, settings.home.as_deref(), now)?;
        for problem in &changes.problems {
            output::note(&format!("warning: {problem}"));
        }
        for named in &named {
            output::write(&report(named, &before, &registry))?;
        }
        tell_daemon(settings);
        output::note("`indexer watch` keeps them fresh; `indexer once PATH` indexes one now");
        Ok(EXIT_OK)
    }

    fn named(&self, engine: &Arc<Engine>, path: &Path) -> Result<Named, CliError> {
        let (root, named) = if self.recursive {
            let folder = path.canonicalize().ok().filter(|folder| folder.is_dir());
            let folder =
                folder.ok_or_else(|| CliError::usage(format!("{} is not a directory", shown(path))))?;
            (folder.clone(), Named::Folder(folder))
        } else {
            let workspace = engine.open(path)?;
            (workspace.root().as_path().to_owned(), Named::Repository(workspace))
        };
        if is_wide(&root, engine.settings().home.as_deref().map(resolve).as_deref()) && !self.force {
            let what = if root == Path::new("/") { "the whole file system" } else { "your home directory" };
            let error =
                format!("{} is {what}: everything in it would be looked at, again and again", shown(&root));
            let hint = "name the repositories in it, or the folders that hold them with --recursive; \
                 --force registers it all the same";
            return Err(CliError::usage(error).with_hint(hint));
        }
        Ok(named)
    }
}

/// What was named, with the worktrees that are kept fresh by it.
fn report(named: &Named, before: &Registry, registry: &Registry) -> String {
    let (what, path) = match named {
        Named::Folder(path) => ("the folder ", path.as_path()),
        Named::Repository(workspace) => ("", workspace.root().as_path()),
    };
    let holds = |known: &Registered| match named {
        Named::Folder(path) => known.root.starts_with(path),
        Named::Repository(workspace) => known.common_dir == workspace.worktree().common_dir().as_path(),
    };
    let mut active =
        registry.worktrees().iter().filter(|at| at.state == State::Active && holds(at)).peekable();
    let same = |entry: &Entry| match &entry.source {
        Source::Folder { path: folder, .. } => matches!(named, Named::Folder(_)) && folder == path,
        Source::Repository { root, .. } => matches!(named, Named::Repository(_)) && root == path,
    };
    let word = if before.entries().iter().any(same) { "registered already" } else { "added" };
    let mut text = format!("{word}: {what}{}\n", shown(path));
    if active.peek().is_none() {
        text.push_str("  no repository there yet; one that appears is found\n");
    }
    for known in active.filter(|known| known.root != path) {
        text.push_str(&format!("  {}\n", shown(&known.root)));
    }
    text
}
