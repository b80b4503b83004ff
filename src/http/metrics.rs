//! What the daemon counts, for Prometheus: of the whole machine, so for who may see all of it.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::gate::App;
use super::{ApiError, ErrorCode};
use crate::session::Session;

/// Prometheus' text format.
const FORMAT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Count what was done and measure how things are, in Prometheus' text format.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "health",
    responses((status = 200, body = String, content_type = "text/plain"), (status = 503, body = super::ErrorBody))
)]
pub(super) async fn metrics(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
) -> Result<Response, ApiError> {
    if !session.sees_the_machine() {
        let message = "metrics are of the whole machine";
        return Err(ApiError::new(ErrorCode::Forbidden, message)
            .with_hint("`indexer token create --role read`, without --project, makes a token that may"));
    }
    match app.handle.metrics().await? {
        Some(text) => Ok(([(header::CONTENT_TYPE, FORMAT)], text).into_response()),
        None => Err(ApiError::new(ErrorCode::Unavailable, "nothing is counted; the daemon's log says why")),
    }
}
