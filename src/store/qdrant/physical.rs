//! Physical collections: what they are made of, and which payload fields they index.

use std::collections::{HashMap, HashSet};

use qdrant_client::qdrant::create_vector_name_request::VectorConfig;
use qdrant_client::qdrant::payload_index_params::IndexParams;
use qdrant_client::qdrant::quantization_config::Quantization;
use qdrant_client::qdrant::vectors_config::Config;
use qdrant_client::qdrant::{
    CollectionInfo, CreateCollection, CreateFieldIndexCollection, CreateVectorNameRequest,
    DenseVectorCreationConfig, Distance, FieldType, IntegerIndexParams, KeywordIndexParams, Memory, Modifier,
    PayloadIndexParams, PayloadStorageParams, QuantizationConfig, QuantizationType, ScalarQuantization,
    SparseVectorConfig, SparseVectorParams, UpdateCollection, VectorParams, VectorParamsDiff,
    VectorParamsDiffMap, VectorParamsMap, VectorsConfig, VectorsConfigDiff, vectors_config_diff,
};

use super::failure::Failure;
use super::head::Head;
use super::names::vector_name;
use super::options::QdrantOptions;
use super::points::TERMS;
use super::remote::{Remote, With};
use super::scope::{Scoped, field};
use crate::embed::Leg;
use crate::store::{Legs, StoreError};

/// Heads read at a time.
const HEADS_PAGE: usize = 256;

/// Makes the physical collection where it is not there, and completes it where it is: with
/// the indexes that a creation which was cut short left out, and with the vectors of a model
/// that no collection in it had so far.
pub(super) async fn ensure(
    remote: &Remote,
    options: &QdrantOptions,
    physical: &str,
    legs: &Legs,
) -> Result<(), StoreError> {
    let error = |e: Failure| remote.error(e);
    let mut info = remote.info(physical).await.map_err(error)?;
    if info.is_none() {
        remote.create(creation(options, physical, legs)).await.map_err(error)?;
        info = remote.info(physical).await.map_err(error)?;
    }
    let info = info.ok_or_else(|| error(Failure::Missing(format!("{physical} was dropped just now"))))?;
    let there = dense_vectors(&info);
    for (name, dimension) in named(legs).filter(|(name, _)| !there.contains(name)) {
        remote.add_vector(addition(physical, name.clone(), dimension)).await.map_err(error)?;
        if options.on_disk {
            remote.update(on_disk(physical, name)).await.map_err(error)?;
        }
    }
    for request in indexes(physical) {
        if !info.payload_schema.contains_key(&request.field_name) {
            remote.index(request).await.map_err(error)?;
        }
    }
    Ok(())
}

/// Removes the vectors of models that no head in the physical collection names. Only where it is
/// of one collection, as another's may be about to be filled.
pub(super) async fn drop_unused(remote: &Remote, physical: &str) -> Result<(), Failure> {
    let Some(info) = remote.info(physical).await? else { return Ok(()) };
    let heads = remote.all(physical, &Scoped::any_head(), With::Payload, HEADS_PAGE).await?;
    let mut used = HashSet::new();
    for head in &heads {
        // Of a head that cannot be read nobody knows what it names.
        let Ok(head) = Head::decode(&head.payload, physical) else { return Ok(()) };
        used.extend(named(&head.schema.legs).map(|(name, _)| name));
    }
    for name in dense_vectors(&info).difference(&used) {
        remote.drop_vector(physical, name).await?;
    }
    Ok(())
}

/// The physical collection that lists the databases: no vectors.
pub(super) fn registry(options: &QdrantOptions, physical: &str) -> CreateCollection {
    CreateCollection {
        vectors_config: Some(VectorsConfig { config: Some(Config::ParamsMap(VectorParamsMap::default())) }),
        sparse_vectors_config: None,
        ..creation(options, physical, &[None, None])
    }
}

/// Names and dimensions of the vectors of legs.
fn named(legs: &Legs) -> impl Iterator<Item = (String, usize)> {
    Leg::ALL.into_iter().filter_map(|leg| {
        let (_, dimension) = legs[leg.index()].as_ref()?;
        Some((vector_name(leg, legs)?, *dimension))
    })
}

