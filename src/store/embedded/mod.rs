//! The embedded provider: a tantivy index, a vector file per dense leg and a
//! manifest log for each collection, in files of one machine.
//!
//! ```text
//! <data-dir>/databases/<database>/
//!     database.json        whose it is
//! <data-dir>/databases/<database>/<collection>/
//!     schema.json          what it is, and the format version
//!     writer.lock          held while something is written
//!     commit               the commit record, with the dense legs
//!     manifest.<n>         log of manifest records
//!     vectors.<leg>.<n>    vectors of a leg
//!     segment.<n>          documents, as tantivy indexes and stores them
//!     changes.<n>.<m>      log of what became of the documents of segment n
//! ```
//!
//! The commit record is the one atomic point: it names the other files and how many
//! bytes of each count. Readers take no lock and write nothing.
//! All of it is disposable in the sense that the worktree can be indexed anew, and
//! precious in the sense that nothing here removes what it cannot read.

mod changes;
mod checked_json;
mod commit;
mod database_file;
mod dense;
mod fields;
mod filter;
mod handle;
mod inventory;
mod lexical;
mod manifest_log;
mod merge_policy;
mod schema_file;
mod segment;
mod spelling;
mod vectors;
mod writer;

#[cfg(test)]
mod tests;

use std::any::Any;
use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

pub use inventory::{Inventory, StoredCollection};

use self::commit::{Commit, Extent};
use self::handle::Handle;
use crate::embed::Leg;
use crate::id::{CollectionName, DatabaseName, VectorKey};
use crate::state_dir::{self, LockError, WriterLock};
use crate::store::{
    Batch, DatabaseInfo, Filter, Point, Probe, Schema, Scored, Snapshot, Stats, Store, StoreError,
};
use crate::telemetry::catch_panic;

const LOCK: &str = "writer.lock";
/// Open states kept for the next reader, as long as their vectors, which a search loads, are
/// not more than so many bytes: a question to many small collections opens each once …
const HANDLES: usize = 128;
const HANDLE_BYTES: u64 = 256 << 20;
/// … of which this many keep the manifest in memory.
const MANIFESTS: usize = 4;
/// A reader starts again when a writer has removed the files of the state that
/// it was opening. Each time a newer state is read, so a few suffice.
const ATTEMPTS: usize = 10;

/// Collections in a data directory of this machine.
pub struct EmbeddedStore {
    databases: PathBuf,
    /// Most recently used last.
    handles: Mutex<Vec<Arc<Handle>>>,
}

impl EmbeddedStore {
    /// The store in `data_dir`. Touches nothing until it is used.
    pub fn new(data_dir: &Path) -> EmbeddedStore {
        EmbeddedStore { databases: data_dir.join("databases"), handles: Mutex::default() }
    }

    fn root(&self, db: &DatabaseName, collection: &CollectionName) -> PathBuf {
        self.databases.join(db.as_str()).join(collection.as_str())
    }

