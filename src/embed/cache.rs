//! Every vector that was ever computed on this machine, by model and text: a SQLite
//! file that many processes share.
//!
//! Losing it costs time, never correctness: a damaged file is set aside and begun
//! anew, and any error here means "computed again", not "failed". It holds no text.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use half::f16;
use half::slice::HalfFloatSliceExt as _;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, params};

use crate::id::{Fingerprint, VectorKey};

/// Version of the tables, in SQLite's `user_version`. 1: the first.
const FORMAT: i64 = 1;
/// How long another process's transaction is waited for.
const BUSY: Duration = Duration::from_secs(10);
/// When the bound is reached, entries go until this part of it is left.
const KEEP: f64 = 0.9;
/// Vectors written at a time: fewer wait in memory, as each transaction writes the same
/// few pages besides. What a process that is killed has put in vain at most.
const BATCH: usize = 64;
/// Additions between two looks at the size.
const ADDITIONS_PER_CHECK: u64 = 4096;

/// The rows are kept apart from the index over their keys: vectors are appended, and
/// only the small index is written at random places. Pages are small because one
/// vector changes one of each, and is a page long.
const SCHEMA: &str = "
    PRAGMA page_size = 1024;
    PRAGMA auto_vacuum = INCREMENTAL;
    BEGIN;
    CREATE TABLE model (id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL UNIQUE);
    CREATE TABLE vector (
        id INTEGER PRIMARY KEY,
        model INTEGER NOT NULL REFERENCES model (id),
        key BLOB NOT NULL,
        used INTEGER NOT NULL,
        components BLOB NOT NULL
    );
    CREATE UNIQUE INDEX vector_key ON vector (model, key);
    PRAGMA user_version = 1;
    COMMIT;
";

/// The cache could not be used. What was asked for must be computed.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// SQLite refused.
    #[error(
        "embedding cache {path}: {source}; vectors are computed without it. If this stays, remove the file"
    )]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// Written by a newer version of the program.
    #[error("embedding cache {path} has format {found}, and this version knows {FORMAT}: upgrade indexer")]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
    },
}

/// Size of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheStats {
    /// Vectors.
    pub entries: u64,
    /// Bytes of the file that are in use.
    pub bytes: u64,
}

/// An open cache.
pub struct EmbeddingCache {
    connection: Connection,
    path: PathBuf,
    max_bytes: u64,
    additions: u64,
    /// Put, and to be written with the next batch.
    pending: BTreeMap<(Fingerprint, VectorKey), Vec<f32>>,
    /// Rows found that were last used on an earlier day; stamped when the cache is
    /// next written or closed, so that reading does not write.
    stale: Vec<i64>,
}

impl EmbeddingCache {
    /// Opens the cache at `path`, creating the file where it is missing. It is kept
    /// below about `max_bytes`.
    pub fn open(path: &Path, max_bytes: u64) -> Result<EmbeddingCache, CacheError> {
        match EmbeddingCache::try_open(path, max_bytes) {
            Err(CacheError::Sqlite { source, .. }) if is_damage(&source) => {
                let aside = set_aside(path);
                tracing::warn!(path = %path.display(), aside = %aside.display(), %source, "damaged embedding cache set aside");
                EmbeddingCache::try_open(path, max_bytes)
            }
            other => other,
        }
    }

    /// Size of the cache at `path`, which is neither made nor changed by that.
    pub fn inspect(path: &Path) -> Result<CacheStats, CacheError> {
        let failed = |source| CacheError::Sqlite { path: path.to_owned(), source };
        // Not read-only: then SQLite would leave its companions behind.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(BUSY).map_err(failed)?;
        let found: i64 =
            connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
        if found > FORMAT {
            return Err(CacheError::NewerFormat { path: path.to_owned(), found });
        }
        EmbeddingCache::of(connection, path, u64::MAX).stats()
    }

