//! Checkpoints: what an agent was at, kept for whoever goes on.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::collection::{Collection, Model, Written, is_within};
use super::draft::{Content, Draft};
use super::reference::{Files, Place, Reference, ReferenceState};
use super::retrieve::Answer;
use super::{Cursor, MemoryError, stored, text};
use crate::embed::Embedder;
use crate::git::{Commits, Head, Worktree};
use crate::id::PointId;
use crate::search::{LegName, Request};
use crate::store::{CollectionKind, Filter, Point};
use crate::tenant::Database;

/// Subjects of commits that a resumed checkpoint tells.
const SUBJECTS: usize = 20;

/// What an agent was at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Id: a UUID of version 7, so that ids are in the order of time.
    #[serde(skip, default = "no_id")]
    pub id: PointId,
    /// What it is about, in a few words or sentences.
    pub summary: String,
    /// Everything else that is to be known, as text or Markdown.
    pub content: String,
    /// Tags, sorted.
    pub tags: Vec<String>,
    /// Branch at that time; `None` where HEAD was detached.
    pub branch: Option<String>,
    /// Commit at that time; `None` on an unborn branch.
    pub commit: Option<String>,
    /// Root of the worktree.
    #[serde(with = "stored::os_path")]
    pub worktree: PathBuf,
    /// Name of the session.
    pub session: Option<String>,
    /// Seconds since the epoch.
    pub created_at: u64,
    /// The code that it speaks of.
    pub references: Vec<Reference>,
}

fn no_id() -> PointId {
    PointId([0; 16])
}

/// A checkpoint to be saved.
#[derive(Clone, Debug, Default)]
pub struct NewCheckpoint {
    /// See [`Checkpoint::summary`].
    pub summary: String,
    /// See [`Checkpoint::content`]; may be empty.
    pub content: String,
    /// Tags.
    pub tags: Vec<String>,
    /// Another branch than the worktree's.
    pub branch: Option<String>,
    /// Another commit than the worktree's.
    pub commit: Option<String>,
    /// Name of the session.
    pub session: Option<String>,
    /// Places that it speaks of, beside those that its content names.
    pub references: Vec<Place>,
}

/// A checkpoint beside what is there now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointView {
    /// As it was saved.
    pub checkpoint: Checkpoint,
    /// What became of its references, in their order.
    pub states: Vec<ReferenceState>,
    /// Root of the worktree that was looked at: its own, or where that is not there any
    /// more, the one that asks.
    pub looked_at: PathBuf,
    /// HEAD there.
    pub head: Head,
}

impl CheckpointView {
    /// Whether the branch is the one that it was saved on.
    pub fn same_branch(&self) -> bool {
        self.head.branch == self.checkpoint.branch
    }

    /// Whether HEAD is where it was.
    pub fn same_commit(&self) -> bool {
        self.head.commit == self.checkpoint.commit
    }
}

/// A checkpoint that answers a question.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckpointHit {
    /// Comparable within one answer only; higher is better.
    pub score: f32,
    /// Rank from 1 in each leg that found it.
    pub legs: Vec<(LegName, u32)>,
    /// The checkpoint.
    pub view: CheckpointView,
}

/// What an agent needs to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// The checkpoint.
    pub view: CheckpointView,
    /// Commits that HEAD has and the checkpoint's commit has not; `None` where that one is not
    /// in the repository any more, or there was none.
    pub since: Option<Commits>,
    /// Commits that the checkpoint's commit has and HEAD has not: more than none after a
    /// rebase, a reset, or on another branch.
    pub missing: Option<Commits>,
}

/// The checkpoints of one project, seen from one of its worktrees.
pub struct Checkpoints<'a> {
    collection: Collection<'a>,
    worktree: &'a Worktree,
}

impl Checkpoint {
    /// Reads a stored point.
    pub(super) fn read(point: &Point) -> Result<Checkpoint, MemoryError> {
        Ok(Checkpoint { id: point.id, ..stored::decode(point.id, &point.text)? })
    }

