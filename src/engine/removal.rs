//! The index of a worktree that need not be there any more: is there one, and away
//! with it. Decides nothing of when.

use std::fs;
use std::io;
use std::path::Path;

use super::workspace::busy;
use super::{Engine, EngineError};
use crate::id::CollectionName;
use crate::state_dir::{LockError, WriterLock};
use crate::store::StoreError;
use crate::tenant::{Database, TenantContext};

impl Engine {
    /// Whether there is an index, whole or not, of the worktree with this canonical root, of
    /// the project with this path ([`crate::git::project_path`]).
    pub fn has_index(&self, project: &Path, root: &Path) -> Result<bool, EngineError> {
        let (database, collection) = self.place(project, root)?;
        Ok(match database.schema(&collection) {
            // Another path with the same hash: not its own.
            Ok(schema) => schema.source == root.as_os_str().as_encoded_bytes(),
            Err(error) => !matches!(error, StoreError::NotFound { .. }),
        })
    }

    /// Drops the index of a worktree, named as for [`Engine::has_index`], and the lock file of
    /// its runs. Says whether there was one.
    pub fn drop_index(&self, project: &Path, root: &Path) -> Result<bool, EngineError> {
        let (database, collection) = self.place(project, root)?;
        if !self.has_index(project, root)? {
            return Ok(false);
        }
        let path = self.run_lock_path(&database, &collection);
        let lock = match WriterLock::acquire(&path) {
            Ok(lock) => Some(lock),
            // No run ever took it.
            Err(LockError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(busy(root, error)),
        };
        database.drop_collection(&collection)?;
        if lock.is_some() {
            // While it is held: whoever waits for it notices, and makes a new one.
            let _ = fs::remove_file(&path);
        }
        Ok(true)
    }

    fn place(&self, project: &Path, root: &Path) -> Result<(Database, CollectionName), EngineError> {
        let tenant = TenantContext::local(project)?;
        let collection = tenant.code_collection(root)?;
        Ok((self.router.database(&tenant)?, collection))
    }
}
