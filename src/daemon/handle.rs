//! What the daemon answers, whoever asks: the socket, HTTP and MCP all come through here.
//!
//! Must not know a protocol, and must not decide who may ask what: that is for the door
//! that was knocked at, before it comes here.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use super::main_loop::{Event, Question};
use super::protocol::Reply;
use super::registry::State;
use super::tracked::Order;
use crate::embed::Leg;
use crate::engine::{Engine, EngineError, Workspace};
use crate::index::IndexError;
use crate::memory::MemoryError;
use crate::path::AbsPath;
use crate::search::SearchError;
use crate::search::relation::RelatedError;
use crate::store::StoreError;
use crate::telemetry::metrics;
use crate::tenant::CatalogueError;
use crate::wire::{
    Answer, Cache, Failure, FailureCode, Place, SearchRequest, SearchedWorktree, Status, Waited,
};

/// A way to ask the daemon from within its process; copies ask the same one.
#[derive(Clone)]
pub struct Handle {
    engine: Arc<RwLock<Arc<Engine>>>,
    events: mpsc::UnboundedSender<Event>,
    changes: watch::Sender<()>,
    /// Where HTTP is spoken; told once.
    http: Arc<OnceLock<String>>,
}

impl Handle {
    pub(super) fn new(
        engine: Arc<Engine>,
        events: mpsc::UnboundedSender<Event>,
        changes: watch::Sender<()>,
    ) -> Handle {
        Handle { engine: Arc::new(RwLock::new(engine)), events, changes, http: Arc::default() }
    }

    /// Says in the status where HTTP is spoken.
    pub fn listens_at(&self, url: String) {
        // There is one such door.
        let _ = self.http.set(url);
    }

