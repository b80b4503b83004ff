//! The door as a tower service, for an HTTP server to mount behind its own session layer.
//! Must not know a token: the layer before it says what a request may do.

use std::sync::Arc;

use rmcp::model::Extensions;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};

use super::{Access, Backend, Door};

/// The service.
pub type HttpDoor = StreamableHttpService<Door, LocalSessionManager>;

/// A service that answers by `backend`. Each HTTP request has to bring its [`Access`] among its
/// extensions, whatever session of the protocol it names: a session is no right.
pub fn service(backend: Backend, config: StreamableHttpServerConfig) -> HttpDoor {
    StreamableHttpService::new(
        move || Ok(Door::of_requests(backend.clone())),
        Arc::new(LocalSessionManager::default()),
        config,
    )
}

/// What the HTTP request of a message may do.
pub(super) fn access(extensions: &Extensions) -> Option<Access> {
    extensions.get::<::http::request::Parts>()?.extensions.get::<Access>().cloned()
}
