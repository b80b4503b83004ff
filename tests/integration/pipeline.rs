//! The whole way from a worktree to an answer: what a run counts, and that nothing
//! seen before is embedded again.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use contextd_indexer::config::{self, Flags};
use contextd_indexer::engine::Engine;
use contextd_indexer::id::{DatabaseName, PointId};
use contextd_indexer::index::{FullReason, Progress, Run};
use contextd_indexer::store::{Batch, EmbeddedStore, Point, Store as _};
use serde_json::{Value, json};

use crate::harness::Sandbox;

const LIB: &str = r#"//! Retries.

/// Waits longer after each failed attempt.
pub fn backoff(attempt: u32) -> u64 {
    let base = 100;
    base * 2u64.pow(attempt)
}
"#;

const TOOL: &str = r#"class Uploader:
    """Sends files to the archive in pieces."""

    def upload(self, path):
        for piece in self.pieces(path):
            self.send(piece)
"#;

/// A repository with two files in one commit.
fn repository(sandbox: &Sandbox) -> PathBuf {
    let tree = sandbox.path("repository");
    sandbox.git(&sandbox.path(""), &["init", "-q", "repository"]);
    write(&tree, "src/lib.rs", LIB);
    write(&tree, "tool.py", TOOL);
    commit(sandbox, &tree, "first");
    tree
}

fn write(tree: &Path, path: &str, text: &str) {
    let path = tree.join(path);
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    std::fs::write(path, text).expect("a file");
}

fn commit(sandbox: &Sandbox, tree: &Path, message: &str) {
    sandbox.git(tree, &["add", "-A"]);
    sandbox.git(tree, &["commit", "-q", "-m", message]);
}

fn once(sandbox: &Sandbox, tree: &Path) -> Value {
    sandbox.indexer(tree, &["once", "--json"]).expect(0).json()
}

/// The outcome without what no two runs share: times, and files that are hashed only
/// because they were touched less than two seconds before.
fn counters(outcome: &Value) -> Value {
    let mut outcome = outcome.clone();
    let object = outcome.as_object_mut().expect("an object");
    for name in ["ms", "head", "collection", "commits", "bytes"] {
        object.remove(name).expect(name);
    }
    let files = outcome["files"].as_object_mut().expect("files");
    for name in ["unchanged", "read", "touched"] {
        files.remove(name).expect(name);
    }
    outcome
}

fn vectors(outcome: &Value) -> (u64, u64) {
    let text = &outcome["vectors"]["text"];
    (text["embedded"].as_u64().expect("embedded"), text["cache_hits"].as_u64().expect("cache_hits"))
}

#[test]
fn the_whole_outcome_of_a_first_run_and_of_one_that_changes_nothing() {
    let sandbox = Sandbox::new();
    let tree = repository(&sandbox);
    let first = once(&sandbox, &tree);
    let chunks = first["chunks"]["total"].as_u64().expect("total");
    assert!(chunks >= 2, "{first}");
    let files = |parsed: u64, uncommitted: u64| {
        json!({
            "listed": 2, "parsed": parsed, "removed": 0, "committed": 0, "uncommitted": uncommitted,
            "skipped": {}, "syntax_errors": 0, "redactions": 0,
        })
    };
    assert_eq!(
        counters(&first),
        json!({
            "full": "missing",
            "files": files(2, 0),
            "chunks": { "added": chunks, "removed": 0, "kept": 0, "moved": 0, "total": chunks },
            "vectors": { "text": {
                "needed": chunks, "present": 0, "cache_hits": 0, "embedded": chunks, "pending": 0, "over_limit": 0,
                "replaces": null,
            } },
            "unreadable_directories": 0,
            "interrupted": false,
        })
    );
    assert_eq!(
        counters(&once(&sandbox, &tree)),
        json!({
            "full": null,
            "files": files(0, 0),
            "chunks": { "added": 0, "removed": 0, "kept": 0, "moved": 0, "total": chunks },
            "vectors": { "text": {
                "needed": chunks, "present": chunks, "cache_hits": 0, "embedded": 0, "pending": 0, "over_limit": 0,
                "replaces": null,
            } },
            "unreadable_directories": 0,
            "interrupted": false,
        })
    );
}

