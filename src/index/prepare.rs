//! One changed path → what the store must be told. Reads the file; touches no store.

use std::collections::{BTreeMap, HashMap};

use super::Options;
use crate::chunk::{self, Chunk, ChunkOptions};
use crate::embed::Leg;
use crate::git::{FileEntry, ReadError, read_file};
use crate::id::{ContentHash, PointId, VectorKey};
use crate::language::Language;
use crate::lexical;
use crate::manifest::{ChunkRef, FileRecord, FileState};
use crate::path::{AbsPath, RepoPath};
use crate::skip::SkipReason;
use crate::store::Point;
use crate::textify;

/// What became of one path that had to be looked at.
pub(super) struct Prepared {
    pub(super) path: RepoPath,
    pub(super) found: Found,
    /// All points of the file where it was chunked.
    pub(super) points: Vec<Point>,
    pub(super) counts: Counts,
}

/// What was found at the path.
pub(super) enum Found {
    /// A file; this is its record now.
    Record(FileRecord),
    /// Nothing any more: it went while we looked.
    Nothing,
    /// A file that did not stand still. What is known of it stays; the next run looks again.
    Unsettled,
}

/// Counters of one file.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) bytes_read: u64,
    pub(super) read: bool,
    pub(super) touched: bool,
    pub(super) parsed: bool,
    pub(super) redactions: u64,
    pub(super) syntax_errors: u64,
}

/// Looks at `entry` and says what its record and points should be. `old` is
/// what the manifest has for the path.
pub(super) fn prepare(
    root: &AbsPath,
    entry: &FileEntry,
    old: Option<&FileRecord>,
    options: &Options,
) -> Prepared {
    let mut counts = Counts::default();
    let prepared = |found, points, counts| Prepared { path: entry.path.clone(), found, points, counts };
    let skipped = |reason, content, stat| {
        Found::Record(FileRecord { content, stat, tracked: entry.tracked, state: FileState::Skipped(reason) })
    };
    let by_path = entry.skip.or_else(|| chunk::skip_by_path(&entry.path));
    let too_large = (entry.stat.size > options.max_file_bytes).then_some(SkipReason::TooLarge);
    if let Some(reason) = by_path.or(too_large) {
        return prepared(skipped(reason, None, Some(entry.stat)), Vec::new(), counts);
    }
    let read = match read_file(root, &entry.path, options.max_file_bytes) {
        Ok(read) => read,
        Err(error) => {
            tracing::debug!(path = %entry.path, %error, "not read");
            let found = match error {
                ReadError::Vanished(_) => Found::Nothing,
                ReadError::Changing(_) => Found::Unsettled,
                ReadError::NotAFile { reason, .. } => skipped(reason, None, None),
                ReadError::TooLarge { .. } => skipped(SkipReason::TooLarge, None, None),
                ReadError::Io { .. } => skipped(SkipReason::Unreadable, None, None),
            };
            return prepared(found, Vec::new(), counts);
        }
    };
    counts.read = true;
    counts.bytes_read = read.bytes.len() as u64;
    let content = ContentHash::of(&read.bytes);
    if let Some(old) = old.filter(|old| old.content == Some(content) && was_read(old)) {
        counts.touched = true;
        let record = FileRecord { stat: read.signature, tracked: entry.tracked, ..old.clone() };
        return prepared(Found::Record(record), Vec::new(), counts);
    }
    let language = Language::of(&entry.path);
    let chunked = match options.chunk(&entry.path, language, &read.bytes) {
        Ok(chunked) => chunked,
        Err(reason) => return prepared(skipped(reason, Some(content), read.signature), Vec::new(), counts),
    };
    counts.parsed = true;
    counts.redactions = u64::from(chunked.redactions);
    counts.syntax_errors = u64::from(chunked.errors);
    let points = points(&entry.path, language, chunked.chunks, options);
    let state = FileState::Indexed { language, chunks: points.iter().map(chunk_ref).collect() };
    prepared(
        Found::Record(FileRecord {
            content: Some(content),
            stat: read.signature,
            tracked: entry.tracked,
            state,
        }),
        points,
        counts,
    )
}

