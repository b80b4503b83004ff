//! Moving collections between this machine's stores, for the person whose machine it is.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::workspace::busy;
use super::{Engine, EngineError, qdrant_options};
use crate::config::{Settings, StoreSettings};
use crate::id::{CollectionName, DatabaseName};
use crate::migrate::{self, Progress, Transferred};
use crate::state_dir::{WriterLock, create_private_dir};
use crate::store::{EmbeddedStore, QdrantStore, StoreError};
use crate::tenant::{Catalogue, Database, MachineOwner, Router};

/// What is to be moved, and how.
#[derive(Clone, Debug)]
pub struct Migration {
    /// Where it is.
    pub from: StoreSettings,
    /// Where it is to be.
    pub to: StoreSettings,
    /// Only of this database.
    pub database: Option<DatabaseName>,
    /// Only this collection.
    pub collection: Option<CollectionName>,
    /// Change nothing, and say what would be.
    pub dry_run: bool,
    /// Drop what the target has of a collection first.
    pub replace: bool,
    /// Drop a collection of the source once it is in the target.
    pub drop_source: bool,
}

/// What became of one collection.
#[derive(Debug)]
pub struct Migrated {
    /// Its database.
    pub database: DatabaseName,
    /// The collection; `None` where the database cannot be read.
    pub collection: Option<CollectionName>,
    /// What was sent.
    pub result: Result<Transferred, EngineError>,
    /// Whether it was dropped from the source.
    pub is_source_dropped: bool,
    /// How long it took.
    pub took: Duration,
}

/// Whom a migration tells what it is doing; may end it, as with [`migrate::Observe`].
pub type ObserveMigration<'a> =
    &'a mut dyn FnMut(&DatabaseName, &CollectionName, Progress) -> ControlFlow<()>;

impl Engine {
    /// Moves every collection that is asked for, each under the lock of its runs. One that
    /// fails does not keep the others; an error is of what they have in common.
    pub fn migrate(
        &self,
        owner: &MachineOwner,
        migration: &Migration,
        observe: ObserveMigration<'_>,
    ) -> Result<Vec<Migrated>, EngineError> {
        let from = router(&self.settings, &migration.from)?.catalogue(owner);
        let to = router(&self.settings, &migration.to)?.catalogue(owner);
        let databases = match &migration.database {
            Some(name) => vec![from.open(name)?.name().clone()],
            None => from.names()?,
        };
        let mut done = Vec::new();
        for database in databases {
            let listed = from.open(&database).and_then(|source| Ok((source.collections()?, source)));
            let (collections, source) = match listed {
                Ok(listed) => listed,
                Err(error) => {
                    let result = Err(error.into());
                    let (took, is_source_dropped) = (Duration::ZERO, false);
                    done.push(Migrated { database, collection: None, result, is_source_dropped, took });
                    continue;
                }
            };
            for name in collections {
                if migration.collection.as_ref().is_some_and(|only| *only != name) {
                    continue;
                }
                let began = Instant::now();
                let mut tell = |progress| observe(&database, &name, progress);
                let result = self.migrate_one(migration, &source, &to, &name, &mut tell);
                let is_source_dropped = migration.drop_source && result.is_ok();
                done.push(Migrated {
                    database: database.clone(),
                    collection: Some(name),
                    result,
                    is_source_dropped,
                    took: began.elapsed(),
                });
            }
        }
        Ok(done)
    }

    fn migrate_one(
        &self,
        migration: &Migration,
        source: &Database,
        to: &Catalogue,
        collection: &CollectionName,
        observe: migrate::Observe<'_>,
    ) -> Result<Transferred, EngineError> {
        if migration.dry_run {
            let target = match to.open(source.name()) {
                _ if migration.replace => None,
                Err(StoreError::NoDatabase { .. }) => None,
                found => Some(found?),
            };
            return Ok(migrate::compare(source, target.as_ref(), collection)?);
        }
        let path = self.run_lock_path(source, collection);
        let dir = self.locks_dir();
        create_private_dir(&dir).map_err(|error| StoreError::write(&dir, error))?;
        let subject = format!("collection {collection} of database {}", source.name());
        let _lock = WriterLock::acquire(&path).map_err(|error| busy(Path::new(&subject), error))?;
        let target = to.create_like(source)?;
        let transferred = migrate::transfer(source, &target, collection, migration.replace, observe)?;
        if migration.drop_source {
            source.drop_collection(collection)?;
        }
        Ok(transferred)
    }
}

/// The way into a store, which need not be the one that `settings` choose.
fn router(settings: &Settings, store: &StoreSettings) -> Result<Router, EngineError> {
    Ok(match store {
        StoreSettings::Embedded => Router::new(Arc::new(EmbeddedStore::new(&settings.data_dir))),
        StoreSettings::Qdrant(qdrant) => Router::new(Arc::new(QdrantStore::new(qdrant_options(qdrant)?)?)),
    })
}
