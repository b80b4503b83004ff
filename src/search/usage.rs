//! How a text uses a name: calls it, mentions it, defines it, imports it. By the letters
//! alone: no scope, no type, no file but this one is looked at. Pure.
//!
//! Lines are looked at one by one, so that a part of a file, which may begin anywhere, is
//! read as the whole would be. Must not say whose name it is: namesakes look the same.

use std::sync::LazyLock;

use regex::Regex;

use crate::language::Language;

/// Where a text has a name, by line from 0; a line stands once, under the strongest of its uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// Lines that call it.
    pub calls: Vec<u32>,
    /// Lines that name it otherwise, in code, comment or prose.
    pub mentions: Vec<u32>,
    /// Lines that define something of this name.
    pub definitions: Vec<u32>,
}

impl Uses {
    /// Forgets the lines for which `is_out` holds.
    pub fn leave_out(&mut self, is_out: impl Fn(u32) -> bool) {
        self.calls.retain(|line| !is_out(*line));
        self.mentions.retain(|line| !is_out(*line));
        self.definitions.retain(|line| !is_out(*line));
    }
}

/// Where `text` uses `name` as a whole word; imports of it are left out.
pub fn uses(language: Language, text: &str, name: &str) -> Uses {
    let mut uses = Uses::default();
    if name.is_empty() || !text.contains(name) {
        return uses;
    }
    for (number, line) in (0..).zip(lines(language, text)) {
        let mut strongest = None;
        for (at, _) in line.text.match_indices(name).filter(|_| !line.is_import) {
            let end = at + name.len();
            if !stands_alone(line.text, at, end) {
                continue;
            }
            let is_code = at < line.code && language.has_grammar();
            let found = match is_code {
                true if is_binding(line.text, at) => continue,
                true if is_definition(language, line.text, at, end) => Use::Definition,
                true if is_called(&line.text[end..]) => Use::Call,
                _ => Use::Mention,
            };
            strongest = strongest.max(Some(found));
        }
        match strongest {
            Some(Use::Call) => uses.calls.push(number),
            Some(Use::Definition) => uses.definitions.push(number),
            Some(Use::Mention) => uses.mentions.push(number),
            None => {}
        }
    }
    uses
}

/// Whether `text` has `word` as a whole word, whatever it is there.
pub fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| stands_alone(text, at, at + word.len()))
}

/// Names that `text` calls, each once, in order of appearance; at most `most`.
pub fn called(language: Language, text: &str, most: usize) -> Vec<String> {
    static CALL: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"([\p{L}_$][\w$]*)(?:!|(?:::)?<[^<>()]*>)?\(").expect("a constant pattern")
    });
    let mut names: Vec<String> = Vec::new();
    if !language.has_grammar() {
        return names;
    }
    for line in lines(language, text).filter(|line| !line.is_import) {
        for found in CALL.captures_iter(&line.text[..line.code]) {
            let Some(name) = found.get(1) else { continue };
            let (at, end, name) = (name.start(), name.end(), name.as_str());
            let is_new = !KEYWORDS.contains(&name) && !names.iter().any(|known| known == name);
            if is_new && !is_definition(language, line.text, at, end) {
                names.push(name.to_owned());
                if names.len() >= most {
                    return names;
                }
            }
        }
    }
    names
}

/// The strongest last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    Mention,
    Definition,
    Call,
}

/// What a bracket follows and is no name.
const KEYWORDS: &[&str] = &[
    "and", "assert", "await", "catch", "elif", "else", "except", "fn", "for", "func", "function", "if", "in",
    "match", "not", "or", "return", "super", "switch", "typeof", "while", "with", "yield",
];

/// A line of a text.
struct Line<'a> {
    text: &'a str,
    /// Where its code ends and a comment begins.
    code: usize,
    is_import: bool,
}

fn lines(language: Language, text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut import: Option<char> = None;
    let mut in_docstring = false;
    text.lines().map(move |text| {
        let began = in_docstring;
        if language == Language::Python {
            let quotes = text.matches("\"\"\"").count() + text.matches("'''").count();
            in_docstring ^= quotes % 2 == 1;
        }
        let is_prose = began || in_docstring;
        let code = if is_prose { 0 } else { comment_start(language, text) };
        let was_open = import.is_some();
        if !was_open && !is_prose {
            import = import_end(language, text);
        }
        let is_import = import.is_some();
        if import.is_some_and(|end| text.contains(end)) {
            import = None;
        }
        Line { text, code, is_import }
    })
}

