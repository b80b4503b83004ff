//! One query against one or more collections, end to end.
//!
//! The query is embedded once, the collections are asked side by side, and what they
//! answer is fused as if it were one: each leg's own scores against the best of all
//! places, so that the best of a project that has nothing to say does not stand beside the
//! best of one that has. Cosines are comparable as they are; BM25 counts a word as rare or
//! common by its own collection, which is what makes a name count where it is at home.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::embed::{EmbedError, Embedder, Leg, is_of_model};
use crate::id::{CollectionName, Fingerprint, PointId};
use crate::lexical;
use crate::path::AbsPath;
use crate::search::fusion::{self, Fused, LegRanking};
use crate::search::ranking::{self, Candidate, Ranked, Weights};
use crate::search::restriction::restrictions;
use crate::search::snippet::snippet;
use crate::search::verification::{Check, Files};
use crate::search::{
    Answer, Coverage, Hit, LegName, LegState, Mode, PlaceReport, Query, QueryKind, Request, SearchError,
    Timing,
};
use crate::store::{Filter, Point, Probe, Schema, StoreError};
use crate::tenant::Database;

/// Candidates asked of each leg at least. Deeper than any answer, because the
/// rules and the disk check reorder and thin them.
const LEG_DEPTH: usize = 150;
/// Candidates of all places together, in proportion: of each of many places fewer are asked,
/// but never less than an answer's worth of each leg.
const ALL_DEPTH: usize = 4 * LEG_DEPTH;
/// Candidates that the rules look at, if several places were asked; those that were found by
/// name besides. No rule lifts a later one into an answer.
const RULED: usize = LEG_DEPTH;
/// Collections asked at a time.
const SIDE_BY_SIDE: usize = 8;
/// Schemas that are at hand take no longer than this in all: no work for threads.
const ALONE: Duration = Duration::from_micros(200);

/// Where to look: a collection, and the folder that its files are below.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The tenant's database.
    pub database: &'a Database,
    /// The collection in it.
    pub collection: &'a CollectionName,
    /// Root of the worktree.
    pub root: &'a AbsPath,
}

/// A model that embeds queries, or the fingerprint of one that cannot be used, and why.
pub type QueryModel<'a> = Result<&'a mut dyn Embedder, (Fingerprint, String)>;

/// Answers queries on some collections.
pub struct Searcher<'a> {
    places: Vec<Place<'a>>,
    models: Vec<QueryModel<'a>>,
    weights: Box<dyn Fn(QueryKind) -> Weights + 'a>,
}

/// A query's vector: of which model it is, or why there is none.
type QueryVector = (Fingerprint, Result<Vec<f32>, String>);

/// A query with its vectors.
struct Asked<'q> {
    query: &'q Query,
    mode: Mode,
    vectors: Vec<QueryVector>,
}

/// The probes of a query, the leg of each, and what became of every leg.
struct Plan {
    probes: Vec<Probe>,
    legs: Vec<LegName>,
    states: Vec<(LegName, LegState)>,
}

/// What one place answered.
struct Found {
    report: PlaceReport,
    /// Points with the leg's score, by leg.
    legs: Vec<(LegName, Vec<(PointId, f32)>)>,
    points: HashMap<PointId, Point>,
}

/// A point among all places.
type Key = (usize, PointId);

