//! `indexer db describe` and `indexer db stats`.

use clap::Args;

use super::name;
use crate::cli::error::CliError;
use crate::cli::registry::shown;
use crate::cli::{EXIT_OK, output};
use crate::engine::Engine;
use crate::tenant::MachineOwner;
use crate::wire;

/// Describe a database: whose it is, and the schema of its collections.
#[derive(Args)]
pub(super) struct Describe {
    /// Its name, as `indexer db list` prints it.
    name: String,
    /// Print it as one JSON document.
    #[arg(long)]
    json: bool,
}

impl Describe {
    pub(super) fn run(&self, engine: &Engine, owner: &MachineOwner) -> Result<u8, CliError> {
        let found = wire::Database::of(&engine.catalogue(owner).open(&name(&self.name)?)?)?;
        if self.json {
            output::write_json(&found)?;
            return Ok(EXIT_OK);
        }
        let project = found.project.as_ref().map(|place| shown(&place.to_path()));
        output::write(&format!(
            "{}  {}{}\n",
            found.name,
            found.kind,
            project.map(|project| format!(" of {project}")).unwrap_or_default()
        ))?;
        for collection in &found.collections {
            output::write(&describe(collection))?;
        }
        Ok(EXIT_OK)
    }
}

fn describe(collection: &wire::Collection) -> String {
    let kind = collection.kind.as_deref().unwrap_or("unreadable");
    let mut out = format!("\n{}  {kind}, {} points\n", collection.name, collection.points);
    if let Some(error) = &collection.error {
        out.push_str(&format!("  {}\n", output::printable(error)));
    }
    if let Some(worktree) = &collection.worktree {
        out.push_str(&format!("  of {}\n", shown(&worktree.to_path())));
    }
    for vector in &collection.vectors {
        let dimension = vector.dimension.map_or_else(String::new, |n| format!(" {n} components,"));
        let model = vector.model.as_deref().map(|model| format!(", {model}")).unwrap_or_default();
        out.push_str(&format!(
            "  vector {}:{dimension} {}, {} present{model}\n",
            vector.name, vector.distance, vector.present
        ));
    }
    let fields: Vec<String> = (collection.fields.iter())
        .map(|field| format!("{} {}{}", field.name, field.kind, if field.indexed { "*" } else { "" }))
        .collect();
    if !fields.is_empty() {
        out.push_str(&format!("  fields (* indexed): {}\n", fields.join(", ")));
    }
    out
}

/// Show the sizes of a database's collections by part, in bytes.
///
/// Without a name, of all databases.
#[derive(Args)]
pub(super) struct Stats {
    /// Only this one.
    name: Option<String>,
    /// Print them as one JSON document.
    #[arg(long)]
    json: bool,
}

impl Stats {
    pub(super) fn run(&self, engine: &Engine, owner: &MachineOwner) -> Result<u8, CliError> {
        let catalogue = engine.catalogue(owner);
        let names = match &self.name {
            Some(text) => vec![name(text)?],
            None => catalogue.names()?,
        };
        let mut found = wire::Databases::default();
        for name in names {
            match catalogue.open(&name) {
                Ok(open) => found.databases.push(wire::Database::of(&open)?),
                Err(error) if self.name.is_some() => return Err(error.into()),
                Err(error) => found.problems.push(format!("database {name}: {error}")),
            }
        }
        if self.json {
            output::write_json(&found)?;
            return Ok(EXIT_OK);
        }
        for database in &found.databases {
            for collection in &database.collections {
                let parts: Vec<String> = (collection.bytes.iter())
                    .map(|(part, bytes)| format!("{part} {}", output::size(*bytes)))
                    .collect();
                let total: u64 = collection.bytes.values().sum();
                output::write(&format!(
                    "{}/{}  {} points  {}: {}\n",
                    database.name,
                    collection.name,
                    collection.points,
                    output::size(total),
                    parts.join(", ")
                ))?;
            }
        }
        for problem in &found.problems {
            output::note(&format!("warning: {problem}"));
        }
        Ok(EXIT_OK)
    }
}
