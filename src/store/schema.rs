//! What databases and collections are made of. Plain data.

use super::StoreError;
use crate::embed::Leg;
use crate::id::{CollectionName, Fingerprint};

/// Whose data a database holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DatabaseKind {
    /// One project's, on one machine.
    Project,
    /// All projects' of one machine.
    Shared,
    /// An organisation's, on a server.
    Organisation,
}

impl DatabaseKind {
    /// All of them.
    pub const ALL: [DatabaseKind; 3] =
        [DatabaseKind::Project, DatabaseKind::Shared, DatabaseKind::Organisation];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            DatabaseKind::Project => "project",
            DatabaseKind::Shared => "shared",
            DatabaseKind::Organisation => "organisation",
        }
    }

    /// Reads what [`DatabaseKind::name`] gives.
    pub fn from_name(name: &str) -> Option<DatabaseKind> {
        DatabaseKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What a database is; fixed when it is created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseInfo {
    /// Whose data it holds.
    pub kind: DatabaseKind,
    /// The project's absolute path (its bytes), which tells it from another of the same hash;
    /// empty for the other kinds.
    pub source: Vec<u8>,
    /// When it was created, in seconds since the epoch.
    pub created_at: u64,
}

impl DatabaseInfo {
    /// Whose it is, for people.
    pub fn subject(&self) -> String {
        match self.kind {
            DatabaseKind::Project => String::from_utf8_lossy(&self.source).into_owned(),
            kind => format!("the {} database", kind.name()),
        }
    }
}

/// What the points of a collection are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CollectionKind {
    /// Chunks of a worktree's files.
    #[default]
    Codebase,
    /// Agents' checkpoints.
    Checkpoints,
    /// Remediations of errors.
    Remediations,
}

impl CollectionKind {
    /// All of them.
    pub const ALL: [CollectionKind; 3] =
        [CollectionKind::Codebase, CollectionKind::Checkpoints, CollectionKind::Remediations];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            CollectionKind::Codebase => "codebase",
            CollectionKind::Checkpoints => "checkpoints",
            CollectionKind::Remediations => "remediations",
        }
    }

    /// Reads what [`CollectionKind::name`] gives.
    pub fn from_name(name: &str) -> Option<CollectionKind> {
        CollectionKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Fingerprint and dimension of each dense leg, in the order of [`Leg::ALL`]; `None` where
/// the leg is off.
pub type Legs = [Option<(Fingerprint, usize)>; Leg::ALL.len()];

/// What a collection is made of; fixed when it is created, but for the legs, which
/// [`super::Batch::legs`] changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// What its points are.
    pub kind: CollectionKind,
    /// The dense legs.
    pub legs: Legs,
    /// The absolute path that the collection is of (its bytes): equal hashes with
    /// another path are a collision, and an error. Empty where it is of no path.
    pub source: Vec<u8>,
}

impl Schema {
    /// Whether what was asked for is what is stored: `self`, of this collection. Its legs may
    /// be others.
    pub(super) fn check(&self, collection: &CollectionName, wanted: &Schema) -> Result<(), StoreError> {
        let collection = collection.clone();
        if self.source != wanted.source {
            let text = |source: &[u8]| String::from_utf8_lossy(source).into_owned();
            let (stored, wanted) = (text(&self.source), text(&wanted.source));
            return Err(StoreError::Collision { collection, stored, wanted });
        }
        if self.kind != wanted.kind {
            let (stored, wanted) = (self.kind.name(), wanted.kind.name());
            return Err(StoreError::SchemaMismatch { collection, stored, wanted });
        }
        Ok(())
    }
}

/// Whether a leg may be asked for what is near a vector of `model`: not where it is off, and
/// an error where its vectors are of another model.
pub(super) fn check_model(leg: Leg, legs: &Legs, model: &Fingerprint) -> Result<bool, StoreError> {
    match &legs[leg.index()] {
        None => Ok(false),
        Some((stored, _)) if stored == model => Ok(true),
        Some((stored, _)) => {
            Err(StoreError::OtherModel { leg, stored: stored.clone(), asked: model.clone() })
        }
    }
}

/// A payload field of the points of a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Name.
    pub name: &'static str,
    /// What its values are.
    pub kind: FieldType,
    /// Whether a search can be restricted to some of its values, or finds by them.
    pub indexed: bool,
}

/// What the values of a field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// A whole value.
    Keyword,
    /// Keywords by name.
    Keywords,
    /// Words, ranked by BM25 where they are indexed.
    Text,
    /// A whole number.
    Integer,
    /// Two whole numbers.
    Range,
}

impl FieldType {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            FieldType::Keyword => "keyword",
            FieldType::Keywords => "keywords",
            FieldType::Text => "text",
            FieldType::Integer => "integer",
            FieldType::Range => "range",
        }
    }
}

const fn field(name: &'static str, kind: FieldType, indexed: bool) -> Field {
    Field { name, kind, indexed }
}

/// Of [`super::Point`], in its order.
const CODE: &[Field] = &[
    field("path", FieldType::Keyword, true),
    field("language", FieldType::Keyword, true),
    field("kind", FieldType::Keyword, true),
    field("symbol", FieldType::Keyword, true),
    field("container", FieldType::Text, false),
    field("signature", FieldType::Text, false),
    field("text", FieldType::Text, true),
    field("bytes", FieldType::Range, false),
    field("lines", FieldType::Range, false),
    field("hash", FieldType::Keyword, false),
];

const MEMORY: &[Field] = &[
    field("path", FieldType::Keyword, true),
    field("kind", FieldType::Keyword, true),
    field("text", FieldType::Text, true),
    field("attributes", FieldType::Keywords, true),
    field("time", FieldType::Integer, true),
];

impl CollectionKind {
    /// The payload fields that its points have.
    pub fn fields(self) -> &'static [Field] {
        match self {
            CollectionKind::Codebase => CODE,
            CollectionKind::Checkpoints | CollectionKind::Remediations => MEMORY,
        }
    }
}
