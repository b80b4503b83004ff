//! Memories: checkpoints and remediations, and the answers to questions about them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Head, LegReport, PathName, Place};
use crate::git;
use crate::memory::{self, ReferenceState};
use crate::search::LegName;

/// See [`memory::CheckpointView`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "the fields of the domain type, documented there")]
pub struct Checkpoint {
    pub id: String,
    pub summary: String,
    /// `None` in a list and among hits.
    pub content: Option<String>,
    pub content_bytes: usize,
    pub tags: Vec<String>,
    pub branch: Option<String>,
    pub commit: Option<String>,
    pub worktree: Place,
    pub session: Option<String>,
    pub created_at: u64,
    pub references: Vec<Reference>,
    /// HEAD of the worktree that was looked at.
    pub head: Head,
    pub same_branch: bool,
    pub same_commit: bool,
    pub looked_at: Place,
}

/// A place in the code, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reference {
    /// The file.
    #[serde(flatten)]
    pub path: PathName,
    /// First line at that time, from 1; `None` for the whole file.
    pub start_line: Option<u32>,
    /// Last line.
    pub end_line: Option<u32>,
    /// `unchanged`, `moved`, `changed` or `gone`.
    pub state: String,
    /// First and last line now, where it was found.
    pub now: Option<(u32, u32)>,
}

/// A checkpoint that answers a question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CheckpointHit {
    /// Comparable within one answer only.
    pub score: f32,
    /// Leg → rank there.
    pub legs: BTreeMap<String, u32>,
    /// The checkpoint.
    pub checkpoint: Checkpoint,
}

/// What an agent needs to go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Resumed {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// Commits that HEAD has and the checkpoint's commit has not; `None` where that is unknown.
    pub since: Option<Commits>,
    /// Commits that the checkpoint's commit has and HEAD has not.
    pub missing: Option<Commits>,
}

/// See [`git::Commits`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "the fields of the domain type, documented there")]
pub struct Commits {
    pub count: usize,
    pub more: bool,
    pub subjects: Vec<String>,
}

/// See [`memory::Remediation`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "the fields of the domain type, documented there")]
pub struct Remediation {
    pub id: String,
    pub error: String,
    pub solution: String,
    pub category: Option<String>,
    pub tags: Vec<String>,
    pub occurrences: u64,
    pub helpful: u64,
    pub unhelpful: u64,
    pub created_at: u64,
    pub last_seen: u64,
}

/// A remediation that answers a question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RemediationHit {
    /// Comparable within one answer only.
    pub score: f32,
    /// Leg → rank there.
    pub legs: BTreeMap<String, u32>,
    /// The remediation.
    pub remediation: Remediation,
}

/// Some of all that there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemoryList<T> {
    /// The newest.
    pub memories: Vec<T>,
    /// How many there are.
    pub total: usize,
}

/// An answer, best first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MemoryAnswer<T> {
    /// The hits.
    pub hits: Vec<T>,
    /// What became of each leg.
    pub legs: BTreeMap<String, LegReport>,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemoryWritten<T> {
    /// As it is kept.
    pub memory: T,
    /// Why it is found by its words alone for now; `None` where it is not.
    pub without_vector: Option<String>,
}

/// What was deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemoryDeleted {
    /// Ids.
    pub deleted: Vec<String>,
}

impl Checkpoint {
    /// The checkpoint without its content, of which only the size is told.
    pub fn brief(view: &memory::CheckpointView) -> Checkpoint {
        Checkpoint { content: None, ..view.into() }
    }
}

impl From<&memory::CheckpointView> for Checkpoint {
    fn from(view: &memory::CheckpointView) -> Checkpoint {
        let checkpoint = &view.checkpoint;
        let references = checkpoint.references.iter().zip(&view.states);
        Checkpoint {
            id: checkpoint.id.to_string(),
            summary: checkpoint.summary.clone(),
            content: Some(checkpoint.content.clone()),
            content_bytes: checkpoint.content.len(),
            tags: checkpoint.tags.clone(),
            branch: checkpoint.branch.clone(),
            commit: checkpoint.commit.clone(),
            worktree: checkpoint.worktree.as_path().into(),
            session: checkpoint.session.clone(),
            created_at: checkpoint.created_at,
            references: references.map(|(reference, state)| reference_of(reference, *state)).collect(),
            head: (&view.head).into(),
            same_branch: view.same_branch(),
            same_commit: view.same_commit(),
            looked_at: view.looked_at.as_path().into(),
        }
    }
}

fn reference_of(reference: &memory::Reference, state: ReferenceState) -> Reference {
    Reference {
        path: (&reference.path).into(),
        start_line: reference.lines.map(|(start, _)| start),
        end_line: reference.lines.map(|(_, end)| end),
        state: state.name().to_owned(),
        now: match state {
            ReferenceState::Unchanged => reference.lines,
            ReferenceState::Moved(start, end) => Some((start, end)),
            ReferenceState::Changed | ReferenceState::Gone => None,
        },
    }
}

impl From<&memory::CheckpointHit> for CheckpointHit {
    fn from(hit: &memory::CheckpointHit) -> CheckpointHit {
        CheckpointHit { score: hit.score, legs: ranks(&hit.legs), checkpoint: Checkpoint::brief(&hit.view) }
    }
}

impl From<&memory::Resumed> for Resumed {
    fn from(resumed: &memory::Resumed) -> Resumed {
        Resumed {
            checkpoint: (&resumed.view).into(),
            since: resumed.since.as_ref().map(Into::into),
            missing: resumed.missing.as_ref().map(Into::into),
        }
    }
}

impl From<&git::Commits> for Commits {
    fn from(commits: &git::Commits) -> Commits {
        Commits { count: commits.count, more: commits.more, subjects: commits.subjects.clone() }
    }
}

impl From<&memory::Remediation> for Remediation {
    fn from(remediation: &memory::Remediation) -> Remediation {
        Remediation {
            id: remediation.id.to_string(),
            error: remediation.error.clone(),
            solution: remediation.solution.clone(),
            category: remediation.category.clone(),
            tags: remediation.tags.clone(),
            occurrences: remediation.occurrences,
            helpful: remediation.helpful,
            unhelpful: remediation.unhelpful,
            created_at: remediation.created_at,
            last_seen: remediation.last_seen,
        }
    }
}

impl From<&memory::RemediationHit> for RemediationHit {
    fn from(hit: &memory::RemediationHit) -> RemediationHit {
        RemediationHit { score: hit.score, legs: ranks(&hit.legs), remediation: (&hit.remediation).into() }
    }
}

fn ranks(legs: &[(LegName, u32)]) -> BTreeMap<String, u32> {
    legs.iter().map(|(leg, rank)| (leg.name().to_owned(), *rank)).collect()
}

impl<T> MemoryAnswer<T> {
    /// An answer, its hits converted.
    pub fn new<'a, H: 'a>(answer: &'a memory::Answer<H>) -> MemoryAnswer<T>
    where
        T: From<&'a H>,
    {
        let legs = answer.legs.iter().map(|(leg, state)| (leg.name().to_owned(), state.into()));
        MemoryAnswer { hits: answer.hits.iter().map(T::from).collect(), legs: legs.collect() }
    }
}
