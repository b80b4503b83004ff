//! What lies together and is not seen together.

use super::*;
use crate::store::CollectionKind;
use crate::store::contract::{names, near, point, schema, vector, with_vectors};

fn pair(db: &str, collection: &str) -> (DatabaseName, CollectionName) {
    (DatabaseName::new(db).unwrap(), CollectionName::new(collection).unwrap())
}

fn physicals(store: &QdrantStore) -> Vec<String> {
    let prefix = store.core.places.names.prefix.clone();
    let mut all =
        store.run(|core| async move { core.places.remote.list().await.map_err(|e| core.error(e)) }).unwrap();
    all.retain(|name| name.starts_with(&prefix));
    all.sort();
    all
}

/// The same points in two collections, apart from one word; then either is changed alone.
fn are_apart(store: &QdrantStore, places: [&(DatabaseName, CollectionName); 2]) {
    let points = |word: &str| -> Vec<Point> {
        let mut points: Vec<Point> = (0..3).map(|i| point(b"a.rs", "same", i, "same")).collect();
        points.iter_mut().for_each(|point| {
            point.text = word.to_owned();
            point.terms.push(word.to_owned());
        });
        points
    };
    for ((db, collection), word) in places.into_iter().zip(["mine", "yours"]) {
        store.create(db, collection, &schema()).unwrap();
        let upsert = points(word);
        let vectors = with_vectors(&[point(b"a.rs", "same", 0, "same")]);
        store.apply(db, collection, Batch { upsert, vectors, ..Batch::default() }).unwrap();
    }
    let probes = || {
        let terms = |word: &str| Probe::Terms(vec![(word.to_owned(), 1.0)]);
        [
            terms("same"),
            terms("mine"),
            terms("yours"),
            near(vector("same")),
            Probe::Symbols(vec!["same".to_owned()]),
        ]
    };
    let check = |(db, collection): &(DatabaseName, CollectionName), word: &str, expected: [usize; 5]| {
        let found = store.search(db, collection, &probes(), &Filter::default(), 99).unwrap();
        assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), expected);
        assert!(found.iter().flatten().all(|hit| hit.point.text == word), "{word}");
        // The rarity of a word is that of the collection: all of its points have `same`.
        let everywhere = (1.0f32 + 0.5 / 3.5).ln();
        let score = found[0].first().map_or(0.0, |hit| hit.score);
        assert!(expected[0] == 0 || (score / everywhere - found_value(2)).abs() < 1e-3, "{score}");
        assert_eq!(store.stats(db, collection).unwrap().points, expected[0] as u64);
        assert_eq!(store.check(db, collection).unwrap(), Vec::<String>::new());
        let glob = Filter { paths: vec!["*.rs".to_owned()], ..Filter::default() };
        let found = store.search(db, collection, &probes(), &glob, 99).unwrap();
        assert!(found.iter().flatten().all(|hit| hit.point.text == word), "{word}");
    };
    check(places[0], "mine", [3, 3, 0, 3, 3]);
    check(places[1], "yours", [3, 0, 3, 3, 3]);
    let (db, collection) = places[0];
    store.apply(db, collection, Batch { reset: true, ..Batch::default() }).unwrap();
    check(places[0], "mine", [0; 5]);
    check(places[1], "yours", [3, 0, 3, 3, 3]);
    store.drop_collection(db, collection).unwrap();
    check(places[1], "yours", [3, 0, 3, 3, 3]);
    assert!(matches!(store.snapshot(db, collection), Err(StoreError::NotFound { .. })));
}

/// A term's value in a document of two terms that has it once.
fn found_value(terms: usize) -> f32 {
    let words: Vec<String> = (0..terms).map(|n| n.to_string()).collect();
    super::terms::document(&words).unwrap().values[0]
}

#[test]
fn collections_of_a_shared_one_are_apart() {
    let place = local(Layout::Shared);
    let store = place.fresh.store();
    are_apart(&store, [&pair("d", "one"), &pair("d", "two")]);
    assert_eq!(physicals(&store).len(), 1);
}

#[test]
fn collections_whose_physical_names_are_equal_are_apart() {
    let place = local(Layout::Collection);
    let store = place.fresh.store();
    are_apart(&store, [&pair("a", "b__c"), &pair("a__b", "c")]);
    assert_eq!(physicals(&store).len(), 1);
    assert_eq!(store.collections(&pair("a", "c").0).unwrap(), []);
    assert_eq!(store.collections(&pair("a__b", "c").0).unwrap(), [pair("a", "c").1]);
}

#[test]
fn layouts_do_not_mix() {
    let place = local(Layout::Collection);
    let (one, other) = (place.fresh.store(), place.fresh.with(|options| options.layout = Layout::Shared));
    // A name under which both layouts have the same physical collection.
    let (db, collection) = pair("d", "codebase");
    one.create(&db, &collection, &schema()).unwrap();
    one.apply(&db, &collection, Batch { upsert: vec![point(b"a", "", 0, "x")], ..Batch::default() }).unwrap();
    assert!(matches!(other.snapshot(&db, &collection), Err(StoreError::NotFound { .. })));
    assert_eq!(other.collections(&db).unwrap(), []);
    other.create(&db, &collection, &schema()).unwrap();
    assert_eq!((physicals(&one).len(), other.stats(&db, &collection).unwrap().points), (1, 0));
    other.drop_collection(&db, &collection).unwrap();
    assert_eq!(one.stats(&db, &collection).unwrap().points, 1);
}

