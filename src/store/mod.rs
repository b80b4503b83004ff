//! Where points rest: the [`Store`] contract and its providers.
//!
//! A store knows databases, collections, points, vectors and manifests. It must
//! not know git, files on disk, models or ranking, and it never decides who may
//! see what: only `tenant` hands out a `Database`.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::embed::Leg;
use crate::id::{CollectionName, ContentHash, DatabaseName, Fingerprint, PointId, VectorKey};
use crate::language::Language;
use crate::manifest::{FileRecord, Manifest};
use crate::path::RepoPath;

#[cfg(test)]
mod contract;
pub mod embedded;

pub use embedded::{EmbeddedStore, Inventory, StoredCollection};

/// What a chunk of code is, and where: a pure function of (path, bytes, options).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// Id.
    pub id: PointId,
    /// Path in the worktree.
    pub path: RepoPath,
    /// Language.
    pub language: Language,
    /// Kind of symbol or text: `function`, `method`, `class`, `section`, `text`, …
    pub kind: String,
    /// Name of the symbol, as written.
    pub symbol: Option<String>,
    /// Enclosing symbols, outermost first, joined by `::` or `.` as the language writes it.
    pub container: Option<String>,
    /// Signature on one line.
    pub signature: Option<String>,
    /// The chunk's text, redacted.
    pub text: String,
    /// Terms of the BM25 leg, repeated where they weigh more. A term is not empty
    /// and has no line break.
    pub terms: Vec<String>,
    /// Byte range in the file.
    pub bytes: Range<u32>,
    /// First and last line, from 1.
    pub lines: (u32, u32),
    /// BLAKE3 of the chunk's bytes on disk, before redaction.
    pub hash: ContentHash,
    /// Vector key of each dense leg (see [`crate::manifest::ChunkRef::vectors`]).
    pub vectors: [Option<VectorKey>; 2],
}

/// One atomic change of a collection. Readers see all of it or none.
#[derive(Debug, Default)]
pub struct Batch {
    /// Empty the collection first (points and manifest; vectors may stay: they are content-addressed).
    pub reset: bool,
    /// Points to remove by id. Unknown ids are ignored.
    pub delete: Vec<PointId>,
    /// Points to add, or to replace by id.
    pub upsert: Vec<Point>,
    /// Manifest records to put, or to remove with `None`.
    pub files: BTreeMap<RepoPath, Option<FileRecord>>,
    /// Vectors to add, by leg and key. A key that is present already is left alone.
    /// A vector to which no point refers may be dropped by any later batch, so
    /// vectors come with their points or after them.
    pub vectors: Vec<(Leg, VectorKey, Vec<f32>)>,
    /// New value of the collection's state (opaque JSON of `index`), if it changes.
    pub state: Option<String>,
}

impl Batch {
    /// Whether applying it would change nothing.
    pub fn is_empty(&self) -> bool {
        let Batch { reset, delete, upsert, files, vectors, state } = self;
        !reset
            && delete.is_empty()
            && upsert.is_empty()
            && files.is_empty()
            && vectors.is_empty()
            && state.is_none()
    }
}

/// What a collection is made of; fixed when it is created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// Fingerprint and dimension of each dense leg, in the order of [`Leg::ALL`];
    /// `None` where the leg is off.
    pub legs: [Option<(Fingerprint, usize)>; 2],
    /// The absolute path that the collection is of (its bytes): equal hashes with
    /// another path are a collision, and an error.
    pub source: Vec<u8>,
}

/// Restricts a search. Applied before the limit. Empty lists restrict nothing;
/// within one list any match suffices, and every list must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Path globs (globset syntax; `*` stays within a directory, `**` crosses them;
    /// a pattern without wildcards means the path itself and all below it).
    pub paths: Vec<String>,
    /// Languages.
    pub languages: Vec<Language>,
    /// Kinds.
    pub kinds: Vec<String>,
}

/// What a leg is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Probe {
    /// BM25 over weighted terms; any may match.
    Terms(Vec<(String, f32)>),
    /// Nearest by cosine in one dense leg. Points that share a vector are all hits; a
    /// leg that is off has none.
    Vector(Leg, Vec<f32>),
    /// Points whose symbol's name equals one of these, case-insensitively.
    Symbols(Vec<String>),
}

/// A point found, with the leg's own score: BM25, cosine in −1..=1, or 1 for a symbol.
#[derive(Clone, Debug)]
pub struct Scored {
    /// The leg's score; higher is better.
    pub score: f32,
    /// The point (`terms` is left empty: it is not kept).
    pub point: Point,
}

/// A consistent view of one collection's bookkeeping.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The manifest.
    pub manifest: Arc<Manifest>,
    /// The state of the last batch that set one.
    pub state: Option<String>,
}

/// Size and content of a collection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Live points.
    pub points: u64,
    /// Vectors by leg, in the order of [`Leg::ALL`].
    pub vectors: [u64; 2],
    /// Bytes on disk by part.
    pub bytes: BTreeMap<String, u64>,
}

