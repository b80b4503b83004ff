//! `indexer doctor`: looks at everything that indexing and searching need, and changes
//! nothing of it.
//!
//! | File | Checks |
//! |---|---|
//! | `system` | git, the limits of inotify |
//! | `disk` | file systems: space, network |
//! | `state` | data directory, collections, embedding cache, registry |
//! | `daemon` | service, daemon |

mod daemon;
mod disk;
mod state;
mod system;

use std::path::Path;
use std::sync::Arc;

use clap::Args;

use super::error::CliError;
use super::{EXIT_NOTHING, EXIT_OK, output};
use crate::config::{Flags, Settings, TraceSettings};
use crate::embed;
use crate::engine::{Engine, EngineError, Workspace, model_options};
use crate::git::GitError;
use crate::wire::{Check, Diagnosis, Freshness, Health};

/// Check everything that is needed, and say what helps.
///
/// Changes nothing. Exit code 1 means that a check failed; warnings alone are 0.
#[derive(Args)]
pub(super) struct Doctor {
    /// Print the result as one JSON document.
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(super) fn run(&self, flags: &Flags, verbose: u8) -> Result<u8, CliError> {
        let mut checks = vec![system::git(), system::inotify()];
        match settings(flags, verbose).and_then(|settings| Ok(Engine::new(settings)?)) {
            Ok(engine) => {
                let engine = Arc::new(engine);
                checks.push(Check::ok("configuration", "valid"));
                checks.extend(model(engine.settings()));
                checks.extend(repository(&engine, Path::new(".")));
                checks.extend(state::data_dir(engine.settings()));
                checks.extend(state::collections(&engine));
                checks.push(state::cache(&engine));
                checks.extend(state::registry(engine.settings()));
                checks.push(daemon::service(engine.settings(), flags));
                checks.push(daemon::daemon(&engine.settings().data_dir));
            }
            Err(error) => checks.push(Check::failure("configuration", error.to_string())),
        }
        let status = checks.iter().map(|check| check.status).max().unwrap_or(Health::Ok);
        if self.json {
            output::write_json(&Diagnosis { status, checks })?;
        } else {
            checks.iter().try_for_each(|check| output::write(&line(check)))?;
        }
        Ok(if status == Health::Failure { EXIT_NOTHING } else { EXIT_OK })
    }
}

fn settings(flags: &Flags, verbose: u8) -> Result<Settings, CliError> {
    let settings = crate::config::load(flags)?;
    // A look at the machine is nothing that a collector waits for.
    crate::telemetry::init(&settings.log, &TraceSettings::default(), verbose).map_err(CliError::usage)?;
    Ok(settings)
}

fn line(check: &Check) -> String {
    let status = match check.status {
        Health::Ok => "ok",
        Health::Warning => "warning",
        Health::Failure => "FAILURE",
    };
    // An error may have several lines.
    let found: Vec<String> = check.found.lines().map(output::printable).collect();
    let mut text = format!("{status:<8} {:<14} {}\n", check.check, found.join("; "));
    if let Some(remedy) = &check.remedy {
        text.push_str(&format!("{:<24}-> {remedy}\n", ""));
    }
    text
}

/// Every configured model with its runtime, by their bytes and by use.
fn model(settings: &Settings) -> Vec<Check> {
    let embed = &settings.embed;
    let models = std::iter::once(&embed.text).chain(&embed.code).map(|model| {
        let status = embed::status(&model_options(embed, model));
        match (status.model, status.runtime, status.check) {
            (Ok(_), Ok(_), Ok(fingerprint)) => Check::ok("model", fingerprint.to_string()),
            (Err(error), _, _) | (_, Err(error), _) | (_, _, Err(error)) => {
                Check::failure("model", error.to_string()).remedy("indexer model install")
            }
        }
    });
    models.collect()
}

/// The repository that `path` is in: can git read it, is it indexed, where does it lie?
fn repository(engine: &Arc<Engine>, path: &Path) -> Vec<Check> {
    const NAME: &str = "repository";
    let workspace = match engine.open(path) {
        Ok(workspace) => workspace,
        Err(EngineError::Git(GitError::NotARepository { .. } | GitError::Bare { .. })) => {
            return vec![Check::ok(NAME, "not in a worktree here, so none is looked at")];
        }
        Err(error) => return vec![Check::failure(NAME, error.to_string())],
    };
    let worktree = workspace.worktree();
    let mut checks = vec![match (worktree.head(), worktree.list()) {
        (Err(error), _) | (_, Err(error)) => Check::failure(NAME, error.to_string()),
        (Ok(_), Ok(listing)) if listing.unreadable.is_empty() => {
            Check::ok(NAME, format!("{}: {} files", workspace.root(), listing.entries.len()))
        }
        (Ok(_), Ok(listing)) => {
            let (first, why) = &listing.unreadable[0];
            let found = format!(
                "{} directories cannot be read, the first is {first}: {why}",
                listing.unreadable.len()
            );
            Check::warning(NAME, found).remedy("make them readable, or list them in .gitignore")
        }
    }];
    checks.push(index(&workspace));
    checks.extend(disk::remote(
        "repository",
        workspace.root().as_path(),
        "its changes are found by the poll alone",
    ));
    checks
}

fn index(workspace: &Workspace) -> Check {
    const NAME: &str = "index";
    match workspace.freshness() {
        Ok(Some(freshness)) if freshness.is_fresh() => {
            Check::ok(NAME, Freshness::from(&freshness).sentence())
        }
        Ok(Some(freshness)) => {
            Check::warning(NAME, Freshness::from(&freshness).sentence()).remedy("indexer once")
        }
        Ok(None) => Check::warning(NAME, "this worktree is not indexed").remedy("indexer once"),
        Err(error) => Check::failure(NAME, error.to_string()),
    }
}
