//! Whose data it is: the tenant of a request, and the one way to a database.
//!
//! A [`TenantContext`] is made once, where a request enters, and never changed. A
//! [`Router`] turns it into a [`Database`], which nothing else can make: who has no
//! tenant has no data. Must not know what is stored, and has no default tenant.

mod naming;

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::embed::Leg;
use crate::id::{CollectionName, DatabaseName, InvalidName, VectorKey};
use crate::store::{Batch, Filter, Point, Probe, Schema, Scored, Snapshot, Stats, Store, StoreError};

/// Who asks: on a machine of one person, for which project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantContext {
    project: PathBuf,
}

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
    /// A name that a rule made is refused by the store's rule.
    #[error(transparent)]
    Name(#[from] InvalidName),
}

impl TenantContext {
    /// The tenant of a machine without an organisation. `project` is the canonical
    /// absolute path that all worktrees of a repository share
    /// ([`crate::git::Worktree::project_path`]). It need not exist: that is for who reads it to say.
    pub fn local(project: &Path) -> Result<TenantContext, TenantError> {
        check_canonical(project)?;
        Ok(TenantContext { project: project.to_owned() })
    }

    /// The project's path.
    pub fn project(&self) -> &Path {
        &self.project
    }

    /// Name of the collection of code of the worktree with this canonical root. Paths
    /// of equal hash have equal names; the store tells them apart by
    /// [`Schema::source`], and refuses the second.
    pub fn code_collection(&self, worktree: &Path) -> Result<CollectionName, TenantError> {
        check_canonical(worktree)?;
        Ok(naming::code_collection(naming::LOCAL_TEAM, &self.project, worktree)?)
    }
}

/// Two spellings of one path would be two tenants, and `..` none at all.
fn check_canonical(path: &Path) -> Result<(), TenantError> {
    let malformed = |reason| Err(TenantError::Malformed { path: path.to_owned(), reason });
    if path.as_os_str().is_empty() {
        return malformed("it is empty");
    }
    if !path.is_absolute() {
        return malformed("it is relative");
    }
    if path.as_os_str().as_encoded_bytes().contains(&0) {
        return malformed("it contains a NUL byte");
    }
    if path.components().any(|component| component == Component::ParentDir) {
        return malformed("it contains `..`");
    }
    let rebuilt: PathBuf = path.components().collect();
    if rebuilt.as_os_str() != path.as_os_str() {
        return malformed("it contains `.`, `//` or a `/` at its end");
    }
    Ok(())
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

    /// The tenant's database for code and checkpoints: the project's own.
    pub fn database(&self, tenant: &TenantContext) -> Result<Database, TenantError> {
        Ok(Database { store: Arc::clone(&self.store), name: naming::project_database(&tenant.project)? })
    }

    /// The tenant's database for what projects share: on one machine, the same for all.
    pub fn shared(&self, _tenant: &TenantContext) -> Result<Database, TenantError> {
        Ok(Database { store: Arc::clone(&self.store), name: naming::shared_database()? })
    }
}

/// One tenant's database. Made by [`Router`] alone.
///
/// Every method is that of [`Store`] of the same name, in this database.
#[derive(Clone)]
pub struct Database {
    store: Arc<dyn Store>,
    name: DatabaseName,
}

impl Database {
    /// Its name.
    pub fn name(&self) -> &DatabaseName {
        &self.name
    }

    /// See [`Store::collections`].
    pub fn collections(&self) -> Result<Vec<CollectionName>, StoreError> {
        self.store.collections(&self.name)
    }

    /// See [`Store::create`].
    pub fn create(&self, collection: &CollectionName, schema: &Schema) -> Result<(), StoreError> {
        self.store.create(&self.name, collection, schema)
    }

    /// See [`Store::schema`].
    pub fn schema(&self, collection: &CollectionName) -> Result<Schema, StoreError> {
        self.store.schema(&self.name, collection)
    }

    /// See [`Store::drop_collection`].
    pub fn drop_collection(&self, collection: &CollectionName) -> Result<(), StoreError> {
        self.store.drop_collection(&self.name, collection)
    }

    /// See [`Store::set_aside`].
    pub fn set_aside(&self, collection: &CollectionName) -> Result<String, StoreError> {
        self.store.set_aside(&self.name, collection)
    }

