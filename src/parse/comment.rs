//! Comments and docstrings → plain documentation, and which of them belong to
//! the definition that follows. Text only; no syntax tree.

use std::ops::Range;

/// Longest documentation kept, in bytes.
const MAX_DOC: usize = 4_000;

/// A comment, attribute or decorator that may belong to what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lead {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) comment: bool,
}

/// The leads directly above `start`, nearest last: each on lines of its own, with
/// at most the line break between one and the next. `leads` is sorted by start.
pub(super) fn leads_above<'a>(source: &str, leads: &'a [Lead], start: usize) -> &'a [Lead] {
    let last = leads.partition_point(|lead| lead.start < start);
    let mut first = last;
    let mut below = start;
    while first > 0 {
        let lead = &leads[first - 1];
        let end = lead.start + source[lead.start..lead.end].trim_end().len();
        let adjacent = below >= end
            && source[end..below].bytes().all(|b| b.is_ascii_whitespace())
            && source[end..below].bytes().filter(|b| *b == b'\n').count() <= 1;
        let line = source[..lead.start].rfind('\n').map_or(0, |newline| newline + 1);
        let alone = source[line..lead.start].trim_start_matches('\u{feff}').trim().is_empty();
        // A note about the whole file or about the enclosing item.
        let inner = lead.comment && is_inner(&source[lead.start..end]);
        // An attribute may follow another one on its line.
        if !adjacent || inner || (lead.comment && !alone) {
            break;
        }
        below = lead.start;
        first -= 1;
    }
    &leads[first..last]
}

/// Whether a Rust comment documents what encloses it.
pub(super) fn is_inner(comment: &str) -> bool {
    comment.starts_with("//!") || comment.starts_with("/*!")
}

/// Documentation in a run of comments: doc comments alone where there are any
/// (`///`, `/**`), else all of them.
pub(super) fn documentation<'a>(comments: impl Iterator<Item = &'a str> + Clone) -> Option<String> {
    let is_doc = |comment: &&str| {
        (comment.starts_with("///") && !comment.starts_with("////"))
            || (comment.starts_with("/**") && !comment.starts_with("/***"))
            || is_inner(comment)
    };
    let text = if comments.clone().any(|comment| is_doc(&comment)) {
        clean(comments.filter(is_doc))
    } else {
        clean(comments)
    };
    // Switches for tools and ruled lines document nothing.
    text.filter(|text| text.chars().any(char::is_alphanumeric))
}

/// Whether a comment speaks to a tool.
fn is_directive(comment: &str) -> bool {
    const MARKS: &[&str] = &[
        "//go:",
        "//nolint",
        "// +build",
        "//export ",
        "// eslint-",
        "/* eslint-",
        "/* istanbul",
        "// prettier-",
        "// @ts-",
        "# noqa",
        "# type:",
        "# pylint:",
        "# mypy:",
        "# pragma:",
        "# fmt:",
        "#!",
        "# -*-",
    ];
    MARKS.iter().any(|mark| comment.starts_with(mark))
}

fn clean<'a>(comments: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut out = String::new();
    for comment in comments.filter(|comment| !is_directive(comment)) {
        let block = comment.starts_with("/*");
        let body = if block {
            comment.trim_start_matches("/*").trim_end_matches('/').trim_end_matches('*')
        } else {
            comment
        };
        for line in body.lines() {
            let line = line.trim();
            let line = if block {
                line.trim_start_matches(['*', '!'])
            } else if line.starts_with('#') {
                line.trim_start_matches('#')
            } else {
                line.trim_start_matches('/').trim_start_matches('!')
            };
            push_line(&mut out, line.trim());
        }
        if out.len() > MAX_DOC {
            break;
        }
    }
    finish(out)
}

/// Text of a Python string literal used as documentation.
pub(super) fn docstring(literal: &str) -> Option<String> {
    let literal = literal.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let body = ["\"\"\"", "'''", "\"", "'"]
        .iter()
        .find_map(|quote| literal.strip_prefix(quote).map(|rest| rest.strip_suffix(quote).unwrap_or(rest)))?;
    let mut out = String::new();
    for line in body.lines() {
        push_line(&mut out, line.trim());
        if out.len() > MAX_DOC {
            break;
        }
    }
    finish(out)
}

fn push_line(out: &mut String, line: &str) {
    if !out.is_empty() {
        out.push('\n');
    }
    out.push_str(line);
}

fn finish(mut text: String) -> Option<String> {
    truncate(&mut text, MAX_DOC);
    let trimmed = text.trim();
    (!trimmed.is_empty()).then(|| trimmed.to_owned())
}

/// Shortens to at most `max` bytes, at a character's boundary.
pub(super) fn truncate(text: &mut String, max: usize) {
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max));
    }
}

/// The documentation range of the file itself: the comments before its first code
/// that document what encloses them (`//!`), for [`documentation`].
pub(super) fn file_comments<'a>(
    source: &'a str,
    leads: &[Lead],
    until: usize,
    wanted: impl Fn(&str) -> bool,
) -> Vec<&'a str> {
    let text = |lead: &Lead| source[lead.start..lead.end].trim_end();
    leads
        .iter()
        .take_while(|lead| lead.start < until)
        .filter(|lead| lead.comment && wanted(text(lead)))
        .map(text)
        .collect()
}

/// Whether everything in `source[..end]` is blank or a comment in `leads`.
pub(super) fn only_comments_before(source: &str, leads: &[Lead], end: usize) -> bool {
    let mut at = 0;
    for Range { start, end: after } in leads.iter().filter(|l| l.comment).map(|l| l.start..l.end) {
        if start >= end {
            break;
        }
        if start < at {
            continue;
        }
        if !source[at..start].trim_start_matches('\u{feff}').trim().is_empty() {
            return false;
        }
        at = after;
    }
    at >= end || source[at..end].trim_start_matches('\u{feff}').trim().is_empty()
}
