//! How fresh an index is: by signatures, and by a look at the few files whose
//! signature cannot tell.

use std::collections::HashSet;

use super::{IndexError, IndexState};
use crate::delta::{self, Change};
use crate::embed::Leg;
use crate::git::{FileEntry, Head, Worktree, read_file};
use crate::id::{CollectionName, ContentHash, VectorKey};
use crate::manifest::{FileRecord, Manifest};
use crate::tenant::Database;

/// Files that are read at most, to tell an edit from a touch.
const READ_FILES: usize = 256;

/// What an answer from the index may be trusted for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// HEAD's commit when the index was last brought up to date.
    pub indexed_commit: Option<String>,
    /// HEAD now.
    pub head: Head,
    /// Files that differ from the index. Where very many have another signature it is an
    /// upper bound, as some may only have been touched.
    pub pending: u64,
    /// Whether a run has completed since the index was begun.
    pub complete: bool,
    /// By leg: vectors present and needed; `None` where the leg is off.
    pub vectors: [Option<(u64, u64)>; 2],
    /// By leg: fingerprint of the vectors that answer, where another model is taking over; those
    /// present are then the other one's, as the last run left them.
    pub replaces: [Option<String>; 2],
}

impl Freshness {
    /// Looks at the worktree and the collection; `None` where it is not indexed.
    pub fn of(
        worktree: &Worktree,
        database: &Database,
        collection: &CollectionName,
    ) -> Result<Option<Freshness>, IndexError> {
        let snapshot = match database.snapshot(collection) {
            Err(crate::store::StoreError::NotFound { .. }) => return Ok(None),
            other => other?,
        };
        let Some(state) = snapshot.state.as_deref().and_then(IndexState::from_json) else { return Ok(None) };
        let (mut vectors, mut replaces) = ([None, None], [None, None]);
        for leg in Leg::ALL {
            let Some((answers, _)) = &snapshot.legs[leg.index()] else { continue };
            let needed = needed(&snapshot.manifest, leg);
            let found = match &state.replacements[leg.index()] {
                Some(replacement) => {
                    replaces[leg.index()] = Some(answers.0.clone());
                    replacement.vectors.min(needed.len() as u64)
                }
                None => {
                    let present = database.vector_keys(collection, leg)?;
                    needed.iter().filter(|key| present.contains(*key)).count() as u64
                }
            };
            vectors[leg.index()] = Some((found, needed.len() as u64));
        }
        let delta = delta::diff(&snapshot.manifest, &worktree.list()?);
        let mut reads = 0..READ_FILES;
        let pending = delta.changes.iter().filter(|change| match change {
            Change::Suspect(entry) if reads.next().is_some() => {
                !only_touched(worktree, &snapshot.manifest, entry)
            }
            _ => true,
        });
        let pending = pending.count() as u64;
        Ok(Some(Freshness {
            indexed_commit: state.commit,
            head: worktree.head()?,
            pending,
            complete: state.complete,
            vectors,
            replaces,
        }))
    }

    /// Whether the index is what is on disk, as far as signatures tell.
    pub fn is_fresh(&self) -> bool {
        self.complete && self.pending == 0
    }
}

/// Whether the file still has the content that was indexed.
fn only_touched(worktree: &Worktree, manifest: &Manifest, entry: &FileEntry) -> bool {
    let Some(FileRecord { content: Some(content), tracked, .. }) = manifest.get(&entry.path) else {
        return false;
    };
    let read = || read_file(worktree.root(), &entry.path, entry.stat.size).ok();
    entry.skip.is_none()
        && *tracked == entry.tracked
        && read().is_some_and(|read| ContentHash::of(&read.bytes) == *content)
}

/// Distinct keys that a manifest's chunks need vectors of.
pub(super) fn needed(manifest: &Manifest, leg: Leg) -> HashSet<VectorKey> {
    manifest.values().flat_map(FileRecord::chunks).filter_map(|chunk| chunk.vectors[leg.index()]).collect()
}
