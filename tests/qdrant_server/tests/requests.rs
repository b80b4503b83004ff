//! Requests of the table, written short.

use ::qdrant_client::qdrant::*;
use serde_json::json;

use super::call::Call::{self, *};
use super::call::payload;

pub(super) const UUID: &str = "550e8400-e29b-41d4-a716-446655440000";

fn config() -> (VectorsConfig, SparseVectorConfig) {
    let dense = |size, datatype: Datatype| VectorParams {
        size,
        distance: Distance::Cosine.into(),
        datatype: Some(datatype.into()),
        ..VectorParams::default()
    };
    let sparse = |modifier: Modifier| SparseVectorParams { modifier: Some(modifier.into()), index: None };
    let params = [("d", dense(3, Datatype::Float32)), ("h", dense(2, Datatype::Float16))];
    let map = params.map(|(name, params)| (name.to_owned(), params)).into();
    let dense = vectors_config::Config::ParamsMap(VectorParamsMap { map });
    let params = [("s", sparse(Modifier::Idf)), ("raw", sparse(Modifier::None))];
    let map = params.map(|(name, params)| (name.to_owned(), params)).into();
    (VectorsConfig { config: Some(dense) }, SparseVectorConfig { map })
}

/// Dense vectors `d` and `h`, the latter in half precision; sparse ones `s` with IDF and
/// `raw` without.
pub(super) fn create(name: &str) -> Call {
    let (vectors_config, sparse_vectors_config) = config();
    Create(CreateCollection {
        collection_name: name.to_owned(),
        vectors_config: Some(vectors_config),
        sparse_vectors_config: Some(sparse_vectors_config),
        metadata: payload(json!({"model": "m1", "old": 1})),
        hnsw_config: Some(HnswConfigDiff { m: Some(0), payload_m: Some(16), ..HnswConfigDiff::default() }),
        ..CreateCollection::default()
    })
}

pub(super) fn dense(values: &[f32]) -> Vector {
    Vector { vector: Some(vector::Vector::Dense(DenseVector { data: values.to_vec() })), ..Vector::default() }
}

pub(super) fn sparse(pairs: &[(u32, f32)]) -> Vector {
    let (indices, values) = pairs.iter().copied().unzip();
    Vector { vector: Some(vector::Vector::Sparse(SparseVector { values, indices })), ..Vector::default() }
}

pub(super) fn vectors(named: &[(&str, Vector)]) -> Option<Vectors> {
    let vectors = named.iter().map(|(name, vector)| ((*name).to_owned(), vector.clone())).collect();
    Some(Vectors { vectors_options: Some(vectors::VectorsOptions::Vectors(NamedVectors { vectors })) })
}

pub(super) fn point(
    id: impl Into<PointId>,
    named: &[(&str, Vector)],
    fields: serde_json::Value,
) -> PointStruct {
    PointStruct { id: Some(id.into()), payload: payload(fields), vectors: vectors(named) }
}

pub(super) fn upsert(name: &str, points: Vec<PointStruct>) -> UpsertPoints {
    UpsertPoints { collection_name: name.to_owned(), wait: Some(true), points, ..UpsertPoints::default() }
}

pub(super) fn ids(ids: &[u64]) -> Option<PointsSelector> {
    let ids = ids.iter().map(|id| PointId::from(*id)).collect();
    let points = points_selector::PointsSelectorOneOf::Points(PointsIdsList { ids });
    Some(PointsSelector { points_selector_one_of: Some(points) })
}

pub(super) fn having(filter: Filter) -> Option<PointsSelector> {
    Some(PointsSelector {
        points_selector_one_of: Some(points_selector::PointsSelectorOneOf::Filter(filter)),
    })
}

pub(super) fn set(
    name: &str,
    selector: Option<PointsSelector>,
    fields: serde_json::Value,
    key: Option<&str>,
) -> SetPayloadPoints {
    SetPayloadPoints {
        collection_name: name.to_owned(),
        wait: Some(true),
        payload: payload(fields),
        points_selector: selector,
        key: key.map(str::to_owned),
        ..SetPayloadPoints::default()
    }
}

pub(super) fn unset(name: &str, selector: Option<PointsSelector>, keys: &[&str]) -> Call {
    DeletePayload(DeletePayloadPoints {
        collection_name: name.to_owned(),
        wait: Some(true),
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        points_selector: selector,
        ..DeletePayloadPoints::default()
    })
}

