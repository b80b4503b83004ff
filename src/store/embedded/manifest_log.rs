//! The manifest of a collection as an append-only log of checksummed records.
//!
//! A record says what became of one path. How much of the file counts is recorded
//! in the commit: this module is given that many bytes and no more, and any fault in
//! them is damage.
//!
//! Format 2: `CTXMANI2`, then framed records. A record is a tag, a path and what became of
//! it: 0 the path is gone, 1 the record is new, 2 the record is another than before. The
//! chunks of a record are written against those of the one before, of which there are none
//! if it is new: how many at the start are the same; then each other one, as the number from
//! 1 of a former chunk with another place or as 0 and all of it, and its place. So a save
//! costs a few bytes for each chunk that stays or moves.
//!
//! Format 1 wrote every record whole; it is read no more.

use std::collections::{BTreeMap, HashMap};

use super::codec::{Decoder, put_bytes, put_frame, put_option, put_varint};
use crate::embed::Leg;
use crate::id::{ContentHash, PointId, VectorKey};
use crate::language::Language;
use crate::manifest::{ChunkRef, FileRecord, FileState, Manifest, Stat};
use crate::path::RepoPath;
use crate::skip::SkipReason;

/// First bytes of the file.
pub(super) const HEADER: &[u8; 8] = b"CTXMANI2";

const GONE: u8 = 0;
const NEW: u8 = 1;
const CHANGED: u8 = 2;

/// Appends the records of one batch to a log that says what `manifest` says.
pub(super) fn append(out: &mut Vec<u8>, manifest: &Manifest, files: &BTreeMap<RepoPath, Option<FileRecord>>) {
    for (path, record) in files {
        append_one(out, path, manifest.get(path), record.as_ref());
    }
}

fn append_one(out: &mut Vec<u8>, path: &RepoPath, former: Option<&FileRecord>, record: Option<&FileRecord>) {
    let mut payload = vec![match (former, record) {
        (_, None) => GONE,
        (None, Some(_)) => NEW,
        (Some(_), Some(_)) => CHANGED,
    }];
    put_bytes(&mut payload, path.as_bytes());
    if let Some(record) = record {
        put_record(&mut payload, record, former.map(FileRecord::chunks).unwrap_or_default());
    }
    put_frame(out, &payload);
}

/// A whole new log that says what `manifest` says.
pub(super) fn compact(manifest: &Manifest) -> Vec<u8> {
    let mut out = HEADER.to_vec();
    for (path, record) in manifest {
        append_one(&mut out, path, None, Some(record));
    }
    out
}

/// Replays the `bytes` of a log that follow its first `start` onto `manifest`, which is
/// what those say. The error says what is wrong and at which byte.
pub(super) fn replay(manifest: &mut Manifest, start: u64, bytes: &[u8]) -> Result<(), String> {
    let mut decoder = Decoder(bytes);
    if start == 0 && decoder.take(HEADER.len()) != Some(HEADER) {
        return Err("not a manifest log of format 2".to_owned());
    }
    while !decoder.is_empty() {
        let at = start + (bytes.len() - decoder.0.len()) as u64;
        decoder
            .frame()
            .and_then(|payload| apply_record(manifest, payload))
            .ok_or_else(|| format!("damaged record at byte {at}"))?;
    }
    Ok(())
}

fn apply_record(manifest: &mut Manifest, payload: &[u8]) -> Option<()> {
    let mut decoder = Decoder(payload);
    let tag = decoder.byte()?;
    let path = RepoPath::new(decoder.bytes()?)?;
    match tag {
        GONE => drop(manifest.remove(&path)),
        NEW | CHANGED => {
            let former = if tag == CHANGED { manifest.get(&path)?.chunks() } else { &[] };
            let record = read_record(&mut decoder, former)?;
            manifest.insert(path, record);
        }
        _ => return None,
    }
    decoder.is_empty().then_some(())
}

fn put_record(out: &mut Vec<u8>, record: &FileRecord, former: &[ChunkRef]) {
    put_option(out, record.content, |out, hash| out.extend_from_slice(&hash.0));
    put_option(out, record.stat, |out, stat| {
        out.extend_from_slice(&stat.mtime_ns.to_le_bytes());
        out.extend_from_slice(&stat.ctime_ns.to_le_bytes());
        put_varint(out, stat.size);
        put_varint(out, stat.inode);
    });
    out.push(u8::from(record.tracked));
    match &record.state {
        FileState::Skipped(reason) => {
            out.push(0);
            put_bytes(out, reason.name().as_bytes());
        }
        FileState::Indexed { language, chunks } => {
            out.push(1);
            put_bytes(out, language.name().as_bytes());
            put_varint(out, chunks.len() as u64);
            let same = chunks.iter().zip(former).take_while(|(chunk, former)| chunk == former).count();
            put_varint(out, same as u64);
            let places: HashMap<PointId, usize> = former.iter().map(|chunk| chunk.id).zip(0..).collect();
            for chunk in &chunks[same..] {
                put_chunk(out, chunk, places.get(&chunk.id).map(|at| (*at, &former[*at])));
            }
        }
    }
}

