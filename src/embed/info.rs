//! What is known of an installed model without loading it.

use super::files::{ModelLock, Role};
use super::install::model_lock_path;
use super::local::fingerprint;
use super::{EmbedError, ModelOptions, TokenCounter};
use crate::id::Fingerprint;

/// An installed model's numbers and its tokenizer.
pub struct ModelInfo {
    /// What makes its vectors comparable.
    pub fingerprint: Fingerprint,
    /// Components of a vector.
    pub dimension: usize,
    /// The longest text it takes, in its own tokens.
    pub max_tokens: usize,
    /// Counts its tokens.
    pub tokens: TokenCounter,
    /// What its counts are a function of: SHA-256 of its tokenizer file, hexadecimal, and what
    /// stands before each text.
    pub tokenizer: String,
}

impl ModelInfo {
    /// Reads the lock and the tokenizer of the model of `options`.
    pub fn open(options: &ModelOptions) -> Result<ModelInfo, EmbedError> {
        let lock = ModelLock::read(&model_lock_path(options), "the embedding model")?;
        Ok(ModelInfo {
            fingerprint: fingerprint(&lock),
            dimension: lock.dimension,
            max_tokens: lock.max_tokens,
            tokens: TokenCounter::open(options)?,
            tokenizer: lock.file(Role::Tokenizer).map_or_else(String::new, |file| file.sha256.clone())
                + &lock.prompts.document,
        })
    }
}
