//! The door for agents: a few tools of the Model Context Protocol, whatever carries them.
//!
//! A [`Door`] is given who answers ([`Backend`]) and what the asker may do ([`Access`]); it
//! opens no connection and reads no token. Answers are texts for a reader, best first, within
//! a budget of tokens; errors are results that say what to do next.
//!
//! | File | For |
//! |---|---|
//! | `access`, `backend` | what may be done, and who does it |
//! | `tools`, `arguments` | what the tools say of themselves, and what they are given |
//! | `places` | which worktrees are meant |
//! | `search`, `pattern`, `read`, `status`, `memory` | the tools |
//! | `page` | texts within a budget |
//! | `http` | the door as a service that an HTTP server mounts |

mod access;
mod arguments;
mod backend;
mod http;
mod memory;
mod page;
mod pattern;
mod places;
mod read;
mod search;
mod status;
mod tools;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig,
};
use rmcp::service::{NotificationContext, RequestContext, ServerInitializeError};
use rmcp::{ErrorData, RoleServer, ServerHandler};

pub use access::Access;
pub use backend::Backend;
pub use http::{HttpDoor, service};
pub use rmcp::transport::streamable_http_server::StreamableHttpServerConfig;

use arguments::Arguments;
use places::Places;

use crate::daemon::handle::blocking;
use crate::wire::{Failure, FailureCode};

/// How long a client may take to say where it is.
const ROOTS_PATIENCE: Duration = Duration::from_secs(2);

/// The tools, for one client.
pub struct Door {
    backend: Backend,
    rights: Rights,
    /// The worktree that was named when the door was made.
    worktree: Option<PathBuf>,
    /// Where the asker is, if it does not say so itself.
    directory: Option<PathBuf>,
    /// Where it says that it is, once it was asked.
    roots: Mutex<Option<Arc<Vec<PathBuf>>>>,
}

/// Where rights come from.
enum Rights {
    /// The same for every request.
    Of(Access),
    /// Each request brings its own, as an extension of its HTTP request.
    OfRequest,
}

impl Door {
    /// A door with these rights. What is asked is about `worktree` where it says nothing else; if
    /// that is `None` about where the client says that it is, or else about `directory`.
    pub fn new(
        backend: Backend,
        access: Access,
        worktree: Option<PathBuf>,
        directory: Option<PathBuf>,
    ) -> Door {
        Door { backend, rights: Rights::Of(access), worktree, directory, roots: Mutex::default() }
    }

    /// A door to which each request brings an [`Access`] among the extensions of its HTTP
    /// request. One without is refused.
    pub fn of_requests(backend: Backend) -> Door {
        Door { backend, rights: Rights::OfRequest, worktree: None, directory: None, roots: Mutex::default() }
    }

    /// Serves one client until it goes. `transport` is a pair of a reader and a writer.
    pub async fn serve<R, W>(self, transport: (R, W)) -> std::io::Result<()>
    where
        R: tokio::io::AsyncRead + Send + Unpin + 'static,
        W: tokio::io::AsyncWrite + Send + Unpin + 'static,
    {
        match rmcp::serve_server(self, transport).await {
            Ok(running) => running.waiting().await.map(|_| ()).map_err(std::io::Error::other),
            // It went before it said anything.
            Err(ServerInitializeError::ConnectionClosed(_)) => Ok(()),
            Err(error) => Err(std::io::Error::other(error.to_string())),
        }
    }

    fn access(&self, context: &RequestContext<RoleServer>) -> Result<Access, ErrorData> {
        let of_request = || http::access(&context.extensions);
        match &self.rights {
            Rights::Of(access) => Ok(access.clone()),
            Rights::OfRequest => {
                of_request().ok_or_else(|| ErrorData::invalid_request("the request brings no rights", None))
            }
        }
    }

    /// Where the asker is, in the order in which it counts.
    async fn base(&self, context: &RequestContext<RoleServer>) -> Vec<PathBuf> {
        if let Some(worktree) = &self.worktree {
            return vec![worktree.clone()];
        }
        let known = self.roots.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let roots = match known {
            Some(roots) => roots,
            None => {
                let asked = Arc::new(ask_roots(context).await);
                *self.roots.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&asked));
                asked
            }
        };
        roots.iter().chain(&self.directory).cloned().collect()
    }
}

