//! A view of the disk → the state of every worktree. Pure: the same view gives the same
//! states, and a second look at it changes nothing.

use std::path::Path;

use super::view::{Look, View};
use super::{Registered, Registry, Source, State};
use crate::git::{RegisteredWorktree, project_path};

/// What a look at the disk changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Worktrees that are new or have another state, in the state they have now.
    pub worktrees: Vec<Registered>,
    /// What could not be looked at, each with the way out. Reported at every look.
    pub problems: Vec<String>,
}

impl Registry {
    /// Brings the state of every worktree to what `view` shows, `now` in seconds since the epoch.
    ///
    /// Only what is there becomes active, only what its own repository does not list any
    /// more is retired: a repository that cannot be read tells nothing of its worktrees.
    pub fn discover(&mut self, view: &View, now: u64) -> Changes {
        let mut changes = Changes { problems: view.problems.clone(), ..Changes::default() };
        let before = self.worktrees.clone();
        for (common_dir, look) in &view.repositories {
            let list: &[RegisteredWorktree] = match look {
                Look::Listed(list) => list,
                _ => &[],
            };
            // Sources may have been removed since the look.
            let in_folder = |at: &RegisteredWorktree| {
                at.present && self.folders().any(|folder| at.root.starts_with(folder))
            };
            let excluded = self.excluded.contains(common_dir);
            if excluded || !(self.covers(common_dir) || list.iter().any(in_folder)) {
                continue;
            }
            match look {
                Look::Listed(list) => self.take_listed(common_dir, list, view, now),
                Look::Gone => self.take_gone(common_dir, now),
                Look::Unreadable(why) => changes.problems.push(why.clone()),
            }
        }
        self.worktrees.sort_by(|a, b| (&a.root, &a.common_dir).cmp(&(&b.root, &b.common_dir)));
        changes.worktrees = self.worktrees.iter().filter(|after| !before.contains(after)).cloned().collect();
        changes
    }

    fn take_listed(&mut self, common_dir: &Path, list: &[RegisteredWorktree], view: &View, now: u64) {
        for listed in list.iter().filter(|listed| listed.present) {
            let RegisteredWorktree { root, git_dir, .. } = listed;
            if view.is_wide(root) && !self.is_named(root) {
                continue;
            }
            let project = project_path(common_dir);
            let same = |known: &&mut Registered| known.root == *root && known.project() == project;
            match self.worktrees.iter_mut().find(same) {
                Some(known) => {
                    known.git_dir.clone_from(git_dir);
                    common_dir.clone_into(&mut known.common_dir);
                    if !matches!(known.state, State::Excluded { .. }) {
                        known.state = State::Active;
                    }
                }
                None => self.worktrees.push(Registered {
                    root: root.clone(),
                    git_dir: git_dir.clone(),
                    common_dir: common_dir.to_owned(),
                    state: State::Active,
                }),
            }
        }
        self.worktrees.retain_mut(|known| {
            if known.common_dir != common_dir || list.iter().any(|at| at.present && at.root == known.root) {
                return true;
            }
            // Git writes down the path as it was given, ours is canonical: what is not
            // there is recognised by its git directory.
            let listed = |at: &RegisteredWorktree| {
                !at.present && (at.root == known.root || at.git_dir == known.git_dir)
            };
            let listed = known.is_main() || list.iter().any(listed);
            match known.state {
                State::Active if listed => known.state = State::Missing { since: now },
                State::Active | State::Missing { .. } if !listed => {
                    known.state = State::Retired { since: now }
                }
                // Nobody has to remember any more that it stays out.
                State::Excluded { since } if !listed => match since {
                    Some(since) => known.state = State::Retired { since },
                    None => return false,
                },
                _ => {}
            }
            true
        });
    }

    fn take_gone(&mut self, common_dir: &Path, now: u64) {
        for known in self.worktrees.iter_mut().filter(|known| known.common_dir == common_dir) {
            if known.state == State::Active {
                known.state = State::Missing { since: now };
            }
        }
    }

    /// Whether this very worktree was added, so that it may be as wide as it is.
    fn is_named(&self, path: &Path) -> bool {
        self.entries
            .iter()
            .any(|entry| matches!(&entry.source, Source::Repository { root, .. } if root == path))
    }
}
