//! Filters, compiled once and asked of each point, with the meaning that Qdrant gives
//! them where no full-text index exists.

use std::collections::BTreeMap;

use ::qdrant_client::qdrant::condition::ConditionOneOf;
use ::qdrant_client::qdrant::r#match::MatchValue;
use ::qdrant_client::qdrant::value::Kind;
use ::qdrant_client::qdrant::{
    Condition, FieldCondition, Filter, ListValue, Match, NestedCondition, Range, Struct, Value,
};
use tonic::Status;

use super::path::{self, Payload, Step};
use super::point::{Id, Point, Vector};

/// What a filter is asked of: a point, or an object inside its payload, which has no
/// id and no vectors.
pub(super) struct Subject<'a> {
    payload: &'a Payload,
    point: Option<(&'a Id, &'a BTreeMap<String, Vector>)>,
}

impl<'a> Subject<'a> {
    pub(super) fn of(id: &'a Id, point: &'a Point) -> Subject<'a> {
        Subject { payload: &point.payload, point: Some((id, &point.vectors)) }
    }
}

/// A compiled filter or condition.
pub(super) type Test = Box<dyn Fn(&Subject<'_>) -> bool>;

/// The test of a filter; `None` lets everything through.
pub(super) fn compile(filter: Option<&Filter>) -> Result<Test, Status> {
    let Some(filter) = filter else { return Ok(Box::new(|_| true)) };
    let tests = |conditions: &[Condition]| conditions.iter().map(condition).collect::<Result<Vec<_>, _>>();
    let (must, should, must_not) = (tests(&filter.must)?, tests(&filter.should)?, tests(&filter.must_not)?);
    let min_should = match &filter.min_should {
        Some(min) if min.min_count == 0 => {
            return Err(Status::invalid_argument(
                "Validation error in body: [filter.min_should.min_count: min_count must be greater than 0]",
            ));
        }
        Some(min) => Some((tests(&min.conditions)?, usize::try_from(min.min_count).unwrap_or(usize::MAX))),
        None => None,
    };
    Ok(Box::new(move |subject| {
        must.iter().all(|test| test(subject))
            && (should.is_empty() || should.iter().any(|test| test(subject)))
            && !must_not.iter().any(|test| test(subject))
            && min_should
                .as_ref()
                .is_none_or(|(tests, least)| tests.iter().filter(|test| test(subject)).count() >= *least)
    }))
}

/// Both filters at once.
pub(super) fn both(one: Option<&Filter>, other: Option<&Filter>) -> Option<Filter> {
    let all: Vec<&Filter> = one.into_iter().chain(other).collect();
    let must = all
        .iter()
        .map(|filter| Condition { condition_one_of: Some(ConditionOneOf::Filter((*filter).clone())) });
    (!all.is_empty()).then(|| Filter { must: must.collect(), ..Filter::default() })
}

fn condition(condition: &Condition) -> Result<Test, Status> {
    match &condition.condition_one_of {
        Some(ConditionOneOf::Field(condition)) => field(condition),
        Some(ConditionOneOf::Filter(filter)) => compile(Some(filter)),
        Some(ConditionOneOf::Nested(condition)) => nested(condition),
        Some(ConditionOneOf::IsEmpty(condition)) => {
            let path = path::parse(&condition.key)?;
            Ok(Box::new(move |subject| path::values(subject.payload, &path).into_iter().all(is_empty)))
        }
        Some(ConditionOneOf::IsNull(condition)) => {
            let path = path::parse(&condition.key)?;
            Ok(Box::new(move |subject| path::values(subject.payload, &path).into_iter().any(is_null)))
        }
        Some(ConditionOneOf::HasId(condition)) => {
            let ids = condition.has_id.iter().map(Id::read).collect::<Result<Vec<_>, _>>()?;
            Ok(Box::new(move |subject| subject.point.is_some_and(|(id, _)| ids.contains(id))))
        }
        Some(ConditionOneOf::HasVector(condition)) => {
            let name = condition.has_vector.clone();
            Ok(Box::new(move |subject| subject.point.is_some_and(|(_, vectors)| vectors.contains_key(&name))))
        }
        Some(ConditionOneOf::Slice(_)) => Err(Status::unimplemented("slice conditions are not served")),
        None => Err(Status::invalid_argument("Malformed Condition type")),
    }
}

fn nested(condition: &NestedCondition) -> Result<Test, Status> {
    let mut path = path::parse(&condition.key)?;
    if path.last() != Some(&Step::Each) {
        path.push(Step::Each);
    }
    let inner = compile(condition.filter.as_ref())?;
    Ok(Box::new(move |subject| {
        path::values(subject.payload, &path).into_iter().any(|value| match &value.kind {
            Some(Kind::StructValue(Struct { fields })) => inner(&Subject { payload: fields, point: None }),
            _ => false,
        })
    }))
}

fn field(condition: &FieldCondition) -> Result<Test, Status> {
    if condition.geo_bounding_box.is_some()
        || condition.geo_radius.is_some()
        || condition.geo_polygon.is_some()
        || condition.values_count.is_some()
        || condition.datetime_range.is_some()
    {
        return Err(Status::unimplemented("conditions on places, times and counts are not served"));
    }
    let path = path::parse(&condition.key)?;
    if let Some(wanted) = condition.is_empty {
        return Ok(Box::new(move |subject| {
            let values = path::values(subject.payload, &path);
            if values.is_empty() { wanted } else { values.into_iter().any(|value| is_empty(value) == wanted) }
        }));
    }
    if let Some(wanted) = condition.is_null {
        return Ok(Box::new(move |subject| {
            let values = path::values(subject.payload, &path);
            let null = |value: &Value| is_null(value) || items(value).iter().any(is_null);
            // A field that is not there is not null.
            if values.is_empty() { !wanted } else { values.into_iter().any(|value| null(value) == wanted) }
        }));
    }
    let matches = condition.r#match.as_ref().map(matching).transpose()?;
    let range = condition.range;
    if matches.is_none() && range.is_none() {
        return Err(Status::invalid_argument("Malformed Field condition"));
    }
    let holds = move |value: &Value| {
        matches.as_ref().is_some_and(|matches| matches(value))
            || range.is_some_and(|range| within(&range, value))
    };
    Ok(Box::new(move |subject| {
        path::values(subject.payload, &path).into_iter().any(|value| match &value.kind {
            Some(Kind::ListValue(ListValue { values })) => values.iter().any(&holds),
            _ => holds(value),
        })
    }))
}

fn is_null(value: &Value) -> bool {
    matches!(value.kind, None | Some(Kind::NullValue(_)))
}

fn is_empty(value: &Value) -> bool {
    is_null(value) || matches!(&value.kind, Some(Kind::ListValue(ListValue { values })) if values.is_empty())
}

fn items(value: &Value) -> &[Value] {
    match &value.kind {
        Some(Kind::ListValue(ListValue { values })) => values,
        _ => &[],
    }
}

fn within(range: &Range, value: &Value) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "the real server compares as f64")]
    let number = match value.kind {
        Some(Kind::IntegerValue(number)) => number as f64,
        Some(Kind::DoubleValue(number)) => number,
        _ => return false,
    };
    range.lt.is_none_or(|bound| number < bound)
        && range.gt.is_none_or(|bound| number > bound)
        && range.lte.is_none_or(|bound| number <= bound)
        && range.gte.is_none_or(|bound| number >= bound)
}