    /// See [`Store::snapshot`].
    pub fn snapshot(&self, collection: &CollectionName) -> Result<Snapshot, StoreError> {
        self.store.snapshot(&self.name, collection)
    }

    /// See [`Store::apply`].
    pub fn apply(&self, collection: &CollectionName, batch: Batch) -> Result<(), StoreError> {
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

    /// See [`Store::scan`].
    pub fn scan(&self, collection: &CollectionName, visit: &mut dyn FnMut(Point)) -> Result<(), StoreError> {
        self.store.scan(&self.name, collection, visit)
    }

    /// See [`Store::check`].
    pub fn check(&self, collection: &CollectionName) -> Result<Vec<String>, StoreError> {
        self.store.check(&self.name, collection)
    }

    /// See [`Store::stats`].
    pub fn stats(&self, collection: &CollectionName) -> Result<Stats, StoreError> {
        self.store.stats(&self.name, collection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{CollectionKind, EmbeddedStore};

    #[test]
    fn only_a_canonical_path_is_a_tenant() {
        for good in ["/", "/src/demo/.git", "/src/a..b", "/src/с кириллицей", "/src/new\nline"] {
            assert!(TenantContext::local(Path::new(good)).is_ok(), "{good:?}");
        }
        for (bad, why) in [
            ("", "empty"),
            ("src/demo", "relative"),
            ("~/demo", "relative"),
            ("/src/../etc", ".."),
            ("/src/..", ".."),
            ("/src/./demo", "`.`"),
            ("/src//demo", "//"),
            ("/src/demo/", "at its end"),
            ("/src/\0demo", "NUL"),
        ] {
            let error = TenantContext::local(Path::new(bad)).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("canonical absolute path"), "{bad:?}: {error}");
            let tenant = TenantContext::local(Path::new("/src/demo")).unwrap();
            assert!(tenant.code_collection(Path::new(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn tenants_see_their_own_data_alone() {
        let data = tempfile::tempdir().unwrap();
        let router = Router::new(Arc::new(EmbeddedStore::new(data.path())));
        let tenant = |path: &str| TenantContext::local(Path::new(path)).unwrap();
        // Alike to the eye, or one a part of the other.
        let tenants = ["/src/demo", "/src/dem\u{43e}", "/src/Demo", "/src/demo2", "/src"].map(tenant);
        let databases = tenants.each_ref().map(|tenant| router.database(tenant).unwrap());
        let schema =
            Schema { kind: CollectionKind::Codebase, legs: [None, None], source: b"/src/demo".to_vec() };
        let collection = tenants[0].code_collection(Path::new("/src/demo")).unwrap();
        databases[0].create(&collection, &schema).unwrap();
        assert_eq!(databases[0].collections().unwrap(), std::slice::from_ref(&collection));
        for database in &databases[1..] {
            assert_eq!(database.collections().unwrap(), []);
            assert!(matches!(database.schema(&collection), Err(StoreError::NotFound { .. })));
        }
        assert_eq!(router.shared(&tenants[0]).unwrap().collections().unwrap(), []);
        assert_eq!(router.database(&tenants[0].clone()).unwrap().name(), databases[0].name());
    }

    #[test]
    fn equal_hashes_of_two_paths_are_a_collision() {
        let data = tempfile::tempdir().unwrap();
        let router = Router::new(Arc::new(EmbeddedStore::new(data.path())));
        let tenant = TenantContext::local(Path::new("/src/demo")).unwrap();
        let database = router.database(&tenant).unwrap();
        // Found by search: their SHA-256 have the same first 8 digits.
        let [first, second] = ["/src/worktree-21799", "/src/worktree-36824"].map(Path::new);
        assert_eq!(tenant.code_collection(first).unwrap(), tenant.code_collection(second).unwrap());
        let create = |path: &Path| {
            let schema = Schema {
                kind: CollectionKind::Codebase,
                legs: [None, None],
                source: path.as_os_str().as_encoded_bytes().to_vec(),
            };
            database.create(&tenant.code_collection(path).unwrap(), &schema)
        };
        create(first).unwrap();
        let error = create(second).unwrap_err();
        assert!(matches!(error, StoreError::Collision { .. }), "{error}");
        create(first).unwrap();
    }
}
