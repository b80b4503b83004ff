//! Applies one batch: vectors, manifest records and documents are written and
//! synced; then the commit record is replaced, which names how much of each file
//! counts.
//!
//! Runs under the collection's writer lock. What an earlier writer left unfinished
//! is removed or overwritten; nothing that a commit refers to is ever changed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tantivy::directory::MmapDirectory;
use tantivy::index::SegmentId;
use tantivy::indexer::{IndexWriterOptions, NoMergePolicy};
use tantivy::query::{
    BitSetDocSet, ConstScorer, EmptyScorer, EnableScoring, Explanation, Query, Scorer, Weight,
};
use tantivy::{BitSet, Index, IndexMeta, IndexWriter, SegmentReader, TantivyError};

use super::directory::{META, WriteDirectory};
use super::fields::Fields;
use super::handle::{Commit, Extent, Handle, INDEX, from_tantivy, manifest_name, vectors_name};
use super::{manifest_log, vectors};
use crate::embed::Leg;
use crate::id::{PointId, VectorKey};
use crate::state_dir;
use crate::store::{Batch, Point, StoreError};

/// Memory for the terms of documents that are not on disk yet, in bytes.
const WRITER_MEMORY: usize = 30_000_000;
/// The same for a few documents: half of it is a hash table that is cleared first.
const SMALL_WRITER_MEMORY: usize = 15_000_000;
/// How many are a few.
const FEW_DOCUMENTS: usize = 500;
/// Segments of one size class before they are merged.
const SEGMENTS_PER_TIER: usize = 5;
/// Segments with fewer points are of the smallest size class.
const SMALL_SEGMENT: u32 = 256;
/// A manifest log this much longer than at its last compaction is compacted …
const MANIFEST_SLACK: u64 = 256 << 10;
/// … and a vector file with this many vectors more is looked at.
const VECTOR_SLACK: u64 = 1024;

/// Applies `batch` to the state that `handle` shows, which must be the newest.
pub(super) fn apply(handle: &Handle, batch: Batch) -> Result<(), StoreError> {
    sweep(handle, &handle.commit);
    let result = write(handle, batch);
    match &result {
        Ok(commit) => sweep_parts(&handle.root, commit),
        // Frees what a full disk holds.
        Err(_) => sweep(handle, &handle.commit),
    }
    result.map(|_| ())
}

fn write(handle: &Handle, batch: Batch) -> Result<Commit, StoreError> {
    let Batch { reset, delete, upsert, files, vectors, state } = batch;
    let upsert: HashMap<PointId, Point> = upsert.into_iter().map(|point| (point.id, point)).collect();
    let mut commit = handle.commit.clone();
    let mut written = Vec::new();
    for leg in Leg::ALL {
        let new = new_vectors(handle, leg, &vectors)?;
        if !new.is_empty() {
            let (extent, file) = append_vectors(handle, leg, &new, upsert.values(), reset)?;
            written.push((handle.root.join(vectors_name(leg, &extent)), file));
            commit.vectors[leg.index()] = Some(extent);
        }
    }
    drop(vectors);
    if reset || !files.is_empty() || state.is_some() {
        let (extent, file) = append_manifest(handle, files, state, reset)?;
        written.push((handle.root.join(manifest_name(&extent)), file));
        commit.manifest = extent;
    }
    // For the names of those that are new.
    let directory = File::open(&handle.root).map_err(|e| StoreError::read(&handle.root, e))?;
    written.push((handle.root.clone(), directory));
    commit_index(handle, &commit, written, reset, delete, upsert)?;
    Ok(commit)
}

/// The vectors of `leg` that are not there yet, each once.
fn new_vectors<'a>(
    handle: &Handle,
    leg: Leg,
    vectors: &'a [(Leg, VectorKey, Vec<f32>)],
) -> Result<BTreeMap<VectorKey, &'a [f32]>, StoreError> {
    let mut new = BTreeMap::new();
    let mut offered = vectors.iter().filter(|(l, ..)| *l == leg).peekable();
    if offered.peek().is_none() {
        return Ok(new);
    }
    let Some(present) = handle.vectors(leg)? else {
        return Err(off(leg));
    };
    for (_, key, vector) in offered {
        if vector.len() != present.dimension() || vector.iter().any(|v| !v.is_finite()) {
            return Err(StoreError::Invalid(format!(
                "a vector of the {leg} leg needs {} finite components",
                present.dimension()
            )));
        }
        if present.ordinal(key).is_none() {
            new.insert(*key, vector.as_slice());
        }
    }
    Ok(new)
}

