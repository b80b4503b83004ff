//! Filling the vectors that are missing: from the embedding cache where the text was
//! ever seen, else by the model; edited and newest files first.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::freshness::needed;
use super::outcome::{Outcome, VectorCounts};
use super::prepare::texts;
use super::run::chunks;
use super::{IndexError, Indexer, Progress};
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

/// Where vectors come from. The model is loaded only when a text is in no cache.
pub struct Vectors<'a> {
    /// The machine's embedding cache, if it can be used.
    pub cache: Option<EmbeddingCache>,
    /// Loads the model of a leg.
    pub load: LoadModel<'a>,
}

/// Loads the model of a leg when it is needed.
pub type LoadModel<'a> = Box<dyn FnMut(Leg) -> Result<Box<dyn Embedder>, EmbedError> + 'a>;

impl Indexer<'_> {
    /// Fills every leg; with `vectors` absent it only counts.
    pub(super) fn fill(
        &self,
        manifest: &Manifest,
        listing: &Listing,
        mut vectors: Option<&mut Vectors<'_>>,
        outcome: &mut Outcome,
        observe: &mut dyn FnMut(Progress),
    ) -> Result<(), IndexError> {
        for leg in Leg::ALL {
            if self.options.legs[leg.index()].is_none() {
                continue;
            }
            let needed = needed(manifest, leg);
            let present = self.database.vector_keys(self.collection, leg)?;
            let missing: HashSet<VectorKey> = needed.difference(&present).copied().collect();
            let mut counts = VectorCounts {
                needed: needed.len() as u64,
                present: (needed.len() - missing.len()) as u64,
                pending: missing.len() as u64,
                over_limit: over_limit(manifest, leg),
                ..VectorCounts::default()
            };
            let result = match vectors.as_deref_mut() {
                Some(vectors) if !missing.is_empty() => {
                    let mut filling = Filling {
                        indexer: self,
                        leg,
                        vectors,
                        missing,
                        counts: &mut counts,
                        batch: Batch::default(),
                    };
                    filling.fill(manifest, listing, outcome, observe)
                }
                _ => Ok(()),
            };
            outcome.vectors[leg.index()] = Some(counts);
            result?;
        }
        Ok(())
    }
}

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
    fn fill(
        &mut self,
        manifest: &Manifest,
        listing: &Listing,
        outcome: &mut Outcome,
        observe: &mut dyn FnMut(Progress),
    ) -> Result<(), IndexError> {
        let files = order(manifest, listing);
        self.take_cached(&files, outcome, observe)?;
        if !self.missing.is_empty() {
            self.compute(&files, outcome, observe)?;
        }
        self.commit(outcome)
    }

    fn take_cached(
        &mut self,
        files: &[(&RepoPath, &FileRecord)],
        outcome: &mut Outcome,
        observe: &mut dyn FnMut(Progress),
    ) -> Result<(), IndexError> {
        if self.vectors.cache.is_none() {
            return Ok(());
        }
        let mut seen = HashSet::new();
        let keys: Vec<VectorKey> = files
            .iter()
            .flat_map(|(_, record)| chunks(record))
            .filter_map(|chunk| chunk.vectors[self.leg.index()])
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
            self.show(observe);
        }
        Ok(())
    }

    fn compute(
        &mut self,
        files: &[(&RepoPath, &FileRecord)],
        outcome: &mut Outcome,
        observe: &mut dyn FnMut(Progress),
    ) -> Result<(), IndexError> {
        let mut embedder = (self.vectors.load)(self.leg)?;
        let model = embedder.fingerprint().clone();
        let mut computed: Vec<(VectorKey, Vec<f32>)> = Vec::new();
        let root = self.indexer.worktree.root();
        for (path, record) in files {
            let wanted = |key: &VectorKey| self.missing.contains(key);
            let any = chunks(record)
                .iter()
                .filter_map(|chunk| chunk.vectors[self.leg.index()])
                .any(|key| wanted(&key));
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
                self.show(observe);
            }
        }
        self.remember(&model, &mut computed);
        Ok(())
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

    fn show(&self, observe: &mut dyn FnMut(Progress)) {
        let total = self.counts.needed;
        observe(Progress::Vectors { done: total - self.counts.pending, total });
    }

    /// The cache goes by the model alone: its other key is the text itself.
    fn model_fingerprint(&self) -> Fingerprint {
        let leg = self.indexer.options.legs[self.leg.index()].as_ref();
        leg.map_or_else(|| Fingerprint(String::new()), |leg| leg.model.clone())
    }
}

/// Files in the order in which their vectors are wanted: untracked ones first, as
/// they are being worked on, then by time of change, newest first.
fn order<'m>(manifest: &'m Manifest, listing: &Listing) -> Vec<(&'m RepoPath, &'m FileRecord)> {
    let changed: HashMap<&RepoPath, i64> =
        listing.entries.iter().map(|entry| (&entry.path, entry.stat.mtime_ns)).collect();
    let mut files: Vec<_> = manifest.iter().collect();
    files.sort_by_key(|(path, record)| {
        (record.tracked, std::cmp::Reverse(changed.get(path).copied().unwrap_or(i64::MIN)), *path)
    });
    files
}

fn over_limit(manifest: &Manifest, leg: Leg) -> u64 {
    manifest.values().flat_map(chunks).filter(|chunk| chunk.vectors[leg.index()].is_none()).count() as u64
}
