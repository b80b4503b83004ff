//! Filling the vectors that are missing: from the embedding cache where the text was
//! ever seen, else by the model; edited and newest files first.
//!
//! A leg that is to be another model's goes on answering while the vectors of the other one are
//! computed: they go into the cache, and where all are there one commit shows them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use std::time::Instant;

use super::freshness::needed;
use super::outcome::{Outcome, VectorCounts};
use super::prepare::texts;
use super::state::IndexState;
use super::{IndexError, Indexer, Observe, Progress};
use crate::embed::{EmbedError, Embedder, EmbeddingCache, Leg};
use crate::git::Listing;
use crate::id::{Fingerprint, VectorKey};
use crate::manifest::{FileRecord, Manifest};
use crate::path::RepoPath;
use crate::store::{Batch, Legs};

/// Vectors of one commit of the store. A killed run repeats at most this many
/// insertions; the cache has the vectors by then.
const COMMIT_VECTORS: usize = 2048;
/// Vectors put into the cache at a time: what a killed run computes again at most.
const CACHE_VECTORS: usize = 64;
/// Keys asked of the cache at a time.
const LOOKUP_KEYS: usize = 512;
/// Vectors of a change that may be committed together with its words …
const JOINED_VECTORS: usize = 64;
/// … if no more texts than this have to be embedded: about as long as a commit takes.
const JOINED_TEXTS: usize = 4;

/// Vectors that the commit which shows another model's leg has at most, and that wait for it in
/// memory: bounds both. Any others are shown by those right after it, from the cache.
const SWITCH_VECTORS: usize = if cfg!(test) { 5 } else { 65_536 };

/// How a run finds a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// As it is to be.
    Continues,
    /// It is begun, or ended, by the run's first commit.
    Begins,
    /// With vectors of the fingerprint `former`, which answer until those of the other are
    /// there, of which the last run left `known` in the cache.
    Replaces { former: String, known: u64 },
}

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
    /// Whether the model of a leg is in memory.
    pub loaded: Box<dyn Fn(Leg) -> bool + 'a>,
    /// Loads the model of a leg.
    pub load: LoadModel<'a>,
}

/// Loads the model of a leg when it is needed.
pub type LoadModel<'a> = Box<dyn FnMut(Leg) -> Result<Box<dyn Embedder>, EmbedError> + 'a>;

/// The vectors that a collection misses, by leg.
pub(super) struct Fill<'a> {
    indexer: &'a Indexer<'a>,
    manifest: &'a Manifest,
    /// Files that this run found changed: theirs come first.
    changed: BTreeSet<&'a RepoPath>,
    /// The collection's legs.
    current: Legs,
    legs: Vec<Missing>,
}

/// What one leg misses.
struct Missing {
    leg: Leg,
    keys: HashSet<VectorKey>,
    counts: VectorCounts,
    /// Whether it takes over from another model's in this run, if nobody ends the run before.
    takes_over: bool,
    /// Keys that had no place in the commit of that.
    later: HashSet<VectorKey>,
}

impl<'a> Indexer<'a> {
    /// What is missing of the chunks in `manifest`; within `scope`, none to fill nothing.
    pub(super) fn missing(
        &'a self,
        manifest: &'a Manifest,
        changed: &'a [RepoPath],
        scope: Option<Scope>,
        current: Legs,
        starts: [Start; Leg::ALL.len()],
    ) -> Result<Fill<'a>, IndexError> {
        let changed: BTreeSet<&RepoPath> = changed.iter().collect();
        let mut legs = Vec::new();
        for leg in Leg::ALL.into_iter().filter(|leg| self.options.legs[leg.index()].is_some()) {
            let needed = needed(manifest, leg);
            let start = &starts[leg.index()];
            let present = match start {
                Start::Continues => self.database.vector_keys(self.collection, leg)?,
                Start::Begins | Start::Replaces { .. } => Default::default(),
            };
            let (replaces, known) = match start {
                Start::Replaces { former, known } => (Some(former.clone()), *known),
                Start::Continues | Start::Begins => (None, 0),
            };
            let takes_over = replaces.is_some() && scope == Some(Scope::All);
            let mut keys: HashSet<VectorKey> = needed.difference(&present).copied().collect();
            let mut counts = VectorCounts {
                needed: needed.len() as u64,
                present: (needed.len() - keys.len()) as u64,
                pending: keys.len() as u64,
                over_limit: over_limit(manifest, leg),
                replaces,
                ..VectorCounts::default()
            };
            match scope {
                Some(Scope::All) => {}
                Some(Scope::Changed) if counts.replaces.is_none() => {
                    let records = changed.iter().filter_map(|path| manifest.get(*path));
                    let changed = records.flat_map(|record| keys_of(record, leg));
                    keys = changed.filter(|key| keys.contains(key)).collect();
                }
                Some(Scope::Changed) | None => {
                    counts.pending -= known.min(counts.pending);
                    keys.clear();
                }
            }
            legs.push(Missing { leg, keys, counts, takes_over, later: HashSet::new() });
        }
        Ok(Fill { indexer: self, manifest, changed, current, legs })
    }
}

