//! What a query asks: its kind, the names it mentions, and what it wants to see.
//! Pure; reads nothing but the query's text.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use crate::lexical;
use crate::search::kind::{QueryKind, kind_of};
use crate::search::syntax::{self, Marks, UnknownLanguage};
use crate::search::value::is_value;

/// The longest query that is read; the rest is ignored. A pasted log would
/// otherwise cost more than it tells.
pub const MAX_QUERY_BYTES: usize = 4096;

/// Parts of a repository that a query names, and so wants to see undemoted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// Tests or fixtures.
    pub tests: bool,
    /// Examples.
    pub examples: bool,
    /// Benchmarks.
    pub benchmarks: bool,
    /// Documentation.
    pub documentation: bool,
    /// Settings, build and CI files.
    pub configuration: bool,
}

/// A query, analysed.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// The text without operators, trimmed and cut to [`MAX_QUERY_BYTES`].
    pub text: String,
    /// Operators, quoted text and places in files.
    pub marks: Marks,
    /// Kind.
    pub kind: QueryKind,
    /// BM25 terms with weights.
    pub terms: Vec<(String, f32)>,
    /// Weights by term, of the terms that are not stop words.
    pub weights: BTreeMap<String, f32>,
    /// Names as written that can only be names: `camelCase`, `snake_case`,
    /// `a::b` (its last part), quoted or called ones.
    pub names: Vec<String>,
    /// Names with what they are in, as written: `Router::nest` is (`Router`, `nest`).
    pub members: Vec<(String, String)>,
    /// Lower-case names that the words may stand for: "request parser" →
    /// `requestparser`, `request_parser`.
    pub guesses: Vec<String>,
    /// Paths and file names as written.
    pub paths: Vec<String>,
    /// What it asks to see.
    pub wants: Wants,
    /// Terms as written, and what they were taken for.
    pub respelled: Vec<(String, String)>,
}

impl Query {
    /// Analyses `text`, in which operators are text as any other.
    pub fn new(text: &str) -> Query {
        let text = cut(text.trim(), MAX_QUERY_BYTES);
        Query::of(syntax::plain(text))
    }

    /// Analyses `text` with its operators.
    ///
    /// # Errors
    /// [`UnknownLanguage`].
    pub fn parse(text: &str) -> Result<Query, UnknownLanguage> {
        syntax::read(cut(text.trim(), MAX_QUERY_BYTES)).map(Query::of)
    }

    /// Terms that may be misspelled, where a spelling can be told from a value or a path.
    pub fn doubtful(&self) -> Vec<String> {
        match self.kind {
            QueryKind::Error | QueryKind::Path => Vec::new(),
            _ if self.weights.len() > MAX_DOUBTED => Vec::new(),
            _ => self.weights.keys().cloned().collect(),
        }
    }

    /// Adds the spellings that the index has for terms that it does not have. A query most of
    /// whose words are unknown is in another language, and is left alone.
    pub fn respell(&mut self, spellings: Vec<(String, String)>) {
        if spellings.len() > 2 && spellings.len() * 2 > self.weights.len() {
            return;
        }
        for (written, known) in spellings {
            let weight = self.weights.get(&written).copied().unwrap_or(1.0) * RESPELLED_WEIGHT;
            if self.weights.contains_key(&known) {
                continue;
            }
            self.terms.push((known.clone(), weight));
            self.weights.insert(known.clone(), weight);
            if self.kind == QueryKind::Symbol {
                self.guesses.push(known.clone());
            }
            self.respelled.push((written, known));
        }
    }

