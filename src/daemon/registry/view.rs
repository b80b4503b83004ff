//! What is on disk: the worktrees of each repository, the repositories in each folder.
//! Reads only, and decides nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Registry, Source};
use crate::git::{self, GitError, RegisteredWorktree, Worktree};

/// Directories of a folder that are looked into at most.
const MAX_DIRECTORIES: usize = 200_000;
/// Levels below a folder that are looked into.
const MAX_DEPTH: usize = 12;
/// Directories that hold other people's code and no repositories of one's own.
const NEVER_ENTERED: &[&str] = &["node_modules", "target"];

/// What was found on disk for the sources of a registry.
#[derive(Debug, Default)]
pub struct View {
    /// By common directory.
    pub(super) repositories: BTreeMap<PathBuf, Look>,
    /// The user's home directory, canonical.
    pub(super) home: Option<PathBuf>,
    /// What could not be looked at, each with the way out.
    pub(super) problems: Vec<String>,
}

/// What was found of one repository.
#[derive(Debug)]
pub(super) enum Look {
    /// Its worktrees.
    Listed(Vec<RegisteredWorktree>),
    /// It is not there.
    Gone,
    /// It is there, and git cannot read it.
    Unreadable(String),
}

impl View {
    /// Looks at everything that `registry` names. `home` is the user's home directory.
    pub fn of(registry: &Registry, home: Option<&Path>) -> View {
        let mut view = View {
            home: home.map(|home| home.canonicalize().unwrap_or_else(|_| home.to_owned())),
            ..View::default()
        };
        // Roots are kept, because a repository need not know its main worktree.
        let mut roots: BTreeMap<PathBuf, BTreeSet<PathBuf>> = BTreeMap::new();
        let mut known = |common_dir: &Path, root: &Path| {
            roots.entry(common_dir.to_owned()).or_default().insert(root.to_owned());
        };
        for entry in registry.entries() {
            match &entry.source {
                Source::Repository { root, common_dir } => known(common_dir, root),
                Source::Folder { path, other_file_systems } => {
                    let scan = Scan { other_file_systems: *other_file_systems, most: MAX_DIRECTORIES };
                    for worktree in scan.run(path, &mut view) {
                        known(worktree.common_dir().as_path(), worktree.root().as_path());
                    }
                }
            }
        }
        for worktree in registry.worktrees() {
            if registry.covers(&worktree.common_dir) {
                known(&worktree.common_dir, &worktree.root);
            }
        }
        view.repositories = roots
            .into_iter()
            .map(|(common_dir, roots)| {
                let look = look(&common_dir, &roots);
                (common_dir, look)
            })
            .collect();
        view
    }

    pub(super) fn is_wide(&self, root: &Path) -> bool {
        is_wide(root, self.home.as_deref())
    }
}

/// Whether a worktree with this root would hold far more than a project: the whole file
/// system, or the home directory. Paths are canonical.
pub fn is_wide(root: &Path, home: Option<&Path>) -> bool {
    root == Path::new("/") || Some(root) == home
}

fn look(common_dir: &Path, roots: &BTreeSet<PathBuf>) -> Look {
    let mut list = match git::worktrees(common_dir) {
        Ok(list) => list,
        Err(GitError::NoSuchPath { .. }) => return Look::Gone,
        Err(error) => return Look::Unreadable(error.to_string()),
    };
    for root in roots.iter().filter(|root| root.join(".git").exists()) {
        if let Ok(worktree) = Worktree::discover(root)
            && worktree.root().as_path() == root
            && worktree.git_dir().as_path() == common_dir
            && !list.iter().any(|listed| listed.root == *root)
        {
            let git_dir = common_dir.to_owned();
            list.push(RegisteredWorktree {
                root: root.clone(),
                git_dir,
                present: true,
                locked: false,
                prunable: false,
            });
        }
    }
    Look::Listed(list)
}

/// A search for repositories in a folder: not in hidden directories, not in repositories,
/// not through symbolic links.
pub(super) struct Scan {
    pub(super) other_file_systems: bool,
    /// Directories that are read at most.
    pub(super) most: usize,
}

impl Scan {
    pub(super) fn run(&self, folder: &Path, view: &mut View) -> Vec<Worktree> {
        let device = match fs::symlink_metadata(folder) {
            Ok(metadata) => metadata.dev(),
            Err(error) => {
                view.problems.push(format!(
                    "the folder `{}` cannot be looked into: {error}; bring it back, or \
                     `indexer remove` it",
                    folder.display()
                ));
                return Vec::new();
            }
        };
        let mut found = Vec::new();
        let mut unreadable: Vec<PathBuf> = Vec::new();
        let mut read = 0;
        // By level: where the bound is reached, it is the deepest that are left out.
        let mut pending = VecDeque::from([(folder.to_owned(), 0)]);
        while let Some((dir, depth)) = pending.pop_front() {
            if fs::symlink_metadata(dir.join(".git")).is_ok() && !view.is_wide(&dir) {
                match Worktree::discover(&dir) {
                    Ok(worktree) => found.push(worktree),
                    Err(error) => view.problems.push(error.to_string()),
                }
                continue;
            }
            if depth == MAX_DEPTH {
                continue;
            }
            if read == self.most {
                view.problems.push(format!(
                    "the folder `{}` has more than {} directories, and not all were looked into: \
                     `indexer add` the folders below it that hold repositories instead",
                    folder.display(),
                    self.most
                ));
                break;
            }
            read += 1;
            match self.directories_in(&dir, device) {
                Ok(below) => pending.extend(below.into_iter().map(|path| (path, depth + 1))),
                Err(_) => unreadable.push(dir),
            }
        }
        if let Some(first) = unreadable.first() {
            view.problems.push(format!(
                "{} directories in `{}` cannot be read, the first is `{}`: check their permissions",
                unreadable.len(),
                folder.display(),
                first.display()
            ));
        }
        found
    }

    fn directories_in(&self, dir: &Path, device: u64) -> std::io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let hidden = name.as_encoded_bytes().starts_with(b".");
            if hidden || NEVER_ENTERED.iter().any(|never| name == *never) || !entry.file_type()?.is_dir() {
                continue;
            }
            // What vanished meanwhile is not there.
            let Ok(metadata) = entry.metadata() else { continue };
            if self.other_file_systems || metadata.dev() == device {
                found.push(entry.path());
            }
        }
        found.sort();
        Ok(found)
    }
}
