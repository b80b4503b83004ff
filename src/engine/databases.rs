//! The databases of this machine, for the person whose machine it is.

use std::fs;
use std::io;

use super::workspace::busy;
use super::{Engine, EngineError};
use crate::id::DatabaseName;
use crate::state_dir::{LockError, WriterLock};
use crate::store::{DatabaseKind, QdrantStore};
use crate::tenant::{Catalogue, MachineOwner};

impl Engine {
    /// How many databases of each kind there are: numbers alone, for whoever watches over the
    /// machine.
    pub fn database_counts(&self) -> Result<Vec<(&'static str, u64)>, EngineError> {
        let kinds = self.router.kinds()?;
        let count = |kind| kinds.iter().filter(|known| **known == kind).count() as u64;
        Ok(DatabaseKind::ALL.iter().map(|kind| (kind.name(), count(*kind))).collect())
    }

    /// All databases.
    pub fn catalogue(&self, owner: &MachineOwner) -> Catalogue {
        self.router.catalogue(owner)
    }

    /// The Qdrant server, where it is the store.
    pub fn server(&self, _owner: &MachineOwner) -> Option<&QdrantStore> {
        self.server.as_deref()
    }

    /// Removes a database with everything in it. Refused while one of its collections is
    /// being indexed.
    pub fn drop_database(&self, owner: &MachineOwner, name: &DatabaseName) -> Result<(), EngineError> {
        let database = self.catalogue(owner).open(name)?;
        let mut locks = Vec::new();
        for collection in database.collections()? {
            let path = self.run_lock_path(&database, &collection);
            match WriterLock::acquire(&path) {
                Ok(lock) => locks.push((path, lock)),
                // No run ever took it.
                Err(LockError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(busy(std::path::Path::new(name.as_str()), error)),
            }
        }
        database.drop_whole()?;
        for (path, _lock) in &locks {
            // While it is held: whoever waits for it notices, and makes a new one.
            let _ = fs::remove_file(path);
        }
        Ok(())
    }
}
