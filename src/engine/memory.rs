//! The memories that one worktree's agents see, with the models and the cache that they
//! need.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::models::SharedEmbedder;
use super::workspace::check_tenant;
use super::{Engine, EngineError, Purpose};
use crate::embed::{Embedder, Leg};
use crate::git::Worktree;
use crate::id::PointId;
use crate::memory::{
    Answer, CheckpointHit, CheckpointView, Checkpoints, Cursor, MemoryError, Model, NewCheckpoint,
    NewRemediation, Remediation, RemediationHit, Remediations, Resumed, Written,
};
use crate::path::AbsPath;
use crate::search::{Mode, Request};
use crate::store::{Filter, StoreError};
use crate::tenant::{Database, TenantContext};

/// The checkpoints of a worktree's project, and the remediations that all projects share.
pub struct Memory {
    worktree: Worktree,
    project: Database,
    shared: SharedMemory,
}

/// What projects share: remediations.
pub struct SharedMemory {
    engine: Arc<Engine>,
    database: Database,
}

impl Engine {
    /// The memories seen from the worktree that `path` is in. Nothing is created.
    pub fn memory(self: &Arc<Engine>, path: &Path) -> Result<Memory, EngineError> {
        let worktree = Worktree::discover(path)?;
        let tenant = TenantContext::local(worktree.project_path())?;
        self.memory_of(worktree, &tenant)
    }

    /// The same for a tenant, within its rights; the worktree must be one of its project.
    pub fn memory_as(self: &Arc<Engine>, path: &Path, tenant: &TenantContext) -> Result<Memory, EngineError> {
        let worktree = Worktree::discover(path)?;
        check_tenant(&worktree, tenant)?;
        self.memory_of(worktree, tenant)
    }

    fn memory_of(
        self: &Arc<Engine>,
        worktree: Worktree,
        tenant: &TenantContext,
    ) -> Result<Memory, EngineError> {
        let project = self.router.database(tenant)?;
        check_owner(&project, worktree.project_path())?;
        Ok(Memory { project, shared: self.shared_memory(tenant)?, worktree })
    }

    /// The memories that the projects of a machine, or of an organisation, share.
    pub fn shared_memory(self: &Arc<Engine>, tenant: &TenantContext) -> Result<SharedMemory, EngineError> {
        Ok(SharedMemory { engine: Arc::clone(self), database: self.router.shared(tenant)? })
    }
}

impl Memory {
    /// Canonical root of the worktree.
    pub fn root(&self) -> &AbsPath {
        self.worktree.root()
    }

    /// What its project shares with others.
    pub fn shared(&self) -> &SharedMemory {
        &self.shared
    }

    /// See [`Checkpoints::save`].
    pub fn save_checkpoint(&self, new: &NewCheckpoint) -> Result<(CheckpointView, Written), EngineError> {
        self.shared.writing(|model| self.checkpoints()?.save(new, now(), model))
    }

    /// See [`Checkpoints::get`].
    pub fn checkpoint(&self, id: &str) -> Result<CheckpointView, EngineError> {
        Ok(self.checkpoints()?.get(id)?)
    }

    /// See [`Checkpoints::list`].
    pub fn list_checkpoints(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<(Vec<CheckpointView>, usize), EngineError> {
        Ok(self.checkpoints()?.list(filter, after, limit)?)
    }

    /// See [`Checkpoints::search`].
    pub fn search_checkpoints(&self, request: &Request) -> Result<Answer<CheckpointHit>, EngineError> {
        self.shared.asking(request.mode, |model| self.checkpoints()?.search(request, model))
    }

    /// See [`Checkpoints::resume`].
    pub fn resume(&self, id: Option<&str>) -> Result<Option<Resumed>, EngineError> {
        Ok(self.checkpoints()?.resume(id)?)
    }

    /// See [`Checkpoints::delete`].
    pub fn delete_checkpoints(&self, ids: &[String]) -> Result<Vec<PointId>, EngineError> {
        Ok(self.checkpoints()?.delete(ids)?)
    }

    fn checkpoints(&self) -> Result<Checkpoints<'_>, MemoryError> {
        Checkpoints::new(&self.project, &self.worktree, &self.shared.engine.locks_dir())
    }
}

impl SharedMemory {
    /// See [`Remediations::record`].
    pub fn record(&self, new: &NewRemediation) -> Result<(Remediation, Written), EngineError> {
        self.writing(|model| self.remediations()?.record(new, now(), model))
    }

    /// See [`Remediations::get`].
    pub fn get(&self, id: &str) -> Result<Remediation, EngineError> {
        Ok(self.remediations()?.get(id)?)
    }

    /// See [`Remediations::list`].
    pub fn list(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<(Vec<Remediation>, usize), EngineError> {
        Ok(self.remediations()?.list(filter, after, limit)?)
    }

    /// See [`Remediations::search`].
    pub fn search(&self, request: &Request) -> Result<Answer<RemediationHit>, EngineError> {
        self.asking(request.mode, |model| self.remediations()?.search(request, model))
    }

    /// See [`Remediations::feedback`].
    pub fn feedback(&self, id: &str, helpful: bool) -> Result<Remediation, EngineError> {
        Ok(self.remediations()?.feedback(id, helpful)?)
    }

    /// See [`Remediations::delete`].
    pub fn delete(&self, ids: &[String]) -> Result<Vec<PointId>, EngineError> {
        Ok(self.remediations()?.delete(ids)?)
    }

    fn remediations(&self) -> Result<Remediations<'_>, MemoryError> {
        Remediations::new(&self.database, &self.engine.locks_dir())
    }

    /// Writes with the text model and the cache. Without a model words alone are kept, and
    /// that is said.
    fn writing<T>(
        &self,
        write: impl FnOnce(Option<Model<'_>>) -> Result<(T, Written), MemoryError>,
    ) -> Result<(T, Written), EngineError> {
        let mut embedder = match self.model() {
            Ok(embedder) => embedder,
            Err(reason) => {
                let (value, written) = write(None)?;
                return Ok((value, Written { without_vector: written.without_vector.or(Some(reason)) }));
            }
        };
        let mut cache = self.engine.cache();
        Ok(write(Some(Model { embedder: &mut embedder, cache: cache.as_mut() }))?)
    }

    fn asking<T>(
        &self,
        mode: Mode,
        ask: impl FnOnce(Result<&mut dyn Embedder, String>) -> Result<T, MemoryError>,
    ) -> Result<T, EngineError> {
        if mode == Mode::Lexical {
            return Ok(ask(Err("words alone are asked for".to_owned()))?);
        }
        let mut embedder = self.model();
        Ok(ask(embedder.as_mut().map(|embedder| embedder as &mut dyn Embedder).map_err(|why| why.clone()))?)
    }

    /// The text leg's model, loaded; or why it cannot be used.
    fn model(&self) -> Result<SharedEmbedder, String> {
        match self.engine.embedder(Leg::Text, Purpose::Query) {
            Ok(Some(embedder)) => Ok(embedder),
            Ok(None) => Err("there is no text model".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Another path of the same hash has the same database's name: what it keeps is not this
/// project's to read.
fn check_owner(database: &Database, project: &Path) -> Result<(), MemoryError> {
    let source = project.as_os_str().as_encoded_bytes();
    match database.info() {
        Ok(info) if info.source != source => Err(StoreError::DatabaseCollision {
            database: database.name().clone(),
            stored: info.subject(),
            wanted: project.display().to_string(),
        }
        .into()),
        Ok(_) | Err(StoreError::NoDatabase { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Milliseconds since the epoch.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
