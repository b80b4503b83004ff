//! What agents keep between sessions: checkpoints of a project, and remediations of errors.
//!
//! A memory is one point: its text is the record as JSON (`stored`), its words, vector,
//! attributes and time come from the record (`draft`), and it is written under the lock of
//! its collection (`collection`). Checkpoints lie in the project's database, remediations
//! in the one that projects share. Every text is freed of secrets before anything else
//! sees it (`text`).
//!
//! Must not print, must not decide whose data it is, and must never lose a memory: a
//! memory cannot be made again from a worktree.

mod checkpoint;
mod collection;
mod draft;
mod error;
mod normalise;
mod reference;
mod remediation;
mod retrieve;
mod stored;
#[cfg(test)]
mod tests;
mod text;

pub use checkpoint::{
    Checkpoint, CheckpointHit, CheckpointView, Checkpoints, NewCheckpoint, Resumed, worktree_attribute,
};
pub use collection::{Model, Written};
pub use error::MemoryError;
pub use reference::{Place, Reference, ReferenceState};
pub use remediation::{NewRemediation, Remediation, RemediationHit, Remediations};
pub use retrieve::Answer;
pub use text::{MAX_CONTENT, MAX_SUMMARY};

/// Where a list goes on: after the memory of this time, in seconds since the epoch, and id.
pub type Cursor = (u64, crate::id::PointId);

/// Requires that all of these tags are there.
pub fn require_tags(filter: &mut crate::store::Filter, tags: &[String]) {
    filter.attributes.extend(tags.iter().map(|tag| (draft::tag_attribute(tag), vec!["1".to_owned()])));
}
