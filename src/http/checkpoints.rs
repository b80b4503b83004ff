//! What agents were at, in the projects that a session sees.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extract::{Body, Params, decode_cursor, encode_cursor, id, limit, require};
use super::gate::App;
use super::search::ModeName;
use super::{ApiError, ErrorCode, Worktrees};
use crate::daemon::{blocking, failure};
use crate::engine::{EngineError, Memory};
use crate::memory::{NewCheckpoint, Place as CodePlace, require_tags};
use crate::search::{Mode, Request};
use crate::session::Session;
use crate::store::Filter;
use crate::tenant::Role;
use crate::wire::{Checkpoint, CheckpointHit, MemoryAnswer, MemoryWritten, Place};

/// A checkpoint to be saved.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCheckpointBody {
    /// An absolute path in the worktree.
    worktree: Place,
    /// What it is about, in a few words or sentences.
    #[schema(min_length = 1, max_length = 512)]
    summary: String,
    /// Everything else that is to be known, as text or Markdown.
    #[serde(default)]
    content: String,
    /// Tags.
    #[serde(default)]
    #[schema(max_items = 32)]
    tags: Vec<String>,
    /// Code that it speaks of: `PATH`, `PATH:LINE` or `PATH:FIRST-LAST`, from the worktree's root.
    #[serde(default)]
    references: Vec<String>,
    /// Name of the session.
    session: Option<String>,
    /// Another branch than the worktree's.
    branch: Option<String>,
    /// Another commit than the worktree's, by its full id.
    commit: Option<String>,
}

/// What is looked for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckpointSearchBody {
    /// An absolute path in the worktree.
    worktree: Place,
    /// What it is about.
    #[schema(min_length = 1, pattern = r"\S")]
    query: String,
    /// The most hits: 20 unless told, 200 at most.
    #[schema(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// Which legs answer.
    #[serde(default)]
    mode: ModeName,
    /// Only those with all of these tags.
    #[serde(default)]
    tags: Vec<String>,
    /// Only those of this branch.
    branch: Option<String>,
    /// Only those made since then, in seconds since the epoch.
    since: Option<u64>,
    /// Only those made before then.
    until: Option<u64>,
}

/// Which are listed.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    /// An absolute path in the worktree.
    worktree: String,
    /// Only those with this tag.
    tag: Option<String>,
    /// Only those of this branch.
    branch: Option<String>,
    /// Only those made since then, in seconds since the epoch.
    since: Option<u64>,
    /// Only those made before then.
    until: Option<u64>,
    /// The most at once: 20 unless told, 200 at most.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// What an answer gave as `next`.
    cursor: Option<String>,
}

/// Which worktree.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct WorktreeParams {
    /// An absolute path in the worktree.
    worktree: String,
}

/// Some of all that there are, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct CheckpointList {
    /// Checkpoints, without their content.
    memories: Vec<Checkpoint>,
    /// How many there are in all.
    total: usize,
    /// Where to go on; `null` at the end.
    next: Option<String>,
}

/// Does something with the memory of the worktree that the path is in, where the session may.
async fn with<T: Send + 'static>(
    app: &Arc<App>,
    session: Session,
    worktree: Place,
    role: Role,
    act: impl FnOnce(&Memory) -> Result<T, EngineError> + Send + 'static,
) -> Result<T, ApiError> {
    require(&session, role)?;
    let engine = app.engine();
    let done = blocking(move || {
        let seen = Worktrees::of(&session, &engine.settings().data_dir)?;
        let (root, tenant) = match seen.find(&worktree) {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        let memory = engine.memory_as(root, tenant).map_err(failure)?;
        Ok(Ok(act(&memory).map_err(failure)?))
    });
    done.await?
}

/// What restricts a list or a search.
pub(super) fn filter(tags: &[String], since: Option<u64>, until: Option<u64>) -> Filter {
    let mut filter = Filter::default();
    require_tags(&mut filter, tags);
    if since.is_some() || until.is_some() {
        filter.time = Some(since.unwrap_or_default()..until.unwrap_or(u64::MAX));
    }
    filter
}

/// With the values that an attribute must have, if any is given.
pub(super) fn attribute(mut filter: Filter, name: &str, value: Option<String>) -> Filter {
    if let Some(value) = value {
        filter.attributes.insert(name.to_owned(), vec![value]);
    }
    filter
}

pub(super) fn question(
    query: String,
    limit_asked: Option<u32>,
    mode: ModeName,
    filter: Filter,
) -> Result<Request, ApiError> {
    let mode = match mode {
        ModeName::Hybrid => Mode::Hybrid,
        ModeName::Lexical => Mode::Lexical,
        ModeName::Dense => Mode::Dense,
    };
    Ok(Request { query, limit: limit(limit_asked)?, mode, filter })
}

/// List checkpoints, newest first.
#[utoipa::path(get, path = "/v1/checkpoints", tag = "checkpoints", params(ListParams),
               responses((status = 200, body = CheckpointList)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<ListParams>,
) -> Result<Json<CheckpointList>, ApiError> {
    let after = decode_cursor(params.cursor.as_deref())?;
    let tags: Vec<String> = params.tag.into_iter().collect();
    let filter = attribute(filter(&tags, params.since, params.until), "branch", params.branch);
    let limit = limit(params.limit)?;
    let listed = with(&app, session, Place::Text(params.worktree), Role::Read, move |memory| {
        memory.list_checkpoints(&filter, after, limit + 1)
    });
    let (views, total) = listed.await?;
    let mut memories: Vec<Checkpoint> = views.iter().map(Checkpoint::brief).collect();
    let more = memories.len() > limit;
    memories.truncate(limit);
    let last = memories.last().filter(|_| more);
    let next = last.map(|last| encode_cursor(last.created_at, &last.id));
    Ok(Json(CheckpointList { memories, total, next }))
}

/// Save a checkpoint.
///
/// Secrets are replaced before anything is kept. Paths in the text that exist in the worktree
/// are kept as references.
#[utoipa::path(post, path = "/v1/checkpoints", tag = "checkpoints", request_body = NewCheckpointBody,
               responses((status = 201, body = MemoryWritten<Checkpoint>)))]
