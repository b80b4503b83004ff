//! What has to be sent to make one collection equal to another, and sending it.

use std::collections::{BTreeMap, HashSet};

use super::contents::Contents;
use super::{Counts, MigrateError, Progress, Transferred};
use crate::embed::Leg;
use crate::id::{CollectionName, PointId, VectorKey};
use crate::manifest::FileRecord;
use crate::path::RepoPath;
use crate::store::{Batch, CollectionKind, Point};
use crate::tenant::Database;

/// Points, or vectors, of one batch at most.
const BATCH_POINTS: usize = if cfg!(test) { 7 } else { 2000 };
/// Bytes of their texts, terms and vectors at most, roughly: bounds memory.
const BATCH_BYTES: usize = 8 << 20;
/// Manifest records of one batch at most.
const BATCH_FILES: usize = if cfg!(test) { 7 } else { 2000 };

/// Asks whether to go on.
type Tell<'a> = &'a mut dyn FnMut(Progress) -> Result<(), MigrateError>;

/// What is missing or different in the target.
#[derive(Debug, Default)]
pub(super) struct Plan {
    upsert: HashSet<PointId>,
    delete: Vec<PointId>,
    vectors: [HashSet<VectorKey>; Leg::ALL.len()],
    files: BTreeMap<RepoPath, Option<FileRecord>>,
    kept_vectors: [u64; Leg::ALL.len()],
}

impl Plan {
    pub(super) fn between(source: &Contents, target: &Contents) -> Plan {
        let there = |id: &PointId| target.points.get(id);
        let mut plan = Plan {
            delete: target.points.keys().filter(|id| !source.points.contains_key(*id)).copied().collect(),
            ..Plan::default()
        };
        // A vector is sure to stay only while a point that stays refers to it.
        let mut kept = <[HashSet<VectorKey>; Leg::ALL.len()]>::default();
        for (id, point) in &source.points {
            match there(id) {
                Some(former) if former.digest == point.digest => {
                    for leg in Leg::ALL {
                        kept[leg.index()].extend(former.vectors[leg.index()]);
                    }
                }
                _ => drop(plan.upsert.insert(*id)),
            }
        }
        for leg in Leg::ALL {
            let needed = source.vectors(leg);
            let kept = &kept[leg.index()];
            plan.vectors[leg.index()] = needed.iter().filter(|key| !kept.contains(key)).copied().collect();
            plan.kept_vectors[leg.index()] = (needed.len() - plan.vectors[leg.index()].len()) as u64;
        }
        for (path, record) in &*source.manifest {
            if target.manifest.get(path) != Some(record) {
                plan.files.insert(path.clone(), Some(record.clone()));
            }
        }
        let gone = target.manifest.keys().filter(|path| !source.manifest.contains_key(*path));
        plan.files.extend(gone.map(|path| (path.clone(), None)));
        plan
    }

    /// Refuses what would lose something that nothing makes again.
    pub(super) fn check(&self, collection: &CollectionName, source: &Contents) -> Result<(), MigrateError> {
        if self.delete.is_empty() || source.schema.kind == CollectionKind::Codebase {
            return Ok(());
        }
        Err(MigrateError::TargetHasMore { collection: collection.clone(), points: self.delete.len() as u64 })
    }

    pub(super) fn is_empty(&self) -> bool {
        let Plan { upsert, delete, vectors, files, kept_vectors: _ } = self;
        upsert.is_empty() && delete.is_empty() && files.is_empty() && vectors.iter().all(HashSet::is_empty)
    }

    /// The counts, before anything is sent.
    pub(super) fn transferred(&self, source: &Contents) -> Transferred {
        let counts = |sent: usize, total: usize, removed: usize| Counts {
            sent: sent as u64,
            kept: (total - sent) as u64,
            removed: removed as u64,
        };
        let records = self.files.values().filter(|record| record.is_some()).count();
        Transferred {
            points: counts(self.upsert.len(), source.points.len(), self.delete.len()),
            vectors: Leg::ALL.map(|leg| Counts {
                sent: self.vectors[leg.index()].len() as u64,
                kept: self.kept_vectors[leg.index()],
                removed: 0,
            }),
            files: counts(records, source.manifest.len(), self.files.len() - records),
            bytes: 0,
            digest: source.digest(),
        }
    }

