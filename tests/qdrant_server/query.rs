//! The query call: nearest by dense or sparse vector, over all points or over what
//! prefetches found, and their fusion by rank.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ::qdrant_client::qdrant::query::Variant;
use ::qdrant_client::qdrant::*;
use tonic::Status;

use super::collection::{Collection, Data};
use super::filter::{self, Subject};
use super::path;
use super::point::{self, Id, Vector};

const DEFAULT_LIMIT: u64 = 10;
/// The constant of reciprocal rank fusion where a request has none.
const DEFAULT_RRF_K: u32 = 2;

pub(super) fn query(data: &mut Data, request: QueryPoints) -> Result<QueryResponse, Status> {
    let collection = &*data.collection(&request.collection_name)?;
    if request.lookup_from.is_some() {
        return Err(Status::unimplemented("vectors of other collections are not served"));
    }
    let offset = request.offset.unwrap_or(0);
    let plain = request.prefetch.is_empty() && request.query.is_none();
    let stage = PrefetchQuery {
        prefetch: request.prefetch,
        query: request.query,
        using: request.using,
        filter: request.filter,
        params: request.params,
        score_threshold: request.score_threshold,
        limit: Some(positive(request.limit)?.saturating_add(offset)),
        lookup_from: None,
    };
    let ranked = collection.ranked(&stage, None)?;
    let hits = ranked.into_iter().skip(usize::try_from(offset).unwrap_or(usize::MAX));
    let result = hits.map(|(id, score)| {
        let point = &collection.points[&id];
        Ok(ScoredPoint {
            id: Some(id.write()),
            payload: path::select(&point.payload, request.with_payload.as_ref())?,
            score,
            version: if plain { 0 } else { point.version },
            vectors: point::show(collection, &point.vectors, request.with_vectors.as_ref())?,
            ..ScoredPoint::default()
        })
    });
    Ok(QueryResponse { result: result.collect::<Result<_, Status>>()?, time: 0.0, usage: None })
}

/// The queries of a batch are of the batch's collection, whatever they name themselves.
pub(super) fn query_batch(data: &mut Data, request: QueryBatchPoints) -> Result<QueryBatchResponse, Status> {
    data.collection(&request.collection_name)?;
    let mut result = Vec::new();
    for one in request.query_points {
        let one = QueryPoints { collection_name: request.collection_name.clone(), ..one };
        result.push(BatchResult { result: query(data, one)?.result });
    }
    Ok(QueryBatchResponse { result, time: 0.0, usage: None })
}

fn positive(limit: Option<u64>) -> Result<u64, Status> {
    match limit {
        Some(0) => Err(Status::invalid_argument("Validation error in body: [limit: value 0 invalid]")),
        limit => Ok(limit.unwrap_or(DEFAULT_LIMIT)),
    }
}

/// The score of a vector that is a hit.
type Scorer = Box<dyn Fn(&Vector) -> Option<f32>>;

/// Ids with scores, best first.
type Ranked = Vec<(Id, f32)>;

impl Collection {
    /// One stage: its prefetches first, with its filter upon them all, then its query
    /// over what they found.
    fn ranked(&self, stage: &PrefetchQuery, outer: Option<&Filter>) -> Result<Ranked, Status> {
        let filter = filter::both(outer, stage.filter.as_ref());
        let filter = filter.as_ref();
        let limit = usize::try_from(positive(stage.limit)?).unwrap_or(usize::MAX);
        let sources = stage.prefetch.iter().map(|stage| self.ranked(stage, filter));
        let sources = sources.collect::<Result<Vec<Ranked>, _>>()?;
        let variant = stage.query.as_ref().and_then(|query| query.variant.as_ref());
        let leaf = stage.prefetch.is_empty();
        let rrf = match variant {
            Some(Variant::Fusion(fusion)) if *fusion == i32::from(Fusion::Rrf) => Some(Rrf::default()),
            Some(Variant::Rrf(rrf)) => Some(rrf.clone()),
            _ => None,
        };
        let mut ranked = match (variant, rrf) {
            (_, Some(_)) if leaf => {
                return Err(Status::invalid_argument(
                    "Wrong input: Validation failed: cannot apply Fusion without prefetches",
                ));
            }
            (_, Some(rrf)) => {
                let mut fused = fused(sources, &rrf)?;
                fused.retain(|(_, score)| stage.score_threshold.is_none_or(|least| *score >= least));
                fused
            }
            (None, None) if leaf => {
                let test = filter::compile(filter)?;
                let found = self.points.iter().filter(|(id, point)| test(&Subject::of(id, point)));
                found.map(|(id, _)| (id.clone(), 1.0)).collect()
            }
            (None, None) => {
                return Err(Status::invalid_argument(
                    "Bad request: A query is needed to merge the prefetches. Can't have prefetches without \
                     defining a query.",
                ));
            }
            (Some(Variant::Nearest(input)), None) => {
                let among: BTreeSet<&Id> = sources.iter().flatten().map(|(id, _)| id).collect();
                let mut nearest = self.nearest(input, stage, filter)?;
                nearest.retain(|(id, score)| {
                    (leaf || among.contains(id)) && stage.score_threshold.is_none_or(|bound| *score > bound)
                });
                nearest
            }
            (Some(_), None) => return Err(Status::unimplemented("queries of this kind are not served")),
        };
        // Stable: equal scores stay in order of their ids.
        ranked.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        ranked.truncate(limit);
        Ok(ranked)
    }

