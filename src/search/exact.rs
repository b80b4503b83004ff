//! Every line that a pattern matches, in the files as they are on disk now: the answer
//! that `grep` gives. Needs no index.
//!
//! Looks at what git shows and the project does not withhold. Text is matched as it is
//! shown, without secrets, so that nobody can guess one by asking for it. Must not rank.

use std::thread;

use regex::{Regex, RegexBuilder};

use crate::git::{self, Listing};
use crate::language::Language;
use crate::path::{AbsPath, RepoPath};
use crate::redact;
use crate::skip::SkipReason;

use super::outline::{Outline, Outlined, enclosing};

/// Lines kept of one search; those over it are counted only.
const MAX_KEPT: usize = 20_000;
/// Longest line kept, in characters; the rest of it is replaced by `…`.
const MAX_LINE_CHARS: usize = 240;
/// Files over this many bytes are not read.
const MAX_FILE_BYTES: u64 = 64 << 20;
/// A NUL among so many first bytes makes a file binary, as git has it.
const BINARY_HEAD: usize = 8_000;
/// Threads that read.
const SIDE_BY_SIDE: usize = 8;

/// What lines are compared with.
pub struct Pattern {
    regex: Regex,
    /// It can match across lines: then a line counts where a match begins.
    across_lines: bool,
}

impl Pattern {
    /// Exactly this text, which may span lines.
    pub fn literal(text: &str) -> Result<Pattern, String> {
        Pattern::compile(&regex::escape(text), text.contains('\n'))
    }

    /// A regular expression, in the syntax of the `regex` crate. It is compared with each
    /// line alone, unless it names a line break.
    pub fn regex(text: &str) -> Result<Pattern, String> {
        Pattern::compile(text, text.contains('\n') || text.contains(r"\n"))
    }

    fn compile(source: &str, across_lines: bool) -> Result<Pattern, String> {
        let regex = RegexBuilder::new(source).multi_line(true).crlf(true).build();
        let regex = regex.map_err(|error| error.to_string())?;
        Ok(Pattern { regex, across_lines })
    }

    /// Numbers from 0 of the lines of `text` that match.
    fn lines(&self, text: &str) -> Vec<usize> {
        if !self.across_lines {
            let matching = text.lines().enumerate().filter(|(_, line)| self.regex.is_match(line));
            return matching.map(|(number, _)| number).collect();
        }
        let (mut number, mut counted, mut found) = (0, 0, Vec::new());
        for place in self.regex.find_iter(text) {
            number += text[counted..place.start()].matches('\n').count();
            counted = place.start();
            if found.last() != Some(&number) {
                found.push(number);
            }
        }
        found
    }
}

/// Which files and lines are meant.
pub struct Scope<'a> {
    /// Whether a path is.
    pub path: &'a (dyn Fn(&RepoPath) -> bool + Sync),
    /// Languages; none are all.
    pub languages: &'a [Language],
    /// Kinds of the innermost symbol around a line; none are all.
    pub kinds: &'a [String],
}

/// A line that matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The file.
    pub path: RepoPath,
    /// Its number, from 1.
    pub number: u32,
    /// The line, redacted.
    pub text: String,
}

/// What was found in the files that were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read<T> {
    /// By path; within a file in the order in which it was found. At most 20,000.
    pub found: Vec<T>,
    /// How many there are.
    pub total: usize,
    /// Files in which they are.
    pub files: usize,
    /// Files that were read.
    pub searched: usize,
    /// Binary files, which were not looked at.
    pub binary: usize,
    /// Files and directories that could not be read, or are too large.
    pub unread: Vec<RepoPath>,
}

/// Finds all lines of the listed files that `pattern` matches.
pub fn lines(root: &AbsPath, listing: &Listing, pattern: &Pattern, scope: &Scope<'_>) -> Read<Line> {
    read(root, listing, pattern, scope, |path, text| {
        let mut numbers = pattern.lines(text);
        if !scope.kinds.is_empty() && !numbers.is_empty() {
            let outline = Outline::of(path, text);
            let of_kind = |number: &usize| {
                enclosing(&outline.symbols, *number as u32 + 1)
                    .is_some_and(|symbol| scope.kinds.iter().any(|kind| kind == symbol.kind))
            };
            numbers.retain(of_kind);
        }
        let lines: Vec<&str> = text.lines().collect();
        let line = |number: usize| Line {
            path: path.clone(),
            number: u32::try_from(number + 1).unwrap_or(u32::MAX),
            text: shorten(lines.get(number).unwrap_or(&"")),
        };
        numbers.into_iter().map(line).collect()
    })
}

/// Finds all definitions of this name in the listed files; `A::b` and `A.b` are `b` in `A`.
pub fn definitions(
    root: &AbsPath,
    listing: &Listing,
    name: &str,
    scope: &Scope<'_>,
) -> Result<Read<Definition>, String> {
    let pattern = Pattern::regex(&word(last_name(name)))?;
    Ok(read(root, listing, &pattern, scope, |path, text| {
        let symbols = Outline::of(path, text).symbols.into_iter();
        let named = symbols.filter(|symbol| is_named(symbol, name));
        named.map(|symbol| Definition { path: path.clone(), symbol }).collect()
    }))
}

/// Where a name is defined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The file.
    pub path: RepoPath,
    /// What is defined there.
    pub symbol: Outlined,
}

