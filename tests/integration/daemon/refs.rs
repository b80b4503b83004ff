//! Git moves HEAD, refs, files and worktrees; nobody asks the daemon for anything. The
//! index becomes exact by itself, in few runs, and no content is embedded again.

use std::path::Path;

use super::{Daemon, add, commit, configure, find, repository, source, write};
use crate::harness::Sandbox;

/// What is done, and whether all of its content was seen before.
type Step<'a> = (&'a str, &'a [&'a [&'a str]], bool);

#[test]
fn every_move_of_git_is_followed_and_nothing_is_embedded_twice() {
    let sandbox = Sandbox::new();
    configure(&sandbox, "");
    let tree = repository(&sandbox, "repo", 6);
    add(&sandbox, &tree);
    let daemon = Daemon::start(&sandbox);
    daemon.exact(&tree);
    write(&tree, "src/part_0.rs", &source(100));
    daemon.exact(&tree);
    let steps: &[Step<'_>] = &[
        ("commit", &[&["commit", "-q", "-a", "-m", "second"]], true),
        ("amend", &[&["commit", "-q", "--amend", "-m", "better"]], true),
        ("branch from the first", &[&["checkout", "-q", "-b", "other", "HEAD~1"]], true),
        ("rewrite it there", &[&["rm", "-q", "src/part_0.rs"], &["commit", "-q", "-m", "gone"]], true),
        ("and back", &[&["checkout", "-q", "main"]], true),
        ("a merge with a conflict", &[&["merge", "-q", "other"]], true),
        ("its abort", &[&["merge", "--abort"]], true),
        ("an edit", &[&["mv", "src/part_1.rs", "src/moved.rs"]], false),
        ("stash", &[&["stash", "-q"]], true),
        ("pop", &[&["stash", "pop", "-q", "--index"]], true),
        ("reset --hard", &[&["reset", "-q", "--hard", "HEAD~1"]], true),
        ("forward again", &[&["reset", "-q", "--hard", "ORIG_HEAD"]], true),
        ("detach", &[&["checkout", "-q", "--detach", "other"]], true),
        ("re-attach", &[&["checkout", "-q", "main"]], true),
        ("gc", &[&["reflog", "expire", "--expire=now", "--all"], &["gc", "-q", "--prune=now"]], true),
        ("pack-refs", &[&["pack-refs", "--all"]], true),
        ("a commit on packed refs", &[&["commit", "-q", "--allow-empty", "-m", "third"]], true),
    ];
    for (name, commands, seen) in steps {
        let before = daemon.worktree(&tree).counters;
        for command in *commands {
            let answer = sandbox.try_git(&tree, command);
            answer.expect(i32::from(name.contains("conflict")));
        }
        let after = daemon.exact(&tree).counters;
        let embedded = after.embedded - before.embedded;
        assert!(!seen || embedded == 0, "{name}: {embedded} vectors were computed again");
    }
    sandbox.indexer(&tree, &["verify"]).expect(0);
    daemon.stop();
}

#[test]
fn a_rebase_of_a_hundred_commits_is_few_runs_and_embeds_nothing_again() {
    const COMMITS: usize = 100;
    let sandbox = Sandbox::new();
    configure(&sandbox, "");
    let tree = repository(&sandbox, "repo", 3);
    sandbox.git(&tree, &["checkout", "-q", "-b", "topic"]);
    for number in 0..COMMITS {
        write(&tree, &format!("topic/step_{number}.rs"), &source(1000 + number));
        commit(&sandbox, &tree, &format!("step {number}"));
    }
    add(&sandbox, &tree);
    let daemon = Daemon::start(&sandbox);
    daemon.exact(&tree);
    sandbox.git(&tree, &["checkout", "-q", "main"]);
    write(&tree, "src/main.rs", "fn main() {}\n");
    commit(&sandbox, &tree, "on main");
    daemon.exact(&tree);
    sandbox.git(&tree, &["checkout", "-q", "topic"]);
    let before = daemon.exact(&tree).counters;

    sandbox.git(&tree, &["rebase", "-q", "main"]);
    let after = daemon.exact(&tree).counters;
    let runs = after.runs - before.runs;
    assert!((1..=3).contains(&runs), "{runs} runs: {before:?}, then {after:?}");
    assert_eq!(after.embedded, before.embedded, "all of it was seen before");
    daemon.stop();
}

#[test]
fn worktrees_are_found_and_followed_where_they_go() {
    let sandbox = Sandbox::new();
    configure(&sandbox, "");
    let tree = repository(&sandbox, "repo", 6);
    add(&sandbox, &tree);
    let daemon = Daemon::start(&sandbox);
    daemon.exact(&tree);
    let (linked, moved) = (sandbox.path("linked"), sandbox.path("moved"));

    sandbox.git(&tree, &["worktree", "add", "-q", "-b", "side", "../linked"]);
    let counters = daemon.exact(&linked).counters;
    assert_eq!(counters.embedded, 0, "the main worktree has all of it: {counters:?}");
    assert!(counters.cache_hits > 0, "{counters:?}");
    write(&linked, "src/part_0.rs", &source(200));
    daemon.exact(&linked);

    sandbox.git(&tree, &["worktree", "move", "../linked", "../moved"]);
    let counters = daemon.exact(&moved).counters;
    assert_eq!(counters.embedded, 0, "{counters:?}");
    await_state(&daemon, &linked, "retired");
    write(&moved, "src/part_0.rs", &source(201));
    daemon.exact(&moved);

    // Another worktree at the same place is another one.
    sandbox.git(&tree, &["worktree", "add", "-q", "-b", "again", "../linked", "HEAD"]);
    daemon.exact(&linked);
    write(&linked, "src/part_0.rs", &source(202));
    daemon.exact(&linked);

    sandbox.git(&tree, &["worktree", "remove", "--force", "../moved"]);
    await_state(&daemon, &moved, "retired");
    let last = daemon.exact(&tree);
    assert_eq!(last.problem, None);
    daemon.stop();
}

#[track_caller]
fn await_state(daemon: &Daemon<'_>, tree: &Path, state: &str) {
    daemon.wait_for(&format!("{} is {state}", tree.display()), |status| {
        find(status, tree).filter(|found| found.state.as_deref() == Some(state)).map(drop)
    });
}
