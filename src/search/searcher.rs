//! One query against one collection, end to end.

use std::collections::HashMap;
use std::time::Instant;

use crate::embed::{Embedder, Leg};
use crate::id::{CollectionName, Fingerprint, PointId};
use crate::path::AbsPath;
use crate::search::fusion::{self, LegRanking};
use crate::search::ranking::{self, Candidate, Ranked, Weights};
use crate::search::snippet::snippet;
use crate::search::verification::{Check, Files};
use crate::search::{
    Answer, Coverage, Hit, LegName, LegState, Mode, Query, QueryKind, Request, SearchError, Timing,
};
use crate::store::{Point, Probe, Schema};
use crate::tenant::Database;

/// Candidates asked of each leg at least. Deeper than any answer, because the
/// rules and the disk check reorder and thin them.
const LEG_DEPTH: usize = 150;

/// Answers queries on one collection.
pub struct Searcher<'a> {
    database: &'a Database,
    collection: &'a CollectionName,
    root: &'a AbsPath,
    embedders: [Option<&'a mut dyn Embedder>; 2],
    weights: Box<dyn Fn(QueryKind) -> Weights + 'a>,
}

/// The probes of a query, the leg of each, and what became of every leg.
struct Plan {
    probes: Vec<Probe>,
    legs: Vec<LegName>,
    states: Vec<(LegName, LegState)>,
}

impl<'a> Searcher<'a> {
    /// A searcher on `collection`, whose files are below `root`. `embedders` are
    /// those of the queries, by leg, in the order of [`Leg::ALL`]; a leg without
    /// one is left out of hybrid answers, which say so.
    pub fn new(
        database: &'a Database,
        collection: &'a CollectionName,
        root: &'a AbsPath,
        embedders: [Option<&'a mut dyn Embedder>; 2],
    ) -> Searcher<'a> {
        Searcher { database, collection, root, embedders, weights: Box::new(Weights::of) }
    }

