//! The contract of [`Store`] as tests that any provider runs: plain functions
//! over an opener, which gives the same data each time it is called.
//!
//! `contract_suite!` makes one test of each.

mod legs;
mod searches;

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

pub(crate) use self::legs::*;
pub(crate) use self::searches::*;
use super::*;
use crate::id::{ContentHash, Fingerprint, PointId};
use crate::manifest::{ChunkRef, FileState, Stat};
use crate::skip::SkipReason;

/// Opens the store under test; every call sees the same data.
pub(crate) type Open<'a> = &'a dyn Fn() -> Box<dyn Store>;

pub(crate) const DIMENSION: usize = 8;

pub(crate) fn names() -> (DatabaseName, CollectionName) {
    (
        DatabaseName::new("project_1a2b3c4d").unwrap(),
        CollectionName::new("local_demo_codebase_1a2b3c4d").unwrap(),
    )
}

pub(crate) fn schema() -> Schema {
    Schema {
        kind: CollectionKind::Codebase,
        legs: [Some((model(), DIMENSION)), None],
        source: b"/src/demo".to_vec(),
    }
}

/// That of the text leg in [`schema`].
pub(crate) fn model() -> Fingerprint {
    Fingerprint("model@1;8".to_owned())
}

/// What is near a vector of the text leg.
pub(crate) fn near(vector: Vec<f32>) -> Probe {
    Probe::Vector(Leg::Text, model(), vector)
}

/// A point whose text, terms and vector follow from `content`.
pub(crate) fn point(path: &[u8], symbol: &str, ordinal: u32, content: &str) -> Point {
    let path = RepoPath::new(path).unwrap();
    let hash = ContentHash::of(content.as_bytes());
    Point {
        id: PointId::new(path.as_bytes(), symbol, ordinal, &hash),
        language: Language::of(&path),
        path,
        kind: if symbol.is_empty() { "text" } else { "function" }.to_owned(),
        symbol: (!symbol.is_empty()).then(|| symbol.to_owned()),
        container: None,
        signature: (!symbol.is_empty()).then(|| format!("fn {symbol}()")),
        text: content.to_owned(),
        terms: content.split_whitespace().map(str::to_lowercase).collect(),
        bytes: ordinal * 10..ordinal * 10 + 9,
        lines: (ordinal + 1, ordinal + 2),
        hash,
        vectors: [Some(VectorKey::of(content)), None],
        attributes: BTreeMap::new(),
        time: None,
    }
}

/// A vector that follows from `content`, exact in binary16.
pub(crate) fn vector(content: &str) -> Vec<f32> {
    let bytes = ContentHash::of(content.as_bytes()).0;
    (0..DIMENSION).map(|i| (f32::from(bytes[i]) - 127.5) / 128.0).collect()
}

pub(crate) fn with_vectors(points: &[Point]) -> Vec<(Leg, VectorKey, Vec<f32>)> {
    points.iter().filter_map(|p| Some((Leg::Text, p.vectors[0]?, vector(&p.text)))).collect()
}

pub(crate) fn record(points: &[Point]) -> FileRecord {
    let chunk = |p: &Point| {
        let (bytes, vectors) = (p.bytes.clone(), p.vectors);
        ChunkRef { id: p.id, bytes, lines: p.lines, payload: 5, vectors }
    };
    let chunks = points.iter().map(chunk).collect();
    FileRecord {
        content: Some(ContentHash::of(b"file")),
        stat: Some(Stat { mtime_ns: 1, ctime_ns: 2, size: 3, inode: 4 }),
        tracked: true,
        state: FileState::Indexed { language: Language::Rust, chunks },
    }
}

/// A point as a search gives it back.
pub(crate) fn stored(point: &Point) -> Point {
    Point { terms: Vec::new(), ..point.clone() }
}

pub(crate) fn scan(store: &dyn Store) -> Vec<Point> {
    let (db, collection) = names();
    let mut points = Vec::new();
    store.scan(&db, &collection, &mut |point| points.push(point)).unwrap();
    points
}

fn created(open: Open<'_>, points: &[Point]) -> Box<dyn Store> {
    let store = open();
    let (db, collection) = names();
    store.create(&db, &collection, &schema()).unwrap();
    let batch = Batch { upsert: points.to_vec(), vectors: with_vectors(points), ..Batch::default() };
    store.apply(&db, &collection, batch).unwrap();
    store
}

