//! What a query says in marks rather than in words: operators, quoted text, places in files.
//! Pure; reads nothing but the query's text. What is no mark stays text: a pasted log is
//! never an error.

use std::sync::LazyLock;

use regex::Regex;

use crate::language::Language;
use crate::path::RepoPath;

/// Paths, languages and kinds that an operator names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restriction {
    /// Path patterns, as globset reads them.
    pub paths: Vec<String>,
    /// Languages.
    pub languages: Vec<Language>,
    /// Kinds of symbol or text, such as `function`.
    pub kinds: Vec<String>,
}

impl Restriction {
    /// Whether it names nothing.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.languages.is_empty() && self.kinds.is_empty()
    }
}

/// A line of a file, as a compiler, a stack trace or a person writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The path as written, with `/`: often of another machine.
    pub path: String,
    /// The line, from 1.
    pub line: u32,
}

/// A query's marks, and what is left of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Marks {
    /// The text without operators.
    pub text: String,
    /// Wanted: `path:`, `file:`, `lang:`, `kind:`.
    pub only: Restriction,
    /// Not wanted: the same with `-` before it.
    pub not: Restriction,
    /// Text in quotes, and in backticks where it is more than a name.
    pub literals: Vec<String>,
    /// Places, the innermost of a stack trace first.
    pub positions: Vec<Position>,
    /// Whether it is a stack trace.
    pub trace: bool,
}

/// An operator whose value is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{operator}`: no language is called that; it is one of {known}. To look for the text itself, quote it"
)]
pub struct UnknownLanguage {
    /// The operator as written.
    pub operator: String,
    /// Names of the languages, separated by commas.
    pub known: String,
}

/// A pattern that is part of the program.
macro_rules! pattern {
    ($name:ident, $regex:expr) => {
        static $name: LazyLock<Regex> =
            LazyLock::new(|| Regex::new($regex).expect("a constant pattern is well-formed"));
    };
}

