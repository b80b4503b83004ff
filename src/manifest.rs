//! The manifest: what a collection says about each file, and the signature by
//! which an unchanged file is recognised without reading it.
//!
//! Plain data. It is stored by the store, compared by `delta` and written by
//! `index`; it advances only together with the points it describes.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::id::{ContentHash, PointId, VectorKey};
use crate::language::Language;
use crate::path::RepoPath;
use crate::skip::SkipReason;

/// Path → record, in byte order of the path.
pub type Manifest = BTreeMap<RepoPath, FileRecord>;

/// Stat signature. Two equal signatures of one path mean: not touched since.
/// Change time and inode are part of it because an atomic save, `cp -p` or a
/// swap of two files keeps size and modification time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stat {
    /// Modification time, nanoseconds since the epoch.
    pub mtime_ns: i64,
    /// Change time, nanoseconds since the epoch.
    pub ctime_ns: i64,
    /// Bytes.
    pub size: u64,
    /// Inode number.
    pub inode: u64,
}

/// What is known of one listed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRecord {
    /// Hash of the bytes that were indexed; `None` where they were never read
    /// (skipped by kind, name or size).
    pub content: Option<ContentHash>,
    /// Signature at the time of reading; `None` where it cannot be trusted (the
    /// file was touched within two seconds of being read): the next run hashes.
    pub stat: Option<Stat>,
    /// Whether git tracks the path.
    pub tracked: bool,
    /// What came of it.
    pub state: FileState,
}

impl FileRecord {
    /// Its chunks in file order; none where the file is not indexed.
    pub fn chunks(&self) -> &[ChunkRef] {
        match &self.state {
            FileState::Indexed { chunks, .. } => chunks,
            FileState::Skipped(_) => &[],
        }
    }
}

/// What came of a listed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileState {
    /// Indexed, with its chunks in file order; none where it is empty.
    Indexed {
        /// Language by path.
        language: Language,
        /// Chunks in order.
        chunks: Vec<ChunkRef>,
    },
    /// Not indexed.
    Skipped(SkipReason),
}

/// What the manifest keeps of a chunk: enough to know what to delete, what to
/// keep, and which vectors it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkRef {
    /// Point id.
    pub id: PointId,
    /// Byte range in the file.
    pub bytes: Range<u32>,
    /// First and last line, from 1, both included.
    pub lines: (u32, u32),
    /// Digest of what the point says besides its place: equal ids with another digest
    /// must be written anew.
    pub payload: u64,
    /// Vector key of each dense leg, in the order of [`crate::embed::Leg::ALL`]; `None`
    /// where the leg is off or the text is over the model's limit (BM25 alone carries it).
    pub vectors: [Option<VectorKey>; 2],
}
