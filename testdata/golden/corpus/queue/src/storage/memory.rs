//! A store that forgets everything with the process: for tests and trials.

use std::collections::BTreeMap;

use super::JobStore;
use crate::error::QueueError;
use crate::job::{Job, JobId};

#[derive(Debug, Default)]
pub struct MemoryStore {
    jobs: BTreeMap<JobId, Job>,
}

impl MemoryStore {
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }
}

impl JobStore for MemoryStore {
    fn save(&mut self, job: &Job) -> Result<(), QueueError> {
        self.jobs.insert(job.id, job.clone());
        Ok(())
    }

    fn replay(&mut self, found: &mut dyn FnMut(Job)) -> Result<(), QueueError> {
        self.jobs.values().cloned().for_each(found);
        Ok(())
    }

    fn compact(&mut self) -> Result<u64, QueueError> {
        let before = self.jobs.len();
        self.jobs.retain(|_, job| !job.state.is_final());
        Ok((before - self.jobs.len()) as u64)
    }
}
