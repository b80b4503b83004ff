//! One run of one worktree, on a thread of its own: what is done while it lists, when it
//! stops early, and what the daemon learns from it.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use super::pressure;
use super::protocol::Reply;
use super::watch::{Coverage, Watcher};
use crate::config::WatchSettings;
use crate::engine::{EngineError, Workspace};
use crate::git::{Head, Listing};
use crate::index::{Outcome, Progress, Run, Scope};
use crate::path::RepoPath;
use crate::telemetry::catch_panic;
use crate::wire::{Place, Running};

/// Texts that a look embeds at once; beyond them it is work for a fill, which yields.
const LOOK_TEXTS: u64 = 64;
/// Between two looks at load and battery while vectors are filled.
const PRESSURE_EVERY: Duration = Duration::from_secs(5);
/// Between two reports of progress.
const REPORT_EVERY: Duration = Duration::from_millis(100);
/// The same to whoever only looks on.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// To bring the index to what is on disk.
    Look,
    /// To compute missing vectors.
    Fill,
}

/// A run, as it is handed to its thread.
pub(super) struct Job {
    pub workspace: Arc<Workspace>,
    pub kind: Kind,
    pub run: Run,
    /// Without vectors.
    pub lexical_only: bool,
    /// Somebody waits for the outcome: all vectors are computed, and others wait.
    pub replies: Vec<mpsc::UnboundedSender<Reply>>,
    /// Paths whose events led to it.
    pub paths: BTreeSet<RepoPath>,
    /// Digest of a listing at which there was nothing to do.
    pub settled: Option<Digest>,
    /// Told to whoever waits for edits made before the run began.
    pub covers: (watch::Sender<u64>, u64),
    pub watcher: Arc<Mutex<Watcher>>,
    pub settings: WatchSettings,
    pub state: Arc<RunState>,
    /// Told when the state is another one.
    pub changes: watch::Sender<()>,
}

/// Digest of HEAD and a listing.
pub(super) type Digest = [u8; 32];

/// What is seen of a run while it runs, and how it is stopped.
#[derive(Debug, Default)]
pub(super) struct RunState {
    stop: AtomicBool,
    stage: AtomicU8,
    done: AtomicU64,
    total: AtomicU64,
}

/// What a run is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    List,
    Files,
    Vectors,
}

impl RunState {
    /// Ends the run at the next safe point.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(super) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Relaxed) {
            0 => Stage::List,
            1 => Stage::Files,
            _ => Stage::Vectors,
        }
    }

    pub(super) fn running(&self, root: &crate::path::AbsPath) -> Running {
        Running {
            root: Place::from(root.as_path()),
            stage: match self.stage() {
                Stage::List => "list",
                Stage::Files => "files",
                Stage::Vectors => "vectors",
            }
            .to_owned(),
            done: self.done.load(Ordering::Relaxed),
            total: self.total.load(Ordering::Relaxed),
        }
    }

    fn set(&self, stage: Stage, done: u64, total: u64) {
        self.stage.store(stage as u8, Ordering::Relaxed);
        self.done.store(done, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }
}

/// What the daemon learns from a run.
pub(super) struct Report {
    pub outcome: Outcome,
    /// The listing was the settled one: nothing was looked at.
    pub unchanged: bool,
    /// Whether the words of all changes are indexed.
    pub looked: bool,
    /// When they could be found, where any had to be indexed.
    pub searchable_at: Option<Instant>,
    /// The digest, where there was nothing to do.
    pub settled: Option<Digest>,
    pub coverage: Option<Coverage>,
    /// Paths that had events, are there, and are not to be indexed; with whether it is a
    /// directory.
    pub unlisted: Vec<(RepoPath, bool)>,
}

impl Report {
    /// Whether vectors are left to fill after a run of this kind; `None` where it did not count
    /// them, as nothing had changed: then a fill that waits goes on waiting. A run that came to
    /// its end has filled what can be filled.
    pub(super) fn leaves_vectors(&self, kind: Kind) -> Option<bool> {
        let mut vectors = self.outcome.vectors.iter().flatten();
        let missing = vectors.any(|vectors| vectors.pending > 0 || vectors.replaces.is_some());
        (!self.unchanged).then_some(missing && (self.outcome.interrupted || kind == Kind::Look))
    }
}

