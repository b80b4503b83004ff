//! Records as releases before 0.8 wrote them, and as this one does.

use crate::error::QueueError;
use crate::job::{Job, JobId, JobState, Priority};

const V1: u8 = 1;
const V2: u8 = 2;

/// The record of a job in today's format.
pub fn encode_record(job: &Job) -> Vec<u8> {
    let mut out = vec![V2];
    let id = job.id.to_string();
    out.push(id.len() as u8);
    out.extend_from_slice(id.as_bytes());
    out.push(match job.priority {
        Priority::Low => 0,
        Priority::Normal => 1,
        Priority::High => 2,
    });
    out.extend_from_slice(&job.attempts.to_le_bytes());
    out.push(u8::from(job.state.is_final()));
    out.push(job.topic.len() as u8);
    out.extend_from_slice(job.topic.as_bytes());
    out.extend_from_slice(&job.payload);
    out
}

/// Reads a record of either format.
pub fn decode_record(bytes: &[u8]) -> Result<Job, QueueError> {
    match bytes.first() {
        Some(&V1) => decode_v1(&bytes[1..]),
        Some(&V2) => decode_v2(&bytes[1..]),
        Some(version) => Err(QueueError::RecordVersion(*version)),
        None => Err(QueueError::RecordVersion(0)),
    }
}

/// Before 0.8 there was no priority, and the state was not kept.
fn decode_v1(bytes: &[u8]) -> Result<Job, QueueError> {
    let (id, rest) = decode_id(bytes)?;
    let topic = String::from_utf8_lossy(&rest[1..1 + rest[0] as usize]).into_owned();
    Ok(Job::new(id, topic, rest[1 + rest[0] as usize..].to_vec()))
}

fn decode_v2(bytes: &[u8]) -> Result<Job, QueueError> {
    let (id, rest) = decode_id(bytes)?;
    let topic_length = rest[6] as usize;
    let topic = String::from_utf8_lossy(&rest[7..7 + topic_length]).into_owned();
    let mut job = Job::new(id, topic, rest[7 + topic_length..].to_vec());
    job.priority = match rest[0] {
        0 => Priority::Low,
        2 => Priority::High,
        _ => Priority::Normal,
    };
    job.attempts = u32::from_le_bytes([rest[1], rest[2], rest[3], rest[4]]);
    if rest[5] == 1 {
        job.state = JobState::Done;
    }
    Ok(job)
}

fn decode_id(bytes: &[u8]) -> Result<(JobId, &[u8]), QueueError> {
    let length = bytes.first().copied().unwrap_or(0) as usize;
    let text = String::from_utf8_lossy(&bytes[1..1 + length]);
    Ok((text.parse()?, &bytes[1 + length..]))
}
