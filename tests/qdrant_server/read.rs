//! Reads of points that rank nothing: get, scroll, count, facet.

use std::collections::{BTreeMap, HashSet};

use ::qdrant_client::qdrant::payload_index_params::IndexParams;
use ::qdrant_client::qdrant::value::Kind;
use ::qdrant_client::qdrant::*;
use tonic::Status;

use super::collection::{Collection, Data};
use super::filter::{self, Subject};
use super::path;
use super::point::{self, Id, Point};

pub(super) fn get(data: &mut Data, request: GetPoints) -> Result<GetResponse, Status> {
    let collection = &*data.collection(&request.collection_name)?;
    let mut result = Vec::new();
    let mut seen = HashSet::new();
    for id in &request.ids {
        let id = Id::read(id)?;
        if let Some(point) = collection.points.get(&id).filter(|_| seen.insert(id.to_string())) {
            let (payload, vectors) = (request.with_payload.as_ref(), request.with_vectors.as_ref());
            result.push(retrieved(collection, &id, point, payload, vectors)?);
        }
    }
    Ok(GetResponse { result, time: 0.0, usage: None })
}

fn retrieved(
    collection: &Collection,
    id: &Id,
    point: &Point,
    payload: Option<&WithPayloadSelector>,
    vectors: Option<&WithVectorsSelector>,
) -> Result<RetrievedPoint, Status> {
    Ok(RetrievedPoint {
        id: Some(id.write()),
        payload: path::select(&point.payload, payload)?,
        vectors: point::show(collection, &point.vectors, vectors)?,
        ..RetrievedPoint::default()
    })
}

/// By id. `offset` is the first id that may be shown.
pub(super) fn scroll(data: &mut Data, request: ScrollPoints) -> Result<ScrollResponse, Status> {
    if request.order_by.is_some() {
        return Err(Status::unimplemented("scrolling in another order than by id is not served"));
    }
    let limit = match request.limit {
        Some(0) => {
            return Err(Status::invalid_argument("Validation error in body: [limit: value 0 invalid]"));
        }
        limit => limit.unwrap_or(10) as usize,
    };
    let collection = &*data.collection(&request.collection_name)?;
    let offset = request.offset.as_ref().map(Id::read).transpose()?.unwrap_or(Id::Num(0));
    let test = filter::compile(request.filter.as_ref())?;
    let mut found = collection.points.range(offset..).filter(|(id, point)| test(&Subject::of(id, point)));
    // Of the reads, only this one shows the payload without being asked.
    let payload = request.with_payload.unwrap_or_else(|| true.into());
    let vectors = request.with_vectors.as_ref();
    let page = found.by_ref().take(limit);
    let result = page
        .map(|(id, point)| retrieved(collection, id, point, Some(&payload), vectors))
        .collect::<Result<_, _>>()?;
    let next_page_offset = found.next().map(|(id, _)| id.write());
    Ok(ScrollResponse { next_page_offset, result, time: 0.0, usage: None })
}

pub(super) fn count(data: &mut Data, request: CountPoints) -> Result<CountResponse, Status> {
    let collection = data.collection(&request.collection_name)?;
    let test = filter::compile(request.filter.as_ref())?;
    let count = collection.points.iter().filter(|(id, point)| test(&Subject::of(id, point))).count() as u64;
    Ok(CountResponse { result: Some(CountResult { count }), time: 0.0, usage: None })
}

/// Values by the number of points that have them, most first, then by value. As in the
/// real server, the field must have an index, and only values of its type are seen.
pub(super) fn facet(data: &mut Data, request: FacetCounts) -> Result<FacetResponse, Status> {
    let collection = data.collection(&request.collection_name)?;
    let key = &request.key;
    let at = path::parse(key)?;
    let value_of: fn(&Value) -> Option<facet_value::Variant> = match collection.index(key) {
        Some(IndexParams::KeywordIndexParams(_)) => |value| match &value.kind {
            Some(Kind::StringValue(text)) => Some(facet_value::Variant::StringValue(text.clone())),
            _ => None,
        },
        Some(IndexParams::IntegerIndexParams(_)) => |value| match value.kind {
            Some(Kind::IntegerValue(number)) => Some(facet_value::Variant::IntegerValue(number)),
            _ => None,
        },
        Some(IndexParams::BoolIndexParams(_)) => |value| match value.kind {
            Some(Kind::BoolValue(truth)) => Some(facet_value::Variant::BoolValue(truth)),
            _ => None,
        },
        _ => {
            return Err(Status::invalid_argument(format!(
                "Wrong input: No appropriate index for faceting: `{key}`. Please create one to facet on this field. \
                 Check https://qdrant.tech/documentation/concepts/indexing/#payload-index to see which payload \
                 schemas support Match conditions"
            )));
        }
    };
    let limit = usize::try_from(request.limit.unwrap_or(10)).unwrap_or(usize::MAX);
    let test = filter::compile(request.filter.as_ref())?;
    let mut counts: BTreeMap<String, (facet_value::Variant, u64)> = BTreeMap::new();
    for (_, point) in collection.points.iter().filter(|(id, point)| test(&Subject::of(id, point))) {
        let mut of_point = BTreeMap::new();
        for value in path::values(&point.payload, &at) {
            let items = match &value.kind {
                Some(Kind::ListValue(ListValue { values })) => values.as_slice(),
                _ => std::slice::from_ref(value),
            };
            for value in items.iter().filter_map(value_of) {
                of_point.insert(sort_key(&value), value);
            }
        }
        for (key, value) in of_point {
            counts.entry(key).or_insert((value, 0)).1 += 1;
        }
    }
    let mut hits: Vec<_> = counts.into_values().collect();
    // Stable: values stay in order within the same count.
    hits.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let hits = hits
        .into_iter()
        .take(limit)
        .map(|(variant, count)| FacetHit { value: Some(FacetValue { variant: Some(variant) }), count });
    Ok(FacetResponse { hits: hits.collect(), time: 0.0, usage: None })
}

/// Text that sorts as the value does.
fn sort_key(value: &facet_value::Variant) -> String {
    match value {
        facet_value::Variant::StringValue(text) => text.clone(),
        facet_value::Variant::IntegerValue(number) => format!("{:020}", number.abs_diff(i64::MIN)),
        facet_value::Variant::BoolValue(truth) => truth.to_string(),
    }
}