fn put_chunk(out: &mut Vec<u8>, chunk: &ChunkRef, former: Option<(usize, &ChunkRef)>) {
    let content = |chunk: &ChunkRef| (chunk.payload, chunk.vectors);
    match former.filter(|(_, former)| content(former) == content(chunk)) {
        Some((at, _)) => put_varint(out, at as u64 + 1),
        None => {
            put_varint(out, 0);
            out.extend_from_slice(&chunk.id.0);
            out.extend_from_slice(&chunk.payload.to_le_bytes());
            put_keys(out, &chunk.vectors);
        }
    }
    for value in [chunk.bytes.start, chunk.bytes.end, chunk.lines.0, chunk.lines.1] {
        put_varint(out, u64::from(value));
    }
}

fn read_record(decoder: &mut Decoder<'_>, former: &[ChunkRef]) -> Option<FileRecord> {
    let content = decoder.option(|d| d.array().map(ContentHash))?;
    let stat = decoder.option(|d| {
        Some(Stat {
            mtime_ns: d.array().map(i64::from_le_bytes)?,
            ctime_ns: d.array().map(i64::from_le_bytes)?,
            size: d.varint()?,
            inode: d.varint()?,
        })
    })?;
    let tracked = match decoder.byte()? {
        0 => false,
        1 => true,
        _ => return None,
    };
    let state = match decoder.byte()? {
        0 => FileState::Skipped(SkipReason::from_name(std::str::from_utf8(decoder.bytes()?).ok()?)?),
        1 => {
            let language = Language::from_name(std::str::from_utf8(decoder.bytes()?).ok()?)?;
            let count = decoder.varint_u32()?;
            let same = decoder.varint_u32().filter(|same| *same <= count)?;
            let mut chunks = former.get(..same as usize)?.to_vec();
            for _ in chunks.len()..count as usize {
                chunks.push(read_chunk(decoder, former)?);
            }
            FileState::Indexed { language, chunks }
        }
        _ => return None,
    };
    Some(FileRecord { content, stat, tracked, state })
}

fn read_chunk(decoder: &mut Decoder<'_>, former: &[ChunkRef]) -> Option<ChunkRef> {
    let (id, payload, vectors) = match decoder.varint_u32()?.checked_sub(1) {
        Some(at) => {
            let former = former.get(at as usize)?;
            (former.id, former.payload, former.vectors)
        }
        None => {
            (decoder.array().map(PointId)?, decoder.array().map(u64::from_le_bytes)?, read_keys(decoder)?)
        }
    };
    Some(ChunkRef {
        id,
        bytes: decoder.varint_u32()?..decoder.varint_u32()?,
        lines: (decoder.varint_u32()?, decoder.varint_u32()?),
        payload,
        vectors,
    })
}

/// Appends the vector key of each leg.
pub(super) fn put_keys(out: &mut Vec<u8>, keys: &[Option<VectorKey>; Leg::ALL.len()]) {
    for key in keys {
        put_option(out, *key, |out, key| out.extend_from_slice(&key.0));
    }
}

