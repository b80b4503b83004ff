//! One worktree and its collection in its tenant's database: what is asked of it, and
//! the lock that keeps its runs one at a time.

use std::ops::{ControlFlow, RangeInclusive};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Engine, EngineError, Purpose};
use crate::embed::Embedder;
use crate::git::{Worktree, read_file};
use crate::id::CollectionName;
use crate::index::{
    Explanation, Freshness, Indexer, Observe, Options, Outcome, Progress, Run, Scope, Vectors, Verification,
};
use crate::manifest::{FileRecord, FileState};
use crate::path::{AbsPath, RepoPath};
use crate::redact::redact;
use crate::search::{Answer, Place, Request};
use crate::state_dir::{LockError, WriterLock, create_private_dir};
use crate::store::{Snapshot, Stats, StoreError};
use crate::tenant::{Database, TenantContext};

/// A worktree and its collection.
pub struct Workspace {
    engine: Arc<Engine>,
    worktree: Worktree,
    database: Database,
    collection: CollectionName,
}

/// Lines of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines {
    /// Their text.
    pub text: String,
    /// First and last, from 1; the last is before the first where there are none.
    pub lines: (u32, u32),
    /// Lines of the file.
    pub total: u32,
    /// Secrets that were replaced in the file.
    pub redactions: u32,
}

impl Workspace {
    pub(super) fn open(engine: Arc<Engine>, path: &Path) -> Result<Workspace, EngineError> {
        let worktree = Worktree::discover(path)?;
        let tenant = TenantContext::local(worktree.project_path())?;
        Workspace::of(engine, worktree, &tenant)
    }

    pub(super) fn open_as(
        engine: Arc<Engine>,
        path: &Path,
        tenant: &TenantContext,
    ) -> Result<Workspace, EngineError> {
        let worktree = Worktree::discover(path)?;
        check_tenant(&worktree, tenant)?;
        Workspace::of(engine, worktree, tenant)
    }

    fn of(
        engine: Arc<Engine>,
        mut worktree: Worktree,
        tenant: &TenantContext,
    ) -> Result<Workspace, EngineError> {
        let settings = &engine.settings;
        if settings.data_dir.canonicalize().is_ok_and(|dir| dir == worktree.root().as_path()) {
            return Err(EngineError::DataDir(settings.data_dir.clone()));
        }
        worktree.hide(&[settings.data_dir.clone(), settings.embed.model_dir.clone()]);
        let database = engine.router.database(tenant)?;
        let collection = tenant.code_collection(worktree.root().as_path())?;
        Ok(Workspace { engine, worktree, database, collection })
    }