    fn existing(&self, db: &DatabaseName, collection: &CollectionName) -> Result<PathBuf, StoreError> {
        let root = self.root(db, collection);
        match fs::metadata(&root) {
            Ok(_) => Ok(root),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                Err(StoreError::NotFound { database: db.clone(), collection: collection.clone() })
            }
            Err(e) => Err(StoreError::read(&root, e)),
        }
    }

    /// The newest state, from the cache where it is there.
    fn handle(&self, root: &Path) -> Result<Arc<Handle>, StoreError> {
        let cached = {
            let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
            let at = handles.iter().position(|handle| handle.root == root);
            at.map(|at| {
                let handle = handles.remove(at);
                handles.push(Arc::clone(&handle));
                handle
            })
        };
        let mut record = handle::read_record(root)?;
        for _ in 1..ATTEMPTS {
            if let Some(cached) = cached.as_ref().filter(|cached| cached.record == record) {
                return Ok(Arc::clone(cached));
            }
            match Handle::open(root, record.clone(), cached.as_deref()) {
                Ok(handle) => return Ok(self.keep(handle)),
                Err(error) => {
                    let now = handle::read_record(root)?;
                    if now == record {
                        return Err(error);
                    }
                    record = now;
                }
            }
        }
        Handle::open(root, record, cached.as_deref()).map(|handle| self.keep(handle))
    }

    fn keep(&self, handle: Handle) -> Arc<Handle> {
        let handle = Arc::new(handle);
        let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        handles.retain(|other| other.root != handle.root);
        handles.push(Arc::clone(&handle));
        let mut bytes = 0;
        let fits = |handle: &&Arc<Handle>| {
            bytes += handle.vector_bytes();
            bytes <= HANDLE_BYTES
        };
        // Newest first; the newest itself stays, whatever it weighs.
        let kept = handles.iter().rev().take(HANDLES).take_while(fits).count().max(1);
        let outdated = handles.len() - kept;
        handles.drain(..outdated);
        if let Some(at) = handles.len().checked_sub(MANIFESTS + 1) {
            handles[at].forget_manifest();
        }
        handle
    }

    fn forget(&self, root: &Path) {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner).retain(|handle| handle.root != root);
    }

    fn read<T>(
        &self,
        db: &DatabaseName,
        collection: &CollectionName,
        act: impl FnOnce(&Handle) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let root = self.root(db, collection);
        caught(&root, || match self.handle(&root) {
            Ok(handle) => act(&handle),
            Err(error) => self.existing(db, collection).and(Err(error)),
        })
    }

    /// Builds the collection beside its place and moves it there whole.
    fn build(&self, root: &Path, schema: &Schema) -> Result<(), StoreError> {
        let database = root.parent().unwrap_or(root);
        state_dir::create_private_dir(database).map_err(|e| StoreError::write(database, e))?;
        remove_leftovers(database);
        let (staged, lock) = stage(root)?;
        let result = fill(&staged, schema).and_then(|()| match fs::rename(&staged, root) {
            // Another process was faster; its collection is looked at next.
            Err(e) if matches!(e.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) => {
                Ok(())
            }
            renamed => renamed.map_err(|e| StoreError::write(root, e)),
        });
        let _ = fs::remove_dir_all(&staged);
        drop(lock);
        result?;
        for directory in [Some(database), database.parent()].into_iter().flatten() {
            state_dir::sync_dir(directory).map_err(|e| StoreError::write(directory, e))?;
        }
        Ok(())
    }

    /// Renames the collection's directory under its lock, to the first free
    /// `<name><infix><n>`; the lock is returned with the new path.
    fn move_away(&self, root: &Path, prefix: &str, infix: &str) -> Result<(PathBuf, WriterLock), StoreError> {
        let lock = WriterLock::acquire(&root.join(LOCK)).map_err(lock_error)?;
        let name = root.file_name().unwrap_or_default().to_string_lossy();
        let mut target = root.to_owned();
        for n in 1u64.. {
            target = root.with_file_name(format!("{prefix}{name}{infix}{n}"));
            if !target.try_exists().map_err(|e| StoreError::read(&target, e))? {
                break;
            }
        }
        fs::rename(root, &target).map_err(|e| StoreError::write(root, e))?;
        self.forget(root);
        let database = root.parent().unwrap_or(root);
        state_dir::sync_dir(database).map_err(|e| StoreError::write(database, e))?;
        Ok((target, lock))
    }
}

/// Prefix of a collection that is being built.
const STAGED: &str = ".new-";
/// Prefix of a collection that is being removed.
const DROPPED: &str = ".drop-";
/// Between the name of a collection that was set aside and its number.
const ASIDE: &str = ".aside-";

/// Makes an empty directory to build a collection in, locked so that it is not
/// taken for a leftover.
fn stage(root: &Path) -> Result<(PathBuf, WriterLock), StoreError> {
    let name = root.file_name().unwrap_or_default().to_string_lossy();
    for n in 1u64.. {
        let staged = root.with_file_name(format!("{STAGED}{name}-{}-{n}", std::process::id()));
        match fs::create_dir(&staged) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(e) => return Err(StoreError::write(&staged, e)),
        }
        match WriterLock::acquire(&staged.join(LOCK)) {
            Ok(lock) => return Ok((staged, lock)),
            // Another process took it for a leftover before it was locked.
            Err(LockError::Held { .. }) => {}
            Err(LockError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(lock_error(error)),
        }
    }
    Err(StoreError::Invalid("no free name for a new collection".to_owned()))
}

