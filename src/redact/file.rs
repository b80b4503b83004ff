//! Files that exist to hold secrets: every value in them is one.

use std::ops::Range;

use super::Secret;
use crate::path::RepoPath;

pub(super) fn find(path: &RepoPath, text: &str, out: &mut Vec<Secret>) {
    let name: &[u8] = path.file_name();
    match name {
        b".netrc" | b"_netrc" => netrc(text, out),
        b".pgpass" | b".htpasswd" => last_field(text, out),
        b".npmrc" | b".pypirc" | b".yarnrc" | b"credentials" | b".credentials" | b".my.cnf" | b".s3cfg"
        | b".boto" => {
            assignments(text, out);
        }
        _ if name == b".env"
            || name.starts_with(b".env.")
            || name.ends_with(b".env")
            || name == b".envrc" =>
        {
            assignments(text, out);
        }
        _ => {}
    }
}

fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split_inclusive('\n').map(move |line| {
        let start = at;
        at += line.len();
        (start, line)
    })
}

fn add(value: Range<usize>, out: &mut Vec<Secret>) {
    if !value.is_empty() {
        out.push(Secret { bytes: value, kind: "value" });
    }
}

/// `KEY=value`, `key: value`, `export KEY="a\nb"`: what follows the first `=` or `:`,
/// over several lines where a quote is left open.
fn assignments(text: &str, out: &mut Vec<Secret>) {
    let mut until = 0;
    for (start, line) in lines(text) {
        let trimmed = line.trim_start();
        // A comment may hold a former value.
        let trimmed = trimmed.trim_start_matches(['#', ';', ' ', '\t']);
        if start < until || trimmed.is_empty() || trimmed.starts_with('[') {
            continue;
        }
        let from = start + line.len() - trimmed.len();
        let Some(mark) = trimmed.find('=').or_else(|| trimmed.find(':')) else { continue };
        let name = trimmed[..mark].trim().trim_start_matches("export ").trim();
        if name.is_empty() || name.contains(char::is_whitespace) {
            continue;
        }
        let after = from + mark + 1;
        let rest = &text[after..start + line.len()];
        let value_start = after + rest.len() - rest.trim_start().len();
        let value = rest.trim();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'));
        let mut end = value_start + value.len();
        if let Some(quote) = quote.filter(|quote| !value[1..].contains(*quote)) {
            // An open quote that never closes hides the rest of the file.
            end = text[value_start + 1..].find(quote).map_or(text.len(), |at| value_start + 1 + at + 1);
            until = end;
        }
        add(value_start..end, out);
    }
}

/// `password` and `account` tokens.
fn netrc(text: &str, out: &mut Vec<Secret>) {
    let mut hide = false;
    let mut at = 0;
    for word in text.split_inclusive(char::is_whitespace) {
        let start = at;
        at += word.len();
        let word = word.trim();
        if word.is_empty() {
            continue;
        }
        if hide {
            add(start..start + word.len(), out);
        }
        hide = !hide && matches!(word, "password" | "account");
    }
}

/// What follows the last `:` of each line.
fn last_field(text: &str, out: &mut Vec<Secret>) {
    for (start, line) in lines(text) {
        let line = line.trim_end();
        if let Some(colon) = line.rfind(':') {
            add(start + colon + 1..start + line.len(), out);
        }
    }
}
