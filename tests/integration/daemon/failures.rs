//! A failure is one of its worktree: it is shown and tried again, the index is kept, and
//! the others stay fresh.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use contextd_indexer::state_dir::WriterLock;

use super::{Daemon, add, commit, configure, dump, find, from_scratch, repository, source, write};
use crate::harness::{Answer, Sandbox, left_out};

/// Copies of this crate's sources, so that a run takes a while.
const COPIES: usize = 4;

#[test]
fn a_root_that_is_away_is_missing_and_comes_back_as_it_was() {
    let sandbox = Sandbox::new();
    configure(&sandbox, "poll_seconds = 1\n");
    let tree = repository(&sandbox, "repo", 3);
    add(&sandbox, &tree);
    let daemon = Daemon::start(&sandbox);
    let before = daemon.exact(&tree);
    let state = |wanted: &'static str| {
        daemon.wait_for(wanted, |status| {
            find(status, &tree).filter(|found| found.state.as_deref() == Some(wanted)).map(drop)
        });
    };
    fs::rename(&tree, sandbox.path("away")).expect("moved");
    state("missing");
    let list = sandbox.indexer(&sandbox.path(""), &["list", "--json"]).expect(0).json();
    assert_eq!(list["worktrees"][0]["indexed"], true, "its index is kept: {list}");
    fs::rename(sandbox.path("away"), &tree).expect("moved");
    state("active");
    let after = daemon.exact(&tree);
    assert_eq!((after.counters.embedded, after.counters.parsed), (0, 0), "{before:?}, then {after:?}");

    // Another repository at the same place is another one.
    fs::remove_dir_all(&tree).expect("removed");
    repository(&sandbox, "repo", 5);
    daemon.exact(&tree);
    write(&tree, "src/part_0.rs", &source(30));
    daemon.exact(&tree);
    daemon.stop();
}

