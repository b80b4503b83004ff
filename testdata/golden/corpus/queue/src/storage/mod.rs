//! Where jobs rest.

mod checksum;
mod log;
mod memory;
mod snapshot;

pub use checksum::crc32;
pub use log::AppendLog;
pub use memory::MemoryStore;
pub use snapshot::{Snapshot, SnapshotHeader};

use crate::error::QueueError;
use crate::job::Job;

/// Keeps jobs over restarts.
pub trait JobStore {
    /// Writes the job's present state; returns when it is safe.
    fn save(&mut self, job: &Job) -> Result<(), QueueError>;

    /// Calls `found` with the last state of every job that is kept.
    fn replay(&mut self, found: &mut dyn FnMut(Job)) -> Result<(), QueueError>;

    /// Drops what is no longer needed; the number of bytes freed.
    fn compact(&mut self) -> Result<u64, QueueError>;
}
