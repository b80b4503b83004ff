//! kill -9 at random moments of `once`: the next run converges to what an undisturbed
//! run leaves, `verify` finds no fault, and no embedding that was cached is computed
//! again.
//!
//! `INDEXER_KILLS` sets how often (3), `INDEXER_KILL_REPOSITORY` on which repository
//! (some files of this one), `INDEXER_KILL_SEED` at which moments.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Sandbox, number, say};
use crate::ops::Rng;

/// Files of this repository: enough work that a moment inside it can be hit.
const FILES: &[&str] = &[
    "src/id.rs",
    "src/path.rs",
    "src/language.rs",
    "src/manifest.rs",
    "src/skip.rs",
    "README.md",
    "deny.toml",
];

/// A repository inside the sandbox.
fn repository(sandbox: &Sandbox) -> PathBuf {
    let tree = sandbox.path("repository");
    if let Some(from) = std::env::var_os("INDEXER_KILL_REPOSITORY") {
        sandbox.git(
            &sandbox.path(""),
            &["clone".as_ref(), "-q".as_ref(), from.as_os_str(), "repository".as_ref()],
        );
        return tree;
    }
    sandbox.git(&sandbox.path(""), &["init", "-q", "repository"]);
    for file in FILES {
        let to = tree.join(file);
        std::fs::create_dir_all(to.parent().expect("a parent")).expect("a directory");
        std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(file), to)
            .expect("a file of this repository");
    }
    sandbox.git(&tree, &["add", "-A"]);
    sandbox.git(&tree, &["commit", "-q", "-m", "some files"]);
    tree
}

/// Vectors that a run computed; the JSON's shape is documented in README.
fn embedded(outcome: &Value) -> u64 {
    let counter = &outcome["vectors"]["text"]["embedded"];
    counter.as_u64().unwrap_or_else(|| panic!("the outcome has no vectors.text.embedded: {outcome}"))
}

/// Vectors in the embedding cache of this data directory.
fn cached(sandbox: &Sandbox, tree: &Path, data_dir: &Path) -> u64 {
    let answer = sandbox.indexer_in(tree, data_dir, &["status", "--json"]);
    let status = answer.json();
    if status["cache"].is_null() {
        // Killed before there was one.
        return 0;
    }
    status["cache"]["entries"].as_u64().unwrap_or_else(|| panic!("status has no cache.entries: {status}"))
}

/// Runs `once` and kills it after `moment`, unless it is done before; whether it was killed.
fn kill_after(sandbox: &Sandbox, tree: &Path, data_dir: &Path, moment: Duration) -> bool {
    let mut command = sandbox.indexer_command(tree, data_dir, &["once", "--json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program runs");
    let mut stdout = child.stdout.take().expect("a pipe");
    let (ended, end) = mpsc::channel();
    // The pipe closes when the program ends, killed or not.
    let reader = std::thread::spawn(move || {
        drop(std::io::copy(&mut stdout, &mut std::io::sink()));
        // The receiver is gone where the moment came first.
        ended.send(()).ok();
    });
    let killed = end.recv_timeout(moment).is_err();
    if killed {
        // SIGKILL on Unix.
        child.kill().expect("a child of this process");
    }
    child.wait().expect("a child of this process");
    reader.join().expect("the reader");
    killed
}

#[test]
fn a_killed_run_is_finished_by_the_next_and_nothing_is_embedded_twice() {
    let sandbox = Sandbox::new();
    let tree = repository(&sandbox);

    let undisturbed = sandbox.path("undisturbed");
    let start = Instant::now();
    let outcome = sandbox.indexer_in(&tree, &undisturbed, &["once", "--json"]).expect(0).json();
    let mut whole = start.elapsed();
    let expected = sandbox.indexer_in(&tree, &undisturbed, &["dump"]).expect(0).stdout;
    let all = embedded(&outcome);
    assert!(all > 0, "there is something to embed: {outcome}");

    let mut rng = Rng::new(number("INDEXER_KILL_SEED", 1));
    let kills = number("INDEXER_KILLS", 3);
    let (mut done, mut round) = (0, 0);
    while done < kills {
        let data_dir = sandbox.path(format!("killed-{round}"));
        round += 1;
        assert!(round <= 4 * kills + 4, "runs end before they can be killed");
        // One to three kills on the way of one index, then an undisturbed run.
        let mut before = 0;
        for attempt in 0..=round % 3 {
            let moment = whole.mul_f64(rng.below(1000) as f64 / 1000.0);
            let start = Instant::now();
            if kill_after(&sandbox, &tree, &data_dir, moment) {
                done += 1;
            } else if attempt == 0 {
                // A whole run, faster than the first: later moments would all miss it.
                whole = whole.min(start.elapsed());
            }
            let after = cached(&sandbox, &tree, &data_dir);
            assert!(after >= before, "the cache lost vectors: {before}, then {after}");
            before = after;
        }
        let outcome = sandbox.indexer_in(&tree, &data_dir, &["once", "--json"]).expect(0).json();
        // Each vector comes from one place: the index, the cache, the model.
        let text = &outcome["vectors"]["text"];
        let from =
            ["present", "cache_hits", "embedded"].map(|place| text[place].as_u64().unwrap_or_default());
        assert_eq!(from.iter().sum::<u64>(), all, "{outcome}");
        // Less where the index has vectors that had yet to be cached.
        assert!(embedded(&outcome) <= all - before, "no more than was not cached ({before}): {outcome}");
        let dump = sandbox.indexer_in(&tree, &data_dir, &["dump"]).expect(0).stdout;
        assert_eq!(dump, expected, "what an undisturbed run leaves");
        sandbox.indexer_in(&tree, &data_dir, &["verify"]).expect(0);
        let again = sandbox.indexer_in(&tree, &data_dir, &["once", "--json"]).expect(0).json();
        assert_eq!(embedded(&again), 0, "{again}");
        drop(std::fs::remove_dir_all(data_dir));
    }
    let bytes = expected.len();
    say(&format!("{done} kills in {round} rounds, each converged to the same {bytes} bytes of dump"));
}