fn off(leg: Leg) -> StoreError {
    StoreError::Invalid(format!("the {leg} leg of this collection is off"))
}

/// Adds vectors to the leg's file, or to a new one without the dead ones where
/// those are more than half.
fn append_vectors<'a>(
    handle: &Handle,
    leg: Leg,
    new: &BTreeMap<VectorKey, &[f32]>,
    upsert: impl Iterator<Item = &'a Point>,
    reset: bool,
) -> Result<(Extent, File), StoreError> {
    let (Some(extent), Some(present)) = (&handle.commit.vectors[leg.index()], handle.vectors(leg)?) else {
        return Err(off(leg));
    };
    let mut extent = extent.clone();
    let record_len = vectors::record_len(present.dimension()) as u64;
    let mut bytes = Vec::with_capacity(new.len() * record_len as usize);
    for (key, vector) in new {
        vectors::append(&mut bytes, *key, vector);
    }
    let added = bytes.len() as u64;

    // After a reset the points are on their way back: their vectors stay.
    if !reset && extent.len > 2 * extent.base + VECTOR_SLACK * record_len {
        let mut live: HashSet<VectorKey> = upsert.filter_map(|point| point.vectors[leg.index()]).collect();
        handle.for_each_key(leg, |_, key| live.extend([key]))?;
        let mut kept: Vec<u32> = live.iter().filter_map(|key| present.ordinal(key)).collect();
        if kept.len() < present.len() / 2 {
            kept.sort_unstable();
            extent.number += 1;
            extent.len = vectors::HEADER_LEN as u64 + kept.len() as u64 * record_len + added;
            extent.base = extent.len;
            let file = write_new(&handle.root.join(vectors_name(leg, &extent)), |out| {
                out.write_all(&vectors::header(present.dimension()))?;
                kept.iter().try_for_each(|ordinal| out.write_all(present.record(*ordinal)))?;
                out.write_all(&bytes)
            })?;
            return Ok((extent, file));
        }
        extent.base = extent.len;
    }
    let file = append_to(&handle.root.join(vectors_name(leg, &extent)), extent.len, &bytes)?;
    extent.len += added;
    Ok((extent, file))
}

/// Adds records to the manifest log, or to a new one without the outdated ones.
fn append_manifest(
    handle: &Handle,
    files: BTreeMap<crate::path::RepoPath, Option<crate::manifest::FileRecord>>,
    state: Option<String>,
    reset: bool,
) -> Result<(Extent, File), StoreError> {
    let mut extent = handle.commit.manifest.clone();
    let file = if reset || extent.len > 2 * extent.base + MANIFEST_SLACK {
        let mut snapshot = handle.snapshot()?;
        if reset {
            snapshot.manifest.clear();
        }
        for (path, record) in files {
            match record {
                Some(record) => drop(snapshot.manifest.insert(path, record)),
                None => drop(snapshot.manifest.remove(&path)),
            }
        }
        snapshot.state = state.or(snapshot.state);
        let bytes = manifest_log::compact(snapshot);
        extent.number += 1;
        extent.len = bytes.len() as u64;
        extent.base = extent.len;
        write_new(&handle.root.join(manifest_name(&extent)), |out| out.write_all(&bytes))?
    } else {
        let mut bytes = Vec::new();
        manifest_log::append(&mut bytes, &files, state.as_deref());
        let file = append_to(&handle.root.join(manifest_name(&extent)), extent.len, &bytes)?;
        extent.len += bytes.len() as u64;
        file
    };
    Ok((extent, file))
}

/// Writes `bytes` after the first `len` of a file; the file is still to be synced.
fn append_to(path: &Path, len: u64, bytes: &[u8]) -> Result<File, StoreError> {
    let mut file = OpenOptions::new().write(true).open(path).map_err(|e| StoreError::write(path, e))?;
    let found = file.metadata().map_err(|e| StoreError::read(path, e))?.len();
    if found < len {
        return Err(StoreError::corrupt(path, "it is shorter than was committed"));
    }
    let write = |file: &mut File| {
        // A former writer's unfinished bytes.
        if found > len {
            file.set_len(len)?;
        }
        file.seek(SeekFrom::Start(len))?;
        file.write_all(bytes)
    };
    write(&mut file).map_err(|e| StoreError::write(path, e))?;
    Ok(file)
}

