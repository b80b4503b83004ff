//! Applying a batch.
//!
//! A batch takes the right to write and with it a number greater than any before, puts its
//! points beside those that are there, each as being there from that number on, marks what it
//! replaces as being there until that number, and then makes it the generation of now by
//! setting the head. Every step but the last changes nothing that a reader sees; a writer that
//! ends before it leaves points behind that bear the number of no generation, and the next
//! writer removes them.
//!
//! One thing is seen earlier: a vector for a chunk that stays is put where the chunk is. It
//! follows from the chunk's own text, so that no reader sees anything that is not so.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use qdrant_client::qdrant::vectors::VectorsOptions;
use qdrant_client::qdrant::{Condition, NamedVectors, PointStruct, PointVectors, Vectors};

use super::Core;
use super::cache::{Keys, Known};
use super::fields::{Fields, number, payload};
use super::head::Head;
use super::lease::Held;
use super::names::{file_id, vector_name};
use super::options::Layout;
use super::physical;
use super::place::{Opened, Places};
use super::points::{Version, dense_vector, size};
use super::reader::{dense_of, key_of, with_keys};
use super::remote::With;
use super::scope::{Scoped, field, garbage, role, spared};
use crate::embed::Leg;
use crate::id::{CollectionName, DatabaseName, PointId, VectorKey};
use crate::store::{Batch, Legs, Point, Schema, StoreError};

/// Numbers of failed attempts that a head keeps after their points were removed, against
/// writes that are still on their way.
const ABORTED: usize = 8;

/// Collections that this process is writing.
#[derive(Default)]
pub(super) struct Writing(Mutex<HashSet<String>>);

/// One of them, until it is dropped.
pub(super) struct Turn<'a>(&'a Writing, String);

impl Writing {
    fn turn(&self, opened: &Opened) -> Result<Turn<'_>, StoreError> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.insert(opened.tenant.clone()) {
            return Ok(Turn(self, opened.tenant.clone()));
        }
        let (path, pid) = (PathBuf::from(&opened.subject), Some(std::process::id()));
        Err(StoreError::Locked { path, host: None, pid })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

/// Vectors by key, of each leg.
type ByKey = [HashMap<VectorKey, Vec<f32>>; Leg::ALL.len()];

impl Core {
    pub(super) async fn apply(
        &self,
        db: &DatabaseName,
        collection: &CollectionName,
        batch: Batch,
    ) -> Result<(), StoreError> {
        let opened = self.places.open(db, collection).await?;
        if batch.is_empty() {
            return Ok(());
        }
        validate(batch.legs.as_ref().unwrap_or(&opened.head.schema.legs), &batch)?;
        let _turn = self.writing.turn(&opened)?;
        let mut held = Held::take(&self.places, &self.identity, opened).await?;
        let former = held.opened.clone();
        match self.write(&mut held, &batch).await {
            Err(error) => {
                held.give_up().await;
                Err(error)
            }
            Ok((next, known)) => {
                held.keep(&self.places).await?;
                held.commit(&self.places, &next).await?;
                self.cache.learn(&next, |learnt| *learnt = known);
                self.retire(&former, &next).await;
                Ok(())
            }
        }
    }

    /// Takes the right to write for what is no batch.
    pub(super) async fn exclusively(
        &self,
        db: &DatabaseName,
        collection: &CollectionName,
    ) -> Result<(Turn<'_>, Held<'_>), StoreError> {
        let opened = self.places.open(db, collection).await?;
        let turn = self.writing.turn(&opened)?;
        Ok((turn, Held::take(&self.places, &self.identity, opened).await?))
    }

