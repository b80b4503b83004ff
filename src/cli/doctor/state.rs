//! What is kept on disk: data directory, collections, embedding cache, registry.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::disk;
use crate::cli::output;
use crate::cli::registry::{now, shown};
use crate::config::{QdrantSettings, Settings, StoreSettings};
use crate::daemon::registry::{Registry, State, View};
use crate::embed::EmbeddingCache;
use crate::engine::Engine;
use crate::memory::MemoryError;
use crate::store::{CollectionKind, EmbeddedStore, QdrantStore};
use crate::tenant::MachineOwner;
use crate::wire::Check;

/// Free space below which a run may fail soon, and below which it will.
const LITTLE_SPACE: u64 = 2 << 30;
const NO_SPACE: u64 = 100 << 20;
/// Collections of a Qdrant server from which on they are many: measured at 300.
const MANY_COLLECTIONS: usize = 300;

pub(super) fn data_dir(settings: &Settings) -> Vec<Check> {
    const NAME: &str = "data directory";
    let dir = &settings.data_dir;
    let metadata = match fs::metadata(dir) {
        Ok(metadata) if metadata.is_dir() => metadata,
        Ok(_) => {
            let check = Check::failure(NAME, format!("{} is not a directory", shown(dir)));
            return vec![check.remedy("move it away, or choose another --data-dir")];
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return vec![Check::ok(NAME, format!("{} is not there yet; the first run makes it", shown(dir)))];
        }
        Err(error) => return vec![Check::failure(NAME, format!("{}: {error}", shown(dir)))],
    };
    let mut checks = Vec::new();
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        let check = Check::failure(NAME, format!("{} belongs to another user", shown(dir)));
        checks.push(check.remedy("choose another --data-dir, or run as that user"));
    } else if rustix::fs::access(dir, rustix::fs::Access::WRITE_OK).is_err() {
        let check = Check::failure(NAME, format!("{} cannot be written", shown(dir)));
        checks.push(check.remedy(format!("chmod u+w {}", shown(dir))));
    }
    if metadata.mode() & 0o077 != 0 {
        let found = format!("{} can be read by others: it holds your code's text", shown(dir));
        checks.push(Check::warning(NAME, found).remedy(format!("chmod 700 {}", shown(dir))));
    }
    let free = disk::free_bytes(dir);
    let room = free.map(|bytes| format!("{} free", output::size(bytes))).unwrap_or_default();
    match free {
        Some(free) if free < LITTLE_SPACE => {
            let found = format!("{}: {room}", shown(dir));
            let check =
                if free < NO_SPACE { Check::failure(NAME, found) } else { Check::warning(NAME, found) };
            checks.push(check.remedy("free some, lower embed.cache_max_bytes, or choose another --data-dir"));
        }
        _ => {}
    }
    checks.extend(disk::remote(NAME, dir, "locks may not hold there, and a run may be slow"));
    if checks.is_empty() {
        checks.push(Check::ok(NAME, format!("{}: private, {room}", shown(dir))));
    }
    checks
}

/// Whether the Qdrant server that is configured answers, and has room for collections.
fn server(settings: &QdrantSettings, server: &QdrantStore) -> Check {
    const NAME: &str = "store";
    let url = &settings.url;
    let count = match server.physical_collections() {
        Ok(all) => all.len(),
        Err(error) => return Check::failure(NAME, error.to_string()),
    };
    let found = format!("{url} answers, {count} collections");
    if settings.shared_layout || count < MANY_COLLECTIONS {
        return Check::ok(NAME, found);
    }
    let why = "each takes about 60 memory maps and 68 files of the server, which restarts in a minute with 300 \
               and reaches the usual vm.max_map_count near 1,100";
    Check::warning(NAME, format!("{found}: {why}")).remedy(
        "`indexer migrate --from qdrant:collection --to qdrant:shared --collection all --drop-source`, \
         then store.qdrant.layout = \"shared\"",
    )
}