#[test]
fn kinds_of_a_database_lie_apart_and_models_beside_each_other() {
    let place = local(Layout::Shared);
    let store = place.fresh.store();
    let db = names().0;
    for (kind, name) in [(CollectionKind::Codebase, "code"), (CollectionKind::Remediations, "fixes")] {
        let (_, collection) = pair("d", name);
        store.create(&db, &collection, &Schema { kind, ..schema() }).unwrap();
        assert_eq!(place.fresh.store().schema(&db, &collection).unwrap().kind, kind);
    }
    assert_eq!(physicals(&store).len(), 2);
    let mut wide = schema();
    wide.legs[0].as_mut().unwrap().1 += 1;
    let (code, other) = (pair("d", "code").1, pair("d", "wide").1);
    store.create(&db, &other, &wide).unwrap();
    let upsert = vec![point(b"a.rs", "", 0, "alpha")];
    let vectors = with_vectors(&upsert);
    store.apply(&db, &code, Batch { upsert: upsert.clone(), vectors, ..Batch::default() }).unwrap();
    let vectors = vec![(Leg::Text, upsert[0].vectors[0].unwrap(), vec![1.0; 9])];
    store.apply(&db, &other, Batch { upsert, vectors, ..Batch::default() }).unwrap();
    let found = |collection, of: Vec<f32>| {
        store.search(&db, collection, &[near(of)], &Filter::default(), 5).unwrap().concat().len()
    };
    assert_eq!((found(&code, vector("alpha")), found(&other, vec![1.0; 9])), (1, 1));
    // One of them becomes the other's model; what it had goes, and the other keeps its own.
    let legs = Some(schema().legs);
    store.apply(&db, &other, Batch { legs, ..Batch::default() }).unwrap();
    assert_eq!((found(&code, vector("alpha")), found(&other, vector("alpha"))), (1, 0));
}

#[test]
fn a_dropped_database_takes_all_with_it_and_nothing_else() {
    let layouts = [Layout::Collection, Layout::Shared];
    for (layout, is_aside) in layouts.into_iter().flat_map(|layout| [(layout, true), (layout, false)]) {
        let place = local(layout);
        let store = place.fresh.store();
        let kept = pair("a__b", "c");
        let info = crate::store::DatabaseInfo {
            kind: crate::store::DatabaseKind::Shared,
            source: Vec::new(),
            created_at: 1,
        };
        for (db, collection) in [&pair("a", "b__c"), &pair("a", "d"), &kept] {
            store.create_database(db, &info).unwrap();
            store.create(db, collection, &schema()).unwrap();
            let upsert = vec![point(b"a", "", 0, "x")];
            store.apply(db, collection, Batch { upsert, ..Batch::default() }).unwrap();
        }
        let (db, aside) = pair("a", "d");
        if is_aside {
            store.set_aside(&db, &aside).unwrap();
        }
        store.drop_database(&db).unwrap();
        assert_eq!(store.databases().unwrap(), std::slice::from_ref(&kept.0));
        assert_eq!(store.stats(&kept.0, &kept.1).unwrap().points, 1);
        assert_eq!(physicals(&store).len(), 2, "the list, and that of the one which is kept");
    }
}

/// The server's fusion gives what its formula gives of the searches that the store answers.
#[test]
fn a_hybrid_query_is_the_fusion_of_its_probes() {
    hybrid(&local(Layout::Shared).fresh);
}

pub(super) fn hybrid(fresh: &Fresh) {
    let (db, collection) = names();
    let store = fresh.store();
    store.create(&db, &collection, &schema()).unwrap();
    let points: Vec<Point> = (0..20)
        .map(|i| point(format!("{i}.rs").as_bytes(), "", i, &"word ".repeat(i as usize % 7 + 1)))
        .chain((20..30).map(|i| point(format!("{i}.rs").as_bytes(), "", i, &format!("other {i}"))))
        .collect();
    let batch = Batch { vectors: with_vectors(&points), upsert: points, ..Batch::default() };
    store.apply(&db, &collection, batch).unwrap();
    let probes = [
        Probe::Terms(vec![("other".to_owned(), 1.0), ("25".to_owned(), 1.0), ("word".to_owned(), 0.5)]),
        near(vector("other 25")),
    ];
    let legs = store.search(&db, &collection, &probes, &Filter::default(), 30).unwrap();
    let found = store.hybrid(&db, &collection, &probes, &Filter::default(), 5, 30).unwrap();
    assert_eq!(found.len(), 5);
    // Ranks of equal scores are the server's choice; the best of both legs is not.
    assert_eq!(found[0].point.text, "other 25");
    assert_eq!((legs[0][0].point.id, legs[1][0].point.id), (found[0].point.id, found[0].point.id));
    assert!(found.is_sorted_by(|a, b| a.score >= b.score));
    assert!((found[0].score - 2.0 / 60.0).abs() < 2e-3, "{}", found[0].score);
}
