//! What belongs to a place of the code, as data: relations, results, and why there are none.
//! Pure.

use std::collections::HashSet;

use crate::git::ReadError;
use crate::path::RepoPath;
use crate::store::{Point, StoreError};

/// Which place, and how much is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Path in the worktree.
    pub path: RepoPath,
    /// Line on disk, from 1.
    pub line: u32,
    /// The most results of each relation.
    pub limit: usize,
}

/// What there is at the place that was asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Path in the worktree.
    pub path: RepoPath,
    /// First and last line now: of the symbol, or of the chunk where there is none.
    pub lines: (u32, u32),
    /// Kind.
    pub kind: String,
    /// Symbol with what is around it.
    pub symbol: Option<String>,
    /// Signature on one line.
    pub signature: Option<String>,
    /// How many definitions of its name the collection has; `None` where it has no name.
    pub definitions: Option<u32>,
}

/// What results have to do with the subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Relation {
    /// They say something alike.
    Similar,
    /// They use its name, calls first.
    Callers,
    /// They test it: they are tests, and use its name or have it in theirs.
    Tests,
    /// They define what it calls.
    Callees,
}

impl Relation {
    /// Stable name.
    pub fn name(self) -> &'static str {
        match self {
            Relation::Similar => "similar",
            Relation::Callers => "callers",
            Relation::Tests => "tests",
            Relation::Callees => "callees",
        }
    }
}

/// The results of one relation.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Which relation.
    pub relation: Relation,
    /// How they were found, or why there are none, and how far that can be relied on.
    pub how: String,
    /// Best first.
    pub results: Vec<Found>,
    /// Further ones, not compared with the disk.
    pub more: usize,
}

impl Group {
    /// One without results, and why.
    pub(super) fn none(relation: Relation, how: &str) -> Group {
        Group { relation, how: how.to_owned(), results: Vec::new(), more: 0 }
    }
}

/// A chunk that belongs to the subject, as it is on disk now.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Path in the worktree.
    pub path: RepoPath,
    /// First and last line, from 1.
    pub lines: (u32, u32),
    /// Kind.
    pub kind: String,
    /// Symbol as written.
    pub symbol: Option<String>,
    /// Enclosing symbols.
    pub container: Option<String>,
    /// Signature on one line.
    pub signature: Option<String>,
    /// Why it is here.
    pub why: Why,
    /// Near-identical chunks that it stands for, besides itself.
    pub copies: u32,
    /// Whether it had moved in its file since it was indexed.
    pub repaired: bool,
}

/// Why a chunk is among the results.
#[derive(Clone, Debug, PartialEq)]
pub enum Why {
    /// Its vector is near; the cosine.
    Vector(f32),
    /// It has the same telling words; the share of the best one's score.
    Words(f32),
    /// It calls the name, first on this line.
    Calls(u32),
    /// It names the name, first on this line.
    Mentions(u32),
    /// Its own name has the name in it.
    Named,
    /// It defines this name, which the subject calls, and of which there are so many definitions.
    Defines(String, u32),
}

/// A chunk that may be shown, with its copies and the line that it is shown for as indexed.
pub(super) type Candidate = (Point, u32, Why);

/// The first of each symbol's chunks; all that are of none.
pub(super) fn one_a_symbol(mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    let mut seen = HashSet::new();
    candidates.retain(|(point, ..)| {
        point.symbol.is_none()
            || seen.insert((point.path.clone(), point.container.clone(), point.symbol.clone()))
    });
    candidates
}

/// What belongs to a place.
#[derive(Clone, Debug, PartialEq)]
pub struct Related {
    /// The place.
    pub subject: Subject,
    /// One of each relation, in the order of [`Relation`].
    pub groups: Vec<Group>,
    /// Left out because the disk has another text.
    pub dropped: u32,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum RelatedError {
    /// No such file.
    #[error("there is no file {0} in the worktree: give its path from the worktree's root")]
    NoFile(RepoPath),
    /// It cannot be read.
    #[error(transparent)]
    Read(ReadError),
    /// No such line.
    #[error("{path} has no line {line}: its last is {last}")]
    OutsideFile {
        /// The file.
        path: RepoPath,
        /// The line.
        line: u32,
        /// Lines of the file.
        last: usize,
    },
    /// Nothing of the file is in the index.
    #[error("{0} is not in the index: `indexer explain` says why, `indexer once` brings what is missing")]
    NotIndexed(RepoPath),
    /// The place is not in the index as it is now.
    #[error("{path}:{line} has changed since it was indexed: run `indexer once` and ask again")]
    Changed {
        /// The file.
        path: RepoPath,
        /// The line.
        line: u32,
    },
    /// Between definitions.
    #[error("{path}:{line} is in no indexed piece of the file: name a line of a definition")]
    Nothing {
        /// The file.
        path: RepoPath,
        /// The line.
        line: u32,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
