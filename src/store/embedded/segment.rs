//! One segment of the index: what tantivy keeps of some documents, in one file
//! that never changes, and what became of the documents since.
//!
//! Tantivy's own layout has six files a segment, each with its blocks and its wait
//! for the disk, and checks nothing on reading. Here a segment is built in memory
//! and written once, with checksums; it is an index of its own to tantivy, which
//! neither writes files nor has threads.
//!
//! Format 1: `CTXSEGM1`, u32 documents, u64 length of each of [`COMPONENTS`], CRC-32
//! of all components but the last, CRC-32 of the last, CRC-32 of all before; then the
//! components. All little-endian.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    Directory, DirectoryLock, FileHandle, FileSlice, Lock, OwnedBytes, RamDirectory, WatchCallback,
    WatchHandle, WritePtr,
};
use tantivy::fastfield::{AliveBitSet, write_alive_bitset};
use tantivy::indexer::merge_filtered_segments;
use tantivy::store::StoreReader;
use tantivy::{
    BitSet, Index, IndexSettings, SegmentReader, SingleSegmentIndexWriter, TantivyDocument, TantivyError,
};

use super::changes::Changes;
use super::commit::SegmentEntry;
use super::fields::{Fields, tokenizers};
use crate::store::Point;

const MAGIC: &[u8; 8] = b"CTXSEGM1";
/// Tantivy's files of a segment, by extension, in the order in which they are packed.
/// The last are the stored texts: the largest part, whose content has checksums of
/// its own, and which is therefore not read whole to open a segment.
const COMPONENTS: [&str; 6] = ["term", "idx", "pos", "fieldnorm", "fast", "store"];
const HEADER_LEN: usize = MAGIC.len() + 4 + 8 * COMPONENTS.len() + 3 * 4;
/// Tantivy names a segment's files by an id; there is one segment to an index here.
const ID: &str = "00000000000000000000000000000000";
/// Tantivy's list of segments.
const META: &str = "meta.json";
/// Memory of the documents of a segment that is being made, in bytes.
const WRITER_MEMORY: usize = 30_000_000;
/// The first size of its table of terms follows from this many bytes.
const TABLE_MEMORY: usize = 1_000_000;
/// Decompressed blocks of payload (16 KiB) kept by segment.
const PAYLOAD_CACHE_BLOCKS: usize = 32;

/// Makes the bytes of a segment of the first of `points`: as many as the memory
/// for one allows.
pub(super) fn build<'a>(
    fields: &Fields,
    points: &mut impl Iterator<Item = &'a Point>,
) -> tantivy::Result<Vec<u8>> {
    let directory = RamDirectory::create();
    let mut writer: SingleSegmentIndexWriter<TantivyDocument> = Index::builder()
        .schema(fields.schema.clone())
        .settings(settings())
        .tokenizers(tokenizers())
        .single_segment_index_writer(directory.clone(), TABLE_MEMORY)?;
    for point in points {
        writer.add_document(fields.document(point))?;
        if writer.mem_usage() > WRITER_MEMORY {
            break;
        }
    }
    pack(&directory, &writer.finalize()?)
}

/// Makes the bytes of one segment of the live documents of several, of which there
/// must be one; and what became of them: those that have moved still have.
pub(super) fn merge(segments: &[Arc<Segment>]) -> tantivy::Result<(Vec<u8>, Changes)> {
    let sources: Vec<tantivy::Segment> = segments.iter().map(|segment| segment.file.source.clone()).collect();
    let alive = segments.iter().map(|segment| segment.reader.alive_bitset().cloned()).collect();
    let directory = RamDirectory::create();
    let index = merge_filtered_segments(&sources, settings(), alive, directory.clone())?;
    let mut changes = Changes::default();
    // Merging puts the live documents one after the other.
    let documents =
        segments.iter().flat_map(|s| s.reader.doc_ids_alive().map(|document| (&s.changes, document)));
    for (new, (former, document)) in (0..).zip(documents) {
        changes.moved.extend(former.moved.get(&document).map(|place| (new, place.clone())));
    }
    Ok((pack(&directory, &index)?, changes))
}

fn settings() -> IndexSettings {
    // One thread less: texts are compressed where they are indexed.
    IndexSettings { docstore_compress_dedicated_thread: false, ..IndexSettings::default() }
}