#[test]
fn content_seen_once_is_never_embedded_again() {
    let sandbox = Sandbox::new();
    let tree = repository(&sandbox);
    once(&sandbox, &tree);

    sandbox.git(&tree, &["checkout", "-q", "-b", "side"]);
    write(&tree, "src/lib.rs", &LIB.replace("Waits longer", "Sleeps for a shorter time"));
    commit(&sandbox, &tree, "on the side");
    let there = once(&sandbox, &tree);
    assert!(vectors(&there).0 > 0, "new content is embedded: {there}");
    assert_eq!(there["files"]["committed"], 1, "{there}");

    sandbox.git(&tree, &["checkout", "-q", "main"]);
    assert_eq!(vectors(&once(&sandbox, &tree)).0, 0, "back to a branch that was indexed");
    sandbox.git(&tree, &["checkout", "-q", "side"]);
    assert_eq!(vectors(&once(&sandbox, &tree)).0, 0, "and there again");

    std::fs::create_dir(tree.join("lib")).expect("a directory");
    std::fs::rename(tree.join("tool.py"), tree.join("lib/tool.py")).expect("renamed");
    let moved = once(&sandbox, &tree);
    assert_eq!(vectors(&moved).0, 0, "a file in another directory: {moved}");
    assert_eq!((&moved["files"]["removed"], &moved["files"]["parsed"]), (&json!(1), &json!(1)), "{moved}");
    std::fs::rename(tree.join("lib/tool.py"), tree.join("lib/archive.py")).expect("renamed");
    assert_eq!(vectors(&once(&sandbox, &tree)).0, 0, "a file under another name");

    sandbox.git(&tree, &["worktree", "add", "-q", "../second", "main"]);
    let second = once(&sandbox, &sandbox.path("second"));
    assert_eq!(second["full"], "missing");
    let (embedded, cached) = vectors(&second);
    assert!(embedded == 0 && cached > 0, "a second worktree: {second}");

    assert_eq!(vectors(&sandbox.indexer(&tree, &["once", "--json", "--full"]).expect(0).json()).0, 0);
}

#[test]
fn words_are_found_before_vectors_are_made() {
    let sandbox = Sandbox::new();
    let tree = repository(&sandbox);
    let outcome = sandbox.indexer(&tree, &["once", "--json", "--lexical-only"]).expect(0).json();
    let text = &outcome["vectors"]["text"];
    assert_eq!((&text["embedded"], &text["pending"]), (&json!(0), &text["needed"]), "{outcome}");
    let lines =
        sandbox.indexer(&tree, &["search", "--json", "--mode", "lexical", "backoff"]).expect(0).json_lines();
    assert_eq!((&lines[0]["path"], &lines[0]["symbol"]), (&json!("src/lib.rs"), &json!("backoff")));
    let rest = once(&sandbox, &tree);
    assert_eq!(rest["vectors"]["text"]["pending"], 0, "the next run fills them: {rest}");
    assert_eq!(rest["files"]["parsed"], 0, "without parsing anew: {rest}");
}

#[test]
fn a_question_is_answered_by_meaning_and_each_hit_is_on_disk() {
    let sandbox = Sandbox::new();
    let tree = repository(&sandbox);
    once(&sandbox, &tree);
    let ask = |query: &str| sandbox.indexer(&tree, &["search", "--json", query]).expect(0).json_lines();
    let lines = ask("how long do we wait between failed attempts");
    assert_eq!(lines[0]["path"], "src/lib.rs", "{lines:?}");
    let (start, end) =
        (lines[0]["start_byte"].as_u64().expect("start"), lines[0]["end_byte"].as_u64().expect("end"));
    assert_eq!(lines[0]["text"], LIB[start as usize..end as usize]);
    let summary = lines.last().expect("a summary");
    assert_eq!((&summary["type"], &summary["freshness"]["fresh"]), (&json!("summary"), &json!(true)));

    // Moved down by an edit that the index has not seen: shown where it is now.
    write(&tree, "src/lib.rs", &format!("// One line more.\n\n{LIB}"));
    let lines = ask("backoff");
    assert_eq!((&lines[0]["symbol"], &lines[0]["repaired"]), (&json!("backoff"), &json!(true)), "{lines:?}");
    assert_eq!(lines.last().expect("a summary")["freshness"]["pending"], 1);

    // Gone: never shown.
    std::fs::remove_file(tree.join("src/lib.rs")).expect("removed");
    let answer = sandbox.indexer(&tree, &["search", "--json", "backoff"]);
    assert!(answer.json_lines().iter().all(|line| line["path"] != "src/lib.rs"), "{answer:?}");
}

