//! The HTTP door: where it listens, who may name it, and what it bears.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::{ConfigError, Environment, absolute, at_least};

/// Where the daemon listens for HTTP, and its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    /// The address; `None` where there is no HTTP door.
    pub listen: Option<SocketAddr>,
    /// Files of certificate and key; `None` means plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Names that a `Host` header may have beside those of loopback and the address itself,
    /// in lower case, without a port.
    pub allowed_hosts: Vec<String>,
    /// The longest body of a request, in bytes, after decompression.
    pub max_body_bytes: usize,
    /// The longest time until a request is read, and from there until its answer begins.
    pub timeout: Duration,
    /// Connections at a time.
    pub max_connections: usize,
    /// Requests answered at a time.
    pub max_requests: usize,
    /// Requests a second of one token.
    pub requests_per_second: u32,
}

/// PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, with those between it and its authority.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// The table `[http]` as typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct HttpTable {
    pub(super) listen: Option<String>,
    pub(super) tls_cert: Option<PathBuf>,
    pub(super) tls_key: Option<PathBuf>,
    pub(super) allow_plaintext: Option<bool>,
    pub(super) allowed_hosts: Option<Vec<String>>,
    pub(super) max_body_bytes: Option<usize>,
    pub(super) timeout_seconds: Option<u64>,
    pub(super) max_connections: Option<usize>,
    pub(super) max_requests: Option<usize>,
    pub(super) requests_per_second: Option<u32>,
}

impl HttpTable {
    pub(super) fn resolve(self, env: Environment<'_>) -> Result<HttpSettings, ConfigError> {
        let listen = env("INDEXER_HTTP_LISTEN").map(|text| text.to_string_lossy().into_owned());
        let listen = match listen.or(self.listen).unwrap_or_default().as_str() {
            "" | "off" => None,
            text => Some(text.parse::<SocketAddr>().map_err(|_| {
                let message = format!(
                    "{text:?} is not an address with a port, such as \"127.0.0.1:7461\" or \"[::1]:0\", nor \"off\""
                );
                ConfigError::Value { key: "http.listen", message }
            })?),
        };
        let file = |path: Option<PathBuf>| {
            path.filter(|path| !path.as_os_str().is_empty()).map(|path| absolute(&path))
        };
        let tls = match (file(self.tls_cert), file(self.tls_key)) {
            (Some(cert), Some(key)) => Some(TlsFiles { cert, key }),
            (None, None) => None,
            _ => {
                let message = "certificate and key go together: set both, or neither".to_owned();
                return Err(ConfigError::Value { key: "http.tls_cert and http.tls_key", message });
            }
        };
        let plaintext = self.allow_plaintext.unwrap_or_default();
        if let Some(address) = listen
            && !address.ip().is_loopback()
            && tls.is_none()
            && !plaintext
        {
            let message = format!(
                "{address} can be reached from other machines, and tokens would go there in the clear: set \
                 http.tls_cert and http.tls_key, or http.allow_plaintext = true where something before it does TLS"
            );
            return Err(ConfigError::Value { key: "http.listen", message });
        }
        Ok(HttpSettings {
            listen,
            tls,
            allowed_hosts: (self.allowed_hosts.unwrap_or_default().iter())
                .map(|host| host.trim_end_matches('.').to_ascii_lowercase())
                .collect(),
            max_body_bytes: at_least("http.max_body_bytes", self.max_body_bytes, 4096)?,
            timeout: Duration::from_secs(at_least("http.timeout_seconds", self.timeout_seconds, 1)?),
            max_connections: at_least("http.max_connections", self.max_connections, 1)?,
            max_requests: at_least("http.max_requests", self.max_requests, 1)?,
            requests_per_second: at_least("http.requests_per_second", self.requests_per_second, 1)?,
        })
    }
}