    /// Hears of it whenever the status may be another one: an edit was seen, a run began, goes on
    /// (twice a second at most) or ended, the registry or the configuration was read.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// The engine of now: a reload makes another.
    pub fn engine(&self) -> Arc<Engine> {
        Arc::clone(&self.engine.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn replace_engine(&self, engine: Arc<Engine>) {
        *self.engine.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&engine);
        // The loop has ended: nothing is left to reload.
        let _ = self.events.send(Event::Settings(engine));
    }

    /// The registry has changed.
    pub fn registry_changed(&self) {
        // The loop has ended: nobody wants to know.
        let _ = self.events.send(Event::RegistryChanged);
    }

    /// Orders a run of the worktree that `worktree` is in; progress and outcome go to `replies`.
    pub async fn run(
        &self,
        worktree: &Place,
        full: bool,
        lexical_only: bool,
        replies: mpsc::UnboundedSender<Reply>,
    ) -> Result<(), Failure> {
        let (engine, path) = (self.engine(), worktree.to_path());
        let workspace = blocking(move || engine.open(&path).map_err(failure)).await?;
        let order = Order { full, lexical_only, reply: replies };
        let question = Question::Order(workspace.root().clone(), order);
        self.events.send(Event::Asked(question)).map_err(|_| ending())
    }

    /// Answers a search, after the wait that it asks for.
    pub async fn search(&self, request: SearchRequest) -> Result<Answer, Failure> {
        if !request.also.is_empty() {
            return self.search_several(request).await;
        }
        let began = Instant::now();
        let wanted = request.to_request().map_err(invalid)?;
        let wait = request.wait_ms.map(Duration::from_millis);
        let root = AbsPath::new(request.worktree.to_path());
        let mut waited = None;
        if let (Some(wait), Some(root)) = (wait, &root)
            && let Some((mut covered, ticket)) = self.ask(|reply| Question::Wait(root.clone(), reply)).await?
        {
            let done = tokio::time::timeout(wait, covered.wait_for(|number| *number >= ticket)).await;
            let covered = matches!(done, Ok(Ok(_)));
            waited = Some(Waited { covered, ms: began.elapsed().as_millis() as u64 });
        }
        let found = match root {
            Some(root) => self.ask(|reply| Question::Find(vec![root], reply)).await?.pop().flatten(),
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
        let engine = self.engine();
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
    async fn search_several(&self, request: SearchRequest) -> Result<Answer, Failure> {
        let began = Instant::now();
        let wanted = request.to_request().map_err(invalid)?;
        let wait = request.wait_ms.map(Duration::from_millis);
        let paths: Vec<PathBuf> =
            [request.worktree].iter().chain(&request.also).map(Place::to_path).collect();
        let mut covered = true;
        if let Some(wait) = wait {
            for root in paths.iter().cloned().filter_map(AbsPath::new) {
                let left = wait.saturating_sub(began.elapsed());
                covered &= match self.ask(|reply| Question::Wait(root, reply)).await? {
                    Some((mut covered, ticket)) => {
                        let done =
                            tokio::time::timeout(left, covered.wait_for(|number| *number >= ticket)).await;
                        matches!(done, Ok(Ok(_)))
                    }
                    None => false,
                };
            }
        }
        let roots: Vec<AbsPath> = paths.iter().cloned().filter_map(AbsPath::new).collect();
        let mut kept: HashMap<PathBuf, _> = HashMap::new();
        for (root, found) in
            roots.clone().into_iter().zip(self.ask(|reply| Question::Find(roots, reply)).await?)
        {
            kept.extend(found.map(|found| (root.as_path().to_owned(), found)));
        }
        let waited = wait.map(|_| Waited { covered, ms: began.elapsed().as_millis() as u64 });
        let engine = self.engine();
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

    /// What is going on.
    pub async fn status(&self) -> Result<Status, Failure> {
        let (mut daemon, worktrees) = self.ask(Question::Status).await?;
        daemon.http = self.http.get().cloned();
        let engine = self.engine();
        blocking(move || {
            let worktrees = worktrees.into_iter().map(|(mut status, workspace)| {
                // One that cannot be read has its problem in the status already.
                if let Some(stats) = workspace.and_then(|workspace| workspace.stats().ok().flatten()) {
                    (status.points, status.bytes) = (stats.points, stats.bytes);
                }
                status
            });
            let cache =
                engine.cache_stats().map(|cache| Cache { entries: cache.entries, bytes: cache.bytes });
            Ok(Status { daemon: Some(daemon), worktrees: worktrees.collect(), cache })
        })
        .await
    }

    /// What the daemon counts and how things are, as Prometheus reads it; `None` where nothing is
    /// counted.
    pub async fn metrics(&self) -> Result<Option<String>, Failure> {
        let (status, engine) = (self.status().await?, self.engine());
        blocking(move || {
            // A store that does not answer has its own counter, and hides nothing else.
            let databases = engine.database_counts().unwrap_or_default();
            metrics::state(&state(&status, databases));
            Ok(metrics::render())
        })
        .await
    }

    /// Asks the loop.
    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> Result<T, Failure> {
        let (reply, answer) = oneshot::channel();
        self.events.send(Event::Asked(question(reply))).map_err(|_| ending())?;
        answer.await.map_err(|_| ending())
    }
}

fn state(status: &Status, databases: Vec<(&'static str, u64)>) -> metrics::State {
    let trees = &status.worktrees;
    let fresh = || trees.iter().filter_map(|tree| tree.freshness.as_ref());
    let count = |state| {
        let known = trees.iter().filter(|tree| tree.state.as_deref() == Some(state));
        (state, known.count() as u64)
    };
    let vectors = Leg::ALL.map(|leg| {
        let present = fresh().filter_map(|freshness| freshness.vectors.get(leg.name()));
        let sums = present.fold((0, 0), |sums, leg| (sums.0 + leg.present, sums.1 + leg.needed));
        (leg.name(), sums.0, sums.1)
    });
    let watches = status.daemon.as_ref().map(|daemon| &daemon.watches);
    metrics::State {
        worktrees: State::NAMES.map(count).to_vec(),
        failing: trees.iter().filter(|tree| tree.problem.is_some()).count() as u64,
        pending: fresh().map(|freshness| freshness.pending).sum(),
        lag: Duration::from_millis(trees.iter().filter_map(|tree| tree.lag_ms).max().unwrap_or_default()),
        points: trees.iter().map(|tree| tree.points).sum(),
        bytes: trees.iter().flat_map(|tree| tree.bytes.values()).sum(),
        vectors: vectors.to_vec(),
        watches: watches.map_or((0, 0), |watches| (watches.used, watches.budget)),
        unwatched: fresh().filter_map(|freshness| Some(freshness.watch.as_ref()?.unwatched)).sum(),
        databases,
        cache: status.cache.as_ref().map(|cache| (cache.entries, cache.bytes)),
    }
}

fn invalid(message: String) -> Failure {
    Failure::new(FailureCode::Invalid, message)
}

fn ending() -> Failure {
    let hint = Some("try again".to_owned());
    Failure { message: "the daemon is ending".to_owned(), hint, code: FailureCode::Unavailable }
}

/// Runs what blocks; a panic in it is the failure of one request.
pub async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let span = tracing::Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(act)).await.unwrap_or_else(|error| {
        Err(Failure::new(FailureCode::Failed, format!("the daemon failed on this request: {error}")))
    })
}

/// What an error says, and what to do about it.
pub fn failure(error: EngineError) -> Failure {
    failure_of(&error)
}

pub(super) fn failure_of(error: &EngineError) -> Failure {
    Failure { message: error.to_string(), hint: error.hint().map(str::to_owned), code: code(error) }
}

fn code(error: &EngineError) -> FailureCode {
    match error {
        error if error.is_busy() => FailureCode::Busy,
        EngineError::Index(IndexError::NotIndexed(_)) => FailureCode::NotIndexed,
        EngineError::Store(error)
        | EngineError::Index(IndexError::Store(error))
        | EngineError::Catalogue(CatalogueError::Store(error))
        | EngineError::Memory(MemoryError::Store(error)) => code_of_store(error),
        EngineError::Search(error) | EngineError::Memory(MemoryError::Search(error)) => match error {
            SearchError::EmptyQuery | SearchError::Operator(_) => FailureCode::Invalid,
            SearchError::NoDense { .. } | SearchError::Embed { .. } => FailureCode::Unavailable,
            SearchError::Store(error) => code_of_store(error),
        },
        EngineError::Related(error) => match error {
            RelatedError::NoFile(_) | RelatedError::NotIndexed(_) => FailureCode::NotFound,
            RelatedError::OutsideFile { .. } | RelatedError::Nothing { .. } => FailureCode::Invalid,
            RelatedError::Read(_) | RelatedError::Changed { .. } => FailureCode::Unavailable,
            RelatedError::Store(error) => code_of_store(error),
        },
        EngineError::Memory(error) => match error {
            MemoryError::Unknown { .. } => FailureCode::NotFound,
            MemoryError::Busy { .. } => FailureCode::Busy,
            MemoryError::Empty { .. }
            | MemoryError::Nul { .. }
            | MemoryError::TooLong { .. }
            | MemoryError::TooMany { .. }
            | MemoryError::NotAnId { .. }
            | MemoryError::Ambiguous { .. }
            | MemoryError::Reference { .. } => FailureCode::Invalid,
            MemoryError::Git(_) => FailureCode::Unavailable,
            _ => FailureCode::Failed,
        },
        EngineError::Git(_)
        | EngineError::Index(IndexError::Git(_))
        | EngineError::Embed(_)
        | EngineError::QueryModel(_) => FailureCode::Unavailable,
        EngineError::OtherProject(_) | EngineError::Hidden { .. } => FailureCode::NotFound,
        EngineError::Tenant(_)
        | EngineError::Catalogue(CatalogueError::Tenant(_))
        | EngineError::Outside { .. }
        | EngineError::Directory(_)
        | EngineError::Name { .. }
        | EngineError::Path { .. } => FailureCode::Invalid,
        _ => FailureCode::Failed,
    }
}

fn code_of_store(error: &StoreError) -> FailureCode {
    match error {
        StoreError::NotFound { .. } => FailureCode::NotIndexed,
        StoreError::NoDatabase { .. } => FailureCode::NotFound,
        StoreError::Denied { .. } => FailureCode::Denied,
        StoreError::Locked { .. } => FailureCode::Busy,
        StoreError::Invalid(_) => FailureCode::Invalid,
        StoreError::Unreachable { .. } | StoreError::Unauthorized { .. } | StoreError::Remote { .. } => {
            FailureCode::Unavailable
        }
        _ => FailureCode::Failed,
    }
}
