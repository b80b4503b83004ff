//! Pushes a job, claims it and completes it, all in one process.

use std::time::{Duration, SystemTime};

use courier_queue::{Job, JobId, JobQueue, MemoryStore, RetryPolicy};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut queue = JobQueue::open(MemoryStore::default(), RetryPolicy::default(), 100)?;
    let id = queue.push(Job::new(JobId::new(1, 1), "welcome-email", b"ada@example.org".to_vec()))?;
    println!("pushed {id}");
    let job = queue.claim("example", SystemTime::now(), Duration::from_secs(5))?.expect("just pushed");
    println!("claimed {} of topic {}", job.id, job.topic);
    queue.complete(job.id, "example")?;
    println!("{} jobs left", queue.depth());
    Ok(())
}
