//! `indexer migrate`.

use std::io::{self, BufRead, IsTerminal};
use std::ops::ControlFlow;
use std::str::FromStr;

use clap::Args;

use super::error::CliError;
use super::output::ProgressLine;
use super::{EXIT_ERROR, EXIT_NOTHING, EXIT_OK, output};
use crate::config::{self, Flags, StoreSettings};
use crate::engine::{Engine, Migrated, Migration};
use crate::id::{CollectionName, DatabaseName};
use crate::migrate::Progress;
use crate::tenant::MachineOwner;
use crate::wire;

/// Move collections to another store, with everything in them.
///
/// Providers are `embedded` (files in the data directory), `qdrant` (the server and layout of
/// [store.qdrant]), `qdrant:collection` and `qdrant:shared` (the same server, in this layout).
/// Neither end has to be the store in use, and the source stays as it is.
///
/// Only what is missing or different is sent: a migration that was cut short is gone on with
/// by running it again. At its end both sides are read and compared; before that the copy is
/// taken for no index. A collection that fails is told beside the others; exit code 2 then,
/// and 1 where there is nothing to migrate.
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Migrate {
    /// Where the collections are.
    #[arg(long, value_name = "PROVIDER")]
    from: Provider,
    /// Where they are to be.
    #[arg(long, value_name = "PROVIDER")]
    to: Provider,
    /// Only of this database, as `indexer db list` prints it.
    #[arg(long, value_name = "NAME|all", default_value = "all")]
    database: String,
    /// Which collection, as `indexer db describe` prints it.
    #[arg(long, value_name = "NAME|all")]
    collection: String,
    /// Change nothing, and say what would be sent.
    #[arg(long)]
    dry_run: bool,
    /// Drop what the target has of a collection first, whatever it is. Asks first.
    #[arg(long)]
    replace: bool,
    /// Drop each collection of the source once it is whole in the target. Asks first.
    #[arg(long, conflicts_with = "dry_run")]
    drop_source: bool,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Print what became of each collection as one JSON document.
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Examples:
  indexer migrate --from embedded --to qdrant --collection all --dry-run
  indexer migrate --from embedded --to qdrant --collection all
  indexer migrate --from qdrant:collection --to qdrant:shared --collection all --drop-source";

/// One end, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Provider {
    Embedded,
    /// In the layout that is set, or in the shared one or not.
    Qdrant {
        shared: Option<bool>,
    },
}

impl FromStr for Provider {
    type Err = String;

    fn from_str(text: &str) -> Result<Provider, String> {
        match text {
            "embedded" => Ok(Provider::Embedded),
            "qdrant" => Ok(Provider::Qdrant { shared: None }),
            "qdrant:collection" => Ok(Provider::Qdrant { shared: Some(false) }),
            "qdrant:shared" => Ok(Provider::Qdrant { shared: Some(true) }),
            _ => Err("one of `embedded`, `qdrant`, `qdrant:collection`, `qdrant:shared`".to_owned()),
        }
    }
}

impl Provider {
    fn settings(self, flags: &Flags) -> Result<StoreSettings, CliError> {
        let Provider::Qdrant { shared } = self else { return Ok(StoreSettings::Embedded) };
        let mut settings = config::load_qdrant(flags)?;
        settings.shared_layout = shared.unwrap_or(settings.shared_layout);
        Ok(StoreSettings::Qdrant(Box::new(settings)))
    }
}

fn shown(store: &StoreSettings) -> &'static str {
    match store {
        StoreSettings::Embedded => "embedded",
        StoreSettings::Qdrant(qdrant) if qdrant.shared_layout => "qdrant:shared",
        StoreSettings::Qdrant(_) => "qdrant:collection",
    }
}

impl Migrate {
    pub(super) fn run(&self, engine: &Engine, flags: &Flags) -> Result<u8, CliError> {
        let named = |text: &str| (text != "all").then(|| text.to_owned());
        let migration = Migration {
            from: self.from.settings(flags)?,
            to: self.to.settings(flags)?,
            database: named(&self.database).map(|text| DatabaseName::new(&text)).transpose()?,
            collection: named(&self.collection).map(|text| CollectionName::new(&text)).transpose()?,
            dry_run: self.dry_run,
            replace: self.replace,
            drop_source: self.drop_source,
        };
        if migration.from == migration.to {
            return Err(CliError::usage(format!("both ends are {}", shown(&migration.to)))
                .with_hint("`--from` says where the collections are, `--to` where they are to be"));
        }
        if !self.yes && !self.dry_run && !confirmed(&migration)? {
            output::note("nothing was migrated");
            return Ok(EXIT_NOTHING);
        }
        let owner = MachineOwner::at_the_command_line();
        let mut line = ProgressLine::new();
        let done = engine.migrate(&owner, &migration, &mut |database, collection, progress| {
            let doing = match progress {
                Progress::Comparing => "comparing".to_owned(),
                Progress::Points { done, total } => format!("points {done}/{total}"),
                Progress::Files { done, total } => format!("files {done}/{total}"),
                Progress::Verifying => "verifying".to_owned(),
            };
            line.line(&format!("{database}/{collection}: {doing}"));
            ControlFlow::Continue(())
        })?;
        line.clear();
        if done.is_empty() {
            output::note(&format!("there is no such collection in {}", shown(&migration.from)));
        }
        let failed = done.iter().any(|migrated| migrated.result.is_err());
        let report = wire::Migration {
            from: shown(&migration.from).to_owned(),
            to: shown(&migration.to).to_owned(),
            dry_run: migration.dry_run,
            collections: done.iter().map(of).collect(),
        };
        if self.json {
            output::write_json(&report)?;
        } else {
            report
                .collections
                .iter()
                .try_for_each(|collection| output::write(&told(collection, self.dry_run)))?;
        }
        if !failed && !done.is_empty() && !self.dry_run {
            output::note(&next(&migration, engine, flags));
        }
        Ok(match (failed, done.is_empty()) {
            (true, _) => EXIT_ERROR,
            (_, true) => EXIT_NOTHING,
            _ => EXIT_OK,
        })
    }
}

