//! One committed state of a collection, open for reading.
//!
//! Everything a handle says comes from one commit record, read once. Immutable
//! and shared; a newer state is a new handle, which takes over what is still true.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};
use tantivy::columnar::Column;
use tantivy::directory::error::OpenReadError;
use tantivy::directory::{Directory, MmapDirectory, OwnedBytes};
use tantivy::{DocAddress, Index, ReloadPolicy, Searcher, SegmentReader, TantivyDocument, TantivyError};

use super::dense::{self, VectorDocs};
use super::directory::{Envelope, FileTable, META, ReadDirectory};
use super::fields::{Fields, ID_COLUMNS, VECTOR_COLUMNS, halves, whole};
use super::filter::{self, Allowed};
use super::lexical::{self, LengthStats};
use super::manifest_log;
use super::schema_file;
use super::vectors::Vectors;
use crate::embed::Leg;
use crate::id::{PointId, VectorKey};
use crate::store::{Filter, Probe, Schema, Scored, Snapshot, Stats, StoreError};

/// Subdirectory of the tantivy index.
pub(super) const INDEX: &str = "index";
/// Decompressed blocks of payload (16 KiB) kept by segment.
const PAYLOAD_CACHE_BLOCKS: usize = 32;

const SHORT: &str = "it is shorter than was committed";

/// What a commit says of the files beside the index. Kept as the payload of
/// tantivy's commit, so that both change at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Commit {
    /// Drawn when the collection is created: tells it from another of the same
    /// name that was there before.
    pub(super) origin: u64,
    /// Manifest log.
    pub(super) manifest: Extent,
    /// Vector file of each leg that is on.
    pub(super) vectors: [Option<Extent>; Leg::ALL.len()],
}

/// How much of an append-only file counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Extent {
    /// Last part of the file's name; each compaction makes the next.
    pub(super) number: u64,
    /// Bytes that count.
    pub(super) len: u64,
    /// Bytes when it was last compacted, or last found not worth it.
    pub(super) base: u64,
}

/// Name of the manifest log.
pub(super) fn manifest_name(extent: &Extent) -> String {
    format!("manifest.{}", extent.number)
}

/// Name of a leg's vector file.
pub(super) fn vectors_name(leg: Leg, extent: &Extent) -> String {
    format!("vectors.{leg}.{}", extent.number)
}

/// One committed state, open.
pub(super) struct Handle {
    pub(super) root: PathBuf,
    pub(super) schema: Schema,
    /// The commit record's bytes: equal bytes are the same state.
    pub(super) record: Vec<u8>,
    pub(super) envelope: Envelope,
    pub(super) commit: Commit,
    pub(super) fields: Fields,
    pub(super) searcher: Searcher,
    manifest: File,
    /// Mapped when the handle is made: a later state may remove the files.
    vector_files: [Option<OwnedBytes>; Leg::ALL.len()],
    vectors: [OnceLock<Arc<Vectors>>; Leg::ALL.len()],
    former: [Option<Arc<Vectors>>; Leg::ALL.len()],
    vector_docs: [OnceLock<Arc<VectorDocs>>; Leg::ALL.len()],
    lengths: OnceLock<LengthStats>,
}