fn texts(found: &[Scored]) -> Vec<&str> {
    found.iter().map(|hit| hit.point.text.as_str()).collect()
}

fn search(store: &dyn Store, probe: Probe, filter: &Filter, limit: usize) -> Vec<Scored> {
    let (db, collection) = names();
    store.search(&db, &collection, &[probe], filter, limit).unwrap().remove(0)
}

fn terms(words: &str) -> Probe {
    Probe::Terms(words.split(' ').map(|word| (word.to_owned(), 1.0)).collect())
}

pub(crate) fn lifecycle(open: Open<'_>) {
    let store = open();
    let (db, collection) = names();
    assert_eq!(store.collections(&db).unwrap(), []);
    let missing = store.schema(&db, &collection).unwrap_err();
    assert!(missing.to_string().contains(collection.as_str()), "{missing}");
    assert!(matches!(store.snapshot(&db, &collection), Err(StoreError::NotFound { .. })));
    assert!(matches!(store.apply(&db, &collection, Batch::default()), Err(StoreError::NotFound { .. })));
    assert!(matches!(store.drop_collection(&db, &collection), Err(StoreError::NotFound { .. })));

    store.create(&db, &collection, &schema()).unwrap();
    store.create(&db, &collection, &schema()).unwrap();
    assert_eq!(open().schema(&db, &collection).unwrap(), schema());
    assert_eq!(store.collections(&db).unwrap(), std::slice::from_ref(&collection));
    assert_eq!(store.check(&db, &collection).unwrap(), Vec::<String>::new());
    assert_eq!(store.stats(&db, &collection).unwrap().points, 0);
    assert!(search(&*store, terms("anything"), &Filter::default(), 5).is_empty());

    let other = Schema { source: b"/src/other".to_vec(), ..schema() };
    let error = store.create(&db, &collection, &other).unwrap_err();
    assert!(
        matches!(&error, StoreError::Collision { stored, wanted, .. } if stored == "/src/demo" && wanted == "/src/other"),
        "{error}"
    );
    let other = Schema { legs: [Some((Fingerprint("model@2;8".to_owned()), DIMENSION)), None], ..schema() };
    store.create(&db, &collection, &other).unwrap();
    assert_eq!(store.schema(&db, &collection).unwrap(), schema(), "the legs stay as they are");
    let of_another_kind = Schema { kind: CollectionKind::Checkpoints, ..schema() };
    assert!(matches!(
        store.create(&db, &collection, &of_another_kind),
        Err(StoreError::SchemaMismatch { .. })
    ));

    store.drop_collection(&db, &collection).unwrap();
    assert_eq!(open().collections(&db).unwrap(), []);
    store.create(&db, &collection, &other).unwrap();
    let aside = store.set_aside(&db, &collection).unwrap();
    store.create(&db, &collection, &schema()).unwrap();
    assert_ne!(aside, store.set_aside(&db, &collection).unwrap());
    assert_eq!(store.collections(&db).unwrap(), []);
}

pub(crate) fn a_new_collection_of_an_old_name_is_empty(open: Open<'_>) {
    let (db, collection) = names();
    let points = [point(b"a.rs", "a", 0, "alpha")];
    let store = created(open, &points);
    assert_eq!(search(&*store, near(vector("alpha")), &Filter::default(), 5).len(), 1);
    store.drop_collection(&db, &collection).unwrap();
    store.create(&db, &collection, &schema()).unwrap();
    assert!(scan(&*store).is_empty());
    assert!(store.vector_keys(&db, &collection, Leg::Text).unwrap().is_empty());
    assert!(search(&*store, near(vector("alpha")), &Filter::default(), 5).is_empty());
}

pub(crate) fn points_come_back_as_they_were_put(open: Open<'_>) {
    let mut points = vec![
        point(b"src/a.rs", "Parse", 0, "fn parse tokens"),
        point(b"caf\xe9/new\nline", "", 1, "café\r\n\tend"),
        point(b"empty.txt", "", 0, ""),
    ];
    points[0].container = Some("outer::inner".to_owned());
    points[1].vectors = [None, None];
    points[2].terms = vec!["x".repeat(70_000), "long".to_owned()];
    // As those of a chunk do, the terms begin with those of the text.
    points[0].terms = ["fn", "pars", "token", "pars", "a"].map(str::to_owned).to_vec();
    let store = created(open, &points);
    points.sort_by_key(|point| point.id);
    assert_eq!(scan(&*store), points);
    assert_eq!(scan(&*open()), points);
    let (db, collection) = names();
    assert_eq!(store.stats(&db, &collection).unwrap().vectors, [2, 0]);
    let found = search(&*store, terms("long"), &Filter::default(), 5);
    assert_eq!(texts(&found), [""]);
    assert!(found[0].point.terms.is_empty());
}

