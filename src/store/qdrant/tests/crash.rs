//! Writers that end at any point, and writers that meet.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tonic::Code;

use super::*;
use crate::id::Fingerprint;
use crate::path::RepoPath;
use crate::store::contract::{names, near, point, record, scan, schema, vector, with_vectors};

/// What is done before the writer that dies, by it, and after it.
fn batches() -> [Batch; 3] {
    let path = |p: &str| RepoPath::new(p).unwrap();
    let old: Vec<Point> = (0..6).map(|i| point(b"a.rs", "old", i, &format!("common old {i}"))).collect();
    let new: Vec<Point> = (0..4).map(|i| point(b"b.rs", "new", i, &format!("common new {i}"))).collect();
    // A move: another id, the same text, so the same vector key.
    let moved = point(b"c.rs", "moved", 0, "common old 5");
    let first = Batch {
        files: [(path("a.rs"), Some(record(&old)))].into(),
        vectors: with_vectors(&old[1..]),
        state: Some("first".to_owned()),
        upsert: old.clone(),
        ..Batch::default()
    };
    let second = Batch {
        delete: old[3..].iter().map(|point| point.id).collect(),
        files: [(path("a.rs"), None), (path("b.rs"), Some(record(&new)))].into(),
        // Also one for a chunk that stays.
        vectors: with_vectors(&[&new[..2], &old[..1]].concat()),
        state: Some("second".to_owned()),
        upsert: new.iter().cloned().chain([moved.clone()]).collect(),
        ..Batch::default()
    };
    let third = Batch {
        delete: vec![new[0].id],
        files: [(path("c.rs"), Some(record(std::slice::from_ref(&moved))))].into(),
        upsert: vec![old[4].clone()],
        vectors: with_vectors(&new[2..3]),
        ..Batch::default()
    };
    [first, second, third]
}

/// Everything that a store says of the collection.
#[derive(Debug, PartialEq)]
struct Seen {
    points: Vec<Point>,
    snapshot: (BTreeMap<RepoPath, crate::manifest::FileRecord>, Option<String>),
    keys: BTreeMap<VectorKey, ()>,
    nearest: Vec<(u32, crate::id::PointId)>,
    words: Vec<(u32, crate::id::PointId)>,
}

fn see(store: &dyn Store) -> Seen {
    let (db, collection) = names();
    assert_eq!(store.check(&db, &collection).unwrap(), Vec::<String>::new());
    let snapshot = store.snapshot(&db, &collection).unwrap();
    let probes = [near(vector("common old 5")), Probe::Terms(vec![("common".to_owned(), 1.0)])];
    let found = store.search(&db, &collection, &probes, &Filter::default(), 99).unwrap();
    let mut found = found
        .into_iter()
        .map(|hits| hits.into_iter().map(|hit| (hit.score.to_bits(), hit.point.id)).collect::<Vec<_>>());
    Seen {
        points: scan(store),
        snapshot: ((*snapshot.manifest).clone(), snapshot.state),
        keys: store.vector_keys(&db, &collection, Leg::Text).unwrap().iter().map(|key| (*key, ())).collect(),
        nearest: found.next().unwrap(),
        words: found.next().unwrap(),
    }
}

/// What is there after the given batches, each applied whole.
fn whole(layout: Layout, batches: Vec<Batch>) -> Seen {
    let place = local(layout);
    let store = created(&place);
    let (db, collection) = names();
    batches.into_iter().for_each(|batch| store.apply(&db, &collection, batch).unwrap());
    see(&store)
}

fn created(place: &Local) -> QdrantStore {
    let (db, collection) = names();
    let store = place.fresh.store();
    store.create(&db, &collection, &schema()).unwrap();
    store
}

type Writing<'a> = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>>;

/// What a writer does until the server has had `calls` calls of it: its outcome, or itself where
/// it was not at its end by then.
async fn until<'a>(
    server: &Arc<QdrantServer>,
    calls: usize,
    mut writing: Writing<'a>,
) -> Result<Result<(), StoreError>, Writing<'a>> {
    let start = server.calls().len();
    let done = poll_fn(|context| {
        if server.calls().len() - start >= calls {
            return Poll::Ready(None);
        }
        writing.as_mut().poll(context).map(Some)
    })
    .await;
    done.ok_or(writing)
}

