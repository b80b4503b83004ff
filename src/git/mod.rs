//! Git, read only, through gix: which worktree, which commit, which files.
//!
//! The file list is what git shows (tracked, plus untracked and not ignored) as
//! it lies on disk. Nothing here writes git's files or takes its locks, and no
//! watch event or stored state is consulted: the answer is recomputed each time.
//!
//! | File | For |
//! |---|---|
//! | `open` | finding and opening a repository, free of a hook's environment |
//! | `head` | HEAD, operation in progress, paths between two commits |
//! | `history` | commits between two commits |
//! | `tracked` | the index as a sorted list of paths |
//! | `ignore`, `attributes`, `nested` | ignore patterns, linguist attributes, nested repositories |
//! | `walk` | the file list |
//! | `read` | a file's bytes with a signature that can be trusted |
//! | `places` | what to watch in git's own directories |
//! | `worktrees` | the worktrees of a repository |

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::manifest::Stat;
use crate::path::{AbsPath, RepoPath};
use crate::skip::SkipReason;

mod attributes;
mod error;
mod head;
mod history;
mod ignore;
mod nested;
mod open;
mod places;
mod read;
mod tracked;
mod walk;
mod worktrees;

#[cfg(test)]
mod tests;

pub use error::{GitError, ReadError};
pub use history::Commits;
pub use ignore::PatternMatch;
pub use open::LOCAL_ENV_VARS;
pub use places::{GitChange, GitPlace};
pub use read::{Contents, now_ns, read_file, trusted};
pub use walk::IGNORE_FILE;
pub use worktrees::{RegisteredWorktree, worktrees};

/// An open worktree. Cheap to keep; every reading method looks at the disk anew,
/// settings included.
pub struct Worktree {
    located: open::Located,
    hidden: Vec<RepoPath>,
}

/// What tells one repository from another that takes its place at the same path.
///
/// Keep it with the stored state: where it differs, the state was another
/// repository's. Where a file system reuses inodes and knows no creation time it
/// may fail to differ; a file's own signature (change time and inode) still tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Canonical git directory of the worktree.
    pub git_dir: AbsPath,
    /// Its inode number.
    pub inode: u64,
    /// Its creation time, nanoseconds since the epoch, where the file system has it.
    pub created_ns: Option<i64>,
}

/// Where HEAD is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Full hex id of the commit; `None` where the branch is unborn.
    pub commit: Option<String>,
    /// Short branch name; `None` where detached.
    pub branch: Option<String>,
    /// An operation in progress: `rebase`, `merge`, `cherry-pick`, `revert`, `bisect`, `am`.
    pub operation: Option<&'static str>,
}

/// One file that git shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Path.
    pub path: RepoPath,
    /// Signature by lstat, now. All zero for a submodule or nested repository.
    pub stat: Stat,
    /// Whether the index has it (untracked otherwise).
    pub tracked: bool,
    /// Known from the listing alone: symlink, submodule, special, `.indexerignore`, attributes.
    pub skip: Option<SkipReason>,
}

/// All files that git shows, sorted by path, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The files.
    pub entries: Vec<FileEntry>,
    /// Every directory that was read, the root left out, sorted: a file may come to be
    /// shown in these and no others. Empty ones count; ignored ones only where they hold
    /// tracked files.
    pub directories: Vec<RepoPath>,
    /// Directories that could not be read (their files keep their last state), with why; sorted.
    pub unreadable: Vec<(RepoPath, String)>,
}

/// The path that names the project with this canonical common directory, see
/// [`Worktree::project_path`]. Nothing has to be there any more.
pub fn project_path(common_dir: &Path) -> &Path {
    match (common_dir.file_name(), common_dir.parent()) {
        (Some(name), Some(parent)) if name == ".git" => parent,
        _ => common_dir,
    }
}

impl Worktree {
    /// The worktree that `path` is in.
    ///
    /// Fails where git would: nothing there, no repository, a bare one, one of
    /// another user (`safe.directory`). Git's environment variables are not heeded.
    pub fn discover(path: &Path) -> Result<Worktree, GitError> {
        Ok(Worktree { located: open::discover(path)?, hidden: Vec::new() })
    }

    /// Canonical root directory.
    pub fn root(&self) -> &AbsPath {
        &self.located.root
    }

