//! The JSON that leaves the program, as types: what `--json` prints, what the daemon's
//! socket carries. README documents every field.
//!
//! Names are a contract: fields are added, never renamed. Converts domain types and
//! must not decide anything.

mod answer;
mod database;
mod doctor;
mod explanation;
mod memory;
mod migration;
mod outcome;
mod registry;
mod related;
mod status;
mod token;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use answer::{
    Answer, Dense, Hit, LegReport, SearchLine, SearchRequest, SearchedWorktree, Snippet, Summary, Us, Waited,
    languages,
};
pub use database::{Claims, Collection, Database, Databases, Grant, NamedVector, PayloadField};
pub use doctor::{Check, Diagnosis, Health};
pub use explanation::{ExplainedChunk, Explanation, IgnoredBy, IndexRecord};
pub use memory::{
    Checkpoint, CheckpointHit, Commits, MemoryAnswer, MemoryDeleted, MemoryList, MemoryWritten, Reference,
    Remediation, RemediationHit, Resumed,
};
pub use migration::{MigratedCollection, Migration, Sent};
pub use outcome::{Chunks, Files, Ms, Outcome, OutcomeBytes, Vectors};
pub use registry::{List, ListedWorktree};
pub use related::{Related, RelatedGroup, RelatedHit, RelatedSubject};
pub use status::{
    Cache, Counters, DaemonStatus, Freshness, Present, Problem, Running, Status, Watch, Watches,
    WorktreeStatus,
};
pub use token::{TokenInfo, TokenMember};

use crate::embed::Leg;
use crate::git;
use crate::id::{decode_hex, encode_hex};
use crate::path::RepoPath;

/// A path in a worktree: `path`, or `path_hex` (hexadecimal) where it is not UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum PathName {
    /// As text.
    Text {
        /// The path.
        path: String,
    },
    /// As bytes.
    Bytes {
        /// Hexadecimal digits.
        path_hex: String,
    },
}

impl From<&RepoPath> for PathName {
    fn from(path: &RepoPath) -> PathName {
        match path.to_str() {
            Some(text) => PathName::Text { path: text.to_owned() },
            None => PathName::Bytes { path_hex: encode_hex(path.as_bytes()) },
        }
    }
}

impl PathName {
    /// The path, where it is one.
    pub fn to_repo_path(&self) -> Option<RepoPath> {
        match self {
            PathName::Text { path } => RepoPath::new(path.as_bytes()),
            PathName::Bytes { path_hex } => RepoPath::new(decode_hex(path_hex)?),
        }
    }
}

/// An absolute path of this machine: its text, or its bytes where it is not UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Place {
    /// As text.
    Text(String),
    /// As bytes.
    Bytes {
        /// Hexadecimal digits.
        hex: String,
    },
}

impl From<&Path> for Place {
    fn from(path: &Path) -> Place {
        match path.to_str() {
            Some(text) => Place::Text(text.to_owned()),
            None => Place::Bytes { hex: encode_hex(path.as_os_str().as_encoded_bytes()) },
        }
    }
}

impl Default for Place {
    fn default() -> Place {
        Place::Text(String::new())
    }
}

impl Place {
    /// The path.
    pub fn to_path(&self) -> PathBuf {
        use std::os::unix::ffi::OsStringExt as _;
        match self {
            Place::Text(text) => PathBuf::from(text),
            Place::Bytes { hex } => {
                PathBuf::from(std::ffi::OsString::from_vec(decode_hex(hex).unwrap_or_default()))
            }
        }
    }
}

/// Where HEAD is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Head {
    /// Commit; `None` on an unborn branch.
    pub commit: Option<String>,
    /// Branch; `None` where detached.
    pub branch: Option<String>,
    /// Operation in progress, such as `rebase`.
    pub operation: Option<String>,
}

impl From<&git::Head> for Head {
    fn from(head: &git::Head) -> Head {
        Head {
            commit: head.commit.clone(),
            branch: head.branch.clone(),
            operation: head.operation.map(str::to_owned),
        }
    }
}

/// Values by leg: `text`, `code`.
pub type ByLeg<T> = BTreeMap<String, T>;

/// One entry for each leg that has a value.
pub fn by_leg<T>(value: impl Fn(Leg) -> Option<T>) -> ByLeg<T> {
    Leg::ALL.iter().filter_map(|leg| Some((leg.name().to_owned(), value(*leg)?))).collect()
}

/// An error as the other side shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// What went wrong; names its subject.
    pub message: String,
    /// What to do, where the message does not say.
    pub hint: Option<String>,
    /// What kind of error it is.
    #[serde(default)]
    pub code: FailureCode,
}

/// What kind of error it is, for whoever has to decide what to do next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureCode {
    /// It went wrong on this side.
    #[default]
    Failed,
    /// What was asked for cannot be.
    Invalid,
    /// What was asked for is not there.
    NotFound,
    /// The worktree has no index yet.
    NotIndexed,
    /// The role is too weak.
    Denied,
    /// Another is at work: later it may go well.
    Busy,
    /// Something that it needs is not there: a model, a server, a worktree's disk.
    Unavailable,
}

impl Failure {
    /// An error of which the message says all.
    pub fn new(code: FailureCode, message: impl Into<String>) -> Failure {
        Failure { message: message.into(), hint: None, code }
    }
}