/// Writes a file that no commit refers to yet; it is still to be synced.
pub(super) fn write_new(
    path: &Path,
    content: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<File, StoreError> {
    let write = || {
        let mut out = BufWriter::new(File::create(path)?);
        content(&mut out)?;
        Ok(out.into_inner()?)
    };
    write().map_err(|e| StoreError::write(path, e))
}

/// Changes the documents and replaces the commit record.
fn commit_index(
    handle: &Handle,
    commit: &Commit,
    written: Vec<(PathBuf, File)>,
    reset: bool,
    delete: Vec<PointId>,
    upsert: HashMap<PointId, Point>,
) -> Result<(), StoreError> {
    let root = handle.root.join(INDEX);
    let files = MmapDirectory::open(&root).map_err(|e| StoreError::corrupt(&root, format!("{e:?}")))?;
    let directory = WriteDirectory::new(root.clone(), files, handle.envelope.clone());
    directory.sync_with_commit(written);
    // The cause of a failure is with the directory: tantivy may only know that
    // a thread has ended.
    let failed = |error: TantivyError| match directory.take_failure() {
        Some((path, source)) => StoreError::write(&path, source),
        None => from_tantivy(&root, error),
    };
    let payload = serde_json::to_string(commit).map_err(|e| StoreError::Invalid(e.to_string()))?;
    let index = Index::open(directory.clone()).map_err(failed)?;

    let mut removed = HashMap::new();
    if !reset {
        let ids: HashSet<PointId> = delete.into_iter().chain(upsert.keys().copied()).collect();
        for segment in handle.searcher.segment_readers() {
            let docs = if ids.is_empty() { Vec::new() } else { handle.docs_with_ids(segment, &ids)? };
            if !docs.is_empty() {
                removed.insert(segment.segment_id(), docs);
            }
        }
    }
    if removed.is_empty() && upsert.is_empty() && (!reset || handle.searcher.num_docs() == 0) {
        let mut meta = index.load_metas().map_err(failed)?;
        meta.payload = Some(payload);
        return replace_record(&directory, &root, &meta);
    }

    // Once on this thread, where a panic can be caught: in tantivy's own it ends
    // the process.
    for segment in index.searchable_segments().map_err(failed)? {
        SegmentReader::open(&segment).map_err(failed)?;
    }
    Fields::register(&index);
    let memory = if upsert.len() > FEW_DOCUMENTS { WRITER_MEMORY } else { SMALL_WRITER_MEMORY };
    let options = IndexWriterOptions::builder()
        .num_worker_threads(1)
        .num_merge_threads(1)
        .memory_budget_per_thread(memory)
        .build();
    let mut writer: IndexWriter = index.writer_with_options(options).map_err(failed)?;
    writer.set_merge_policy(Box::new(NoMergePolicy));
    if reset {
        writer.delete_all_documents().map_err(failed)?;
    } else if !removed.is_empty() {
        writer.delete_query(Box::new(Docs(removed))).map_err(failed)?;
    }
    // In a fixed order, so that equal batches make equal segments.
    let mut points: Vec<Point> = upsert.into_values().collect();
    points.sort_unstable_by(|a, b| (&a.path, a.bytes.start, a.id).cmp(&(&b.path, b.bytes.start, b.id)));
    for point in points {
        writer.add_document(handle.fields.document(&point)).map_err(failed)?;
    }
    let mut prepared = writer.prepare_commit().map_err(failed)?;
    prepared.set_payload(&payload);
    prepared.commit().map_err(failed)?;

    // The batch is applied: what goes wrong from here on is not its failure.
    if let Err(error) = merge(&index, &mut writer) {
        tracing::warn!(path = %root.display(), %error, "segments were not merged; the next change tries again");
    }
    if let Err(error) = writer.wait_merging_threads() {
        tracing::warn!(path = %root.display(), %error, "the index writer did not end cleanly");
    }
    Ok(())
}

pub(super) fn replace_record(
    directory: &WriteDirectory,
    root: &Path,
    meta: &IndexMeta,
) -> Result<(), StoreError> {
    let path = root.join(META);
    let bytes = serde_json::to_vec_pretty(meta).map_err(|e| StoreError::Invalid(e.to_string()))?;
    directory.commit(&bytes).map_err(|e| StoreError::write(&path, e))
}

/// Merges segments until few are left of each size, and none is mostly dead.
fn merge(index: &Index, writer: &mut IndexWriter) -> tantivy::Result<()> {
    loop {
        let segments: Vec<_> = index
            .searchable_segment_metas()?
            .iter()
            .map(|meta| (meta.id(), meta.num_docs(), meta.num_deleted_docs()))
            .collect();
        let candidates = merge_candidates(&segments);
        if candidates.is_empty() {
            return Ok(());
        }
        writer.merge(&candidates).wait()?;
    }
}

/// Which of the segments (id, live, deleted) to merge into one; none if all is well.
fn merge_candidates(segments: &[(SegmentId, u32, u32)]) -> Vec<SegmentId> {
    let tier = |live: u32| (live / SMALL_SEGMENT).checked_ilog(4).map_or(0, |log| log + 1);
    let count = |t: u32| segments.iter().filter(|(_, live, _)| tier(*live) == t).count();
    let full = (0..=tier(u32::MAX)).rev().find(|t| count(*t) >= SEGMENTS_PER_TIER);
    if let Some(full) = full {
        // The smaller ones ride along: little work, and fewer are left.
        return segments.iter().filter(|(_, live, _)| tier(*live) <= full).map(|(id, ..)| *id).collect();
    }
    let mostly_dead =
        |(_, live, deleted): &&(SegmentId, u32, u32)| deleted > live && *deleted >= SMALL_SEGMENT;
    segments.iter().find(mostly_dead).map(|(id, ..)| vec![*id]).unwrap_or_default()
}

/// Removes what no commit refers to: an unfinished write, or a former state.
fn sweep(handle: &Handle, commit: &Commit) {
    sweep_parts(&handle.root, commit);
    remove_where(&handle.root.join(INDEX), |name| {
        name != META && !handle.envelope.files.contains_key(name) || state_dir::is_temporary(name)
    });
}

fn sweep_parts(root: &Path, commit: &Commit) {
    let mut kept = vec![manifest_name(&commit.manifest)];
    for leg in Leg::ALL {
        kept.extend(commit.vectors[leg.index()].as_ref().map(|extent| vectors_name(leg, extent)));
    }
    remove_where(root, |name| {
        let part = name.starts_with("manifest.") || name.starts_with("vectors.");
        part && !kept.iter().any(|k| k == name) || state_dir::is_temporary(name)
    });
}

/// Best effort: what cannot be removed is tried again by the next writer.
fn remove_where(directory: &Path, condition: impl Fn(&str) -> bool) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(&condition) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Documents by segment, as a query: what is to be removed was found before the
/// writer was opened, by a reader that has verified the files.
#[derive(Clone, Debug)]
struct Docs(HashMap<SegmentId, Vec<u32>>);

impl Query for Docs {
    fn weight(&self, _scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(self.clone()))
    }
}

