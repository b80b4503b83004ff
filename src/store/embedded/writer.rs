//! Applies one batch: vectors, manifest records and segments are written and
//! synced; then the commit record is replaced, which names how much of each file
//! counts.
//!
//! Runs under the collection's writer lock. What an earlier writer left unfinished
//! is removed or overwritten; nothing that a commit refers to is ever changed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::changes::{Changes, Place};
use super::commit::{
    self, Commit, Extent, SegmentEntry, changes_name, is_part, manifest_name, segment_name, vectors_name,
};
use super::handle::{Handle, from_tantivy};
use super::vectors::Vectors;
use super::{manifest_log, merge_policy, segment, vectors};
use crate::embed::Leg;
use crate::id::{PointId, VectorKey};
use crate::manifest::{FileRecord, Manifest};
use crate::path::RepoPath;
use crate::state_dir;
use crate::store::{Batch, Point, StoreError};

/// Bytes of the commit record up to which what is appended stays in it: what a file
/// system writes at least.
const RECORD_LEN: usize = 4096;
/// Points that moved up to which a segment says so. Another one that moves is written
/// anew, so that little is to be read and copied of them.
const MOVED: usize = 8192;
/// A log of changes this much longer than at its last compaction is compacted …
const CHANGES_SLACK: u64 = 16 << 10;
/// … as is a manifest log that would be this much longer …
const MANIFEST_SLACK: u64 = 256 << 10;
/// … and a vector file with this many vectors more is looked at.
const VECTOR_SLACK: u64 = 1024;

/// Files that are written and still to be synced.
type Written = Vec<(PathBuf, File)>;

/// Applies `batch` to the state that `handle` shows, which must be the newest.
/// Returns the new state, where it could be opened.
pub(super) fn apply(handle: &Handle, batch: Batch) -> Result<Option<Handle>, StoreError> {
    sweep(&handle.root, &handle.commit);
    let result = write(handle, batch);
    // Frees what a full disk holds.
    let record = result.inspect_err(|_| sweep(&handle.root, &handle.commit))?;
    // The batch is applied: what goes wrong from here on is not its failure.
    let newest = Handle::open(&handle.root, record, Some(handle)).and_then(merge_all);
    match newest {
        Ok(newest) => {
            sweep(&newest.root, &newest.commit);
            Ok(Some(newest))
        }
        Err(error) => {
            let path = handle.root.display();
            tracing::warn!(%path, %error, "segments were not merged; the next change tries again");
            Ok(None)
        }
    }
}

/// Merges segments until few are left.
fn merge_all(mut handle: Handle) -> Result<Handle, StoreError> {
    while let Some(record) = merge(&handle)? {
        handle = Handle::open(&handle.root, record, Some(&handle))?;
    }
    Ok(handle)
}

/// Writes the next state; the bytes of its commit record.
fn write(handle: &Handle, batch: Batch) -> Result<Vec<u8>, StoreError> {
    let Batch { reset, delete, upsert, files, legs, vectors, state } = batch;
    let mut upsert: HashMap<PointId, Point> = upsert.into_iter().map(|point| (point.id, point)).collect();
    let mut commit = handle.commit.clone();
    let mut written = Vec::new();
    commit.legs = legs.unwrap_or(commit.legs);
    for leg in Leg::ALL {
        let stays = commit.legs[leg.index()] == handle.commit.legs[leg.index()];
        let any = vectors.iter().any(|(of, ..)| *of == leg);
        let present = if stays && any { handle.vectors(leg)? } else { None };
        let new = new_vectors(&commit, leg, present.as_deref(), &vectors)?;
        match present {
            None if !stays => replace_vectors(&handle.root, leg, &new, &mut commit, &mut written)?,
            Some(present) if !new.is_empty() => {
                // After a reset the points are on their way back: all vectors stay.
                let points = (!reset).then(|| upsert.values());
                append_vectors(handle, leg, &present, &new, points, &mut commit, &mut written)?;
            }
            _ => {}
        }
    }
    drop(vectors);
    if reset {
        commit.segments.clear();
    } else if !delete.is_empty() || !upsert.is_empty() {
        commit.segments = change_documents(handle, delete, &mut upsert, &mut written)?;
    }
    // In a fixed order, so that equal batches make equal segments.
    let mut points: Vec<Point> = upsert.into_values().collect();
    points.sort_unstable_by(|a, b| (&a.path, a.bytes.start, a.id).cmp(&(&b.path, b.bytes.start, b.id)));
    let mut points = points.iter().peekable();
    while points.peek().is_some() {
        let bytes = segment::build(&handle.fields, &mut points).map_err(|e| from_tantivy(&handle.root, e))?;
        add_segment(&handle.root, &bytes, &mut commit, &mut written)?;
    }
    commit.state = state.or(commit.state);
    if reset || !files.is_empty() {
        append_manifest(handle, files, reset, &mut commit.manifest, &mut written)?;
    }
    write_tails(&handle.root, &mut commit, &mut written)?;
    replace_record(&handle.root, &commit, written)
}