/// The character with which the import that begins on this line ends, on this line or a
/// later one; `None` where none begins.
fn import_end(language: Language, line: &str) -> Option<char> {
    use Language::{Go, JavaScript, Python, Rust, Tsx, TypeScript};
    let line = line.trim_start();
    let starts = |words: &[&str]| words.iter().any(|word| line.starts_with(word));
    let last = line.trim_end().chars().next_back();
    // A statement that ends with its line ends with the line's last character.
    match language {
        Rust => {
            let public = line.strip_prefix("pub").map(|rest| match rest.strip_prefix('(') {
                Some(rest) => rest.split_once(')').map_or(rest, |(_, rest)| rest),
                None => rest,
            });
            let line = public.map_or(line, str::trim_start);
            (line.starts_with("use ") || line.starts_with("extern crate ")).then_some(';')
        }
        Python if starts(&["from ", "import "]) => match line.contains('(') {
            true => Some(')'),
            false => last,
        },
        JavaScript | TypeScript | Tsx => {
            let opens = starts(&["import ", "import{", "export {", "export{", "export type {", "export *"]);
            match opens {
                true if line.contains('{') => Some('}'),
                true => last,
                false if line.contains("require(") && starts(&["const ", "let ", "var "]) => last,
                false => None,
            }
        }
        Go if line.starts_with("import (") => Some(')'),
        Go if starts(&["import ", "package "]) => last,
        _ => None,
    }
}

