//! All databases of a machine, for the person whose machine it is.

use std::sync::Arc;

use super::{Database, Role, TenantContext, TenantError, naming};
use crate::id::DatabaseName;
use crate::store::{DatabaseInfo, DatabaseKind, Store, StoreError};

/// The person whose machine it is. Made at the command line, and for a token that this person
/// made as an administrator of everything; a test of the source holds who does either.
pub struct MachineOwner(());

impl MachineOwner {
    /// Whoever can run the program here can read its files.
    pub fn at_the_command_line() -> MachineOwner {
        MachineOwner(())
    }

    /// Whoever has such a token was given it by that person.
    pub fn by_token() -> MachineOwner {
        MachineOwner(())
    }
}

/// Every database that there is.
pub struct Catalogue {
    store: Arc<dyn Store>,
}

impl Catalogue {
    pub(super) fn new(store: &Arc<dyn Store>) -> Catalogue {
        Catalogue { store: Arc::clone(store) }
    }

    /// Names, sorted.
    pub fn names(&self) -> Result<Vec<DatabaseName>, StoreError> {
        self.store.databases()
    }

    /// The database of this name, which must exist, with all rights.
    pub fn open(&self, name: &DatabaseName) -> Result<Database, StoreError> {
        let DatabaseInfo { kind, source, .. } = self.store.database(name)?;
        Ok(Database::new(&self.store, name.clone(), kind, source, Role::Admin))
    }

    /// The database that `other` is in its own store: of its name, kind, source and age.
    /// Creates it, if it is not there.
    pub fn create_like(&self, other: &Database) -> Result<Database, CatalogueError> {
        let info = other.info()?;
        self.store.create_database(other.name(), &info)?;
        Ok(self.open(other.name())?)
    }

    /// Creates the database of an organisation, if it is not there.
    pub fn create_organisation(&self, name: &DatabaseName) -> Result<Database, CatalogueError> {
        naming::check_organisation(name)?;
        let database =
            Database::new(&self.store, name.clone(), DatabaseKind::Organisation, Vec::new(), Role::Admin);
        database.ensure()?;
        Ok(database)
    }

    /// Creates the database of a machine's project, if it is not there.
    pub fn create_project(&self, tenant: &TenantContext) -> Result<Database, CatalogueError> {
        let database = super::Router::new(Arc::clone(&self.store)).database(tenant)?;
        database.ensure()?;
        Ok(database)
    }

    /// Creates the database that a machine's projects share, if it is not there.
    pub fn create_shared(&self) -> Result<Database, CatalogueError> {
        let name = naming::shared_database().map_err(TenantError::from)?;
        let database = Database::new(&self.store, name, DatabaseKind::Shared, Vec::new(), Role::Admin);
        database.ensure()?;
        Ok(database)
    }
}

/// A database could not be created.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// By its name.
    #[error(transparent)]
    Tenant(#[from] TenantError),
    /// By the store.
    #[error(transparent)]
    Store(#[from] StoreError),
}
