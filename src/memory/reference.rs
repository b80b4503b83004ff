//! References to code: which lines of which file were meant, and what became of them.
//!
//! Reads files of a worktree, never through a link, and never git's own. What a
//! reference keeps is a hash: it holds nothing of the text.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::MemoryError;
use super::stored;
use crate::git::{ReadError, read_file};
use crate::id::ContentHash;
use crate::path::{AbsPath, RepoPath};

/// The largest file that is read for a reference, in bytes.
const MAX_FILE: u64 = 16 << 20;
/// References that are found in a content at most; those that are given are not counted.
const MAX_FOUND: usize = 32;
/// Words of a content that are looked at as paths.
const MAX_LOOKED_AT: usize = 512;

/// A place in the code, as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// The file.
    #[serde(with = "stored::repo_path")]
    pub path: RepoPath,
    /// First and last line, from 1; `None` for the whole file.
    pub lines: Option<(u32, u32)>,
    /// Length of those lines in bytes, without the last line's end.
    pub bytes: u64,
    /// BLAKE3 of those bytes.
    #[serde(with = "stored::hash")]
    pub hash: ContentHash,
}

/// What became of a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferenceState {
    /// The lines are what they were, where they were.
    Unchanged,
    /// They are elsewhere in the file: first and last line.
    Moved(u32, u32),
    /// The file has them no longer.
    Changed,
    /// There is no such file.
    Gone,
}

impl ReferenceState {
    /// Stable name.
    pub fn name(self) -> &'static str {
        match self {
            ReferenceState::Unchanged => "unchanged",
            ReferenceState::Moved(..) => "moved",
            ReferenceState::Changed => "changed",
            ReferenceState::Gone => "gone",
        }
    }
}

/// A place as it is written: `src/a.rs`, `src/a.rs:10` or `src/a.rs:10-40`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The file.
    pub path: RepoPath,
    /// First and last line, from 1.
    pub lines: Option<(u32, u32)>,
}

impl Place {
    /// Reads a place, from the worktree's root; `None` where it cannot be one.
    pub fn parse(text: &str) -> Option<Place> {
        let (path, lines) = match text.rsplit_once(':') {
            Some((path, lines)) => match parse_lines(lines) {
                Some(lines) => (path, Some(lines)),
                None => (text, None),
            },
            None => (text, None),
        };
        let path = RepoPath::new(path.strip_prefix("./").unwrap_or(path))?;
        let of_git = path.as_bytes() == b".git" || path.as_bytes().starts_with(b".git/");
        let in_order = lines.is_none_or(|(first, last)| 1 <= first && first <= last);
        (!of_git && in_order).then_some(Place { path, lines })
    }
}

fn parse_lines(text: &str) -> Option<(u32, u32)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some((first.parse().ok()?, last.parse().ok()?))
}

/// Files of one worktree, each read once.
pub(super) struct Files<'a> {
    root: &'a AbsPath,
    read: HashMap<RepoPath, Result<Vec<u8>, Unreadable>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Unreadable {
    Gone,
    Other,
}

