//! The daemon's side of the socket: who may ask, and what becomes of a request.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};

use super::handle::{Handle, blocking};
use super::protocol::{Envelope, MAX_LINE, PROTOCOL, Reply, Request};
use crate::config::Flags;
use crate::engine::Engine;
use crate::telemetry::LogFilter;
use crate::wire::{Failure, FailureCode};

/// Requests answered at a time; further ones wait. A connection that asks nothing is none.
const REQUESTS: usize = 64;
/// After a failed accept, such as one for want of descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// What every connection needs.
#[derive(Clone)]
pub(super) struct Shared {
    pub handle: Handle,
    pub flags: Flags,
    pub log: LogFilter,
    pub verbosity: u8,
}

impl Shared {
    /// Reads the configuration again; `log` goes before its filter.
    pub(super) fn reload(&self, log: Option<&str>) -> Result<(), Failure> {
        let failure = |message: String| Failure {
            message,
            hint: Some("what held before still does; `indexer config --check` tests a file".to_owned()),
            code: FailureCode::Invalid,
        };
        let settings = crate::config::load(&self.flags).map_err(|error| failure(error.to_string()))?;
        let filter = log.or(settings.log.filter.as_deref());
        self.log.set(filter, self.verbosity).map_err(failure)?;
        if *self.handle.engine().settings() == settings {
            return Ok(());
        }
        let engine = Arc::new(Engine::new(settings).map_err(|error| failure(error.to_string()))?);
        self.handle.replace_engine(engine);
        Ok(())
    }
}

/// Accepts connections until it is dropped.
pub(super) async fn serve(listener: UnixListener, shared: Shared) {
    let permits = Arc::new(Semaphore::new(REQUESTS));
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (shared, permits) = (shared.clone(), Arc::clone(&permits));
                tokio::spawn(async move {
                    if let Err(error) = connection(stream, shared, &permits).await {
                        tracing::debug!(%error, "a connection broke off");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

async fn connection(stream: UnixStream, shared: Shared, permits: &Semaphore) -> io::Result<()> {
    let own = rustix::process::geteuid().as_raw();
    let peer = stream.peer_cred()?.uid();
    let (read, mut write) = stream.into_split();
    if peer != own && peer != 0 {
        tracing::warn!(uid = peer, "a connection of another user was refused");
        let failure = Failure {
            message: format!("this daemon serves the user with id {own} alone"),
            hint: Some("start your own with `indexer watch`".to_owned()),
            code: FailureCode::Denied,
        };
        return send(&mut write, &Reply::Failed(failure)).await;
    }
    let mut read = BufReader::new(read);
    loop {
        let request = match next(&mut read).await? {
            None => return Ok(()),
            Some(Ok(request)) => request,
            Some(Err(reply)) => return send(&mut write, &reply).await,
        };
        // They are never closed.
        let _permit = permits.acquire().await.map_err(io::Error::other)?;
        let (replies, mut reply) = mpsc::unbounded_channel();
        let answering = tokio::spawn(answer(request, shared.clone(), replies));
        let mut answered = false;
        while let Some(reply) = reply.recv().await {
            answered |= !matches!(reply, Reply::Progress(_));
            send(&mut write, &reply).await?;
        }
        let failed = answering.await.is_err();
        if !answered {
            let message = match failed {
                true => "the daemon failed on this request; its log says how",
                false => "the worktree was removed from the daemon meanwhile",
            };
            send(&mut write, &Reply::Failed(Failure::new(FailureCode::Failed, message))).await?;
        }
    }
}

/// The next request; what is to be answered where it is none.
async fn next(read: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<Result<Request, Reply>>> {
    let mut line = Vec::new();
    if read.take(MAX_LINE).read_until(b'\n', &mut line).await? == 0 {
        return Ok(None);
    }
    // The version first: another one may have other requests.
    #[derive(serde::Deserialize)]
    struct Version {
        protocol: u32,
    }
    let version: Result<Version, _> = serde_json::from_slice(&line);
    if version.is_ok_and(|version| version.protocol != PROTOCOL) {
        return Ok(Some(Err(Reply::Version { version: env!("CARGO_PKG_VERSION").to_owned() })));
    }
    Ok(Some(serde_json::from_slice::<Envelope>(&line).map(|envelope| envelope.request).map_err(|error| {
        Reply::Failed(Failure::new(FailureCode::Invalid, format!("not a request: {error}")))
    })))
}

async fn send(write: &mut OwnedWriteHalf, reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    write.write_all(&line).await
}

async fn answer(request: Request, shared: Shared, replies: mpsc::UnboundedSender<Reply>) {
    let reply = match request {
        Request::Search(request) => {
            shared.handle.search(*request).await.map(|answer| Reply::Answer(Box::new(answer)))
        }
        Request::Run { worktree, full, lexical_only } => {
            match shared.handle.run(&worktree, full, lexical_only, replies.clone()).await {
                Ok(()) => return,
                Err(failure) => Err(failure),
            }
        }
        Request::Status => shared.handle.status().await.map(|status| Reply::Status(Box::new(status))),
        Request::Registry => {
            shared.handle.registry_changed();
            Ok(Reply::Done)
        }
        Request::Reload { log } => {
            let shared = shared.clone();
            blocking(move || shared.reload(log.as_deref())).await.map(|()| Reply::Done)
        }
    };
    // Whoever has gone does not want to know.
    let _ = replies.send(reply.unwrap_or_else(Reply::Failed));
}