impl<'a> Fill<'a> {
    /// Adds to the words of a small change its vectors, so that one commit writes both:
    /// those that are in the cache, and few others if the model is loaded. What fails here
    /// is left for later, as words wait for nothing.
    pub(super) fn join(&mut self, words: &mut Batch, vectors: &mut Vectors<'_>, outcome: &mut Outcome) {
        let began = Instant::now();
        let files: Vec<_> =
            self.changed.iter().filter_map(|path| self.manifest.get_key_value(*path)).collect();
        let is_small = |leg: &&mut Missing| {
            let missing = files.iter().flat_map(|(_, record)| keys_of(record, leg.leg));
            missing.filter(|key| leg.keys.contains(key)).count() <= JOINED_VECTORS
        };
        let mut shown: Vec<&mut Missing> = self.legs.iter_mut().filter(|leg| !leg.takes_over).collect();
        if shown.iter().all(is_small) {
            for missing in &mut shown {
                let batch = &mut *words;
                let mut filling = Filling { indexer: self.indexer, missing, vectors, batch, state: None };
                if let Err(error) = filling.join(&files, outcome) {
                    tracing::debug!(%error, "vectors come after the words");
                }
            }
        }
        outcome.timing.embed += began.elapsed();
    }

    /// Fills every leg, in commits of their own. `state` is the collection's.
    pub(super) fn all(
        &mut self,
        listing: &Listing,
        vectors: &mut Vectors<'_>,
        state: &mut IndexState,
        outcome: &mut Outcome,
        observe: Observe<'_>,
    ) -> Result<ControlFlow<()>, IndexError> {
        let began = Instant::now();
        let mut flow = ControlFlow::Continue(());
        let indexer = self.indexer;
        for missing in self.legs.iter_mut().filter(|missing| missing.takes_over || !missing.keys.is_empty()) {
            let files = order(self.manifest, listing, &self.changed);
            let files = files.split_at(files.partition_point(|(path, _)| self.changed.contains(path)));
            let (mut batch, takes_over) = (Batch::default(), missing.takes_over);
            let state = takes_over.then_some(&mut *state);
            let mut filling = Filling { indexer, missing, vectors, batch: &mut batch, state };
            flow = match takes_over {
                true => filling.take_over(&mut self.current, files, outcome, observe)?,
                false => filling.fill(files, outcome, observe)?,
            };
            if flow.is_break() {
                break;
            }
        }
        outcome.timing.embed += began.elapsed();
        Ok(flow)
    }

    /// How far each leg is; `None` where it is off.
    pub(super) fn counts(self) -> [Option<VectorCounts>; Leg::ALL.len()] {
        let mut counts = [None, None];
        for missing in self.legs {
            counts[missing.leg.index()] = Some(missing.counts);
        }
        counts
    }
}

type Files<'f> = &'f [(&'f RepoPath, &'f FileRecord)];

/// One leg being filled.
struct Filling<'a, 'v> {
    indexer: &'a Indexer<'a>,
    missing: &'a mut Missing,
    vectors: &'a mut Vectors<'v>,
    /// What is committed next.
    batch: &'a mut Batch,
    /// The collection's state, where the vectors wait for the commit that shows them all. How
    /// far they are is told there.
    state: Option<&'a mut IndexState>,
}

impl Filling<'_, '_> {
    fn join(&mut self, files: Files<'_>, outcome: &mut Outcome) -> Result<(), IndexError> {
        let never: Observe<'_> = &mut |_| ControlFlow::Continue(());
        let _ = self.take_cached(files, outcome, never)?;
        let left: HashSet<VectorKey> = self.missing_of(files).collect();
        if !left.is_empty() && left.len() <= JOINED_TEXTS && (self.vectors.loaded)(self.missing.leg) {
            let _ = self.compute(files, outcome, never)?;
        }
        Ok(())
    }