impl<'a> Searcher<'a> {
    /// A searcher on `places`. Each leg of each place is asked with the one of `models` that its
    /// vectors are of; where there is none, it is left out of hybrid answers, which say so.
    pub fn new(places: Vec<Place<'a>>, models: Vec<QueryModel<'a>>) -> Searcher<'a> {
        Searcher { places, models, weights: Box::new(Weights::of) }
    }

    /// The same with other weights, for measurements.
    pub fn with_weights(mut self, weights: impl Fn(QueryKind) -> Weights + 'a) -> Searcher<'a> {
        self.weights = Box::new(weights);
        self
    }

    /// Answers `request`. A place that cannot be searched is an error beside the others' hits,
    /// also where it is the only one.
    ///
    /// # Errors
    /// [`SearchError::EmptyQuery`], and what a model reports.
    pub fn search(&mut self, request: &Request) -> Result<Answer, SearchError> {
        let mut query = Query::parse(&request.query)?;
        if query.text.is_empty() {
            return Err(SearchError::EmptyQuery);
        }
        let weights = (self.weights)(query.kind);
        let mut timing = Timing::default();

        let stage = tracing::info_span!("search.embed").entered();
        let started = Instant::now();
        let schemas =
            side_by_side(self.places.clone(), ALONE, |place| place.database.schema(place.collection));
        if request.mode != Mode::Dense {
            query.respell(self.spellings(&query.doubtful()));
        }
        let asked = self.ask(&query, request.mode, &schemas)?;
        timing.embed = started.elapsed();
        drop(stage);

        let stage = tracing::info_span!("search.retrieve", places = self.places.len()).entered();
        let started = Instant::now();
        let depth = match self.places.len() {
            0 | 1 => LEG_DEPTH.max(request.limit.saturating_mul(3)),
            places => (ALL_DEPTH / places).min(LEG_DEPTH).max(request.limit),
        };
        let places = self.places.iter().zip(schemas).collect();
        let found = side_by_side(places, Duration::ZERO, |(place, schema)| {
            match place.retrieve(&asked, &schema?, request, depth) {
                // A leg became another model's since the schema was read.
                Err(SearchError::Store(StoreError::OtherModel { .. })) => {
                    place.retrieve(&asked, &place.database.schema(place.collection)?, request, depth)
                }
                found => found,
            }
        });
        timing.retrieve = started.elapsed();
        drop(stage);

        let stage = tracing::info_span!("search.rank").entered();
        let started = Instant::now();
        let (legs, mut all) = fuse(&found, &weights);
        if found.len() > 1 {
            let named = legs.iter().position(|leg| *leg == LegName::Symbol);
            let mut place = 0..;
            all.retain(|hit| {
                place.next() < Some(RULED) || named.is_some_and(|named| hit.ranks[named].is_some())
            });
        }
        let ranked = rank(&query, &found, &all, &weights);
        timing.rank = started.elapsed();
        drop(stage);

        let _stage = tracing::info_span!("search.verify").entered();
        let started = Instant::now();
        let mut answer = Answer {
            kind: query.kind,
            respelled: query.respelled.clone(),
            hits: Vec::new(),
            dropped: 0,
            repaired: 0,
            places: Vec::new(),
            timing,
        };
        let mut files: Vec<Files<'_>> = self.places.iter().map(|place| Files::new(place.root)).collect();
        for place in &ranked {
            if answer.hits.len() >= request.limit {
                break;
            }
            let fused = &all[place.index];
            let at = fused.id.0;
            let Some(point) = point_of(&found, fused) else { continue };
            match files[at].check(point) {
                Check::Gone => answer.dropped += 1,
                check => {
                    let mut hit = hit(&query, point, place, (&legs, fused), check);
                    let mut parts = Vec::new();
                    for other in &place.joined {
                        let Some(point) = point_of(&found, &all[*other]) else { continue };
                        match files[at].check(point) {
                            Check::Gone => answer.dropped += 1,
                            Check::Moved { bytes, lines } => parts.push((lines, bytes, &*point.text)),
                            Check::Unchanged => parts.push((point.lines, point.bytes.clone(), &*point.text)),
                        }
                    }
                    extend(&mut hit, parts);
                    answer.repaired += u32::from(hit.repaired);
                    answer.hits.push(hit);
                }
            }
        }
        answer.places = found.into_iter().map(|found| found.map(|found| found.report)).collect();
        answer.timing.verify = started.elapsed();
        Ok(answer)
    }

    /// Spellings that some place has for terms that none of them has. What cannot be looked up
    /// is not corrected; the search itself says why a place does not answer.
    fn spellings(&self, terms: &[String]) -> Vec<(String, String)> {
        if terms.is_empty() {
            return Vec::new();
        }
        let of_place = |place: Place<'_>| place.database.spellings(place.collection, terms).ok();
        let found: Vec<Vec<Option<String>>> =
            side_by_side(self.places.clone(), ALONE, of_place).into_iter().flatten().collect();
        let known = |at: usize| match found.iter().any(|place| place[at].is_none()) {
            true => None,
            false => found.first().and_then(|place| place[at].clone()),
        };
        terms.iter().enumerate().filter_map(|(at, term)| Some((term.clone(), known(at)?))).collect()
    }

    /// Embeds the query with each model that some place has vectors of, once.
    fn ask<'q>(
        &mut self,
        query: &'q Query,
        mode: Mode,
        schemas: &[Result<Schema, StoreError>],
    ) -> Result<Asked<'q>, SearchError> {
        let mut asked = Asked { query, mode, vectors: Vec::new() };
        if mode == Mode::Lexical {
            return Ok(asked);
        }
        for model in &mut self.models {
            let embedder = match model {
                Ok(embedder) => embedder,
                Err((model, why)) => {
                    asked.vectors.push((model.clone(), Err(why.clone())));
                    continue;
                }
            };
            let model = embedder.fingerprint().clone();
            let legs = schemas.iter().flatten().flat_map(|schema| Leg::ALL.into_iter().zip(&schema.legs));
            let mut of_it =
                legs.filter(|(_, leg)| leg.as_ref().is_some_and(|(leg, _)| is_of_model(leg, &model)));
            let Some((leg, _)) = of_it.next() else { continue };
            let vector = match embedder.embed_query(&query.text) {
                Err(EmbedError::TooLong { tokens, limit }) => Err(format!(
                    "the query has {tokens} tokens and its model reads {limit}: shorten the query"
                )),
                embedded => Ok(embedded.map_err(|source| SearchError::Embed { leg, source })?),
            };
            asked.vectors.push((model, vector));
        }
        Ok(asked)
    }
}

