//! What belongs to a place: the groups and their order, copies, namesakes, files that have
//! changed since, and what is said of places where nothing is.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::Sandbox;

const RETRY: &str = r#"//! Retries.

use crate::clock::now;

/// How long to wait before a failed request is sent again: longer after each attempt.
pub fn backoff_delay(attempt: u32, base: u32) -> u32 {
    // Jitter keeps clients from coming back at once.
    let jitter = now() % 7;
    let grown = widen(base, attempt);
    grown + jitter
}

/// Doubles the pause between two attempts, up to a minute.
pub fn widen(base: u32, attempt: u32) -> u32 {
    let doubled = base << attempt.min(16);
    doubled.min(60_000)
}
"#;

const CLIENT: &str = r#"use crate::retry::backoff_delay;

/// Sends one request, and again while the server is busy.
pub fn send(request: &Request) -> Response {
    let mut attempt = 0;
    loop {
        match request.post() {
            Ok(response) => return response,
            Err(_) => request.pause(backoff_delay(attempt, 100)),
        }
        attempt += 1;
    }
}

/// Says what is known of waiting; see backoff_delay.
pub fn explain() -> &'static str {
    "each attempt waits longer than the one before it, so that a busy server is left alone"
}
"#;

const COPY: &str = r#"/// How long to pause before a request that failed is tried again: longer after each attempt.
pub fn pause_before_retry(attempt: u32, base: u32) -> u32 {
    let grown = base << attempt.min(16);
    grown.min(60_000) + attempt % 7
}
"#;

const TESTS: &str = r#"use app::retry::backoff_delay;

#[test]
fn backoff_delay_grows() {
    assert!(backoff_delay(3, 100) > backoff_delay(0, 100));
}

#[test]
fn nothing_else() {
    assert_eq!(1 + 1, 2);
}
"#;

fn write(tree: &Path, path: &str, text: &str) {
    let path = tree.join(path);
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    std::fs::write(path, text).expect("a file");
}

fn repository(sandbox: &Sandbox) -> PathBuf {
    let tree = sandbox.path("repository");
    sandbox.git(&sandbox.path(""), &["init", "-q", "repository"]);
    write(&tree, "src/retry.rs", RETRY);
    write(&tree, "src/client.rs", CLIENT);
    write(&tree, "src/clock.rs", "/// Milliseconds since the start.\npub fn now() -> u32 {\n    4\n}\n");
    for copy in ["one", "two", "three"] {
        write(&tree, &format!("vendor/{copy}/pause.rs"), COPY);
    }
    write(&tree, "tests/retry.rs", TESTS);
    write(&tree, "app/[id]{a.tsx", "export function page(a: string) {\n  return show(a)\n}\n");
    write(&tree, "notes.md", "# Waiting\n\nThe pause comes from `backoff_delay`.\n");
    write(&tree, ".gitignore", "hidden.rs\n");
    write(&tree, "hidden.rs", "pub fn hidden() {}\n");
    sandbox.git(&tree, &["add", "-A"]);
    sandbox.git(&tree, &["commit", "-q", "-m", "first"]);
    tree
}

fn related(sandbox: &Sandbox, tree: &Path, place: &str) -> Value {
    sandbox.indexer(tree, &["related", place, "--json"]).expect(0).json()
}

fn group<'a>(answer: &'a Value, relation: &str) -> &'a Value {
    let groups = answer["groups"].as_array().expect("groups");
    groups.iter().find(|group| group["relation"] == relation).expect("one of each relation")
}

/// `path symbol why` of each result.
fn shown(answer: &Value, relation: &str) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let results = group(answer, relation)["results"].as_array().expect("results");
    let told = |hit: &Value| {
        let line = hit["line"].as_u64().map_or(String::new(), |line| format!(" {line}"));
        format!("{} {} {}{line}", text(&hit["path"]), text(&hit["symbol"]), text(&hit["why"]))
    };
    results.iter().map(told).collect()
}

#[test]
fn what_belongs_to_a_function_in_groups() {
    let sandbox = Sandbox::new();
    let tree = repository(&sandbox);
    sandbox.indexer(&tree, &["once"]).expect(0);
    let answer = related(&sandbox, &tree, "src/retry.rs:9");
    let subject = &answer["subject"];
    assert_eq!(
        (subject["symbol"].as_str(), subject["definitions"].as_u64()),
        (Some("backoff_delay"), Some(1))
    );
    assert_eq!((subject["start_line"].as_u64(), subject["end_line"].as_u64()), (Some(5), Some(11)));
    assert_eq!(answer["freshness"]["fresh"], true);

    assert_eq!(group(&answer, "similar")["how"], "by its vector in the text leg");
    let first = &group(&answer, "similar")["results"][0];
    assert_eq!(first["symbol"], "pause_before_retry", "{answer:#}");
    assert_eq!(first["copies"], 2, "three copies are one");
    assert!(first["score"].as_f64().is_some_and(|cosine| cosine > 0.5), "{first}");
    // A line of its own, which is neither a comment, an import nor a definition.
    let callers = shown(&answer, "callers");
    assert_eq!(callers[0], "src/client.rs send calls 9", "{callers:?}");
    assert!(callers.contains(&"src/client.rs explain mentions 15".to_owned()), "{callers:?}");
    assert!(callers.iter().any(|hit| hit.starts_with("notes.md Waiting mentions 3")), "{callers:?}");
    assert_eq!(callers.len(), 3, "{callers:?}");
    assert_eq!(shown(&answer, "tests"), ["tests/retry.rs backoff_delay_grows calls 5"]);
    let mut callees: Vec<String> = shown(&answer, "callees");
    callees.sort();
    assert_eq!(callees, ["src/clock.rs now defines", "src/retry.rs widen defines"]);
    // A hit as answers write it, for people, and a limit.
    let text = sandbox.indexer(&tree, &["related", "src/retry.rs:5-11", "-n", "1"]).expect(0);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    for part in
        ["similar (by its vector", "calls it at line 9]", "2 more like it", "  and 2 more\n", "callees ("]
    {
        assert!(text.contains(part), "{part:?} is missing:\n{text}");
    }
}

