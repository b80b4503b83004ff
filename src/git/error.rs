//! What can go wrong while git is read. Every message names its subject and a
//! way out; none of these conditions may be mistaken for an empty worktree.

use std::io;
use std::path::PathBuf;

use crate::path::RepoPath;
use crate::skip::SkipReason;

/// Why git could not be read.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// There is nothing at the path.
    #[error("`{path}` does not exist; give a path inside a git worktree")]
    NoSuchPath {
        /// As asked.
        path: PathBuf,
    },
    /// No repository at the path or above it.
    #[error("`{path}` is not in a git repository; give a path inside one, or make one with `git init`")]
    NotARepository {
        /// As asked.
        path: PathBuf,
    },
    /// A repository without files of its own.
    #[error("`{git_dir}` is a bare repository and has no files; {way_out}", way_out = bare_way_out(worktrees))]
    Bare {
        /// The repository.
        git_dir: PathBuf,
        /// Its linked worktrees.
        worktrees: Vec<PathBuf>,
    },
    /// Owned by someone else; git refuses it too.
    #[error(
        "`{path}` is owned by another user and git would refuse to read it; if you trust it, run \
         `git config --global --add safe.directory {path}`"
    )]
    Untrusted {
        /// Worktree root, or the repository where there is none.
        path: PathBuf,
    },
    /// The repository is there but does not open.
    #[error(
        "the git repository of `{path}` cannot be opened: {reason}; `git -C {path} status` shows what git makes of it"
    )]
    Open {
        /// Worktree root or the path asked for.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The worktree was there and is not any more: removed, unmounted or moved.
    #[error(
        "the worktree `{root}` is not there any more (removed, moved or unmounted); bring it back, or \
         remove it from the index by name. Nothing was changed in the index"
    )]
    RootGone {
        /// Where it was.
        root: PathBuf,
    },
    /// The path now belongs to another repository than when it was opened.
    #[error("`{root}` belongs to another repository than before (`{now}`, was `{before}`); start again")]
    Replaced {
        /// Root.
        root: PathBuf,
        /// Git directory when it was opened.
        before: PathBuf,
        /// Git directory now.
        now: PathBuf,
    },
    /// HEAD has a commit, but there is no index file.
    #[error("the git index `{path}` is missing; `git -C {root} reset` writes a new one")]
    IndexMissing {
        /// The index file.
        path: PathBuf,
        /// Worktree root.
        root: PathBuf,
    },
    /// The index file does not decode.
    #[error(
        "the git index `{path}` cannot be read: {reason}; `git -C {root} status` tells whether git can. \
         To rebuild it, remove the file and run `git -C {root} reset`"
    )]
    IndexCorrupt {
        /// The index file.
        path: PathBuf,
        /// Worktree root.
        root: PathBuf,
        /// What was found.
        reason: String,
    },
    /// HEAD or the ref it points to does not read.
    #[error("HEAD of `{root}` cannot be read: {reason}; `git -C {root} status` shows what git makes of it")]
    Head {
        /// Worktree root.
        root: PathBuf,
        /// What was found.
        reason: String,
    },
    /// Refs in a format that only git itself reads, and git did not answer.
    #[error(
        "the refs of `{root}` are in the format `{format}`, which takes the `git` program to read, and it \
         failed: {reason}; install git 2.45 or later, or run `git -C {root} refs migrate --ref-format=files`"
    )]
    RefFormat {
        /// Worktree root.
        root: PathBuf,
        /// `extensions.refStorage`.
        format: String,
        /// What git said.
        reason: String,
    },
    /// An object that the list depends on is not in the repository (partial clone, or damage).
    #[error(
        "git object {id} ({what}) cannot be read in `{root}`: {reason}; \
         `git -C {root} cat-file -e {id}` fetches it in a partial clone"
    )]
    Object {
        /// Worktree root.
        root: PathBuf,
        /// Object id, hex.
        id: String,
        /// What it is.
        what: String,
        /// What was found.
        reason: String,
    },
    /// A git setting that does not read.
    #[error(
        "git setting `{key}` of `{root}` cannot be read: {reason}; see `git -C {root} config --get {key}`"
    )]
    Config {
        /// Worktree root.
        root: PathBuf,
        /// The key.
        key: &'static str,
        /// What was found.
        reason: String,
    },
    /// Not the id of a commit.
    #[error("`{id}` is not the id of a commit in `{root}`: {reason}; `git -C {root} log` lists them")]
    Commit {
        /// Worktree root.
        root: PathBuf,
        /// As asked.
        id: String,
        /// What was found.
        reason: String,
    },
    /// The operating system refused.
    #[error("`{path}` cannot be read: {source}; check that it exists and its permissions")]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn bare_way_out(worktrees: &[PathBuf]) -> String {
    match worktrees {
        [] => "add a worktree with `git worktree add` and give its path".to_owned(),
        some => {
            let names: Vec<_> = some.iter().map(|path| format!("`{}`", path.display())).collect();
            format!("give the path of one of its worktrees: {}", names.join(", "))
        }
    }
}

/// Why a listed file gave no bytes.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is gone, or a component of its path is not a directory any more.
    #[error("`{0}` is not there any more; the next run drops it")]
    Vanished(RepoPath),
    /// Not a regular file (any more).
    #[error("`{path}` is not read: {}", reason.explanation())]
    NotAFile {
        /// Path.
        path: RepoPath,
        /// Symlink, submodule (a directory), or special.
        reason: SkipReason,
    },
    /// Larger than asked for.
    #[error("`{path}` has {size} bytes, more than the limit of {max}; raise the limit to read it")]
    TooLarge {
        /// Path.
        path: RepoPath,
        /// Bytes.
        size: u64,
        /// The limit.
        max: u64,
    },
    /// It was written to each time it was read.
    #[error("`{0}` kept changing while it was read; it is read again on the next run")]
    Changing(RepoPath),
    /// The operating system refused.
    #[error("`{path}` cannot be read: {source}; check its permissions")]
    Io {
        /// Path.
        path: RepoPath,
        /// Why.
        source: io::Error,
    },
}
