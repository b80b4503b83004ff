//! Who answers: the daemon from within, or from a process of its own the daemon where one
//! runs and that process otherwise.

use std::sync::Arc;

use crate::daemon::handle::blocking;
use crate::daemon::{Handle, asking};
use crate::engine::{Engine, Workspace};
use crate::wire::{Answer, Failure, SearchRequest, Status};

/// Who answers.
#[derive(Clone)]
pub enum Backend {
    /// This process is the daemon.
    Here(Handle),
    /// Another process may be; it is looked for at every question.
    Away(Arc<Engine>),
}

impl Backend {
    /// The engine of now.
    pub(super) fn engine(&self) -> Arc<Engine> {
        match self {
            Backend::Here(handle) => handle.engine(),
            Backend::Away(engine) => Arc::clone(engine),
        }
    }

    /// Answers a request about `workspaces`.
    pub(super) async fn search(
        &self,
        workspaces: Vec<Workspace>,
        request: SearchRequest,
    ) -> Result<Answer, Failure> {
        match self {
            Backend::Here(handle) => handle.search(request).await,
            Backend::Away(engine) => {
                let engine = Arc::clone(engine);
                blocking(move || asking::search(&engine, &workspaces, &request)).await
            }
        }
    }

    /// Says what is going on.
    pub(super) async fn status(&self) -> Result<Status, Failure> {
        match self {
            Backend::Here(handle) => handle.status().await,
            Backend::Away(engine) => {
                let engine = Arc::clone(engine);
                blocking(move || asking::status(&engine)).await
            }
        }
    }
}
