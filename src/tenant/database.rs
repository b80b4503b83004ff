//! One tenant's database: every operation of a [`Store`], in this database alone and
//! within the tenant's role.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::Role;
use crate::embed::Leg;
use crate::id::{CollectionName, DatabaseName, VectorKey};
use crate::store::{
    Batch, DatabaseInfo, DatabaseKind, Filter, Point, Probe, Schema, Scored, Snapshot, Stats, Store,
    StoreError,
};

/// One tenant's database. Made in `tenant` alone.
///
/// Every method is that of [`Store`] of the same name, in this database; one that the
/// tenant's role does not allow is [`StoreError::Denied`], and touches nothing.
#[derive(Clone)]
pub struct Database {
    store: Arc<dyn Store>,
    name: DatabaseName,
    kind: DatabaseKind,
    source: Vec<u8>,
    role: Role,
}

impl Database {
    pub(super) fn new(
        store: &Arc<dyn Store>,
        name: DatabaseName,
        kind: DatabaseKind,
        source: Vec<u8>,
        role: Role,
    ) -> Database {
        Database { store: Arc::clone(store), name, kind, source, role }
    }

    /// Its name.
    pub fn name(&self) -> &DatabaseName {
        &self.name
    }

    /// Whose data it holds.
    pub fn kind(&self) -> DatabaseKind {
        self.kind
    }

    fn allow(&self, needs: Role, operation: &'static str) -> Result<(), StoreError> {
        if self.role >= needs {
            return Ok(());
        }
        let (has, needs) = (self.role.name(), needs.name());
        Err(StoreError::Denied { database: self.name.clone(), operation, has, needs })
    }

    /// Creates it where it is not there yet. Another of the same name is
    /// [`StoreError::DatabaseCollision`].
    pub fn ensure(&self) -> Result<(), StoreError> {
        self.allow(Role::Write, "create the database")?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let info = DatabaseInfo { kind: self.kind, source: self.source.clone(), created_at: since.as_secs() };
        self.store.create_database(&self.name, &info)
    }

    /// See [`Store::database`].
    pub fn info(&self) -> Result<DatabaseInfo, StoreError> {
        self.store.database(&self.name)
    }

    /// See [`Store::drop_database`].
    pub fn drop_whole(&self) -> Result<(), StoreError> {
        self.allow(Role::Admin, "delete the database")?;
        self.store.drop_database(&self.name)
    }

    /// See [`Store::collections`].
    pub fn collections(&self) -> Result<Vec<CollectionName>, StoreError> {
        self.store.collections(&self.name)
    }

    /// See [`Store::create`]; the database too is created where it is not there.
    pub fn create(&self, collection: &CollectionName, schema: &Schema) -> Result<(), StoreError> {
        self.ensure()?;
        self.store.create(&self.name, collection, schema)
    }

    /// See [`Store::schema`].
    pub fn schema(&self, collection: &CollectionName) -> Result<Schema, StoreError> {
        self.store.schema(&self.name, collection)
    }

    /// See [`Store::drop_collection`].
    pub fn drop_collection(&self, collection: &CollectionName) -> Result<(), StoreError> {
        self.allow(Role::Write, "drop a collection")?;
        self.store.drop_collection(&self.name, collection)
    }

    /// See [`Store::set_aside`].
    pub fn set_aside(&self, collection: &CollectionName) -> Result<String, StoreError> {
        self.allow(Role::Write, "set a collection aside")?;
        self.store.set_aside(&self.name, collection)
    }

    /// See [`Store::snapshot`].
    pub fn snapshot(&self, collection: &CollectionName) -> Result<Snapshot, StoreError> {
        self.store.snapshot(&self.name, collection)
    }

    /// See [`Store::apply`].
    pub fn apply(&self, collection: &CollectionName, batch: Batch) -> Result<(), StoreError> {
        self.allow(Role::Write, "change a collection")?;
        self.store.apply(&self.name, collection, batch)
    }

    /// See [`Store::vector_keys`].
    pub fn vector_keys(
        &self,
        collection: &CollectionName,
        leg: Leg,
    ) -> Result<Arc<HashSet<VectorKey>>, StoreError> {
        self.store.vector_keys(&self.name, collection, leg)
    }

    /// See [`Store::vectors`].
    pub fn vectors(
        &self,
        collection: &CollectionName,
        leg: Leg,
        keys: &[VectorKey],
    ) -> Result<Vec<(VectorKey, Vec<f32>)>, StoreError> {
        self.store.vectors(&self.name, collection, leg, keys)
    }

    /// See [`Store::search`].
    pub fn search(
        &self,
        collection: &CollectionName,
        probes: &[Probe],
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<Vec<Scored>>, StoreError> {
        self.store.search(&self.name, collection, probes, filter, limit)
    }

    /// See [`Store::spellings`].
    pub fn spellings(
        &self,
        collection: &CollectionName,
        terms: &[String],
    ) -> Result<Vec<Option<String>>, StoreError> {
        self.store.spellings(&self.name, collection, terms)
    }

    /// See [`Store::scan`].
    pub fn scan(&self, collection: &CollectionName, visit: &mut dyn FnMut(Point)) -> Result<(), StoreError> {
        self.store.scan(&self.name, collection, visit)
    }

    /// See [`Store::check`]; what is said of the database is damage too if it cannot be read.
    pub fn check(&self, collection: &CollectionName) -> Result<Vec<String>, StoreError> {
        let mut damages = self.store.check(&self.name, collection)?;
        match self.info() {
            Ok(_) => {}
            Err(StoreError::NoDatabase { .. }) => {
                damages.push(format!("database {}: whose it is, is not there", self.name));
            }
            Err(error @ StoreError::Corrupt { .. }) => damages.push(error.to_string()),
            Err(error) => return Err(error),
        }
        Ok(damages)
    }

    /// See [`Store::stats`].
    pub fn stats(&self, collection: &CollectionName) -> Result<Stats, StoreError> {
        self.store.stats(&self.name, collection)
    }
}
