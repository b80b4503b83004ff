//! What a store says when it does not do as asked. Every message names its subject and a
//! way out.

use std::io;
use std::path::{Path, PathBuf};

use crate::embed::Leg;
use crate::id::{CollectionName, DatabaseName, Fingerprint};

/// Why the store did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No such collection.
    #[error(
        "nothing is indexed here yet: run `indexer once` in the worktree first (no collection {collection} in database {database})"
    )]
    NotFound {
        /// Database.
        database: DatabaseName,
        /// Collection.
        collection: CollectionName,
    },
    /// No such database.
    #[error("there is no database {database}: `indexer db list` names those that there are")]
    NoDatabase {
        /// Database.
        database: DatabaseName,
    },
    /// The tenant's role is too weak; nothing was touched.
    #[error(
        "database {database}: the role {has:?} may not {operation}, which needs {needs:?}: \
         ask an administrator of the organisation for it"
    )]
    Denied {
        /// Database.
        database: DatabaseName,
        /// What was to be done.
        operation: &'static str,
        /// The role that the tenant has.
        has: &'static str,
        /// The role that it takes.
        needs: &'static str,
    },
    /// The database is of another path, whose hash is the same, or of another kind.
    #[error(
        "database {database} belongs to {stored}, not to {wanted}: \
         give one of them another --data-dir, or move it to another path"
    )]
    DatabaseCollision {
        /// Database.
        database: DatabaseName,
        /// What it belongs to.
        stored: String,
        /// What was asked for.
        wanted: String,
    },
    /// Another writer is at work.
    #[error("{} is being written by {}: wait for it to end, or stop it", path.display(), holder(host.as_deref(), *pid))]
    Locked {
        /// The lock.
        path: PathBuf,
        /// The holder's machine, where it may be another one than this.
        host: Option<String>,
        /// Process id of the holder, where it could be read.
        pid: Option<u32>,
    },
    /// Stored data is not what was written.
    #[error("{} is damaged ({detail}): `indexer once --full` sets it aside and builds it anew", path.display())]
    Corrupt {
        /// The damaged file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The collection's points are of another kind.
    #[error(
        "collection {collection} holds {stored}, not {wanted}: give it another name, or keep \
         it elsewhere (--data-dir)"
    )]
    SchemaMismatch {
        /// Collection.
        collection: CollectionName,
        /// Kind as stored.
        stored: &'static str,
        /// Kind as asked.
        wanted: &'static str,
    },
    /// A leg was asked for what is near a vector that cannot be compared with its own.
    #[error("the {leg} vectors are of {stored}, and {asked} was asked for: ask again")]
    OtherModel {
        /// The leg.
        leg: Leg,
        /// Fingerprint of its vectors.
        stored: Fingerprint,
        /// Fingerprint of the vector that was asked for.
        asked: Fingerprint,
    },
    /// The collection is of another path, whose hash is the same.
    #[error(
        "collection {collection} belongs to {stored}, whose path hash is the same as that of {wanted}: \
         give one of them another --data-dir, or move it to another path"
    )]
    Collision {
        /// Collection.
        collection: CollectionName,
        /// The path it belongs to.
        stored: String,
        /// The path asked for.
        wanted: String,
    },
    /// Written by a newer version of the program.
    #[error(
        "{} has format {found}, and this version reads up to {supported}: upgrade indexer, \
         or rebuild with `indexer once --full`",
        path.display()
    )]
    NewerFormat {
        /// The file that says so.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest one known here.
        supported: u32,
    },
    /// The data directory cannot be written.
    #[error("{} cannot be written ({reason}): make it writable, or choose another --data-dir", path.display())]
    ReadOnly {
        /// What was to be written.
        path: PathBuf,
        /// The operating system's words.
        reason: String,
    },
    /// No space left. The collection is as before.
    #[error("no space left for {}: free some there, or keep the index elsewhere (--data-dir, store.qdrant.url); it is as before", path.display())]
    Full {
        /// What was to be written.
        path: PathBuf,
    },
    /// Any other failure of the operating system.
    #[error("{}: {source}: check it and its disk, or choose another --data-dir", path.display())]
    Io {
        /// File or directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The server did not answer, or not in time. A write that was under way may have
    /// happened: asking again is safe.
    #[error("{url} cannot be reached ({reason}): check the address, that Qdrant runs there, and the network")]
    Unreachable {
        /// Address of the server.
        url: String,
        /// Why not, and since when.
        reason: String,
    },
    /// The server refused the key, or what it allows.
    #[error("{url} refused the request ({reason}): set the API key of this server, with the right to write")]
    Unauthorized {
        /// Address of the server.
        url: String,
        /// The server's words.
        reason: String,
    },
    /// Any other failure of the server.
    #[error("{url} failed ({reason}): see its log; asking again is safe")]
    Remote {
        /// Address of the server.
        url: String,
        /// The server's words.
        reason: String,
    },
    /// The caller asked for what cannot be.
    #[error("invalid request to the store: {0}")]
    Invalid(String),
}

fn holder(host: Option<&str>, pid: Option<u32>) -> String {
    let process = pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
    host.map_or(process.clone(), |host| format!("{process} on {host}"))
}

impl StoreError {
    /// What a failed write of `path` means.
    pub(crate) fn write(path: &Path, source: io::Error) -> StoreError {
        use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let path = path.to_owned();
        match source.kind() {
            StorageFull | QuotaExceeded => StoreError::Full { path },
            ReadOnlyFilesystem | PermissionDenied => {
                StoreError::ReadOnly { path, reason: source.to_string() }
            }
            _ => StoreError::Io { path, source },
        }
    }

    /// What a failed read of `path` means.
    pub(crate) fn read(path: &Path, source: io::Error) -> StoreError {
        StoreError::Io { path: path.to_owned(), source }
    }

    /// Damage in `path`.
    pub(crate) fn corrupt(path: &Path, detail: impl Into<String>) -> StoreError {
        StoreError::Corrupt { path: path.to_owned(), detail: detail.into() }
    }
}