impl<'a> Files<'a> {
    /// The files below `root`.
    pub(super) fn new(root: &'a AbsPath) -> Files<'a> {
        Files { root, read: HashMap::new() }
    }

    /// The reference to a place, as it is now.
    ///
    /// # Errors
    /// [`MemoryError::Reference`] where there is no such file, or not so many lines.
    pub(super) fn refer(&mut self, place: &Place) -> Result<Reference, MemoryError> {
        let failed = |reason: String| MemoryError::Reference { place: place.path.to_string(), reason };
        let bytes = match self.bytes(&place.path) {
            Ok(bytes) => bytes,
            Err(Unreadable::Gone) => return Err(failed("there is no such file in the worktree".to_owned())),
            Err(Unreadable::Other) => {
                return Err(failed(format!("it is no file of at most {MAX_FILE} bytes that can be read")));
            }
        };
        let lines = Lines::of(bytes);
        let span = match place.lines {
            None => bytes,
            Some((first, last)) => lines
                .span(first, last)
                .ok_or_else(|| failed(format!("it has {} lines, not {last}", lines.count())))?,
        };
        Ok(Reference {
            path: place.path.clone(),
            lines: place.lines,
            bytes: span.len() as u64,
            hash: ContentHash::of(span),
        })
    }

    /// References to the files of this worktree that `content` names, in the order of their
    /// names, bounded.
    pub(super) fn find(&mut self, content: &str) -> Vec<Reference> {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        let words = content.split(|c: char| c.is_whitespace() || "\"'`<>()[]{},;|*".contains(c));
        // Most words are none; a name alone would be any word that is a file's by chance.
        let named = words.filter(|word| word.contains(['/', '.']) && !word.contains("://"));
        for word in named.map(|word| word.trim_end_matches(['.', ':', '!', '?'])) {
            let Some(place) = Place::parse(word) else { continue };
            if !seen.insert(place.clone()) {
                continue;
            }
            if seen.len() > MAX_LOOKED_AT || found.len() == MAX_FOUND {
                break;
            }
            found.extend(self.refer(&place).ok());
        }
        found
    }

    /// What became of a reference.
    pub(super) fn state(&mut self, reference: &Reference) -> ReferenceState {
        match self.bytes(&reference.path) {
            Ok(bytes) => state_in(bytes, reference),
            Err(Unreadable::Gone) => ReferenceState::Gone,
            Err(Unreadable::Other) => ReferenceState::Changed,
        }
    }

    fn bytes(&mut self, path: &RepoPath) -> Result<&[u8], Unreadable> {
        let root = self.root;
        let read = self.read.entry(path.clone()).or_insert_with(|| match read_file(root, path, MAX_FILE) {
            Ok(contents) => Ok(contents.bytes),
            Err(ReadError::Vanished(_) | ReadError::NotAFile { .. }) => Err(Unreadable::Gone),
            Err(_) => Err(Unreadable::Other),
        });
        read.as_deref().map_err(|why| *why)
    }
}

/// What became of a reference in a file that has these bytes now.
fn state_in(bytes: &[u8], reference: &Reference) -> ReferenceState {
    let same = |span: &[u8]| span.len() as u64 == reference.bytes && ContentHash::of(span) == reference.hash;
    let Some((first, last)) = reference.lines else {
        return if same(bytes) { ReferenceState::Unchanged } else { ReferenceState::Changed };
    };
    let lines = Lines::of(bytes);
    if lines.span(first, last).is_some_and(same) {
        return ReferenceState::Unchanged;
    }
    // Only a span of the same length can be it, so that few are hashed.
    let more = last - first;
    let found = (1..=lines.count().saturating_sub(more))
        .filter(|start| lines.span(*start, start + more).is_some_and(same))
        .min_by_key(|start| start.abs_diff(first));
    match found {
        Some(start) => ReferenceState::Moved(start, start + more),
        None => ReferenceState::Changed,
    }
}

/// Where the lines of a text are.
struct Lines<'a> {
    bytes: &'a [u8],
    /// Start and end of each, its `\n` left out.
    ends: Vec<(usize, usize)>,
}

impl<'a> Lines<'a> {
    fn of(bytes: &'a [u8]) -> Lines<'a> {
        let mut ends = Vec::new();
        let mut start = 0;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let end = start + line.len();
            ends.push((start, if line.ends_with(b"\n") { end - 1 } else { end }));
            start = end;
        }
        Lines { bytes, ends }
    }

    fn count(&self) -> u32 {
        u32::try_from(self.ends.len()).unwrap_or(u32::MAX)
    }

