//! `indexer service`: the daemon as a service of the user's, by systemd or launchd.
//!
//! | File | For |
//! |---|---|
//! | `systemd`, `launchd` | the file that describes the service |
//! | `control` | the service manager's program |

mod control;
mod launchd;
mod systemd;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::error::CliError;
use super::registry::shown;
use super::{EXIT_NOTHING, EXIT_OK, output};
use crate::config::{Flags, Settings, StoreSettings, load_without_environment, named_file};
use crate::state_dir::{create_private_dir, write_atomic};

/// Make the daemon a service that starts with you.
///
/// A systemd user service on Linux, a launchd agent on macOS. It runs `indexer watch` with
/// the directories and the configuration that are in force now.
#[derive(Args)]
pub(super) struct Service {
    #[command(subcommand)]
    command: ServiceCommand,
}

#[derive(Subcommand)]
enum ServiceCommand {
    /// Write the service's file and enable the service.
    Install {
        /// Print the file, and change nothing.
        #[arg(long)]
        dry_run: bool,
        /// Start the service now, not only at the next login.
        #[arg(long)]
        now: bool,
    },
    /// Stop the service and remove all that was installed. The index is kept.
    Uninstall,
    /// Say whether the service is installed, current and running.
    ///
    /// Exit code 1 means that it is not.
    Status,
}

/// What a service runs.
struct Program<'a> {
    /// The program's own absolute path.
    path: &'a Path,
    /// Where it writes.
    data_dir: &'a Path,
    /// Whether a service would choose another data directory by itself.
    pass_data_dir: bool,
    /// Configuration file that was named.
    config: Option<&'a Path>,
    /// Model directory, where a service would choose another by itself.
    model_dir: Option<&'a Path>,
    /// Whether the configuration has it speak with other machines.
    other_machines: bool,
}

impl Program<'_> {
    fn command(&self) -> Result<Vec<String>, String> {
        let mut command = vec![utf8(self.path)?.to_owned(), "watch".to_owned()];
        let data_dir = self.pass_data_dir.then_some(self.data_dir);
        for (flag, path) in [("--data-dir", data_dir), ("--config", self.config)] {
            if let Some(path) = path {
                command.extend([flag.to_owned(), utf8(path)?.to_owned()]);
            }
        }
        Ok(command)
    }

    fn environment(&self) -> Result<Vec<(&'static str, String)>, String> {
        let model_dir = self.model_dir.map(utf8).transpose()?;
        Ok(model_dir.map(|path| ("INDEXER_MODEL_DIR", path.to_owned())).into_iter().collect())
    }
}

fn utf8(path: &Path) -> Result<&str, String> {
    path.to_str().ok_or_else(|| format!("{} is not UTF-8, which a service's file cannot hold", shown(path)))
}

/// How the installed service is.
pub(super) enum Installed {
    /// There is none.
    No,
    /// As this program would write it.
    Current(PathBuf),
    /// Written by another version of the program, by hand, or with other options.
    Differs(PathBuf),
}

