//! Errors that were met, and what helped: what the projects of this machine share, or those
//! of a member's organisation.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ApiError;
use super::checkpoints::{attribute, filter, question};
use super::extract::{Body, Params, decode_cursor, encode_cursor, id, limit, require};
use super::gate::App;
use super::search::ModeName;
use crate::daemon::{blocking, failure};
use crate::engine::{EngineError, SharedMemory};
use crate::memory::NewRemediation;
use crate::session::Session;
use crate::tenant::Role;
use crate::wire::{MemoryAnswer, MemoryWritten, Remediation, RemediationHit};

/// An error and what helped.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRemediationBody {
    /// The error message.
    #[schema(min_length = 1)]
    error: String,
    /// What helped.
    #[schema(min_length = 1)]
    solution: String,
    /// What kind of error it is, such as `build`, `test` or `network`.
    category: Option<String>,
    /// Tags.
    #[serde(default)]
    #[schema(max_items = 32)]
    tags: Vec<String>,
}

/// What is looked for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RemediationSearchBody {
    /// An error message, or what it is about.
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
    /// Only those of this category.
    category: Option<String>,
    /// Only those first met since then, in seconds since the epoch.
    since: Option<u64>,
    /// Only those first met before then.
    until: Option<u64>,
}

/// Which are listed.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    /// Only those with this tag.
    tag: Option<String>,
    /// Only those of this category.
    category: Option<String>,
    /// Only those first met since then, in seconds since the epoch.
    since: Option<u64>,
    /// Only those first met before then.
    until: Option<u64>,
    /// The most at once: 20 unless told, 200 at most.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// What an answer gave as `next`.
    cursor: Option<String>,
}

/// An opinion.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FeedbackBody {
    /// Whether it helped.
    helpful: bool,
}

/// Some of all that there are, last seen first.
#[derive(Serialize, ToSchema)]
pub(super) struct RemediationList {
    /// Remediations.
    memories: Vec<Remediation>,
    /// How many there are in all.
    total: usize,
    /// Where to go on; `null` at the end.
    next: Option<String>,
}

/// Does something with what the session's projects share, where it may.
async fn with<T: Send + 'static>(
    app: &Arc<App>,
    session: Session,
    role: Role,
    act: impl FnOnce(&SharedMemory) -> Result<T, EngineError> + Send + 'static,
) -> Result<T, ApiError> {
    require(&session, role)?;
    let engine = app.engine();
    let done = blocking(move || {
        let tenant = session.shared().map_err(|error| failure(error.into()))?;
        act(&engine.shared_memory(&tenant).map_err(failure)?).map_err(failure)
    });
    Ok(done.await?)
}

/// List remediations, last seen first.
#[utoipa::path(get, path = "/v1/remediations", tag = "remediations", params(ListParams),
               responses((status = 200, body = RemediationList)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<ListParams>,
) -> Result<Json<RemediationList>, ApiError> {
    let after = decode_cursor(params.cursor.as_deref())?;
    let tags: Vec<String> = params.tag.into_iter().collect();
    let filter = attribute(filter(&tags, params.since, params.until), "category", params.category);
    let limit = limit(params.limit)?;
    let listed = with(&app, session, Role::Read, move |memory| memory.list(&filter, after, limit + 1));
    let (found, total) = listed.await?;
    let mut memories: Vec<Remediation> = found.iter().map(Remediation::from).collect();
    let more = memories.len() > limit;
    memories.truncate(limit);
    let last = memories.last().filter(|_| more);
    let next = last.map(|last| encode_cursor(last.last_seen, &last.id));
    Ok(Json(RemediationList { memories, total, next }))
}

/// Record an error and what helped.
///
/// The same error with the same solution, recorded again, is counted.
#[utoipa::path(post, path = "/v1/remediations", tag = "remediations", request_body = NewRemediationBody,
               responses((status = 201, body = MemoryWritten<Remediation>)))]
pub(super) async fn record(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Body(body): Body<NewRemediationBody>,
) -> Result<(StatusCode, Json<MemoryWritten<Remediation>>), ApiError> {
    let new = NewRemediation {
        error: body.error,
        solution: body.solution,
        category: body.category,
        tags: body.tags,
    };
    let (found, written) = with(&app, session, Role::Write, move |memory| memory.record(&new)).await?;
    let memory = Remediation::from(&found);
    Ok((StatusCode::CREATED, Json(MemoryWritten { memory, without_vector: written.without_vector })))
}

/// Find what helped with an error.
#[utoipa::path(post, path = "/v1/remediations/search", tag = "remediations", request_body = RemediationSearchBody,
               responses((status = 200, body = MemoryAnswer<RemediationHit>)))]
pub(super) async fn search(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Body(body): Body<RemediationSearchBody>,
) -> Result<Json<MemoryAnswer<RemediationHit>>, ApiError> {
    let filter = attribute(filter(&body.tags, body.since, body.until), "category", body.category);
    let request = question(body.query, body.limit, body.mode, filter)?;
    let answer =
        with(&app, session, Role::Read, move |memory| Ok(MemoryAnswer::new(&memory.search(&request)?)));
    Ok(Json(answer.await?))
}

/// Show a remediation.
#[utoipa::path(get, path = "/v1/remediations/{id}", tag = "remediations",
               params(("id" = String, Path, description = "Its whole id")),
               responses((status = 200, body = Remediation)))]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(wanted): Path<String>,
) -> Result<Json<Remediation>, ApiError> {
    let wanted = id("remediation", &wanted)?;
    let found = with(&app, session, Role::Read, move |memory| memory.get(&wanted)).await?;
    Ok(Json(Remediation::from(&found)))
}

/// Say whether a remediation helped.
#[utoipa::path(post, path = "/v1/remediations/{id}/feedback", tag = "remediations",
               params(("id" = String, Path, description = "Its whole id")), request_body = FeedbackBody,
               responses((status = 200, body = Remediation)))]
pub(super) async fn feedback(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(wanted): Path<String>,
    Body(body): Body<FeedbackBody>,
) -> Result<Json<Remediation>, ApiError> {
    require(&session, Role::Write)?;
    let wanted = id("remediation", &wanted)?;
    let told = with(&app, session, Role::Write, move |memory| memory.feedback(&wanted, body.helpful));
    Ok(Json(Remediation::from(&told.await?)))
}

/// Delete a remediation.
#[utoipa::path(delete, path = "/v1/remediations/{id}", tag = "remediations",
               params(("id" = String, Path, description = "Its whole id")),
               responses((status = 204, description = "Deleted")))]
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(wanted): Path<String>,
) -> Result<StatusCode, ApiError> {
    require(&session, Role::Write)?;
    let wanted = id("remediation", &wanted)?;
    with(&app, session, Role::Write, move |memory| memory.delete(&[wanted]))
        .await
        .map(|_| StatusCode::NO_CONTENT)
}
