//! Runs: one is handed to its thread, and what it learned comes back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Daemon, Event, Running};
use crate::daemon::handle::failure_of;
use crate::daemon::job::{self, Failed, Job, Kind, Report, RunState};
use crate::daemon::protocol::Reply;
use crate::daemon::queue::{Cause, Waiting};
use crate::engine::EngineError;
use crate::index::Run;
use crate::path::AbsPath;
use crate::telemetry::metrics;
use crate::wire::{Failure, FailureCode};

/// Git's lock is waited for this long; then whoever held it is taken for dead.
const LOCK_MOST: Duration = Duration::from_secs(30);
/// Between two looks at git's lock.
const LOCK_EVERY: Duration = Duration::from_millis(50);
/// Between two tries while another process has the collection.
const BUSY_EVERY: Duration = Duration::from_secs(1);

/// Counts a run that ended.
fn measure(
    running: Option<&Running>,
    waiting: Option<&Waiting>,
    took: Duration,
    result: &Result<Report, Failed>,
) {
    let kind = match running.map(|running| running.kind) {
        Some(Kind::Fill) => "fill",
        _ => "look",
    };
    let trigger = waiting.and_then(Waiting::cause).map_or("vectors", Cause::name);
    let result = match result {
        Ok(report) => {
            let outcome = &report.outcome;
            let vectors = || outcome.vectors.iter().flatten();
            metrics::indexed(
                outcome.files.parsed,
                vectors().map(|vectors| vectors.embedded).sum(),
                vectors().map(|vectors| vectors.cache_hits).sum(),
            );
            let since = waiting.and_then(Waiting::changed_at);
            if let (Some(since), Some(at)) = (since, report.searchable_at) {
                metrics::searchable(at.saturating_duration_since(since));
            }
            match (report.unchanged, outcome.interrupted) {
                (true, _) => "unchanged",
                (false, true) => "interrupted",
                (false, false) => "done",
            }
        }
        Err(Failed::Error(error)) if error.is_busy() => "busy",
        Err(Failed::Error(error)) => {
            if matches!(error, EngineError::Store(_)) {
                metrics::store_error("run");
            }
            "failed"
        }
        Err(Failed::Panicked(_)) => "panicked",
    };
    metrics::run(kind, trigger, result, took);
}

impl Daemon {
    pub(super) fn ended(
        &mut self,
        root: &AbsPath,
        waiting: Option<Waiting>,
        took: Duration,
        result: Result<Report, Failed>,
        now: Instant,
    ) {
        let running = self.running.take();
        measure(running.as_ref(), waiting.as_ref(), took, &result);
        let kind = running.map_or(Kind::Look, |running| running.kind);
        self.unload_at = self.engine.settings().watch.unload.map(|after| now + after);
        let Some(tracked) = self.tracked.get_mut(root) else { return };
        let report = match result {
            Ok(report) => report,
            Err(failed) => return self.failed(root, waiting, failed, now),
        };
        let (interrupted, looked) = (report.outcome.interrupted && !report.unchanged, report.looked);
        let leaves_vectors = report.leaves_vectors(kind);
        let added = report.coverage.as_ref().is_some_and(|coverage| coverage.added > 0);
        let operation = report.outcome.head.operation.is_some();
        let outcome = &report.outcome;
        let timing = &outcome.timing;
        let looking = timing.total.saturating_sub(timing.embed);
        tracing::debug!(
            root = %root, ?kind, ms = took.as_millis() as u64, unchanged = report.unchanged, interrupted,
            parsed = outcome.files.parsed, removed = outcome.files.removed, commits = outcome.commits,
            embedded = outcome.vectors.iter().flatten().map(|vectors| vectors.embedded).sum::<u64>(), "run"
        );
        tracked.learn(report, kind == Kind::Fill);
        if tracked.problem.take().is_some() {
            tracing::info!(root = %root, "it works again");
        }
        let poll = tracked.poll(&self.engine.settings().watch);
        self.queue.ended(root, looking, operation, poll, now);
        if added {
            // Worktrees that were made before the watches were placed told nobody.
            self.worktrees_changed(now);
        }
        if interrupted && !looked {
            // It made room, or is to end: it goes on later.
            match waiting {
                Some(waiting) => self.queue.block(root, waiting, now),
                None => self.queue.set_fill(root, true),
            }
            return;
        }
        if added {
            self.queue.push(root, Cause::Directories, None, now);
        }
        if let Some(fill) = leaves_vectors {
            self.queue.set_fill(root, fill);
        }
    }

