//! Reading one state of a collection.
//!
//! A reader reads the head and asks for what is there in the generation that it names. What a
//! batch replaces stays until the next batch but one begins, so that a reader who is on the
//! way still finds it; one that took longer starts again. Readers wait for nobody.

use std::collections::{BTreeMap, HashSet};
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use qdrant_client::qdrant::facet_value::Variant;
use qdrant_client::qdrant::vectors_output::VectorsOptions as OutputOptions;
use qdrant_client::qdrant::{Condition, PointId as RemoteId, RetrievedPoint, vector_output};

use super::Core;
use super::cache::Keys;
use super::failure::Failure;
use super::fields::Fields;
use super::head::Head;
use super::keyword::unescape;
use super::names::vector_name;
use super::place::Opened;
use super::points::{FILE_FIELDS, decode_chunk, decode_chunk_with_terms, decode_file, key_text};
use super::remote::With;
use super::scope::{Scoped, field, role};
use crate::embed::Leg;
use crate::id::{CollectionName, DatabaseName, PointId, VectorKey};
use crate::manifest::Manifest;
use crate::store::{Point, Snapshot, Stats, StoreError};

/// A reader starts again when two batches were committed while it read.
const ATTEMPTS: usize = 10;
/// Points of a page that brings keys only.
const KEYS_PAGE: usize = 5000;
/// Points of a page that brings texts.
const TEXTS_PAGE: usize = 500;
/// Paths of a collection at most, for globs to be matched against.
const PATHS: u64 = 10_000_000;

/// Ids of chunks, each with the server's own.
pub(super) type Page = Vec<(PointId, RemoteId)>;

pub(super) type Reading<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

impl Core {
    pub(super) fn error(&self, failure: Failure) -> StoreError {
        self.places.remote.error(failure)
    }

