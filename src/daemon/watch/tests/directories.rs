//! What happens to directories: a watch is on an inode, and paths change hands.

use std::fs::{create_dir, create_dir_all, remove_dir_all, rename};

use super::*;

type Step = (&'static str, fn(&Fixture));

/// What is done to `a/sub/x` and `b/sub/x`, each to a fresh repository. The directories
/// that are there afterwards must be watched, under the paths that they have then.
const STEPS: &[Step] = &[
    ("moved", |f| rename(f.at("a"), f.at("c")).expect("moved")),
    ("moved down", |f| rename(f.at("a"), f.at("b/sub/a")).expect("moved")),
    ("moved, another made in its place", |f| {
        rename(f.at("a"), f.at("c")).expect("moved");
        f.write("a/sub/x", "");
    }),
    ("exchanged", |f| {
        rename(f.at("a"), f.at("t")).expect("moved");
        rename(f.at("b"), f.at("a")).expect("moved");
        rename(f.at("t"), f.at("b")).expect("moved");
    }),
    ("inner ones exchanged", |f| {
        rename(f.at("a/sub"), f.at("t")).expect("moved");
        rename(f.at("b/sub"), f.at("a/sub")).expect("moved");
        rename(f.at("t"), f.at("b/sub")).expect("moved");
    }),
    ("removed", |f| remove_dir_all(f.at("a")).expect("removed")),
    ("removed and made again", |f| {
        remove_dir_all(f.at("a")).expect("removed");
        f.write("a/sub/x", "");
    }),
    ("moved out, another moved in", |f| {
        let outside = f.base();
        create_dir_all(outside.join("in/sub/deep")).expect("created");
        rename(f.at("a"), outside.join("out")).expect("moved");
        rename(outside.join("in"), f.at("a")).expect("moved");
    }),
    ("replaced by a file", |f| {
        remove_dir_all(f.at("a")).expect("removed");
        f.write("a", "");
    }),
    ("replaced by a link to another", |f| {
        rename(f.at("a"), f.base().join("out")).expect("moved");
        std::os::unix::fs::symlink("../out", f.at("a")).expect("linked");
    }),
    ("nested, filled at once", |f| f.write("n/m/o/x", "")),
    ("a name that is not UTF-8", |f| f.write(b"n\xff\n/m/x", "")),
    ("became a repository of its own", |f| {
        f.git(&["init", "-q", "b/sub/nested"]);
    }),
    ("ignored now", |f| f.write(".gitignore", "/n/\n/a/\n")),
];

#[test]
fn after_the_next_run_the_directories_that_are_there_are_watched() {
    for (what, step) in STEPS {
        let mut fixture = Fixture::of(&["a/sub/x", "b/sub/x"]);
        fixture.settle();
        step(&fixture);
        assert!(!fixture.told().is_empty(), "{what}");
        let coverage = fixture.settle();
        assert_eq!((coverage.polled, coverage.unwatched), (None, 0), "{what}");
        fixture.told();
        let directories = fixture.open().list().expect("lists").directories;
        assert_eq!(coverage.watched, directories.len() + 1, "{what}");
        let git = fixture.open().git_places();
        let on_git_side: BTreeSet<&Path> = git.iter().map(|place| place.directory.as_path()).collect();
        let watches = fixture.watcher.stats().watches;
        assert_eq!(watches, coverage.watched + on_git_side.len(), "{what}: a watch is left over");
        let instance = fixture.watcher.watches.instance.as_ref().expect("started");
        assert_eq!(instance.watched().len(), watches, "{what}: the system has others");
        for directory in &directories {
            let file = RepoPath::new([directory.as_bytes(), b"/probe"].concat()).expect("well-formed");
            fixture.write(file.as_bytes(), "");
            let told: BTreeSet<_> = fixture.paths().into_iter().collect();
            assert_eq!(told, BTreeSet::from([file.to_string()]), "{what}");
        }
        // What left the worktree, or is another repository now, is none of its business.
        for outside in ["out/sub/x", "repo/b/sub/nested/x"] {
            let _ = std::fs::write(fixture.base().join(outside), "new");
        }
        assert!(!fixture.paths().iter().any(|path| path.ends_with("/x")), "{what}");
    }
}

#[test]
fn a_directory_that_is_still_in_use_when_it_is_replaced() {
    let mut fixture = Fixture::of(&["a/sub/x"]);
    fixture.settle();
    // As a shell has its working directory: the system keeps the old one, and its watch.
    let held = std::fs::File::open(fixture.at("a/sub")).expect("opened");
    remove_dir_all(fixture.at("a/sub")).expect("removed");
    fixture.write("a/sub/x", "");
    fixture.told();
    assert_eq!(fixture.run(&fixture.root()).added, 1);
    assert_eq!(fixture.settle().added, 0);
    fixture.write("a/sub/x", "new");
    assert_eq!(fixture.paths(), ["a/sub/x"]);
    drop(held);
}

#[test]
fn what_happens_before_the_watch_is_found_by_one_more_run() {
    let mut fixture = Fixture::of(&["a"]);
    fixture.settle();
    create_dir(fixture.at("n")).expect("created");
    let root = fixture.root();
    let listed = fixture.open().list().expect("lists").directories;
    // Between the list and the watch: no event comes from a directory not yet watched.
    fixture.write("n/m/x", "");
    let coverage = fixture.watcher.cover(&root, &fixture.open().git_places(), &listed);
    assert_eq!((coverage.added, coverage.watched), (1, 2));
    assert_eq!(fixture.paths(), ["n"]);
    assert_eq!(fixture.run(&root).added, 1, "n/m");
    fixture.write("n/m/x", "new");
    assert_eq!(fixture.paths(), ["n/m/x"]);
}

#[test]
fn a_directory_that_vanished_since_the_list_is_no_shortage() {
    let mut fixture = Fixture::of(&["a", "d/b"]);
    let root = fixture.root();
    let worktree = fixture.open();
    let mut directories = worktree.list().expect("lists").directories;
    directories
        .extend(["gone", "a/under-a-file", "link"].map(|path| RepoPath::new(path).expect("well-formed")));
    std::os::unix::fs::symlink("d", fixture.at("link")).expect("linked");
    let coverage = fixture.watcher.cover(&root, &worktree.git_places(), &directories);
    assert_eq!((coverage.directories, coverage.watched, coverage.unwatched), (5, 2, 0));
    assert_eq!(coverage.polled, None);
}

#[test]
fn the_root_itself() {
    let mut fixture = Fixture::of(&["a", "d/b"]);
    fixture.settle();
    let root = fixture.root();
    rename(root.as_path(), fixture.base().join("elsewhere")).expect("moved");
    let told = fixture.notices.recv_timeout(DEADLINE);
    assert_eq!(told, Ok(Notice::Root { root: root.clone() }));
    // Another one in its place, of the same layout.
    fixture.git_in(&fixture.base(), &["clone", "-q", "elsewhere", "repo"]);
    assert!(fixture.run(&root).added >= 2);
    fixture.settle();
    fixture.told();
    fixture.write("d/b", "new");
    assert_eq!(fixture.paths(), ["d/b"]);
    std::fs::write(fixture.base().join("elsewhere/d/b"), "new").expect("written");
    assert_eq!(fixture.told(), []);
    remove_dir_all(root.as_path()).expect("removed");
    let gone = Notice::Root { root };
    while fixture.notices.recv_timeout(DEADLINE).expect("told") != gone {}
}

#[test]
fn a_parent_of_the_root_is_exchanged_without_a_word() {
    let mut fixture = Fixture::of(&["a"]);
    fixture.git(&["worktree", "add", "-q", "--detach", "../one/tree"]);
    fixture.git(&["worktree", "add", "-q", "--detach", "../two/tree"]);
    let base = fixture.base();
    let root = AbsPath::new(base.join("one/tree")).expect("absolute");
    std::fs::create_dir(base.join("one/tree/d")).expect("created");
    std::fs::create_dir(base.join("two/tree/d")).expect("created");
    let directories = [RepoPath::new("d").expect("well-formed")];
    assert_eq!(fixture.watcher.cover(&root, &[], &directories).added, 2);
    rename(base.join("one"), base.join("t")).expect("moved");
    rename(base.join("two"), base.join("one")).expect("moved");
    assert_eq!(fixture.watcher.cover(&root, &[], &directories).added, 2);
    assert_eq!(fixture.watcher.cover(&root, &[], &directories).added, 0);
    std::fs::write(base.join("t/tree/d/x"), "").expect("written");
    std::fs::write(root.as_path().join("d/y"), "").expect("written");
    let y = Notice::File { root: root.clone(), path: RepoPath::new("d/y").expect("well-formed") };
    assert_eq!(fixture.told_by(&root), [y]);
}

#[test]
fn nothing_is_lost_while_watches_are_placed_anew() {
    const FILES: usize = 400;
    let mut fixture = Fixture::of(&["a", "d/x"]);
    fixture.git(&["worktree", "add", "-q", "--detach", "../other"]);
    let other = AbsPath::new(fixture.base().join("other")).expect("absolute");
    fixture.settle();
    fixture.settle_at(&other);
    fixture.told();
    let below = other.as_path().join("d");
    let writer = std::thread::spawn(move || {
        for at in 0..FILES {
            std::fs::write(below.join(format!("n{at:03}")), "").expect("written");
        }
    });
    let (root, mut told, mut renewed) = (fixture.root(), Vec::new(), 0);
    while renewed < 5 || !writer.is_finished() {
        remove_dir_all(fixture.at("d")).expect("removed");
        fixture.write("d/x", "");
        told.extend(fixture.told());
        renewed += usize::from(fixture.run(&root).added > 0);
    }
    writer.join().expect("written");
    told.extend(fixture.told_by(&other));
    assert!(!told.contains(&Notice::Rescan));
    let file = |at| RepoPath::new(format!("d/n{at:03}")).expect("well-formed");
    let told_of = |path| told.contains(&Notice::File { root: other.clone(), path });
    let lost: Vec<usize> = (0..FILES).filter(|at| !told_of(file(*at))).collect();
    assert!(lost.is_empty(), "{lost:?}");
}
