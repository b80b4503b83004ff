//! Where nothing happens nothing is done, and what git ignores is nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Daemon, add, configure, find, repository, write};
use crate::harness::Sandbox;

/// Polls that nothing may come of.
const POLLS: u64 = 6;
/// The kernel notes when a file is first read after it was written: a block, once.
const READ_MARK: u64 = 4096;

/// What a process at rest leaves as it is.
#[derive(Debug)]
struct Traces {
    /// Bytes that it made the disk write.
    written: u64,
    descriptors: usize,
    watches: u64,
    /// Of every file of the data directory, when it was changed.
    files: BTreeMap<PathBuf, SystemTime>,
}

fn traces(daemon: &Daemon<'_>, data_dir: &Path) -> Traces {
    let process = PathBuf::from(format!("/proc/{}", daemon.pid()));
    let io = fs::read_to_string(process.join("io")).expect("readable");
    let written = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).expect("a count");
    let mut files = BTreeMap::new();
    let mut pending = vec![data_dir.to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(dir).expect("readable").map(|entry| entry.expect("an entry")) {
            let found = entry.metadata().expect("there");
            if found.is_dir() {
                pending.push(entry.path());
            }
            files.insert(entry.path(), found.modified().expect("a time"));
        }
    }
    Traces {
        written: written.parse().expect("a number"),
        descriptors: fs::read_dir(process.join("fd")).expect("readable").count(),
        watches: daemon.status().daemon.expect("a daemon").watches.used,
        files,
    }
}

fn await_polls(daemon: &Daemon<'_>, tree: &Path, count: u64) {
    let before = daemon.worktree(tree).counters.polls;
    daemon.wait_for("polls", |status| (find(status, tree)?.counters.polls >= before + count).then_some(()));
}

#[test]
fn at_rest_nothing_is_written_opened_or_watched() {
    let sandbox = Sandbox::new();
    configure(&sandbox, "poll_seconds = 1\n");
    let tree = repository(&sandbox, "repo", 20);
    add(&sandbox, &tree);
    let daemon = Daemon::start(&sandbox);
    daemon.exact(&tree);
    // The first looks that find nothing may still remember signatures.
    await_polls(&daemon, &tree, 2);
    let before = traces(&daemon, &sandbox.data_dir());
    let counters = daemon.worktree(&tree).counters;
    await_polls(&daemon, &tree, POLLS);
    let after = traces(&daemon, &sandbox.data_dir());
    let changed: Vec<_> =
        after.files.iter().filter(|(path, at)| before.files.get(*path) != Some(at)).collect();
    assert!(changed.is_empty() && after.files.len() == before.files.len(), "{changed:#?}");
    assert_eq!(after.watches, before.watches);
    let written = after.written - before.written;
    assert!(written <= READ_MARK, "{written} bytes");
    // A look in progress and a question have some open.
    assert!(after.descriptors < before.descriptors + POLLS as usize, "{before:?}, then {after:?}");
    let after = daemon.worktree(&tree).counters;
    assert_eq!((after.runs, after.fills), (counters.runs, counters.fills), "looks alone");
    daemon.stop();
}

#[test]
fn what_git_ignores_is_looked_at_once_and_indexed_once_it_is_shown() {
    let sandbox = Sandbox::new();
    configure(&sandbox, "");
    let tree = repository(&sandbox, "repo", 2);
    write(&tree, ".gitignore", "*.log\ncache/\n");
    super::commit(&sandbox, &tree, "rules");
    add(&sandbox, &tree);
    let daemon = Daemon::start(&sandbox);
    daemon.exact(&tree);
    // The files and the directory are met once each.
    let noise = |number: usize| {
        write(&tree, "src/noise.log", &format!("line {number}\n"));
        write(&tree, "cache/entry.md", &format!("# Entry {number}\n"));
    };
    noise(0);
    daemon.barrier(&tree);
    noise(1);
    daemon.barrier(&tree);
    let before = daemon.settle(&tree).counters;
    for number in 2..100 {
        noise(number);
    }
    // Events come in order: when this one has led to its run, those of the noise had come.
    write(&tree, "src/signal.rs", "fn signal() {}\n");
    daemon.wait_for("the signal", |status| {
        (find(status, &tree)?.counters.changed > before.changed).then_some(())
    });
    let after = daemon.settle(&tree).counters;
    let looks = (after.runs + after.polls) - (before.runs + before.polls);
    assert!(looks <= 2, "{looks} looks: {before:?}, then {after:?}");

    sandbox.git(&tree, &["add", "--force", "cache/entry.md"]);
    daemon.exact(&tree);
    write(&tree, "cache/entry.md", "# Tracked\n");
    daemon.exact(&tree);
    write(&tree, ".gitignore", "cache/\n");
    daemon.exact(&tree);
    assert!(!daemon.search(&tree, "line 99", false).hits.is_empty(), "src/noise.log is shown now");
    write(&tree, "src/noise.log", "another text\n");
    daemon.exact(&tree);
    daemon.stop();
}
