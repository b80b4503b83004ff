//! A call as a value, and its answer as one line of text, so that a table can hold both.

use std::collections::HashMap;

use ::qdrant_client::qdrant::collections_client::CollectionsClient;
use ::qdrant_client::qdrant::points_client::PointsClient;
use ::qdrant_client::qdrant::value::Kind;
use ::qdrant_client::qdrant::*;
use tonic::transport::Channel;
use tonic::{Response, Status};

/// Clients of one server.
#[derive(Clone)]
pub(super) struct Clients {
    pub(super) collections: CollectionsClient<Channel>,
    pub(super) points: PointsClient<Channel>,
}

impl Clients {
    pub(super) async fn connect(url: String) -> Clients {
        let channel =
            Channel::from_shared(url).expect("an address").connect().await.expect("a server listens");
        Clients { collections: CollectionsClient::new(channel.clone()), points: PointsClient::new(channel) }
    }
}

macro_rules! calls {
    ($($name:ident($request:ty) = $client:ident.$method:ident, $text:expr;)*) => {
        #[derive(Clone, Debug)]
        pub(super) enum Call { $($name($request),)* }

        impl Call {
            /// The answer in one line; an error as its code and its message.
            pub(super) async fn answer(self, clients: &mut Clients) -> String {
                match self {
                    $(Call::$name(request) => line(clients.$client.$method(request).await, $text),)*
                }
            }
        }
    };
}

calls! {
    Create(CreateCollection) = collections.create, |answer| answer.result.to_string();
    Update(UpdateCollection) = collections.update, |answer| answer.result.to_string();
    Drop(DeleteCollection) = collections.delete, |answer| answer.result.to_string();
    Exists(CollectionExistsRequest) = collections.collection_exists, |answer| {
        answer.result.unwrap().exists.to_string()
    };
    List(ListCollectionsRequest) = collections.list, |answer| {
        sorted(answer.collections.into_iter().map(|collection| collection.name))
    };
    Info(GetCollectionInfoRequest) = collections.get, |answer| info(answer.result.unwrap());
    UpdateAliases(ChangeAliases) = collections.update_aliases, |answer| answer.result.to_string();
    ListAliases(ListAliasesRequest) = collections.list_aliases, aliases;
    AliasesOf(ListCollectionAliasesRequest) = collections.list_collection_aliases, aliases;
    Upsert(UpsertPoints) = points.upsert, status;
    Delete(DeletePoints) = points.delete, status;
    SetPayload(SetPayloadPoints) = points.set_payload, status;
    OverwritePayload(SetPayloadPoints) = points.overwrite_payload, status;
    DeletePayload(DeletePayloadPoints) = points.delete_payload, status;
    ClearPayload(ClearPayloadPoints) = points.clear_payload, status;
    UpdateVectors(UpdatePointVectors) = points.update_vectors, status;
    DeleteVectors(DeletePointVectors) = points.delete_vectors, status;
    CreateVector(CreateVectorNameRequest) = points.create_vector_name, status;
    DropVector(DeleteVectorNameRequest) = points.delete_vector_name, status;
    CreateIndex(CreateFieldIndexCollection) = points.create_field_index, status;
    DeleteIndex(DeleteFieldIndexCollection) = points.delete_field_index, status;
    UpdateBatch(UpdateBatchPoints) = points.update_batch, |answer| {
        joined(answer.result.into_iter().map(|result| result.status().as_str_name().to_owned()))
    };
    Get(GetPoints) = points.get, |answer| joined(answer.result.into_iter().map(retrieved));
    Scroll(ScrollPoints) = points.scroll, |answer| {
        let next = answer.next_page_offset.map(|id| format!(" -> {}", id_text(Some(id))));
        joined(answer.result.into_iter().map(retrieved)) + &next.unwrap_or_default()
    };
    Count(CountPoints) = points.count, |answer| answer.result.unwrap().count.to_string();
    Facet(FacetCounts) = points.facet, |answer| joined(answer.hits.into_iter().map(|hit| {
        let value = match hit.value.unwrap().variant.unwrap() {
            facet_value::Variant::StringValue(text) => text,
            facet_value::Variant::IntegerValue(number) => number.to_string(),
            facet_value::Variant::BoolValue(truth) => truth.to_string(),
        };
        format!("{value}:{}", hit.count)
    }));
    Ask(QueryPoints) = points.query, |answer| joined(answer.result.into_iter().map(scored));
    AskBatch(QueryBatchPoints) = points.query_batch, |answer| {
        let results = answer.result.into_iter().map(|one| joined(one.result.into_iter().map(scored)));
        results.collect::<Vec<_>>().join(" | ")
    };
}

fn line<A>(answer: Result<Response<A>, Status>, text: impl FnOnce(A) -> String) -> String {
    match answer {
        Ok(answer) => text(answer.into_inner()),
        Err(status) => format!("{:?}: {}", status.code(), status.message()),
    }
}

