//! Transfers between the providers: equal at the end, whatever came between.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::id::{DatabaseName, Fingerprint, VectorKey};
use crate::path::RepoPath;
use crate::store::contract::{self, point, record, schema, vector};
use crate::store::qdrant::{Layout, QdrantOptions};
use crate::store::qdrant_server::QdrantServer;
use crate::store::{EmbeddedStore, Point, QdrantStore, Schema, Store};
use crate::tenant::{Router, TenantContext};

/// A store of its own, empty.
struct Side {
    database: Database,
    /// Of the embedded one.
    data: tempfile::TempDir,
    _server: Option<QdrantServer>,
}

fn open(store: Arc<dyn Store>) -> Database {
    Router::new(store).database(&TenantContext::local(Path::new("/src/demo")).unwrap()).unwrap()
}

impl Side {
    fn embedded() -> Side {
        let data = tempfile::tempdir().unwrap();
        Side { database: open(Arc::new(EmbeddedStore::new(data.path()))), data, _server: None }
    }

    fn qdrant(layout: Layout) -> Side {
        let server = QdrantServer::start();
        let options = QdrantOptions { layout, ..QdrantOptions::new(server.url()) };
        let database = open(Arc::new(QdrantStore::new(options).unwrap()));
        Side { database, data: tempfile::tempdir().unwrap(), _server: Some(server) }
    }

    /// As another process finds it.
    fn reopened(&self) -> Database {
        open(Arc::new(EmbeddedStore::new(self.data.path())))
    }
}

fn name() -> CollectionName {
    contract::names().1
}

/// Points of some files: with and without vectors, two of one text, terms of all kinds.
fn points(count: u32) -> Vec<Point> {
    let mut points: Vec<Point> = (0..count)
        .map(|n| {
            let path = format!("dir{}/f{}.rs", n / 2 % 3, n / 2);
            point(path.as_bytes(), &format!("s{n}"), n % 2, &format!("text number {}", n / 3))
        })
        .collect();
    for (n, point) in (0..).zip(&mut points) {
        match n % 4 {
            0 => point.terms = ["text", "number", &(n / 3).to_string(), "symbol"].map(str::to_owned).to_vec(),
            1 => point.vectors = [None, None],
            2 => point.terms.clear(),
            _ => {
                point.attributes = [("branch".to_owned(), "main".to_owned())].into();
                point.time = Some(n);
            }
        }
    }
    points
}

fn batch(points: Vec<Point>, state: &str) -> Batch {
    let mut files: BTreeMap<RepoPath, Vec<Point>> = BTreeMap::new();
    for point in &points {
        files.entry(point.path.clone()).or_default().push(point.clone());
    }
    Batch {
        // One is not computed yet.
        vectors: contract::with_vectors(&points).into_iter().filter(|(_, key, _)| *key != late()).collect(),
        files: files.into_iter().map(|(path, points)| (path, Some(record(&points)))).collect(),
        upsert: points,
        state: Some(state.to_owned()),
        ..Batch::default()
    }
}

fn late() -> VectorKey {
    VectorKey::of("text number 4")
}

/// A collection with `count` points.
fn filled(side: Side, count: u32) -> Side {
    side.database.create(&name(), &schema()).unwrap();
    side.database.apply(&name(), batch(points(count), "{\"of\":\"source\"}")).unwrap();
    side
}

fn contents(side: &Side) -> Contents {
    Contents::of(&side.database, &name()).unwrap()
}

fn scanned(side: &Side) -> Vec<Point> {
    let mut points = Vec::new();
    side.database.scan(&name(), &mut |point| points.push(point)).unwrap();
    points
}

fn run(from: &Side, to: &Side) -> Result<Transferred, MigrateError> {
    transfer(&from.database, &to.database, &name(), false, &mut |_| ControlFlow::Continue(()))
}