pub(super) async fn save(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Body(body): Body<NewCheckpointBody>,
) -> Result<(StatusCode, Json<MemoryWritten<Checkpoint>>), ApiError> {
    require(&session, Role::Write)?;
    let place = |text: &String| {
        CodePlace::parse(text).ok_or_else(|| {
            let message = format!("{text:?} is not PATH, PATH:LINE or PATH:FIRST-LAST");
            ApiError::new(ErrorCode::Invalid, message)
        })
    };
    let new = NewCheckpoint {
        references: body.references.iter().map(place).collect::<Result<_, _>>()?,
        summary: body.summary,
        content: body.content,
        tags: body.tags,
        branch: body.branch,
        commit: body.commit,
        session: body.session,
    };
    let saved = with(&app, session, body.worktree, Role::Write, move |memory| memory.save_checkpoint(&new));
    let (view, written) = saved.await?;
    let memory = Checkpoint::from(&view);
    Ok((StatusCode::CREATED, Json(MemoryWritten { memory, without_vector: written.without_vector })))
}

/// Find checkpoints by what they are about, and by time.
#[utoipa::path(post, path = "/v1/checkpoints/search", tag = "checkpoints", request_body = CheckpointSearchBody,
               responses((status = 200, body = MemoryAnswer<CheckpointHit>)))]
pub(super) async fn search(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Body(body): Body<CheckpointSearchBody>,
) -> Result<Json<MemoryAnswer<CheckpointHit>>, ApiError> {
    let filter = attribute(filter(&body.tags, body.since, body.until), "branch", body.branch);
    let request = question(body.query, body.limit, body.mode, filter)?;
    let answer = with(&app, session, body.worktree, Role::Read, move |memory| {
        Ok(MemoryAnswer::new(&memory.search_checkpoints(&request)?))
    });
    Ok(Json(answer.await?))
}

/// Show a checkpoint, and what became of the code that it speaks of.
#[utoipa::path(get, path = "/v1/checkpoints/{id}", tag = "checkpoints",
               params(("id" = String, Path, description = "Its whole id"), WorktreeParams),
               responses((status = 200, body = Checkpoint)))]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(wanted): Path<String>,
    Params(params): Params<WorktreeParams>,
) -> Result<Json<Checkpoint>, ApiError> {
    let wanted = id("checkpoint", &wanted)?;
    let found = with(&app, session, Place::Text(params.worktree), Role::Read, move |memory| {
        Ok(Checkpoint::from(&memory.checkpoint(&wanted)?))
    });
    Ok(Json(found.await?))
}

/// Delete a checkpoint.
#[utoipa::path(delete, path = "/v1/checkpoints/{id}", tag = "checkpoints",
               params(("id" = String, Path, description = "Its whole id"), WorktreeParams),
               responses((status = 204, description = "Deleted")))]
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(wanted): Path<String>,
    Params(params): Params<WorktreeParams>,
) -> Result<StatusCode, ApiError> {
    require(&session, Role::Write)?;
    let wanted = id("checkpoint", &wanted)?;
    let deleted = with(&app, session, Place::Text(params.worktree), Role::Write, move |memory| {
        memory.delete_checkpoints(&[wanted])
    });
    deleted.await.map(|_| StatusCode::NO_CONTENT)
}
