//! Bytes → chunks: by symbol where there is a grammar, Markdown by section,
//! everything else by line window. Pure, and never fails: what cannot be chunked
//! is a [`SkipReason`].
//!
//! A chunk depends on the file's name and extension, its bytes and the options:
//! never on its directory, other files, time or machine.

use std::ops::Range;

use crate::id::ContentHash;
use crate::language::Language;
use crate::parse::{self, Parsed, Symbol};
use crate::path::RepoPath;
use crate::skip::SkipReason;

mod budget;
mod classify;
mod markdown;
mod outline;
mod source;
mod split;
#[cfg(test)]
mod tests;

use budget::Budget;
pub use classify::skip_by_path;
use source::Source;

/// A piece of a file that is found, shown and embedded as one. Together the
/// chunks of a file cover every non-blank line of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Byte range in the file; starts and ends at line boundaries where the file allows.
    pub bytes: Range<u32>,
    /// First and last line, from 1, both included.
    pub lines: (u32, u32),
    /// `function`, `method`, …, `module` (file header), `section`, `text`.
    pub kind: &'static str,
    /// Symbol name as written; of a section its heading.
    pub symbol: Option<String>,
    /// Enclosing symbols, joined as the language writes it.
    pub container: Option<String>,
    /// Names of the other symbols that are defined in the chunk, in order.
    pub defines: Vec<String>,
    /// Signature on one line.
    pub signature: Option<String>,
    /// Documentation; of a split symbol in its first part only.
    pub doc: Option<String>,
    /// Module name declared in the file.
    pub module: Option<String>,
    /// The text, redacted. Invalid UTF-8 is replaced.
    pub text: String,
    /// BLAKE3 of the bytes on disk in `bytes`, before redaction.
    pub hash: ContentHash,
    /// Which part of a split symbol, from 0, and of how many.
    pub part: (u32, u32),
}

/// A file's chunks and what was seen on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunked {
    /// Chunks by start.
    pub chunks: Vec<Chunk>,
    /// Secrets redacted.
    pub redactions: u32,
    /// Syntax errors.
    pub errors: u32,
}

/// What chunking depends on besides the file.
pub struct ChunkOptions<'a> {
    /// Tokens of a text, by the text model's own tokenizer. A text of N bytes has at most N + 2.
    pub count_tokens: &'a dyn Fn(&str) -> usize,
    /// The most tokens a chunk's text should have.
    pub max_tokens: usize,
    /// Files over this many bytes are [`SkipReason::TooLarge`].
    pub max_file_bytes: u64,
}

/// Tokens of a text by looking at its characters only: likely, and hardly ever more than.
pub(crate) use budget::estimate;

/// Most names kept of what a chunk defines.
const MAX_DEFINES: usize = 64;

/// Chunks one file.
pub fn chunk(
    path: &RepoPath,
    language: Language,
    bytes: &[u8],
    options: &ChunkOptions<'_>,
) -> Result<Chunked, SkipReason> {
    if let Some(reason) = skip_by_path(path) {
        return Err(reason);
    }
    // Ranges are 32 bits wide, whatever the options say.
    if bytes.len() as u64 > options.max_file_bytes.min(u64::from(u32::MAX)) {
        return Err(SkipReason::TooLarge);
    }
    if let Some(reason) = classify::skip_by_content(path, language, bytes) {
        return Err(reason);
    }
    if bytes.is_empty() {
        return Ok(Chunked::default());
    }
    let source = Source::new(path, bytes);
    let budget = Budget { count: options.count_tokens, max: options.max_tokens.max(1) };
    let parsed = parse(language, &source.text);
    let chunks = Chunker { source: &source, budget: &budget, language, parsed: &parsed }.chunks();
    let errors = u32::try_from(parsed.errors).unwrap_or(u32::MAX);
    Ok(Chunked { chunks, redactions: source.redactions(), errors })
}

/// The symbols of a text, by start, outer ones first; of Markdown its sections.
pub fn symbols(language: Language, text: &str) -> Vec<Symbol> {
    parse(language, text).symbols
}

/// What stands between the names of nested symbols.
pub fn joint(language: Language) -> &'static str {
    match language {
        Language::Rust => "::",
        Language::Markdown => " > ",
        _ => ".",
    }
}