impl Weight for Docs {
    fn scorer(&self, reader: &SegmentReader, _boost: f32) -> tantivy::Result<Box<dyn Scorer>> {
        let Some(docs) = self.0.get(&reader.segment_id()) else { return Ok(Box::new(EmptyScorer)) };
        let mut set = BitSet::with_max_value(reader.max_doc());
        for doc in docs {
            set.insert(*doc);
        }
        Ok(Box::new(ConstScorer::new(BitSetDocSet::from(set), 1.0)))
    }

    fn explain(&self, _reader: &SegmentReader, _doc: u32) -> tantivy::Result<Explanation> {
        Ok(Explanation::new("to be removed", 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_merged_by_size_and_when_mostly_dead() {
        type Case = (&'static [(u32, u32)], &'static [usize]);
        let cases: &[Case] = &[
            (&[], &[]),
            (&[(20, 0); 4], &[]),
            (&[(20, 0); 5], &[0, 1, 2, 3, 4]),
            // A full tier takes the smaller segments along, and leaves larger ones alone.
            (&[(18_000, 0), (300, 0), (400, 0), (500, 0), (600, 0), (700, 0), (20, 0)], &[1, 2, 3, 4, 5, 6]),
            (&[(18_000, 17_000), (20, 0)], &[]),
            (&[(18_000, 18_001), (20, 0)], &[0]),
            (&[(10, 100)], &[]),
        ];
        for (segments, expected) in cases {
            let ids: Vec<SegmentId> = segments.iter().map(|_| SegmentId::generate_random()).collect();
            let segments: Vec<_> =
                ids.iter().zip(*segments).map(|(id, (live, deleted))| (*id, *live, *deleted)).collect();
            let expected: Vec<_> = expected.iter().map(|i| ids[*i]).collect();
            assert_eq!(merge_candidates(&segments), expected, "{segments:?}");
        }
    }
}
