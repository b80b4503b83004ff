//! `indexer mcp install` and `uninstall`: one entry in the configuration of other programs.
//! Shows what will change, asks, and can be undone to the byte.

use std::fs;
use std::io::{self, IsTerminal as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::super::error::CliError;
use super::super::memory::confirmed;
use super::super::registry::{resolve, shown};
use super::super::{EXIT_NOTHING, EXIT_OK, output};
use super::clients::Client;
use crate::config::{Flags, load_without_environment, named_file};
use crate::engine::Engine;
use crate::state_dir::write_atomic;

/// Beside a file that was changed: what it held before.
const BACKUP: &str = "before-indexer";
/// Lines around a change that are shown.
const CONTEXT: usize = 2;

/// Which files are meant.
#[derive(Args)]
struct Where {
    /// The client; may be given more than once [default: those that you use].
    #[arg(short, long, value_name = "NAME")]
    client: Vec<Client>,
    /// In this project's files, for everyone who works on it: the program is found by PATH.
    #[arg(long, conflicts_with = "user")]
    project: bool,
    /// In your own files, for all your projects; the default.
    #[arg(long)]
    user: bool,
    /// Show what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
}

/// Tell agents' programs of this server.
///
/// Adds one entry to the configuration of each client, and leaves all else as it is, comments
/// too. What will change is shown first. The file as it was is kept beside it.
#[derive(Args)]
#[command(after_help = "\
Examples:
  indexer mcp install                          every client that you use
  indexer mcp install --client cursor --project
  indexer mcp install --client all --dry-run")]
pub(super) struct Install {
    #[command(flatten)]
    place: Where,
    /// Let agents also keep and find what they learned.
    #[arg(long)]
    memory: bool,
}

/// Take the entry out again.
///
/// A file that was not changed since is as it was before, to the byte.
#[derive(Args)]
pub(super) struct Uninstall {
    #[command(flatten)]
    place: Where,
}

/// What is to become of one file.
struct Change {
    client: Client,
    path: PathBuf,
    /// `None` where there is no file.
    old: Option<String>,
    /// `None` where there is to be none.
    new: Option<String>,
}

impl Install {
    pub(super) fn run(&self, engine: &Arc<Engine>, flags: &Flags) -> Result<u8, CliError> {
        let command = self.command(engine, flags)?;
        self.place.run(engine, "already has the entry", |client, path, old| {
            let new = client.with_entry(old.unwrap_or_default(), &command);
            new.map(Some).map_err(|why| malformed(path, &why))
        })
    }

    /// What a client is to run.
    fn command(&self, engine: &Engine, flags: &Flags) -> Result<Vec<String>, CliError> {
        let utf8 = |path: &Path| {
            let text = path.to_str().map(str::to_owned);
            text.ok_or_else(|| {
                CliError::usage(format!("{} is not UTF-8, which no client can hold", shown(path)))
            })
        };
        let mut command = match self.place.project {
            // Others have it elsewhere.
            true => vec!["indexer".to_owned()],
            false => {
                let program = std::env::current_exe().map_err(|error| {
                    CliError::usage(format!("the path of this program is not known: {error}"))
                })?;
                vec![utf8(&program)?]
            }
        };
        command.push("mcp".to_owned());
        if !self.place.project {
            let config = named_file(flags).map(|path| resolve(&path));
            // What it would choose by itself, without this shell's environment.
            let by_itself = load_without_environment(&Flags { config: config.clone(), data_dir: None })?;
            let data_dir = &engine.settings().data_dir;
            if by_itself.data_dir != *data_dir {
                command.extend(["--data-dir".to_owned(), utf8(data_dir)?]);
            }
            if let Some(config) = config {
                command.extend(["--config".to_owned(), utf8(&config)?]);
            }
        }
        if self.memory {
            command.push("--memory".to_owned());
        }
        Ok(command)
    }
}

impl Uninstall {
    pub(super) fn run(&self, engine: &Arc<Engine>) -> Result<u8, CliError> {
        self.place.run(engine, "has no such entry", |client, path, old| {
            let Some(old) = old else { return Ok(None) };
            let without = client.without_entry(old).map_err(|why| malformed(path, &why))?;
            let Some(without) = without else { return Ok(Some(old.to_owned())) };
            Ok(before(client, path, old).unwrap_or(Some(without)))
        })
    }
}

/// What the file was before the entry was put in, if nothing else has changed since:
/// `Some(None)` is no file.
fn before(client: Client, path: &Path, now: &str) -> Option<Option<String>> {
    let command = client.command(now)?;
    let is_before = |old: &str| client.with_entry(old, &command).is_ok_and(|with| with == now);
    match fs::read_to_string(backup(path)) {
        Ok(old) if is_before(&old) => Some(Some(old)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_before("") => Some(None),
        _ => None,
    }
}

impl Where {
    fn run(
        &self,
        engine: &Arc<Engine>,
        nothing: &str,
        edit: impl Fn(Client, &Path, Option<&str>) -> Result<Option<String>, CliError>,
    ) -> Result<u8, CliError> {
        let mut changes = Vec::new();
        // All are read before any is written.
        for (client, path) in self.files(engine)? {
            let old = match fs::read_to_string(&path) {
                Ok(text) => Some(text),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(CliError::usage(format!("{}: {error}", shown(&path)))),
            };
            let new = edit(client, &path, old.as_deref())?;
            match new == old {
                true => output::note(&format!("{}: {} {nothing}", client.title(), shown(&path))),
                false => changes.push(Change { client, path, old, new }),
            }
        }
        for change in &changes {
            output::write(&change.text())?;
        }
        if changes.is_empty() || self.dry_run {
            return Ok(EXIT_OK);
        }
        if !self.yes {
            if !io::stdin().is_terminal() {
                return Err(CliError::usage("nothing was changed: there is nobody to ask")
                    .with_hint("--yes changes it"));
            }
            if !confirmed("change these files?")? {
                output::note("nothing was changed");
                return Ok(EXIT_NOTHING);
            }
        }
        for change in &changes {
            change.make()?;
            output::note(&format!("{}: {} changed; restart it", change.client.title(), shown(&change.path)));
        }
        Ok(EXIT_OK)
    }

    fn files(&self, engine: &Arc<Engine>) -> Result<Vec<(Client, PathBuf)>, CliError> {
        let settings = engine.settings();
        let all = self.client.contains(&Client::All);
        let wanted: Vec<Client> = match (all, self.client.is_empty()) {
            (true, _) => Client::EACH.to_vec(),
            (false, true) => Client::EACH.into_iter().filter(|client| client.is_used(settings)).collect(),
            (false, false) => self.client.clone(),
        };
        let root = match self.project {
            true => Some(engine.open(Path::new("."))?.root().as_path().to_owned()),
            false => None,
        };
        let mut files = Vec::new();
        for client in wanted {
            let path = match &root {
                Some(root) => client.of_project(root),
                None => client.of_person(settings),
            };
            match path {
                // What is linked to is changed, not the link.
                Some(path) => files.push((client, path.canonicalize().unwrap_or(path))),
                None if self.project && (all || self.client.is_empty()) => {
                    output::note(&format!("{}: it has no files of projects", client.title()));
                }
                None if self.project => {
                    return Err(CliError::usage(format!("{} has no files of projects", client.title()))
                        .with_hint("without --project it is told in your own"));
                }
                None => return Err(CliError::usage("HOME is not set").with_hint("set HOME")),
            }
        }
        match files.is_empty() {
            true => Err(CliError::usage("no client was found that could be told")
                .with_hint("name one with --client, such as --client claude-code")),
            false => Ok(files),
        }
    }
}

impl Change {
    /// The lines that change, with some around them.
    fn text(&self) -> String {
        let lines = |text: &Option<String>| -> Vec<String> {
            text.iter().flat_map(|text| text.lines()).map(str::to_owned).collect()
        };
        let (old, new) = (lines(&self.old), lines(&self.new));
        let same = |(a, b): &(&String, &String)| a == b;
        let head = old.iter().zip(&new).take_while(same).count();
        let most = old.len().min(new.len()) - head;
        let tail = old.iter().rev().zip(new.iter().rev()).take_while(same).count().min(most);
        let mut text = format!("--- {}\n", shown(&self.path));
        if self.new.is_none() {
            text.push_str("(the file is removed)\n");
        }
        let mut show = |sign: char, lines: &[String]| {
            for line in lines {
                text.push_str(&format!("{sign} {}\n", output::printable(line)));
            }
        };
        show(' ', &old[head.saturating_sub(CONTEXT)..head]);
        show('-', &old[head..old.len() - tail]);
        show('+', &new[head..new.len() - tail]);
        show(' ', &old[old.len() - tail..(old.len() - tail + CONTEXT).min(old.len())]);
        text
    }

    fn make(&self) -> Result<(), CliError> {
        let failed = |path: &Path, error: io::Error| {
            CliError::usage(format!("{}: {error}", shown(path))).with_hint("nothing of it was changed")
        };
        let backup = backup(&self.path);
        let Some(new) = &self.new else {
            return fs::remove_file(&self.path).map_err(|error| failed(&self.path, error));
        };
        if let Some(dir) = self.path.parent() {
            fs::create_dir_all(dir).map_err(|error| failed(dir, error))?;
        }
        let mode = fs::metadata(&self.path).map(|found| found.permissions().mode()).ok();
        let write = |path: &Path, text: &str| {
            write_atomic(path, text.as_bytes())
                .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode.unwrap_or(0o644))))
                .map_err(|error| failed(path, error))
        };
        let is_restored = fs::read_to_string(&backup).is_ok_and(|kept| kept == *new);
        // What was there before there was an entry is what is gone back to.
        match &self.old {
            Some(old) if self.client.command(old).is_none() => write(&backup, old)?,
            _ => {}
        }
        write(&self.path, new)?;
        if is_restored {
            // Best effort: it says nothing wrong.
            let _ = fs::remove_file(&backup);
        }
        Ok(())
    }
}

fn backup(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(BACKUP);
    path.with_file_name(name)
}

fn malformed(path: &Path, why: &str) -> CliError {
    CliError::usage(format!("{}: {why}", shown(path)))
        .with_hint("mend it, or name other clients; no file was changed")
}