/// Whether the record's state came from the file's bytes, so that equal bytes mean an equal state.
fn was_read(record: &FileRecord) -> bool {
    match record.state {
        FileState::Indexed { .. } => true,
        FileState::Skipped(reason) => {
            matches!(reason, SkipReason::Binary | SkipReason::Minified | SkipReason::Generated)
        }
    }
}

/// The points of a file's chunks, in file order.
pub(super) fn points(
    path: &RepoPath,
    language: Language,
    chunks: Vec<Chunk>,
    options: &Options,
) -> Vec<Point> {
    let mut ordinals: HashMap<(String, ContentHash), u32> = HashMap::new();
    let point = |chunk: Chunk| {
        let symbol_path = match (&chunk.container, &chunk.symbol) {
            (Some(container), Some(symbol)) => format!("{container}/{symbol}"),
            (one, other) => one.iter().chain(other).cloned().collect(),
        };
        let ordinal = ordinals.entry((symbol_path.clone(), chunk.hash)).or_default();
        let id = PointId::new(path.as_bytes(), &symbol_path, *ordinal, &chunk.hash);
        *ordinal += 1;
        let vectors = Leg::ALL.map(|leg| {
            let spec = options.legs[leg.index()].as_ref()?;
            let text = leg_text(leg, language, &chunk);
            spec.fits(&text).then(|| VectorKey::of(&text))
        });
        Point {
            id,
            path: path.clone(),
            language,
            kind: chunk.kind.to_owned(),
            terms: lexical::chunk_terms(path, &chunk),
            bytes: chunk.bytes,
            lines: chunk.lines,
            hash: chunk.hash,
            symbol: chunk.symbol,
            container: chunk.container,
            signature: chunk.signature,
            text: chunk.text,
            vectors,
            attributes: BTreeMap::new(),
            time: None,
        }
    };
    chunks.into_iter().map(point).collect()
}

/// What a leg's model is given of a chunk.
pub(super) fn leg_text(leg: Leg, language: Language, chunk: &Chunk) -> String {
    match leg {
        Leg::Text => textify::textify(language, chunk),
        Leg::Code => chunk.text.clone(),
    }
}

/// Texts of the keys in `wanted` that this file's chunks have, if the file still has `content`.
pub(super) fn texts(
    root: &AbsPath,
    path: &RepoPath,
    content: &ContentHash,
    leg: Leg,
    options: &Options,
    wanted: &dyn Fn(&VectorKey) -> bool,
) -> BTreeMap<VectorKey, String> {
    let Ok(read) = read_file(root, path, options.max_file_bytes) else { return BTreeMap::new() };
    if ContentHash::of(&read.bytes) != *content {
        return BTreeMap::new();
    }
    let language = Language::of(path);
    let Ok(chunked) = options.chunk(path, language, &read.bytes) else { return BTreeMap::new() };
    let keyed = chunked.chunks.iter().map(|chunk| {
        let text = leg_text(leg, language, chunk);
        (VectorKey::of(&text), text)
    });
    keyed.filter(|(key, _)| wanted(key)).collect()
}

/// What the manifest keeps of a point.
pub(super) fn chunk_ref(point: &Point) -> ChunkRef {
    ChunkRef {
        id: point.id,
        bytes: point.bytes.clone(),
        lines: point.lines,
        payload: payload_digest(point),
        vectors: point.vectors,
    }
}

/// Digest of everything a point says besides its place in the file: two points
/// with one id and one digest differ at most in their ranges.
fn payload_digest(point: &Point) -> u64 {
    let mut hasher = blake3::Hasher::new();
    let mut field = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    field(point.kind.as_bytes());
    for part in [&point.symbol, &point.container, &point.signature] {
        field(part.as_deref().unwrap_or("\0").as_bytes());
    }
    field(point.text.as_bytes());
    for term in &point.terms {
        field(term.as_bytes());
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(first)
}

impl Options {
    /// Chunks by these options.
    pub(super) fn chunk(
        &self,
        path: &RepoPath,
        language: Language,
        bytes: &[u8],
    ) -> Result<chunk::Chunked, SkipReason> {
        let options = ChunkOptions {
            count_tokens: &|text| self.tokens.count(text),
            max_tokens: self.max_chunk_tokens,
            max_file_bytes: self.max_file_bytes,
        };
        chunk::chunk(path, language, bytes, &options)
    }
}
