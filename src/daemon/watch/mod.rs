//! File-system events of worktrees and their git directories, as hints.
//!
//! A notice says "look at this worktree again", and roughly why. What is true is what a
//! run finds: it lists everything and compares it with the manifest. So nothing here is
//! relied upon for correctness, only for freshness, and these rules keep that so:
//!
//! - The caller covers a worktree after each run, with the directories that the run
//!   listed. Where watches were placed, one more run finds what happened before that.
//! - A watch is on an inode, not on a path. Whenever a directory may have taken the
//!   place of another, or events were lost, all watches are placed anew, beside the old
//!   ones, which end when their last event was told.
//! - What is not watched is counted, named, and given a reason. It is to be polled.
//!
//! One watcher of the system serves all worktrees, one watch a directory, never through
//! a symbolic link.
//!
//! | File | For |
//! |---|---|
//! | `coverage` | how much is watched, why not all, shares of the budget |
//! | `mounts` | file systems that are changed from elsewhere |
//! | `table` | what each watch stands for, what an event says |
//! | `watches` | placing, ending and renewing them |
//! | `events` | the system's watches and events |

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rustix::io::Errno;

use crate::git::{GitChange, GitPlace};
use crate::path::{AbsPath, RepoPath};

mod coverage;
mod events;
mod mounts;
mod table;
mod watches;

#[cfg(all(test, target_os = "linux"))]
mod tests;

use coverage::share;
pub use coverage::{Coverage, Reason};
use mounts::Mounts;
use table::Place;
use watches::Watches;

/// The limit of watches where the system's own cannot be read: its smallest default.
const SMALLEST_LIMIT: usize = 8192;

/// Something to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A file or directory of a worktree was made, changed or removed.
    File {
        /// Root of the worktree.
        root: AbsPath,
        /// Where. It need not be a file that git shows.
        path: RepoPath,
    },
    /// Something on git's side of a worktree changed.
    Git {
        /// Root of the worktree.
        root: AbsPath,
        /// What.
        change: GitChange,
    },
    /// The root directory itself was moved, removed or unmounted, or its permissions changed.
    Root {
        /// Where it was.
        root: AbsPath,
    },
    /// Events were lost: every worktree is to be looked at.
    Rescan,
}

/// Numbers of a [`Watcher`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Watches in use.
    pub watches: usize,
    /// Watches allowed.
    pub budget: usize,
    /// How often events were lost because they came faster than they were read.
    pub overflows: u64,
}

/// Watches worktrees. Dropping it ends all watches.
pub struct Watcher {
    events: bool,
    max_watches: Option<usize>,
    watches: Watches,
    covered: BTreeMap<AbsPath, Covered>,
}

struct Covered {
    /// Watches for all of it, git's side included.
    wanted: usize,
    coverage: Coverage,
}

impl Watcher {
    /// A watcher that tells `notify` of changes, on a thread of its own, in the order they
    /// happened; `notify` must not block, or events are lost. Without `events` it watches
    /// nothing and says so. `max_watches` bounds the watches of all worktrees together; by
    /// default half of what the system allows.
    pub fn new(
        events: bool,
        max_watches: Option<usize>,
        notify: impl Fn(Notice) + Send + Sync + 'static,
    ) -> Watcher {
        Watcher { events, max_watches, watches: Watches::new(notify), covered: BTreeMap::new() }
    }

    /// Brings the watches of the worktree at `root` in line with what a run found: the
    /// places on git's side, the root, and `directories`, those nearest to the root first
    /// where not all can be watched. To be called after every run; where
    /// [`Coverage::added`] is not zero, one more run is due.
    ///
    /// Where watches are short, other worktrees may have to give some of theirs.
    pub fn cover(&mut self, root: &AbsPath, git: &[GitPlace], directories: &[RepoPath]) -> Coverage {
        self.cover_on(&Mounts::read(), root, git, directories)
    }