/// Appends to their files what has no room in the commit record, the longest first.
fn write_tails(root: &Path, commit: &mut Commit, written: &mut Written) -> Result<(), StoreError> {
    while commit.encode().len() > RECORD_LEN {
        let longest = commit.extents().max_by_key(|(_, extent)| extent.tail.len());
        let Some((name, extent)) = longest.filter(|(_, extent)| !extent.tail.is_empty()) else { break };
        let path = root.join(name);
        let file = append_to(&path, extent.len, &extent.tail)?;
        written.push((path, file));
        *extent = Extent { len: extent.total(), tail: Vec::new(), ..*extent };
    }
    Ok(())
}

/// Syncs what was written and replaces the commit record, whose bytes are returned:
/// the one atomic point.
pub(super) fn replace_record(root: &Path, commit: &Commit, written: Written) -> Result<Vec<u8>, StoreError> {
    let record = commit.encode();
    state_dir::replace_atomic(&root.join(commit::NAME), &record, written)
        .map_err(|(path, error)| StoreError::write(&path, error))?;
    Ok(record)
}

/// Writes a segment's file.
fn add_segment(
    root: &Path,
    bytes: &[u8],
    commit: &mut Commit,
    written: &mut Written,
) -> Result<(), StoreError> {
    let number = commit.draw_number();
    let path = root.join(segment_name(number));
    let file = write_new(&path, |out| out.write_all(bytes))?;
    written.push((path, file));
    let checksum = segment::checksum(bytes).unwrap_or_default();
    commit.segments.push(SegmentEntry { number, checksum, changes: Extent::default() });
    Ok(())
}

