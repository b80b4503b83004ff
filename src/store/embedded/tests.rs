//! The contract on the embedded provider, and what only files can do: be damaged,
//! be read-only, be on a full disk, and lose their writer at any instant.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;
use crate::id::PointId;
use crate::path::RepoPath;
use crate::store::contract::{self, names, near, point, record, scan, schema, vector, with_vectors};

/// A data directory of its own.
struct Fresh(tempfile::TempDir);

impl Fresh {
    fn new() -> Fresh {
        Fresh(tempfile::tempdir().unwrap())
    }
    fn open(&self) -> Box<dyn Store> {
        Box::new(EmbeddedStore::new(self.0.path()))
    }
    fn root(&self) -> PathBuf {
        let (db, collection) = names();
        EmbeddedStore::new(self.0.path()).root(&db, &collection)
    }
}

contract::contract_suite! { Fresh::new() }

/// Points `first..last`, one file each.
fn points(range: std::ops::Range<u32>) -> Vec<Point> {
    range
        .map(|i| point(format!("dir/f{i}.rs").as_bytes(), &format!("s{i}"), 0, &format!("common word{i}")))
        .collect()
}

fn batch(points: Vec<Point>) -> Batch {
    let files = points.iter().map(|p| (p.path.clone(), Some(record(std::slice::from_ref(p))))).collect();
    Batch {
        vectors: with_vectors(&points),
        files,
        state: Some("{}".to_owned()),
        upsert: points,
        ..Batch::default()
    }
}

fn apply(store: &dyn Store, batch: Batch) -> Result<(), StoreError> {
    let (db, collection) = names();
    store.apply(&db, &collection, batch)
}

/// Several commits, so that there is a file of each kind: deletes, a second segment,
/// and more that moved than the commit record has room for.
fn sample() -> Fresh {
    let fresh = Fresh::new();
    let store = fresh.open();
    let (db, collection) = names();
    store.create(&db, &collection, &schema()).unwrap();
    let mut moved = points(1000..1500);
    apply(&*store, batch(points(0..12).into_iter().chain(moved.clone()).collect())).unwrap();
    moved.iter_mut().for_each(|point| point.lines = (700, 900));
    apply(&*store, Batch { upsert: moved, ..Batch::default() }).unwrap();
    let delete = points(3..5).iter().map(|p| p.id).collect();
    apply(&*store, Batch { delete, ..batch(points(20..23)) }).unwrap();
    fresh
}

/// All that can be read; an error is an answer too.
#[derive(Debug, PartialEq)]
struct Read {
    points: Vec<Point>,
    manifest: Vec<RepoPath>,
    hits: Vec<Vec<(u32, PointId)>>,
}

fn read(store: &dyn Store) -> Result<Read, StoreError> {
    let (db, collection) = names();
    store.schema(&db, &collection)?;
    let mut points = Vec::new();
    store.scan(&db, &collection, &mut |point| points.push(point))?;
    let manifest = store.snapshot(&db, &collection)?.manifest.keys().cloned().collect();
    let probes = [
        Probe::Terms(vec![("common".to_owned(), 1.0), ("word7".to_owned(), 1.0)]),
        near(vector("common word7")),
        Probe::Symbols(vec!["s21".to_owned()]),
    ];
    let filter = Filter { paths: vec!["dir/*.rs".to_owned()], ..Filter::default() };
    let hits = store.search(&db, &collection, &probes, &filter, 50)?;
    let rank = |hits: Vec<Scored>| hits.into_iter().map(|hit| (hit.score.to_bits(), hit.point.id)).collect();
    store.vector_keys(&db, &collection, Leg::Text)?;
    store.stats(&db, &collection)?;
    Ok(Read { points, manifest, hits: hits.into_iter().map(rank).collect() })
}

