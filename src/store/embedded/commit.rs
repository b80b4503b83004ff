//! The commit record: which files make up a state of the collection, and how much
//! of each counts. Replacing it is the one atomic point of a change.
//!
//! It is written whole by every change, so it is kept within a page: what it says
//! of a segment is a few bytes, and what is appended to logs and vector files stays
//! in it until it no longer fits. It only describes; reading and writing the files is for others.
//!
//! Formats: `CTXCOMM1`, the first; `CTXCOMM2`, with the dense legs. The fields in order, CRC-32
//! of all before.

use crate::embed::Leg;
use crate::id::Fingerprint;
use crate::store::Legs;
use crate::store::codec::{Decoder, put_bytes, put_option, put_varint};

/// File name.
pub(super) const NAME: &str = "commit";

const MAGIC: &[u8; 8] = b"CTXCOMM2";

/// What the record says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Commit {
    /// Drawn when the collection is created: tells it from another of the same
    /// name that was there before.
    pub(super) origin: u64,
    /// Number of the next segment or vector file.
    pub(super) next: u64,
    /// Manifest log.
    pub(super) manifest: Extent,
    /// Dense legs.
    pub(super) legs: Legs,
    /// Vector file of each leg that is on.
    pub(super) vectors: [Option<Extent>; Leg::ALL.len()],
    /// The collection's state: opaque.
    pub(super) state: Option<String>,
    /// Segments of the index.
    pub(super) segments: Vec<SegmentEntry>,
}

/// How much of an append-only file counts, and what follows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// Last part of the file's name; each compaction makes another.
    pub(super) number: u64,
    /// Bytes that count.
    pub(super) len: u64,
    /// Bytes when it was last compacted, or last found not worth it.
    pub(super) base: u64,
    /// Bytes that follow, and are not in the file yet.
    pub(super) tail: Vec<u8>,
}

impl Extent {
    /// A whole file.
    pub(super) fn whole(number: u64, len: u64) -> Extent {
        Extent { number, len, base: len, tail: Vec::new() }
    }

    /// Bytes that count, in the file and after it.
    pub(super) fn total(&self) -> u64 {
        self.len + self.tail.len() as u64
    }
}

/// A segment, and what became of its documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SegmentEntry {
    /// Last part of the file's name.
    pub(super) number: u64,
    /// CRC-32 of its header, which has those of the rest.
    pub(super) checksum: u32,
    /// Log of its changes. There is no file while no byte of it counts.
    pub(super) changes: Extent,
}

/// Name of the manifest log.
pub(super) fn manifest_name(extent: &Extent) -> String {
    format!("manifest.{}", extent.number)
}

/// Name of a leg's vector file.
pub(super) fn vectors_name(leg: Leg, extent: &Extent) -> String {
    format!("vectors.{leg}.{}", extent.number)
}

/// Name of a segment.
pub(super) fn segment_name(number: u64) -> String {
    format!("segment.{number}")
}

/// Name of the log of a segment's changes.
pub(super) fn changes_name(entry: &SegmentEntry) -> String {
    format!("changes.{}.{}", entry.number, entry.changes.number)
}

/// Whether a file of this name is, or was once, part of a state.
pub(super) fn is_part(name: &str) -> bool {
    ["manifest.", "vectors.", "segment.", "changes."].iter().any(|prefix| name.starts_with(prefix))
}

impl Commit {
    /// The files that it refers to.
    pub(super) fn file_names(&self) -> Vec<String> {
        let mut names = vec![manifest_name(&self.manifest)];
        for leg in Leg::ALL {
            names.extend(self.vectors[leg.index()].as_ref().map(|extent| vectors_name(leg, extent)));
        }
        for entry in &self.segments {
            names.push(segment_name(entry.number));
            names.extend((entry.changes.len > 0).then(|| changes_name(entry)));
        }
        names
    }

    /// The append-only files with their names.
    pub(super) fn extents(&mut self) -> impl Iterator<Item = (String, &mut Extent)> {
        let manifest = (manifest_name(&self.manifest), &mut self.manifest);
        let vectors = Leg::ALL.into_iter().zip(&mut self.vectors);
        let vectors = vectors.filter_map(|(leg, extent)| extent.as_mut().map(|e| (vectors_name(leg, e), e)));
        let changes = self.segments.iter_mut().map(|entry| (changes_name(entry), &mut entry.changes));
        std::iter::once(manifest).chain(vectors).chain(changes)
    }

