//! `schema.json`: what a collection is, and the version of its format. Written once, when the
//! collection is created; its dense legs are in the commit record, as they change.
//!
//! Formats:
//! 1: the first; six files a segment and tantivy's `meta.json` in an envelope.
//! 2: one file a segment, a binary commit record that holds the end of the manifest log.
//! 3: the manifest log says what changed of a record; kinds of collections, attributes and
//! times of points.
//! 4: the dense legs are in the commit record.

use std::io::ErrorKind::NotFound;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::checked_json;
use crate::id::{decode_hex, encode_hex};
use crate::store::{CollectionKind, Schema, StoreError};

/// File name.
pub(super) const NAME: &str = "schema.json";
/// The format this version writes; also of everything else in the directory.
const FORMAT: u32 = 4;

#[derive(Serialize, Deserialize)]
struct Stored {
    format: u32,
    kind: String,
    /// Hexadecimal, because a path need not be text.
    source: String,
}

/// The file's bytes.
pub(super) fn encode(schema: &Schema) -> Result<Vec<u8>, StoreError> {
    let stored =
        Stored { format: FORMAT, kind: schema.kind.name().to_owned(), source: encode_hex(&schema.source) };
    checked_json::encode(&stored)
}

/// Reads the file in the collection's directory `root`: a schema without legs.
pub(super) fn read(root: &Path) -> Result<Schema, StoreError> {
    let path = root.join(NAME);
    let bytes = std::fs::read(&path).map_err(|e| match e.kind() {
        NotFound => StoreError::corrupt(&path, "it is missing"),
        _ => StoreError::read(&path, e),
    })?;
    decode(&path, &bytes)
}

fn decode(path: &Path, bytes: &[u8]) -> Result<Schema, StoreError> {
    let stored: Stored = checked_json::decode(path, bytes, FORMAT)?;
    let kind = CollectionKind::from_name(&stored.kind);
    Ok(Schema {
        kind: kind.ok_or_else(|| StoreError::corrupt(path, format!("unknown kind {:?}", stored.kind)))?,
        legs: Default::default(),
        source: decode_hex(&stored.source)
            .ok_or_else(|| StoreError::corrupt(path, "its source is not hexadecimal"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Schema {
        Schema { kind: CollectionKind::Remediations, legs: [None, None], source: b"/caf\xe9".to_vec() }
    }

    #[test]
    fn round_trips_and_finds_every_flip_and_cut() {
        let bytes = encode(&sample()).unwrap();
        assert_eq!(decode(Path::new("x"), &bytes).unwrap(), sample());
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(
                matches!(decode(Path::new("x"), &damaged), Err(StoreError::Corrupt { .. })),
                "flip at {at}"
            );
            assert!(decode(Path::new("x"), &bytes[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn another_format_is_named_as_such() {
        let decode = |json: &str| {
            let bytes = format!("{json}\n{:08x}\n", crc32fast::hash(json.as_bytes()));
            decode(Path::new("x"), bytes.as_bytes()).unwrap_err()
        };
        let newer = decode(r#"{"format":5,"whatever":true}"#);
        assert!(matches!(newer, StoreError::NewerFormat { found: 5, supported: 4, .. }), "{newer}");
        // Set aside and built anew by the next run, as damage is.
        let older = decode(r#"{"format":1,"source":""}"#);
        assert!(matches!(older, StoreError::Corrupt { .. }), "{older}");
        assert!(older.to_string().contains("format 1"), "{older}");
    }
}
