//! What each watch stands for: from a path to the worktrees that want it, and from what
//! happened to what they are told.
//!
//! Shared by the thread that tells events and the one that places watches. Decides
//! nothing about budgets, and looks at no file.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Notice;
use super::events::{Happened, Identity};
use crate::git::{GitChange, GitPlace};
use crate::path::{AbsPath, RepoPath};

/// A directory that a worktree wants watched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Place {
    /// The root, or a directory on git's side.
    Anchor(PathBuf),
    /// Another directory of the worktree.
    Directory(RepoPath),
}

impl Place {
    /// Where it is.
    pub(super) fn path(&self, root: &AbsPath) -> PathBuf {
        match self {
            Place::Anchor(path) => path.clone(),
            Place::Directory(path) => root.join(path),
        }
    }

    /// How far below the root; 0 for the root and git's side.
    pub(super) fn depth(&self) -> usize {
        match self {
            Place::Anchor(_) => 0,
            Place::Directory(path) => 1 + path.ancestors().count(),
        }
    }
}

/// The watches of all worktrees.
#[derive(Default)]
pub(super) struct Table {
    /// In the order of paths, what is below a directory follows it.
    watches: BTreeMap<PathBuf, Watch>,
    worktrees: HashMap<AbsPath, Worktree>,
    /// How often events were lost.
    pub overflows: u64,
    /// Every event is dropped, as if none had come.
    #[cfg(debug_assertions)]
    pub deaf: bool,
}

struct Watch {
    /// What was at the path when it was watched.
    identity: Identity,
    /// What is there now may be another directory, or one that is no longer watched.
    doubt: bool,
    /// Several where worktrees share a directory.
    wanted_by: Vec<(Arc<AbsPath>, Place)>,
}

#[derive(Default)]
struct Worktree {
    git: Vec<GitPlace>,
    places: HashSet<Place>,
    /// Some of its watches may be in doubt.
    doubt: bool,
    /// Watches that were in doubt and placed again, of which it was not told.
    renewed: usize,
}

impl Table {
    /// Watches in use.
    pub(super) fn watches(&self) -> usize {
        self.watches.len()
    }

