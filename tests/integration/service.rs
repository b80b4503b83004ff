//! `indexer service` over a service manager that only writes down what it is told. What a
//! real one makes of the unit is not seen here.

use std::fs;
use std::path::PathBuf;

use crate::harness::{Answer, Sandbox};

const UNIT: &str = "home/.config/systemd/user/contextd-indexer.service";

/// Runs `indexer service`; each program of the manager is a script of this text.
fn service(sandbox: &Sandbox, manager: Option<&str>, args: &[&str]) -> Answer {
    let bin = sandbox.path("bin");
    let _ = fs::remove_dir_all(&bin);
    fs::create_dir(&bin).expect("made");
    for program in ["systemctl", "systemd-run"] {
        if let Some(text) = manager {
            let text = format!("#!/bin/sh\necho {program} \"$@\" >> {}\n{text}\n", told(sandbox).display());
            // Another process writes it: this one's, that other tests start now, would keep it busy.
            let mut write = sandbox.command("sh", &bin);
            write.args(["-c", "printf %s \"$1\" > $0 && chmod +x $0", program, &text]);
            assert!(write.status().expect("runs").success());
        }
    }
    let args = [&["service"], args].concat();
    let mut command = sandbox.indexer_command(&sandbox.path("home"), &sandbox.data_dir(), &args);
    command.env("PATH", &bin).output().expect("runs").into()
}

fn told(sandbox: &Sandbox) -> PathBuf {
    sandbox.path("told")
}

/// What the manager was told since it was last asked.
fn what_was_told(sandbox: &Sandbox) -> String {
    let text = fs::read_to_string(told(sandbox)).unwrap_or_default();
    let _ = fs::remove_file(told(sandbox));
    text.replace("--user --no-pager ", "").replace(" contextd-indexer.service", "")
}

#[cfg(target_os = "linux")]
#[test]
fn install_and_uninstall() {
    let sandbox = Sandbox::new();
    let unit = sandbox.path(UNIT);
    let dry = service(&sandbox, None, &["install", "--dry-run"]).expect(0);
    assert!(!unit.exists() && dry.stderr.contains("contextd-indexer.service"), "{dry:?}");
    service(&sandbox, Some("exit 0"), &["status"]).expect(1);

    service(&sandbox, Some("exit 0"), &["install"]).expect(0);
    let steps = what_was_told(&sandbox);
    assert!(steps.ends_with("systemctl daemon-reload\nsystemctl enable\n"), "{steps}");
    assert_eq!(fs::read(&unit).expect("written"), dry.stdout, "what the dry run printed");
    let text = String::from_utf8(dry.stdout).expect("text");
    let start = format!(
        "ExecStart={} watch --data-dir {}",
        env!("CARGO_BIN_EXE_indexer"),
        sandbox.data_dir().display()
    );
    assert!(text.lines().any(|line| line == start), "{start}\n{text}");

    for (now, start) in [("started", "systemctl start\n"), ("restarted", "systemctl restart\n")] {
        service(&sandbox, Some("exit 0"), &["install", "--now"]).expect(0);
        let steps = what_was_told(&sandbox);
        assert!(steps.ends_with(&format!("systemctl enable\n{start}")), "{now}: {steps}");
        // Of another version.
        fs::write(&unit, "[Service]\n").expect("written");
    }
    let status = service(&sandbox, Some("echo ActiveState=active"), &["status"]).expect(0);
    assert!(String::from_utf8_lossy(&status.stdout).contains("brings it up to date"), "{status:?}");

    let wants = sandbox.path("home/.config/systemd/user/default.target.wants");
    fs::create_dir(&wants).expect("made");
    std::os::unix::fs::symlink(&unit, wants.join("contextd-indexer.service")).expect("linked");
    // Also where nobody can be told any more.
    service(&sandbox, Some("echo no bus >&2; exit 1"), &["uninstall"]).expect(0);
    assert!(!unit.exists() && fs::read_dir(&wants).expect("there").next().is_none());
    assert!(sandbox.data_dir().exists());
    let again = service(&sandbox, Some("exit 0"), &["uninstall"]).expect(0);
    assert!(String::from_utf8_lossy(&again.stdout).contains("not installed"), "{again:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn without_a_manager_nothing_is_written() {
    for (manager, expected) in
        [(None, "no `systemctl`"), (Some("echo Failed to connect to bus >&2; exit 1"), "Failed to connect")]
    {
        let sandbox = Sandbox::new();
        let answer = service(&sandbox, manager, &["install", "--now"]).expect(2);
        assert!(answer.stderr.contains(expected) && answer.stderr.contains("indexer watch"), "{answer:?}");
        assert!(!sandbox.path(UNIT).exists());
    }
}

/// A manager that gives no user namespaces: a service that asks for one would not start.
#[cfg(target_os = "linux")]
#[test]
fn without_user_namespaces_the_sandbox_is_weaker_and_it_is_said() {
    let sandbox = Sandbox::new();
    let answer = service(&sandbox, Some("case $0 in *systemd-run) exit 217;; esac"), &["install"]).expect(0);
    assert!(answer.stderr.contains("user namespaces"), "{answer:?}");
    let unit = fs::read_to_string(sandbox.path(UNIT)).expect("written");
    assert!(!unit.contains("\nPrivateUsers=") && unit.contains("\nNoNewPrivileges=yes"), "{unit}");
    let doctor = sandbox.indexer(&sandbox.path("home"), &["doctor"]);
    let text = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(text.lines().any(|line| line.starts_with("ok") && line.contains(" service ")), "{text}");
}
