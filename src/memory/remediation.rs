//! Remediations: errors that were met, and what helped; shared by all projects of a machine.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::collection::{Collection, Model, Written, is_within};
use super::draft::{Content, Draft};
use super::normalise::normalise;
use super::retrieve::Answer;
use super::{Cursor, MemoryError, stored, text};
use crate::embed::Embedder;
use crate::id::{ContentHash, PointId};
use crate::search::{LegName, Request};
use crate::store::{CollectionKind, Filter, Point};
use crate::tenant::Database;

/// What feedback moves a score by at most, up or down.
const FEEDBACK_SHARE: f32 = 0.2;
/// Opinions that weigh as much as none at all: one alone says little.
const DOUBT: f32 = 2.0;

/// An error and what helped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remediation {
    /// Id: the same for the same error and solution, everywhere.
    #[serde(skip, default = "no_id")]
    pub id: PointId,
    /// The error message, as it was first met.
    pub error: String,
    /// What helped.
    pub solution: String,
    /// What kind of error it is, such as `build` or `network`.
    pub category: Option<String>,
    /// Tags, sorted.
    pub tags: Vec<String>,
    /// How often it was recorded.
    pub occurrences: u64,
    /// Who said that it helped.
    pub helpful: u64,
    /// Who said that it did not.
    pub unhelpful: u64,
    /// Seconds since the epoch.
    pub created_at: u64,
    /// When it was last recorded, seconds since the epoch.
    pub last_seen: u64,
}

fn no_id() -> PointId {
    PointId([0; 16])
}

/// A remediation to be recorded.
#[derive(Clone, Debug, Default)]
pub struct NewRemediation {
    /// See [`Remediation::error`].
    pub error: String,
    /// See [`Remediation::solution`].
    pub solution: String,
    /// See [`Remediation::category`].
    pub category: Option<String>,
    /// Tags.
    pub tags: Vec<String>,
}

/// A remediation that answers a question.
#[derive(Clone, Debug, PartialEq)]
pub struct RemediationHit {
    /// Comparable within one answer only; higher is better. The fused score, moved by feedback.
    pub score: f32,
    /// Rank from 1 in each leg that found it.
    pub legs: Vec<(LegName, u32)>,
    /// The remediation.
    pub remediation: Remediation,
}

/// The remediations that a tenant shares.
pub struct Remediations<'a> {
    collection: Collection<'a>,
}

impl Remediation {
    /// Reads a stored point.
    pub(super) fn read(point: &Point) -> Result<Remediation, MemoryError> {
        Ok(Remediation { id: point.id, ..stored::decode(point.id, &point.text)? })
    }

    pub(super) fn draft(&self) -> Result<Draft, MemoryError> {
        Draft::new(Content {
            kind: CollectionKind::Remediations,
            id: self.id,
            json: stored::encode(self),
            created_at: self.created_at,
            attributes: vec![("category", self.category.as_deref())],
            tags: &self.tags,
            title: &self.error,
            body: &self.solution,
        })
    }

    /// The record of an error that is met now, in seconds since the epoch.
    fn new(new: &NewRemediation, now: u64) -> Result<Remediation, MemoryError> {
        let error = text::required("error message", &new.error, text::MAX_CONTENT)?;
        let solution = text::required("solution", &new.solution, text::MAX_CONTENT)?;
        Ok(Remediation {
            id: id_of(&error, &solution),
            error,
            solution,
            category: new.category.as_deref().map(|category| text::name("category", category)).transpose()?,
            tags: text::tags(&new.tags)?,
            occurrences: 1,
            helpful: 0,
            unhelpful: 0,
            created_at: now,
            last_seen: now,
        })
    }

    /// `former`, met again as `self`: its words stay, its tags are joined.
    fn again(self, former: Remediation) -> Remediation {
        let mut tags = [former.tags, self.tags].concat();
        tags.sort();
        tags.dedup();
        tags.truncate(text::MAX_TAGS);
        Remediation {
            tags,
            category: self.category.or(former.category),
            occurrences: former.occurrences.saturating_add(1),
            last_seen: self.last_seen.max(former.last_seen),
            ..former
        }
    }

    /// What feedback makes of a score: 1 without any, up to a fifth more where all found it
    /// helpful, up to a fifth less where none did; few opinions move it less than many.
    fn feedback_factor(&self) -> f32 {
        let (helpful, unhelpful) = (self.helpful as f32, self.unhelpful as f32);
        1.0 + FEEDBACK_SHARE * (helpful - unhelpful) / (helpful + unhelpful + DOUBT)
    }
}