/// A place for collections of points, grouped into databases.
///
/// Contract, held by the suite in `store::contract` on every provider:
/// - [`Store::apply`] is atomic and durable: when it returns `Ok` the batch
///   survives kill -9 and power loss; when it does not return, the collection is
///   as before or as after;
/// - readers never block and see a whole state; a second writer gets
///   [`StoreError::Locked`];
/// - filters apply before the limit; ties are broken by point id, so that results
///   are a function of the content;
/// - a damaged collection is [`StoreError::Corrupt`], never a panic, and nothing is
///   deleted because it did not open.
pub trait Store: Send + Sync {
    /// Collections of a database, sorted. A database that was never written has none.
    fn collections(&self, db: &DatabaseName) -> Result<Vec<CollectionName>, StoreError>;
    /// Creates the collection, or checks that it exists with this schema's source.
    /// Another fingerprint than the stored one is [`StoreError::SchemaMismatch`].
    fn create(
        &self,
        db: &DatabaseName,
        collection: &CollectionName,
        schema: &Schema,
    ) -> Result<(), StoreError>;
    /// Schema as created; [`StoreError::NotFound`] where there is none.
    fn schema(&self, db: &DatabaseName, collection: &CollectionName) -> Result<Schema, StoreError>;
    /// Removes the collection and all of its data.
    fn drop_collection(&self, db: &DatabaseName, collection: &CollectionName) -> Result<(), StoreError>;
    /// Moves a damaged or outdated collection aside, so that it can be created anew;
    /// returns where its data went.
    fn set_aside(&self, db: &DatabaseName, collection: &CollectionName) -> Result<String, StoreError>;
    /// Manifest and state.
    fn snapshot(&self, db: &DatabaseName, collection: &CollectionName) -> Result<Snapshot, StoreError>;
    /// Applies one batch.
    fn apply(&self, db: &DatabaseName, collection: &CollectionName, batch: Batch) -> Result<(), StoreError>;
    /// Keys of the vectors present in a leg.
    fn vector_keys(
        &self,
        db: &DatabaseName,
        collection: &CollectionName,
        leg: Leg,
    ) -> Result<Arc<HashSet<VectorKey>>, StoreError>;
    /// Best `limit` points for each probe, best first, all on one state of the collection.
    fn search(
        &self,
        db: &DatabaseName,
        collection: &CollectionName,
        probes: &[Probe],
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<Vec<Scored>>, StoreError>;
    /// All points, in order of id (without `terms`); for verification and transfer.
    fn scan(
        &self,
        db: &DatabaseName,
        collection: &CollectionName,
        visit: &mut dyn FnMut(Point),
    ) -> Result<(), StoreError>;
    /// Reads all data and compares checksums; the text of each damage found. What is
    /// damaged so that it cannot be opened is the one damage found.
    fn check(&self, db: &DatabaseName, collection: &CollectionName) -> Result<Vec<String>, StoreError>;
    /// Counts and sizes.
    fn stats(&self, db: &DatabaseName, collection: &CollectionName) -> Result<Stats, StoreError>;
}

/// Why the store did not do as asked. Every message names its subject and a way out.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No such collection.
    #[error(
        "nothing is indexed here yet: run `indexer once` in the worktree first (no collection {collection} in database {database})"
    )]
    NotFound {
        /// Database.
        database: DatabaseName,
        /// Collection.
        collection: CollectionName,
    },
    /// Another writer is at work.
    #[error("{} is being written by {}: wait for it to end, or stop it", path.display(), holder(*pid))]
    Locked {
        /// The lock.
        path: PathBuf,
        /// Process id of the holder, where it could be read.
        pid: Option<u32>,
    },
    /// Stored data is not what was written.
    #[error("{} is damaged ({detail}): `indexer once --full` sets it aside and builds it anew", path.display())]
    Corrupt {
        /// The damaged file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The collection was created with other dense legs.
    #[error(
        "collection {collection} was built with {stored}, not with {wanted}: \
         `indexer once --full` rebuilds it, or configure the former model"
    )]
    SchemaMismatch {
        /// Collection.
        collection: CollectionName,
        /// Legs as stored.
        stored: String,
        /// Legs as asked.
        wanted: String,
    },
    /// The collection is of another path, whose hash is the same.
    #[error(
        "collection {collection} belongs to {stored}, whose path hash is the same as that of {wanted}: \
         give one of them another --data-dir, or move it to another path"
    )]
    Collision {
        /// Collection.
        collection: CollectionName,
        /// The path it belongs to.
        stored: String,
        /// The path asked for.
        wanted: String,
    },
    /// Written by a newer version of the program.
    #[error(
        "{} has format {found}, and this version reads up to {supported}: upgrade indexer, \
         or rebuild with `indexer once --full`",
        path.display()
    )]
    NewerFormat {
        /// The file that says so.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest one known here.
        supported: u32,
    },
    /// The data directory cannot be written.
    #[error("{} cannot be written ({reason}): make it writable, or choose another --data-dir", path.display())]
    ReadOnly {
        /// What was to be written.
        path: PathBuf,
        /// The operating system's words.
        reason: String,
    },
    /// No space left. The collection is as before.
    #[error("no space left for {}: free some, or choose another --data-dir; the index is as before", path.display())]
    Full {
        /// What was to be written.
        path: PathBuf,
    },
    /// Any other failure of the operating system.
    #[error("{}: {source}: check it and its disk, or choose another --data-dir", path.display())]
    Io {
        /// File or directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The caller asked for what cannot be.
    #[error("invalid request to the store: {0}")]
    Invalid(String),
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

impl StoreError {
    /// What a failed write of `path` means.
    pub(crate) fn write(path: &Path, source: io::Error) -> StoreError {
        use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let path = path.to_owned();
        match source.kind() {
            StorageFull | QuotaExceeded => StoreError::Full { path },
            ReadOnlyFilesystem | PermissionDenied => {
                StoreError::ReadOnly { path, reason: source.to_string() }
            }
            _ => StoreError::Io { path, source },
        }
    }

    /// What a failed read of `path` means.
    pub(crate) fn read(path: &Path, source: io::Error) -> StoreError {
        StoreError::Io { path: path.to_owned(), source }
    }

    /// Damage in `path`.
    pub(crate) fn corrupt(path: &Path, detail: impl Into<String>) -> StoreError {
        StoreError::Corrupt { path: path.to_owned(), detail: detail.into() }
    }
}
