//! The worktrees of a repository: the main one and those that `git worktree add` made.

use std::path::{Path, PathBuf};

use super::GitError;
use super::open::{self, canonical_git_dir};

/// A worktree as its repository has it registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredWorktree {
    /// Root: canonical where it is there, else as git wrote it down.
    pub root: PathBuf,
    /// Canonical git directory of the worktree; of the main one, that of the repository.
    pub git_dir: PathBuf,
    /// Whether the root is there and leads to `git_dir`: neither removed, moved by hand,
    /// unmounted, nor another repository by now.
    pub present: bool,
    /// Whether `git worktree lock` protects it from pruning.
    pub locked: bool,
    /// Whether `git worktree prune` would forget it.
    pub prunable: bool,
}

/// All worktrees of the repository with this canonical common directory, the main one
/// first, then by git directory.
///
/// A bare repository has no main one. Neither has one whose git directory lies apart and
/// does not say where its files are (`git init --separate-git-dir`): there only the
/// worktree knows of the repository. Fails as [`super::Worktree::discover`] does.
pub fn worktrees(common_dir: &Path) -> Result<Vec<RegisteredWorktree>, GitError> {
    let repo = open::open_git_dir(common_dir)?;
    let mut found = Vec::new();
    if let Some(root) = repo.workdir() {
        let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let configured = repo.config_snapshot().string("core.worktree").is_some() && root.is_dir();
        let present = configured || leads_to(&root, common_dir);
        if present || common_dir.file_name().is_some_and(|name| name == ".git") {
            let git_dir = common_dir.to_owned();
            found.push(RegisteredWorktree { root, git_dir, present, locked: false, prunable: false });
        }
    }
    let failed = |error: gix::Error| GitError::Open {
        path: common_dir.to_owned(),
        reason: format!("its worktrees cannot be listed: {}", open::reason(&error)),
    };
    for proxy in repo.worktrees().map_err(failed)? {
        // Git, too, leaves out one whose path cannot be read.
        let Ok(base) = proxy.base() else { continue };
        let git_dir = proxy.git_dir().canonicalize().unwrap_or_else(|_| proxy.git_dir().to_owned());
        let present = leads_to(&base, &git_dir);
        found.push(RegisteredWorktree {
            root: if present { base.canonicalize().unwrap_or(base) } else { base },
            git_dir,
            present,
            locked: proxy.is_locked(),
            prunable: proxy.is_prunable(),
        });
    }
    Ok(found)
}

/// Whether the `.git` of `root` is, or names, `git_dir`.
fn leads_to(root: &Path, git_dir: &Path) -> bool {
    canonical_git_dir(&root.join(".git")).as_deref() == Some(git_dir)
}