/// Other terms alone are a change.
pub(crate) fn terms_are_replaced(open: Open<'_>) {
    let mut points = vec![point(b"a.rs", "", 0, "some text")];
    let store = created(open, &points);
    let (db, collection) = names();
    for other in [&["some", "text", "more"][..], &["more"], &[], &["some", "text"]] {
        points[0].terms = other.iter().map(|term| (*term).to_owned()).collect();
        // Elsewhere too, which alone would need no new document.
        points[0].lines = (points[0].lines.0 + 1, points[0].lines.1 + 1);
        store.apply(&db, &collection, Batch { upsert: points.clone(), ..Batch::default() }).unwrap();
        assert_eq!(scan(&*open()), points);
        let found = search(&*store, terms("more"), &Filter::default(), 5);
        assert_eq!(found.len(), usize::from(other.contains(&"more")));
    }
}

pub(crate) fn vectors_are_given_back(open: Open<'_>) {
    let (db, collection) = names();
    // Two points of one text share a vector.
    let mut points: Vec<Point> = (0..9).map(|i| point(b"a.rs", "", i, &format!("text {}", i / 2))).collect();
    points[8].vectors = [None, None];
    let store = created(open, &points);
    let mut keys: Vec<VectorKey> = points.iter().filter_map(|point| point.vectors[0]).collect();
    keys.push(VectorKey::of("of nobody"));
    for store in [store, open()] {
        let mut found = store.vectors(&db, &collection, Leg::Text, &keys).unwrap();
        found.sort_by_key(|(key, _)| *key);
        let mut expected: Vec<_> = (0..4).map(|i| format!("text {i}")).collect();
        expected.sort_by_key(|text| VectorKey::of(text));
        assert_eq!(found.len(), expected.len());
        for ((key, found), text) in found.into_iter().zip(expected) {
            let length = |vector: &[f32]| vector.iter().map(|x| x * x).sum::<f32>().sqrt();
            let (given, len) = (vector(&text), length(&found));
            assert_eq!(key, VectorKey::of(&text));
            let near = |(a, b): (&f32, &f32)| (a / len - b / length(&given)).abs() < 1e-6;
            assert!(found.len() == given.len() && found.iter().zip(&given).all(near), "{found:?} {given:?}");
        }
        assert_eq!(store.vectors(&db, &collection, Leg::Text, &keys[9..]).unwrap(), []);
        assert_eq!(store.vectors(&db, &collection, Leg::Code, &keys).unwrap(), []);
    }
    let missing = CollectionName::new("nothing").unwrap();
    assert!(matches!(open().vectors(&db, &missing, Leg::Text, &keys), Err(StoreError::NotFound { .. })));
}

pub(crate) fn vectors_may_come_after_their_points(open: Open<'_>) {
    let (db, collection) = names();
    let points = [point(b"a.rs", "", 0, "late")];
    let store = open();
    store.create(&db, &collection, &schema()).unwrap();
    store.apply(&db, &collection, Batch { upsert: points.to_vec(), ..Batch::default() }).unwrap();
    let probe = || near(vector("late"));
    assert!(search(&*store, probe(), &Filter::default(), 5).is_empty());
    store.apply(&db, &collection, Batch { vectors: with_vectors(&points), ..Batch::default() }).unwrap();
    assert_eq!(texts(&search(&*store, probe(), &Filter::default(), 5)), ["late"]);
    // A second copy of a present key changes nothing.
    let other = vec![(Leg::Text, VectorKey::of("late"), vec![1.0; DIMENSION])];
    store.apply(&db, &collection, Batch { vectors: other, ..Batch::default() }).unwrap();
    assert!(search(&*store, probe(), &Filter::default(), 5)[0].score > 0.99);
    for vectors in [
        vec![(Leg::Text, VectorKey([1; 16]), vec![1.0])],
        vec![(Leg::Text, VectorKey([1; 16]), vec![f32::INFINITY; DIMENSION])],
        vec![(Leg::Code, VectorKey([1; 16]), vec![1.0; DIMENSION])],
    ] {
        let result = store.apply(&db, &collection, Batch { vectors, ..Batch::default() });
        assert!(matches!(result, Err(StoreError::Invalid(_))));
    }
}