    /// The bytes of some lines, from 1, without the last one's end.
    fn span(&self, first: u32, last: u32) -> Option<&'a [u8]> {
        let start = self.ends.get(first.checked_sub(1)? as usize)?.0;
        let end = self.ends.get(last.checked_sub(1)? as usize)?.1;
        self.bytes.get(start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_as_they_are_written() {
        for (text, expected) in [
            ("src/a.rs", Some(("src/a.rs", None))),
            ("./src/a.rs:7", Some(("src/a.rs", Some((7, 7))))),
            ("src/a.rs:10-40", Some(("src/a.rs", Some((10, 40))))),
            ("odd:name", Some(("odd:name", None))),
            ("a:1-x", Some(("a:1-x", None))),
            ("src/a.rs:0", None),
            ("src/a.rs:9-8", None),
            ("../a.rs", None),
            ("/etc/passwd", None),
            (".git/config", None),
            ("", None),
            (":3", None),
        ] {
            let place = Place::parse(text);
            let found = place.as_ref().map(|place| (place.path.to_str().unwrap(), place.lines));
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn what_became_of_lines() {
        use ReferenceState::{Changed, Moved, Unchanged};
        let before = b"one\ntwo\nthree\nfour\n";
        let reference = |lines: Option<(u32, u32)>| {
            let span = lines.map_or(Some(&before[..]), |(first, last)| Lines::of(before).span(first, last));
            let span = span.unwrap();
            let path = RepoPath::new("a").unwrap();
            Reference { path, lines, bytes: span.len() as u64, hash: ContentHash::of(span) }
        };
        for (lines, now, expected) in [
            (Some((2, 3)), &b"one\ntwo\nthree\nfour\n"[..], Unchanged),
            (Some((2, 3)), b"ONE!\ntwo\nthree\n", Unchanged),
            (Some((2, 3)), b"zero\none\ntwo\nthree\nfour\n", Moved(3, 4)),
            (Some((2, 3)), b"two\nthree", Moved(1, 2)),
            // The nearest of several.
            (Some((2, 2)), b"two\n.\n.\n.\ntwo\n", Moved(1, 1)),
            (Some((2, 3)), b"one\ntwo\n\nthree\n", Changed),
            (Some((2, 3)), b"one\ntwo \nthree\n", Changed),
            (Some((2, 3)), b"", Changed),
            (None, before, Unchanged),
            (None, b"one\n", Changed),
        ] {
            let found = state_in(now, &reference(lines));
            assert_eq!(found, expected, "{lines:?} in {:?}", String::from_utf8_lossy(now));
        }
    }

    #[test]
    fn files_are_found_by_name_and_none_is_read_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let root = AbsPath::new(dir.path().canonicalize().unwrap().join("tree")).unwrap();
        std::fs::create_dir_all(root.as_path().join("src")).unwrap();
        std::fs::create_dir_all(root.as_path().join(".git")).unwrap();
        for (path, text) in
            [("src/a.rs", "1\n2\n3\n"), ("README.md", "x"), (".git/config", "y"), ("../out", "z")]
        {
            std::fs::write(root.as_path().join(path), text).unwrap();
        }
        std::os::unix::fs::symlink("../out", root.as_path().join("link.txt")).unwrap();
        let mut files = Files::new(&root);
        let found = files.find(
            "See `src/a.rs:2-3`, (README.md). And src/a.rs, src/a.rs! Not ../out, link.txt, .git/config, \
             src, src/b.rs, src/a.rs:3-9, https://example.org/README.md",
        );
        let shown = |reference: &Reference| format!("{} {:?}", reference.path, reference.lines);
        assert_eq!(
            found.iter().map(shown).collect::<Vec<_>>(),
            ["src/a.rs Some((2, 3))", "README.md None", "src/a.rs None"]
        );
        let many: String = (0..2000).map(|n| format!("src/{n}.rs ")).collect();
        assert_eq!(files.find(&format!("{many} README.md")), [], "a bounded number of words is looked at");

        let place = |text| Place::parse(text).unwrap();
        let error = files.refer(&place("src/a.rs:2-4")).unwrap_err().to_string();
        assert!(error.contains("3 lines"), "{error}");
        for wrong in ["src", "link.txt", "nowhere"] {
            let error = files.refer(&place(wrong)).unwrap_err().to_string();
            assert!(error.contains(wrong) && error.contains("no such file"), "{error}");
        }
        assert_eq!(files.state(&found[0]), ReferenceState::Unchanged);
        std::fs::remove_file(root.as_path().join("src/a.rs")).unwrap();
        assert_eq!(Files::new(&root).state(&found[0]), ReferenceState::Gone);
    }
}