pattern!(
    OPERATOR,
    r#"(?:^|\s)(-?)(path|file|lang|language|kind):(?:"([^"]+)"|([^\s"/][^\s"]*|/[^\s"/][^\s"]*))"#
);
pattern!(DOUBLE_QUOTED, r#"(?:^|[\s(:=,])"([^"\n]{3,200})""#);
pattern!(SINGLE_QUOTED, r"(?:^|[\s(:=,])'([^'\n]{3,200})'(?:$|[\s).,;:?!])");
pattern!(BACKTICKED, r"`([^`\n]{3,200})`");
// `a/b.rs:12:5`, `b.ts(12,5)`, `b.go#L12`.
pattern!(PLACE, r"([\w@+~.\-\\/:]*[\w\-]\.[A-Za-z]\w{0,7})(?::|\(|#L)([0-9]{1,7})\b");
pattern!(PYTHON_PLACE, r#"File "([^"\n]+)", line ([0-9]{1,7})\b"#);
pattern!(SPOKEN_PLACE, r"([\w@+~.\-\\/:]*[\w\-]\.[A-Za-z]\w{0,7}),? line ([0-9]{1,7})\b");
pattern!(
    TRACE,
    r"(?m)Traceback \(most recent call last\)|panicked at |^goroutine [0-9]+ |^\s+at .+[:(][0-9]+|stack backtrace:"
);

/// The most places read of a query.
const MAX_POSITIONS: usize = 12;

/// Reads the marks of `query`.
///
/// # Errors
/// [`UnknownLanguage`].
pub fn read(query: &str) -> Result<Marks, UnknownLanguage> {
    let mut marks = Marks::default();
    let mut text = String::with_capacity(query.len());
    let mut taken = 0;
    // Several lines were pasted: they hold colons of their own.
    if !query.contains('\n') {
        for found in OPERATOR.captures_iter(query) {
            let value = found.get(3).or(found.get(4)).map_or("", |value| value.as_str());
            let list = if found[1].is_empty() { &mut marks.only } else { &mut marks.not };
            match &found[2] {
                "path" | "file" => list.paths.extend(path_patterns(value)),
                "kind" => list.kinds.push(value.to_lowercase()),
                _ => list.languages.extend(languages(value).ok_or_else(|| UnknownLanguage {
                    operator: found[0].trim().to_owned(),
                    known: Language::ALL.iter().map(|known| known.name()).collect::<Vec<_>>().join(", "),
                })?),
            }
            let whole = found.get(0).map_or(0..0, |whole| whole.range());
            text.push_str(&query[taken..whole.start]);
            taken = whole.end;
        }
    }
    text.push_str(&query[taken..]);
    Ok(Marks { only: marks.only, not: marks.not, ..plain(&text) })
}

/// The marks of a text without operators.
pub fn plain(text: &str) -> Marks {
    let mut marks = Marks { text: text.trim().to_owned(), trace: TRACE.is_match(text), ..Marks::default() };
    for pattern in [&*DOUBLE_QUOTED, &*SINGLE_QUOTED, &*BACKTICKED] {
        let quoted = pattern.captures_iter(&marks.text).map(|found| found[1].trim().to_owned());
        marks.literals.extend(quoted.filter(|quoted| quoted.len() > 2));
    }
    let name = |text: &str| text.chars().all(|c| c.is_alphanumeric() || c == '_');
    let backticked = marks.text.contains('`');
    marks.literals.retain(|literal| !(backticked && name(literal)));

    let mut places: Vec<(usize, Position)> = Vec::new();
    for pattern in [&*PLACE, &*PYTHON_PLACE, &*SPOKEN_PLACE] {
        for found in pattern.captures_iter(&marks.text) {
            let path = found[1].trim().replace('\\', "/");
            let line = found[2].parse().unwrap_or_default();
            let at = found.get(0).map_or(0, |whole| whole.start());
            let known = |position: &Position| position.line == line && position.path == path;
            if line > 0 && is_file(&path) && !places.iter().any(|(_, position)| known(position)) {
                places.push((at, Position { path, line }));
            }
        }
    }
    places.sort_by_key(|(at, _)| *at);
    // Python writes the innermost frame last, all others first.
    if marks.text.contains("most recent call last") {
        places.reverse();
    }
    // Go's frames before the panic are of whoever recovered from it.
    if let Some(panic) = marks.text.rfind("\npanic(") {
        let recovering = places.partition_point(|(at, _)| *at < panic);
        places.rotate_left(recovering);
    }
    marks.positions = places.into_iter().map(|(_, position)| position).take(MAX_POSITIONS).collect();
    marks
}

/// Whether text is the name of a file in a language that is known.
pub(super) fn is_file(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or(path);
    let Some(path) = RepoPath::new(last) else { return false };
    path.extension().is_some_and(|e| e.len() <= 8) && Language::of(&path) != Language::Text
}

/// A path without wildcards may be any part of a path, as people mean it.
fn path_patterns(value: &str) -> Vec<String> {
    let value = value.trim_start_matches("./").trim_start_matches('/');
    if value.contains(['*', '?', '[', '{']) {
        return vec![value.to_owned(), format!("**/{value}")];
    }
    let value = value.trim_end_matches('/');
    vec![format!("**/*{value}*"), format!("**/*{value}*/**"), format!("*{value}*"), format!("*{value}*/**")]
}

fn languages(value: &str) -> Option<Vec<Language>> {
    let value = value.to_lowercase();
    let value = match value.as_str() {
        "golang" => "go",
        "c++" => "cpp",
        "c#" => "csharp",
        "node" => "javascript",
        "bash" | "zsh" => "shell",
        "docker" => "dockerfile",
        "makefile" => "make",
        other => other,
    };
    // What TypeScript is called includes its files with markup.
    if matches!(value, "typescript" | "ts") {
        return Some(vec![Language::TypeScript, Language::Tsx]);
    }
    if let Some(language) = Language::from_name(value) {
        return Some(vec![language]);
    }
    let path = RepoPath::new(format!("x.{value}"))?;
    Some(Language::of(&path)).filter(|language| *language != Language::Text).map(|language| vec![language])
}

#[cfg(test)]
#[path = "tests/syntax.rs"]
mod tests;
