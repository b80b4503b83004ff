//! What is indexed, how fresh it is, and what the daemon is doing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ByLeg, Failure, Head, Place, by_leg};
use crate::index;

/// The whole status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// The daemon; `None` where none runs.
    pub daemon: Option<DaemonStatus>,
    /// Worktrees, by root.
    pub worktrees: Vec<WorktreeStatus>,
    /// The embedding cache, where there is one.
    pub cache: Option<Cache>,
}

/// The embedding cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cache {
    /// Vectors in it.
    pub entries: u64,
    /// Bytes on disk.
    pub bytes: u64,
}

/// The daemon.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DaemonStatus {
    /// Process id.
    pub pid: u32,
    /// Version of the program.
    pub version: String,
    /// When it started, seconds since the epoch.
    pub started_at: u64,
    /// Watches in use and allowed.
    pub watches: Watches,
    /// The run in progress.
    pub running: Option<Running>,
    /// Why vectors are not being computed now, where that waits.
    pub backfill_paused: Option<String>,
    /// Where HTTP is spoken, such as `http://127.0.0.1:7461`; `None` where it is not.
    #[serde(default)]
    pub http: Option<String>,
}

/// Directories watched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Watches {
    /// In use.
    pub used: u64,
    /// At most.
    pub budget: u64,
}

/// A run in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Running {
    /// Of which worktree.
    pub root: Place,
    /// `list`, `files` or `vectors`.
    pub stage: String,
    /// Done of the stage.
    pub done: u64,
    /// All of the stage.
    pub total: u64,
}

/// One worktree.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WorktreeStatus {
    /// Its root.
    pub root: Place,
    /// `active`, `missing`, `retired`; `None` where it is not registered.
    pub state: Option<String>,
    /// Whether there is an index.
    pub indexed: bool,
    /// Database, where it is known.
    pub database: Option<String>,
    /// Collection, where it is known.
    pub collection: Option<String>,
    /// How fresh the index is.
    pub freshness: Option<Freshness>,
    /// Chunks.
    pub points: u64,
    /// Bytes on disk by part.
    pub bytes: BTreeMap<String, u64>,
    /// Why a run is queued; empty where none is.
    pub queued: Vec<String>,
    /// Milliseconds that the oldest change that was seen has not been searchable; `None` where
    /// all are.
    pub lag_ms: Option<u64>,
    /// What the daemon did for it since it started.
    pub counters: Counters,
    /// The last error, until a run succeeds.
    pub problem: Option<Problem>,
}

/// What a daemon did for a worktree since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counters {
    /// Runs that looked for changes.
    pub runs: u64,
    /// Of these, how many found any.
    pub changed: u64,
    /// Runs that only filled vectors.
    pub fills: u64,
    /// Looks that ended at the listing, as nothing had changed.
    pub polls: u64,
    /// Files parsed.
    pub parsed: u64,
    /// Vectors computed.
    pub embedded: u64,
    /// Vectors taken from the cache.
    pub cache_hits: u64,
    /// Milliseconds of the last run.
    pub last_ms: u64,
}

/// What went wrong, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The error.
    #[serde(flatten)]
    pub failure: Failure,
    /// Failures in a row.
    pub failures: u32,
    /// Seconds until the next try.
    pub retry_in_s: u64,
}

/// See [`index::Freshness`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Freshness {
    /// Whether the index is what is on disk, as far as is known.
    pub fresh: bool,
    /// HEAD's commit when the index was last brought up to date.
    pub indexed_commit: Option<String>,
    /// HEAD now.
    pub head: Head,
    /// Files known to differ from the index.
    pub pending: u64,
    /// Whether a run has completed since the index was begun.
    pub complete: bool,
    /// By leg: vectors there are, of those needed.
    pub vectors: ByLeg<Present>,
    /// How changes are seen; `None` where no daemon watches.
    pub watch: Option<Watch>,
}

/// How far a dense leg is filled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Present {
    /// Vectors there are.
    pub present: u64,
    /// Vectors needed.
    pub needed: u64,
    /// Fingerprint of the former model, where its vectors answer until all of the configured
    /// one's, which are those counted, are there.
    #[serde(default)]
    pub replaces: Option<String>,
}

