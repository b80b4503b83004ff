//! `indexer db`: databases and collections, as the person sees them whose machine it is.

mod change;
mod describe;
mod grant;

use clap::{Args, Subcommand, ValueEnum};

use super::error::CliError;
use super::registry::shown;
use super::{EXIT_NOTHING, EXIT_OK, output};
use crate::engine::Engine;
use crate::id::DatabaseName;
use crate::store::DatabaseKind;
use crate::tenant::MachineOwner;
use crate::wire;

/// Look at the databases of this machine, create and delete them.
///
/// Each project has a database of its own, for the code of its worktrees and for checkpoints;
/// `shared` holds what all projects of the machine share; on a server each organisation has one.
#[derive(Args)]
pub(super) struct Db {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    List(List),
    Describe(describe::Describe),
    Stats(describe::Stats),
    Create(change::Create),
    Delete(change::Delete),
    Grant(grant::Grant),
}

impl Db {
    pub(super) fn run(&self, engine: &Engine) -> Result<u8, CliError> {
        let owner = MachineOwner::at_the_command_line();
        match &self.command {
            Command::List(command) => command.run(engine, &owner),
            Command::Describe(command) => command.run(engine, &owner),
            Command::Stats(command) => command.run(engine, &owner),
            Command::Create(command) => command.run(engine, &owner),
            Command::Delete(command) => command.run(engine, &owner),
            Command::Grant(command) => command.run(engine, &owner),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Of one project of this machine.
    Project,
    /// Of all projects of this machine.
    Shared,
    /// Of an organisation.
    Organisation,
}

impl From<Kind> for DatabaseKind {
    fn from(kind: Kind) -> DatabaseKind {
        match kind {
            Kind::Project => DatabaseKind::Project,
            Kind::Shared => DatabaseKind::Shared,
            Kind::Organisation => DatabaseKind::Organisation,
        }
    }
}

/// List the databases with their projects and sizes.
///
/// Exit code 1 where there is none.
#[derive(Args)]
struct List {
    /// Only those of this type.
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<Kind>,
    /// Print the list as one JSON document.
    #[arg(long)]
    json: bool,
}

impl List {
    fn run(&self, engine: &Engine, owner: &MachineOwner) -> Result<u8, CliError> {
        let catalogue = engine.catalogue(owner);
        let mut found = wire::Databases::default();
        for name in catalogue.names()? {
            match catalogue.open(&name) {
                Ok(database) if self.kind.is_none_or(|kind| database.kind() == kind.into()) => {
                    found.databases.push(wire::Database::of(&database)?);
                }
                Ok(_) => {}
                Err(error) => found.problems.push(format!("database {name}: {error}")),
            }
        }
        let code = if found.databases.is_empty() { EXIT_NOTHING } else { EXIT_OK };
        if self.json {
            output::write_json(&found)?;
            return Ok(code);
        }
        for database in &found.databases {
            let project = database.project.as_ref().map(|place| shown(&place.to_path()));
            let bytes: u64 =
                database.collections.iter().flat_map(|collection| collection.bytes.values()).sum();
            let points: u64 = database.collections.iter().map(|collection| collection.points).sum();
            output::write(&format!(
                "{:<24}  {:<12}  {:>2} collections  {points:>8} points  {:>9}  {}\n",
                database.name,
                database.kind,
                database.collections.len(),
                output::size(bytes),
                project.as_deref().unwrap_or("-"),
            ))?;
        }
        for problem in &found.problems {
            output::note(&format!("warning: {problem}"));
        }
        if found.databases.is_empty() {
            output::note("there is no such database yet; `indexer once` makes one for its project");
        }
        Ok(code)
    }
}

/// The name of a database as it was typed.
fn name(text: &str) -> Result<DatabaseName, CliError> {
    DatabaseName::new(text)
        .map_err(|error| CliError::from(error).with_hint("`indexer db list` names those that there are"))
}