/// Puts the files of the one segment of `index` into one.
fn pack(directory: &RamDirectory, index: &Index) -> tantivy::Result<Vec<u8>> {
    let metas = index.searchable_segment_metas()?;
    let [meta] = metas.as_slice() else {
        return Err(TantivyError::InternalError(format!("{} segments instead of one", metas.len())));
    };
    let mut components = Vec::with_capacity(COMPONENTS.len());
    for extension in COMPONENTS {
        let name = format!("{}.{extension}", meta.id().uuid_string());
        components.push(directory.open_read(Path::new(&name))?.read_bytes()?);
    }
    let total: usize = components.iter().map(OwnedBytes::len).sum();
    let mut out = Vec::with_capacity(HEADER_LEN + total);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&meta.max_doc().to_le_bytes());
    let mut checksums = [crc32fast::Hasher::new(), crc32fast::Hasher::new()];
    for (at, component) in components.iter().enumerate() {
        out.extend_from_slice(&(component.len() as u64).to_le_bytes());
        checksums[usize::from(at + 1 == COMPONENTS.len())].update(component);
    }
    for checksum in checksums {
        out.extend_from_slice(&checksum.finalize().to_le_bytes());
    }
    let checksum = crc32fast::hash(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    for component in components {
        out.extend_from_slice(&component);
    }
    Ok(out)
}

/// CRC-32 of the header of a segment's bytes, by which a commit knows it.
pub(super) fn checksum(bytes: &[u8]) -> Option<u32> {
    bytes.get(HEADER_LEN - 4..HEADER_LEN)?.try_into().ok().map(u32::from_le_bytes)
}

/// A segment's file, open and, but for its stored texts, verified.
struct SegmentFile {
    bytes: OwnedBytes,
    source: tantivy::Segment,
    payloads: StoreReader,
}

/// A segment as one state of the collection sees it.
pub(super) struct Segment {
    /// What the commit says of it.
    pub(super) entry: SegmentEntry,
    /// Reads its live documents.
    pub(super) reader: SegmentReader,
    /// All that became of its documents.
    pub(super) changes: Changes,
    file: Arc<SegmentFile>,
}

impl Segment {
    /// Opens the segment `entry` from its file's `bytes` and what became of its documents.
    /// The error says what is wrong.
    pub(super) fn open(
        bytes: OwnedBytes,
        entry: SegmentEntry,
        changes: Changes,
        fields: &Fields,
    ) -> Result<Segment, String> {
        let file = Arc::new(SegmentFile::open(bytes, entry.checksum, fields)?);
        Segment::of(file, entry, changes)
    }

    /// The same segment with the changes of another state.
    pub(super) fn with_entry(&self, entry: SegmentEntry, changes: Changes) -> Result<Segment, String> {
        Segment::of(Arc::clone(&self.file), entry, changes)
    }

    fn of(file: Arc<SegmentFile>, entry: SegmentEntry, changes: Changes) -> Result<Segment, String> {
        let documents = file.source.meta().max_doc();
        if changes.last().is_some_and(|last| last >= documents) {
            return Err(format!("it has {documents} documents, and one after them has changed"));
        }
        let alive = alive(documents, &changes.deleted);
        let reader = SegmentReader::open_with_custom_alive_set(&file.source, alive);
        Ok(Segment { entry, reader: reader.map_err(|e| e.to_string())?, changes, file })
    }

    /// Bytes of the file.
    pub(super) fn len(&self) -> u64 {
        self.file.bytes.len() as u64
    }

    /// A document's stored payload.
    pub(super) fn payload(&self, document: u32) -> tantivy::Result<TantivyDocument> {
        self.file.payloads.get(document)
    }

    /// Whether the stored texts are what was written.
    pub(super) fn texts_are_sound(&self) -> bool {
        Header::read(&self.file.bytes).is_some_and(|header| {
            let texts = &self.file.bytes[self.file.bytes.len() - header.lens[COMPONENTS.len() - 1]..];
            crc32fast::hash(texts) == header.checksums[1]
        })
    }
}

