//! Checkpoints and remediations: kept by one process and found by another, with the real
//! model; whose they are, what became of the code they speak of, and what is refused.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::harness::{Answer, Sandbox};

const RETRY: &str = "one\ntwo\nfn backoff() {\n    wait()\n}\nlast\n";

/// A repository with one commit.
fn repository(sandbox: &Sandbox, name: &str) -> PathBuf {
    let tree = sandbox.path(name);
    sandbox.git(&sandbox.path(""), &["init", "-q", name]);
    std::fs::create_dir_all(tree.join("src")).expect("a directory");
    std::fs::write(tree.join("src/retry.rs"), RETRY).expect("a file");
    commit(sandbox, &tree, "first");
    tree
}

fn commit(sandbox: &Sandbox, tree: &Path, message: &str) {
    sandbox.git(tree, &["add", "-A"]);
    sandbox.git(tree, &["commit", "-q", "-m", message]);
}

fn memory(sandbox: &Sandbox, tree: &Path, args: &[&str]) -> Answer {
    sandbox.indexer(tree, &[&["memory"], args].concat())
}

/// The same without a model, which is faster.
fn by_words(sandbox: &Sandbox, tree: &Path, args: &[&str]) -> std::process::Command {
    let mut command = sandbox.indexer_command(tree, &sandbox.data_dir(), &[&["memory"], args].concat());
    command.env("INDEXER_MODEL_DIR", sandbox.path("no-model"));
    command
}

fn with_input(mut command: std::process::Command, input: &[u8]) -> Answer {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("the program runs");
    // It may have refused before it read all.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    child.wait_with_output().expect("it ends").into()
}

/// Summaries of the checkpoints that a command shows, in order.
fn summaries(answer: &Answer) -> Vec<String> {
    let shown = answer.json();
    let list = shown["memories"].as_array().or(shown["hits"].as_array()).expect("a list").clone();
    let summary =
        |one: &Value| one["checkpoint"]["summary"].as_str().or(one["summary"].as_str()).map(str::to_owned);
    list.iter().map(|one| summary(one).expect("a summary")).collect()
}

#[test]
fn a_checkpoint_is_found_by_meaning_time_and_branch_from_another_process() {
    let sandbox = Sandbox::new();
    let tree = repository(&sandbox, "project");
    let save = |args: &[&str]| {
        let args = [&["checkpoint", "save", "--json"], args].concat();
        let saved = memory(&sandbox, &tree, &args).expect(0).json();
        assert_eq!(saved["without_vector"], Value::Null, "{saved}");
        saved["memory"].clone()
    };
    let pool = "Dropped the connection pool: it deadlocks when the database restarts";
    let login = "Login middleware is half done; token expiry is not checked yet";
    let first = save(&[pool, "--tag", "db", "--session", "monday"]);
    assert_eq!(
        (&first["branch"], &first["session"], &first["tags"]),
        (&json!("main"), &json!("monday"), &json!(["db"]))
    );
    assert_eq!(first["commit"], sandbox.git(&tree, &["rev-parse", "HEAD"]));
    sandbox.git(&tree, &["worktree", "add", "-q", "-b", "side", "../linked"]);
    let linked = sandbox.path("linked");
    save(&["-C", "../linked", login, "and `src/retry.rs:3-5` was read"]);

    let ask = |tree: &Path, args: &[&str]| {
        let answer = memory(&sandbox, tree, &[&["checkpoint", "search", "--json"], args].concat());
        assert!(matches!(answer.code, Some(0 | 1)), "{answer:?}");
        summaries(&answer)
    };
    assert_eq!(ask(&tree, &["--mode", "dense", "hang after the db comes back"])[0], pool);
    assert_eq!(
        ask(&linked, &["users stay signed in forever with old tokens"])[0],
        login,
        "all worktrees see all"
    );
    assert_eq!(ask(&tree, &["--branch", "side", "deadlock of the database, and tokens"]), [login]);
    assert_eq!(ask(&tree, &["--here", "deadlock of the database, and tokens"]), [pool]);
    assert_eq!(ask(&tree, &["--tag", "db", "deadlock of the database, and tokens"]), [pool]);
    assert_eq!(ask(&tree, &["--since", "1h", "deadlock of the database, and tokens"]).len(), 2);
    assert_eq!(ask(&tree, &["--until", "1h", "deadlock of the database, and tokens"]), [""; 0]);
    assert_eq!(ask(&tree, &["banana bread"]), [""; 0], "the nearest is not near");
    let list = |args: &[&str]| {
        summaries(&memory(&sandbox, &tree, &[&["checkpoint", "list", "--json"], args].concat()))
    };
    assert_eq!(list(&[]), [login, pool], "newest first");
    assert_eq!(list(&["-n", "1"]), [login]);
    assert_eq!(list(&["--branch", "main", "--since", "2020-01-01"]), [pool]);
    memory(&sandbox, &tree, &["checkpoint", "list", "--until", "2020-01-01"]).expect(1);

    // Another project has its own.
    let other = repository(&sandbox, "other");
    let id = first["id"].as_str().expect("an id");
    let refused = memory(&sandbox, &other, &["checkpoint", "get", id]).expect(1);
    assert!(refused.stderr.contains(id) && refused.stdout.is_empty(), "{refused:?}");
    for args in [&["list"][..], &["search", "deadlock"], &["resume"], &["delete", id]] {
        memory(&sandbox, &other, &[&["checkpoint"], args].concat()).expect(1);
    }
    memory(&sandbox, &tree, &["checkpoint", "delete", id]).expect(0);
    assert_eq!(list(&[]), [login]);

    // Not even one whose path has the same hash.
    let databases = |data: &Path| std::fs::read_dir(data.join("databases")).expect("there").flatten().next();
    let apart = sandbox.path("apart");
    sandbox.indexer_in(&other, &apart, &["memory", "checkpoint", "save", "its own"]).expect(0);
    let [its, ours] = [&apart, &sandbox.data_dir()].map(|data| databases(data).expect("one").path());
    std::fs::remove_dir_all(&its).expect("removed");
    std::fs::rename(ours, its).expect("renamed");
    for args in [&["list"][..], &["save", "x"], &["search", "tokens"], &["resume"]] {
        let refused =
            sandbox.indexer_in(&other, &apart, &[&["memory", "checkpoint"], args].concat()).expect(2);
        assert!(refused.stderr.contains("belongs to"), "{refused:?}");
    }
}

