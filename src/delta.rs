//! Manifest × listing → [`Delta`]. Pure.
//!
//! The judge of what must be looked at: neither events nor git's own diff are
//! consulted. What has the same trusted signature is unchanged; all else is hashed.

use std::cmp::Ordering;

use crate::git::{FileEntry, Listing};
use crate::manifest::{FileRecord, FileState, Manifest};
use crate::path::RepoPath;
use crate::skip::SkipReason;

/// What must be done about one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Not in the manifest.
    Added(FileEntry),
    /// In the manifest with another or no trusted signature, skip or tracked flag: hash it to know.
    Suspect(FileEntry),
    /// In the manifest, no longer shown by git.
    Removed(RepoPath),
}

impl Change {
    /// The path that it is about.
    pub fn path(&self) -> &RepoPath {
        match self {
            Change::Added(entry) | Change::Suspect(entry) => &entry.path,
            Change::Removed(path) => path,
        }
    }
}

/// All changes, sorted by path, one per path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// The changes.
    pub changes: Vec<Change>,
    /// Files whose trusted signature is unchanged.
    pub unchanged: u64,
    /// Files in the manifest whose directory could not be read: kept as they are.
    pub kept: u64,
}

/// Compares; linear in both. `listing.entries` must be sorted by path, as
/// [`crate::git::Worktree::list`] returns them.
pub fn diff(manifest: &Manifest, listing: &Listing) -> Delta {
    let mut delta = Delta::default();
    let mut records = manifest.iter().peekable();
    let mut entries = listing.entries.iter().peekable();
    loop {
        let order = match (records.peek(), entries.peek()) {
            (None, None) => return delta,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((path, _)), Some(entry)) => (*path).cmp(&entry.path),
        };
        let record = if order.is_le() { records.next() } else { None };
        let entry = if order.is_ge() { entries.next() } else { None };
        match (record, entry) {
            (Some((_, record)), Some(entry)) if is_unchanged(record, entry) => delta.unchanged += 1,
            (Some(_), Some(entry)) => delta.changes.push(Change::Suspect(entry.clone())),
            (None, Some(entry)) => delta.changes.push(Change::Added(entry.clone())),
            (Some((path, _)), None) if is_hidden(path, listing) => delta.kept += 1,
            (Some((path, _)), None) => delta.changes.push(Change::Removed(path.clone())),
            (None, None) => return delta,
        }
    }
}

fn is_unchanged(record: &FileRecord, entry: &FileEntry) -> bool {
    record.stat == Some(entry.stat) && record.tracked == entry.tracked && skip_agrees(record, entry.skip)
}

/// Whether the listing says of a file what it said when the record was made. A
/// reason found by name, size or content is not the listing's to confirm.
fn skip_agrees(record: &FileRecord, listed: Option<SkipReason>) -> bool {
    match (&record.state, listed) {
        (FileState::Indexed { .. }, listed) => listed.is_none(),
        (FileState::Skipped(recorded), Some(listed)) => *recorded == listed,
        (FileState::Skipped(recorded), None) => match recorded {
            SkipReason::Symlink
            | SkipReason::Submodule
            | SkipReason::Special
            | SkipReason::IndexerIgnored
            | SkipReason::Vendored => false,
            // By attribute, without a look inside, or by a marker found in it.
            SkipReason::Generated => record.content.is_some(),
            _ => true,
        },
    }
}