    /// The same with other weights, for measurements.
    pub fn with_weights(mut self, weights: impl Fn(QueryKind) -> Weights + 'a) -> Searcher<'a> {
        self.weights = Box::new(weights);
        self
    }

    /// Answers `request`.
    ///
    /// # Errors
    /// [`SearchError::EmptyQuery`], [`SearchError::NoDense`] in dense mode, and
    /// what the store or a model reports. A damaged or missing collection is the
    /// store's error.
    pub fn search(&mut self, request: &Request) -> Result<Answer, SearchError> {
        let query = Query::new(&request.query);
        if query.text.is_empty() {
            return Err(SearchError::EmptyQuery);
        }
        let weights = (self.weights)(query.kind);
        let mut timing = Timing::default();

        let started = Instant::now();
        let schema = self.database.schema(self.collection)?;
        let mut plan = self.plan(&query, request.mode, &schema)?;
        timing.embed = started.elapsed();

        let started = Instant::now();
        let depth = LEG_DEPTH.max(request.limit.saturating_mul(3));
        let found = self.database.search(self.collection, &plan.probes, &request.filter, depth)?;
        let dense = self.coverage(&schema, request.mode)?;
        timing.retrieve = started.elapsed();

        let started = Instant::now();
        let mut points: HashMap<PointId, Point> = HashMap::new();
        let mut rankings = Vec::with_capacity(found.len());
        for (leg, scored) in plan.legs.iter().zip(found) {
            plan.states.push((*leg, LegState::Searched { candidates: scored.len() }));
            let entries = scored.iter().map(|hit| (hit.point.id, hit.score)).collect();
            rankings.push(LegRanking { weight: leg_weight(*leg, &weights), entries });
            points.extend(scored.into_iter().map(|hit| (hit.point.id, hit.point)));
        }
        plan.states.sort_by_key(|(leg, _)| *leg);
        let fused = fusion::fuse(&rankings);
        let candidates: Vec<Candidate<'_>> = fused
            .iter()
            .filter_map(|hit| Some(Candidate { point: points.get(&hit.id)?, fused: hit.score }))
            .collect();
        let ranked = ranking::rank(&query, &candidates, &weights);
        timing.rank = started.elapsed();

        let started = Instant::now();
        let mut answer = Answer {
            kind: query.kind,
            hits: Vec::new(),
            dropped: 0,
            repaired: 0,
            legs: plan.states,
            dense,
            timing,
        };
        let mut files = Files::new(self.root);
        for place in ranked {
            if answer.hits.len() >= request.limit {
                break;
            }
            let candidate = candidates[place.index];
            match files.check(candidate.point) {
                Check::Gone => answer.dropped += 1,
                check => {
                    let ranks = &fused[place.index].ranks;
                    let legs = plan.legs.iter().zip(ranks).filter_map(|(leg, rank)| Some((*leg, (*rank)?)));
                    let hit = hit(&query, candidate.point, place, legs.collect(), check);
                    answer.repaired += u32::from(hit.repaired);
                    answer.hits.push(hit);
                }
            }
        }
        answer.timing.verify = started.elapsed();
        Ok(answer)
    }

    /// Coverage of the dense legs; not looked up where none is asked, because
    /// counting vectors loads them.
    fn coverage(&self, schema: &Schema, mode: Mode) -> Result<[Option<Coverage>; 2], SearchError> {
        if mode == Mode::Lexical || schema.legs.iter().all(Option::is_none) {
            return Ok([None, None]);
        }
        let stats = self.database.stats(self.collection)?;
        Ok(Leg::ALL.map(|leg| {
            let vectors = stats.vectors[leg.index()];
            schema.legs[leg.index()].as_ref().map(|_| Coverage { vectors, points: stats.points })
        }))
    }

    /// Which probes to send. A dense leg that cannot answer is a state, not an
    /// error, unless nothing else was asked.
    fn plan(&mut self, query: &Query, mode: Mode, schema: &Schema) -> Result<Plan, SearchError> {
        let mut plan = Plan { probes: Vec::new(), legs: Vec::new(), states: Vec::new() };
        let mut ask = |leg: LegName, probe: Probe| {
            plan.legs.push(leg);
            plan.probes.push(probe);
        };
        let mut names: Vec<String> = query.names.iter().map(|name| name.to_lowercase()).collect();
        names.extend(query.guesses.iter().cloned());
        if mode != Mode::Dense && !query.terms.is_empty() {
            ask(LegName::Lexical, Probe::Terms(query.terms.clone()));
        }
        if mode != Mode::Dense && !names.is_empty() {
            ask(LegName::Symbol, Probe::Symbols(names));
        }
        for leg in Leg::ALL {
            let state = match (&schema.legs[leg.index()], &mut self.embedders[leg.index()]) {
                _ if mode == Mode::Lexical => LegState::Off,
                (None, _) => LegState::Off,
                (Some(_), None) if self.database.stats(self.collection)?.vectors[leg.index()] == 0 => {
                    LegState::Unavailable("it has no vectors yet: run `indexer once`".to_owned())
                }
                (Some(_), None) => {
                    LegState::Unavailable("its model is not loaded: run `indexer model install`".to_owned())
                }
                (Some((indexed, _)), Some(embedder)) if !is_of_model(indexed, embedder.fingerprint()) => {
                    LegState::Unavailable(format!(
                        "it was indexed with {indexed}, but {} is configured: \
                         run `indexer once` to refill it",
                        embedder.fingerprint()
                    ))
                }
                (Some(_), Some(embedder)) => {
                    let (tokens, limit) = (embedder.count_tokens(&query.text), embedder.max_tokens());
                    if tokens > limit {
                        LegState::Unavailable(format!(
                            "the query has {tokens} tokens and its model reads {limit}: shorten the query"
                        ))
                    } else {
                        let vector = embedder
                            .embed(&query.text)
                            .map_err(|source| SearchError::Embed { leg, source })?;
                        ask(LegName::Dense(leg), Probe::Vector(leg, vector));
                        continue;
                    }
                }
            };
            plan.states.push((LegName::Dense(leg), state));
        }
        if mode == Mode::Dense && plan.probes.is_empty() {
            let reason = |(leg, state): &(LegName, LegState)| match state {
                LegState::Unavailable(reason) => reason.clone(),
                _ => format!("the collection has no {} leg", leg.name()),
            };
            let reasons: Vec<String> = plan.states.iter().map(reason).collect();
            return Err(SearchError::NoDense { reason: reasons.join("; ") });
        }
        Ok(plan)
    }
}

/// Whether a leg's vectors are the model's, whatever wording its texts had: the
/// wording of a query is its own.
fn is_of_model(leg: &Fingerprint, model: &Fingerprint) -> bool {
    leg.0.strip_prefix(&model.0).is_some_and(|wording| wording.is_empty() || wording.starts_with(';'))
}

/// Names bring candidates in; where they stand is for the ranking to say, since
/// a name either matches or does not.
fn leg_weight(leg: LegName, weights: &Weights) -> f32 {
    match leg {
        LegName::Lexical => weights.lexical,
        LegName::Dense(leg) => weights.dense[leg.index()],
        LegName::Symbol => 0.0,
    }
}

fn hit(query: &Query, point: &Point, place: Ranked, legs: Vec<(LegName, u32)>, check: Check) -> Hit {
    let (bytes, lines, repaired) = match check {
        Check::Moved { bytes, lines } => (bytes, lines, true),
        Check::Unchanged | Check::Gone => (point.bytes.clone(), point.lines, false),
    };
    Hit {
        id: point.id,
        path: point.path.clone(),
        lines,
        bytes,
        language: point.language,
        kind: point.kind.clone(),
        symbol: point.symbol.clone(),
        container: point.container.clone(),
        signature: point.signature.clone(),
        score: place.score,
        legs,
        reasons: place.reasons,
        repaired,
        snippet: snippet(&point.text, lines.0, &query.weights),
        text: point.text.clone(),
    }
}

#[cfg(test)]
#[path = "tests/searcher.rs"]
mod tests;
