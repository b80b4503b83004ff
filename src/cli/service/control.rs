//! The service manager's program: `systemctl --user`, `launchctl`.

use std::io;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::{launchd, systemd};
use crate::cli::error::CliError;
use crate::cli::output;

const MAC: bool = cfg!(target_os = "macos");

/// What is known of the service.
pub(super) struct State {
    /// For people.
    pub(super) text: String,
    /// Whether it runs.
    pub(super) running: bool,
}

fn run(program: &str, args: &[&str]) -> io::Result<Output> {
    Command::new(program).args(args).stdin(Stdio::null()).output()
}

fn systemctl(args: &[&str]) -> io::Result<Output> {
    run("systemctl", &[&["--user", "--no-pager"], args].concat())
}

/// Who the agent belongs to, as launchctl names it.
fn domain() -> String {
    format!("gui/{}", rustix::process::getuid().as_raw())
}

/// Standard error, or else standard output, on one line.
fn said(output: &Output) -> String {
    let text = if output.stderr.trim_ascii().is_empty() { &output.stdout } else { &output.stderr };
    let text = String::from_utf8_lossy(text);
    output::printable(&text.lines().map(str::trim).collect::<Vec<_>>().join("; "))
}

/// Whether there is a manager to talk to.
pub(super) fn check() -> Result<(), CliError> {
    let (program, answer) = match MAC {
        true => ("launchctl", run("launchctl", &["version"])),
        false => ("systemctl", systemctl(&["show", "--property=Version"])),
    };
    let by_hand = "without a service, start `indexer watch` with your session";
    match answer {
        Ok(answer) if answer.status.success() => Ok(()),
        Ok(answer) => Err(CliError::usage(format!("no service manager of yours answers: {}", said(&answer)))
            .with_hint(format!(
                "log in as this user, not by su or sudo, so that XDG_RUNTIME_DIR is set; {by_hand}"
            ))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(CliError::usage(format!("there is no `{program}` here")).with_hint(by_hand))
        }
        Err(error) => Err(CliError::usage(format!("`{program}`: {error}")).with_hint(by_hand)),
    }
}

/// Whether the manager can give a service a user namespace, by trying.
pub(super) fn has_user_namespaces() -> bool {
    let args = [
        "--user",
        "--wait",
        "--quiet",
        "--collect",
        "-p",
        "PrivateUsers=yes",
        "-p",
        "PrivateDevices=yes",
        "-p",
        "ProtectSystem=strict",
        "true",
    ];
    !MAC && run("systemd-run", &args).is_ok_and(|answer| answer.status.success())
}

/// Enables the service and, where asked for, starts it; what was done.
pub(super) fn enable(file: &Path, now: bool, changed: bool) -> Result<Vec<String>, CliError> {
    let file = super::utf8(file).map_err(CliError::usage)?;
    if MAC {
        // Loading starts it; an agent in the folder is loaded at the next login anyway.
        if !now {
            return Ok(Vec::new());
        }
        let name = format!("{}/{}", domain(), launchd::LABEL);
        // It may not be loaded, which is as good.
        let _ = run("launchctl", &["bootout", &name]);
        return expect("launchctl", run("launchctl", &["bootstrap", &domain(), file])).map(|done| vec![done]);
    }
    // A service that runs an older file is started again, where asked for.
    let start = if changed { "restart" } else { "start" };
    let mut steps: Vec<&[&str]> = vec![&["daemon-reload"], &["enable", systemd::UNIT]];
    let started = [start, systemd::UNIT];
    if now {
        steps.push(&started);
    }
    steps
        .into_iter()
        .map(|args| expect(&format!("systemctl --user {}", args.join(" ")), systemctl(args)))
        .collect()
}

/// Stops and disables the service; what was done. What fails is told and passed over:
/// its file goes in any case.
pub(super) fn disable(file: &Path) -> Vec<String> {
    let result = if MAC {
        let name = format!("{}/{}", domain(), launchd::LABEL);
        expect("launchctl bootout", run("launchctl", &["bootout", &name]))
    } else {
        let done = expect("systemctl --user disable --now", systemctl(&["disable", "--now", systemd::UNIT]));
        // What `enable` made, where there is no manager to ask.
        let wanted = file.with_file_name("default.target.wants").join(systemd::UNIT);
        let _ = std::fs::remove_file(wanted);
        done
    };
    match result {
        Ok(done) => vec![done],
        Err(error) => {
            output::note(&format!("warning: {error}"));
            Vec::new()
        }
    }
}

/// Makes the manager forget a service whose file is gone.
pub(super) fn forget() {
    if !MAC {
        // Without a manager there is nobody to remember it.
        let _ = systemctl(&["daemon-reload"]);
        let _ = systemctl(&["reset-failed", systemd::UNIT]);
    }
}

/// How the service is.
pub(super) fn state() -> State {
    if MAC {
        let name = format!("{}/{}", domain(), launchd::LABEL);
        let running = run("launchctl", &["print", &name])
            .is_ok_and(|answer| String::from_utf8_lossy(&answer.stdout).contains("state = running"));
        return State { text: if running { "running" } else { "not running" }.to_owned(), running };
    }
    let properties = "--property=ActiveState,SubState,UnitFileState,MainPID,NRestarts,MemoryCurrent";
    match systemctl(&["show", properties, systemd::UNIT]) {
        Ok(answer) if answer.status.success() => {
            let text = String::from_utf8_lossy(&answer.stdout).trim().replace('\n', ", ");
            State { running: text.contains("ActiveState=active"), text }
        }
        Ok(answer) => State { text: said(&answer), running: false },
        Err(error) => State { text: format!("`systemctl`: {error}"), running: false },
    }
}

/// What was done, or the error of a step that failed.
fn expect(what: &str, answer: io::Result<Output>) -> Result<String, CliError> {
    match answer {
        Ok(answer) if answer.status.success() => Ok(what.to_owned()),
        Ok(answer) => Err(CliError::usage(format!("`{what}` failed: {}", said(&answer)))
            .with_hint("`journalctl --user -u contextd-indexer` has the service's own words")),
        Err(error) => Err(CliError::usage(format!("`{what}`: {error}"))),
    }
}
