//! The worktrees of this machine that are kept fresh: what people added, what was
//! found from it, and in which state each is.
//!
//! One file, `<data-dir>/registry.json`, that the command line and the daemon both
//! change, under a lock and by atomic replacement; where nothing changes, nothing is
//! written. A file that cannot be read is never overwritten. Nothing here opens an
//! index or decides when one is brought up to date.
//!
//! | File | For |
//! |---|---|
//! | `file` | the registry as JSON |
//! | `view` | what is on disk: a repository's worktrees, the repositories in a folder |
//! | `discover` | a view of the disk → the state of every worktree |

mod discover;
mod file;
mod view;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::git::project_path;
use crate::state_dir::{LockError, WriterLock, create_private_dir, write_atomic};

pub use discover::Changes;
pub use view::{View, is_wide};

/// How long another process's change is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// What people added, and the worktrees found from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registry {
    entries: Vec<Entry>,
    /// Sorted by root; no two of the same project and root, which is what names an index.
    worktrees: Vec<Registered>,
    /// Common directories of repositories that were removed although a folder holds them.
    excluded: BTreeSet<PathBuf>,
}

/// What a person added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What.
    pub source: Source,
    /// When, seconds since the epoch.
    pub added_at: u64,
}

/// Where worktrees come from. Paths are canonical.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// All worktrees of a repository.
    Repository {
        /// The worktree that was named.
        root: PathBuf,
        /// What all worktrees share.
        common_dir: PathBuf,
    },
    /// All worktrees of all repositories below a folder.
    Folder {
        /// The folder.
        path: PathBuf,
        /// Whether mounted file systems below it are looked into.
        other_file_systems: bool,
    },
}

/// A worktree of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Canonical root.
    pub root: PathBuf,
    /// Canonical git directory: `.git`, or `.git/worktrees/NAME`.
    pub git_dir: PathBuf,
    /// Canonical directory that all worktrees of the repository share.
    pub common_dir: PathBuf,
    /// State.
    pub state: State,
}

impl Registered {
    /// The path that names the project. With the root it names the index, also when
    /// both are gone.
    pub fn project(&self) -> &Path {
        project_path(&self.common_dir)
    }

    /// Whether it is the main worktree of its repository.
    pub fn is_main(&self) -> bool {
        self.git_dir == self.common_dir
    }

    /// Whether it was removed, by a person or by git.
    pub fn is_out(&self) -> bool {
        matches!(self.state, State::Retired { .. } | State::Excluded { .. })
    }

    /// When the grace of its index began, if it is out already; else `now`.
    fn removed_since(&self, now: u64) -> u64 {
        match self.state {
            State::Retired { since } | State::Excluded { since: Some(since) } => since,
            _ => now,
        }
    }
}

/// State of a worktree. Times are seconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is there and kept fresh.
    Active,
    /// It, its repository or their disk is not there. The index is kept.
    Missing {
        /// Since when.
        since: u64,
    },
    /// Git does not list it any more, or it was removed with its source. The index is
    /// kept for a grace.
    Retired {
        /// Since when.
        since: u64,
    },
    /// A person removed it on its own: it stays out as long as git lists it, until it is
    /// added again.
    Excluded {
        /// Since when its index awaits the end of its grace; `None` once that is gone.
        since: Option<u64>,
    },
}

impl State {
    /// What [`State::name`] may give.
    pub const NAMES: [&str; 4] = ["active", "missing", "retired", "excluded"];

    /// Stable name.
    pub fn name(self) -> &'static str {
        match self {
            State::Active => "active",
            State::Missing { .. } => "missing",
            State::Retired { .. } => "retired",
            State::Excluded { .. } => "excluded",
        }
    }
}

