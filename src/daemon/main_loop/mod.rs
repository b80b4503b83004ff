//! The one loop: an event comes, the state changes, a run is started or stopped. Runs,
//! searches and the registry have threads of their own. What is read here is a worktree's
//! git directory when it is opened, and whether git's lock is there: no more.

mod runs;
mod worktrees;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot, watch};

use crate::daemon::job::{Failed, Kind, Report, RunState, Stage};
use crate::daemon::pressure;
use crate::daemon::protocol::Reply;
use crate::daemon::queue::{Cause, Next, Queue, Waiting};
use crate::daemon::registry::{Changes, Registered, Registry, RegistryError, State};
use crate::daemon::tracked::{Order, Tracked};
use crate::daemon::watch::{Notice, Watcher};
use crate::engine::{Engine, Workspace};
use crate::git::GitChange;
use crate::path::AbsPath;
use crate::wire::{DaemonStatus, Freshness, Place, Watches, WorktreeStatus};

/// A look that reads files for longer than this makes room for another worktree's edit.
const READ_MOST: Duration = Duration::from_millis(250);
/// Between two looks at load and battery while vectors wait for them.
const PRESSURE_EVERY: Duration = Duration::from_secs(15);

/// All that can happen.
pub(super) enum Event {
    /// The file system told of a change.
    Notice(Notice),
    /// The registry was read.
    Registry(Result<(Registry, Changes), RegistryError>),
    /// Somebody changed the registry.
    RegistryChanged,
    /// A run ended.
    Ended { root: AbsPath, waiting: Option<Waiting>, took: Duration, result: Box<Result<Report, Failed>> },
    /// Somebody asks.
    Asked(Question),
    /// The configuration was read again.
    Settings(Arc<Engine>),
    /// It is time to end.
    Stop,
}

/// Worktrees with what their numbers can be asked of.
type Trees = Vec<(WorktreeStatus, Option<Arc<Workspace>>)>;

/// A worktree that is kept, and how fresh it is.
type Found = Option<(Arc<Workspace>, Option<Freshness>)>;

/// What is asked of the loop.
pub(super) enum Question {
    /// A ticket to wait with; `None` where the worktree is not kept.
    Wait(AbsPath, oneshot::Sender<Option<(watch::Receiver<u64>, u64)>>),
    /// The worktrees, and how fresh they are.
    Find(Vec<AbsPath>, oneshot::Sender<Vec<Found>>),
    /// A run now.
    Order(AbsPath, Order),
    /// All there is to say.
    Status(oneshot::Sender<(DaemonStatus, Trees)>),
}

/// The daemon's state.
pub(super) struct Daemon {
    engine: Arc<Engine>,
    events: mpsc::UnboundedSender<Event>,
    /// Whoever looks on hears of it when there is something new to see.
    changes: watch::Sender<()>,
    queue: Queue,
    tracked: BTreeMap<AbsPath, Tracked>,
    /// Registered worktrees that are not kept now, for the status.
    others: Vec<Registered>,
    watcher: Arc<Mutex<Watcher>>,
    running: Option<Running>,
    registry_at: Instant,
    registry_again: std::slice::Iter<'static, Duration>,
    registry_busy: bool,
    registry_missed: bool,
    paused: Option<(String, Instant)>,
    started_at: u64,
    stopping: bool,
    unload_at: Option<Instant>,
    dice: u64,
}

struct Running {
    root: AbsPath,
    kind: Kind,
    ordered: bool,
    began: Instant,
    /// When the first change that it is about was seen.
    changed_at: Option<Instant>,
    state: Arc<RunState>,
}

impl Daemon {
    pub(super) fn new(
        engine: Arc<Engine>,
        watcher: Watcher,
        events: mpsc::UnboundedSender<Event>,
        changes: watch::Sender<()>,
    ) -> Daemon {
        Daemon {
            engine,
            events,
            changes,
            queue: Queue::default(),
            tracked: BTreeMap::new(),
            others: Vec::new(),
            watcher: Arc::new(Mutex::new(watcher)),
            running: None,
            registry_at: Instant::now(),
            registry_again: [].iter(),
            registry_busy: false,
            registry_missed: false,
            paused: None,
            started_at: seconds(),
            stopping: false,
            unload_at: None,
            dice: u64::from(std::process::id()),
        }
    }

    /// Whether it has been told to end, and nothing runs any more.
    pub(super) fn is_done(&self) -> bool {
        self.stopping && self.running.is_none()
    }

    /// One line on what goes on.
    pub(super) fn summary(&self) -> String {
        let problems = self.tracked.values().filter(|tracked| tracked.problem.is_some()).count();
        let mut text = format!("{} worktrees", self.tracked.len());
        if problems > 0 {
            text.push_str(&format!(", {problems} with errors (`indexer status` shows them)"));
        }
        text
    }

