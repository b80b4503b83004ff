//! What a migration did.

use serde::{Deserialize, Serialize};

use super::{ByLeg, by_leg};
use crate::migrate::{Counts, Transferred};

/// A migration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migration {
    /// Where the collections were: `embedded`, `qdrant:collection` or `qdrant:shared`.
    pub from: String,
    /// Where they are to be.
    pub to: String,
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// The collections, each with what became of it.
    pub collections: Vec<MigratedCollection>,
}

/// What became of one collection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigratedCollection {
    /// Its database.
    pub database: String,
    /// Its name; `None` where the database cannot be read.
    pub collection: Option<String>,
    /// Points.
    pub points: Sent,
    /// Vectors by leg, of those that points refer to.
    pub vectors: ByLeg<Sent>,
    /// Manifest records.
    pub files: Sent,
    /// Bytes of points and vectors that were sent, about.
    pub bytes: u64,
    /// BLAKE3 over what is in it, the same on both sides; `None` where it failed.
    pub digest: Option<String>,
    /// Whether the source's was dropped.
    pub source_dropped: bool,
    /// Milliseconds.
    pub ms: u64,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What to do about it, where the message does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// What became of the things of one sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Sent, being missing or different.
    pub sent: u64,
    /// In the target already.
    pub kept: u64,
    /// Removed from the target.
    pub removed: u64,
}

impl From<Counts> for Sent {
    fn from(counts: Counts) -> Sent {
        let Counts { sent, kept, removed } = counts;
        Sent { sent, kept, removed }
    }
}

impl From<&Transferred> for MigratedCollection {
    fn from(transferred: &Transferred) -> MigratedCollection {
        let Transferred { points, vectors, files, bytes, digest } = transferred;
        MigratedCollection {
            points: (*points).into(),
            vectors: by_leg(|leg| Some(vectors[leg.index()].into())),
            files: (*files).into(),
            bytes: *bytes,
            digest: Some(digest.to_string()),
            ..MigratedCollection::default()
        }
    }
}