/// Removes what a killed process left of a creation or removal.
fn remove_leftovers(database: &Path) {
    for entry in fs::read_dir(database).into_iter().flatten().flatten() {
        let leftover = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(STAGED) || name.starts_with(DROPPED));
        if leftover && let Ok(_lock) = WriterLock::acquire(&entry.path().join(LOCK)) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Writes an empty collection into a directory.
fn fill(root: &Path, schema: &Schema) -> Result<(), StoreError> {
    let mut written = Vec::new();
    let mut write = |name: &str, bytes: &[u8]| {
        let path = root.join(name);
        let file = writer::write_new(&path, |out| io::Write::write_all(out, bytes))?;
        written.push((path, file));
        Ok::<_, StoreError>(())
    };
    write(schema_file::NAME, &schema_file::encode(schema)?)?;
    let len = manifest_log::HEADER.len() as u64;
    let mut commit = Commit {
        origin: draw_origin(),
        manifest: Extent::whole(0, len),
        legs: schema.legs.clone(),
        ..Commit::default()
    };
    write(&commit::manifest_name(&commit.manifest), manifest_log::HEADER)?;
    for leg in Leg::ALL {
        if let Some((_, dimension)) = &schema.legs[leg.index()] {
            let header = vectors::header(*dimension);
            let extent = Extent { base: 0, ..Extent::whole(commit.draw_number(), header.len() as u64) };
            write(&commit::vectors_name(leg, &extent), &header)?;
            commit.vectors[leg.index()] = Some(extent);
        }
    }
    writer::replace_record(root, &commit, written).map(drop)
}

/// Names in a directory, sorted; none where it is not there.
fn names_in(path: &Path) -> Result<Vec<String>, StoreError> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(StoreError::read(path, e)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| StoreError::read(path, e))?;
        names.extend(entry.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

/// A number that no earlier collection of this name has.
fn draw_origin() -> u64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    since_epoch.as_nanos() as u64 ^ u64::from(std::process::id()).rotate_left(40)
}

fn lock_error(error: LockError) -> StoreError {
    match error {
        LockError::Held { path, pid } => StoreError::Locked { path, host: None, pid },
        LockError::Io { path, source } => StoreError::write(&path, source),
    }
}

/// A panic on damaged files is damage, not a crash: they are read by a library
/// that does not expect them to be hostile.
fn caught<T>(root: &Path, act: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_panic(act).unwrap_or_else(|panic| Err(StoreError::corrupt(root, panic_text(&*panic))))
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("reading it failed: {}", text.unwrap_or("panic"))
}

impl Store for EmbeddedStore {
    fn databases(&self) -> Result<Vec<DatabaseName>, StoreError> {
        let mut names = Vec::new();
        for name in names_in(&self.databases)? {
            let Ok(name) = DatabaseName::new(&name) else { continue };
            if self.databases.join(name.as_str()).join(database_file::NAME).exists() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn create_database(&self, db: &DatabaseName, info: &DatabaseInfo) -> Result<(), StoreError> {
        let root = self.databases.join(db.as_str());
        let stored = match database_file::read(&root) {
            Ok(Some(stored)) => Some(stored),
            Ok(None) => None,
            // Each collection says too of what path it is: nothing is mistaken for another's.
            Err(StoreError::Corrupt { path, detail }) => {
                let aside = path.with_extension("json.aside");
                fs::rename(&path, &aside).map_err(|e| StoreError::write(&path, e))?;
                tracing::warn!(aside = %aside.display(), detail, "a damaged file was moved aside and is written anew");
                None
            }
            Err(error) => return Err(error),
        };
        let stored = match stored {
            Some(stored) => stored,
            None => {
                state_dir::create_private_dir(&root).map_err(|e| StoreError::write(&root, e))?;
                let path = root.join(database_file::NAME);
                state_dir::replace_atomic(&path, &database_file::encode(info)?, Vec::new())
                    .map_err(|(path, e)| StoreError::write(&path, e))?;
                info.clone()
            }
        };
        if (stored.kind, &stored.source) == (info.kind, &info.source) {
            return Ok(());
        }
        Err(StoreError::DatabaseCollision {
            database: db.clone(),
            stored: stored.subject(),
            wanted: info.subject(),
        })
    }

    fn database(&self, db: &DatabaseName) -> Result<DatabaseInfo, StoreError> {
        let found = database_file::read(&self.databases.join(db.as_str()))?;
        found.ok_or_else(|| StoreError::NoDatabase { database: db.clone() })
    }

    fn drop_database(&self, db: &DatabaseName) -> Result<(), StoreError> {
        self.database(db)?;
        for collection in self.collections(db)? {
            self.drop_collection(db, &collection)?;
        }
        let root = self.databases.join(db.as_str());
        fs::remove_dir_all(&root).map_err(|e| StoreError::write(&root, e))?;
        state_dir::sync_dir(&self.databases).map_err(|e| StoreError::write(&self.databases, e))
    }

    fn collections(&self, db: &DatabaseName) -> Result<Vec<CollectionName>, StoreError> {
        let names = names_in(&self.databases.join(db.as_str()))?;
        // What is being built, removed or set aside has no valid name.
        Ok(names.iter().filter_map(|name| CollectionName::new(name).ok()).collect())
    }

    fn create(
        &self,
        db: &DatabaseName,
        collection: &CollectionName,
        schema: &Schema,
    ) -> Result<(), StoreError> {
        let root = self.root(db, collection);
        caught(&root, || {
            if !root.try_exists().map_err(|e| StoreError::read(&root, e))? {
                self.build(&root, schema)?;
            }
            let stored = schema_file::read(&root)?;
            stored.check(collection, schema)
        })
    }

    fn schema(&self, db: &DatabaseName, collection: &CollectionName) -> Result<Schema, StoreError> {
        self.read(db, collection, |handle| Ok(handle.schema.clone()))
    }

    fn drop_collection(&self, db: &DatabaseName, collection: &CollectionName) -> Result<(), StoreError> {
        let root = self.existing(db, collection)?;
        let (dropped, _lock) = self.move_away(&root, DROPPED, "-")?;
        fs::remove_dir_all(&dropped).map_err(|e| StoreError::write(&dropped, e))
    }

    fn set_aside(&self, db: &DatabaseName, collection: &CollectionName) -> Result<String, StoreError> {
        let root = self.existing(db, collection)?;
        let (aside, _lock) = self.move_away(&root, "", ASIDE)?;
        Ok(aside.display().to_string())
    }

    fn snapshot(&self, db: &DatabaseName, collection: &CollectionName) -> Result<Snapshot, StoreError> {
        self.read(db, collection, Handle::snapshot)
    }

    fn apply(&self, db: &DatabaseName, collection: &CollectionName, batch: Batch) -> Result<(), StoreError> {
        let root = self.existing(db, collection)?;
        if batch.is_empty() {
            return Ok(());
        }
        let _lock = WriterLock::acquire(&root.join(LOCK)).map_err(lock_error)?;
        caught(&root, || {
            if let Some(newest) = writer::apply(&*self.handle(&root)?, batch)? {
                self.keep(newest);
            }
            Ok(())
        })
    }

    fn vector_keys(
        &self,
        db: &DatabaseName,
        collection: &CollectionName,
        leg: Leg,
    ) -> Result<Arc<HashSet<VectorKey>>, StoreError> {
        self.read(db, collection, |handle| {
            Ok(handle.vectors(leg)?.map(|vectors| vectors.keys()).unwrap_or_default())
        })
    }

    fn vectors(
        &self,
        db: &DatabaseName,
        collection: &CollectionName,
        leg: Leg,
        keys: &[VectorKey],
    ) -> Result<Vec<(VectorKey, Vec<f32>)>, StoreError> {
        self.read(db, collection, |handle| handle.vectors_of(leg, keys))
    }

    fn search(
        &self,
        db: &DatabaseName,
        collection: &CollectionName,
        probes: &[Probe],
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<Vec<Scored>>, StoreError> {
        self.read(db, collection, |handle| handle.search(probes, filter, limit))
    }

    fn spellings(
        &self,
        db: &DatabaseName,
        collection: &CollectionName,
        terms: &[String],
    ) -> Result<Vec<Option<String>>, StoreError> {
        self.read(db, collection, |handle| handle.spellings(terms))
    }

    fn scan(
        &self,
        db: &DatabaseName,
        collection: &CollectionName,
        visit: &mut dyn FnMut(Point),
    ) -> Result<(), StoreError> {
        self.read(db, collection, |handle| handle.scan(visit))
    }

    fn check(&self, db: &DatabaseName, collection: &CollectionName) -> Result<Vec<String>, StoreError> {
        let root = self.existing(db, collection)?;
        for _ in 0..ATTEMPTS {
            let record = handle::read_record(&root);
            let damages = match &record {
                Err(error) => vec![error.to_string()],
                // Not the cached state, whose files were verified in the past.
                Ok(record) => {
                    match caught(&root, || Ok(Handle::open(&root, record.clone(), None)?.check())) {
                        Ok(damages) => damages,
                        Err(error @ StoreError::Corrupt { .. }) => vec![error.to_string()],
                        Err(error) => return Err(error),
                    }
                }
            };
            // A writer may have removed files of the state under our eyes.
            if damages.is_empty() || handle::read_record(&root).ok() == record.ok() {
                return Ok(damages);
            }
        }
        Ok(vec![format!(
            "{} changes too fast to be checked: stop the writer and check again",
            root.display()
        )])
    }

    fn stats(&self, db: &DatabaseName, collection: &CollectionName) -> Result<Stats, StoreError> {
        self.read(db, collection, Handle::stats)
    }
}