    fn of(marks: Marks) -> Query {
        let text = marks.text.as_str();
        let (mut names, mut members, mut paths) = (Vec::new(), Vec::new(), Vec::new());
        let mut words: Vec<String> = Vec::new();
        let mut tokens = 0;
        for token in text.split_whitespace() {
            let quoted = token.contains('`');
            let called = token.trim_end_matches(['.', ',', ';', ':', '`', '?', '!']).ends_with("()");
            let token =
                token.trim_matches(|c: char| !c.is_alphanumeric() && c != '_' && c != '$' && c != '/');
            if token.is_empty() {
                continue;
            }
            tokens += 1;
            let path = file_part(token);
            let named = path.split('.').next().is_some_and(|stem| stem.len() > 1);
            if syntax::is_file(path) && named && !token.contains("::") {
                paths.push(path.to_owned());
            } else {
                let last = token.rsplit(['.', ':', '#', '/']).next().unwrap_or(token);
                if is_identifier(last) && (quoted || called || is_compound_name(token)) {
                    names.push(last.to_owned());
                    let before = token[..token.len() - last.len()].trim_end_matches(['.', ':', '#']);
                    let container = before.rsplit(['.', ':', '#', '/']).next().unwrap_or(before);
                    if before.len() + last.len() < token.len() && is_identifier(container) {
                        members.push((container.to_owned(), last.to_owned()));
                    }
                }
            }
            for word in token.split(|c: char| !c.is_alphanumeric() && c != '_') {
                let word = word.to_lowercase();
                if !word.is_empty() {
                    words.push(word);
                }
            }
        }
        let kind = kind_of(&marks, tokens, names.len(), paths.len());
        if kind == QueryKind::Symbol && names.is_empty() {
            names.extend(
                text.split(|c: char| !c.is_alphanumeric() && c != '_')
                    .filter(|w| is_identifier(w))
                    .map(str::to_owned),
            );
        }
        let mut terms = lexical::query_terms(text);
        if !matches!(kind, QueryKind::Symbol | QueryKind::Path) {
            // In a trace the files' names are within values.
            let worded = text.split_whitespace().filter(|word| marks.trace || !is_value(word));
            let worded = lexical::query_terms(&worded.collect::<Vec<_>>().join(" "));
            let worded: BTreeSet<String> = worded.into_iter().map(|(term, _)| term).collect();
            let number = |term: &str| {
                term.bytes().all(|b| b.is_ascii_digit())
                    || (term.len() > 7 && term.bytes().all(|b| b.is_ascii_hexdigit()))
            };
            let value = |term: &String| !worded.contains(term) || kind == QueryKind::Error && number(term);
            terms.iter_mut().filter(|(term, _)| value(term)).for_each(|(_, weight)| *weight *= VALUE_WEIGHT);
        }
        let weights = terms.iter().filter(|(term, _)| !STOP_TERMS.contains(term)).cloned().collect();
        Query {
            text: text.to_owned(),
            kind,
            terms,
            weights,
            guesses: guesses(&words, kind),
            names: distinct(names),
            members,
            paths: distinct(paths),
            wants: wants(&words),
            respelled: Vec::new(),
            marks,
        }
    }
}

/// Terms of a query over which spelling is not looked at.
const MAX_DOUBTED: usize = 24;
/// Weight of a corrected term, as a share of the written one's.
const RESPELLED_WEIGHT: f32 = 0.5;

/// Weight of concrete values in a message.
const VALUE_WEIGHT: f32 = 0.2;

/// `a/b.rs:12:5` → `a/b.rs`.
fn file_part(token: &str) -> &str {
    let mut path = token.split(['(', '#']).next().unwrap_or(token);
    while let Some((before, digits)) = path.rsplit_once(':') {
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            break;
        }
        path = before;
    }
    path
}