    /// What is watched.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.watches.keys().cloned().collect()
    }

    /// Directories of the worktree that are watched, its root included.
    pub(super) fn directories(&self, root: &AbsPath) -> usize {
        let Some(worktree) = self.worktrees.get(root) else { return 0 };
        let git = |place: &Place| matches!(place, Place::Anchor(path) if path != root.as_path());
        worktree.places.iter().filter(|place| !git(place)).count()
    }

    /// Ends the watches of a worktree that are not of `places`; `git` says what matters in
    /// those on git's side. Returns the paths that nobody wants any more.
    pub(super) fn keep(&mut self, root: &AbsPath, git: &[GitPlace], places: &[Place]) -> Vec<PathBuf> {
        let worktree = self.worktrees.entry(root.clone()).or_default();
        worktree.git = git.to_vec();
        let wanted: HashSet<&Place> = places.iter().collect();
        let stale: Vec<Place> =
            worktree.places.iter().filter(|place| !wanted.contains(place)).cloned().collect();
        self.remove(root, &stale)
    }

    /// Ends all watches of a worktree but `most`, the deepest first. Returns those ended,
    /// and the paths that nobody wants any more.
    pub(super) fn trim(&mut self, root: &AbsPath, most: usize) -> (Vec<Place>, Vec<PathBuf>) {
        let Some(worktree) = self.worktrees.get(root).filter(|worktree| worktree.places.len() > most) else {
            return Default::default();
        };
        let mut places: Vec<Place> = worktree.places.iter().cloned().collect();
        places.sort_unstable();
        places.sort_by_cached_key(Place::depth);
        let ended = places.split_off(most);
        let freed = self.remove(root, &ended);
        (ended, freed)
    }

    /// Ends all watches of a worktree and forgets it. Returns the paths that nobody wants
    /// any more.
    pub(super) fn release(&mut self, root: &AbsPath) -> Vec<PathBuf> {
        let (_, freed) = self.trim(root, 0);
        self.worktrees.remove(root);
        freed
    }

    fn remove(&mut self, root: &AbsPath, places: &[Place]) -> Vec<PathBuf> {
        let Some(worktree) = self.worktrees.get_mut(root) else { return Vec::new() };
        let mut freed = Vec::new();
        for place in places {
            worktree.places.remove(place);
            let path = place.path(root);
            let Some(watch) = self.watches.get_mut(&path) else { continue };
            watch.wanted_by.retain(|(of, at)| of.as_ref() != root || at != place);
            if watch.wanted_by.is_empty() {
                self.watches.remove(&path);
                freed.push(path);
            }
        }
        freed
    }

    /// Those of `places` that the worktree has no watch of.
    pub(super) fn missing(&self, root: &AbsPath, places: Vec<Place>) -> Vec<Place> {
        let Some(worktree) = self.worktrees.get(root) else { return places };
        places.into_iter().filter(|place| !worktree.places.contains(place)).collect()
    }

    /// Notes that a worktree wants the directory at a place watched; `true` where nobody
    /// wanted it before. To be called before it is watched, so that no event is too early.
    pub(super) fn insert(
        &mut self,
        root: &Arc<AbsPath>,
        place: Place,
        path: PathBuf,
        identity: Identity,
    ) -> bool {
        let worktree = self.worktrees.entry(root.as_ref().clone()).or_default();
        worktree.places.insert(place.clone());
        let watch = self.watches.entry(path).or_insert_with(|| Watch {
            identity,
            doubt: false,
            wanted_by: Vec::new(),
        });
        worktree.doubt |= watch.doubt;
        watch.wanted_by.push((Arc::clone(root), place));
        watch.wanted_by.len() == 1
    }

    /// Notes that there is no watch of a path. Returns who wanted it.
    pub(super) fn forget(&mut self, path: &Path) -> Vec<(Arc<AbsPath>, Place)> {
        let wanted_by = self.watches.remove(path).map(|watch| watch.wanted_by).unwrap_or_default();
        for (root, place) in &wanted_by {
            if let Some(worktree) = self.worktrees.get_mut(root.as_ref()) {
                worktree.places.remove(place);
            }
        }
        wanted_by
    }

    /// Forgets all watches.
    pub(super) fn clear(&mut self) {
        self.watches.clear();
        self.worktrees.clear();
    }

    /// The anchors of a worktree that are watched, and what they were then.
    pub(super) fn anchors(&self, root: &AbsPath) -> Vec<(PathBuf, Identity)> {
        let places = self.worktrees.get(root).into_iter().flat_map(|worktree| &worktree.places);
        let anchors = places.filter(|place| matches!(place, Place::Anchor(_))).map(|place| place.path(root));
        anchors.filter_map(|path| self.watches.get(&path).map(|watch| (path, watch.identity))).collect()
    }

    /// Puts the watches of a path and of all below it in doubt.
    pub(super) fn doubt(&mut self, path: &Path) {
        let from = (Bound::Included(path), Bound::Unbounded);
        let below = self.watches.range_mut::<Path, _>(from).take_while(|(at, _)| at.starts_with(path));
        for (_, watch) in below {
            watch.doubt(&mut self.worktrees);
        }
    }

    /// The paths of a worktree whose watches are in doubt.
    pub(super) fn doubted(&mut self, root: &AbsPath) -> Vec<PathBuf> {
        let Some(worktree) = self.worktrees.get_mut(root).filter(|worktree| worktree.doubt) else {
            return Vec::new();
        };
        let paths = worktree.places.iter().map(|place| place.path(root));
        let doubted: Vec<PathBuf> =
            paths.filter(|path| self.watches.get(path).is_some_and(|watch| watch.doubt)).collect();
        worktree.doubt = !doubted.is_empty();
        doubted
    }

    /// Notes that the directory at a watched path is about to be watched anew.
    pub(super) fn renew(&mut self, path: &Path, identity: Identity) {
        let Some(watch) = self.watches.get_mut(path) else { return };
        if watch.doubt || watch.identity != identity {
            (watch.doubt, watch.identity) = (false, identity);
            for (root, _) in &watch.wanted_by {
                if let Some(worktree) = self.worktrees.get_mut(root.as_ref()) {
                    worktree.renewed += 1;
                }
            }
        }
    }

    /// How many watches of a worktree were in doubt and placed again since the last call.
    pub(super) fn take_renewed(&mut self, root: &AbsPath) -> usize {
        self.worktrees.get_mut(root).map_or(0, |worktree| std::mem::take(&mut worktree.renewed))
    }

    /// What there is to be told to those who want a directory.
    pub(super) fn notices(&mut self, happened: &Happened) -> Vec<Notice> {
        #[cfg(debug_assertions)]
        if self.deaf {
            return Vec::new();
        }
        let path = match happened {
            Happened::Lost => {
                self.overflows += 1;
                self.watches.values_mut().for_each(|watch| watch.doubt(&mut self.worktrees));
                return vec![Notice::Rescan];
            }
            Happened::Replaced(path) => {
                self.doubt(path);
                path
            }
            Happened::Changed(path) => path,
        };
        // The same event may be of an entry and of a watched directory itself.
        let entry = path.parent().zip(path.file_name()).map(|(parent, name)| (parent, Some(name.as_bytes())));
        let mut notices = Vec::new();
        for (directory, name) in entry.into_iter().chain([(path.as_path(), None)]) {
            let wanted_by = self.watches.get(directory).map(|watch| &watch.wanted_by);
            for (root, place) in wanted_by.into_iter().flatten() {
                let Some(worktree) = self.worktrees.get(root.as_ref()) else { continue };
                match place {
                    Place::Directory(path) => notices.extend(file(root, Some(path), name)),
                    Place::Anchor(path) => {
                        notices.extend(worktree.git(root, path, name));
                        if path == root.as_path() {
                            notices.extend(file(root, None, name));
                        }
                    }
                }
            }
        }
        notices.dedup();
        notices
    }
}