#[test]
fn a_broken_repository_is_a_problem_until_it_is_mended_and_the_others_stay_fresh() {
    let sandbox = Sandbox::new();
    configure(&sandbox, "");
    let (broken, whole) = (repository(&sandbox, "broken", 2), repository(&sandbox, "whole", 2));
    for tree in [&broken, &whole] {
        add(&sandbox, tree);
    }
    let daemon = Daemon::start(&sandbox);
    daemon.exact(&broken);
    daemon.exact(&whole);
    let head = broken.join(".git/HEAD");
    let good = fs::read(&head).expect("read");
    fs::write(&head, "garbage\n").expect("written");
    let problem = daemon.wait_for("the problem", |status| find(status, &broken)?.problem.clone());
    assert!(problem.failure.message.contains("broken"), "it names its subject: {problem:?}");
    let shown = sandbox.indexer(&whole, &["status"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("error: "), "{shown:?}");
    write(&whole, "src/part_0.rs", &source(40));
    daemon.exact(&whole);
    // What was indexed is still found.
    assert!(!daemon.search(&broken, "part_1", false).hits.is_empty());

    // Tried again, and later each time.
    let retry_in_s = daemon.wait_for("a long wait", |status| {
        let problem = find(status, &broken)?.problem.as_ref()?;
        (problem.failures >= 4 && problem.retry_in_s >= 5).then_some(problem.retry_in_s)
    });
    fs::write(&head, good).expect("written");
    write(&broken, "src/part_0.rs", &source(41));
    // Whoever asks does not wait for the next try.
    let waited = daemon.search(&broken, "part_1", true).summary.waited.expect("it was asked for");
    assert!(waited.covered && waited.ms < 1000 * retry_in_s / 2, "{waited:?}, {retry_in_s} s");
    assert_eq!(dump(&sandbox, &broken, &sandbox.data_dir()), from_scratch(&sandbox, &broken));
    assert_eq!(daemon.exact(&broken).problem, None);
    daemon.stop();
}

#[test]
fn a_full_disk_is_a_problem_until_there_is_room() {
    let sandbox = Sandbox::new();
    configure(&sandbox, "");
    let tree = repository(&sandbox, "repo", 3);
    add(&sandbox, &tree);
    let data_dir = sandbox.data_dir();
    let registry = sandbox.path("registry.json");
    fs::rename(data_dir.join("registry.json"), &registry).expect("moved");
    let on_small_disk = |script: &str| {
        let mut command = sandbox.command("unshare", &sandbox.path(""));
        command.args(["--mount", "--map-root-user", "sh", "-euc"]);
        command.arg(format!("mount -t tmpfs -o size=8m tmpfs \"$DATA\"; {script}"));
        command.env("DATA", &data_dir).env("REGISTRY", &registry);
        command.env("INDEXER", env!("CARGO_BIN_EXE_indexer"));
        command
    };
    if !on_small_disk("true").output().is_ok_and(|answer| answer.status.success()) {
        return left_out("a full disk under the daemon", "mounts are not permitted");
    }
    let watch = "cp \"$REGISTRY\" \"$DATA\"; exec \"$INDEXER\" watch -v --data-dir \"$DATA\"";
    // What is mounted there is seen from here through the process.
    let inside = data_dir.strip_prefix("/").expect("absolute");
    let daemon = Daemon::spawn(&sandbox, on_small_disk(watch), |pid| {
        Path::new("/proc").join(pid.to_string()).join("root").join(inside)
    });
    daemon.settle(&tree);
    let ballast = daemon.data_dir.join("ballast");
    let zeros = &mut fs::File::open("/dev/zero").expect("zeros").take(64 << 20);
    let filled = io::copy(zeros, &mut fs::File::create(&ballast).expect("a file"));
    assert_eq!(filled.map_err(|error| error.kind()), Err(io::ErrorKind::StorageFull));
    write(&tree, "src/part_0.rs", &source(50));
    let problem = daemon.wait_for("the disk is a problem", |status| find(status, &tree)?.problem.clone());
    let message = problem.failure.message.to_lowercase();
    assert!(message.contains("no space left"), "{problem:?}");
    assert!(!daemon.search(&tree, "part_1", false).hits.is_empty(), "what was indexed is found");
    fs::remove_file(&ballast).expect("removed");
    daemon.barrier(&tree);
    daemon.settle(&tree);
    let mut verify = sandbox.command("nsenter", &tree);
    verify.arg(format!("--target={}", daemon.pid())).args(["--user", "--mount", "--preserve-credentials"]);
    verify.arg(env!("CARGO_BIN_EXE_indexer")).arg("verify").arg(&tree).arg("--data-dir").arg(&data_dir);
    Answer::from(verify.output().expect("nsenter runs")).expect(0);
    daemon.stop();
}

#[test]
fn a_worktree_that_another_process_indexes_waits_without_a_problem() {
    let sandbox = Sandbox::new();
    configure(&sandbox, "");
    let (taken, free) = (repository(&sandbox, "taken", 2), repository(&sandbox, "free", 2));
    for tree in [&taken, &free] {
        add(&sandbox, tree);
    }
    let daemon = Daemon::start(&sandbox);
    let status = daemon.exact(&taken);
    let name = format!("{}.{}.lock", status.database.expect("known"), status.collection.expect("known"));
    let lock = WriterLock::acquire(&sandbox.data_dir().join("locks").join(name)).expect("nobody has it");
    for tree in [&taken, &free] {
        write(tree, "src/part_0.rs", &source(90));
    }
    daemon.exact(&free);
    let waiting = daemon.worktree(&taken);
    assert_eq!(waiting.problem, None);
    assert!(!waiting.queued.is_empty() && !waiting.freshness.expect("known").fresh, "{:?}", waiting.queued);
    drop(lock);
    daemon.exact(&taken);
    daemon.stop();
}

#[test]
fn a_lock_that_a_dead_git_left_is_not_waited_for_for_ever() {
    let sandbox = Sandbox::new();
    configure(&sandbox, "");
    let tree = repository(&sandbox, "repo", 2);
    add(&sandbox, &tree);
    let daemon = Daemon::start(&sandbox);
    daemon.exact(&tree);
    write(&tree, ".git/index.lock", "");
    write(&tree, "src/part_0.rs", &source(80));
    daemon.exact(&tree);
    // It was waited for.
    daemon.await_log("index.lock is held for very long");
    daemon.stop();
}

/// This crate's sources, several times over.
pub(super) fn large(sandbox: &Sandbox) -> PathBuf {
    let tree = repository(sandbox, "large", 1);
    for copy in 0..COPIES {
        copy_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &tree.join(format!("copy_{copy}")));
    }
    commit(sandbox, &tree, "sources");
    tree
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory").map(|entry| entry.expect("an entry")) {
        let to = to.join(entry.file_name());
        match entry.file_type().expect("a type").is_dir() {
            true => copy_all(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).expect("copied")),
        }
    }
}

#[test]
fn a_first_run_is_stopped_within_seconds_and_the_next_start_goes_on() {
    let sandbox = Sandbox::new();
    configure(&sandbox, "[index]\nthreads = 1\n");
    let tree = large(&sandbox);
    add(&sandbox, &tree);
    for stage in ["files", "vectors"] {
        let daemon = Daemon::start(&sandbox);
        daemon.wait_for(stage, |status| {
            let running = status.daemon.as_ref()?.running.as_ref()?;
            (running.stage == stage && running.done > 0).then_some(())
        });
        daemon.stop();
    }
    let daemon = Daemon::start(&sandbox);
    let status = daemon.wait_for("its words", |status| {
        find(status, &tree).filter(|found| found.freshness.as_ref().is_some_and(|now| now.complete)).cloned()
    });
    assert_eq!(status.counters.parsed, 0, "all was parsed before: {:?}", status.counters);
    let vectors = &status.freshness.expect("known").vectors["text"];
    assert!(vectors.present > 0, "some were there: {vectors:?}");
    daemon.barrier(&tree);
    assert_eq!(dump(&sandbox, &tree, &sandbox.data_dir()), from_scratch(&sandbox, &tree));
    daemon.stop();
}