fn joined(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

fn sorted(items: impl Iterator<Item = String>) -> String {
    let mut items: Vec<String> = items.collect();
    items.sort();
    items.join(", ")
}

fn status(answer: PointsOperationResponse) -> String {
    answer.result.unwrap().status().as_str_name().to_owned()
}

fn aliases(answer: ListAliasesResponse) -> String {
    sorted(answer.aliases.into_iter().map(|alias| format!("{}={}", alias.alias_name, alias.collection_name)))
}

fn info(info: CollectionInfo) -> String {
    let config = info.config.unwrap();
    let params = config.params.unwrap();
    let Some(vectors_config::Config::ParamsMap(dense)) = params.vectors_config.unwrap().config else {
        panic!("only named vectors are created here");
    };
    let dense = dense.map.iter().map(|(name, params)| format!("{name}:{}", params.size));
    let sparse = params.sparse_vectors_config.into_iter().flat_map(|sparse| sparse.map);
    let sparse = sparse.map(|(name, params)| format!("{name}:{}", params.modifier().as_str_name()));
    let schema = info.payload_schema.into_iter().map(|(field, info)| {
        let points = info.points();
        let params = match info.params.and_then(|params| params.index_params) {
            None => "",
            Some(payload_index_params::IndexParams::KeywordIndexParams(params)) if params.is_tenant() => {
                "(tenant)"
            }
            Some(_) => "(other)",
        };
        format!("{field}:{}{params}:{points}", info.data_type)
    });
    format!(
        "points={} dense=[{}] sparse=[{}] schema=[{}] metadata={}",
        info.points_count.unwrap(),
        sorted(dense),
        sorted(sparse),
        sorted(schema),
        object(config.metadata),
    )
}

fn id_text(id: Option<PointId>) -> String {
    match id.unwrap().point_id_options.unwrap() {
        point_id::PointIdOptions::Num(number) => number.to_string(),
        point_id::PointIdOptions::Uuid(uuid) => uuid,
    }
}

fn retrieved(point: RetrievedPoint) -> String {
    id_text(point.id) + &carried(point.payload, point.vectors)
}

fn scored(point: ScoredPoint) -> String {
    format!("{}={}", id_text(point.id), short(point.score)) + &carried(point.payload, point.vectors)
}

fn carried(payload: HashMap<String, Value>, vectors: Option<VectorsOutput>) -> String {
    let payload = if payload.is_empty() { String::new() } else { format!(" {}", object(payload)) };
    let Some(vectors) = vectors else { return payload };
    let vectors = match vectors.vectors_options {
        Some(vectors_output::VectorsOptions::Vectors(named)) => named.vectors,
        Some(vectors_output::VectorsOptions::Vector(_)) => panic!("every vector here has a name"),
        None => HashMap::new(),
    };
    let vectors = vectors.into_iter().map(|(name, vector)| match vector.into_vector() {
        vector_output::Vector::Dense(dense) => {
            format!("{name}[{}]", joined(dense.data.into_iter().map(short)))
        }
        vector_output::Vector::Sparse(sparse) => {
            let pairs = sparse.indices.into_iter().zip(sparse.values);
            format!("{name}[{}]", joined(pairs.map(|(index, value)| format!("{index}:{}", short(value)))))
        }
        vector_output::Vector::MultiDense(_) => panic!("no multi-vectors here"),
    });
    format!("{payload} <{}>", sorted(vectors))
}

/// Four digits: more than that differs between machines.
fn short(number: f32) -> String {
    let text = format!("{number:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn object(fields: HashMap<String, Value>) -> String {
    let mut fields: Vec<_> = fields.into_iter().collect();
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    let fields: Vec<String> =
        fields.into_iter().map(|(name, value)| format!("{name}: {}", text(value))).collect();
    format!("{{{}}}", fields.join(", "))
}

fn text(value: Value) -> String {
    match value.kind {
        None => "no kind".to_owned(),
        Some(Kind::NullValue(_)) => "null".to_owned(),
        Some(Kind::DoubleValue(number)) => format!("{number:?}"),
        Some(Kind::IntegerValue(number)) => number.to_string(),
        Some(Kind::StringValue(text)) => text,
        Some(Kind::BoolValue(truth)) => truth.to_string(),
        Some(Kind::StructValue(value)) => object(value.fields),
        Some(Kind::ListValue(list)) => format!("[{}]", joined(list.values.into_iter().map(text))),
    }
}

/// A payload as `json!` writes it.
pub(super) fn payload(value: serde_json::Value) -> HashMap<String, Value> {
    let serde_json::Value::Object(fields) = value else { panic!("a payload is an object: {value}") };
    fields.into_iter().map(|(name, value)| (name, to_value(value))).collect()
}

fn to_value(value: serde_json::Value) -> Value {
    let kind = match value {
        serde_json::Value::Null => Kind::NullValue(0),
        serde_json::Value::Bool(truth) => Kind::BoolValue(truth),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(number) => Kind::IntegerValue(number),
            None => Kind::DoubleValue(number.as_f64().unwrap()),
        },
        serde_json::Value::String(text) => Kind::StringValue(text),
        serde_json::Value::Array(values) => {
            Kind::ListValue(ListValue { values: values.into_iter().map(to_value).collect() })
        }
        object @ serde_json::Value::Object(_) => Kind::StructValue(Struct { fields: payload(object) }),
    };
    Value { kind: Some(kind) }
}
