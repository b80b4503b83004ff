//! Writes of points. Each call is one operation, as in an update batch.

use std::collections::BTreeMap;

use ::qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use ::qdrant_client::qdrant::points_update_operation as operation;
use ::qdrant_client::qdrant::points_update_operation::Operation;
use ::qdrant_client::qdrant::*;
use tonic::Status;

use super::collection::{Collection, Data};
use super::filter::{self, Subject};
use super::path;
use super::point::{self, Id, Point, Vector};

type Answer = Result<PointsOperationResponse, Status>;

pub(super) fn upsert(data: &mut Data, request: UpsertPoints) -> Answer {
    let UpsertPoints { collection_name, wait, points, update_filter, update_mode, .. } = request;
    let list = operation::PointStructList { points, update_filter, update_mode, shard_key_selector: None };
    one(data, &collection_name, wait, Operation::Upsert(list))
}

pub(super) fn delete(data: &mut Data, request: DeletePoints) -> Answer {
    let DeletePoints { collection_name, wait, points, .. } = request;
    let delete = operation::DeletePoints { points, shard_key_selector: None };
    one(data, &collection_name, wait, Operation::DeletePoints(delete))
}

pub(super) fn update_vectors(data: &mut Data, request: UpdatePointVectors) -> Answer {
    let UpdatePointVectors { collection_name, wait, points, update_filter, .. } = request;
    let update = operation::UpdateVectors { points, update_filter, shard_key_selector: None };
    one(data, &collection_name, wait, Operation::UpdateVectors(update))
}

pub(super) fn delete_vectors(data: &mut Data, request: DeletePointVectors) -> Answer {
    let DeletePointVectors { collection_name, wait, points_selector, vectors, .. } = request;
    let delete = operation::DeleteVectors { points_selector, vectors, shard_key_selector: None };
    one(data, &collection_name, wait, Operation::DeleteVectors(delete))
}

pub(super) fn set_payload(data: &mut Data, request: SetPayloadPoints) -> Answer {
    let SetPayloadPoints { collection_name, wait, payload, points_selector, key, .. } = request;
    let set = operation::SetPayload { payload, points_selector, key, shard_key_selector: None };
    one(data, &collection_name, wait, Operation::SetPayload(set))
}

pub(super) fn overwrite_payload(data: &mut Data, request: SetPayloadPoints) -> Answer {
    let SetPayloadPoints { collection_name, wait, payload, points_selector, key, .. } = request;
    let overwrite = operation::OverwritePayload { payload, points_selector, key, shard_key_selector: None };
    one(data, &collection_name, wait, Operation::OverwritePayload(overwrite))
}

pub(super) fn delete_payload(data: &mut Data, request: DeletePayloadPoints) -> Answer {
    let DeletePayloadPoints { collection_name, wait, keys, points_selector, .. } = request;
    let delete = operation::DeletePayload { keys, points_selector, shard_key_selector: None };
    one(data, &collection_name, wait, Operation::DeletePayload(delete))
}

pub(super) fn clear_payload(data: &mut Data, request: ClearPayloadPoints) -> Answer {
    let ClearPayloadPoints { collection_name, wait, points, .. } = request;
    let clear = operation::ClearPayload { points, shard_key_selector: None };
    one(data, &collection_name, wait, Operation::ClearPayload(clear))
}

/// Operations in order, up to the first that fails; those before it are done.
pub(super) fn update_batch(
    data: &mut Data,
    request: UpdateBatchPoints,
) -> Result<UpdateBatchResponse, Status> {
    if request.operations.is_empty() {
        return Err(Status::invalid_argument("Validation error in body: [operations: length]"));
    }
    let mut result = Vec::new();
    for operation in request.operations {
        let operation =
            operation.operation.ok_or_else(|| Status::invalid_argument("Operation is missing"))?;
        result.extend(one(data, &request.collection_name, request.wait, operation)?.result);
    }
    Ok(UpdateBatchResponse { result, time: 0.0, usage: None })
}

fn one(data: &mut Data, collection: &str, wait: Option<bool>, operation: Operation) -> Answer {
    let collection = data.collection(collection)?;
    match collection.apply(operation)? {
        // Who does not wait is answered before anything can fail.
        Err(failed) if wait == Some(true) => Err(failed),
        Ok(()) | Err(_) => Ok(collection.answered(wait)),
    }
}

/// Why an operation upon no point at all is refused.
fn empty() -> Status {
    Status::invalid_argument("Bad request: Empty update request")
}

/// Outside, why an operation is not accepted; inside, why an accepted one failed.
type Applied = Result<Result<(), Status>, Status>;

