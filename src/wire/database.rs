//! Databases and collections.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Place;
use crate::embed::Leg;
use crate::id::CollectionName;
use crate::store::{DatabaseKind, Schema, StoreError};
use crate::tenant;

/// One database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Databases {
    /// By name.
    pub databases: Vec<Database>,
    /// Those that cannot be read, each with the way out.
    pub problems: Vec<String>,
}

/// Claims of a token for a Qdrant server (its documentation, "Granular access control with JWT").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Claims {
    /// What its bearer may do, by collection.
    pub access: Vec<Grant>,
    /// When it expires, in seconds since the epoch.
    pub exp: u64,
}

/// Access to one collection of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Grant {
    /// Its name there.
    pub collection: String,
    /// `r` or `rw`.
    pub access: String,
}

impl Database {
    /// A database with its collections. One that cannot be read says why, beside the others.
    pub fn of(database: &tenant::Database) -> Result<Database, StoreError> {
        let info = database.info()?;
        let collections = database.collections()?;
        Ok(Database {
            name: database.name().to_string(),
            kind: info.kind.name().to_owned(),
            project: (info.kind == DatabaseKind::Project).then(|| place(&info.source)),
            created_at: info.created_at,
            collections: collections.iter().map(|name| collection(database, name)).collect(),
        })
    }
}

fn place(bytes: &[u8]) -> Place {
    Place::from(Path::new(OsStr::from_bytes(bytes)))
}

fn collection(database: &tenant::Database, name: &CollectionName) -> Collection {
    let read = || Ok::<_, StoreError>((database.schema(name)?, database.stats(name)?));
    let mut found = Collection {
        name: name.to_string(),
        kind: None,
        worktree: None,
        points: 0,
        bytes: Default::default(),
        vectors: Vec::new(),
        fields: Vec::new(),
        error: None,
    };
    match read() {
        Ok((schema, stats)) => {
            found.kind = Some(schema.kind.name().to_owned());
            found.worktree = (!schema.source.is_empty()).then(|| place(&schema.source));
            found.vectors = vectors(&schema, &stats.vectors, stats.points);
            found.points = stats.points;
            found.bytes = stats.bytes;
            found.fields = (schema.kind.fields().iter())
                .map(|field| PayloadField {
                    name: field.name.to_owned(),
                    kind: field.kind.name().to_owned(),
                    indexed: field.indexed,
                })
                .collect();
        }
        Err(error) => found.error = Some(error.to_string()),
    }
    found
}

fn vectors(schema: &Schema, present: &[u64], points: u64) -> Vec<NamedVector> {
    let dense = Leg::ALL.into_iter().filter_map(|leg| {
        let (fingerprint, dimension) = schema.legs[leg.index()].as_ref()?;
        Some(NamedVector {
            name: leg.name().to_owned(),
            dimension: Some(*dimension),
            distance: "cosine".to_owned(),
            model: Some(fingerprint.to_string()),
            present: present[leg.index()],
        })
    });
    let sparse = NamedVector {
        name: "bm25".to_owned(),
        dimension: None,
        distance: "bm25".to_owned(),
        model: None,
        present: points,
    };
    dense.chain([sparse]).collect()
}
