//! Who holds which job, and until when.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use crate::error::QueueError;
use crate::job::JobId;

/// A worker's hold on a job.
#[derive(Clone, Debug)]
pub struct Lease {
    pub holder: String,
    pub expires: SystemTime,
}

impl Lease {
    fn is_expired(&self, now: SystemTime) -> bool {
        self.expires <= now
    }
}

/// All leases of a queue. In memory only: after a restart every job is free again.
#[derive(Debug, Default)]
pub struct LeaseTable {
    leases: HashMap<JobId, Lease>,
}

impl LeaseTable {
    pub fn grant(&mut self, job: JobId, holder: &str, expires: SystemTime) {
        self.leases.insert(job, Lease { holder: holder.to_owned(), expires });
    }

    /// Prolongs a lease: the worker is alive and still busy with the job.
    pub fn heartbeat(&mut self, job: JobId, worker: &str, now: SystemTime, hold: Duration) -> Result<(), QueueError> {
        let lease = self.leases.get_mut(&job).ok_or(QueueError::UnknownJob(job))?;
        if lease.holder != worker {
            let holder = lease.holder.clone();
            return Err(QueueError::NotHolder { job, holder, worker: worker.to_owned() });
        }
        lease.expires = now + hold;
        Ok(())
    }

    /// Ends a lease early.
    pub fn release(&mut self, job: JobId, worker: &str) -> Result<(), QueueError> {
        match self.leases.get(&job) {
            Some(lease) if lease.holder != worker => {
                let holder = lease.holder.clone();
                Err(QueueError::NotHolder { job, holder, worker: worker.to_owned() })
            }
            Some(_) => {
                self.leases.remove(&job);
                Ok(())
            }
            None => Err(QueueError::UnknownJob(job)),
        }
    }

    /// Takes the leases that have run out.
    pub fn expired(&mut self, now: SystemTime) -> Vec<JobId> {
        let gone: Vec<JobId> =
            self.leases.iter().filter(|(_, lease)| lease.is_expired(now)).map(|(id, _)| *id).collect();
        for id in &gone {
            self.leases.remove(id);
        }
        gone
    }
}
