//! Collections, their schemas and payload indexes, and the aliases.

use std::collections::BTreeMap;

use ::qdrant_client::qdrant::alias_operations::Action;
use ::qdrant_client::qdrant::payload_index_params::IndexParams;
use ::qdrant_client::qdrant::value::Kind;
use ::qdrant_client::qdrant::vectors_config::Config;
use ::qdrant_client::qdrant::*;
use half::f16;
use tonic::Status;

use super::facet::Values;
use super::path::{self, Path};
use super::point::{self, Id, Point, Vector};

/// All that the server knows.
#[derive(Default)]
pub(super) struct Data {
    collections: BTreeMap<String, Collection>,
    aliases: BTreeMap<String, String>,
}

pub(super) struct Collection {
    config: CollectionConfig,
    dense: BTreeMap<String, Dense>,
    /// Each sparse vector, and whether its terms weigh by their rarity.
    pub(super) sparse: BTreeMap<String, bool>,
    pub(super) indexes: BTreeMap<String, Index>,
    pub(super) points: BTreeMap<Id, Point>,
    /// Number of the last operation.
    pub(super) operation: u64,
}

struct Dense {
    dimension: u64,
    /// Kept in half precision.
    half: bool,
}

/// A payload index. It makes nothing faster here; facets are of it.
pub(super) struct Index {
    pub(super) field_type: FieldType,
    params: Option<PayloadIndexParams>,
    pub(super) at: Path,
    /// Has seen no point yet.
    pub(super) new: bool,
    /// All values that were ever there.
    pub(super) seen: Values,
}

impl Collection {
    pub(super) fn is_dense(&self, vector: &str) -> bool {
        self.dense.contains_key(vector)
    }

    pub(super) fn has_vector(&self, name: &str) -> Result<(), Status> {
        if self.is_dense(name) || self.sparse.contains_key(name) {
            return Ok(());
        }
        Err(Status::invalid_argument(format!("Wrong input: Not existing vector name error: {name}")))
    }

    /// Checks a vector against the schema.
    pub(super) fn fits(&self, name: &str, vector: &Vector) -> Result<(), Status> {
        self.has_vector(name)?;
        match (vector, self.dense.get(name)) {
            (Vector::Dense(values), Some(Dense { dimension, .. })) if values.len() as u64 != *dimension => {
                let got = values.len();
                Err(Status::invalid_argument(format!(
                    "Wrong input: Vector dimension error: expected dim: {dimension}, got {got}"
                )))
            }
            (Vector::Dense(_), Some(_)) | (Vector::Sparse(_), None) => Ok(()),
            (Vector::Dense(_), None) | (Vector::Sparse(_), Some(_)) => Err(Status::invalid_argument(
                "Wrong input: Conversion between sparse and regular vectors failed",
            )),
        }
    }

    /// A vector as it is kept, and compared: every dense one by cosine.
    pub(super) fn kept(&self, name: &str, vector: Vector) -> Vector {
        let Vector::Dense(values) = vector else { return vector };
        let mut values = point::normalized(values);
        if self.dense.get(name).is_some_and(|dense| dense.half) {
            values.iter_mut().for_each(|x| *x = f16::from_f32(*x).to_f32());
        }
        Vector::Dense(values)
    }
}

impl Data {
    /// The collection of this name or alias.
    pub(super) fn collection(&mut self, name: &str) -> Result<&mut Collection, Status> {
        if name.is_empty() || name.len() > 255 || name.contains(['/', '\0']) {
            return Err(bad_name(name));
        }
        let name = self.aliases.get(name).map_or(name, String::as_str);
        self.collections.get_mut(name).ok_or_else(|| missing(name))
    }
}

/// Characters that the name of a new collection must not have.
const UNSAFE_IN_NAMES: [char; 11] = ['<', '>', ':', '"', '/', '\\', '|', '?', '*', '\0', '\u{1F}'];

fn bad_name(name: &str) -> Status {
    Status::invalid_argument(format!("Validation error in body: [collection_name: {name:?}]"))
}

fn missing(collection: &str) -> Status {
    Status::not_found(format!("Not found: Collection `{collection}` doesn't exist!"))
}

fn done(result: bool) -> Result<CollectionOperationResponse, Status> {
    Ok(CollectionOperationResponse { result, time: 0.0 })
}

