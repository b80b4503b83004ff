//! What is not worth chunking, by name and by content. Each answer is a
//! [`SkipReason`]; content is judged by a bounded part of it or in one pass.

use crate::language::Language;
use crate::path::RepoPath;
use crate::skip::SkipReason;

/// Bytes looked at for NUL, as git does.
const BINARY_WINDOW: usize = 8_000;
/// Lines in which a generator's mark is looked for.
const MARKER_LINES: usize = 60;

/// Lock files of package managers, by file name.
const LOCK_FILES: &[&str] = &[
    ".terraform.lock.hcl",
    "Cargo.lock",
    "Cartfile.resolved",
    "Gemfile.lock",
    "MODULE.bazel.lock",
    "Package.resolved",
    "Pipfile.lock",
    "Podfile.lock",
    "bun.lock",
    "bun.lockb",
    "cabal.project.freeze",
    "composer.lock",
    "conan.lock",
    "conda-lock.yml",
    "deno.lock",
    "flake.lock",
    "go.sum",
    "go.work.sum",
    "gradle.lockfile",
    "mix.lock",
    "npm-shrinkwrap.json",
    "package-lock.json",
    "packages.lock.json",
    "paket.lock",
    "pdm.lock",
    "pixi.lock",
    "pnpm-lock.yaml",
    "poetry.lock",
    "pubspec.lock",
    "rebar.lock",
    "shard.lock",
    "stack.yaml.lock",
    "uv.lock",
    "yarn.lock",
];

/// Known from the path alone: lock files.
pub fn skip_by_path(path: &RepoPath) -> Option<SkipReason> {
    let name: &[u8] = path.file_name();
    LOCK_FILES.binary_search_by(|lock| lock.as_bytes().cmp(name)).is_ok().then_some(SkipReason::LockFile)
}

/// Known from the bytes: binary, generated, minified.
pub(super) fn skip_by_content(path: &RepoPath, language: Language, bytes: &[u8]) -> Option<SkipReason> {
    if is_binary(bytes) {
        return Some(SkipReason::Binary);
    }
    if is_minified(path, language, bytes) {
        return Some(SkipReason::Minified);
    }
    is_generated(language, bytes).then_some(SkipReason::Generated)
}

fn is_binary(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(BINARY_WINDOW)];
    // UTF-16 is text to its editor only: its bytes are no one's grep hit.
    if head.contains(&0) || head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        return true;
    }
    if std::str::from_utf8(head).is_ok() {
        return false;
    }
    // Text in an old 8-bit encoding has some invalid bytes; compressed data has mostly such, and control characters.
    let invalid: usize = head.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
    let control =
        head.iter().filter(|b| **b < 0x20 && !matches!(**b, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b)).count();
    invalid * 10 > head.len() * 3 || (invalid > 0 && control * 20 > head.len())
}

fn is_minified(path: &RepoPath, language: Language, bytes: &[u8]) -> bool {
    let name = path.file_name().to_ascii_lowercase();
    let minified_name = [&b".min.js"[..], b".min.css", b".min.mjs", b".min.html"];
    if minified_name.iter().any(|end| name.ends_with(end)) {
        return true;
    }
    // Prose may have a paragraph on each line; code does not.
    let (from, mean) = match language {
        Language::Markdown | Language::Text => (64 << 10, 4_000),
        _ => (4 << 10, 300),
    };
    if bytes.len() < from {
        return false;
    }
    let (mut lines, mut length) = (0, 0);
    for line in bytes.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
        lines += 1;
        length += line.len();
    }
    length >= from && length / lines.max(1) > mean
}

/// Whether the comments before the first code say so.
fn is_generated(language: Language, bytes: &[u8]) -> bool {
    let markers: &[&str] = match language {
        Language::Markdown | Language::Html | Language::Xml | Language::Vue | Language::Svelte => &["<!--"],
        _ => &["//", "#", "/*", "*", "--", ";", "<!--", "\"\"\"", "%"],
    };
    let mut block = false;
    for line in bytes.split(|b| *b == b'\n').take(MARKER_LINES) {
        let line = String::from_utf8_lossy(&line[..line.len().min(400)]);
        let line = line.trim_start_matches('\u{feff}').trim();
        let comment =
            block || markers.iter().any(|marker| line.starts_with(marker)) || line.starts_with("/*");
        if !comment && !line.is_empty() && !line.starts_with("<?") {
            return false;
        }
        if line.starts_with("/*") || line.starts_with("<!--") {
            block = true;
        }
        if line.contains("*/") || line.contains("-->") {
            block = false;
        }
        if comment && says_generated(line) {
            return true;
        }
    }
    false
}

fn says_generated(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    // `@generated` as a mark, not as a word quoted in a sentence about such marks.
    let marked = lower.match_indices("@generated").any(|(at, mark)| {
        let before = lower[..at].chars().next_back();
        let after = lower[at + mark.len()..].chars().next();
        before.is_none_or(char::is_whitespace)
            && after.is_none_or(|c| c.is_whitespace() || matches!(c, '.' | '*'))
    });
    let generated = lower.contains("code generated")
        || lower.contains("generated by")
        || lower.contains("autogenerated")
        || lower.contains("auto-generated")
        || lower.contains("automatically generated");
    marked || (generated && (lower.contains("do not edit") || lower.contains("do not modify")))
}
