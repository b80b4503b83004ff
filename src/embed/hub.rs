//! Models from a Hugging Face hub or a local folder: which files they have. A
//! model of the hub is downloaded here and nowhere else; the commit and every
//! file's SHA-256 are recorded, because the hub's own branch may move.

use std::path::{Path, PathBuf};

use fastembed::{EmbeddingModel, OutputKey, TextEmbedding};
use hf_hub::api::sync::ApiBuilder;
use hf_hub::{Cache, Repo, RepoType};

use super::files::{LockedFile, ModelLock, Pooling, Prompts, Role, sha256_of};
use super::install::{InstallError, Progress, io_error};
use super::local::TOKEN_LIMIT;

const ENDPOINT: &str = "https://huggingface.co";

/// Where sentence-transformers keeps prompts.
const PROMPTS: &str = "config_sentence_transformers.json";

/// The files beside the graph that fastembed's models have.
const TOKENIZER_FILES: [(&str, Role); 4] = [
    ("tokenizer.json", Role::Tokenizer),
    ("config.json", Role::Config),
    ("special_tokens_map.json", Role::SpecialTokens),
    ("tokenizer_config.json", Role::TokenizerConfig),
];

/// Downloads fastembed's model `name` below `root` and describes it. Where it was
/// installed before, as `previous` says, only what is damaged is had again, from
/// the same commit.
pub(super) fn download(
    root: &Path,
    name: &str,
    endpoint: Option<&str>,
    previous: Option<&ModelLock>,
    progress: &mut dyn FnMut(Progress),
) -> Result<ModelLock, InstallError> {
    let model: EmbeddingModel = name.parse().map_err(|_| {
        let known = TextEmbedding::list_supported_models();
        let known: Vec<_> = known.iter().map(|info| format!("{:?}", info.model)).collect();
        InstallError::UnknownModel { model: name.to_owned(), known: known.join(", ") }
    })?;
    let endpoint = endpoint.unwrap_or(ENDPOINT);
    let failed = |file: &str, reason: String| InstallError::Hub {
        model: name.to_owned(),
        file: file.to_owned(),
        endpoint: endpoint.to_owned(),
        reason,
    };
    let info = TextEmbedding::get_model_info(&model).map_err(|error| failed("model", error.to_string()))?;
    let folder = root.join("hub");
    // The cache's folder is always ours: by default it would be the user's, or
    // wherever HF_HOME points.
    let api = ApiBuilder::from_cache(Cache::new(folder.clone()))
        .with_endpoint(endpoint.to_owned())
        .with_progress(false)
        .with_retries(2)
        .build()
        .map_err(|error| failed("model", error.to_string()))?;
    let mut revision = "main".to_owned();
    if let Some(previous) = previous {
        revision.clone_from(&previous.revision);
        remove_damaged(&folder, previous)?;
    }
    let mut wanted = vec![(info.model_file.as_str(), Role::Graph)];
    wanted.extend(info.additional_files.iter().map(|file| (file.as_str(), Role::Weights)));
    wanted.extend(TOKENIZER_FILES);
    let mut files = Vec::new();
    for (file, role) in wanted {
        progress(Progress::DownloadingFile { model: info.model_code.clone(), file: file.to_owned() });
        let repo = Repo::with_revision(info.model_code.clone(), RepoType::Model, revision.clone());
        let path = api.repo(repo).get(file).map_err(|error| failed(file, error.to_string()))?;
        if revision == "main" {
            // All other files come from the commit the first one came from.
            revision = commit_of(&path)
                .ok_or_else(|| failed(file, format!("{} is in no snapshot", path.display())))?;
        }
        files.push(describe(&folder, &path, role)?);
    }
    let limit = length_limit(&folder, &files);
    Ok(ModelLock {
        dimension: info.dim,
        pooling: match TextEmbedding::get_default_pooling_method(&model) {
            Some(fastembed::Pooling::Mean) => Pooling::Mean,
            Some(fastembed::Pooling::Cls) | None => Pooling::Cls,
        },
        max_tokens: limit,
        base: Some(folder),
        output: match &info.output_key {
            Some(OutputKey::ByName(name)) => Some((*name).to_owned()),
            _ => None,
        },
        prompts: known_prompts(&model),
        files,
        ..ModelLock::new(&info.model_code, &revision)
    })
}

/// What fastembed's models were trained to see before a text, as their model cards say it;
/// fastembed gives them each text as it is.
fn known_prompts(model: &EmbeddingModel) -> Prompts {
    use EmbeddingModel as M;
    let (query, document) = match model {
        M::MultilingualE5Small | M::MultilingualE5Base | M::MultilingualE5Large => ("query: ", "passage: "),
        M::NomicEmbedTextV1 | M::NomicEmbedTextV15 | M::NomicEmbedTextV15Q | M::ModernBertEmbedLarge => {
            ("search_query: ", "search_document: ")
        }
        M::EmbeddingGemma300M | M::EmbeddingGemma300MQ4 | M::EmbeddingGemma300MQ => {
            ("task: code retrieval | query: ", "title: none | text: ")
        }
        M::BGESmallENV15
        | M::BGESmallENV15Q
        | M::BGEBaseENV15
        | M::BGEBaseENV15Q
        | M::BGELargeENV15
        | M::BGELargeENV15Q
        | M::MxbaiEmbedLargeV1
        | M::MxbaiEmbedLargeV1Q
        | M::SnowflakeArcticEmbedXS
        | M::SnowflakeArcticEmbedXSQ
        | M::SnowflakeArcticEmbedS
        | M::SnowflakeArcticEmbedSQ
        | M::SnowflakeArcticEmbedM
        | M::SnowflakeArcticEmbedMQ
        | M::SnowflakeArcticEmbedMLong
        | M::SnowflakeArcticEmbedMLongQ
        | M::SnowflakeArcticEmbedL
        | M::SnowflakeArcticEmbedLQ => ("Represent this sentence for searching relevant passages: ", ""),
        M::BGESmallZHV15 | M::BGELargeZHV15 => ("为这个句子生成表示以用于检索相关文章：", ""),
        _ => ("", ""),
    };
    Prompts { query: query.to_owned(), document: document.to_owned() }
}

