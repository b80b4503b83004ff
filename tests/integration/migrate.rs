//! `indexer migrate`: an index and the memories beside it come to a Qdrant server and back,
//! and nothing is read or embedded again. Against the server at `QDRANT_URL` too.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Answer, Sandbox, left_out};
use crate::qdrant_server::QdrantServer;

const FILES: [(&str, &str); 4] = [
    (
        "src/retry.rs",
        "/// Waits longer after each failed attempt.\npub fn backoff(attempt: u32) -> u64 {\n    100 << attempt\n}\n",
    ),
    (
        "src/parse.rs",
        "/// Splits a header line into its name and value.\npub fn parse_header(line: &str) -> Option<(&str, &str)> {\n    line.split_once(':')\n}\n",
    ),
    (
        "tool.py",
        "class Uploader:\n    \"\"\"Sends files to the archive in pieces.\"\"\"\n\n    def upload(self, path):\n        return self.send(path)\n",
    ),
    ("README.md", "# Demo\n\nHow colours are mixed in the painting program.\n"),
];
const QUERIES: [&str; 4] =
    ["wait before trying again", "parse_header", "sending files in pieces", "mixing colours"];

/// A repository in a sandbox, and a configuration for each store.
struct Setting {
    sandbox: Sandbox,
    root: PathBuf,
    url: String,
    server: Option<QdrantServer>,
}

impl Setting {
    fn new(url: Option<String>) -> Setting {
        let sandbox = Sandbox::new();
        let root = sandbox.path("repository");
        for (path, text) in FILES {
            write(&root, path, text);
        }
        sandbox.git(&root, &["init", "-q"]);
        sandbox.git(&root, &["add", "-A"]);
        sandbox.git(&root, &["commit", "-q", "-m", "first"]);
        let server = url.is_none().then(QdrantServer::start);
        let url = url.or(server.as_ref().map(QdrantServer::url)).expect("one of both");
        for provider in ["embedded", "qdrant"] {
            for layout in ["collection", "shared"] {
                let text = format!(
                    "[store]\nprovider = \"{provider}\"\n[store.qdrant]\nurl = \"{url}\"\n\
                     prefix = \"test_migrate_\"\nlayout = \"{layout}\"\n"
                );
                std::fs::write(sandbox.path(format!("{provider}-{layout}.toml")), text).expect("written");
            }
        }
        Setting { sandbox, root, url, server }
    }

    /// Runs the program with a store in use: `embedded`, `qdrant-collection`, `qdrant-shared`.
    fn with(&self, store: &str, args: &[&str]) -> Answer {
        let name = if store == "embedded" { "embedded-collection" } else { store };
        let config = self.sandbox.path(format!("{name}.toml"));
        let mut all = args.to_vec();
        let config = config.to_str().expect("UTF-8").to_owned();
        all.extend(["--config", &config]);
        self.sandbox.indexer(&self.root, &all)
    }

    fn migrate(&self, from: &str, to: &str, more: &[&str]) -> Answer {
        let mut args = vec!["migrate", "--from", from, "--to", to, "--collection", "all", "--json"];
        args.extend(more);
        self.with("embedded", &args)
    }

    /// The first hit of each query: path and line.
    fn top_hits(&self, store: &str) -> Vec<(Value, Value)> {
        let first = |query: &&str| {
            let answer = self.with(store, &["search", "--json", "-n", "3", query]).expect(0);
            let hit = answer.json_lines().remove(0);
            (hit["path"].clone(), hit["start_line"].clone())
        };
        QUERIES.iter().map(first).collect()
    }

    /// The index is what is on disk, and a run has nothing to do.
    fn is_current(&self, store: &str) {
        let outcome = self.with(store, &["once", "--json"]).expect(0).json();
        let number = |pointer: &str| outcome.pointer(pointer).and_then(Value::as_u64);
        for pointer in
            ["/files/parsed", "/files/removed", "/chunks/added", "/chunks/removed", "/vectors/text/embedded"]
        {
            assert_eq!(number(pointer), Some(0), "{pointer} with {store}: {outcome}");
        }
        assert_eq!(number("/vectors/text/present"), number("/vectors/text/needed"), "{outcome}");
        assert_eq!(outcome["full"], Value::Null);
        self.with(store, &["verify"]).expect(0);
    }

