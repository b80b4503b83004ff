//! What the daemon knows of one worktree between two runs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, watch};

use super::job::{Digest, Report};
use super::protocol::Reply;
use super::queue::{Cause, Queue};
use super::watch::Coverage;
use crate::config::WatchSettings;
use crate::embed::Leg;
use crate::engine::Workspace;
use crate::path::{AbsPath, RepoPath};
use crate::wire::{
    self, Counters, Failure, Freshness, Head, Place, Present, Problem, Watch, WorktreeStatus, by_leg,
};

/// Paths without effect that are remembered; beyond them all are forgotten.
const UNLISTED: usize = 4096;

/// A registered worktree that is there.
pub(super) struct Tracked {
    pub workspace: Option<Arc<Workspace>>,
    /// A listing at which there was nothing to do.
    pub settled: Option<Digest>,
    /// Paths whose changes have no effect, because git does not show them; with whether
    /// they are directories.
    unlisted: HashMap<RepoPath, bool>,
    known: Option<Known>,
    pub coverage: Option<Coverage>,
    pub counters: Counters,
    pub problem: Option<(Failure, u32, Instant)>,
    /// Number of the last request to wait for.
    requested: u64,
    /// Number up to which edits are covered.
    covered: watch::Sender<u64>,
    pub orders: Vec<Order>,
    /// Since when git's lock was seen.
    pub locked: Option<Instant>,
}

/// Somebody wants a run, and its outcome.
pub(super) struct Order {
    pub full: bool,
    pub lexical_only: bool,
    pub reply: mpsc::UnboundedSender<Reply>,
}

/// What the last run found.
struct Known {
    indexed_commit: Option<String>,
    head: Head,
    complete: bool,
    vectors: wire::ByLeg<Present>,
}

impl Tracked {
    pub(super) fn new() -> Tracked {
        Tracked {
            workspace: None,
            settled: None,
            unlisted: HashMap::new(),
            known: None,
            coverage: None,
            counters: Counters::default(),
            problem: None,
            requested: 0,
            covered: watch::Sender::new(0),
            orders: Vec::new(),
            locked: None,
        }
    }

    /// A ticket for whoever waits until all that happened before now is indexed.
    pub(super) fn request(&mut self) -> (watch::Receiver<u64>, u64) {
        self.requested += 1;
        (self.covered.subscribe(), self.requested)
    }

    /// What a run that begins now covers.
    pub(super) fn covers(&self) -> (watch::Sender<u64>, u64) {
        (self.covered.clone(), self.requested)
    }

    /// Whether an event at `path` may be left out: it is one that git does not show, and
    /// nothing else has taken its place.
    pub(super) fn has_no_effect(&mut self, root: &AbsPath, path: &RepoPath) -> bool {
        let name = path.as_bytes().rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        if matches!(name, b".gitignore" | b".indexerignore" | b".gitattributes") {
            self.unlisted.clear();
            return false;
        }
        let Some(is_dir) = self.unlisted.get(path) else { return false };
        let found = root.as_path().join(path.to_os_path()).symlink_metadata();
        let same = found.is_ok_and(|found| found.is_dir() == *is_dir);
        if !same {
            self.unlisted.remove(path);
        }
        same
    }

    /// What git shows may be something else now.
    pub(super) fn rules_changed(&mut self) {
        self.unlisted.clear();
        self.settled = None;
    }