pub(crate) fn databases_are_created_told_apart_and_dropped_whole(open: Open<'_>) {
    let store = open();
    let (db, collection) = names();
    let other = DatabaseName::new("shared_other").unwrap();
    assert!(matches!(store.database(&db), Err(StoreError::NoDatabase { .. })));
    assert!(matches!(store.drop_database(&db), Err(StoreError::NoDatabase { .. })));
    let info = DatabaseInfo {
        kind: DatabaseKind::Project,
        source: b"/src/d\xe9mo".to_vec(),
        created_at: 1_700_000_000,
    };
    store.create_database(&db, &info).unwrap();
    store.create_database(&db, &DatabaseInfo { created_at: 5, ..info.clone() }).unwrap();
    store
        .create_database(
            &other,
            &DatabaseInfo { kind: DatabaseKind::Shared, source: Vec::new(), created_at: 7 },
        )
        .unwrap();
    assert_eq!(open().database(&db).unwrap(), info);
    assert_eq!(open().databases().unwrap(), [db.clone(), other.clone()]);
    for wrong in [
        DatabaseInfo { source: b"/src/other".to_vec(), ..info.clone() },
        DatabaseInfo { kind: DatabaseKind::Organisation, ..info.clone() },
    ] {
        let error = store.create_database(&db, &wrong).unwrap_err();
        assert!(matches!(error, StoreError::DatabaseCollision { .. }), "{error}");
    }
    for db in [&db, &other] {
        store.create(db, &collection, &schema()).unwrap();
        let upsert = vec![point(b"a.rs", "", 0, "alpha")];
        store.apply(db, &collection, Batch { upsert, ..Batch::default() }).unwrap();
    }
    store.drop_database(&db).unwrap();
    assert_eq!(open().databases().unwrap(), std::slice::from_ref(&other));
    assert_eq!(store.collections(&db).unwrap(), []);
    assert!(matches!(store.schema(&db, &collection), Err(StoreError::NotFound { .. })));
    assert_eq!(store.stats(&other, &collection).unwrap().points, 1);
    store.create_database(&db, &info).unwrap();
    store.create(&db, &collection, &schema()).unwrap();
    assert!(scan(&*store).is_empty());
}

pub(crate) fn a_reset_empties_points_and_manifest(open: Open<'_>) {
    let (db, collection) = names();
    let old = [point(b"a.rs", "a", 0, "old"), point(b"b.rs", "b", 0, "old too")];
    let store = created(open, &old);
    let path = |p: &str| RepoPath::new(p).unwrap();
    let files = BTreeMap::from([(path("a.rs"), Some(record(&old[..1])))]);
    store.apply(&db, &collection, Batch { files, state: Some("s".to_owned()), ..Batch::default() }).unwrap();
    let new = point(b"a.rs", "a", 0, "new");
    let files =
        BTreeMap::from([(path("c.rs"), Some(record(std::slice::from_ref(&new)))), (path("d.rs"), None)]);
    let batch = Batch { reset: true, upsert: vec![new.clone(), old[0].clone()], files, ..Batch::default() };
    store.apply(&db, &collection, batch).unwrap();
    let mut expected = vec![new, old[0].clone()];
    expected.sort_by_key(|point| point.id);
    assert_eq!(scan(&*open()), expected);
    let snapshot = open().snapshot(&db, &collection).unwrap();
    assert_eq!(snapshot.manifest.keys().collect::<Vec<_>>(), [&path("c.rs")]);
    assert_eq!(snapshot.state.as_deref(), Some("s"));
    store.apply(&db, &collection, Batch { reset: true, ..Batch::default() }).unwrap();
    assert!(scan(&*open()).is_empty() && open().snapshot(&db, &collection).unwrap().manifest.is_empty());
}

/// What a collection must hold, kept the simple way.
#[derive(Clone, Debug, Default)]
struct Model {
    points: BTreeMap<PointId, Point>,
    manifest: Manifest,
    state: Option<String>,
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8),
    Delete(u8, u8),
    Forget(u8),
    State(u8),
    Reset,
    Reopen,
}

impl Model {
    /// Point `content` of file `file`.
    fn sample(file: u8, content: u8) -> Point {
        let words = ["alpha", "beta", "gamma", "delta"];
        let text: Vec<&str> =
            (0..=content % 7).map(|i| words[usize::from(content.wrapping_mul(31) >> i) % 4]).collect();
        point(
            format!("dir{}/f{file}.rs", file % 3).as_bytes(),
            &format!("s{}", content % 5),
            0,
            &text.join(" "),
        )
    }

