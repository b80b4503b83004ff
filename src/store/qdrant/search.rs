//! Probes as queries: all of one search in one request, ties resolved, symbols by keyword.

use qdrant_client::qdrant::vector_input::Variant as Input;
use qdrant_client::qdrant::{
    Condition, DenseVector, IdfParams, PrefetchQuery, Query, QueryPoints, Range, Rrf, ScoredPoint,
    SearchParams, VectorInput, query,
};

use super::Core;
use super::fields::Fields;
use super::keyword::{bounded, escape};
use super::names::vector_name;
use super::place::Opened;
use super::points::{TERMS, attribute, decode_chunk, indexed_time, symbol_key};
use super::reader::{chunk, corrupt};
use super::remote::With;
use super::scope::{Scoped, field, role};
use super::terms;
use crate::embed::Leg;
use crate::id::PointId;
use crate::store::globs::Paths;
use crate::store::schema::check_model;
use crate::store::{Filter, Probe, Scored, StoreError};

/// Points that are asked for at most where the place of the limit is among equal scores.
const TIE_BOUND: usize = 20_000;
/// Points of a page that brings ids only.
const IDS_PAGE: usize = 5000;

/// What one probe asks of the server.
enum Ask {
    Nothing,
    Query(Box<QueryPoints>),
    Symbols(Vec<String>),
}

