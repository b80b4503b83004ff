//! Proof that an index is what is on disk, from the bytes, and what it says of one path.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::prepare::{Found, chunk_ref, prepare};
use super::{IndexError, Indexer, Progress};
use crate::embed::Leg;
use crate::git::{FileEntry, PatternMatch};
use crate::id::PointId;
use crate::manifest::{ChunkRef, FileRecord, FileState};
use crate::path::RepoPath;
use crate::skip::SkipReason;
use crate::store::Batch;

/// What is wrong about one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// Shown by git, unknown to the index.
    Missing,
    /// In the index, not shown by git.
    Extra,
    /// The file has changed since it was indexed.
    Stale,
    /// The index says something else than these bytes give.
    Wrong,
}

impl Difference {
    /// Stable name.
    pub fn name(self) -> &'static str {
        match self {
            Difference::Missing => "missing",
            Difference::Extra => "extra",
            Difference::Stale => "stale",
            Difference::Wrong => "wrong",
        }
    }
}

/// Result of a verification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Files that git shows.
    pub files: u64,
    /// Points in the store.
    pub points: u64,
    /// What differs, by path.
    pub differences: BTreeMap<RepoPath, Difference>,
    /// Damage that checksums found in the store.
    pub damage: Vec<String>,
    /// Vectors that chunks need and the collection lacks, by leg; all, where it has those of another
    /// model. Not a difference: the next run fills them. `None` where the leg is off.
    pub pending: [Option<u64>; 2],
}

impl Verification {
    /// Whether index and disk are equal.
    pub fn is_clean(&self) -> bool {
        self.differences.is_empty() && self.damage.is_empty()
    }
}

/// What the index says of one path, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The path.
    pub path: RepoPath,
    /// Whether git shows it: tracked, or untracked and not ignored.
    pub listed: bool,
    /// Whether git tracks it.
    pub tracked: bool,
    /// The ignore pattern that hides it, where one does.
    pub ignored_by: Option<PatternMatch>,
    /// Why it has no chunks, by the rules as they are now.
    pub skip: Option<SkipReason>,
    /// The index's record, if it has one.
    pub record: Option<FileRecord>,
    /// Whether the record differs from the file as it is now.
    pub pending: bool,
    /// The chunks that the file's bytes give now, without text.
    pub chunks: Vec<ExplainedChunk>,
}

/// One chunk of an explained file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedChunk {
    /// First and last line.
    pub lines: (u32, u32),
    /// Kind.
    pub kind: String,
    /// Symbol with its container, if it has one.
    pub symbol: Option<String>,
    /// By leg: whether it has a vector; `None` where its text is over the model's limit or the leg is off.
    pub vectors: [Option<bool>; 2],
}

