//! The lines of a chunk that show best why it was found. Pure; works on stored
//! text, which is redacted already.

use std::collections::{BTreeMap, BTreeSet};

use crate::lexical;

/// Some lines of a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snippet {
    /// First and last line in the file, from 1, both included.
    pub lines: (u32, u32),
    /// Their text, without a line break at the end.
    pub text: String,
}

/// Lines shown at most.
pub const SNIPPET_LINES: usize = 12;
/// Longest line shown; the rest of it is replaced by `…`.
const MAX_LINE_CHARS: usize = 300;
/// Lines of a chunk that are looked at.
const MAX_SCANNED_LINES: usize = 2000;

/// The window of at most [`SNIPPET_LINES`] lines of `text` whose distinct query
/// terms weigh most; the first of equals. `first_line` is the line of the file
/// where `text` starts.
pub fn snippet(text: &str, first_line: u32, weights: &BTreeMap<String, f32>) -> Snippet {
    let lines: Vec<&str> = text.lines().take(MAX_SCANNED_LINES).collect();
    let found: Vec<BTreeSet<String>> = if lines.len() <= SNIPPET_LINES {
        Vec::new()
    } else {
        lines.iter().map(|line| terms_of(line, weights)).collect()
    };
    let weigh = |start: usize| -> f32 {
        let end = (start + SNIPPET_LINES).min(found.len());
        let distinct: BTreeSet<&String> = found[start..end].iter().flatten().collect();
        distinct.into_iter().filter_map(|term| weights.get(term)).sum()
    };
    let mut start = 0;
    let mut best = if found.is_empty() { 0.0 } else { weigh(0) };
    for candidate in 1..=found.len().saturating_sub(SNIPPET_LINES) {
        let weight = weigh(candidate);
        if weight > best + 1e-6 {
            (start, best) = (candidate, weight);
        }
    }
    // A window opens where its first match is, but for two lines of context.
    if start > 0 {
        let lead = found[start..].iter().take_while(|terms| terms.is_empty()).count();
        start = (start + lead.saturating_sub(2)).min(found.len().saturating_sub(SNIPPET_LINES));
    }
    let mut end = (start + SNIPPET_LINES).min(lines.len());
    while end > start + 1 && lines[end - 1].trim().is_empty() {
        end -= 1;
    }
    let shown: Vec<String> = lines[start..end].iter().map(|line| shorten(line)).collect();
    let line_at = |index: usize| first_line.saturating_add(u32::try_from(index).unwrap_or(u32::MAX));
    Snippet { lines: (line_at(start), line_at(end.max(start + 1) - 1)), text: shown.join("\n") }
}

fn terms_of(line: &str, weights: &BTreeMap<String, f32>) -> BTreeSet<String> {
    let mut terms = Vec::new();
    lexical::tokenize(line, &mut terms);
    terms.into_iter().filter(|term| weights.contains_key(term)).collect()
}

fn shorten(line: &str) -> String {
    match line.char_indices().nth(MAX_LINE_CHARS) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(words: &[&str]) -> BTreeMap<String, f32> {
        let mut terms = Vec::new();
        for word in words {
            lexical::tokenize(word, &mut terms);
        }
        terms.into_iter().map(|term| (term, 1.0)).collect()
    }

    #[test]
    fn a_short_chunk_is_shown_whole() {
        let shown = snippet("fn a() {\n    b()\n}\n\n", 7, &weights(&["b"]));
        assert_eq!(shown, Snippet { lines: (7, 9), text: "fn a() {\n    b()\n}".to_owned() });
        assert_eq!(snippet("", 3, &weights(&["b"])), Snippet { lines: (3, 3), text: String::new() });
    }

    #[test]
    fn the_window_with_most_terms_wins() {
        let mut lines = vec!["let filler = 0;"; 60];
        lines[40] = "serialize(header)";
        lines[45] = "flush(socket)";
        lines[5] = "header";
        let shown = snippet(&lines.join("\n"), 100, &weights(&["serialize", "header", "socket"]));
        assert!(shown.lines.0 <= 140 && shown.lines.1 >= 145, "{shown:?}");
        assert_eq!(shown.text.lines().count(), SNIPPET_LINES);
    }

    #[test]
    fn without_a_match_the_start_is_shown() {
        let text = vec!["let filler = 0;"; 60].join("\n");
        assert_eq!(snippet(&text, 1, &weights(&["nothing"])).lines, (1, 12));
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        let shown = snippet(&"é".repeat(5000), 1, &weights(&["x"]));
        assert_eq!(shown.text.chars().count(), MAX_LINE_CHARS + 1);
    }
}