/// Reads what [`put_keys`] wrote.
pub(super) fn read_keys(decoder: &mut Decoder<'_>) -> Option<[Option<VectorKey>; Leg::ALL.len()]> {
    let mut keys = [None; Leg::ALL.len()];
    for key in &mut keys {
        *key = decoder.option(|d| d.array().map(VectorKey))?;
    }
    Some(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> BTreeMap<RepoPath, Option<FileRecord>> {
        let path = |p: &[u8]| RepoPath::new(p).unwrap();
        let chunk = ChunkRef {
            id: PointId([7; 16]),
            bytes: 0..300,
            lines: (1, 12),
            payload: u64::MAX - 1,
            vectors: [Some(VectorKey([1; 16])), None],
        };
        let stat = Stat { mtime_ns: -1, ctime_ns: i64::MAX, size: u64::MAX, inode: 0 };
        let indexed = FileState::Indexed { language: Language::Rust, chunks: vec![chunk] };
        let content = Some(ContentHash::of(b"x"));
        BTreeMap::from([
            (path(b"a/b.rs"), Some(FileRecord { content, stat: Some(stat), tracked: true, state: indexed })),
            (
                path(b"caf\xe9\n"),
                Some(FileRecord {
                    content: None,
                    stat: None,
                    tracked: false,
                    state: FileState::Skipped(SkipReason::Binary),
                }),
            ),
            (path(b"gone"), None),
        ])
    }

    fn read(log: &[u8]) -> Result<Manifest, String> {
        let mut manifest = Manifest::new();
        replay(&mut manifest, 0, log).map(|()| manifest)
    }

    #[test]
    fn replay_gives_what_was_appended_and_compaction_the_same() {
        let files = sample();
        let mut log = HEADER.to_vec();
        let gone = files.values().next().unwrap().clone();
        append(&mut log, &Manifest::new(), &BTreeMap::from([(RepoPath::new("gone").unwrap(), gone)]));
        let (mut manifest, start) = (read(&log).unwrap(), log.len());
        append(&mut log, &manifest, &files);
        let expected: Manifest = files.into_iter().filter_map(|(p, r)| Some((p, r?))).collect();
        assert_eq!(read(&log).unwrap(), expected);
        replay(&mut manifest, start as u64, &log[start..]).unwrap();
        assert_eq!(manifest, expected);
        assert_eq!(read(&compact(&manifest)).unwrap(), expected);
    }

    /// One file's chunks over some saves: each replays exactly, and what stays costs little.
    #[test]
    fn a_changed_record_is_written_against_the_one_before() {
        let path = RepoPath::new("a.rs").unwrap();
        let chunk = |number: u8, start: u32| ChunkRef {
            id: PointId([number; 16]),
            bytes: start..start + 100,
            lines: (start / 10 + 1, start / 10 + 9),
            payload: u64::from(number),
            vectors: [Some(VectorKey([number; 16])), None],
        };
        let record = |chunks| FileRecord {
            content: Some(ContentHash::of(b"x")),
            stat: None,
            tracked: true,
            state: FileState::Indexed { language: Language::Rust, chunks },
        };
        let stat = Some(Stat { mtime_ns: 1, ctime_ns: 2, size: 3, inode: 4 });
        let first: Vec<_> = (0..10).map(|n| chunk(n, u32::from(n) * 100)).collect();
        let mut other_payload = first.clone();
        other_payload[3].payload = 99;
        let inserted: Vec<_> = (first[..2].iter().cloned())
            .chain([chunk(50, 200)])
            .chain((2..10).map(|n| chunk(n, u32::from(n) * 100 + 100)))
            .collect();
        // What it says then, and its bytes at most.
        let steps: [(&str, Option<FileRecord>, usize); 8] = [
            ("new", Some(record(first.clone())), 600),
            ("touched", Some(FileRecord { stat, ..record(first.clone()) }), 80),
            ("another payload", Some(record(other_payload)), 180),
            ("one inserted, the rest moved", Some(record(inserted)), 220),
            ("shorter", Some(record(first[..4].to_vec())), 80),
            ("other order", Some(record(first.iter().rev().cloned().collect())), 500),
            (
                "skipped",
                Some(FileRecord { state: FileState::Skipped(SkipReason::Binary), ..record(Vec::new()) }),
                80,
            ),
            ("gone", None, 30),
        ];
        let (mut manifest, mut log) = (Manifest::new(), HEADER.to_vec());
        for (name, record, most) in steps {
            let before = log.len();
            append(&mut log, &manifest, &BTreeMap::from([(path.clone(), record.clone())]));
            assert!(log.len() - before <= most, "{name}: {} bytes", log.len() - before);
            replay(&mut manifest, before as u64, &log[before..]).unwrap();
            assert_eq!(manifest.get(&path), record.as_ref(), "{name}");
            assert_eq!(read(&log).unwrap(), manifest, "{name}");
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let mut log = HEADER.to_vec();
        append(&mut log, &Manifest::new(), &sample());
        let whole = read(&log).unwrap();
        for at in 0..log.len() {
            let mut damaged = log.clone();
            damaged[at] ^= 0x10;
            assert!(read(&damaged).is_err(), "flip at {at}");
            // A cut at a record boundary is a shorter log; the length that counts
            // is the commit's to know. The last record takes a path away.
            if let Ok(cut) = read(&log[..at]) {
                assert!(cut.len() <= whole.len(), "cut at {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes: Vec<u8>) {
            let _ = read(&bytes);
            bytes.splice(0..0, HEADER.iter().copied());
            let _ = read(&bytes);
            let _ = read_record(&mut Decoder(&bytes), &[]);
        }
    }
}