    /// Ends what it left on a real server.
    fn delete_databases(&self) {
        for store in ["qdrant-collection", "qdrant-shared"] {
            let list = self.with(store, &["db", "list", "--json"]).json();
            for database in list["databases"].as_array().expect("an array") {
                let name = database["name"].as_str().expect("a name");
                self.with(store, &["db", "delete", "--yes", name]).expect(0);
            }
        }
    }
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    std::fs::write(path, text).expect("written");
}

fn sum(report: &Value, pointer: &str) -> u64 {
    let collections = report["collections"].as_array().expect("an array");
    collections.iter().map(|found| found.pointer(pointer).and_then(Value::as_u64).expect(pointer)).sum()
}

fn digests(report: &Value) -> Vec<String> {
    let collections = report["collections"].as_array().expect("an array");
    collections.iter().map(|found| found["digest"].as_str().expect("a digest").to_owned()).collect()
}

fn there_and_back(setting: &Setting) {
    setting.with("embedded", &["once"]).expect(0);
    setting.with("embedded", &["memory", "checkpoint", "save", "Retries moved; tests still red"]).expect(0);
    let record =
        ["memory", "remediation", "record", "linker `cc` not found", "apt-get install build-essential"];
    setting.with("embedded", &record).expect(0);
    let hits = setting.top_hits("embedded");
    let dump = setting.with("embedded", &["dump"]).expect(0).stdout;

    // A look changes nothing.
    let planned = setting.migrate("embedded", "qdrant", &["--dry-run"]).expect(0).json();
    assert_eq!((planned["dry_run"].as_bool(), sum(&planned, "/bytes")), (Some(true), 0));
    setting.with("qdrant-collection", &["db", "list"]).expect(1);

    let mut before = None;
    let (collection, shared) = ("qdrant:collection", "qdrant:shared");
    for (from, to, store) in [
        ("embedded", collection, "qdrant-collection"),
        ("embedded", shared, "qdrant-shared"),
        (shared, collection, "qdrant-collection"),
    ] {
        let moved = setting.migrate(from, to, &[]).expect(0);
        assert!(moved.stderr.contains(&format!("layout = \"{}\"", &to[7..])), "{moved:?}");
        let moved = moved.json();
        assert_eq!((moved["from"].as_str(), moved["to"].as_str()), (Some(from), Some(to)));
        assert_eq!(moved["collections"].as_array().map(Vec::len), Some(3), "{moved}");
        let total = sum(&planned, "/points/sent");
        let kept = if before.is_some() && from == shared { total } else { 0 };
        assert_eq!((sum(&moved, "/points/kept"), sum(&moved, "/points/sent")), (kept, total - kept));
        assert_eq!(*before.get_or_insert_with(|| digests(&moved)), digests(&moved));
        setting.is_current(store);
        assert_eq!(setting.top_hits(store), hits, "{store}");
        assert_eq!(setting.with(store, &["dump"]).expect(0).stdout, dump);
        for memory in [
            ["memory", "checkpoint", "search", "red tests"],
            ["memory", "remediation", "search", "no linker"],
        ] {
            setting.with(store, &memory).expect(0);
        }
        // A run noted when it looked: what it says of itself is made equal again.
        setting.migrate("embedded", to, &[]).expect(0);
    }

    // What happens there comes back, and nothing else is sent.
    write(&setting.root, "src/new.rs", "/// Rotates the log at midnight.\npub fn rotate_log() {}\n");
    setting.with("qdrant-shared", &["once"]).expect(0);
    let back = setting.migrate("qdrant:shared", "embedded", &[]).expect(0);
    assert!(back.stderr.contains("is the store in use"), "{back:?}");
    let back = back.json();
    assert_eq!((sum(&back, "/points/sent"), sum(&back, "/vectors/text/sent")), (1, 1), "{back}");
    setting.is_current("embedded");
    let found = setting.with("embedded", &["search", "--json", "rotate_log"]).expect(0).json_lines();
    assert_eq!(found[0]["path"], "src/new.rs");

    // And the source goes only when that is said, and agreed to.
    let refused = setting.migrate(shared, collection, &["--drop-source"]).expect(2);
    assert!(refused.stderr.contains("--yes"), "{refused:?}");
    let moved = setting.migrate(shared, collection, &["--drop-source", "--yes"]).expect(0).json();
    let dropped = |found: &Value| found["source_dropped"].as_bool();
    assert!(moved["collections"].as_array().is_some_and(|all| all.iter().all(|c| dropped(c) == Some(true))));
    setting.with("qdrant-shared", &["status"]).expect(1);
    setting.is_current("qdrant-collection");
    setting.migrate(shared, "embedded", &[]).expect(1);
    setting.delete_databases();
}

