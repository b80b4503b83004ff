//! An installed model, run on this machine by fastembed over ONNX Runtime. Must
//! not download: what is not installed is an error that says how to install it.

use std::path::{Path, PathBuf};

use fastembed::{
    InitOptionsUserDefined, OutputKey, QuantizationMode, TextEmbedding, TokenizerFiles,
    UserDefinedEmbeddingModel,
};
use half::f16;

use super::files::{ModelLock, Role, damaged, sha256_hex};
use super::install::{model_lock_path, runtime_library};
use super::{EmbedError, Embedder, ModelOptions, TokenCounter, runtime};
use crate::id::Fingerprint;

/// Texts are never embedded beyond this many tokens, whatever a model can read:
/// a vector of more text than that says little about any of it.
pub(super) const TOKEN_LIMIT: usize = 512;

/// Hexadecimal digits of the graph's SHA-256 in a fingerprint.
const FINGERPRINT_DIGITS: usize = 12;
/// The same of what stands before a text.
const PROMPT_DIGITS: usize = 8;

/// A loaded model: one session, used by one thread at a time.
///
/// Texts go through it one by one: a batch saves nothing on a processor, costs
/// padding and memory, and with integer arithmetic makes a vector depend on its
/// neighbours.
pub struct LocalEmbedder {
    model: TextEmbedding,
    counter: TokenCounter,
    lock: ModelLock,
    fingerprint: Fingerprint,
}

impl LocalEmbedder {
    /// Loads the model of `options`: sizes of its files are checked, not their hashes.
    pub fn open(options: &ModelOptions) -> Result<LocalEmbedder, EmbedError> {
        let lock_path = model_lock_path(options);
        let lock = ModelLock::read(&lock_path, "the embedding model")?;
        LocalEmbedder::load(options, &lock_path, lock)
    }

    /// Loads the model that `lock` describes, read from `lock_path` or about to be written there.
    pub(super) fn load(
        options: &ModelOptions,
        lock_path: &Path,
        lock: ModelLock,
    ) -> Result<LocalEmbedder, EmbedError> {
        let environment = runtime::environment(&runtime_library(options)?)?;
        let base = lock.base_of(lock_path);
        lock.check_sizes(&base)?;
        let files = ModelFiles { lock: &lock, base: &base };
        let graph_path = files.path(Role::Graph)?;
        let counter = files.counter()?;
        let mut model = UserDefinedEmbeddingModel::new(files.required(Role::Graph)?, files.tokenizer()?)
            // Batches are of one text, for which fastembed's modes do not differ.
            .with_quantization(QuantizationMode::None)
            .with_pooling(match lock.pooling {
                super::Pooling::Mean => fastembed::Pooling::Mean,
                super::Pooling::Cls => fastembed::Pooling::Cls,
            });
        for file in lock.files.iter().filter(|file| file.role == Role::Weights) {
            let name = file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            model = model.with_external_initializer(name, read(&base.join(&file.path))?);
        }
        model.output_key = lock
            .output
            .as_deref()
            .map(output_key)
            .transpose()
            .map_err(|reason| EmbedError::Model { path: graph_path.clone(), reason })?;
        let init = InitOptionsUserDefined::new()
            .with_environment(environment)
            .with_max_length(lock.max_tokens)
            .with_intra_threads(options.threads.max(1))
            // A thread that spins between texts would keep an idle daemon busy.
            .with_session_config("session.intra_op.allow_spinning", "0");
        let model = TextEmbedding::try_new_from_user_defined(model, init)
            .map_err(|error| EmbedError::Model { path: graph_path, reason: error.to_string() })?;
        let fingerprint = fingerprint(&lock);
        Ok(LocalEmbedder { model, counter, lock, fingerprint })
    }

    /// Its token counter, which can be cloned and used while the model runs.
    pub fn counter(&self) -> &TokenCounter {
        &self.counter
    }

    /// What is installed.
    pub fn lock(&self) -> &ModelLock {
        &self.lock
    }

    /// The vector of `text`, with all that the model is to be given.
    fn vector(&mut self, text: &str) -> Result<Vec<f32>, EmbedError> {
        let (tokens, limit) = (self.counter.count_alone(text), self.max_tokens());
        if tokens > limit {
            return Err(EmbedError::TooLong { tokens, limit });
        }
        let mut vector = self.raw(text, tokens)?;
        let failed = |reason: String| EmbedError::Inference { model: self.lock.name.clone(), tokens, reason };
        if vector.len() != self.lock.dimension {
            return Err(failed(format!("{} components came, not {}", vector.len(), self.lock.dimension)));
        }
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        // A table of tokens has nothing for a text of tokens that it does not know. All such texts
        // are alike, and unlike any other.
        if length == 0.0 {
            vector[0] = 1.0;
            return Ok(vector);
        }
        if !length.is_finite() || length < 0.5 {
            return Err(failed("the vector has no direction".to_owned()));
        }
        for component in &mut vector {
            *component = f16::from_f32(*component / length).to_f32();
        }
        Ok(vector)
    }

