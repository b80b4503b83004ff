//! What survives when the process is gone.

use courier_queue::storage::{AppendLog, Snapshot};
use courier_queue::{Job, JobId, JobQueue, JobStore, RetryPolicy};

fn job(number: u32) -> Job {
    Job::new(JobId::new(1_700_000_000_000, number), "email", vec![number as u8; 16])
}

#[test]
fn jobs_are_back_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    {
        let store = AppendLog::open(folder.path()).unwrap();
        let mut queue = JobQueue::open(store, RetryPolicy::default(), 10).unwrap();
        queue.push(job(1)).unwrap();
        queue.push(job(2)).unwrap();
    }
    let store = AppendLog::open(folder.path()).unwrap();
    let queue = JobQueue::open(store, RetryPolicy::default(), 10).unwrap();
    assert_eq!(queue.depth(), 2);
}

#[test]
fn a_torn_record_at_the_end_is_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = AppendLog::open(folder.path()).unwrap();
    store.save(&job(1)).unwrap();
    let path = folder.path().join("segment-00000000.log");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&bytes[..], &bytes[..5]].concat()).unwrap();
    let mut count = 0;
    store.replay(&mut |_| count += 1).unwrap();
    assert_eq!(count, 1);
}

#[test]
fn a_damaged_record_in_the_middle_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = AppendLog::open(folder.path()).unwrap();
    store.save(&job(1)).unwrap();
    store.save(&job(2)).unwrap();
    let path = folder.path().join("segment-00000000.log");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[12] ^= 0xff;
    std::fs::write(&path, bytes).unwrap();
    let error = store.replay(&mut |_| ()).unwrap_err();
    assert!(error.to_string().contains("is corrupt at offset 0"), "{error}");
}

#[test]
fn a_snapshot_is_read_back_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.snapshot");
    Snapshot::write(&path, &[job(1), job(2), job(3)], 4).unwrap();
    let (header, jobs) = Snapshot::read(&path).unwrap();
    assert_eq!((header.up_to, jobs.len()), (4, 3));
}
