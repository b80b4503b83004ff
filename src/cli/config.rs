//! `indexer config`.

use clap::Args;

use super::error::CliError;
use super::{EXIT_OK, output};
use crate::config::{DEFAULTS, ENVIRONMENT, Flags};

/// Print every setting with its default, or check the configuration.
#[derive(Args)]
pub(super) struct Config {
    /// Read the configuration and report what is wrong with it, if anything.
    #[arg(long)]
    check: bool,
}

impl Config {
    pub(super) fn run(&self, flags: &Flags) -> Result<u8, CliError> {
        if self.check {
            let settings = crate::config::load(flags)?;
            output::write(&format!(
                "configuration is valid\ndata_dir   {}\nmodel_dir  {}\n",
                settings.data_dir.display(),
                settings.embed.model_dir.display()
            ))?;
            return Ok(EXIT_OK);
        }
        output::write(DEFAULTS)?;
        output::write("\n# Environment variables:\n")?;
        for (name, meaning) in ENVIRONMENT {
            output::write(&format!("#   {name}: {meaning}\n"))?;
        }
        Ok(EXIT_OK)
    }
}
