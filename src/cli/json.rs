//! Domain types → JSON. The field names are a contract, documented in the README.

use serde_json::{Map, Value, json};

use crate::embed::Leg;
use crate::id::encode_hex;
use crate::index::Verification;
use crate::path::RepoPath;

/// Puts `path`, or `path_hex` where it is not UTF-8.
pub(super) fn put_path(object: &mut Map<String, Value>, path: &RepoPath) {
    match path.to_str() {
        Some(text) => object.insert("path".into(), text.into()),
        None => object.insert("path_hex".into(), encode_hex(path.as_bytes()).into()),
    };
}

/// `rest` with the path.
pub(super) fn with_path(path: &RepoPath, rest: Value) -> Value {
    let mut object = Map::new();
    put_path(&mut object, path);
    if let Value::Object(rest) = rest {
        object.extend(rest);
    }
    Value::Object(object)
}

/// An object with one entry for each leg that has a value.
pub(super) fn by_leg(value: impl Fn(Leg) -> Option<Value>) -> Value {
    let entries = Leg::ALL.iter().filter_map(|leg| Some((leg.name().to_owned(), value(*leg)?)));
    Value::Object(entries.collect())
}

pub(super) fn verification(verification: &Verification) -> Value {
    let differences: Vec<Value> = verification
        .differences
        .iter()
        .map(|(path, difference)| with_path(path, json!({ "difference": difference.name() })))
        .collect();
    json!({
        "clean": verification.is_clean(),
        "files": verification.files,
        "points": verification.points,
        "differences": differences,
        "damage": verification.damage,
        "pending_vectors": by_leg(|leg| verification.pending[leg.index()].map(Value::from)),
    })
}
