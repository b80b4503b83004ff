//! The HTTP door: what the daemon answers over the network, to whoever has a token.
//!
//! Every route but a few open ones stands behind a session (`gate`): the token says whose
//! data is seen and with which role, and nothing in a request can change it. What a session
//! may not see is answered like what is not there. Bounded in every direction (`gate`,
//! `server`), so that nobody who asks keeps the daemon from its work. The OpenAPI document
//! is generated from the handlers. Must not decide what an answer is: that is for
//! `daemon::Handle` and the engine.
//!
//! | File | For |
//! |---|---|
//! | `server` | connections: TLS, limits, an end in good order |
//! | `stall` | a peer that does not read is given up |
//! | `gate` | what stands before every route: hosts, origins, sessions, rates, bodies, time |
//! | `hosts` | by which names the server may be called |
//! | `error` | the one shape of an error |
//! | `extract` | a request's parts, typed |
//! | `openapi` | the document |
//! | `worktrees` | which worktrees a session sees |
//! | `page` | the status page |
//! | `events` | the status whenever it changes |
//! | `search`, `related`, `tree`, `checkpoints`, `remediations`, `databases`, `metrics`, `mcp`, `health` | the routes |

mod checkpoints;
mod databases;
mod error;
mod events;
mod extract;
mod gate;
mod health;
mod hosts;
mod mcp;
mod metrics;
mod openapi;
mod page;
mod related;
mod remediations;
mod search;
mod server;
mod stall;
mod tree;
mod worktrees;

use std::sync::Arc;

use axum::Router;
use tokio::sync::watch;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use error::{ApiError, ErrorBody, ErrorCode, ErrorDetail};
pub use gate::{Permit, RequestId};
pub use openapi::document;
pub use worktrees::Worktrees;

use gate::App;

use crate::daemon::Handle;

/// Routes that other modules bring, with their whole paths and without a fallback.
#[derive(Default)]
pub struct Mounts {
    /// Behind a session, which is an extension of every request: [`crate::session::Session`].
    pub behind_session: Router,
    /// Open to everybody: nothing of anybody's data.
    pub open: Router,
}

/// Keeps the door that is configured, if any, until `closing` says otherwise. What keeps it
/// from opening is logged with the way out, and is not the end of the daemon.
pub async fn serve(handle: Handle, closing: watch::Receiver<bool>) {
    serve_with(handle, closing, Mounts::default()).await;
}

/// The same with further routes.
pub async fn serve_with(handle: Handle, closing: watch::Receiver<bool>, mounts: Mounts) {
    let app = Arc::new(App::new(handle, closing.clone()));
    let routes = router(&app, mounts);
    if let Err(problem) = server::serve(&app, routes, closing).await {
        tracing::warn!("no HTTP: {problem}");
    }
}

/// All routes, with all that stands before them.
fn router(app: &Arc<App>, mounts: Mounts) -> Router {
    let (open, _) = open_routes().split_for_parts();
    let (behind, _) = session_routes().split_for_parts();
    let open = open.merge(mounts.open.with_state(()));
    let behind = behind.merge(mounts.behind_session.with_state(()));
    // What is nowhere is behind the session too: who has none learns nothing of routes.
    let behind = gate::behind_session(app, behind.fallback(async || ApiError::not_found("route")));
    gate::in_front(app, gate::bounded(app, open).merge(behind)).with_state(Arc::clone(app))
}

/// Routes that need no token.
fn open_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(openapi::openapi))
        .routes(routes!(page::page))
        .routes(routes!(page::style))
        .routes(routes!(page::script))
}

/// Routes that need one.
fn session_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(search::search))
        .routes(routes!(related::related))
        .routes(routes!(mcp::mcp))
        .routes(routes!(metrics::metrics))
        .routes(routes!(tree::status))
        .routes(routes!(events::events))
        .routes(routes!(tree::index))
        .routes(routes!(tree::explain))
        .routes(routes!(tree::file))
        .routes(routes!(checkpoints::list, checkpoints::save))
        .routes(routes!(checkpoints::search))
        .routes(routes!(checkpoints::get, checkpoints::delete))
        .routes(routes!(remediations::list, remediations::record))
        .routes(routes!(remediations::search))
        .routes(routes!(remediations::get, remediations::delete))
        .routes(routes!(remediations::feedback))
        .routes(routes!(databases::list, databases::create))
        .routes(routes!(databases::get, databases::delete))
}
