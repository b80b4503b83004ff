//! Asks the daemon where one runs, and does the same in this process where none does.
//! It may start or end at any time, so each question looks anew.
//!
//! For processes other than the daemon. Blocks. Must not know who asks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::client::{Client, ClientError};
use super::handle::failure;
use super::protocol::{Reply, Request};
use super::registry::{Registry, State};
use crate::engine::{Engine, EngineError, Workspace};
use crate::wire::{
    Answer, Cache, Failure, FailureCode, Place, SearchRequest, Status, Waited, WorktreeStatus,
};

/// How long the daemon may take for an answer, beside the wait that was asked for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Answers `request`, which is about `workspaces`.
pub fn search(engine: &Engine, workspaces: &[Workspace], request: &SearchRequest) -> Result<Answer, Failure> {
    let patience = PATIENCE + Duration::from_millis(request.wait_ms.unwrap_or_default());
    let asked = Request::Search(Box::new(request.clone()));
    match ask(engine, asked, patience)? {
        Some(Reply::Answer(answer)) => Ok(*answer),
        _ => search_here(engine, workspaces, request),
    }
}

/// Says what is going on, as far as this process can see.
pub fn status(engine: &Arc<Engine>) -> Result<Status, Failure> {
    match ask(engine, Request::Status, PATIENCE)? {
        Some(Reply::Status(status)) => Ok(*status),
        _ => status_here(engine),
    }
}

/// What the daemon replies; `None` where none runs, or one that cannot answer: it is going
/// down, or of another version. What it would do can be done here.
fn ask(engine: &Engine, request: Request, patience: Duration) -> Result<Option<Reply>, Failure> {
    let reply = match Client::connect(&engine.settings().data_dir) {
        Ok(None) => return Ok(None),
        Ok(Some(mut client)) => client.ask(request, Some(patience), &mut |_| {}),
        Err(error) => Err(error),
    };
    match reply {
        Ok(reply) => Ok(Some(reply)),
        Err(ClientError::Broken { .. } | ClientError::Version(_)) => Ok(None),
        Err(ClientError::Failed(failure)) => Err(failure),
        Err(error @ ClientError::Foreign(_)) => Err(Failure::new(FailureCode::Failed, error.to_string())),
    }
}

fn search_here(
    engine: &Engine,
    workspaces: &[Workspace],
    request: &SearchRequest,
) -> Result<Answer, Failure> {
    let began = Instant::now();
    let mut waited = None;
    if let Some(wait) = request.wait_ms.map(Duration::from_millis) {
        let mut covered = true;
        for workspace in workspaces {
            covered &= workspace.catch_up(wait.saturating_sub(began.elapsed())).map_err(failure)?;
        }
        waited = Some(Waited { covered, ms: began.elapsed().as_millis() as u64 });
    }
    let wanted = request.to_request().map_err(|message| Failure::new(FailureCode::Invalid, message))?;
    if let [workspace] = workspaces {
        let answer = workspace.search(&wanted).map_err(failure)?;
        let freshness = workspace.freshness().map_err(failure)?.as_ref().map(Into::into);
        return Ok(Answer::new(&answer, freshness, waited));
    }
    let answer = engine.search(&workspaces.iter().collect::<Vec<_>>(), &wanted).map_err(failure)?;
    let roots: Vec<Place> =
        workspaces.iter().map(|workspace| Place::from(workspace.root().as_path())).collect();
    let freshness = |at: usize| workspaces[at].freshness().ok().flatten().as_ref().map(Into::into);
    Ok(Answer::of_several(&answer, &roots, waited, freshness))
}

fn status_here(engine: &Arc<Engine>) -> Result<Status, Failure> {
    let registry = Registry::load(&engine.settings().data_dir)
        .map_err(|error| Failure::new(FailureCode::Failed, error.to_string()))?;
    let worktrees = registry.worktrees().iter().map(|registered| {
        let state = registered.state.name();
        match engine.open(&registered.root) {
            Ok(workspace) if registered.state == State::Active => {
                worktree_status(&workspace, Some(state)).map_err(failure)
            }
            _ => Ok(WorktreeStatus {
                root: Place::from(registered.root.as_path()),
                state: Some(state.to_owned()),
                ..WorktreeStatus::default()
            }),
        }
    });
    Ok(Status {
        daemon: None,
        worktrees: worktrees.collect::<Result<_, _>>()?,
        cache: engine.cache_stats().map(|cache| Cache { entries: cache.entries, bytes: cache.bytes }),
    })
}

/// A worktree as this process sees it; `state` is what the registry says.
pub fn worktree_status(workspace: &Workspace, state: Option<&str>) -> Result<WorktreeStatus, EngineError> {
    let stats = workspace.stats()?.unwrap_or_default();
    let freshness = workspace.freshness()?;
    Ok(WorktreeStatus {
        root: workspace.root().as_path().into(),
        state: state.map(str::to_owned),
        indexed: freshness.is_some(),
        database: Some(workspace.database_name()),
        collection: Some(workspace.collection().to_string()),
        freshness: freshness.as_ref().map(Into::into),
        points: stats.points,
        bytes: stats.bytes,
        ..WorktreeStatus::default()
    })
}
