//! A search: what is asked, and the answer.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ByLeg, Freshness, PathName, Place, by_leg};
use crate::embed::Leg;
use crate::language::Language;
use crate::search::{self, LegState, Mode};
use crate::store::Filter;

/// A search as the socket carries it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchRequest {
    /// A path in the worktree.
    pub worktree: Place,
    /// Roots of further worktrees to search with it.
    #[serde(default)]
    pub also: Vec<Place>,
    /// The query.
    pub query: String,
    /// The most hits.
    pub limit: usize,
    /// `hybrid`, `lexical` or `dense`.
    pub mode: String,
    /// Globs, from the worktree's root.
    pub paths: Vec<String>,
    /// Languages by name.
    pub languages: Vec<String>,
    /// Kinds.
    pub kinds: Vec<String>,
    /// How long to wait for the edits made before the request, in milliseconds.
    pub wait_ms: Option<u64>,
}

impl SearchRequest {
    /// The domain's request; `Err` names what is unknown.
    pub fn to_request(&self) -> Result<search::Request, String> {
        let language = |name: &String| {
            Language::from_name(name).ok_or_else(|| format!("{name:?} is not a language that is known here"))
        };
        Ok(search::Request {
            query: self.query.clone(),
            limit: self.limit,
            mode: Mode::from_name(&self.mode).ok_or_else(|| format!("{:?} is not a mode", self.mode))?,
            filter: Filter {
                paths: self.paths.clone(),
                languages: self.languages.iter().map(language).collect::<Result<_, _>>()?,
                kinds: self.kinds.clone(),
                ..Filter::default()
            },
        })
    }
}

/// Hits, best first, and what they can be trusted for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Answer {
    /// The hits.
    pub hits: Vec<Hit>,
    /// About the answer as a whole.
    pub summary: Summary,
}

/// One line of `search --json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SearchLine {
    /// A hit.
    Hit(Box<Hit>),
    /// The last line.
    Summary(Box<Summary>),
}

/// See [`search::Hit`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "the fields of the domain type, documented there")]
pub struct Hit {
    pub rank: u32,
    /// The worktree's root, where several were searched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worktree: Option<Place>,
    #[serde(flatten)]
    pub path: PathName,
    pub start_line: u32,
    pub end_line: u32,
    pub start_byte: u32,
    pub end_byte: u32,
    pub score: f32,
    pub language: String,
    pub kind: String,
    pub symbol: Option<String>,
    pub container: Option<String>,
    pub signature: Option<String>,
    /// Leg → rank there.
    pub legs: BTreeMap<String, u32>,
    pub reasons: Vec<String>,
    /// Score of the legs together, before the rules.
    #[serde(default)]
    pub fused: f32,
    /// Rule → what it added to that; negative where it took.
    #[serde(default)]
    pub boosts: BTreeMap<String, f32>,
    pub repaired: bool,
    pub snippet: Snippet,
    pub text: String,
    pub chunk_id: String,
}

/// The lines that answer best.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Snippet {
    /// First line, from 1.
    pub start_line: u32,
    /// Last line.
    pub end_line: u32,
    /// The lines.
    pub text: String,
}

/// See [`search::Answer`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Summary {
    /// Hits in the answer.
    pub hits: usize,
    /// How the query was read.
    pub query_kind: String,
    /// Terms of the query that nothing has → the spelling that was looked for with them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub respelled: BTreeMap<String, String>,
    /// Left out because the disk has another text.
    pub dropped: u32,
    /// Found again elsewhere in their file.
    pub repaired: u32,
    /// What became of each leg.
    pub legs: BTreeMap<String, LegReport>,
    /// Coverage of the dense legs.
    pub dense: ByLeg<Dense>,
    /// How fresh the index is.
    pub freshness: Option<Freshness>,
    /// What became of the wait that was asked for.
    pub waited: Option<Waited>,
    /// Each worktree, where several were searched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worktrees: Option<Vec<SearchedWorktree>>,
    /// Microseconds by step.
    pub us: Us,
}

/// One of several worktrees that were searched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SearchedWorktree {
    /// Its root.
    pub root: Place,
    /// Hits in the answer.
    pub hits: usize,
    /// Why it could not be searched, with the way out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How fresh its index is, where it has a hit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freshness: Option<Freshness>,
}

/// See [`search::LegState`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LegReport {
    /// It answered with so many candidates.
    Candidates(usize),
    /// It was not asked.
    Off(bool),
    /// It could not answer, and why.
    Unavailable(String),
}

impl From<&LegState> for LegReport {
    fn from(state: &LegState) -> LegReport {
        match state {
            LegState::Searched { candidates } => LegReport::Candidates(*candidates),
            LegState::Off => LegReport::Off(true),
            LegState::Unavailable(why) => LegReport::Unavailable(why.clone()),
        }
    }
}

/// See [`search::Coverage`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Dense {
    /// Distinct vectors present.
    pub vectors: u64,
    /// Chunks of the collection.
    pub points: u64,
}

