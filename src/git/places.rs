//! What to watch in git's own directories, so that a change of HEAD, index, refs,
//! settings or ignore rules is heard of.
//!
//! A table of names, made from what is there now; nothing is watched here. Objects
//! and lock files are in no row: git takes a lock and renames it over the file.

use std::path::{Path, PathBuf};

use bstr::{BString, ByteSlice};

use super::open::Located;
use crate::path::RepoPath;

/// An entry of a directory on git's side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitPlace {
    /// Absolute path of an existing directory.
    pub directory: PathBuf,
    /// The entry's name; `None` stands for every entry.
    pub name: Option<BString>,
    /// What a change of the entry means.
    pub change: GitChange,
}

/// What changed on git's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GitChange {
    /// The index file: checkout, reset, add, stash and all else that git does to files.
    Index,
    /// HEAD, or its log, which every commit and reset goes into.
    Head,
    /// The current branch, or the files that hold many refs.
    Refs,
    /// Settings of the repository or the worktree.
    Config,
    /// `info/exclude`, `info/attributes`, `info/sparse-checkout`.
    Rules,
    /// A rebase, merge, cherry-pick, revert, bisect or am began or ended.
    Operation,
    /// A linked worktree was added or removed.
    Worktrees,
    /// `.git`, or one of the directories to watch, was made, moved or removed.
    Directory,
}

impl GitPlace {
    /// Whether a change of the entry `name` is this one.
    pub fn concerns(&self, name: &[u8]) -> bool {
        match &self.name {
            Some(own) => own == name,
            None => !name.ends_with(b".lock"),
        }
    }
}

pub(super) fn places(located: &Located) -> Vec<GitPlace> {
    use GitChange::{Config, Directory, Head, Index, Operation, Refs, Rules, Worktrees};
    let (git_dir, common_dir) = (located.git_dir.as_path(), located.common_dir.as_path());
    let mut places = Places(Vec::new());
    // A directory that is not there yet is announced by its name in the one above.
    places.add(git_dir, Index, &["index"]);
    places.add(git_dir, Head, &["HEAD"]);
    places.add(git_dir, Config, &["config.worktree"]);
    // The names by which git itself knows that an operation is in progress.
    let operations = ["rebase-merge", "rebase-apply", "sequencer", "MERGE_HEAD", "CHERRY_PICK_HEAD"];
    places.add(git_dir, Operation, &operations);
    places.add(git_dir, Operation, &["REVERT_HEAD", "BISECT_LOG"]);
    places.add(git_dir, Directory, &["logs", "info", "reftable"]);
    places.add(&git_dir.join("logs"), Head, &["HEAD"]);
    places.add(&git_dir.join("info"), Rules, &["sparse-checkout"]);
    places.add(&git_dir.join("reftable"), Refs, &["tables.list"]);
    places.add(common_dir, Refs, &["packed-refs"]);
    places.add(common_dir, Config, &["config"]);
    places.add(common_dir, Directory, &["info"]);
    places.add(common_dir, Worktrees, &["worktrees"]);
    places.add(&common_dir.join("info"), Rules, &["exclude", "attributes"]);
    places.push(&common_dir.join("worktrees"), None, Worktrees);
    places.add(&common_dir.join("reftable"), Refs, &["tables.list"]);
    if let Some(branch) = current_branch(git_dir) {
        let mut directory = common_dir.join("refs/heads");
        for component in branch.as_bytes().split_str("/") {
            places.push(&directory, Some(component.into()), Refs);
            directory.push(component.to_path_lossy());
        }
    }
    places.0
}

struct Places(Vec<GitPlace>);

impl Places {
    fn add(&mut self, directory: &Path, change: GitChange, names: &[&str]) {
        for name in names {
            self.push(directory, Some((*name).into()), change);
        }
    }

    fn push(&mut self, directory: &Path, name: Option<BString>, change: GitChange) {
        let place = GitPlace { directory: directory.to_owned(), name, change };
        let there = std::fs::symlink_metadata(directory).is_ok_and(|metadata| metadata.is_dir());
        // The two directories of a worktree that is not linked are one.
        if there && !self.0.contains(&place) {
            self.0.push(place);
        }
    }
}

/// The branch that HEAD names, below `refs/heads`, whether or not it exists.
fn current_branch(git_dir: &Path) -> Option<RepoPath> {
    let head = std::fs::read(git_dir.join("HEAD")).ok()?;
    let name = head.strip_prefix(b"ref:")?.trim().strip_prefix(b"refs/heads/")?;
    // A path of safe components, or something that is no branch.
    RepoPath::new(name)
}