#[test]
fn whoever_resumes_learns_what_has_changed() {
    let sandbox = Sandbox::new();
    let tree = repository(&sandbox, "project");
    std::fs::write(tree.join("gone.md"), "a plan\n").expect("a file");
    let saved = by_words(
        &sandbox,
        &tree,
        &["checkpoint", "save", "--ref", "src/retry.rs:1-2", "See src/retry.rs:3-5 and gone.md", "-"],
    );
    with_input(saved, b"## Next\n\n- test `backoff`\n").expect(0);
    memory(&sandbox, &tree, &["checkpoint", "resume", "ffff"]).expect(1);
    let resume = |tree: &Path| memory(&sandbox, tree, &["checkpoint", "resume", "--json"]).expect(0).json();
    let states = |resumed: &Value| -> Vec<String> {
        let references = resumed["checkpoint"]["references"].as_array().expect("references").clone();
        references
            .iter()
            .map(|one| {
                format!("{}:{} {} {}", one["path"], one["start_line"], one["state"], one["now"])
                    .replace('"', "")
            })
            .collect()
    };
    let resumed = resume(&tree);
    assert_eq!(
        states(&resumed),
        ["src/retry.rs:1 unchanged [1,2]", "src/retry.rs:3 unchanged [3,5]", "gone.md:null unchanged null"]
    );
    assert_eq!(resumed["since"], json!({ "count": 0, "more": false, "subjects": [] }));
    assert_eq!(resumed["checkpoint"]["content"], "## Next\n\n- test `backoff`");

    std::fs::write(tree.join("src/retry.rs"), format!("zero\nONE\n{RETRY}").replace("one\n", ""))
        .expect("a file");
    std::fs::remove_file(tree.join("gone.md")).expect("removed");
    commit(&sandbox, &tree, "Move things");
    let resumed = resume(&tree);
    assert_eq!(
        states(&resumed),
        ["src/retry.rs:1 changed null", "src/retry.rs:3 moved [4,6]", "gone.md:null gone null"]
    );
    assert_eq!(
        (&resumed["since"]["count"], &resumed["since"]["subjects"]),
        (&json!(1), &json!(["Move things"]))
    );
    let checkpoint = &resumed["checkpoint"];
    assert_eq!((&checkpoint["same_branch"], &checkpoint["same_commit"]), (&json!(true), &json!(false)));
    let text = memory(&sandbox, &tree, &["checkpoint", "resume"]).expect(0);
    let text = String::from_utf8(text.stdout).expect("UTF-8");
    for part in ["Move things", "moved to 4-6", "another commit", "- test `backoff`", "gone.md  gone"] {
        assert!(text.contains(part), "{part}: {text}");
    }

    // A new worktree of the same branch goes on where the other left off; another branch not.
    sandbox.git(&tree, &["switch", "-q", "-c", "side", "HEAD~1"]);
    memory(&sandbox, &tree, &["checkpoint", "resume"]).expect(1);
    sandbox.git(&tree, &["worktree", "add", "-q", "../linked", "main"]);
    assert_eq!(resume(&sandbox.path("linked"))["checkpoint"]["id"], checkpoint["id"]);
    // What it was made in is away: the one that asks is looked at.
    let id = checkpoint["id"].as_str().expect("an id");
    let made_there = ["checkpoint", "save", "--json", "from the linked one: src/retry.rs:3-5"];
    memory(&sandbox, &sandbox.path("linked"), &made_there).expect(0);
    sandbox.git(&tree, &["worktree", "remove", "--force", "../linked"]);
    let list = memory(&sandbox, &tree, &["checkpoint", "list", "--json"]).expect(0).json();
    assert_eq!(list["memories"][0]["looked_at"], tree.to_str().expect("UTF-8"), "{list}");
    assert_eq!(list["memories"][1]["id"], id);
}

