//! The databases of this machine, for its person as an administrator of everything.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extract::{Body, Params, decode_name, limit};
use super::gate::App;
use super::{ApiError, ErrorCode, Worktrees};
use crate::daemon::{blocking, failure};
use crate::engine::EngineError;
use crate::id::{DatabaseName, encode_hex};
use crate::session::Session;
use crate::tenant::MachineOwner;
use crate::wire::{self, Place};

/// What database is to be there.
#[derive(Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum NewDatabaseBody {
    /// That of a project.
    Project {
        /// An absolute path in a registered worktree of it.
        worktree: Place,
    },
    /// That of an organisation.
    Organisation {
        /// Its name.
        #[schema(pattern = "^[a-z0-9_]{1,64}$")]
        name: String,
    },
    /// What all projects of this machine share.
    Shared,
}

/// Which are listed.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    /// The most at once: 20 unless told, 200 at most.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// What an answer gave as `next`.
    cursor: Option<String>,
}

/// Some of all that there are, by name.
#[derive(Serialize, ToSchema)]
pub(super) struct DatabaseList {
    /// Databases.
    databases: Vec<wire::Database>,
    /// Those that cannot be read, each with the way out.
    problems: Vec<String>,
    /// Where to go on; `null` at the end.
    next: Option<String>,
}

fn owner(session: &Session) -> Result<MachineOwner, ApiError> {
    session.owner().ok_or_else(|| {
        let message = "databases are for the machine's administrator";
        ApiError::new(ErrorCode::Forbidden, message)
            .with_hint("`indexer token create --role admin`, without --project, makes a token that may")
    })
}

fn name(text: &str) -> Result<DatabaseName, ApiError> {
    DatabaseName::new(text).map_err(|_| ApiError::not_found("database"))
}

fn store_failure(error: impl Into<EngineError>) -> wire::Failure {
    failure(error.into())
}

/// List the databases with their collections and sizes.
#[utoipa::path(get, path = "/v1/databases", tag = "databases", params(ListParams),
               responses((status = 200, body = DatabaseList)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<ListParams>,
) -> Result<Json<DatabaseList>, ApiError> {
    let owner = owner(&session)?;
    let after = decode_name(params.cursor.as_deref())?;
    let limit = limit(params.limit)?;
    let engine = app.engine();
    let listed = blocking(move || {
        let catalogue = engine.catalogue(&owner);
        let mut names = catalogue.names().map_err(store_failure)?;
        names.retain(|name| after.as_deref().is_none_or(|after| name.as_str() > after));
        let more = names.len() > limit;
        names.truncate(limit);
        let last = names.last().filter(|_| more);
        let next = last.map(|last| encode_hex(last.as_str().as_bytes()));
        let mut list = DatabaseList { databases: Vec::new(), problems: Vec::new(), next };
        for name in names {
            match catalogue.open(&name).and_then(|open| wire::Database::of(&open)) {
                Ok(database) => list.databases.push(database),
                Err(error) => list.problems.push(format!("database {name}: {error}")),
            }
        }
        Ok(list)
    });
    Ok(Json(listed.await?))
}

/// Create a database, if it is not there.
#[utoipa::path(post, path = "/v1/databases", tag = "databases", request_body = NewDatabaseBody,
               responses((status = 201, body = wire::Database)))]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Body(body): Body<NewDatabaseBody>,
) -> Result<(StatusCode, Json<wire::Database>), ApiError> {
    let owner = owner(&session)?;
    let engine = app.engine();
    let created = blocking(move || {
        let catalogue = engine.catalogue(&owner);
        let database = match body {
            NewDatabaseBody::Shared => catalogue.create_shared(),
            NewDatabaseBody::Organisation { name } => match DatabaseName::new(&name) {
                Ok(name) => catalogue.create_organisation(&name),
                Err(error) => return Ok(Err(ApiError::new(ErrorCode::Invalid, error.to_string()))),
            },
            NewDatabaseBody::Project { worktree } => {
                let seen = Worktrees::of(&session, &engine.settings().data_dir)?;
                match seen.find(&worktree) {
                    Ok((_, tenant)) => catalogue.create_project(tenant),
                    Err(error) => return Ok(Err(error)),
                }
            }
        };
        let database = database.map_err(store_failure)?;
        Ok(Ok(wire::Database::of(&database).map_err(store_failure)?))
    });
    Ok((StatusCode::CREATED, Json(created.await??)))
}

/// Describe a database: whose it is, and the schema of its collections.
#[utoipa::path(get, path = "/v1/databases/{name}", tag = "databases",
               params(("name" = String, Path, description = "Its name")),
               responses((status = 200, body = wire::Database)))]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(wanted): Path<String>,
) -> Result<Json<wire::Database>, ApiError> {
    let owner = owner(&session)?;
    let wanted = name(&wanted)?;
    let engine = app.engine();
    let found = blocking(move || {
        let open = engine.catalogue(&owner).open(&wanted).map_err(store_failure)?;
        wire::Database::of(&open).map_err(store_failure)
    });
    Ok(Json(found.await?))
}

/// Delete a database with all that is in it.
///
/// Indexes of code are made anew from their worktrees; agents' memory is not.
#[utoipa::path(delete, path = "/v1/databases/{name}", tag = "databases",
               params(("name" = String, Path, description = "Its name")),
               responses((status = 204, description = "Deleted")))]
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Path(wanted): Path<String>,
) -> Result<StatusCode, ApiError> {
    let owner = owner(&session)?;
    let wanted = name(&wanted)?;
    let engine = app.engine();
    blocking(move || engine.drop_database(&owner, &wanted).map_err(failure)).await?;
    Ok(StatusCode::NO_CONTENT)
}
