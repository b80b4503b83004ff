//! The Model Context Protocol over HTTP: the agents' door, with the session's rights.
//!
//! Stateless, as the protocol is since its version of 2026-07-28: each message is a request of
//! its own, with its own token, and its answer is one JSON object.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::extract::{Params, require_json};
use super::gate::App;
use super::{ApiError, ErrorCode, Worktrees};
use crate::daemon::{Handle, blocking};
use crate::mcp::{self, Access, Backend, HttpDoor, StreamableHttpServerConfig};
use crate::session::Session;

/// Both are asked for by clients, and one of them is what they get.
const ACCEPT: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

/// The door of a daemon.
pub(super) fn door(handle: &Handle) -> HttpDoor {
    let mut config = StreamableHttpServerConfig::default().disable_allowed_hosts();
    // By which name it was called was looked at before.
    config.legacy_session_mode = false;
    config.json_response = true;
    mcp::service(Backend::Here(handle.clone()), config)
}

/// Which tools there are.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct McpParams {
    /// Whether the tools for memories are among them.
    #[serde(default)]
    memory: bool,
}

/// A message of JSON-RPC 2.0.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the protocol's library reads it; this is its place in the document")]
pub(super) struct Message {
    /// The version of JSON-RPC.
    #[schema(pattern = r"^2\.0$")]
    jsonrpc: String,
    /// Absent in a notification.
    #[schema(value_type = Option<serde_json::Value>)]
    id: (),
    /// Such as `initialize`, `tools/list`, `tools/call`.
    method: String,
    /// What the method takes.
    #[schema(value_type = Option<serde_json::Value>)]
    params: (),
}

/// Speak the Model Context Protocol ("streamable HTTP"), as agents do.
#[utoipa::path(
    post,
    path = "/mcp",
    tag = "agents",
    params(McpParams),
    request_body(content = Message, content_type = "application/json"),
    responses(
        (status = 200, body = serde_json::Value, description = "The answer, a message itself"),
        (status = 202, description = "A notification was taken"),
    )
)]
pub(super) async fn mcp(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<McpParams>,
    mut request: Request,
) -> Result<Response, ApiError> {
    require_json(request.headers())?;
    let data_dir = app.engine().settings().data_dir.clone();
    let role = session.role();
    let worktrees = blocking(move || Worktrees::of(&session, &data_dir)).await?;
    let access = Access::to(worktrees.active().map(ToOwned::to_owned).collect(), role);
    request.extensions_mut().insert(if params.memory { access } else { access.without_memory() });
    request.headers_mut().insert(header::ACCEPT, ACCEPT);
    let response = app.mcp.handle(request).await;
    // So the library calls a body that it cannot read, which is JSON, or is said to be.
    if response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        return Err(ApiError::new(ErrorCode::Malformed, "the body is not a message of JSON-RPC 2.0"));
    }
    Ok(response.map(Body::new))
}