/// A writer that is gone after its `calls`-th call; whether it came to its end before.
fn killed(place: &Local, store: &QdrantStore, calls: usize, batch: Batch) -> bool {
    let (core, server) = (Arc::clone(&store.core), Arc::clone(&place.server));
    let (db, collection) = names();
    let applied = store
        .background
        .wait(async move { until(&server, calls, Box::pin(core.apply(&db, &collection, batch))).await.ok() });
    applied.unwrap().map(Result::unwrap).is_some()
}

#[test]
fn a_writer_killed_at_any_call_leaves_the_state_before_or_after() {
    for layout in [Layout::Collection, Layout::Shared] {
        let some =
            |range: std::ops::Range<usize>| whole(layout, batches().into_iter().take(range.end).collect());
        let (before, after) = (some(0..1), some(0..2));
        let with_third = |second: bool| {
            let [first, other, third] = batches();
            whole(layout, [Some(first), second.then_some(other), Some(third)].into_iter().flatten().collect())
        };
        let (before_third, after_third) = (with_third(false), with_third(true));
        assert!(before != after && before_third != after_third);
        let mut outcomes = Vec::new();
        for calls in 1.. {
            let place = local(layout);
            let (db, collection) = names();
            let [first, second, third] = batches();
            created(&place).apply(&db, &collection, first).unwrap();
            // This process goes on living, so its lease has to end by time.
            let dying = place.fresh.with(|options| options.lease = Duration::ZERO);
            let is_done = killed(&place, &dying, calls, second);
            let seen = see(&place.fresh.store());
            // A vector of a chunk that stays may be there before the rest.
            let is_after = seen.snapshot == after.snapshot;
            let expected = if is_after { &after } else { &before };
            assert_eq!((&seen.points, &seen.snapshot), (&expected.points, &expected.snapshot), "{calls}");
            assert_eq!(seen.words, expected.words, "{calls}");
            assert!(!is_done || is_after);
            let next = place.fresh.store();
            next.apply(&db, &collection, third).unwrap();
            let expected = if is_after { &after_third } else { &before_third };
            for store in [next, place.fresh.store()] {
                let seen = see(&store);
                assert_eq!((&seen.points, &seen.snapshot), (&expected.points, &expected.snapshot), "{calls}");
                assert_eq!(seen.words, expected.words, "{calls}");
                if is_after {
                    assert_eq!(&seen, expected, "{calls}");
                }
            }
            outcomes.push(is_after);
            if is_done {
                break;
            }
        }
        assert!(outcomes.len() > 10 && !outcomes[0] && outcomes.is_sorted(), "{outcomes:?}");
    }
}

#[test]
fn a_writer_killed_while_a_leg_becomes_another_models_leaves_one_of_both() {
    let (db, collection) = names();
    let old: Vec<Point> = (0..4).map(|i| point(b"a.rs", "", i, &format!("text {i}"))).collect();
    let new = [&old[1..], &[point(b"b.rs", "", 0, "come")]].concat();
    let other = || (Fingerprint("model@2;8".to_owned()), 8);
    let change = || Batch {
        delete: vec![old[0].id],
        upsert: vec![new[3].clone()],
        legs: Some([Some(other()), None]),
        vectors: with_vectors(&new),
        ..Batch::default()
    };
    let found = |store: &QdrantStore| {
        let (model, _) = store.schema(&db, &collection).unwrap().legs[0].clone().unwrap();
        let probe = Probe::Vector(Leg::Text, model.clone(), vector("text 1"));
        let hits = store.search(&db, &collection, &[probe], &Filter::default(), 9).unwrap().concat();
        let mut texts: Vec<String> = hits.into_iter().map(|hit| hit.point.text).collect();
        texts.sort_unstable();
        (model == other().0, texts)
    };
    let texts = |points: &[Point]| {
        let mut texts: Vec<String> = points.iter().map(|point| point.text.clone()).collect();
        texts.sort_unstable();
        texts
    };
    for layout in [Layout::Collection, Layout::Shared] {
        let mut outcomes = Vec::new();
        for calls in 1.. {
            let place = local(layout);
            let batch = Batch { vectors: with_vectors(&old), upsert: old.clone(), ..Batch::default() };
            created(&place).apply(&db, &collection, batch).unwrap();
            let dying = place.fresh.with(|options| options.lease = Duration::ZERO);
            let is_done = killed(&place, &dying, calls, change());
            let (is_after, seen) = found(&place.fresh.store());
            assert_eq!(seen, texts(if is_after { &new } else { &old }), "{layout:?} {calls}");
            // A third one's, and none of the others' is left.
            let legs = Some([Some((Fingerprint("model@3;8".to_owned()), 8)), None]);
            place.fresh.store().apply(&db, &collection, Batch { legs, ..Batch::default() }).unwrap();
            assert_eq!(found(&place.fresh.store()), (false, Vec::new()), "{layout:?} {calls}");
            place.fresh.store().apply(&db, &collection, change()).unwrap();
            assert_eq!(found(&place.fresh.store()), (true, texts(&new)), "{layout:?} {calls}");
            outcomes.push(is_after);
            if is_done {
                break;
            }
        }
        assert!(outcomes.len() > 10 && !outcomes[0] && outcomes.is_sorted(), "{outcomes:?}");
    }
}