#[test]
fn everything_comes_to_every_provider_and_back() {
    let source = filled(Side::embedded(), 40);
    let chain = [
        Side::qdrant(Layout::Collection),
        Side::qdrant(Layout::Shared),
        Side::embedded(),
        Side::embedded(),
        Side::qdrant(Layout::Shared),
        Side::qdrant(Layout::Collection),
        Side::embedded(),
    ];
    let mut expected = points(40);
    expected.sort_by_key(|point| point.id);
    let keys = contents(&source).vectors(Leg::Text);
    assert!(!keys.contains(&late()) && keys.len() > 5);
    let mut from = &source;
    for to in &chain {
        let planned = compare(&from.database, Some(&to.database), &name()).unwrap();
        let done = run(from, to).unwrap();
        assert_eq!(Transferred { bytes: 0, ..done.clone() }, planned);
        assert_eq!(done.points, Counts { sent: 40, ..Counts::default() });
        assert_eq!(done.vectors[0], Counts { sent: keys.len() as u64, ..Counts::default() });
        assert_eq!(done.files, Counts { sent: 20, ..Counts::default() });
        assert!(done.bytes > 1000);
        assert_eq!(contents(to), contents(&source));
        assert_eq!((done.digest, contents(to).digest()), (contents(&source).digest(), done.digest));
        assert_eq!(scanned(to), expected);
        assert_eq!(to.database.check(&name()).unwrap(), Vec::<String>::new());
        // Again: nothing to send.
        let again = run(from, to).unwrap();
        assert_eq!(again.points, Counts { kept: 40, ..Counts::default() });
        assert_eq!((again.vectors[0].kept, again.files.kept, again.bytes), (keys.len() as u64, 20, 0));
        from = to;
    }
    let keys: Vec<VectorKey> = keys.into_iter().collect();
    for (key, found) in from.database.vectors(&name(), Leg::Text, &keys).unwrap() {
        let text = expected.iter().find(|point| point.vectors[0] == Some(key)).unwrap();
        let given = vector(&text.text);
        let length = given.iter().map(|x| x * x).sum::<f32>().sqrt();
        assert!(found.iter().zip(&given).all(|(a, b)| (a - b / length).abs() < 1e-3), "{found:?}");
    }
}

