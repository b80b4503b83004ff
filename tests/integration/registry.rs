//! Worktrees are registered, listed and removed, and nothing else of them changes.

use serde_json::Value;

use crate::harness::{Answer, Sandbox};

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.path("src/repo")).expect("made");
    repository(&sandbox, "src/repo");
    sandbox.git(&sandbox.path("src/repo"), &["worktree", "add", "-q", "-b", "side", "../linked"]);
    sandbox
}

fn repository(sandbox: &Sandbox, name: &str) {
    let root = sandbox.path(name);
    std::fs::create_dir_all(&root).expect("made");
    std::fs::write(root.join("a.rs"), "fn alpha() {}\n").expect("written");
    sandbox.git(&root, &["init", "-q"]);
    sandbox.git(&root, &["add", "-A"]);
    sandbox.git(&root, &["commit", "-q", "-m", "first"]);
}

fn indexer(sandbox: &Sandbox, args: &[&str]) -> Answer {
    sandbox.indexer(&sandbox.path("src"), args)
}

/// `name state branch indexed` of each worktree.
fn listed(sandbox: &Sandbox) -> Vec<String> {
    let list = indexer(sandbox, &["list", "--json"]).expect(0).json();
    let field = |worktree: &Value, name: &str| worktree[name].as_str().unwrap_or("-").to_owned();
    let line = |worktree: &Value| {
        let root = field(worktree, "root");
        let name = root.rsplit('/').next().unwrap_or_default();
        let indexed = if worktree["indexed"] == true { " indexed" } else { "" };
        format!("{name} {} {}{indexed}", field(worktree, "state"), field(worktree, "branch"))
    };
    list["worktrees"].as_array().expect("an array").iter().map(line).collect()
}

fn stdout(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.stdout).into_owned()
}

#[test]
fn add_list_remove() {
    let sandbox = sandbox();
    assert!(stdout(&indexer(&sandbox, &["add", "repo/a.rs"]).expect(0)).starts_with("added: "));
    assert!(stdout(&indexer(&sandbox, &["add", "repo"]).expect(0)).starts_with("registered already: "));
    assert_eq!(listed(&sandbox), ["linked active side", "repo active main"]);
    for worktree in ["repo", "linked"] {
        indexer(&sandbox, &["once", "--lexical-only", worktree]).expect(0);
    }
    assert_eq!(listed(&sandbox), ["linked active side indexed", "repo active main indexed"]);
    let table = stdout(&indexer(&sandbox, &["list"]).expect(0));
    assert_eq!(table.lines().count(), 2, "{table}");

    let removed = indexer(&sandbox, &["remove", "linked"]).expect(0);
    assert!(removed.stderr.contains("7 days"), "{removed:?}");
    assert_eq!(listed(&sandbox), ["linked excluded - indexed", "repo active main indexed"]);
    indexer(&sandbox, &["search", "--worktree", "linked", "--mode", "lexical", "alpha"]).expect(0);
    // A removed worktree that is not there any more is known by its path.
    std::fs::remove_dir_all(sandbox.path("src/linked")).expect("removed");
    let purged = indexer(&sandbox, &["remove", "--purge", "linked"]).expect(0);
    assert!(stdout(&purged).contains("and its index"), "{purged:?}");
    assert_eq!(listed(&sandbox), ["linked excluded -", "repo active main indexed"]);
    assert_eq!(std::fs::read_dir(sandbox.data_dir().join("locks")).expect("there").count(), 1);

    indexer(&sandbox, &["remove", "--purge", "repo"]).expect(0);
    assert_eq!(listed(&sandbox), [""; 0]);
    indexer(&sandbox, &["status", "repo"]).expect(1);
    assert_eq!(std::fs::read_dir(sandbox.data_dir().join("locks")).expect("there").count(), 0);
}

#[test]
fn an_index_goes_also_where_its_worktree_was_never_added() {
    let sandbox = sandbox();
    indexer(&sandbox, &["once", "--lexical-only", "repo"]).expect(0);
    let refused = indexer(&sandbox, &["remove", "repo"]).expect(2);
    assert!(
        refused.stderr.contains("not registered") && refused.stderr.contains("indexer list"),
        "{refused:?}"
    );
    indexer(&sandbox, &["status", "repo"]).expect(0);
    indexer(&sandbox, &["remove", "--purge", "repo"]).expect(0);
    indexer(&sandbox, &["status", "repo"]).expect(1);
}

#[test]
fn one_wrong_path_changes_nothing() {
    let sandbox = sandbox();
    repository(&sandbox, "home");
    std::fs::create_dir(sandbox.path("plain")).expect("made");
    let (home, data) = (sandbox.path("home"), sandbox.data_dir());
    repository(&sandbox, "data");
    let cases: &[(&[&str], &str)] = &[
        (&["add", "repo", "nowhere"], "nowhere"),
        (&["add", "repo", "../plain"], "git init"),
        (&["add", "repo", home.to_str().expect("UTF-8")], "--force"),
        (&["add", "--recursive", ".", "../home"], "--force"),
        (&["add", "--recursive", "/"], "whole file system"),
        (&["add", "--recursive", "repo/a.rs"], "not a directory"),
        (&["add", "repo", data.to_str().expect("UTF-8")], "--data-dir"),
    ];
    for (args, expected) in cases {
        let refused = indexer(&sandbox, args).expect(2);
        assert!(refused.stderr.contains(expected), "{args:?}: {refused:?}");
        assert_eq!(listed(&sandbox), [""; 0], "{args:?}");
    }
    indexer(&sandbox, &["add", "repo"]).expect(0);
    indexer(&sandbox, &["remove", "repo", "nowhere"]).expect(2);
    assert_eq!(listed(&sandbox), ["linked active side", "repo active main"]);
    indexer(&sandbox, &["add", "--force", "../home"]).expect(0);
    assert_eq!(listed(&sandbox), ["home active main", "linked active side", "repo active main"]);
}

#[test]
fn folders_are_listed_and_what_appears_in_them() {
    let sandbox = sandbox();
    indexer(&sandbox, &["add", "--recursive", "."]).expect(0);
    repository(&sandbox, "src/later");
    assert_eq!(listed(&sandbox), ["later active main", "linked active side", "repo active main"]);
    let list = indexer(&sandbox, &["list", "--json"]).expect(0).json();
    assert_eq!(list["folders"][0], sandbox.path("src").to_str().expect("UTF-8"));
    std::fs::rename(sandbox.path("src"), sandbox.path("away")).expect("renamed");
    let list = sandbox.indexer(&sandbox.path("away"), &["list"]).expect(0);
    assert!(
        stdout(&list).lines().all(|line| line.starts_with("missing") || line.starts_with("folder")),
        "{list:?}"
    );
    assert!(list.stderr.contains("bring it back"), "{list:?}");
}
