//! One committed state of a collection, open for reading.
//!
//! Everything a handle says comes from one commit record, read once. Immutable
//! and shared; a newer state is a new handle, which takes over what is still true.

use std::collections::hash_map::{Entry, HashMap};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tantivy::columnar::Column;
use tantivy::directory::error::OpenReadError;
use tantivy::directory::{Directory, MmapDirectory, OwnedBytes};
use tantivy::{DocAddress, SegmentReader, TantivyDocument, TantivyError};

use super::changes::{Changes, Place};
use super::commit::{
    self, Commit, Extent, SegmentEntry, changes_name, manifest_name, segment_name, vectors_name,
};
use super::dense::{self, VectorDocs};
use super::fields::{Fields, ID_COLUMNS, VECTOR_COLUMNS, halves, whole};
use super::filter::{self, Allowed};
use super::lexical::{self, LengthStats};
use super::manifest_log;
use super::schema_file;
use super::segment::Segment;
use super::spelling;
use super::vectors::Vectors;
use crate::embed::Leg;
use crate::id::{PointId, VectorKey};
use crate::manifest::Manifest;
use crate::store::schema::check_model;
use crate::store::{Filter, Point, Probe, Schema, Scored, Snapshot, Stats, StoreError};

const SHORT: &str = "it is shorter than was committed";

/// One committed state, open.
pub(super) struct Handle {
    pub(super) root: PathBuf,
    pub(super) schema: Schema,
    /// The commit record's bytes: equal bytes are the same state.
    pub(super) record: Vec<u8>,
    pub(super) commit: Commit,
    pub(super) fields: Fields,
    pub(super) segments: Vec<Arc<Segment>>,
    manifest: File,
    /// What a part of the manifest log says, from its start.
    replayed: Mutex<Replayed>,
    /// Mapped when the handle is made: a later state may remove the files.
    vector_files: [Option<OwnedBytes>; Leg::ALL.len()],
    vectors: [OnceLock<Arc<Vectors>>; Leg::ALL.len()],
    former: [Option<Arc<Vectors>>; Leg::ALL.len()],
    vector_docs: [OnceLock<Arc<VectorDocs>>; Leg::ALL.len()],
    lengths: OnceLock<LengthStats>,
}

#[derive(Default)]
struct Replayed {
    manifest: Arc<Manifest>,
    /// Bytes of the log.
    len: u64,
}

/// Reads the commit record's bytes.
pub(super) fn read_record(root: &Path) -> Result<Vec<u8>, StoreError> {
    let path = root.join(commit::NAME);
    fs::read(&path).map_err(|e| missing_is_damage(&path, e))
}

/// A file that the commit refers to must be there.
fn missing_is_damage(path: &Path, error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::NotFound => StoreError::corrupt(path, "it is missing"),
        _ => StoreError::read(path, error),
    }
}

/// What an error of tantivy on the files under `root` means.
pub(super) fn from_tantivy(root: &Path, error: TantivyError) -> StoreError {
    let io = |source: &io::Error| match source.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::Other => {
            StoreError::corrupt(root, source.to_string())
        }
        kind => {
            let copy = source.raw_os_error().map_or_else(|| kind.into(), io::Error::from_raw_os_error);
            StoreError::read(root, copy)
        }
    };
    match &error {
        TantivyError::IoError(source) => io(source),
        TantivyError::OpenReadError(OpenReadError::IoError { io_error, .. }) => io(io_error),
        _ => StoreError::corrupt(root, error.to_string()),
    }
}

