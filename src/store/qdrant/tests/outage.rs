//! Servers that are not there, do not answer or refuse.

use std::time::Duration;

use super::*;
use crate::store::contract::{names, point, schema};

fn impatient(options: &mut QdrantOptions) {
    options.timeout = Duration::from_millis(200);
    options.connect_timeout = Duration::from_millis(200);
    options.retries = 2;
    options.backoff = Duration::from_millis(1);
    options.breaker_failures = 1000;
}

fn batch(content: &str) -> Batch {
    Batch { upsert: vec![point(b"a.rs", "a", 0, content)], ..Batch::default() }
}

#[test]
fn a_cut_fails_fast_says_so_and_passes() {
    let server = QdrantServer::start();
    let mut place = Local {
        fresh: Fresh::new(QdrantOptions::new(server.url()), Layout::Collection),
        server: Arc::new(server),
    };
    let (db, collection) = names();
    let store = place.fresh.with(impatient);
    store.create(&db, &collection, &schema()).unwrap();
    store.apply(&db, &collection, batch("one")).unwrap();
    Arc::get_mut(&mut place.server).unwrap().stop();
    for _ in 0..2 {
        for error in [
            store.apply(&db, &collection, batch("two")).unwrap_err(),
            store.snapshot(&db, &collection).unwrap_err(),
        ] {
            let text = error.to_string();
            assert!(matches!(error, StoreError::Unreachable { .. }), "{text}");
            assert!(text.contains("http://127.0.0.1:") && text.contains("refused"), "{text}");
        }
    }
    Arc::get_mut(&mut place.server).unwrap().restart();
    // The same store, the same connection.
    store.apply(&db, &collection, batch("two")).unwrap();
    assert_eq!(store.stats(&db, &collection).unwrap().points, 2);
    place.server.hang(true);
    let error = store.snapshot(&db, &collection).unwrap_err();
    assert!(matches!(&error, StoreError::Unreachable { reason, .. } if reason.contains("200ms")), "{error}");
    place.server.hang(false);
    store.apply(&db, &collection, batch("three")).unwrap();
}

#[test]
fn after_many_failures_calls_fail_without_being_made() {
    let place = local(Layout::Collection);
    let (db, _) = names();
    let options = |options: &mut QdrantOptions, pause: Duration| {
        impatient(options);
        (options.retries, options.breaker_failures, options.breaker_pause) = (0, 3, pause);
    };
    let store = place.fresh.with(|o| options(o, Duration::from_secs(3600)));
    place.server.fail_next(3, tonic::Code::Unavailable);
    for _ in 0..3 {
        assert!(matches!(store.databases(), Err(StoreError::Unreachable { .. })));
    }
    let calls = place.server.calls().len();
    let error = store.collections(&db).unwrap_err();
    assert!(
        matches!(&error, StoreError::Unreachable { reason, .. } if reason.contains("tried again in")),
        "{error}"
    );
    assert_eq!(place.server.calls().len(), calls);
    // Another pause: one call tries, and closes it.
    let store = place.fresh.with(|o| options(o, Duration::ZERO));
    place.server.fail_next(3, tonic::Code::Unavailable);
    for _ in 0..3 {
        assert!(store.databases().is_err());
    }
    assert_eq!(store.databases().unwrap(), []);
}

#[test]
fn a_busy_server_is_asked_again() {
    let place = local(Layout::Collection);
    let store = place.fresh.with(impatient);
    place.server.fail_next(2, tonic::Code::ResourceExhausted);
    assert_eq!(store.databases().unwrap(), []);
    place.server.fail_next(3, tonic::Code::ResourceExhausted);
    assert!(matches!(store.databases(), Err(StoreError::Remote { .. })));
}

#[test]
fn a_wrong_key_is_refused_and_never_shown() {
    let server = Arc::new(QdrantServer::with_api_key("the-right-one"));
    let key = |key: &str| Some(ApiKey::new(key));
    let options = QdrantOptions { api_key: key("the-right-one"), ..QdrantOptions::new(server.url()) };
    let place = Local { fresh: Fresh::new(options, Layout::Collection), server };
    let (db, collection) = names();
    place.fresh.store().create(&db, &collection, &schema()).unwrap();
    for wrong in [None, key("the-wrong-one")] {
        let store = place.fresh.with(|options| options.api_key = wrong);
        let calls = place.server.calls().len();
        let error = store.snapshot(&db, &collection).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(matches!(error, StoreError::Unauthorized { .. }), "{text}");
        assert!(text.contains("API key") && !text.contains("the-wrong-one"), "{text}");
        assert_eq!(place.server.calls().len(), calls + 1, "it is not asked again");
    }
}
