//! `database.json`: whose a database is. Written once, when it is created.
//!
//! Format 1: kind, source in hexadecimal, time of creation.

use std::io::ErrorKind::NotFound;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::checked_json;
use crate::id::{decode_hex, encode_hex};
use crate::store::{DatabaseInfo, DatabaseKind, StoreError};

/// File name. No collection can have it.
pub(super) const NAME: &str = "database.json";
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Stored {
    format: u32,
    kind: String,
    /// Hexadecimal, because a path need not be text.
    source: String,
    created_at: u64,
}

/// The file's bytes.
pub(super) fn encode(info: &DatabaseInfo) -> Result<Vec<u8>, StoreError> {
    checked_json::encode(&Stored {
        format: FORMAT,
        kind: info.kind.name().to_owned(),
        source: encode_hex(&info.source),
        created_at: info.created_at,
    })
}

/// Reads the file in the database's directory `root`; `None` where there is none.
pub(super) fn read(root: &Path) -> Result<Option<DatabaseInfo>, StoreError> {
    let path = root.join(NAME);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == NotFound => return Ok(None),
        Err(e) => return Err(StoreError::read(&path, e)),
    };
    let stored: Stored = checked_json::decode(&path, &bytes, FORMAT)?;
    let kind = DatabaseKind::from_name(&stored.kind);
    Ok(Some(DatabaseInfo {
        kind: kind.ok_or_else(|| StoreError::corrupt(&path, format!("unknown kind {:?}", stored.kind)))?,
        source: decode_hex(&stored.source)
            .ok_or_else(|| StoreError::corrupt(&path, "its source is not hexadecimal"))?,
        created_at: stored.created_at,
    }))
}