/// Removes files that are not what `lock` says, from the cache of the client,
/// which would take them for good.
fn remove_damaged(folder: &Path, lock: &ModelLock) -> Result<(), InstallError> {
    for file in &lock.files {
        let link = folder.join(&file.path);
        // The client keeps contents apart and links to them.
        let Ok(content) = std::fs::canonicalize(&link) else { continue };
        if !sha256_of(&content).is_ok_and(|found| found == file.sha256) {
            for path in [&content, &link] {
                match std::fs::remove_file(path) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(io_error(path, error));
                    }
                    _ => {}
                }
            }
        }
    }
    Ok(())
}

/// The commit of `…/snapshots/<commit>/<file>`.
fn commit_of(path: &Path) -> Option<String> {
    let mut parts = path.components().map(|part| part.as_os_str().to_string_lossy());
    parts.find(|part| part == "snapshots")?;
    parts.next().map(|commit| commit.into_owned())
}

/// Describes the model in `folder`.
pub(super) fn inspect_folder(folder: &Path, pooling: Option<Pooling>) -> Result<ModelLock, InstallError> {
    let failed = |reason: String| InstallError::Local { folder: folder.to_owned(), reason };
    let folder = std::fs::canonicalize(folder).map_err(|error| failed(error.to_string()))?;
    let mut files = Vec::new();
    let mut wanted = vec![("model.onnx", Role::Graph)];
    wanted.extend(TOKENIZER_FILES);
    wanted.push((PROMPTS, Role::Prompts));
    wanted.extend([("model.onnx_data", Role::Weights), ("model.onnx.data", Role::Weights)]);
    for (name, role) in wanted {
        let path = folder.join(name);
        if path.is_file() {
            files.push(describe(&folder, &path, role)?);
        } else if matches!(role, Role::Graph | Role::Tokenizer) {
            return Err(failed(format!("it has no {name}")));
        }
    }
    let pooling = match pooling {
        Some(pooling) => pooling,
        None => declared_pooling(&folder.join("1_Pooling/config.json")),
    };
    let name = folder.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let max_tokens = length_limit(&folder, &files);
    let prompts = declared_prompts(&folder.join(PROMPTS)).map_err(failed)?;
    Ok(ModelLock {
        pooling,
        max_tokens,
        prompts,
        base: Some(folder),
        files,
        ..ModelLock::new(&name, "local")
    })
}

fn describe(base: &Path, path: &Path, role: Role) -> Result<LockedFile, InstallError> {
    let metadata = std::fs::metadata(path).map_err(|error| io_error(path, error))?;
    Ok(LockedFile {
        role,
        path: path.strip_prefix(base).map_or_else(|_| path.to_owned(), PathBuf::from),
        bytes: metadata.len(),
        sha256: sha256_of(path).map_err(|error| io_error(path, error))?,
    })
}

/// The longest text the model says it takes, at most [`TOKEN_LIMIT`].
fn length_limit(base: &Path, files: &[LockedFile]) -> usize {
    let stated = |role: Role, key: &str| {
        let file = files.iter().find(|file| file.role == role)?;
        let content = std::fs::read(base.join(&file.path)).ok()?;
        let json: serde_json::Value = serde_json::from_slice(&content).ok()?;
        // Some models state 1e30 for no limit.
        let limit = json[key].as_f64().filter(|limit| *limit >= 1.0)?;
        Some(limit.min(TOKEN_LIMIT as f64) as usize)
    };
    [stated(Role::TokenizerConfig, "model_max_length"), stated(Role::Config, "max_position_embeddings")]
        .into_iter()
        .flatten()
        .fold(TOKEN_LIMIT, usize::min)
}

/// Pooling as sentence-transformers writes it; the mean where it says nothing.
fn declared_pooling(path: &Path) -> Pooling {
    let content = std::fs::read(path).unwrap_or_default();
    let json: serde_json::Value = serde_json::from_slice(&content).unwrap_or_default();
    if json["pooling_mode_cls_token"] == true { Pooling::Cls } else { Pooling::Mean }
}

/// Prompts as sentence-transformers writes them, where the file exists: of the query, and of what
/// is called a document or a passage.
fn declared_prompts(path: &Path) -> Result<Prompts, String> {
    let content = match std::fs::read(path) {
        Ok(content) => content,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Prompts::default()),
        Err(error) => return Err(format!("{PROMPTS}: {error}")),
    };
    let json: serde_json::Value =
        serde_json::from_slice(&content).map_err(|error| format!("{PROMPTS}: {error}"))?;
    let prompt = |names: &[&str]| {
        let mut given = names.iter().filter_map(|name| json["prompts"][name].as_str());
        given.find(|prompt| !prompt.is_empty()).unwrap_or_default().to_owned()
    };
    Ok(Prompts { query: prompt(&["query"]), document: prompt(&["document", "passage"]) })
}

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
