//! One line of JSON and one with its CRC-32 in 8 hex digits: small files that are written
//! once. Knows nothing of what they say, but that each has a `format`.

use std::path::Path;

use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::StoreError;

/// The file's bytes.
pub(super) fn encode(value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    let json = serde_json::to_string(value).map_err(|e| StoreError::Invalid(e.to_string()))?;
    Ok(format!("{json}\n{:08x}\n", crc32fast::hash(json.as_bytes())).into_bytes())
}

/// Reads what [`encode`] wrote of a value with this `format`; `path` is for messages.
pub(super) fn decode<T: DeserializeOwned>(path: &Path, bytes: &[u8], format: u32) -> Result<T, StoreError> {
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let damaged = || StoreError::corrupt(path, "its checksum does not match");
    let text = std::str::from_utf8(bytes).map_err(|_| damaged())?;
    let json = text.lines().next().unwrap_or_default();
    if text != format!("{json}\n{:08x}\n", crc32fast::hash(json.as_bytes())) {
        return Err(damaged());
    }
    let unreadable = |e: serde_json::Error| StoreError::corrupt(path, e.to_string());
    let found = serde_json::from_str::<Version>(json).map_err(unreadable)?.format;
    if found > format {
        return Err(StoreError::NewerFormat { path: path.to_owned(), found, supported: format });
    }
    if found < format {
        return Err(StoreError::corrupt(path, format!("format {found}, which this version reads no more")));
    }
    serde_json::from_str(json).map_err(unreadable)
}