    /// Sends all of it; returns how many bytes, about.
    pub(super) fn send(
        &mut self,
        from: &Database,
        to: &Database,
        collection: &CollectionName,
        source: &Contents,
        tell: Tell<'_>,
    ) -> Result<u64, MigrateError> {
        let total = source.points.len() as u64;
        let mut sender = Sender {
            from,
            to,
            collection,
            batch: Batch { delete: std::mem::take(&mut self.delete), ..Batch::default() },
            keys: Default::default(),
            vector_bytes: Leg::ALL.map(|leg| match &source.schema.legs[leg.index()] {
                Some((_, dimension)) => 4 * dimension,
                None => 0,
            }),
            pending: 0,
            bytes: 0,
        };
        if !self.upsert.is_empty() || self.vectors.iter().any(|keys| !keys.is_empty()) {
            let (mut done, mut failed) = (0, None);
            let scanned = from.scan(collection, &mut |point| {
                done += 1;
                if failed.is_none() {
                    failed = self
                        .take(point, &mut sender)
                        .and_then(|()| match sender.is_full() {
                            true => tell(Progress::Points { done, total }).and_then(|()| sender.flush()),
                            false => Ok(()),
                        })
                        .err();
                }
            });
            failed.map_or(Ok(()), Err)?;
            scanned.map_err(MigrateError::Source)?;
        }
        tell(Progress::Points { done: total, total })?;
        sender.flush()?;
        let files = self.files.len() as u64;
        while !self.files.is_empty() {
            tell(Progress::Files { done: files - self.files.len() as u64, total: files })?;
            let rest = self.files.keys().nth(BATCH_FILES).cloned();
            let rest = rest.map(|path| self.files.split_off(&path)).unwrap_or_default();
            sender.batch.files = std::mem::replace(&mut self.files, rest);
            sender.flush()?;
        }
        Ok(sender.bytes)
    }

    /// Takes out of the plan what is to be sent with a point of the source.
    fn take(&mut self, point: Point, sender: &mut Sender<'_>) -> Result<(), MigrateError> {
        for leg in Leg::ALL {
            let key = point.vectors[leg.index()].filter(|key| self.vectors[leg.index()].remove(key));
            sender.pending += key.map_or(0, |_| sender.vector_bytes[leg.index()]);
            sender.keys[leg.index()].extend(key);
        }
        if self.upsert.remove(&point.id) {
            sender.pending += point.text.len() + point.terms.iter().map(String::len).sum::<usize>();
            sender.batch.upsert.push(point);
        }
        Ok(())
    }
}

/// Fills a batch and sends it.
struct Sender<'a> {
    from: &'a Database,
    to: &'a Database,
    collection: &'a CollectionName,
    batch: Batch,
    /// Of the vectors that go with the batch.
    keys: [Vec<VectorKey>; Leg::ALL.len()],
    /// Bytes of a vector, by leg.
    vector_bytes: [usize; Leg::ALL.len()],
    /// Bytes of the batch.
    pending: usize,
    /// Bytes that were sent.
    bytes: u64,
}

impl Sender<'_> {
    fn is_full(&self) -> bool {
        let most = self.keys.iter().map(Vec::len).fold(self.batch.upsert.len(), usize::max);
        most >= BATCH_POINTS || self.pending >= BATCH_BYTES
    }

    fn flush(&mut self) -> Result<(), MigrateError> {
        let mut batch = std::mem::take(&mut self.batch);
        self.bytes += std::mem::take(&mut self.pending) as u64;
        for leg in Leg::ALL {
            let keys = std::mem::take(&mut self.keys[leg.index()]);
            if keys.is_empty() {
                continue;
            }
            let vectors = self.from.vectors(self.collection, leg, &keys).map_err(MigrateError::Source)?;
            batch.vectors.extend(vectors.into_iter().map(|(key, vector)| (leg, key, vector)));
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.to.apply(self.collection, batch).map_err(MigrateError::Target)
    }
}