/// The registry could not be read or changed. Messages name the file and the way out.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Not what was written.
    #[error(
        "the registry {} is damaged ({detail}): move it away and `indexer add` your worktrees again; \
         no index is lost", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// Written by a newer version of the program.
    #[error(
        "the registry {} has format {found}, and this version reads up to {}: upgrade indexer, or \
         choose another --data-dir", path.display(), file::VERSION
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
    },
    /// Another process is changing it, for too long.
    #[error("the registry cannot be changed: {0}; try again, or stop that process")]
    Locked(LockError),
    /// The operating system refused.
    #[error("the registry {}: {source}; check its permissions and its disk, or choose another --data-dir", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Registry {
    /// The file in this data directory.
    pub fn path(data_dir: &Path) -> PathBuf {
        data_dir.join("registry.json")
    }

    /// Reads the registry; an empty one where there is none. Takes no lock.
    pub fn load(data_dir: &Path) -> Result<Registry, RegistryError> {
        let path = Registry::path(data_dir);
        match fs::read(&path) {
            Ok(bytes) => file::decode(&bytes, &path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Registry::default()),
            Err(source) => Err(RegistryError::Io { path, source }),
        }
    }

    /// Reads the registry, changes it and writes it back, alone. Nothing is written where
    /// `change` changes nothing. Creates the data directory.
    pub fn update<T>(data_dir: &Path, change: impl FnOnce(&mut Registry) -> T) -> Result<T, RegistryError> {
        let path = Registry::path(data_dir);
        create_private_dir(data_dir)
            .map_err(|source| RegistryError::Io { path: data_dir.to_owned(), source })?;
        let lock = WriterLock::acquire_within(&data_dir.join("registry.lock"), PATIENCE);
        let _lock = lock.map_err(|error| match error {
            LockError::Io { path, source } => RegistryError::Io { path, source },
            held => RegistryError::Locked(held),
        })?;
        let before = Registry::load(data_dir)?;
        let mut after = before.clone();
        let result = change(&mut after);
        if after != before {
            write_atomic(&path, &file::encode(&after))
                .map_err(|source| RegistryError::Io { path, source })?;
        }
        Ok(result)
    }

    /// Looks at the disk and records what changed: worktrees that appeared, are missing,
    /// returned or were removed. The disk is read without the lock, and where it holds
    /// no news nothing is locked or written.
    ///
    /// `home` is the user's home directory, `now` in seconds since the epoch.
    pub fn refresh(
        data_dir: &Path,
        home: Option<&Path>,
        now: u64,
    ) -> Result<(Registry, Changes), RegistryError> {
        let mut registry = Registry::load(data_dir)?;
        let view = View::of(&registry, home);
        let before = registry.clone();
        let changes = registry.discover(&view, now);
        if registry == before {
            return Ok((registry, changes));
        }
        Registry::update(data_dir, |registry| {
            let changes = registry.discover(&view, now);
            (registry.clone(), changes)
        })
    }

    /// What people added, in the order in which they did.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The worktrees, sorted by root.
    pub fn worktrees(&self) -> &[Registered] {
        &self.worktrees
    }

    /// Worktrees whose index is to be dropped: removed longer ago than `keep`, both in seconds.
    pub fn due(&self, now: u64, keep: Duration) -> Vec<Registered> {
        let over = |worktree: &&Registered| match worktree.state {
            State::Retired { since } | State::Excluded { since: Some(since) } => {
                since.saturating_add(keep.as_secs()) <= now
            }
            _ => false,
        };
        self.worktrees.iter().filter(over).cloned().collect()
    }

    /// Takes note that the index of a removed worktree is gone. One that came back
    /// meanwhile is left alone.
    pub fn forget(&mut self, project: &Path, root: &Path) {
        self.worktrees.retain_mut(|worktree| {
            if worktree.project() != project || worktree.root != root {
                return true;
            }
            if let State::Excluded { since } = &mut worktree.state {
                *since = None;
            }
            !matches!(worktree.state, State::Retired { .. })
        });
    }

    /// Adds a repository by one of its worktrees, paths canonical. What was removed of it
    /// comes back. Its worktrees are those that [`Registry::refresh`] then finds.
    pub fn add_repository(&mut self, root: &Path, common_dir: &Path, now: u64) {
        self.excluded.remove(common_dir);
        for worktree in &mut self.worktrees {
            if worktree.common_dir == common_dir
                && worktree.root == root
                && let State::Excluded { since } = worktree.state
            {
                worktree.state = State::Retired { since: since.unwrap_or(now) };
            }
        }
        self.add(Source::Repository { root: root.to_owned(), common_dir: common_dir.to_owned() }, now);
    }

    /// Adds all repositories below the folder with this canonical path.
    pub fn add_folder(&mut self, path: &Path, other_file_systems: bool, now: u64) {
        let same =
            |entry: &Entry| matches!(&entry.source, Source::Folder { path: other, .. } if other == path);
        self.entries.retain(|entry| !same(entry));
        self.add(Source::Folder { path: path.to_owned(), other_file_systems }, now);
    }

    fn add(&mut self, source: Source, now: u64) {
        if !self.entries.iter().any(|entry| entry.source == source) {
            self.entries.push(Entry { source, added_at: now });
        }
    }

    /// Removes what is at `path`: a folder that was added, a repository (by its main
    /// worktree, its git directory, or the worktree by which it was added), or else a single
    /// worktree. Returns the worktrees that are out by it; `None` where nothing of this path
    /// is registered.
    pub fn remove(&mut self, path: &Path, now: u64) -> Option<Vec<Registered>> {
        let at = |worktree: &Registered| {
            worktree.root == path || worktree.common_dir == path || worktree.project() == path
        };
        let before = self.clone();
        self.entries.retain(|entry| match &entry.source {
            Source::Repository { root, common_dir } => root != path && common_dir != path,
            Source::Folder { path: folder, .. } => folder != path,
        });
        let found: Vec<Registered> = self.worktrees.iter().filter(|worktree| at(worktree)).cloned().collect();
        if found.is_empty() && self.entries == before.entries {
            return None;
        }
        for worktree in &found {
            if worktree.root != path || worktree.is_main() {
                self.remove_repository(&worktree.common_dir);
            } else if self.covers(&worktree.common_dir) {
                let since = Some(worktree.removed_since(now));
                let own = self.worktrees.iter_mut().find(|other| *other == worktree);
                own.into_iter().for_each(|own| own.state = State::Excluded { since });
            }
        }
        self.excluded = self.excluded.iter().filter(|path| self.in_folder(path)).cloned().collect();
        let covered: Vec<bool> =
            self.worktrees.iter().map(|worktree| self.covers(&worktree.common_dir)).collect();
        for (worktree, covered) in self.worktrees.iter_mut().zip(covered) {
            if !covered {
                worktree.state = State::Retired { since: worktree.removed_since(now) };
            }
        }
        let changed = self
            .worktrees
            .iter()
            .zip(&before.worktrees)
            .filter(|(after, before)| after.is_out() && (at(after) || !before.is_out()));
        Some(changed.map(|(after, _)| after.clone()).collect())
    }

    /// Removes a repository, whichever way it came in.
    fn remove_repository(&mut self, common_dir: &Path) {
        self.entries.retain(|entry| {
            !matches!(&entry.source, Source::Repository { common_dir: other, .. } if other == common_dir)
        });
        if self.in_folder(common_dir) {
            self.excluded.insert(common_dir.to_owned());
        }
    }

    /// Whether a source holds the repository with this common directory.
    fn covers(&self, common_dir: &Path) -> bool {
        if self.excluded.contains(common_dir) {
            return false;
        }
        let named = self.entries.iter().any(
            |entry| matches!(&entry.source, Source::Repository { common_dir: other, .. } if other == common_dir),
        );
        named || self.in_folder(common_dir)
    }

    /// Whether a folder that was added holds the repository, or one of its known worktrees.
    fn in_folder(&self, common_dir: &Path) -> bool {
        let roots =
            || self.worktrees.iter().filter(|known| known.common_dir == common_dir).map(|known| &known.root);
        self.folders()
            .any(|folder| common_dir.starts_with(folder) || roots().any(|root| root.starts_with(folder)))
    }

    /// Folders that were added.
    fn folders(&self) -> impl Iterator<Item = &Path> {
        self.entries.iter().filter_map(|entry| match &entry.source {
            Source::Folder { path, .. } => Some(path.as_path()),
            Source::Repository { .. } => None,
        })
    }
}
