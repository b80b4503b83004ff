//! One collection of memories: written under its lock, with vectors of the model of today,
//! searched by words and by meaning.
//!
//! Must not know what a memory says. Unlike an index, nothing can make a memory again:
//! what does not open is never set aside unasked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::MemoryError;
use super::draft::{Draft, kind_name};
use crate::embed::{CacheError, EmbedError, Embedder, EmbeddingCache, Leg, leg_fingerprint};
use crate::id::{CollectionName, Fingerprint, PointId, VectorKey, encode_hex};
use crate::state_dir::{LockError, WriterLock, create_private_dir};
use crate::store::{Batch, CollectionKind, Filter, Point, Schema, StoreError};
use crate::tenant::Database;

/// Version of what the model is given of a memory.
const WORDING: &str = "memory-1";
/// How long another writer is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// Memories that had no vector and get one with a write at most: so long somebody waits.
const FILLED_AT_ONCE: usize = 64;
/// The fewest hexadecimal digits that stand for an id.
const MIN_PREFIX: usize = 4;
/// Ids that are named where several are meant.
const NAMED: usize = 5;

/// A collection of memories in its tenant's database.
pub(super) struct Collection<'a> {
    pub(super) database: &'a Database,
    pub(super) kind: CollectionKind,
    name: CollectionName,
    lock: PathBuf,
}

/// What computes vectors: the text model, and the machine's cache of what it computed.
pub struct Model<'a> {
    /// The model; loaded when it is first asked for a vector.
    pub embedder: &'a mut dyn Embedder,
    /// The cache, if it can be used.
    pub cache: Option<&'a mut EmbeddingCache>,
}

/// What became of the vectors of a write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Why what was written has no vector yet, though it should.
    pub without_vector: Option<String>,
}

