//! The provider against a server: the contract in both layouts, and what only a server brings.

mod crash;
mod damage;
mod outage;
mod real;
mod tenancy;

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::store::qdrant_server::QdrantServer;

/// A server's address with a prefix of a test's own, whose collections are removed with it.
struct Fresh {
    options: QdrantOptions,
}

impl Fresh {
    fn new(options: QdrantOptions, layout: Layout) -> Fresh {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("test_{}_{number}_", std::process::id());
        Fresh { options: QdrantOptions { prefix, layout, ..options } }
    }

    fn open(&self) -> Box<dyn Store> {
        Box::new(self.store())
    }

    fn store(&self) -> QdrantStore {
        QdrantStore::new(self.options.clone()).unwrap()
    }

    fn with(&self, change: impl FnOnce(&mut QdrantOptions)) -> QdrantStore {
        let mut options = self.options.clone();
        change(&mut options);
        QdrantStore::new(options).unwrap()
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        let prefix = self.options.prefix.clone();
        let removed = self.store().run(|core| async move {
            let remote = &core.places.remote;
            for name in remote.list().await.map_err(|e| remote.error(e))? {
                if name.starts_with(&prefix) {
                    remote.drop(&name).await.map_err(|e| remote.error(e))?;
                }
            }
            Ok(())
        });
        if !std::thread::panicking() {
            removed.unwrap();
        }
    }
}

/// A place on the server of this process, which is there in every run.
struct Local {
    // Before the server that it is on.
    fresh: Fresh,
    server: Arc<QdrantServer>,
}

fn local(layout: Layout) -> Local {
    let server = Arc::new(QdrantServer::start());
    Local { fresh: Fresh::new(QdrantOptions::new(server.url()), layout), server }
}

impl Local {
    fn open(&self) -> Box<dyn Store> {
        self.fresh.open()
    }
}

mod local_collection_layout {
    use super::*;
    crate::store::contract::contract_suite!(local(Layout::Collection));
}

mod local_shared_layout {
    use super::*;
    crate::store::contract::contract_suite!(local(Layout::Shared));
}

#[test]
fn it_may_be_used_and_dropped_in_any_context() {
    let place = local(Layout::Collection);
    let (db, _) = crate::store::contract::names();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = place.fresh.store();
        assert_eq!(store.collections(&db).unwrap(), []);
    });
    let store = place.fresh.store();
    std::thread::spawn(move || drop(store)).join().unwrap();
}

#[test]
fn above_its_bound_a_search_goes_by_the_approximate_index() {
    use crate::store::contract::{names, near, point, schema, vector, with_vectors};
    let place = local(Layout::Collection);
    let (db, collection) = names();
    let points: Vec<Point> = (0..3).map(|i| point(b"a", "", i, &format!("text {i}"))).collect();
    let store = place.fresh.store();
    store.create(&db, &collection, &schema()).unwrap();
    let batch = Batch { vectors: with_vectors(&points), upsert: points, ..Batch::default() };
    store.apply(&db, &collection, batch).unwrap();
    for (above, counts) in [(None, false), (Some(2), true), (Some(3), true)] {
        let store = place.fresh.with(|options| options.approximate_above = above);
        let start = place.server.calls().len();
        let probes = [near(vector("text 1"))];
        let found = store.search(&db, &collection, &probes, &Filter::default(), 1).unwrap();
        assert_eq!(found[0][0].point.text, "text 1");
        let calls = place.server.calls()[start..].to_vec();
        assert_eq!(calls.iter().any(|call| call == "Points/Count"), counts, "{calls:?}");
    }
}

#[test]
fn addresses_and_keys_that_cannot_be_are_refused_without_being_shown() {
    let options = |url: &str| QdrantOptions::new(url);
    let key = Some(ApiKey::new("käse\n"));
    for bad in [
        options("localhost:6334"),
        options("ftp://host"),
        options("http://user:käse@host:6334"),
        options("http://me:secret@host:6334"),
        QdrantOptions { api_key: key, ..options("http://host:6334") },
        QdrantOptions { ca_certificate: Some(b"x".to_vec()), ..options("https://host:6334") },
    ] {
        let Err(error) = QdrantStore::new(bad) else { panic!("it was taken") };
        let text = error.to_string();
        assert!(matches!(error, StoreError::Invalid(_)), "{text}");
        assert!(!text.contains("käse") && !text.contains("secret"), "{text}");
    }
}
