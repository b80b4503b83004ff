//! All that lies in the store's directory, for whoever looks after the machine. Reads
//! only; what does not open is told, not touched.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{EmbeddedStore, schema_file};
use crate::id::{CollectionName, DatabaseName};
use crate::store::{CollectionKind, Stats, Store, StoreError};

/// What a store holds.
#[derive(Debug, Default)]
pub struct Inventory {
    /// Collections, by path.
    pub collections: Vec<StoredCollection>,
    /// What [`Store::set_aside`] moved away, by path, with its size in bytes. Nothing reads it
    /// any more.
    pub set_aside: Vec<(PathBuf, u64)>,
}

/// A collection as it lies on disk.
#[derive(Debug)]
pub struct StoredCollection {
    /// Its directory.
    pub path: PathBuf,
    /// What its points are, by its schema, or else by its name.
    pub kind: CollectionKind,
    /// The path that it is of, where it is of one and that can be read.
    pub source: Option<PathBuf>,
    /// Counts and sizes, or why it does not open.
    pub opened: Result<Stats, StoreError>,
}

impl EmbeddedStore {
    /// Opens every collection of every database.
    pub fn inventory(&self) -> Result<Inventory, StoreError> {
        let mut inventory = Inventory::default();
        for (database, path) in directories(&self.databases)? {
            let Ok(database) = DatabaseName::new(&database) else { continue };
            for (name, path) in directories(&path)? {
                if let Ok(collection) = CollectionName::new(&name) {
                    let schema = schema_file::read(&path).ok();
                    let named = || CollectionKind::from_name(&name).unwrap_or_default();
                    let kind = schema.as_ref().map_or_else(named, |schema| schema.kind);
                    let source = schema.filter(|schema| !schema.source.is_empty());
                    let source = source.map(|schema| PathBuf::from(OsStr::from_bytes(&schema.source)));
                    let opened = self.stats(&database, &collection);
                    inventory.collections.push(StoredCollection { path, kind, source, opened });
                } else if name.contains(super::ASIDE) {
                    let bytes = size(&path);
                    inventory.set_aside.push((path, bytes));
                }
            }
        }
        Ok(inventory)
    }
}

/// Name and path of each directory in `path`, sorted; none where it is not there.
fn directories(path: &Path) -> Result<Vec<(String, PathBuf)>, StoreError> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(StoreError::read(path, error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| StoreError::read(path, error))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// Bytes of the files below `path`, as far as they can be read.
fn size(path: &Path) -> u64 {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let bytes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    bytes.sum()
}
