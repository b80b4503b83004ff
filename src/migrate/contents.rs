//! What a collection holds, as digests: small enough to be held for every point at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::embed::Leg;
use crate::id::{CollectionName, ContentHash, PointId, VectorKey};
use crate::manifest::{ChunkRef, FileRecord, FileState, Manifest, Stat};
use crate::store::{Legs, Point, Schema, Snapshot, StoreError};
use crate::tenant::Database;

/// A point, but for what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outline {
    /// Over all of it.
    pub(super) digest: [u8; 16],
    /// The vectors that it refers to, where they are there.
    pub(super) vectors: [Option<VectorKey>; Leg::ALL.len()],
}

/// One state of a collection.
#[derive(Debug, PartialEq)]
pub(super) struct Contents {
    pub(super) schema: Schema,
    pub(super) points: BTreeMap<PointId, Outline>,
    pub(super) manifest: Arc<Manifest>,
    pub(super) state: Option<String>,
}

impl Contents {
    /// Of a collection that was made just now.
    pub(super) fn empty(schema: &Schema) -> Contents {
        Contents { schema: schema.clone(), points: BTreeMap::new(), manifest: Arc::default(), state: None }
    }

    /// Reads all of the collection.
    pub(super) fn of(database: &Database, collection: &CollectionName) -> Result<Contents, StoreError> {
        let schema = database.schema(collection)?;
        let Snapshot { manifest, state, .. } = database.snapshot(collection)?;
        let mut points = BTreeMap::new();
        let mut twice = None;
        database.scan(collection, &mut |point| {
            let outline = Outline { digest: digest(&point), vectors: point.vectors };
            if points.insert(point.id, outline).is_some() {
                twice = Some(point.id);
            }
        })?;
        if let Some(id) = twice {
            return Err(StoreError::Invalid(format!(
                "point {id} is twice in collection {collection}: `indexer verify --repair` helps"
            )));
        }
        for leg in Leg::ALL {
            let present = database.vector_keys(collection, leg)?;
            for outline in points.values_mut() {
                let key = &mut outline.vectors[leg.index()];
                *key = key.filter(|key| present.contains(key));
            }
        }
        Ok(Contents { schema, points, manifest, state })
    }

    /// Leaves out the vectors of legs that are others in `legs`.
    pub(super) fn with_legs(mut self, legs: &Legs) -> Contents {
        for leg in Leg::ALL.into_iter().filter(|leg| self.schema.legs[leg.index()] != legs[leg.index()]) {
            self.points.values_mut().for_each(|outline| outline.vectors[leg.index()] = None);
        }
        self.schema.legs.clone_from(legs);
        self
    }

    /// Keys of a leg's vectors that are there and referred to.
    pub(super) fn vectors(&self, leg: Leg) -> BTreeSet<VectorKey> {
        self.points.values().filter_map(|outline| outline.vectors[leg.index()]).collect()
    }

    /// Over all of it.
    pub(super) fn digest(&self) -> ContentHash {
        let mut hasher = Hasher::default();
        hasher.number(self.points.len() as u64);
        for (id, outline) in &self.points {
            hasher.put(&id.0);
            hasher.put(&outline.digest);
        }
        hasher.number(self.manifest.len() as u64);
        for (path, record) in &*self.manifest {
            hasher.put(path.as_bytes());
            hasher.record(record);
        }
        for leg in Leg::ALL {
            let keys = self.vectors(leg);
            hasher.number(keys.len() as u64);
            keys.iter().for_each(|key| hasher.put(&key.0));
        }
        hasher.option(self.state.as_ref().map(String::as_bytes));
        hasher.finish()
    }
}

/// Over all that a point says; vectors by their keys.
fn digest(point: &Point) -> [u8; 16] {
    // Named one by one, so that a new field is not forgotten.
    let Point {
        id,
        path,
        language,
        kind,
        symbol,
        container,
        signature,
        text,
        terms,
        bytes,
        lines,
        hash,
        vectors,
        attributes,
        time,
    } = point;
    let mut hasher = Hasher::default();
    hasher.put(&id.0);
    for part in [path.as_bytes(), language.name().as_bytes(), kind.as_bytes(), text.as_bytes(), &hash.0] {
        hasher.put(part);
    }
    for part in [symbol, container, signature] {
        hasher.option(part.as_ref().map(String::as_bytes));
    }
    hasher.number(terms.len() as u64);
    terms.iter().for_each(|term| hasher.put(term.as_bytes()));
    hasher.place(bytes, *lines);
    vectors.iter().for_each(|key| hasher.option(key.as_ref().map(|key| key.0.as_slice())));
    hasher.number(attributes.len() as u64);
    for part in attributes.iter().flat_map(|(name, value)| [name, value]) {
        hasher.put(part.as_bytes());
    }
    hasher.option(time.map(u64::to_le_bytes).as_ref().map(<[u8; 8]>::as_slice));
    let mut first = [0; 16];
    first.copy_from_slice(&hasher.finish().0[..16]);
    first
}

/// Hashes parts, each with its length.
#[derive(Default)]
struct Hasher(blake3::Hasher);

impl Hasher {
    fn put(&mut self, part: &[u8]) {
        self.number(part.len() as u64);
        self.0.update(part);
    }

    fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    fn option(&mut self, part: Option<&[u8]>) {
        self.number(part.is_some().into());
        self.put(part.unwrap_or_default());
    }

    fn place(&mut self, bytes: &std::ops::Range<u32>, lines: (u32, u32)) {
        for value in [bytes.start, bytes.end, lines.0, lines.1] {
            self.number(value.into());
        }
    }

    fn record(&mut self, record: &FileRecord) {
        let FileRecord { content, stat, tracked, state } = record;
        self.option(content.as_ref().map(|hash| hash.0.as_slice()));
        self.number(stat.is_some().into());
        if let Some(Stat { mtime_ns, ctime_ns, size, inode }) = stat {
            for time in [mtime_ns, ctime_ns] {
                self.put(&time.to_le_bytes());
            }
            self.number(*size);
            self.number(*inode);
        }
        self.number((*tracked).into());
        match state {
            FileState::Skipped(reason) => self.put(reason.name().as_bytes()),
            FileState::Indexed { language, chunks } => {
                self.put(language.name().as_bytes());
                self.number(chunks.len() as u64);
                for ChunkRef { id, bytes, lines, payload, vectors } in chunks {
                    self.put(&id.0);
                    self.place(bytes, *lines);
                    self.number(*payload);
                    vectors.iter().for_each(|key| self.option(key.as_ref().map(|key| key.0.as_slice())));
                }
            }
        }
    }

    fn finish(self) -> ContentHash {
        ContentHash(*self.0.finalize().as_bytes())
    }
}
