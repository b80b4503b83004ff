//! Stored data that is not what was written.

use super::fields::{number, text};
use super::remote::Payload;
use super::scope::{Scoped, role};
use super::*;
use crate::path::RepoPath;
use crate::store::contract::{names, point, record, scan, schema};

/// Sets fields of the head, or of what is visible of a role.
fn set(store: &QdrantStore, role: Option<&'static str>, fields: Payload) {
    let (db, collection) = names();
    store
        .run(|core| async move {
            let opened = core.places.open(&db, &collection).await?;
            let scope = match role {
                None => Scoped::head(opened.id.clone()),
                Some(role) => opened.visible(role),
            };
            core.places.remote.set(&opened.physical, &scope, fields).await.map_err(|e| core.error(e))
        })
        .unwrap();
}

fn filled(place: &Local) -> QdrantStore {
    let (db, collection) = names();
    let store = place.fresh.store();
    store.create(&db, &collection, &schema()).unwrap();
    let upsert = vec![point(b"a.rs", "a", 0, "one"), point(b"b.rs", "b", 0, "two")];
    let files = [(RepoPath::new("a.rs").unwrap(), Some(record(&upsert)))].into();
    store.apply(&db, &collection, Batch { upsert, files, ..Batch::default() }).unwrap();
    store
}

fn payload(name: &str, value: qdrant_client::qdrant::Value) -> Payload {
    [(name.to_owned(), value)].into()
}

#[test]
fn damaged_points_and_records_are_found() {
    let (db, collection) = names();
    let place = local(Layout::Shared);
    let store = filled(&place);
    assert_eq!(store.check(&db, &collection).unwrap(), Vec::<String>::new());
    set(&store, Some(role::CHUNK), payload("text", text("another")));
    assert_eq!(store.check(&db, &collection).unwrap().len(), 2);
    let error = store.scan(&db, &collection, &mut |_| ()).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    set(&store, Some(role::FILE), payload("record", text("0102")));
    assert_eq!(store.check(&db, &collection).unwrap().len(), 3);
    let error = place.fresh.store().snapshot(&db, &collection).unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { detail, .. } if detail.contains("a.rs")), "{error}");
}

#[test]
fn a_damaged_head_is_set_aside_and_nothing_is_deleted() {
    for layout in [Layout::Collection, Layout::Shared] {
        let (db, collection) = names();
        let place = local(layout);
        let store = filled(&place);
        set(&store, None, payload("generation", text("many")));
        for error in [
            store.snapshot(&db, &collection).map(drop).unwrap_err(),
            store.create(&db, &collection, &schema()).unwrap_err(),
            store.apply(&db, &collection, Batch { reset: true, ..Batch::default() }).unwrap_err(),
        ] {
            assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        }
        assert_eq!(store.check(&db, &collection).unwrap().len(), 1);
        assert_eq!(store.collections(&db).unwrap(), std::slice::from_ref(&collection));
        let points = || {
            let count = |core: Arc<Core>| async move {
                let heads = core.places.names.heads(&names().0);
                let mut physicals = core.places.remote.list().await.map_err(|e| core.error(e))?;
                physicals.retain(|name| name.starts_with(&core.places.names.prefix));
                let info = core.places.remote.info(&physicals[0]).await.map_err(|e| core.error(e))?;
                let found = core.places.remote.count(&physicals[0], &Scoped::heads(&heads)).await;
                Ok((info.unwrap().points_count, found.map_err(|e| core.error(e))?))
            };
            store.run(count).unwrap()
        };
        let before = points();
        assert!(store.set_aside(&db, &collection).unwrap().contains("aside-1"));
        assert_eq!(points(), before);
        store.create(&db, &collection, &schema()).unwrap();
        assert!(scan(&store).is_empty());
    }
}

#[test]
fn what_a_newer_version_wrote_is_left_alone() {
    let (db, collection) = names();
    let place = local(Layout::Collection);
    let store = filled(&place);
    set(&store, None, payload("format", number(99)));
    let error = store.snapshot(&db, &collection).unwrap_err();
    assert!(matches!(error, StoreError::NewerFormat { found: 99, .. }), "{error}");
    let error = store.create(&db, &collection, &schema()).unwrap_err();
    assert!(matches!(error, StoreError::NewerFormat { .. }), "{error}");
}