/// Interrupts at every place in turn, and goes on each time with what is missing.
#[test]
fn interrupted_anywhere_it_goes_on_and_is_no_index_before_its_end() {
    for (to, former) in [
        (Side::embedded as fn() -> Side, 0),
        (Side::embedded, 30),
        ((|| Side::qdrant(Layout::Shared)) as fn() -> Side, 0),
        (|| Side::qdrant(Layout::Collection), 30),
    ] {
        let source = filled(Side::embedded(), 40);
        let mut places = 0u64;
        loop {
            let target = match former {
                0 => to(),
                former => filled(to(), former),
            };
            let mut seen = 0;
            let stopped = transfer(&source.database, &target.database, &name(), false, &mut |_| {
                seen += 1;
                if seen > places { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            match stopped {
                Ok(_) => break,
                Err(MigrateError::Interrupted(_)) => {}
                Err(error) => panic!("{error}"),
            }
            let began = target.database.snapshot(&name()).ok().map(|snapshot| snapshot.state);
            match (places, former) {
                (0, 0) => assert_eq!(began, None),
                (0, _) => {}
                (_, 0) => assert_eq!(began, Some(None)),
                _ => assert_eq!(began, Some(Some(UNFINISHED.to_owned()))),
            }
            // What was made here is no source either.
            if places > 0 {
                let back = run(&target, &source).unwrap_err();
                assert!(matches!(back, MigrateError::Unfinished(_)), "{back}");
            }
            let sent = run(&source, &target).unwrap().points.sent;
            assert!(places < 2 || sent <= 40u64.saturating_sub(7 * (places - 2)), "{sent} sent at {places}");
            assert_eq!(contents(&target), contents(&source));
            places += 1;
        }
        assert!(places >= 5, "{places} places to interrupt it at");
    }
}

#[test]
fn a_damaged_source_is_refused_and_a_damaged_target_replaced() {
    // Enough for a file of each kind.
    let sides = [filled(Side::embedded(), 2000), filled(Side::embedded(), 2000)];
    let whole = filled(Side::embedded(), 40);
    for (side, file) in sides.iter().zip(["segment", "vectors"]) {
        let root = side.data.path().join("databases").join(side.database.name().as_str());
        let entries = std::fs::read_dir(root.join(name().as_str())).unwrap();
        let mut paths = entries.map(|entry| entry.unwrap().path());
        let path = paths.find(|path| path.file_name().unwrap().to_string_lossy().starts_with(file)).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let damaged = side.reopened();
        let to = Side::embedded();
        let error =
            transfer(&damaged, &to.database, &name(), true, &mut |_| ControlFlow::Continue(())).unwrap_err();
        assert!(matches!(error, MigrateError::Source(StoreError::Corrupt { .. })), "{file}: {error}");
        assert_eq!(to.database.collections().unwrap(), []);
        let mut go = |_| ControlFlow::Continue(());
        let error = transfer(&whole.database, &damaged, &name(), false, &mut go).unwrap_err();
        assert!(error.hint().is_some_and(|hint| hint.contains("--replace")), "{file}: {error}");
        transfer(&whole.database, &damaged, &name(), true, &mut go).unwrap();
        assert_eq!(Contents::of(&damaged, &name()).unwrap(), contents(&whole));
    }
}

#[test]
fn a_changed_target_is_repaired() {
    let source = filled(Side::embedded(), 40);
    for target in [Side::embedded(), Side::qdrant(Layout::Collection), Side::qdrant(Layout::Shared)] {
        run(&source, &target).unwrap();
        let mut other = points(40);
        let path = other[9].path.clone();
        other[3].terms.push("other".to_owned());
        other[5].text.push_str(" changed");
        other[6].lines = (900, 901);
        other[7].vectors = [None, None];
        let new = point(b"new.rs", "", 0, "nobody has it");
        let batch = Batch {
            delete: vec![other[0].id, other[1].id],
            upsert: vec![other[3].clone(), other[5].clone(), other[6].clone(), other[7].clone(), new.clone()],
            files: [(path, None), (new.path.clone(), Some(record(std::slice::from_ref(&new))))].into(),
            vectors: contract::with_vectors(&[new]),
            ..Batch::default()
        };
        target.database.apply(&name(), batch).unwrap();
        let done = run(&source, &target).unwrap();
        assert_eq!(done.points, Counts { sent: 6, kept: 34, removed: 1 });
        assert_eq!(done.files, Counts { sent: 1, kept: 19, removed: 1 });
        assert_eq!(contents(&target), contents(&source));
        // The state alone.
        let state = Some("another".to_owned());
        target.database.apply(&name(), Batch { state, ..Batch::default() }).unwrap();
        assert_eq!(run(&source, &target).unwrap().points.sent, 0);
        assert_eq!(contents(&target), contents(&source));
    }
}

#[test]
fn who_writes_meanwhile_is_noticed() {
    for (changed, is_source) in [(true, true), (true, false), (false, true), (false, false)] {
        let source = filled(Side::embedded(), 40);
        let target = if changed { filled(Side::embedded(), 30) } else { Side::embedded() };
        let at = if is_source { &source } else { &target };
        let mut verified = false;
        let error = transfer(&source.database, &target.database, &name(), false, &mut |progress| {
            if progress == Progress::Verifying {
                let late = batch(vec![point(b"late.rs", "", 0, "came late")], "later");
                at.database.apply(&name(), late).unwrap();
                verified = true;
            }
            ControlFlow::Continue(())
        });
        assert!(verified);
        match error {
            Err(MigrateError::SourceChanged(_)) => assert!(is_source),
            Err(MigrateError::Differs { .. }) => assert!(!is_source),
            other => panic!("{other:?}"),
        }
        if is_source {
            let state = target.database.snapshot(&name()).unwrap().state;
            assert_eq!(state.as_deref(), changed.then_some(UNFINISHED));
        }
        let done = run(&source, &target).unwrap();
        assert_eq!((done.points.sent, done.points.removed), if is_source { (1, 0) } else { (0, 1) });
        assert_eq!(contents(&target), contents(&source));
    }
}

#[test]
fn memories_that_only_the_target_has_are_not_lost() {
    let of_memories = Schema { kind: CollectionKind::Checkpoints, ..schema() };
    let [source, target] = [Side::embedded(), Side::embedded()];
    for (side, count) in [(&source, 3), (&target, 5)] {
        side.database.create(&name(), &of_memories).unwrap();
        let upsert = points(count);
        side.database.apply(&name(), Batch { upsert, ..Batch::default() }).unwrap();
    }
    let error = run(&source, &target).unwrap_err();
    assert!(matches!(error, MigrateError::TargetHasMore { points: 2, .. }), "{error}");
    assert!(compare(&source.database, Some(&target.database), &name()).is_err());
    assert_eq!(scanned(&target).len(), 5);
    // The other way nothing is lost.
    assert_eq!(run(&target, &source).unwrap().points, Counts { sent: 2, kept: 3, removed: 0 });
    source.database.apply(&name(), Batch { delete: vec![points(1)[0].id], ..Batch::default() }).unwrap();
    transfer(&source.database, &target.database, &name(), true, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(contents(&target), contents(&source));
}

#[test]
fn vectors_of_another_model_in_the_target_are_replaced() {
    let source = filled(Side::embedded(), 4);
    let target = Side::embedded();
    run(&source, &target).unwrap();
    let legs = [Some((Fingerprint("model@2;9".to_owned()), 9)), None];
    let keys = contents(&source).vectors(Leg::Text);
    let vectors = keys.iter().map(|key| (Leg::Text, *key, vec![1.0; 9])).collect();
    target.database.apply(&name(), Batch { legs: Some(legs), vectors, ..Batch::default() }).unwrap();
    let planned = compare(&source.database, Some(&target.database), &name()).unwrap();
    let done = run(&source, &target).unwrap();
    assert_eq!((done.points.sent, done.vectors[0].sent, done.vectors[0].kept), (0, keys.len() as u64, 0));
    assert_eq!(Transferred { bytes: 0, ..done }, planned);
    assert_eq!(contents(&target), contents(&source));
}

#[test]
fn a_collection_of_another_path_is_kept_unless_it_is_to_be_replaced() {
    let source = filled(Side::embedded(), 4);
    let target = Side::embedded();
    let other = Schema { source: b"/src/other".to_vec(), ..schema() };
    target.database.create(&name(), &other).unwrap();
    let error = run(&source, &target).unwrap_err();
    assert!(error.hint().is_some_and(|hint| hint.contains("--replace")), "{error}");
    assert_eq!(target.database.schema(&name()).unwrap(), other);
    transfer(&source.database, &target.database, &name(), true, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(contents(&target), contents(&source));
    // An index that was never finished.
    let begun = Side::embedded();
    begun.database.create(&name(), &schema()).unwrap();
    assert!(matches!(run(&begun, &Side::embedded()), Err(MigrateError::Unfinished(_))));
    let missing = CollectionName::new("missing").unwrap();
    assert!(matches!(
        compare(&source.database, None, &missing),
        Err(MigrateError::Source(StoreError::NotFound { .. }))
    ));
    assert_eq!(compare(&source.database, None, &name()).unwrap().points.sent, 4);
    let database = DatabaseName::new("x").unwrap();
    assert_eq!(MigrateError::Source(StoreError::NoDatabase { database }).hint(), None);
}

#[test]
fn a_digest_sees_every_change() {
    let source = filled(Side::embedded(), 8);
    let before = contents(&source).digest();
    let changes: [fn(&mut Point); 15] = [
        |p| p.path = RepoPath::new("other").unwrap(),
        |p| p.language = crate::language::Language::Go,
        |p| p.kind.push('x'),
        |p| p.symbol = None,
        |p| p.container = Some(String::new()),
        |p| p.signature = None,
        |p| p.text.push('x'),
        |p| p.terms.push("x".to_owned()),
        |p| p.bytes.end += 1,
        |p| p.lines.1 += 1,
        |p| p.hash.0[31] ^= 1,
        |p| p.vectors = [None, None],
        |p| drop(p.attributes.insert("a".to_owned(), "b".to_owned())),
        |p| p.time = Some(0),
        |p| p.terms.reverse(),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut changed = points(8)[0].clone();
        change(&mut changed);
        source.database.apply(&name(), Batch { upsert: vec![changed], ..Batch::default() }).unwrap();
        assert_ne!(contents(&source).digest(), before, "change {at}");
        let upsert = vec![points(8)[0].clone()];
        source.database.apply(&name(), Batch { upsert, ..Batch::default() }).unwrap();
        assert_eq!(contents(&source).digest(), before, "change {at}");
    }
    let mut file = record(&points(2));
    file.tracked = false;
    let path = points(1)[0].path.clone();
    source.database.apply(&name(), Batch { files: [(path, Some(file))].into(), ..Batch::default() }).unwrap();
    assert_ne!(contents(&source).digest(), before);
}
