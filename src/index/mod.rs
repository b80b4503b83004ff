//! The index of a worktree: one run brings it to what is on disk, lexical first,
//! then dense.
//!
//! The only module that sees the whole pipeline. It must not know who asks, nor
//! print; it reports through [`Progress`] and [`Outcome`].
//!
//! A run: list the files, compare with the manifest, look at what differs, commit
//! points and records together, then fill the vectors that are missing. It can end
//! anywhere: the manifest only ever advances in the same commit as the points that
//! it speaks of, and vectors are looked for by content, so the next run goes on
//! from whatever was committed.

mod dense;
mod freshness;
mod outcome;
mod prepare;
mod run;
mod state;
#[cfg(test)]
mod tests;
mod verify;

use std::ops::ControlFlow;

use crate::embed::{EmbedError, TokenCounter};
use crate::git::{GitError, Head, Listing};
use crate::id::Fingerprint;
use crate::store::StoreError;
use crate::tenant::TenantError;

pub use dense::{LoadModel, Scope, Vectors};
pub use freshness::Freshness;
pub use outcome::{ByteCounts, ChunkCounts, FileCounts, FullReason, Outcome, Timing, VectorCounts};
pub use run::{Indexer, Run};
pub use state::{FORMAT_VERSION, IndexState, Replacement};
pub use verify::{Difference, ExplainedChunk, Explanation, Verification};

/// What an index is a function of, besides the files.
pub struct Options {
    /// Files over this many bytes are skipped.
    pub max_file_bytes: u64,
    /// Token budget of a chunk.
    pub max_chunk_tokens: usize,
    /// Tokenizer of the text model.
    pub tokens: TokenCounter,
    /// Digest of that tokenizer.
    pub tokenizer: String,
    /// The dense legs, in the order of [`crate::embed::Leg::ALL`].
    pub legs: [Option<LegOptions>; 2],
    /// Threads that read and parse.
    pub threads: usize,
}

/// A dense leg, as far as it decides what an index is.
pub struct LegOptions {
    /// Model and wording: what makes vectors of the leg comparable.
    pub fingerprint: Fingerprint,
    /// The model alone: the embedding cache's first key.
    pub model: Fingerprint,
    /// Components of a vector.
    pub dimension: usize,
    /// The longest text that is embedded, in its own tokens.
    pub max_tokens: usize,
    /// Digest of what decides which texts it is given: wording, limit and tokenizer.
    pub texts: String,
    /// Its tokenizer.
    pub tokens: TokenCounter,
}

impl LegOptions {
    /// Whether `text` may be embedded whole.
    pub(crate) fn fits(&self, text: &str) -> bool {
        self.tokens.count(text) <= self.max_tokens
    }
}

/// What a run is doing. Whoever observes it may end the run at any of these points with
/// [`ControlFlow::Break`]: what was done so far is committed, and a later run goes on.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// Listing the worktree's files.
    Listing,
    /// The files were listed. Ended here, the run has not opened the collection.
    Listed {
        /// HEAD.
        head: &'a Head,
        /// The files.
        listing: &'a Listing,
    },
    /// Looking at changed files.
    Files {
        /// Files looked at.
        done: u64,
        /// Files to look at.
        total: u64,
    },
    /// The lexical index is committed: searches see the new state.
    Searchable,
    /// Computing vectors.
    Vectors {
        /// Vectors present or computed.
        done: u64,
        /// Vectors needed.
        total: u64,
    },
}

/// Told what a run is doing; says whether it goes on.
pub type Observe<'a> = &'a mut dyn FnMut(Progress<'_>) -> ControlFlow<()>;

/// A run could not be done. Messages name the subject and the way out.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// Git could not be read.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database could not be had.
    #[error(transparent)]
    Tenant(#[from] TenantError),
    /// A model failed.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// There is nothing to verify or explain yet.
    #[error("{0} is not indexed: run `indexer once` there first")]
    NotIndexed(String),
}