fn is_hidden(path: &RepoPath, listing: &Listing) -> bool {
    let unreadable = &listing.unreadable;
    !unreadable.is_empty()
        && path.ancestors().any(|dir| unreadable.binary_search_by(|(at, _)| at.as_bstr().cmp(dir)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ContentHash;
    use crate::language::Language;
    use crate::manifest::Stat;
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    fn stat(n: u8) -> Stat {
        Stat { mtime_ns: i64::from(n), ctime_ns: 1, size: 2, inode: 3 }
    }

    fn path(text: &str) -> RepoPath {
        RepoPath::new(text).expect("well-formed")
    }

    fn entry(at: &str) -> FileEntry {
        FileEntry { path: path(at), stat: stat(1), tracked: true, skip: None }
    }

    fn record() -> FileRecord {
        let language = Language::of(&path("a.rs"));
        FileRecord {
            content: Some(ContentHash::of(b"x")),
            stat: Some(stat(1)),
            tracked: true,
            state: FileState::Indexed { language, chunks: Vec::new() },
        }
    }

    fn skipped(reason: SkipReason, read: bool) -> FileRecord {
        let content = read.then(|| ContentHash::of(b"x"));
        FileRecord { content, state: FileState::Skipped(reason), ..record() }
    }

    fn changes(record: FileRecord, entry: FileEntry) -> usize {
        let manifest = Manifest::from([(entry.path.clone(), record)]);
        diff(&manifest, &Listing { entries: vec![entry], ..Listing::default() }).changes.len()
    }

    #[test]
    fn what_makes_a_file_suspect() {
        let untracked = FileEntry { tracked: false, ..entry("a") };
        let listed = |reason| FileEntry { skip: Some(reason), ..entry("a") };
        let with = |change: fn(&mut Stat)| {
            let mut other = entry("a");
            change(&mut other.stat);
            other
        };
        let cases = [
            ("same", record(), entry("a"), 0),
            ("racily clean", FileRecord { stat: None, ..record() }, entry("a"), 1),
            ("mtime", record(), with(|s| s.mtime_ns += 1), 1),
            ("ctime: atomic save, cp -p, swap", record(), with(|s| s.ctime_ns += 1), 1),
            ("inode: replaced", record(), with(|s| s.inode += 1), 1),
            ("size", record(), with(|s| s.size += 1), 1),
            ("rm --cached", record(), untracked, 1),
            ("now a symlink", record(), listed(SkipReason::Symlink), 1),
            ("now .indexerignored", record(), listed(SkipReason::IndexerIgnored), 1),
            (
                "still .indexerignored",
                skipped(SkipReason::IndexerIgnored, false),
                listed(SkipReason::IndexerIgnored),
                0,
            ),
            ("no longer .indexerignored", skipped(SkipReason::IndexerIgnored, false), entry("a"), 1),
            ("attribute linguist-generated gone", skipped(SkipReason::Generated, false), entry("a"), 1),
            ("generated by its head", skipped(SkipReason::Generated, true), entry("a"), 0),
            ("lock file, by name", skipped(SkipReason::LockFile, false), entry("a"), 0),
            ("binary, by content", skipped(SkipReason::Binary, true), entry("a"), 0),
            ("binary, now vendored", skipped(SkipReason::Binary, true), listed(SkipReason::Vendored), 1),
        ];
        for (name, record, entry, expected) in cases {
            assert_eq!(changes(record, entry), expected, "{name}");
        }
    }

    #[test]
    fn deleting_one_of_two_identical_files_removes_that_one() {
        let manifest = Manifest::from([(path("a"), record()), (path("b"), record())]);
        let delta = diff(&manifest, &Listing { entries: vec![entry("b")], ..Listing::default() });
        assert_eq!((delta.changes, delta.unchanged), (vec![Change::Removed(path("a"))], 1));
    }

    #[test]
    fn files_below_an_unreadable_directory_keep_their_state() {
        let manifest = Manifest::from(["d-e", "d/x/y", "d0", "d/z"].map(|at| (path(at), record())));
        let listing = Listing { unreadable: vec![(path("d"), "denied".to_owned())], ..Listing::default() };
        let delta = diff(&manifest, &listing);
        assert_eq!(delta.changes, [Change::Removed(path("d-e")), Change::Removed(path("d0"))]);
        assert_eq!((delta.kept, delta.unchanged), (2, 0));
    }

    proptest! {
        /// Against the obvious definition, one path at a time.
        #[test]
        fn agrees_with_set_operations(
            known in btree_map("[ab/]{1,4}", (0u8..3, any::<bool>()), 0..12),
            shown in btree_map("[ab/]{1,4}", (0u8..2, any::<bool>()), 0..12),
        ) {
            let known: Manifest = known.into_iter().filter_map(|(at, (n, tracked))| {
                let signature = (n < 2).then(|| stat(n));
                Some((RepoPath::new(at)?, FileRecord { stat: signature, tracked, ..record() }))
            }).collect();
            let entries: Vec<FileEntry> = shown.into_iter().filter_map(|(at, (n, tracked))| {
                Some(FileEntry { path: RepoPath::new(at)?, stat: stat(n), tracked, skip: None })
            }).collect();
            let listing = Listing { entries, ..Listing::default() };
            let delta = diff(&known, &listing);
            prop_assert!(delta.changes.is_sorted_by(|a, b| a.path() < b.path()));
            let mut unchanged = 0;
            for entry in &listing.entries {
                let expected = match known.get(&entry.path) {
                    None => Some(Change::Added(entry.clone())),
                    Some(r) if r.stat == Some(entry.stat) && r.tracked == entry.tracked => { unchanged += 1; None }
                    Some(_) => Some(Change::Suspect(entry.clone())),
                };
                let found = delta.changes.iter().find(|change| *change.path() == entry.path);
                prop_assert_eq!(found, expected.as_ref());
            }
            prop_assert_eq!(delta.unchanged, unchanged);
            let gone = known.keys().filter(|at| !listing.entries.iter().any(|e| e.path == **at)).count();
            let removed = delta.changes.iter().filter(|change| matches!(change, Change::Removed(_))).count();
            prop_assert_eq!(removed, gone);
        }
    }
}
