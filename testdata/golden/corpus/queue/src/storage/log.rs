//! A store of segments that are only ever appended to.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::checksum::crc32;
use super::JobStore;
use crate::compat;
use crate::error::QueueError;
use crate::job::{Job, JobId};

/// A segment is closed when it has grown beyond this.
const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// Length and checksum before each record.
const HEADER: usize = 8;

pub struct AppendLog {
    folder: PathBuf,
    active: File,
    number: u32,
    written: u64,
    live: BTreeMap<JobId, u32>,
}

impl AppendLog {
    /// Opens the log in `folder`, which is made if there is none.
    pub fn open(folder: &Path) -> Result<AppendLog, QueueError> {
        fs::create_dir_all(folder)?;
        let number = last_segment(folder)?;
        let path = segment_path(folder, number);
        let active = OpenOptions::new().create(true).append(true).open(&path)?;
        let written = active.metadata()?.len();
        Ok(AppendLog { folder: folder.to_owned(), active, number, written, live: BTreeMap::new() })
    }

    /// Starts a new segment, so that the old one can be dropped once nothing in it is needed.
    fn roll(&mut self) -> Result<(), QueueError> {
        self.active.sync_all()?;
        self.number += 1;
        let path = segment_path(&self.folder, self.number);
        self.active = OpenOptions::new().create(true).append(true).open(&path)?;
        self.written = 0;
        tracing::debug!(segment = self.number, "rolled to a new segment");
        Ok(())
    }

    fn append(&mut self, record: &[u8]) -> Result<(), QueueError> {
        let mut bytes = Vec::with_capacity(HEADER + record.len());
        bytes.extend_from_slice(&(record.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&crc32(record).to_le_bytes());
        bytes.extend_from_slice(record);
        let path = segment_path(&self.folder, self.number);
        self.active
            .write_all(&bytes)
            .and_then(|()| self.active.sync_data())
            .map_err(|source| QueueError::Write { path, source })?;
        self.written += bytes.len() as u64;
        if self.written > SEGMENT_BYTES {
            self.roll()?;
        }
        Ok(())
    }

    /// Reads the records of one segment. A torn record at the end is what a crash
    /// leaves, and is ignored; a wrong checksum before the end is damage.
    fn read_segment(&self, number: u32, found: &mut dyn FnMut(&[u8])) -> Result<(), QueueError> {
        let path = segment_path(&self.folder, number);
        let mut bytes = Vec::new();
        File::open(&path)?.read_to_end(&mut bytes)?;
        let mut at = 0;
        while at + HEADER <= bytes.len() {
            let word = |from: usize| u32::from_le_bytes([bytes[from], bytes[from + 1], bytes[from + 2], bytes[from + 3]]);
            let (length, expected) = (word(at) as usize, word(at + 4));
            let Some(record) = bytes.get(at + HEADER..at + HEADER + length) else { break };
            let actual = crc32(record);
            if actual != expected {
                return Err(QueueError::Corrupt { path, offset: at as u64, found: actual, expected });
            }
            found(record);
            at += HEADER + length;
        }
        Ok(())
    }
}

impl JobStore for AppendLog {
    fn save(&mut self, job: &Job) -> Result<(), QueueError> {
        self.append(&compat::encode_record(job))?;
        self.live.insert(job.id, self.number);
        Ok(())
    }

    fn replay(&mut self, found: &mut dyn FnMut(Job)) -> Result<(), QueueError> {
        let mut jobs = BTreeMap::new();
        for number in 0..=self.number {
            self.read_segment(number, &mut |record| {
                if let Ok(job) = compat::decode_record(record) {
                    jobs.insert(job.id, job);
                }
            })?;
        }
        jobs.into_values().filter(|job| !job.state.is_final()).for_each(found);
        Ok(())
    }

    /// Removes old segments that no live job refers to.
    fn compact(&mut self) -> Result<u64, QueueError> {
        let oldest = self.live.values().min().copied().unwrap_or(self.number);
        let mut freed = 0;
        for number in 0..oldest {
            let path = segment_path(&self.folder, number);
            freed += fs::metadata(&path).map(|data| data.len()).unwrap_or(0);
            fs::remove_file(&path)?;
        }
        Ok(freed)
    }
}

fn segment_path(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("segment-{number:08}.log"))
}

fn last_segment(folder: &Path) -> Result<u32, QueueError> {
    let mut last = 0;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let digits = name.strip_prefix("segment-").and_then(|rest| rest.strip_suffix(".log"));
        last = last.max(digits.and_then(|digits| digits.parse().ok()).unwrap_or(0));
    }
    Ok(last)
}
