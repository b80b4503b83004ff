//! The manifest of a collection as an append-only log of checksummed records.
//!
//! A record says what became of one path. How much of the file counts is recorded
//! in the commit: this module is given that many bytes and no more, and any fault in
//! them is damage.
//!
//! Format 2: `CTXMANI2`, then framed records. A record is a tag, a path and what became of
//! it: 0 the path is gone, 1 the record is new, 2 the record is another than before and is
//! written against that one ([`crate::store::record`]).
//!
//! Format 1 wrote every record whole; it is read no more.

use std::collections::BTreeMap;

use crate::manifest::{FileRecord, Manifest};
use crate::path::RepoPath;
use crate::store::codec::{Decoder, put_bytes, put_frame};
use crate::store::record::{put_record, read_record};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ContentHash, PointId, VectorKey};
    use crate::language::Language;
    use crate::manifest::{ChunkRef, FileState, Stat};
    use crate::skip::SkipReason;
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
