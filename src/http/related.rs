//! What belongs to a place of the code.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use serde::Deserialize;
use utoipa::IntoParams;

use super::extract::Params;
use super::gate::App;
use super::tree::repo_path;
use super::{ApiError, ErrorCode, Worktrees};
use crate::daemon::{blocking, failure};
use crate::search::relation::Position;
use crate::session::Session;
use crate::wire::{Place, Related};

/// Results of each relation, and how many at most.
const DEFAULT_LIMIT: u32 = 5;
const MAX_LIMIT: u32 = 50;

/// A place in a file of a worktree.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct RelatedParams {
    /// An absolute path in the worktree.
    worktree: String,
    /// The file, from the worktree's root.
    #[param(min_length = 1)]
    path: String,
    /// The line, from 1: any of a definition.
    #[param(minimum = 1)]
    line: u32,
    /// The most results of each relation; 5 unless said.
    #[param(minimum = 1, maximum = 50)]
    limit: Option<u32>,
}

/// Show what belongs to a place of the code: what is alike, who uses it, what tests it, what
/// it calls.
///
/// Callers, tests and callees are found by name alone: namesakes are found too, and counted.
/// Each result is checked against the disk before it is shown.
#[utoipa::path(
    get,
    path = "/v1/related",
    tag = "search",
    params(RelatedParams),
    responses((status = 200, body = Related))
)]
pub(super) async fn related(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<RelatedParams>,
) -> Result<Json<Related>, ApiError> {
    let path = repo_path(&params.path)?;
    let limit = params.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(ApiError::new(
            ErrorCode::Invalid,
            format!("limit: {limit} is not from 1 to {MAX_LIMIT}"),
        ));
    }
    let position = Position { path, line: params.line, limit: limit as usize };
    let engine = app.engine();
    let related = blocking(move || {
        let seen = Worktrees::of(&session, &engine.settings().data_dir)?;
        let (root, tenant) = match seen.find(&Place::Text(params.worktree)) {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        let workspace = engine.open_as(root, tenant).map_err(failure)?;
        let related = workspace.related(&position).map_err(failure)?;
        let freshness = workspace.freshness().map_err(failure)?;
        Ok(Ok(Related::new(&related, freshness.as_ref().map(Into::into))))
    });
    Ok(Json(related.await??))
}
