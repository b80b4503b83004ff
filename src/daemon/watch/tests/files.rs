//! What happens to files.

use std::os::unix::fs::PermissionsExt;

use super::*;

type Step = (&'static str, fn(&Fixture), &'static [&'static str]);

/// What is done, one after the other, to a repository with `a`, `d/b` and `d/e/c`, and
/// the paths that are told.
const STEPS: &[Step] = &[
    ("edit", |f| f.write("d/b", "new"), &["d/b"]),
    (
        "append",
        |f| {
            use std::io::Write;
            let mut file = std::fs::File::options().append(true).open(f.at("d/e/c")).expect("opened");
            file.write_all(b"more").expect("written");
        },
        &["d/e/c"],
    ),
    (
        "atomic save",
        |f| {
            f.write("d/.b.swp", "newer");
            std::fs::rename(f.at("d/.b.swp"), f.at("d/b")).expect("renamed");
        },
        &["d/.b.swp", "d/b"],
    ),
    ("new", |f| f.write("d/new", ""), &["d/new"]),
    ("rename", |f| std::fs::rename(f.at("d/new"), f.at("old")).expect("renamed"), &["d/new", "old"]),
    ("remove", |f| std::fs::remove_file(f.at("old")).expect("removed"), &["old"]),
    (
        "permissions",
        |f| std::fs::set_permissions(f.at("a"), PermissionsExt::from_mode(0o755)).expect("set"),
        &["a"],
    ),
    ("link", |f| std::os::unix::fs::symlink("nowhere", f.at("d/link")).expect("linked"), &["d/link"]),
    ("hard link", |f| std::fs::hard_link(f.at("a"), f.at("d/e/hard")).expect("linked"), &["d/e/hard", "a"]),
    ("directory", |f| std::fs::create_dir(f.at("d/dir")).expect("created"), &["d/dir"]),
    ("a name that is not UTF-8", |f| f.write(b"d/\xff", ""), &["d/\u{fffd}"]),
];

#[test]
fn every_change_is_told() {
    let mut fixture = Fixture::of(&["a", "d/b", "d/e/c"]);
    assert_eq!(fixture.settle().polled, None);
    assert_eq!(fixture.told(), []);
    for (what, step, expected) in STEPS {
        step(&fixture);
        let told = fixture.paths();
        let mut expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
        expected.sort();
        // A hard link changes the attributes of the file, of which some systems say nothing.
        expected.retain(|path| told.contains(path) || path != "a" || *what != "hard link");
        assert_eq!(told, expected, "{what}");
    }
}

#[test]
fn nothing_is_told_of_what_git_ignores_and_of_what_is_hidden() {
    let mut fixture = Fixture::of(&[".gitignore", "a"]);
    fixture.write(".gitignore", "target/\n");
    fixture.write("target/debug/x", "");
    fixture.write("state/s", "");
    let root = fixture.root();
    let mut worktree = fixture.open();
    worktree.hide(&[fixture.at("state")]);
    let directories = worktree.list().expect("lists").directories;
    fixture.watcher.cover(&root, &worktree.git_places(), &directories);
    fixture.write("target/debug/x", "new");
    fixture.write("target/y", "new");
    fixture.write("state/s", "new");
    assert_eq!(fixture.told(), []);
}

#[test]
fn reading_wakes_nobody() {
    let mut fixture = Fixture::of(&["a", "d/b", "d/e/c"]);
    // So that git finds nothing to refresh in its index: files older than that, and known.
    for file in ["a", "d/b", "d/e/c"] {
        let file = std::fs::File::open(fixture.at(file)).expect("opened");
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("set");
    }
    fixture.git(&["status"]);
    fixture.settle();
    fixture.git(&["status"]);
    fixture.git(&["log", "-p"]);
    fixture.git(&["diff", "HEAD"]);
    fixture.git(&["stash", "list"]);
    let worktree = fixture.open();
    let listing = worktree.list().expect("lists");
    for entry in &listing.entries {
        crate::git::read_file(worktree.root(), &entry.path, u64::MAX).expect("reads");
    }
    assert_eq!(listing.entries.len(), 3);
    worktree.head().expect("reads");
    worktree.identity().expect("reads");
    assert_eq!(worktree.index_locked(), None);
    assert_eq!(fixture.settle().added, 0);
    assert_eq!(fixture.told(), []);
}

#[test]
fn without_a_watcher_there_is_no_thread() {
    let fixture = Fixture::of(&["a"]);
    let Fixture { mut watcher, notices, base, .. } = fixture;
    let root = AbsPath::new(base.path().canonicalize().expect("canonical")).expect("absolute");
    assert_eq!(watcher.cover(&root, &[], &[]).added, 1);
    drop(watcher);
    // The thread held the last sender.
    let ended = std::iter::from_fn(|| notices.recv_timeout(DEADLINE).err()).next();
    assert_eq!(ended, Some(std::sync::mpsc::RecvTimeoutError::Disconnected));
}

#[test]
fn a_reader_that_ended_is_started_again_and_says_so() {
    let (sender, notices) = channel();
    let tell = move |notice: Notice| {
        sender.send(notice.clone()).expect("received");
        assert_eq!(notice, Notice::Rescan, "a bug of the receiver");
    };
    let mut watcher = Watcher::new(true, None, tell);
    let base = TempDir::new().expect("temporary directory");
    let root = AbsPath::new(base.path().canonicalize().expect("canonical")).expect("absolute");
    assert_eq!(watcher.cover(&root, &[], &[]).added, 1);
    std::fs::write(root.as_path().join("x"), "").expect("written");
    notices.recv_timeout(DEADLINE).expect("told");
    let started = std::time::Instant::now();
    while watcher.watches.instance.as_ref().is_some_and(Instance::is_alive) {
        assert!(started.elapsed() < DEADLINE, "the thread does not end");
        std::thread::yield_now();
    }
    assert_eq!(watcher.cover(&root, &[], &[]).added, 1);
    assert_eq!(notices.recv_timeout(DEADLINE), Ok(Notice::Rescan));
    assert_eq!(watcher.stats().watches, 1);
}

#[cfg(debug_assertions)]
#[test]
fn events_can_be_dropped() {
    let mut fixture = Fixture::of(&["a"]);
    fixture.settle();
    fixture.write("a", "1");
    assert_eq!(fixture.paths(), ["a"]);
    fixture.watcher.drop_events();
    fixture.write("a", "2");
    // Nothing to wait for: the thread ends, having read everything before, and told nothing.
    let Fixture { mut watcher, notices, base: _base, .. } = fixture;
    assert!(watcher.watches.instance.as_mut().is_some_and(Instance::drain));
    drop(watcher);
    assert_eq!(notices.recv_timeout(DEADLINE), Err(std::sync::mpsc::RecvTimeoutError::Disconnected));
}
