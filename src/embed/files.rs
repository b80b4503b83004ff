//! The lock file of an installed model: which files it has, their sizes and
//! SHA-256, and how its output is to be read. Must not download or run anything.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::EmbedError;
use crate::id::encode_hex;

/// Version of [`ModelLock`]'s form. 1: the first.
const LOCK_FORMAT: u32 = 1;

/// Name of the lock file in an installed folder.
pub(super) const LOCK_NAME: &str = "lock.json";

/// How a model's token vectors become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// Mean over all tokens.
    Mean,
    /// The first token's.
    Cls,
}

impl Pooling {
    /// Stable name, part of the fingerprint.
    pub fn name(self) -> &'static str {
        match self {
            Pooling::Mean => "mean",
            Pooling::Cls => "cls",
        }
    }
}

/// What a model was trained to see before a text: sentence-transformers' `prompts`, with their
/// final blank. Empty for most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompts {
    /// Before what is searched for.
    pub query: String,
    /// Before what is indexed.
    pub document: String,
}

impl Prompts {
    fn are_none(&self) -> bool {
        *self == Prompts::default()
    }
}

/// What a file of a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The ONNX graph.
    Graph,
    /// Weights beside the graph.
    Weights,
    /// `tokenizer.json`.
    Tokenizer,
    /// `tokenizer_config.json`.
    TokenizerConfig,
    /// `special_tokens_map.json`.
    SpecialTokens,
    /// `config.json`.
    Config,
    /// `config_sentence_transformers.json`.
    Prompts,
    /// A shared library.
    Library,
    /// A licence or notice.
    Licence,
}

/// One file of a model, as it was when it was installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedFile {
    /// What it is for.
    pub role: Role,
    /// Relative to the lock's base folder.
    pub path: PathBuf,
    /// Size.
    pub bytes: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
}

/// An installed model or runtime.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelLock {
    /// Version of this form.
    pub format: u32,
    /// Model name, such as `all-minilm-l6-v2`.
    pub name: String,
    /// Package versions, commit of the hub, or `local`.
    pub revision: String,
    /// Components of a vector; 0 for a runtime.
    pub dimension: usize,
    /// How token vectors become one.
    pub pooling: Pooling,
    /// Most tokens it takes, special ones included.
    pub max_tokens: usize,
    /// Base folder of the files where it is not the lock's own.
    pub base: Option<PathBuf>,
    /// Name of the graph's output to read, where it is not the usual one.
    pub output: Option<String>,
    /// What stands before its texts.
    #[serde(default, skip_serializing_if = "Prompts::are_none")]
    pub prompts: Prompts,
    /// Its files.
    pub files: Vec<LockedFile>,
}

impl ModelLock {
    /// A lock with no files yet.
    pub(super) fn new(name: &str, revision: &str) -> ModelLock {
        ModelLock {
            format: LOCK_FORMAT,
            name: name.to_owned(),
            revision: revision.to_owned(),
            dimension: 0,
            pooling: Pooling::Mean,
            max_tokens: 0,
            base: None,
            output: None,
            prompts: Prompts::default(),
            files: Vec::new(),
        }
    }

    /// Reads the lock at `path`; `what` names the thing in the error.
    pub(super) fn read(path: &Path, what: &str) -> Result<ModelLock, EmbedError> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(EmbedError::NotInstalled { what: what.to_owned(), path: path.to_owned() });
            }
            Err(error) => return Err(damaged(path, error.to_string())),
        };
        let lock: ModelLock =
            serde_json::from_slice(&text).map_err(|error| damaged(path, error.to_string()))?;
        if lock.format != LOCK_FORMAT {
            return Err(damaged(path, format!("its format is {}, not {LOCK_FORMAT}", lock.format)));
        }
        Ok(lock)
    }

    /// The lock as it is written.
    pub(super) fn to_json(&self) -> Vec<u8> {
        // A struct of strings and numbers always serialises.
        let mut json = serde_json::to_vec_pretty(self).unwrap_or_default();
        json.push(b'\n');
        json
    }

    /// Folder the file paths are relative to, for a lock at `path`.
    pub(super) fn base_of(&self, path: &Path) -> PathBuf {
        match &self.base {
            Some(base) => base.clone(),
            None => path.parent().unwrap_or(Path::new("")).to_owned(),
        }
    }

    /// The first file with `role`.
    pub(super) fn file(&self, role: Role) -> Option<&LockedFile> {
        self.files.iter().find(|file| file.role == role)
    }

    /// Every file has its recorded size. Cheap: no content is read.
    pub(super) fn check_sizes(&self, base: &Path) -> Result<(), EmbedError> {
        for file in &self.files {
            let path = base.join(&file.path);
            match std::fs::metadata(&path) {
                Ok(metadata) if metadata.len() == file.bytes => {}
                Ok(metadata) => {
                    let reason = format!("it has {} bytes, not {}", metadata.len(), file.bytes);
                    return Err(damaged(&path, reason));
                }
                Err(error) => return Err(damaged(&path, error.to_string())),
            }
        }
        Ok(())
    }

    /// Every file has its recorded size and SHA-256. Reads everything.
    pub(super) fn check_hashes(&self, base: &Path) -> Result<(), EmbedError> {
        self.check_sizes(base)?;
        for file in &self.files {
            let path = base.join(&file.path);
            let found = sha256_of(&path).map_err(|error| damaged(&path, error.to_string()))?;
            if found != file.sha256 {
                return Err(damaged(&path, format!("its SHA-256 is {found}, not {}", file.sha256)));
            }
        }
        Ok(())
    }
}

pub(super) fn damaged(path: &Path, reason: String) -> EmbedError {
    EmbedError::Damaged { path: path.to_owned(), reason }
}

/// SHA-256 of a file's content, hexadecimal.
pub(super) fn sha256_of(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(encode_hex(&digest.finalize())),
            read => digest.update(&buffer[..read]),
        }
    }
}

/// SHA-256 of `bytes`, hexadecimal.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    encode_hex(&Sha256::digest(bytes))
}
