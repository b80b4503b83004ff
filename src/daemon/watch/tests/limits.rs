//! Where not everything can be watched.

use std::io;
use std::sync::{Arc, Barrier};

use super::*;

/// `d0/x` to `d4/x`, each with `s0/x` to `s8/x`: fifty directories below the root.
fn fifty() -> Vec<String> {
    let mut files = Vec::new();
    for outer in 0..5 {
        files.push(format!("d{outer}/x"));
        files.extend((0..9).map(|inner| format!("d{outer}/s{inner}/x")));
    }
    files
}

fn fixture(budget: usize) -> Fixture {
    let files = fifty();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    Fixture::with_budget(&files, Some(budget))
}

fn names(paths: &[RepoPath]) -> Vec<String> {
    paths.iter().map(ToString::to_string).collect()
}

/// How many directories are to be watched on git's side.
fn git_side(root: &AbsPath) -> usize {
    let places = Worktree::discover(root.as_path()).expect("opens").git_places();
    places.iter().map(|place| &place.directory).collect::<BTreeSet<_>>().len()
}

#[test]
fn a_budget_goes_to_git_the_root_and_what_is_near_it() {
    let mut fixture = fixture(10);
    let root = fixture.root();
    let git = git_side(&root);
    let coverage = fixture.settle();
    assert_eq!(fixture.watcher.stats(), Stats { watches: 10, budget: 10, overflows: 0 });
    let watched = 10 - git;
    assert_eq!((coverage.directories, coverage.watched, coverage.unwatched), (51, watched, 51 - watched));
    let near = ["d0", "d1", "d2", "d3", "d4"].map(str::to_owned);
    let expected: Vec<String> = near.into_iter().chain((0..9).map(|s| format!("d0/s{s}"))).collect();
    assert_eq!(names(&coverage.first_unwatched), expected[watched - 1..][..5]);
    let text = coverage.to_string();
    assert!(
        text.starts_with(&format!("{watched} of 51 directories are watched: the 10 watches of")),
        "{text}"
    );
    assert!(text.contains(&format!("set it to {} or more", 51 + git)), "{text}");
    assert_eq!(fixture.watcher.coverage(&root), Some(&coverage));

    fixture.write("d0/x", "new");
    fixture.write("d4/s8/x", "new");
    fixture.git(&["update-ref", "refs/heads/main", "HEAD"]);
    assert_eq!(fixture.paths(), ["d0/x"]);
}

#[test]
fn git_alone_where_the_budget_is_smaller_still() {
    let mut fixture = fixture(2);
    let coverage = fixture.settle();
    assert_eq!((coverage.watched, coverage.unwatched), (0, 51));
    assert_eq!(fixture.watcher.stats().watches, 2);
    let mut none = self::fixture(0);
    assert_eq!(none.settle().unwatched, 51);
    assert_eq!(none.watcher.stats().watches, 0);
}

#[test]
fn a_small_worktree_is_watched_whole_beside_a_large_one() {
    let mut fixture = fixture(40);
    fixture.git(&["worktree", "add", "-q", "--orphan", "-b", "small", "../small"]);
    let (large, small) = (fixture.root(), AbsPath::new(fixture.base().join("small")).expect("absolute"));
    let alone = fixture.settle();
    assert_eq!(fixture.watcher.stats().watches, 40);
    std::fs::create_dir_all(small.as_path().join("a/b")).expect("created");
    let coverage = fixture.settle_at(&small);
    assert_eq!((coverage.watched, coverage.unwatched, coverage.polled), (3, 0, None));
    let cut = fixture.watcher.coverage(&large).cloned().expect("covered");
    assert!(cut.watched < alone.watched, "{cut:?}");
    assert_eq!(cut.watched + cut.unwatched, 51);
    assert!(matches!(cut.polled, Some(Reason::Budget { budget: 40, configured: true, .. })), "{cut:?}");
    assert!(fixture.watcher.stats().watches <= 40);
    // What it says of itself is the same.
    let again = fixture.settle();
    assert_eq!((again.watched, again.unwatched), (cut.watched, cut.unwatched));

    fixture.watcher.release(&small);
    let grown = fixture.settle();
    assert_eq!(grown.watched, alone.watched);
    assert_eq!(fixture.watcher.stats().watches, 40);
}

#[test]
fn many_watches_end_at_once() {
    let mut fixture = fixture(1000);
    fixture.git(&["worktree", "add", "-q", "--orphan", "-b", "small", "../small"]);
    let small = AbsPath::new(fixture.base().join("small")).expect("absolute");
    fixture.settle();
    let before = fixture.settle_at(&small);
    fixture.told();
    let root = fixture.root();
    fixture.watcher.release(&root);
    let instance = fixture.watcher.watches.instance.as_ref().expect("started");
    assert_eq!(instance.watched().len(), fixture.watcher.stats().watches);
    fixture.write("d0/x", "new");
    std::fs::write(small.as_path().join("x"), "").expect("written");
    let x = Notice::File { root: small.clone(), path: RepoPath::new("x").expect("well-formed") };
    assert_eq!(fixture.told_by(&small), [x]);
    assert_eq!(fixture.run(&small), before, "nothing to be made good");
}

