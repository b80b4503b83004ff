//! Who is served first, and that commands go through the daemon.

use std::thread;

use contextd_indexer::daemon::protocol::Request;
use contextd_indexer::daemon::{Client, ClientError};
use contextd_indexer::wire::{Place, WorktreeStatus};

use super::failures::large;
use super::{Daemon, PATIENCE, add, configure, dump, find, from_scratch, repository, source, write};
use crate::harness::Sandbox;

#[test]
fn an_edit_does_not_wait_for_a_large_worktree() {
    let sandbox = Sandbox::new();
    // On however many cores, the large one is to take its time.
    configure(&sandbox, "[index]\nthreads = 1\n");
    let (large, small) = (large(&sandbox), repository(&sandbox, "small", 2));
    add(&sandbox, &small);
    let daemon = Daemon::start(&sandbox);
    daemon.exact(&small);
    add(&sandbox, &large);
    // Its words, then its vectors, twice: what made room once does so again.
    for (stage, word) in [("files", "heliograph"), ("vectors", "semaphore"), ("vectors", "telegraph")] {
        daemon.wait_for(stage, |status| {
            let running = status.daemon.as_ref()?.running.as_ref()?;
            (running.root.to_path() == large && running.stage == stage).then_some(())
        });
        write(&small, "src/part_0.rs", &format!("fn {word}() {{}}\n"));
        daemon.wait_for("the edit is found", |_| {
            (!daemon.search(&small, word, false).hits.is_empty()).then_some(())
        });
        let done = is_done(&daemon.worktree(&large), stage);
        assert!(!done, "the {stage} of the large worktree were done first");
    }
    // Those who wait are served as well.
    write(&small, "src/part_1.rs", &source(70));
    daemon.barrier(&small);
    assert_eq!(dump(&sandbox, &small, &sandbox.data_dir()), from_scratch(&sandbox, &small));
    assert!(!is_done(&daemon.worktree(&large), "vectors"), "all vectors were there before the answer");
    daemon.stop();
}

fn is_done(worktree: &WorktreeStatus, stage: &str) -> bool {
    let Some(freshness) = &worktree.freshness else { return false };
    let filled = freshness.vectors.get("text").is_some_and(|text| text.present == text.needed);
    freshness.complete && (stage == "files" || filled)
}

#[test]
fn commands_go_through_the_daemon() {
    let sandbox = Sandbox::new();
    configure(&sandbox, "");
    let (kept, other) = (repository(&sandbox, "kept", 3), repository(&sandbox, "other", 3));
    add(&sandbox, &kept);
    let daemon = Daemon::start(&sandbox);
    let before = daemon.exact(&kept).counters;
    let outcome = sandbox.indexer(&kept, &["once", "--json"]).expect(0).json();
    assert_eq!(outcome["full"], serde_json::Value::Null, "{outcome}");
    let after = daemon.settle(&kept).counters;
    assert_eq!(after.runs, before.runs + 1, "the daemon's run: {after:?}");
    // From a directory below, and from nothing.
    let outcome = sandbox.indexer(&kept.join("src"), &["once", "--full", "--json"]).expect(0).json();
    assert_eq!(outcome["full"], "requested", "{outcome}");
    assert_eq!(outcome["vectors"]["text"]["pending"], 0, "{outcome}");
    let full = daemon.exact(&kept).counters;
    assert_eq!((full.runs, full.parsed), (after.runs + 1, after.parsed + 3), "{full:?}");
    assert_eq!(full.embedded, after.embedded, "the cache has all of it: {full:?}");

    // Not registered: the command does it, the daemon answers all the same.
    sandbox.indexer(&other, &["once", "--lexical-only"]).expect(0);
    assert!(find(&daemon.status(), &other).is_none(), "nobody registered it");
    let found = sandbox.indexer(&other, &["search", "--mode", "lexical", "part_2"]).expect(0);
    assert!(!found.stdout.is_empty(), "{found:?}");
    assert!(!daemon.search(&other, "part_2", false).hits.is_empty());
    write(&other, "src/part_2.rs", "fn semaphore() {}\n");
    let answer = daemon.search(&other, "semaphore", true);
    assert_eq!(answer.hits.len(), 1, "{:?}", answer.summary);
    daemon.stop();
}

#[test]
fn whoever_waits_for_a_run_that_ends_early_is_told() {
    let sandbox = Sandbox::new();
    configure(&sandbox, "[index]\nthreads = 1\n");
    let large = large(&sandbox);
    add(&sandbox, &large);
    let daemon = Daemon::start(&sandbox);
    let ask = || {
        let order = Request::Run { worktree: Place::from(large.as_path()), full: true, lexical_only: false };
        let mut client = Client::connect(&sandbox.data_dir()).expect("connects").expect("a daemon");
        thread::spawn(move || client.ask(order, Some(PATIENCE), &mut |_| {}))
    };
    // It waits behind the first run, and goes with the worktree.
    daemon.wait_for("the first run", |status| status.daemon.as_ref()?.running.as_ref().map(drop));
    let waiting = ask();
    daemon.wait_for("the order", |status| {
        find(status, &large)?.queued.iter().find(|cause| *cause == "asked").map(drop)
    });
    sandbox.indexer(&large, &["remove", "."]).expect(0);
    match waiting.join().expect("no panic") {
        Err(ClientError::Failed(failure)) => assert!(failure.message.contains("removed"), "{failure:?}"),
        other => panic!("{other:?}"),
    }

    // It is at work when the daemon ends.
    add(&sandbox, &large);
    daemon.wait_for("it is back", |status| find(status, &large)?.freshness.as_ref().map(drop));
    let waiting = ask();
    daemon.wait_for("the order is carried out", |status| {
        let waits = !find(status, &large)?.queued.is_empty();
        let running = status.daemon.as_ref()?.running.as_ref()?;
        (!waits && running.stage == "files" && running.done > 0).then_some(())
    });
    daemon.stop();
    // Whether its last words arrive is a matter of moments.
    let told = waiting.join().expect("no panic");
    assert!(matches!(told, Err(ClientError::Failed(_) | ClientError::Broken { .. })), "{told:?}");
}
