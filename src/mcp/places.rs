//! Which worktrees a call is about. A worktree that may not be seen is one that is not there.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::access::Access;
use crate::daemon::handle::failure;
use crate::daemon::registry::{Registry, State};
use crate::engine::{Engine, Workspace};
use crate::path::RepoPath;
use crate::wire::{Failure, FailureCode};

/// Worktrees named in an error, at most.
const NAMED: usize = 12;

/// The worktrees that an asker can name.
pub(super) struct Places {
    pub(super) engine: Arc<Engine>,
    pub(super) access: Access,
    /// Where the asker is: folders, the first that is in a worktree counts.
    pub(super) base: Vec<PathBuf>,
}

impl Places {
    /// The worktree with this path or name, or the one that the asker is in.
    pub(super) fn one(&self, named: Option<&str>) -> Result<Workspace, Failure> {
        match named {
            Some(named) => self.named(named),
            None => self.own(),
        }
    }

    /// The worktrees with these paths or names, each once; `*` is every one that is registered.
    pub(super) fn several(&self, named: &[String]) -> Result<Vec<Workspace>, Failure> {
        let mut all: Vec<Workspace> = Vec::new();
        for name in named {
            let found = match name == "*" {
                true => self.known().iter().filter_map(|root| self.open(root).ok()).collect(),
                false => vec![self.named(name)?],
            };
            for workspace in found {
                if all.iter().all(|other| other.root() != workspace.root()) {
                    all.push(workspace);
                }
            }
        }
        match all.is_empty() {
            true => Err(self.missing("no worktree is registered")),
            false => Ok(all),
        }
    }

    /// A file by its path in a worktree, or by its absolute path.
    pub(super) fn file(&self, path: &str, worktree: Option<&str>) -> Result<(Workspace, RepoPath), Failure> {
        let absolute = Path::new(path).is_absolute() && worktree.is_none();
        if absolute && self.access.roots().is_none() {
            return Workspace::open_for_file(&self.engine, Path::new(path)).map_err(failure);
        }
        let workspace = match absolute {
            true => self.open(Path::new(path))?,
            false => self.one(worktree)?,
        };
        let root = workspace.root().as_path();
        let inside = Path::new(path).strip_prefix(root).ok().and_then(Path::to_str).unwrap_or(path);
        match RepoPath::new(inside.trim_start_matches("./")) {
            Some(path) => Ok((workspace, path)),
            None => Err(Failure {
                message: format!("{path:?} is not a path in the worktree {}", root.display()),
                code: FailureCode::NotFound,
                hint: Some("give it from the worktree's root, as search_code does".to_owned()),
            }),
        }
    }

    fn own(&self) -> Result<Workspace, Failure> {
        let mut why = None;
        for dir in &self.base {
            match self.open(dir) {
                Ok(workspace) => return Ok(workspace),
                Err(error) => why = why.or(Some(error)),
            }
        }
        match (&self.known()[..], why) {
            ([only], _) => self.open(only),
            (_, Some(why)) => Err(Failure { hint: self.missing("").hint, ..why }),
            (_, None) => Err(self.missing("name a worktree")),
        }
    }

    fn named(&self, name: &str) -> Result<Workspace, Failure> {
        let known = self.known();
        let called: Vec<&PathBuf> =
            known.iter().filter(|root| root.file_name().is_some_and(|last| last == name)).collect();
        match called[..] {
            [root] => return self.open(root),
            [] => {}
            _ => {
                let paths: Vec<String> = called.iter().map(|root| root.display().to_string()).collect();
                return Err(Failure {
                    message: format!("{} worktrees are called {name:?}", called.len()),
                    code: FailureCode::NotFound,
                    hint: Some(format!("give the path: {}", paths.join(", "))),
                });
            }
        }
        let path = match self.base.first() {
            Some(base) => base.join(name),
            None => PathBuf::from(name),
        };
        // Not below some worktree that was not meant; what is there is not looked at for those
        // who may not know.
        match path.is_absolute() && (self.access.roots().is_some() || path.is_dir()) {
            true => self.open(&path),
            false => Err(self.missing(&format!("there is no worktree {name:?}"))),
        }
    }

    /// The worktree that a path is in. Where not all may be seen the path alone decides: what is
    /// there, and what is wrong with it, is nobody's business who may not see it.
    fn open(&self, path: &Path) -> Result<Workspace, Failure> {
        let Some(roots) = self.access.roots() else { return self.engine.open(path).map_err(failure) };
        let climbs = path.components().any(|component| component == Component::ParentDir);
        let around = roots.iter().filter(|root| !climbs && path.starts_with(root));
        let root = around.max_by_key(|root| root.as_os_str().len());
        let root = root.ok_or_else(|| self.missing(&format!("there is no worktree {:?}", path.display())))?;
        let workspace = self.engine.open(root).map_err(failure)?;
        match self.access.sees(workspace.root().as_path()) {
            true => Ok(workspace),
            // Since its root was listed something else has taken its place.
            false => Err(self.missing(&format!("there is no worktree {:?}", path.display()))),
        }
    }

    /// The roots of those that may be seen and are registered.
    pub(super) fn known(&self) -> Vec<PathBuf> {
        // One that cannot be read is told by the status.
        let registry = Registry::load(&self.engine.settings().data_dir).unwrap_or_default();
        let active = registry.worktrees().iter().filter(|known| known.state == State::Active);
        let mut roots: Vec<PathBuf> =
            active.map(|known| known.root.clone()).filter(|root| self.access.sees(root)).collect();
        roots.extend(self.access.roots().into_iter().flatten().cloned());
        roots.sort();
        roots.dedup();
        roots
    }

    fn missing(&self, message: &str) -> Failure {
        let known = self.known();
        let mut names: Vec<String> =
            known.iter().take(NAMED).map(|root| root.display().to_string()).collect();
        if known.len() > NAMED {
            names.push(format!("and {} more", known.len() - NAMED));
        }
        let hint = match names.is_empty() {
            true => {
                "no worktree is registered: `indexer add PATH` registers one; or give its path as `worktree`"
                    .to_owned()
            }
            false => format!("give one as `worktree`; there are: {}", names.join(", ")),
        };
        Failure { message: message.to_owned(), hint: Some(hint), code: FailureCode::NotFound }
    }
}
