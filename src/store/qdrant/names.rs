//! Names and ids on the server, made from the store's own. Pure.
//!
//! `<prefix>databases` has a point for each database. In layout `collection`, collection C of
//! database D is in `<prefix>D__C`; in layout `shared`, in `<prefix>D__<kind>`. Two logical
//! names may give one physical name (`a` and `b__c`, `a__b` and `c`): that is why what a point
//! belongs to is never told by where it lies, but by its tenant keyword, `D/C/<life>`. A *life*
//! is a random number drawn when the collection is created, so that nothing of a former
//! collection of the name, nor a late write to it, ever shows in the next.

use qdrant_client::qdrant::PointId as RemoteId;
use qdrant_client::qdrant::point_id::PointIdOptions;

use super::options::Layout;
use super::remote::luck;
use crate::embed::Leg;
use crate::id::{CollectionName, DatabaseName, PointId, encode_hex};
use crate::path::RepoPath;
use crate::store::{CollectionKind, Legs};

/// What makes names: the prefix and the layout.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) prefix: String,
    pub(super) layout: Layout,
}

impl Names {
    /// Where the databases are listed.
    pub(super) fn databases(&self) -> String {
        format!("{}databases", self.prefix)
    }

    /// Where a collection lies.
    pub(super) fn physical(
        &self,
        db: &DatabaseName,
        collection: &CollectionName,
        kind: CollectionKind,
    ) -> String {
        match self.layout {
            Layout::Collection => format!("{}{db}__{collection}", self.prefix),
            Layout::Shared => format!("{}{db}__{}", self.prefix, kind.name()),
        }
    }

    /// Where a collection may lie whose kind is not known, likeliest first.
    pub(super) fn candidates(&self, db: &DatabaseName, collection: &CollectionName) -> Vec<String> {
        match self.layout {
            Layout::Collection => vec![self.physical(db, collection, CollectionKind::Codebase)],
            Layout::Shared => CollectionKind::ALL.map(|kind| self.physical(db, collection, kind)).to_vec(),
        }
    }

    /// Whether a physical collection may hold collections of a database.
    pub(super) fn may_hold(&self, db: &DatabaseName, physical: &str) -> bool {
        let rest = physical.strip_prefix(&format!("{}{db}__", self.prefix));
        match self.layout {
            Layout::Collection => rest.is_some_and(|rest| CollectionName::new(rest).is_ok()),
            Layout::Shared => rest.is_some_and(|rest| CollectionKind::from_name(rest).is_some()),
        }
    }

    /// Id of the head of a collection, or of the `aside`-th one of the name that was set aside.
    pub(super) fn head(
        &self,
        db: &DatabaseName,
        collection: &CollectionName,
        aside: Option<u64>,
    ) -> RemoteId {
        let aside = aside.map(|n| n.to_string()).unwrap_or_default();
        let layout = self.layout.name();
        remote_id(&uuid(&["head", layout, db.as_str(), collection.as_str(), &aside].map(str::as_bytes)))
    }

    /// Keyword of all heads of a database in this layout.
    pub(super) fn heads(&self, db: &DatabaseName) -> String {
        format!("{}:{db}", self.layout.name())
    }
}

/// Id of a database's point.
pub(super) fn database_id(db: &DatabaseName) -> RemoteId {
    remote_id(&uuid(&[b"database", db.as_str().as_bytes()]))
}

/// Name of the named vector of a leg; `None` where it is off. Another model's has another name,
/// so that it can be filled beside, and collections of different models lie beside each other.
pub(super) fn vector_name(leg: Leg, legs: &Legs) -> Option<String> {
    let (fingerprint, dimension) = legs[leg.index()].as_ref()?;
    let model = uuid(&[b"vector", fingerprint.0.as_bytes(), &dimension.to_le_bytes()]);
    Some(format!("{leg}_{}", encode_hex(&model.0[..4])))
}

/// The keyword that all points of one life of a collection have.
pub(super) fn tenant(db: &DatabaseName, collection: &CollectionName, life: &str) -> String {
    format!("{db}/{collection}/{life}")
}

