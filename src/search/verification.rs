//! Whether what the index says is still on disk: the last word before a hit is
//! shown. Reads files of the worktree, never follows a link, never leaves the root.
//!
//! Must not rank, and must not trust times or sizes: only bytes.

use std::collections::HashMap;
use std::ops::Range;

use bstr::ByteSlice;

use crate::git;
use crate::id::ContentHash;
use crate::path::{AbsPath, RepoPath};
use crate::store::Point;

/// Files over this many bytes are not read; their hits are dropped. Such files
/// are not indexed by default either.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// Places that are hashed to find a moved text.
const MAX_PLACES: usize = 64;

/// What the disk says of a point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// The bytes are where the index says.
    Unchanged,
    /// The same bytes are elsewhere in the file.
    Moved {
        /// Byte range now.
        bytes: Range<u32>,
        /// First and last line now, from 1.
        lines: (u32, u32),
    },
    /// The file is gone, unreadable or says something else.
    Gone,
}

/// Files of one worktree, each read at most once.
pub struct Files<'a> {
    root: &'a AbsPath,
    read: HashMap<RepoPath, Option<Vec<u8>>>,
}

impl<'a> Files<'a> {
    /// Files below `root`, none read yet.
    pub fn new(root: &'a AbsPath) -> Files<'a> {
        Files { root, read: HashMap::new() }
    }

    /// Compares `point` with the disk.
    pub fn check(&mut self, point: &Point) -> Check {
        let root = self.root;
        let read = || git::read_file(root, &point.path, MAX_FILE_BYTES).ok().map(|file| file.bytes);
        let content = self.read.entry(point.path.clone()).or_insert_with(read);
        content.as_deref().map_or(Check::Gone, |content| check(content, point))
    }
}

/// Compares `point` with the content of its file.
pub fn check(content: &[u8], point: &Point) -> Check {
    let range = point.bytes.start as usize..point.bytes.end as usize;
    if content.get(range.clone()).is_some_and(|bytes| ContentHash::of(bytes) == point.hash) {
        return Check::Unchanged;
    }
    let start = if ContentHash::of(point.text.as_bytes()) == point.hash {
        nearest(content.find_iter(point.text.as_bytes()), range.start)
    } else {
        find_by_line(content, point, range.len())
    };
    match start {
        Some(start) => moved(content, start, range.len()),
        None => Check::Gone,
    }
}

fn nearest(places: impl Iterator<Item = usize>, wanted: usize) -> Option<usize> {
    places.min_by_key(|place| (place.abs_diff(wanted), *place))
}

/// Finds bytes whose stored text differs from them (redacted, or not UTF-8) by
/// their longest line that was stored as it is.
fn find_by_line(content: &[u8], point: &Point, length: usize) -> Option<usize> {
    let as_is = |line: &str| !line.contains("[REDACTED:") && !line.contains('\u{fffd}');
    let lines = point.text.lines().enumerate().filter(|(_, line)| as_is(line));
    let (index, anchor) = lines.max_by_key(|(index, line)| (line.len(), std::cmp::Reverse(*index)))?;
    if anchor.trim().is_empty() {
        return None;
    }
    let starts = content.find_iter(anchor.as_bytes()).take(MAX_PLACES).filter_map(|at| {
        let mut start = line_start(content, at);
        for _ in 0..index {
            start = line_start(content, start.checked_sub(1)?);
        }
        let bytes = content.get(start..start + length)?;
        (ContentHash::of(bytes) == point.hash).then_some(start)
    });
    nearest(starts, point.bytes.start as usize)
}

fn line_start(content: &[u8], at: usize) -> usize {
    content[..at].rfind_byte(b'\n').map_or(0, |newline| newline + 1)
}

fn moved(content: &[u8], start: usize, length: usize) -> Check {
    let count = |bytes: &[u8]| bytes.find_iter(b"\n").count();
    let bytes = &content[start..start + length];
    let first = count(&content[..start]) + 1;
    let last = first + count(bytes.strip_suffix(b"\n").unwrap_or(bytes));
    let narrow = |n: usize| u32::try_from(n).ok();
    match (narrow(start), narrow(start + length), narrow(first), narrow(last)) {
        (Some(start), Some(end), Some(first), Some(last)) => {
            Check::Moved { bytes: start..end, lines: (first, last) }
        }
        _ => Check::Gone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::PointId;
    use crate::language::Language;

    fn point(content: &str, wanted: &str, text: &str) -> Point {
        let start = content.find(wanted).expect("part of the content");
        let line = content[..start].matches('\n').count() as u32 + 1;
        Point {
            id: PointId([0; 16]),
            path: RepoPath::new("src/a.rs").expect("well-formed"),
            language: Language::Rust,
            kind: "function".to_owned(),
            symbol: None,
            container: None,
            signature: None,
            text: text.to_owned(),
            terms: Vec::new(),
            bytes: start as u32..(start + wanted.len()) as u32,
            lines: (line, line + wanted.trim_end().matches('\n').count() as u32),
            hash: ContentHash::of(wanted.as_bytes()),
            vectors: [None, None],
            attributes: Default::default(),
            time: None,
        }
    }

    const BEFORE: &str = "use x;\n\nfn a() {\n    1\n}\n\nfn b() {}\n";
    const A: &str = "fn a() {\n    1\n}\n";

    #[test]
    fn unchanged_moved_gone() {
        let a = point(BEFORE, A, A);
        assert_eq!(check(BEFORE.as_bytes(), &a), Check::Unchanged);
        let below = format!("// new\n// lines\n{BEFORE}");
        assert_eq!(check(below.as_bytes(), &a), Check::Moved { bytes: 24..41, lines: (5, 7) });
        assert_eq!(check(b"fn a() {}\n", &a), Check::Gone);
        assert_eq!(check(b"", &a), Check::Gone);
    }

    #[test]
    fn of_several_copies_the_nearest() {
        let a = point(BEFORE, A, A);
        let twice = format!("{A}{}{A}", "\n".repeat(10));
        assert_eq!(check(twice.as_bytes(), &a), Check::Moved { bytes: 0..17, lines: (1, 3) });
    }

    #[test]
    fn redacted_text_is_found_by_its_other_lines() {
        let wanted = "fn key() {\n    let key = \"hunter2\";\n    connect(key)\n}\n";
        let stored = wanted.replace("hunter2", "[REDACTED:password]");
        let file = format!("// head\n{wanted}");
        let key = point(&file, wanted, &stored);
        let end = 30 + wanted.len() as u32;
        let changed = format!("// one\n// two\n// three\n/////\n\n{wanted}");
        assert_eq!(check(changed.as_bytes(), &key), Check::Moved { bytes: 30..end, lines: (6, 9) });
        let other_secret = changed.replace("hunter2", "hunter3");
        assert_eq!(check(other_secret.as_bytes(), &key), Check::Gone);
    }

    #[test]
    fn links_and_other_kinds_are_not_read() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let root = AbsPath::new(dir.path().canonicalize().expect("exists")).expect("absolute");
        let write = |name: &str, text: &str| {
            let place = root.as_path().join(name);
            std::fs::create_dir_all(place.parent().expect("has one")).expect("created");
            std::fs::write(place, text).expect("written");
        };
        let link = |target: &str, name: &str| {
            std::os::unix::fs::symlink(target, root.as_path().join(name)).expect("linked");
        };
        write("real/a.rs", BEFORE);
        link("real", "linked");
        link("real/a.rs", "a.rs");
        std::fs::create_dir(root.as_path().join("folder")).expect("created");
        let cases = [
            ("real/a.rs", true),
            ("linked/a.rs", false),
            ("a.rs", false),
            ("folder", false),
            ("none", false),
        ];
        let mut files = Files::new(&root);
        for (path, readable) in cases {
            let mut a = point(BEFORE, A, A);
            a.path = RepoPath::new(path).expect("well-formed");
            let expected = if readable { Check::Unchanged } else { Check::Gone };
            assert_eq!(files.check(&a), expected, "{path}");
        }
    }
}
