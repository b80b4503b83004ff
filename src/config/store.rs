//! Where points rest: files of this machine, or a Qdrant server.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::{ConfigError, Environment, absolute, at_least};

/// Which store, and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreSettings {
    /// Files in the data directory.
    Embedded,
    /// A Qdrant server.
    Qdrant(Box<QdrantSettings>),
}

/// How a Qdrant server is reached and used. Where a value is `None`, the server decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QdrantSettings {
    /// Address of its gRPC port.
    pub url: String,
    /// Its key.
    pub api_key: Option<Secret>,
    /// PEM file of an authority to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// First part of the name of every collection there.
    pub prefix: String,
    /// Whether all worktrees of a database share one collection.
    pub shared_layout: bool,
    /// How long one call may take.
    pub timeout: Duration,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How often a call is repeated that failed for a reason that may pass.
    pub retries: u32,
    /// Bytes of one write, roughly.
    pub batch_bytes: usize,
    /// Points of a collection above which its approximate index is used.
    pub approximate_above: Option<u64>,
    /// Keep int8 copies of the vectors in memory.
    pub quantization: bool,
    /// Keep the vectors on disk.
    pub on_disk_vectors: bool,
    /// Keep the payload on disk.
    pub on_disk_payload: bool,
    /// Shards of a new collection.
    pub shard_number: Option<u32>,
    /// Copies of each shard.
    pub replication_factor: Option<u32>,
    /// Copies that must have a write before it counts.
    pub write_consistency_factor: Option<u32>,
}

/// A value that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The value, for whoever has to send it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// The table `[store]` as typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct StoreTable {
    pub(super) provider: Option<String>,
    pub(super) qdrant: Qdrant,
}

/// The table `[store.qdrant]` as typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Qdrant {
    pub(super) url: Option<String>,
    pub(super) api_key_file: Option<PathBuf>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) prefix: Option<String>,
    pub(super) layout: Option<String>,
    pub(super) timeout_seconds: Option<u64>,
    pub(super) connect_timeout_seconds: Option<u64>,
    pub(super) retries: Option<u32>,
    pub(super) batch_bytes: Option<usize>,
    pub(super) approximate_above: Option<u64>,
    pub(super) quantization: Option<String>,
    pub(super) on_disk_vectors: Option<bool>,
    pub(super) on_disk_payload: Option<bool>,
    pub(super) shard_number: Option<u32>,
    pub(super) replication_factor: Option<u32>,
    pub(super) write_consistency_factor: Option<u32>,
}

impl StoreTable {
    pub(super) fn resolve(self, env: Environment<'_>) -> Result<StoreSettings, ConfigError> {
        match self.provider.as_deref().unwrap_or_default() {
            "embedded" => Ok(StoreSettings::Embedded),
            "qdrant" => Ok(StoreSettings::Qdrant(Box::new(self.qdrant.resolve(env)?))),
            other => {
                Err(value("store.provider", format!("{other:?} is neither \"embedded\" nor \"qdrant\"")))
            }
        }
    }
}

impl Qdrant {
    pub(super) fn resolve(self, env: Environment<'_>) -> Result<QdrantSettings, ConfigError> {
        let url = env("INDEXER_QDRANT_URL").map(|url| url.to_string_lossy().into_owned());
        let url = url.or(self.url).unwrap_or_default();
        let (scheme, host) = url.split_once("://").unwrap_or_default();
        if !["http", "https"].contains(&scheme) || host.is_empty() || host.contains(['@', ' ']) {
            let message = format!(
                "{url:?} is not the address of a gRPC port, such as \"http://127.0.0.1:6334\", \
                 without a key in it"
            );
            return Err(value("store.qdrant.url", message));
        }
        let prefix = self.prefix.unwrap_or_default();
        let valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if prefix.len() > 64 || !prefix.bytes().all(valid) {
            return Err(value("store.qdrant.prefix", format!("{prefix:?} must match ^[a-z0-9_]{{0,64}}$")));
        }
        let file = |path: Option<PathBuf>| path.filter(|path| !path.as_os_str().is_empty());
        let api_key = match (env("INDEXER_QDRANT_API_KEY"), file(self.api_key_file)) {
            (Some(key), _) => Some(key.to_string_lossy().into_owned()),
            (None, Some(path)) => Some(
                std::fs::read_to_string(&path)
                    .map_err(|source| ConfigError::Read { path: absolute(&path), source })?,
            ),
            (None, None) => None,
        };
        let seconds = |key, value| Ok(Duration::from_secs(at_least(key, value, 1)?));
        let some = |number: Option<u32>| number.filter(|number| *number > 0);
        Ok(QdrantSettings {
            api_key: api_key.map(|key| Secret(key.trim().to_owned())).filter(|key| !key.0.is_empty()),
            ca_file: file(self.ca_file).map(|path| absolute(&path)),
            prefix,
            shared_layout: match self.layout.as_deref().unwrap_or_default() {
                "collection" => false,
                "shared" => true,
                other => {
                    let message = format!("{other:?} is neither \"collection\" nor \"shared\"");
                    return Err(value("store.qdrant.layout", message));
                }
            },
            timeout: seconds("store.qdrant.timeout_seconds", self.timeout_seconds)?,
            connect_timeout: seconds("store.qdrant.connect_timeout_seconds", self.connect_timeout_seconds)?,
            retries: self.retries.unwrap_or_default().min(100),
            batch_bytes: at_least("store.qdrant.batch_bytes", self.batch_bytes, 64 << 10)?,
            approximate_above: self.approximate_above.filter(|points| *points > 0),
            quantization: match self.quantization.as_deref().unwrap_or_default() {
                "none" => false,
                "int8" => true,
                other => {
                    let message = format!("{other:?} is neither \"none\" nor \"int8\"");
                    return Err(value("store.qdrant.quantization", message));
                }
            },
            on_disk_vectors: self.on_disk_vectors.unwrap_or_default(),
            on_disk_payload: self.on_disk_payload.unwrap_or_default(),
            shard_number: some(self.shard_number),
            replication_factor: some(self.replication_factor),
            write_consistency_factor: some(self.write_consistency_factor),
            url,
        })
    }
}

fn value(key: &'static str, message: String) -> ConfigError {
    ConfigError::Value { key, message }
}
