//! Terms of the live documents that are spelled like a term which none of them has.
//!
//! A function of the live content alone, as the scores are: what is deleted and not merged
//! away yet, and how documents are spread over segments, change nothing.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use tantivy::Term;

use super::fields::Fields;
use super::lexical::for_each_live;
use super::segment::Segment;

/// Shorter terms are not corrected: everything is near to them.
const LEAST: usize = 5;
/// From this length on two mistakes are forgiven.
const LONG: usize = 8;

/// The term nearest to `term` that has its first letter, the more frequent of equals; `None`
/// where `term` itself is in a live document, or nothing is near.
pub(super) fn nearest(
    segments: &[Arc<Segment>],
    fields: &Fields,
    term: &str,
) -> tantivy::Result<Option<String>> {
    let wanted: Vec<char> = term.chars().collect();
    let Some(first) = wanted.first().filter(|first| first.is_alphabetic() && wanted.len() >= LEAST) else {
        return Ok(None);
    };
    if documents(segments, fields, term)? > 0 {
        return Ok(None);
    }
    let most = if wanted.len() < LONG { 1 } else { 2 };
    let mut near: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for segment in segments {
        let index = segment.reader.inverted_index(fields.terms)?;
        let mut terms = index.terms().range().ge(first.to_string().as_bytes()).into_stream()?;
        while terms.advance() {
            let Ok(known) = std::str::from_utf8(terms.key()) else { continue };
            if !known.starts_with(*first) {
                break;
            }
            if let Some(distance) = distance(&wanted, known, most) {
                near.entry(distance).or_default().push(known.to_owned());
            }
        }
    }
    for mut equals in near.into_values() {
        equals.sort_unstable();
        equals.dedup();
        let mut best: Option<(Reverse<u32>, String)> = None;
        for known in equals {
            let found = (Reverse(documents(segments, fields, &known)?), known);
            if found.0.0 > 0 && best.as_ref().is_none_or(|best| found < *best) {
                best = Some(found);
            }
        }
        if let Some((_, known)) = best {
            return Ok(Some(known));
        }
    }
    Ok(None)
}

/// Live documents that have a term.
fn documents(segments: &[Arc<Segment>], fields: &Fields, term: &str) -> tantivy::Result<u32> {
    let mut count = 0;
    for segment in segments {
        for_each_live(&segment.reader, Term::from_field_text(fields.terms, term), |_| count += 1)?;
    }
    Ok(count)
}

/// Letters to insert, remove, replace or swap with the next to come from one word to the other
/// (Damerau 1964, each letter touched once); `None` over `most`.
fn distance(a: &[char], b: &str, most: usize) -> Option<usize> {
    if b.len() + most < a.len() || b.len() > a.len() * 4 + most {
        return None;
    }
    let b: Vec<char> = b.chars().collect();
    if a.len().abs_diff(b.len()) > most {
        return None;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, to) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(from != to);
            let mut cost = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *from == b[j - 1] && a[i - 1] == *to {
                cost = cost.min(before[j - 1] + 1);
            }
            row.push(cost);
        }
        if row.iter().min().is_some_and(|least| *least > most) {
            return None;
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().filter(|distance| *distance <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes() {
        let cases = [
            ("parser", "parser", Some(0)),
            ("parsre", "parser", Some(1)),
            ("pasrer", "parser", Some(1)),
            ("parse", "parser", Some(1)),
            ("paarser", "parser", Some(1)),
            ("perzer", "parser", Some(2)),
            ("printer", "parser", None),
            ("", "ab", Some(2)),
            ("größe", "grösse", Some(2)),
        ];
        for (a, b, expected) in cases {
            let a: Vec<char> = a.chars().collect();
            assert_eq!(distance(&a, b, 2), expected, "{a:?} {b}");
        }
    }
}
