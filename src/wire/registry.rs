//! The registered worktrees.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Place;

/// What is registered to be kept fresh.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct List {
    /// Worktrees, by root.
    pub worktrees: Vec<ListedWorktree>,
    /// Folders in which repositories are looked for.
    pub folders: Vec<Place>,
    /// What could not be looked at, each with the way out.
    pub problems: Vec<String>,
}

/// One worktree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListedWorktree {
    /// Its root.
    pub root: Place,
    /// The path that the worktrees of its repository share.
    pub project: Place,
    /// Its branch; `None` where it is not there, or on none.
    pub branch: Option<String>,
    /// `active`, `missing`, `retired` or `excluded`.
    pub state: String,
    /// Since when it is in that state, seconds since the epoch; `None` where it is active.
    pub since: Option<u64>,
    /// Whether there is an index of it.
    pub indexed: bool,
}
