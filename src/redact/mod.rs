//! Secrets out of text, before anything else sees it. Pure; linear in the text.
//!
//! Three detectors: forms that are secrets wherever they stand (`form`), literals
//! assigned to something called a password or the like (`assignment`), and files
//! whose every value is one (`file`). Ordinary code is left as it is: a type, a call
//! or a placeholder is no secret. What is found is named, never kept or logged.

use std::ops::Range;

use crate::path::RepoPath;

mod assignment;
mod file;
mod form;
mod literal;
#[cfg(test)]
mod tests;

/// A secret in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// Where it is; sorted and disjoint in every list of them.
    pub bytes: Range<usize>,
    /// What it is, as in `[REDACTED:<kind>]`.
    pub kind: &'static str,
}

/// Replaces what looks like a secret by `[REDACTED:<kind>]`, keeping line breaks;
/// returns the text and the count.
pub fn redact(path: &RepoPath, text: &str) -> (String, u32) {
    let secrets = find(path, text);
    (replace(text, 0..text.len(), &secrets), u32::try_from(secrets.len()).unwrap_or(u32::MAX))
}

/// The secrets in `text`, by start, disjoint, none of them empty. Of the path only
/// the file name is looked at.
pub fn find(path: &RepoPath, text: &str) -> Vec<Secret> {
    let mut found = Vec::new();
    file::find(path, text, &mut found);
    form::find(text, &mut found);
    assignment::find(path, text, &mut found);
    found.retain(|secret| !secret.bytes.is_empty());
    // Where two overlap the one that starts first names both.
    found.sort_by_key(|secret| (secret.bytes.start, std::cmp::Reverse(secret.bytes.end)));
    let mut out: Vec<Secret> = Vec::with_capacity(found.len());
    for secret in found {
        match out.last_mut() {
            Some(last) if secret.bytes.start < last.bytes.end => {
                last.bytes.end = last.bytes.end.max(secret.bytes.end);
            }
            _ => out.push(secret),
        }
    }
    out
}

/// `text[span]` with every secret in it, or the part of one, replaced; line breaks
/// stay. `secrets` by start and disjoint.
pub fn replace(text: &str, span: Range<usize>, secrets: &[Secret]) -> String {
    let mut out = String::with_capacity(span.len());
    let mut at = span.start;
    for secret in secrets {
        if secret.bytes.start >= span.end {
            break;
        }
        let (start, end) = (secret.bytes.start.max(at), secret.bytes.end.min(span.end));
        if start >= end {
            continue;
        }
        out.push_str(&text[at..start]);
        out.push_str("[REDACTED:");
        out.push_str(secret.kind);
        out.push(']');
        out.extend(text[start..end].chars().filter(|c| matches!(c, '\n' | '\r')));
        at = end;
    }
    out.push_str(&text[at..span.end]);
    out
}