impl Collection {
    fn apply(&mut self, operation: Operation) -> Applied {
        match operation {
            Operation::Upsert(operation) => self.upsert(operation),
            Operation::UpdateVectors(operation) => self.update_vectors(operation),
            Operation::DeletePoints(operation) => {
                for id in self.selected(operation.points)? {
                    self.points.remove(&id);
                }
                Ok(Ok(()))
            }
            Operation::DeleteVectors(operation) => {
                let ids = self.selected(operation.points_selector)?;
                let names = operation.vectors.map(|vectors| vectors.names).unwrap_or_default();
                if let Err(unknown) = names.iter().try_for_each(|name| self.has_vector(name)) {
                    return Ok(Err(unknown));
                }
                Ok(self.change(ids, |point| point.vectors.retain(|name, _| !names.contains(name))))
            }
            Operation::SetPayload(operation) => {
                let ids = self.selected(operation.points_selector)?;
                let payload = path::accept(operation.payload)?;
                let at = operation.key.map(|key| path::parse(&key)).transpose()?.unwrap_or_default();
                Ok(self.change(ids, |point| path::merge_at(&mut point.payload, &at, &payload)))
            }
            Operation::OverwritePayload(operation) => {
                let ids = self.selected(operation.points_selector)?;
                let payload = path::accept(operation.payload)?;
                Ok(self.change(ids, |point| point.payload.clone_from(&payload)))
            }
            Operation::DeletePayload(operation) => {
                let ids = self.selected(operation.points_selector)?;
                let paths =
                    operation.keys.iter().map(|key| path::parse(key)).collect::<Result<Vec<_>, _>>()?;
                Ok(self.change(ids, |point| {
                    paths.iter().for_each(|at| path::remove(&mut point.payload, at));
                }))
            }
            Operation::ClearPayload(operation) => {
                let ids = self.selected(operation.points)?;
                Ok(self.change(ids, |point| point.payload.clear()))
            }
            _ => Err(Status::unimplemented("deprecated operations are not served")),
        }
    }

    /// Ids that a request names, whether they exist or not, or that its filter finds.
    fn selected(&self, selector: Option<PointsSelector>) -> Result<Vec<Id>, Status> {
        match selector.and_then(|selector| selector.points_selector_one_of) {
            Some(PointsSelectorOneOf::Points(points)) if points.ids.is_empty() => Err(empty()),
            Some(PointsSelectorOneOf::Points(points)) => points.ids.iter().map(Id::read).collect(),
            Some(PointsSelectorOneOf::Filter(filter)) => {
                let test = filter::compile(Some(&filter))?;
                let found = self.points.iter().filter(|(id, point)| test(&Subject::of(id, point)));
                Ok(found.map(|(id, _)| id.clone()).collect())
            }
            None => Err(Status::invalid_argument("PointsSelector is missing")),
        }
    }

    /// Changes those that exist; the first that does not is the error.
    fn change(&mut self, ids: Vec<Id>, change: impl Fn(&mut Point)) -> Result<(), Status> {
        let mut missing = None;
        for id in ids {
            match self.points.get_mut(&id) {
                Some(point) => {
                    change(point);
                    point.version = self.operation + 1;
                }
                None => _ = missing.get_or_insert(id),
            }
        }
        match missing {
            None => Ok(()),
            Some(id) => Err(Status::not_found(format!("Not found: No point with id {id} found"))),
        }
    }

    /// Whole points replace whole points. Dimensions are checked before the operation is
    /// accepted, names of vectors when it is applied; nothing is written where one is wrong.
    fn upsert(&mut self, operation: operation::PointStructList) -> Applied {
        if operation.points.is_empty() {
            return Err(empty());
        }
        let mode = operation.update_mode();
        let test = filter::compile(operation.update_filter.as_ref())?;
        let mut failed = Ok(());
        let mut points = BTreeMap::new();
        for PointStruct { id, payload, vectors } in operation.points {
            let id = id.ok_or_else(|| Status::invalid_argument("Empty ID is not allowed"))?;
            let mut vectors = point::read_vectors(vectors)?;
            for (name, vector) in &mut vectors {
                match self.fits(name, vector) {
                    Ok(()) => *vector = self.kept(name, vector.clone()),
                    Err(wrong) if matches!(vector, Vector::Dense(_)) && self.is_dense(name) => {
                        let message = format!("{} for vector '{name}'", wrong.message());
                        return Err(Status::invalid_argument(message));
                    }
                    Err(wrong) => failed = Err(wrong),
                }
            }
            let point = Point { vectors, payload: path::accept(payload)?, version: self.operation + 1 };
            points.insert(Id::read(&id)?, point);
        }
        if failed.is_err() {
            return Ok(failed);
        }
        points.retain(|id, _| match (mode, self.points.get(id)) {
            (UpdateMode::Upsert, None) | (UpdateMode::InsertOnly, None) => true,
            (UpdateMode::Upsert | UpdateMode::UpdateOnly, Some(point)) => test(&Subject::of(id, point)),
            (UpdateMode::InsertOnly, Some(_)) | (UpdateMode::UpdateOnly, None) => false,
        });
        self.points.extend(points);
        Ok(Ok(()))
    }

    /// The named vectors replace those of the same names; others stay.
    fn update_vectors(&mut self, operation: operation::UpdateVectors) -> Applied {
        if operation.points.is_empty() {
            return Err(empty());
        }
        let test = filter::compile(operation.update_filter.as_ref())?;
        let mut updates: BTreeMap<Id, BTreeMap<String, Vector>> = BTreeMap::new();
        let mut failed = Ok(());
        for PointVectors { id, vectors } in operation.points {
            let id = id.ok_or_else(|| Status::invalid_argument("Expected point id"))?;
            let vectors = point::read_vectors(vectors)?;
            if let Err(wrong) = vectors.iter().try_for_each(|(name, vector)| self.fits(name, vector)) {
                failed = Err(wrong);
            }
            let vectors = vectors.into_iter().map(|(name, vector)| {
                let vector = self.kept(&name, vector);
                (name, vector)
            });
            updates.entry(Id::read(&id)?).or_default().extend(vectors);
        }
        if failed.is_err() {
            return Ok(failed);
        }
        updates.retain(|id, _| self.points.get(id).is_none_or(|point| test(&Subject::of(id, point))));
        for (id, vectors) in updates {
            let changed = self.change(vec![id], |point| point.vectors.extend(vectors.clone()));
            failed = failed.and(changed);
        }
        Ok(failed)
    }
}