    /// Every point that passes the filter and has the vector, with its score.
    fn nearest(
        &self,
        input: &VectorInput,
        stage: &PrefetchQuery,
        filter: Option<&Filter>,
    ) -> Result<Ranked, Status> {
        let using = stage.using.as_deref().unwrap_or_default();
        let test = filter::compile(filter)?;
        let mut of_point = None;
        let wanted = match &input.variant {
            Some(vector_input::Variant::Dense(dense)) => Vector::Dense(dense.data.clone()),
            Some(vector_input::Variant::Sparse(sparse)) => Vector::Sparse(point::sorted(sparse.clone())?),
            Some(vector_input::Variant::Id(id)) => {
                self.has_vector(using)?;
                let id = Id::read(id)?;
                let point = self
                    .points
                    .get(&id)
                    .ok_or_else(|| Status::not_found(format!("Not found: No point with id {id} found")))?;
                let vector = point.vectors.get(using).ok_or_else(|| {
                    Status::not_found(format!("Not found: Vector with name \"{using}\" for point not found"))
                })?;
                of_point = Some(id);
                vector.clone()
            }
            _ => return Err(Status::unimplemented("queries by this kind of vector are not served")),
        };
        self.fits(using, &wanted)?;
        let corpus = stage.params.as_ref().and_then(|params| params.idf.as_ref()?.corpus.as_ref());
        let score = self.scorer(using, self.kept(using, wanted), corpus)?;
        let candidates = self.points.iter().filter(|(id, point)| test(&Subject::of(id, point)));
        let scored =
            candidates.filter_map(|(id, point)| Some((id.clone(), score(point.vectors.get(using)?)?)));
        // What is asked by a point is not an answer.
        Ok(scored.filter(|(id, _)| of_point.as_ref() != Some(id)).collect())
    }

    /// The score of a vector: cosine, or the product of weights, with those of the query
    /// multiplied by their inverse document frequency where the schema says so. A sparse
    /// vector that shares no index with the query is no hit.
    fn scorer(&self, using: &str, wanted: Vector, corpus: Option<&Filter>) -> Result<Scorer, Status> {
        match wanted {
            Vector::Dense(wanted) => Ok(Box::new(move |vector| match vector {
                Vector::Dense(values) => Some(wanted.iter().zip(values).map(|(a, b)| a * b).sum()),
                Vector::Sparse(_) => None,
            })),
            Vector::Sparse(mut wanted) => {
                if self.sparse.get(using) == Some(&true) {
                    self.weigh(using, &mut wanted, corpus)?;
                }
                let wanted: BTreeMap<u32, f32> = wanted.into_iter().collect();
                Ok(Box::new(move |vector| match vector {
                    Vector::Sparse(pairs) => pairs
                        .iter()
                        .filter_map(|(index, weight)| Some(wanted.get(index)? * weight))
                        .reduce(|sum, product| sum + product),
                    Vector::Dense(_) => None,
                }))
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "the real server counts in f32")]
    fn weigh(&self, using: &str, wanted: &mut [(u32, f32)], corpus: Option<&Filter>) -> Result<(), Status> {
        let in_corpus = filter::compile(corpus)?;
        let mut documents = 0_usize;
        let mut having: HashMap<u32, usize> = HashMap::new();
        for (id, point) in &self.points {
            let Some(Vector::Sparse(pairs)) = point.vectors.get(using) else { continue };
            if pairs.is_empty() || !in_corpus(&Subject::of(id, point)) {
                continue;
            }
            documents += 1;
            for (index, _) in pairs {
                *having.entry(*index).or_default() += 1;
            }
        }
        let n = documents as f32;
        for (index, weight) in wanted {
            let df = having.get(index).copied().unwrap_or(0) as f32;
            *weight *= ((n - df + 0.5) / (df + 0.5) + 1.0).ln();
        }
        Ok(())
    }
}

/// Reciprocal rank fusion: 1 / (rank / weight + k − 1), summed over the sources, ranks from 1.
#[expect(clippy::cast_precision_loss, reason = "the real server counts in f32")]
fn fused(sources: Vec<Ranked>, rrf: &Rrf) -> Result<Ranked, Status> {
    let k = match rrf.k {
        Some(0) => return Err(Status::invalid_argument("Validation error in body: [k: value 0 invalid]")),
        k => k.unwrap_or(DEFAULT_RRF_K) as f32,
    };
    let (weights, prefetches) = (rrf.weights.len(), sources.len());
    if weights != 0 && weights != prefetches {
        return Err(Status::invalid_argument(format!(
            "Wrong input: Validation failed: RRF weights length ({weights}) does not match number of prefetches \
             ({prefetches})"
        )));
    }
    let mut scores: BTreeMap<Id, f32> = BTreeMap::new();
    for (at, source) in sources.into_iter().enumerate() {
        let weight = rrf.weights.get(at).copied().unwrap_or(1.0);
        for (position, (id, _)) in source.into_iter().enumerate() {
            let score = if weight > 0.0 { 1.0 / ((position + 1) as f32 / weight + k - 1.0) } else { 0.0 };
            *scores.entry(id).or_insert(0.0) += score;
        }
    }
    Ok(scores.into_iter().collect())
}
