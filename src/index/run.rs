//! One run over one worktree.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tracing::field;

use super::dense::Start;
use super::outcome::{ByteCounts, ChunkCounts, FileCounts, FullReason, Outcome, Timing};
use super::prepare::{Found, Prepared, chunk_ref, prepare};
use super::state::{FORMAT_VERSION, IndexState, Replacement};
use super::{IndexError, LegOptions, Observe, Options, Progress, Vectors};
use crate::delta::{self, Change};
use crate::embed::Leg;
use crate::git::{FileEntry, Head, Listing, Worktree};
use crate::id::{CollectionName, PointId};
use crate::manifest::{ChunkRef, FileRecord, FileState, Manifest};
use crate::path::RepoPath;
use crate::store::{Batch, CollectionKind, Legs, Schema, Snapshot, StoreError};
use crate::tenant::Database;

/// Text and terms of one commit at most, roughly, in bytes: bounds memory on a cold run.
const BATCH_BYTES: usize = 24 << 20;

/// Brings the collection of one worktree to what is on disk.
pub struct Indexer<'a> {
    /// The tenant's database.
    pub database: &'a Database,
    /// The worktree's collection in it.
    pub collection: &'a CollectionName,
    /// The worktree.
    pub worktree: &'a Worktree,
    /// What the index is a function of.
    pub options: &'a Options,
}

/// What one run is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Look into every file, whatever the manifest says.
    pub full: bool,
}