fn creation(options: &QdrantOptions, physical: &str, legs: &Legs) -> CreateCollection {
    let legs = named(legs).map(|(name, dimension)| {
        let params = VectorParams {
            size: dimension as u64,
            distance: Distance::Cosine.into(),
            memory: options.on_disk.then_some(Memory::Cold.into()),
            ..VectorParams::default()
        };
        (name, params)
    });
    let sparse = SparseVectorParams { index: None, modifier: Some(Modifier::Idf.into()) };
    let int8 = ScalarQuantization {
        r#type: QuantizationType::Int8.into(),
        memory: Some(Memory::Pinned.into()),
        ..ScalarQuantization::default()
    };
    let payload = if options.on_disk_payload { Memory::Cold } else { Memory::Cached };
    CreateCollection {
        collection_name: physical.to_owned(),
        vectors_config: Some(VectorsConfig {
            config: Some(Config::ParamsMap(VectorParamsMap { map: legs.collect() })),
        }),
        sparse_vectors_config: Some(SparseVectorConfig { map: HashMap::from([(TERMS.to_owned(), sparse)]) }),
        quantization_config: options
            .quantization
            .then_some(QuantizationConfig { quantization: Some(Quantization::Scalar(int8)) }),
        payload: Some(PayloadStorageParams { memory: Some(payload.into()) }),
        shard_number: options.shard_number,
        replication_factor: options.replication_factor,
        write_consistency_factor: options.write_consistency_factor,
        ..CreateCollection::default()
    }
}

fn addition(physical: &str, vector_name: String, dimension: usize) -> CreateVectorNameRequest {
    let dense = DenseVectorCreationConfig {
        size: dimension as u64,
        distance: Distance::Cosine.into(),
        ..DenseVectorCreationConfig::default()
    };
    CreateVectorNameRequest {
        collection_name: physical.to_owned(),
        wait: Some(true),
        vector_name,
        vector_config: Some(VectorConfig::DenseConfig(dense)),
        ..CreateVectorNameRequest::default()
    }
}

/// Where a vector lies cannot be said when it is added.
fn on_disk(physical: &str, vector_name: String) -> UpdateCollection {
    let cold = VectorParamsDiff { memory: Some(Memory::Cold.into()), ..VectorParamsDiff::default() };
    let map = HashMap::from([(vector_name, cold)]);
    let config = vectors_config_diff::Config::ParamsMap(VectorParamsDiffMap { map });
    UpdateCollection {
        collection_name: physical.to_owned(),
        vectors_config: Some(VectorsConfigDiff { config: Some(config) }),
        ..UpdateCollection::default()
    }
}

/// Every field that a filter names.
fn indexes(physical: &str) -> Vec<CreateFieldIndexCollection> {
    let index = |name: &str, kind: FieldType, params: Option<IndexParams>| CreateFieldIndexCollection {
        collection_name: physical.to_owned(),
        wait: Some(true),
        field_name: name.to_owned(),
        field_type: Some(kind.into()),
        field_index_params: params.map(|params| PayloadIndexParams { index_params: Some(params) }),
        ..CreateFieldIndexCollection::default()
    };
    let tenant = KeywordIndexParams { is_tenant: Some(true), ..KeywordIndexParams::default() };
    let both = |lookup| {
        let params = IntegerIndexParams { lookup: Some(lookup), range: Some(true), ..Default::default() };
        Some(IndexParams::IntegerIndexParams(params))
    };
    let mut all =
        vec![index(field::TENANT, FieldType::Keyword, Some(IndexParams::KeywordIndexParams(tenant)))];
    for name in [field::FROM, field::UNTIL] {
        all.push(index(name, FieldType::Integer, both(true)));
    }
    all.push(index(field::TIME, FieldType::Integer, both(false)));
    for name in [
        field::ROLE,
        field::HEADS,
        field::PATH,
        field::PLACE,
        field::LANGUAGE,
        field::KIND,
        field::SYMBOL_KEY,
        field::ATTRIBUTE,
    ] {
        all.push(index(name, FieldType::Keyword, None));
    }
    for name in [field::ID].into_iter().chain(field::KEYS) {
        all.push(index(name, FieldType::Uuid, None));
    }
    all
}

/// Names of the dense vectors that a physical collection has.
fn dense_vectors(info: &CollectionInfo) -> HashSet<String> {
    let config = info.config.as_ref().and_then(|config| config.params.as_ref()?.vectors_config.clone());
    match config.and_then(|config| config.config) {
        Some(Config::ParamsMap(map)) => map.map.into_keys().collect(),
        Some(Config::Params(_)) | None => HashSet::new(),
    }
}
