//! From a question to memories: words and meaning, fused by rank as for code.

use std::collections::HashMap;

use super::MemoryError;
use super::collection::{Collection, TextLeg, leg_of};
use crate::embed::{EmbedError, Embedder, Leg};
use crate::id::PointId;
use crate::search::fusion::{LegRanking, fuse};
use crate::search::{LegName, LegState, Mode, Query, Request, SearchError};
use crate::store::{Point, Probe};

/// Candidates asked of each leg at least.
const DEPTH: usize = 100;
/// Below this cosine a memory says something else: the nearest of a few memories may well
/// be about nothing that was asked. With the packaged model what is unrelated was seen to stay
/// below 0.17, and what answers to lie between 0.2 and 0.6 as a rule.
const MIN_COSINE: f32 = 0.15;

/// Memories that answer a question, best first.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer<T> {
    /// The hits.
    pub hits: Vec<T>,
    /// What became of each leg; none where nothing was ever kept.
    pub legs: Vec<(LegName, LegState)>,
}

/// A memory that answers.
pub(super) struct Candidate {
    pub(super) point: Point,
    /// In 0..=1.
    pub(super) score: f32,
    /// Rank from 1 in each leg that found it.
    pub(super) legs: Vec<(LegName, u32)>,
}

impl Collection<'_> {
    /// All candidates for `request`, of which the caller takes `limit`. `model` is a model that
    /// can embed the query, or why there is none.
    pub(super) fn retrieve(
        &self,
        request: &Request,
        model: Result<&mut dyn Embedder, String>,
    ) -> Result<Answer<Candidate>, MemoryError> {
        let query = Query::new(&request.query);
        if query.text.is_empty() {
            return Err(SearchError::EmptyQuery.into());
        }
        let words = (request.mode != Mode::Dense && !query.terms.is_empty()).then_some(query.terms);
        let vector = match request.mode {
            Mode::Lexical => None,
            Mode::Hybrid | Mode::Dense => Some(vector(&query.text, model)?),
        };
        let dense = LegName::Dense(Leg::Text);
        let depth = DEPTH.max(request.limit.saturating_mul(3));
        let mut legs = Vec::new();
        let mut names = Vec::new();
        let found = self.read(|name, schema| {
            (legs, names) = (Vec::new(), Vec::new());
            let mut probes = Vec::new();
            match &words {
                Some(terms) => {
                    names.push(LegName::Lexical);
                    probes.push(Probe::Terms(terms.clone()));
                }
                None => legs.push((LegName::Lexical, LegState::Off)),
            }
            match &vector {
                Some(Ok((leg, vector))) if schema.legs[Leg::Text.index()].as_ref() == Some(leg) => {
                    names.push(dense);
                    probes.push(Probe::Vector(Leg::Text, leg.0.clone(), vector.clone()));
                }
                Some(Ok(_)) => {
                    let why =
                        "what is kept has vectors of another model, or none: what is written next mends it";
                    legs.push((dense, LegState::Unavailable(why.to_owned())));
                }
                Some(Err(why)) => legs.push((dense, LegState::Unavailable(why.clone()))),
                None => legs.push((dense, LegState::Off)),
            }
            self.database.search(name, &probes, &request.filter, depth)
        })?;
        if let (Mode::Dense, Some((_, LegState::Unavailable(reason)))) = (request.mode, legs.last()) {
            return Err(SearchError::NoDense { reason: reason.clone() }.into());
        }
        let found = found.unwrap_or_default();
        let mut points: HashMap<PointId, Point> = HashMap::new();
        let mut rankings = Vec::new();
        for (leg, mut scored) in names.iter().zip(found) {
            scored.retain(|hit| *leg != dense || hit.score >= MIN_COSINE);
            legs.push((*leg, LegState::Searched { candidates: scored.len() }));
            let entries = scored.iter().map(|hit| (hit.point.id, hit.score)).collect();
            rankings.push(LegRanking { weight: 1.0, entries });
            points.extend(scored.into_iter().map(|hit| (hit.point.id, hit.point)));
        }
        legs.sort_by_key(|(leg, _)| *leg);
        let candidates = fuse(&rankings).into_iter().filter_map(|fused| {
            let ranks = names.iter().zip(&fused.ranks).filter_map(|(leg, rank)| Some((*leg, (*rank)?)));
            let legs = ranks.collect();
            Some(Candidate { point: points.remove(&fused.id)?, score: fused.score, legs })
        });
        Ok(Answer { hits: candidates.collect(), legs })
    }
}

/// The query's vector with the leg that it can be compared with, or why it has none.
fn vector(
    text: &str,
    model: Result<&mut dyn Embedder, String>,
) -> Result<Result<(TextLeg, Vec<f32>), String>, MemoryError> {
    let model = match model {
        Ok(model) => model,
        Err(reason) => return Ok(Err(reason)),
    };
    let vector = match model.embed_query(text) {
        Err(EmbedError::TooLong { tokens, limit }) => {
            return Ok(Err(format!("the query has {tokens} tokens and its model reads {limit}: shorten it")));
        }
        embedded => embedded.map_err(|source| SearchError::Embed { leg: Leg::Text, source })?,
    };
    Ok(Ok((leg_of(model), vector)))
}