    pub(super) fn handle(&mut self, event: Event) {
        let now = Instant::now();
        // A question changes nothing: what it orders tells when it begins.
        let changes = !matches!(event, Event::Asked(_));
        match event {
            Event::Notice(notice) => self.notice(notice, now),
            Event::RegistryChanged => self.worktrees_changed(now),
            Event::Registry(read) => self.registry(read, now),
            Event::Ended { root, waiting, took, result } => self.ended(&root, waiting, took, *result, now),
            Event::Asked(question) => self.answer(question, now),
            Event::Settings(engine) => self.settings(engine, now),
            Event::Stop => {
                self.stopping = true;
                if let Some(running) = &self.running {
                    running.state.stop();
                }
            }
        }
        if changes {
            self.changes.send_replace(());
        }
    }

    fn notice(&mut self, notice: Notice, now: Instant) {
        match notice {
            Notice::File { root, path } => {
                let Some(tracked) = self.tracked.get_mut(&root) else { return };
                if !tracked.has_no_effect(&root, &path) {
                    self.queue.push(&root, Cause::Edit, Some(path), now);
                }
            }
            Notice::Git { root, change } => {
                if change == GitChange::Worktrees {
                    self.worktrees_changed(now);
                    return;
                }
                if let Some(tracked) = self.tracked.get_mut(&root) {
                    tracked.rules_changed();
                }
                self.queue.push(&root, Cause::Git, None, now);
            }
            Notice::Root { root } => {
                self.worktrees_changed(now);
                self.queue.push(&root, Cause::Git, None, now);
            }
            Notice::Rescan => {
                tracing::info!("file-system events were lost: looking at everything");
                for (root, tracked) in &mut self.tracked {
                    tracked.settled = None;
                    self.queue.push(root, Cause::Rescan, None, now);
                }
            }
        }
    }

    fn answer(&mut self, question: Question, now: Instant) {
        // Whoever asked may have gone meanwhile: then nobody needs the answer.
        match question {
            Question::Wait(root, reply) => {
                let ticket = self.tracked.get_mut(&root).map(Tracked::request);
                if ticket.is_some() {
                    self.queue.push(&root, Cause::Asked, None, now);
                }
                let _ = reply.send(ticket);
            }
            Question::Find(roots, reply) => {
                let settings = &self.engine.settings().watch;
                self.unload_at = settings.unload.map(|after| now + after);
                let found = roots.iter().map(|root| {
                    let tracked = self.tracked.get(root)?;
                    let workspace = tracked.workspace.clone()?;
                    let mut freshness = tracked.freshness(root, &self.queue, settings);
                    if let Some(freshness) = freshness.as_mut() {
                        freshness.fresh &= !self.is_looking(root);
                    }
                    Some((workspace, freshness))
                });
                let _ = reply.send(found.collect());
            }
            Question::Order(root, order) => match self.tracked.get_mut(&root) {
                Some(tracked) => {
                    tracked.orders.push(order);
                    self.queue.push(&root, Cause::Asked, None, now);
                }
                None => drop(order.reply.send(Reply::NotRegistered)),
            },
            Question::Status(reply) => drop(reply.send(self.status(now))),
        }
    }

    fn status(&self, now: Instant) -> (DaemonStatus, Trees) {
        let settings = &self.engine.settings().watch;
        let stats = self.watcher().stats();
        let daemon = DaemonStatus {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: self.started_at,
            watches: Watches { used: stats.watches as u64, budget: stats.budget as u64 },
            running: self.running.as_ref().map(|running| running.state.running(&running.root)),
            backfill_paused: self.paused.as_ref().map(|(reason, _)| reason.clone()),
            // Those who keep the doors know.
            http: None,
        };
        let kept = self.tracked.iter().map(|(root, tracked)| {
            let mut status = tracked.status(root, State::Active.name(), &self.queue, settings, now);
            if let Some(freshness) = &mut status.freshness {
                freshness.fresh &= !self.is_looking(root);
            }
            let running = self.running.as_ref().filter(|running| running.root == *root);
            let under_way = running.filter(|_| self.is_looking(root)).and_then(|running| running.changed_at);
            let waits = self.queue.waiting(root).and_then(Waiting::changed_at);
            let since = under_way.into_iter().chain(waits).min();
            status.lag_ms = since.map(|since| now.saturating_duration_since(since).as_millis() as u64);
            (status, tracked.workspace.clone())
        });
        let others = self.others.iter().map(|registered| {
            let status = WorktreeStatus {
                root: Place::from(registered.root.as_path()),
                state: Some(registered.state.name().to_owned()),
                ..WorktreeStatus::default()
            };
            (status, None)
        });
        (daemon, kept.chain(others).collect())
    }

