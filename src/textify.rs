//! Chunk → prose for the NLP model: kind, humanised name, documentation,
//! signature in words, container, module, in a fixed order. Pure.
//!
//! No part of the path is in it, not even the file's stem: a move or a rename must not
//! embed again. BM25 and the ranking know the path. Bounded: the prose of code is
//! never longer than its parts allow, and stays far below what a model reads.

use std::collections::HashSet;

use crate::chunk::{Chunk, estimate};
use crate::language::Language;
use crate::lexical::identifier_parts;

/// Version of the wording; part of the text leg's fingerprint.
pub const TEXTIFY_VERSION: u32 = 1;

/// Most words of documentation, signature, and of the body.
const DOC_WORDS: usize = 90;
const DOC_TOKENS: usize = 140;
const SIGNATURE_WORDS: usize = 30;
const BODY_WORDS: usize = 50;
/// Prose of at most this many tokens, at the worst, is given its headings.
const SHORT_TEXT: usize = 240;
/// Documentation of at least this many words says enough without the body.
const ENOUGH_DOC: usize = 40;

/// The prose of `chunk`.
pub fn textify(language: Language, chunk: &Chunk) -> String {
    if !language.has_grammar() {
        return prose(language, chunk);
    }
    let mut out = String::new();
    match &chunk.symbol {
        Some(symbol) => {
            sentence(&mut out, &format!("{} {}", kind_in_words(language, chunk.kind), humanise(symbol, 12)));
        }
        None => sentence(&mut out, &format!("{language} module")),
    }
    let doc = chunk.doc.as_deref().map(|doc| words_of_doc(doc, DOC_WORDS)).unwrap_or_default();
    sentence(&mut out, &doc);
    if let Some(signature) = &chunk.signature {
        sentence(&mut out, &signature_in_words(language, signature, chunk.symbol.as_deref()));
    }
    if let Some(container) = &chunk.container {
        sentence(&mut out, &format!("in {}", humanise(container, 16)));
    }
    if !chunk.defines.is_empty() {
        let names: Vec<String> = chunk.defines.iter().take(12).map(|name| humanise(name, 6)).collect();
        sentence(&mut out, &format!("defines {}", names.join(", ")));
    }
    if let Some(module) = chunk.module.as_deref() {
        sentence(&mut out, &format!("module {}", humanise(module, 6)));
    }
    if doc.split(' ').count() < ENOUGH_DOC {
        let mut known: HashSet<String> =
            identifiers(&out).flat_map(identifier_parts).map(str::to_lowercase).collect();
        sentence(&mut out, &body_in_words(language, &chunk.text, &mut known));
    }
    out
}

/// Text that is prose already, or data: headings or language before it.
fn prose(language: Language, chunk: &Chunk) -> String {
    let mut out = String::new();
    // Never the reason why a text that fits does not.
    if estimate(&chunk.text).most > SHORT_TEXT {
        return chunk.text.trim().to_owned();
    }
    if language == Language::Markdown {
        let parents = chunk.container.as_deref().unwrap_or_default();
        sentence(&mut out, parents);
    } else {
        sentence(&mut out, language.name());
    }
    if !out.is_empty() {
        out.push(' ');
    }
    out.push_str(chunk.text.trim());
    out
}

fn kind_in_words(language: Language, kind: &str) -> &str {
    match (language, kind) {
        (Language::Rust, "impl") => "implementation of",
        (_, "variable" | "constant") => "constant",
        (_, kind) => kind,
    }
}

fn sentence(out: &mut String, text: &str) {
    let text = text.trim();
    if text.is_empty() {
        return;
    }
    if !out.is_empty() && !out.ends_with(' ') {
        out.push(' ');
    }
    out.push_str(text);
    if !text.ends_with(['.', '!', '?', ':']) {
        out.push('.');
    }
}

/// Identifiers of `text` split into lower-case words; at most `limit` of them.
fn humanise(text: &str, limit: usize) -> String {
    let mut out = Vec::new();
    for word in text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty()) {
        for part in identifier_parts(word) {
            if out.len() == limit {
                return out.join(" ");
            }
            out.push(part.to_lowercase());
        }
    }
    out.join(" ")
}

/// The first paragraphs of documentation: no code samples, no tags' names, no links' targets.
fn words_of_doc(doc: &str, limit: usize) -> String {
    let mut out: Vec<&str> = Vec::new();
    let mut tokens = 0;
    let mut sample = false;
    for line in doc.lines() {
        let line = line.trim();
        if line.starts_with("```") || line.starts_with("~~~") {
            sample = !sample;
            continue;
        }
        if sample || line.starts_with(">>>") || line.starts_with('|') {
            continue;
        }
        for word in line.split_whitespace() {
            let word = word.trim_start_matches('#').trim_matches(['`', '*']);
            // A sentence of a language without spaces is one word; a hash or URL is none.
            let noise = word.contains("://") || (word.is_ascii() && word.len() > 40);
            if noise || word.is_empty() || word == "-" {
                continue;
            }
            tokens += estimate(word).likely();
            if out.len() == limit || tokens > DOC_TOKENS {
                return out.join(" ");
            }
            out.push(word);
        }
    }
    out.join(" ")
}