#[test]
fn secrets_are_nowhere_in_the_state() {
    let sandbox = Sandbox::new();
    let tree = repository(&sandbox);
    // Put together here, so that this file holds none.
    let token = format!("ghp_{}", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8");
    write(&tree, "client.py", &format!("def connect():\n    token = \"{token}\"\n    return token\n"));
    write(&tree, ".env", "DATABASE_PASSWORD=correct-horse-battery\n");
    let outcome = once(&sandbox, &tree);
    assert_eq!(outcome["files"]["redactions"], 2, "{outcome}");
    let shown = sandbox.indexer(&tree, &["search", "--json", "connect token"]).expect(0);
    let mut places = vec![(PathBuf::from("standard output"), shown.stdout)];
    files_below(&sandbox.data_dir(), &mut places);
    assert!(places.len() > 3, "there is state to look at");
    for (place, bytes) in places {
        for secret in [token.as_str(), "correct-horse-battery"] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} is in {}", place.display());
        }
    }
}

fn files_below(dir: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files_below(&path, files);
        } else {
            let bytes = std::fs::read(&path).expect("a file");
            files.push((path, bytes));
        }
    }
}

#[test]
fn verify_names_what_differs_and_repair_mends_it() {
    let sandbox = Sandbox::new();
    let tree = repository(&sandbox);
    once(&sandbox, &tree);
    sandbox.indexer(&tree, &["verify"]).expect(0);
    write(&tree, "tool.py", &TOOL.replace("archive", "store"));
    write(&tree, "new.go", "package new\n\nfunc New() int { return 1 }\n");
    std::fs::remove_file(tree.join("src/lib.rs")).expect("removed");
    let result = sandbox.indexer(&tree, &["verify", "--json"]).expect(1).json();
    let found: Vec<(&str, &str)> = result["differences"]
        .as_array()
        .expect("differences")
        .iter()
        .map(|row| (row["path"].as_str().expect("path"), row["difference"].as_str().expect("difference")))
        .collect();
    assert_eq!(found, [("new.go", "missing"), ("src/lib.rs", "extra"), ("tool.py", "stale")]);
    assert_eq!(sandbox.indexer(&tree, &["verify", "--json", "--repair"]).expect(0).json()["clean"], true);
}

