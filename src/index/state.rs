//! What a collection says of itself: which format, options and commit it
//! was made from. Stored beside the manifest as JSON, opaque to the store.

use serde::{Deserialize, Serialize};

use super::outcome::FullReason;

/// Version of everything an index is a function of besides files, options and
/// models: chunk rules, term rules, state format.
///
/// - 1: first version.
pub const FORMAT_VERSION: u32 = 1;

/// State of a collection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexState {
    /// [`FORMAT_VERSION`] of the writer.
    pub format: u32,
    /// Digest of the options that decide what a chunk is.
    pub options: String,
    /// Of each dense leg that another model is to take over: how far that is.
    pub replacements: [Option<Replacement>; 2],
    /// Root of the worktree, for people (lossy).
    pub root: String,
    /// Identity of the git directory: another one at the same path is another worktree.
    pub identity: String,
    /// HEAD's commit when the last complete run listed the files.
    pub commit: Option<String>,
    /// HEAD's branch then.
    pub branch: Option<String>,
    /// When that run ended, seconds since the epoch. For people only.
    pub indexed_at: u64,
    /// Whether a run has completed since the index was begun.
    pub complete: bool,
}

/// A model whose vectors are computed while those of another one answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replacement {
    /// Fingerprint of the leg that is to be.
    pub model: String,
    /// How many of the vectors needed were there when it was last looked.
    pub vectors: u64,
}

impl IndexState {
    /// Parses what [`IndexState::to_json`] wrote.
    pub fn from_json(json: &str) -> Option<IndexState> {
        serde_json::from_str(json).ok()
    }

    /// The stored form.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Why an index with this state cannot be continued by a run that would
    /// write `new`; `None` where it can.
    pub fn full_reason(&self, new: &IndexState) -> Option<FullReason> {
        if self.format != new.format {
            Some(FullReason::Version)
        } else if self.options != new.options {
            Some(FullReason::Options)
        } else if self.identity != new.identity {
            Some(FullReason::Replaced)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons() {
        let state =
            IndexState { format: 1, options: "o".into(), identity: "i".into(), ..IndexState::default() };
        let with = |change: &dyn Fn(&mut IndexState)| {
            let mut other = state.clone();
            change(&mut other);
            state.full_reason(&other)
        };
        assert_eq!(with(&|s| s.commit = Some("c".into())), None);
        assert_eq!(with(&|s| s.format = 2), Some(FullReason::Version));
        assert_eq!(with(&|s| s.replacements[1] = Some(Replacement::default())), None);
        assert_eq!(with(&|s| s.options = "p".into()), Some(FullReason::Options));
        assert_eq!(with(&|s| s.identity = "j".into()), Some(FullReason::Replaced));
    }

    #[test]
    fn json_round_trips() {
        let state = IndexState { format: 1, commit: Some("c".into()), ..IndexState::default() };
        assert_eq!(IndexState::from_json(&state.to_json()), Some(state));
        assert_eq!(IndexState::from_json("{"), None);
    }
}