/// Reads the commit record's bytes.
pub(super) fn read_record(root: &Path) -> Result<Vec<u8>, StoreError> {
    let path = root.join(INDEX).join(META);
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
        let schema = schema_file::read(root)?;
        let directory = root.join(INDEX);
        let record_path = directory.join(META);
        let envelope = Envelope::decode(&record).map_err(|e| StoreError::corrupt(&record_path, e))?;
        let commit = read_commit(&record_path, &envelope)?;
        let files =
            MmapDirectory::open(&directory).map_err(|e| StoreError::corrupt(&directory, format!("{e:?}")))?;
        let former = former.filter(|former| former.commit.origin == commit.origin);
        verify(&directory, &files, &envelope.files, former.map(|former| &former.envelope.files))?;
        let manifest_path = root.join(manifest_name(&commit.manifest));
        let manifest = File::open(&manifest_path).map_err(|e| missing_is_damage(&manifest_path, e))?;
        let mut vector_files = [const { None }; Leg::ALL.len()];
        for leg in Leg::ALL {
            if let Some(extent) = &commit.vectors[leg.index()] {
                vector_files[leg.index()] = Some(map_committed(root, leg, extent)?);
            }
        }

        let fields = Fields::new();
        let open = || {
            let index = Index::open(ReadDirectory::new(files, envelope.meta.clone()))?;
            Fields::register(&index);
            let reader = index
                .reader_builder()
                .reload_policy(ReloadPolicy::Manual)
                .doc_store_cache_num_blocks(PAYLOAD_CACHE_BLOCKS)
                .try_into()?;
            Ok((index.schema(), reader.searcher()))
        };
        let (found, searcher) = open().map_err(|e| from_tantivy(&directory, e))?;
        if found != fields.schema {
            return Err(StoreError::corrupt(&record_path, "it has other fields than this version writes"));
        }
        let taken_over = |leg: Leg| {
            let former = former?;
            let (then, now) =
                (former.commit.vectors[leg.index()].as_ref()?, commit.vectors[leg.index()].as_ref()?);
            if then.number != now.number { None } else { former.vectors[leg.index()].get().cloned() }
        };
        Ok(Handle {
            root: root.to_owned(),
            schema,
            record,
            former: Leg::ALL.map(taken_over),
            envelope,
            commit,
            fields,
            searcher,
            manifest,
            vector_files,
            vectors: Default::default(),
            vector_docs: Default::default(),
            lengths: OnceLock::new(),
        })
    }

    fn index_error(&self) -> impl Fn(TantivyError) -> StoreError + '_ {
        |error| from_tantivy(&self.root.join(INDEX), error)
    }

    /// Manifest and state.
    pub(super) fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let path = self.root.join(manifest_name(&self.commit.manifest));
        let len = self.manifest.metadata().map_err(|e| StoreError::read(&path, e))?.len();
        if len < self.commit.manifest.len {
            return Err(StoreError::corrupt(&path, SHORT));
        }
        let mut bytes = vec![0; usize::try_from(self.commit.manifest.len).unwrap_or(usize::MAX)];
        self.manifest.read_exact_at(&mut bytes, 0).map_err(|e| StoreError::read(&path, e))?;
        manifest_log::replay(&bytes).map_err(|e| StoreError::corrupt(&path, e))
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
        let vectors = Vectors::open(bytes.clone(), *dimension, self.former[at].as_deref())
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
        for (ordinal, segment) in self.searcher.segment_readers().iter().enumerate() {
            let columns = Columns::open(segment, VECTOR_COLUMNS[leg.index()]).map_err(self.index_error())?;
            for doc in segment.doc_ids_alive() {
                if let Some(key) = columns.get(doc) {
                    visit(DocAddress::new(ordinal as u32, doc), VectorKey(whole(key)));
                }
            }
        }
        Ok(())
    }

    /// Ids of live documents, by segment.
    pub(super) fn ids(&self) -> Result<Vec<(PointId, DocAddress)>, StoreError> {
        let mut ids = Vec::with_capacity(self.searcher.num_docs() as usize);
        for (ordinal, segment) in self.searcher.segment_readers().iter().enumerate() {
            let columns = Columns::open(segment, ID_COLUMNS).map_err(self.index_error())?;
            for doc in segment.doc_ids_alive() {
                let id = columns.get(doc).ok_or_else(|| self.damaged("a point has no id"))?;
                ids.push((PointId(whole(id)), DocAddress::new(ordinal as u32, doc)));
            }
        }
        Ok(ids)
    }

    /// Documents of a segment whose id is one of `ids`, in order.
    pub(super) fn docs_with_ids(
        &self,
        segment: &SegmentReader,
        ids: &HashSet<PointId>,
    ) -> Result<Vec<u32>, StoreError> {
        let columns = Columns::open(segment, ID_COLUMNS).map_err(self.index_error())?;
        let mut first_halves: Vec<u64> = ids.iter().map(|id| halves(&id.0)[0]).collect();
        first_halves.sort_unstable();
        Ok(segment
            .doc_ids_alive()
            .filter(|doc| {
                columns.0[0].first(*doc).is_some_and(|half| first_halves.binary_search(&half).is_ok())
                    && columns.get(*doc).is_some_and(|id| ids.contains(&PointId(whole(id))))
            })
            .collect())
    }

    fn damaged(&self, detail: &str) -> StoreError {
        StoreError::corrupt(&self.root.join(INDEX), detail)
    }

    /// A stored point, which must be the one with this id.
    fn point(&self, id: PointId, doc: DocAddress) -> Result<crate::store::Point, StoreError> {
        let document: TantivyDocument = self.searcher.doc(doc).map_err(self.index_error())?;
        self.fields.point(&document).filter(|point| point.id == id).ok_or_else(|| {
            self.damaged(&format!("the stored text of point {id} does not match its checksum"))
        })
    }

    /// All points in order of id.
    pub(super) fn scan(&self, visit: &mut dyn FnMut(crate::store::Point)) -> Result<(), StoreError> {
        let mut ids = self.ids()?;
        ids.sort_unstable();
        ids.into_iter().try_for_each(|(id, doc)| self.point(id, doc).map(&mut *visit))
    }

    /// Best `limit` points for each probe.
    pub(super) fn search(
        &self,
        probes: &[Probe],
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<Vec<Scored>>, StoreError> {
        let filter = filter::compile(filter)?;
        let allowed = filter.allowed(&self.searcher, &self.fields).map_err(self.index_error())?;
        probes.iter().map(|probe| self.best(self.probe(probe, &allowed, limit)?, limit)).collect()
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
                            LengthStats::of(&self.searcher, &self.fields).map_err(self.index_error())?;
                        *self.lengths.get_or_init(|| lengths)
                    }
                };
                lexical::score_terms(&self.searcher, &self.fields, lengths, terms, allowed)
                    .map_err(self.index_error())
            }
            Probe::Symbols(names) => lexical::find_symbols(&self.searcher, &self.fields, names, allowed)
                .map_err(self.index_error()),
            Probe::Vector(leg, query) => {
                let Some(vectors) = self.vectors(*leg)? else { return Ok(Vec::new()) };
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

    /// The best `limit` of what was found, with their points; ties by id.
    fn best(&self, mut found: Vec<(f32, DocAddress)>, limit: usize) -> Result<Vec<Scored>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        if found.len() > limit {
            let (_, worst, _) = found.select_nth_unstable_by(limit - 1, |a, b| b.0.total_cmp(&a.0));
            let least = worst.0;
            found.retain(|(score, _)| *score >= least);
        }
        let columns = self
            .searcher
            .segment_readers()
            .iter()
            .map(|segment| Columns::open(segment, ID_COLUMNS))
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
        ranked.into_iter().map(|(score, id, doc)| Ok(Scored { score, point: self.point(id, doc)? })).collect()
    }

    /// Counts and sizes.
    pub(super) fn stats(&self) -> Result<Stats, StoreError> {
        let mut vectors = [0; Leg::ALL.len()];
        let mut bytes = BTreeMap::from([("manifest".to_owned(), self.commit.manifest.len)]);
        for leg in Leg::ALL {
            if let Some(extent) = &self.commit.vectors[leg.index()] {
                vectors[leg.index()] = self.vectors(leg)?.map_or(0, |vectors| vectors.len() as u64);
                bytes.insert(format!("vectors.{leg}"), extent.len);
            }
        }
        bytes.insert(INDEX.to_owned(), self.envelope.files.values().map(|(len, _)| len).sum());
        Ok(Stats { points: self.searcher.num_docs(), vectors, bytes })
    }

    /// Reads everything; the text of each damage.
    pub(super) fn check(&self) -> Vec<String> {
        let mut damages = Vec::new();
        let mut note = |result: Result<(), StoreError>| damages.extend(result.err().map(|e| e.to_string()));
        let directory = self.root.join(INDEX);
        match MmapDirectory::open(&directory) {
            Err(e) => note(Err(StoreError::corrupt(&directory, format!("{e:?}")))),
            Ok(files) => {
                for (name, expected) in &self.envelope.files {
                    note(verify_file(&directory, &files, name, *expected, true));
                }
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
                    let checked = Vectors::open(bytes, *dimension, None);
                    checked.map(|_| ()).map_err(|e| StoreError::corrupt(&path, e))
                }));
            }
        }
        // In the order of the file, in which each block is decompressed once.
        note(
            self.ids()
                .and_then(|ids| ids.into_iter().try_for_each(|(id, doc)| self.point(id, doc).map(drop))),
        );
        damages
    }
}