    fn apply(&mut self, batch: &Batch) {
        if batch.reset {
            self.points.clear();
            self.manifest.clear();
        }
        for id in &batch.delete {
            self.points.remove(id);
        }
        for point in &batch.upsert {
            self.points.insert(point.id, point.clone());
        }
        for (path, record) in &batch.files {
            match record {
                Some(record) => drop(self.manifest.insert(path.clone(), record.clone())),
                None => drop(self.manifest.remove(path)),
            }
        }
        self.state = batch.state.clone().or(self.state.take());
    }
}

fn batch_of(steps: &[Step]) -> Batch {
    let mut batch = Batch::default();
    for step in steps {
        match step {
            Step::Put(file, content) => {
                let point = Model::sample(*file, *content);
                batch.files.insert(point.path.clone(), Some(record(std::slice::from_ref(&point))));
                batch.vectors.extend(with_vectors(std::slice::from_ref(&point)));
                batch.upsert.push(point);
            }
            Step::Delete(file, content) => batch.delete.push(Model::sample(*file, *content).id),
            Step::Forget(file) => {
                batch.files.insert(Model::sample(*file, 0).path, None);
            }
            Step::State(value) => batch.state = Some(format!("{{\"run\":{value}}}")),
            Step::Reset => batch.reset = true,
            Step::Reopen => {}
        }
    }
    batch
}

/// Random batches against the model; after each, all that can be read is compared,
/// search results with those of a collection that was made at once.
pub(crate) fn any_history_equals_its_content(open: Open<'_>) {
    // Few distinct points, so that deletions and replacements meet what is there.
    let step = prop_oneof![
        12 => (0u8..6, 0u8..9).prop_map(|(f, c)| Step::Put(f, c)),
        8 => (0u8..6, 0u8..9).prop_map(|(f, c)| Step::Delete(f, c)),
        2 => (0u8..6).prop_map(Step::Forget),
        2 => any::<u8>().prop_map(Step::State),
        1 => Just(Step::Reset),
        2 => Just(Step::Reopen),
    ];
    let batches = proptest::collection::vec(proptest::collection::vec(step, 0..12), 1..9);
    let config = ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() };
    let (db, collection) = names();
    let at_once = CollectionName::new("at_once").unwrap();
    TestRunner::new(config)
        .run(&batches, |batches| {
            let mut store = open();
            for collection in [&collection, &at_once] {
                if store.collections(&db).unwrap().contains(collection) {
                    store.drop_collection(&db, collection).unwrap();
                }
            }
            store.create(&db, &collection, &schema()).unwrap();
            let mut model = Model::default();
            for steps in &batches {
                if steps.iter().any(|step| matches!(step, Step::Reopen)) {
                    store = open();
                }
                let batch = batch_of(steps);
                model.apply(&batch);
                store.apply(&db, &collection, batch).unwrap();

                prop_assert_eq!(scan(&*store), model.points.values().cloned().collect::<Vec<_>>());
                let snapshot = store.snapshot(&db, &collection).unwrap();
                prop_assert_eq!(&*snapshot.manifest, &model.manifest);
                prop_assert_eq!(&snapshot.state, &model.state);
                let keys = store.vector_keys(&db, &collection, Leg::Text).unwrap();
                let needed: HashSet<VectorKey> = model.points.values().filter_map(|p| p.vectors[0]).collect();
                prop_assert!(needed.is_subset(&keys));
                prop_assert_eq!(store.stats(&db, &collection).unwrap().points, model.points.len() as u64);
                let named = |point: &Point| matches!(point.symbol.as_deref(), Some("s1" | "s2"));
                let expected: Vec<PointId> =
                    model.points.values().filter(|p| named(p)).map(|p| p.id).collect();
                let symbols = Probe::Symbols(vec!["S1".to_owned(), "s2".to_owned()]);
                let found = search(&*store, symbols, &Filter::default(), 999);
                prop_assert_eq!(found.iter().map(|hit| hit.point.id).collect::<Vec<_>>(), expected);
            }
            store.create(&db, &at_once, &schema()).unwrap();
            let points: Vec<Point> = model.points.values().cloned().collect();
            let batch = Batch { vectors: with_vectors(&points), upsert: points, ..Batch::default() };
            store.apply(&db, &at_once, batch).unwrap();
            let probes = [
                terms("alpha gamma alpha"),
                terms("delta"),
                near(vector("query")),
                Probe::Symbols(vec!["S1".to_owned(), "s2".to_owned()]),
            ];
            let filter = Filter { paths: vec!["dir1".to_owned(), "*/f3.rs".to_owned()], ..Filter::default() };
            for filter in [Filter::default(), filter] {
                let ranked = |collection: &CollectionName| -> Vec<Vec<(u32, PointId)>> {
                    let found = store.search(&db, collection, &probes, &filter, 5).unwrap();
                    let rank = |hits: Vec<Scored>| {
                        hits.into_iter().map(|hit| (hit.score.to_bits(), hit.point.id)).collect()
                    };
                    found.into_iter().map(rank).collect()
                };
                prop_assert_eq!(ranked(&collection), ranked(&at_once));
            }
            prop_assert_eq!(store.check(&db, &collection).unwrap(), Vec::<String>::new());
            Ok(())
        })
        .unwrap();
}

