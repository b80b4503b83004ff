//! Domain types → JSON. The field names are a contract, documented in the README.

use serde_json::{Map, Value, json};

use crate::embed::Leg;
use crate::git::Head;
use crate::id::encode_hex;
use crate::index::{Explanation, Freshness, Outcome, Verification};
use crate::manifest::FileState;
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

pub(super) fn head(head: &Head) -> Value {
    json!({ "commit": head.commit, "branch": head.branch, "operation": head.operation })
}

pub(super) fn outcome(outcome: &Outcome) -> Value {
    let files = &outcome.files;
    let chunks = &outcome.chunks;
    let timing = &outcome.timing;
    let skipped: Map<String, Value> =
        files.skipped.iter().map(|(reason, count)| (reason.name().to_owned(), (*count).into())).collect();
    json!({
        "collection": outcome.collection.as_str(),
        "full": outcome.full.map(|reason| reason.to_string()),
        "head": head(&outcome.head),
        "files": {
            "listed": files.listed,
            "unchanged": files.unchanged,
            "read": files.read,
            "touched": files.touched,
            "parsed": files.parsed,
            "removed": files.removed,
            "committed": files.committed,
            "uncommitted": files.uncommitted,
            "skipped": skipped,
            "syntax_errors": files.syntax_errors,
            "redactions": files.redactions,
        },
        "chunks": {
            "added": chunks.added,
            "removed": chunks.removed,
            "kept": chunks.kept,
            "moved": chunks.moved,
            "total": chunks.total,
        },
        "vectors": by_leg(|leg| {
            outcome.vectors[leg.index()].as_ref().map(|counts| json!({
                "needed": counts.needed,
                "present": counts.present,
                "cache_hits": counts.cache_hits,
                "embedded": counts.embedded,
                "pending": counts.pending,
                "over_limit": counts.over_limit,
            }))
        }),
        "bytes": { "read": outcome.bytes.read, "embedded": outcome.bytes.embedded },
        "commits": outcome.commits,
        "unreadable_directories": outcome.unreadable_directories,
        "ms": {
            "list": timing.list.as_millis() as u64,
            "parse": timing.parse.as_millis() as u64,
            "store": timing.store.as_millis() as u64,
            "embed": timing.embed.as_millis() as u64,
            "total": timing.total.as_millis() as u64,
        },
    })
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

pub(super) fn explanation(explanation: &Explanation) -> Value {
    let record = explanation.record.as_ref().map(|record| match &record.state {
        FileState::Indexed { language, chunks } => json!({
            "state": "indexed",
            "language": language.name(),
            "content_hash": record.content.map(|hash| hash.to_string()),
            "chunks": chunks.len(),
        }),
        FileState::Skipped(reason) => json!({ "state": "skipped", "reason": reason.name() }),
    });
    let chunks: Vec<Value> = explanation
        .chunks
        .iter()
        .map(|chunk| {
            json!({
                "start_line": chunk.lines.0,
                "end_line": chunk.lines.1,
                "kind": chunk.kind,
                "symbol": chunk.symbol,
                "vectors": by_leg(|leg| chunk.vectors[leg.index()].map(Value::from)),
            })
        })
        .collect();
    with_path(
        &explanation.path,
        json!({
            "listed": explanation.listed,
            "tracked": explanation.tracked,
            "ignored_by": explanation.ignored_by.as_ref().map(|found| json!({
                "source": found.source.to_string_lossy(),
                "line": found.line,
                "pattern": found.pattern,
            })),
            "skip": explanation.skip.map(|reason| reason.name()),
            "record": record,
            "pending": explanation.pending,
            "chunks": chunks,
        }),
    )
}

pub(super) fn freshness(freshness: &Freshness) -> Value {
    json!({
        "fresh": freshness.is_fresh(),
        "indexed_commit": freshness.indexed_commit,
        "head": head(&freshness.head),
        "pending": freshness.pending,
        "complete": freshness.complete,
        "vectors": by_leg(|leg| {
            freshness.vectors[leg.index()].map(|(present, needed)| json!({ "present": present, "needed": needed }))
        }),
    })
}