/// Whether the person agrees to what is to be dropped, if anything is.
fn confirmed(migration: &Migration) -> Result<bool, CliError> {
    let mut dropped = Vec::new();
    if migration.replace {
        dropped.push((shown(&migration.to), "before it is copied there"));
    }
    if migration.drop_source {
        dropped.push((shown(&migration.from), "once it is copied"));
    }
    for (store, when) in dropped {
        if !io::stdin().is_terminal() {
            let message = format!("nothing was migrated: nobody confirmed that {store} may lose anything");
            return Err(CliError::usage(message).with_hint("`--yes` does it without asking"));
        }
        output::note(&format!("Each collection is dropped from {store} {when}. Type {store} to agree:"));
        let mut answer = String::new();
        if io::stdin().lock().read_line(&mut answer).is_err() || answer.trim() != store {
            return Ok(false);
        }
    }
    Ok(true)
}

fn of(migrated: &Migrated) -> wire::MigratedCollection {
    let found = match &migrated.result {
        Ok(transferred) => transferred.into(),
        Err(error) => wire::MigratedCollection {
            error: Some(error.to_string()),
            hint: error.hint().map(str::to_owned),
            ..wire::MigratedCollection::default()
        },
    };
    wire::MigratedCollection {
        database: migrated.database.to_string(),
        collection: migrated.collection.as_ref().map(ToString::to_string),
        source_dropped: migrated.is_source_dropped,
        ms: u64::try_from(migrated.took.as_millis()).unwrap_or(u64::MAX),
        ..found
    }
}

/// A collection in a few lines for people.
fn told(of: &wire::MigratedCollection, dry_run: bool) -> String {
    let name = of.collection.as_ref().map(|name| format!("/{name}")).unwrap_or_default();
    let mut text = format!("{}{name}: ", of.database);
    if let Some(error) = &of.error {
        text.push_str(&format!("error: {}\n", output::printable(error)));
        if let Some(hint) = &of.hint {
            text.push_str(&format!("  hint: {hint}\n"));
        }
        return text;
    }
    let counts = |sent: &wire::Sent| {
        let mut text = format!("+{} ={}", sent.sent, sent.kept);
        if sent.removed > 0 {
            text.push_str(&format!(" -{}", sent.removed));
        }
        text
    };
    text.push_str(&format!("points {}, files {}", counts(&of.points), counts(&of.files)));
    for (leg, vectors) in of.vectors.iter().filter(|(_, vectors)| vectors.sent + vectors.kept > 0) {
        text.push_str(&format!(", {leg} vectors {}", counts(vectors)));
    }
    if dry_run {
        text.push_str(" to be sent (+), there already (=), to be removed (-)\n");
        return text;
    }
    text.push_str(&format!(", {} in {:.1} s\n", output::size(of.bytes), of.ms as f64 / 1e3));
    if let Some(digest) = &of.digest {
        text.push_str(&format!("  the same on both sides: {digest}\n"));
    }
    if of.source_dropped {
        text.push_str("  dropped from the source\n");
    }
    text
}

/// What to do so that the target is used.
fn next(migration: &Migration, engine: &Engine, flags: &Flags) -> String {
    if engine.settings().store == migration.to {
        return format!("{} is the store in use", shown(&migration.to));
    }
    let table = match &migration.to {
        StoreSettings::Embedded => "    [store]\n    provider = \"embedded\"".to_owned(),
        StoreSettings::Qdrant(qdrant) => format!(
            "    [store]\n    provider = \"qdrant\"\n    [store.qdrant]\n    url = {:?}\n    layout = \"{}\"",
            qdrant.url,
            if qdrant.shared_layout { "shared" } else { "collection" },
        ),
    };
    let user = || Some(engine.settings().config_home.as_ref()?.join("contextd-indexer/config.toml"));
    let file = config::named_file(flags).or_else(user);
    let file = file.map_or_else(|| "the configuration file".to_owned(), |file| file.display().to_string());
    format!("to use it, set in {file}, and restart the daemon if one runs:\n{table}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers() {
        for (text, expected) in [
            ("embedded", Some(Provider::Embedded)),
            ("qdrant", Some(Provider::Qdrant { shared: None })),
            ("qdrant:collection", Some(Provider::Qdrant { shared: Some(false) })),
            ("qdrant:shared", Some(Provider::Qdrant { shared: Some(true) })),
            ("qdrant:", None),
            ("Embedded", None),
            ("", None),
        ] {
            assert_eq!(text.parse().ok(), expected, "{text}");
        }
    }
}
