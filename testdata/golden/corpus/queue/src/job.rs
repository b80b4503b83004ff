//! What is queued.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use crate::error::QueueError;

/// Identity of a job: the time it was made and a counter, so that ids sort by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId {
    millis: u64,
    counter: u32,
}

impl JobId {
    pub fn new(millis: u64, counter: u32) -> JobId {
        JobId { millis, counter }
    }

    /// Milliseconds since the epoch at which the job was made.
    pub fn created_millis(&self) -> u64 {
        self.millis
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job-{:012x}-{:06x}", self.millis, self.counter)
    }
}

impl FromStr for JobId {
    type Err = QueueError;

    fn from_str(text: &str) -> Result<JobId, QueueError> {
        let malformed = || QueueError::MalformedId(text.to_owned());
        let rest = text.strip_prefix("job-").ok_or_else(malformed)?;
        let (millis, counter) = rest.split_once('-').ok_or_else(malformed)?;
        Ok(JobId {
            millis: u64::from_str_radix(millis, 16).map_err(|_| malformed())?,
            counter: u32::from_str_radix(counter, 16).map_err(|_| malformed())?,
        })
    }
}

/// Where a job stands in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobState {
    /// Nobody has taken it yet.
    Waiting,
    /// A worker holds it until its lease runs out.
    Claimed { worker: String },
    /// It failed and rests until the moment given.
    Resting { until: SystemTime },
    Done,
    /// It failed too often and is kept for people to look at.
    Buried { reason: String },
}

impl JobState {
    pub fn is_final(&self) -> bool {
        matches!(self, JobState::Done | JobState::Buried { .. })
    }
}

/// How urgent a job is. Higher ones are handed out first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    Low,
    #[default]
    Normal,
    High,
}

/// A piece of work.
#[derive(Clone, Debug)]
pub struct Job {
    pub id: JobId,
    pub topic: String,
    pub payload: Vec<u8>,
    pub priority: Priority,
    pub attempts: u32,
    pub state: JobState,
}

impl Job {
    /// A waiting job that nobody has tried yet.
    pub fn new(id: JobId, topic: impl Into<String>, payload: Vec<u8>) -> Job {
        Job {
            id,
            topic: topic.into(),
            payload,
            priority: Priority::default(),
            attempts: 0,
            state: JobState::Waiting,
        }
    }

    /// Whether a worker may take it at `now`.
    pub fn is_ready(&self, now: SystemTime) -> bool {
        match &self.state {
            JobState::Waiting => true,
            JobState::Resting { until } => *until <= now,
            _ => false,
        }
    }
}
