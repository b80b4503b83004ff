//! The arguments of a call, as models write them: a number may be a string, a list a single
//! string. What is unknown is an error that names what is known. Pure.

use serde_json::{Map, Value};

/// The arguments that were not taken yet.
pub(super) struct Arguments {
    left: Map<String, Value>,
    known: Vec<&'static str>,
}

impl Arguments {
    pub(super) fn new(given: Option<Map<String, Value>>) -> Arguments {
        Arguments { left: given.unwrap_or_default(), known: Vec::new() }
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.left.remove(name).filter(|value| !value.is_null())
    }

    /// A text; an empty one is none.
    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<String>, String> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(format!("`{name}` is a string, not {other}")),
        }
    }

    /// Texts, or one.
    pub(super) fn texts(&mut self, name: &'static str) -> Result<Vec<String>, String> {
        let wrong = |other: &Value| format!("`{name}` is a list of strings, not {other}");
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) if text.is_empty() => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text]),
            Some(Value::Array(items)) => {
                items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(|| wrong(item))).collect()
            }
            Some(other) => Err(wrong(&other)),
        }
    }

    /// A whole number of at most `most`.
    pub(super) fn number(&mut self, name: &'static str, most: u64) -> Result<Option<u64>, String> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = match &value {
            Value::String(text) => text.trim().parse().ok(),
            other => other
                .as_u64()
                .or_else(|| other.as_f64().filter(|n| *n >= 0.0 && n.fract() == 0.0).map(|n| n as u64)),
        };
        match number {
            Some(number) if number <= most => Ok(Some(number)),
            _ => Err(format!("`{name}` is a whole number from 0 to {most}, not {value}")),
        }
    }

    /// Yes or no.
    pub(super) fn flag(&mut self, name: &'static str) -> Result<bool, String> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(Value::String(text)) if text == "true" || text == "false" => Ok(text == "true"),
            Some(other) => Err(format!("`{name}` is true or false, not {other}")),
        }
    }

    /// Nothing may be left.
    pub(super) fn finish(self) -> Result<(), String> {
        match self.left.keys().next() {
            None => Ok(()),
            Some(name) => Err(format!("there is no argument `{name}`; there are {}", self.known.join(", "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(value: Value) -> Arguments {
        Arguments::new(value.as_object().cloned())
    }

    #[test]
    fn what_models_write_is_understood() {
        for (value, expected) in [
            (json!({"n": 5}), Ok(Some(5))),
            (json!({"n": "5"}), Ok(Some(5))),
            (json!({"n": 5.0}), Ok(Some(5))),
            (json!({"n": null}), Ok(None)),
            (json!({}), Ok(None)),
            (json!({"n": -1}), Err(())),
            (json!({"n": 1.5}), Err(())),
            (json!({"n": 101}), Err(())),
            (json!({"n": [5]}), Err(())),
        ] {
            assert_eq!(of(value.clone()).number("n", 100).map_err(|_| ()), expected, "{value}");
        }
        for (value, expected) in [
            (json!({"t": "a"}), Ok(vec!["a".to_owned()])),
            (json!({"t": ["a"]}), Ok(vec!["a".to_owned()])),
            (json!({"t": [1]}), Err(())),
        ] {
            assert_eq!(of(value.clone()).texts("t").map_err(|_| ()), expected, "{value}");
        }
        assert_eq!(of(json!({"f": "true"})).flag("f"), Ok(true));
        assert_eq!(of(json!({"t": ""})).text("t"), Ok(None));
    }

    #[test]
    fn what_is_unknown_is_told() {
        let mut arguments = of(json!({"query": "a", "max": 1}));
        arguments.text("query").expect("a string");
        assert_eq!(arguments.finish(), Err("there is no argument `max`; there are query".to_owned()));
    }
}