/// Whether every collection opens, and what nobody uses any more.
pub(super) fn collections(engine: &Engine) -> Vec<Check> {
    const NAME: &str = "collections";
    let settings = engine.settings();
    if let (StoreSettings::Qdrant(qdrant), Some(store)) =
        (&settings.store, engine.server(&MachineOwner::at_the_command_line()))
    {
        return vec![server(qdrant, store)];
    }
    let inventory = match EmbeddedStore::new(&settings.data_dir).inventory() {
        Ok(inventory) => inventory,
        Err(error) => return vec![Check::failure(NAME, error.to_string())],
    };
    // Where the registry cannot be read, every worktree may be one whose disk is away.
    let registry = Registry::load(&settings.data_dir).ok();
    let mut checks = Vec::new();
    let mut bytes = 0;
    let mut unused: Vec<PathBuf> = Vec::new();
    let all = inventory.collections.len();
    for stored in inventory.collections {
        let source = stored.source.as_deref();
        match stored.opened {
            Ok(stats) => bytes += stats.bytes.values().sum::<u64>(),
            // Nothing makes a memory again: the way out is another one.
            Err(error) if stored.kind != CollectionKind::Codebase => {
                let error = MemoryError::from(error);
                checks.push(Check::failure(NAME, format!("the {} do not open: {error}", stored.kind.name())));
            }
            Err(error) => {
                let of = source.map_or_else(
                    || "an index".to_owned(),
                    |source| format!("the index of {}", shown(source)),
                );
                checks.push(Check::failure(NAME, format!("{of} does not open: {error}")));
            }
        }
        if let (Some(source), Some(registry)) = (source, &registry)
            && !source.exists()
            && !registry.worktrees().iter().any(|known| known.root == source)
        {
            unused.push(stored.path);
        }
    }
    if checks.is_empty() {
        checks.push(Check::ok(NAME, format!("{all}, all open, {}", output::size(bytes))));
    }
    if let Some(first) = unused.first() {
        let found = format!(
            "{} of worktrees that are not there and not registered, the first is {}",
            unused.len(),
            shown(first)
        );
        let remedy = format!("{}, unless their disk is only away", remove(&unused));
        checks.push(Check::warning(NAME, found).remedy(remedy));
    }
    let (aside, bytes): (Vec<PathBuf>, Vec<u64>) = inventory.set_aside.into_iter().unzip();
    if !aside.is_empty() {
        let bytes = bytes.iter().sum();
        let found = format!("{} that did not open were set aside, {}", aside.len(), output::size(bytes));
        checks.push(Check::warning(NAME, found).remedy(remove(&aside)));
    }
    checks
}

/// The command that removes these directories or files; with many, the first of them.
fn remove(paths: &[PathBuf]) -> String {
    let quoted = |path: &PathBuf| format!("'{}'", shown(path).replace('\'', r"'\''"));
    let shown: Vec<String> = paths.iter().take(8).map(quoted).collect();
    format!("rm -r {}{}", shown.join(" "), if paths.len() > shown.len() { " …" } else { "" })
}

pub(super) fn cache(engine: &Engine) -> Check {
    const NAME: &str = "cache";
    let path = engine.cache_path();
    let aside: Vec<PathBuf> = path
        .parent()
        .and_then(|dir| fs::read_dir(dir).ok())
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().contains(".aside-"))
        .map(|entry| entry.path())
        .collect();
    if !path.exists() {
        return Check::ok(NAME, "not there yet; the first vectors make it");
    }
    match EmbeddingCache::inspect(&path) {
        Err(error) => Check::warning(NAME, error.to_string()),
        Ok(_) if !aside.is_empty() => {
            Check::warning(NAME, "a damaged one was set aside").remedy(remove(&aside))
        }
        Ok(stats) => {
            let bound = engine.settings().embed.cache_max_bytes;
            Check::ok(
                NAME,
                format!(
                    "{} vectors, {} of {}",
                    stats.entries,
                    output::size(stats.bytes),
                    output::size(bound)
                ),
            )
        }
    }
}

pub(super) fn registry(settings: &Settings) -> Vec<Check> {
    const NAME: &str = "registry";
    let mut registry = match Registry::load(&settings.data_dir) {
        Ok(registry) => registry,
        Err(error) => return vec![Check::failure(NAME, error.to_string())],
    };
    let now = now();
    let changes = registry.discover(&View::of(&registry, settings.home.as_deref()), now);
    let count = |wanted: fn(State) -> bool| registry.worktrees().iter().filter(|at| wanted(at.state)).count();
    let active = count(|state| state == State::Active);
    let mut checks = vec![Check::ok(NAME, format!("{active} worktrees are there to be kept fresh"))];
    let missing: Vec<String> = registry
        .worktrees()
        .iter()
        .filter(|at| matches!(at.state, State::Missing { .. }))
        .map(|at| shown(&at.root))
        .collect();
    if let Some(first) = missing.first() {
        let found = format!(
            "{} worktrees are not there, their indexes are kept: {}",
            missing.len(),
            missing.join(", ")
        );
        let remedy = format!("bring them back, or `indexer remove {first}`");
        checks.push(Check::warning(NAME, found).remedy(remedy));
    }
    let due = registry.due(now, settings.watch.keep);
    let waiting: Vec<String> = due.iter().map(|at| shown(&at.root)).collect();
    if let Some(first) = waiting.first() {
        let found = format!(
            "{} removed worktrees still have their indexes, as no daemon drops them: {}",
            waiting.len(),
            waiting.join(", ")
        );
        checks.push(
            Check::warning(NAME, found).remedy(format!("indexer watch, or indexer remove --purge {first}")),
        );
    }
    checks.extend(changes.problems.iter().map(|problem| Check::warning(NAME, problem)));
    checks
}
