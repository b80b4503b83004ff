//! From a query to hits: legs, fusion, ranking, and the check of every hit
//! against the disk.
//!
//! Order: [`query`] says what is asked; the store answers one probe a leg;
//! [`fusion`] merges them; [`ranking`] applies the rules; [`verification`] lets
//! pass only what the disk still says; [`snippet`] picks the lines shown. [`exact`] and
//! [`outline`] answer from the disk alone.
//! Must not print, must not know how a store keeps its points, and returns no
//! text that was not compared with the bytes on disk.

use std::ops::Range;
use std::time::Duration;

use crate::embed::{EmbedError, Leg};
use crate::id::PointId;
use crate::language::Language;
use crate::path::RepoPath;
use crate::store::{Filter, StoreError};

pub mod copies;
pub mod exact;
pub mod fusion;
pub mod kind;
pub mod location;
pub mod naming;
pub mod outline;
pub mod query;
pub mod ranking;
pub mod related;
pub mod relation;
mod restriction;
mod searcher;
pub mod snippet;
pub mod syntax;
pub mod usage;
mod value;
pub mod verification;

pub use kind::QueryKind;
pub use query::{MAX_QUERY_BYTES, Query};
pub use ranking::{Reason, Weights};
pub use searcher::{Place, QueryModel, Searcher};
pub use snippet::Snippet;

/// Which legs answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// All there are. A dense leg that cannot answer is left out, and the answer says so.
    #[default]
    Hybrid,
    /// BM25 and names only.
    Lexical,
    /// Dense legs only. None that can answer is an error.
    Dense,
}

impl Mode {
    /// Stable name, as on the command line and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Hybrid => "hybrid",
            Mode::Lexical => "lexical",
            Mode::Dense => "dense",
        }
    }

    /// The mode with this stable name.
    pub fn from_name(name: &str) -> Option<Mode> {
        [Mode::Hybrid, Mode::Lexical, Mode::Dense].into_iter().find(|mode| mode.name() == name)
    }
}

/// A question to a collection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// What is looked for: a name, a question, a change request, an error message.
    pub query: String,
    /// The most hits returned.
    pub limit: usize,
    /// Legs asked.
    pub mode: Mode,
    /// Restrictions, applied before the limit.
    pub filter: Filter,
}

/// A place in the worktree, checked against the disk at the time of the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// Which of the places searched it is in.
    pub place: usize,
    /// Point id.
    pub id: PointId,
    /// Path in the worktree.
    pub path: RepoPath,
    /// First and last line now, from 1, both included.
    pub lines: (u32, u32),
    /// Byte range now.
    pub bytes: Range<u32>,
    /// Language.
    pub language: Language,
    /// Kind of symbol or text.
    pub kind: String,
    /// Symbol name as written.
    pub symbol: Option<String>,
    /// Enclosing symbols.
    pub container: Option<String>,
    /// Signature on one line.
    pub signature: Option<String>,
    /// Score, comparable within one answer only; higher is better.
    pub score: f32,
    /// Rank from 1 in each leg that found it.
    pub legs: Vec<(LegName, u32)>,
    /// Score of the legs together, 0..=1, before the rules.
    pub fused: f32,
    /// What each rule added to that; negative where it took.
    pub boosts: Vec<(Reason, f32)>,
    /// Rules that moved it.
    pub reasons: Vec<Reason>,
    /// Whether the text had moved in its file since it was indexed; lines and
    /// bytes are those of now.
    pub repaired: bool,
    /// Best lines for the query.
    pub snippet: Snippet,
    /// The whole chunk, redacted.
    pub text: String,
}

/// What found a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LegName {
    /// BM25 over code terms.
    Lexical,
    /// A dense leg.
    Dense(Leg),
    /// Names of the query as symbols.
    Symbol,
    /// Files of the query.
    Path,
}

impl LegName {
    /// All of them.
    pub const ALL: [LegName; 5] = [
        LegName::Lexical,
        LegName::Dense(Leg::Text),
        LegName::Dense(Leg::Code),
        LegName::Symbol,
        LegName::Path,
    ];

    /// Stable name.
    pub fn name(self) -> &'static str {
        match self {
            LegName::Lexical => "lexical",
            LegName::Dense(leg) => leg.name(),
            LegName::Symbol => "symbol",
            LegName::Path => "path",
        }
    }
}

/// What became of a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LegState {
    /// It answered with this many candidates.
    Searched {
        /// Candidates found.
        candidates: usize,
    },
    /// It was not asked, or the collection has no such leg.
    Off,
    /// It could not answer; the text says why and what mends it.
    Unavailable(String),
}

/// How many of the collection's points a dense leg can find.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Distinct vectors present.
    pub vectors: u64,
    /// Live points of the collection. Points of equal text share a vector, and
    /// texts over the model's limit have none, so full coverage may be below it.
    pub points: u64,
}

/// Wall-clock time by step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// Embedding the query.
    pub embed: Duration,
    /// The store's answer to all probes.
    pub retrieve: Duration,
    /// Fusion and rules.
    pub rank: Duration,
    /// Checking against the disk, and snippets.
    pub verify: Duration,
}

/// What was found, and how far it can be relied on.
#[derive(Debug)]
pub struct Answer {
    /// Kind that the query was taken for.
    pub kind: QueryKind,
    /// Terms as written, and the spellings that they were taken for.
    pub respelled: Vec<(String, String)>,
    /// Hits, best first.
    pub hits: Vec<Hit>,
    /// Candidates that the disk no longer confirms; they were left out.
    pub dropped: u32,
    /// Hits whose text had moved in its file; they are shown where it is now.
    pub repaired: u32,
    /// How each of the places was searched, or why it was not.
    pub places: Vec<Result<PlaceReport, SearchError>>,
    /// Times.
    pub timing: Timing,
}

impl Answer {
    /// The same; where no place could be searched, the first one's error instead.
    pub fn or_error(mut self) -> Result<Answer, SearchError> {
        match self.places.iter().all(Result::is_err) {
            true if !self.places.is_empty() => self.places.swap_remove(0).map(|_| self),
            _ => Ok(self),
        }
    }
}

/// How one place was searched.
#[derive(Clone, Debug, PartialEq)]
pub struct PlaceReport {
    /// What became of each leg.
    pub legs: Vec<(LegName, LegState)>,
    /// Coverage of each dense leg, in the order of [`Leg::ALL`]; `None` where the
    /// collection has no such leg, and in lexical mode.
    pub dense: [Option<Coverage>; 2],
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// Nothing to look for.
    #[error("the query is empty: give a name, a question or an error message")]
    EmptyQuery,
    /// An operator of the query has a value that is not known.
    #[error(transparent)]
    Operator(#[from] syntax::UnknownLanguage),
    /// Dense search was asked for, and no dense leg can answer.
    #[error(
        "dense search is not possible: {reason}; use `--mode hybrid` or `--mode lexical` to search without it"
    )]
    NoDense {
        /// Why each leg cannot answer.
        reason: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The query could not be embedded.
    #[error("the query could not be embedded by the {leg} leg's model: {source}")]
    Embed {
        /// The leg.
        leg: Leg,
        /// Why.
        source: EmbedError,
    },
}