    fn try_open(path: &Path, max_bytes: u64) -> Result<EmbeddingCache, CacheError> {
        let failed = |source| CacheError::Sqlite { path: path.to_owned(), source };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(BUSY).map_err(failed)?;
        let version =
            |connection: &Connection| connection.pragma_query_value(None, "user_version", |row| row.get(0));
        let mut found: i64 = version(&connection).map_err(failed)?;
        if found == 0 {
            // Another process may be doing the same: then its tables are there when our turn comes.
            let made = connection.execute_batch(SCHEMA);
            found = version(&connection).map_err(failed)?;
            if found == 0 {
                made.map_err(failed)?;
            } else if made.is_err() {
                let _ = connection.execute_batch("ROLLBACK");
            }
        }
        if found > FORMAT {
            return Err(CacheError::NewerFormat { path: path.to_owned(), found });
        }
        // With a write-ahead log readers and the writer do not wait for each other, and a
        // killed process loses at most its last transaction. It is emptied at 16 MB: each
        // time writes most pages of the keys' index once more, as they are random.
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -8192;
                 PRAGMA wal_autocheckpoint = 16000;",
            )
            .map_err(failed)?;
        Ok(EmbeddingCache::of(connection, path, max_bytes))
    }

    fn of(connection: Connection, path: &Path, max_bytes: u64) -> EmbeddingCache {
        EmbeddingCache {
            connection,
            path: path.to_owned(),
            max_bytes,
            additions: 0,
            pending: BTreeMap::new(),
            stale: Vec::new(),
        }
    }

    /// The vectors of `model` that are there, for these keys.
    pub fn get_many(
        &mut self,
        model: &Fingerprint,
        keys: &[VectorKey],
    ) -> Result<Vec<(VectorKey, Vec<f32>)>, CacheError> {
        let today = today();
        let mut stale = Vec::new();
        let found = (|| {
            let mut found = Vec::with_capacity(keys.len());
            let mut written = Vec::with_capacity(keys.len());
            for key in keys {
                match self.pending.get(&(model.clone(), *key)) {
                    Some(vector) => found.push((*key, vector.clone())),
                    None => written.push(key),
                }
            }
            let Some(model) = model_id(&self.connection, model)? else { return Ok(found) };
            let mut query = self
                .connection
                .prepare("SELECT id, used, components FROM vector WHERE model = ?1 AND key = ?2")?;
            for key in written {
                let row = query
                    .query_row(params![model, key.0], |row| {
                        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, decode(row.get_ref(2)?.as_blob()?)))
                    })
                    .optional()?;
                if let Some((id, used, Some(vector))) = row {
                    found.push((*key, vector));
                    if used != today {
                        stale.push(id);
                    }
                }
            }
            Ok(found)
        })();
        self.stale.append(&mut stale);
        found.map_err(|source| self.failed(source))
    }

    /// Adds vectors of `model`. They are written when there are enough for a
    /// transaction, by [`EmbeddingCache::flush`], or when the cache is closed. What was
    /// there under a key is replaced: it may have been damaged.
    pub fn put_many(
        &mut self,
        model: &Fingerprint,
        vectors: &[(VectorKey, Vec<f32>)],
    ) -> Result<(), CacheError> {
        for (key, vector) in vectors {
            self.pending.insert((model.clone(), *key), vector.clone());
        }
        if self.pending.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    /// Writes what was put, for other processes to find.
    pub fn flush(&mut self) -> Result<(), CacheError> {
        let pending = std::mem::take(&mut self.pending);
        if pending.is_empty() {
            return Ok(());
        }
        self.write(&pending).map_err(|source| self.failed(source))?;
        self.additions += pending.len() as u64;
        if self.additions >= ADDITIONS_PER_CHECK {
            self.additions = 0;
            self.evict()?;
        }
        Ok(())
    }

    fn write(&mut self, vectors: &BTreeMap<(Fingerprint, VectorKey), Vec<f32>>) -> rusqlite::Result<()> {
        let transaction =
            self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        {
            let mut name = transaction.prepare("INSERT OR IGNORE INTO model (fingerprint) VALUES (?1)")?;
            let mut insert = transaction.prepare(
                "INSERT OR REPLACE INTO vector (model, key, used, components)
                 SELECT id, ?2, ?3, ?4 FROM model WHERE fingerprint = ?1",
            )?;
            let mut last = None;
            for ((model, key), vector) in vectors {
                if last != Some(model) {
                    name.execute([&model.0])?;
                    last = Some(model);
                }
                insert.execute(params![model.0, key.0, today(), encode(vector)])?;
            }
            stamp(&transaction, &self.stale)?;
        }
        transaction.commit()?;
        self.stale.clear();
        Ok(())
    }

    /// Entries and bytes of what is written.
    pub fn stats(&self) -> Result<CacheStats, CacheError> {
        let entries =
            self.connection.query_row("SELECT count(*) FROM vector", [], |row| row.get::<_, i64>(0));
        let entries = entries.map_err(|source| self.failed(source))?;
        Ok(CacheStats { entries: entries.cast_unsigned(), bytes: self.bytes()? })
    }

    fn bytes(&self) -> Result<u64, CacheError> {
        let pragma = |name| self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let bytes = (|| Ok((pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?))();
        bytes.map(i64::cast_unsigned).map_err(|source| self.failed(source))
    }

    /// Removes what was used least recently, by day and then by age, until the bound holds.
    fn evict(&mut self) -> Result<(), CacheError> {
        loop {
            let stats = self.stats()?;
            if stats.bytes <= self.max_bytes || stats.entries == 0 {
                return Ok(());
            }
            // Pages that are left half full make one estimate too small: then there is another round.
            let kept = (self.max_bytes as f64 / stats.bytes as f64 * KEEP * stats.entries as f64) as u64;
            let gone = stats.entries.saturating_sub(kept).max(1).cast_signed();
            let oldest = "DELETE FROM vector WHERE id IN (SELECT id FROM vector ORDER BY used, id LIMIT ?1)";
            self.connection.execute(oldest, [gone]).map_err(|source| self.failed(source))?;
            self.connection
                .execute_batch("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE);")
                .map_err(|source| self.failed(source))?;
        }
    }

    fn failed(&self, source: rusqlite::Error) -> CacheError {
        CacheError::Sqlite { path: self.path.clone(), source }
    }
}

impl Drop for EmbeddingCache {
    fn drop(&mut self) {
        // What is lost is computed again, and a stamp that is lost makes an entry look
        // older than it is.
        if let Err(error) = self.flush() {
            tracing::warn!(%error, "vectors are not kept for other worktrees");
        }
        let _ = stamp(&self.connection, &self.stale);
    }
}

fn stamp(connection: &Connection, ids: &[i64]) -> rusqlite::Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut update = connection.prepare("UPDATE vector SET used = ?1 WHERE id = ?2")?;
    ids.iter().try_for_each(|id| update.execute(params![today(), id]).map(drop))
}