/// One error with one solution. Errors are compared without what differs from run to run;
/// a number in a solution matters, the form of its white space does not.
fn id_of(error: &str, solution: &str) -> PointId {
    let words: Vec<&str> = solution.split_whitespace().collect();
    PointId::new(b"remediations", &normalise(error), 0, &ContentHash::of(words.join(" ").as_bytes()))
}

impl<'a> Remediations<'a> {
    /// The remediations in a shared database; `locks` is the directory of the lock files.
    pub fn new(database: &'a Database, locks: &Path) -> Result<Remediations<'a>, MemoryError> {
        Ok(Remediations { collection: Collection::new(database, CollectionKind::Remediations, locks)? })
    }

    /// Records a remediation at `now`, milliseconds since the epoch; one that is known occurs
    /// once more.
    pub fn record(
        &self,
        new: &NewRemediation,
        now: u64,
        model: Option<Model<'_>>,
    ) -> Result<(Remediation, Written), MemoryError> {
        let met = Remediation::new(new, now / 1000)?;
        let lock = self.collection.lock()?;
        match self.collection.find(&met.id.to_string()) {
            Ok(point) => {
                let known = met.again(Remediation::read(&point)?);
                let draft = known.draft()?.with_vectors_of(&point);
                let written = self.collection.put(&lock, vec![draft], model)?;
                Ok((known, written))
            }
            Err(MemoryError::Unknown { .. }) => {
                let written = self.collection.put(&lock, vec![met.draft()?], model)?;
                Ok((met, written))
            }
            Err(error) => Err(error),
        }
    }

    /// The remediation whose id begins with `prefix`.
    pub fn get(&self, prefix: &str) -> Result<Remediation, MemoryError> {
        Remediation::read(&self.collection.find(prefix)?)
    }

    /// Those within `filter` that come after the cursor, last seen first, at most `limit`, and how
    /// many there are in all.
    pub fn list(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<(Vec<Remediation>, usize), MemoryError> {
        let mut points = Vec::new();
        self.collection.scan(&mut |point| {
            if is_within(filter, &point) {
                points.push(point);
            }
        })?;
        let mut found: Vec<Remediation> = points.iter().map(Remediation::read).collect::<Result<_, _>>()?;
        found.sort_by_key(|remediation| std::cmp::Reverse((remediation.last_seen, remediation.id)));
        let all = found.len();
        found.retain(|known| after.is_none_or(|after| (known.last_seen, known.id) < after));
        found.truncate(limit);
        Ok((found, all))
    }

    /// Answers `request`, whose filter is on attributes and time.
    pub fn search(
        &self,
        request: &Request,
        model: Result<&mut dyn Embedder, String>,
    ) -> Result<Answer<RemediationHit>, MemoryError> {
        let found = self.collection.retrieve(request, model)?;
        let hits = found.hits.into_iter().map(|candidate| {
            let remediation = Remediation::read(&candidate.point)?;
            let score = candidate.score * remediation.feedback_factor();
            Ok(RemediationHit { score, legs: candidate.legs, remediation })
        });
        let mut hits: Vec<RemediationHit> = hits.collect::<Result<_, MemoryError>>()?;
        // Stable: equals stay in the order of the fusion.
        hits.sort_by(|a, b| b.score.total_cmp(&a.score));
        hits.truncate(request.limit);
        Ok(Answer { hits, legs: found.legs })
    }

    /// Counts an opinion on the remediation whose id begins with `prefix`.
    pub fn feedback(&self, prefix: &str, helpful: bool) -> Result<Remediation, MemoryError> {
        let lock = self.collection.lock()?;
        let point = self.collection.find(prefix)?;
        let mut remediation = Remediation::read(&point)?;
        let count = if helpful { &mut remediation.helpful } else { &mut remediation.unhelpful };
        *count = count.saturating_add(1);
        // No text of it changes, so that no model is needed.
        self.collection.put(&lock, vec![remediation.draft()?.with_vectors_of(&point)], None)?;
        Ok(remediation)
    }

    /// Removes the remediations whose ids begin so; all of them or none.
    pub fn delete(&self, prefixes: &[String]) -> Result<Vec<PointId>, MemoryError> {
        self.collection.delete(prefixes)
    }
}
