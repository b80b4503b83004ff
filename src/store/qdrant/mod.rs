//! The Qdrant provider: collections on a server, for many machines.
//!
//! Three kinds of points lie in a physical collection. A *chunk* has the fields of a
//! [`Point`], a dense vector for each leg and the sparse vector of BM25. A *file* is a record
//! of the manifest. A *head*, one for each logical collection, says what the collection is,
//! what its state is and who writes it; setting it is the one atomic point (`head`).
//!
//! Qdrant applies each request for itself, so a batch of many is made atomic here, by
//! generations: every chunk and record bears the numbers of the states from which and until
//! which it is there, and readers ask for what is there in the state that the head names
//! (`writer`, `reader`). Numbers are drawn anew for every attempt, so that neither a
//! writer that died nor a request that is executed late ever shows.
//!
//! What belongs together is told by a tenant keyword alone, in both layouts (`names`,
//! `scope`). Scores of BM25 are another function than the embedded provider's (`terms`):
//! ranks may be compared between providers, scores may not.
//!
//! How durable an acknowledged write is, the server decides: it is in its write-ahead log,
//! which survives the death of the process; for the loss of power, see its `wal` settings and
//! keep copies.

mod background;
mod cache;
mod calls;
mod databases;
mod failure;
mod fields;
mod head;
mod keyword;
mod lease;
mod names;
mod options;
mod physical;
mod place;
mod points;
mod reader;
mod remote;
mod retry;
mod scope;
mod search;
mod terms;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::HashSet;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;

pub use self::options::{ApiKey, Layout, QdrantOptions};

use self::background::Background;
use self::cache::Cache;
use self::lease::Identity;
use self::place::Places;
use self::remote::Remote;
use self::writer::Writing;
use crate::embed::Leg;
use crate::id::{CollectionName, DatabaseName, VectorKey};
use crate::store::{
    Batch, DatabaseInfo, Filter, Point, Probe, Schema, Scored, Snapshot, Stats, Store, StoreError,
};

/// Collections on a Qdrant server.
pub struct QdrantStore {
    background: Background,
    core: Arc<Core>,
}

/// What the futures need.
struct Core {
    places: Places,
    identity: Identity,
    cache: Cache,
    writing: Writing,
}

impl QdrantStore {
    /// A store on the server that `options` name. Connects when it is first used.
    pub fn new(options: QdrantOptions) -> Result<QdrantStore, StoreError> {
        let background = Background::start().map_err(|e| StoreError::read(Path::new("threads"), e))?;
        let remote = background.enter(|| Remote::new(&options))?;
        let core = Core {
            identity: Identity::new(options.lease),
            places: Places::new(remote, options),
            cache: Cache::default(),
            writing: Writing::default(),
        };
        Ok(QdrantStore { background, core: Arc::new(core) })
    }

    /// The best `limit` chunks by the ranks of all term and vector probes, as the server fuses
    /// them (RRF, constant 60) from the best `depth` of each. To compare with; answers are
    /// fused from [`Store::search`], so that every provider merges alike.
    pub fn hybrid(
        &self,
        db: &DatabaseName,
        collection: &CollectionName,
        probes: &[Probe],
        filter: &Filter,
        limit: usize,
        depth: usize,
    ) -> Result<Vec<Scored>, StoreError> {
        let (probes, filter) = (probes.to_vec(), filter.clone());
        self.on(db, collection, move |core, db, collection| async move {
            let read = |opened| -> reader::Reading<'_, _> {
                Box::pin(core.hybrid(opened, &probes, &filter, limit, depth))
            };
            core.on_one_state(&db, &collection, read).await
        })
    }

    /// Names of all physical collections of the server, of whatever program.
    pub fn physical_collections(&self) -> Result<Vec<String>, StoreError> {
        self.run(|core| async move {
            let remote = &core.places.remote;
            remote.list().await.map_err(|failure| remote.error(failure))
        })
    }

    /// Names of the physical collections that a tenant of this database works on: what a token
    /// of its own has to name.
    pub fn physical_collections_of(&self, db: &DatabaseName) -> Result<Vec<String>, StoreError> {
        let (db, all) = (db.clone(), self.physical_collections()?);
        let names = &self.core.places.names;
        Ok(all.into_iter().filter(|physical| names.may_hold(&db, physical)).collect())
    }

    /// Name of the physical collection in which the databases are listed.
    pub fn registry(&self) -> String {
        self.core.places.names.databases()
    }

    /// Runs a future of the core to its end.
    fn run<T, F>(&self, make: impl FnOnce(Arc<Core>) -> F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let core = Arc::clone(&self.core);
        let url = core.places.remote.url().to_owned();
        let ended = self.background.wait(make(core));
        ended.unwrap_or_else(|| Err(StoreError::Remote { url, reason: "the client panicked".to_owned() }))
    }

    /// The same, on one collection.
    fn on<T, F>(
        &self,
        db: &DatabaseName,
        collection: &CollectionName,
        make: impl FnOnce(Arc<Core>, DatabaseName, CollectionName) -> F,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let (db, collection) = (db.clone(), collection.clone());
        self.run(move |core| make(core, db, collection))
    }
}

impl Store for QdrantStore {
    fn databases(&self) -> Result<Vec<DatabaseName>, StoreError> {
        self.run(|core| async move { core.databases().await })
    }

