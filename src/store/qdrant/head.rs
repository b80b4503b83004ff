//! The head of a collection: one point that says what the collection is, which generation of
//! its points is the state of now, and who writes. Setting its fields, under the condition
//! that they are what was read, is the one atomic step of every batch.
//!
//! Formats: 1, the first; 2, each model's vectors have a name of their own.

use std::path::PathBuf;

use qdrant_client::qdrant::{Condition, Value};

use super::fields::{Fields, list, nothing, number, payload, text};
use super::remote::Payload;
use super::scope::{Scoped, field, role};
use crate::embed::Leg;
use crate::id::{CollectionName, DatabaseName, Fingerprint, decode_hex, encode_hex};
use crate::store::{CollectionKind, Legs, Schema, StoreError};

/// The format that this version writes; of everything that belongs to the collection.
const FORMAT: u32 = 2;

/// Who may write, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lease {
    /// The one attempt to write; drawn anew for each.
    pub(super) attempt: String,
    /// The store that makes it.
    pub(super) store: String,
    /// Milliseconds since the epoch.
    pub(super) until: u64,
    /// Machine and process of the store.
    pub(super) host: String,
    pub(super) pid: u32,
}

/// A head as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) life: String,
    pub(super) schema: Schema,
    pub(super) state: Option<String>,
    /// The state of now, and the one before.
    pub(super) generation: u64,
    pub(super) previous: u64,
    /// The greatest number that any attempt to write took.
    pub(super) claimed: u64,
    /// Numbers of attempts that came to nothing. What bears them is not there.
    pub(super) aborted: Vec<u64>,
    /// Counts batches that brought vectors.
    pub(super) vectors: u64,
    /// The attempt that was last to set the state.
    pub(super) commit: String,
    pub(super) lease: Option<Lease>,
}

mod name {
    pub(super) const FORMAT: &str = "format";
    pub(super) const LIFE: &str = "life";
    pub(super) const SOURCE: &str = "source";
    pub(super) const LEGS: [(&str, &str); 2] =
        [("text_fingerprint", "text_dimension"), ("code_fingerprint", "code_dimension")];
    pub(super) const STATE: &str = "state";
    pub(super) const GENERATION: &str = "generation";
    pub(super) const PREVIOUS: &str = "previous";
    pub(super) const CLAIMED: &str = "claimed";
    pub(super) const ABORTED: &str = "aborted";
    pub(super) const VECTORS: &str = "vectors";
    pub(super) const COMMIT: &str = "commit";
    pub(super) const LEASE_ATTEMPT: &str = "lease_attempt";
    pub(super) const LEASE_STORE: &str = "lease_store";
    pub(super) const LEASE_UNTIL: &str = "lease_until";
    pub(super) const LEASE_HOST: &str = "lease_host";
    pub(super) const LEASE_PID: &str = "lease_pid";
}

/// Fields by which a head is listed.
pub(super) const NAME: &str = "name";
pub(super) const ASIDE: &str = "aside";

/// Whose head it is.
pub(super) struct Owner<'a> {
    pub(super) db: &'a DatabaseName,
    pub(super) collection: &'a CollectionName,
    /// Keyword of all heads of the database.
    pub(super) heads: String,
    pub(super) tenant: String,
}

impl Head {
    /// The head of a collection that is empty.
    pub(super) fn new(life: String, schema: &Schema) -> Head {
        Head {
            life,
            schema: schema.clone(),
            state: None,
            generation: 0,
            previous: 0,
            claimed: 0,
            aborted: Vec::new(),
            vectors: 0,
            commit: String::new(),
            lease: None,
        }
    }

    pub(super) fn encode(&self, owner: &Owner<'_>) -> Payload {
        let mut fields = payload([
            (field::ROLE, text(role::HEAD)),
            (field::TENANT, text(&owner.tenant)),
            (field::HEADS, text(&owner.heads)),
            ("database", text(owner.db.as_str())),
            (NAME, text(owner.collection.as_str())),
            (name::FORMAT, number(FORMAT.into())),
            (name::LIFE, text(&self.life)),
            (field::KIND, text(self.schema.kind.name())),
            (name::SOURCE, text(encode_hex(&self.schema.source))),
            (name::GENERATION, number(self.generation)),
            (name::PREVIOUS, number(self.previous)),
            (name::CLAIMED, number(self.claimed)),
            (name::ABORTED, list(self.aborted.iter().map(|n| number(*n)))),
            (name::VECTORS, number(self.vectors)),
            (name::COMMIT, text(&self.commit)),
        ]);
        fields.extend(self.state.as_ref().map(|state| (name::STATE.to_owned(), text(state))));
        fields.extend(leg_fields(&self.schema.legs));
        fields.extend(payload(lease_fields(self.lease.as_ref())));
        fields
    }

