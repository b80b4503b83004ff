//! The whole queue in one file, so that opening does not read years of segments.

use std::fs;
use std::io::Write;
use std::path::Path;

use super::checksum::crc32;
use crate::compat::{decode_record, encode_record};
use crate::error::QueueError;
use crate::job::Job;

const MAGIC: [u8; 4] = *b"CQS2";

/// What stands at the beginning of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotHeader {
    pub jobs: u32,
    pub checksum: u32,
    /// Segments up to this one are contained.
    pub up_to: u32,
}

impl SnapshotHeader {
    /// Reads a header; `None` where the bytes are no snapshot.
    pub fn parse(bytes: &[u8]) -> Option<SnapshotHeader> {
        let word = |at: usize| bytes.get(at..at + 4).map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]));
        if bytes.get(..4)? != MAGIC {
            return None;
        }
        Some(SnapshotHeader { jobs: word(4)?, checksum: word(8)?, up_to: word(12)? })
    }
}

pub struct Snapshot;

impl Snapshot {
    /// Writes to a file beside `path` and renames it, so that a reader sees the old
    /// snapshot or the new one and never half of it.
    pub fn write(path: &Path, jobs: &[Job], up_to: u32) -> Result<(), QueueError> {
        let mut body = Vec::new();
        for job in jobs {
            let record = encode_record(job);
            body.extend_from_slice(&(record.len() as u32).to_le_bytes());
            body.extend_from_slice(&record);
        }
        let temporary = path.with_extension("partial");
        let mut file = fs::File::create(&temporary)?;
        file.write_all(&MAGIC)?;
        for word in [jobs.len() as u32, crc32(&body), up_to] {
            file.write_all(&word.to_le_bytes())?;
        }
        file.write_all(&body)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        Ok(())
    }

    pub fn read(path: &Path) -> Result<(SnapshotHeader, Vec<Job>), QueueError> {
        let bytes = fs::read(path)?;
        let invalid = || std::io::Error::new(std::io::ErrorKind::InvalidData, "not a snapshot of this queue");
        let header = SnapshotHeader::parse(&bytes).ok_or_else(invalid)?;
        let body = &bytes[16..];
        let found = crc32(body);
        if found != header.checksum {
            return Err(QueueError::Corrupt { path: path.to_owned(), offset: 16, found, expected: header.checksum });
        }
        let mut jobs = Vec::new();
        let mut rest = body;
        while rest.len() >= 4 {
            let length = u32::from_le_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
            jobs.push(decode_record(&rest[4..4 + length])?);
            rest = &rest[4 + length..];
        }
        Ok((header, jobs))
    }
}