    /// What `read` reads of one state.
    pub(super) async fn on_one_state<'a, T>(
        &'a self,
        db: &DatabaseName,
        collection: &CollectionName,
        read: impl Fn(Opened) -> Reading<'a, T>,
    ) -> Result<T, StoreError> {
        for _ in 0..ATTEMPTS {
            let opened = self.places.open(db, collection).await?;
            let Head { generation, schema, .. } = &opened.head;
            let result = read(opened.clone()).await;
            let now = match (self.places.reread(&opened).await, &result) {
                (Ok(now), _) => now.head,
                (Err(_), Err(_)) => return result,
                (Err(error), Ok(_)) => return Err(error),
            };
            // The vectors of a leg that was replaced go at once, and may be missed.
            let same_legs = now.schema == *schema;
            if same_legs && (result.is_err() || now.generation == *generation || now.previous == *generation)
            {
                return result;
            }
        }
        Err(self.too_fast(collection))
    }

    fn too_fast(&self, collection: &CollectionName) -> StoreError {
        StoreError::Remote {
            url: self.places.remote.url().to_owned(),
            reason: format!("collection {collection} changes faster than it can be read"),
        }
    }

    /// Visits all points of a role that are there.
    async fn each(
        &self,
        opened: &Opened,
        scope: &Scoped,
        with: With<'_>,
        page: usize,
        mut visit: impl FnMut(RetrievedPoint) -> Result<(), StoreError> + Send,
    ) -> Result<(), StoreError> {
        let mut offset = None;
        loop {
            let found = self.places.remote.scroll(&opened.physical, scope, with, page, offset).await;
            let (points, next) = found.map_err(|e| self.error(e))?;
            points.into_iter().try_for_each(&mut visit)?;
            if next.is_none() {
                return Ok(());
            }
            offset = next;
        }
    }

    pub(super) async fn snapshot(&self, opened: Opened) -> Result<Snapshot, StoreError> {
        let manifest = self.manifest(&opened).await?;
        let Head { schema, state, .. } = opened.head;
        Ok(Snapshot { legs: schema.legs, manifest, state })
    }

    async fn manifest(&self, opened: &Opened) -> Result<Arc<Manifest>, StoreError> {
        if let Some(manifest) = self.cache.known(&opened.head).manifest {
            return Ok(manifest);
        }
        let mut manifest = Manifest::new();
        let scope = opened.visible(role::FILE);
        self.each(opened, &scope, With::Fields(FILE_FIELDS), TEXTS_PAGE, |point| {
            let (path, record) = decode_file(&point.payload).map_err(|e| corrupt(opened, &e))?;
            let text = format!("{path} has two manifest records");
            manifest.insert(path, record).map_or(Ok(()), |_| Err(corrupt(opened, &text)))
        })
        .await?;
        let manifest = Arc::new(manifest);
        self.cache.learn(&opened.head, |known| known.manifest = Some(Arc::clone(&manifest)));
        Ok(manifest)
    }

    /// The vector keys of a leg on the chunks that are there.
    pub(super) async fn keys(&self, opened: &Opened, leg: Leg) -> Result<Arc<Keys>, StoreError> {
        if let Some(keys) = &self.cache.known(&opened.head).keys[leg.index()] {
            return Ok(Arc::clone(keys));
        }
        let name = field::KEYS[leg.index()];
        let mut keys = Keys::default();
        if let Some(vector) = vector_name(leg, &opened.head.schema.legs) {
            let keyed = || opened.visible(role::CHUNK).and_not(Condition::is_empty(name));
            let has_vector = || Condition::has_vector(&vector);
            for (scope, has_vector) in
                [(keyed().and(has_vector()), true), (keyed().and_not(has_vector()), false)]
            {
                self.each(opened, &scope, With::Fields(&[name]), KEYS_PAGE, |point| {
                    keys.add(key_of(opened, &point, name)?, has_vector);
                    Ok(())
                })
                .await?;
            }
        }
        let keys = Arc::new(keys);
        self.cache.learn(&opened.head, |known| known.keys[leg.index()] = Some(Arc::clone(&keys)));
        Ok(keys)
    }

    /// The paths of the chunks, for globs.
    pub(super) async fn paths(&self, opened: &Opened) -> Result<Arc<Vec<Vec<u8>>>, StoreError> {
        if let Some(paths) = self.cache.known(&opened.head).paths {
            return Ok(paths);
        }
        let scope = opened.visible(role::CHUNK);
        let found = self.places.remote.facet(&opened.physical, &scope, field::PATH, PATHS).await;
        let paths =
            found.map_err(|e| self.error(e))?.into_iter().filter_map(|hit| match hit.value?.variant? {
                Variant::StringValue(path) => unescape(&path),
                _ => None,
            });
        let paths = Arc::new(paths.collect::<Vec<_>>());
        self.cache.learn(&opened.head, |known| known.paths = Some(Arc::clone(&paths)));
        Ok(paths)
    }

    /// How many chunks there are.
    pub(super) async fn points(&self, opened: &Opened) -> Result<u64, StoreError> {
        if let Some(points) = self.cache.known(&opened.head).points {
            return Ok(points);
        }
        let points = self.places.remote.count(&opened.physical, &opened.visible(role::CHUNK)).await;
        let points = points.map_err(|e| self.error(e))?;
        self.cache.learn(&opened.head, |known| known.points = Some(points));
        Ok(points)
    }

    pub(super) async fn stats(&self, opened: Opened) -> Result<Stats, StoreError> {
        let mut stats = Stats { points: self.points(&opened).await?, ..Stats::default() };
        for leg in Leg::ALL {
            stats.vectors[leg.index()] = self.keys(&opened, leg).await?.present().len() as u64;
        }
        Ok(stats)
    }

    /// The ids of all chunks of one state, in pages and in order, each with the server's own:
    /// by these the chunks are read, as they are in that state whatever becomes of it.
    pub(super) async fn chunk_pages(&self, opened: Opened) -> Result<(Opened, Vec<Page>), StoreError> {
        let mut ids = Vec::new();
        let scope = opened.visible(role::CHUNK);
        self.each(&opened, &scope, With::Fields(&[field::ID]), KEYS_PAGE, |point| {
            let id = Fields(&point.payload).id(field::ID).zip(point.id);
            ids.push(id.ok_or_else(|| corrupt(&opened, "a point has no id"))?);
            Ok(())
        })
        .await?;
        ids.sort_unstable_by_key(|(id, _)| *id);
        let pages = ids.chunks(TEXTS_PAGE).map(<[_]>::to_vec).collect();
        Ok((opened, pages))
    }

    /// The chunks of a page, in order.
    pub(super) async fn page(&self, opened: &Opened, page: Page) -> Result<Vec<Point>, StoreError> {
        let (ids, remote): (Vec<PointId>, Vec<_>) = page.into_iter().unzip();
        let found = self.places.remote.get(&opened.physical, remote, With::Payload).await;
        let found = found.map_err(|e| self.error(e))?;
        let decode = |point: RetrievedPoint| {
            decode_chunk_with_terms(&point.payload).map_err(|damage| corrupt(opened, &damage))
        };
        let mut chunks = found.into_iter().map(decode).collect::<Result<Vec<_>, _>>()?;
        chunks.sort_unstable_by_key(|chunk| chunk.id);
        if chunks.iter().map(|chunk| chunk.id).ne(ids) {
            // Removed since, as is what the last batch but one replaced.
            return Err(self.too_fast(&opened.collection));
        }
        Ok(chunks)
    }

    /// The vectors of some keys that are there.
    pub(super) async fn vectors(
        &self,
        opened: Opened,
        leg: Leg,
        keys: &[VectorKey],
    ) -> Result<Vec<(VectorKey, Vec<f32>)>, StoreError> {
        let Some(vector) = vector_name(leg, &opened.head.schema.legs) else { return Ok(Vec::new()) };
        let name = field::KEYS[leg.index()];
        let mut vectors = BTreeMap::new();
        for keys in keys.chunks(TEXTS_PAGE) {
            let scope =
                with_keys(opened.visible(role::CHUNK), name, keys).and(Condition::has_vector(&vector));
            let with = With::Vector(&[name], &vector);
            self.each(&opened, &scope, with, TEXTS_PAGE, |point| {
                let key = key_of(&opened, &point, name)?;
                vectors.extend(dense_of(point, &vector).map(|vector| (key, vector)));
                Ok(())
            })
            .await?;
        }
        Ok(vectors.into_iter().collect())
    }

    /// Every damage found: fields that are not as written, and ids that are there twice. That
    /// the manifest's chunks are there is for who wrote both to check.
    pub(super) async fn check(&self, opened: Opened) -> Result<Vec<String>, StoreError> {
        let mut damages = Vec::new();
        let mut seen: HashSet<PointId> = HashSet::new();
        let mut count = 0u64;
        self.each(&opened, &opened.visible(role::CHUNK), With::Payload, TEXTS_PAGE, |point| {
            count += 1;
            match decode_chunk(&point.payload) {
                Err(damage) => damages.push(damage),
                Ok(chunk) if !seen.insert(chunk.id) => {
                    damages.push(format!("point {} is there twice", chunk.id))
                }
                Ok(_) => {}
            }
            Ok(())
        })
        .await?;
        let counted = self.places.remote.count(&opened.physical, &opened.visible(role::CHUNK)).await;
        let counted = counted.map_err(|e| self.error(e))?;
        if counted != count {
            damages.push(format!("{counted} points are counted and {count} found"));
        }
        let mut paths: BTreeMap<_, u32> = BTreeMap::new();
        self.each(&opened, &opened.visible(role::FILE), With::Fields(FILE_FIELDS), TEXTS_PAGE, |point| {
            match decode_file(&point.payload) {
                Err(damage) => damages.push(damage),
                Ok((path, _)) => *paths.entry(path).or_default() += 1,
            }
            Ok(())
        })
        .await?;
        let twice = paths.into_iter().filter(|(_, count)| *count > 1);
        damages.extend(twice.map(|(path, count)| format!("{path} has {count} manifest records")));
        Ok(damages.into_iter().map(|damage| corrupt(&opened, &damage).to_string()).collect())
    }
}