    /// The worktree that the file `path` is in, and its path there. The file need not exist.
    pub fn open_for_file(engine: &Arc<Engine>, path: &Path) -> Result<(Workspace, RepoPath), EngineError> {
        let absolute = std::path::absolute(path)
            .map_err(|source| EngineError::Path { path: path.to_owned(), source })?;
        if absolute.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            return Err(EngineError::Directory(path.to_owned()));
        }
        let existing = absolute.ancestors().skip(1).find(|dir| dir.is_dir()).unwrap_or(Path::new("/"));
        let workspace = engine.open(existing)?;
        // Only the directory is resolved: the file itself may be a link, which is what is asked about.
        let rest = absolute.strip_prefix(existing).unwrap_or(&absolute);
        let resolved = existing.canonicalize().unwrap_or_else(|_| existing.to_path_buf()).join(rest);
        let root = workspace.root().as_path();
        let inside = resolved.strip_prefix(root).ok();
        match inside.and_then(|path| RepoPath::new(path.as_os_str().as_encoded_bytes())) {
            Some(path) => Ok((workspace, path)),
            None => Err(EngineError::Outside { path: path.to_owned(), root: root.to_owned() }),
        }
    }

    /// Canonical root.
    pub fn root(&self) -> &AbsPath {
        self.worktree.root()
    }

    /// The worktree, for reading.
    pub fn worktree(&self) -> &Worktree {
        &self.worktree
    }

    /// Its collection.
    pub fn collection(&self) -> &CollectionName {
        &self.collection
    }

    /// Name of its database.
    pub fn database_name(&self) -> String {
        self.database.name().to_string()
    }

    /// Runs the indexer, alone; without `vectors` the dense legs stay as they are.
    pub fn run(
        &self,
        run: Run,
        vectors: Option<Scope>,
        observe: Observe<'_>,
    ) -> Result<Outcome, EngineError> {
        let _lock = self.lock()?;
        self.run_locked(run, vectors, observe)
    }

    fn run_locked(
        &self,
        run: Run,
        vectors: Option<Scope>,
        observe: Observe<'_>,
    ) -> Result<Outcome, EngineError> {
        let options = self.engine.options()?;
        let Some(scope) = vectors else {
            return Ok(self.indexer(&options).run(run, None, observe)?);
        };
        let mut cache = self.engine.cache();
        let mut vectors = Vectors {
            scope,
            cache: cache.as_mut(),
            loaded: Box::new(|leg| self.engine.is_loaded(leg)),
            load: Box::new(|leg| match self.engine.embedder(leg, Purpose::Run)? {
                Some(embedder) => Ok(Box::new(embedder) as Box<dyn Embedder>),
                None => Err(crate::embed::EmbedError::NotInstalled {
                    what: format!("the {leg} leg's model"),
                    path: self.engine.settings.embed.model_dir.clone(),
                }),
            }),
        };
        let outcome = self.indexer(&options).run(run, Some(&mut vectors), observe);
        // It failed, and said so: the next run opens it anew.
        if vectors.cache.is_none() {
            drop(vectors);
            *cache = None;
        }
        Ok(outcome?)
    }

    /// Compares the index with the disk, from the bytes.
    pub fn verify(&self, observe: &mut dyn FnMut(Progress<'_>)) -> Result<Verification, EngineError> {
        Ok(self.indexer(&*self.engine.options()?).verify(observe)?)
    }

    /// Forgets what differs and runs.
    pub fn repair(
        &self,
        verification: &Verification,
        run: Run,
        observe: Observe<'_>,
    ) -> Result<Outcome, EngineError> {
        let _lock = self.lock()?;
        self.indexer(&*self.engine.options()?).forget(verification)?;
        self.run_locked(run, Some(Scope::All), observe)
    }

    /// How a path is indexed, or why it is not.
    pub fn explain(&self, path: &RepoPath) -> Result<Explanation, EngineError> {
        Ok(self.indexer(&*self.engine.options()?).explain(path)?)
    }

    /// Lines of an indexed file as they are on disk now, secrets replaced as in the index.
    /// `None` where the file is not indexed, or not there any more.
    pub fn lines(&self, path: &RepoPath, wanted: RangeInclusive<u32>) -> Result<Option<Lines>, EngineError> {
        let snapshot = self.snapshot()?;
        let is_indexed = |record: &FileRecord| matches!(record.state, FileState::Indexed { .. });
        if !snapshot.manifest.get(path).is_some_and(is_indexed) {
            return Ok(None);
        }
        let contents = match read_file(self.root(), path, self.engine.settings.index.max_file_bytes) {
            Ok(contents) => contents,
            Err(_) => return Ok(None),
        };
        let (text, redactions) = redact(path, &String::from_utf8_lossy(&contents.bytes));
        let total = text.lines().count() as u32;
        let (first, last) = (*wanted.start().max(&1), *wanted.end().min(&total));
        let skip = first.saturating_sub(1) as usize;
        let take = (last + 1).saturating_sub(first) as usize;
        let text = text.split_inclusive('\n').skip(skip).take(take).collect();
        Ok(Some(Lines { text, lines: (first, last), total, redactions }))
    }

    /// Whether there is a collection, whatever is in it.
    pub fn is_indexed(&self) -> bool {
        self.database.schema(&self.collection).is_ok()
    }

    /// Indexes the words of what has changed, for at most `patience`; whether all that was
    /// on disk when it began is indexed then.
    pub fn catch_up(&self, patience: Duration) -> Result<bool, EngineError> {
        let began = Instant::now();
        let outcome = self.run(Run::default(), None, &mut |_| match began.elapsed() < patience {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        });
        match outcome {
            Ok(outcome) => Ok(!outcome.interrupted),
            Err(error) if error.is_busy() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Manifest and state of the collection.
    pub fn snapshot(&self) -> Result<Snapshot, EngineError> {
        Ok(self.database.snapshot(&self.collection)?)
    }

    /// Counts and sizes; `None` where the worktree is not indexed.
    pub fn stats(&self) -> Result<Option<Stats>, EngineError> {
        match self.database.stats(&self.collection) {
            Ok(stats) => Ok(Some(stats)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// How fresh the index is, by a look at the worktree; `None` where it is not indexed.
    pub fn freshness(&self) -> Result<Option<Freshness>, EngineError> {
        Ok(Freshness::of(&self.worktree, &self.database, &self.collection)?)
    }

    /// Answers `request`, with the models that its mode needs.
    pub fn search(&self, request: &Request) -> Result<Answer, EngineError> {
        Ok(self.engine.search(&[self], request)?.or_error()?)
    }

    /// Where a search of it looks.
    pub(super) fn place(&self) -> Place<'_> {
        Place { database: &self.database, collection: &self.collection, root: self.worktree.root() }
    }

    fn indexer<'a>(&'a self, options: &'a Options) -> Indexer<'a> {
        Indexer { database: &self.database, collection: &self.collection, worktree: &self.worktree, options }
    }

    /// The lock of the one run per collection.
    fn lock(&self) -> Result<WriterLock, EngineError> {
        let path = self.engine.run_lock_path(&self.database, &self.collection);
        let dir = path.parent().unwrap_or(&self.engine.settings.data_dir);
        create_private_dir(dir).map_err(|error| StoreError::write(dir, error))?;
        WriterLock::acquire(&path).map_err(|error| busy(self.root().as_path(), error))
    }
}

/// Whether the tenant's project is the worktree's, by what is on disk now: what a worktree
/// says of its repository may have changed since the tenant was made.
pub(super) fn check_tenant(worktree: &Worktree, tenant: &TenantContext) -> Result<(), EngineError> {
    match TenantContext::local(worktree.project_path())?.at_most(tenant.role()) == *tenant {
        true => Ok(()),
        false => Err(EngineError::OtherProject(worktree.root().as_path().to_owned())),
    }
}

/// What it means that the lock of a worktree's runs was not taken.
pub(super) fn busy(root: &Path, error: LockError) -> EngineError {
    match error {
        LockError::Held { pid, .. } => EngineError::Busy { root: root.to_owned(), pid },
        LockError::Io { path, source } => StoreError::write(&path, source).into(),
    }
}