    /// Everything but the commit: the head to set, and what will be known then.
    async fn write(&self, held: &mut Held<'_>, batch: &Batch) -> Result<(Head, Known), StoreError> {
        let head = held.opened.head.clone();
        // Other legs too, so that a reader notices even if they are the former ones again.
        let moves = batch.reset
            || batch.legs.is_some()
            || !(batch.delete.is_empty() && batch.upsert.is_empty() && batch.files.is_empty());
        self.clean(held, moves).await?;
        let legs = batch.legs.as_ref().unwrap_or(&head.schema.legs);
        let stays = Leg::ALL.map(|leg| legs[leg.index()] == head.schema.legs[leg.index()]);
        self.begin_legs(held, legs, stays).await?;
        let mut keys = [None, None];
        for leg in Leg::ALL.into_iter().filter(|leg| stays[leg.index()]) {
            let concerns = |point: &Point| point.vectors[leg.index()].is_some();
            if batch.vectors.iter().any(|(of, ..)| *of == leg) || batch.upsert.iter().any(concerns) {
                keys[leg.index()] = Some(self.keys(&held.opened, leg).await?);
            }
        }
        // From here on, what was known is what is being changed.
        let mut known = self.cache.take(&head);
        let mut new = ByKey::default();
        for (leg, key, vector) in &batch.vectors {
            if keys[leg.index()].as_ref().is_none_or(|keys| !keys.contains(key)) {
                new[leg.index()].insert(*key, vector.clone());
            }
        }
        let points: BTreeMap<PointId, &Point> = batch.upsert.iter().map(|point| (point.id, point)).collect();
        let copied = self.copy_vectors(held, &points, &new, &keys).await?;
        self.insert(held, batch, legs, &points, [&new, &copied]).await?;
        if !batch.reset {
            self.put_vectors(held, legs, &new).await?;
        }
        let ended = self.end(held, batch, &points).await?;

        let next = Head {
            generation: if moves { head.claimed } else { head.generation },
            previous: if moves { head.generation } else { head.previous },
            aborted: head.aborted[head.aborted.len().saturating_sub(ABORTED)..].to_vec(),
            vectors: head.vectors + u64::from(!batch.vectors.is_empty() || batch.legs.is_some()),
            schema: Schema { legs: legs.clone(), ..head.schema.clone() },
            state: batch.state.clone().or(head.state),
            commit: held.attempt().to_owned(),
            lease: None,
            ..head
        };
        for leg in Leg::ALL.into_iter().filter(|leg| !stays[leg.index()]) {
            known.keys[leg.index()] = None;
        }
        learn_keys(&mut known, batch, &points, [&new, &copied], &ended);
        if moves {
            known.paths = None;
            known.points = None;
        }
        if let Some(manifest) = &mut known.manifest {
            let manifest = Arc::make_mut(manifest);
            if batch.reset {
                manifest.clear();
            }
            for (path, record) in &batch.files {
                match record {
                    Some(record) => drop(manifest.insert(path.clone(), record.clone())),
                    None => drop(manifest.remove(path)),
                }
            }
        }
        Ok((next, known))
    }

    /// Makes room for the vectors of legs that are other ones from this batch on. Nothing of a
    /// former time when a leg was of the same model is left, nor of an attempt that failed.
    async fn begin_legs(&self, held: &mut Held<'_>, legs: &Legs, stays: [bool; 2]) -> Result<(), StoreError> {
        if stays == [true, true] {
            return Ok(());
        }
        held.keep(&self.places).await?;
        let Opened { physical, tenant, .. } = &held.opened;
        let Places { remote, options, .. } = &self.places;
        physical::ensure(remote, options, physical, legs).await?;
        for leg in Leg::ALL.into_iter().filter(|leg| !stays[leg.index()]) {
            if let Some(name) = vector_name(leg, legs) {
                let taken = remote.take_vectors(physical, &Scoped::life(tenant), &name).await;
                taken.map_err(|e| self.error(e))?;
            }
        }
        Ok(())
    }

    /// Removes the vectors of legs that were other ones before. Only room is lost where that
    /// fails: no head names them.
    async fn retire(&self, former: &Opened, next: &Head) {
        let Opened { physical, tenant, head, .. } = former;
        let Places { remote, names, .. } = &self.places;
        for leg in
            Leg::ALL.into_iter().filter(|leg| head.schema.legs[leg.index()] != next.schema.legs[leg.index()])
        {
            let Some(name) = vector_name(leg, &head.schema.legs) else { continue };
            let removed = match names.layout {
                Layout::Collection => physical::drop_unused(remote, physical).await,
                // Others may have vectors of this name, or be about to.
                Layout::Shared => remote.take_vectors(physical, &Scoped::life(tenant), &name).await,
            };
            if let Err(error) = removed {
                tracing::warn!(?error, physical, name, "vectors of a former model were not removed");
            }
        }
    }

    /// Removes what no generation names.
    async fn clean(&self, held: &mut Held<'_>, moves: bool) -> Result<(), StoreError> {
        let opened = &held.opened;
        let (remote, head) = (&self.places.remote, &opened.head);
        if !head.aborted.is_empty() || (moves && head.previous > 0) {
            remote
                .delete(&opened.physical, &garbage(&opened.tenant, head))
                .await
                .map_err(|e| self.error(e))?;
        }
        if !head.aborted.is_empty() {
            let scope = spared(&opened.tenant, head);
            remote.unset(&opened.physical, &scope, &[field::UNTIL]).await.map_err(|e| self.error(e))?;
        }
        Ok(())
    }