/// Looks for the service's file. `None` where the system has no services of users.
pub(super) fn installed(settings: &Settings, flags: &Flags) -> Result<Option<Installed>, CliError> {
    let Some(path) = file(settings) else { return Ok(None) };
    Ok(Some(match fs::read_to_string(&path) {
        Ok(found) => {
            let mut same = false;
            for namespaces in [true, false] {
                same |= found == content(settings, flags, namespaces)?;
            }
            if same { Installed::Current(path) } else { Installed::Differs(path) }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Installed::No,
        Err(error) => return Err(CliError::usage(format!("{}: {error}", shown(&path)))),
    }))
}

/// Where the service's file belongs.
fn file(settings: &Settings) -> Option<PathBuf> {
    if cfg!(target_os = "macos") {
        let name = format!("{}.plist", launchd::LABEL);
        return settings.home.as_ref().map(|home| home.join("Library/LaunchAgents").join(name));
    }
    settings.config_home.as_ref().map(|config| config.join("systemd/user").join(systemd::UNIT))
}

/// What the service's file is to hold.
fn content(settings: &Settings, flags: &Flags, namespaces: bool) -> Result<String, CliError> {
    let path = std::env::current_exe()
        .map_err(|error| CliError::usage(format!("the path of this program is not known: {error}")))?;
    let config = named_file(flags).map(|path| super::registry::resolve(&path));
    // What the service would choose by itself, without this shell's environment.
    let by_itself = load_without_environment(&Flags { config: config.clone(), data_dir: None })?;
    let program = Program {
        path: &path,
        data_dir: &settings.data_dir,
        pass_data_dir: by_itself.data_dir != settings.data_dir,
        config: config.as_deref(),
        model_dir: Some(settings.embed.model_dir.as_path()).filter(|dir| *dir != by_itself.embed.model_dir),
        // By the file alone: what only this shell's environment says, the service never hears of.
        other_machines: matches!(by_itself.store, StoreSettings::Qdrant(_))
            || by_itself.traces.endpoint.is_some()
            || by_itself.http.listen.is_some_and(|address| !address.ip().is_loopback()),
    };
    let content = match cfg!(target_os = "macos") {
        true => launchd::plist(&program),
        false => systemd::unit(&program, namespaces),
    };
    content.map_err(CliError::usage)
}

impl Service {
    pub(super) fn run(&self, settings: &Settings, flags: &Flags) -> Result<u8, CliError> {
        match self.command {
            ServiceCommand::Install { dry_run, now } => install(settings, flags, dry_run, now),
            ServiceCommand::Uninstall => uninstall(settings),
            ServiceCommand::Status => status(settings, flags),
        }
    }
}

fn no_place() -> CliError {
    CliError::usage("neither XDG_CONFIG_HOME nor HOME is set, so there is no place for the service's file")
        .with_hint("set HOME")
}

fn install(settings: &Settings, flags: &Flags, dry_run: bool, now: bool) -> Result<u8, CliError> {
    let path = file(settings).ok_or_else(no_place)?;
    if dry_run {
        output::note(&format!("{} would hold:", shown(&path)));
        output::write(&content(settings, flags, true)?)?;
        return Ok(EXIT_OK);
    }
    // Before anything is written.
    control::check()?;
    let namespaces = control::has_user_namespaces();
    let content = content(settings, flags, namespaces)?;
    let failed = |path: &Path, error: io::Error| CliError::usage(format!("{}: {error}", shown(path)));
    let changed = fs::read(&path).map_or(true, |found| found != content.as_bytes());
    if changed {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).map_err(|error| failed(dir, error))?;
        }
        write_atomic(&path, content.as_bytes()).map_err(|error| failed(&path, error))?;
    }
    // A service may write only below what is there when it starts.
    create_private_dir(&settings.data_dir).map_err(|error| failed(&settings.data_dir, error))?;
    let word = if changed { "wrote" } else { "is as it should be:" };
    output::write(&format!("{word} {}\n", shown(&path)))?;
    if !namespaces {
        output::note("warning: there are no user namespaces here, so the service can write wherever you can");
    }
    for done in control::enable(&path, now, changed)? {
        output::write(&format!("{done}\n"))?;
    }
    if !now {
        output::note("it starts at your next login; `indexer service install --now` starts it now");
    }
    Ok(EXIT_OK)
}

fn uninstall(settings: &Settings) -> Result<u8, CliError> {
    let path = file(settings).ok_or_else(no_place)?;
    if !path.exists() {
        output::write("the service is not installed\n")?;
        return Ok(EXIT_OK);
    }
    for done in control::disable(&path) {
        output::write(&format!("{done}\n"))?;
    }
    fs::remove_file(&path).map_err(|error| CliError::usage(format!("{}: {error}", shown(&path))))?;
    output::write(&format!("removed {}\n", shown(&path)))?;
    control::forget();
    output::note("the index is kept; `indexer remove --purge` drops that of a worktree");
    Ok(EXIT_OK)
}

fn status(settings: &Settings, flags: &Flags) -> Result<u8, CliError> {
    let (path, word) = match installed(settings, flags)?.ok_or_else(no_place)? {
        Installed::No => {
            output::write("not installed; `indexer service install` does it\n")?;
            return Ok(EXIT_NOTHING);
        }
        Installed::Current(path) => (path, "current"),
        Installed::Differs(path) => {
            (path, "not what this program would write; `indexer service install` brings it up to date")
        }
    };
    let state = control::state();
    output::write(&format!("{}: {word}\n{}\n", shown(&path), state.text))?;
    Ok(if state.running { EXIT_OK } else { EXIT_NOTHING })
}