pub(super) fn create(
    data: &mut Data,
    request: CreateCollection,
) -> Result<CollectionOperationResponse, Status> {
    let name = request.collection_name;
    if name.is_empty() || name.len() > 255 || name.contains(UNSAFE_IN_NAMES) {
        return Err(bad_name(&name));
    }
    if data.collections.contains_key(&name) {
        return Err(Status::already_exists(format!("Wrong input: Collection `{name}` already exists!")));
    }
    if data.aliases.contains_key(&name) {
        return Err(Status::invalid_argument(format!(
            "Wrong input: Can't create collection with name {name}. Alias with the same name already exists"
        )));
    }
    let mut dense = BTreeMap::new();
    match request.vectors_config.as_ref().and_then(|vectors| vectors.config.as_ref()) {
        Some(Config::Params(_)) => {
            return Err(Status::unimplemented("vectors without a name are not served"));
        }
        Some(Config::ParamsMap(params)) => {
            for (name, params) in &params.map {
                let datatype = params.datatype();
                if params.distance() != Distance::Cosine
                    || params.multivector_config.is_some()
                    || !matches!(datatype, Datatype::Default | Datatype::Float32 | Datatype::Float16)
                {
                    return Err(Status::unimplemented("only cosine of float32 and float16 is served"));
                }
                if !(1..=65_536).contains(&params.size) {
                    return Err(Status::invalid_argument("Validation error in body: [vectors_config: size]"));
                }
                let half = datatype == Datatype::Float16;
                dense.insert(name.clone(), Dense { dimension: params.size, half });
            }
        }
        None => {}
    }
    let sparse = request.sparse_vectors_config.iter().flat_map(|sparse| &sparse.map);
    if sparse.clone().any(|(_, params)| params.index.is_some_and(|index| index.datatype.is_some())) {
        return Err(Status::unimplemented("sparse vectors of another type than float32 are not served"));
    }
    let sparse = sparse.map(|(name, params)| (name.clone(), params.modifier() == Modifier::Idf)).collect();
    let params = CollectionParams {
        shard_number: request.shard_number.unwrap_or(1),
        vectors_config: request.vectors_config,
        sparse_vectors_config: request.sparse_vectors_config,
        replication_factor: Some(request.replication_factor.unwrap_or(1)),
        write_consistency_factor: Some(request.write_consistency_factor.unwrap_or(1)),
        ..CollectionParams::default()
    };
    let config = CollectionConfig {
        params: Some(params),
        hnsw_config: request.hnsw_config,
        optimizer_config: request.optimizers_config,
        wal_config: request.wal_config,
        quantization_config: request.quantization_config,
        strict_mode_config: request.strict_mode_config,
        metadata: path::accept(request.metadata)?,
    };
    let (indexes, points) = (BTreeMap::new(), BTreeMap::new());
    data.collections.insert(name, Collection { config, dense, sparse, indexes, points, operation: 0 });
    done(true)
}

pub(super) fn get(
    data: &mut Data,
    request: GetCollectionInfoRequest,
) -> Result<GetCollectionInfoResponse, Status> {
    let collection = data.collection(&request.collection_name)?;
    let mut payload_schema = std::collections::HashMap::new();
    for (field, index) in &collection.indexes {
        let has = |point: &&Point| {
            path::values(&point.payload, &index.at).into_iter().any(|value| indexed(index.field_type, value))
        };
        let info = PayloadSchemaInfo {
            data_type: schema_type(index.field_type).into(),
            params: index.params.clone(),
            points: Some(collection.points.values().filter(has).count() as u64),
        };
        payload_schema.insert(field.clone(), info);
    }
    let result = CollectionInfo {
        status: CollectionStatus::Green.into(),
        optimizer_status: Some(OptimizerStatus { ok: true, error: String::new() }),
        segments_count: 1,
        config: Some(collection.config.clone()),
        payload_schema,
        points_count: Some(collection.points.len() as u64),
        indexed_vectors_count: Some(0),
        ..CollectionInfo::default()
    };
    Ok(GetCollectionInfoResponse { result: Some(result), time: 0.0 })
}

pub(super) fn list(data: &mut Data, _: ListCollectionsRequest) -> Result<ListCollectionsResponse, Status> {
    let collections =
        data.collections.keys().map(|name| CollectionDescription { name: name.clone() }).collect();
    Ok(ListCollectionsResponse { collections, time: 0.0 })
}

pub(super) fn exists(
    data: &mut Data,
    request: CollectionExistsRequest,
) -> Result<CollectionExistsResponse, Status> {
    let exists = data.collection(&request.collection_name).is_ok();
    Ok(CollectionExistsResponse { result: Some(CollectionExists { exists }), time: 0.0 })
}