    /// Takes note of what a run found.
    pub(super) fn learn(&mut self, report: Report, fill: bool) {
        let Report { outcome, unchanged, looked, settled, coverage, unlisted, .. } = report;
        self.settled = settled;
        if coverage.is_some() {
            self.coverage = coverage;
        }
        if self.unlisted.len() + unlisted.len() > UNLISTED {
            self.unlisted.clear();
        }
        self.unlisted.extend(unlisted);
        let counters = &mut self.counters;
        counters.last_ms = outcome.timing.total.as_millis() as u64;
        if unchanged {
            counters.polls += 1;
            return;
        }
        let changed = outcome.files.parsed + outcome.files.removed > 0 || outcome.full.is_some();
        match fill {
            true => counters.fills += 1,
            false => counters.runs += 1,
        }
        counters.changed += u64::from(changed);
        counters.parsed += outcome.files.parsed;
        for vectors in outcome.vectors.iter().flatten() {
            counters.embedded += vectors.embedded;
            counters.cache_hits += vectors.cache_hits;
        }
        let before = self.known.take();
        let complete = looked || before.as_ref().is_some_and(|known| known.complete);
        let commit = match looked {
            true => outcome.head.commit.clone(),
            false => before.and_then(|known| known.indexed_commit),
        };
        self.known = Some(Known {
            indexed_commit: commit,
            head: (&outcome.head).into(),
            complete,
            vectors: by_leg(|leg: Leg| {
                let counts = outcome.vectors[leg.index()].as_ref()?;
                let replaces = counts.replaces.clone();
                Some(Present { present: counts.needed - counts.pending, needed: counts.needed, replaces })
            }),
        });
    }

    /// How fresh the index is, from what is known without a look at the disk; `None` where
    /// no run has ended yet.
    pub(super) fn freshness(
        &self,
        root: &AbsPath,
        queue: &Queue,
        settings: &WatchSettings,
    ) -> Option<Freshness> {
        let known = self.known.as_ref()?;
        let waiting = queue.waiting(root);
        let changed =
            |causes: &std::collections::BTreeSet<Cause>| causes.iter().any(|cause| *cause < Cause::Start);
        let pending = waiting.map_or(0, |waiting| waiting.paths.len() as u64);
        let is_changed = waiting.is_some_and(|waiting| changed(&waiting.causes));
        Some(Freshness {
            fresh: known.complete && !is_changed && self.problem.is_none(),
            indexed_commit: known.indexed_commit.clone(),
            head: known.head.clone(),
            pending,
            complete: known.complete,
            vectors: known.vectors.clone(),
            watch: self.coverage.as_ref().map(|coverage| Watch {
                watched: coverage.watched as u64,
                unwatched: coverage.unwatched as u64,
                unwatched_paths: coverage.first_unwatched.iter().map(|path| path.to_string()).collect(),
                reason: coverage.polled.as_ref().map(|reason| reason.to_string()),
                poll_seconds: self.poll(settings).as_secs(),
            }),
        })
    }

    /// How long until the next look, if nothing happens.
    pub(super) fn poll(&self, settings: &WatchSettings) -> std::time::Duration {
        let whole = self.coverage.as_ref().is_some_and(|coverage| coverage.polled.is_none());
        if whole { settings.poll } else { settings.poll.min(settings.poll_unwatched) }
    }

    /// Its line of the status, without what only the store knows.
    pub(super) fn status(
        &self,
        root: &AbsPath,
        state: &str,
        queue: &Queue,
        settings: &WatchSettings,
        now: Instant,
    ) -> WorktreeStatus {
        let causes = queue.waiting(root).map(|waiting| waiting.causes.clone()).unwrap_or_default();
        WorktreeStatus {
            root: Place::from(root.as_path()),
            state: Some(state.to_owned()),
            indexed: self.known.as_ref().is_some_and(|known| known.complete),
            database: self.workspace.as_ref().map(|workspace| workspace.database_name()),
            collection: self.workspace.as_ref().map(|workspace| workspace.collection().to_string()),
            freshness: self.freshness(root, queue, settings),
            points: 0,
            bytes: Default::default(),
            queued: causes.iter().map(|cause| cause.name().to_owned()).collect(),
            lag_ms: None,
            counters: self.counters.clone(),
            problem: self.problem.as_ref().map(|(failure, failures, retry)| Problem {
                failure: failure.clone(),
                failures: *failures,
                retry_in_s: retry.saturating_duration_since(now).as_secs(),
            }),
        }
    }
}
