//! Where collections lie: finding them, making them, moving them aside, removing them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use qdrant_client::qdrant::vectors::VectorsOptions;
use qdrant_client::qdrant::{NamedVectors, PointId, PointStruct, Vectors};

use super::failure::Failure;
use super::fields::{Fields, number};
use super::head::{ASIDE, Head, NAME, Owner, of_life};
use super::names::{Names, draw, tenant};
use super::options::{Layout, QdrantOptions};
use super::physical;
use super::remote::{Payload, Remote, With};
use super::scope::{Scoped, field};
use crate::id::{CollectionName, DatabaseName};
use crate::store::{Schema, StoreError};

/// Heads of one database read at a time.
const HEADS_PAGE: usize = 256;
/// What is read of them.
const HEAD_FIELDS: With<'_> = With::Fields(&[NAME, ASIDE, field::TENANT]);

/// A collection that was found.
#[derive(Clone, Debug)]
pub(super) struct Opened {
    pub(super) physical: String,
    /// Id of the head.
    pub(super) id: PointId,
    pub(super) tenant: String,
    /// What it is called in errors.
    pub(super) subject: String,
    pub(super) head: Head,
    db: DatabaseName,
    pub(super) collection: CollectionName,
}

impl Opened {
    pub(super) fn visible(&self, role: &str) -> Scoped {
        Scoped::visible(&self.tenant, &self.head, role)
    }

    pub(super) fn not_found(&self) -> StoreError {
        StoreError::NotFound { database: self.db.clone(), collection: self.collection.clone() }
    }
}

/// A head as it is listed.
pub(super) struct Listed {
    physical: String,
    /// The collection's name, where that can be read.
    pub(super) name: Option<CollectionName>,
    /// Whether the collection was set aside.
    pub(super) is_aside: bool,
    tenant: Option<String>,
}

/// The server with its names.
pub(super) struct Places {
    pub(super) remote: Remote,
    pub(super) names: Names,
    pub(super) options: QdrantOptions,
    /// Physical collections in which logical ones were found last.
    known: Mutex<HashMap<(DatabaseName, CollectionName), String>>,
}

