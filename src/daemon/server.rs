//! The daemon's side of the socket: who may ask, and what becomes of a request.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::main_loop::{Event, Question};
use super::protocol::{Envelope, MAX_LINE, PROTOCOL, Reply, Request};
use super::tracked::Order;
use crate::config::Flags;
use crate::engine::{Engine, EngineError, Workspace};
use crate::path::AbsPath;
use crate::telemetry::LogFilter;
use crate::wire::{Answer, Cache, Failure, Place, SearchRequest, SearchedWorktree, Status, Waited};

/// Requests answered at a time; further ones wait. A connection that asks nothing is none.
const REQUESTS: usize = 64;
/// After a failed accept, such as one for want of descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// What every connection needs.
#[derive(Clone)]
pub(super) struct Shared {
    pub engine: Arc<std::sync::RwLock<Arc<Engine>>>,
    pub events: mpsc::UnboundedSender<Event>,
    pub flags: Flags,
    pub log: LogFilter,
    pub verbosity: u8,
}

impl Shared {
    /// The engine of now: a reload makes another.
    fn engine(&self) -> Arc<Engine> {
        Arc::clone(&self.engine.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Reads the configuration again; `log` goes before its filter.
    pub(super) fn reload(&self, log: Option<&str>) -> Result<(), Failure> {
        let failure = |message: String| Failure {
            message,
            hint: Some("what held before still does; `indexer config --check` tests a file".to_owned()),
        };
        let settings = crate::config::load(&self.flags).map_err(|error| failure(error.to_string()))?;
        let filter = log.or(settings.log.filter.as_deref());
        self.log.set(filter, self.verbosity).map_err(failure)?;
        if *self.engine().settings() == settings {
            return Ok(());
        }
        let engine = Arc::new(Engine::new(settings).map_err(|error| failure(error.to_string()))?);
        *self.engine.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::clone(&engine);
        // The loop has ended: nothing is left to reload.
        let _ = self.events.send(Event::Settings(engine));
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
            send(&mut write, &Reply::Failed(Failure { message: message.to_owned(), hint: None })).await?;
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
    Ok(Some(
        serde_json::from_slice::<Envelope>(&line).map(|envelope| envelope.request).map_err(|error| {
            Reply::Failed(Failure { message: format!("not a request: {error}"), hint: None })
        }),
    ))
}

async fn send(write: &mut OwnedWriteHalf, reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    write.write_all(&line).await
}

async fn answer(request: Request, shared: Shared, replies: mpsc::UnboundedSender<Reply>) {
    let reply = match request {
        Request::Search(request) => {
            search(*request, &shared).await.map(|answer| Reply::Answer(Box::new(answer)))
        }
        Request::Run { worktree, full, lexical_only } => {
            let engine = shared.engine();
            let opened = blocking(move || engine.open(&worktree.to_path()).map_err(failure)).await;
            match opened {
                Ok(workspace) => {
                    let order = Order { full, lexical_only, reply: replies };
                    let root = workspace.root().clone();
                    let _ = shared.events.send(Event::Asked(Question::Order(root, order)));
                    return;
                }
                Err(failure) => Err(failure),
            }
        }
        Request::Status => status(&shared).await.map(|status| Reply::Status(Box::new(status))),
        Request::Registry => {
            let _ = shared.events.send(Event::RegistryChanged);
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

async fn search(request: SearchRequest, shared: &Shared) -> Result<Answer, Failure> {
    if !request.also.is_empty() {
        return search_several(request, shared).await;
    }
    let began = Instant::now();
    let wanted = request.to_request().map_err(|message| Failure { message, hint: None })?;
    let wait = request.wait_ms.map(Duration::from_millis);
    let root = AbsPath::new(request.worktree.to_path());
    let mut waited = None;
    if let (Some(wait), Some(root)) = (wait, &root)
        && let Some((mut covered, ticket)) = ask(shared, |reply| Question::Wait(root.clone(), reply)).await?
    {
        let done = tokio::time::timeout(wait, covered.wait_for(|number| *number >= ticket)).await;
        let covered = matches!(done, Ok(Ok(_)));
        waited = Some(Waited { covered, ms: began.elapsed().as_millis() as u64 });
    }
    let found = match root {
        Some(root) => ask(shared, |reply| Question::Find(vec![root], reply)).await?.pop().flatten(),
        None => None,
    };
    if let Some((workspace, freshness)) = found {
        return blocking(move || {
            let answer = workspace.search(&wanted).map_err(failure)?;
            Ok(Answer::new(&answer, freshness, waited))
        })
        .await;
    }
    // Not kept by the daemon: looked at as a command of its own would.
    let engine = shared.engine();
    blocking(move || {
        let workspace = engine.open(&request.worktree.to_path()).map_err(failure)?;
        if let Some(wait) = wait {
            let covered = workspace.catch_up(wait).map_err(failure)?;
            waited = Some(Waited { covered, ms: began.elapsed().as_millis() as u64 });
        }
        let answer = workspace.search(&wanted).map_err(failure)?;
        let freshness = workspace.freshness().map_err(failure)?;
        Ok(Answer::new(&answer, freshness.as_ref().map(Into::into), waited))
    })
    .await
}

/// Searches several worktrees at once. One that cannot be opened is told beside the others.
async fn search_several(request: SearchRequest, shared: &Shared) -> Result<Answer, Failure> {
    let began = Instant::now();
    let wanted = request.to_request().map_err(|message| Failure { message, hint: None })?;
    let wait = request.wait_ms.map(Duration::from_millis);
    let paths: Vec<PathBuf> = [request.worktree].iter().chain(&request.also).map(Place::to_path).collect();
    let mut covered = true;
    if let Some(wait) = wait {
        for root in paths.iter().cloned().filter_map(AbsPath::new) {
            let left = wait.saturating_sub(began.elapsed());
            covered &= match ask(shared, |reply| Question::Wait(root, reply)).await? {
                Some((mut covered, ticket)) => {
                    let done = tokio::time::timeout(left, covered.wait_for(|number| *number >= ticket)).await;
                    matches!(done, Ok(Ok(_)))
                }
                None => false,
            };
        }
    }
    let roots: Vec<AbsPath> = paths.iter().cloned().filter_map(AbsPath::new).collect();
    let mut kept: HashMap<PathBuf, _> = HashMap::new();
    for (root, found) in
        roots.clone().into_iter().zip(ask(shared, |reply| Question::Find(roots, reply)).await?)
    {
        kept.extend(found.map(|found| (root.as_path().to_owned(), found)));
    }
    let waited = wait.map(|_| Waited { covered, ms: began.elapsed().as_millis() as u64 });
    let engine = shared.engine();
    blocking(move || {
        let (mut workspaces, mut known, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for path in paths {
            match kept.remove(&path) {
                Some((workspace, freshness)) => {
                    workspaces.push(workspace);
                    known.push(Some(freshness));
                }
                // Not kept by the daemon: looked at as a command of its own would.
                None => match engine.open(&path) {
                    Ok(workspace) => {
                        workspaces.push(Arc::new(workspace));
                        known.push(None);
                    }
                    Err(error) => failed.push(SearchedWorktree::failed(&path, error.to_string())),
                },
            }
        }
        let all: Vec<&Workspace> = workspaces.iter().map(|workspace| &**workspace).collect();
        let answer = engine.search(&all, &wanted).map_err(failure)?;
        let roots: Vec<Place> =
            workspaces.iter().map(|workspace| Place::from(workspace.root().as_path())).collect();
        let mut answer = Answer::of_several(&answer, &roots, waited, |at| match &known[at] {
            Some(freshness) => freshness.clone(),
            None => workspaces[at].freshness().ok().flatten().as_ref().map(Into::into),
        });
        answer.summary.worktrees.get_or_insert_default().extend(failed);
        Ok(answer)
    })
    .await
}

async fn status(shared: &Shared) -> Result<Status, Failure> {
    let (daemon, worktrees) = ask(shared, Question::Status).await?;
    let engine = shared.engine();
    blocking(move || {
        let worktrees = worktrees.into_iter().map(|(mut status, workspace)| {
            // One that cannot be read has its problem in the status already.
            if let Some(stats) = workspace.and_then(|workspace| workspace.stats().ok().flatten()) {
                (status.points, status.bytes) = (stats.points, stats.bytes);
            }
            status
        });
        let cache = engine.cache_stats().map(|cache| Cache { entries: cache.entries, bytes: cache.bytes });
        Ok(Status { daemon: Some(daemon), worktrees: worktrees.collect(), cache })
    })
    .await
}

/// Asks the loop.
async fn ask<T>(
    shared: &Shared,
    question: impl FnOnce(oneshot::Sender<T>) -> Question,
) -> Result<T, Failure> {
    let ending =
        || Failure { message: "the daemon is ending".to_owned(), hint: Some("try again".to_owned()) };
    let (reply, answer) = oneshot::channel();
    shared.events.send(Event::Asked(question(reply))).map_err(|_| ending())?;
    answer.await.map_err(|_| ending())
}

/// Runs what blocks; a panic in it is the failure of one request.
async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(act).await.unwrap_or_else(|error| {
        Err(Failure { message: format!("the daemon failed on this request: {error}"), hint: None })
    })
}

fn failure(error: EngineError) -> Failure {
    Failure { message: error.to_string(), hint: error.hint().map(str::to_owned) }
}
