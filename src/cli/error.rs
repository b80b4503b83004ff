//! From library errors to a sentence, a hint and the exit code.

use std::fmt;
use std::io;

use crate::config::ConfigError;
use crate::daemon::registry::RegistryError;
use crate::daemon::{ClientError, DaemonError};
use crate::embed::{EmbedError, InstallError};
use crate::engine::EngineError;
use crate::git::GitError;
use crate::id::InvalidName;
use crate::session::TokensError;
use crate::store::StoreError;
use crate::tenant::{CatalogueError, TenantError};
use crate::wire::Failure;

/// An error as a person sees it.
#[derive(Debug)]
pub(super) struct CliError {
    message: String,
    hint: Option<String>,
    broken_pipe: bool,
}

impl CliError {
    /// An error that the words say all about.
    pub(super) fn usage(message: impl Into<String>) -> CliError {
        CliError { message: message.into(), hint: None, broken_pipe: false }
    }

    /// Standard output could not be written.
    pub(super) fn stdout(error: io::Error) -> CliError {
        CliError {
            message: format!("standard output: {error}"),
            hint: None,
            broken_pipe: error.kind() == io::ErrorKind::BrokenPipe,
        }
    }

    /// Adds what to do.
    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> CliError {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    pub(super) fn is_broken_pipe(&self) -> bool {
        self.broken_pipe
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

macro_rules! from_display {
    ($($error:ty),* $(,)?) => { $(impl From<$error> for CliError {
        fn from(error: $error) -> CliError {
            CliError::usage(error.to_string())
        }
    })* };
}

from_display!(
    CatalogueError,
    ConfigError,
    DaemonError,
    EmbedError,
    GitError,
    InstallError,
    InvalidName,
    RegistryError,
    StoreError,
    TenantError,
    TokensError
);

impl From<EngineError> for CliError {
    fn from(error: EngineError) -> CliError {
        CliError { message: error.to_string(), hint: error.hint().map(str::to_owned), broken_pipe: false }
    }
}

impl From<Failure> for CliError {
    fn from(failure: Failure) -> CliError {
        CliError { message: failure.message, hint: failure.hint, broken_pipe: false }
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> CliError {
        let hint = match &error {
            ClientError::Failed(failure) => failure.hint.clone(),
            ClientError::Broken { .. } => Some("`indexer doctor` says how it is".to_owned()),
            _ => None,
        };
        CliError { message: error.to_string(), hint, broken_pipe: false }
    }
}
