//! What can go wrong with memories. Every message names its subject and a way out.

use std::path::PathBuf;

use crate::embed::EmbedError;
use crate::git::GitError;
use crate::id::{InvalidName, PointId};
use crate::search::SearchError;
use crate::store::StoreError;

/// Why it could not be done. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// A text that is needed.
    #[error("the {what} is empty: say it in words")]
    Empty {
        /// Which.
        what: &'static str,
    },
    /// A text that is not one.
    #[error("the {what} has a NUL byte: it must be text")]
    Nul {
        /// Which.
        what: &'static str,
    },
    /// A text over its limit.
    #[error("the {what} has {bytes} bytes, and {limit} are kept: shorten it, or keep the rest in a file")]
    TooLong {
        /// Which.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Too many of something.
    #[error("{count} {what} are given, and {limit} are kept: leave some out")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// Not the beginning of an id.
    #[error("{text:?} is not an id, nor the beginning of one (4 hexadecimal digits at least)")]
    NotAnId {
        /// As given.
        text: String,
    },
    /// Nothing has this id.
    #[error("there is no {what} {id}: `indexer memory {what} list` shows those that there are")]
    Unknown {
        /// `checkpoint` or `remediation`.
        what: &'static str,
        /// The id, or its beginning.
        id: String,
    },
    /// Several have ids that begin so.
    #[error("several ids begin with {prefix}: {}; give more of it", ids.join(", "))]
    Ambiguous {
        /// As given.
        prefix: String,
        /// Some of them.
        ids: Vec<String>,
    },
    /// A reference to what is not there.
    #[error(
        "the reference {place} cannot be kept: {reason}; give it as PATH or PATH:FIRST-LAST from the worktree's root"
    )]
    Reference {
        /// As given.
        place: String,
        /// Why not.
        reason: String,
    },
    /// A record that does not read.
    #[error(
        "the memory {id} cannot be read ({reason}): `delete` it, or restore the data directory from a backup"
    )]
    Record {
        /// Its id.
        id: PointId,
        /// Why not.
        reason: String,
    },
    /// A record of a newer program.
    #[error("the memory {id} has format {version}, which a newer version wrote: upgrade indexer")]
    Newer {
        /// Its id.
        id: PointId,
        /// Its format.
        version: u64,
    },
    /// Stored data is not what was written.
    #[error(
        "{} is damaged ({detail}): restore it from a backup, or move that directory away to begin anew; \
         nothing was changed",
        path.display()
    )]
    Damaged {
        /// The damaged file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// Written by a newer version of the program.
    #[error("{} has format {found}, which a newer version wrote: upgrade indexer", path.display())]
    NewerFormat {
        /// The file that says so.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// Another process is writing, and does not end.
    #[error("{what} are being written by {}: try again when it has ended", pid.map_or("another process".to_owned(), |pid| format!("process {pid}")))]
    Busy {
        /// `checkpoints` or `remediations`.
        what: &'static str,
        /// Whose process.
        pid: Option<u32>,
    },
    /// Git could not be read.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The question cannot be answered.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// The model failed.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// A name that a rule made is refused by the store's rule.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The store refused.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for MemoryError {
    fn from(error: StoreError) -> MemoryError {
        match error {
            // The store's way out is to index anew, and nothing can make a memory again.
            StoreError::Corrupt { path, detail } => MemoryError::Damaged { path, detail },
            StoreError::NewerFormat { path, found, .. } => MemoryError::NewerFormat { path, found },
            error => MemoryError::Store(error),
        }
    }
}