/// Notes the documents of these points as deleted, and takes out of `upsert` those
/// that only moved. Segments without other documents are left out of what is returned.
fn change_documents(
    handle: &Handle,
    delete: Vec<PointId>,
    upsert: &mut HashMap<PointId, Point>,
    written: &mut Written,
) -> Result<Vec<SegmentEntry>, StoreError> {
    let ids: HashSet<PointId> = delete.into_iter().chain(upsert.keys().copied()).collect();
    let mut entries = Vec::with_capacity(handle.segments.len());
    for segment in &handle.segments {
        let mut changes = Changes::default();
        for (document, id) in handle.docs_with_ids(&segment.reader, &ids)? {
            let room = segment.changes.moved.len() + changes.moved.len() < MOVED;
            let same = |point: &Point| {
                let payload = segment.payload(document);
                payload.is_ok_and(|payload| handle.fields.differs_only_in_place(&payload, point))
            };
            match upsert.get(&id) {
                Some(point) if room && same(point) => {
                    changes.moved.insert(document, Place::of(point));
                    upsert.remove(&id);
                }
                _ => drop(changes.deleted.insert(document)),
            }
        }
        if changes.deleted.len() as u32 == segment.reader.num_docs() {
            continue;
        }
        let mut entry = segment.entry.clone();
        if !changes.is_empty() {
            append_changes(&handle.root, &mut entry, &segment.changes, &changes, written)?;
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// Adds changes to those of a segment, or all to a new log without the outdated ones.
fn append_changes(
    root: &Path,
    entry: &mut SegmentEntry,
    former: &Changes,
    new: &Changes,
    written: &mut Written,
) -> Result<(), StoreError> {
    let log = &mut entry.changes;
    if log.len <= 2 * log.base + CHANGES_SLACK {
        new.append(&mut log.tail);
        return Ok(());
    }
    let mut all = former.clone();
    all.extend(new);
    let mut bytes = Vec::new();
    all.append(&mut bytes);
    *log = Extent::whole(log.number + 1, bytes.len() as u64);
    let path = root.join(changes_name(entry));
    let file = write_new(&path, |out| out.write_all(&bytes))?;
    written.push((path, file));
    Ok(())
}

/// Merges segments where there are too many; the new commit record's bytes, if so.
fn merge(handle: &Handle) -> Result<Option<Vec<u8>>, StoreError> {
    let counts: Vec<merge_policy::Counts> = (handle.segments.iter())
        .map(|segment| (segment.reader.num_docs(), segment.reader.num_deleted_docs()))
        .collect();
    let candidates = merge_policy::candidates(&counts);
    if candidates.is_empty() {
        return Ok(None);
    }
    let sources: Vec<_> = candidates.iter().map(|at| handle.segments[*at].clone()).collect();
    let (bytes, changes) = segment::merge(&sources).map_err(|e| from_tantivy(&handle.root, e))?;
    let mut commit = handle.commit.clone();
    commit.segments.retain(|entry| sources.iter().all(|source| source.entry.number != entry.number));
    let mut written = Vec::new();
    add_segment(&handle.root, &bytes, &mut commit, &mut written)?;
    if let Some(entry) = commit.segments.last_mut().filter(|_| !changes.is_empty()) {
        changes.append(&mut entry.changes.tail);
    }
    write_tails(&handle.root, &mut commit, &mut written)?;
    replace_record(&handle.root, &commit, written).map(Some)
}

/// The vectors of `leg` that are not `present`, each once.
fn new_vectors<'a>(
    commit: &Commit,
    leg: Leg,
    present: Option<&Vectors>,
    vectors: &'a [(Leg, VectorKey, Vec<f32>)],
) -> Result<BTreeMap<VectorKey, &'a [f32]>, StoreError> {
    let mut new = BTreeMap::new();
    for (_, key, vector) in vectors.iter().filter(|(of, ..)| *of == leg) {
        let Some((_, dimension)) = &commit.legs[leg.index()] else {
            return Err(StoreError::Invalid(format!("the {leg} leg of this collection is off")));
        };
        if vector.len() != *dimension || vector.iter().any(|v| !v.is_finite()) {
            return Err(StoreError::Invalid(format!(
                "a vector of the {leg} leg needs {dimension} finite components"
            )));
        }
        if present.is_none_or(|present| present.ordinal(key).is_none()) {
            new.insert(*key, vector.as_slice());
        }
    }
    Ok(new)
}

/// Begins the vector file of a leg that is another one from this batch on; of one that is off
/// there is none.
fn replace_vectors(
    root: &Path,
    leg: Leg,
    new: &BTreeMap<VectorKey, &[f32]>,
    commit: &mut Commit,
    written: &mut Written,
) -> Result<(), StoreError> {
    commit.vectors[leg.index()] = None;
    let Some(dimension) = commit.legs[leg.index()].as_ref().map(|(_, dimension)| *dimension) else {
        return Ok(());
    };
    let header = vectors::header(dimension);
    let mut bytes = Vec::with_capacity(new.len() * vectors::record_len(dimension));
    for (key, vector) in new {
        vectors::append(&mut bytes, *key, vector);
    }
    let extent = Extent::whole(commit.draw_number(), (header.len() + bytes.len()) as u64);
    let path = root.join(vectors_name(leg, &extent));
    let file = write_new(&path, |out| {
        out.write_all(&header)?;
        out.write_all(&bytes)
    })?;
    written.push((path, file));
    commit.vectors[leg.index()] = Some(extent);
    Ok(())
}

/// Adds vectors to the leg's extent, or to a new file without the dead ones where those are
/// more than half: such as neither a point that is there has nor one of `points`, without
/// which none is dead.
fn append_vectors<'a>(
    handle: &Handle,
    leg: Leg,
    present: &Vectors,
    new: &BTreeMap<VectorKey, &[f32]>,
    points: Option<impl Iterator<Item = &'a Point>>,
    commit: &mut Commit,
    written: &mut Written,
) -> Result<(), StoreError> {
    let number = commit.next;
    let Some(extent) = &mut commit.vectors[leg.index()] else { return Ok(()) };
    let record_len = vectors::record_len(present.dimension()) as u64;
    let mut bytes = Vec::with_capacity(new.len() * record_len as usize);
    for (key, vector) in new {
        vectors::append(&mut bytes, *key, vector);
    }

    let is_due = extent.len > 2 * extent.base + VECTOR_SLACK * record_len;
    if let Some(points) = points.filter(|_| is_due) {
        let mut live: HashSet<VectorKey> = points.filter_map(|point| point.vectors[leg.index()]).collect();
        handle.for_each_key(leg, |_, key| live.extend([key]))?;
        let mut kept: Vec<u32> = live.iter().filter_map(|key| present.ordinal(key)).collect();
        if kept.len() < present.len() / 2 {
            kept.sort_unstable();
            let len = vectors::HEADER_LEN as u64 + kept.len() as u64 * record_len + bytes.len() as u64;
            *extent = Extent::whole(number, len);
            commit.next += 1;
            let path = handle.root.join(vectors_name(leg, extent));
            let file = write_new(&path, |out| {
                out.write_all(&vectors::header(present.dimension()))?;
                kept.iter().try_for_each(|ordinal| out.write_all(present.record(*ordinal)))?;
                out.write_all(&bytes)
            })?;
            written.push((path, file));
            return Ok(());
        }
        extent.base = extent.len;
    }
    extent.tail.append(&mut bytes);
    Ok(())
}