fn read_commit(path: &Path, envelope: &Envelope) -> Result<Commit, StoreError> {
    #[derive(Deserialize)]
    struct Meta {
        payload: Option<String>,
    }
    let parse = || {
        let meta: Meta = serde_json::from_slice(&envelope.meta).ok()?;
        serde_json::from_str(&meta.payload?).ok()
    };
    parse().ok_or_else(|| StoreError::corrupt(path, "it does not name the manifest and vector files"))
}

/// Maps what is committed of a leg's vector file into memory.
fn map_committed(root: &Path, leg: Leg, extent: &Extent) -> Result<OwnedBytes, StoreError> {
    // A directory of its own for each call: it would hand out an older, shorter
    // mapping of a file that has grown since.
    let directory = MmapDirectory::open(root).map_err(|e| StoreError::corrupt(root, format!("{e:?}")))?;
    let name = vectors_name(leg, extent);
    let bytes = read_mapped(root, &directory, &name)?;
    let len = usize::try_from(extent.len).unwrap_or(usize::MAX);
    if bytes.len() < len {
        return Err(StoreError::corrupt(&root.join(name), SHORT));
    }
    Ok(bytes.slice(0..len))
}

fn read_mapped(root: &Path, directory: &MmapDirectory, name: &str) -> Result<OwnedBytes, StoreError> {
    let path = root.join(name);
    let file = directory.open_read(Path::new(name)).map_err(|e| match e {
        OpenReadError::FileDoesNotExist(_) => StoreError::corrupt(&path, "it is missing"),
        OpenReadError::IoError { io_error, .. } => from_tantivy(&path, TantivyError::IoError(io_error)),
        OpenReadError::IncompatibleIndex(e) => StoreError::corrupt(&path, format!("{e:?}")),
    })?;
    file.read_bytes().map_err(|e| StoreError::read(&path, e))
}

/// Checks what a commit refers to, so that tantivy never sees a damaged file. The
/// stored texts are the largest part and have checksums of their own, verified
/// when they are read.
fn verify(
    root: &Path,
    directory: &MmapDirectory,
    files: &FileTable,
    verified: Option<&FileTable>,
) -> Result<(), StoreError> {
    for (name, expected) in files {
        if verified.and_then(|verified| verified.get(name)) != Some(expected) {
            verify_file(root, directory, name, *expected, !name.ends_with(".store"))?;
        }
    }
    Ok(())
}

fn verify_file(
    root: &Path,
    directory: &MmapDirectory,
    name: &str,
    (len, checksum): (u64, u32),
    content: bool,
) -> Result<(), StoreError> {
    let bytes = read_mapped(root, directory, name)?;
    let detail = if bytes.len() as u64 != len {
        format!("it has {} bytes instead of {len}", bytes.len())
    } else if content && crc32fast::hash(&bytes) != checksum {
        "its checksum does not match".to_owned()
    } else {
        return Ok(());
    };
    Err(StoreError::corrupt(&root.join(name), detail))
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
