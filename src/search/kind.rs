//! The kind of a query: a small classifier by marks and words, each of whose reasons can be
//! read here. Pure.

use crate::search::syntax::Marks;
use crate::search::value::is_value;

/// The kind of a query; it sets how much each leg counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueryKind {
    /// Names only: `StaticModel`, `Router::nest`.
    Symbol,
    /// A short question or description: "how are routes stored".
    Question,
    /// A change request, a commit message: the place to change is wanted.
    Change,
    /// A message that a program printed, or a stack trace: the place that it comes from is wanted.
    Error,
    /// Files, with or without lines: `src/router.ts`, `parser.rs:120`.
    Path,
}

impl QueryKind {
    /// All of them.
    pub const ALL: [QueryKind; 5] =
        [QueryKind::Symbol, QueryKind::Question, QueryKind::Change, QueryKind::Error, QueryKind::Path];

    /// Stable name.
    pub fn name(self) -> &'static str {
        match self {
            QueryKind::Symbol => "symbol",
            QueryKind::Question => "question",
            QueryKind::Change => "change",
            QueryKind::Error => "error",
            QueryKind::Path => "path",
        }
    }
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

/// More words than this is a report, unless it asks.
const LONG_QUERY_WORDS: usize = 24;

/// What opens a line that a program printed.
const LEVELS: &[&str] = &["error", "fatal", "panic", "warning", "warn", "exception", "uncaught", "unhandled"];

pub(super) fn kind_of(marks: &Marks, tokens: usize, names: usize, paths: usize) -> QueryKind {
    let text = marks.text.as_str();
    if marks.trace {
        return QueryKind::Error;
    }
    if paths > 0 && paths == tokens {
        return QueryKind::Path;
    }
    if tokens > 0 && (tokens == 1 || (tokens <= 3 && names + paths == tokens)) {
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
    let verb = CHANGE_VERBS.contains(&first);
    if !asks && !verb && is_message(text, &lower) {
        return QueryKind::Error;
    }
    let scoped = subject.len() != lower.len();
    let fault = || subject.split(|c: char| !c.is_alphanumeric()).any(|word| FAULT_WORDS.contains(&word));
    let change = match tokens > LONG_QUERY_WORDS {
        // Who tells a long story asks at its end, or in the middle of it.
        true => !asks && (scoped || verb || !text.contains("? ")),
        false => !asks && (scoped || verb || fault()),
    };
    if change { QueryKind::Change } else { QueryKind::Question }
}

/// Whether a program printed it: `error[E0308]: …`, `ValueError: …`, `2024-05-01 ERROR …`, or
/// something with an address or an id that somebody else would hardly write.
fn is_message(text: &str, lower: &str) -> bool {
    let first = lower.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    let colon = |word: &str| {
        let word = word.strip_suffix(':');
        word.is_some_and(|word| {
            ["error", "exception", "panic"].iter().any(|end| word.ends_with(end))
                || word.starts_with("error[")
        })
    };
    let level = |word: &str| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        matches!(word, "ERROR" | "FATAL" | "WARN" | "WARNING" | "PANIC" | "CRITICAL" | "E" | "ERR")
    };
    let dated = text.bytes().take(10).filter(u8::is_ascii_digit).count() >= 4;
    (LEVELS.contains(&first) && lower[first.len()..].starts_with([':', '[', ' ']) && lower.contains(": "))
        || lower.split_whitespace().any(colon)
        || text.split_whitespace().any(level)
        || text.split_whitespace().any(is_value)
        || dated
}
