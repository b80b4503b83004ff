//! A durable job queue: jobs survive a crash, are handed to one worker at a time,
//! and come back after a pause when a worker fails.

pub mod backoff;
pub mod compat;
pub mod error;
pub mod job;
pub mod lease;
pub mod metrics;
pub mod queue;
pub mod retry;
pub mod schedule;
pub mod storage;
pub mod wire;
pub mod worker;

pub use error::QueueError;
pub use job::{Job, JobId, JobState, Priority};
pub use queue::JobQueue;
pub use retry::RetryPolicy;
pub use schedule::Scheduler;
pub use storage::{AppendLog, JobStore, MemoryStore};
pub use worker::WorkerPool;
