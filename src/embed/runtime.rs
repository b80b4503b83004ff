//! ONNX Runtime, opened by path once for the process. Must not search for a
//! library: which one is used is decided by the caller, and a wrong one is an
//! error, where ort and fastembed on their own would panic.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;

use super::EmbedError;

static LOADED: Mutex<Option<(PathBuf, Environment)>> = Mutex::new(None);

/// The process's ONNX Runtime environment, loaded from `library` if it is the first.
pub(super) fn environment(library: &Path) -> Result<Environment, EmbedError> {
    let failed = |reason: String| EmbedError::Runtime { path: library.to_owned(), reason: one_line(&reason) };
    let asked = match std::fs::canonicalize(library) {
        Ok(path) => path,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(EmbedError::NotInstalled {
                what: "ONNX Runtime".to_owned(),
                path: library.to_owned(),
            });
        }
        Err(error) => return Err(failed(error.to_string())),
    };
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((path, environment)) = loaded.as_ref() {
        if *path == asked {
            return Ok(environment.clone());
        }
        return Err(EmbedError::OtherRuntime { loaded: path.clone(), asked });
    }
    let environment = ort::init_from(&asked)
        .map_err(|error| failed(error.to_string()))?
        .with_name("contextd-indexer")
        .with_telemetry(false)
        .build()
        .map_err(|error| failed(error.to_string()))?;
    *loaded = Some((asked, environment.clone()));
    Ok(environment)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