    fn cover_on(
        &mut self,
        mounts: &Mounts,
        root: &AbsPath,
        git: &[GitPlace],
        directories: &[RepoPath],
    ) -> Coverage {
        let mut coverage = Coverage { directories: directories.len() + 1, ..Coverage::default() };
        let mounts_below = mounts.any_below(root.as_path());
        let started = if self.events { self.watches.start() } else { Err(Reason::EventsOff) };
        let refused = started.err().or_else(|| remote(mounts, root.as_path()));
        let mut places = wanted(root, git, directories);
        places.retain(|place| {
            let elsewhere = mounts_below || matches!(place, Place::Anchor(_));
            let apart = || elsewhere.then(|| remote(mounts, &place.path(root))).flatten();
            let reason = refused.clone().or_else(apart);
            if let Some(reason) = &reason {
                coverage.leave_out(root, place, reason);
            }
            reason.is_none()
        });

        self.covered.insert(root.clone(), Covered { wanted: places.len(), coverage: Coverage::default() });
        let (budget, configured) = self.budget();
        let all: Vec<usize> = self.covered.values().map(|covered| covered.wanted).collect();
        let short = Reason::Budget { budget, configured, needed: all.iter().sum() };
        let share = share(budget, all);
        for place in places.drain(share.min(places.len())..) {
            coverage.leave_out(root, &place, &short);
        }

        let mut table = self.watches.table();
        let mut freed = Vec::new();
        for (other, Covered { coverage, .. }) in self.covered.iter_mut().filter(|(other, _)| *other != root) {
            let (ended, paths) = table.trim(other, share);
            freed.extend(paths);
            for place in ended {
                coverage.leave_out(other, &place, &short);
            }
            coverage.watched = table.directories(other);
        }
        freed.extend(table.keep(root, git, &places));
        drop(table);
        let mut refused = Vec::new();
        match self.watches.settle(root, freed) {
            Ok(()) => (coverage.added, refused) = self.watches.place(root, places),
            Err(reason) => places.iter().for_each(|place| coverage.leave_out(root, place, &reason)),
        }
        for (place, errno) in refused {
            coverage.leave_out(root, &place, &Reason::System(no_watch(&place.path(root), errno)));
        }
        coverage.watched = self.watches.table().directories(root);
        if let Some(covered) = self.covered.get_mut(root) {
            covered.coverage = coverage.clone();
        }
        coverage
    }

    /// Ends all watches of a worktree.
    pub fn release(&mut self, root: &AbsPath) {
        self.covered.remove(root);
        let freed = self.watches.table().release(root);
        // Where that fails, every worktree is to be looked at, and hears why.
        let _ = self.watches.end(freed);
    }

    /// What is watched of a worktree; `None` where it was never covered, or released.
    pub fn coverage(&self, root: &AbsPath) -> Option<&Coverage> {
        self.covered.get(root).map(|covered| &covered.coverage)
    }

    /// Numbers.
    pub fn stats(&self) -> Stats {
        let table = self.watches.table();
        Stats { watches: table.watches(), budget: self.budget().0, overflows: table.overflows }
    }

    /// From now on every event is dropped, as if the system had sent none: for tests that
    /// polling alone suffices.
    #[cfg(debug_assertions)]
    pub fn drop_events(&self) {
        self.watches.table().deaf = true;
    }

    /// The number of watches allowed, and whether the configuration gives it.
    fn budget(&self) -> (usize, bool) {
        (self.max_watches.unwrap_or_else(|| system_limit() / 2), self.max_watches.is_some())
    }
}

/// All that is worth a watch, first things first: git's side, the root, its directories.
fn wanted(root: &AbsPath, git: &[GitPlace], directories: &[RepoPath]) -> Vec<Place> {
    let git: BTreeSet<&Path> = git.iter().map(|place| place.directory.as_path()).collect();
    let anchors = git.into_iter().filter(|path| *path != root.as_path()).chain([root.as_path()]);
    let anchors = anchors.map(|path| Place::Anchor(path.to_owned()));
    let mut places: Vec<Place> = anchors.chain(directories.iter().cloned().map(Place::Directory)).collect();
    places.sort_by_cached_key(Place::depth);
    places
}

/// The type of the file system of the canonical `path`, where it is one that changes are
/// made in from elsewhere.
pub fn remote_file_system(path: &Path) -> Option<String> {
    Mounts::read().remote(path).map(str::to_owned)
}

fn remote(mounts: &Mounts, path: &Path) -> Option<Reason> {
    let file_system = mounts.remote(path)?.to_owned();
    Some(Reason::Remote { path: path.to_owned(), file_system })
}

/// How many watches the system allows a user, in all programs together.
fn system_limit() -> usize {
    let text = std::fs::read_to_string("/proc/sys/fs/inotify/max_user_watches").unwrap_or_default();
    text.trim().parse().unwrap_or(SMALLEST_LIMIT)
}

fn no_watch(path: &Path, errno: Errno) -> String {
    match errno {
        Errno::NOSPC => format!(
            "the system's limit of watches is reached, those of other programs included; run `sysctl \
             fs.inotify.max_user_watches={}`",
            system_limit().saturating_mul(2)
        ),
        _ => format!("the system refused to watch `{}`: {errno}", path.display()),
    }
}
