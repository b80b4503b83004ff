//! What a [`super::QdrantStore`] is told. Plain data: where it comes from is for others.

use std::fmt;
use std::time::Duration;

/// How logical collections lie in Qdrant's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// A physical collection for each logical one. Simple to look at and to drop; some hundreds
    /// are too many for one server, each of which costs it about 60 memory maps.
    #[default]
    Collection,
    /// Three physical collections a database, one for each kind; the logical ones in them are
    /// told apart by a tenant keyword.
    Shared,
}

impl Layout {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Layout::Collection => "collection",
            Layout::Shared => "shared",
        }
    }
}

/// A key that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// Keeps `key`.
    pub fn new(key: impl Into<String>) -> ApiKey {
        ApiKey(key.into())
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(hidden)")
    }
}

/// Everything a [`super::QdrantStore`] is told. [`QdrantOptions::new`] gives the defaults.
#[derive(Clone, Debug)]
pub struct QdrantOptions {
    /// Address of the gRPC port, `http://host:6334` or `https://…`, without a password in it.
    pub url: String,
    /// Key of the server.
    pub api_key: Option<ApiKey>,
    /// PEM certificates of an authority to trust besides the system's.
    pub ca_certificate: Option<Vec<u8>>,
    /// First part of the name of every physical collection.
    pub prefix: String,
    /// How logical collections lie in physical ones.
    pub layout: Layout,
    /// How long one call may take.
    pub timeout: Duration,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How often a call that failed for a reason that may pass is repeated.
    pub retries: u32,
    /// The longest wait before the first repetition; it doubles with each.
    pub backoff: Duration,
    /// The longest wait before any repetition.
    pub backoff_limit: Duration,
    /// After this many attempts without an answer, calls fail at once …
    pub breaker_failures: u32,
    /// … for this long; then one is tried.
    pub breaker_pause: Duration,
    /// Bytes of one write, roughly.
    pub batch_bytes: usize,
    /// Points of one request at most, read or written.
    pub batch_points: usize,
    /// Above this many points of a collection, dense searches go by the approximate index.
    /// `None`: always exact.
    pub approximate_above: Option<u64>,
    /// Keep int8 copies of the dense vectors in memory; searches of them are rescored.
    pub quantization: bool,
    /// Keep the dense vectors on disk, mapped.
    pub on_disk: bool,
    /// Keep payload on disk.
    pub on_disk_payload: bool,
    /// Shards of a new physical collection; the server's default where `None`. Term statistics
    /// are the shard's own: scores of BM25 are exact with one.
    pub shard_number: Option<u32>,
    /// Copies of each shard; the server's default where `None`.
    pub replication_factor: Option<u32>,
    /// Copies that must have a write before it counts; the server's default where `None`.
    pub write_consistency_factor: Option<u32>,
    /// For how long a writer that is heard of no more keeps others out. The clocks of writing
    /// machines may differ by less than half of it. Longer than `timeout`.
    pub lease: Duration,
}

impl QdrantOptions {
    /// Defaults for the server at `url`.
    pub fn new(url: impl Into<String>) -> QdrantOptions {
        QdrantOptions {
            url: url.into(),
            api_key: None,
            ca_certificate: None,
            prefix: String::new(),
            layout: Layout::default(),
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            retries: 4,
            backoff: Duration::from_millis(100),
            backoff_limit: Duration::from_secs(5),
            breaker_failures: 10,
            breaker_pause: Duration::from_secs(10),
            batch_bytes: 4 << 20,
            batch_points: 1000,
            approximate_above: None,
            quantization: false,
            on_disk: false,
            on_disk_payload: true,
            shard_number: None,
            replication_factor: None,
            write_consistency_factor: None,
            lease: Duration::from_secs(120),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_in_no_debug_text() {
        let key = Some(ApiKey::new("very secret"));
        let options = QdrantOptions { api_key: key, ..QdrantOptions::new("http://localhost:6334") };
        assert!(!format!("{options:?}").contains("very secret"));
    }
}
