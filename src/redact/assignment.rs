//! Literals assigned to something called a password, secret, token or key:
//! `password = "hunter2"`, `"api_key": "…"`, `DB_PASSWORD=…` in configuration.

use std::ops::Range;
use std::sync::OnceLock;

use regex::Regex;

use super::Secret;
use super::literal::{is_password, is_token};
use crate::language::Language;
use crate::path::RepoPath;

/// Words that name a secret.
const NAMES: &str = r"(?i)passw(?:or)?d|passphrase|pwd|secret|token|credential|api[_-]?key|apikey|access[_-]?key|private[_-]?key|auth[_-]?key|encryption[_-]?key|signing[_-]?key|account[_-]?key";

/// What a name ends with that speaks of a secret without holding it.
const ABOUT: &[&str] = &[
    "class", "count", "endpoint", "env", "expiry", "field", "file", "header", "id", "length", "limit",
    "name", "names", "path", "prefix", "provider", "ref", "size", "store", "ttl", "type", "uri", "url",
    "var", "version",
];

/// Longest text between a name and its value, and longest value.
const MAX_BETWEEN: usize = 64;
const MAX_VALUE: usize = 4_096;

fn names() -> Option<&'static Regex> {
    static PATTERN: OnceLock<Option<Regex>> = OnceLock::new();
    PATTERN.get_or_init(|| Regex::new(NAMES).ok()).as_ref()
}

pub(super) fn find(path: &RepoPath, text: &str, out: &mut Vec<Secret>) {
    let Some(regex) = names() else { return };
    // Only there a bare word is a literal.
    let bare = matches!(
        Language::of(path),
        Language::Yaml
            | Language::Ini
            | Language::Shell
            | Language::Dockerfile
            | Language::Text
            | Language::Terraform
    );
    let mut done = 0;
    for name in regex.find_iter(text) {
        if name.start() < done {
            continue;
        }
        let Some(value) = value_after(text, name.end(), bare) else { continue };
        let literal = &text[value.clone()];
        let word = name.as_str().to_ascii_lowercase();
        let is_pass = word.starts_with("pass") || word == "pwd" || word == "secret" || word == "credential";
        let quoted = value.start > 0 && matches!(text.as_bytes()[value.start - 1], b'"' | b'\'' | b'`');
        // A bare word needs more to be no name of a variable or file.
        let earnest = if is_pass && (quoted || bare) { is_password(literal) } else { is_token(literal) };
        if earnest {
            done = value.end;
            out.push(Secret { bytes: value, kind: if is_pass { "password" } else { "token" } });
        }
    }
}

/// The literal that is assigned to the name ending at `at`.
fn value_after(text: &str, at: usize, bare: bool) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let limit = bytes.len().min(at + MAX_BETWEEN);
    let skip = |mut at: usize, wanted: &dyn Fn(u8) -> bool| {
        while at < limit && wanted(bytes[at]) {
            at += 1;
        }
        at
    };
    let space = |b: u8| matches!(b, b' ' | b'\t');
    let rest = at;
    let mut at = skip(at, &|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    let rest = text[rest..at].to_ascii_lowercase();
    if ABOUT.iter().any(|about| rest.ends_with(about)) {
        return None;
    }
    at = skip(at, &|b| matches!(b, b'"' | b'\'' | b'`' | b']'));
    at = skip(at, &space);
    let colon = bytes.get(at) == Some(&b':') && bytes.get(at + 1) != Some(&b'=');
    at = match bytes.get(at..)? {
        [b':', b'=', ..] | [b'=', b'>', ..] => at + 2,
        [b'=', b'=', ..] | [b':', b':', ..] => return None,
        [b'=' | b':', ..] => at + 1,
        _ => return None,
    };
    let colon_end = at;
    at = skip(at, &space);
    if colon && !is_open(bytes, at) {
        // `password: str = "…"`
        let equals = skip(at, &|b| b.is_ascii_alphanumeric() || b" _&<>'[].|?".contains(&b));
        if bytes.get(equals) == Some(&b'=') && bytes.get(equals + 1) != Some(&b'=') {
            at = skip(equals + 1, &space);
        } else if colon_end == at {
            // `token:next` names a field or a port; YAML puts a space.
            return None;
        }
    }
    if is_open(bytes, at) {
        let open = at + usize::from(!matches!(bytes[at], b'"' | b'\'' | b'`'));
        let quote = bytes[open];
        let start = open + 1;
        let mut end = start;
        while end < bytes.len() && end - start <= MAX_VALUE {
            match bytes[end] {
                b'\n' | b'\r' => return None,
                b'\\' if end + 1 < bytes.len() => end += 1,
                byte if byte == quote => return Some(start..end),
                _ => {}
            }
            end += 1;
        }
        return None;
    }
    if !bare {
        return None;
    }
    let rest = &text[at..text.floor_char_boundary(bytes.len().min(at + MAX_VALUE))];
    let length = rest.find(|c: char| c.is_whitespace() || "\"'`;,#()<>".contains(c)).unwrap_or(rest.len());
    // `token=$(cmd)`, `token=get("x")`: computed.
    let computed = rest[length..].starts_with(['(', '"', '\'', '`']);
    (length > 0 && !computed).then_some(at..at + length)
}

/// Whether a string literal opens at `at`, with or without a one-letter prefix (`b"…"`).
fn is_open(bytes: &[u8], at: usize) -> bool {
    let quote = |b: Option<&u8>| matches!(b, Some(b'"' | b'\'' | b'`'));
    quote(bytes.get(at))
        || (matches!(bytes.get(at), Some(b'b' | b'r' | b'u' | b'f')) && quote(bytes.get(at + 1)))
}

#[cfg(test)]
mod tests {
    #[test]
    fn pattern_compiles() {
        assert!(super::names().is_some());
    }
}