    /// Reads a head; `subject` is what it is called in errors.
    pub(super) fn decode(fields: &Payload, subject: &str) -> Result<Head, StoreError> {
        let fields = Fields(fields);
        let path = PathBuf::from(subject);
        let found = fields.number_u32(name::FORMAT);
        let found = found.ok_or_else(|| StoreError::corrupt(&path, "its head names no format"))?;
        if found > FORMAT {
            return Err(StoreError::NewerFormat { path, found, supported: FORMAT });
        }
        if found < FORMAT {
            let detail = format!("format {found}, which this version reads no more");
            return Err(StoreError::corrupt(&path, detail));
        }
        read(fields)
            .ok_or_else(|| StoreError::corrupt(&path, "a field of its head is missing or not as written"))
    }

    /// Confines to this head as it was read: nobody else took or gave the right to write.
    pub(super) fn unchanged(&self, scope: Scoped) -> Scoped {
        let (attempt, until) =
            self.lease.as_ref().map_or(("", 0), |lease| (lease.attempt.as_str(), lease.until));
        scope
            .and(Condition::matches(name::CLAIMED, self.claimed as i64))
            .and(Condition::matches(name::COMMIT, self.commit.clone()))
            .and(Condition::matches(name::LEASE_ATTEMPT, attempt.to_owned()))
            .and(Condition::matches(name::LEASE_UNTIL, until as i64))
    }

    /// What taking the right to write changes: the number claimed is the next one, and if the
    /// last attempt did not end, its number is none any more.
    pub(super) fn taking(&self, lease: &Lease) -> Payload {
        let mut aborted = self.aborted.clone();
        if self.lease.is_some() {
            aborted.push(self.claimed);
        }
        let mut fields = payload(lease_fields(Some(lease)));
        fields.extend(payload([
            (name::CLAIMED, number(self.claimed + 1)),
            (name::ABORTED, list(aborted.into_iter().map(number))),
        ]));
        fields
    }

    /// What the commit of `next` changes, which also gives the right to write back.
    pub(super) fn committing(next: &Head) -> Payload {
        let mut fields = payload(lease_fields(None));
        fields.extend(payload([
            (name::GENERATION, number(next.generation)),
            (name::PREVIOUS, number(next.previous)),
            (name::ABORTED, list(next.aborted.iter().map(|n| number(*n)))),
            (name::VECTORS, number(next.vectors)),
            (name::COMMIT, text(&next.commit)),
        ]));
        fields.extend(next.state.as_ref().map(|state| (name::STATE.to_owned(), text(state))));
        fields.extend(leg_fields(&next.schema.legs));
        fields
    }
}

/// The legs; nothing where one is off, as it may have been on.
fn leg_fields(legs: &Legs) -> Payload {
    let of_leg = |((fingerprint, dimension), leg): (_, &Option<(Fingerprint, usize)>)| match leg {
        Some((model, size)) => [(fingerprint, text(&model.0)), (dimension, number(*size as u64))],
        None => [(fingerprint, nothing()), (dimension, nothing())],
    };
    payload(name::LEGS.into_iter().zip(legs).flat_map(of_leg))
}

/// What staying for longer changes.
pub(super) fn renewing(until: u64) -> Payload {
    payload([(name::LEASE_UNTIL, number(until))])
}

/// Confines to a head in which an attempt has the right to write.
pub(super) fn held_by(scope: Scoped, attempt: &str) -> Scoped {
    scope.and(Condition::matches(name::LEASE_ATTEMPT, attempt.to_owned()))
}

/// Confines to the head of one life.
pub(super) fn of_life(scope: Scoped, life: &str) -> Scoped {
    scope.and(Condition::matches(name::LIFE, life.to_owned()))
}