#[test]
fn a_full_run_answers_all_the_while_and_a_stopped_one_is_gone_on_with() {
    const FILES: usize = 40;
    let sandbox = Sandbox::new();
    let tree = repository(&sandbox);
    for number in 0..FILES {
        write(
            &tree,
            &format!("src/part_{number}.rs"),
            &format!("pub fn part_{number}() -> usize {{ {number} }}\n"),
        );
    }
    commit(&sandbox, &tree, "parts");
    once(&sandbox, &tree);
    let dump = || sandbox.indexer(&tree, &["dump"]).expect(0).stdout;
    let before = dump();
    write(&sandbox.path(""), "empty.toml", "");
    let flags = Flags { config: Some(sandbox.path("empty.toml")), data_dir: Some(sandbox.data_dir()) };
    let engine = Arc::new(Engine::new(config::load(&flags).expect("settings")).expect("an engine"));
    let workspace = engine.open(&tree).expect("a worktree");
    // A point that no file has: what a full run is there for.
    let (store, database) =
        (EmbeddedStore::new(&sandbox.data_dir()), DatabaseName::new(&workspace.database_name()));
    let database = database.expect("a name");
    let mut points = Vec::new();
    store.scan(&database, workspace.collection(), &mut |point| points.push(point)).expect("read");
    let stray = Point { id: PointId([7; 16]), ..points.swap_remove(0) };
    let batch = Batch { upsert: vec![stray], ..Batch::default() };
    store.apply(&database, workspace.collection(), batch).expect("written");
    sandbox.indexer(&tree, &["verify"]).expect(1);

    let outcome = workspace.run(Run { full: true }, None, &mut |progress| match progress {
        Progress::Files { done, .. } if done == FILES as u64 / 2 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    let outcome = outcome.expect("a run");
    assert_eq!((outcome.full, outcome.interrupted), (Some(FullReason::Requested), true));
    for number in 0..FILES {
        let found =
            sandbox.indexer(&tree, &["search", "--mode", "lexical", "--json", &format!("part_{number}")]);
        let lines = found.expect(0).json_lines();
        assert_eq!(lines[0]["path"], format!("src/part_{number}.rs"));
    }
    let outcome = once(&sandbox, &tree);
    assert_eq!(outcome["full"], Value::Null, "{outcome}");
    let parsed = outcome["files"]["parsed"].as_u64().expect("a count");
    assert!((FILES as u64 / 2..=FILES as u64 / 2 + 3).contains(&parsed), "{outcome}");
    assert_eq!(outcome["vectors"]["text"]["embedded"], 0, "{outcome}");
    assert_eq!(dump(), before);
    sandbox.indexer(&tree, &["verify"]).expect(0);
}

#[test]
fn its_own_state_in_the_worktree_is_no_reason_to_index() {
    let sandbox = Sandbox::new();
    let tree = repository(&sandbox);
    let inside = tree.join("state");
    for _ in 0..2 {
        let outcome = sandbox.indexer_in(&tree, &inside, &["once", "--json"]).expect(0).json();
        assert_eq!(outcome["files"]["listed"], 2, "{outcome}");
    }
    sandbox.indexer_in(&tree, &inside, &["verify"]).expect(0);
    let itself = sandbox.indexer_in(&tree, &tree, &["once"]).expect(2);
    assert!(itself.stderr.contains("--data-dir"), "{}", itself.stderr);
}

#[test]
fn path_filters_mean_what_the_shell_means() {
    let sandbox = Sandbox::new();
    let tree = repository(&sandbox);
    sandbox.indexer(&tree, &["once", "--lexical-only"]).expect(0);
    let cases = [
        ("src", 0),
        ("./lib.rs", 0),
        ("../src", 0),
        ("..", 0),
        ("*.rs", 0),
        ("lib.rs", 1),
        ("*.py", 1),
        ("../../elsewhere", 2),
        ("[", 64),
    ];
    for (pattern, code) in cases {
        let args = ["search", "--mode", "lexical", "--path", pattern, "backoff"];
        let answer = sandbox.indexer(&tree.join("src"), &args).expect(code);
        if code == 0 {
            assert!(answer.stdout.starts_with(b"../src/lib.rs:"), "{pattern}: {answer:?}");
        }
    }
}

#[test]
fn every_path_is_explained() {
    let sandbox = Sandbox::new();
    let tree = repository(&sandbox);
    write(&tree, ".gitignore", "*.log\n");
    write(&tree, "a.log", "x\n");
    write(&tree, "Cargo.lock", "version = 4\n");
    write(&tree, "image.bin", "a\0b");
    once(&sandbox, &tree);
    write(&tree, "pending.rs", "fn pending() {}\n");
    let cases = [
        ("src/lib.rs", 0, "tracked"),
        ("a.log", 1, ".gitignore:1 ignores it by \"*.log\""),
        ("Cargo.lock", 1, "lock_file"),
        ("image.bin", 1, "binary"),
        ("nowhere.rs", 1, "there is no such file"),
        ("pending.rs", 1, "does not have this state yet"),
        (".git/config", 1, "git's own"),
    ];
    for (path, code, text) in cases {
        let answer = sandbox.indexer(&tree, &["explain", path]).expect(code);
        let stdout = String::from_utf8_lossy(&answer.stdout).into_owned();
        assert!(stdout.contains(text), "{path}: {stdout}");
    }
}

#[test]
fn a_hooks_environment_redirects_nothing() {
    let sandbox = Sandbox::new();
    let tree = repository(&sandbox);
    sandbox.git(&sandbox.path(""), &["init", "-q", "other"]);
    write(&sandbox.path("other"), "other.rs", "fn other() {}\n");
    let mut command =
        sandbox.indexer_command(&tree, &sandbox.data_dir(), &["once", "--json", "--lexical-only"]);
    command
        .env("GIT_DIR", sandbox.path("other/.git"))
        .env("GIT_WORK_TREE", sandbox.path("other"))
        .env("GIT_INDEX_FILE", sandbox.path("other/.git/index"));
    let answer: crate::harness::Answer = command.output().expect("the program runs").into();
    assert_eq!(answer.expect(0).json()["files"]["listed"], 2);
    let dump = sandbox.indexer(&tree, &["dump"]).expect(0).json_lines();
    assert_eq!(dump[0]["path"], "src/lib.rs");
}

#[test]
fn exit_codes_and_messages_that_name_the_way_out() {
    let sandbox = Sandbox::new();
    let tree = repository(&sandbox);
    let outside = sandbox.path("home");
    let missing_model = sandbox.path("no-models");
    let cases: [(&Path, &[&str], i32, &str); 6] = [
        (&tree, &["search", "backoff"], 2, "indexer once"),
        (&tree, &["status"], 1, ""),
        (&tree, &["verify"], 2, "indexer once"),
        (&outside, &["once"], 2, "git"),
        (&tree, &["search"], 64, "Usage"),
        (&tree, &["once", "--no-such"], 64, "--no-such"),
    ];
    for (cwd, args, code, text) in cases {
        let answer = sandbox.indexer(cwd, args).expect(code);
        assert!(answer.stderr.contains(text), "{args:?}: {}", answer.stderr);
    }
    let mut command = sandbox.indexer_command(&tree, &sandbox.data_dir(), &["once"]);
    let answer: crate::harness::Answer =
        command.env("INDEXER_MODEL_DIR", &missing_model).output().expect("the program runs").into();
    assert!(answer.expect(2).stderr.contains("indexer model install"));
}