/// Why there is none.
pub(super) enum Failed {
    Error(EngineError),
    Panicked(String),
}

/// Runs it. A panic in it is an error of this worktree.
pub(super) fn run(job: Job) -> Result<Report, Failed> {
    match catch_panic(|| attempt(job)) {
        Ok(result) => result.map_err(Failed::Error),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            Err(Failed::Panicked(
                text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default(),
            ))
        }
    }
}

fn attempt(job: Job) -> Result<Report, EngineError> {
    let Job { workspace, kind, state, .. } = &job;
    let mut seen = Seen::default();
    let ordered = !job.replies.is_empty();
    let vectors = match (job.lexical_only, kind) {
        (true, _) => None,
        (false, Kind::Look) if !ordered => Some(Scope::Changed),
        (false, _) => Some(Scope::All),
    };
    let mut vectors_at_first = None;
    let mut checked = Instant::now();
    let mut reported = Instant::now();
    let mut told = Instant::now();
    let outcome = workspace.run(job.run, vectors, &mut |progress| {
        let mut stop = state.stop.load(Ordering::Relaxed);
        match progress {
            Progress::Listing => state.set(Stage::List, 0, 0),
            Progress::Listed { head, listing } => {
                seen = look_around(&job, head, listing);
                if seen.unchanged {
                    job.covers.0.send_replace(job.covers.1);
                    stop = true;
                }
            }
            Progress::Files { done, total } => state.set(Stage::Files, done, total),
            Progress::Searchable => {
                job.covers.0.send_replace(job.covers.1);
                seen.searchable_at = Some(Instant::now());
                state.set(Stage::Vectors, 0, 0);
            }
            Progress::Vectors { done, total } => {
                state.set(Stage::Vectors, done, total);
                let first = *vectors_at_first.get_or_insert(done);
                stop |= *kind == Kind::Look && !ordered && done - first >= LOOK_TEXTS;
                if *kind == Kind::Fill && checked.elapsed() >= PRESSURE_EVERY {
                    checked = Instant::now();
                    stop |= pressure::reason(&job.settings).is_some();
                }
            }
        }
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            job.changes.send_replace(());
        }
        if ordered && reported.elapsed() >= REPORT_EVERY {
            reported = Instant::now();
            for reply in &job.replies {
                // Whoever has gone does not want to know.
                let _ = reply.send(Reply::Progress(state.running(workspace.root())));
            }
        }
        if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let idle = !outcome.interrupted
        && outcome.full.is_none()
        && outcome.commits == 0
        && outcome.files.read == 0
        && outcome.files.removed == 0;
    Ok(Report {
        looked: seen.searchable_at.is_some() || seen.unchanged,
        searchable_at: seen.searchable_at.filter(|_| outcome.files.parsed + outcome.files.removed > 0),
        unchanged: seen.unchanged,
        settled: seen.digest.filter(|_| idle || seen.unchanged),
        coverage: seen.coverage,
        unlisted: seen.unlisted,
        outcome,
    })
}

#[derive(Default)]
struct Seen {
    digest: Option<Digest>,
    unchanged: bool,
    searchable_at: Option<Instant>,
    coverage: Option<Coverage>,
    unlisted: Vec<(RepoPath, bool)>,
}

/// What the listing tells beside the files: what to watch, and which events say nothing.
/// Watches are placed before any file is read, so that no change falls between.
fn look_around(job: &Job, head: &Head, listing: &Listing) -> Seen {
    let worktree = job.workspace.worktree();
    let places = worktree.git_places();
    let coverage = {
        let mut watcher = job.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        watcher.cover(worktree.root(), &places, &listing.directories)
    };
    let digest = digest(head, listing);
    // A collection that somebody removed is not fresh, whatever the files say.
    let unchanged = job.settled == Some(digest) && !job.run.full && job.workspace.is_indexed();
    let unlisted = job.paths.iter().filter_map(|path| {
        let found = worktree.root().as_path().join(path.to_os_path()).symlink_metadata().ok()?;
        (!is_listed(listing, path)).then(|| (path.clone(), found.is_dir()))
    });
    Seen {
        digest: Some(digest),
        unchanged,
        searchable_at: None,
        coverage: Some(coverage),
        unlisted: unlisted.collect(),
    }
}

/// Whether a change of `path` can change the index.
fn is_listed(listing: &Listing, path: &RepoPath) -> bool {
    listing.entries.binary_search_by(|entry| entry.path.cmp(path)).is_ok()
        || listing.directories.binary_search(path).is_ok()
        || listing.unreadable.iter().any(|(directory, _)| directory == path)
}

fn digest(head: &Head, listing: &Listing) -> Digest {
    let mut hasher = blake3::Hasher::new();
    let mut put = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    for text in [&head.commit, &head.branch] {
        put(text.as_deref().unwrap_or_default().as_bytes());
    }
    put(head.operation.unwrap_or_default().as_bytes());
    for entry in &listing.entries {
        put(entry.path.as_bytes());
        let stat = &entry.stat;
        for number in [stat.mtime_ns, stat.ctime_ns, stat.size as i64, stat.inode as i64] {
            put(&number.to_le_bytes());
        }
        put(&[u8::from(entry.tracked)]);
        put(entry.skip.map_or("", |reason| reason.name()).as_bytes());
    }
    for (path, _) in &listing.unreadable {
        put(path.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::FileEntry;
    use crate::id::CollectionName;
    use crate::index::{ByteCounts, ChunkCounts, FileCounts, Timing, VectorCounts};
    use crate::manifest::Stat;

    #[test]
    fn a_run_that_counted_no_vectors_says_nothing_of_them() {
        let report = |unchanged: bool, interrupted, pending, replaces: Option<&str>| Report {
            outcome: Outcome {
                collection: CollectionName::new("local_a_codebase_00000000").expect("a name"),
                full: None,
                head: Head::default(),
                files: FileCounts::default(),
                chunks: ChunkCounts::default(),
                vectors: [
                    (!unchanged).then(|| VectorCounts {
                        pending,
                        replaces: replaces.map(str::to_owned),
                        ..VectorCounts::default()
                    }),
                    None,
                ],
                bytes: ByteCounts::default(),
                commits: 0,
                unreadable_directories: 0,
                interrupted,
                timing: Timing::default(),
            },
            unchanged,
            looked: true,
            searchable_at: None,
            settled: None,
            coverage: None,
            unlisted: Vec::new(),
        };
        for (kind, unchanged, interrupted, pending, expected) in [
            (Kind::Look, true, true, 0, None),
            (Kind::Look, false, false, 3, Some(true)),
            (Kind::Look, false, true, 3, Some(true)),
            (Kind::Look, false, false, 0, Some(false)),
            (Kind::Fill, false, true, 3, Some(true)),
            // What could not be embedded now cannot be a moment later.
            (Kind::Fill, false, false, 3, Some(false)),
        ] {
            let found = report(unchanged, interrupted, pending, None).leaves_vectors(kind);
            assert_eq!(found, expected, "{kind:?} {unchanged} {interrupted} {pending}");
        }
        let all_in_the_cache = report(false, false, 0, Some("m"));
        assert_eq!(all_in_the_cache.leaves_vectors(Kind::Look), Some(true), "they are to be shown");
    }

    #[test]
    fn a_digest_tells_listings_apart() {
        let head = Head::default();
        let stat = Stat { mtime_ns: 1, ctime_ns: 2, size: 3, inode: 4 };
        let entry = FileEntry { path: RepoPath::new("a").expect("a path"), stat, tracked: true, skip: None };
        let listing = Listing { entries: vec![entry], ..Listing::default() };
        let base = digest(&head, &listing);
        assert_eq!(base, digest(&head, &listing.clone()));
        let changes: [fn(&mut Listing); 6] = [
            |listing| listing.entries[0].stat.mtime_ns += 1,
            |listing| listing.entries[0].stat.ctime_ns += 1,
            |listing| listing.entries[0].stat.inode += 1,
            |listing| listing.entries[0].tracked = false,
            |listing| listing.entries[0].path = RepoPath::new("b").expect("a path"),
            |listing| listing.entries.clear(),
        ];
        for (index, change) in changes.iter().enumerate() {
            let mut other = listing.clone();
            change(&mut other);
            assert_ne!(digest(&head, &other), base, "change {index}");
        }
        let moved = Head { commit: Some("c".to_owned()), ..head };
        assert_ne!(digest(&moved, &listing), base);
    }
}