    pub(super) fn draft(&self) -> Result<Draft, MemoryError> {
        Draft::new(Content {
            kind: CollectionKind::Checkpoints,
            id: self.id,
            json: stored::encode(self),
            created_at: self.created_at,
            attributes: vec![
                ("branch", self.branch.as_deref()),
                ("commit", self.commit.as_deref()),
                ("session", self.session.as_deref()),
                ("worktree", Some(&worktree_attribute(&self.worktree))),
            ],
            tags: &self.tags,
            title: &self.summary,
            body: &self.content,
        })
    }
}

/// A worktree's root as an attribute.
pub fn worktree_attribute(root: &Path) -> String {
    root.to_string_lossy().into_owned()
}

impl<'a> Checkpoints<'a> {
    /// The checkpoints in a project's database; `locks` is the directory of the lock files.
    pub fn new(
        database: &'a Database,
        worktree: &'a Worktree,
        locks: &Path,
    ) -> Result<Checkpoints<'a>, MemoryError> {
        let collection = Collection::new(database, CollectionKind::Checkpoints, locks)?;
        Ok(Checkpoints { collection, worktree })
    }

    /// Saves a checkpoint at `now`, milliseconds since the epoch.
    pub fn save(
        &self,
        new: &NewCheckpoint,
        now: u64,
        model: Option<Model<'_>>,
    ) -> Result<(CheckpointView, Written), MemoryError> {
        let head = self.worktree.head()?;
        let content = text::kept("content", &new.content, text::MAX_CONTENT)?;
        let summary = text::required("summary", &new.summary, text::MAX_SUMMARY)?;
        let optional =
            |what, given: &Option<String>| given.as_deref().map(|given| text::name(what, given)).transpose();
        if new.references.len() > text::MAX_REFERENCES {
            let count = new.references.len();
            return Err(MemoryError::TooMany { what: "references", count, limit: text::MAX_REFERENCES });
        }
        let mut files = Files::new(self.worktree.root());
        let mut references: Vec<Reference> =
            new.references.iter().map(|place| files.refer(place)).collect::<Result<_, _>>()?;
        for found in files.find(&summary).into_iter().chain(files.find(&content)) {
            if !references.contains(&found) {
                references.push(found);
            }
        }
        let checkpoint = Checkpoint {
            id: new_id(now),
            tags: text::tags(&new.tags)?,
            branch: optional("branch", &new.branch)?.or_else(|| head.branch.clone()),
            commit: optional("commit", &new.commit)?.or_else(|| head.commit.clone()),
            worktree: self.worktree.root().as_path().to_owned(),
            session: optional("session", &new.session)?,
            created_at: now / 1000,
            summary,
            content,
            references,
        };
        let draft = checkpoint.draft()?;
        let lock = self.collection.lock()?;
        let written = self.collection.put(&lock, vec![draft], model)?;
        drop(lock);
        Ok((self.view(checkpoint), written))
    }

    /// The checkpoint whose id begins with `prefix`.
    pub fn get(&self, prefix: &str) -> Result<CheckpointView, MemoryError> {
        Ok(self.view(Checkpoint::read(&self.collection.find(prefix)?)?))
    }

    /// The newest within `filter` that come after the cursor, at most `limit`, and how many there
    /// are in all.
    pub fn list(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<(Vec<CheckpointView>, usize), MemoryError> {
        let mut points = self.within(filter)?;
        let all = points.len();
        points.retain(|point| after.is_none_or(|(time, id)| (point.time, point.id) < (Some(time), id)));
        points.truncate(limit);
        let views = points.iter().map(|point| Ok(self.view(Checkpoint::read(point)?)));
        Ok((views.collect::<Result<_, MemoryError>>()?, all))
    }

    /// Points within `filter`, newest first.
    fn within(&self, filter: &Filter) -> Result<Vec<Point>, MemoryError> {
        let mut points = Vec::new();
        self.collection.scan(&mut |point| {
            if is_within(filter, &point) {
                points.push(point);
            }
        })?;
        points.sort_by_key(|point| std::cmp::Reverse((point.time, point.id)));
        Ok(points)
    }

    /// Answers `request`, whose filter is on attributes and time.
    pub fn search(
        &self,
        request: &Request,
        model: Result<&mut dyn Embedder, String>,
    ) -> Result<Answer<CheckpointHit>, MemoryError> {
        let found = self.collection.retrieve(request, model)?;
        let hits = found.hits.into_iter().take(request.limit).map(|candidate| {
            let view = self.view(Checkpoint::read(&candidate.point)?);
            Ok(CheckpointHit { score: candidate.score, legs: candidate.legs, view })
        });
        Ok(Answer { hits: hits.collect::<Result<_, MemoryError>>()?, legs: found.legs })
    }

    /// The checkpoint to go on from: the one whose id begins with `prefix`, or the newest of
    /// this worktree on its branch, or else the newest of the branch in any worktree. `None`
    /// where there is none.
    pub fn resume(&self, prefix: Option<&str>) -> Result<Option<Resumed>, MemoryError> {
        let view = match prefix {
            Some(prefix) => self.get(prefix)?,
            None => {
                let head = self.worktree.head()?;
                let here = worktree_attribute(self.worktree.root().as_path());
                let points = self.within(&Filter::default())?;
                let on_branch = |point: &&Point| point.attributes.get("branch") == head.branch.as_ref();
                let of_here = |point: &&Point| point.attributes.get("worktree") == Some(&here);
                let newest = points.iter().filter(on_branch).find(of_here);
                let elsewhere = || points.iter().find(on_branch).filter(|_| head.branch.is_some());
                match newest.or_else(elsewhere) {
                    Some(point) => self.view(Checkpoint::read(point)?),
                    None => return Ok(None),
                }
            }
        };
        // What a repository that is no more, or a commit that never was one, cannot tell.
        let between = |from: &Option<String>, to: &Option<String>| {
            let (from, to) = (from.as_deref()?, to.as_deref()?);
            self.worktree.commits_between(from, to, SUBJECTS).ok().flatten()
        };
        let since = between(&view.checkpoint.commit, &view.head.commit);
        let missing = between(&view.head.commit, &view.checkpoint.commit);
        Ok(Some(Resumed { view, since, missing }))
    }

    /// Removes the checkpoints whose ids begin so; all of them or none.
    pub fn delete(&self, prefixes: &[String]) -> Result<Vec<PointId>, MemoryError> {
        self.collection.delete(prefixes)
    }

    /// What became of a checkpoint's surroundings: in its own worktree where that is still one
    /// of this project, else in the one that asks.
    fn view(&self, checkpoint: Checkpoint) -> CheckpointView {
        let here = self.worktree.root().as_path();
        let own = (checkpoint.worktree != here)
            .then(|| Worktree::discover(&checkpoint.worktree).ok())
            .flatten()
            .filter(|own| own.root().as_path() == checkpoint.worktree)
            .filter(|own| own.project_path() == self.worktree.project_path());
        let worktree = own.as_ref().unwrap_or(self.worktree);
        let mut files = Files::new(worktree.root());
        let states = checkpoint.references.iter().map(|reference| files.state(reference)).collect();
        CheckpointView {
            checkpoint,
            states,
            looked_at: worktree.root().as_path().to_owned(),
            head: worktree.head().unwrap_or_default(),
        }
    }
}

/// A UUID of version 7 (RFC 9562): milliseconds, then bits that no other process draws.
fn new_id(now: u64) -> PointId {
    use std::hash::{BuildHasher as _, RandomState};
    static DRAWN: AtomicU64 = AtomicU64::new(0);
    let drawn = DRAWN.fetch_add(1, Ordering::Relaxed);
    // Its keys come from the operating system's source of randomness.
    let random = RandomState::new().hash_one((std::process::id(), drawn, now));
    let tail = RandomState::new().hash_one((random, drawn));
    let mut id = [0; 16];
    id[..6].copy_from_slice(&now.to_be_bytes()[2..]);
    id[6..8].copy_from_slice(&random.to_be_bytes()[..2]);
    id[8..].copy_from_slice(&tail.to_be_bytes());
    id[6] = (id[6] & 0x0f) | 0x70;
    id[8] = (id[8] & 0x3f) | 0x80;
    PointId(id)
}