    /// A number that no segment and no vector file of the collection ever had.
    pub(super) fn draw_number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// The record's bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        put_varint(&mut out, self.origin);
        put_varint(&mut out, self.next);
        put_extent(&mut out, &self.manifest);
        for leg in &self.legs {
            put_option(&mut out, leg.as_ref(), |out, (fingerprint, dimension)| {
                put_bytes(out, fingerprint.0.as_bytes());
                put_varint(out, *dimension as u64);
            });
        }
        for extent in &self.vectors {
            put_option(&mut out, extent.as_ref(), put_extent);
        }
        put_option(&mut out, self.state.as_ref(), |out, state| put_bytes(out, state.as_bytes()));
        put_varint(&mut out, self.segments.len() as u64);
        for entry in &self.segments {
            put_varint(&mut out, entry.number);
            out.extend_from_slice(&entry.checksum.to_le_bytes());
            put_extent(&mut out, &entry.changes);
        }
        let checksum = crc32fast::hash(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }

    /// Reads what [`Commit::encode`] wrote. The error says what is wrong.
    pub(super) fn decode(bytes: &[u8]) -> Result<Commit, &'static str> {
        let parse = || {
            let (body, checksum) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
            (crc32fast::hash(body).to_le_bytes() == *checksum).then_some(())?;
            let mut decoder = Decoder(body);
            (decoder.take(MAGIC.len())? == MAGIC).then_some(())?;
            let mut commit = Commit {
                origin: decoder.varint()?,
                next: decoder.varint()?,
                manifest: read_extent(&mut decoder)?,
                ..Commit::default()
            };
            for leg in &mut commit.legs {
                *leg = decoder.option(|decoder| {
                    let fingerprint = Fingerprint(decoder.string()?);
                    Some((fingerprint, usize::try_from(decoder.varint()?).ok()?))
                })?;
            }
            for extent in &mut commit.vectors {
                *extent = decoder.option(read_extent)?;
            }
            commit.state = decoder.option(Decoder::string)?;
            for _ in 0..decoder.varint()? {
                commit.segments.push(SegmentEntry {
                    number: decoder.varint()?,
                    checksum: decoder.u32()?,
                    changes: read_extent(&mut decoder)?,
                });
            }
            decoder.is_empty().then_some(commit)
        };
        parse().ok_or("its checksum does not match")
    }
}

fn put_extent(out: &mut Vec<u8>, extent: &Extent) {
    for value in [extent.number, extent.len, extent.base] {
        put_varint(out, value);
    }
    put_bytes(out, &extent.tail);
}

fn read_extent(decoder: &mut Decoder<'_>) -> Option<Extent> {
    Some(Extent {
        number: decoder.varint()?,
        len: decoder.varint()?,
        base: decoder.varint()?,
        tail: decoder.bytes()?.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Commit {
        let extent = |number| Extent { number, len: 1 << 40, base: 8, tail: vec![7; 300] };
        Commit {
            origin: u64::MAX,
            next: 12,
            manifest: extent(3),
            legs: [Some((Fingerprint("m@1;384".to_owned()), 384)), None],
            vectors: [Some(extent(0)), None],
            state: Some("{}".to_owned()),
            segments: vec![
                SegmentEntry { number: 1, checksum: 9, changes: extent(4) },
                SegmentEntry { number: 10, checksum: 0, changes: Extent::default() },
            ],
        }
    }

    #[test]
    fn what_is_written_is_read_and_every_flip_and_cut_is_found() {
        let bytes = sample().encode();
        assert_eq!(Commit::decode(&bytes), Ok(sample()));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(Commit::decode(&damaged).is_err(), "flip at {at}");
            assert!(Commit::decode(&bytes[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn it_names_each_of_its_files() {
        let expected = ["manifest.3", "vectors.text.0", "segment.1", "changes.1.4", "segment.10"];
        assert_eq!(sample().file_names(), expected);
        assert!(expected.iter().all(|name| is_part(name)) && !is_part(NAME) && !is_part("schema.json"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes: Vec<u8>) {
            bytes.splice(0..0, MAGIC.iter().copied());
            bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
            let _ = Commit::decode(&bytes);
        }
    }
}
