//! The queue itself: what callers push, claim, complete and fail.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use crate::error::QueueError;
use crate::job::{Job, JobId, JobState};
use crate::lease::LeaseTable;
use crate::retry::RetryPolicy;
use crate::storage::JobStore;

/// The most bytes that a job may carry.
pub const MAX_PAYLOAD: usize = 256 * 1024;

/// A queue over a store. Every change is written before it is answered.
pub struct JobQueue<S> {
    store: S,
    jobs: HashMap<JobId, Job>,
    leases: LeaseTable,
    policy: RetryPolicy,
    capacity: usize,
}

impl<S: JobStore> JobQueue<S> {
    /// Opens a queue and reads back what the store has kept.
    pub fn open(mut store: S, policy: RetryPolicy, capacity: usize) -> Result<JobQueue<S>, QueueError> {
        let mut jobs = HashMap::new();
        store.replay(&mut |job| {
            jobs.insert(job.id, job);
        })?;
        tracing::info!(jobs = jobs.len(), "queue opened");
        Ok(JobQueue { store, jobs, leases: LeaseTable::default(), policy, capacity })
    }

    /// Accepts a job, unless the queue is full or the payload too large.
    pub fn push(&mut self, job: Job) -> Result<JobId, QueueError> {
        if job.payload.len() > MAX_PAYLOAD {
            return Err(QueueError::PayloadTooLarge { bytes: job.payload.len(), limit: MAX_PAYLOAD });
        }
        if self.depth() >= self.capacity {
            return Err(QueueError::Full { capacity: self.capacity });
        }
        self.store.save(&job)?;
        let id = job.id;
        self.jobs.insert(id, job);
        Ok(id)
    }

    /// Hands the most urgent ready job to `worker`; the oldest where several are
    /// equally urgent.
    pub fn claim(&mut self, worker: &str, now: SystemTime, hold: Duration) -> Result<Option<Job>, QueueError> {
        let best = self
            .jobs
            .values()
            .filter(|job| job.is_ready(now))
            .max_by_key(|job| (job.priority, std::cmp::Reverse(job.id)))
            .map(|job| job.id);
        let Some(id) = best else { return Ok(None) };
        let job = self.jobs.get_mut(&id).ok_or(QueueError::UnknownJob(id))?;
        job.state = JobState::Claimed { worker: worker.to_owned() };
        job.attempts += 1;
        self.leases.grant(id, worker, now + hold);
        self.store.save(job)?;
        Ok(Some(job.clone()))
    }

    /// Marks a claimed job as done. Only the worker that holds it may.
    pub fn complete(&mut self, id: JobId, worker: &str) -> Result<(), QueueError> {
        self.leases.release(id, worker)?;
        let job = self.jobs.get_mut(&id).ok_or(QueueError::UnknownJob(id))?;
        job.state = JobState::Done;
        self.store.save(job)?;
        self.jobs.remove(&id);
        Ok(())
    }

    /// Puts a failed job to rest, or buries it when the policy allows no further attempt.
    pub fn fail(&mut self, id: JobId, worker: &str, reason: &str, now: SystemTime) -> Result<(), QueueError> {
        self.leases.release(id, worker)?;
        let job = self.jobs.get_mut(&id).ok_or(QueueError::UnknownJob(id))?;
        job.state = match self.policy.delay_for(job.attempts) {
            Some(delay) => JobState::Resting { until: now + delay },
            None => JobState::Buried { reason: reason.to_owned() },
        };
        if job.state.is_final() {
            tracing::warn!(%id, attempts = job.attempts, "job buried: {reason}");
        }
        self.store.save(job)
    }

    /// Gives jobs back whose workers went silent.
    pub fn reclaim_expired(&mut self, now: SystemTime) -> Result<usize, QueueError> {
        let expired = self.leases.expired(now);
        for id in &expired {
            if let Some(job) = self.jobs.get_mut(id) {
                job.state = JobState::Waiting;
                self.store.save(job)?;
            }
        }
        Ok(expired.len())
    }

    /// Jobs that are not finished.
    pub fn depth(&self) -> usize {
        self.jobs.values().filter(|job| !job.state.is_final()).count()
    }

    /// Digs a buried job up again, with all its attempts before it.
    pub fn revive(&mut self, id: JobId) -> Result<(), QueueError> {
        let job = self.jobs.get_mut(&id).ok_or(QueueError::UnknownJob(id))?;
        if !matches!(job.state, JobState::Buried { .. }) {
            return Err(QueueError::NotBuried(id));
        }
        job.attempts = 0;
        job.state = JobState::Waiting;
        self.store.save(job)
    }
}