impl<'a> Collection<'a> {
    /// The collection of this kind; `locks` is the directory of the lock files.
    pub(super) fn new(
        database: &'a Database,
        kind: CollectionKind,
        locks: &Path,
    ) -> Result<Collection<'a>, MemoryError> {
        let name = CollectionName::new(kind.name())?;
        Ok(Collection { database, kind, lock: locks.join(format!("{}.{name}.lock", database.name())), name })
    }

    /// Every writer's lock: what is read under it is what is changed. Waits for its turn.
    pub(super) fn lock(&self) -> Result<WriterLock, MemoryError> {
        let dir = self.lock.parent().unwrap_or(&self.lock);
        create_private_dir(dir).map_err(|error| StoreError::write(dir, error))?;
        WriterLock::acquire_within(&self.lock, PATIENCE).map_err(|error| match error {
            LockError::Held { pid, .. } => MemoryError::Busy { what: self.kind.name(), pid },
            LockError::Io { path, source } => StoreError::write(&path, source).into(),
        })
    }

    /// Reads the collection; `None` where there is none yet.
    pub(super) fn read<T>(
        &self,
        mut act: impl FnMut(&CollectionName, &Schema) -> Result<T, StoreError>,
    ) -> Result<Option<T>, MemoryError> {
        loop {
            let Some(schema) = self.stored()? else { return Ok(None) };
            match act(&self.name, &schema) {
                // It went, or became another model's, meanwhile.
                Err(StoreError::NotFound { .. } | StoreError::OtherModel { .. }) => {}
                result => return Ok(Some(result?)),
            }
        }
    }

    fn stored(&self) -> Result<Option<Schema>, MemoryError> {
        match self.database.schema(&self.name) {
            Ok(schema) => Ok(Some(schema)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// All points, in order of id.
    pub(super) fn scan(&self, visit: &mut dyn FnMut(Point)) -> Result<(), MemoryError> {
        self.read(|name, _| self.database.scan(name, visit))?;
        Ok(())
    }

    /// The point whose id begins with `prefix`.
    pub(super) fn find(&self, prefix: &str) -> Result<Point, MemoryError> {
        let digits = prefix.trim().replace('-', "").to_lowercase();
        if digits.len() < MIN_PREFIX || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(MemoryError::NotAnId { text: prefix.to_owned() });
        }
        let mut found: Vec<Point> = Vec::new();
        self.scan(&mut |point| {
            if found.len() < NAMED && encode_hex(&point.id.0).starts_with(&digits) {
                found.push(point);
            }
        })?;
        match found.pop() {
            None => Err(MemoryError::Unknown { what: kind_name(self.kind), id: prefix.to_owned() }),
            Some(point) if found.is_empty() => Ok(point),
            Some(last) => {
                let ids = found.iter().chain([&last]).map(|point| point.id.to_string()).collect();
                Err(MemoryError::Ambiguous { prefix: prefix.to_owned(), ids })
            }
        }
    }

    /// Removes the memories whose ids begin so; all of them or none.
    pub(super) fn delete(&self, prefixes: &[String]) -> Result<Vec<PointId>, MemoryError> {
        let _lock = self.lock()?;
        let find = |prefix: &String| Ok(self.find(prefix)?.id);
        let ids: Vec<PointId> = prefixes.iter().map(find).collect::<Result<_, MemoryError>>()?;
        self.database.apply(&self.name, Batch { delete: ids.clone(), ..Batch::default() })?;
        Ok(ids)
    }

    /// Adds memories, or replaces them by id. The lock is the collection's.
    pub(super) fn put(
        &self,
        _lock: &WriterLock,
        drafts: Vec<Draft>,
        mut model: Option<Model<'_>>,
    ) -> Result<Written, MemoryError> {
        self.open(model.as_ref())?;
        let without_vector = self.apply(drafts, model.as_mut())?;
        if let (Some(model), None) = (&mut model, &without_vector) {
            self.fill(model)?;
        }
        Ok(Written { without_vector })
    }

    /// Makes the collection one of the model of today, whatever it was before.
    fn open(&self, model: Option<&Model<'_>>) -> Result<(), MemoryError> {
        let stored = self.stored()?;
        // Without a model the vectors of the former one wait for it to come back.
        let legs = match (model, &stored) {
            (Some(model), _) => [Some(leg_of(model.embedder)), None],
            (None, Some(stored)) => stored.legs.clone(),
            (None, None) => [None, None],
        };
        let wanted = Schema { kind: self.kind, legs, source: Vec::new() };
        self.database.create(&self.name, &wanted)?;
        if stored.is_some_and(|stored| stored.legs != wanted.legs) {
            tracing::info!(kind = self.kind.name(), "memories get vectors of another model");
            self.database.apply(&self.name, Batch { legs: Some(wanted.legs), ..Batch::default() })?;
        }
        Ok(())
    }

    /// Writes drafts with their vectors in one commit; why vectors are missing, if some are.
    fn apply(
        &self,
        mut drafts: Vec<Draft>,
        model: Option<&mut Model<'_>>,
    ) -> Result<Option<String>, MemoryError> {
        let mut batch = Batch::default();
        let mut failed = None;
        if let Some(model) = model {
            let present = self.database.vector_keys(&self.name, Leg::Text)?;
            for draft in &mut drafts {
                let Some((key, text)) = draft.embeddable(model.embedder) else { continue };
                if present.contains(&key) || failed.is_some() {
                    continue;
                }
                match model.vector(key, text) {
                    Ok(vector) => batch.vectors.push((Leg::Text, key, vector)),
                    Err(error) => failed = Some(error.to_string()),
                }
            }
        }
        batch.upsert = drafts.into_iter().map(|draft| draft.point).collect();
        self.database.apply(&self.name, batch)?;
        Ok(failed)
    }

    /// Gives vectors to some of those that were written without.
    fn fill(&self, model: &mut Model<'_>) -> Result<(), MemoryError> {
        let stats = self.database.stats(&self.name)?;
        if stats.vectors[Leg::Text.index()] >= stats.points {
            return Ok(());
        }
        let present = self.database.vector_keys(&self.name, Leg::Text)?;
        let has = |point: &Point| point.vectors[Leg::Text.index()].is_some_and(|key| present.contains(&key));
        let mut missing = Vec::new();
        self.database.scan(&self.name, &mut |point| {
            if !has(&point) {
                missing.push(point);
            }
        })?;
        let mut drafts = Vec::new();
        for point in &missing {
            let mut draft = Draft::of(self.kind, point)?;
            if drafts.len() < FILLED_AT_ONCE && draft.embeddable(model.embedder).is_some() {
                drafts.push(draft);
            }
        }
        if let Some(why) = self.apply(drafts, Some(model))? {
            tracing::warn!(why, "earlier memories wait for their vectors");
        }
        Ok(())
    }
}

/// Fingerprint and dimension of a text leg.
pub(super) type TextLeg = (Fingerprint, usize);

/// The text leg of memories with this model.
pub(super) fn leg_of(model: &dyn Embedder) -> TextLeg {
    (leg_fingerprint(model.fingerprint(), WORDING), model.dimension())
}

/// Whether a memory is within a filter, as the store would have it.
pub(super) fn is_within(filter: &Filter, point: &Point) -> bool {
    let has = |(name, values): (&String, &Vec<String>)| {
        values.is_empty() || point.attributes.get(name).is_some_and(|value| values.contains(value))
    };
    let in_time = |range: &std::ops::Range<u64>| point.time.is_some_and(|time| range.contains(&time));
    filter.attributes.iter().all(has) && filter.time.as_ref().is_none_or(in_time)
}

impl Model<'_> {
    /// The vector of a text, from the cache where it was ever embedded.
    fn vector(&mut self, key: VectorKey, text: &str) -> Result<Vec<f32>, EmbedError> {
        let model = self.embedder.fingerprint().clone();
        let found = match &mut self.cache {
            Some(cache) => cache.get_many(&model, &[key]),
            None => Ok(Vec::new()),
        };
        if let Some((_, vector)) = self.or_without_cache(found).and_then(|mut found| found.pop()) {
            return Ok(vector);
        }
        let vector = self.embedder.embed(text)?;
        let kept = match &mut self.cache {
            Some(cache) => cache.put_many(&model, &[(key, vector.clone())]).and_then(|()| cache.flush()),
            None => Ok(()),
        };
        self.or_without_cache(kept);
        Ok(vector)
    }

    fn or_without_cache<T>(&mut self, result: Result<T, CacheError>) -> Option<T> {
        result
            .inspect_err(|error| {
                tracing::warn!(%error, "the embedding cache is left out");
                self.cache = None;
            })
            .ok()
    }
}
