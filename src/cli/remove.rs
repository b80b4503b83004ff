//! `indexer remove`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::error::CliError;
use super::registry::{now, resolve, shown, tell_daemon};
use super::{EXIT_OK, output};
use crate::daemon::registry::{Registered, Registry};
use crate::engine::Engine;
use crate::git::Worktree;

/// Keep worktrees fresh no longer.
///
/// The main worktree of a repository, or the one by which it was added, stands for the whole
/// repository; any other worktree for itself, and it stays out until it is added again. Their
/// indexes are kept for watch.keep_days, and nothing in a worktree is touched.
#[derive(Args)]
pub(super) struct Remove {
    /// Worktrees, or folders that were added. They need not exist any more.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Drop their indexes at once; also the index of a worktree that was never added.
    #[arg(long)]
    purge: bool,
}

impl Remove {
    pub(super) fn run(&self, engine: &Engine) -> Result<u8, CliError> {
        let settings = engine.settings();
        let data_dir = &settings.data_dir;
        let now = now();
        // One that is not known removes none.
        let removed = Registry::update(data_dir, |registry| {
            let mut after = registry.clone();
            let removed: Result<Vec<_>, CliError> =
                self.paths.iter().map(|path| self.remove(&mut after, path, now)).collect();
            if removed.is_ok() {
                *registry = after;
            }
            removed
        })??;
        tell_daemon(settings);
        let mut kept = 0;
        for (path, worktrees) in self.paths.iter().zip(removed) {
            if worktrees.is_empty() {
                output::write(&format!("removed {}\n", shown(path)))?;
            }
            for (project, root) in worktrees {
                let with = match self.purge {
                    true => engine.drop_index(&project, &root)?,
                    false => false,
                };
                if self.purge {
                    Registry::update(data_dir, |registry| registry.forget(&project, &root))?;
                } else {
                    kept += 1;
                }
                output::write(&format!(
                    "removed {}{}\n",
                    shown(&root),
                    if with { " and its index" } else { "" }
                ))?;
            }
        }
        if kept > 0 {
            output::note(&format!(
                "what is indexed of it is kept for {} days (watch.keep_days) and used again if you add it \
                 again; `--purge` drops it at once",
                settings.watch.keep.as_secs() / 86_400
            ));
        }
        Ok(EXIT_OK)
    }

    /// Projects and roots of what goes with `path`.
    fn remove(
        &self,
        registry: &mut Registry,
        path: &Path,
        now: u64,
    ) -> Result<Vec<(PathBuf, PathBuf)>, CliError> {
        let pair = |known: Registered| (known.project().to_owned(), known.root);
        if let Some(removed) = registry.remove(&resolve(path), now) {
            return Ok(removed.into_iter().map(pair).collect());
        }
        // A path in a worktree stands for it.
        let worktree = Worktree::discover(path).ok();
        let root = worktree.as_ref().map(|worktree| worktree.root().as_path());
        match (root.and_then(|root| registry.remove(root, now)), worktree.as_ref()) {
            (Some(removed), _) => Ok(removed.into_iter().map(pair).collect()),
            (None, Some(worktree)) if self.purge => {
                Ok(vec![(worktree.project_path().to_owned(), worktree.root().as_path().to_owned())])
            }
            _ => Err(CliError::usage(format!("{} is not registered", shown(path)))
                .with_hint("`indexer list` shows what is")),
        }
    }
}
