//! Databases and collections.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Place;

/// One database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// Name.
    pub name: String,
    /// `project`, `shared` or `organisation`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The project's path; `None` of the other types.
    pub project: Option<Place>,
    /// Seconds since the epoch.
    pub created_at: u64,
    /// Its collections, by name.
    pub collections: Vec<Collection>,
}

/// One collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collection {
    /// Name.
    pub name: String,
    /// `codebase`, `checkpoints` or `remediations`; absent where it cannot be read.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The worktree that it is of; `None` where it is of none.
    pub worktree: Option<Place>,
    /// Points.
    pub points: u64,
    /// Bytes by part.
    pub bytes: BTreeMap<String, u64>,
    /// Named vectors.
    pub vectors: Vec<NamedVector>,
    /// Payload fields.
    pub fields: Vec<PayloadField>,
    /// Why it cannot be read, with the way out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A named vector of a collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedVector {
    /// Name of the leg, or `bm25`.
    pub name: String,
    /// Components; `None` of the sparse one.
    pub dimension: Option<usize>,
    /// How nearness is measured: `cosine`, or `bm25`.
    pub distance: String,
    /// The fingerprint of the model; `None` of the sparse one.
    pub model: Option<String>,
    /// Vectors that are there.
    pub present: u64,
}

/// A payload field of a collection's points.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayloadField {
    /// Name.
    pub name: String,
    /// `keyword`, `keywords`, `text`, `integer` or `range`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether a search can use it.
    pub indexed: bool,
}

/// The databases of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Databases {
    /// By name.
    pub databases: Vec<Database>,
    /// Those that cannot be read, each with the way out.
    pub problems: Vec<String>,
}

/// Claims of a token for a Qdrant server (its documentation, "Granular access control with JWT").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// What its bearer may do, by collection.
    pub access: Vec<Grant>,
    /// When it expires, in seconds since the epoch.
    pub exp: u64,
}

/// Access to one collection of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Its name there.
    pub collection: String,
    /// `r` or `rw`.
    pub access: String,
}
