//! `indexer doctor` finds what was broken, says what helps, and changes nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::Sandbox;

/// A repository in `repo`, registered and indexed by words.
fn healthy() -> Sandbox {
    let sandbox = Sandbox::new();
    let repo = sandbox.path("repo");
    fs::create_dir(&repo).expect("made");
    fs::write(repo.join("a.rs"), "fn alpha() {}\n").expect("written");
    for args in [&["init", "-q"][..], &["add", "-A"], &["commit", "-q", "-m", "first"]] {
        sandbox.git(&repo, args);
    }
    fs::set_permissions(sandbox.data_dir(), fs::Permissions::from_mode(0o700)).expect("private");
    sandbox.indexer(&repo, &["once", "--lexical-only"]).expect(0);
    sandbox
}

/// The checks, each as `check status`, and the whole answer. The exit code agrees with them.
fn examine(sandbox: &Sandbox) -> (Vec<String>, Value) {
    let answer = sandbox.indexer(&sandbox.path("repo"), &["doctor", "--json"]);
    let diagnosis = answer.json();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    answer.expect(i32::from(text(&diagnosis["status"]) == "failure"));
    let checks = diagnosis["checks"].as_array().expect("an array").iter();
    let checks = checks.map(|check| format!("{} {}", text(&check["check"]), text(&check["status"])));
    (checks.collect(), diagnosis)
}

/// Every file below `dir`, with its content.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(dir).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                pending.push(path)
            } else {
                found.push((path.clone(), fs::read(path).unwrap_or_default()))
            }
        }
    }
    found.sort();
    found
}

/// The directory of the one collection.
fn collection(sandbox: &Sandbox) -> PathBuf {
    let only = |dir: PathBuf| {
        let mut entries = fs::read_dir(dir).expect("readable").map(|entry| entry.expect("readable").path());
        entries.find(|path| path.is_dir()).expect("one")
    };
    only(only(sandbox.data_dir().join("databases")))
}

#[test]
fn a_healthy_machine() {
    let sandbox = healthy();
    sandbox.indexer(&sandbox.path("repo"), &["once"]).expect(0);
    let before = files(&sandbox.data_dir());
    let (checks, diagnosis) = examine(&sandbox);
    let expected = [
        "configuration",
        "model",
        "repository",
        "index",
        "data directory",
        "collections",
        "cache",
        "registry",
        "daemon",
    ];
    for check in expected {
        assert!(checks.contains(&format!("{check} ok")), "{check}: {diagnosis:#}");
    }
    assert!(files(&sandbox.data_dir()) == before, "nothing is changed");
    let table = sandbox.indexer(&sandbox.path("repo"), &["doctor"]).expect(0);
    assert!(table.stdout.starts_with(b"ok "), "{table:?}");
}

#[test]
fn what_is_broken_is_found() {
    type Break = fn(&Sandbox);
    let cases: &[(&str, Break, &str, &str)] = &[
        (
            "the configuration",
            |sandbox| {
                let dir = sandbox.path("home/.config/contextd-indexer");
                fs::create_dir_all(&dir).expect("made");
                fs::write(dir.join("config.toml"), "[watch]\npoll_seconds = 0\n").expect("written");
            },
            "configuration failure",
            "watch.poll_seconds",
        ),
        (
            "the registry",
            |sandbox| fs::write(sandbox.path("data/registry.json"), "{").expect("written"),
            "registry failure",
            "move it away",
        ),
        (
            "a collection",
            |sandbox| {
                let commit = collection(sandbox).join("commit");
                let content = fs::read(&commit).expect("there");
                fs::write(commit, &content[1..]).expect("written");
            },
            "collections failure",
            "indexer once --full",
        ),
        (
            "a collection that was set aside",
            |sandbox| {
                let aside = format!("{}.aside-1", collection(sandbox).display());
                fs::create_dir(&aside).expect("made");
                fs::write(Path::new(&aside).join("x"), [0; 3000]).expect("written");
            },
            "collections warning",
            "3.0 kB",
        ),
        (
            "a worktree that is gone",
            |sandbox| {
                sandbox.git(&sandbox.path("repo"), &["worktree", "add", "-q", "../gone"]);
                sandbox.indexer(&sandbox.path("gone"), &["once", "--lexical-only"]).expect(0);
                fs::remove_dir_all(sandbox.path("gone")).expect("removed");
            },
            "collections warning",
            "rm -r",
        ),
        (
            "a registered worktree that is gone",
            |sandbox| {
                sandbox.git(&sandbox.path("repo"), &["worktree", "add", "-q", "../gone"]);
                sandbox.indexer(&sandbox.path("repo"), &["add", "."]).expect(0);
                fs::remove_dir_all(sandbox.path("gone")).expect("removed");
            },
            "registry warning",
            "indexer remove",
        ),
        (
            "nobody keeps the registered worktrees fresh",
            |sandbox| drop(sandbox.indexer(&sandbox.path("repo"), &["add", "."]).expect(0)),
            "daemon warning",
            "indexer watch",
        ),
        (
            "the data directory's mode",
            |sandbox| {
                fs::set_permissions(sandbox.data_dir(), fs::Permissions::from_mode(0o755)).expect("set");
            },
            "data directory warning",
            "chmod 700",
        ),
        (
            "the cache",
            |sandbox| {
                sandbox.indexer(&sandbox.path("repo"), &["once"]).expect(0);
                fs::write(sandbox.path("data/cache/embeddings.sqlite"), [1; 8192]).expect("written");
            },
            "cache warning",
            "remove the file",
        ),
        (
            "the git repository",
            |sandbox| fs::write(sandbox.path("repo/.git/index"), "x").expect("written"),
            "repository failure",
            "git -C",
        ),
        (
            "an edit",
            |sandbox| fs::write(sandbox.path("repo/b.rs"), "fn beta() {}\n").expect("written"),
            "index warning",
            "indexer once",
        ),
    ];
    for (what, break_it, expected, says) in cases {
        let sandbox = healthy();
        break_it(&sandbox);
        let before = files(&sandbox.data_dir());
        let (checks, diagnosis) = examine(&sandbox);
        assert!(checks.contains(&(*expected).to_owned()), "{what}: {diagnosis:#}");
        assert!(diagnosis.to_string().contains(says), "{what}: {diagnosis:#}");
        assert!(files(&sandbox.data_dir()) == before, "{what}: nothing is changed");
    }
}

#[test]
fn a_model_that_is_not_there() {
    let sandbox = healthy();
    let mut command =
        sandbox.indexer_command(&sandbox.path("repo"), &sandbox.data_dir(), &["doctor", "--json"]);
    let output = command.env("INDEXER_MODEL_DIR", sandbox.path("empty")).output().expect("runs");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("indexer model install"), "{text}");
    assert!(!sandbox.path("empty").exists());
}