/// The vector key in one field of a point.
pub(super) fn key_of(opened: &Opened, point: &RetrievedPoint, name: &str) -> Result<VectorKey, StoreError> {
    let id = Fields(&point.payload).id(name);
    id.map(|id| VectorKey(id.0))
        .ok_or_else(|| corrupt(opened, "a point has no vector key where one should be"))
}

/// Confines to the chunks that have one of these keys.
pub(super) fn with_keys(scope: Scoped, name: &str, keys: &[VectorKey]) -> Scoped {
    scope.and(Condition::matches(name, keys.iter().map(key_text).collect::<Vec<_>>()))
}

/// The dense vector of this name that came with a point.
pub(super) fn dense_of(point: RetrievedPoint, name: &str) -> Option<Vec<f32>> {
    let OutputOptions::Vectors(mut named) = point.vectors?.vectors_options? else { return None };
    let output = named.vectors.remove(name)?;
    match output.vector {
        Some(vector_output::Vector::Dense(dense)) => Some(dense.data),
        _ => None,
    }
}

/// The chunk that a point is.
pub(super) fn chunk(opened: &Opened, point: &RetrievedPoint) -> Result<Point, StoreError> {
    decode_chunk(&point.payload).map_err(|damage| corrupt(opened, &damage))
}

pub(super) fn corrupt(opened: &Opened, damage: &str) -> StoreError {
    StoreError::corrupt(Path::new(&opened.subject), damage)
}