    /// Fills the leg beside that of another model, and changes over. `legs` are the collection's.
    fn take_over(
        &mut self,
        legs: &mut Legs,
        files: (Files<'_>, Files<'_>),
        outcome: &mut Outcome,
        observe: Observe<'_>,
    ) -> Result<ControlFlow<()>, IndexError> {
        let leg = self.missing.leg;
        if self.vectors.cache.is_some() || self.missing.keys.len() <= SWITCH_VECTORS {
            let flow = self.fill(files, outcome, observe)?;
            if flow.is_break() {
                return Ok(flow);
            }
        } else {
            let needed = self.missing.keys.len();
            tracing::warn!(%leg, needed, "without an embedding cache the former vectors go at once");
        }
        legs[leg.index()] = self.indexer.options.store_legs()[leg.index()].clone();
        self.batch.legs = Some(legs.clone());
        if let Some(state) = self.state.take() {
            state.replacements[leg.index()] = None;
            self.batch.state = Some(state.to_json());
        }
        self.commit(outcome)?;
        self.missing.counts.replaces = None;
        // The others were counted, and are in the cache.
        let counted = self.missing.counts.cache_hits;
        self.missing.counts.pending += self.missing.later.len() as u64;
        self.missing.keys.extend(self.missing.later.drain());
        let flow = self.fill(files, outcome, observe)?;
        self.missing.counts.cache_hits = counted;
        Ok(flow)
    }

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
            if flow.is_continue() && self.missing_of(files).next().is_some() {
                flow = self.compute(files, outcome, observe)?;
            }
            if self.state.is_none() || flow.is_break() {
                self.commit(outcome)?;
            }
            if flow.is_break() {
                return Ok(flow);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Keys of these files that have no vector yet.
    fn missing_of(&self, files: Files<'_>) -> impl Iterator<Item = VectorKey> {
        let keys = files.iter().flat_map(|(_, record)| keys_of(record, self.missing.leg));
        keys.filter(|key| self.missing.keys.contains(key))
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
        let keys: Vec<VectorKey> = self.missing_of(files).filter(|key| seen.insert(*key)).collect();
        let model = self.model_fingerprint();
        for keys in keys.chunks(LOOKUP_KEYS) {
            let Some(cache) = &mut self.vectors.cache else { break };
            match cache.get_many(&model, keys) {
                Ok(found) => {
                    self.missing.counts.cache_hits += found.len() as u64;
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
        let mut embedder = (self.vectors.load)(self.missing.leg)?;
        let model = embedder.fingerprint().clone();
        let mut computed: Vec<(VectorKey, Vec<f32>)> = Vec::new();
        let root = self.indexer.worktree.root();
        let mut flow = ControlFlow::Continue(());
        'files: for (path, record) in files {
            let wanted = |key: &VectorKey| self.missing.keys.contains(key);
            let any = keys_of(record, self.missing.leg).any(|key| wanted(&key));
            let (true, Some(content)) = (any, &record.content) else { continue };
            let texts: BTreeMap<_, _> =
                texts(root, path, content, self.missing.leg, self.indexer.options, &wanted);
            for (key, text) in texts {
                let vector = embedder.embed(&text)?;
                self.missing.counts.embedded += 1;
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
        if !self.missing.keys.remove(&key) {
            return Ok(());
        }
        self.missing.counts.pending -= 1;
        if self.state.is_some() && self.batch.vectors.len() >= SWITCH_VECTORS {
            self.missing.later.insert(key);
        } else {
            self.batch.vectors.push((self.missing.leg, key, vector));
        }
        let full = match self.state {
            Some(_) => self.done().is_multiple_of(COMMIT_VECTORS as u64),
            None => self.batch.vectors.len() >= COMMIT_VECTORS,
        };
        if full { self.commit(outcome) } else { Ok(()) }
    }

    /// Commits the vectors, or where these wait how far they are.
    fn commit(&mut self, outcome: &mut Outcome) -> Result<(), IndexError> {
        let done = self.done();
        let batch = match &mut self.state {
            None => std::mem::take(self.batch),
            Some(state) => {
                let known = &mut state.replacements[self.missing.leg.index()];
                match known {
                    Some(known) if known.vectors != done => known.vectors = done,
                    _ => return Ok(()),
                }
                Batch { state: Some(state.to_json()), ..Batch::default() }
            }
        };
        if !batch.is_empty() {
            self.indexer.database.apply(self.indexer.collection, batch)?;
            outcome.commits += 1;
        }
        Ok(())
    }

    /// Vectors of those needed that there are.
    fn done(&self) -> u64 {
        self.missing.counts.needed - self.missing.counts.pending
    }

    fn show(&self, observe: Observe<'_>) -> ControlFlow<()> {
        observe(Progress::Vectors { done: self.done(), total: self.missing.counts.needed })
    }

    /// The cache goes by the model alone: its other key is the text itself.
    fn model_fingerprint(&self) -> Fingerprint {
        let leg = self.indexer.options.legs[self.missing.leg.index()].as_ref();
        leg.map_or_else(|| Fingerprint(String::new()), |leg| leg.model.clone())
    }
}

/// Files in the order in which their vectors are wanted: those just found `changed` first,
/// then untracked ones, as they are being worked on, then by time of change, newest first.
fn order<'m>(
    manifest: &'m Manifest,
    listing: &Listing,
    changed: &BTreeSet<&RepoPath>,
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

/// Keys of a leg's vectors of a file.
fn keys_of(record: &FileRecord, leg: Leg) -> impl Iterator<Item = VectorKey> + use<'_> {
    record.chunks().iter().filter_map(move |chunk| chunk.vectors[leg.index()])
}

fn over_limit(manifest: &Manifest, leg: Leg) -> u64 {
    manifest
        .values()
        .flat_map(FileRecord::chunks)
        .filter(|chunk| chunk.vectors[leg.index()].is_none())
        .count() as u64
}
