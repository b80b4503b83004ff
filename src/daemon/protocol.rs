//! What the daemon's socket carries: one JSON object a line. A connection takes requests
//! one after the other; each is answered by any number of [`Reply::Progress`] and one
//! other reply.

use serde::{Deserialize, Serialize};

use crate::wire::{Answer, Failure, Outcome, Place, Running, SearchRequest, Status};

/// Version of the protocol. A daemon of another one says so, and is asked nothing more.
///
/// - 1: first version.
pub const PROTOCOL: u32 = 1;

/// The longest line, in bytes.
pub const MAX_LINE: u64 = 64 << 20;

/// A request with the version that it is made in.
#[derive(Debug, Serialize, Deserialize)]
pub struct Envelope {
    /// [`PROTOCOL`] of the asker.
    pub protocol: u32,
    /// The request.
    pub request: Request,
}

/// What is asked of the daemon.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Answer a search.
    Search(Box<SearchRequest>),
    /// Bring a registered worktree up to date now.
    Run {
        /// A path in it.
        worktree: Place,
        /// From nothing.
        full: bool,
        /// Without vectors.
        lexical_only: bool,
    },
    /// Say what is going on.
    Status,
    /// The registry has changed: read it.
    Registry,
    /// Read the configuration again.
    Reload {
        /// Log this from now on, whatever the configuration says.
        log: Option<String>,
    },
}

/// What the daemon says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// How far a run is; more follows.
    Progress(Running),
    /// To a search.
    Answer(Box<Answer>),
    /// To a run.
    Outcome(Box<Outcome>),
    /// To a run of a worktree that is not registered: the asker may do it.
    NotRegistered,
    /// To a question for the status.
    Status(Box<Status>),
    /// Done.
    Done,
    /// It could not be done.
    Failed(Failure),
    /// The daemon speaks another version.
    Version {
        /// Of the program.
        version: String,
    },
}
