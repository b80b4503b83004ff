//! The registry as JSON.
//!
//! Format 1: `version`, `entries`, `worktrees`, `excluded`. A path is a string, or
//! `{"hex": "…"}` where it is not UTF-8.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Entry, Registered, Registry, RegistryError, Source, State};
use crate::wire::Place;

/// The format that is written, and the newest that is read.
pub(super) const VERSION: u64 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u64,
    entries: Vec<FileEntry>,
    worktrees: Vec<FileWorktree>,
    excluded: BTreeSet<Place>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
enum FileEntry {
    Repository { root: Place, common_dir: Place, added_at: u64 },
    Folder { path: Place, other_file_systems: bool, added_at: u64 },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileWorktree {
    root: Place,
    git_dir: Place,
    common_dir: Place,
    state: FileState,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum FileState {
    Active,
    Missing,
    Retired,
    Excluded,
}

fn path(place: &Place) -> Result<PathBuf, String> {
    let path = place.to_path();
    if path.is_absolute() { Ok(path) } else { Err(format!("{place:?} is not an absolute path")) }
}

pub(super) fn encode(registry: &Registry) -> Vec<u8> {
    let place = |path: &PathBuf| Place::from(path.as_path());
    let file = File {
        version: VERSION,
        entries: registry
            .entries
            .iter()
            .map(|entry| match &entry.source {
                Source::Repository { root, common_dir } => FileEntry::Repository {
                    root: place(root),
                    common_dir: place(common_dir),
                    added_at: entry.added_at,
                },
                Source::Folder { path: folder, other_file_systems } => FileEntry::Folder {
                    path: place(folder),
                    other_file_systems: *other_file_systems,
                    added_at: entry.added_at,
                },
            })
            .collect(),
        worktrees: registry
            .worktrees
            .iter()
            .map(|worktree| {
                let (state, since) = match worktree.state {
                    State::Active => (FileState::Active, None),
                    State::Missing { since } => (FileState::Missing, Some(since)),
                    State::Retired { since } => (FileState::Retired, Some(since)),
                    State::Excluded { since } => (FileState::Excluded, since),
                };
                let Registered { root, git_dir, common_dir, .. } = worktree;
                FileWorktree {
                    root: place(root),
                    git_dir: place(git_dir),
                    common_dir: place(common_dir),
                    state,
                    since,
                }
            })
            .collect(),
        excluded: registry.excluded.iter().map(place).collect(),
    };
    let mut bytes = serde_json::to_vec_pretty(&file).expect("strings and numbers under string keys");
    bytes.push(b'\n');
    bytes
}

/// Reads the content of the file at `path`.
pub(super) fn decode(bytes: &[u8], path: &Path) -> Result<Registry, RegistryError> {
    let damaged = |detail: String| RegistryError::Damaged { path: path.to_owned(), detail };
    #[derive(Deserialize)]
    struct Head {
        version: u64,
    }
    let head: Head = serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
    if head.version > VERSION {
        return Err(RegistryError::Newer { path: path.to_owned(), found: head.version });
    }
    let file: File = serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
    registry(file).map_err(damaged)
}

fn registry(file: File) -> Result<Registry, String> {
    let mut registry = Registry::default();
    for entry in file.entries {
        registry.entries.push(match entry {
            FileEntry::Repository { root, common_dir, added_at } => {
                let source = Source::Repository { root: path(&root)?, common_dir: path(&common_dir)? };
                Entry { source, added_at }
            }
            FileEntry::Folder { path: folder, other_file_systems, added_at } => {
                Entry { source: Source::Folder { path: path(&folder)?, other_file_systems }, added_at }
            }
        });
    }
    for worktree in file.worktrees {
        let root = path(&worktree.root)?;
        let state = match (worktree.state, worktree.since) {
            (FileState::Active, None) => State::Active,
            (FileState::Missing, Some(since)) => State::Missing { since },
            (FileState::Retired, Some(since)) => State::Retired { since },
            (FileState::Excluded, since) => State::Excluded { since },
            (FileState::Active, Some(_)) => return Err(format!("{root:?} is active since a time")),
            (_, None) => return Err(format!("{root:?} has a state without its time")),
        };
        let worktree = Registered {
            git_dir: path(&worktree.git_dir)?,
            common_dir: path(&worktree.common_dir)?,
            root,
            state,
        };
        let same = |other: &Registered| other.root == worktree.root && other.project() == worktree.project();
        if registry.worktrees.iter().any(same) {
            return Err(format!("{:?} stands twice", worktree.root));
        }
        registry.worktrees.push(worktree);
    }
    registry.excluded = file.excluded.iter().map(path).collect::<Result<_, _>>()?;
    Ok(registry)
}
