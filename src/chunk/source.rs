//! A file's bytes as text that has the same offsets: invalid UTF-8 and secrets are
//! masked byte by byte, so that every range found in the text is one of the file.

use std::borrow::Cow;
use std::ops::Range;

use super::budget::{Estimate, estimate};
use crate::path::RepoPath;
use crate::redact::{self, Secret};

/// Stands for a byte that is not UTF-8 (ASCII SUBSTITUTE, made for this).
const INVALID: u8 = 0x1a;
/// Stands for a byte of a secret (ASCII DELETE).
const SECRET: u8 = 0x7f;

/// Text with the offsets of the file on disk, in lines.
pub(super) struct Source<'a> {
    bytes: &'a [u8],
    /// Same length as `bytes`.
    pub(super) text: Cow<'a, str>,
    invalid: bool,
    secrets: Vec<Secret>,
    /// Start of each line, and the length of the text.
    starts: Vec<usize>,
    /// Sums of the lines' estimates: entry `i` covers the lines before `i`.
    sums: Vec<Estimate>,
}

impl<'a> Source<'a> {
    pub(super) fn new(path: &RepoPath, bytes: &'a [u8]) -> Source<'a> {
        let (mut text, invalid) = match std::str::from_utf8(bytes) {
            Ok(text) => (Cow::Borrowed(text), false),
            Err(_) => (Cow::Owned(mask_invalid(bytes)), true),
        };
        let secrets = redact::find(path, &text);
        if !secrets.is_empty() {
            text = Cow::Owned(mask(&text, &secrets));
        }
        let mut starts = vec![0];
        starts.extend(memchr(text.as_bytes()).map(|at| at + 1).filter(|at| *at < text.len()));
        starts.push(text.len());
        let mut sums = Vec::with_capacity(starts.len());
        let mut sum = Estimate::default();
        for pair in starts.windows(2) {
            sums.push(sum);
            sum += estimate(&text[pair[0]..pair[1]]);
        }
        sums.push(sum);
        Source { bytes, text, invalid, secrets, starts, sums }
    }

    /// Number of lines.
    pub(super) fn lines(&self) -> usize {
        self.starts.len() - 1
    }

    /// Bytes of a range of lines.
    pub(super) fn span(&self, lines: Range<usize>) -> Range<usize> {
        self.starts[lines.start]..self.starts[lines.end]
    }

    /// Line, from 0, that `byte` is on.
    pub(super) fn line_at(&self, byte: usize) -> usize {
        self.starts
            .partition_point(|start| *start <= byte)
            .saturating_sub(1)
            .min(self.lines().saturating_sub(1))
    }

    /// The masked text of a line.
    pub(super) fn line(&self, line: usize) -> &str {
        &self.text[self.starts[line]..self.starts[line + 1]]
    }

    pub(super) fn is_blank(&self, line: usize) -> bool {
        self.line(line).trim().is_empty()
    }

    /// Estimated tokens of a range of lines.
    pub(super) fn estimate(&self, lines: Range<usize>) -> Estimate {
        let (a, b) = (self.sums[lines.start], self.sums[lines.end]);
        Estimate { tenths: b.tenths - a.tenths, most: b.most - a.most }
    }

    /// `lines` without the blank ones at its ends.
    pub(super) fn trim(&self, mut lines: Range<usize>) -> Range<usize> {
        while lines.start < lines.end && self.is_blank(lines.start) {
            lines.start += 1;
        }
        while lines.start < lines.end && self.is_blank(lines.end - 1) {
            lines.end -= 1;
        }
        lines
    }

    /// Bytes on disk.
    pub(super) fn on_disk(&self, span: Range<usize>) -> &'a [u8] {
        &self.bytes[span]
    }

    /// Secrets found.
    pub(super) fn redactions(&self) -> u32 {
        u32::try_from(self.secrets.len()).unwrap_or(u32::MAX)
    }

    /// The text of a range as it may be shown: secrets named, invalid bytes replaced.
    pub(super) fn render(&self, span: Range<usize>) -> Cow<'_, str> {
        let first = self.secrets.partition_point(|secret| secret.bytes.end <= span.start);
        let touched = &self.secrets[first..];
        let mut text = if touched.first().is_some_and(|secret| secret.bytes.start < span.end) {
            Cow::Owned(redact::replace(&self.text, span.clone(), touched))
        } else {
            Cow::Borrowed(&self.text[span])
        };
        if self.invalid && text.contains(INVALID as char) {
            text = Cow::Owned(text.replace(INVALID as char, "\u{fffd}"));
        }
        text
    }

    /// A text that was taken out of the masked one (a name, a signature), as it may be shown.
    pub(super) fn unmask(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut hidden = false;
        for c in text.chars() {
            let secret = !self.secrets.is_empty() && c == SECRET as char;
            if secret && !hidden {
                out.push_str("[REDACTED]");
            } else if self.invalid && c == INVALID as char {
                out.push('\u{fffd}');
            } else if !secret {
                out.push(c);
            }
            hidden = secret;
        }
        out
    }
}

fn memchr(bytes: &[u8]) -> impl Iterator<Item = usize> + '_ {
    bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at)
}

fn mask_invalid(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(std::iter::repeat_n(INVALID as char, chunk.invalid().len()));
    }
    out
}

fn mask(text: &str, secrets: &[Secret]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for secret in secrets {
        out.push_str(&text[at..secret.bytes.start]);
        let hidden = text[secret.bytes.clone()].bytes();
        out.extend(hidden.map(|b| if matches!(b, b'\n' | b'\r') { b as char } else { SECRET as char }));
        at = secret.bytes.end;
    }
    out.push_str(&text[at..]);
    out
}
