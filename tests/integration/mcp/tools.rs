//! Answers: their size, exactness, freshness, and what errors say.

use std::collections::BTreeSet;
use std::path::Path;

use regex::Regex;
use serde_json::{Value, json};

use super::{Agent, repository};
use crate::daemon::{self, Daemon};
use crate::harness::Sandbox;

/// What the text costs in a message.
fn cost(text: &str) -> usize {
    json!(text).to_string().len() - 2
}

#[test]
fn answers_keep_to_their_budget() {
    let sandbox = Sandbox::new();
    let real = repository(&sandbox);
    let mut agent = Agent::start(&sandbox, &real, &[]);
    let head = Regex::new(r"(?m)^src/\S+:\d+-\d+ .*\(\w+.*; by .*\)$").expect("a pattern");
    for query in
        ["where are retries of a failed request limited?", "RepoPath", "fn main", "StoreError", "the"]
    {
        let said = agent.call("search_code", json!({"query": query}));
        assert!(said.bytes <= 2_700, "{query}: {} bytes\n{}", said.bytes, said.text);
        let text = said.ok();
        assert_eq!(head.find_iter(&text).count(), 5, "{query}\n{text}");
        assert!(text.ends_with("]\n") && text.contains("[fresh at "), "{query}\n{text}");
    }
    let asked: [(&str, Value); 7] = [
        ("search_code", json!({"query": "how is a worktree listed", "limit": 50})),
        ("search_code", json!({"pattern": "fn "})),
        ("read_code", json!({"path": "src/lib.rs"})),
        ("read_code", json!({"path": "src/engine/mod.rs", "relate": "outline"})),
        ("read_code", json!({"symbol": "RepoPath", "relate": "callers"})),
        ("read_code", json!({"path": "src/path.rs:30", "relate": "related"})),
        ("read_code", json!({"path": "src/engine/mod.rs:70"})),
    ];
    for (tool, arguments) in asked {
        let mut last = 0;
        for tokens in [0, 100, 250, 640, 2_000, 20_000] {
            let mut arguments = arguments.clone();
            arguments["token_budget"] = json!(tokens);
            let text = agent.call(tool, arguments.clone()).ok();
            let most = tokens.max(100) * 4;
            assert!(cost(&text) <= most, "{tool} {arguments}: {} > {most}\n{text}", cost(&text));
            assert!(text.ends_with("]\n"), "{tool} {arguments}: the last line is missing:\n{text}");
            // More is said where more is allowed.
            assert!(text.len() >= last.min(2_000), "{tool} {arguments}: {} < {last}", text.len());
            last = text.len();
        }
    }
}

/// Path and line of each match in an answer.
fn matches(text: &str) -> BTreeSet<(String, u32)> {
    let (mut path, mut found) = ("", BTreeSet::new());
    for line in text.lines().filter(|line| !line.starts_with('[')) {
        match line.split_once(": ").and_then(|(number, _)| number.parse().ok()) {
            Some(number) => assert!(found.insert((path.to_owned(), number)), "twice: {line}"),
            None => path = line,
        }
    }
    found
}

/// What `git grep` finds in tracked and untracked files.
fn grep(sandbox: &Sandbox, root: &Path, args: &[&str]) -> BTreeSet<(String, u32)> {
    let mut all = vec!["grep", "--untracked", "-I", "-n", "--no-color"];
    all.extend(args);
    let found = sandbox.try_git(root, &all);
    let text = String::from_utf8_lossy(&found.stdout);
    let place = |line: &str| {
        let mut parts = line.splitn(3, ':');
        Some((parts.next()?.to_owned(), parts.next()?.parse().ok()?))
    };
    text.lines().filter_map(place).collect()
}