#[test]
fn projects_share_remediations() {
    let sandbox = Sandbox::new();
    let (here, there) = (repository(&sandbox, "here"), repository(&sandbox, "there"));
    let solution = "apt-get install build-essential";
    let record =
        ["remediation", "record", "--json", "--category", "build", "error: linker `cc` not found", solution];
    let recorded = memory(&sandbox, &here, &record).expect(0).json();
    assert_eq!(memory(&sandbox, &there, &record).expect(0).json()["memory"]["occurrences"], 2);
    let id = recorded["memory"]["id"].as_str().expect("an id");
    let ask =
        ["remediation", "search", "--json", "--mode", "dense", "cannot find the C compiler when linking"];
    let answer = memory(&sandbox, &there, &ask).expect(0).json();
    assert_eq!(answer["hits"][0]["remediation"]["solution"], solution, "{answer}");
    assert_eq!(memory(&sandbox, &there, &["remediation", "list", "--category", "test"]).code, Some(1));
    memory(&sandbox, &there, &["remediation", "feedback", "--helpful", &id[..8]]).expect(0);
    let got = memory(&sandbox, &here, &["remediation", "get", "--json", id]).expect(0).json();
    assert_eq!((&got["helpful"], &got["unhelpful"], &got["occurrences"]), (&json!(1), &json!(0), &json!(2)));
    // Of no path: nobody is told to remove them.
    let doctor = sandbox.indexer(&here, &["doctor"]);
    assert!(!String::from_utf8_lossy(&doctor.stdout).contains("rm -r"), "{doctor:?}");
    memory(&sandbox, &here, &["remediation", "delete", id]).expect(0);
    memory(&sandbox, &there, &["remediation", "get", id]).expect(1);
}

#[test]
fn two_agents_at_once_are_both_counted() {
    const TIMES: u64 = 20;
    let sandbox = Sandbox::new();
    let tree = repository(&sandbox, "project");
    std::thread::scope(|scope| {
        for agent in 0..2 {
            let (sandbox, tree) = (&sandbox, &tree);
            scope.spawn(move || {
                for time in 0..TIMES / 2 {
                    let error = format!("/home/{agent}/app.rs:{time}: port 80{time} is busy");
                    let record = ["remediation", "record", error.as_str(), "stop the other server"];
                    let answer: Answer = by_words(sandbox, tree, &record).output().expect("it runs").into();
                    answer.expect(0);
                    let save = ["checkpoint", "save", "at once"];
                    let answer: Answer = by_words(sandbox, tree, &save).output().expect("it runs").into();
                    answer.expect(0);
                }
            });
        }
    });
    let list = memory(&sandbox, &tree, &["remediation", "list", "--json"]).expect(0).json();
    assert_eq!((&list["total"], &list["memories"][0]["occurrences"]), (&json!(1), &json!(TIMES)), "{list}");
    let list = memory(&sandbox, &tree, &["checkpoint", "list", "--json"]).expect(0).json();
    assert_eq!(list["total"], TIMES);
}