impl Indexer<'_> {
    /// Compares every file's bytes with every record and point, and reads all of the store.
    pub fn verify(&self, observe: &mut dyn FnMut(Progress<'_>)) -> Result<Verification, IndexError> {
        observe(Progress::Listing);
        let listing = self.worktree.list()?;
        let mut result = Verification {
            files: listing.entries.len() as u64,
            damage: self.database.check(self.collection)?,
            ..Verification::default()
        };
        if !result.damage.is_empty() {
            // What is damaged proves nothing about the files, and may not even be readable.
            return Ok(result);
        }
        let snapshot = self.database.snapshot(self.collection)?;
        if snapshot.state.is_none() {
            return Err(IndexError::NotIndexed(self.worktree.root().to_string()));
        }
        let mut stored: HashMap<RepoPath, HashMap<PointId, ChunkRef>> = HashMap::new();
        self.database.scan(self.collection, &mut |point| {
            result.points += 1;
            let path = point.path.clone();
            let (id, stored_as) = (point.id, chunk_ref(&point));
            if stored.entry(path.clone()).or_default().insert(id, stored_as).is_some() {
                result.differences.insert(path, Difference::Wrong);
            }
        })?;
        let total = listing.entries.len() as u64;
        let mut seen = BTreeSet::new();
        for (done, entry) in (1..).zip(&listing.entries) {
            seen.insert(&entry.path);
            let points = stored.remove(&entry.path).unwrap_or_default();
            if let Some(difference) = self.compare(entry, snapshot.manifest.get(&entry.path), &points) {
                result.differences.insert(entry.path.clone(), difference);
            }
            observe(Progress::Files { done, total });
        }
        let below_unreadable = |path: &RepoPath| {
            listing
                .unreadable
                .iter()
                .any(|(dir, _)| path.ancestors().any(|ancestor| ancestor == dir.as_bstr()))
        };
        let known = snapshot.manifest.keys().chain(stored.keys());
        for path in known.filter(|path| !seen.contains(path) && !below_unreadable(path)) {
            result.differences.insert(path.clone(), Difference::Extra);
        }
        let wanted = self.options.store_legs();
        for leg in Leg::ALL {
            let present = match snapshot.legs[leg.index()] == wanted[leg.index()] {
                true => self.database.vector_keys(self.collection, leg)?,
                false => Default::default(),
            };
            let needed: BTreeSet<_> = snapshot
                .manifest
                .values()
                .flat_map(FileRecord::chunks)
                .filter_map(|chunk| chunk.vectors[leg.index()])
                .collect();
            let missing = needed.iter().filter(|key| !present.contains(*key)).count() as u64;
            result.pending[leg.index()] = self.options.legs[leg.index()].as_ref().map(|_| missing);
        }
        Ok(result)
    }

    fn compare(
        &self,
        entry: &FileEntry,
        record: Option<&FileRecord>,
        points: &HashMap<PointId, ChunkRef>,
    ) -> Option<Difference> {
        let expected = prepare(self.worktree.root(), entry, None, self.options);
        let Found::Record(expected_record) = expected.found else {
            // It went, or was written to, since the listing.
            return record.map(|_| Difference::Stale);
        };
        let Some(record) = record else { return Some(Difference::Missing) };
        if record.content != expected_record.content || record.tracked != expected_record.tracked {
            return Some(Difference::Stale);
        }
        let same_record = record.state == expected_record.state;
        let same_points = points.len() == expected.points.len()
            && expected.points.iter().all(|point| points.get(&point.id) == Some(&chunk_ref(point)));
        (!same_record || !same_points).then_some(Difference::Wrong)
    }

    /// Removes what is in the index about the paths that differ, so that the next
    /// run makes it anew; a damaged collection is moved aside whole.
    pub fn forget(&self, verification: &Verification) -> Result<(), IndexError> {
        if !verification.damage.is_empty() {
            let place = self.database.set_aside(self.collection)?;
            tracing::warn!(place, "the damaged index was moved aside");
            return Ok(());
        }
        let mut batch = Batch::default();
        self.database.scan(self.collection, &mut |point| {
            if verification.differences.contains_key(&point.path) {
                batch.delete.push(point.id);
            }
        })?;
        batch.files = verification.differences.keys().map(|path| (path.clone(), None)).collect();
        self.database.apply(self.collection, batch)?;
        Ok(())
    }

    /// What the index says of `path`, and what it would say now.
    pub fn explain(&self, path: &RepoPath) -> Result<Explanation, IndexError> {
        let listing = self.worktree.list()?;
        let snapshot = self.database.snapshot(self.collection)?;
        let record = snapshot.manifest.get(path).cloned();
        let entry = listing.entries.iter().find(|entry| entry.path == *path);
        let mut explanation = Explanation {
            path: path.clone(),
            listed: entry.is_some(),
            tracked: entry.is_some_and(|entry| entry.tracked),
            ignored_by: None,
            skip: None,
            pending: record.is_some(),
            record,
            chunks: Vec::new(),
        };
        let Some(entry) = entry else {
            explanation.ignored_by = self.worktree.ignored_by(path)?;
            return Ok(explanation);
        };
        let prepared = prepare(self.worktree.root(), entry, None, self.options);
        let Found::Record(new) = prepared.found else { return Ok(explanation) };
        if let FileState::Skipped(reason) = new.state {
            explanation.skip = Some(reason);
        }
        explanation.pending = explanation.record.as_ref().is_none_or(|old| {
            (old.content, &old.state, old.tracked) != (new.content, &new.state, new.tracked)
        });
        let mut present = Vec::new();
        for leg in Leg::ALL {
            present.push(self.database.vector_keys(self.collection, leg)?);
        }
        explanation.chunks = prepared
            .points
            .iter()
            .map(|point| ExplainedChunk {
                lines: point.lines,
                kind: point.kind.clone(),
                symbol: point.symbol.as_ref().map(|symbol| match &point.container {
                    Some(container) => format!("{container} {symbol}"),
                    None => symbol.clone(),
                }),
                vectors: Leg::ALL
                    .map(|leg| point.vectors[leg.index()].map(|key| present[leg.index()].contains(&key))),
            })
            .collect();
        Ok(explanation)
    }
}
