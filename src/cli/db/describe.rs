//! `indexer db describe` and `indexer db stats`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use clap::Args;

use super::name;
use crate::cli::error::CliError;
use crate::cli::registry::shown;
use crate::cli::{EXIT_OK, output};
use crate::embed::Leg;
use crate::engine::Engine;
use crate::id::CollectionName;
use crate::store::{DatabaseKind, Schema, StoreError};
use crate::tenant::{Database, MachineOwner};
use crate::wire::{self, Place};

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
        let found = database(&engine.catalogue(owner).open(&name(&self.name)?)?)?;
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
                Ok(open) => found.databases.push(database(&open)?),
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

/// A database with its collections. One that cannot be read says why, beside the others.
pub(super) fn database(database: &Database) -> Result<wire::Database, StoreError> {
    let info = database.info()?;
    let collections = database.collections()?;
    Ok(wire::Database {
        name: database.name().to_string(),
        kind: info.kind.name().to_owned(),
        project: (info.kind == DatabaseKind::Project).then(|| place(&info.source)),
        created_at: info.created_at,
        collections: collections.iter().map(|name| collection(database, name)).collect(),
    })
}

fn place(bytes: &[u8]) -> Place {
    Place::from(Path::new(OsStr::from_bytes(bytes)))
}

fn collection(database: &Database, name: &CollectionName) -> wire::Collection {
    let read = || Ok::<_, StoreError>((database.schema(name)?, database.stats(name)?));
    let mut found = wire::Collection {
        name: name.to_string(),
        kind: None,
        worktree: None,
        points: 0,
        bytes: Default::default(),
        vectors: Vec::new(),
        fields: Vec::new(),
        error: None,
    };
    match read() {
        Ok((schema, stats)) => {
            found.kind = Some(schema.kind.name().to_owned());
            found.worktree = (!schema.source.is_empty()).then(|| place(&schema.source));
            found.vectors = vectors(&schema, &stats.vectors, stats.points);
            found.points = stats.points;
            found.bytes = stats.bytes;
            found.fields = (schema.kind.fields().iter())
                .map(|field| wire::PayloadField {
                    name: field.name.to_owned(),
                    kind: field.kind.name().to_owned(),
                    indexed: field.indexed,
                })
                .collect();
        }
        Err(error) => found.error = Some(error.to_string()),
    }
    found
}

fn vectors(schema: &Schema, present: &[u64], points: u64) -> Vec<wire::NamedVector> {
    let dense = Leg::ALL.into_iter().filter_map(|leg| {
        let (fingerprint, dimension) = schema.legs[leg.index()].as_ref()?;
        Some(wire::NamedVector {
            name: leg.name().to_owned(),
            dimension: Some(*dimension),
            distance: "cosine".to_owned(),
            model: Some(fingerprint.to_string()),
            present: present[leg.index()],
        })
    });
    let sparse = wire::NamedVector {
        name: "bm25".to_owned(),
        dimension: None,
        distance: "bm25".to_owned(),
        model: None,
        present: points,
    };
    dense.chain([sparse]).collect()
}
