//! Facets: which values an indexed field has, and on how many points.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use ::qdrant_client::qdrant::facet_value::Variant;
use ::qdrant_client::qdrant::value::Kind;
use ::qdrant_client::qdrant::*;
use tonic::Status;

use super::collection::{Collection, Data, Index};
use super::filter::{self, Subject};
use super::path;
use super::point::Point;

/// Values by a text that sorts as they do.
pub(super) type Values = BTreeMap<String, Variant>;

/// Values by the number of points that have them, most first, then by value. As in the
/// real server, the field must have an index, and only values of its type are seen.
/// Those that no point has any more stay in an exact answer, with a count of 0, unless
/// there is a filter or the values are bool.
pub(super) fn facet(data: &mut Data, request: FacetCounts) -> Result<FacetResponse, Status> {
    let collection = data.collection(&request.collection_name)?;
    let key = &request.key;
    path::parse(key)?;
    let index = collection.indexes.get(key).filter(|index| {
        matches!(index.field_type, FieldType::Keyword | FieldType::Integer | FieldType::Bool)
    });
    let index = index.ok_or_else(|| {
        Status::invalid_argument(format!(
            "Wrong input: No appropriate index for faceting: `{key}`. Please create one to facet on this field. \
             Check https://qdrant.tech/documentation/concepts/indexing/#payload-index to see which payload \
             schemas support Match conditions"
        ))
    })?;
    let test = filter::compile(request.filter.as_ref())?;
    let mut counts: BTreeMap<String, (Variant, u64)> = BTreeMap::new();
    if request.exact() && request.filter.is_none() && index.field_type != FieldType::Bool {
        counts.extend(index.seen.iter().map(|(key, value)| (key.clone(), (value.clone(), 0))));
    }
    for (_, point) in collection.points.iter().filter(|(id, point)| test(&Subject::of(id, point))) {
        for (key, value) in index.values(point) {
            counts.entry(key).or_insert((value, 0)).1 += 1;
        }
    }
    let mut hits: Vec<_> = counts.into_values().collect();
    // Stable: values stay in order within the same count.
    hits.sort_by_key(|(_, count)| Reverse(*count));
    let limit = usize::try_from(request.limit.unwrap_or(10)).unwrap_or(usize::MAX);
    let hits = hits
        .into_iter()
        .take(limit)
        .map(|(variant, count)| FacetHit { value: Some(FacetValue { variant: Some(variant) }), count });
    Ok(FacetResponse { hits: hits.collect(), time: 0.0, usage: None })
}

/// The number that an integer index keeps of a value: whole ones of either kind.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "compared with itself")]
fn integer(value: &Value) -> Option<i64> {
    match value.kind {
        Some(Kind::IntegerValue(number)) => Some(number),
        Some(Kind::DoubleValue(number)) => Some(number as i64).filter(|whole| *whole as f64 == number),
        _ => None,
    }
}

impl Index {
    /// The point's values that this index can count.
    fn values(&self, point: &Point) -> Values {
        let mut values = Values::new();
        for value in path::values(&point.payload, &self.at) {
            let items = match &value.kind {
                Some(Kind::ListValue(ListValue { values })) => values.as_slice(),
                _ => std::slice::from_ref(value),
            };
            values.extend(items.iter().filter_map(|value| self.counted(value)));
        }
        values
    }

    fn counted(&self, value: &Value) -> Option<(String, Variant)> {
        match (self.field_type, &value.kind) {
            (FieldType::Keyword, Some(Kind::StringValue(text))) => {
                Some((text.clone(), Variant::StringValue(text.clone())))
            }
            (FieldType::Integer, _) => {
                let number = integer(value)?;
                Some((format!("{:020}", number.abs_diff(i64::MIN)), Variant::IntegerValue(number)))
            }
            (FieldType::Bool, Some(Kind::BoolValue(truth))) => {
                Some((truth.to_string(), Variant::BoolValue(*truth)))
            }
            _ => None,
        }
    }
}

impl Collection {
    /// Lets every index see the points of the operation that is ending, or all points
    /// where it is new.
    pub(super) fn let_indexes_see(&mut self) {
        let current = self.operation + 1;
        for index in self.indexes.values_mut() {
            let new = std::mem::take(&mut index.new);
            for point in self.points.values().filter(|point| new || point.version == current) {
                let values = index.values(point);
                index.seen.extend(values);
            }
        }
    }
}
