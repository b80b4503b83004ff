//! Payload as typed fields, read with nothing taken for granted.

use std::collections::HashMap;

use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::{ListValue, Struct, Value};

use super::remote::Payload;
use crate::id::PointId;

pub(super) fn text(value: impl Into<String>) -> Value {
    Value { kind: Some(Kind::StringValue(value.into())) }
}

/// Numbers above `i64::MAX` are not what this is for.
pub(super) fn number(value: u64) -> Value {
    Value { kind: Some(Kind::IntegerValue(i64::try_from(value).unwrap_or(i64::MAX))) }
}

/// Read as an absent field.
pub(super) fn nothing() -> Value {
    Value { kind: Some(Kind::NullValue(0)) }
}

pub(super) fn list(values: impl IntoIterator<Item = Value>) -> Value {
    Value { kind: Some(Kind::ListValue(ListValue { values: values.into_iter().collect() })) }
}

pub(super) fn map(entries: impl IntoIterator<Item = (String, String)>) -> Value {
    let fields = entries.into_iter().map(|(name, value)| (name, text(value))).collect();
    Value { kind: Some(Kind::StructValue(Struct { fields })) }
}

pub(super) fn payload(entries: impl IntoIterator<Item = (&'static str, Value)>) -> Payload {
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Reads what the functions above made; `None` where a field is absent or another thing.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a Payload);

impl<'a> Fields<'a> {
    fn kind(self, name: &str) -> Option<&'a Kind> {
        self.0.get(name)?.kind.as_ref()
    }

    pub(super) fn text(self, name: &str) -> Option<&'a str> {
        match self.kind(name)? {
            Kind::StringValue(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn owned(self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    pub(super) fn number(self, name: &str) -> Option<u64> {
        match self.kind(name)? {
            Kind::IntegerValue(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    pub(super) fn number_u32(self, name: &str) -> Option<u32> {
        u32::try_from(self.number(name)?).ok()
    }

    pub(super) fn numbers(self, name: &str) -> Option<Vec<u64>> {
        let Kind::ListValue(list) = self.kind(name)? else { return None };
        let number = |value: &Value| match value.kind {
            Some(Kind::IntegerValue(number)) => u64::try_from(number).ok(),
            _ => None,
        };
        list.values.iter().map(number).collect()
    }

    pub(super) fn map(self, name: &str) -> Option<&'a HashMap<String, Value>> {
        match self.kind(name)? {
            Kind::StructValue(map) => Some(&map.fields),
            _ => None,
        }
    }

    pub(super) fn id(self, name: &str) -> Option<PointId> {
        PointId::parse(self.text(name)?)
    }

    /// `Some(None)` where the field is absent.
    pub(super) fn option<T>(self, name: &str, read: impl FnOnce(Self) -> Option<T>) -> Option<Option<T>> {
        match self.kind(name) {
            None | Some(Kind::NullValue(_)) => Some(None),
            Some(_) => read(self).map(Some),
        }
    }
}
