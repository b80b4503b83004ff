//! The stored form of a record: JSON with a version, in the text of its point.
//!
//! A record of a newer version, or with a field that this one does not know, is
//! refused, so that no field of it is lost by an update.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::MemoryError;
use crate::id::PointId;

/// Version of the stored form. 1: the first.
const VERSION: u64 = 1;

/// The JSON of a record.
pub(super) fn encode(record: &impl Serialize) -> String {
    let mut object = Map::from_iter([("v".to_owned(), Value::from(VERSION))]);
    // Records are structures of texts, numbers and lists, whose JSON is an object.
    if let Ok(Value::Object(fields)) = serde_json::to_value(record) {
        object.extend(fields);
    }
    Value::Object(object).to_string()
}

/// Reads what [`encode`] wrote.
pub(super) fn decode<T: DeserializeOwned>(id: PointId, text: &str) -> Result<T, MemoryError> {
    let failed = |reason: String| MemoryError::Record { id, reason };
    let mut value: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| failed(error.to_string()))?;
    let version = value.remove("v").and_then(|version| version.as_u64()).unwrap_or_default();
    if version > VERSION {
        return Err(MemoryError::Newer { id, version });
    }
    serde_json::from_value(Value::Object(value)).map_err(|error| failed(error.to_string()))
}

/// A path of bytes: its text, or `{"hex": …}` where it is not UTF-8.
mod path_bytes {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::id::{decode_hex, encode_hex};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Form {
        Text(String),
        Bytes { hex: String },
    }

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        let form = match std::str::from_utf8(bytes) {
            Ok(text) => Form::Text(text.to_owned()),
            Err(_) => Form::Bytes { hex: encode_hex(bytes) },
        };
        form.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        match Form::deserialize(deserializer)? {
            Form::Text(text) => Ok(text.into_bytes()),
            Form::Bytes { hex } => {
                decode_hex(&hex).ok_or_else(|| serde::de::Error::custom("not hexadecimal digits"))
            }
        }
    }
}

/// Serde of a [`crate::path::RepoPath`].
pub(super) mod repo_path {
    use serde::{Deserializer, Serializer};

    use super::path_bytes;
    use crate::path::RepoPath;

    pub(in super::super) fn serialize<S: Serializer>(path: &RepoPath, to: S) -> Result<S::Ok, S::Error> {
        path_bytes::serialize(path.as_bytes(), to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<RepoPath, D::Error> {
        let path = RepoPath::new(path_bytes::deserialize(from)?);
        path.ok_or_else(|| serde::de::Error::custom("not a path of a worktree"))
    }
}

/// Serde of a path of the operating system.
pub(super) mod os_path {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt as _;
    use std::path::{Path, PathBuf};

    use serde::{Deserializer, Serializer};

    use super::path_bytes;

    pub(in super::super) fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        path_bytes::serialize(path.as_os_str().as_encoded_bytes(), to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        Ok(PathBuf::from(OsString::from_vec(path_bytes::deserialize(from)?)))
    }
}

/// Serde of a [`crate::id::ContentHash`].
pub(super) mod hash {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::id::ContentHash;

    pub(in super::super) fn serialize<S: Serializer>(hash: &ContentHash, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hash.to_string())
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<ContentHash, D::Error> {
        let hash = ContentHash::from_hex(&String::deserialize(from)?);
        hash.ok_or_else(|| serde::de::Error::custom("not a BLAKE3 hash"))
    }
}
