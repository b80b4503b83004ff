//! The contract's tests of changing a collection's dense legs.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// The text leg of another model, of another dimension too.
fn other() -> (Fingerprint, usize) {
    (Fingerprint("model@2;5".to_owned()), 5)
}

/// What is near a vector of [`other`].
fn near_other(vector: Vec<f32>) -> Probe {
    Probe::Vector(Leg::Text, other().0, vector)
}

/// A vector of [`other`], which follows from `content`.
fn other_vector(content: &str) -> Vec<f32> {
    vector(&format!("otherwise {content}"))[..other().1].to_vec()
}

fn with_other_vectors(points: &[Point]) -> Vec<(Leg, VectorKey, Vec<f32>)> {
    points.iter().filter_map(|p| Some((Leg::Text, p.vectors[0]?, other_vector(&p.text)))).collect()
}

/// A collection with both legs, of which the code leg stays.
fn with_both_legs(open: Open<'_>) -> (Box<dyn Store>, Vec<Point>) {
    let mut points: Vec<Point> = (0..4).map(|i| point(b"a.rs", "a", i, &format!("text {i}"))).collect();
    for point in &mut points {
        point.vectors[1] = Some(VectorKey::of(&format!("code of {}", point.text)));
    }
    let store = open();
    let (db, collection) = names();
    let legs = [schema().legs[0].clone(), Some((model(), DIMENSION))];
    store.create(&db, &collection, &Schema { legs, ..schema() }).unwrap();
    let code = points.iter().map(|point| (Leg::Code, point.vectors[1].unwrap(), vector(&point.text)));
    let batch = Batch {
        vectors: with_vectors(&points).into_iter().chain(code).collect(),
        files: [(points[0].path.clone(), Some(record(&points)))].into(),
        upsert: points.clone(),
        state: Some("of now".to_owned()),
        ..Batch::default()
    };
    store.apply(&db, &collection, batch).unwrap();
    (store, points)
}

fn ids(store: &dyn Store, probe: Probe) -> Vec<PointId> {
    search(store, probe, &Filter::default(), 9).iter().map(|hit| hit.point.id).collect()
}

pub(crate) fn a_leg_becomes_another_models_and_nothing_else_changes(open: Open<'_>) {
    let (db, collection) = names();
    let (store, points) = with_both_legs(open);
    let code = || Probe::Vector(Leg::Code, model(), vector("text 2"));
    let before = (scan(&*store), ids(&*store, code()), ids(&*store, terms("text")));
    let old = store.snapshot(&db, &collection).unwrap();
    // All but the last have the new model's vector; the keys are the same.
    let legs = [Some(other()), old.legs[1].clone()];
    let batch =
        Batch { legs: Some(legs.clone()), vectors: with_other_vectors(&points[..3]), ..Batch::default() };
    store.apply(&db, &collection, batch).unwrap();
    for store in [&*store, &*open()] {
        assert_eq!(store.schema(&db, &collection).unwrap(), Schema { legs: legs.clone(), ..schema() });
        let now = store.snapshot(&db, &collection).unwrap();
        assert_eq!((&now.legs, &now.manifest, &now.state), (&legs, &old.manifest, &old.state));
        assert_eq!((scan(store), ids(store, code()), ids(store, terms("text"))), before);
        let keys: HashSet<VectorKey> = points[..3].iter().filter_map(|point| point.vectors[0]).collect();
        assert_eq!(*store.vector_keys(&db, &collection, Leg::Text).unwrap(), keys);
        assert_eq!(store.stats(&db, &collection).unwrap().vectors, [3, 4]);
        let hits = search(store, near_other(other_vector("text 1")), &Filter::default(), 9);
        assert_eq!((hits.len(), texts(&hits)[0]), (3, "text 1"));
        assert!(hits[0].score > 0.999, "{}", hits[0].score);
        let asked = store.search(&db, &collection, &[near(vector("text 1"))], &Filter::default(), 9);
        assert!(
            matches!(&asked, Err(StoreError::OtherModel { leg: Leg::Text, stored, asked })
                if (stored, asked) == (&other().0, &model())),
            "{asked:?}"
        );
        let found = store.vectors(&db, &collection, Leg::Text, &[points[3].vectors[0].unwrap()]);
        assert_eq!(found.unwrap(), []);
        assert_eq!(store.check(&db, &collection).unwrap(), Vec::<String>::new());
    }
    // It is a leg like any other: the last comes, a vector of the former dimension does not.
    let wrong = Batch { vectors: with_vectors(&points), ..Batch::default() };
    assert!(matches!(store.apply(&db, &collection, wrong), Err(StoreError::Invalid(_))));
    let batch = Batch { vectors: with_other_vectors(&points), ..Batch::default() };
    store.apply(&db, &collection, batch).unwrap();
    assert_eq!(ids(&*open(), near_other(other_vector("text 3"))).len(), 4);
}