/// Where the line's comment begins, or its end.
fn comment_start(language: Language, line: &str) -> usize {
    use Language::{Go, JavaScript, Rust, Tsx, TypeScript};
    let begins = line.len() - line.trim_start().len();
    match language {
        Rust | Go | JavaScript | TypeScript | Tsx => {
            let trimmed = &line[begins..];
            // `*` alone would be a dereference.
            if trimmed.starts_with("/*") || trimmed.starts_with("* ") {
                return begins;
            }
            let slashes = line.match_indices("//").map(|(at, _)| at);
            // An address has its slashes after a colon.
            slashes.filter(|at| !line[..*at].ends_with(':')).min().unwrap_or(line.len())
        }
        _ => {
            let marks = line.match_indices('#').map(|(at, _)| at);
            marks.filter(|at| line[..*at].ends_with(' ') || *at == begins).min().unwrap_or(line.len())
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

fn stands_alone(line: &str, at: usize, end: usize) -> bool {
    !line[..at].chars().next_back().is_some_and(is_word) && !line[end..].chars().next().is_some_and(is_word)
}

/// Whether what follows a name calls it; a macro's mark or type arguments may stand between.
fn is_called(rest: &str) -> bool {
    let rest = rest.strip_prefix('!').unwrap_or(rest);
    match rest.strip_prefix("::").unwrap_or(rest).strip_prefix('<') {
        Some(arguments) => arguments.contains(">("),
        None => rest.starts_with('('),
    }
}

/// A name of a local variable is nobody else's.
fn is_binding(line: &str, at: usize) -> bool {
    let before = line[..at].trim_end();
    let local = ["let", "let mut"].iter().any(|word| ends_with_word(before, word));
    local || (line.starts_with(' ') && ["const", "var"].iter().any(|word| ends_with_word(before, word)))
}

/// Words that stand before what they define.
const DEFINING: &[&str] = &[
    "fn",
    "def",
    "func",
    "function",
    "function*",
    "class",
    "struct",
    "enum",
    "trait",
    "interface",
    "type",
    "const",
    "static",
    "var",
    "mod",
    "union",
    "macro_rules!",
    "namespace",
];

fn ends_with_word(text: &str, word: &str) -> bool {
    text.strip_suffix(word).is_some_and(|rest| !rest.chars().next_back().is_some_and(is_word))
}

fn is_definition(language: Language, line: &str, at: usize, end: usize) -> bool {
    use Language::{Go, JavaScript, Rust, Tsx, TypeScript};
    let (before, after) = (line[..at].trim_end(), line[end..].trim_start());
    if before.len() < at && DEFINING.iter().any(|word| ends_with_word(before, word)) {
        return true;
    }
    let start = line.trim_start();
    match language {
        // A type's own block.
        Rust => start.starts_with("impl") && !is_word_at(start, 4) && !line.contains(" for "),
        Go => start.starts_with("func (") && before.ends_with(')') && before.matches('(').count() == 1,
        JavaScript | TypeScript | Tsx => {
            let assigned = ["= function", "= async ", ": function", ": async "];
            assigned.iter().any(|start| after.starts_with(start)) || is_method(before, after)
        }
        _ => false,
    }
}

fn is_word_at(text: &str, at: usize) -> bool {
    text[at..].chars().next().is_some_and(is_word)
}

/// `name(…) {` and `name(…): type` where a class or an object has its members.
fn is_method(before: &str, after: &str) -> bool {
    const MODIFIERS: &[&str] = &[
        "async",
        "static",
        "get",
        "set",
        "public",
        "private",
        "protected",
        "override",
        "abstract",
        "readonly",
        "declare",
        "*",
        "#",
    ];
    if !before.split_whitespace().all(|word| MODIFIERS.contains(&word)) || !after.starts_with(['(', '<']) {
        return false;
    }
    let mut depth = 0;
    for (at, c) in after.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 1 => return after[at + 1..].trim_start().starts_with(['{', ':']),
            ')' => depth -= 1,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use Language::{Go, JavaScript, Markdown, Python, Rust, TypeScript};

    #[test]
    fn uses_by_language() {
        type Lines = &'static [u32];
        let cases: &[(Language, &str, (Lines, Lines, Lines))] = &[
            // (text, (calls, mentions, definitions)) of `run`
            (Rust, "fn run() {}\nrun();\nself.run(1);\nrun::<A>();\nrun!(x)", (&[1, 2, 3, 4], &[], &[0])),
            (Rust, "use a::run;\npub(crate) use b::{\n    run,\n};\nlet f = run;", (&[], &[4], &[])),
            (Rust, "// run()\nlet run = 1;\nrerun();\nrun_all();\nx.map(run)", (&[], &[0, 4], &[])),
            (Rust, "let a = run(); // run\nlet u = \"http://run\";", (&[0], &[1], &[])),
            (Rust, "impl run {\nimpl T for run {\nimpl<T> run<T> {", (&[], &[1], &[0, 2])),
            (
                Python,
                "def run(a):\n    \"\"\"Does run().\n    run()\n    \"\"\"\n    self.run()",
                (&[4], &[1, 2], &[0]),
            ),
            (Python, "from a import (\n    run,\n)\nimport run\nx = run # run()", (&[], &[4], &[])),
            (Go, "func (r *T) run(a int) {\n\tgo r.run(2)\n}\nfunc run()", (&[1], &[], &[0, 3])),
            (
                JavaScript,
                "app.run = function (a) {\n  run(a)\n}\nconst run = require('run')",
                (&[1], &[], &[0]),
            ),
            (JavaScript, "class A {\n  async run(a, b) {\n    return this.run(a)\n", (&[2], &[], &[1])),
            (JavaScript, "run('it', function () {\nrun(() => {", (&[0, 1], &[], &[])),
            (TypeScript, "import {\n  run,\n} from 'a';\nexport { run };\nrun<A>(b);", (&[4], &[], &[])),
            (TypeScript, "interface A {\n  run(a: B): C;\n  x: run;", (&[], &[2], &[1])),
            (Markdown, "# run\nCall `run()` or rerun.", (&[], &[0, 1], &[])),
        ];
        for (language, text, (calls, mentions, definitions)) in cases {
            let expected = Uses {
                calls: calls.to_vec(),
                mentions: mentions.to_vec(),
                definitions: definitions.to_vec(),
            };
            assert_eq!(uses(*language, text, "run"), expected, "{language}\n{text}");
        }
        assert_eq!(uses(Rust, "run()", ""), Uses::default());
    }

    #[test]
    fn called_names_once_in_order() {
        let cases: &[(Language, &str, &[&str])] = &[
            (
                Rust,
                "fn a(x: B) {\n    c(x); d.e::<F>(); c(g!(1)); // h()\n    if (i) {}\n}",
                &["c", "e", "g"],
            ),
            (Python, "def a(b):\n    if c(b):\n        return d.e(b)", &["c", "e"]),
            (JavaScript, "async a(b) {\n  const c = require('d');\n  await f(g)\n}", &["f"]),
            (Markdown, "`a()`", &[]),
        ];
        for (language, text, expected) in cases {
            assert_eq!(called(*language, text, 9), *expected, "{language}\n{text}");
        }
        assert_eq!(called(Rust, "a(); b(); c();", 2), ["a", "b"]);
    }
}
