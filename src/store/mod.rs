//! Where points rest: the [`Store`] contract and its providers.
//!
//! A store knows databases, collections, points, vectors and manifests. It must
//! not know git, files on disk, models or ranking, and it never decides who may
//! see what: only `tenant` hands out a `Database`.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use crate::embed::Leg;
use crate::id::{CollectionName, ContentHash, DatabaseName, Fingerprint, PointId, VectorKey};
use crate::language::Language;
use crate::manifest::{FileRecord, Manifest};
use crate::path::RepoPath;

mod codec;
#[cfg(test)]
pub(crate) mod contract;
pub mod embedded;
mod error;
mod globs;
mod kept_terms;
pub mod qdrant;
#[cfg(test)]
#[path = "../../tests/qdrant_server/mod.rs"]
pub(crate) mod qdrant_server;
mod record;
mod schema;

pub use embedded::{EmbeddedStore, Inventory, StoredCollection};
pub use error::StoreError;
pub use globs::Paths;
pub use qdrant::QdrantStore;
pub use schema::{CollectionKind, DatabaseInfo, DatabaseKind, Field, FieldType, Legs, Schema};

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
    /// Further keywords by name, for what is not a piece of a file; a name and a value are
    /// not empty and have no NUL.
    pub attributes: BTreeMap<String, String>,
    /// When it came to be, in seconds since the epoch, for what is not a piece of a file.
    pub time: Option<u64>,
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
    /// The dense legs from this batch on, if they change. Of a leg whose fingerprint or
    /// dimension is another one, the vectors there are go, and those of this batch are of
    /// the new one; a leg that stays keeps its own.
    pub legs: Option<Legs>,
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
        let Batch { reset, delete, upsert, files, legs, vectors, state } = self;
        !reset
            && delete.is_empty()
            && upsert.is_empty()
            && files.is_empty()
            && legs.is_none()
            && vectors.is_empty()
            && state.is_none()
    }
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
    /// Attributes by name, with the values that each may have.
    pub attributes: BTreeMap<String, Vec<String>>,
    /// Seconds since the epoch; what has no time is outside of every range.
    pub time: Option<Range<u64>>,
}

/// What a leg is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Probe {
    /// BM25 over weighted terms; any may match.
    Terms(Vec<(String, f32)>),
    /// Nearest by cosine in one dense leg to a vector of the model of this fingerprint, which
    /// must be the leg's ([`StoreError::OtherModel`] else). Points that share a vector are all
    /// hits; a leg that is off has none.
    Vector(Leg, Fingerprint, Vec<f32>),
    /// Points whose symbol's name equals one of these, case-insensitively.
    Symbols(Vec<String>),
}

/// A point found, with the leg's own score: BM25, cosine in −1..=1, or 1 for a symbol.
#[derive(Clone, Debug)]
pub struct Scored {
    /// The leg's score; higher is better.
    pub score: f32,
    /// The point, without its `terms`: decoding them costs, and nobody who searches asks.
    pub point: Point,
}

/// A consistent view of one collection's bookkeeping.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The dense legs.
    pub legs: Legs,
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
    /// Databases that were created, sorted.
    fn databases(&self) -> Result<Vec<DatabaseName>, StoreError>;
    /// Creates the database, or checks that it exists with this kind and source
    /// ([`StoreError::DatabaseCollision`] else). The time of creation is the first one's.
    fn create_database(&self, db: &DatabaseName, info: &DatabaseInfo) -> Result<(), StoreError>;
    /// What it was created as; [`StoreError::NoDatabase`] where there is none.
    fn database(&self, db: &DatabaseName) -> Result<DatabaseInfo, StoreError>;
    /// Removes the database with all of its collections, set aside or not.
    fn drop_database(&self, db: &DatabaseName) -> Result<(), StoreError>;
    /// Collections of a database, sorted. A database that was never written has none.
    fn collections(&self, db: &DatabaseName) -> Result<Vec<CollectionName>, StoreError>;
    /// Creates the collection, or checks that it exists with this schema's source
    /// ([`StoreError::Collision`] else) and kind ([`StoreError::SchemaMismatch`] else). One that
    /// exists keeps its legs, whatever they are.
    fn create(
        &self,
        db: &DatabaseName,
        collection: &CollectionName,
        schema: &Schema,
    ) -> Result<(), StoreError>;
    /// Schema as created, with the legs of now; [`StoreError::NotFound`] where there is none.
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
    /// For each term that no point has, the one nearest to it in spelling, if one is near.
    /// `None` for a term that is there, and where a provider has no list of its terms.
    fn spellings(
        &self,
        _db: &DatabaseName,
        _collection: &CollectionName,
        terms: &[String],
    ) -> Result<Vec<Option<String>>, StoreError> {
        Ok(vec![None; terms.len()])
    }
    /// The vectors of these keys that are there in a leg, in any order, each once. A provider
    /// may give one scaled to length 1, which is the same to a cosine.
    fn vectors(
        &self,
        db: &DatabaseName,
        collection: &CollectionName,
        leg: Leg,
        keys: &[VectorKey],
    ) -> Result<Vec<(VectorKey, Vec<f32>)>, StoreError>;
    /// All points as they were put, `terms` included, in order of id; for verification and
    /// transfer. What was visited before an error is of one state.
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