/// What a tool needs to answer one call.
struct Call {
    backend: Backend,
    places: Arc<Places>,
}

impl Call {
    /// Does what blocks, with the worktrees that can be named.
    async fn with_places<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Places) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let places = Arc::clone(&self.places);
        blocking(move || act(&places)).await
    }
}

impl ServerHandler for Door {
    fn get_info(&self) -> ServerConfig {
        let mut name = Implementation::new("contextd-indexer", env!("CARGO_PKG_VERSION"));
        name.title = Some("Code index".to_owned());
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(name)
            .with_instructions(tools::INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::tools(&self.access(&context)?)))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let access = self.access(&context)?;
        // A tool that is not listed is not there.
        if tools::tools(&access).iter().all(|tool| tool.name != request.name) {
            return Err(ErrorData::invalid_params(format!("there is no tool {:?}", request.name), None));
        }
        let answer = async {
            let engine = self.backend.engine();
            let places = Places { engine, access, base: self.base(&context).await };
            let call = Call { backend: self.backend.clone(), places: Arc::new(places) };
            let arguments = Arguments::new(request.arguments);
            match &*request.name {
                "search_code" => search::search_code(&call, arguments).await,
                "read_code" => read::read_code(&call, arguments).await,
                "index_status" => status::index_status(&call, arguments).await,
                "find_memory" => memory::find_memory(&call, arguments).await,
                "save_checkpoint" => memory::save_checkpoint(&call, arguments).await,
                _ => memory::record_remediation(&call, arguments).await,
            }
        };
        let answer = tokio::select! {
            biased;
            // Nobody reads it.
            () = context.ct.cancelled() => Err(wrong("cancelled".to_owned())),
            answer = answer => answer,
        };
        let result = match answer {
            Ok(text) => CallToolResult::success(vec![ContentBlock::text(text)]),
            Err(Failure { message, hint, .. }) => {
                let text = hint.map_or(message.clone(), |hint| format!("{message}\n{hint}"));
                CallToolResult::error(vec![ContentBlock::text(text)])
            }
        };
        Ok(result.into())
    }

    async fn on_roots_list_changed(&self, _context: NotificationContext<RoleServer>) {
        *self.roots.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Asks the client for its folders, if it has told that it can be asked.
#[expect(deprecated, reason = "clients of today say where they are in no other way")]
async fn ask_roots(context: &RequestContext<RoleServer>) -> Vec<PathBuf> {
    // A client that says who it is with each request takes no questions.
    if context.meta.protocol_version().is_some()
        || context.client_capabilities().is_none_or(|capabilities| capabilities.roots.is_none())
    {
        return Vec::new();
    }
    let asked = tokio::time::timeout(ROOTS_PATIENCE, context.peer.list_roots()).await;
    let roots = asked.ok().and_then(Result::ok).map(|answer| answer.roots).unwrap_or_default();
    roots.iter().filter_map(|root| file_path(&root.uri)).collect()
}

/// The path of a `file://` address.
fn file_path(uri: &str) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt as _;
    let rest = uri.strip_prefix("file://")?;
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    let (mut bytes, mut at) = (Vec::new(), path.bytes());
    while let Some(byte) = at.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [at.next()?, at.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    let path = PathBuf::from(std::ffi::OsString::from_vec(bytes));
    path.is_absolute().then_some(path)
}

/// An argument that is wrong.
fn wrong(message: String) -> Failure {
    Failure::new(FailureCode::Invalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_folders() {
        for (uri, path) in [
            ("file:///home/a/b", Some("/home/a/b")),
            ("file://localhost/a", Some("/a")),
            ("file:///a%20b/%C3%BC", Some("/a b/ü")),
            ("file:///a%2", None),
            ("file://host/a", None),
            ("https://example.org/a", None),
        ] {
            assert_eq!(file_path(uri), path.map(PathBuf::from), "{uri}");
        }
    }
}