/// Readers beside a writer see whole states: a batch replaces every point, so all
/// hits of one search are of one batch.
pub(crate) fn readers_see_whole_states(open: Open<'_>) {
    const POINTS: u32 = 5;
    const BATCHES: u32 = 25;
    let generation = |n: u32| -> Vec<Point> {
        (0..POINTS)
            .map(|i| point(format!("{i}.rs").as_bytes(), "s", 0, &format!("common generation{n}")))
            .collect()
    };
    let (db, collection) = names();
    let store = created(open, &generation(0));
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let reader = open();
                scope.spawn(move || {
                    let mut seen = 0;
                    while seen < BATCHES {
                        let hits = search(&*reader, terms("common"), &Filter::default(), 99);
                        assert_eq!(hits.len(), POINTS as usize);
                        assert!(hits.iter().all(|hit| hit.point.text == hits[0].point.text));
                        seen = hits[0].point.text.trim_start_matches("common generation").parse().unwrap();
                    }
                })
            })
            .collect();
        for n in 1..=BATCHES {
            let batch = Batch {
                delete: generation(n - 1).iter().map(|p| p.id).collect(),
                upsert: generation(n),
                ..Batch::default()
            };
            store.apply(&names().0, &names().1, batch).unwrap();
        }
        for reader in readers {
            reader.join().unwrap();
        }
    });
    assert_eq!(store.stats(&db, &collection).unwrap().points, u64::from(POINTS));
}

pub(crate) fn skipped_files_are_in_the_manifest(open: Open<'_>) {
    let (db, collection) = names();
    let store = created(open, &[]);
    let record = FileRecord {
        content: None,
        stat: None,
        tracked: false,
        state: FileState::Skipped(SkipReason::Binary),
    };
    let path = RepoPath::new(b"\xff.bin".as_slice()).unwrap();
    let files = BTreeMap::from([(path.clone(), Some(record.clone()))]);
    store.apply(&db, &collection, Batch { files, ..Batch::default() }).unwrap();
    assert_eq!(*open().snapshot(&db, &collection).unwrap().manifest, BTreeMap::from([(path, record)]));
}

/// One test of each function above. `$open` is an expression that gives an opener,
/// and is evaluated anew in each.
macro_rules! contract_suite {
    ($fresh:expr; $($name:ident)*) => {
        $(#[test]
        fn $name() {
            let fresh = $fresh;
            $crate::store::contract::$name(&|| fresh.open());
        })*
    };
    ($fresh:expr) => {
        $crate::store::contract::contract_suite! { $fresh;
            lifecycle
            a_new_collection_of_an_old_name_is_empty
            points_come_back_as_they_were_put
            terms_are_replaced
            vectors_are_given_back
            terms_rank_by_bm25
            vectors_rank_by_cosine
            vectors_may_come_after_their_points
            symbols_match_without_case
            filters_apply_before_the_limit
            filters_see_attributes_and_times
            no_filter_lets_anything_in
            databases_are_created_told_apart_and_dropped_whole
            ties_are_broken_by_id
            a_reset_empties_points_and_manifest
            any_history_equals_its_content
            readers_see_whole_states
            skipped_files_are_in_the_manifest
            a_leg_becomes_another_models_and_nothing_else_changes
            a_leg_goes_on_and_off
            legs_change_with_all_else_in_the_batch
            what_a_leg_was_before_does_not_come_back
            a_search_meets_one_model
        }
    };
}
pub(crate) use contract_suite;
