//! Reads of points that rank nothing: get, scroll, count.

use std::collections::BTreeSet;

use ::qdrant_client::qdrant::*;
use tonic::Status;

use super::collection::{Collection, Data};
use super::filter::{self, Subject};
use super::path;
use super::point::{self, Id, Point};

pub(super) fn get(data: &mut Data, request: GetPoints) -> Result<GetResponse, Status> {
    let collection = &*data.collection(&request.collection_name)?;
    let mut result = Vec::new();
    let mut seen = BTreeSet::new();
    for id in &request.ids {
        let id = Id::read(id)?;
        if let Some(point) = collection.points.get(&id).filter(|_| seen.insert(id.clone())) {
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