#[test]
fn a_pattern_finds_what_grep_finds() {
    let sandbox = Sandbox::new();
    let real = repository(&sandbox);
    let write = |path: &str, bytes: &[u8]| std::fs::write(real.join(path), bytes).expect("written");
    write("untracked.txt", b"Engine::new(\r\nlast line without an end: Engine::new(");
    write("latin1.txt", b"caf\xe9 Engine::new(\n");
    write("binary.bin", b"Engine::new(\0\n");
    write("hidden.secret", b"Engine::new(\n");
    write("Cargo.lock", b"Engine::new(\n");
    let mut agent = Agent::start(&sandbox, &real, &[]);
    let cases: [(Value, &[&str]); 8] = [
        (json!({"pattern": "Engine::new("}), &["-F", "-e", "Engine::new("]),
        (json!({"pattern": "fn [a-z_]+_of\\(", "regex": true}), &["-E", "-e", "fn [a-z_]+_of\\("]),
        (json!({"pattern": "^//!", "regex": true, "path": "src/git"}), &["-e", "^//!", "--", "src/git"]),
        (
            json!({"pattern": "RepoPath", "path": "*.rs", "language": "rust"}),
            &["-F", "-e", "RepoPath", "--", "*.rs"],
        ),
        (json!({"pattern": "impl.*\\{$", "regex": true}), &["-E", "-e", "impl.*\\{$"]),
        (json!({"pattern": "nowhere to be found at all"}), &["-F", "-e", "nowhere to be found at all"]),
        (json!({"pattern": "tenant", "query": "who may see what"}), &["-F", "-e", "tenant"]),
        (json!({"pattern": "last line without an end"}), &["-F", "-e", "last line without an end"]),
    ];
    for (mut arguments, args) in cases {
        let expected = grep(&sandbox, &real, args);
        arguments["token_budget"] = json!(20_000);
        arguments["limit"] = json!(200);
        let text = agent.call("search_code", arguments.clone()).ok();
        let found = matches(&text);
        let said = match (expected.len(), found.len()) {
            (0, _) => "no line matches".to_owned(),
            (all, found) if found == all => format!("all {all} lines"),
            (all, found) => format!("{found} of {all} lines"),
        };
        assert!(text.contains(&format!("[{said}")), "{arguments}: {said:?} is not said\n{text}");
        let wrong: Vec<_> = found.difference(&expected).collect();
        assert!(wrong.is_empty(), "{arguments}: {wrong:?}");
        assert!(
            found == expected || found.len() >= 100,
            "{arguments}: {} of {}",
            found.len(),
            expected.len()
        );
    }
}

#[test]
fn no_secret_is_shown_or_can_be_guessed() {
    let sandbox = Sandbox::new();
    let real = repository(&sandbox);
    let key = "AKIAIOSFODNN7ABCDEFG";
    std::fs::write(real.join("src/key.rs"), format!("const AWS: &str = \"{key}\"; // here\n"))
        .expect("written");
    let mut agent = Agent::start(&sandbox, &real, &[]);
    for (tool, arguments) in [
        ("search_code", json!({"pattern": "const AWS"})),
        ("read_code", json!({"path": "src/key.rs"})),
        ("search_code", json!({"query": "const AWS here", "path": "src/key.rs"})),
    ] {
        let text = agent.call(tool, arguments).ok();
        assert!(text.contains("[REDACTED:") && !text.contains(&key[4..]), "{text}");
    }
    let guessed = agent.call("search_code", json!({"pattern": &key[..10]})).ok();
    assert!(guessed.contains("no line matches"), "{guessed}");
}