impl Core {
    pub(super) async fn search(
        &self,
        opened: Opened,
        probes: &[Probe],
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<Vec<Scored>>, StoreError> {
        let scope = self.scope(&opened, filter).await?;
        let asks = self.asks(&opened, probes, &scope, limit).await?;
        let queries: Vec<QueryPoints> = asks
            .iter()
            .filter_map(|ask| match ask {
                Ask::Query(query) => Some((**query).clone()),
                Ask::Nothing | Ask::Symbols(_) => None,
            })
            .collect();
        let mut answers = self.query(&opened, queries).await?.into_iter();
        let mut results = Vec::with_capacity(asks.len());
        for ask in asks {
            results.push(match ask {
                Ask::Nothing => Vec::new(),
                Ask::Query(query) => {
                    let answer = answers.next().ok_or_else(|| self.no_answer())?;
                    self.ranked(&opened, *query, answer, limit).await?
                }
                Ask::Symbols(names) => self.symbols(&opened, &scope, names, limit).await?,
            });
        }
        Ok(results)
    }

    /// The best `limit` chunks by the ranks of all probes, fused by the server. Its constant
    /// is 60, and only ranks count: other than [`crate::search::fusion`]'s answer, to compare with.
    pub(super) async fn hybrid(
        &self,
        opened: Opened,
        probes: &[Probe],
        filter: &Filter,
        limit: usize,
        depth: usize,
    ) -> Result<Vec<Scored>, StoreError> {
        let scope = self.scope(&opened, filter).await?;
        let prefetch: Vec<PrefetchQuery> = (self.asks(&opened, probes, &scope, depth).await?.into_iter())
            .filter_map(|ask| match ask {
                Ask::Query(query) => {
                    let QueryPoints { query, using, filter, params, .. } = *query;
                    let limit = Some(depth as u64);
                    Some(PrefetchQuery { query, using, filter, params, limit, ..PrefetchQuery::default() })
                }
                Ask::Nothing | Ask::Symbols(_) => None,
            })
            .collect();
        if prefetch.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let rrf = Rrf { k: Some(60), ..Rrf::default() };
        let query = QueryPoints {
            prefetch,
            query: Some(Query { variant: Some(query::Variant::Rrf(rrf)) }),
            ..self.bare_query(&opened, &scope, limit)
        };
        let answer = self.query(&opened, vec![query]).await?.into_iter().next();
        scored(&opened, answer.ok_or_else(|| self.no_answer())?)
    }

    async fn query(
        &self,
        opened: &Opened,
        queries: Vec<QueryPoints>,
    ) -> Result<Vec<Vec<ScoredPoint>>, StoreError> {
        if queries.is_empty() {
            return Ok(Vec::new());
        }
        self.places.remote.query(&opened.physical, queries).await.map_err(|e| self.error(e))
    }

    fn no_answer(&self) -> StoreError {
        let url = self.places.remote.url().to_owned();
        StoreError::Remote { url, reason: "it answered fewer queries than were asked".to_owned() }
    }

    /// The visible chunks that pass a filter.
    async fn scope(&self, opened: &Opened, filter: &Filter) -> Result<Scoped, StoreError> {
        let mut scope = opened.visible(role::CHUNK);
        if let Some(paths) = Paths::compile(&filter.paths)?
            && !paths.plain.iter().any(Vec::is_empty)
        {
            let mut places: Vec<String> = paths.plain.iter().map(|path| bounded(escape(path))).collect();
            if paths.has_globs() {
                let all = self.paths(opened).await?;
                let matching = all.iter().filter(|path| paths.glob_matches(path));
                places.extend(matching.map(|path| bounded(escape(path))));
            }
            scope = scope.and(Condition::matches(field::PLACE, places));
        }
        if !filter.languages.is_empty() {
            let names: Vec<String> = filter.languages.iter().map(|l| l.name().to_owned()).collect();
            scope = scope.and(Condition::matches(field::LANGUAGE, names));
        }
        if !filter.kinds.is_empty() {
            scope = scope.and(Condition::matches(field::KIND, filter.kinds.clone()));
        }
        for (name, values) in filter.attributes.iter().filter(|(_, values)| !values.is_empty()) {
            let values: Vec<String> = values.iter().map(|value| attribute(name, value)).collect();
            scope = scope.and(Condition::matches(field::ATTRIBUTE, values));
        }
        if let Some(time) = &filter.time {
            // Past what the index tells apart there is no end.
            let end = indexed_time(time.end);
            let range = Range {
                gte: Some(indexed_time(time.start) as f64),
                lt: (end == time.end).then_some(end as f64),
                ..Range::default()
            };
            scope = scope.and(Condition::range(field::TIME, range));
        }
        Ok(scope)
    }

    fn bare_query(&self, opened: &Opened, scope: &Scoped, limit: usize) -> QueryPoints {
        QueryPoints {
            collection_name: opened.physical.clone(),
            filter: Some(scope.filter()),
            limit: Some(limit as u64),
            with_payload: With::Payload.payload(),
            ..QueryPoints::default()
        }
    }

    async fn asks(
        &self,
        opened: &Opened,
        probes: &[Probe],
        scope: &Scoped,
        limit: usize,
    ) -> Result<Vec<Ask>, StoreError> {
        let is_approximate = match self.places.options.approximate_above {
            Some(most) => self.points(opened).await? > most,
            None => false,
        };
        let nearest = |vector: Input, using: &str, params: SearchParams| {
            let vector = VectorInput { variant: Some(vector) };
            Ask::Query(Box::new(QueryPoints {
                query: Some(Query { variant: Some(query::Variant::Nearest(vector)) }),
                using: Some(using.to_owned()),
                params: Some(params),
                // One more, to see whether the limit lies among equal scores.
                ..self.bare_query(opened, scope, limit.saturating_add(1))
            }))
        };
        let ask = |probe: &Probe| match probe {
            Probe::Symbols(names) => {
                let mut names: Vec<String> = names.iter().map(|name| symbol_key(name)).collect();
                names.sort_unstable();
                names.dedup();
                Ok(if names.is_empty() || limit == 0 { Ask::Nothing } else { Ask::Symbols(names) })
            }
            Probe::Terms(terms) => Ok(match terms::query(terms).filter(|_| limit > 0) {
                None => Ask::Nothing,
                Some(vector) => {
                    // Rare is what is rare among the chunks of this collection that are there now.
                    let corpus = Some(opened.visible(role::CHUNK).filter());
                    let params = SearchParams { idf: Some(IdfParams { corpus }), ..SearchParams::default() };
                    nearest(Input::Sparse(vector), TERMS, params)
                }
            }),
            Probe::Vector(leg, model, vector) => {
                let legs = &opened.head.schema.legs;
                check_model(*leg, legs, model)?;
                let (Some((_, dimension)), Some(name)) = (&legs[leg.index()], vector_name(*leg, legs)) else {
                    return Ok(Ask::Nothing);
                };
                check_vector(*leg, *dimension, vector)?;
                if limit == 0 {
                    return Ok(Ask::Nothing);
                }
                let params = SearchParams { exact: Some(!is_approximate), ..SearchParams::default() };
                let dense = DenseVector { data: vector.clone() };
                Ok(nearest(Input::Dense(dense), &name, params))
            }
        };
        probes.iter().map(ask).collect()
    }

    /// The best `limit` of an answer, equal scores by id. If the limit lies among equal
    /// scores, more is asked for until they are all there.
    async fn ranked(
        &self,
        opened: &Opened,
        mut query: QueryPoints,
        mut answer: Vec<ScoredPoint>,
        limit: usize,
    ) -> Result<Vec<Scored>, StoreError> {
        let mut asked = limit.saturating_add(1);
        while answer.len() == asked && asked < TIE_BOUND && answer[limit - 1].score <= answer[asked - 1].score
        {
            asked = asked.saturating_mul(4).min(TIE_BOUND);
            query.limit = Some(asked as u64);
            let more = self.query(opened, vec![query.clone()]).await?;
            answer = more.into_iter().next().ok_or_else(|| self.no_answer())?;
        }
        if let Some(worst) = answer.get(limit).and_then(|_| answer.get(limit - 1)).map(|point| point.score) {
            answer.retain(|point| point.score >= worst);
        }
        let mut ranked = scored(opened, answer)?;
        ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.point.id.cmp(&b.point.id)));
        ranked.truncate(limit);
        Ok(ranked)
    }

    /// The first `limit` chunks, by id, whose symbol is one of `names`.
    async fn symbols(
        &self,
        opened: &Opened,
        scope: &Scoped,
        names: Vec<String>,
        limit: usize,
    ) -> Result<Vec<Scored>, StoreError> {
        let remote = &self.places.remote;
        let scope = scope.clone().and(Condition::matches(field::SYMBOL_KEY, names));
        let found = remote.all(&opened.physical, &scope, With::Fields(&[field::ID]), IDS_PAGE).await;
        let mut ids = Vec::new();
        for point in found.map_err(|e| self.error(e))? {
            let id = Fields(&point.payload).id(field::ID);
            ids.push((id.ok_or_else(|| corrupt(opened, "a point has no id"))?, point.id));
        }
        ids.sort_unstable_by_key(|(id, _)| *id);
        ids.truncate(limit);
        let versions = ids.into_iter().filter_map(|(_, version)| version).collect();
        let points =
            remote.get(&opened.physical, versions, With::Payload).await.map_err(|e| self.error(e))?;
        let mut found = points.iter().map(|point| chunk(opened, point)).collect::<Result<Vec<_>, _>>()?;
        found.sort_unstable_by_key(|chunk: &crate::store::Point| -> PointId { chunk.id });
        Ok(found.into_iter().map(|point| Scored { score: 1.0, point }).collect())
    }
}

fn scored(opened: &Opened, answer: Vec<ScoredPoint>) -> Result<Vec<Scored>, StoreError> {
    let one = |found: ScoredPoint| {
        let point = decode_chunk(&found.payload).map_err(|damage| corrupt(opened, &damage))?;
        Ok(Scored { score: found.score, point })
    };
    answer.into_iter().map(one).collect()
}

fn check_vector(leg: Leg, dimension: usize, vector: &[f32]) -> Result<(), StoreError> {
    if vector.len() == dimension && vector.iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    Err(StoreError::Invalid(format!(
        "a query of the {leg} leg needs {dimension} finite components, and has {}",
        vector.len()
    )))
}
