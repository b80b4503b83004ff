//! Whether it lives, and whether it can answer. For everybody, so nothing of anybody's data
//! is told: the log has the details.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::gate::App;
use crate::daemon::registry::Registry;
use crate::daemon::{blocking, failure};

/// That it lives.
#[derive(Serialize, ToSchema)]
pub(super) struct Liveness {
    /// `ok`.
    status: &'static str,
}

/// Whether it can answer.
#[derive(Serialize, ToSchema)]
pub(super) struct Readiness {
    /// Whether it can.
    ready: bool,
    /// What is not ready: `store`, `registry`, `tokens`.
    problems: Vec<&'static str>,
}

/// Say that the daemon lives.
#[utoipa::path(get, path = "/healthz", tag = "health", security(()), responses((status = 200, body = Liveness)))]
pub(super) async fn healthz() -> Json<Liveness> {
    Json(Liveness { status: "ok" })
}

/// Say whether it can answer: the store answers, the registry and the tokens can be read.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    security(()),
    responses((status = 200, body = Readiness), (status = 503, body = Readiness, description = "Not ready"))
)]
pub(super) async fn readyz(State(app): State<Arc<App>>) -> (StatusCode, Json<Readiness>) {
    let engine = app.engine();
    let checked = blocking(move || {
        let mut problems = Vec::new();
        let mut check = |what: &'static str, result: Result<(), String>| {
            if let Err(error) = result {
                tracing::warn!("not ready: {error}");
                problems.push(what);
            }
        };
        check("store", engine.check_store().map_err(|error| failure(error).message));
        let registry = Registry::load(&engine.settings().data_dir);
        check("registry", registry.map(drop).map_err(|error| error.to_string()));
        check("tokens", app.tokens.check().map_err(|error| error.to_string()));
        Ok(problems)
    });
    let problems = checked.await.unwrap_or_else(|_| vec!["store"]);
    let status = if problems.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready: problems.is_empty(), problems }))
}
