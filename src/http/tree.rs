//! One worktree, or all that a session sees: how fresh, brought up to date, what is indexed
//! of a file, and its lines.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use utoipa::{IntoParams, ToSchema};

use super::extract::{Body, Params, require};
use super::gate::App;
use super::{ApiError, ErrorCode, Worktrees};
use crate::daemon::protocol::Reply;
use crate::daemon::{blocking, failure};
use crate::path::RepoPath;
use crate::session::Session;
use crate::tenant::Role;
use crate::wire::{Explanation, Outcome, Place, Status};

/// Lines of a file that are read at once.
const MAX_LINES: u32 = 2000;

/// A run that is to be done.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct IndexBody {
    /// An absolute path in the worktree.
    worktree: Place,
    /// Whether everything is done anew.
    #[serde(default)]
    full: bool,
    /// Whether vectors are left out for now.
    #[serde(default)]
    lexical_only: bool,
    /// Whether the answer is the outcome, rather than that it was begun.
    #[serde(default)]
    wait: bool,
}

/// That a run was ordered.
#[derive(Serialize, ToSchema)]
pub(super) struct Accepted {
    /// Always true.
    accepted: bool,
}

/// A file of a worktree.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct FileParams {
    /// An absolute path in the worktree.
    worktree: String,
    /// The file, from the worktree's root.
    #[param(min_length = 1)]
    path: String,
}

/// Lines of a file of a worktree.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct LinesParams {
    /// An absolute path in the worktree.
    worktree: String,
    /// The file, from the worktree's root.
    #[param(min_length = 1)]
    path: String,
    /// First line, from 1; without it, the file's first.
    start_line: Option<u32>,
    /// Last line; without it, or beyond 2,000 lines from the first, as many as that.
    end_line: Option<u32>,
}

/// Lines of a file.
#[derive(Serialize, ToSchema)]
pub(super) struct FileLines {
    /// The file, from the worktree's root.
    path: String,
    /// First line, from 1.
    start_line: u32,
    /// Last line; before the first where there are none.
    end_line: u32,
    /// Lines of the file.
    total_lines: u32,
    /// Their text, as it is on disk now; secrets are replaced.
    text: String,
    /// Secrets that were replaced in the file.
    redactions: u32,
}

/// Say what is indexed, how fresh it is, and what the daemon is doing.
///
/// Only of the worktrees that this token may see.
#[utoipa::path(get, path = "/v1/status", tag = "worktrees", responses((status = 200, body = Status)))]
pub(super) async fn status(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
) -> Result<Json<Status>, ApiError> {
    Ok(Json(seen(&app, session).await?))
}

/// The status as far as a session may see it.
pub(super) async fn seen(app: &App, session: Session) -> Result<Status, ApiError> {
    let mut status = app.handle.status().await?;
    let (engine, all) = (app.engine(), session.sees_the_machine());
    let seen = blocking(move || Worktrees::of(&session, &engine.settings().data_dir)).await?;
    status.worktrees.retain(|worktree| seen.has(&worktree.root.to_path()));
    if !all {
        // Of the machine as a whole, and so of others too.
        status.cache = None;
        if let Some(daemon) = &mut status.daemon {
            daemon.running = daemon.running.take().filter(|running| seen.has(&running.root.to_path()));
            daemon.watches = Default::default();
        }
    }
    Ok(status)
}

/// Bring the index of a worktree up to date.
#[utoipa::path(
    post,
    path = "/v1/index",
    tag = "worktrees",
    request_body = IndexBody,
    responses(
        (status = 200, body = Outcome, description = "With `wait`: what was done"),
        (status = 202, body = Accepted, description = "It was ordered")
    )
)]
pub(super) async fn index(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Body(body): Body<IndexBody>,
) -> Result<Response, ApiError> {
    require(&session, Role::Write)?;
    let engine = app.engine();
    let seen = blocking(move || Worktrees::of(&session, &engine.settings().data_dir)).await?;
    let root = Place::from(seen.find(&body.worktree)?.0);
    let (replies, mut reply) = mpsc::unbounded_channel();
    app.handle.run(&root, body.full, body.lexical_only, replies).await?;
    if !body.wait {
        return Ok((StatusCode::ACCEPTED, Json(Accepted { accepted: true })).into_response());
    }
    while let Some(reply) = reply.recv().await {
        match reply {
            Reply::Progress(_) => {}
            Reply::Outcome(outcome) => return Ok(Json(*outcome).into_response()),
            Reply::Failed(failure) => return Err(failure.into()),
            _ => return Err(ApiError::not_found("worktree")),
        }
    }
    // It was removed meanwhile.
    Err(ApiError::not_found("worktree"))
}

/// Say how a file is indexed, or why it is not.
#[utoipa::path(
    get,
    path = "/v1/explain",
    tag = "worktrees",
    params(FileParams),
    responses((status = 200, body = Explanation))
)]
pub(super) async fn explain(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<FileParams>,
) -> Result<Json<Explanation>, ApiError> {
    let path = repo_path(&params.path)?;
    let engine = app.engine();
    let explained = blocking(move || {
        let seen = Worktrees::of(&session, &engine.settings().data_dir)?;
        let (root, tenant) = match seen.find(&Place::Text(params.worktree)) {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        let workspace = engine.open_as(root, tenant).map_err(failure)?;
        Ok(Ok(Explanation::from(&workspace.explain(&path).map_err(failure)?)))
    });
    Ok(Json(explained.await??))
}

/// Read lines of an indexed file, such as those around a hit.
#[utoipa::path(
    get,
    path = "/v1/file",
    tag = "worktrees",
    params(LinesParams),
    responses((status = 200, body = FileLines))
)]
pub(super) async fn file(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<LinesParams>,
) -> Result<Json<FileLines>, ApiError> {
    let path = repo_path(&params.path)?;
    let first = params.start_line.unwrap_or(1).max(1);
    let furthest = first.saturating_add(MAX_LINES - 1);
    let last = params.end_line.unwrap_or(furthest).min(furthest);
    let engine = app.engine();
    let lines = blocking(move || {
        let seen = Worktrees::of(&session, &engine.settings().data_dir)?;
        let (root, tenant) = match seen.find(&Place::Text(params.worktree)) {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        let workspace = engine.open_as(root, tenant).map_err(failure)?;
        let lines = workspace.lines(&path, first..=last).map_err(failure)?;
        Ok(lines.ok_or_else(|| {
            ApiError::not_found("indexed file").with_hint("`GET /v1/explain` says why a file is not indexed")
        }))
    });
    let lines = lines.await??;
    Ok(Json(FileLines {
        path: params.path,
        start_line: lines.lines.0,
        end_line: lines.lines.1,
        total_lines: lines.total,
        text: lines.text,
        redactions: lines.redactions,
    }))
}

/// The path of a file as a request has it.
pub(super) fn repo_path(text: &str) -> Result<RepoPath, ApiError> {
    RepoPath::new(text).ok_or_else(|| {
        ApiError::new(ErrorCode::Invalid, "the path is not one of a file, from the worktree's root")
    })
}