fn cut(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn distinct(mut names: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

fn is_identifier(word: &str) -> bool {
    let mut chars = word.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_' || c == '$')
        && chars.all(|c| c.is_alphanumeric() || c == '_' || c == '$')
        && word.len() > 1
}

/// Written as no English word is: with an inner capital, an underscore, or a
/// separator of languages between two names.
fn is_compound_name(token: &str) -> bool {
    let chars: Vec<char> = token.chars().collect();
    let inner_capital = chars.windows(2).any(|pair| pair[0].is_lowercase() && pair[1].is_uppercase());
    let acronym_then_word = chars.windows(3).any(|three| {
        three[0].is_uppercase() && three[1].is_uppercase() && three[2].is_lowercase() && three[2] != 's'
    });
    let joined = token.contains("::")
        || token.split_once('.').is_some_and(|(a, b)| a.len() > 1 && b.len() > 1 && is_identifier(a));
    let underscored =
        token.trim_matches('_').contains('_') || (token.starts_with("__") && token.ends_with("__"));
    inner_capital || acronym_then_word || joined || underscored
}

/// Words that no name is made of in a query. Short on purpose: `get`, `set`,
/// `new` and the like do occur in names.
const STOP_WORDS: &[&str] = &[
    "a", "about", "across", "after", "all", "also", "an", "and", "any", "are", "as", "at", "be", "been",
    "before", "being", "between", "but", "by", "can", "could", "did", "do", "does", "during", "each", "etc",
    "every", "find", "for", "from", "get", "had", "has", "have", "how", "i", "if", "in", "instead", "into",
    "is", "it", "its", "like", "may", "me", "more", "most", "must", "my", "no", "not", "of", "on", "only",
    "or", "other", "our", "over", "show", "should", "so", "some", "such", "than", "that", "the", "their",
    "them", "then", "there", "these", "they", "this", "those", "through", "to", "under", "up", "use", "used",
    "uses", "using", "via", "was", "we", "were", "what", "when", "where", "whether", "which", "while", "who",
    "why", "will", "with", "within", "without", "works", "would", "you", "your",
];

/// The stop words as terms.
static STOP_TERMS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let mut terms = Vec::new();
    STOP_WORDS.iter().for_each(|word| lexical::tokenize(word, &mut terms));
    terms.into_iter().collect()
});

/// The most names guessed from words.
const MAX_GUESSES: usize = 96;

/// Runs of two and three words, joined as names join them; and the single
/// words of a short query.
fn guesses(words: &[String], kind: QueryKind) -> Vec<String> {
    let content: Vec<&str> = words.iter().map(String::as_str).filter(|w| !STOP_WORDS.contains(w)).collect();
    let mut out = Vec::new();
    for length in [3, 2] {
        for run in content.windows(length) {
            out.push(run.concat());
            out.push(run.join("_"));
            if let Some(singular) = singular(run[length - 1]) {
                let head = &run[..length - 1];
                out.push(format!("{}{singular}", head.concat()));
                out.push(format!("{}_{singular}", head.join("_")));
            }
        }
    }
    if kind != QueryKind::Change {
        for word in content.iter().filter(|word| word.len() > 2) {
            out.push((*word).to_owned());
            out.extend(singular(word));
        }
    }
    let mut out = distinct(out);
    out.truncate(MAX_GUESSES);
    out
}

fn singular(word: &str) -> Option<String> {
    let stem = word.strip_suffix('s')?;
    (stem.len() > 2 && !stem.ends_with(['s', 'u', 'i'])).then(|| stem.to_owned())
}

fn wants(words: &[String]) -> Wants {
    let any = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    Wants {
        tests: any(&["test", "tests", "spec", "specs", "fixture", "fixtures", "mock", "mocks", "e2e"]),
        examples: any(&["example", "examples", "sample", "samples", "demo", "demos", "tutorial"]),
        benchmarks: any(&["bench", "benches", "benchmark", "benchmarks"]),
        documentation: any(&["doc", "docs", "readme", "changelog", "documentation", "tutorial", "guide"]),
        configuration: any(&[
            "ci",
            "yaml",
            "yml",
            "toml",
            "json",
            "workflow",
            "workflows",
            "config",
            "configuration",
            "dockerfile",
            "makefile",
            "manifest",
            "dependency",
            "dependencies",
            "css",
            "html",
            "pipeline",
        ]),
    }
}

#[cfg(test)]
#[path = "tests/query.rs"]
mod tests;
