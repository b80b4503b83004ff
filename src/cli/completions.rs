//! `indexer completions`.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::error::CliError;
use super::{Cli, EXIT_OK, output};

/// Print a shell completion script.
///
/// For example: indexer completions bash > ~/.local/share/bash-completion/completions/indexer
#[derive(Args)]
pub(super) struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self) -> Result<u8, CliError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "indexer", &mut script);
        output::write(&String::from_utf8_lossy(&script))?;
        Ok(EXIT_OK)
    }
}