impl Places {
    pub(super) fn new(remote: Remote, options: QdrantOptions) -> Places {
        let names = Names { prefix: options.prefix.clone(), layout: options.layout };
        Places { remote, names, options, known: Mutex::default() }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<(DatabaseName, CollectionName), String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The collection with its head as it is now.
    pub(super) async fn open(
        &self,
        db: &DatabaseName,
        collection: &CollectionName,
    ) -> Result<Opened, StoreError> {
        let found = self.find(db, collection).await?;
        found.ok_or_else(|| StoreError::NotFound { database: db.clone(), collection: collection.clone() })
    }

    async fn find(
        &self,
        db: &DatabaseName,
        collection: &CollectionName,
    ) -> Result<Option<Opened>, StoreError> {
        let key = (db.clone(), collection.clone());
        let mut candidates = self.names.candidates(db, collection);
        if let Some(known) = self.known().get(&key) {
            // The others remain: it may have been created anew as another kind.
            candidates.sort_by_key(|physical| physical != known);
        }
        for physical in candidates {
            if let Some(found) = self.read_head(db, collection, &physical).await? {
                self.known().insert(key, physical);
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    async fn read_head(
        &self,
        db: &DatabaseName,
        collection: &CollectionName,
        physical: &str,
    ) -> Result<Option<Opened>, StoreError> {
        let id = self.names.head(db, collection, None);
        let found = self.remote.get(physical, vec![id.clone()], With::Payload).await;
        let Some(point) = found.map_err(|e| self.remote.error(e))?.into_iter().next() else {
            return Ok(None);
        };
        let subject = format!("collection {collection} in {physical} of {}", self.remote.url());
        let head = Head::decode(&point.payload, &subject)?;
        Ok(Some(Opened {
            physical: physical.to_owned(),
            id,
            tenant: tenant(db, collection, &head.life),
            subject,
            head,
            db: db.clone(),
            collection: collection.clone(),
        }))
    }

    /// The head as it is now, if it is still that of the same life.
    pub(super) async fn reread(&self, opened: &Opened) -> Result<Opened, StoreError> {
        let now = self.read_head(&opened.db, &opened.collection, &opened.physical).await?;
        now.filter(|now| now.head.life == opened.head.life).ok_or_else(|| opened.not_found())
    }

    /// Creates the collection or finds it; the schema is that of the one which is there.
    pub(super) async fn create(
        &self,
        db: &DatabaseName,
        collection: &CollectionName,
        schema: &Schema,
    ) -> Result<Schema, StoreError> {
        if let Some(found) = self.find(db, collection).await? {
            return Ok(found.head.schema);
        }
        let physical = self.names.physical(db, collection, schema.kind);
        physical::ensure(&self.remote, &self.options, &physical, &schema.legs).await?;
        let head = Head::new(draw(), schema);
        let tenant = tenant(db, collection, &head.life);
        let payload = head.encode(&Owner { db, collection, heads: self.names.heads(db), tenant });
        let point = bare(self.names.head(db, collection, None), payload);
        self.remote.insert(&physical, vec![point]).await.map_err(|e| self.remote.error(e))?;
        // Another process may have been faster; its head stays.
        Ok(self.open(db, collection).await?.head.schema)
    }

    /// The heads of a database, read or not.
    pub(super) async fn heads(&self, db: &DatabaseName) -> Result<Vec<Listed>, StoreError> {
        let error = |e| self.remote.error(e);
        let mut found = Vec::new();
        let scope = Scoped::heads(&self.names.heads(db));
        let physicals = self.remote.list().await.map_err(error)?;
        for physical in physicals.into_iter().filter(|physical| self.names.may_hold(db, physical)) {
            let points = match self.remote.all(&physical, &scope, HEAD_FIELDS, HEADS_PAGE).await {
                // It was dropped since it was listed.
                Err(Failure::Missing(_)) => continue,
                points => points.map_err(error)?,
            };
            for point in points {
                let fields = Fields(&point.payload);
                found.push(Listed {
                    physical: physical.clone(),
                    name: fields.text(NAME).and_then(|name| CollectionName::new(name).ok()),
                    is_aside: fields.number(ASIDE).is_some(),
                    tenant: fields.owned(field::TENANT),
                });
            }
        }
        Ok(found)
    }

    /// Moves the head to the first free number, and so the collection with it, as its points
    /// are told by its life. Nothing in the head is taken for granted. Returns where it is now;
    /// `None` where there is none.
    pub(super) async fn set_aside(
        &self,
        db: &DatabaseName,
        collection: &CollectionName,
    ) -> Result<Option<String>, StoreError> {
        let error = |e| self.remote.error(e);
        let id = self.names.head(db, collection, None);
        for physical in self.names.candidates(db, collection) {
            let found = self.remote.get(&physical, vec![id.clone()], With::Payload).await.map_err(error)?;
            let Some(head) = found.into_iter().next() else { continue };
            for n in 1.. {
                let to = self.names.head(db, collection, Some(n));
                let mut payload = head.payload.clone();
                payload.insert(ASIDE.to_owned(), number(n));
                let taken =
                    self.remote.get(&physical, vec![to.clone()], With::Payload).await.map_err(error)?;
                // A move that was cut short is taken up again.
                if taken.iter().any(|other| other.payload != payload) {
                    continue;
                }
                self.remote.insert(&physical, vec![bare(to, payload)]).await.map_err(error)?;
                self.remote.delete(&physical, &Scoped::head(id)).await.map_err(error)?;
                return Ok(Some(format!("{collection}.aside-{n} in {physical} of {}", self.remote.url())));
            }
        }
        Ok(None)
    }

    /// Removes the collection: first its head, and with that all of it; then its points, and
    /// the physical collection if no other is in it.
    pub(super) async fn remove(&self, opened: &Opened) -> Result<(), StoreError> {
        let error = |e| self.remote.error(e);
        let scope = of_life(Scoped::head(opened.id.clone()), &opened.head.life);
        self.remote.delete(&opened.physical, &scope).await.map_err(error)?;
        if self.names.layout == Layout::Collection && self.is_empty(&opened.physical).await? {
            return self.remote.drop(&opened.physical).await.map_err(error);
        }
        self.remote.delete(&opened.physical, &Scoped::life(&opened.tenant)).await.map_err(error)
    }

    /// Whether a physical collection has no head of any database or layout.
    async fn is_empty(&self, physical: &str) -> Result<bool, StoreError> {
        let heads = self.remote.count(physical, &Scoped::any_head()).await;
        Ok(heads.map_err(|e| self.remote.error(e))? == 0)
    }

    /// Removes all collections of a database, set aside or not.
    pub(super) async fn remove_all(&self, db: &DatabaseName) -> Result<(), StoreError> {
        let error = |e| self.remote.error(e);
        let listed = self.heads(db).await?;
        let physicals = self.remote.list().await.map_err(error)?;
        // Those without a head too: in the shared layout they stay when their last one goes.
        for physical in physicals.iter().filter(|physical| self.names.may_hold(db, physical)) {
            self.remote.delete(physical, &Scoped::heads(&self.names.heads(db))).await.map_err(error)?;
            if self.is_empty(physical).await? {
                self.remote.drop(physical).await.map_err(error)?;
                continue;
            }
            let of_it = listed.iter().filter(|head| head.physical == *physical);
            for tenant in of_it.filter_map(|head| head.tenant.as_deref()) {
                self.remote.delete(physical, &Scoped::life(tenant)).await.map_err(error)?;
            }
        }
        Ok(())
    }
}

/// A point without vectors.
pub(super) fn bare(id: PointId, payload: Payload) -> PointStruct {
    let vectors = Some(VectorsOptions::Vectors(NamedVectors::default()));
    PointStruct { id: Some(id), payload, vectors: Some(Vectors { vectors_options: vectors }) }
}