#[test]
fn a_call_whose_answer_is_lost_is_repeated_or_looked_up() {
    for (code, retries) in [(Code::Unavailable, 2), (Code::Unavailable, 0), (Code::Internal, 2)] {
        let (before, after) = (
            whole(Layout::Shared, batches().into_iter().take(1).collect()),
            whole(Layout::Shared, batches().into_iter().take(2).collect()),
        );
        let mut failed = 0;
        for calls in 1.. {
            let place = local(Layout::Shared);
            let (db, collection) = names();
            created(&place).apply(&db, &collection, nth(0)).unwrap();
            let store = place.fresh.with(|options| {
                (options.retries, options.backoff) = (retries, Duration::from_millis(1));
            });
            let start = place.server.calls().len();
            place.server.fail_after(calls, code);
            let applied = store.apply(&db, &collection, nth(1));
            let was_reached = place.server.calls().len() - start >= calls;
            place.server.fail_after(usize::MAX, code);
            match &applied {
                Ok(()) => assert_eq!(see(&store), after, "{calls}"),
                Err(error) => {
                    failed += 1;
                    assert!(
                        matches!(error, StoreError::Unreachable { .. } | StoreError::Remote { .. }),
                        "{error}"
                    );
                    let seen = see(&place.fresh.store());
                    let is_after = seen.snapshot == after.snapshot;
                    let expected = if is_after { &after } else { &before };
                    assert_eq!(
                        (&seen.points, &seen.snapshot),
                        (&expected.points, &expected.snapshot),
                        "{calls}"
                    );
                    // The same store does not wait for its own lease; and the batch is the same.
                    store.apply(&db, &collection, nth(1)).unwrap();
                    assert_eq!(see(&store), after, "{calls}");
                }
            }
            if !was_reached {
                break;
            }
            assert!(retries == 0 || code == Code::Internal || applied.is_ok(), "{calls}: {applied:?}");
        }
        assert_eq!(failed > 0, retries == 0 || code == Code::Internal);
    }
}

fn nth(n: usize) -> Batch {
    batches().into_iter().nth(n).unwrap()
}

#[test]
fn a_second_writer_is_told_who_writes() {
    let place = local(Layout::Collection);
    let (db, collection) = names();
    let [first, second, third] = batches();
    let store = created(&place);
    store.apply(&db, &collection, first).unwrap();
    assert!(!killed(&place, &store, 6, second), "it is amid its work");
    let other = place.fresh.store();
    let error = other.apply(&db, &collection, nth(2)).unwrap_err();
    let StoreError::Locked { host: Some(host), pid: Some(pid), .. } = &error else { panic!("{error}") };
    assert!(*pid == std::process::id() && error.to_string().contains(host.as_str()), "{error}");
    for refused in [other.drop_collection(&db, &collection), other.set_aside(&db, &collection).map(drop)] {
        assert!(matches!(refused, Err(StoreError::Locked { .. })));
    }
    // Readers are not concerned, and the store itself goes on.
    assert_eq!(scan(&other).len(), 6);
    store.apply(&db, &collection, third).unwrap();
    other.drop_collection(&db, &collection).unwrap();
}