/// The test of one value, lists taken apart already.
type ValueTest = Box<dyn Fn(&Value) -> bool>;

fn matching(condition: &Match) -> Result<ValueTest, Status> {
    type Text = Box<dyn Fn(&str) -> bool>;
    let wanted = condition.match_value.clone();
    let wanted = wanted.ok_or_else(|| Status::invalid_argument("Malformed Match condition"))?;
    let text: Text = match wanted {
        MatchValue::Integer(wanted) => {
            return Ok(Box::new(move |value| value.kind == Some(Kind::IntegerValue(wanted))));
        }
        MatchValue::Boolean(wanted) => {
            return Ok(Box::new(move |value| value.kind == Some(Kind::BoolValue(wanted))));
        }
        MatchValue::Integers(wanted) => {
            return Ok(Box::new(
                move |value| matches!(value.kind, Some(Kind::IntegerValue(number)) if wanted.integers.contains(&number)),
            ));
        }
        // Whatever is of another type is none of those, except null.
        MatchValue::ExceptIntegers(except) => {
            return Ok(Box::new(move |value| match value.kind {
                Some(Kind::IntegerValue(number)) => !except.integers.contains(&number),
                _ => !is_null(value),
            }));
        }
        MatchValue::ExceptKeywords(except) => {
            return Ok(Box::new(move |value| match &value.kind {
                Some(Kind::StringValue(text)) => !except.strings.contains(text),
                _ => !is_null(value),
            }));
        }
        MatchValue::Keyword(wanted) => Box::new(move |text| text == wanted),
        MatchValue::Keywords(wanted) => Box::new(move |text| wanted.strings.iter().any(|one| one == text)),
        MatchValue::Prefix(prefix) => Box::new(move |text| text.starts_with(&prefix)),
        MatchValue::Text(part) | MatchValue::Phrase(part) => Box::new(move |text| text.contains(&part)),
        MatchValue::TextAny(words) => {
            Box::new(move |text| words.split_whitespace().any(|word| text.contains(word)))
        }
        MatchValue::Substring(_) => return Err(Status::unimplemented("substring matches are not served")),
    };
    Ok(Box::new(move |value| matches!(&value.kind, Some(Kind::StringValue(string)) if text(string))))
}
