//! `indexer db grant`.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};

use super::name;
use crate::cli::error::CliError;
use crate::cli::{EXIT_OK, output};
use crate::engine::Engine;
use crate::tenant::MachineOwner;
use crate::wire::{Claims, Grant as Wire};

/// Print the claims of a token with which a Qdrant server lets its bearer into this database alone.
///
/// Sign them (HS256, with the server's API key, jwt_rbac on) and give the token to whoever works
/// on the database: a second wall behind the program's own. Names in it match exactly, an alias
/// is another name, and a token without an access claim may do everything; so it has to be made
/// anew when a collection was added, and it cannot create or drop one.
#[derive(Args)]
pub(super) struct Grant {
    /// The database's name, as `indexer db list` prints it.
    name: String,
    /// What the bearer may do.
    #[arg(long, default_value = "write")]
    role: Access,
    /// Days until it expires.
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3650))]
    days: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Access {
    /// Search and read.
    Read,
    /// Also change points.
    Write,
}

impl Grant {
    pub(super) fn run(&self, engine: &Engine, owner: &MachineOwner) -> Result<u8, CliError> {
        let name = name(&self.name)?;
        let Some(server) = engine.server(owner) else {
            return Err(CliError::usage("the store is embedded: its files have no tokens").with_hint(
                "store.provider = \"qdrant\" has; the data directory is kept by its permissions",
            ));
        };
        engine.catalogue(owner).open(&name)?;
        let access = match self.role {
            Access::Read => "r",
            Access::Write => "rw",
        };
        let own = server.physical_collections_of(&name)?;
        let own = own.into_iter().map(|collection| Wire { collection, access: access.to_owned() });
        // Read before each change, to see whose the database is. It names the other databases too.
        let registry = Wire { collection: server.registry(), access: "r".to_owned() };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        output::write_json(&Claims {
            access: own.chain([registry]).collect(),
            exp: now + self.days * 86_400,
        })?;
        Ok(EXIT_OK)
    }
}