/// With payload and vectors.
pub(super) fn get(name: &str, ids: &[u64]) -> Call {
    Get(GetPoints {
        collection_name: name.to_owned(),
        ids: ids.iter().map(|id| PointId::from(*id)).collect(),
        with_payload: Some(true.into()),
        with_vectors: Some(true.into()),
        ..GetPoints::default()
    })
}

pub(super) fn count(name: &str, filter: impl Into<Filter>) -> Call {
    Count(CountPoints {
        collection_name: name.to_owned(),
        filter: Some(filter.into()),
        exact: Some(true),
        ..CountPoints::default()
    })
}

pub(super) fn nearest(vector: impl Into<VectorInput>) -> Option<Query> {
    Some(Query { variant: Some(query::Variant::Nearest(vector.into())) })
}

pub(super) fn by_terms(pairs: &[(u32, f32)]) -> Option<Query> {
    let (indices, values) = pairs.iter().copied().unzip();
    nearest(VectorInput { variant: Some(vector_input::Variant::Sparse(SparseVector { values, indices })) })
}

pub(super) fn rrf(k: Option<u32>, weights: &[f32]) -> Option<Query> {
    Some(Query { variant: Some(query::Variant::Rrf(Rrf { k, weights: weights.to_vec() })) })
}

pub(super) fn ask(name: &str, using: &str, query: Option<Query>) -> QueryPoints {
    QueryPoints {
        collection_name: name.to_owned(),
        query,
        using: Some(using.to_owned()),
        params: Some(SearchParams { exact: Some(true), ..SearchParams::default() }),
        ..QueryPoints::default()
    }
}

pub(super) fn prefetch(using: &str, query: Option<Query>) -> PrefetchQuery {
    PrefetchQuery { query, using: Some(using.to_owned()), ..PrefetchQuery::default() }
}

pub(super) fn aliases(actions: Vec<alias_operations::Action>) -> Call {
    let actions = actions.into_iter().map(|action| AliasOperations { action: Some(action) }).collect();
    UpdateAliases(ChangeAliases { actions, timeout: None })
}

pub(super) fn create_alias(alias: &str, collection: &str) -> alias_operations::Action {
    alias_operations::Action::CreateAlias(CreateAlias {
        collection_name: collection.to_owned(),
        alias_name: alias.to_owned(),
    })
}

pub(super) fn rename_alias(old: &str, new: &str) -> alias_operations::Action {
    alias_operations::Action::RenameAlias(RenameAlias {
        old_alias_name: old.to_owned(),
        new_alias_name: new.to_owned(),
    })
}

pub(super) fn delete_alias(alias: &str) -> alias_operations::Action {
    alias_operations::Action::DeleteAlias(DeleteAlias { alias_name: alias.to_owned() })
}

pub(super) fn info(name: &str) -> Call {
    Info(GetCollectionInfoRequest { collection_name: name.to_owned() })
}

pub(super) fn create_vector(name: &str, vector: &str, size: u64) -> Call {
    let dense = DenseVectorCreationConfig { size, distance: Distance::Cosine.into(), ..Default::default() };
    CreateVector(CreateVectorNameRequest {
        collection_name: name.to_owned(),
        wait: Some(true),
        vector_name: vector.to_owned(),
        vector_config: Some(create_vector_name_request::VectorConfig::DenseConfig(dense)),
        ..CreateVectorNameRequest::default()
    })
}

pub(super) fn drop_vector(name: &str, vector: &str) -> Call {
    DropVector(DeleteVectorNameRequest {
        collection_name: name.to_owned(),
        wait: Some(true),
        vector_name: vector.to_owned(),
        ..DeleteVectorNameRequest::default()
    })
}

pub(super) fn exists(name: &str) -> Call {
    Exists(CollectionExistsRequest { collection_name: name.to_owned() })
}

pub(super) fn drop_collection(name: &str) -> Call {
    Drop(DeleteCollection { collection_name: name.to_owned(), timeout: None })
}

pub(super) fn index(name: &str, field: &str, field_type: FieldType) -> CreateFieldIndexCollection {
    CreateFieldIndexCollection {
        collection_name: name.to_owned(),
        wait: Some(true),
        field_name: field.to_owned(),
        field_type: Some(field_type.into()),
        ..CreateFieldIndexCollection::default()
    }
}

pub(super) fn scroll(name: &str) -> ScrollPoints {
    ScrollPoints { collection_name: name.to_owned(), ..ScrollPoints::default() }
}

pub(super) fn field(key: &str, condition: FieldCondition) -> Condition {
    FieldCondition { key: key.to_owned(), ..condition }.into()
}
