//! How much of a worktree is watched, why not all of it, and how a budget of watches
//! is divided. Values and words; no watch is placed here.

use std::fmt;
use std::path::PathBuf;

use super::table::Place;
use crate::path::{AbsPath, RepoPath};

/// Paths named in [`Coverage::first_unwatched`] at most.
const NAMED: usize = 5;

/// What is watched of a worktree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Directories that files are shown in, the root among them.
    pub directories: usize,
    /// Those that are watched.
    pub watched: usize,
    /// Those that are not, for a reason that lasts. One that was removed meanwhile is
    /// in neither number.
    pub unwatched: usize,
    /// The first few of these, nearest to the root first; the root itself has no name here.
    pub first_unwatched: Vec<RepoPath>,
    /// Watches that this call placed, on git's side too: what happened before is unknown,
    /// so that the worktree is to be looked at once more.
    pub added: usize,
    /// Why the worktree has to be polled: something of it, or of git's side, is not watched.
    pub polled: Option<Reason>,
}

/// Why something is not watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The configuration says so.
    EventsOff,
    /// Changes are made from elsewhere, of which this system tells nothing.
    Remote {
        /// What lies there.
        path: PathBuf,
        /// Type of the file system.
        file_system: String,
    },
    /// The watches allowed are in use.
    Budget {
        /// Their number.
        budget: usize,
        /// Whether the configuration gives it, rather than the system's limit.
        configured: bool,
        /// The number that all worktrees need together.
        needed: usize,
    },
    /// The system refused; its words, and the way out.
    System(String),
}

impl Coverage {
    /// Notes that a place is not watched, and why; the first reason stands.
    pub(super) fn leave_out(&mut self, root: &AbsPath, place: &Place, reason: &Reason) {
        match place {
            Place::Directory(path) => {
                self.unwatched += 1;
                if self.first_unwatched.len() < NAMED {
                    self.first_unwatched.push(path.clone());
                }
            }
            Place::Anchor(path) => self.unwatched += usize::from(path == root.as_path()),
        }
        self.polled.get_or_insert_with(|| reason.clone());
    }
}

/// One sentence for people.
impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Coverage { directories, watched, .. } = self;
        match &self.polled {
            None => write!(f, "all {directories} directories are watched"),
            Some(reason) => write!(f, "{watched} of {directories} directories are watched: {reason}"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::EventsOff => f.write_str("file-system events are off (`watch.events`)"),
            Reason::Remote { path, file_system } => write!(
                f,
                "`{}` is on a {file_system} file system, which may be changed from elsewhere without an event",
                path.display()
            ),
            Reason::Budget { budget, configured: true, needed } => {
                write!(
                    f,
                    "the {budget} watches of `watch.max_watches` are in use; set it to {needed} or more"
                )
            }
            Reason::Budget { budget, configured: false, needed } => write!(
                f,
                "{budget} watches, half of what the system allows, are in use; run \
                 `sysctl fs.inotify.max_user_watches={}`, or set `watch.max_watches` to {needed} or more",
                needed.saturating_mul(2)
            ),
            Reason::System(message) => f.write_str(message),
        }
    }
}

/// How many watches a worktree may have, so that all `wanted` numbers together fit the
/// budget, small ones are met in full, and large ones are cut to the same height.
pub(super) fn share(budget: usize, mut wanted: Vec<usize>) -> usize {
    wanted.sort_unstable();
    let mut rest = budget;
    for (at, wanted_here) in wanted.iter().enumerate() {
        let even = rest / (wanted.len() - at);
        if *wanted_here > even {
            return even;
        }
        rest -= wanted_here;
    }
    usize::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_a_budget() {
        let cases: &[(usize, &[usize], usize)] = &[
            (10, &[], usize::MAX),
            (10, &[10], usize::MAX),
            (10, &[11], 10),
            (10, &[5, 5], usize::MAX),
            (10, &[3, 8], 7),
            (10, &[100, 100], 5),
            (11, &[100, 2, 100], 4),
            (0, &[1], 0),
            (0, &[0], usize::MAX),
        ];
        for (budget, wanted, expected) in cases {
            let share = share(*budget, wanted.to_vec());
            assert_eq!(share, *expected, "{budget} {wanted:?}");
            let used: usize = wanted.iter().map(|wanted| *wanted.min(&share)).sum();
            assert!(used <= *budget, "{budget} {wanted:?}");
        }
    }

    #[test]
    fn sentences() {
        let mut coverage = Coverage { directories: 50, watched: 50, ..Coverage::default() };
        assert_eq!(coverage.to_string(), "all 50 directories are watched");
        let root = AbsPath::new("/r".into()).expect("absolute");
        let remote = Reason::Remote { path: "/home/u".into(), file_system: "nfs4".to_owned() };
        coverage.watched = 0;
        coverage.leave_out(&root, &Place::Anchor("/r".into()), &remote);
        coverage.leave_out(&root, &Place::Anchor("/r/.git".into()), &Reason::EventsOff);
        assert_eq!((coverage.unwatched, coverage.first_unwatched.len()), (1, 0));
        let text = coverage.to_string();
        assert!(
            text.starts_with("0 of 50 directories are watched: `/home/u` is on a nfs4 file system"),
            "{text}"
        );
        let budget = |configured| Reason::Budget { budget: 10, configured, needed: 60 }.to_string();
        assert!(budget(true).contains("`watch.max_watches` are in use; set it to 60"));
        assert!(budget(false).contains("sysctl fs.inotify.max_user_watches=120"));
    }
}