impl Indexer<'_> {
    /// Runs: lexical first, then the dense legs from `vectors`; `None` leaves the
    /// dense legs as they are. One run at a time per collection: the caller holds its lock.
    ///
    /// A collection that turns out to be damaged, at whatever point, is moved aside and
    /// the run begins again from nothing, once.
    pub fn run(
        &self,
        run: Run,
        vectors: Option<&mut Vectors<'_>>,
        observe: Observe<'_>,
    ) -> Result<Outcome, IndexError> {
        let span = tracing::info_span!(
            "index.run",
            project.path = %self.worktree.root(),
            full = run.full,
            files.listed = field::Empty,
            files.parsed = field::Empty,
            chunks.total = field::Empty,
            vectors.embedded = field::Empty,
            error = field::Empty,
        );
        let _entered = span.enter();
        let result = self.run_twice_at_most(run, vectors, observe);
        match &result {
            Ok(outcome) => {
                span.record("files.listed", outcome.files.listed);
                span.record("files.parsed", outcome.files.parsed);
                span.record("chunks.total", outcome.chunks.total);
                let embedded = outcome.vectors.iter().flatten().map(|vectors| vectors.embedded);
                span.record("vectors.embedded", embedded.sum::<u64>());
            }
            Err(error) => drop(span.record("error", field::display(error))),
        }
        result
    }

    fn run_twice_at_most(
        &self,
        run: Run,
        mut vectors: Option<&mut Vectors<'_>>,
        observe: Observe<'_>,
    ) -> Result<Outcome, IndexError> {
        let mut lost = None;
        loop {
            match self.attempt(run, lost, vectors.as_deref_mut(), observe) {
                Err(IndexError::Store(error)) if lost.is_none() => {
                    lost = Some(replaceable(&error, run).ok_or(error)?);
                }
                other => return other,
            }
            // Nothing is deleted because it did not open.
            let place = self.database.set_aside(self.collection)?;
            tracing::warn!(place, "the index was moved aside and is built anew");
        }
    }

    fn attempt(
        &self,
        run: Run,
        lost: Option<FullReason>,
        vectors: Option<&mut Vectors<'_>>,
        observe: Observe<'_>,
    ) -> Result<Outcome, IndexError> {
        let began = Instant::now();
        let mut stopped = observe(Progress::Listing).is_break();
        let head = self.worktree.head()?;
        let listing = tracing::info_span!("index.list").in_scope(|| self.worktree.list())?;
        stopped |= observe(Progress::Listed { head: &head, listing: &listing }).is_break();
        let mut outcome = Outcome {
            collection: self.collection.clone(),
            full: None,
            head: head.clone(),
            files: FileCounts { listed: listing.entries.len() as u64, ..FileCounts::default() },
            chunks: ChunkCounts::default(),
            vectors: [None, None],
            bytes: ByteCounts::default(),
            commits: 0,
            unreadable_directories: listing.unreadable.len() as u64,
            interrupted: stopped,
            timing: Timing { list: began.elapsed(), ..Timing::default() },
        };
        if stopped {
            return Ok(outcome);
        }
        let identity = self.worktree.identity()?;
        let new =
            self.state(&head, &format!("{} {} {:?}", identity.git_dir, identity.inode, identity.created_ns));
        let Opened { old_state, new, mut manifest, full, first, legs, starts } = self.open(run, lost, new)?;
        let delta = delta::diff(&manifest, &listing);
        outcome.full = full;
        outcome.files.unchanged = delta.unchanged;
        outcome.timing.list = began.elapsed();
        let mut writer = Writer {
            indexer: self,
            manifest: &mut manifest,
            batch: first,
            batch_bytes: 0,
            changed: Vec::new(),
            outcome: &mut outcome,
        };
        stopped = tracing::info_span!("index.parse", files = delta.changes.len())
            .in_scope(|| self.look(&delta.changes, &mut writer, observe))?
            .is_break();
        let (mut last, changed) = (writer.batch, writer.changed);
        let mut vectors = vectors.filter(|_| !stopped);
        let scope = vectors.as_ref().map(|vectors| vectors.scope);
        let mut fill = self.missing(&manifest, &changed, scope, legs, starts)?;
        let mut state = IndexState { complete: true, indexed_at: old_state.indexed_at, ..new };
        // A run that was stopped leaves the state as it was: there is more to look at.
        if !(stopped || state == old_state && is_empty(&last)) {
            state.indexed_at = now();
            last.state = Some(state.to_json());
            if let Some(vectors) = vectors.as_deref_mut() {
                fill.join(&mut last, vectors, &mut outcome);
            }
        }
        if last.state.is_some() || !is_empty(&last) {
            self.commit(last, &mut outcome)?;
        }
        stopped = stopped || observe(Progress::Searchable).is_break();
        if let Some(vectors) = vectors.filter(|_| !stopped) {
            stopped = tracing::info_span!("index.embed")
                .in_scope(|| fill.all(&listing, vectors, &mut state, &mut outcome, observe))?
                .is_break();
        }
        outcome.vectors = fill.counts();
        outcome.interrupted = stopped;
        if full.is_none() {
            self.attribute(&changed, old_state.commit.as_deref(), &head, &mut outcome);
        }
        count_skipped(&manifest, &listing, &mut outcome);
        outcome.chunks.total = manifest.values().map(|record| record.chunks().len() as u64).sum();
        outcome.timing.total = began.elapsed();
        Ok(outcome)
    }

    /// Applies words and what goes with them.
    fn commit(&self, batch: Batch, outcome: &mut Outcome) -> Result<(), IndexError> {
        let began = Instant::now();
        tracing::info_span!("store.apply", points = batch.upsert.len(), files = batch.files.len())
            .in_scope(|| self.database.apply(self.collection, batch))?;
        outcome.commits += 1;
        outcome.timing.store += began.elapsed();
        Ok(())
    }

    fn state(&self, head: &Head, identity: &str) -> IndexState {
        IndexState {
            format: FORMAT_VERSION,
            options: self.options.digest(),
            replacements: [None, None],
            root: self.worktree.root().to_string(),
            identity: identity.to_owned(),
            commit: head.commit.clone(),
            branch: head.branch.clone(),
            indexed_at: 0,
            complete: false,
        }
    }

    /// What the run begins with; `lost` where a former collection was moved aside.
    fn open(&self, run: Run, lost: Option<FullReason>, mut new: IndexState) -> Result<Opened, IndexError> {
        let wanted = self.options.store_legs();
        let schema = Schema {
            kind: CollectionKind::Codebase,
            legs: wanted.clone(),
            source: self.worktree.root().as_path().as_os_str().as_encoded_bytes().to_vec(),
        };
        self.database.create(self.collection, &schema)?;
        let Snapshot { legs: stored, state, manifest } = self.database.snapshot(self.collection)?;
        let known = state.as_deref().and_then(IndexState::from_json);
        let full = match (&state, &known) {
            _ if lost.is_some() => lost,
            (None, _) => Some(FullReason::Missing),
            _ if run.full => Some(FullReason::Requested),
            (Some(_), None) => Some(FullReason::Version),
            (Some(_), Some(state)) => state.full_reason(&new),
        };
        let old_state = known.unwrap_or_default();
        let keeps_points =
            matches!(full, None | Some(FullReason::Requested | FullReason::Version | FullReason::Options));
        let mut legs = wanted.clone();
        let starts = Leg::ALL.map(|leg| {
            let at = leg.index();
            match (&stored[at], &wanted[at]) {
                (stored, wanted) if stored == wanted => Start::Continues,
                (Some(former), Some((model, _))) if keeps_points => {
                    legs[at] = Some(former.clone());
                    let known = old_state.replacements[at].clone().filter(|known| known.model == model.0);
                    let known = known.map_or(0, |known| known.vectors);
                    new.replacements[at] = Some(Replacement { model: model.0.clone(), vectors: known });
                    Start::Replaces { former: former.0.0.clone(), known }
                }
                _ => Start::Begins,
            }
        });
        let new_legs = (legs != stored).then(|| legs.clone());
        let begun = IndexState { commit: None, branch: None, complete: false, ..new.clone() };
        let (manifest, first) = match full {
            None => (Arc::unwrap_or_clone(manifest), Batch { legs: new_legs, ..Batch::default() }),
            Some(_) if keeps_points => {
                // What is there goes on answering until each file has been replaced.
                let begun = IndexState { complete: old_state.complete, ..begun };
                let manifest = doubted(&manifest);
                let first = Batch {
                    delete: self.strays(&manifest)?,
                    files: manifest
                        .iter()
                        .map(|(path, record)| (path.clone(), Some(record.clone())))
                        .collect(),
                    legs: new_legs,
                    state: Some(begun.to_json()),
                    ..Batch::default()
                };
                (manifest, first)
            }
            Some(_) => {
                let state = Some(begun.to_json());
                let first = Batch { reset: true, legs: new_legs, state, ..Batch::default() };
                (Manifest::default(), first)
            }
        };
        let old_state = if full.is_some() { IndexState::default() } else { old_state };
        Ok(Opened { old_state, new, manifest, full, first, legs, starts })
    }

    /// Points that no record names. There should be none.
    fn strays(&self, manifest: &Manifest) -> Result<Vec<PointId>, IndexError> {
        let named: HashSet<PointId> =
            manifest.values().flat_map(|record| record.chunks()).map(|chunk| chunk.id).collect();
        let mut strays = Vec::new();
        self.database.scan(self.collection, &mut |point| {
            if !named.contains(&point.id) {
                strays.push(point.id);
            }
        })?;
        Ok(strays)
    }

    /// Looks at every change, several files at a time, and hands each to `writer`.
    fn look(
        &self,
        changes: &[Change],
        writer: &mut Writer<'_>,
        observe: Observe<'_>,
    ) -> Result<ControlFlow<()>, IndexError> {
        let began = Instant::now();
        let mut entries: Vec<(&FileEntry, Option<FileRecord>)> = Vec::new();
        for change in changes {
            match change {
                Change::Added(entry) => entries.push((entry, None)),
                Change::Suspect(entry) => entries.push((entry, writer.manifest.get(&entry.path).cloned())),
                Change::Removed(path) => writer.remove(path)?,
            }
        }
        let total = entries.len() as u64;
        let threads = self.options.threads.min(entries.len() / 8 + 1);
        let next = AtomicUsize::new(0);
        let root = self.worktree.root();
        let result = std::thread::scope(|scope| {
            // The bound keeps few files in memory while a commit is under way.
            let (send, receive) = mpsc::sync_channel::<Prepared>(threads * 8);
            for _ in 0..threads {
                let (send, entries, next) = (send.clone(), &entries, &next);
                scope.spawn(move || {
                    while let Some((entry, old)) = entries.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let prepared = prepare(root, entry, old.as_ref(), self.options);
                        if send.send(prepared).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(send);
            for (done, prepared) in (1..).zip(receive) {
                writer.put(prepared)?;
                if observe(Progress::Files { done, total }).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        });
        let stored = writer.outcome.timing.store;
        writer.outcome.timing.parse = began.elapsed().saturating_sub(stored);
        result
    }

    /// Splits the changed paths into those that the commits since the last run
    /// account for and the others.
    fn attribute(&self, changed: &[RepoPath], last: Option<&str>, head: &Head, outcome: &mut Outcome) {
        let between = match (last, head.commit.as_deref()) {
            (Some(last), Some(head)) if last != head && !changed.is_empty() => {
                // A commit that was collected or never fetched explains nothing.
                self.worktree.changed_between(last, head).ok().flatten().unwrap_or_default()
            }
            _ => Default::default(),
        };
        let committed = changed.iter().filter(|path| between.contains(*path)).count() as u64;
        outcome.files.committed = committed;
        outcome.files.uncommitted = changed.len() as u64 - committed;
    }
}

/// What a run begins with.
struct Opened {
    /// What the collection says of itself, where the run goes on from it.
    old_state: IndexState,
    /// What it is to say, but that a run has completed.
    new: IndexState,
    /// What is trusted of the collection's manifest.
    manifest: Manifest,
    /// Why nothing of it is, where that is so.
    full: Option<FullReason>,
    /// What the first commit does besides.
    first: Batch,
    /// The dense legs from then on.
    legs: Legs,
    /// How each is found.
    starts: [Start; 2],
}

/// The manifest with nothing in it that spares a file from being looked into, or a chunk from
/// being written; what is to be removed for it is all there still. A run that ends early
/// leaves the rest of it like that to the next one.
fn doubted(manifest: &Manifest) -> Manifest {
    let doubt = |record: &FileRecord| {
        let mut record = FileRecord { content: None, stat: None, ..record.clone() };
        if let FileState::Indexed { chunks, .. } = &mut record.state {
            chunks.iter_mut().for_each(|chunk| chunk.payload = !chunk.payload);
        }
        record
    };
    manifest.iter().map(|(path, record)| (path.clone(), doubt(record))).collect()
}

/// Why a collection that failed with `error` is to be built anew; `None` where that
/// would not help, or was not asked for.
fn replaceable(error: &StoreError, run: Run) -> Option<FullReason> {
    let reason = match error {
        StoreError::Corrupt { .. } => FullReason::Corrupt,
        // What a newer version made is not for this one to discard unasked.
        StoreError::NewerFormat { .. } if run.full => FullReason::Version,
        _ => return None,
    };
    tracing::warn!(%error, "the index cannot be continued");
    Some(reason)
}

/// Collects prepared files into batches and commits them.
struct Writer<'a> {
    indexer: &'a Indexer<'a>,
    manifest: &'a mut Manifest,
    batch: Batch,
    batch_bytes: usize,
    /// Paths whose content or presence changed.
    changed: Vec<RepoPath>,
    outcome: &'a mut Outcome,
}

impl Writer<'_> {
    fn remove(&mut self, path: &RepoPath) -> Result<(), IndexError> {
        let Some(old) = self.manifest.remove(path) else { return Ok(()) };
        self.outcome.files.removed += 1;
        self.outcome.chunks.removed += old.chunks().len() as u64;
        self.batch.delete.extend(old.chunks().iter().map(|chunk| chunk.id));
        self.batch.files.insert(path.clone(), None);
        self.changed.push(path.clone());
        self.flush_if_large()
    }

    fn put(&mut self, prepared: Prepared) -> Result<(), IndexError> {
        let Prepared { path, found, points, counts } = prepared;
        let files = &mut self.outcome.files;
        files.read += u64::from(counts.read);
        files.touched += u64::from(counts.touched);
        files.parsed += u64::from(counts.parsed);
        files.redactions += counts.redactions;
        files.syntax_errors += counts.syntax_errors;
        self.outcome.bytes.read += counts.bytes_read;
        let record = match found {
            Found::Record(record) => record,
            Found::Nothing => return self.remove(&path),
            Found::Unsettled => return Ok(()),
        };
        let old = self.manifest.get(&path);
        if old == Some(&record) {
            return Ok(());
        }
        if !counts.touched {
            let mut gone: HashMap<PointId, &ChunkRef> = old
                .map(FileRecord::chunks)
                .unwrap_or_default()
                .iter()
                .map(|chunk| (chunk.id, chunk))
                .collect();
            let chunk_counts = &mut self.outcome.chunks;
            for point in points {
                let old = gone.remove(&point.id);
                let new = chunk_ref(&point);
                match old {
                    Some(old) if *old == new => {
                        chunk_counts.kept += 1;
                        continue;
                    }
                    Some(old) if old.payload == new.payload && old.vectors == new.vectors => {
                        chunk_counts.moved += 1
                    }
                    Some(_) => {
                        chunk_counts.added += 1;
                        chunk_counts.removed += 1;
                    }
                    None => chunk_counts.added += 1,
                }
                self.batch_bytes += 2 * point.text.len() + 256;
                self.batch.upsert.push(point);
            }
            chunk_counts.removed += gone.len() as u64;
            self.batch.delete.extend(gone.into_keys());
            if old.is_none_or(|old| old.content != record.content || old.state != record.state) {
                self.changed.push(path.clone());
            }
        }
        self.batch_bytes += 128;
        self.batch.files.insert(path.clone(), Some(record.clone()));
        self.manifest.insert(path, record);
        self.flush_if_large()
    }

    fn flush_if_large(&mut self) -> Result<(), IndexError> {
        if self.batch_bytes >= BATCH_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), IndexError> {
        self.batch_bytes = 0;
        self.indexer.commit(std::mem::take(&mut self.batch), self.outcome)
    }
}

fn is_empty(batch: &Batch) -> bool {
    !batch.reset
        && batch.files.is_empty()
        && batch.upsert.is_empty()
        && batch.delete.is_empty()
        && batch.legs.is_none()
}

fn count_skipped(manifest: &Manifest, listing: &Listing, outcome: &mut Outcome) {
    let listed: HashSet<&RepoPath> = listing.entries.iter().map(|entry| &entry.path).collect();
    let mut skipped = BTreeMap::new();
    for (path, record) in manifest {
        if let FileState::Skipped(reason) = record.state
            && listed.contains(path)
        {
            *skipped.entry(reason).or_insert(0) += 1;
        }
    }
    outcome.files.skipped = skipped;
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Options {
    /// Digest of the options that decide what a chunk is, and which texts of it have vectors.
    fn digest(&self) -> String {
        let mut digest = format!(
            "max_file_bytes={};max_chunk_tokens={};tokenizer={}",
            self.max_file_bytes, self.max_chunk_tokens, self.tokenizer
        );
        for (leg, options) in Leg::ALL.into_iter().zip(&self.legs) {
            let texts = options.as_ref().map_or("off", |options| &options.texts);
            digest.push_str(&format!(";{leg}={texts}"));
        }
        digest
    }

    /// The dense legs as the store has them.
    pub(super) fn store_legs(&self) -> Legs {
        let of_leg = |leg: &LegOptions| (leg.fingerprint.clone(), leg.dimension);
        Leg::ALL.map(|leg| self.legs[leg.index()].as_ref().map(of_leg))
    }
}
