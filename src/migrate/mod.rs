//! Moving collections from one store to another: everything that is in them, and proof of it.
//!
//! A transfer compares both sides, sends what is missing or different in batches of bounded
//! size, reads both sides again, and only then sets the target's state. Killed at any moment
//! it leaves a copy that nobody takes for an index, and the next one goes on with what is
//! missing. The source is only read. Must not know of providers, settings or files: it sees
//! two databases.

mod contents;
mod sending;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;

use contents::Contents;
use sending::Plan;

use crate::embed::Leg;
use crate::id::{CollectionName, ContentHash};
use crate::store::{Batch, CollectionKind, StoreError};
use crate::tenant::Database;

/// State of a copy that had one before and is being changed. It is no state of an index, so
/// that a run which meets it begins anew.
const UNFINISHED: &str = "{\"transfer\":\"unfinished\"}";

/// What became of the things of one sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sent, being missing or different.
    pub sent: u64,
    /// There already.
    pub kept: u64,
    /// Removed from the target, not being in the source.
    pub removed: u64,
}

/// What a transfer did, or would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transferred {
    /// Points.
    pub points: Counts,
    /// Vectors by leg, in the order of [`Leg::ALL`]; of those that points refer to.
    pub vectors: [Counts; Leg::ALL.len()],
    /// Manifest records.
    pub files: Counts,
    /// Bytes of points and vectors that were sent, about.
    pub bytes: u64,
    /// Of everything in the source but the vectors' values: points with their terms, manifest,
    /// keys of the vectors by leg, state. Equal on both sides once the transfer is done.
    pub digest: ContentHash,
}

/// What a transfer is doing. Whoever observes it may end it at any of these points with
/// `Break`: the next one goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Reading both sides.
    Comparing,
    /// Sending points and vectors.
    Points {
        /// Looked at.
        done: u64,
        /// Of so many.
        total: u64,
    },
    /// Sending the manifest.
    Files {
        /// Sent.
        done: u64,
        /// Of so many.
        total: u64,
    },
    /// Reading both sides again.
    Verifying,
}

/// Whom a transfer tells what it is doing.
pub type Observe<'a> = &'a mut dyn FnMut(Progress) -> ControlFlow<()>;

/// It could not be transferred. Nothing in the source was changed.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The source cannot be read.
    #[error("the source cannot be read: {0}")]
    Source(#[source] StoreError),
    /// The target cannot be read or written.
    #[error("the target cannot be used: {0}")]
    Target(#[source] StoreError),
    /// What is in the source is no whole index.
    #[error(
        "collection {0} is no finished index: bring it up to date with `indexer once`, \
         or finish the migration that made it"
    )]
    Unfinished(CollectionName),
    /// The target has memories that the source has not.
    #[error(
        "the target's collection {collection} has {points} memories that the source has not, \
         and nothing makes them again"
    )]
    TargetHasMore {
        /// The collection.
        collection: CollectionName,
        /// How many.
        points: u64,
    },
    /// Somebody wrote to the source meanwhile.
    #[error(
        "collection {0} was changed in the source while it was copied, and the copy is not \
         finished: migrate it again, and only the changes are sent"
    )]
    SourceChanged(CollectionName),
    /// What the target gives back is not what was sent.
    #[error(
        "after everything was sent, collection {collection} is {target} in the target and \
         {source_digest} in the source: the copy is not finished; see whether somebody else writes \
         there, and migrate it again"
    )]
    Differs {
        /// The collection.
        collection: CollectionName,
        /// Digest of the source.
        source_digest: ContentHash,
        /// Digest of the target.
        target: ContentHash,
    },
    /// The observer ended it.
    #[error("collection {0} is not finished: migrate it again, and it goes on where it was")]
    Interrupted(CollectionName),
}

impl MigrateError {
    /// What to do about it, where the message does not say so.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            MigrateError::TargetHasMore { .. } => {
                Some("migrate them the other way first, or give them up with `--replace`")
            }
            MigrateError::Target(
                StoreError::Corrupt { .. }
                | StoreError::NewerFormat { .. }
                | StoreError::SchemaMismatch { .. }
                | StoreError::Collision { .. },
            ) => Some("`--replace` drops the target's collection first"),
            _ => None,
        }
    }
}