fn parse(language: Language, text: &str) -> Parsed {
    match language {
        Language::Markdown => Parsed { symbols: markdown::sections(text), ..Parsed::default() },
        _ => parse::parse(language, text),
    }
}

struct Chunker<'a> {
    source: &'a Source<'a>,
    budget: &'a Budget<'a>,
    language: Language,
    parsed: &'a Parsed,
}

impl Chunker<'_> {
    fn chunks(&self) -> Vec<Chunk> {
        let symbols = &self.parsed.symbols;
        let costs = self.costs();
        let mut out: Vec<Chunk> = Vec::new();
        // Chunks of each symbol so far, to number them as parts.
        let mut parts: Vec<Vec<usize>> = vec![Vec::new(); symbols.len()];
        for piece in outline::pieces(self.source, symbols, self.budget) {
            let owner = piece.owner.map(|owner| &symbols[owner]);
            let balanced = owner.is_some();
            for span in split::split(self.source, piece.lines.clone(), &costs, self.budget, balanced) {
                if let Some(owner) = piece.owner {
                    parts[owner].push(out.len());
                }
                out.push(self.make(span, owner));
            }
        }
        for places in &parts {
            for (part, place) in places.iter().enumerate() {
                out[*place].part = (part as u32, places.len() as u32);
                if part > 0 {
                    out[*place].doc = None;
                }
            }
        }
        self.name_defined(&mut out);
        self.add_module(&mut out);
        out
    }

    fn costs(&self) -> split::Costs {
        if !self.language.has_grammar() || self.parsed.breaks.is_empty() {
            return split::text_costs(self.source);
        }
        let mut costs = vec![split::NO_NODE; self.source.lines()];
        for cut in &self.parsed.breaks {
            let line = self.source.line_at(cut.byte as usize);
            let after_blank = line > 0 && self.source.is_blank(line - 1);
            costs[line] = cut.depth.saturating_mul(2).min(split::NO_NODE - 2) + u16::from(!after_blank);
        }
        costs
    }

    fn make(&self, span: Range<usize>, owner: Option<&Symbol>) -> Chunk {
        let show = |text: &str| self.source.unmask(text);
        let text = self.source.render(span.clone()).into_owned();
        let last = span.end.saturating_sub(1).max(span.start);
        let lines = (self.source.line_at(span.start) as u32 + 1, self.source.line_at(last) as u32 + 1);
        let joint = joint(self.language);
        let kind = match owner {
            Some(owner) => owner.kind,
            None if self.language.has_grammar() => "module",
            None if self.language == Language::Markdown => "section",
            None => "text",
        };
        Chunk {
            hash: ContentHash::of(self.source.on_disk(span.clone())),
            bytes: span.start as u32..span.end as u32,
            lines,
            kind,
            symbol: owner.map(|owner| show(&owner.name)),
            container: owner
                .filter(|owner| !owner.container.is_empty())
                .map(|owner| show(&owner.container.join(joint))),
            defines: Vec::new(),
            signature: owner.filter(|owner| !owner.signature.is_empty()).map(|owner| show(&owner.signature)),
            doc: owner.and_then(|owner| owner.doc.as_deref()).map(show),
            module: None,
            text,
            part: (0, 1),
        }
    }

    /// Names every symbol in the chunk that it starts in.
    fn name_defined(&self, chunks: &mut [Chunk]) {
        let mut at = 0;
        for symbol in &self.parsed.symbols {
            // The name's own place is not known here; the definition ends in or after its chunk.
            let start = symbol.bytes.start as u32;
            while chunks.get(at).is_some_and(|chunk| chunk.bytes.end <= start) {
                at += 1;
            }
            let Some(chunk) = chunks.get_mut(at) else { return };
            let own = chunk.symbol.as_deref() == Some(symbol.name.as_str());
            if !own && chunk.defines.len() < MAX_DEFINES && !chunk.defines.contains(&symbol.name) {
                chunk.defines.push(self.source.unmask(&symbol.name));
            }
        }
    }

    fn add_module(&self, chunks: &mut [Chunk]) {
        for chunk in chunks.iter_mut() {
            chunk.module.clone_from(&self.parsed.module);
        }
        if let (Some(first), Some(doc)) = (chunks.first_mut(), &self.parsed.module_doc)
            && first.kind == "module"
            && first.doc.is_none()
        {
            first.doc = Some(self.source.unmask(doc));
        }
    }
}
