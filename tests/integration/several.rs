//! One search over several worktrees: one ranking, and each failure named beside the hits.

use std::path::PathBuf;

use serde_json::Value;

use crate::harness::Sandbox;

fn repository(sandbox: &Sandbox, name: &str, code: &str) -> PathBuf {
    let root = sandbox.path(name);
    std::fs::create_dir_all(&root).expect("made");
    std::fs::write(root.join("lib.rs"), code).expect("written");
    sandbox.git(&root, &["init", "-q"]);
    sandbox.git(&root, &["add", "-A"]);
    sandbox.git(&root, &["commit", "-q", "-m", "first"]);
    root
}

/// Ten small projects, of which one is about retries, and three cannot be searched.
fn projects(sandbox: &Sandbox) -> Vec<PathBuf> {
    let mut roots = Vec::new();
    for number in 0..9 {
        let code = format!("/// Colour number {number} of the rainbow.\npub fn colour_{number}() {{}}\n");
        roots.push(repository(sandbox, &format!("p{number}"), &code));
    }
    let code = "/// Waits longer after each failed attempt before trying again.\npub fn backoff() {}\n";
    roots.push(repository(sandbox, "p9", code));
    for root in roots.iter().skip(1) {
        sandbox.indexer(root, &["once"]).expect(0);
    }
    // Damaged; its repository gone; and the first is not indexed.
    let described = sandbox.indexer(&roots[1], &["status", "--json"]).expect(0).json();
    let status = &described["worktrees"][0];
    let text = |name: &str| status[name].as_str().expect("a string").to_owned();
    let place = sandbox.data_dir().join("databases").join(text("database")).join(text("collection"));
    std::fs::write(place.join("commit"), "no commit").expect("written");
    std::fs::remove_dir_all(roots[2].join(".git")).expect("removed");
    roots
}

fn lines(stdout: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(stdout);
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn the_best_of_all_comes_first_and_failures_are_named() {
    let sandbox = Sandbox::new();
    let roots = projects(&sandbox);
    let named: Vec<&str> = roots.iter().map(|root| root.to_str().expect("UTF-8")).collect();
    let mut args = vec!["search", "--json", "-n", "3", "wait before the next try"];
    args.extend(named.iter().flat_map(|root| ["-C", root]));
    let found = lines(&sandbox.indexer(&roots[3], &args).expect(0).stdout);
    assert_eq!(found[0]["worktree"].as_str(), Some(named[9]), "{found:?}");
    let summary = found.last().expect("a summary");
    let searched = summary["worktrees"].as_array().expect("an array");
    assert_eq!(searched.len(), roots.len());
    let error = |root: &str| {
        let entry = searched.iter().find(|entry| entry["root"].as_str() == Some(root)).expect("each is told");
        entry["error"].as_str().unwrap_or_default().to_owned()
    };
    for (root, expected) in [(0, "indexer once"), (1, "damaged"), (2, "not in a git")] {
        assert!(error(named[root]).contains(expected), "{}: {}", named[root], error(named[root]));
    }
    assert!(named[3..].iter().all(|root| error(root).is_empty()), "{searched:?}");
    let hits: u64 = searched.iter().filter_map(|entry| entry["hits"].as_u64()).sum();
    assert_eq!((hits, summary["hits"].as_u64()), (3, Some(3)));

    // For people: the hits, with paths that lead to them, and a warning for each failure.
    let mut args = vec!["search", "-n", "3", "wait before the next try"];
    args.extend(named.iter().flat_map(|root| ["-C", root]));
    let shown = sandbox.indexer(&roots[3], &args).expect(0);
    assert!(
        String::from_utf8_lossy(&shown.stdout).starts_with(&format!("{}/lib.rs:1", named[9])),
        "{shown:?}"
    );
    assert_eq!(shown.stderr.matches("warning: ").count(), 3, "{shown:?}");
    assert!(shown.stderr.contains("7 worktrees searched, 3 not"), "{shown:?}");
}

#[test]
fn all_registered_worktrees_are_searched() {
    let sandbox = Sandbox::new();
    let roots =
        ["red", "blue"].map(|name| repository(&sandbox, name, &format!("pub fn {name}_paint() {{}}\n")));
    let refused = sandbox.indexer(&roots[0], &["search", "--all", "paint"]).expect(2);
    assert!(refused.stderr.contains("indexer add"), "{refused:?}");
    for root in &roots {
        sandbox.indexer(root, &["once", "--lexical-only"]).expect(0);
        sandbox.indexer(root, &["add", "."]).expect(0);
    }
    let found =
        sandbox.indexer(&roots[0], &["search", "--all", "--mode", "lexical", "--json", "paint"]).expect(0);
    let found = lines(&found.stdout);
    let mut worktrees: Vec<&str> = found.iter().filter_map(|hit| hit["worktree"].as_str()).collect();
    worktrees.sort_unstable();
    let mut expected: Vec<&str> = roots.iter().map(|root| root.to_str().expect("UTF-8")).collect();
    expected.sort_unstable();
    assert_eq!(worktrees, expected);
    let nothing = ["search", "--all", "--mode", "lexical", "zebra"];
    sandbox.indexer(&roots[0], &nothing).expect(1);
    let refused = sandbox.indexer(&roots[0], &["search", "--all", "--path", "./lib.rs", "paint"]).expect(2);
    assert!(refused.stderr.contains("several"), "{refused:?}");
}