/// Lines come and go above points, again and again, between changes of other kinds.
#[test]
fn points_that_move_say_where_they_are() {
    let fresh = Fresh::new();
    let store = fresh.open();
    let (db, collection) = names();
    store.create(&db, &collection, &schema()).unwrap();
    let mut points: Vec<Point> =
        (0..300).map(|i| point(b"a.rs", &format!("s{i}"), i, &format!("text number{i}"))).collect();
    apply(&*store, batch(points.clone())).unwrap();
    let check = |points: &[Point]| {
        let mut expected = points.to_vec();
        expected.sort_by_key(|point| point.id);
        assert_eq!(scan(&*store), expected);
        assert_eq!(scan(&*fresh.open()), expected);
    };
    for round in 0..70usize {
        let moved = (round * 7) % points.len()..points.len().min((round * 7) % points.len() + 40);
        for point in &mut points[moved.clone()] {
            point.bytes = point.bytes.start + 9..point.bytes.end + 10;
            point.lines = (point.lines.0 + 1, point.lines.1 + 1);
        }
        let mut upsert = points[moved].to_vec();
        let new = point(b"b.rs", "", round as u32, &format!("added {round}"));
        upsert.push(new.clone());
        points.push(new);
        let gone = points.remove(round * 2);
        upsert.retain(|point| point.id != gone.id);
        // What is deleted and comes back is where it is now said to be.
        let back = point(b"a.rs", "s0", 0, "text number0");
        let back = (round % 10 == 9).then_some(back);
        points.extend(back.clone());
        upsert.extend(back);
        apply(&*store, Batch { delete: vec![gone.id], upsert, ..Batch::default() }).unwrap();
        if round % 10 == 9 {
            check(&points);
            let back = points.pop().unwrap();
            apply(&*store, Batch { delete: vec![back.id], ..Batch::default() }).unwrap();
        }
    }
    check(&points);
    points[5].terms.push("another".to_owned());
    apply(&*store, Batch { upsert: vec![points[5].clone()], ..Batch::default() }).unwrap();
    let probe = Probe::Terms(vec![("another".to_owned(), 1.0)]);
    let hits = store.search(&db, &collection, &[probe], &Filter::default(), 5).unwrap();
    assert_eq!(hits[0][0].point, contract::stored(&points[5]));
    check(&points);
}

