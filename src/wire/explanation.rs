//! What the index says of one file.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ByLeg, PathName, by_leg};
use crate::index;
use crate::manifest::{FileRecord, FileState};

/// See [`index::Explanation`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "the fields of the domain type, documented there")]
pub struct Explanation {
    #[serde(flatten)]
    pub path: PathName,
    pub listed: bool,
    pub tracked: bool,
    pub ignored_by: Option<IgnoredBy>,
    /// Name of the reason.
    pub skip: Option<String>,
    pub record: Option<IndexRecord>,
    pub pending: bool,
    pub chunks: Vec<ExplainedChunk>,
}

/// The pattern that hides a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IgnoredBy {
    /// The file that it stands in.
    pub source: String,
    /// Its line.
    pub line: usize,
    /// The pattern.
    pub pattern: String,
}

/// What came of a file when it was looked at last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum IndexRecord {
    /// It is indexed.
    Indexed {
        /// Language by path.
        language: String,
        /// BLAKE3 of the bytes that were indexed.
        content_hash: Option<String>,
        /// Number of its chunks.
        chunks: usize,
    },
    /// It is not.
    Skipped {
        /// Name of the reason.
        reason: String,
    },
}

/// See [`index::ExplainedChunk`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExplainedChunk {
    /// First line, from 1.
    pub start_line: u32,
    /// Last line.
    pub end_line: u32,
    /// Kind.
    pub kind: String,
    /// Symbol with its container.
    pub symbol: Option<String>,
    /// By leg: whether it has a vector.
    pub vectors: ByLeg<bool>,
}

impl From<&index::Explanation> for Explanation {
    fn from(explanation: &index::Explanation) -> Explanation {
        Explanation {
            path: (&explanation.path).into(),
            listed: explanation.listed,
            tracked: explanation.tracked,
            ignored_by: explanation.ignored_by.as_ref().map(|found| IgnoredBy {
                source: found.source.to_string_lossy().into_owned(),
                line: found.line,
                pattern: found.pattern.to_string(),
            }),
            skip: explanation.skip.map(|reason| reason.name().to_owned()),
            record: explanation.record.as_ref().map(Into::into),
            pending: explanation.pending,
            chunks: explanation.chunks.iter().map(Into::into).collect(),
        }
    }
}

impl From<&FileRecord> for IndexRecord {
    fn from(record: &FileRecord) -> IndexRecord {
        match &record.state {
            FileState::Indexed { language, chunks } => IndexRecord::Indexed {
                language: language.name().to_owned(),
                content_hash: record.content.map(|hash| hash.to_string()),
                chunks: chunks.len(),
            },
            FileState::Skipped(reason) => IndexRecord::Skipped { reason: reason.name().to_owned() },
        }
    }
}

impl From<&index::ExplainedChunk> for ExplainedChunk {
    fn from(chunk: &index::ExplainedChunk) -> ExplainedChunk {
        ExplainedChunk {
            start_line: chunk.lines.0,
            end_line: chunk.lines.1,
            kind: chunk.kind.clone(),
            symbol: chunk.symbol.clone(),
            vectors: by_leg(|leg| chunk.vectors[leg.index()]),
        }
    }
}
