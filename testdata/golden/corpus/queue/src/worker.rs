//! Threads that take jobs and run them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use crate::job::Job;
use crate::queue::JobQueue;
use crate::storage::JobStore;

/// What a worker does with a job; the text says why it failed.
pub type Handler = dyn Fn(&Job) -> Result<(), String> + Send + Sync;

/// A fixed number of threads over one queue.
pub struct WorkerPool {
    threads: Vec<JoinHandle<()>>,
    stopping: Arc<AtomicBool>,
}

impl WorkerPool {
    pub fn start<S>(queue: Arc<Mutex<JobQueue<S>>>, size: usize, handler: Arc<Handler>) -> WorkerPool
    where
        S: JobStore + Send + 'static,
    {
        let stopping = Arc::new(AtomicBool::new(false));
        let threads = (0..size)
            .map(|number| {
                let (queue, handler, stopping) = (queue.clone(), handler.clone(), stopping.clone());
                thread::spawn(move || {
                    let name = format!("worker-{number}");
                    while !stopping.load(Ordering::Acquire) {
                        if !run_one(&queue, &name, &handler) {
                            thread::park_timeout(Duration::from_millis(50));
                        }
                    }
                })
            })
            .collect();
        WorkerPool { threads, stopping }
    }

    /// Lets running jobs end, takes no new ones, and waits for the threads.
    pub fn drain(self) {
        self.stopping.store(true, Ordering::Release);
        for thread in self.threads {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("a worker thread panicked while draining");
            }
        }
    }
}

/// Claims and runs one job; whether there was one.
fn run_one<S: JobStore>(queue: &Mutex<JobQueue<S>>, name: &str, handler: &Arc<Handler>) -> bool {
    let now = SystemTime::now();
    let claimed = queue.lock().expect("queue lock poisoned by a panicking worker").claim(name, now, Duration::from_secs(30));
    let job = match claimed {
        Ok(Some(job)) => job,
        Ok(None) => return false,
        Err(error) => {
            tracing::error!("{name} could not claim a job: {error}");
            return false;
        }
    };
    let outcome = handler(&job);
    let mut queue = queue.lock().expect("queue lock poisoned by a panicking worker");
    let settled = match outcome {
        Ok(()) => queue.complete(job.id, name),
        Err(reason) => queue.fail(job.id, name, &reason, SystemTime::now()),
    };
    if let Err(error) = settled {
        tracing::error!(job = %job.id, "{name} could not settle a job: {error}");
    }
    true
}