/// Adds records to the manifest log, or to a new one without the outdated ones.
fn append_manifest(
    handle: &Handle,
    files: BTreeMap<RepoPath, Option<FileRecord>>,
    reset: bool,
    extent: &mut Extent,
    written: &mut Written,
) -> Result<(), StoreError> {
    let mut manifest = if reset { Arc::default() } else { handle.snapshot()?.manifest };
    let mut bytes = Vec::new();
    manifest_log::append(&mut bytes, &manifest, &files);
    // With what is new: so that a large change compacts, and not the small one after it.
    if !reset && extent.total() + bytes.len() as u64 <= 2 * extent.base + MANIFEST_SLACK {
        extent.tail.append(&mut bytes);
        return Ok(());
    }
    let manifest: &mut Manifest = Arc::make_mut(&mut manifest);
    for (path, record) in files {
        match record {
            Some(record) => drop(manifest.insert(path, record)),
            None => drop(manifest.remove(&path)),
        }
    }
    let bytes = manifest_log::compact(manifest);
    *extent = Extent::whole(extent.number + 1, bytes.len() as u64);
    let path = handle.root.join(manifest_name(extent));
    let file = write_new(&path, |out| out.write_all(&bytes))?;
    written.push((path, file));
    Ok(())
}

/// Writes `bytes` after the first `len` of a file; the file is still to be synced.
fn append_to(path: &Path, len: u64, bytes: &[u8]) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    options.write(true).create(len == 0).truncate(false);
    let mut file = options.open(path).map_err(|e| StoreError::write(path, e))?;
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

/// Removes what no commit refers to: an unfinished write, or a former state. Best
/// effort: what cannot be removed is tried again by the next writer.
fn sweep(root: &Path, commit: &Commit) {
    let kept = commit.file_names();
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let stale =
            |name: &str| is_part(name) && !kept.iter().any(|k| k == name) || state_dir::is_temporary(name);
        if name.to_str().is_some_and(stale) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