    /// Vectors that new points need and old ones have.
    async fn copy_vectors(
        &self,
        held: &mut Held<'_>,
        points: &BTreeMap<PointId, &Point>,
        new: &ByKey,
        keys: &[Option<Arc<Keys>>; 2],
    ) -> Result<ByKey, StoreError> {
        let mut copied = ByKey::default();
        for leg in Leg::ALL {
            let name = vector_name(leg, &held.opened.head.schema.legs);
            let (Some(keys), Some(vector)) = (&keys[leg.index()], name) else { continue };
            let mut wanted: Vec<VectorKey> = points
                .values()
                .filter_map(|point| point.vectors[leg.index()])
                .filter(|key| keys.contains(key) && !new[leg.index()].contains_key(key))
                .collect();
            wanted.sort_unstable();
            wanted.dedup();
            let name = field::KEYS[leg.index()];
            for wanted in wanted.chunks(self.places.options.batch_points) {
                held.keep(&self.places).await?;
                let opened = &held.opened;
                let scope =
                    with_keys(opened.visible(role::CHUNK), name, wanted).and(Condition::has_vector(&vector));
                let with = With::Vector(&[name], &vector);
                let found = self.places.remote.all(&opened.physical, &scope, with, wanted.len()).await;
                for point in found.map_err(|e| self.error(e))? {
                    let key = key_of(opened, &point, name)?;
                    copied[leg.index()].extend(dense_of(point, &vector).map(|vector| (key, vector)));
                }
            }
        }
        Ok(copied)
    }

    /// Adds new chunks and records, in requests of bounded size.
    async fn insert(
        &self,
        held: &mut Held<'_>,
        batch: &Batch,
        legs: &Legs,
        points: &BTreeMap<PointId, &Point>,
        vectors: [&ByKey; 2],
    ) -> Result<(), StoreError> {
        let opened = held.opened.clone();
        let Head { life, claimed, .. } = &opened.head;
        let version = Version { tenant: &opened.tenant, life, generation: *claimed };
        let chunks = points.values().map(|point| {
            let dense = Leg::ALL.map(|leg| vector_of(point, leg, vectors));
            (size(point), version.chunk(point, legs, dense))
        });
        let files = batch.files.iter().filter_map(|(path, record)| {
            let record = record.as_ref()?;
            Some((256 + 200 * record.chunks().len(), version.file(path, record)))
        });
        let mut pending: Vec<PointStruct> = Vec::new();
        let mut bytes = 0;
        // Each is made only when its turn comes.
        let mut all = chunks.chain(files);
        loop {
            let next = all.next();
            let (options, is_end) = (&self.places.options, next.is_none());
            let is_full = bytes >= options.batch_bytes || pending.len() >= options.batch_points;
            if !pending.is_empty() && (is_end || is_full) {
                held.keep(&self.places).await?;
                let sent = self.places.remote.insert(&opened.physical, std::mem::take(&mut pending)).await;
                sent.map_err(|e| self.error(e))?;
                bytes = 0;
            }
            let Some((size, point)) = next else { return Ok(()) };
            bytes += size;
            pending.push(point);
        }
    }

    /// Puts new vectors on chunks that are there already.
    async fn put_vectors(&self, held: &mut Held<'_>, legs: &Legs, new: &ByKey) -> Result<(), StoreError> {
        for leg in Leg::ALL {
            let Some(vector) = vector_name(leg, legs) else { continue };
            let new = &new[leg.index()];
            let name = field::KEYS[leg.index()];
            let keys: Vec<VectorKey> = new.keys().copied().collect();
            let dimension = new.values().next().map_or(1, Vec::len).max(1);
            let at_once = (self.places.options.batch_bytes / (4 * dimension)).clamp(1, 1000);
            for keys in keys.chunks(self.places.options.batch_points) {
                held.keep(&self.places).await?;
                let opened = held.opened.clone();
                let scope = with_keys(opened.visible(role::CHUNK), name, keys)
                    .and_not(Condition::has_vector(&vector));
                let found =
                    self.places.remote.all(&opened.physical, &scope, With::Fields(&[name]), 1000).await;
                let mut updates = Vec::new();
                for point in found.map_err(|e| self.error(e))? {
                    let Some(value) = new.get(&key_of(&opened, &point, name)?) else { continue };
                    let named = [(vector.clone(), dense_vector(value.clone()))].into();
                    let named = VectorsOptions::Vectors(NamedVectors { vectors: named });
                    let vectors = Some(Vectors { vectors_options: Some(named) });
                    updates.push(PointVectors { id: point.id, vectors });
                }
                for updates in updates.chunks(at_once) {
                    held.keep(&self.places).await?;
                    let put = self.places.remote.put_vectors(&opened.physical, updates.to_vec()).await;
                    put.map_err(|e| self.error(e))?;
                }
            }
        }
        Ok(())
    }