#[test]
fn an_index_and_its_memories_come_to_a_server_and_back() {
    there_and_back(&Setting::new(None));
}

#[test]
fn the_same_with_a_real_server() {
    match std::env::var("QDRANT_URL") {
        Ok(url) => there_and_back(&Setting::new(Some(url))),
        Err(_) => left_out("migrating to a real Qdrant", "QDRANT_URL is not set"),
    }
}

#[test]
fn killed_at_any_call_it_is_finished_by_the_next() {
    const KILLS: usize = 6;
    let setting = Setting::new(None);
    let calls = || setting.server.as_ref().map_or(0, |server| server.calls().len());
    setting.with("embedded", &["once", "--lexical-only"]).expect(0);
    let before = calls();
    let whole = setting.migrate("embedded", "qdrant", &[]).expect(0).json();
    let all = calls() - before;
    let mut killed = 0;
    for at in (1..=KILLS).map(|kill| all * kill / (KILLS + 1)) {
        let config = setting.sandbox.path("embedded-collection.toml");
        let args = ["migrate", "--from=embedded", "--to=qdrant", "--collection=all", "--replace", "--yes"];
        let mut command = setting.sandbox.indexer_command(&setting.root, &setting.sandbox.data_dir(), &args);
        command.arg("--config").arg(config).stdout(Stdio::piped()).stderr(Stdio::null());
        let start = calls();
        let mut child = command.spawn().expect("the program runs");
        let mut stdout = child.stdout.take().expect("a pipe");
        let (ended, end) = mpsc::channel::<()>();
        // The pipe closes when the program ends.
        let reader = std::thread::spawn(move || {
            drop(std::io::copy(&mut stdout, &mut std::io::sink()));
            drop(ended);
        });
        while calls() < start + at {
            if end.recv_timeout(Duration::from_millis(1)) == Err(mpsc::RecvTimeoutError::Disconnected) {
                break;
            }
        }
        killed += u32::from(child.try_wait().expect("a child of this process").is_none());
        child.kill().expect("a child of this process");
        child.wait().expect("a child of this process");
        reader.join().expect("the reader");
        // What says that it is an index is one.
        if setting.with("qdrant-collection", &["status"]).code == Some(0) {
            setting.with("qdrant-collection", &["verify"]).expect(0);
        }
        let finished = setting.migrate("embedded", "qdrant", &[]).expect(0).json();
        assert_eq!(digests(&finished), digests(&whole), "killed at call {at} of {all}");
        setting.with("qdrant-collection", &["verify"]).expect(0);
        assert_eq!(
            setting.with("qdrant-collection", &["dump"]).expect(0).stdout,
            setting.with("embedded", &["dump"]).expect(0).stdout
        );
    }
    assert!(killed >= 3, "{killed} of {KILLS} were killed");
}

