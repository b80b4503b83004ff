//! The BM25 leg: the code tokenizer, and which terms a chunk and a query have.
//! Pure; knows nothing of the index that counts the terms.
//!
//! An identifier gives itself, lower-cased, and each of its parts (camelCase,
//! snake_case, letters and digits) with English endings removed, so that
//! "serializing headers" meets `serialize_header` and `HeaderSerializer` alike.

use std::collections::HashMap;

use crate::chunk::Chunk;
use crate::path::RepoPath;

/// Longest term, in bytes; what is longer is cut, in queries as in chunks.
pub const MAX_TERM: usize = 64;

/// Times that a chunk's symbol is counted besides its text.
const SYMBOL_WEIGHT: usize = 3;
/// Times that the file's stem is counted.
const STEM_WEIGHT: usize = 2;
/// Weight of a query's stop words.
const STOP_WEIGHT: f32 = 0.1;
/// Weight of words that say what kind of answer is wanted, in a question.
const ASKING_WEIGHT: f32 = 0.4;
/// Weight of a compound identifier as written.
const WHOLE_WEIGHT: f32 = 2.0;

/// Appends the terms of a text: identifiers whole and split (camelCase, snake_case,
/// digits), lower-case. Linear in the text.
pub fn tokenize(text: &str, terms: &mut Vec<String>) {
    for_each_word(text, |word| word_terms(word, &mut |term, _| terms.push(term)));
}

/// Terms of a chunk: its text, and the path, symbol and signature repeated by weight.
pub fn chunk_terms(path: &RepoPath, chunk: &Chunk) -> Vec<String> {
    let mut terms = Vec::with_capacity(chunk.text.len() / 4);
    tokenize(&chunk.text, &mut terms);
    let mut add = |text: &str, times: usize| {
        for _ in 0..times {
            tokenize(text, &mut terms);
        }
    };
    if let Some(symbol) = &chunk.symbol {
        add(symbol, SYMBOL_WEIGHT);
    }
    for name in &chunk.defines {
        add(name, 1);
    }
    if let Some(container) = &chunk.container {
        add(container, 1);
    }
    if let Some(signature) = &chunk.signature {
        add(signature, 1);
    }
    // A part after the first does not contain its documentation; no part repeats it.
    if let Some(module) = &chunk.module {
        add(module, 1);
    }
    add(&String::from_utf8_lossy(path.stem()), STEM_WEIGHT);
    if let Some(directory) = path.ancestors().next() {
        add(&String::from_utf8_lossy(directory), 1);
    }
    terms
}

/// Terms of a query with their weights, each term once, in order of appearance.
/// Identifiers as written weigh more; words that carry no meaning, less.
pub fn query_terms(query: &str) -> Vec<(String, f32)> {
    let mut words = 0;
    for_each_word(query, |_| words += 1);
    let question = words > 2;
    let mut out: Vec<(String, f32)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for_each_word(query, |word| {
        let lower = word.to_lowercase();
        let base = match lower.as_str() {
            _ if !question => 1.0,
            word if STOP_WORDS.binary_search(&word).is_ok() => STOP_WEIGHT,
            word if ASKING_WORDS.binary_search(&word).is_ok() => ASKING_WEIGHT,
            _ => 1.0,
        };
        let mut give = |term: String, whole: bool| {
            let weight = if whole { WHOLE_WEIGHT } else { base };
            match places.get(&term) {
                Some(place) => out[*place].1 = out[*place].1.max(weight),
                None => {
                    places.insert(term.clone(), out.len());
                    out.push((term, weight));
                }
            }
        };
        word_terms(word, &mut give);
        if let Some(plain) = without_accents(word) {
            word_terms(&plain, &mut give);
        }
    });
    out
}

/// A word without its accents, if it has some: `validación` is spelled almost as `validation`, and
/// `paramètre` as `parameter`.
fn without_accents(word: &str) -> Option<String> {
    if word.is_ascii() {
        return None;
    }
    let bare = |c: char| match c {
        'à'..='å' => 'a',
        'ç' => 'c',
        'è'..='ë' => 'e',
        'ì'..='ï' => 'i',
        'ñ' => 'n',
        'ò'..='ö' => 'o',
        'ù'..='ü' => 'u',
        c => c,
    };
    let lower = word.to_lowercase();
    let plain: String = lower.chars().map(bare).collect();
    (plain != lower).then_some(plain)
}

