//! Whether a candidate is what the query names.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::lexical;
use crate::search::naming::squash;
use crate::search::query::Query;
use crate::store::Point;

use super::Candidate;

/// Names of a query by how sure it is that they are meant.
pub(super) struct Names<'a> {
    written: BTreeSet<&'a str>,
    lower: BTreeSet<String>,
    squashed: BTreeMap<String, f32>,
    /// Candidates by squashed symbol.
    bearers: HashMap<String, u32>,
    /// Containers by name, as the query has them.
    members: HashMap<&'a str, Vec<&'a str>>,
}

impl<'a> Names<'a> {
    pub(super) fn of(query: &'a Query, candidates: &[Candidate<'_>]) -> Names<'a> {
        let words: BTreeSet<String> =
            query.text.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase).collect();
        let single = |name: &str| words.contains(name) || words.contains(&format!("{name}s"));
        let sure = |name: &String| if single(name) { 0.3 } else { 0.7 };
        let mut squashed: BTreeMap<String, f32> =
            query.guesses.iter().map(|name| (squash(name), sure(name))).collect();
        // Another style of writing is another thing more often than not: a trait
        // `FromRequest` and the methods `from_request` of those who implement it.
        squashed.extend(query.names.iter().map(|name| (squash(name), 0.5)));
        let mut bearers: HashMap<String, u32> = HashMap::new();
        for symbol in candidates.iter().filter_map(|candidate| candidate.point.symbol.as_deref()) {
            *bearers.entry(squash(last_part(symbol))).or_default() += 1;
        }
        let mut members: HashMap<&str, Vec<&str>> = HashMap::new();
        for (container, name) in &query.members {
            members.entry(name).or_default().push(container);
        }
        Names {
            members,
            written: query.names.iter().map(String::as_str).collect(),
            lower: query.names.iter().map(|name| name.to_lowercase()).collect(),
            squashed,
            bearers,
        }
    }

    /// 0..=1: whether the point defines a name of the query; the less, the more others do.
    pub(super) fn symbol_match(&self, point: &Point) -> f32 {
        let Some(symbol) = point.symbol.as_deref() else { return 0.0 };
        let kind = match point.kind.as_str() {
            "section" | "text" => return 0.0,
            "struct" | "class" | "trait" | "interface" | "enum" | "type" | "function" | "macro" => 1.0,
            "module" | "impl" => 0.8,
            _ => 0.9,
        };
        let name = last_part(symbol);
        let squashed = squash(name);
        let sure = if self.written.contains(name) || self.written.contains(symbol) {
            1.0
        } else if self.lower.contains(&name.to_lowercase()) {
            0.85
        } else {
            self.squashed.get(&squashed).copied().unwrap_or_default()
        };
        if let Some(containers) = self.members.get(name) {
            let own = point.container.as_deref().map(last_part).unwrap_or_default();
            let of_file = String::from_utf8_lossy(point.path.stem());
            return match containers.iter().any(|c| c.eq_ignore_ascii_case(own)) {
                true => 1.0,
                // A module's function is in a file of the module's name.
                false if containers.iter().any(|c| c.eq_ignore_ascii_case(&of_file)) => 0.8,
                false => 0.4 * sure * kind,
            };
        }
        let bearers = self.bearers.get(&squashed).copied().unwrap_or(1).max(1);
        sure * kind / (bearers as f32).sqrt()
    }
}

/// `Parser.parse` → `parse`.
fn last_part(symbol: &str) -> &str {
    symbol.rsplit(['.', ':']).next().unwrap_or(symbol)
}

/// Words of a name, stemmed as terms are; the joined name itself left out.
pub(super) fn words_of(name: &str) -> BTreeSet<String> {
    let mut terms = Vec::new();
    lexical::tokenize(name, &mut terms);
    let whole = name.to_lowercase();
    let mut words: BTreeSet<String> = terms.into_iter().collect();
    if words.len() > 1 {
        words.remove(&whole);
    }
    words
}

/// 0..=1: how far the symbol's words are words of the query, and how many.
pub(super) fn symbol_words(query: &Query, point: &Point) -> f32 {
    let Some(symbol) = point.symbol.as_deref() else { return 0.0 };
    if matches!(point.kind.as_str(), "section" | "text") {
        return 0.0;
    }
    let words = words_of(symbol);
    let matched = words.iter().filter(|word| query.weights.contains_key(*word)).count();
    if matched == 0 {
        return 0.0;
    }
    let precision = matched as f32 / words.len() as f32;
    // One word in common is weak evidence; three are as good as it gets.
    precision * (matched as f32 / 3.0).min(1.0)
}