#[test]
fn an_edit_made_before_is_seen() {
    let sandbox = Sandbox::new();
    let tree = daemon::repository(&sandbox, "tree", 3);
    sandbox.indexer(&tree, &["once"]).expect(0);
    let mut agent = Agent::start(&sandbox, &tree, &[]);
    let look = |number: u32, agent: &mut Agent| {
        let name = format!("function_made_just_now_{number}");
        std::fs::write(tree.join("late.rs"), format!("/// Late.\npub fn {name}() {{}}\n")).expect("written");
        let text = agent.call("search_code", json!({"query": name, "wait_ms": 60_000})).ok();
        assert!(text.starts_with("late.rs:1-2  pub fn function_made_just_now"), "{text}");
        let text = agent.call("read_code", json!({"symbol": name})).ok();
        assert!(text.contains("/// Late."), "{text}");
    };
    look(1, &mut agent);
    look(2, &mut agent);
    // A daemon starts, and the same server asks it from now on.
    let running = Daemon::start(&sandbox);
    daemon::add(&sandbox, &tree);
    running.settle(&tree);
    look(3, &mut agent);
    let status = agent.call("index_status", json!({})).ok();
    assert!(status.contains("daemon ") && !status.contains("no daemon"), "{status}");
    running.stop();
    look(4, &mut agent);
}

#[test]
fn what_relates_to_a_place_is_read_from_disk() {
    let sandbox = Sandbox::new();
    let root = sandbox.path("small");
    std::fs::create_dir_all(&root).expect("made");
    let code = "/// Adds.\nfn add(a: u32) -> u32 {\n    a + 1\n}\n\nstruct S;\n\nimpl S {\n    fn twice(&self) -> u32 {\n        add(1) + add(2)\n    }\n}\n";
    std::fs::write(root.join("a.rs"), code).expect("written");
    std::fs::write(
        root.join("b.py"),
        "from a import add\n\n\ndef add_all(xs):\n    return [add(x) for x in xs]\n",
    )
    .expect("written");
    sandbox.git(&root, &["init", "-q"]);
    // Not indexed at all.
    let mut agent = Agent::start(&sandbox, &root, &[]);
    for (arguments, expected) in [
        (
            json!({"path": "a.rs:3"}),
            "a.rs:1-4  function add\n/// Adds.\nfn add(a: u32) -> u32 {\n    a + 1\n}\n",
        ),
        (json!({"path": "a.rs:6-7"}), "a.rs:6-7  struct S\nstruct S;\n\n"),
        (json!({"symbol": "S::twice"}), "a.rs:9-11  method S::twice\n    fn twice"),
        (json!({"path": "a.rs", "symbol": "add"}), "a.rs:1-4  function add\n"),
        (json!({"path": root.join("a.rs")}), "a.rs:1-12"),
        (
            json!({"path": "a.rs", "relate": "outline"}),
            "1-4 fn add(a: u32) -> u32\n6-6 struct S\n8-12 impl S\n9-11   fn twice(&self) -> u32\n",
        ),
        (
            json!({"symbol": "add", "relate": "callers"}),
            "a.rs\n10: add(1) + add(2)  «S::twice»\nb.py\n1: from a import add\n5: return [add(x) for x in xs]  «add_all»\n[3 of 3",
        ),
        (json!({"path": "a.rs:2", "relate": "callers"}), "a.rs\n10: add(1)"),
    ] {
        let text = agent.call("read_code", arguments.clone()).ok();
        assert!(text.starts_with(expected), "{arguments}:\n{text}");
    }
}