    /// Marks what the batch replaces or removes; returns the vector keys of those chunks.
    async fn end(
        &self,
        held: &mut Held<'_>,
        batch: &Batch,
        points: &BTreeMap<PointId, &Point>,
    ) -> Result<Vec<[Option<VectorKey>; 2]>, StoreError> {
        let opened = held.opened.clone();
        let until = payload([(field::UNTIL, number(opened.head.claimed))]);
        let remote = &self.places.remote;
        let there = Scoped::endable(&opened.tenant, &opened.head);
        if batch.reset {
            held.keep(&self.places).await?;
            remote.set(&opened.physical, &there, until).await.map_err(|e| self.error(e))?;
            return Ok(Vec::new());
        }
        let mut ended = Vec::new();
        let chunks = batch.delete.iter().chain(points.keys()).copied();
        let mut ids: Vec<PointId> = chunks.chain(batch.files.keys().map(file_id)).collect();
        ids.sort_unstable();
        ids.dedup();
        for ids in ids.chunks(self.places.options.batch_points) {
            held.keep(&self.places).await?;
            let ids: Vec<String> = ids.iter().map(PointId::to_string).collect();
            let scope = there.clone().and(Condition::matches(field::ID, ids));
            let found = remote.all(&opened.physical, &scope, With::Fields(&field::KEYS), 1000).await;
            let found = found.map_err(|e| self.error(e))?;
            if found.is_empty() {
                continue;
            }
            for point in &found {
                let key = |name| Fields(&point.payload).id(name).map(|id| VectorKey(id.0));
                ended.push(field::KEYS.map(key));
            }
            held.keep(&self.places).await?;
            remote.set(&opened.physical, &scope, until.clone()).await.map_err(|e| self.error(e))?;
        }
        Ok(ended)
    }
}

/// What will be known of the keys once the batch is committed.
fn learn_keys(
    known: &mut Known,
    batch: &Batch,
    points: &BTreeMap<PointId, &Point>,
    vectors: [&ByKey; 2],
    ended: &[[Option<VectorKey>; 2]],
) {
    for leg in Leg::ALL {
        let Some(keys) = &mut known.keys[leg.index()] else { continue };
        let keys = Arc::make_mut(keys);
        if batch.reset {
            *keys = Keys::default();
        }
        for key in ended.iter().filter_map(|keys| keys[leg.index()]) {
            keys.remove(&key);
        }
        for point in points.values() {
            if let Some(key) = point.vectors[leg.index()] {
                keys.add(key, vector_of(point, leg, vectors).is_some());
            }
        }
        for key in vectors[0][leg.index()].keys() {
            keys.complete(key);
        }
    }
}

fn vector_of<'v>(point: &Point, leg: Leg, vectors: [&'v ByKey; 2]) -> Option<&'v [f32]> {
    let key = point.vectors[leg.index()]?;
    let found = vectors.iter().find_map(|vectors| vectors[leg.index()].get(&key));
    found.map(Vec::as_slice)
}

/// Vectors must be what the leg takes.
fn validate(legs: &Legs, batch: &Batch) -> Result<(), StoreError> {
    for (leg, _, vector) in &batch.vectors {
        let Some((_, dimension)) = &legs[leg.index()] else {
            return Err(StoreError::Invalid(format!(
                "the collection has no {leg} leg, and a vector for it came"
            )));
        };
        if vector.len() != *dimension || vector.iter().any(|value| !value.is_finite()) {
            return Err(StoreError::Invalid(format!(
                "a vector of the {leg} leg needs {dimension} finite components, and has {}",
                vector.len()
            )));
        }
    }
    Ok(())
}