/// Of what can be changed, only the metadata can be seen afterwards.
pub(super) fn update(
    data: &mut Data,
    request: UpdateCollection,
) -> Result<CollectionOperationResponse, Status> {
    let metadata = path::accept(request.metadata)?;
    let collection = data.collection(&request.collection_name)?;
    if let Some(vectors_config_diff::Config::ParamsMap(params)) =
        request.vectors_config.and_then(|diff| diff.config)
    {
        params.map.keys().try_for_each(|name| collection.has_vector(name))?;
    }
    path::merge(&mut collection.config.metadata, &metadata);
    done(true)
}

pub(super) fn create_vector_name(
    data: &mut Data,
    request: CreateVectorNameRequest,
) -> Result<PointsOperationResponse, Status> {
    let Some(create_vector_name_request::VectorConfig::DenseConfig(config)) = request.vector_config else {
        return Err(Status::unimplemented("only dense vectors are added"));
    };
    if config.distance() != Distance::Cosine || config.datatype.is_some() {
        return Err(Status::unimplemented("only cosine of float32 is added"));
    }
    let name = request.vector_name;
    let collection = data.collection(&request.collection_name)?;
    if collection.dense.get(&name).is_some_and(|there| there.dimension != config.size) {
        let message = format!("Wrong input: Vector `{name}` already exists with a different configuration");
        return Err(Status::invalid_argument(message));
    }
    collection.dense.insert(name.clone(), Dense { dimension: config.size, half: false });
    let params = VectorParams { size: config.size, distance: config.distance, ..VectorParams::default() };
    collection.named_vectors().insert(name, params);
    Ok(collection.answered(request.wait))
}

pub(super) fn delete_vector_name(
    data: &mut Data,
    request: DeleteVectorNameRequest,
) -> Result<PointsOperationResponse, Status> {
    let name = request.vector_name;
    let collection = data.collection(&request.collection_name)?;
    collection.dense.remove(&name);
    collection.named_vectors().remove(&name);
    collection.points.values_mut().for_each(|point| drop(point.vectors.remove(&name)));
    Ok(collection.answered(request.wait))
}

/// A missing collection is no error here, and an alias is no collection.
pub(super) fn delete(
    data: &mut Data,
    request: DeleteCollection,
) -> Result<CollectionOperationResponse, Status> {
    let name = request.collection_name;
    data.aliases.retain(|_, collection| *collection != name);
    done(data.collections.remove(&name).is_some())
}

/// All actions, or none.
pub(super) fn update_aliases(
    data: &mut Data,
    request: ChangeAliases,
) -> Result<CollectionOperationResponse, Status> {
    let mut aliases = data.aliases.clone();
    for action in request.actions {
        match action.action {
            Some(Action::CreateAlias(CreateAlias { collection_name, alias_name })) => {
                if !data.collections.contains_key(&collection_name) {
                    return Err(missing(&collection_name));
                }
                if data.collections.contains_key(&alias_name) {
                    let message = format!("Wrong input: Collection `{alias_name}` already exists!");
                    return Err(Status::already_exists(message));
                }
                aliases.insert(alias_name, collection_name);
            }
            Some(Action::RenameAlias(RenameAlias { old_alias_name, new_alias_name })) => {
                let collection = aliases.remove(&old_alias_name).ok_or_else(|| {
                    Status::not_found(format!("Not found: Alias {old_alias_name} does not exists!"))
                })?;
                aliases.insert(new_alias_name, collection);
            }
            Some(Action::DeleteAlias(DeleteAlias { alias_name })) => _ = aliases.remove(&alias_name),
            None => return Err(Status::invalid_argument("Malformed AliasOperation type")),
        }
    }
    data.aliases = aliases;
    done(true)
}

pub(super) fn list_aliases(data: &mut Data, _: ListAliasesRequest) -> Result<ListAliasesResponse, Status> {
    aliases(data, |_| true)
}

pub(super) fn list_collection_aliases(
    data: &mut Data,
    request: ListCollectionAliasesRequest,
) -> Result<ListAliasesResponse, Status> {
    aliases(data, |collection| collection == request.collection_name)
}

fn aliases(data: &Data, wanted: impl Fn(&str) -> bool) -> Result<ListAliasesResponse, Status> {
    let aliases = data.aliases.iter().filter(|(_, collection)| wanted(collection));
    let aliases = aliases.map(|(alias, collection)| AliasDescription {
        alias_name: alias.clone(),
        collection_name: collection.clone(),
    });
    Ok(ListAliasesResponse { aliases: aliases.collect(), time: 0.0 })
}