#[test]
fn without_a_number_half_of_what_the_system_allows() {
    let fixture = Fixture::of(&[]);
    let limit = std::fs::read_to_string("/proc/sys/fs/inotify/max_user_watches").expect("reads");
    let limit: usize = limit.trim().parse().expect("a number");
    assert_eq!(fixture.watcher.stats().budget, limit / 2);
}

#[test]
fn what_the_system_refuses_is_named() {
    let mut fixture = Fixture::of(&["d/x"]);
    let root = fixture.root();
    // Longer than a path may be.
    let long = RepoPath::new(vec!["n".repeat(250); 20].join("/")).expect("well-formed");
    let directories = [RepoPath::new("d").expect("well-formed"), long.clone()];
    let coverage = fixture.watcher.cover(&root, &[], &directories);
    assert_eq!((coverage.watched, coverage.unwatched), (2, 1));
    assert_eq!(coverage.first_unwatched, [long]);
    assert!(coverage.to_string().contains("the system refused to watch `"), "{coverage}");
    let limit = no_watch(root.as_path(), Errno::NOSPC);
    assert!(limit.contains("sysctl fs.inotify.max_user_watches="), "{limit}");
    let instances = no_events(&io::Error::from(Errno::MFILE));
    assert!(instances.contains("fs.inotify.max_user_instances"), "{instances}");
}

#[test]
fn events_off() {
    let mut watcher = Watcher::new(false, None, |notice| panic!("{notice:?}"));
    let fixture = Fixture::of(&["d/x"]);
    let worktree = fixture.open();
    let directories = worktree.list().expect("lists").directories;
    let coverage = watcher.cover(&fixture.root(), &worktree.git_places(), &directories);
    assert_eq!((coverage.watched, coverage.unwatched, coverage.added), (0, 2, 0));
    assert_eq!(coverage.polled, Some(Reason::EventsOff));
    assert_eq!(watcher.stats().watches, 0);
    fixture.write("d/x", "new");
}

#[test]
fn what_lies_on_a_network_is_polled() {
    let mut fixture = Fixture::of(&["d/e/x", "f/x"]);
    let root = fixture.root();
    let worktree = fixture.open();
    let directories = worktree.list().expect("lists").directories;
    let mut cover = |mount: &Path| {
        let text = format!("1 0 0:1 / / rw - ext4 x rw\n2 1 0:2 / {} rw - nfs4 x rw\n", mount.display());
        fixture.watcher.cover_on(&Mounts::parse(text.as_bytes()), &root, &worktree.git_places(), &directories)
    };
    let whole = cover(Path::new("/none"));
    assert_eq!((whole.watched, whole.polled), (4, None));

    let below = cover(&root.as_path().join("d"));
    assert_eq!((below.watched, names(&below.first_unwatched)), (2, vec!["d".to_owned(), "d/e".to_owned()]));
    assert!(below.to_string().contains("nfs4"), "{below}");

    let git = cover(&root.as_path().join(".git"));
    assert_eq!((git.watched, git.unwatched), (4, 0));
    assert!(matches!(&git.polled, Some(Reason::Remote { file_system, .. }) if file_system == "nfs4"));

    let all = cover(root.as_path());
    assert_eq!((all.watched, all.unwatched, all.added), (0, 4, 0));
    assert_eq!(fixture.watcher.stats().watches, 0, "what was watched before is released");
}

#[test]
fn events_that_came_too_fast_are_made_good() {
    let limit = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").expect("reads");
    let limit: usize = limit.trim().parse().expect("a number");
    let mut fixture = Fixture::of(&["a", "b", "d/e/x"]);
    // A receiver that does not come back from its first notice until it is let go.
    let (sender, notices) = channel();
    let gate = Arc::new(Barrier::new(2));
    let held = Arc::clone(&gate);
    let first = std::sync::Once::new();
    let tell = move |notice| {
        drop(sender.send(notice));
        first.call_once(|| {
            held.wait();
        });
    };
    (fixture.watcher, fixture.notices) = (Watcher::new(true, None, tell), notices);
    fixture.settle();
    fixture.write("a", "new");
    assert!(matches!(fixture.notices.recv_timeout(DEADLINE), Ok(Notice::File { .. })));
    // Alternating: the system joins two equal events in a row.
    for round in 0..limit {
        let file = if round % 2 == 0 { "a" } else { "b" };
        std::fs::File::open(fixture.at(file))
            .and_then(|f| f.set_modified(std::time::SystemTime::UNIX_EPOCH))
            .expect("set");
    }
    // In the gap, where no event comes from: new, moved and replaced directories.
    fixture.write("n/m/x", "");
    std::fs::rename(fixture.at("d"), fixture.at("moved")).expect("moved");
    fixture.write("d/e/x", "");
    gate.wait();
    while fixture.notices.recv_timeout(DEADLINE).expect("told") != Notice::Rescan {}
    assert_eq!(fixture.watcher.stats().overflows, 1);
    assert!(fixture.run(&fixture.root()).added >= 4);
    fixture.settle();
    fixture.told();
    for file in ["n/m/x", "moved/e/x", "d/e/x"] {
        fixture.write(file, "newer");
        assert_eq!(fixture.paths(), [file]);
    }
}
