//! Where no event comes, the poll finds everything; what is polled, and why, is said.

use super::{Daemon, add, commit, configure, find, repository, source, write};
use crate::harness::Sandbox;

/// Looks that may begin between an edit and the answer that holds it: one that was under
/// way, the one that finds it, and those that pass before a busy machine asks.
const LOOKS: u64 = 5;

#[cfg(debug_assertions)]
#[test]
fn with_every_event_lost_the_next_poll_is_exact() {
    polls_are_exact("poll_seconds = 1\n", &["--drop-events"]);
}

#[test]
fn without_events_the_next_poll_is_exact() {
    polls_are_exact("events = false\npoll_unwatched_seconds = 1\n", &[]);
}

fn polls_are_exact(watch: &str, args: &[&str]) {
    let sandbox = Sandbox::new();
    configure(&sandbox, watch);
    let tree = repository(&sandbox, "repo", 4);
    sandbox.git(&tree, &["checkout", "-q", "-b", "other"]);
    write(&tree, "src/other.rs", &source(50));
    commit(&sandbox, &tree, "other");
    sandbox.git(&tree, &["checkout", "-q", "main"]);
    add(&sandbox, &tree);
    let daemon = Daemon::start_with(&sandbox, args);
    daemon.exact(&tree);
    let steps: &[(&str, &dyn Fn())] = &[
        ("an edit", &|| write(&tree, "src/part_0.rs", &source(60))),
        ("a new file in a new directory", &|| write(&tree, "new/deep/part.rs", &source(61))),
        ("a deletion", &|| std::fs::remove_file(tree.join("src/part_1.rs")).expect("removed")),
        ("a checkout", &|| drop(sandbox.git(&tree, &["checkout", "-q", "-f", "other"]))),
    ];
    for (name, step) in steps {
        let before = daemon.worktree(&tree).counters;
        step();
        let after = daemon.wait_for(name, |status| {
            let counters = &find(status, &tree)?.counters;
            (counters.changed > before.changed).then(|| counters.clone())
        });
        let looks = (after.runs + after.polls) - (before.runs + before.polls);
        assert!(looks <= LOOKS, "{name} was found after {looks} looks");
        daemon.exact(&tree);
    }
    assert!(!daemon.log().contains("events were lost"), "it was deaf, not overrun");
    daemon.stop();
}

#[test]
fn directories_beyond_the_budget_are_polled_and_named() {
    const DIRECTORIES: usize = 300;
    let sandbox = Sandbox::new();
    configure(&sandbox, "max_watches = 100\npoll_unwatched_seconds = 1\n");
    let tree = repository(&sandbox, "repo", 1);
    for number in 0..DIRECTORIES {
        write(&tree, &format!("wide/directory_{number:03}/note.md"), &format!("# Note {number}\n"));
    }
    commit(&sandbox, &tree, "wide");
    add(&sandbox, &tree);
    let daemon = Daemon::start(&sandbox);
    let status = daemon.exact(&tree);

    let watches = daemon.status().daemon.expect("a daemon").watches;
    assert_eq!((watches.budget, watches.used <= 100), (100, true), "{watches:?}");
    for watch in [
        status.freshness.and_then(|freshness| freshness.watch),
        daemon.search(&tree, "part_0", false).summary.freshness.and_then(|freshness| freshness.watch),
    ] {
        let watch = watch.expect("a daemon watches");
        // The tree has a root, `src` and `wide` besides.
        assert_eq!(watch.watched + watch.unwatched, DIRECTORIES as u64 + 3, "{watch:?}");
        assert!(watch.unwatched > 200 && watch.poll_seconds == 1, "{watch:?}");
        assert!(watch.unwatched_paths.iter().all(|path| path.starts_with("wide/directory_")), "{watch:?}");
        assert!(watch.reason.as_deref().is_some_and(|why| why.contains("max_watches")), "{watch:?}");
    }
    let shown = sandbox.indexer(&tree, &["status"]).expect(0).stdout;
    let shown = String::from_utf8_lossy(&shown);
    assert!(shown.contains("polled: wide/directory_") && shown.contains("max_watches"), "{shown}");

    for number in [0, DIRECTORIES / 2, DIRECTORIES - 1] {
        write(&tree, &format!("wide/directory_{number:03}/note.md"), "# Changed\n\nafter the poll\n");
    }
    std::fs::remove_file(tree.join("wide/directory_299/note.md")).expect("removed");
    daemon.exact(&tree);
    daemon.stop();
}
