//! Filling the vectors that are missing: from the embedding cache where the text was
//! ever seen, else by the model; edited and newest files first.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;

use super::freshness::needed;
use super::outcome::{Outcome, VectorCounts};
use super::prepare::texts;
use super::run::chunks;
use super::{IndexError, Indexer, Observe, Progress};
use crate::embed::{EmbedError, Embedder, EmbeddingCache, Leg};
use crate::git::Listing;
use crate::id::{Fingerprint, VectorKey};
use crate::manifest::{FileRecord, Manifest};
use crate::path::RepoPath;
use crate::store::Batch;

/// Vectors of one commit of the store. A killed run repeats at most this many
/// insertions; the cache has the vectors by then.
const COMMIT_VECTORS: usize = 2048;
/// Vectors put into the cache at a time: what a killed run computes again at most.
const CACHE_VECTORS: usize = 64;
/// Keys asked of the cache at a time.
const LOOKUP_KEYS: usize = 512;

/// Which of the missing vectors a run fills.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    #[default]
    All,
    /// Those of the files that this run found changed.
    Changed,
}

/// Where vectors come from. The model is loaded only when a text is in no cache.
pub struct Vectors<'a> {
    /// Which are filled.
    pub scope: Scope,
    /// The machine's embedding cache, if it can be used.
    pub cache: Option<&'a mut EmbeddingCache>,
    /// Loads the model of a leg.
    pub load: LoadModel<'a>,
}

/// Loads the model of a leg when it is needed.
pub type LoadModel<'a> = Box<dyn FnMut(Leg) -> Result<Box<dyn Embedder>, EmbedError> + 'a>;

impl Indexer<'_> {
    /// Fills every leg, the files `changed` by this run first; with `vectors` absent it
    /// only counts.
    pub(super) fn fill(
        &self,
        manifest: &Manifest,
        listing: &Listing,
        changed: &[RepoPath],
        mut vectors: Option<&mut Vectors<'_>>,
        outcome: &mut Outcome,
        observe: Observe<'_>,
    ) -> Result<ControlFlow<()>, IndexError> {
        let mut flow = ControlFlow::Continue(());
        for leg in Leg::ALL {
            if self.options.legs[leg.index()].is_none() {
                continue;
            }
            let needed = needed(manifest, leg);
            let present = self.database.vector_keys(self.collection, leg)?;
            let mut missing: HashSet<VectorKey> = needed.difference(&present).copied().collect();
            let mut counts = VectorCounts {
                needed: needed.len() as u64,
                present: (needed.len() - missing.len()) as u64,
                pending: missing.len() as u64,
                over_limit: over_limit(manifest, leg),
                ..VectorCounts::default()
            };
            let changed: HashSet<&RepoPath> = changed.iter().collect();
            if vectors.as_ref().is_some_and(|vectors| vectors.scope == Scope::Changed) {
                let records = changed.iter().filter_map(|path| manifest.get(*path));
                let keys = records.flat_map(chunks).filter_map(|chunk| chunk.vectors[leg.index()]);
                missing = keys.filter(|key| missing.contains(key)).collect();
            }
            let result = match vectors.as_deref_mut() {
                Some(vectors) if !missing.is_empty() && flow.is_continue() => {
                    let mut filling = Filling {
                        indexer: self,
                        leg,
                        vectors,
                        missing,
                        counts: &mut counts,
                        batch: Batch::default(),
                    };
                    let files = order(manifest, listing, &changed);
                    let urgent = files.partition_point(|(path, _)| changed.contains(path));
                    filling.fill(files.split_at(urgent), outcome, observe)
                }
                _ => Ok(flow),
            };
            outcome.vectors[leg.index()] = Some(counts);
            flow = result?;
        }
        Ok(flow)
    }
}

type Files<'f> = &'f [(&'f RepoPath, &'f FileRecord)];

/// One leg being filled.
struct Filling<'a, 'v> {
    indexer: &'a Indexer<'a>,
    leg: Leg,
    vectors: &'a mut Vectors<'v>,
    /// Keys without a vector yet.
    missing: HashSet<VectorKey>,
    counts: &'a mut VectorCounts,
    batch: Batch,
}