/// Words of a question that say nothing of its subject. Sorted.
const STOP_WORDS: &[&str] = &[
    "a", "about", "an", "and", "any", "are", "as", "at", "be", "been", "being", "but", "by", "can", "could",
    "did", "do", "does", "doing", "for", "from", "had", "has", "have", "how", "i", "if", "in", "into", "is",
    "it", "its", "me", "my", "of", "on", "or", "our", "please", "should", "so", "some", "than", "that",
    "the", "their", "them", "then", "there", "these", "they", "this", "those", "to", "us", "was", "we",
    "were", "what", "when", "where", "which", "who", "why", "will", "with", "would", "you", "your",
];

/// Words of a question that say what is wanted rather than of what. Sorted.
const ASKING_WORDS: &[&str] = &[
    "class",
    "code",
    "codebase",
    "define",
    "defined",
    "defines",
    "definition",
    "file",
    "find",
    "function",
    "functions",
    "handled",
    "handles",
    "implement",
    "implementation",
    "implemented",
    "implements",
    "logic",
    "look",
    "method",
    "methods",
    "place",
    "repo",
    "repository",
    "responsible",
    "show",
    "used",
    "uses",
    "using",
    "work",
    "works",
];

/// Calls `visit` with each run of letters, digits and underscores.
fn for_each_word(text: &str, mut visit: impl FnMut(&str)) {
    let mut start = None;
    for (at, c) in text.char_indices() {
        let inside = c.is_alphanumeric() || c == '_';
        match (inside, start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                visit(&text[from..at]);
                start = None;
            }
            _ => {}
        }
    }
    if let Some(from) = start {
        visit(&text[from..]);
    }
}

/// Gives the terms of one word; the flag tells the whole of a compound from its parts.
fn word_terms(word: &str, give: &mut dyn FnMut(String, bool)) {
    let word = word.trim_matches('_');
    if word.is_empty() {
        return;
    }
    let mut parts = Parts { rest: word };
    let first = parts.next().unwrap_or(word);
    if first.len() == word.len() {
        give(stem(&capped(word)), false);
        return;
    }
    give(capped(word), true);
    for part in std::iter::once(first).chain(parts) {
        // One letter of a compound tells nothing; one ideograph does.
        if part.len() > 1 {
            give(stem(&capped(part)), false);
        }
    }
}

/// Lower-case, cut at [`MAX_TERM`].
fn capped(word: &str) -> String {
    let mut term = word[..word.floor_char_boundary(MAX_TERM)].to_lowercase();
    term.truncate(term.floor_char_boundary(MAX_TERM));
    term
}

/// Parts of an identifier, in order.
struct Parts<'a> {
    rest: &'a str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Upper,
    Lower,
    Digit,
    Ideograph,
}

fn class(c: char) -> Class {
    match c {
        '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}' => Class::Ideograph,
        _ if c.is_numeric() => Class::Digit,
        _ if c.is_uppercase() => Class::Upper,
        _ => Class::Lower,
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest.trim_start_matches('_');
        let mut chars = rest.char_indices().peekable();
        let (_, first) = chars.next()?;
        let mut before = class(first);
        let mut end = rest.len();
        while let Some((at, c)) = chars.next() {
            if c == '_' {
                end = at;
                break;
            }
            let now = class(c);
            let next = chars.peek().filter(|(_, c)| *c != '_').map(|(_, c)| class(*c));
            let cut = match (before, now) {
                (Class::Ideograph, _) | (_, Class::Ideograph) => true,
                (Class::Lower, Class::Upper) => true,
                // The last capital of a run starts the next word: `HTTPServer`.
                (Class::Upper, Class::Upper) => next == Some(Class::Lower),
                (Class::Digit, Class::Digit) => false,
                (Class::Digit, _) | (_, Class::Digit) => true,
                _ => false,
            };
            if cut {
                end = at;
                break;
            }
            before = now;
        }
        self.rest = &rest[end..];
        Some(&rest[..end])
    }
}

/// Parts of an identifier as written, for prose: `parseHTTPHeader` → `parse`, `HTTP`, `Header`.
pub(crate) fn identifier_parts(word: &str) -> impl Iterator<Item = &str> {
    Parts { rest: word.trim_matches('_') }
}

/// Removes English endings so that the forms of a word meet. Not a dictionary: what
/// it leaves need not be a word, and agent nouns (`header`, `parser`) stay.
fn stem(word: &str) -> String {
    let mut stem = word.to_owned();
    if stem.len() < 4 || !stem.bytes().all(|b| b.is_ascii_lowercase()) {
        return stem;
    }
    plural(&mut stem);
    participle(&mut stem);
    if stem.len() > 8 && stem.ends_with("ization") {
        stem.truncate(stem.len() - 5);
    } else if stem.len() > 7 && ["ation", "ction", "ption", "ssion"].iter().any(|end| stem.ends_with(end)) {
        stem.truncate(stem.len() - 3);
    }
    if stem.len() > 3 && stem.ends_with('e') && !stem.ends_with("ee") {
        stem.pop();
    }
    stem
}