#[test]
fn errors_say_what_to_do() {
    let sandbox = Sandbox::new();
    let real = repository(&sandbox);
    daemon::add(&sandbox, &real);
    let bare = sandbox.path("unindexed");
    std::fs::create_dir_all(&bare).expect("made");
    std::fs::write(bare.join("x.rs"), "fn x() {}\n").expect("written");
    sandbox.git(&bare, &["init", "-q"]);
    let mut agent = Agent::start(&sandbox, &real, &[]);
    let root = real.display().to_string();
    let bare = bare.display().to_string();
    let (missing, unknown) = (["no worktree \"nowhere\"", root.as_str()], ["nowhere", root.as_str()]);
    let cases: Vec<(&str, Value, &[&str])> = vec![
        ("search_code", json!({}), &["`query`", "`pattern`"]),
        ("search_code", json!({"query": "  "}), &["`query`"]),
        ("search_code", json!({"query": "x", "worktree": "nowhere"}), &missing),
        ("search_code", json!({"query": "x", "worktree": &bare}), &["not indexed", "indexer add", "wait_ms"]),
        ("search_code", json!({"query": "x", "max_results": 3}), &["`max_results`", "limit"]),
        ("search_code", json!({"query": "x", "limit": "many"}), &["`limit`", "whole number"]),
        ("search_code", json!({"query": "x", "language": "klingon"}), &["klingon", "rust"]),
        ("search_code", json!({"query": "x", "path": "src/["}), &["src/["]),
        ("search_code", json!({"pattern": "a(", "regex": true}), &["regular expression", "`regex`"]),
        ("search_code", json!({"query": "x", "worktree": "real", "projects": ["*"]}), &["not both"]),
        ("read_code", json!({}), &["`path`", "`symbol`"]),
        ("read_code", json!({"path": "src/nothing.rs"}), &["src/nothing.rs", "no such file"]),
        (
            "read_code",
            json!({"path": "src/lib.rs:99999", "relate": "related"}),
            &["src/lib.rs", "no line 99999"],
        ),
        ("read_code", json!({"path": "x.rs:1", "worktree": &bare, "relate": "similar"}), &["indexer once"]),
        ("read_code", json!({"path": "../../etc/passwd"}), &["not a path in the worktree"]),
        ("read_code", json!({"path": "/etc/passwd"}), &["/etc"]),
        ("read_code", json!({"path": ".git/config"}), &["no such file"]),
        ("read_code", json!({"symbol": "no_such_name_zz"}), &["no_such_name_zz", "`pattern`"]),
        ("read_code", json!({"path": "src/lib.rs", "relate": "friends"}), &["similar or related"]),
        ("index_status", json!({"worktree": "nowhere"}), &unknown),
    ];
    for (tool, arguments, expected) in cases {
        let said = agent.call(tool, arguments.clone());
        assert!(said.is_error, "{tool} {arguments} is no error:\n{}", said.text);
        for part in expected {
            assert!(said.text.contains(part), "{tool} {arguments} does not say {part:?}:\n{}", said.text);
        }
    }
    // What is no error, and finds nothing, says what to change.
    let none = agent.call("search_code", json!({"query": "zzqqxxjj", "kind": "nonsense"})).ok();
    assert!(none.contains("nothing found: try"), "{none}");
    // Whoever waits has asked for the words to be indexed.
    let found = agent.call("search_code", json!({"query": "x", "worktree": &bare, "wait_ms": 60_000})).ok();
    assert!(found.starts_with("x.rs:1-1"), "{found}");
    let several = agent.call("search_code", json!({"query": "RepoPath", "projects": ["*", &bare]})).ok();
    assert!(several.starts_with(&format!("{root}/src/")), "{several}");
    let path = several.split("  ").next().expect("a place");
    agent.call("read_code", json!({"path": path})).ok();
}

#[test]
fn what_was_learned_is_found_again() {
    let sandbox = Sandbox::new();
    let real = repository(&sandbox);
    let mut agent = Agent::start(&sandbox, &real, &["--memory"]);
    let saved =
        json!({"summary": "Moved retries to src/lib.rs:1-3", "content": "tests still red", "tags": "retry"});
    assert!(agent.call("save_checkpoint", saved).ok().starts_with("saved "));
    let fix = json!({"error": "linker `cc` not found", "solution": "apt-get install build-essential"});
    assert!(agent.call("record_remediation", fix).ok().starts_with("recorded "));
    drop(agent);
    let mut next = Agent::start(&sandbox, &real, &["--memory"]);
    let resumed = next.call("find_memory", json!({})).ok();
    assert!(resumed.contains("Moved retries") && resumed.contains("src/lib.rs:1-3 unchanged"), "{resumed}");
    let found = next.call("find_memory", json!({"query": "linker cc not found"})).ok();
    assert!(found.contains("build-essential"), "{found}");
    let empty = next.call("save_checkpoint", json!({"content": "x"}));
    assert!(empty.is_error && empty.text.contains("summary"), "{empty:?}");
}
