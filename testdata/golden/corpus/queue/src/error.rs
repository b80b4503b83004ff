//! Everything that can go wrong in the queue, in words for the person on call.

use std::io;
use std::path::PathBuf;

use crate::job::JobId;

#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    #[error("queue is full: {capacity} jobs are waiting already")]
    Full { capacity: usize },
    #[error("payload of {bytes} bytes exceeds the limit of {limit}")]
    PayloadTooLarge { bytes: usize, limit: usize },
    #[error("no job {0} in this queue")]
    UnknownJob(JobId),
    #[error("job {0} is not buried, so it cannot be revived")]
    NotBuried(JobId),
    #[error("job {job} is held by {holder}, not by {worker}")]
    NotHolder { job: JobId, holder: String, worker: String },
    #[error("malformed job id {0:?}: expected job-<millis>-<counter>")]
    MalformedId(String),
    #[error("segment {path} is corrupt at offset {offset}: checksum {found:08x}, expected {expected:08x}")]
    Corrupt { path: PathBuf, offset: u64, found: u32, expected: u32 },
    #[error("cannot write segment {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("unknown record version {0}: written by a newer release")]
    RecordVersion(u8),
    #[error("invalid cron expression {expression:?}: {reason}")]
    Cron { expression: String, reason: String },
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl QueueError {
    /// Whether trying the same again later can succeed.
    pub fn is_transient(&self) -> bool {
        matches!(self, QueueError::Full { .. } | QueueError::Io(_) | QueueError::Write { .. })
    }
}