/// Whether a definition is of this name, which may be qualified.
pub fn is_named(symbol: &Outlined, name: &str) -> bool {
    let parts = |name: &str| -> Vec<String> {
        name.split(['.', ':']).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    symbol.name == name || parts(&symbol.full_name).ends_with(&parts(name))
}

/// The last part of a qualified name.
pub fn last_name(name: &str) -> &str {
    name.rsplit(['.', ':']).next().unwrap_or(name)
}

/// The expression of a name that stands alone.
pub fn word(name: &str) -> String {
    let edge = |c: Option<char>| if c.is_some_and(|c| c.is_alphanumeric() || c == '_') { r"\b" } else { "" };
    format!("{}{}{}", edge(name.chars().next()), regex::escape(name), edge(name.chars().next_back()))
}

/// Does `act` with the text, redacted, of each listed file of the scope in which the pattern is.
fn read<T: Send>(
    root: &AbsPath,
    listing: &Listing,
    pattern: &Pattern,
    scope: &Scope<'_>,
    act: impl Fn(&RepoPath, &str) -> Vec<T> + Sync,
) -> Read<T> {
    let withheld =
        [SkipReason::Symlink, SkipReason::Submodule, SkipReason::Special, SkipReason::IndexerIgnored];
    let wanted: Vec<&RepoPath> = (listing.entries.iter())
        .filter(|entry| !entry.skip.is_some_and(|reason| withheld.contains(&reason)))
        .map(|entry| &entry.path)
        .filter(|path| scope.languages.is_empty() || scope.languages.contains(&Language::of(path)))
        .filter(|path| (scope.path)(path))
        .collect();
    let threads = thread::available_parallelism().map_or(1, |count| count.get().min(SIDE_BY_SIDE));
    let share = wanted.len().div_ceil(threads).max(1);
    let unread = listing.unreadable.iter().map(|(path, _)| path.clone()).collect();
    let mut all = Read { found: Vec::new(), total: 0, files: 0, searched: 0, binary: 0, unread };
    thread::scope(|threads| {
        let look = |path: &&RepoPath| look(root, path, pattern, &act);
        let parts: Vec<_> = (wanted.chunks(share))
            .map(|paths| threads.spawn(move || paths.iter().map(look).collect::<Vec<Look<T>>>()))
            .collect();
        for part in parts {
            match part.join() {
                Ok(looks) => looks.into_iter().for_each(|look| all.add(look)),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    all
}

impl<T> Read<T> {
    fn add(&mut self, look: Look<T>) {
        match look {
            Look::Vanished => {}
            Look::Binary => self.binary += 1,
            Look::Unread(path) => self.unread.push(path),
            Look::Searched(found) => {
                self.searched += 1;
                self.files += usize::from(!found.is_empty());
                self.total += found.len();
                let room = MAX_KEPT.saturating_sub(self.found.len());
                self.found.extend(found.into_iter().take(room));
            }
        }
    }
}

/// What became of one file.
enum Look<T> {
    Searched(Vec<T>),
    Binary,
    Unread(RepoPath),
    Vanished,
}

fn look<T>(
    root: &AbsPath,
    path: &RepoPath,
    pattern: &Pattern,
    act: &impl Fn(&RepoPath, &str) -> Vec<T>,
) -> Look<T> {
    let bytes = match git::read_file(root, path, MAX_FILE_BYTES) {
        Ok(file) => file.bytes,
        Err(git::ReadError::Vanished(_)) => return Look::Vanished,
        Err(_) => return Look::Unread(path.clone()),
    };
    if bytes[..bytes.len().min(BINARY_HEAD)].contains(&0) {
        return Look::Binary;
    }
    let text = String::from_utf8_lossy(&bytes);
    // Most files end here.
    if !pattern.regex.is_match(&text) {
        return Look::Searched(Vec::new());
    }
    Look::Searched(act(path, &redact::redact(path, &text).0))
}

fn shorten(line: &str) -> String {
    match line.char_indices().nth(MAX_LINE_CHARS) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_match_as_grep_has_it() {
        let text = "fn a() {\r\n    b.c();\n}\n\nfn ab() {}";
        let cases: &[(&str, Result<Pattern, String>, &[usize])] = &[
            ("literal", Pattern::literal("b.c()"), &[1]),
            ("nothing special in a literal", Pattern::literal(".*"), &[]),
            ("over two lines", Pattern::literal("}\n\nfn"), &[2]),
            ("expression", Pattern::regex(r"^fn \w+\("), &[0, 4]),
            ("the end is before a carriage return", Pattern::regex(r"\{$"), &[0]),
            ("blank space does not swallow lines", Pattern::regex(r"\s*\w*b"), &[1, 4]),
            ("a line break that is named", Pattern::regex(r"\}\n\s*fn"), &[2]),
        ];
        for (what, pattern, expected) in cases {
            let pattern = pattern.as_ref().expect("a pattern");
            assert_eq!(pattern.lines(text), *expected, "{what}");
        }
        assert!(Pattern::regex("a(").is_err());
    }

    #[test]
    fn names_stand_alone_and_may_be_qualified() {
        let symbol = |full_name: &str| Outlined {
            lines: (1, 1),
            kind: "method",
            name: last_name(full_name).to_owned(),
            full_name: full_name.to_owned(),
            signature: String::new(),
            depth: 1,
        };
        let cases =
            [("b", "A::b", true), ("A::b", "m::A::b", true), ("A.b", "A::b", true), ("B::b", "A::b", false)];
        for (name, full_name, expected) in cases {
            assert_eq!(is_named(&symbol(full_name), name), expected, "{name} {full_name}");
        }
        assert_eq!(Pattern::regex(&word("b")).expect("a pattern").lines("ab\nb(\n"), [1]);
        assert_eq!(Pattern::regex(&word("b!")).expect("a pattern").lines("ab!\nb!(\n"), [1]);
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        assert_eq!(shorten(&"é".repeat(1000)).chars().count(), MAX_LINE_CHARS + 1);
    }
}