pub(super) fn create_field_index(
    data: &mut Data,
    request: CreateFieldIndexCollection,
) -> Result<PointsOperationResponse, Status> {
    let at = path::parse(&request.field_name)?;
    let collection = data.collection(&request.collection_name)?;
    let params = request.field_index_params.as_ref();
    let field_type = match params.and_then(|params| params.index_params.as_ref()) {
        Some(params) => type_of(params),
        None if request.field_type.is_none() => {
            return Err(Status::invalid_argument("cannot convert field_type"));
        }
        None => request.field_type(),
    };
    if field_type == FieldType::Text {
        return Err(Status::unimplemented("full-text indexes, which change what matches, are not served"));
    }
    let index = Index { field_type, params: request.field_index_params, at, new: true, seen: Values::new() };
    collection.indexes.insert(request.field_name, index);
    Ok(collection.answered(request.wait))
}

pub(super) fn delete_field_index(
    data: &mut Data,
    request: DeleteFieldIndexCollection,
) -> Result<PointsOperationResponse, Status> {
    let collection = data.collection(&request.collection_name)?;
    collection.indexes.remove(&request.field_name);
    Ok(collection.answered(request.wait))
}

impl Collection {
    /// The dense vectors as the configuration has them.
    fn named_vectors(&mut self) -> &mut std::collections::HashMap<String, VectorParams> {
        let params = self.config.params.get_or_insert_default();
        let config = &mut params.vectors_config.get_or_insert_default().config;
        if !matches!(config, Some(Config::ParamsMap(_))) {
            *config = Some(Config::ParamsMap(VectorParamsMap::default()));
        }
        match config {
            Some(Config::ParamsMap(params)) => &mut params.map,
            _ => unreachable!("it was made so just now"),
        }
    }

    /// Counts an operation, and answers it: everything is done at once, and said to be
    /// so only to who waits.
    pub(super) fn answered(&mut self, wait: Option<bool>) -> PointsOperationResponse {
        self.let_indexes_see();
        self.operation += 1;
        let status = if wait == Some(true) { UpdateStatus::Completed } else { UpdateStatus::Acknowledged };
        let result = UpdateResult { operation_id: Some(self.operation), status: status.into() };
        PointsOperationResponse { result: Some(result), time: 0.0, usage: None }
    }
}

fn type_of(params: &IndexParams) -> FieldType {
    match params {
        IndexParams::KeywordIndexParams(_) => FieldType::Keyword,
        IndexParams::IntegerIndexParams(_) => FieldType::Integer,
        IndexParams::FloatIndexParams(_) => FieldType::Float,
        IndexParams::GeoIndexParams(_) => FieldType::Geo,
        IndexParams::TextIndexParams(_) => FieldType::Text,
        IndexParams::BoolIndexParams(_) => FieldType::Bool,
        IndexParams::DatetimeIndexParams(_) => FieldType::Datetime,
        IndexParams::UuidIndexParams(_) => FieldType::Uuid,
    }
}

fn schema_type(field_type: FieldType) -> PayloadSchemaType {
    match field_type {
        FieldType::Keyword => PayloadSchemaType::Keyword,
        FieldType::Integer => PayloadSchemaType::Integer,
        FieldType::Float => PayloadSchemaType::Float,
        FieldType::Geo => PayloadSchemaType::Geo,
        FieldType::Text => PayloadSchemaType::Text,
        FieldType::Bool => PayloadSchemaType::Bool,
        FieldType::Datetime => PayloadSchemaType::Datetime,
        FieldType::Uuid => PayloadSchemaType::Uuid,
    }
}

/// Whether an index of this type holds the value, or an item of it. What the real server
/// counts of mixed types and after changes is not exact.
fn indexed(field_type: FieldType, value: &Value) -> bool {
    use FieldType::{Bool, Datetime, Float, Geo, Integer, Keyword, Text, Uuid};
    match &value.kind {
        Some(Kind::ListValue(ListValue { values })) => values.iter().any(|value| indexed(field_type, value)),
        Some(Kind::StringValue(_)) => matches!(field_type, Keyword | Text | Datetime | Uuid),
        Some(Kind::IntegerValue(_)) => matches!(field_type, Integer | Float),
        Some(Kind::DoubleValue(_)) => field_type == Float,
        Some(Kind::BoolValue(_)) => field_type == Bool,
        Some(Kind::StructValue(_)) => field_type == Geo,
        None | Some(Kind::NullValue(_)) => false,
    }
}
