//! The outcome of a run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ByLeg, Head, by_leg};
use crate::index;

/// See [`index::Outcome`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Outcome {
    /// Collection.
    pub collection: String,
    /// Why it was a full run; `None` where it was incremental.
    pub full: Option<String>,
    /// HEAD when the files were listed.
    pub head: Head,
    /// Files.
    pub files: Files,
    /// Chunks.
    pub chunks: Chunks,
    /// Vectors by leg.
    pub vectors: ByLeg<Vectors>,
    /// Bytes.
    pub bytes: OutcomeBytes,
    /// Atomic commits of the store.
    pub commits: u64,
    /// Directories that could not be read.
    pub unreadable_directories: u64,
    /// Whether the run was ended early.
    pub interrupted: bool,
    /// Wall time by stage.
    pub ms: Ms,
}

/// See [`index::FileCounts`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "the fields of the domain type, documented there")]
pub struct Files {
    pub listed: u64,
    pub unchanged: u64,
    pub read: u64,
    pub touched: u64,
    pub parsed: u64,
    pub removed: u64,
    pub committed: u64,
    pub uncommitted: u64,
    pub skipped: BTreeMap<String, u64>,
    pub syntax_errors: u64,
    pub redactions: u64,
}

/// See [`index::ChunkCounts`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "the fields of the domain type, documented there")]
pub struct Chunks {
    pub added: u64,
    pub removed: u64,
    pub kept: u64,
    pub moved: u64,
    pub total: u64,
}

/// See [`index::VectorCounts`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "the fields of the domain type, documented there")]
pub struct Vectors {
    pub needed: u64,
    pub present: u64,
    pub cache_hits: u64,
    pub embedded: u64,
    pub pending: u64,
    pub over_limit: u64,
    pub replaces: Option<String>,
}

/// See [`index::ByteCounts`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "the fields of the domain type, documented there")]
pub struct OutcomeBytes {
    pub read: u64,
    pub embedded: u64,
}

/// Milliseconds by stage; see [`index::Timing`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "the fields of the domain type, documented there")]
pub struct Ms {
    pub list: u64,
    pub parse: u64,
    pub store: u64,
    pub embed: u64,
    pub total: u64,
}

impl From<&index::Outcome> for Outcome {
    fn from(outcome: &index::Outcome) -> Outcome {
        let (files, chunks, timing) = (&outcome.files, &outcome.chunks, &outcome.timing);
        let ms = |time: std::time::Duration| time.as_millis() as u64;
        Outcome {
            collection: outcome.collection.as_str().to_owned(),
            full: outcome.full.map(|reason| reason.to_string()),
            head: (&outcome.head).into(),
            files: Files {
                listed: files.listed,
                unchanged: files.unchanged,
                read: files.read,
                touched: files.touched,
                parsed: files.parsed,
                removed: files.removed,
                committed: files.committed,
                uncommitted: files.uncommitted,
                skipped: files.skipped.iter().map(|(why, count)| (why.name().to_owned(), *count)).collect(),
                syntax_errors: files.syntax_errors,
                redactions: files.redactions,
            },
            chunks: Chunks {
                added: chunks.added,
                removed: chunks.removed,
                kept: chunks.kept,
                moved: chunks.moved,
                total: chunks.total,
            },
            vectors: by_leg(|leg| {
                outcome.vectors[leg.index()].as_ref().map(|counts| Vectors {
                    needed: counts.needed,
                    present: counts.present,
                    cache_hits: counts.cache_hits,
                    embedded: counts.embedded,
                    pending: counts.pending,
                    over_limit: counts.over_limit,
                    replaces: counts.replaces.clone(),
                })
            }),
            bytes: OutcomeBytes { read: outcome.bytes.read, embedded: outcome.bytes.embedded },
            commits: outcome.commits,
            unreadable_directories: outcome.unreadable_directories,
            interrupted: outcome.interrupted,
            ms: Ms {
                list: ms(timing.list),
                parse: ms(timing.parse),
                store: ms(timing.store),
                embed: ms(timing.embed),
                total: ms(timing.total),
            },
        }
    }
}