/// All documents but the deleted ones; `None` where none is.
fn alive(documents: u32, deleted: &BTreeSet<u32>) -> Option<AliveBitSet> {
    if deleted.is_empty() {
        return None;
    }
    let mut alive = BitSet::with_max_value_and_full(documents);
    deleted.iter().for_each(|document| alive.remove(*document));
    let mut bytes = Vec::new();
    write_alive_bitset(&alive, &mut bytes).ok()?;
    Some(AliveBitSet::open(OwnedBytes::new(bytes)))
}

struct Header {
    documents: u32,
    lens: [usize; COMPONENTS.len()],
    checksums: [u32; 2],
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Header> {
        let header = bytes.get(..HEADER_LEN)?;
        let (body, checksum) = header.split_at(HEADER_LEN - 4);
        (crc32fast::hash(body).to_le_bytes() == *checksum).then_some(())?;
        let mut decoder = crate::store::codec::Decoder(body);
        (decoder.take(MAGIC.len())? == MAGIC).then_some(())?;
        let documents = decoder.u32()?;
        let mut lens = [0; COMPONENTS.len()];
        for len in &mut lens {
            *len = usize::try_from(decoder.array().map(u64::from_le_bytes)?).ok()?;
        }
        let checksums = [decoder.u32()?, decoder.u32()?];
        let total = lens.iter().try_fold(HEADER_LEN, |sum, len| sum.checked_add(*len))?;
        (total == bytes.len()).then_some(Header { documents, lens, checksums })
    }
}

impl SegmentFile {
    fn open(bytes: OwnedBytes, expected: u32, fields: &Fields) -> Result<SegmentFile, String> {
        let header = Header::read(&bytes).filter(|_| checksum(&bytes) == Some(expected));
        let header = header.ok_or("its header is not what was committed")?;
        let texts = header.lens[COMPONENTS.len() - 1];
        if crc32fast::hash(&bytes[HEADER_LEN..bytes.len() - texts]) != header.checksums[0] {
            return Err("its checksum does not match".to_owned());
        }
        let mut at = HEADER_LEN;
        let components = header.lens.map(|len| {
            at += len;
            FileSlice::new(Arc::new(bytes.slice(at - len..at)))
        });
        let meta = serde_json::json!({
            "index_settings": settings(),
            "segments": [{ "segment_id": ID, "max_doc": header.documents, "deletes": null }],
            "schema": fields.schema,
            "opstamp": 0,
        });
        let open = || {
            let directory = SegmentDirectory {
                meta: Arc::new(meta.to_string().into_bytes()),
                components: Arc::new(components),
            };
            let index = Index::open(directory)?;
            let source = index.searchable_segments()?.pop();
            let source = source.ok_or_else(|| TantivyError::InternalError("no segment".to_owned()))?;
            let payloads = SegmentReader::open(&source)?.get_store_reader(PAYLOAD_CACHE_BLOCKS)?;
            Ok((source, payloads))
        };
        let (source, payloads) = open().map_err(|error: TantivyError| error.to_string())?;
        Ok(SegmentFile { bytes, source, payloads })
    }
}

/// The components of one segment as tantivy's files.
#[derive(Clone, Debug)]
struct SegmentDirectory {
    meta: Arc<Vec<u8>>,
    components: Arc<[FileSlice; COMPONENTS.len()]>,
}

fn read_only(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::ReadOnlyFilesystem, format!("{} is part of a segment", path.display()))
}

impl Directory for SegmentDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let at = COMPONENTS.iter().position(|component| Some(*component) == extension);
        let at = at.ok_or_else(|| OpenReadError::FileDoesNotExist(path.to_owned()))?;
        Ok(Arc::new(self.components[at].clone()))
    }
    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        Ok(path == Path::new(META) || self.get_file_handle(path).is_ok())
    }
    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        if path == Path::new(META) {
            return Ok(self.meta.to_vec());
        }
        Err(OpenReadError::FileDoesNotExist(path.to_owned()))
    }
    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        Err(DeleteError::IoError { io_error: Arc::new(read_only(path)), filepath: path.to_owned() })
    }
    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        Err(OpenWriteError::wrap_io_error(read_only(path), path.to_owned()))
    }
    fn atomic_write(&self, path: &Path, _data: &[u8]) -> io::Result<()> {
        Err(read_only(path))
    }
    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }
    fn acquire_lock(&self, _lock: &Lock) -> Result<DirectoryLock, LockError> {
        Ok(DirectoryLock::from(Box::new(())))
    }
    fn watch(&self, _callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}
