//! `indexer db create` and `indexer db delete`.

use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;

use clap::Args;

use super::name;
use crate::cli::error::CliError;
use crate::cli::{EXIT_NOTHING, EXIT_OK, output};
use crate::engine::Engine;
use crate::git::Worktree;
use crate::tenant::{MachineOwner, TenantContext};
use crate::wire;

/// Create a database, if it is not there.
///
/// Those of projects, and `shared`, are made when they are first needed; only an
/// organisation's has to be created.
#[derive(Args)]
pub(super) struct Create {
    #[command(flatten)]
    what: What,
    /// Print it as one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct What {
    /// Of the project that this path is in.
    #[arg(long, value_name = "PATH")]
    project: Option<PathBuf>,
    /// What all projects of this machine share.
    #[arg(long)]
    shared: bool,
    /// Of an organisation with this name.
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
}

impl Create {
    pub(super) fn run(&self, engine: &Engine, owner: &MachineOwner) -> Result<u8, CliError> {
        let catalogue = engine.catalogue(owner);
        let database = match (&self.what.project, &self.what.organisation) {
            (Some(path), _) => {
                let worktree = Worktree::discover(path)?;
                catalogue.create_project(&TenantContext::local(worktree.project_path())?)?
            }
            (None, Some(text)) => catalogue.create_organisation(&name(text)?)?,
            (None, None) => catalogue.create_shared()?,
        };
        let described = wire::Database::of(&database)?;
        match self.json {
            true => output::write_json(&described)?,
            false => output::write(&format!("{}\n", described.name))?,
        }
        Ok(EXIT_OK)
    }
}

/// Delete a database with all that is in it: code, checkpoints, remediations.
///
/// Indexes of code are made anew from their worktrees; agents' memory is not. Asks for the
/// name once more, or for --yes where nobody can answer.
#[derive(Args)]
pub(super) struct Delete {
    /// Its name, as `indexer db list` prints it.
    name: String,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

impl Delete {
    pub(super) fn run(&self, engine: &Engine, owner: &MachineOwner) -> Result<u8, CliError> {
        let name = name(&self.name)?;
        let found = wire::Database::of(&engine.catalogue(owner).open(&name)?)?;
        if !self.yes {
            if !io::stdin().is_terminal() {
                return Err(CliError::usage(format!("database {name} was not deleted: nobody confirmed it"))
                    .with_hint("`--yes` does it without asking"));
            }
            let points: u64 = found.collections.iter().map(|collection| collection.points).sum();
            output::note(&format!(
                "{name}: {} collections with {points} points. Type its name to delete it:",
                found.collections.len()
            ));
            let mut answer = String::new();
            let read = io::stdin().lock().read_line(&mut answer);
            if read.is_err() || answer.trim() != name.as_str() {
                output::note("nothing was deleted");
                return Ok(EXIT_NOTHING);
            }
        }
        engine.drop_database(owner, &name)?;
        output::write(&format!("deleted {name}\n"))?;
        Ok(EXIT_OK)
    }
}