impl Filling<'_, '_> {
    /// Fills the files of both slices in their order. The first are committed on their own,
    /// so that an edit does not wait for what was missing before it.
    fn fill(
        &mut self,
        (urgent, rest): (Files<'_>, Files<'_>),
        outcome: &mut Outcome,
        observe: Observe<'_>,
    ) -> Result<ControlFlow<()>, IndexError> {
        for files in [urgent, rest] {
            let mut flow = self.take_cached(files, outcome, observe)?;
            if flow.is_continue() && self.misses(files) {
                flow = self.compute(files, outcome, observe)?;
            }
            self.commit(outcome)?;
            if flow.is_break() {
                return Ok(flow);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn misses(&self, files: Files<'_>) -> bool {
        files.iter().flat_map(|(_, record)| self.keys(record)).any(|key| self.missing.contains(&key))
    }

    /// Keys of this leg's vectors of a file.
    fn keys<'m>(&self, record: &'m FileRecord) -> impl Iterator<Item = VectorKey> + use<'m> {
        let leg = self.leg.index();
        chunks(record).iter().filter_map(move |chunk| chunk.vectors[leg])
    }

    fn take_cached(
        &mut self,
        files: Files<'_>,
        outcome: &mut Outcome,
        observe: Observe<'_>,
    ) -> Result<ControlFlow<()>, IndexError> {
        if self.vectors.cache.is_none() {
            return Ok(ControlFlow::Continue(()));
        }
        let mut seen = HashSet::new();
        let keys: Vec<VectorKey> = files
            .iter()
            .flat_map(|(_, record)| self.keys(record))
            .filter(|key| self.missing.contains(key) && seen.insert(*key))
            .collect();
        let model = self.model_fingerprint();
        for keys in keys.chunks(LOOKUP_KEYS) {
            let Some(cache) = &mut self.vectors.cache else { break };
            match cache.get_many(&model, keys) {
                Ok(found) => {
                    self.counts.cache_hits += found.len() as u64;
                    for (key, vector) in found {
                        self.put(key, vector, outcome)?;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the embedding cache is left out of this run");
                    self.vectors.cache = None;
                }
            }
            if self.show(observe).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn compute(
        &mut self,
        files: Files<'_>,
        outcome: &mut Outcome,
        observe: Observe<'_>,
    ) -> Result<ControlFlow<()>, IndexError> {
        let mut embedder = (self.vectors.load)(self.leg)?;
        let model = embedder.fingerprint().clone();
        let mut computed: Vec<(VectorKey, Vec<f32>)> = Vec::new();
        let root = self.indexer.worktree.root();
        let mut flow = ControlFlow::Continue(());
        'files: for (path, record) in files {
            let wanted = |key: &VectorKey| self.missing.contains(key);
            let any = self.keys(record).any(|key| wanted(&key));
            let (true, Some(content)) = (any, &record.content) else { continue };
            let texts: BTreeMap<_, _> = texts(root, path, content, self.leg, self.indexer.options, &wanted);
            for (key, text) in texts {
                let vector = embedder.embed(&text)?;
                self.counts.embedded += 1;
                outcome.bytes.embedded += text.len() as u64;
                computed.push((key, vector.clone()));
                if computed.len() >= CACHE_VECTORS {
                    self.remember(&model, &mut computed);
                }
                self.put(key, vector, outcome)?;
                flow = self.show(observe);
                if flow.is_break() {
                    break 'files;
                }
            }
        }
        self.remember(&model, &mut computed);
        Ok(flow)
    }

    fn remember(&mut self, model: &Fingerprint, computed: &mut Vec<(VectorKey, Vec<f32>)>) {
        if let Some(cache) = &mut self.vectors.cache
            && let Err(error) = cache.put_many(model, computed)
        {
            tracing::warn!(%error, "vectors are not kept for other worktrees");
            self.vectors.cache = None;
        }
        computed.clear();
    }

    fn put(&mut self, key: VectorKey, vector: Vec<f32>, outcome: &mut Outcome) -> Result<(), IndexError> {
        if self.missing.remove(&key) {
            self.counts.pending -= 1;
            self.batch.vectors.push((self.leg, key, vector));
        }
        if self.batch.vectors.len() >= COMMIT_VECTORS { self.commit(outcome) } else { Ok(()) }
    }

    fn commit(&mut self, outcome: &mut Outcome) -> Result<(), IndexError> {
        let batch = std::mem::take(&mut self.batch);
        if !batch.vectors.is_empty() {
            self.indexer.database.apply(self.indexer.collection, batch)?;
            outcome.commits += 1;
        }
        Ok(())
    }

    fn show(&self, observe: Observe<'_>) -> ControlFlow<()> {
        let total = self.counts.needed;
        observe(Progress::Vectors { done: total - self.counts.pending, total })
    }

    /// The cache goes by the model alone: its other key is the text itself.
    fn model_fingerprint(&self) -> Fingerprint {
        let leg = self.indexer.options.legs[self.leg.index()].as_ref();
        leg.map_or_else(|| Fingerprint(String::new()), |leg| leg.model.clone())
    }
}

/// Files in the order in which their vectors are wanted: those just found `changed` first,
/// then untracked ones, as they are being worked on, then by time of change, newest first.
fn order<'m>(
    manifest: &'m Manifest,
    listing: &Listing,
    changed: &HashSet<&RepoPath>,
) -> Vec<(&'m RepoPath, &'m FileRecord)> {
    let times: HashMap<&RepoPath, i64> =
        listing.entries.iter().map(|entry| (&entry.path, entry.stat.mtime_ns)).collect();
    let mut files: Vec<_> = manifest.iter().collect();
    files.sort_by_key(|(path, record)| {
        let time = times.get(path).copied().unwrap_or(i64::MIN);
        (!changed.contains(path), record.tracked, std::cmp::Reverse(time), *path)
    });
    files
}

fn over_limit(manifest: &Manifest, leg: Leg) -> u64 {
    manifest.values().flat_map(chunks).filter(|chunk| chunk.vectors[leg.index()].is_none()).count() as u64
}