#[test]
fn what_cannot_be_migrated_is_told_beside_the_others() {
    let setting = Setting::new(None);
    let nothing = setting.migrate("embedded", "qdrant", &[]).expect(1);
    assert!(nothing.stderr.contains("no such collection"), "{nothing:?}");
    setting.with("embedded", &["once", "--lexical-only"]).expect(0);
    setting.with("embedded", &["memory", "checkpoint", "save", "Something to keep"]).expect(0);

    // The wrong way to ask.
    setting.migrate("embedded", "sqlite", &[]).expect(64);
    let same = setting.migrate("qdrant", "qdrant:collection", &[]).expect(2);
    assert!(same.stderr.contains("both ends"), "{same:?}");
    let unknown = setting.migrate("embedded", "qdrant", &["--database", "nobody"]).expect(2);
    assert!(unknown.stderr.contains("indexer db list"), "{unknown:?}");

    // One is being written, the other not.
    let status = setting.with("embedded", &["status", "--json"]).expect(0).json();
    let text = |name: &str| status["worktrees"][0][name].as_str().expect("a string").to_owned();
    let (database, collection) = (text("database"), text("collection"));
    let lock = setting.sandbox.data_dir().join("locks").join(format!("{database}.{collection}.lock"));
    let held = std::fs::File::options().append(true).open(&lock).expect("the lock of its runs");
    held.lock().expect("nobody has it");
    let report = setting.migrate("embedded", "qdrant", &[]).expect(2).json();
    let of = |report: &Value, name: &str| {
        let all = report["collections"].as_array().expect("an array");
        all.iter().find(|found| found["collection"] == name).expect(name).clone()
    };
    assert!(of(&report, &collection)["error"].as_str().is_some_and(|error| error.contains("another run")));
    assert_eq!(of(&report, "checkpoints")["points"]["sent"], 1);
    drop(held);

    // Damaged.
    let place = setting.sandbox.data_dir().join("databases").join(&database).join(&collection);
    let commit = std::fs::read(place.join("commit")).expect("there");
    std::fs::write(place.join("commit"), "no commit").expect("written");
    let report = setting.migrate("embedded", "qdrant", &[]).expect(2).json();
    assert!(of(&report, &collection)["error"].as_str().is_some_and(|error| error.contains("damaged")));
    assert_eq!(of(&report, "checkpoints")["points"]["kept"], 1);
    assert_eq!(of(&report, &collection)["source_dropped"], false);
    std::fs::write(place.join("commit"), commit).expect("written");

    // A memory that only the target has is not lost for asking again.
    setting.migrate("embedded", "qdrant", &[]).expect(0);
    setting.with("qdrant-collection", &["memory", "checkpoint", "save", "Kept on the server"]).expect(0);
    let report = setting.migrate("embedded", "qdrant", &[]).expect(2).json();
    let refused = of(&report, "checkpoints");
    assert!(refused["hint"].as_str().is_some_and(|hint| hint.contains("--replace")), "{report}");
    let unasked = setting.migrate("embedded", "qdrant", &["--replace"]).expect(2);
    assert!(unasked.stderr.contains("--yes"), "{unasked:?}");
    let planned = setting.migrate("embedded", "qdrant", &["--replace", "--dry-run"]).expect(0).json();
    assert_eq!(of(&planned, "checkpoints")["points"]["sent"], 1);
    let back = setting.migrate("qdrant", "embedded", &[]).expect(0).json();
    assert_eq!(of(&back, "checkpoints")["points"]["sent"], 1);

    setting.with("qdrant-collection", &["memory", "checkpoint", "save", "Given up"]).expect(0);
    let replaced = setting.migrate("embedded", "qdrant", &["--replace", "--yes"]).expect(0).json();
    assert_eq!(
        of(&replaced, "checkpoints")["points"],
        serde_json::json!({"sent": 2, "kept": 0, "removed": 0})
    );

    // Nobody answers.
    let away = QdrantServer::start().url();
    let config = setting.sandbox.path("away.toml");
    let text = std::fs::read_to_string(setting.sandbox.path("embedded-collection.toml")).expect("there");
    let text = text.replace(&setting.url, &away) + "retries = 0\n";
    std::fs::write(&config, text).expect("written");
    let args = ["migrate", "--from", "embedded", "--to", "qdrant", "--collection", "all", "--config"];
    let refused =
        setting.sandbox.indexer(&setting.root, &[&args[..], &[config.to_str().expect("UTF-8")]].concat());
    let refused = refused.expect(2);
    let told = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert!(told.contains("cannot be reached") && told.contains(&collection), "{refused:?}");
}
