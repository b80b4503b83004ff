//! `linguist-generated` and `linguist-vendored` from gitattributes(5).
//!
//! Asking for every file costs as much as the listing itself, and few
//! repositories use them: it is asked only where some source names them.

use std::path::Path;

use bstr::ByteSlice;
use gix::attrs::StateRef;
use gix::worktree::stack::state::attributes::Source;

use super::open::reason;
use super::read::read_configured;
use super::{FileEntry, GitError};
use crate::skip::SkipReason;

const NAMES: [(&str, SkipReason); 2] =
    [("linguist-generated", SkipReason::Generated), ("linguist-vendored", SkipReason::Vendored)];

/// Whether an attributes file says anything that matters here.
pub(super) fn mentions(bytes: &[u8]) -> bool {
    bytes.contains_str("linguist-")
}

/// Whether an attributes file outside the worktree's own says anything that matters here.
pub(super) fn mentioned_globally(repo: &gix::Repository, root: &Path) -> Result<bool, GitError> {
    let mut paths = repo.attribute_global_paths().map_err(|error| config(root, &error))?;
    paths.push(repo.common_dir().join("info/attributes"));
    for path in paths {
        match read_configured(&path) {
            Ok(Some(bytes)) if mentions(&bytes) => return Ok(true),
            Ok(_) => {}
            Err(source) => return Err(GitError::Io { path, source }),
        }
    }
    Ok(false)
}

/// Sets the skip reason of those `entries` that have none yet.
pub(super) fn apply(
    repo: &gix::Repository,
    root: &Path,
    index: &gix::index::State,
    entries: &mut [FileEntry],
) -> Result<(), GitError> {
    let failed = |error: gix::Error| config(root, &error);
    let mut stack = repo.attributes_only(index, Source::WorktreeThenIdMapping).map_err(failed)?;
    let mut found = stack.selected_attribute_matches(NAMES.iter().map(|(name, _)| *name));
    for entry in entries.iter_mut().filter(|entry| entry.skip.is_none()) {
        found.reset();
        let platform =
            stack.at_entry(entry.path.as_bstr(), Some(gix::index::entry::Mode::FILE)).map_err(failed)?;
        if !platform.matching_attributes(&mut found) {
            continue;
        }
        entry.skip = found.iter_selected().find_map(|matched| {
            let on = match matched.assignment.state {
                StateRef::Set => true,
                StateRef::Value(value) => value.as_bstr() == "true",
                StateRef::Unset | StateRef::Unspecified => false,
            };
            let name = matched.assignment.name.as_str();
            NAMES.iter().find(|(of, _)| on && *of == name).map(|(_, reason)| *reason)
        });
    }
    Ok(())
}

fn config(root: &Path, error: &gix::Error) -> GitError {
    GitError::Config { root: root.to_owned(), key: "core.attributesFile", reason: reason(error) }
}
