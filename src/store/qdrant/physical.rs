//! Physical collections: what they are made of, and which payload fields they index.

use std::collections::HashMap;

use qdrant_client::qdrant::create_vector_name_request::VectorConfig;
use qdrant_client::qdrant::payload_index_params::IndexParams;
use qdrant_client::qdrant::quantization_config::Quantization;
use qdrant_client::qdrant::vectors_config::Config;
use qdrant_client::qdrant::{
    CollectionInfo, CreateCollection, CreateFieldIndexCollection, CreateVectorNameRequest,
    DenseVectorCreationConfig, Distance, FieldType, IntegerIndexParams, KeywordIndexParams, Memory, Modifier,
    PayloadIndexParams, PayloadStorageParams, QuantizationConfig, QuantizationType, ScalarQuantization,
    SparseVectorConfig, SparseVectorParams, VectorParams, VectorParamsMap, VectorsConfig,
};

use super::failure::Failure;
use super::options::QdrantOptions;
use super::points::TERMS;
use super::remote::Remote;
use super::scope::field;
use crate::embed::Leg;
use crate::id::CollectionName;
use crate::store::{Schema, StoreError};

/// Makes the physical collection where it is not there, and completes it where it is: with
/// the indexes that a creation which was cut short left out, and with a leg that no collection
/// in it had so far. Another dimension of a leg is [`StoreError::SchemaMismatch`].
pub(super) async fn ensure(
    remote: &Remote,
    options: &QdrantOptions,
    physical: &str,
    collection: &CollectionName,
    schema: &Schema,
) -> Result<(), StoreError> {
    let error = |e: Failure| remote.error(e);
    let mut info = remote.info(physical).await.map_err(error)?;
    if info.is_none() {
        remote.create(creation(options, physical, schema)).await.map_err(error)?;
        info = remote.info(physical).await.map_err(error)?;
    }
    let info = info.ok_or_else(|| error(Failure::Missing(format!("{physical} was dropped just now"))))?;
    let there = dimensions(&info);
    for (leg, wanted) in Leg::ALL.into_iter().zip(&schema.legs) {
        let Some((_, wanted)) = wanted else { continue };
        match there.get(leg.name()) {
            None => {
                let request = addition(physical, leg, *wanted);
                remote.add_vector(request).await.map_err(error)?;
            }
            Some(there) if *there == *wanted as u64 => {}
            Some(there) => {
                return Err(StoreError::SchemaMismatch {
                    collection: collection.clone(),
                    stored: format!("{leg} vectors of {there} dimensions in {physical}"),
                    wanted: format!("{wanted}"),
                });
            }
        }
    }
    for request in indexes(physical) {
        if !info.payload_schema.contains_key(&request.field_name) {
            remote.index(request).await.map_err(error)?;
        }
    }
    Ok(())
}

/// The physical collection that lists the databases: no vectors.
pub(super) fn registry(options: &QdrantOptions, physical: &str) -> CreateCollection {
    CreateCollection {
        vectors_config: Some(VectorsConfig { config: Some(Config::ParamsMap(VectorParamsMap::default())) }),
        sparse_vectors_config: None,
        ..creation(
            options,
            physical,
            &Schema { kind: Default::default(), legs: [None, None], source: Vec::new() },
        )
    }
}

fn creation(options: &QdrantOptions, physical: &str, schema: &Schema) -> CreateCollection {
    let legs = Leg::ALL.into_iter().zip(&schema.legs).filter_map(|(leg, schema)| {
        let (_, dimension) = schema.as_ref()?;
        let params = VectorParams {
            size: *dimension as u64,
            distance: Distance::Cosine.into(),
            memory: options.on_disk.then_some(Memory::Cold.into()),
            ..VectorParams::default()
        };
        Some((leg.name().to_owned(), params))
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

fn addition(physical: &str, leg: Leg, dimension: usize) -> CreateVectorNameRequest {
    let dense = DenseVectorCreationConfig {
        size: dimension as u64,
        distance: Distance::Cosine.into(),
        ..DenseVectorCreationConfig::default()
    };
    CreateVectorNameRequest {
        collection_name: physical.to_owned(),
        wait: Some(true),
        vector_name: leg.name().to_owned(),
        vector_config: Some(VectorConfig::DenseConfig(dense)),
        ..CreateVectorNameRequest::default()
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

/// Dimensions of the dense vectors that a physical collection has, by name.
fn dimensions(info: &CollectionInfo) -> HashMap<String, u64> {
    let config = info.config.as_ref().and_then(|config| config.params.as_ref()?.vectors_config.clone());
    match config.and_then(|config| config.config) {
        Some(Config::ParamsMap(map)) => {
            map.map.into_iter().map(|(name, params)| (name, params.size)).collect()
        }
        Some(Config::Params(_)) | None => HashMap::new(),
    }
}