impl Handle {
    /// Opens the state of the collection in `root` that the commit record's bytes
    /// describe. Fails where a newer state has removed its files. What `former`, an
    /// earlier state of it, has verified and loaded is taken over.
    pub(super) fn open(root: &Path, record: Vec<u8>, former: Option<&Handle>) -> Result<Handle, StoreError> {
        let mut schema = schema_file::read(root)?;
        let commit = Commit::decode(&record).map_err(|e| StoreError::corrupt(&root.join(commit::NAME), e))?;
        schema.legs.clone_from(&commit.legs);
        let former = former.filter(|former| former.commit.origin == commit.origin);
        let fields = Fields::new();
        let segments = commit.segments.iter().map(|entry| {
            let same = |segment: &&Arc<Segment>| {
                (segment.entry.number, segment.entry.checksum) == (entry.number, entry.checksum)
            };
            let former = former.and_then(|former| former.segments.iter().find(same));
            open_segment(root, entry, former, &fields)
        });
        let segments = segments.collect::<Result<_, _>>()?;
        let manifest_path = root.join(manifest_name(&commit.manifest));
        let manifest = File::open(&manifest_path).map_err(|e| missing_is_damage(&manifest_path, e))?;
        let mut vector_files = [const { None }; Leg::ALL.len()];
        for leg in Leg::ALL {
            if let Some(extent) = &commit.vectors[leg.index()] {
                let at = leg.index();
                let unchanged = former.filter(|former| {
                    let then = former.commit.vectors[at].as_ref();
                    then.is_some_and(|then| (then.number, then.len) == (extent.number, extent.len))
                });
                vector_files[at] = match unchanged.and_then(|former| former.vector_files[at].clone()) {
                    Some(bytes) => Some(bytes),
                    None => Some(map_committed(root, leg, extent)?),
                };
            }
        }
        let taken_over = |leg: Leg| {
            let former = former?;
            let (then, now) =
                (former.commit.vectors[leg.index()].as_ref()?, commit.vectors[leg.index()].as_ref()?);
            let loaded = former.vectors[leg.index()].get().or(former.former[leg.index()].as_ref());
            if then.number == now.number { loaded.cloned() } else { None }
        };
        let replayed = former.filter(|former| former.commit.manifest.number == commit.manifest.number);
        // Taken, not shared: so that it can be brought up to date in place.
        let replayed = replayed.map(|former| std::mem::take(&mut *former.replayed())).unwrap_or_default();
        Ok(Handle {
            root: root.to_owned(),
            schema,
            record,
            former: Leg::ALL.map(taken_over),
            commit,
            fields,
            segments,
            manifest,
            replayed: Mutex::new(replayed),
            vector_files,
            vectors: Default::default(),
            vector_docs: Default::default(),
            lengths: OnceLock::new(),
        })
    }