    /// Canonical git directory of this worktree (`.git`, or `.git/worktrees/NAME`).
    pub fn git_dir(&self) -> &AbsPath {
        &self.located.git_dir
    }

    /// Canonical directory shared by all worktrees of the repository: its identity as a project.
    pub fn common_dir(&self) -> &AbsPath {
        &self.located.common_dir
    }

    /// The path that names the project, the same for all worktrees of the repository:
    /// the directory that holds `.git`, or the repository itself where it is bare or apart.
    pub fn project_path(&self) -> &Path {
        project_path(self.common_dir().as_path())
    }

    /// What tells this repository from a later one at the same path.
    pub fn identity(&self) -> Result<Identity, GitError> {
        open::identity(&self.located)
    }

    /// HEAD, now.
    pub fn head(&self) -> Result<Head, GitError> {
        head::head(&open::reopen(&self.located)?, self.root().as_path())
    }

    /// The file list, now. `Err` wherever the list would be wrong: a worktree that
    /// is gone is never an empty one.
    pub fn list(&self) -> Result<Listing, GitError> {
        let repo = open::reopen(&self.located)?;
        // HEAD matters only where the index file is missing; where it cannot be
        // read, an absent index is not to be taken for an empty one either.
        let born = || !matches!(head::head(&repo, self.root().as_path()), Ok(Head { commit: None, .. }));
        let mut listing = walk::list(&repo, &self.located, born)?;
        for (path, why) in &listing.unreadable {
            tracing::warn!("{path}: {why}: what is indexed below it stays as it was; check its permissions");
        }
        listing.entries.retain(|entry| !self.is_hidden(&entry.path));
        listing.directories.retain(|directory| !self.is_hidden(directory));
        Ok(listing)
    }

    /// Leaves what lies below these absolute directories out of every listing: a program's
    /// own state must not be a reason to write more of it.
    pub fn hide(&mut self, dirs: &[PathBuf]) {
        let resolve = |dir: &PathBuf| dir.canonicalize().unwrap_or_else(|_| dir.clone());
        let inside = |dir: PathBuf| {
            let relative =
                dir.strip_prefix(self.root().as_path()).ok()?.as_os_str().as_encoded_bytes().to_vec();
            RepoPath::new(relative)
        };
        self.hidden = dirs.iter().map(resolve).filter_map(inside).collect();
    }

    /// Whether `path` is one that [`Worktree::hide`] leaves out.
    pub fn is_hidden(&self, path: &RepoPath) -> bool {
        self.hidden.iter().any(|dir| path == dir || path.ancestors().any(|above| above == dir.as_bstr()))
    }

    /// Where to look for changes on git's side: the entries, of directories that exist now,
    /// whose change may change the answers of this type.
    pub fn git_places(&self) -> Vec<GitPlace> {
        places::places(&self.located)
    }

    /// Since when git's `index.lock` of this worktree exists; `None` where it does not.
    /// While it does, files are being replaced; one that is old was left by a crash.
    pub fn index_locked(&self) -> Option<SystemTime> {
        let lock = self.git_dir().as_path().join("index.lock");
        std::fs::symlink_metadata(lock).and_then(|metadata| metadata.modified()).ok()
    }

    /// The pattern for which git ignores the untracked `path`; `None` where none does.
    pub fn ignored_by(&self, path: &RepoPath) -> Result<Option<PatternMatch>, GitError> {
        ignore::ignored_by(&open::reopen(&self.located)?, self.root().as_path(), path)
    }

    /// Paths that differ between two commits' trees (two-dot, renames off);
    /// `None` where `from` is not in the repository any more. A hint and a counter,
    /// never the judge of what changed.
    pub fn changed_between(&self, from: &str, to: &str) -> Result<Option<BTreeSet<RepoPath>>, GitError> {
        head::changed_between(&open::reopen(&self.located)?, self.root().as_path(), from, to)
    }

    /// The commits that `to` has behind it and `from` has not, with the subjects of the
    /// newest `subjects`; `None` where `from` is not in the repository any more.
    pub fn commits_between(
        &self,
        from: &str,
        to: &str,
        subjects: usize,
    ) -> Result<Option<Commits>, GitError> {
        history::commits_between(&open::reopen(&self.located)?, self.root().as_path(), from, to, subjects)
    }
}
