//! One thread a connection: reads requests, asks the queue, writes responses.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;

use super::message::{MessageError, Request, Response};
use super::{Frame, PROTOCOL_VERSION};
use crate::error::QueueError;
use crate::job::{Job, JobId};
use crate::queue::JobQueue;
use crate::storage::JobStore;

/// A client that says nothing for so long is hung up on.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// Accepts connections until the listener fails.
pub fn serve<S>(listener: TcpListener, queue: Arc<Mutex<JobQueue<S>>>) -> io::Result<()>
where
    S: JobStore + Send + 'static,
{
    for stream in listener.incoming() {
        let stream = stream?;
        let queue = queue.clone();
        std::thread::spawn(move || {
            let peer = stream.peer_addr().map_or_else(|_| "unknown".to_owned(), |peer| peer.to_string());
            if let Err(error) = handle_connection(stream, &queue) {
                tracing::warn!("connection from {peer} closed: {error}");
            }
        });
    }
    Ok(())
}

fn handle_connection<S: JobStore>(mut stream: TcpStream, queue: &Mutex<JobQueue<S>>) -> io::Result<()> {
    stream.set_read_timeout(Some(IDLE_TIMEOUT))?;
    stream.set_nodelay(true)?;
    let mut buffer = BytesMut::with_capacity(8 * 1024);
    let mut chunk = [0; 4096];
    loop {
        while let Some(frame) = Frame::decode(&mut buffer).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))? {
            let response = match Request::parse(&frame) {
                Ok(request) => answer(request, queue),
                Err(error) => refuse(400, &error),
            };
            let mut out = BytesMut::new();
            response.to_frame().encode(&mut out);
            stream.write_all(&out)?;
        }
        let read = stream.read(&mut chunk)?;
        if read == 0 {
            return Ok(());
        }
        buffer.extend_from_slice(&chunk[..read]);
    }
}

/// Asks the queue what the request wants.
fn answer<S: JobStore>(request: Request, queue: &Mutex<JobQueue<S>>) -> Response {
    let Ok(mut queue) = queue.lock() else {
        return Response::Refused { code: 503, message: "the queue is shutting down".to_owned() };
    };
    let outcome = match request {
        Request::Hello { version } if version == PROTOCOL_VERSION => {
            return Response::Welcome { version: PROTOCOL_VERSION };
        }
        Request::Hello { version } => {
            return refuse(426, &MessageError::Version { theirs: version, ours: PROTOCOL_VERSION });
        }
        Request::Push { topic, payload } => queue.push(Job::new(next_id(), topic, payload.to_vec())).map(Some),
        Request::Claim { worker } => queue
            .claim(&worker, SystemTime::now(), Duration::from_secs(30))
            .map(|job| job.map(|job| job.id)),
        Request::Complete { job } => queue.complete(job, "remote").map(|()| Some(job)),
        Request::Fail { job, reason } => queue.fail(job, "remote", &reason, SystemTime::now()).map(|()| Some(job)),
        Request::Heartbeat { job } => Ok(Some(job)),
    };
    match outcome {
        Ok(Some(job)) => Response::Accepted { job },
        Ok(None) => Response::Nothing,
        Err(error @ QueueError::Full { .. }) => refuse(429, &error),
        Err(error @ QueueError::UnknownJob(_)) => refuse(404, &error),
        Err(error) => refuse(500, &error),
    }
}

fn refuse(code: u16, error: &dyn std::error::Error) -> Response {
    Response::Refused { code, message: error.to_string() }
}

fn next_id() -> JobId {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    JobId::new(since.as_millis() as u64, since.subsec_nanos() % 0x0100_0000)
}