pub(crate) fn a_leg_goes_on_and_off(open: Open<'_>) {
    let (db, collection) = names();
    let (store, points) = with_both_legs(open);
    let both = store.schema(&db, &collection).unwrap().legs;
    let text_only = [both[0].clone(), None];
    store.apply(&db, &collection, Batch { legs: Some(text_only.clone()), ..Batch::default() }).unwrap();
    let code = || Probe::Vector(Leg::Code, model(), vector("text 2"));
    for store in [&*store, &*open()] {
        assert_eq!(store.schema(&db, &collection).unwrap().legs, text_only);
        assert_eq!(ids(store, code()), [], "a leg that is off has none");
        assert_eq!(ids(store, near(vector("text 2"))).len(), 4);
        assert_eq!(store.stats(&db, &collection).unwrap().vectors, [4, 0]);
    }
    let vectors = vec![(Leg::Code, points[0].vectors[1].unwrap(), vector("text 0"))];
    let off = store.apply(&db, &collection, Batch { vectors: vectors.clone(), ..Batch::default() });
    assert!(matches!(off, Err(StoreError::Invalid(_))), "{off:?}");
    store.apply(&db, &collection, Batch { legs: Some(both), vectors, ..Batch::default() }).unwrap();
    assert_eq!(ids(&*open(), code()), [points[0].id], "it begins with what came with it");
}

/// Points that go, stay, come back with another text, and come, in the batch that changes a leg.
pub(crate) fn legs_change_with_all_else_in_the_batch(open: Open<'_>) {
    let (db, collection) = names();
    for reset in [false, true] {
        let (store, points) = with_both_legs(open);
        let come = point(b"b.rs", "b", 0, "come");
        let both = store.schema(&db, &collection).unwrap().legs;
        let upsert = vec![points[1].clone(), come.clone()];
        let batch = Batch {
            reset,
            delete: vec![points[0].id],
            vectors: with_other_vectors(&[upsert.clone(), points[2..3].to_vec()].concat()),
            upsert,
            legs: Some([Some(other()), both[1].clone()]),
            ..Batch::default()
        };
        store.apply(&db, &collection, batch).unwrap();
        let mut expected = match reset {
            true => vec![points[1].id, come.id],
            false => vec![points[1].id, points[2].id, come.id],
        };
        expected.sort_unstable();
        for store in [&*store, &*open()] {
            let mut found = ids(store, near_other(other_vector("come")));
            assert_eq!(found[0], come.id);
            found.sort_unstable();
            assert_eq!(found, expected, "reset: {reset}");
            // A vector that came before its point would be of no use if it had gone.
            let missing: Vec<_> =
                expected.iter().filter(|id| !scan(store).iter().any(|p| p.id == **id)).collect();
            assert!(missing.is_empty(), "{missing:?}");
            assert_eq!(store.check(&db, &collection).unwrap(), Vec::<String>::new());
        }
        store.drop_collection(&db, &collection).unwrap();
    }
}

pub(crate) fn what_a_leg_was_before_does_not_come_back(open: Open<'_>) {
    let (db, collection) = names();
    let points = [point(b"a.rs", "", 0, "alpha"), point(b"b.rs", "", 0, "beta")];
    let store = created(open, &points);
    let legs = |leg: Option<(Fingerprint, usize)>| Batch { legs: Some([leg, None]), ..Batch::default() };
    for between in [Some(other()), None, Some((model(), DIMENSION + 1))] {
        // Loaded, so that what is kept in memory is asked too.
        assert_eq!(ids(&*store, near(vector("alpha"))).len(), 2);
        store.apply(&db, &collection, legs(between)).unwrap();
        let vectors = vec![(Leg::Text, points[0].vectors[0].unwrap(), vector("anew"))];
        let back = legs(Some((model(), DIMENSION)));
        store.apply(&db, &collection, Batch { vectors, ..back }).unwrap();
        for store in [&*store, &*open()] {
            let hits = search(store, near(vector("anew")), &Filter::default(), 9);
            assert_eq!(texts(&hits), ["alpha"]);
            assert!(hits[0].score > 0.999, "the vector is the new one: {}", hits[0].score);
        }
        let vectors = vec![(Leg::Text, points[1].vectors[0].unwrap(), vector("beta"))];
        store.apply(&db, &collection, Batch { vectors, ..Batch::default() }).unwrap();
    }
}

/// Whoever embeds with the model that the schema names is answered from its vectors, all of
/// them, or told that it is another one now.
pub(crate) fn a_search_meets_one_model(open: Open<'_>) {
    const CHANGES: usize = 12;
    let (db, collection) = names();
    let points: Vec<Point> = (0..3).map(|i| point(b"a.rs", "", i, &format!("text {i}"))).collect();
    let store = created(open, &points);
    let is_over = AtomicBool::new(false);
    let is_over = &is_over;
    std::thread::scope(|scope| {
        let reader = open();
        let reading = scope.spawn({
            let (db, collection) = (db.clone(), collection.clone());
            move || {
                let mut answered = 0;
                while !is_over.load(Ordering::Relaxed) || answered == 0 {
                    let leg = reader.schema(&db, &collection).unwrap().legs[0].clone();
                    let (probe, of) = match leg == Some(other()) {
                        true => (near_other(other_vector("text 1")), "the other"),
                        false => (near(vector("text 1")), "the first"),
                    };
                    match reader.search(&db, &collection, &[probe], &Filter::default(), 9) {
                        Err(StoreError::OtherModel { .. }) => {}
                        found => {
                            let hits = found.unwrap().remove(0);
                            assert_eq!((hits.len(), texts(&hits)[0]), (3, "text 1"), "{of}");
                            assert!(hits[0].score > 0.999, "{of}: {}", hits[0].score);
                            answered += 1;
                        }
                    }
                }
            }
        });
        for n in 0..CHANGES {
            let (leg, vectors) = match n % 2 {
                0 => (other(), with_other_vectors(&points)),
                _ => ((model(), DIMENSION), with_vectors(&points)),
            };
            let batch = Batch { legs: Some([Some(leg), None]), vectors, ..Batch::default() };
            store.apply(&db, &collection, batch).unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
        reading.join().unwrap();
    });
}
