//! Texts that say the same: copies of one, but for spacing, comments' edges or a few words.
//! Pure; works on stored text.

use std::collections::HashMap;

use crate::lexical;

/// Two texts are copies from this share of common terms on.
const SAME: f32 = 0.9;

/// Each of `items` that is no copy of one before it, with how many copies of it follow.
pub fn collapse<T>(items: Vec<T>, text: impl Fn(&T) -> &str) -> Vec<(T, u32)> {
    let mut kept: Vec<(T, u32)> = Vec::new();
    let mut known: Vec<Terms> = Vec::new();
    for item in items {
        let terms = Terms::of(text(&item));
        match known.iter().position(|known| known.is_copy(&terms)) {
            Some(at) => kept[at].1 += 1,
            None => {
                kept.push((item, 0));
                known.push(terms);
            }
        }
    }
    kept
}

/// The terms of a text with their counts.
struct Terms {
    counts: HashMap<String, u32>,
    total: u32,
}

impl Terms {
    /// Those of `text`.
    fn of(text: &str) -> Terms {
        let mut terms = Vec::new();
        lexical::tokenize(text, &mut terms);
        let total = u32::try_from(terms.len()).unwrap_or(u32::MAX);
        let mut counts = HashMap::new();
        for term in terms {
            *counts.entry(term).or_default() += 1;
        }
        Terms { counts, total }
    }

    /// Whether the other's text is a copy of this one's. Texts without terms are none.
    fn is_copy(&self, other: &Terms) -> bool {
        let common = self.counts.iter().map(|(term, count)| {
            let there = other.counts.get(term).copied().unwrap_or_default();
            u64::from(there.min(*count))
        });
        let all = u64::from(self.total) + u64::from(other.total);
        all > 0 && 2.0 * common.sum::<u64>() as f32 >= SAME * all as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_differ_in_little() {
        let text = "fn parse(header: &str) -> Option<Header> {\n    let (name, value) = header.split_once(':')?;\n    Some(Header { name, value: value.trim() })\n}\n";
        let cases = [
            ("itself", text.to_owned(), true),
            ("other spacing", text.replace("    ", "\t"), true),
            ("one name changed", text.replace("parse", "read"), true),
            ("half of it", text.lines().take(2).collect(), false),
            ("the same words more often", text.repeat(2), false),
            ("something else", "fn main() { println!(\"hello\") }".to_owned(), false),
            ("nothing", String::new(), false),
        ];
        for (what, other, expected) in cases {
            assert_eq!(Terms::of(text).is_copy(&Terms::of(&other)), expected, "{what}");
        }
        assert!(!Terms::of("").is_copy(&Terms::of("")));
    }

    #[test]
    fn copies_are_counted_with_the_first() {
        let items = vec!["fn a(b: C) -> D", "fn e()", "fn  a(b: C)  -> D", "fn a(b: C) -> D {}"];
        let kept = collapse(items, |item| item);
        assert_eq!(kept, [("fn a(b: C) -> D", 2), ("fn e()", 0)]);
    }
}
