//! Key paths into a payload, `a.b[].c` and `a."odd key"[0]`: reading, setting, removing
//! and selecting by them.

use std::collections::HashMap;

use ::qdrant_client::qdrant::value::Kind;
use ::qdrant_client::qdrant::with_payload_selector::SelectorOptions;
use ::qdrant_client::qdrant::{ListValue, NullValue, Struct, Value, WithPayloadSelector};
use tonic::Status;

/// What a point carries besides vectors.
pub(super) type Payload = HashMap<String, Value>;

/// A step of a path.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
    /// `[]`: every item of a list.
    Each,
}

/// A path begins with a key.
pub(super) type Path = Vec<Step>;

/// Reads a path as written in a request.
pub(super) fn parse(text: &str) -> Result<Path, Status> {
    steps(text).ok_or_else(|| Status::invalid_argument(format!("Invalid json path: '{text}'")))
}

fn steps(text: &str) -> Option<Path> {
    let (first, mut rest) = key(text)?;
    let mut path = vec![Step::Key(first)];
    while !rest.is_empty() {
        let step;
        (step, rest) = if let Some(rest) = rest.strip_prefix('.') {
            let (name, rest) = key(rest)?;
            (Step::Key(name), rest)
        } else {
            let (index, rest) = rest.strip_prefix('[')?.split_once(']')?;
            (if index.is_empty() { Step::Each } else { Step::Index(index.parse().ok()?) }, rest)
        };
        path.push(step);
    }
    Some(path)
}

fn key(text: &str) -> Option<(String, &str)> {
    let (name, rest) = match text.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').filter(|(name, _)| !name.contains('\\'))?,
        None => {
            let end = text.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').unwrap_or(text.len());
            text.split_at_checked(end).filter(|(name, _)| !name.is_empty())?
        }
    };
    Some((name.to_owned(), rest))
}

/// All values at the path.
pub(super) fn values<'a>(payload: &'a Payload, path: &[Step]) -> Vec<&'a Value> {
    let mut found = Vec::new();
    if let Some((Step::Key(first), rest)) = path.split_first()
        && let Some(value) = payload.get(first)
    {
        collect(value, rest, &mut found);
    }
    found
}

fn collect<'a>(value: &'a Value, path: &[Step], found: &mut Vec<&'a Value>) {
    let Some((step, rest)) = path.split_first() else {
        found.push(value);
        return;
    };
    match (step, &value.kind) {
        (Step::Key(name), Some(Kind::StructValue(Struct { fields }))) => {
            if let Some(value) = fields.get(name) {
                collect(value, rest, found);
            }
        }
        (Step::Index(at), Some(Kind::ListValue(ListValue { values }))) => {
            if let Some(value) = values.get(*at) {
                collect(value, rest, found);
            }
        }
        (Step::Each, Some(Kind::ListValue(ListValue { values }))) => {
            for value in values {
                collect(value, rest, found);
            }
        }
        _ => {}
    }
}

/// Puts the fields of `source` in, or takes them out where they are null.
pub(super) fn merge(target: &mut Payload, source: &Payload) {
    for (name, value) in source {
        if matches!(value.kind, Some(Kind::NullValue(_))) {
            target.remove(name);
        } else {
            target.insert(name.clone(), value.clone());
        }
    }
}

/// Merges `source` into the object at the path, which is made where it is not.
pub(super) fn merge_at(target: &mut Payload, path: &[Step], source: &Payload) {
    match path.split_first() {
        Some((Step::Key(first), rest)) => {
            merge_value(target.entry(first.clone()).or_default(), rest, source);
        }
        _ => merge(target, source),
    }
}

fn merge_value(value: &mut Value, path: &[Step], source: &Payload) {
    match path.first() {
        None | Some(Step::Key(_)) => {
            if !matches!(value.kind, Some(Kind::StructValue(_))) {
                value.kind = Some(Kind::StructValue(Struct::default()));
            }
            if let Some(Kind::StructValue(Struct { fields })) = &mut value.kind {
                merge_at(fields, path, source);
            }
        }
        Some(step) => {
            if !matches!(value.kind, Some(Kind::ListValue(_))) {
                value.kind = Some(Kind::ListValue(ListValue::default()));
            }
            if let Some(Kind::ListValue(ListValue { values })) = &mut value.kind {
                for (at, value) in values.iter_mut().enumerate() {
                    if *step == Step::Each || *step == Step::Index(at) {
                        merge_value(value, &path[1..], source);
                    }
                }
            }
        }
    }
}

