//! What a run did, as counters: the proof that cost follows the change.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::git::Head;
use crate::id::CollectionName;
use crate::skip::SkipReason;

/// Why a run looked into every file, whatever the manifest says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FullReason {
    /// There was no index.
    Missing,
    /// It was asked for.
    Requested,
    /// The index has another format version.
    Version,
    /// Options that decide what a chunk is have changed.
    Options,
    /// The worktree at this path is another one than the indexed one.
    Replaced,
    /// The index was damaged; it was moved aside.
    Corrupt,
}

impl fmt::Display for FullReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FullReason::Missing => "missing",
            FullReason::Requested => "requested",
            FullReason::Version => "version",
            FullReason::Options => "options",
            FullReason::Replaced => "replaced",
            FullReason::Corrupt => "corrupt",
        })
    }
}

/// Outcome of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The collection that was brought up to date.
    pub collection: CollectionName,
    /// Why it was a full run; `None` where it was incremental.
    pub full: Option<FullReason>,
    /// HEAD when the listing was taken.
    pub head: Head,
    /// Files.
    pub files: FileCounts,
    /// Chunks.
    pub chunks: ChunkCounts,
    /// Vectors of each dense leg, in the order of [`crate::embed::Leg::ALL`]; `None` where the leg is off.
    pub vectors: [Option<VectorCounts>; 2],
    /// Bytes.
    pub bytes: ByteCounts,
    /// Atomic commits of the store.
    pub commits: u64,
    /// Directories that could not be read; what was known of their files is kept.
    pub unreadable_directories: u64,
    /// Whether the observer ended the run early. What was done is committed.
    pub interrupted: bool,
    /// Where the time went.
    pub timing: Timing,
}

/// Files of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileCounts {
    /// Files that git shows.
    pub listed: u64,
    /// Recognised by their signature alone.
    pub unchanged: u64,
    /// Read and hashed.
    pub read: u64,
    /// Read, and found to be what was indexed.
    pub touched: u64,
    /// Read, parsed and chunked.
    pub parsed: u64,
    /// No longer shown by git.
    pub removed: u64,
    /// Changed paths (added, changed, removed) that the commits since the last run account
    /// for; none on a full run, which has nothing to compare with.
    pub committed: u64,
    /// Changed paths that differ from what was last indexed without a commit saying so;
    /// none on a full run.
    pub uncommitted: u64,
    /// Files without chunks, by reason, of all that are listed.
    pub skipped: BTreeMap<SkipReason, u64>,
    /// Syntax errors in the files parsed.
    pub syntax_errors: u64,
    /// Secrets redacted in the files parsed.
    pub redactions: u64,
}

/// Chunks of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChunkCounts {
    /// New points.
    pub added: u64,
    /// Points removed.
    pub removed: u64,
    /// Points of changed files that stayed as they were.
    pub kept: u64,
    /// Points of changed files with the same text at another place in the file.
    pub moved: u64,
    /// Points in the collection afterwards.
    pub total: u64,
}

/// Vectors of one leg.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VectorCounts {
    /// Distinct texts that the collection's chunks need vectors of.
    pub needed: u64,
    /// Of these, in the collection when the run began.
    pub present: u64,
    /// Taken from the embedding cache.
    pub cache_hits: u64,
    /// Computed by the model.
    pub embedded: u64,
    /// Still missing when the run ended.
    pub pending: u64,
    /// Chunks without a vector in this leg, because their text is over the model's limit.
    pub over_limit: u64,
    /// Fingerprint of the leg as it still answers, where another model is taking it over: all
    /// counts are then of the other one, whose vectors are shown when they are all there.
    pub replaces: Option<String>,
}

/// Bytes of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByteCounts {
    /// Read from the worktree's files.
    pub read: u64,
    /// Text given to a model.
    pub embedded: u64,
}

/// Wall time by stage. Two equal runs differ here only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// Opening the index and listing the files.
    pub list: Duration,
    /// Reading, hashing, parsing, chunking.
    pub parse: Duration,
    /// Committing points; the lexical index is ready after it.
    pub store: Duration,
    /// Cache, model, and committing vectors.
    pub embed: Duration,
    /// All of it.
    pub total: Duration,
}