fn lease_fields(lease: Option<&Lease>) -> [(&'static str, Value); 5] {
    let (attempt, store, until, host, pid) = match lease {
        None => ("", "", 0, "", 0),
        Some(lease) => (&*lease.attempt, &*lease.store, lease.until, &*lease.host, lease.pid),
    };
    [
        (name::LEASE_ATTEMPT, text(attempt)),
        (name::LEASE_STORE, text(store)),
        (name::LEASE_UNTIL, number(until)),
        (name::LEASE_HOST, text(host)),
        (name::LEASE_PID, number(pid.into())),
    ]
}

fn read(fields: Fields<'_>) -> Option<Head> {
    let attempt = fields.text(name::LEASE_ATTEMPT)?;
    let lease = Lease {
        attempt: attempt.to_owned(),
        store: fields.owned(name::LEASE_STORE)?,
        until: fields.number(name::LEASE_UNTIL)?,
        host: fields.owned(name::LEASE_HOST)?,
        pid: fields.number_u32(name::LEASE_PID)?,
    };
    let mut legs = [None, None];
    for leg in Leg::ALL {
        let (fingerprint, dimension) = name::LEGS[leg.index()];
        legs[leg.index()] = fields.option(fingerprint, |f| {
            Some((Fingerprint(f.owned(fingerprint)?), usize::try_from(f.number(dimension)?).ok()?))
        })?;
    }
    Some(Head {
        life: fields.owned(name::LIFE)?,
        schema: Schema {
            kind: CollectionKind::from_name(fields.text(field::KIND)?)?,
            legs,
            source: decode_hex(fields.text(name::SOURCE)?)?,
        },
        state: fields.option(name::STATE, |f| f.owned(name::STATE))?,
        generation: fields.number(name::GENERATION)?,
        previous: fields.number(name::PREVIOUS)?,
        claimed: fields.number(name::CLAIMED)?,
        aborted: fields.numbers(name::ABORTED)?,
        vectors: fields.number(name::VECTORS)?,
        commit: fields.owned(name::COMMIT)?,
        lease: (!attempt.is_empty()).then_some(lease),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Payload, Head) {
        let schema = Schema {
            kind: CollectionKind::Checkpoints,
            legs: [None, Some((Fingerprint("model@1".to_owned()), 8))],
            source: b"/src/d\xe9mo".to_vec(),
        };
        let lease = Lease {
            attempt: "a".to_owned(),
            store: "s".to_owned(),
            until: 12,
            host: "host".to_owned(),
            pid: 7,
        };
        let head = Head {
            state: Some("{}".to_owned()),
            generation: 5,
            previous: 3,
            claimed: 6,
            aborted: vec![1, 4],
            vectors: 9,
            commit: "c".to_owned(),
            lease: Some(lease),
            ..Head::new("life".to_owned(), &schema)
        };
        let (db, collection) = (DatabaseName::new("d").unwrap(), CollectionName::new("c").unwrap());
        let owner =
            Owner { db: &db, collection: &collection, heads: "h".to_owned(), tenant: "d/c/life".to_owned() };
        (head.encode(&owner), head)
    }

    #[test]
    fn heads_round_trip_and_what_is_missing_is_damage() {
        let (fields, head) = sample();
        assert_eq!(Head::decode(&fields, "x").unwrap(), head);
        for absent in ["format", "life", "kind", "generation", "aborted", "text_dimension", "code_dimension"]
        {
            let mut damaged = fields.clone();
            let was_there = damaged.remove(absent).is_some_and(|value| value != nothing());
            assert_eq!(Head::decode(&damaged, "x").is_err(), was_there, "{absent}");
        }
        let mut older = fields.clone();
        older.insert("format".to_owned(), number(1));
        assert!(matches!(Head::decode(&older, "x"), Err(StoreError::Corrupt { .. })));
        let mut newer = fields;
        newer.insert("format".to_owned(), number(3));
        let error = Head::decode(&newer, "qdrant collection x").unwrap_err();
        assert!(matches!(error, StoreError::NewerFormat { found: 3, supported: 2, .. }), "{error}");
    }

    #[test]
    fn an_attempt_that_did_not_end_is_aborted_by_the_next() {
        let (mut fields, head) = sample();
        let lease = Lease { attempt: "b".to_owned(), ..head.lease.clone().unwrap() };
        fields.extend(head.taking(&lease));
        let taken = Head::decode(&fields, "x").unwrap();
        assert_eq!((taken.claimed, taken.aborted.clone()), (7, vec![1, 4, 6]));
        assert_eq!((taken.generation, taken.lease.clone()), (5, Some(lease.clone())));
        let legs = [Some((Fingerprint("model@2".to_owned()), 9)), None];
        let schema = Schema { legs, ..taken.schema.clone() };
        let next = Head { generation: 7, previous: 5, commit: "b".to_owned(), lease: None, schema, ..taken };
        fields.extend(Head::committing(&next));
        assert_eq!(Head::decode(&fields, "x").unwrap(), next);
        fields.extend(next.taking(&lease));
        assert_eq!(Head::decode(&fields, "x").unwrap().aborted, [1, 4, 6]);
    }
}
