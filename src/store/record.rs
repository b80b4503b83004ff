//! A manifest record as bytes, for the providers to frame and to check.
//!
//! The chunks of a record are written against those of the one before, of which there are
//! none if it is new: how many at the start are the same; then each other one, as the number
//! from 1 of a former chunk with another place or as 0 and all of it, and its place. So a save
//! costs a few bytes for each chunk that stays or moves.

use std::collections::HashMap;

use super::codec::{Decoder, put_bytes, put_option, put_varint};
use crate::embed::Leg;
use crate::id::{ContentHash, PointId, VectorKey};
use crate::language::Language;
use crate::manifest::{ChunkRef, FileRecord, FileState, Stat};
use crate::skip::SkipReason;

/// Appends `record`, whose file had the chunks `former` before.
pub(super) fn put_record(out: &mut Vec<u8>, record: &FileRecord, former: &[ChunkRef]) {
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

/// Reads what [`put_record`] wrote against the same `former`; `None` where it is damaged.
pub(super) fn read_record(decoder: &mut Decoder<'_>, former: &[ChunkRef]) -> Option<FileRecord> {
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