/// A writer that was held up loses its right to another, and finds out.
#[test]
fn a_writer_that_lost_its_lease_changes_nothing() {
    let expected = {
        let [first, _, third] = batches();
        whole(Layout::Shared, vec![first, third])
    };
    for calls in [4, 6, 8, 10, 12] {
        let place = local(Layout::Shared);
        let (db, collection) = names();
        let [first, second, third] = batches();
        created(&place).apply(&db, &collection, first).unwrap();
        let slow = place.fresh.with(|options| options.lease = Duration::ZERO);
        let (core, server) = (Arc::clone(&slow.core), Arc::clone(&place.server));
        let other = place.fresh.store();
        let (at, of) = names();
        let outcome = slow.background.wait(async move {
            let paused = until(&server, calls, Box::pin(core.apply(&at, &of, second))).await;
            let Err(rest) = paused else { panic!("it had fewer than {calls} calls") };
            tokio::task::block_in_place(|| other.apply(&at, &of, third)).unwrap();
            rest.await
        });
        let error = outcome.unwrap().unwrap_err();
        assert!(matches!(error, StoreError::Locked { .. }), "{calls}: {error}");
        let seen = see(&place.fresh.store());
        assert_eq!(
            (seen.points, seen.snapshot),
            (expected.points.clone(), expected.snapshot.clone()),
            "{calls}"
        );
    }
}

/// What a writer sent, and the server executes when the next one is done.
#[test]
fn a_request_that_is_executed_late_changes_nothing() {
    let place = local(Layout::Shared);
    let (db, collection) = names();
    let store = created(&place);
    store.apply(&db, &collection, nth(0)).unwrap();
    let dying = place.fresh.with(|options| options.lease = Duration::ZERO);
    assert!(!killed(&place, &dying, 3, nth(1)), "it has the right to write, and wrote nothing yet");
    let late = store.run(|core| async move {
        let (db, collection) = names();
        core.places.open(&db, &collection).await
    });
    let late = late.unwrap();
    let ids = scan(&store).iter().map(|point| point.id).collect::<Vec<_>>();
    let delete = |at: usize| Batch { delete: vec![ids[at]], ..Batch::default() };
    store.apply(&db, &collection, delete(0)).unwrap();
    let before = see(&store);
    store
        .run(|core| async move {
            let head = &late.head;
            let version =
                points::Version { tenant: &late.tenant, life: &head.life, generation: head.claimed };
            let chunk = version.chunk(&point(b"late.rs", "", 0, "common late"), &[None, None], [None, None]);
            let until = fields::payload([(scope::field::UNTIL, fields::number(head.claimed))]);
            let scope = scope::Scoped::endable(&late.tenant, head);
            let remote = &core.places.remote;
            remote.insert(&late.physical, vec![chunk]).await.map_err(|e| core.error(e))?;
            remote.set(&late.physical, &scope, until).await.map_err(|e| core.error(e))
        })
        .unwrap();
    for store in [&store, &place.fresh.store()] {
        assert_eq!(see(store), before);
    }
    // Nor does it keep what it marked from being removed.
    store.apply(&db, &collection, delete(1)).unwrap();
    store.apply(&db, &collection, Batch { state: Some("on".to_owned()), ..delete(2) }).unwrap();
    let left: Vec<_> = scan(&place.fresh.store()).iter().map(|point| point.id).collect();
    assert_eq!(left, ids[3..]);
}

#[test]
fn a_reset_is_seen_whole_or_not_at_all() {
    let place = local(Layout::Collection);
    let (db, collection) = names();
    let store = created(&place);
    let [first, ..] = batches();
    store.apply(&db, &collection, first).unwrap();
    let new: Vec<Point> = (0..3).map(|i| point(b"z.rs", "z", i, &format!("common old {i}"))).collect();
    let mut expected = new.clone();
    expected.sort_by_key(|point| point.id);
    for calls in 1.. {
        let dying = place.fresh.with(|options| options.lease = Duration::ZERO);
        let batch = Batch { reset: true, upsert: new.clone(), ..Batch::default() };
        let is_done = killed(&place, &dying, calls, batch);
        let seen = scan(&place.fresh.store());
        assert!(seen == expected || (seen.len() == 6 && !is_done), "{calls}: {seen:?}");
        if is_done {
            break;
        }
    }
    // Two of the three texts had vectors, and have them still.
    let keys = place.fresh.store().vector_keys(&db, &collection, Leg::Text).unwrap();
    assert_eq!(keys.len(), 2);
}