fn files(root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

/// Every file of a collection, damaged in places all over it: reading says so or
/// is right, applying says so or works, the check finds it, and setting aside helps.
#[test]
fn damage_of_any_file_is_found_and_never_a_panic() {
    let fresh = sample();
    let (db, collection) = names();
    let sound = read(&*fresh.open()).unwrap();
    let root = fresh.root();
    let mut damaged_files = 0;
    for path in files(&root).into_iter().filter(|path| !path.ends_with(LOCK)) {
        let bytes = fs::read(&path).unwrap();
        let step = (bytes.len() / 24).max(1);
        let flips = (0..bytes.len()).step_by(step).chain((0..bytes.len()).rev().take(8));
        let damages = flips
            .map(|at| {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << (at % 8);
                (format!("flip at {at}"), Some(damaged))
            })
            .chain(
                [0, bytes.len() / 2, bytes.len() - 1]
                    .map(|len| (format!("cut to {len}"), Some(bytes[..len].to_vec()))),
            )
            .chain([("removed".to_owned(), None)]);
        for (what, damaged) in damages {
            match &damaged {
                Some(damaged) => fs::write(&path, damaged).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            let what = format!("{}, {what}", path.display());
            match read(&*fresh.open()) {
                Ok(read) => assert_eq!(read, sound, "{what}"),
                Err(StoreError::Corrupt { .. } | StoreError::NewerFormat { .. }) => {}
                Err(error) => panic!("{what}: {error}"),
            }
            let store = fresh.open();
            assert!(!store.check(&db, &collection).unwrap().is_empty(), "{what}: not found");
            fs::write(&path, &bytes).unwrap();
        }
        damaged_files += 1;
    }
    assert!(damaged_files >= 7, "{damaged_files} files");
    assert_eq!(read(&*fresh.open()).unwrap(), sound);
    assert_eq!(fresh.open().check(&db, &collection).unwrap(), Vec::<String>::new());
}

/// Writing into a damaged collection: an error that says so, or a collection whose
/// remaining damage is still found.
#[test]
fn applying_to_a_damaged_collection_never_panics_or_hides_the_damage() {
    let fresh = sample();
    let (db, collection) = names();
    let names = files(&fresh.root());
    for path in
        names.iter().map(|path| path.strip_prefix(fresh.root()).unwrap()).filter(|path| !path.ends_with(LOCK))
    {
        for place in [0.3, 0.95] {
            let copy = Fresh::new();
            copy_tree(&fresh.root(), &copy.root());
            let path = copy.root().join(path);
            let mut bytes = fs::read(&path).unwrap();
            let at = (bytes.len() as f64 * place) as usize;
            bytes[at] ^= 0x24;
            fs::write(&path, &bytes).unwrap();
            let delete = points(0..2).iter().map(|p| p.id).collect();
            match apply(&*copy.open(), Batch { delete, ..batch(points(30..33)) }) {
                Err(StoreError::Corrupt { .. }) => {}
                Err(error) => panic!("{}: {error}", path.display()),
                Ok(()) => {
                    let found = copy.open().check(&db, &collection).unwrap();
                    assert!(!found.is_empty() || read(&*copy.open()).is_ok(), "{}", path.display());
                }
            }
            copy.open().set_aside(&db, &collection).unwrap();
            copy.open().create(&db, &collection, &schema()).unwrap();
            apply(&*copy.open(), batch(points(0..3))).unwrap();
        }
    }
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in files(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&path, target).unwrap();
    }
}

#[test]
fn unfinished_writes_are_ignored_by_readers_and_removed_by_the_next_writer() {
    let fresh = sample();
    let sound = read(&*fresh.open()).unwrap();
    let root = fresh.root();
    for name in ["manifest.0", "vectors.text.0"] {
        let mut file = fs::OpenOptions::new().append(true).open(root.join(name)).unwrap();
        file.write_all(b"torn tail of a killed writer").unwrap();
    }
    let strays = ["manifest.1", "vectors.text.1", "segment.900", "changes.900", ".commit.tmp-1"];
    for name in strays {
        fs::write(root.join(name), "stray").unwrap();
    }
    assert_eq!(read(&*fresh.open()).unwrap(), sound);
    apply(&*fresh.open(), batch(points(40..41))).unwrap();
    for name in strays {
        assert!(!root.join(name).exists(), "{name}");
    }
    let (db, collection) = names();
    assert_eq!(fresh.open().check(&db, &collection).unwrap(), Vec::<String>::new());
    assert_eq!(read(&*fresh.open()).unwrap().points.len(), sound.points.len() + 1);
}

#[test]
fn a_second_writer_is_refused_and_told_who_writes() {
    let fresh = sample();
    let lock = WriterLock::acquire(&fresh.root().join(LOCK)).unwrap();
    let (db, collection) = names();
    let store = fresh.open();
    let expect_locked = |result: Result<(), StoreError>| match result {
        Err(StoreError::Locked { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
        other => panic!("{other:?}"),
    };
    expect_locked(apply(&*store, batch(points(0..1))));
    expect_locked(store.drop_collection(&db, &collection));
    expect_locked(store.set_aside(&db, &collection).map(|_| ()));
    // Neither readers nor a batch without content need the lock.
    assert!(read(&*store).is_ok() && apply(&*store, Batch::default()).is_ok());
    drop(lock);
    apply(&*store, batch(points(0..1))).unwrap();
}

#[test]
fn leftovers_of_a_killed_creation_or_removal_are_removed() {
    let fresh = Fresh::new();
    let (db, collection) = names();
    let database = fresh.root().parent().unwrap().to_owned();
    let stale = [database.join(".new-x-1-1"), database.join(".drop-x-1")];
    let busy = database.join(".new-y-2-1");
    for directory in stale.iter().chain([&busy]) {
        fs::create_dir_all(directory).unwrap();
        fs::write(directory.join("manifest.0"), "").unwrap();
    }
    let _lock = WriterLock::acquire(&busy.join(LOCK)).unwrap();
    fresh.open().create(&db, &collection, &schema()).unwrap();
    assert!(stale.iter().all(|directory| !directory.exists()) && busy.exists());
    assert_eq!(fresh.open().collections(&db).unwrap(), [collection]);
}

/// Dead vectors and outdated manifest records do not pile up, and a compaction
/// loses nothing.
#[test]
fn files_stay_in_proportion_to_their_content() {
    let fresh = Fresh::new();
    let store = fresh.open();
    let (db, collection) = names();
    store.create(&db, &collection, &schema()).unwrap();
    let mut former: Vec<PointId> = Vec::new();
    for round in 0..12u32 {
        let new = points(round * 400..(round + 1) * 400);
        let manifest =
            (0..400).map(|i| (RepoPath::new(format!("f{i}")).unwrap(), Some(record(&new[i..=i])))).collect();
        let ids = new.iter().map(|p| p.id).collect();
        let delete = std::mem::replace(&mut former, ids);
        apply(&*store, Batch { delete, files: manifest, ..batch(new) }).unwrap();
    }
    let stats = store.stats(&db, &collection).unwrap();
    assert_eq!(stats.points, 400);
    assert!((400..2400).contains(&stats.vectors[0]), "{stats:?}");
    assert!(stats.bytes["manifest"] < 600_000, "{stats:?}");
    let segments = files(&fresh.root()).iter().filter(|f| f.file_stem() == Some("segment".as_ref())).count();
    assert!(segments < 12, "{segments}");
    let reopened = fresh.open();
    assert_eq!(reopened.snapshot(&db, &collection).unwrap().manifest.len(), 400);
    let probe = near(vector("common word4500"));
    let hits = reopened.search(&db, &collection, &[probe], &Filter::default(), 1).unwrap();
    assert_eq!(hits[0][0].point.text, "common word4500");
    assert_eq!(reopened.check(&db, &collection).unwrap(), Vec::<String>::new());
}

/// Mounts at `path`; `None`, and a line that says so, where this is not permitted.
struct Mount(PathBuf);

impl Mount {
    fn new(path: &Path, arguments: &[&str]) -> Option<Mount> {
        let output = Command::new("mount").args(arguments).arg(path).output();
        match output {
            Ok(output) if output.status.success() => Some(Mount(path.to_owned())),
            refused => {
                let mut stderr = std::io::stderr();
                let _ = writeln!(stderr, "SKIPPED: mount {arguments:?} is not permitted here: {refused:?}");
                None
            }
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_leaves_the_collection_as_before() {
    let directory = tempfile::tempdir().unwrap();
    let Some(_mount) = Mount::new(directory.path(), &["-t", "tmpfs", "-o", "size=3m", "tmpfs"]) else {
        return;
    };
    let data = directory.path().join("data");
    let open = || EmbeddedStore::new(&data);
    let (db, collection) = names();
    open().create(&db, &collection, &schema()).unwrap();
    apply(&open(), batch(points(0..50))).unwrap();
    let before = read(&open()).unwrap();
    let ballast = directory.path().join("ballast");
    let mut failures = 0;
    // Less and less free space, so that the disk fills at each step of a commit.
    for free in (0..400_000).step_by(8_000) {
        let space = 3 * 1024 * 1024 - used(&data);
        fs::write(&ballast, vec![0; space.saturating_sub(free)]).unwrap_or_default();
        let large: Vec<Point> = points(100..300);
        let ids: Vec<PointId> = large.iter().map(|p| p.id).collect();
        let undo: Batch = Batch {
            files: large.iter().map(|p| (p.path.clone(), None)).collect(),
            delete: ids,
            ..Batch::default()
        };
        match apply(&open(), batch(large)) {
            Ok(()) => {
                fs::remove_file(&ballast).unwrap();
                apply(&open(), undo).unwrap();
            }
            Err(StoreError::Full { .. }) => failures += 1,
            Err(error) => panic!("with {free} bytes free: {error}"),
        }
        assert_eq!(read(&open()).unwrap(), before, "with {free} bytes free");
        let _ = fs::remove_file(&ballast);
    }
    assert!(failures > 3, "{failures} failures");
    apply(&open(), batch(points(60..61))).unwrap();
    assert_eq!(open().check(&db, &collection).unwrap(), Vec::<String>::new());
}

fn used(root: &Path) -> usize {
    files(root).iter().map(|path| fs::metadata(path).unwrap().len().next_multiple_of(4096) as usize).sum()
}

#[test]
fn a_read_only_directory_can_be_searched() {
    let fresh = sample();
    let expected = read(&*fresh.open()).unwrap();
    let target = tempfile::tempdir().unwrap();
    let source = fresh.0.path().to_str().unwrap();
    let Some(_mount) = Mount::new(target.path(), &["-o", "bind,ro", source]) else { return };
    let store = EmbeddedStore::new(target.path());
    assert_eq!(read(&store).unwrap(), expected);
    let (db, collection) = names();
    assert_eq!(store.check(&db, &collection).unwrap(), Vec::<String>::new());
    let other = CollectionName::new("other").unwrap();
    for error in [
        apply(&store, batch(points(0..1))).unwrap_err(),
        store.create(&db, &other, &schema()).unwrap_err(),
        store.drop_collection(&db, &collection).unwrap_err(),
    ] {
        let text = error.to_string();
        assert!(matches!(error, StoreError::ReadOnly { .. }), "{text}");
        assert!(text.contains(target.path().to_str().unwrap()) && text.contains("--data-dir"), "{text}");
    }
}

/// Set for the child of the test below: the data directory to write to.
const CHILD: &str = "CONTEXTD_TEST_STORE_WRITER";

/// Batch `n` replaces the points of batch `n - 1` by as many others, in one file
/// that all batches share and one of its own.
fn numbered(n: u32) -> Batch {
    let own = |n: u32| -> Vec<Point> {
        (0..6).map(|i| point(b"shared.rs", "s", i, &format!("batch {n} point {i}"))).collect()
    };
    let points = own(n);
    let files = [(RepoPath::new("shared.rs").unwrap(), Some(record(&points)))];
    Batch {
        delete: n.checked_sub(1).map(own).unwrap_or_default().iter().map(|p| p.id).collect(),
        vectors: with_vectors(&points),
        upsert: points,
        files: files.into(),
        state: Some(n.to_string()),
        ..Batch::default()
    }
}

/// Not a test of its own: what the child process of the next one runs.
#[test]
fn writer_that_is_to_be_killed() {
    let Some(data) = std::env::var_os(CHILD) else { return };
    let store = EmbeddedStore::new(Path::new(&data));
    let (db, collection) = names();
    store.create(&db, &collection, &schema()).unwrap();
    let state = store.snapshot(&db, &collection).unwrap().state;
    let mut next = state.map_or(0, |state| state.parse::<u32>().unwrap() + 1);
    loop {
        apply(&store, numbered(next)).unwrap();
        // Straight to the descriptor: the test harness keeps what is printed.
        let mut out = fs::OpenOptions::new().write(true).open("/dev/stderr").unwrap();
        writeln!(out, "applied {next}").unwrap();
        next += 1;
    }
}

/// A writer killed at any instant: what it had acknowledged is there, and what is
/// there is all of one batch.
#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    let fresh = Fresh::new();
    let (db, collection) = names();
    let mut acknowledged = None;
    for kill in 0..30u32 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::embedded::tests::writer_that_is_to_be_killed", "--nocapture"])
            .env(CHILD, fresh.0.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut note = |line: String| {
            let number = line.strip_prefix("applied ").unwrap_or_else(|| panic!("{line}"));
            acknowledged = Some(number.parse::<u32>().unwrap());
        };
        for _ in 0..=kill % 4 {
            note(lines.next().unwrap().unwrap());
        }
        // Somewhere within the next batch: spinning, because a batch is shorter
        // than a timer is exact.
        for _ in 0..u64::from(kill) * 400_000 {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        lines.for_each(|line| note(line.unwrap()));

        let store = fresh.open();
        let snapshot = store.snapshot(&db, &collection).unwrap();
        let state: u32 = snapshot.state.unwrap().parse().unwrap();
        let acknowledged = acknowledged.unwrap();
        assert!(
            state == acknowledged || state == acknowledged + 1,
            "{acknowledged} acknowledged, {state} there"
        );
        let expected = numbered(state);
        let mut ids: Vec<PointId> = expected.upsert.iter().map(|p| p.id).collect();
        ids.sort();
        assert_eq!(scan(&*store).iter().map(|p| p.id).collect::<Vec<_>>(), ids);
        let manifest =
            expected.files.into_iter().filter_map(|(path, record)| Some((path, record?))).collect();
        assert_eq!(*snapshot.manifest, manifest);
        let probe = near(vector(&format!("batch {state} point 3")));
        let hits = store.search(&db, &collection, &[probe], &Filter::default(), 1).unwrap();
        assert!(hits[0][0].score > 0.9999);
        assert_eq!(store.check(&db, &collection).unwrap(), Vec::<String>::new());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    /// Many flips at once, anywhere.
    #[test]
    fn random_damage_is_never_a_panic(flips in proptest::collection::vec((0usize..40, 0.0..1.0f64, 1u8..), 1..6)) {
        let fresh = sample();
        let sound = read(&*fresh.open()).unwrap();
        let all = files(&fresh.root());
        for (file, place, bits) in flips {
            let path = &all[file % all.len()];
            let mut bytes = fs::read(path).unwrap();
            if !bytes.is_empty() {
                let at = (bytes.len() as f64 * place) as usize;
                bytes[at] ^= bits;
                fs::write(path, bytes).unwrap();
            }
        }
        match read(&*fresh.open()) {
            Ok(read) => prop_assert_eq!(read, sound),
            Err(StoreError::Corrupt { .. }) => {}
            Err(error) => prop_assert!(false, "{}", error),
        }
        match apply(&*fresh.open(), batch(points(50..52))) {
            Ok(()) | Err(StoreError::Corrupt { .. }) => {}
            Err(error) => prop_assert!(false, "{}", error),
        }
    }
}