    fn failed(&mut self, root: &AbsPath, waiting: Option<Waiting>, failed: Failed, now: Instant) {
        let failure = match failed {
            Failed::Error(error) if error.is_busy() => {
                match waiting {
                    Some(waiting) => self.queue.block(root, waiting, now + BUSY_EVERY),
                    None => self.queue.set_fill(root, true),
                }
                return;
            }
            Failed::Error(error) => {
                // What is gone is for the registry to say.
                if matches!(error, EngineError::Git(_)) {
                    self.registry_at = now;
                }
                failure_of(&error)
            }
            Failed::Panicked(text) => Failure {
                message: format!("a run over {root} failed unexpectedly: {text}"),
                hint: Some("this is a bug: please report it with the log".to_owned()),
                code: FailureCode::Failed,
            },
        };
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let chance = (self.dice >> 33) as f64 / f64::from(1u32 << 31);
        let (failures, wait) = self.queue.failed(root, chance, now);
        if failures == 1 {
            tracing::error!(root = %root, retry_in_s = wait.as_secs(), "{}", failure.message);
        } else {
            tracing::debug!(root = %root, failures, retry_in_s = wait.as_secs(), "{}", failure.message);
        }
        if let Some(tracked) = self.tracked.get_mut(root) {
            tracked.settled = None;
            tracked.problem = Some((failure, failures, now + wait));
        }
    }

    /// Hands a run to a thread; whether one was.
    pub(super) fn start(
        &mut self,
        root: &AbsPath,
        kind: Kind,
        waiting: Option<Waiting>,
        now: Instant,
    ) -> bool {
        let Some(tracked) = self.tracked.get_mut(root) else { return false };
        let workspace = match &tracked.workspace {
            Some(workspace) => Arc::clone(workspace),
            None => match self.engine.open(root.as_path()) {
                Ok(workspace) => {
                    let workspace = Arc::new(workspace);
                    tracked.workspace = Some(Arc::clone(&workspace));
                    workspace
                }
                Err(error) => {
                    let failure = failure_of(&error);
                    for order in tracked.orders.drain(..) {
                        // Whoever has gone does not want to know.
                        let _ = order.reply.send(Reply::Failed(failure.clone()));
                    }
                    self.failed(root, waiting, Failed::Error(error), now);
                    self.changes.send_replace(());
                    return false;
                }
            },
        };
        if let (Some(waiting), true) = (&waiting, workspace.worktree().index_locked().is_some()) {
            let since = *tracked.locked.get_or_insert(now);
            if now < since + LOCK_MOST {
                self.queue.block(root, waiting.clone(), now + LOCK_EVERY);
                return false;
            }
            tracing::warn!(root = %root, "index.lock is held for very long: if no git is at work, remove it");
        }
        tracked.locked = None;
        let orders = if kind == Kind::Look { std::mem::take(&mut tracked.orders) } else { Vec::new() };
        let state = Arc::new(RunState::default());
        let job = Job {
            workspace,
            kind,
            run: Run { full: orders.iter().any(|order| order.full) },
            lexical_only: !orders.is_empty() && orders.iter().all(|order| order.lexical_only),
            replies: orders.into_iter().map(|order| order.reply).collect(),
            paths: waiting.as_ref().map(|waiting| waiting.paths.clone()).unwrap_or_default(),
            // Whoever waits for an outcome wants counts; whoever fills, vectors.
            settled: tracked.settled.filter(|_| kind == Kind::Look),
            covers: tracked.covers(),
            watcher: Arc::clone(&self.watcher),
            settings: self.engine.settings().watch.clone(),
            state: Arc::clone(&state),
            changes: self.changes.clone(),
        };
        let ordered = !job.replies.is_empty();
        let job = Job { settled: job.settled.filter(|_| !ordered), ..job };
        let changed_at = waiting.as_ref().and_then(Waiting::changed_at);
        self.running = Some(Running { root: root.clone(), kind, ordered, began: now, changed_at, state });
        self.changes.send_replace(());
        let (events, root) = (self.events.clone(), root.clone());
        tokio::task::spawn_blocking(move || {
            let began = Instant::now();
            let replies = job.replies.clone();
            let result = job::run(job);
            let reply = match &result {
                // What is asked for makes room for nothing.
                Ok(report) if report.outcome.interrupted => Reply::Failed(Failure {
                    message: "the run was stopped: the daemon ends, or the worktree was removed".to_owned(),
                    hint: Some("the next run goes on from there".to_owned()),
                    code: FailureCode::Unavailable,
                }),
                Ok(report) => Reply::Outcome(Box::new((&report.outcome).into())),
                Err(Failed::Error(error)) => Reply::Failed(failure_of(error)),
                Err(Failed::Panicked(text)) => {
                    let message = format!("the run failed unexpectedly: {text}");
                    Reply::Failed(Failure::new(FailureCode::Failed, message))
                }
            };
            for to in replies {
                // Whoever has gone does not want to know.
                let _ = to.send(reply.clone());
            }
            let _ =
                events.send(Event::Ended { root, waiting, took: began.elapsed(), result: Box::new(result) });
        });
        true
    }
}