/// Removes what is at the path; `[]` at its end empties the list, an index there does nothing.
pub(super) fn remove(payload: &mut Payload, path: &[Step]) {
    match path {
        [Step::Key(name)] => _ = payload.remove(name),
        [Step::Key(name), rest @ ..] => {
            if let Some(value) = payload.get_mut(name) {
                remove_in(value, rest);
            }
        }
        _ => {}
    }
}

fn remove_in(value: &mut Value, path: &[Step]) {
    match (&mut value.kind, path) {
        (Some(Kind::StructValue(Struct { fields })), _) => remove(fields, path),
        (Some(Kind::ListValue(ListValue { values })), [Step::Each]) => values.clear(),
        (Some(Kind::ListValue(ListValue { values })), [step, rest @ ..]) if !rest.is_empty() => {
            for (at, value) in values.iter_mut().enumerate() {
                if *step == Step::Each || *step == Step::Index(at) {
                    remove_in(value, rest);
                }
            }
        }
        _ => {}
    }
}

/// The payload as a request wants it shown; nothing of it where it does not say.
pub(super) fn select(payload: &Payload, selector: Option<&WithPayloadSelector>) -> Result<Payload, Status> {
    let paths = |fields: &[String]| fields.iter().map(|field| parse(field)).collect::<Result<Vec<_>, _>>();
    match selector.map(|selector| &selector.selector_options) {
        None => Ok(Payload::new()),
        Some(None) => Err(Status::invalid_argument("No PayloadSelector")),
        Some(Some(SelectorOptions::Enable(yes))) => Ok(if *yes { payload.clone() } else { Payload::new() }),
        Some(Some(SelectorOptions::Include(include))) => {
            let paths = paths(&include.fields)?;
            let on_the_way = |at: &[Step]| paths.iter().any(|path| path.iter().zip(at).all(|(a, b)| a == b));
            Ok(keep(payload, &mut Vec::new(), &on_the_way))
        }
        Some(Some(SelectorOptions::Exclude(exclude))) => {
            let paths = paths(&exclude.fields)?;
            Ok(keep(payload, &mut Vec::new(), &|at| !paths.iter().any(|path| at.starts_with(path))))
        }
    }
}

fn keep(payload: &Payload, at: &mut Path, wanted: &dyn Fn(&[Step]) -> bool) -> Payload {
    let mut kept = Payload::new();
    for (name, value) in payload {
        at.push(Step::Key(name.clone()));
        if wanted(at) {
            kept.insert(name.clone(), keep_in(value, at, wanted));
        }
        at.pop();
    }
    kept
}

fn keep_in(value: &Value, at: &mut Path, wanted: &dyn Fn(&[Step]) -> bool) -> Value {
    let kind = match &value.kind {
        Some(Kind::StructValue(Struct { fields })) => {
            Some(Kind::StructValue(Struct { fields: keep(fields, at, wanted) }))
        }
        Some(Kind::ListValue(ListValue { values })) => {
            at.push(Step::Each);
            let values = values.iter().filter(|_| wanted(at)).cloned().collect::<Vec<_>>();
            let values = values.iter().map(|value| keep_in(value, at, wanted)).collect();
            at.pop();
            Some(Kind::ListValue(ListValue { values }))
        }
        scalar => scalar.clone(),
    };
    Value { kind }
}

/// A payload as it is kept: no value without a kind, no number that JSON has not.
pub(super) fn accept(payload: Payload) -> Result<Payload, Status> {
    payload.into_iter().map(|(name, value)| Ok((name, accept_value(value)?))).collect()
}

fn accept_value(value: Value) -> Result<Value, Status> {
    let kind = match value.kind {
        None | Some(Kind::NullValue(_)) => Kind::NullValue(NullValue::NullValue.into()),
        Some(Kind::DoubleValue(number)) if !number.is_finite() => {
            return Err(Status::invalid_argument("cannot convert to json number"));
        }
        Some(Kind::StructValue(Struct { fields })) => Kind::StructValue(Struct { fields: accept(fields)? }),
        Some(Kind::ListValue(ListValue { values })) => {
            let values = values.into_iter().map(accept_value).collect::<Result<_, _>>()?;
            Kind::ListValue(ListValue { values })
        }
        Some(scalar) => scalar,
    };
    Ok(Value { kind: Some(kind) })
}
