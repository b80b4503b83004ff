//! The list of databases: a physical collection without vectors, a point for each.
//!
//! Qdrant has no databases. A database is what this list says it is, and the collections
//! whose heads name it.

use std::path::Path;

use super::Core;
use super::failure::Failure;
use super::fields::{Fields, number, payload, text};
use super::names::database_id;
use super::physical;
use super::place::bare;
use super::remote::{Payload, With};
use super::scope::{Scoped, field};
use crate::id::{CollectionName, DatabaseName, decode_hex, encode_hex};
use crate::store::{DatabaseInfo, DatabaseKind, StoreError};

/// Formats: 1, the first.
const FORMAT: u32 = 1;
const PAGE: usize = 1000;

impl Core {
    pub(super) async fn databases(&self) -> Result<Vec<DatabaseName>, StoreError> {
        let registry = self.places.names.databases();
        let found =
            self.places.remote.all(&registry, &Scoped::databases(), With::Fields(&["name"]), PAGE).await;
        let points = match found {
            // Nothing was ever created.
            Err(Failure::Missing(_)) => return Ok(Vec::new()),
            found => found.map_err(|e| self.error(e))?,
        };
        let name = |fields: Fields<'_>| fields.text("name").and_then(|name| DatabaseName::new(name).ok());
        let mut names: Vec<DatabaseName> =
            points.iter().filter_map(|point| name(Fields(&point.payload))).collect();
        names.sort_unstable();
        Ok(names)
    }

    pub(super) async fn create_database(
        &self,
        db: &DatabaseName,
        info: &DatabaseInfo,
    ) -> Result<(), StoreError> {
        let stored = match self.find_database(db).await? {
            Some(stored) => stored,
            None => {
                let (remote, registry) = (&self.places.remote, self.places.names.databases());
                let creation = physical::registry(&self.places.options, &registry);
                remote.create(creation).await.map_err(|e| self.error(e))?;
                let point = bare(database_id(db), encode(db, info));
                remote.insert(&registry, vec![point]).await.map_err(|e| self.error(e))?;
                // Another process may have been faster; its point stays.
                self.database(db).await?
            }
        };
        if (stored.kind, &stored.source) == (info.kind, &info.source) {
            return Ok(());
        }
        Err(StoreError::DatabaseCollision {
            database: db.clone(),
            stored: stored.subject(),
            wanted: info.subject(),
        })
    }

    pub(super) async fn database(&self, db: &DatabaseName) -> Result<DatabaseInfo, StoreError> {
        let found = self.find_database(db).await?;
        found.ok_or_else(|| StoreError::NoDatabase { database: db.clone() })
    }

    async fn find_database(&self, db: &DatabaseName) -> Result<Option<DatabaseInfo>, StoreError> {
        let registry = self.places.names.databases();
        let found = self.places.remote.get(&registry, vec![database_id(db)], With::Payload).await;
        let found = found.map_err(|e| self.error(e))?.into_iter().next();
        found.map(|point| decode(&point.payload, &format!("database {db} in {registry}"))).transpose()
    }

    /// Its collections first, so that what a cut leaves behind is still a database.
    pub(super) async fn drop_database(&self, db: &DatabaseName) -> Result<(), StoreError> {
        self.database(db).await?;
        for collection in self.collections(db).await? {
            self.drop_collection(db, &collection).await?;
        }
        self.places.remove_all(db).await?;
        let (remote, registry) = (&self.places.remote, self.places.names.databases());
        remote.delete(&registry, &Scoped::database(database_id(db))).await.map_err(|e| self.error(e))
    }

    pub(super) async fn collections(&self, db: &DatabaseName) -> Result<Vec<CollectionName>, StoreError> {
        let heads = self.places.heads(db).await?;
        let mut names: Vec<CollectionName> =
            heads.into_iter().filter(|head| !head.is_aside).filter_map(|head| head.name).collect();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    pub(super) async fn drop_collection(
        &self,
        db: &DatabaseName,
        collection: &CollectionName,
    ) -> Result<(), StoreError> {
        let (_turn, held) = self.exclusively(db, collection).await?;
        self.places.remove(&held.opened).await
    }

    /// What cannot be opened has no writer, and is moved all the same.
    pub(super) async fn set_aside(
        &self,
        db: &DatabaseName,
        collection: &CollectionName,
    ) -> Result<String, StoreError> {
        let _held = match self.exclusively(db, collection).await {
            Ok(held) => Some(held),
            Err(StoreError::Corrupt { .. } | StoreError::NewerFormat { .. }) => None,
            Err(error) => return Err(error),
        };
        let place = self.places.set_aside(db, collection).await?;
        place.ok_or_else(|| StoreError::NotFound { database: db.clone(), collection: collection.clone() })
    }
}

fn encode(db: &DatabaseName, info: &DatabaseInfo) -> Payload {
    payload([
        (field::ROLE, text("database")),
        ("format", number(FORMAT.into())),
        ("name", text(db.as_str())),
        (field::KIND, text(info.kind.name())),
        ("source", text(encode_hex(&info.source))),
        ("created_at", number(info.created_at)),
    ])
}

fn decode(fields: &Payload, subject: &str) -> Result<DatabaseInfo, StoreError> {
    let (fields, path) = (Fields(fields), Path::new(subject));
    let found = fields.number_u32("format");
    let found = found.ok_or_else(|| StoreError::corrupt(path, "it names no format"))?;
    if found > FORMAT {
        return Err(StoreError::NewerFormat { path: path.to_owned(), found, supported: FORMAT });
    }
    let read = || {
        Some(DatabaseInfo {
            kind: DatabaseKind::from_name(fields.text(field::KIND)?)?,
            source: decode_hex(fields.text("source")?)?,
            created_at: fields.number("created_at")?,
        })
    };
    read().ok_or_else(|| StoreError::corrupt(path, "a field is missing or not as written"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infos_round_trip_and_what_is_missing_is_damage() {
        let db = DatabaseName::new("project_x").unwrap();
        let info =
            DatabaseInfo { kind: DatabaseKind::Organisation, source: b"/\xff".to_vec(), created_at: 12 };
        let fields = encode(&db, &info);
        assert_eq!(decode(&fields, "x").unwrap(), info);
        for absent in ["format", "kind", "source", "created_at"] {
            let mut damaged = fields.clone();
            damaged.remove(absent);
            assert!(matches!(decode(&damaged, "x"), Err(StoreError::Corrupt { .. })), "{absent}");
        }
        let mut newer = fields;
        newer.insert("format".to_owned(), number(2));
        assert!(matches!(decode(&newer, "x"), Err(StoreError::NewerFormat { .. })));
    }
}