#[test]
fn no_secret_is_kept_shown_or_logged() {
    let sandbox = Sandbox::new();
    let tree = repository(&sandbox, "project");
    // Put together here, so that this file holds none.
    let token = format!("ghp_{}", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8");
    let said = format!("the token {token} works");
    let mut places = Vec::new();
    for args in [
        &["checkpoint", "save", &said, &said, "--tag", &token, "--session", &token, "--branch", &token][..],
        &["remediation", "record", &said, &said, "--tag", &token, "--category", &token],
        &["checkpoint", "list", "--json"],
        &["checkpoint", "resume"],
        &["remediation", "list", "--json"],
    ] {
        let answer = memory(&sandbox, &tree, &[args, &["-vv"]].concat());
        assert!(matches!(answer.code, Some(0 | 1)), "{answer:?}");
        places.push((format!("{args:?}: output"), answer.stdout));
        places.push((format!("{args:?}: log"), answer.stderr.into_bytes()));
    }
    let mut folders = vec![sandbox.data_dir()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("readable").path();
            match path.is_dir() {
                true => folders.push(path),
                false => places.push((path.display().to_string(), std::fs::read(&path).expect("a file"))),
            }
        }
    }
    assert!(places.iter().any(|(name, _)| name.contains("segment")), "{places:?}");
    for (name, bytes) in &places {
        // In other letters it would be as bad: terms are lower-case.
        let text = String::from_utf8_lossy(bytes).to_lowercase();
        assert!(!text.contains(&token[4..].to_lowercase()), "{name} has the secret");
    }
}

#[test]
fn what_cannot_be_kept_is_refused_with_the_way_out() {
    let sandbox = Sandbox::new();
    let tree = repository(&sandbox, "project");
    std::fs::create_dir(sandbox.path("plain")).expect("a folder");
    let long = "x".repeat(3000);
    let cases: &[(&[&str], &str)] = &[
        (&["checkpoint", "save", " "], "summary is empty"),
        (&["checkpoint", "save", &long], "3000 bytes"),
        (&["checkpoint", "save", "s", "--tag", ""], "tag is empty"),
        (&["checkpoint", "save", "s", "--ref", "src/nowhere.rs"], "no such file"),
        (&["checkpoint", "save", "s", "--ref", "src/retry.rs:5-99"], "6 lines"),
        (&["checkpoint", "save", "s", "--ref", "src/retry.rs:5-4"], "PATH:FIRST-LAST"),
        (&["checkpoint", "save", "s", "--ref", "../plain"], "not a place in the worktree"),
        (&["checkpoint", "save", "s", "--ref", ".git/config"], "not a place in the worktree"),
        (&["checkpoint", "save", "-C", "../plain", "s"], "git init"),
        (&["checkpoint", "get", "no-id"], "4 hexadecimal digits"),
        (&["checkpoint", "resume", "xy"], "4 hexadecimal digits"),
        (&["checkpoint", "search", " "], "query is empty"),
        (&["remediation", "record", "-", "-"], "cannot both"),
        (&["remediation", "record", "error", ""], "solution is empty"),
        (&["checkpoint", "search", "--mode", "dense", "anything"], "--mode lexical"),
    ];
    by_words(&sandbox, &tree, &["checkpoint", "save", "one"]).output().expect("it runs");
    for (args, expected) in cases {
        let refused: Answer = by_words(&sandbox, &tree, args).output().expect("it runs").into();
        let refused = refused.expect(2);
        assert!(refused.stderr.contains(expected), "{args:?}: {refused:?}");
    }
    for args in [
        &["checkpoint", "list", "--since", "soon"][..],
        &["remediation", "feedback", "abcd"],
        &["checkpoint"],
    ] {
        memory(&sandbox, &tree, args).expect(64);
    }
    let inputs: &[(&[u8], &str)] =
        &[(&b"x".repeat(10 << 20), "more than 262144 bytes"), (b"caf\xe9", "not UTF-8"), (b"a\0b", "NUL")];
    for (input, expected) in inputs {
        let refused =
            with_input(by_words(&sandbox, &tree, &["checkpoint", "save", "s", "-"]), input).expect(2);
        assert!(refused.stderr.contains(expected), "{expected}: {refused:?}");
    }
    let list = memory(&sandbox, &tree, &["checkpoint", "list", "--json"]).expect(0).json();
    assert_eq!(list["total"], 1, "nothing of it was kept: {list}");

    let record =
        std::fs::read_dir(sandbox.data_dir().join("databases")).expect("there").flatten().find_map(|entry| {
            let record = entry.path().join("checkpoints/commit");
            record.exists().then_some(record)
        });
    std::fs::write(record.expect("a commit record"), "damage").expect("written");
    for args in [&["checkpoint", "list"][..], &["checkpoint", "save", "s"], &["checkpoint", "search", "one"]]
    {
        let refused: Answer = by_words(&sandbox, &tree, args).output().expect("it runs").into();
        let refused = refused.expect(2);
        assert!(refused.stderr.contains("damaged") && refused.stderr.contains("backup"), "{refused:?}");
    }
    let doctor = sandbox.indexer(&tree, &["doctor"]).expect(1);
    let shown = String::from_utf8_lossy(&doctor.stdout);
    assert!(shown.contains("the checkpoints do not open") && shown.contains("backup"), "{doctor:?}");
}
