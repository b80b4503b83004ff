//! Whose data it is: the tenant of a request, and the one way to a database.
//!
//! A [`TenantContext`] is made once, where a request enters, and never changed. A
//! [`Router`] turns it into a [`Database`], which nothing else can make: who has no
//! tenant has no data. Must not know what is stored, and has no default tenant.

mod context;
mod database;
mod naming;
mod owner;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use context::Scope;
pub use context::{Member, Role, TenantContext};
pub use database::Database;
pub use owner::{Catalogue, CatalogueError, MachineOwner};

use crate::id::{DatabaseName, InvalidName};
use crate::store::{DatabaseKind, Store, StoreError};

/// No database for this tenant. Nothing was read or written.
#[derive(Debug, thiserror::Error)]
pub enum TenantError {
    /// The project's path cannot identify it.
    #[error("{path:?} does not identify a project: {reason}; name it by its canonical absolute path")]
    Malformed {
        /// The path.
        path: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// An organisation cannot have the name of another kind of database.
    #[error("an organisation cannot be called {0}: `shared` and what begins with `project_` are taken")]
    Reserved(DatabaseName),
    /// A name is refused by the rule for names.
    #[error(transparent)]
    Name(#[from] InvalidName),
}

/// Finds the database of a tenant.
#[derive(Clone)]
pub struct Router {
    store: Arc<dyn Store>,
}

impl Router {
    /// Routes into `store`.
    pub fn new(store: Arc<dyn Store>) -> Router {
        Router { store }
    }

    /// The tenant's database for code and checkpoints: its organisation's, else the
    /// project's own.
    pub fn database(&self, tenant: &TenantContext) -> Result<Database, TenantError> {
        match tenant.scope() {
            Scope::Member(member) => Ok(self.organisation(member, tenant.role())),
            Scope::Local { project } => {
                let source = project.as_os_str().as_encoded_bytes().to_vec();
                let name = naming::project_database(project)?;
                Ok(Database::new(&self.store, name, DatabaseKind::Project, source, tenant.role()))
            }
        }
    }

    /// The tenant's database for what projects share: its organisation's, else, on one
    /// machine, the same for all.
    pub fn shared(&self, tenant: &TenantContext) -> Result<Database, TenantError> {
        match tenant.scope() {
            Scope::Member(member) => Ok(self.organisation(member, tenant.role())),
            Scope::Local { .. } => {
                let name = naming::shared_database()?;
                Ok(Database::new(&self.store, name, DatabaseKind::Shared, Vec::new(), tenant.role()))
            }
        }
    }

    fn organisation(&self, member: &Member, role: Role) -> Database {
        let name = member.organisation.clone();
        Database::new(&self.store, name, DatabaseKind::Organisation, Vec::new(), role)
    }

    /// The kind of every database, as its name tells: a count, and nothing that leads to one.
    pub fn kinds(&self) -> Result<Vec<DatabaseKind>, StoreError> {
        Ok(self.store.databases()?.iter().map(naming::kind).collect())
    }

    /// Whether the store answers.
    pub fn check(&self) -> Result<(), StoreError> {
        self.store.databases().map(drop)
    }

    /// All databases, for the person whose machine it is.
    pub fn catalogue(&self, _owner: &MachineOwner) -> Catalogue {
        Catalogue::new(&self.store)
    }
}