#[test]
fn what_changed_since_is_shown_where_it_is_or_not_at_all() {
    let sandbox = Sandbox::new();
    let tree = repository(&sandbox);
    sandbox.indexer(&tree, &["once", "--lexical-only"]).expect(0);
    // The subject moves down; one user does too, another is gone; words stand in for vectors.
    write(&tree, "src/retry.rs", &format!("// one\n// two\n{RETRY}"));
    write(&tree, "src/client.rs", &format!("\n\n\n{CLIENT}").replace("see backoff_delay", "ask again"));
    let answer = related(&sandbox, &tree, "src/retry.rs:11");
    assert_eq!(answer["subject"]["start_line"], 7);
    assert_eq!(answer["freshness"]["fresh"], false);
    assert!(answer["dropped"].as_u64().is_some_and(|dropped| dropped > 0), "{answer:#}");
    assert_eq!(shown(&answer, "callers")[0], "src/client.rs send calls 12");
    assert_eq!(group(&answer, "callers")["results"][0]["repaired"], true);
    assert_eq!(group(&answer, "similar")["how"], "by its words: it has no vector");
    let similar = shown(&answer, "similar");
    assert!(similar.iter().all(|hit| hit.ends_with(" words")), "{similar:?}");
    assert!(similar.iter().any(|hit| hit.contains("pause_before_retry")), "{similar:?}");
    assert!(similar.iter().all(|hit| !hit.contains("backoff_delay ")), "{similar:?}");
}

#[test]
fn namesakes_are_counted() {
    let sandbox = Sandbox::new();
    let tree = repository(&sandbox);
    write(&tree, "src/wide.rs", "pub fn widen(pixels: &mut Picture) {\n    pixels.stretch(2)\n}\n");
    sandbox.indexer(&tree, &["once", "--lexical-only"]).expect(0);
    let answer = related(&sandbox, &tree, "src/wide.rs:1");
    assert_eq!(answer["subject"]["definitions"], 2);
    let how = group(&answer, "callers")["how"].as_str().expect("text").to_owned();
    assert!(how.contains("2 definitions"), "{how}");
    assert_eq!(shown(&answer, "callers"), ["src/retry.rs backoff_delay calls 9"]);
    // Of two the one in the caller's own file.
    let callees = related(&sandbox, &tree, "src/retry.rs:9");
    let widen = group(&callees, "callees")["results"]
        .as_array()
        .expect("results")
        .iter()
        .find(|hit| hit["name"] == "widen")
        .expect("it is called")
        .clone();
    assert_eq!((widen["path"].as_str(), widen["definitions"].as_u64()), (Some("src/retry.rs"), Some(2)));
}

#[test]
fn places_where_nothing_is_say_what_to_do() {
    let sandbox = Sandbox::new();
    let tree = repository(&sandbox);
    let refused = |place: &str, code: i32, expected: &str| {
        let said = sandbox.indexer(&tree, &["related", place]).expect(code).stderr;
        assert!(said.contains(expected), "{place}: {expected:?} is not said: {said}");
    };
    refused("src/retry.rs:9", 2, "indexer once");
    sandbox.indexer(&tree, &["once", "--lexical-only"]).expect(0);
    refused("src/nothing.rs:9", 2, "no file src/nothing.rs");
    refused("src:9", 2, "is a directory");
    refused("src/retry.rs:99", 2, "no line 99: its last is 17");
    refused("src/retry.rs:12", 2, "name a line of a definition");
    refused("hidden.rs:1", 2, "indexer explain");
    refused("../data/x:1", 2, "");
    refused("src/retry.rs", 64, "a line is missing");
    refused("src/retry.rs:none", 64, "not a line");
    // A file name that looks like a pattern is one file.
    let answer = related_or_nothing(&sandbox, &tree, "app/[id]{a.tsx:2");
    assert_eq!(answer["subject"]["symbol"], "page");
    write(&tree, "src/retry.rs", &RETRY.replace("jitter", "noise"));
    refused("src/retry.rs:9", 2, "indexer once");
    // Without a symbol there are no users, and that is said.
    let answer = related_or_nothing(&sandbox, &tree, "notes.md:3");
    assert!(group(&answer, "callers")["how"].as_str().is_some_and(|how| how.contains("no definition")));
}

fn related_or_nothing(sandbox: &Sandbox, tree: &Path, place: &str) -> Value {
    let answer = sandbox.indexer(tree, &["related", place, "--json"]);
    assert!(matches!(answer.code, Some(0 | 1)), "{answer:?}");
    answer.json()
}