    /// The vector as the model gives it, of unit length, not yet rounded.
    pub(super) fn raw(&mut self, text: &str, tokens: usize) -> Result<Vec<f32>, EmbedError> {
        let failed = |reason: String| EmbedError::Inference { model: self.lock.name.clone(), tokens, reason };
        let result = self.model.embed([text], Some(1));
        let mut vectors = result.map_err(|error| failed(error.to_string()))?;
        vectors.pop().ok_or_else(|| failed("it gave no vector".to_owned()))
    }
}

/// The fingerprint of an installed model: name, graph, what stands before a text that is indexed,
/// dimension, pooling, length.
pub(super) fn fingerprint(lock: &ModelLock) -> Fingerprint {
    let graph = lock.file(Role::Graph).map_or("", |file| file.sha256.as_str());
    let graph = graph.get(..FINGERPRINT_DIGITS).unwrap_or(graph);
    let prompt = match lock.prompts.document.as_str() {
        "" => String::new(),
        prompt => format!("+{}", &sha256_hex(prompt.as_bytes())[..PROMPT_DIGITS]),
    };
    let (dimension, pooling, length) = (lock.dimension, lock.pooling.name(), lock.max_tokens);
    Fingerprint(format!("{}@{graph}{prompt};{dimension};{pooling};{length}", lock.name))
}

impl TokenCounter {
    /// The counter of the model of `options`, without loading the model.
    pub fn open(options: &ModelOptions) -> Result<TokenCounter, EmbedError> {
        let lock_path = model_lock_path(options);
        let lock = ModelLock::read(&lock_path, "the embedding model")?;
        let base = lock.base_of(&lock_path);
        ModelFiles { lock: &lock, base: &base }.counter()
    }
}

impl Embedder for LocalEmbedder {
    fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    fn dimension(&self) -> usize {
        self.lock.dimension
    }

    fn max_tokens(&self) -> usize {
        self.lock.max_tokens
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.counter.count(text)
    }

    fn embed(&mut self, text: &str) -> Result<Vec<f32>, EmbedError> {
        let text = [self.lock.prompts.document.as_str(), text].concat();
        self.vector(&text)
    }

    fn embed_query(&mut self, text: &str) -> Result<Vec<f32>, EmbedError> {
        let text = [self.lock.prompts.query.as_str(), text].concat();
        self.vector(&text)
    }
}

/// The files of an installed model.
struct ModelFiles<'a> {
    lock: &'a ModelLock,
    base: &'a Path,
}

impl ModelFiles<'_> {
    fn path(&self, role: Role) -> Result<PathBuf, EmbedError> {
        match self.lock.file(role) {
            Some(file) => Ok(self.base.join(&file.path)),
            None => Err(damaged(self.base, format!("its lock file names no {role:?}"))),
        }
    }

    fn required(&self, role: Role) -> Result<Vec<u8>, EmbedError> {
        read(&self.path(role)?)
    }

    fn counter(&self) -> Result<TokenCounter, EmbedError> {
        let counter = TokenCounter::from_file(&self.path(Role::Tokenizer)?)?;
        Ok(counter.with_prompt(&self.lock.prompts.document))
    }

    fn optional(&self, role: Role) -> Result<Option<Vec<u8>>, EmbedError> {
        self.lock.file(role).map(|file| read(&self.base.join(&file.path))).transpose()
    }

    /// What fastembed wants to know of the tokenizer. The files beside
    /// `tokenizer.json` only matter to padding, which never happens here, so
    /// where a model lacks them, plain ones do.
    fn tokenizer(&self) -> Result<TokenizerFiles, EmbedError> {
        let plain = serde_json::json!({ "model_max_length": self.lock.max_tokens, "pad_token": "[PAD]" });
        let or = |content: Option<Vec<u8>>, plain: &str| content.unwrap_or_else(|| plain.into());
        Ok(TokenizerFiles {
            tokenizer_file: self.required(Role::Tokenizer)?,
            config_file: or(self.optional(Role::Config)?, "{\"pad_token_id\": 0}"),
            special_tokens_map_file: or(self.optional(Role::SpecialTokens)?, "{}"),
            tokenizer_config_file: or(self.optional(Role::TokenizerConfig)?, &plain.to_string()),
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, EmbedError> {
    std::fs::read(path).map_err(|error| damaged(path, error.to_string()))
}

/// fastembed names outputs by static strings; these are the ones its models use.
fn output_key(name: &str) -> Result<OutputKey, String> {
    match name {
        "only" => Ok(OutputKey::OnlyOne),
        "text_embeds" => Ok(OutputKey::ByName("text_embeds")),
        "last_hidden_state" => Ok(OutputKey::ByName("last_hidden_state")),
        "sentence_embedding" => Ok(OutputKey::ByName("sentence_embedding")),
        "token_embeddings" => Ok(OutputKey::ByName("token_embeddings")),
        "pooler_output" => Ok(OutputKey::ByName("pooler_output")),
        other => Err(format!("its output {other:?} is none that is known")),
    }
}