    fn create_database(&self, db: &DatabaseName, info: &DatabaseInfo) -> Result<(), StoreError> {
        let (db, info) = (db.clone(), info.clone());
        self.run(|core| async move { core.create_database(&db, &info).await })
    }

    fn database(&self, db: &DatabaseName) -> Result<DatabaseInfo, StoreError> {
        let db = db.clone();
        self.run(|core| async move { core.database(&db).await })
    }

    fn drop_database(&self, db: &DatabaseName) -> Result<(), StoreError> {
        let db = db.clone();
        self.run(|core| async move { core.drop_database(&db).await })
    }

    fn collections(&self, db: &DatabaseName) -> Result<Vec<CollectionName>, StoreError> {
        let db = db.clone();
        self.run(|core| async move { core.collections(&db).await })
    }

    fn create(
        &self,
        db: &DatabaseName,
        collection: &CollectionName,
        schema: &Schema,
    ) -> Result<(), StoreError> {
        let wanted = schema.clone();
        let stored = self.on(db, collection, |core, db, collection| async move {
            core.places.create(&db, &collection, &wanted).await
        })?;
        stored.check(collection, schema)
    }

    fn schema(&self, db: &DatabaseName, collection: &CollectionName) -> Result<Schema, StoreError> {
        self.on(db, collection, |core, db, collection| async move {
            Ok(core.places.open(&db, &collection).await?.head.schema)
        })
    }

    fn drop_collection(&self, db: &DatabaseName, collection: &CollectionName) -> Result<(), StoreError> {
        self.on(
            db,
            collection,
            |core, db, collection| async move { core.drop_collection(&db, &collection).await },
        )
    }

    fn set_aside(&self, db: &DatabaseName, collection: &CollectionName) -> Result<String, StoreError> {
        self.on(db, collection, |core, db, collection| async move { core.set_aside(&db, &collection).await })
    }

    fn snapshot(&self, db: &DatabaseName, collection: &CollectionName) -> Result<Snapshot, StoreError> {
        self.on(db, collection, |core, db, collection| async move {
            let read = |opened| -> reader::Reading<'_, _> { Box::pin(core.snapshot(opened)) };
            core.on_one_state(&db, &collection, read).await
        })
    }

    fn apply(&self, db: &DatabaseName, collection: &CollectionName, batch: Batch) -> Result<(), StoreError> {
        self.on(
            db,
            collection,
            |core, db, collection| async move { core.apply(&db, &collection, batch).await },
        )
    }

    fn vector_keys(
        &self,
        db: &DatabaseName,
        collection: &CollectionName,
        leg: Leg,
    ) -> Result<Arc<HashSet<VectorKey>>, StoreError> {
        self.on(db, collection, move |core, db, collection| async move {
            let read = |opened| -> reader::Reading<'_, _> {
                let core = &core;
                Box::pin(async move { Ok(core.keys(&opened, leg).await?.present()) })
            };
            core.on_one_state(&db, &collection, read).await
        })
    }

    fn vectors(
        &self,
        db: &DatabaseName,
        collection: &CollectionName,
        leg: Leg,
        keys: &[VectorKey],
    ) -> Result<Vec<(VectorKey, Vec<f32>)>, StoreError> {
        let keys = keys.to_vec();
        self.on(db, collection, move |core, db, collection| async move {
            let read = |opened| -> reader::Reading<'_, _> { Box::pin(core.vectors(opened, leg, &keys)) };
            core.on_one_state(&db, &collection, read).await
        })
    }

    fn search(
        &self,
        db: &DatabaseName,
        collection: &CollectionName,
        probes: &[Probe],
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<Vec<Scored>>, StoreError> {
        let (probes, filter) = (probes.to_vec(), filter.clone());
        self.on(db, collection, move |core, db, collection| async move {
            let read =
                |opened| -> reader::Reading<'_, _> { Box::pin(core.search(opened, &probes, &filter, limit)) };
            core.on_one_state(&db, &collection, read).await
        })
    }

    fn scan(
        &self,
        db: &DatabaseName,
        collection: &CollectionName,
        visit: &mut dyn FnMut(Point),
    ) -> Result<(), StoreError> {
        let (opened, pages) = self.on(db, collection, |core, db, collection| async move {
            let read = |opened| -> reader::Reading<'_, _> { Box::pin(core.chunk_pages(opened)) };
            core.on_one_state(&db, &collection, read).await
        })?;
        for page in pages {
            let opened = opened.clone();
            let chunks = self.run(|core| async move { core.page(&opened, page).await })?;
            chunks.into_iter().for_each(&mut *visit);
        }
        Ok(())
    }

    fn check(&self, db: &DatabaseName, collection: &CollectionName) -> Result<Vec<String>, StoreError> {
        let checked = self.on(db, collection, |core, db, collection| async move {
            let read = |opened| -> reader::Reading<'_, _> { Box::pin(core.check(opened)) };
            core.on_one_state(&db, &collection, read).await
        });
        match checked {
            Err(error @ StoreError::Corrupt { .. }) => Ok(vec![error.to_string()]),
            checked => checked,
        }
    }

    fn stats(&self, db: &DatabaseName, collection: &CollectionName) -> Result<Stats, StoreError> {
        self.on(db, collection, |core, db, collection| async move {
            let read = |opened| -> reader::Reading<'_, _> { Box::pin(core.stats(opened)) };
            core.on_one_state(&db, &collection, read).await
        })
    }
}