impl Place<'_> {
    fn retrieve(
        &self,
        asked: &Asked<'_>,
        schema: &Schema,
        request: &Request,
        depth: usize,
    ) -> Result<Found, SearchError> {
        let mut plan = self.plan(asked, schema)?;
        let (filter, after) = restrictions(&request.filter, &asked.query.marks)?;
        let depth = if after.is_some() { depth.saturating_mul(3) } else { depth };
        let mut answers = self.database.search(self.collection, &plan.probes, &filter, depth)?;
        if let Some((probe, paths)) = files_probe(asked).filter(|_| filter.paths.is_empty()) {
            let filter = Filter { paths, ..filter.clone() };
            answers.extend(self.database.search(self.collection, &[probe], &filter, PATH_DEPTH)?);
            plan.legs.push(LegName::Path);
        }
        if let Some(after) = after {
            answers.iter_mut().for_each(|hits| hits.retain(|hit| after.passes(&hit.point)));
        }
        let dense = self.coverage(schema, request.mode)?;
        let mut points = HashMap::new();
        let mut legs = Vec::with_capacity(answers.len());
        for (leg, scored) in plan.legs.into_iter().zip(answers) {
            plan.states.push((leg, LegState::Searched { candidates: scored.len() }));
            legs.push((leg, scored.iter().map(|hit| (hit.point.id, hit.score)).collect()));
            points.extend(scored.into_iter().map(|hit| (hit.point.id, hit.point)));
        }
        plan.states.sort_by_key(|(leg, _)| *leg);
        Ok(Found { report: PlaceReport { legs: plan.states, dense }, legs, points })
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
    fn plan(&self, asked: &Asked<'_>, schema: &Schema) -> Result<Plan, SearchError> {
        let Asked { query, mode, vectors } = asked;
        let mut plan = Plan { probes: Vec::new(), legs: Vec::new(), states: Vec::new() };
        let mut ask = |leg: LegName, probe: Probe| {
            plan.legs.push(leg);
            plan.probes.push(probe);
        };
        let mut names: Vec<String> = query.names.iter().map(|name| name.to_lowercase()).collect();
        names.extend(query.guesses.iter().cloned());
        if *mode != Mode::Dense && !query.terms.is_empty() {
            ask(LegName::Lexical, Probe::Terms(query.terms.clone()));
        }
        if *mode != Mode::Dense && !names.is_empty() {
            ask(LegName::Symbol, Probe::Symbols(names));
        }
        for leg in Leg::ALL {
            let state = match &schema.legs[leg.index()] {
                Some((indexed, _)) if *mode != Mode::Lexical => {
                    match vectors.iter().find(|(model, _)| is_of_model(indexed, model)) {
                        Some((_, Ok(vector))) => {
                            ask(LegName::Dense(leg), Probe::Vector(leg, indexed.clone(), vector.clone()));
                            continue;
                        }
                        Some((_, Err(reason))) => LegState::Unavailable(reason.clone()),
                        None if self.database.stats(self.collection)?.vectors[leg.index()] == 0 => {
                            LegState::Unavailable("it has no vectors yet: run `indexer once`".to_owned())
                        }
                        None => LegState::Unavailable(format!(
                            "its model {indexed} is not loaded: ask again, or run `indexer model install`"
                        )),
                    }
                }
                _ => LegState::Off,
            };
            plan.states.push((LegName::Dense(leg), state));
        }
        if *mode == Mode::Dense && plan.probes.is_empty() {
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

/// Chunks asked of the files that a query names.
const PATH_DEPTH: usize = 400;

/// Asks for the chunks of the files that the query names: its terms, and theirs, which every
/// chunk of a file has.
fn files_probe(asked: &Asked<'_>) -> Option<(Probe, Vec<String>)> {
    let query = asked.query;
    let positions = query.marks.positions.iter().map(|at| &at.path);
    let names: BTreeSet<&str> =
        query.paths.iter().chain(positions).filter_map(|path| path.rsplit('/').next()).collect();
    if asked.mode == Mode::Dense || names.is_empty() {
        return None;
    }
    let mut terms = query.terms.clone();
    for name in &names {
        let stem = name.rsplit_once('.').map_or(*name, |(stem, _)| stem);
        for (term, weight) in lexical::query_terms(stem) {
            if !terms.iter().any(|(known, _)| *known == term) {
                terms.push((term, weight));
            }
        }
    }
    let paths = names.iter().map(|name| globset::escape(name));
    let paths = paths.flat_map(|name| [format!("**/{name}"), name]).collect();
    Some((Probe::Terms(terms), paths))
}

/// Does `act` with each, some at a time once it has taken longer than `alone`; the results in
/// their order.
fn side_by_side<T: Send, R: Send>(items: Vec<T>, alone: Duration, act: impl Fn(T) -> R + Sync) -> Vec<R> {
    let began = Instant::now();
    let mut items = items.into_iter();
    let mut first = Vec::with_capacity(items.len());
    while began.elapsed() < alone || items.len() == 1 {
        let Some(item) = items.next() else { return first };
        first.push(act(item));
    }
    let threads = SIDE_BY_SIDE.min(items.len());
    let queue = Mutex::new(items.enumerate());
    let results = Mutex::new(Vec::new());
    let work = || {
        loop {
            let next = lock(&queue).next();
            let Some((at, item)) = next else { break };
            let result = act(item);
            lock(&results).push((at, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(at, _)| *at);
    first.extend(results.into_iter().map(|(_, result)| result));
    first
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All places' answers as one ranking, and the legs that it is of.
fn fuse(found: &[Result<Found, SearchError>], weights: &Weights) -> (Vec<LegName>, Vec<Fused<Key>>) {
    let answered = || found.iter().enumerate().filter_map(|(at, found)| Some((at, found.as_ref().ok()?)));
    let (mut legs, mut rankings) = (Vec::new(), Vec::new());
    for leg in LegName::ALL {
        let of_leg = |(at, found): (usize, &Found)| {
            let entries = found.legs.iter().find(|(name, _)| *name == leg).map(|(_, entries)| entries)?;
            Some(entries.iter().map(|(id, score)| ((at, *id), *score)).collect::<Vec<_>>())
        };
        let entries: Vec<Vec<(Key, f32)>> = answered().filter_map(of_leg).collect();
        if !entries.is_empty() {
            legs.push(leg);
            rankings.push(LegRanking { weight: leg_weight(leg, weights), entries: entries.concat() });
        }
    }
    (legs, fusion::fuse(&rankings))
}

/// Applies the rules within each place, and merges the places by score: indexes into
/// `fused`, each with its place. Where two places have the same chunk at the same path, as
/// two worktrees of a repository do, the first of them stands for both.
fn rank(
    query: &Query,
    found: &[Result<Found, SearchError>],
    fused: &[Fused<Key>],
    weights: &Weights,
) -> Vec<Ranked> {
    let mut ranked: Vec<Ranked> = Vec::with_capacity(fused.len());
    for (at, found) in found.iter().enumerate() {
        let Ok(found) = found else { continue };
        let own: Vec<usize> = (0..fused.len()).filter(|index| fused[*index].id.0 == at).collect();
        let candidates: Vec<Candidate<'_>> = (own.iter())
            .filter_map(|index| {
                let Fused { id: (_, id), score, .. } = &fused[*index];
                Some(Candidate { point: found.points.get(id)?, fused: *score })
            })
            .collect();
        let places = ranking::rank(query, &candidates, weights);
        ranked.extend(places.into_iter().map(|place| Ranked {
            index: own[place.index],
            joined: place.joined.iter().map(|at| own[*at]).collect(),
            ..place
        }));
    }
    if found.len() > 1 {
        let id = |place: &Ranked| fused[place.index].id;
        ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| id(a).cmp(&id(b))));
        let mut seen = HashSet::new();
        ranked.retain(|place| seen.insert(id(place).1));
    }
    ranked
}

/// Names bring candidates in; where they stand is for the ranking to say, since
/// a name either matches or does not.
fn leg_weight(leg: LegName, weights: &Weights) -> f32 {
    match leg {
        LegName::Lexical => weights.lexical,
        LegName::Dense(leg) => weights.dense[leg.index()],
        LegName::Symbol | LegName::Path => 0.0,
    }
}

fn point_of<'f>(found: &'f [Result<Found, SearchError>], fused: &Fused<Key>) -> Option<&'f Point> {
    let (at, id) = fused.id;
    found[at].as_ref().ok().and_then(|found| found.points.get(&id))
}

/// Adds to `hit` the parts that still stand next to it: lines, bytes, and text.
fn extend(hit: &mut Hit, parts: Vec<((u32, u32), Range<u32>, &str)>) {
    if parts.is_empty() {
        return;
    }
    let own = std::mem::take(&mut hit.text);
    let mut parts = parts;
    parts.push((hit.lines, hit.bytes.clone(), &own));
    parts.sort_by_key(|(lines, ..)| *lines);
    let own_place = parts.iter().position(|(lines, ..)| *lines == hit.lines).unwrap_or_default();
    let touch = |a: (u32, u32), b: (u32, u32)| a.1 < b.0 && b.0 <= a.1 + ranking::JOIN_GAP;
    // From the hit outwards, as far as each touches the next.
    let first = (1..=own_place).rev().take_while(|at| touch(parts[at - 1].0, parts[*at].0)).last();
    let last = (own_place + 1..parts.len()).take_while(|at| touch(parts[at - 1].0, parts[*at].0)).last();
    let shown = &parts[first.map_or(own_place, |at| at - 1)..=last.unwrap_or(own_place)];
    let mut text = String::new();
    for (at, (lines, _, part)) in shown.iter().enumerate() {
        if at > 0 {
            let blank = lines.0 - shown[at - 1].0.1 - u32::from(text.ends_with('\n'));
            (0..blank).for_each(|_| text.push('\n'));
        }
        text.push_str(part);
    }
    hit.lines = (shown[0].0.0, shown[shown.len() - 1].0.1);
    hit.bytes = shown[0].1.start..shown[shown.len() - 1].1.end;
    hit.text = text;
}

fn hit(
    query: &Query,
    point: &Point,
    place: &Ranked,
    (legs, fused): (&[LegName], &Fused<Key>),
    check: Check,
) -> Hit {
    let (bytes, lines, repaired) = match check {
        Check::Moved { bytes, lines } => (bytes, lines, true),
        Check::Unchanged | Check::Gone => (point.bytes.clone(), point.lines, false),
    };
    Hit {
        place: fused.id.0,
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
        legs: legs.iter().zip(&fused.ranks).filter_map(|(leg, rank)| Some((*leg, (*rank)?))).collect(),
        fused: fused.score,
        boosts: place.boosts.clone(),
        reasons: place.reasons.clone(),
        repaired,
        snippet: snippet(&point.text, lines.0, &query.weights),
        text: point.text.clone(),
    }
}

#[cfg(test)]
#[path = "tests/searcher.rs"]
mod tests;