fn plural(stem: &mut String) {
    if !stem.ends_with('s') || ["ss", "us", "is"].iter().any(|end| stem.ends_with(end)) {
        return;
    }
    if stem.len() > 4 && stem.ends_with("ies") {
        stem.truncate(stem.len() - 3);
        stem.push('y');
    } else if stem.len() > 4 && ["xes", "ches", "shes", "sses", "zzes"].iter().any(|end| stem.ends_with(end))
    {
        stem.truncate(stem.len() - 2);
    } else {
        stem.pop();
    }
}

fn participle(stem: &mut String) {
    let ending = if stem.ends_with("ing") {
        3
    } else if stem.ends_with("ed") && !stem.ends_with("eed") {
        2
    } else {
        return;
    };
    let rest = &stem[..stem.len() - ending];
    if rest.len() < 3 || !rest.bytes().any(|b| matches!(b, b'a' | b'e' | b'i' | b'o' | b'u' | b'y')) {
        return;
    }
    stem.truncate(stem.len() - ending);
    let bytes = stem.as_bytes();
    let (last, before) = (bytes[bytes.len() - 1], bytes[bytes.len() - 2]);
    if last == before && !matches!(last, b'l' | b's' | b'z' | b'e' | b'o') {
        stem.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(text: &str) -> String {
        let mut terms = Vec::new();
        tokenize(text, &mut terms);
        terms.join(" ")
    }

    #[test]
    fn identifiers_whole_and_split() {
        let cases = [
            ("foo", "foo"),
            ("parseHTTPHeader", "parsehttpheader pars http header"),
            ("snake_case_name", "snake_case_name snak cas nam"),
            ("SCREAMING_SNAKE", "screaming_snake scream snak"),
            ("sha256sum", "sha256sum sha 256 sum"),
            ("utf8", "utf8 utf"),
            ("__init__", "init"),
            ("_", ""),
            ("a.b->c[x]", "a b c x"),
            ("XMLHttpRequest", "xmlhttprequest xml http request"),
            ("naïveÜber", "naïveüber naïve über"),
            ("日本", "日本 日 本"),
            ("'[REDACTED:x]'", "redact x"),
            ("", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(terms(text), expected, "{text}");
        }
    }

    #[test]
    fn forms_of_a_word_meet() {
        let groups: &[&[&str]] = &[
            &["serialize", "serializing", "serialized", "serializes", "serialization"],
            &["header", "headers"],
            &["query", "queries"],
            &["run", "running", "runs"],
            &["match", "matches", "matching", "matched"],
            &["connect", "connection", "connections", "connected"],
            &["validate", "validation", "validating"],
            &["process", "processes", "processing"],
            &["file", "files"],
        ];
        for group in groups {
            for word in *group {
                assert_eq!(stem(word), stem(group[0]), "{word}");
            }
        }
        for (a, b) in
            [("header", "head"), ("status", "stat"), ("string", "str"), ("feed", "fe"), ("bus", "bu")]
        {
            assert_ne!(stem(a), stem(b), "{a} {b}");
        }
    }

    #[test]
    fn long_words_are_cut_alike() {
        let long = "é".repeat(1_000);
        assert!(terms(&long).len() <= MAX_TERM);
        assert_eq!(query_terms(&long)[0].0, terms(&long));
    }

    #[test]
    fn queries() {
        let query = query_terms("How is the RequestBuilder serializing the headers?");
        let weight = |term: &str| query.iter().find(|(t, _)| t == term).map(|(_, w)| *w);
        assert_eq!(weight("the"), Some(STOP_WEIGHT));
        assert_eq!(weight("requestbuilder"), Some(WHOLE_WEIGHT));
        assert_eq!(weight("header"), Some(1.0));
        assert_eq!(query.iter().filter(|(t, _)| t == "the").count(), 1);
        assert_eq!(query_terms("the"), [("the".to_owned(), 1.0)]);
        assert_eq!(query_terms(" ?! "), []);
        let accents: Vec<String> =
            query_terms("Validación naïveté").into_iter().map(|(term, _)| term).collect();
        assert_eq!(accents, ["validación", "validacion", "naïveté", "naivet"]);
    }

    #[test]
    fn word_lists_are_sorted() {
        assert!(STOP_WORDS.is_sorted() && ASKING_WORDS.is_sorted());
    }
}