    fn index_error(&self) -> impl Fn(TantivyError) -> StoreError + '_ {
        |error| from_tantivy(&self.root, error)
    }

    fn replayed(&self) -> MutexGuard<'_, Replayed> {
        self.replayed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Manifest and state.
    pub(super) fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let mut replayed = self.replayed();
        // Emptied first: what fails half-way is begun anew.
        let Replayed { mut manifest, len } = std::mem::take(&mut *replayed);
        let path = self.root.join(manifest_name(&self.commit.manifest));
        let missing = read_log(&path, Some(&self.manifest), &self.commit.manifest, len)?;
        if !missing.is_empty() {
            manifest_log::replay(Arc::make_mut(&mut manifest), len, &missing)
                .map_err(|e| StoreError::corrupt(&path, e))?;
        }
        let snapshot = Snapshot {
            legs: self.commit.legs.clone(),
            manifest: Arc::clone(&manifest),
            state: self.commit.state.clone(),
        };
        *replayed = Replayed { manifest, len: len + missing.len() as u64 };
        Ok(snapshot)
    }

    /// Bytes of its vectors in their files: about what searches keep of them in memory.
    pub(super) fn vector_bytes(&self) -> u64 {
        self.commit.vectors.iter().flatten().map(commit::Extent::total).sum()
    }

    /// Drops the manifest from memory; it can be read again.
    pub(super) fn forget_manifest(&self) {
        *self.replayed() = Replayed::default();
    }

    /// The vectors of a leg; `None` where the leg is off.
    pub(super) fn vectors(&self, leg: Leg) -> Result<Option<Arc<Vectors>>, StoreError> {
        let at = leg.index();
        let (Some(extent), Some(bytes), Some((_, dimension))) =
            (&self.commit.vectors[at], &self.vector_files[at], &self.schema.legs[at])
        else {
            return Ok(None);
        };
        if let Some(vectors) = self.vectors[at].get() {
            return Ok(Some(Arc::clone(vectors)));
        }
        let vectors = Vectors::open(bytes.clone(), &extent.tail, *dimension, self.former[at].as_deref())
            .map_err(|e| StoreError::corrupt(&self.root.join(vectors_name(leg, extent)), e))?;
        Ok(Some(Arc::clone(self.vectors[at].get_or_init(|| Arc::new(vectors)))))
    }

    /// Which live documents have which vector of the leg.
    fn vector_docs(&self, leg: Leg, vectors: &Vectors) -> Result<Arc<VectorDocs>, StoreError> {
        if let Some(docs) = self.vector_docs[leg.index()].get() {
            return Ok(Arc::clone(docs));
        }
        let mut docs = Vec::new();
        self.for_each_key(leg, |doc, key| docs.extend(vectors.ordinal(&key).map(|ordinal| (ordinal, doc))))?;
        let docs = Arc::new(VectorDocs::new(docs));
        Ok(Arc::clone(self.vector_docs[leg.index()].get_or_init(|| docs)))
    }

    /// Vector keys of live documents.
    pub(super) fn for_each_key(
        &self,
        leg: Leg,
        mut visit: impl FnMut(DocAddress, VectorKey),
    ) -> Result<(), StoreError> {
        for (ordinal, Segment { reader: segment, .. }) in self.readers() {
            let columns = Columns::open(segment, VECTOR_COLUMNS[leg.index()]).map_err(self.index_error())?;
            for doc in segment.doc_ids_alive() {
                if let Some(key) = columns.get(doc) {
                    visit(DocAddress::new(ordinal, doc), VectorKey(whole(key)));
                }
            }
        }
        Ok(())
    }

    fn readers(&self) -> impl Iterator<Item = (u32, &Segment)> {
        (0..).zip(self.segments.iter().map(Arc::as_ref))
    }

    /// Live points.
    fn points(&self) -> u64 {
        self.segments.iter().map(|segment| u64::from(segment.reader.num_docs())).sum()
    }

    /// Ids of live documents, by segment.
    pub(super) fn ids(&self) -> Result<Vec<(PointId, DocAddress)>, StoreError> {
        let mut ids = Vec::with_capacity(self.points() as usize);
        for (ordinal, Segment { reader: segment, .. }) in self.readers() {
            let columns = Columns::open(segment, ID_COLUMNS).map_err(self.index_error())?;
            for doc in segment.doc_ids_alive() {
                let id = columns.get(doc).ok_or_else(|| self.damaged("a point has no id"))?;
                ids.push((PointId(whole(id)), DocAddress::new(ordinal, doc)));
            }
        }
        Ok(ids)
    }

    /// Documents of a segment whose id is one of `ids`, in order.
    pub(super) fn docs_with_ids(
        &self,
        segment: &SegmentReader,
        ids: &HashSet<PointId>,
    ) -> Result<Vec<(u32, PointId)>, StoreError> {
        let columns = Columns::open(segment, ID_COLUMNS).map_err(self.index_error())?;
        let mut first_halves: Vec<u64> = ids.iter().map(|id| halves(&id.0)[0]).collect();
        first_halves.sort_unstable();
        Ok(segment
            .doc_ids_alive()
            .filter(|doc| {
                columns.0[0].first(*doc).is_some_and(|half| first_halves.binary_search(&half).is_ok())
            })
            .filter_map(|doc| Some((doc, PointId(whole(columns.get(doc)?)))))
            .filter(|(_, id)| ids.contains(id))
            .collect())
    }

    fn damaged(&self, detail: &str) -> StoreError {
        StoreError::corrupt(&self.root, detail)
    }

    /// A stored point, which must be the one with this id.
    fn point(
        &self,
        id: PointId,
        doc: DocAddress,
        decode: fn(&Fields, &TantivyDocument) -> Option<Point>,
    ) -> Result<Point, StoreError> {
        let segment = &self.segments[doc.segment_ord as usize];
        let path = || self.root.join(segment_name(segment.entry.number));
        let document = segment.payload(doc.doc_id).map_err(|e| from_tantivy(&path(), e))?;
        let point = decode(&self.fields, &document).filter(|point| point.id == id);
        let mut point = point.ok_or_else(|| {
            StoreError::corrupt(&path(), format!("the stored text of point {id} does not match its checksum"))
        })?;
        if let Some(Place { bytes, lines }) = segment.changes.moved.get(&doc.doc_id).cloned() {
            (point.bytes, point.lines) = (bytes, lines);
        }
        Ok(point)
    }

    /// All points in order of id.
    pub(super) fn scan(&self, visit: &mut dyn FnMut(Point)) -> Result<(), StoreError> {
        let mut ids = self.ids()?;
        ids.sort_unstable();
        ids.into_iter()
            .try_for_each(|(id, doc)| self.point(id, doc, Fields::point_with_terms).map(&mut *visit))
    }

    /// The vectors of these keys that are there.
    pub(super) fn vectors_of(
        &self,
        leg: Leg,
        keys: &[VectorKey],
    ) -> Result<Vec<(VectorKey, Vec<f32>)>, StoreError> {
        let Some(vectors) = self.vectors(leg)? else { return Ok(Vec::new()) };
        let keys: BTreeSet<&VectorKey> = keys.iter().collect();
        let read = |key: &VectorKey| {
            let mut vector = vec![0.0; vectors.dimension()];
            vectors.read(vectors.ordinal(key)?, &mut vector);
            Some((*key, vector))
        };
        Ok(keys.into_iter().filter_map(read).collect())
    }

    /// The nearest spelling of each term that no point has.
    pub(super) fn spellings(&self, terms: &[String]) -> Result<Vec<Option<String>>, StoreError> {
        let nearest = |term: &String| spelling::nearest(&self.segments, &self.fields, term);
        terms.iter().map(nearest).collect::<tantivy::Result<_>>().map_err(self.index_error())
    }

    /// Best `limit` points for each probe.
    pub(super) fn search(
        &self,
        probes: &[Probe],
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<Vec<Scored>>, StoreError> {
        let filter = filter::compile(filter)?;
        let allowed = filter.allowed(&self.segments, &self.fields).map_err(self.index_error())?;
        let mut answers: Vec<Vec<Scored>> = Vec::with_capacity(probes.len());
        // Where the point of a document is already: reading it costs more than a copy.
        let mut read: HashMap<DocAddress, (usize, usize)> = HashMap::new();
        for probe in probes {
            let best = self.best(self.probe(probe, &allowed, limit)?, limit)?;
            let mut answer = Vec::with_capacity(best.len());
            for (score, id, doc) in best {
                let point = match read.entry(doc) {
                    Entry::Occupied(known) => answers[known.get().0][known.get().1].point.clone(),
                    Entry::Vacant(place) => {
                        place.insert((answers.len(), answer.len()));
                        self.point(id, doc, Fields::point)?
                    }
                };
                answer.push(Scored { score, point });
            }
            answers.push(answer);
        }
        Ok(answers)
    }

    fn probe(
        &self,
        probe: &Probe,
        allowed: &Allowed,
        limit: usize,
    ) -> Result<Vec<(f32, DocAddress)>, StoreError> {
        match probe {
            Probe::Terms(terms) => {
                let lengths = match self.lengths.get() {
                    Some(lengths) => *lengths,
                    None => {
                        let lengths =
                            LengthStats::of(&self.segments, &self.fields).map_err(self.index_error())?;
                        *self.lengths.get_or_init(|| lengths)
                    }
                };
                lexical::score_terms(&self.segments, &self.fields, lengths, terms, allowed)
                    .map_err(self.index_error())
            }
            Probe::Symbols(names) => lexical::find_symbols(&self.segments, &self.fields, names, allowed)
                .map_err(self.index_error()),
            Probe::Vector(leg, model, query) => {
                let is_on = check_model(*leg, &self.schema.legs, model)?;
                let Some(vectors) = self.vectors(*leg)?.filter(|_| is_on) else { return Ok(Vec::new()) };
                if query.len() != vectors.dimension() || query.iter().any(|v| !v.is_finite()) {
                    return Err(StoreError::Invalid(format!(
                        "a query of the {leg} leg needs {} finite components, and has {}",
                        vectors.dimension(),
                        query.len()
                    )));
                }
                let docs = self.vector_docs(*leg, &vectors)?;
                Ok(dense::nearest(&vectors, &docs, query, limit, |doc| allowed.has(doc)))
            }
        }
    }

    /// The best `limit` of what was found; ties by id.
    fn best(
        &self,
        mut found: Vec<(f32, DocAddress)>,
        limit: usize,
    ) -> Result<Vec<(f32, PointId, DocAddress)>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        if found.len() > limit {
            let (_, worst, _) = found.select_nth_unstable_by(limit - 1, |a, b| b.0.total_cmp(&a.0));
            let least = worst.0;
            found.retain(|(score, _)| *score >= least);
        }
        let columns = self
            .segments
            .iter()
            .map(|segment| Columns::open(&segment.reader, ID_COLUMNS))
            .collect::<tantivy::Result<Vec<_>>>()
            .map_err(self.index_error())?;
        let mut ranked = found
            .into_iter()
            .map(|(score, doc)| {
                let id = columns[doc.segment_ord as usize]
                    .get(doc.doc_id)
                    .ok_or_else(|| self.damaged("a point has no id"))?;
                Ok((score, PointId(whole(id)), doc))
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        ranked.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        ranked.truncate(limit);
        Ok(ranked)
    }

    /// Counts and sizes.
    pub(super) fn stats(&self) -> Result<Stats, StoreError> {
        let mut vectors = [0; Leg::ALL.len()];
        let mut bytes = BTreeMap::from([("manifest".to_owned(), self.commit.manifest.total())]);
        for leg in Leg::ALL {
            if let Some(extent) = &self.commit.vectors[leg.index()] {
                vectors[leg.index()] = self.vectors(leg)?.map_or(0, |vectors| vectors.len() as u64);
                bytes.insert(format!("vectors.{leg}"), extent.total());
            }
        }
        bytes.insert("index".to_owned(), self.segments.iter().map(|segment| segment.len()).sum());
        Ok(Stats { points: self.points(), vectors, bytes })
    }

    /// Reads everything; the text of each damage.
    pub(super) fn check(&self) -> Vec<String> {
        let mut damages = Vec::new();
        let mut note = |result: Result<(), StoreError>| damages.extend(result.err().map(|e| e.to_string()));
        for segment in &self.segments {
            if !segment.texts_are_sound() {
                let path = self.root.join(segment_name(segment.entry.number));
                note(Err(StoreError::corrupt(&path, "the checksum of its stored texts does not match")));
            }
        }
        note(self.snapshot().map(|_| ()));
        note(schema_file::read(&self.root).map(|_| ()));
        for leg in Leg::ALL {
            // Not from what is loaded: the file may have changed since.
            if let (Some(extent), Some((_, dimension))) =
                (&self.commit.vectors[leg.index()], &self.schema.legs[leg.index()])
            {
                note(map_committed(&self.root, leg, extent).and_then(|bytes| {
                    let path = self.root.join(vectors_name(leg, extent));
                    let checked = Vectors::open(bytes, &extent.tail, *dimension, None);
                    checked.map(|_| ()).map_err(|e| StoreError::corrupt(&path, e))
                }));
            }
        }
        // In the order of the file, in which each block is decompressed once.
        note(self.ids().and_then(|ids| {
            ids.into_iter().try_for_each(|(id, doc)| self.point(id, doc, Fields::point).map(drop))
        }));
        damages
    }
}

/// Opens a segment and verifies what it is read by; the stored texts are verified
/// when they are read. `former` is the same segment in an earlier state.
fn open_segment(
    root: &Path,
    entry: &SegmentEntry,
    former: Option<&Arc<Segment>>,
    fields: &Fields,
) -> Result<Arc<Segment>, StoreError> {
    if let Some(former) = former.filter(|former| former.entry == *entry) {
        return Ok(Arc::clone(former));
    }
    let path = root.join(segment_name(entry.number));
    let corrupt = |detail| StoreError::corrupt(&path, detail);
    let opened = match former {
        Some(former) => former.with_entry(entry.clone(), read_changes(root, entry, Some(former))?),
        None => {
            let changes = read_changes(root, entry, None)?;
            Segment::open(read_mapped(root, &segment_name(entry.number))?, entry.clone(), changes, fields)
        }
    };
    opened.map(Arc::new).map_err(corrupt)
}

/// What became of a segment's documents.
fn read_changes(
    root: &Path,
    entry: &SegmentEntry,
    former: Option<&Arc<Segment>>,
) -> Result<Changes, StoreError> {
    let path = root.join(changes_name(entry));
    let former = former.filter(|former| former.entry.changes.number == entry.changes.number);
    let (known, start) = match former {
        Some(former) => (former.changes.clone(), former.entry.changes.total()),
        None => Default::default(),
    };
    let file = if start < entry.changes.len {
        Some(File::open(&path).map_err(|e| missing_is_damage(&path, e))?)
    } else {
        None
    };
    let log = read_log(&path, file.as_ref(), &entry.changes, start)?;
    known.replay(&log).ok_or_else(|| StoreError::corrupt(&path, "its checksum does not match"))
}

/// What counts of a log from byte `start` on; `file` may be missing where nothing of
/// that is in it.
fn read_log(path: &Path, file: Option<&File>, log: &Extent, start: u64) -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![0; usize::try_from(log.len.saturating_sub(start)).unwrap_or(usize::MAX)];
    if let Some(file) = file {
        let found = file.metadata().map_err(|e| StoreError::read(path, e))?.len();
        if found < log.len {
            return Err(StoreError::corrupt(path, SHORT));
        }
        file.read_exact_at(&mut bytes, start).map_err(|e| StoreError::read(path, e))?;
    }
    let known = usize::try_from(start.saturating_sub(log.len)).unwrap_or(usize::MAX);
    bytes.extend_from_slice(log.tail.get(known..).unwrap_or_default());
    Ok(bytes)
}