    /// Whether a run is at work that has not said yet what it found: it may be about an edit.
    fn is_looking(&self, root: &AbsPath) -> bool {
        self.running.as_ref().is_some_and(|running| {
            running.root == *root && running.kind == Kind::Look && running.state.stage() != Stage::Vectors
        })
    }

    fn settings(&mut self, engine: Arc<Engine>, now: Instant) {
        let (old, new) = (self.engine.settings(), engine.settings());
        if old.data_dir != new.data_dir {
            tracing::warn!("data_dir has changed: it holds after a restart");
            return;
        }
        if old.watch.events != new.watch.events || old.watch.max_watches != new.watch.max_watches {
            let events = self.events.clone();
            *self.watcher() = watcher(&engine, events);
        }
        self.engine = engine;
        self.registry_at = now;
        for (root, tracked) in &mut self.tracked {
            tracked.workspace = None;
            tracked.settled = None;
            self.queue.push(root, Cause::Start, None, now);
        }
        tracing::info!("the configuration was read again");
    }

    /// Starts what is due and stops what is in its way; returns when to come back.
    pub(super) fn turn(&mut self) -> Option<Instant> {
        let now = Instant::now();
        if self.stopping {
            return None;
        }
        // A run in progress uses it; its end counts anew.
        if self.unload_at.is_some_and(|at| at <= now) && self.running.is_none() {
            let after = self.engine.settings().watch.unload;
            let loaded = after.is_some_and(|after| self.engine.unload_idle(after));
            self.unload_at = after.filter(|_| loaded).map(|after| now + after);
        }
        let mut wake = self.unload_at.filter(|_| self.running.is_none());
        if self.registry_at <= now {
            self.read_registry(now);
        }
        wake = earliest(wake, Some(self.registry_at).filter(|_| !self.registry_busy));
        if self.running.is_some() {
            return earliest(wake, self.make_room(now));
        }
        loop {
            let may_fill = self.may_fill(now);
            match self.queue.next(may_fill, now) {
                Next::Look(root, waiting) => {
                    if self.start(&root, Kind::Look, Some(waiting), now) {
                        return earliest(wake, self.make_room(now));
                    }
                }
                Next::Fill(root) => {
                    if self.start(&root, Kind::Fill, None, now) {
                        return earliest(wake, self.make_room(now));
                    }
                    self.queue.set_fill(&root, false);
                }
                Next::At(at) => {
                    return earliest(earliest(wake, Some(at)), self.paused.as_ref().map(|(_, until)| *until));
                }
                Next::Nothing => return earliest(wake, self.paused.as_ref().map(|(_, until)| *until)),
            }
        }
    }

    /// Stops the run in progress where something more urgent is due; returns when that may be.
    fn make_room(&mut self, now: Instant) -> Option<Instant> {
        let running = self.running.as_ref().filter(|running| !running.ordered)?;
        let stage = running.state.stage();
        let reads_long = running.began + READ_MOST;
        let give_way = match (running.kind, stage) {
            (Kind::Fill, _) | (Kind::Look, Stage::Vectors) => self.queue.is_urgent(None, now),
            (Kind::Look, _) => reads_long <= now && self.queue.is_urgent(Some(&running.root), now),
        };
        if give_way {
            running.state.stop();
            return None;
        }
        // A stage may end without an event: then it is looked at again soon.
        let urgent = self.queue.urgent_at()?;
        Some(if urgent > now { urgent } else { now + Duration::from_millis(20) })
    }

    fn may_fill(&mut self, now: Instant) -> bool {
        if self.paused.as_ref().is_some_and(|(_, until)| *until > now) {
            return false;
        }
        self.paused = None;
        if !self.queue.wants_fill() {
            return false;
        }
        self.paused = pressure::reason(&self.engine.settings().watch).map(|why| (why, now + PRESSURE_EVERY));
        if self.paused.is_some() {
            self.changes.send_replace(());
        }
        self.paused.is_none()
    }

    fn watcher(&self) -> std::sync::MutexGuard<'_, Watcher> {
        self.watcher.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A watcher whose notices are events of the loop.
pub(super) fn watcher(engine: &Engine, events: mpsc::UnboundedSender<Event>) -> Watcher {
    let settings = &engine.settings().watch;
    Watcher::new(settings.events, settings.max_watches, move |notice| {
        // The loop has ended: so will the watcher.
        let _ = events.send(Event::Notice(notice));
    })
}

/// A watcher that watches and tells nobody.
#[cfg(debug_assertions)]
pub(super) fn deaf_watcher(engine: &Engine) -> Watcher {
    let settings = &engine.settings().watch;
    Watcher::new(settings.events, settings.max_watches, |_| {})
}

fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    [a, b].into_iter().flatten().min()
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