/// What [`transfer`] would do. `to` is `None` where there is no such database yet, or where
/// what it has of the collection is to be dropped first.
pub fn compare(
    from: &Database,
    to: Option<&Database>,
    collection: &CollectionName,
) -> Result<Transferred, MigrateError> {
    let source = read_source(from, collection)?;
    let target = match to.map(|to| Contents::of(to, collection)) {
        None | Some(Err(StoreError::NotFound { .. })) => Contents::empty(&source.schema),
        Some(read) => read.map_err(MigrateError::Target)?.with_legs(&source.schema.legs),
    };
    let plan = Plan::between(&source, &target);
    plan.check(collection, &source)?;
    Ok(plan.transferred(&source))
}

/// Makes the collection in `to` what it is in `from`. With `drop_first` whatever `to` had of
/// it is dropped, or set aside where it is damaged.
pub fn transfer(
    from: &Database,
    to: &Database,
    collection: &CollectionName,
    drop_first: bool,
    observe: Observe<'_>,
) -> Result<Transferred, MigrateError> {
    let mut tell = |progress| match observe(progress) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(MigrateError::Interrupted(collection.clone())),
    };
    tell(Progress::Comparing)?;
    let source = read_source(from, collection)?;
    if drop_first {
        remove(to, collection).map_err(MigrateError::Target)?;
    }
    to.create(collection, &source.schema).map_err(MigrateError::Target)?;
    let target = Contents::of(to, collection).map_err(MigrateError::Target)?;
    let other_legs = (target.schema.legs != source.schema.legs).then(|| source.schema.legs.clone());
    let target = target.with_legs(&source.schema.legs);
    let mut plan = Plan::between(&source, &target);
    plan.check(collection, &source)?;
    let mut transferred = plan.transferred(&source);
    if plan.is_empty() && other_legs.is_none() && source.state == target.state {
        return Ok(transferred);
    }
    let state = target.state.is_some_and(|state| state != UNFINISHED).then(|| UNFINISHED.to_owned());
    let first = Batch { state, legs: other_legs, ..Batch::default() };
    to.apply(collection, first).map_err(MigrateError::Target)?;
    transferred.bytes = plan.send(from, to, collection, &source, &mut tell)?;

    tell(Progress::Verifying)?;
    let read = Contents::of(from, collection).map_err(MigrateError::Source)?;
    if read != source {
        return Err(MigrateError::SourceChanged(collection.clone()));
    }
    let mut written = Contents::of(to, collection).map_err(MigrateError::Target)?;
    written.state.clone_from(&source.state);
    if written != source {
        return Err(MigrateError::Differs {
            collection: collection.clone(),
            source_digest: source.digest(),
            target: written.digest(),
        });
    }
    if source.state.is_some() {
        let last = Batch { state: source.state.clone(), ..Batch::default() };
        to.apply(collection, last).map_err(MigrateError::Target)?;
    }
    Ok(transferred)
}

fn read_source(from: &Database, collection: &CollectionName) -> Result<Contents, MigrateError> {
    let source = Contents::of(from, collection).map_err(MigrateError::Source)?;
    let is_index = source.schema.kind == CollectionKind::Codebase;
    match source.state.as_deref() {
        None if is_index => Err(MigrateError::Unfinished(collection.clone())),
        Some(UNFINISHED) => Err(MigrateError::Unfinished(collection.clone())),
        _ => Ok(source),
    }
}

/// Removes a collection, whatever it is.
fn remove(database: &Database, collection: &CollectionName) -> Result<(), StoreError> {
    match database.drop_collection(collection) {
        Err(StoreError::NotFound { .. }) => Ok(()),
        Err(StoreError::Corrupt { .. } | StoreError::NewerFormat { .. }) => {
            let place = database.set_aside(collection)?;
            tracing::warn!(place, "what could not be opened was moved aside");
            Ok(())
        }
        dropped => dropped,
    }
}