/// How changes of a worktree are seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Watch {
    /// Directories watched.
    pub watched: u64,
    /// Directories that are not, and are looked at by the poll alone.
    pub unwatched: u64,
    /// The first of them.
    pub unwatched_paths: Vec<String>,
    /// Why; `None` where all are watched.
    pub reason: Option<String>,
    /// Seconds between two looks at the whole worktree.
    pub poll_seconds: u64,
}

impl From<&index::Freshness> for Freshness {
    fn from(freshness: &index::Freshness) -> Freshness {
        Freshness {
            fresh: freshness.is_fresh(),
            indexed_commit: freshness.indexed_commit.clone(),
            head: (&freshness.head).into(),
            pending: freshness.pending,
            complete: freshness.complete,
            vectors: by_leg(|leg| {
                let (present, needed) = freshness.vectors[leg.index()]?;
                Some(Present { present, needed, replaces: freshness.replaces[leg.index()].clone() })
            }),
            watch: None,
        }
    }
}

impl Freshness {
    /// One sentence for people and agents.
    pub fn sentence(&self) -> String {
        let short = |commit: &Option<String>| match commit {
            Some(id) => id.chars().take(10).collect(),
            None => "no commit".to_owned(),
        };
        let at = short(&self.indexed_commit);
        let mut text = match (self.pending, self.complete) {
            (_, false) => format!("partly indexed at {at}"),
            (0, true) if self.fresh => format!("fresh at {at}"),
            (0, true) => format!("indexed at {at}, and something may have changed since"),
            (1, true) => format!("indexed at {at}, 1 file may have changed since"),
            (pending, true) => format!("indexed at {at}, {pending} files may have changed since"),
        };
        if self.indexed_commit != self.head.commit {
            text.push_str(&format!(", HEAD is {}", short(&self.head.commit)));
        }
        for (leg, Present { present, needed, replaces }) in &self.vectors {
            let percent = present * 100 / needed.max(&1);
            match replaces {
                Some(former) => {
                    let name = former.split('@').next().unwrap_or_default();
                    text.push_str(&format!(
                        ", {leg} vectors are of the former model {name}, being replaced: {percent}%"
                    ));
                }
                None if present < needed => text.push_str(&format!(", {leg} vectors {percent}%")),
                None => {}
            }
        }
        match &self.watch {
            None if !self.fresh => text.push_str(" (`indexer once` brings it up to date)"),
            Some(Watch { reason: Some(reason), unwatched, poll_seconds, .. }) => text.push_str(&format!(
                ", {unwatched} directories not watched but polled every {poll_seconds} s: {reason}"
            )),
            _ => {}
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_claims_no_more_than_is_known() {
        let commit = Some("0123456789abcdef".to_owned());
        let fresh = Freshness {
            fresh: true,
            complete: true,
            indexed_commit: commit.clone(),
            head: Head { commit, ..Head::default() },
            watch: Some(Watch::default()),
            ..Freshness::default()
        };
        assert_eq!(fresh.sentence(), "fresh at 0123456789");
        let cases = [
            // A run failed, or one is under way.
            (Freshness { fresh: false, ..fresh.clone() }, "something may have changed"),
            (Freshness { fresh: false, pending: 2, ..fresh.clone() }, "2 files may have changed"),
            (Freshness { fresh: false, complete: false, ..fresh.clone() }, "partly indexed"),
            (Freshness { fresh: false, watch: None, ..fresh.clone() }, "`indexer once`"),
        ];
        for (freshness, expected) in cases {
            let sentence = freshness.sentence();
            assert!(sentence.contains(expected) && !sentence.contains("fresh at"), "{sentence}");
        }
        let with = |present, replaces: Option<&str>| Freshness {
            vectors: [(
                "text".to_owned(),
                Present { present, needed: 8, replaces: replaces.map(str::to_owned) },
            )]
            .into(),
            ..fresh.clone()
        };
        for (freshness, expected) in [
            (with(8, None), "fresh at 0123456789"),
            (with(2, None), "fresh at 0123456789, text vectors 25%"),
            (
                with(2, Some("m@1;8")),
                "fresh at 0123456789, text vectors are of the former model m, being replaced: 25%",
            ),
        ] {
            assert_eq!(freshness.sentence(), expected);
        }
    }
}
