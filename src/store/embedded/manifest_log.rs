//! The manifest of a collection as an append-only log of checksummed records.
//!
//! A record says what became of one path. How much of the file counts is recorded
//! in the commit: this module is given that many bytes and no more, and any fault in
//! them is damage.
//!
//! Format 1: `CTXMANI1`, then framed records. A record is a tag and its value: 0 path and record, 1 path that is
//! gone.

use std::collections::BTreeMap;

use super::codec::{Decoder, put_bytes, put_frame, put_option, put_varint};
use crate::embed::Leg;
use crate::id::{ContentHash, PointId, VectorKey};
use crate::language::Language;
use crate::manifest::{ChunkRef, FileRecord, FileState, Manifest, Stat};
use crate::path::RepoPath;
use crate::skip::SkipReason;

/// First bytes of the file.
pub(super) const HEADER: &[u8; 8] = b"CTXMANI1";

/// Appends the records of one batch.
pub(super) fn append(out: &mut Vec<u8>, files: &BTreeMap<RepoPath, Option<FileRecord>>) {
    let mut payload = Vec::new();
    for (path, record) in files {
        payload.clear();
        payload.push(u8::from(record.is_none()));
        put_bytes(&mut payload, path.as_bytes());
        if let Some(record) = record {
            put_record(&mut payload, record);
        }
        put_frame(out, &payload);
    }
}

/// A whole new log that says what `manifest` says.
pub(super) fn compact(manifest: Manifest) -> Vec<u8> {
    let files = manifest.into_iter().map(|(path, record)| (path, Some(record))).collect();
    let mut out = HEADER.to_vec();
    append(&mut out, &files);
    out
}

/// Replays the `bytes` of a log that follow its first `start` onto `manifest`, which is
/// what those say. The error says what is wrong and at which byte.
pub(super) fn replay(manifest: &mut Manifest, start: u64, bytes: &[u8]) -> Result<(), String> {
    let mut decoder = Decoder(bytes);
    if start == 0 && decoder.take(HEADER.len()) != Some(HEADER) {
        return Err("not a manifest log of format 1".to_owned());
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
    match decoder.byte()? {
        0 => {
            let path = RepoPath::new(decoder.bytes()?)?;
            let record = read_record(&mut decoder)?;
            manifest.insert(path, record);
        }
        1 => {
            manifest.remove(&RepoPath::new(decoder.bytes()?)?);
        }
        _ => return None,
    }
    decoder.is_empty().then_some(())
}

fn put_record(out: &mut Vec<u8>, record: &FileRecord) {
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
            for chunk in chunks {
                out.extend_from_slice(&chunk.id.0);
                for value in [chunk.bytes.start, chunk.bytes.end, chunk.lines.0, chunk.lines.1] {
                    put_varint(out, u64::from(value));
                }
                out.extend_from_slice(&chunk.payload.to_le_bytes());
                put_keys(out, &chunk.vectors);
            }
        }
    }
}

fn read_record(decoder: &mut Decoder<'_>) -> Option<FileRecord> {
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
            let chunks = (0..count).map(|_| read_chunk(decoder)).collect::<Option<Vec<_>>>()?;
            FileState::Indexed { language, chunks }
        }
        _ => return None,
    };
    Some(FileRecord { content, stat, tracked, state })
}

fn read_chunk(decoder: &mut Decoder<'_>) -> Option<ChunkRef> {
    Some(ChunkRef {
        id: decoder.array().map(PointId)?,
        bytes: decoder.varint_u32()?..decoder.varint_u32()?,
        lines: (decoder.varint_u32()?, decoder.varint_u32()?),
        payload: decoder.array().map(u64::from_le_bytes)?,
        vectors: read_keys(decoder)?,
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
        append(&mut log, &BTreeMap::from([(RepoPath::new("gone").unwrap(), gone)]));
        let (mut manifest, start) = (read(&log).unwrap(), log.len());
        append(&mut log, &files);
        let expected: Manifest = files.into_iter().filter_map(|(p, r)| Some((p, r?))).collect();
        assert_eq!(read(&log).unwrap(), expected);
        replay(&mut manifest, start as u64, &log[start..]).unwrap();
        assert_eq!(manifest, expected);
        assert_eq!(read(&compact(manifest)).unwrap(), expected);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let mut log = HEADER.to_vec();
        append(&mut log, &sample());
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
            let _ = read_record(&mut Decoder(&bytes));
        }
    }
}
