//! The paths that git tracks: the index file, whichever way it is written
//! (versions 2 to 4, split, sparse), as one sorted list.
//!
//! Says nothing about what is on disk. The index is only read; its stat data and
//! flags other than skip-worktree are not consulted.

use std::ops::Range;
use std::os::fd::OwnedFd;
use std::path::Path;

use bstr::{BStr, BString, ByteSlice};
use gix::ObjectId;
use gix::index::entry::{Flags, Mode};
use gix::objs::tree::EntryKind;

use super::GitError;
use super::open::reason;
use super::read::open_dir;

/// A tracked path.
pub(super) struct Entry {
    pub path: BString,
    /// A commit of another repository: a submodule.
    pub gitlink: bool,
    /// The object of a file that sparse checkout keeps from the disk.
    pub skipped: Option<ObjectId>,
}

/// All tracked paths in byte order, each once.
pub(super) struct Tracked {
    entries: Vec<Entry>,
    /// The index as read, for what needs more than paths.
    pub index: gix::index::File,
}

impl Tracked {
    /// Reads the index. `born` tells whether HEAD has a commit: only where it has
    /// none may the index file be missing.
    pub(super) fn load(
        repo: &gix::Repository,
        root: &Path,
        root_fd: &OwnedFd,
        born: impl Fn() -> bool,
    ) -> Result<Tracked, GitError> {
        let path = repo.index_path();
        let index = match std::fs::symlink_metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && born() => {
                return Err(GitError::IndexMissing { path, root: root.to_owned() });
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                gix::index::File::from_state(gix::index::State::new(repo.object_hash()), path)
            }
            Err(source) => return Err(GitError::Io { path, source }),
            Ok(_) => repo.open_index().map_err(|error| GitError::IndexCorrupt {
                path,
                root: root.to_owned(),
                reason: reason(&error),
            })?,
        };
        let mut entries: Vec<Entry> = Vec::with_capacity(index.entries().len());
        for entry in index.entries() {
            let path = entry.path(&index);
            let skip = entry.flags.contains(Flags::SKIP_WORKTREE);
            if entry.mode == Mode::DIR {
                expand(repo, root, root_fd, path, entry.id, &mut entries)?;
            } else if entries.last().is_none_or(|last| last.path != path) {
                // A conflict has up to three stages of one path.
                entries.push(Entry {
                    path: path.to_owned(),
                    gitlink: entry.mode == Mode::COMMIT,
                    skipped: skip.then_some(entry.id),
                });
            }
        }
        // A damaged index, or names that no worktree path can have.
        if !entries.is_sorted_by(|a, b| a.path < b.path) {
            return Err(GitError::IndexCorrupt {
                path: repo.index_path(),
                root: root.to_owned(),
                reason: "its entries are not in order".to_owned(),
            });
        }
        Ok(Tracked { entries, index })
    }

    pub(super) fn all(&self) -> Range<usize> {
        0..self.entries.len()
    }

    /// The entry at `path`, looked for in `range`.
    pub(super) fn find(&self, range: &Range<usize>, path: &BStr) -> Option<&Entry> {
        let entries = &self.entries[range.clone()];
        let at = entries.binary_search_by(|entry| entry.path.as_bstr().cmp(path)).ok()?;
        Some(&entries[at])
    }

    /// The entries below the directory `path`, looked for in `range`.
    pub(super) fn below(&self, range: &Range<usize>, path: &BStr) -> Range<usize> {
        let entries = &self.entries[range.clone()];
        let order = |entry: &Entry| {
            // Compares `entry` with the prefix `path/`: equal is "below it".
            let head = &entry.path[..entry.path.len().min(path.len())];
            head.as_bstr().cmp(path).then_with(|| match entry.path.get(path.len()) {
                None => std::cmp::Ordering::Less,
                Some(byte) => byte.cmp(&b'/'),
            })
        };
        let start = entries.partition_point(|entry| order(entry).is_lt());
        let len = entries[start..].partition_point(|entry| order(entry).is_eq());
        range.start + start..range.start + start + len
    }
}

/// A sparse index has one entry for a directory that is not checked out. Where
/// the directory is there nevertheless, git takes its files for tracked.
fn expand(
    repo: &gix::Repository,
    root: &Path,
    root_fd: &OwnedFd,
    dir: &BStr,
    tree: ObjectId,
    entries: &mut Vec<Entry>,
) -> Result<(), GitError> {
    let dir = dir.strip_suffix(b"/").unwrap_or(dir).as_bstr();
    if open_dir(root_fd, dir).is_err() {
        return Ok(());
    }
    let failed = |id: ObjectId, dir: &BStr, reason: String| GitError::Object {
        root: root.to_owned(),
        id: id.to_string(),
        what: format!("tree of the sparse directory `{dir}`"),
        reason,
    };
    // Depth first in tree order is byte order of the full paths.
    let mut stack = vec![(BString::from(dir), tree, EntryKind::Tree)];
    while let Some((path, id, kind)) = stack.pop() {
        if kind != EntryKind::Tree {
            entries.push(Entry { path, gitlink: kind == EntryKind::Commit, skipped: Some(id) });
            continue;
        }
        let object = repo.find_tree(id).map_err(|error| failed(id, path.as_bstr(), reason(&error)))?;
        let start = stack.len();
        for child in object.iter() {
            let child = child.map_err(|error| failed(id, path.as_bstr(), error.to_string()))?;
            let mut full = path.clone();
            full.push(b'/');
            full.extend_from_slice(child.filename());
            stack.push((full, child.oid().to_owned(), child.kind()));
        }
        stack[start..].reverse();
    }
    Ok(())
}