/// Id of one version of a point: another one in each life and each generation.
pub(super) fn version_id(life: &str, role: &str, logical: &PointId, generation: u64) -> RemoteId {
    remote_id(&uuid(&[b"point", life.as_bytes(), role.as_bytes(), &logical.0, &generation.to_le_bytes()]))
}

/// Id of the record of a path, in the same field as those of chunks.
pub(super) fn file_id(path: &RepoPath) -> PointId {
    uuid(&[b"file", path.as_bytes()])
}

/// A number that no other has: a life, or an attempt to write.
pub(super) fn draw() -> String {
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let parts = [
        luck().to_le_bytes().as_slice(),
        &time.as_nanos().to_le_bytes(),
        &std::process::id().to_le_bytes(),
        &luck().to_le_bytes(),
    ]
    .concat();
    encode_hex(&blake3::hash(&parts).as_bytes()[..16])
}

/// A UUID from the hash of the parts and their lengths.
fn uuid(parts: &[&[u8]]) -> PointId {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut id = [0; 16];
    id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    id[6] = (id[6] & 0x0f) | 0x80;
    id[8] = (id[8] & 0x3f) | 0x80;
    PointId(id)
}

pub(super) fn remote_id(id: &PointId) -> RemoteId {
    RemoteId { point_id_options: Some(PointIdOptions::Uuid(id.to_string())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Fingerprint;

    #[test]
    fn equal_physical_names_are_of_different_tenants() {
        let names = Names { prefix: "p_".to_owned(), layout: Layout::Collection };
        let shared = Names { layout: Layout::Shared, ..names.clone() };
        let pair = |db: &str, collection: &str| {
            (DatabaseName::new(db).unwrap(), CollectionName::new(collection).unwrap())
        };
        let ((a, b), (c, d)) = (pair("a", "b__c"), pair("a__b", "c"));
        let kind = CollectionKind::Codebase;
        assert_eq!(names.physical(&a, &b, kind), "p_a__b__c");
        assert_eq!(names.physical(&a, &b, kind), names.physical(&c, &d, kind));
        assert_ne!(names.head(&a, &b, None), names.head(&c, &d, None));
        assert_ne!(names.head(&a, &b, None), names.head(&a, &b, Some(1)));
        assert_ne!(names.head(&a, &b, None), shared.head(&a, &b, None));
        assert_ne!(tenant(&a, &b, "x"), tenant(&c, &d, "x"));
        assert_eq!(shared.physical(&a, &b, CollectionKind::Remediations), "p_a__remediations");
        assert!(names.may_hold(&a, "p_a__b__c") && names.may_hold(&c, "p_a__b__c"));
        assert!(!names.may_hold(&a, "p_ab__c") && !names.may_hold(&a, "p_databases"));
        assert!(shared.may_hold(&a, "p_a__codebase") && !shared.may_hold(&a, "p_a__b"));
    }

    #[test]
    fn each_model_of_a_leg_has_a_vector_of_its_own() {
        let legs = |model: &str, dimension| [Some((Fingerprint(model.to_owned()), dimension)), None];
        let name = |model, dimension| vector_name(Leg::Text, &legs(model, dimension)).expect("a name");
        let base = name("m@1;8", 8);
        assert!(base.starts_with("text_") && base.len() == 13, "{base}");
        assert_eq!(base, name("m@1;8", 8));
        assert_ne!(base, name("m@2;8", 8));
        assert_ne!(base, name("m@1;8", 9));
        assert_eq!(vector_name(Leg::Code, &legs("m", 8)), None);
    }

    #[test]
    fn versions_have_ids_of_their_own() {
        let (one, two) = (PointId([1; 16]), PointId([2; 16]));
        let base = version_id("life", "chunk", &one, 1);
        for other in [
            version_id("life2", "chunk", &one, 1),
            version_id("life", "file", &one, 1),
            version_id("life", "chunk", &two, 1),
            version_id("life", "chunk", &one, 2),
        ] {
            assert_ne!(base, other);
        }
        assert_eq!(base, version_id("life", "chunk", &one, 1));
        assert_ne!(draw(), draw());
    }
}