/// Maps what is committed of a leg's vector file into memory.
fn map_committed(root: &Path, leg: Leg, extent: &Extent) -> Result<OwnedBytes, StoreError> {
    let name = vectors_name(leg, extent);
    let bytes = read_mapped(root, &name)?;
    let len = usize::try_from(extent.len).unwrap_or(usize::MAX);
    if bytes.len() < len {
        return Err(StoreError::corrupt(&root.join(name), SHORT));
    }
    Ok(bytes.slice(0..len))
}

/// Maps a whole file into memory.
fn read_mapped(root: &Path, name: &str) -> Result<OwnedBytes, StoreError> {
    // A directory of its own for each call: it would hand out an older, shorter
    // mapping of a file that has grown since.
    let directory = MmapDirectory::open(root).map_err(|e| StoreError::corrupt(root, format!("{e:?}")))?;
    let path = root.join(name);
    let file = directory.open_read(Path::new(name)).map_err(|e| match e {
        OpenReadError::FileDoesNotExist(_) => StoreError::corrupt(&path, "it is missing"),
        OpenReadError::IoError { io_error, .. } => from_tantivy(&path, TantivyError::IoError(io_error)),
        OpenReadError::IncompatibleIndex(e) => StoreError::corrupt(&path, format!("{e:?}")),
    })?;
    file.read_bytes().map_err(|e| StoreError::read(&path, e))
}

/// A 128-bit value of each document, in two columns.
struct Columns([Column<u64>; 2]);

impl Columns {
    fn open(segment: &SegmentReader, names: [&str; 2]) -> tantivy::Result<Columns> {
        let column = |name| {
            let column = segment.fast_fields().column_opt(name)?;
            // A segment where no document has a value has no column.
            Ok::<_, TantivyError>(column.unwrap_or_else(|| Column::build_empty_column(segment.max_doc())))
        };
        Ok(Columns([column(names[0])?, column(names[1])?]))
    }

    fn get(&self, doc: u32) -> Option<[u64; 2]> {
        Some([self.0[0].first(doc)?, self.0[1].first(doc)?])
    }
}