fn model_id(connection: &Connection, model: &Fingerprint) -> rusqlite::Result<Option<i64>> {
    connection
        .query_row("SELECT id FROM model WHERE fingerprint = ?1", [&model.0], |row| row.get(0))
        .optional()
}

/// Days since the epoch.
fn today() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| (since.as_secs() / 86_400).cast_signed())
}

/// Bytes of BLAKE3 behind the components, so that a rotten value is a miss.
const CHECK: usize = 4;

/// Components as IEEE 754 binary16, little-endian, as the embedder's contract makes them, and the check.
fn encode(vector: &[f32]) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        vector.iter().flat_map(|component| f16::from_f32(*component).to_le_bytes()).collect();
    let check = blake3::hash(&bytes);
    bytes.extend_from_slice(&check.as_bytes()[..CHECK]);
    bytes
}

fn decode(bytes: &[u8]) -> Option<Vec<f32>> {
    let (components, check) = bytes.split_at_checked(bytes.len().checked_sub(CHECK)?)?;
    if blake3::hash(components).as_bytes()[..CHECK] != *check {
        return None;
    }
    let halves: Vec<f16> =
        components.chunks_exact(2).map(|pair| f16::from_le_bytes([pair[0], pair[1]])).collect();
    Some(halves.to_f32_vec())
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Moves the file and its companions out of the way; where its data went.
fn set_aside(path: &Path) -> PathBuf {
    let with = |end: &str| {
        let mut name: OsString = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let number = (1..).find(|number| !with(&format!(".aside-{number}")).exists()).unwrap_or(1);
    for companion in ["", "-wal", "-shm"] {
        // A companion need not exist, and a file that stays is opened, and fails, once more.
        let _ = std::fs::rename(with(companion), with(&format!("{companion}.aside-{number}")));
    }
    with(&format!(".aside-{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str) -> Fingerprint {
        Fingerprint(name.to_owned())
    }

    fn vector(seed: u16) -> Vec<f32> {
        (0..8).map(|i| f16::from_f32(f32::from(seed) / 7.0 + i as f32).to_f32()).collect()
    }

    fn entries(count: u16) -> Vec<(VectorKey, Vec<f32>)> {
        (0..count).map(|i| (VectorKey::of(&format!("text {i}")), vector(i))).collect()
    }

    #[test]
    fn what_was_put_is_found_bit_by_bit_by_model_and_key() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("cache");
        let put = entries(100);
        let keys: Vec<VectorKey> = put.iter().map(|(key, _)| *key).collect();
        let mut cache = EmbeddingCache::open(&path, 1 << 20).expect("opened");
        cache.put_many(&model("a"), &put).expect("put");
        cache.put_many(&model("a"), &put[..1]).expect("put again");
        cache.put_many(&model("b"), &put[..1]).expect("put");
        // Found at once by who put it, and by others once it is written.
        let mut other = EmbeddingCache::open(&path, 1 << 20).expect("opened twice");
        assert_eq!(cache.get_many(&model("b"), &keys).expect("found"), put[..1]);
        assert_eq!(other.get_many(&model("b"), &keys).expect("not yet"), []);
        cache.flush().expect("written");
        for cache in [&mut cache, &mut other] {
            assert_eq!(cache.get_many(&model("a"), &keys).expect("found"), put);
            assert_eq!(cache.get_many(&model("b"), &keys).expect("found"), put[..1]);
        }
        assert_eq!(other.get_many(&model("c"), &keys).expect("no such model"), []);
        assert_eq!(other.get_many(&model("a"), &[VectorKey::of("?")]).expect("no such key"), []);
        assert_eq!(other.stats().expect("stats").entries, 101);
        // Also by closing it.
        cache.put_many(&model("b"), &put[1..2]).expect("put");
        drop(cache);
        assert_eq!(other.get_many(&model("b"), &keys).expect("found"), put[..2]);
    }

    #[test]
    fn the_bound_holds_and_the_least_recently_used_go_first() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut cache = EmbeddingCache::open(&dir.path().join("cache"), 64 << 10).expect("opened");
        let put = entries(3000);
        cache.put_many(&model("a"), &put).expect("put");
        cache.flush().expect("written");
        cache.connection.execute("UPDATE vector SET used = used - 2", []).expect("aged");
        let recent = [put[0].0];
        assert_eq!(cache.get_many(&model("a"), &recent).expect("found").len(), 1);
        cache.put_many(&model("a"), &[(VectorKey::of("new"), vector(1))]).expect("put");
        cache.flush().expect("stamps");
        cache.evict().expect("evicted");
        let stats = cache.stats().expect("stats");
        assert!(stats.bytes <= 64 << 10 && stats.entries > 100, "{stats:?}");
        assert_eq!(cache.get_many(&model("a"), &recent).expect("kept").len(), 1);
    }

    #[test]
    fn a_rotten_value_is_a_miss_and_is_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut cache = EmbeddingCache::open(&dir.path().join("cache"), 1 << 20).expect("opened");
        let put = entries(1);
        cache.put_many(&model("a"), &put).expect("put");
        cache.flush().expect("written");
        let rotten = "UPDATE vector SET components = zeroblob(length(components))";
        assert_eq!(cache.connection.execute(rotten, []).expect("changed"), 1);
        assert_eq!(cache.get_many(&model("a"), &[put[0].0]).expect("a miss"), []);
        cache.put_many(&model("a"), &put).expect("put again");
        cache.flush().expect("written");
        assert_eq!(cache.get_many(&model("a"), &[put[0].0]).expect("found"), put);
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_nothing_is_deleted() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("cache");
        std::fs::write(&path, b"not a database, and long enough to be looked at as one").expect("written");
        let mut cache = EmbeddingCache::open(&path, 1 << 20).expect("begun anew");
        cache.put_many(&model("a"), &entries(1)).expect("put");
        cache.flush().expect("written");
        assert!(dir.path().join("cache.aside-1").exists());
    }

    #[test]
    fn a_place_that_cannot_be_written_is_an_error() {
        let path = Path::new("/nowhere/cache");
        let error = EmbeddingCache::open(path, 1 << 20).err().expect("refused").to_string();
        assert!(error.contains("/nowhere/cache"), "{error}");
    }
}