impl Watch {
    fn doubt(&mut self, worktrees: &mut HashMap<AbsPath, Worktree>) {
        self.doubt = true;
        for (root, _) in &self.wanted_by {
            if let Some(worktree) = worktrees.get_mut(root.as_ref()) {
                worktree.doubt = true;
            }
        }
    }
}

impl Worktree {
    /// What an event of the anchor at `path`, or of the entry `name` there, says of git's side.
    fn git(&self, root: &AbsPath, path: &Path, name: Option<&[u8]>) -> Option<Notice> {
        let mut here = self.git.iter().filter(|place| place.directory == path);
        let change = match name {
            Some(name) => here.find(|place| place.concerns(name))?.change,
            None => here.next().map(|_| GitChange::Directory)?,
        };
        Some(Notice::Git { root: root.clone(), change })
    }
}

/// What an event of `directory` (`None` for the root), or of the entry `name` there, says
/// of the worktree's files.
fn file(root: &AbsPath, directory: Option<&RepoPath>, name: Option<&[u8]>) -> Option<Notice> {
    let root = root.clone();
    let path = match (directory, name) {
        (None, None) => return Some(Notice::Root { root }),
        (None, Some(b".git")) => return Some(Notice::Git { root, change: GitChange::Directory }),
        (None, Some(name)) => RepoPath::new(name)?,
        (Some(directory), None) => directory.clone(),
        (Some(directory), Some(name)) => RepoPath::new([directory.as_bytes(), b"/", name].concat())?,
    };
    Some(Notice::File { root, path })
}
