//! What a query asks: its kind, the names it mentions, and what it wants to see.
//! Pure; reads nothing but the query's text.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use crate::language::Language;
use crate::lexical;
use crate::path::RepoPath;

/// The longest query that is read; the rest is ignored. A pasted log would
/// otherwise cost more than it tells.
pub const MAX_QUERY_BYTES: usize = 4096;

/// The kind of a query; it sets how much each leg counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueryKind {
    /// Names only: `StaticModel`, `Router::nest`, `src/router.ts`.
    Symbol,
    /// A short question or description: "how are routes stored".
    Question,
    /// A change request, a commit message, an error report: the place to change is wanted.
    Change,
}

impl QueryKind {
    /// Stable name.
    pub fn name(self) -> &'static str {
        match self {
            QueryKind::Symbol => "symbol",
            QueryKind::Question => "question",
            QueryKind::Change => "change",
        }
    }
}

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
    /// The text, trimmed and cut to [`MAX_QUERY_BYTES`].
    pub text: String,
    /// Kind.
    pub kind: QueryKind,
    /// BM25 terms with weights.
    pub terms: Vec<(String, f32)>,
    /// Weights by term, of the terms that are not stop words.
    pub weights: BTreeMap<String, f32>,
    /// Names as written that can only be names: `camelCase`, `snake_case`,
    /// `a::b` (its last part), quoted or called ones.
    pub names: Vec<String>,
    /// Lower-case names that the words may stand for: "request parser" →
    /// `requestparser`, `request_parser`.
    pub guesses: Vec<String>,
    /// Paths and file names as written.
    pub paths: Vec<String>,
    /// What it asks to see.
    pub wants: Wants,
}

impl Query {
    /// Analyses `text`.
    pub fn new(text: &str) -> Query {
        let text = cut(text.trim(), MAX_QUERY_BYTES);
        let mut names = Vec::new();
        let mut paths = Vec::new();
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
            if is_path(token) {
                paths.push(token.to_owned());
            } else {
                let last = token.rsplit(['.', ':', '#', '/']).next().unwrap_or(token);
                if is_identifier(last) && (quoted || called || is_compound_name(token)) {
                    names.push(last.to_owned());
                }
            }
            for word in token.split(|c: char| !c.is_alphanumeric() && c != '_') {
                let word = word.to_lowercase();
                if !word.is_empty() {
                    words.push(word);
                }
            }
        }
        let kind = kind_of(text, tokens, names.len() + paths.len());
        if kind == QueryKind::Symbol && names.is_empty() {
            names.extend(
                text.split(|c: char| !c.is_alphanumeric() && c != '_')
                    .filter(|w| is_identifier(w))
                    .map(str::to_owned),
            );
        }
        let terms = lexical::query_terms(text);
        let weights = terms.iter().filter(|(term, _)| !STOP_TERMS.contains(term)).cloned().collect();
        Query {
            text: text.to_owned(),
            kind,
            terms,
            weights,
            guesses: guesses(&words, kind),
            names: distinct(names),
            paths: distinct(paths),
            wants: wants(&words),
        }
    }
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

/// A path, or a file name with an extension of a known language.
fn is_path(token: &str) -> bool {
    let Some(path) = RepoPath::new(token.trim_start_matches("./")) else { return false };
    let extension = path.extension().is_some_and(|e| e.len() <= 8);
    let known = extension && Language::of(&path) != Language::Text;
    known && path.stem().len() > 1 && !token.contains("::")
}

/// Verbs that open a commit message or an issue's title.
const CHANGE_VERBS: &[&str] = &[
    "add",
    "added",
    "adds",
    "adjust",
    "allow",
    "always",
    "avoid",
    "bump",
    "change",
    "changed",
    "clean",
    "convert",
    "correct",
    "deprecate",
    "detect",
    "disable",
    "do",
    "don't",
    "drop",
    "enable",
    "ensure",
    "expose",
    "export",
    "extend",
    "extract",
    "fix",
    "fixed",
    "fixes",
    "handle",
    "hide",
    "honor",
    "ignore",
    "implement",
    "improve",
    "improved",
    "increase",
    "introduce",
    "keep",
    "limit",
    "make",
    "mark",
    "merge",
    "migrate",
    "move",
    "never",
    "optimize",
    "pass",
    "prefer",
    "preserve",
    "prevent",
    "provide",
    "raise",
    "reduce",
    "refactor",
    "remove",
    "removed",
    "rename",
    "replace",
    "respect",
    "restore",
    "return",
    "revert",
    "rewrite",
    "set",
    "show",
    "simplify",
    "skip",
    "sort",
    "speed",
    "split",
    "stop",
    "strip",
    "support",
    "switch",
    "treat",
    "tweak",
    "unify",
    "update",
    "updated",
    "upgrade",
    "use",
    "validate",
    "warn",
    "wrap",
    "write",
];

/// Words that report something broken.
const FAULT_WORDS: &[&str] = &[
    "bug",
    "crash",
    "crashes",
    "exception",
    "fail",
    "fails",
    "failed",
    "fix",
    "fixed",
    "incorrect",
    "incorrectly",
    "leak",
    "panic",
    "panics",
    "regression",
    "traceback",
    "wrong",
    "wrongly",
];

/// More words than this is a report, not a question.
const LONG_QUERY_WORDS: usize = 24;

fn kind_of(text: &str, tokens: usize, named: usize) -> QueryKind {
    if tokens > 0 && (tokens == 1 || (tokens <= 3 && named == tokens)) {
        return QueryKind::Symbol;
    }
    let lower = text.to_lowercase();
    // `scope: subject`, as conventional commits have it.
    let subject = match lower.split_once(": ") {
        Some((scope, rest)) if scope.split_whitespace().count() == 1 => rest.trim_start(),
        _ => lower.as_str(),
    };
    let first = subject.split_whitespace().next().unwrap_or_default();
    let question = ["how", "where", "what", "which", "why", "who", "when", "is", "are", "does", "can"];
    let asks = question.contains(&first) || text.ends_with('?');
    let scoped = subject.len() != lower.len();
    let fault = || subject.split(|c: char| !c.is_alphanumeric()).any(|word| FAULT_WORDS.contains(&word));
    if tokens > LONG_QUERY_WORDS || (!asks && (scoped || CHANGE_VERBS.contains(&first) || fault())) {
        QueryKind::Change
    } else {
        QueryKind::Question
    }
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