/// Words of each language that a signature is made of, besides names and types.
fn is_keyword(language: Language, word: &str) -> bool {
    let own: &[&str] = match language {
        Language::Rust => &[
            "pub",
            "fn",
            "mut",
            "ref",
            "impl",
            "dyn",
            "where",
            "const",
            "static",
            "unsafe",
            "extern",
            "async",
            "struct",
            "enum",
            "trait",
            "mod",
            "for",
            "crate",
            "self",
            "super",
            "type",
            "in",
            "let",
            "if",
            "else",
            "match",
            "return",
            "loop",
            "while",
            "use",
            "as",
            "move",
            "Self",
            "true",
            "false",
            "Some",
            "None",
            "Ok",
            "Err",
            "await",
            "break",
            "continue",
            "usize",
            "unwrap",
            "clone",
            "into",
            "macro_rules",
        ],
        Language::Go => &[
            "func",
            "type",
            "struct",
            "interface",
            "var",
            "const",
            "map",
            "chan",
            "return",
            "if",
            "else",
            "for",
            "range",
            "nil",
            "err",
            "defer",
            "go",
            "switch",
            "case",
            "default",
            "true",
            "false",
            "break",
            "continue",
            "package",
            "import",
        ],
        Language::Python => &[
            "def", "class", "self", "cls", "None", "True", "False", "return", "if", "else", "elif", "for",
            "in", "not", "and", "or", "is", "import", "from", "as", "with", "try", "except", "finally",
            "raise", "pass", "lambda", "async", "await", "yield", "assert", "del", "global", "while",
            "break", "continue",
        ],
        _ => &[
            "export",
            "default",
            "function",
            "const",
            "let",
            "var",
            "async",
            "await",
            "class",
            "extends",
            "implements",
            "interface",
            "type",
            "enum",
            "abstract",
            "public",
            "private",
            "protected",
            "readonly",
            "static",
            "new",
            "this",
            "return",
            "if",
            "else",
            "for",
            "of",
            "in",
            "null",
            "undefined",
            "true",
            "false",
            "typeof",
            "instanceof",
            "throw",
            "try",
            "catch",
            "finally",
            "switch",
            "case",
            "break",
            "continue",
            "import",
            "from",
            "as",
            "declare",
            "require",
            "module",
            "exports",
            "void",
            "any",
            "keyof",
            "infer",
        ],
    };
    own.contains(&word)
}

/// Names and types of a signature without its symbol: `takes config path, returns result`.
fn signature_in_words(language: Language, signature: &str, symbol: Option<&str>) -> String {
    let after = symbol.and_then(|symbol| Some(signature.find(symbol)? + symbol.len())).unwrap_or(0);
    let rest = &signature[after..];
    let (parameters, result) = match language {
        Language::Rust | Language::Python => rest.split_once("->").unwrap_or((rest, "")),
        Language::Go => {
            rest.rfind(')').filter(|at| at + 1 < rest.len()).map_or((rest, ""), |at| rest.split_at(at + 1))
        }
        _ => rest.rsplit_once("):").unwrap_or((rest, "")),
    };
    let words = |text: &str, limit: usize| {
        let mut seen = HashSet::new();
        let mut out = Vec::new();
        for word in identifiers(text) {
            if word.len() < 2 || is_keyword(language, word) || !seen.insert(word) {
                continue;
            }
            out.push(humanise(word, 6));
            if out.len() == limit {
                break;
            }
        }
        out.join(" ")
    };
    let (takes, gives) = (words(parameters, SIGNATURE_WORDS), words(result, SIGNATURE_WORDS / 2));
    match (takes.is_empty(), gives.is_empty()) {
        (true, true) => String::new(),
        (false, true) => format!("with {takes}"),
        (true, false) => format!("returns {gives}"),
        (false, false) => format!("with {takes}, returns {gives}"),
    }
}

fn identifiers(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| word.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_'))
}

/// What the body speaks of: words that were not said yet, in order of appearance.
fn body_in_words(language: Language, text: &str, known: &mut HashSet<String>) -> String {
    let mut out: Vec<String> = Vec::new();
    for word in identifiers(text) {
        if is_keyword(language, word) {
            continue;
        }
        for part in identifier_parts(word) {
            let part = part.to_lowercase();
            if part.len() > 2 && part.len() < 30 && known.insert(part.clone()) {
                out.push(part);
            }
        }
        if out.len() >= BODY_WORDS {
            break;
        }
    }
    out.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::{ChunkOptions, chunk};
    use crate::path::RepoPath;

    fn texts(path: &str, source: &str) -> Vec<String> {
        let path = RepoPath::new(path).unwrap();
        let language = Language::of(&path);
        let options =
            ChunkOptions { count_tokens: &|t| t.len() / 3 + 2, max_tokens: 256, max_file_bytes: 1 << 20 };
        let chunked = chunk(&path, language, source.as_bytes(), &options).unwrap();
        chunked.chunks.iter().map(|chunk| textify(language, chunk)).collect()
    }

    #[test]
    fn fixed_order_and_no_directory() {
        let source = "/// Reads `HTTPHeader`s.\npub fn parse_http_header(raw: &[u8], max: usize) -> Result<HeaderMap, ParseError> {\n    let lines = split_lines(raw);\n    build_map(lines)\n}\n";
        let expected = "function parse http header. Reads HTTPHeader`s. \
                        with raw u 8 max, returns result header map parse error. lines split build.";
        assert_eq!(texts("a/wire.rs", source), [expected]);
        assert_eq!(texts("a/wire.rs", source), texts("b/c/other.rs", source));
    }

    #[test]
    fn prose_stays_prose() {
        assert_eq!(texts("README.md", "# Top\n\nIntro.\n"), ["# Top\n\nIntro."]);
        assert_eq!(texts("cfg.toml", "[a]\nb = 1\n"), ["toml. [a]\nb = 1"]);
    }

    #[test]
    fn bounded_whatever_the_code() {
        let doc = "/// word\n".repeat(2_000);
        let source = format!("{doc}fn f() {{ {} }}\n", "alpha_beta_gamma(x1y2z3); ".repeat(200));
        for text in texts("x.rs", &source) {
            assert!(text.split_whitespace().count() < 260, "{}", text.len());
        }
    }
}