/// Whether the answer covers all edits made before the question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Waited {
    /// Whether it does. Where not, [`Freshness::pending`] says what is missing.
    pub covered: bool,
    /// How long was waited, in milliseconds.
    pub ms: u64,
}

/// Microseconds by step; see [`search::Timing`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Us {
    /// Embedding the query.
    pub embed: u64,
    /// The store's answer.
    pub retrieve: u64,
    /// Fusion and rules.
    pub rank: u64,
    /// Checking against the disk.
    pub verify: u64,
}

/// Names of the languages that a search can ask for.
pub fn languages() -> Vec<String> {
    Language::ALL.iter().map(|language| language.name().to_owned()).collect()
}

impl Answer {
    /// The domain's answer with what is known of the index's freshness.
    pub fn new(answer: &search::Answer, freshness: Option<Freshness>, waited: Option<Waited>) -> Answer {
        let hits: Vec<Hit> = (1..).zip(&answer.hits).map(|(rank, hit)| hit_of(rank, hit)).collect();
        let timing = &answer.timing;
        let us = |time: std::time::Duration| time.as_micros() as u64;
        Answer {
            summary: Summary {
                hits: hits.len(),
                query_kind: answer.kind.name().to_owned(),
                respelled: answer.respelled.iter().cloned().collect(),
                dropped: answer.dropped,
                repaired: answer.repaired,
                legs: legs(answer),
                dense: by_leg(|leg: Leg| {
                    let reports = answer.places.iter().flatten();
                    let coverage = reports.filter_map(|report| report.dense[leg.index()]);
                    coverage.fold(None, |sum: Option<Dense>, more| {
                        let Dense { vectors, points } = sum.unwrap_or(Dense { vectors: 0, points: 0 });
                        Some(Dense { vectors: vectors + more.vectors, points: points + more.points })
                    })
                }),
                freshness,
                waited,
                worktrees: None,
                us: Us {
                    embed: us(timing.embed),
                    retrieve: us(timing.retrieve),
                    rank: us(timing.rank),
                    verify: us(timing.verify),
                },
            },
            hits,
        }
    }

    /// The same of several worktrees, in the order of the answer's places; `freshness` is asked
    /// of those that have a hit.
    pub fn of_several(
        answer: &search::Answer,
        roots: &[Place],
        waited: Option<Waited>,
        freshness: impl Fn(usize) -> Option<Freshness>,
    ) -> Answer {
        let mut all = Answer::new(answer, None, waited);
        for (hit, found) in all.hits.iter_mut().zip(&answer.hits) {
            hit.worktree = roots.get(found.place).cloned();
        }
        let searched = roots.iter().zip(&answer.places).enumerate().map(|(at, (root, report))| {
            let hits = answer.hits.iter().filter(|hit| hit.place == at).count();
            SearchedWorktree {
                root: root.clone(),
                hits,
                error: report.as_ref().err().map(ToString::to_string),
                freshness: (hits > 0).then(|| freshness(at)).flatten(),
            }
        });
        all.summary.worktrees = Some(searched.collect());
        all
    }
}

impl SearchedWorktree {
    /// One that could not even be opened.
    pub fn failed(path: &Path, error: String) -> SearchedWorktree {
        SearchedWorktree { root: Place::from(path), hits: 0, error: Some(error), freshness: None }
    }
}

/// What became of each leg: its candidates in all places, or else why it did not answer in
/// the first.
fn legs(answer: &search::Answer) -> BTreeMap<String, LegReport> {
    let mut legs = BTreeMap::new();
    for (leg, state) in answer.places.iter().flatten().flat_map(|report| &report.legs) {
        match (legs.get_mut(leg.name()), LegReport::from(state)) {
            (None, report) => drop(legs.insert(leg.name().to_owned(), report)),
            (Some(LegReport::Candidates(all)), LegReport::Candidates(more)) => *all += more,
            (Some(known), report @ LegReport::Candidates(_)) => *known = report,
            (Some(_), _) => {}
        }
    }
    legs
}

fn hit_of(rank: u32, hit: &search::Hit) -> Hit {
    Hit {
        rank,
        worktree: None,
        path: (&hit.path).into(),
        start_line: hit.lines.0,
        end_line: hit.lines.1,
        start_byte: hit.bytes.start,
        end_byte: hit.bytes.end,
        score: hit.score,
        language: hit.language.name().to_owned(),
        kind: hit.kind.clone(),
        symbol: hit.symbol.clone(),
        container: hit.container.clone(),
        signature: hit.signature.clone(),
        legs: hit.legs.iter().map(|(leg, rank)| (leg.name().to_owned(), *rank)).collect(),
        reasons: hit.reasons.iter().map(|reason| reason.name().to_owned()).collect(),
        fused: hit.fused,
        boosts: hit.boosts.iter().map(|(reason, boost)| (reason.name().to_owned(), *boost)).collect(),
        repaired: hit.repaired,
        snippet: Snippet {
            start_line: hit.snippet.lines.0,
            end_line: hit.snippet.lines.1,
            text: hit.snippet.text.clone(),
        },
        text: hit.text.clone(),
        chunk_id: hit.id.to_string(),
    }
}
