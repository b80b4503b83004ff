//! Which worktree is looked at next, and when: one slot a worktree, with the causes of
//! the run that waits in it. Pure; the caller brings the time.
//!
//! A save is looked at as soon as its writer has paused for a moment. A burst (a checkout,
//! a rebase, a formatter) is waited out, up to a bound, so that it becomes one run or few.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::path::{AbsPath, RepoPath};

/// A pause this long ends a save: editors write, sync and rename within a few milliseconds.
const EDIT_QUIET: Duration = Duration::from_millis(30);
/// A save is not waited out for longer than this.
const EDIT_MOST: Duration = Duration::from_millis(250);
/// The same for bursts: between the steps of a rebase lie up to 260 ms.
const BURST_QUIET: Duration = Duration::from_millis(500);
const BURST_MOST: Duration = Duration::from_secs(10);
/// Events that make a burst of edits.
const BURST_EVENTS: usize = 48;
/// While git says that an operation is in progress, its steps are waited out for longer.
const OPERATION_MOST: Duration = Duration::from_secs(30);
/// The longest rest between two looks at a worktree.
const REST_MOST: Duration = Duration::from_secs(10);
/// Paths remembered of a waiting run.
const PATHS: usize = 256;
/// The first wait after a failure; doubled by each further one, up to the last.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LAST: Duration = Duration::from_secs(600);

/// Why a run waits. In the order of urgency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Somebody waits for it.
    Asked,
    /// A file was changed.
    Edit,
    /// Git's own files were changed.
    Git,
    /// Directories were found that were not watched while they were listed.
    Directories,
    /// The worktree is new here, or the daemon is.
    Start,
    /// Events were lost.
    Rescan,
    /// The last run failed.
    Retry,
    /// It was time.
    Poll,
}

impl Cause {
    /// Stable name.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Asked => "asked",
            Cause::Edit => "edit",
            Cause::Git => "git",
            Cause::Directories => "directories",
            Cause::Start => "start",
            Cause::Rescan => "rescan",
            Cause::Retry => "retry",
            Cause::Poll => "poll",
        }
    }
}

/// A run that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Why.
    pub causes: BTreeSet<Cause>,
    /// Paths that were changed; not all where there were very many.
    pub paths: BTreeSet<RepoPath>,
    events: usize,
    first: Instant,
    last: Instant,
}

impl Waiting {
    /// When the first change that it is about was seen; `None` where it is about none.
    pub fn changed_at(&self) -> Option<Instant> {
        self.causes.iter().any(|cause| matches!(cause, Cause::Edit | Cause::Git)).then_some(self.first)
    }

    /// The most urgent reason.
    pub fn cause(&self) -> Option<Cause> {
        self.causes.first().copied()
    }
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Look at this worktree now. The slot is free again.
    Look(AbsPath, Waiting),
    /// Fill vectors of this one.
    Fill(AbsPath),
    /// Nothing before this.
    At(Instant),
    /// Nothing.
    Nothing,
}

#[derive(Debug, Default)]
struct Slot {
    waiting: Option<Waiting>,
    /// Vectors are missing.
    fill: bool,
    /// Git reported an operation in progress.
    operation: bool,
    /// Not before this: the last look took its time.
    rest: Option<Instant>,
    /// Not before this: it was put off, or failed.
    blocked: Option<Instant>,
    failures: u32,
    poll_at: Option<Instant>,
}

/// The slots of all worktrees.
#[derive(Debug, Default)]
pub struct Queue {
    slots: BTreeMap<AbsPath, Slot>,
    /// Where the last fill was, so that each worktree has its turn.
    filled: Option<AbsPath>,
}

impl Queue {
    /// Takes up a worktree; its first run waits at once.
    pub fn add(&mut self, root: &AbsPath, now: Instant) {
        self.slots.entry(root.clone()).or_default();
        self.push(root, Cause::Start, None, now);
    }

    /// Gives up a worktree.
    pub fn remove(&mut self, root: &AbsPath) {
        self.slots.remove(root);
    }

    /// Asks for a run. Where one waits already, it is the same one.
    pub fn push(&mut self, root: &AbsPath, cause: Cause, path: Option<RepoPath>, now: Instant) {
        let Some(slot) = self.slots.get_mut(root) else { return };
        let waiting = slot.waiting.get_or_insert_with(|| Waiting {
            causes: BTreeSet::new(),
            paths: BTreeSet::new(),
            events: 0,
            first: now,
            last: now,
        });
        waiting.causes.insert(cause);
        if cause == Cause::Asked {
            // Whoever asks may have mended what failed.
            slot.blocked = None;
        }
        if matches!(cause, Cause::Edit | Cause::Git) {
            waiting.events += 1;
            waiting.last = now;
        }
        if let Some(path) = path
            && waiting.paths.len() < PATHS
        {
            waiting.paths.insert(path);
        }
    }

    /// The run that waits.
    pub fn waiting(&self, root: &AbsPath) -> Option<&Waiting> {
        self.slots.get(root)?.waiting.as_ref()
    }

    /// Whether vectors are missing.
    pub fn set_fill(&mut self, root: &AbsPath, fill: bool) {
        if let Some(slot) = self.slots.get_mut(root) {
            slot.fill = fill;
        }
    }

    /// Whether vectors are missing anywhere.
    pub fn wants_fill(&self) -> bool {
        self.slots.values().any(|slot| slot.fill)
    }

    /// Puts a run off: nothing is to be looked at before `until`.
    pub fn block(&mut self, root: &AbsPath, waiting: Waiting, until: Instant) {
        if let Some(slot) = self.slots.get_mut(root) {
            let newer = slot.waiting.take();
            let mut waiting = waiting;
            if let Some(newer) = newer {
                waiting.causes.extend(newer.causes);
                waiting.paths.extend(newer.paths);
                waiting.events += newer.events;
                waiting.last = newer.last;
            }
            slot.waiting = Some(waiting);
            slot.blocked = Some(until);
        }
    }

    /// A run ended well, which took `looked` to look for changes. The next one rests for as
    /// long, so that a file that is written all the time takes a part of the machine only.
    pub fn ended(&mut self, root: &AbsPath, looked: Duration, operation: bool, poll: Duration, now: Instant) {
        if let Some(slot) = self.slots.get_mut(root) {
            slot.failures = 0;
            slot.operation = operation;
            slot.rest = Some(now + looked.min(REST_MOST));
            slot.poll_at = Some(now + poll);
        }
    }

    /// A run failed. Returns how often in a row, and how long until the next try; `chance`
    /// from 0 to 1 spreads the tries of many worktrees.
    pub fn failed(&mut self, root: &AbsPath, chance: f64, now: Instant) -> (u32, Duration) {
        let Some(slot) = self.slots.get_mut(root) else { return (0, RETRY_LAST) };
        slot.failures += 1;
        let doubled = RETRY_FIRST * 2u32.saturating_pow(slot.failures.min(12) - 1);
        let wait = doubled.min(RETRY_LAST).mul_f64(0.75 + chance / 2.0);
        slot.blocked = Some(now + wait);
        // A poll would say the same.
        slot.poll_at = None;
        let failures = slot.failures;
        self.push(root, Cause::Retry, None, now);
        (failures, wait)
    }

    /// What is next. Vectors are filled where nothing else is due and `may_fill`.
    pub fn next(&mut self, may_fill: bool, now: Instant) -> Next {
        for (root, slot) in &mut self.slots {
            let _ = root;
            if slot.waiting.is_none() && slot.poll_at.is_some_and(|at| at <= now) {
                slot.poll_at = None;
                slot.waiting = Some(Waiting {
                    causes: BTreeSet::from([Cause::Poll]),
                    paths: BTreeSet::new(),
                    events: 0,
                    first: now,
                    last: now,
                });
            }
        }
        let due = self.slots.iter().filter_map(|(root, slot)| Some((slot.due()?, slot.urgency(), root)));
        let first = due.filter(|(at, ..)| *at <= now).min_by_key(|(at, urgency, _)| (*urgency, *at));
        if let Some((.., root)) = first {
            let root = root.clone();
            if let Some(waiting) = self.slots.get_mut(&root).and_then(|slot| slot.waiting.take()) {
                return Next::Look(root, waiting);
            }
        }
        if may_fill && let Some(root) = self.next_fill(now) {
            self.filled = Some(root.clone());
            return Next::Fill(root);
        }
        let times = self.slots.values().flat_map(|slot| {
            let fill = slot.blocked.filter(|at| slot.fill && may_fill && *at > now);
            [slot.due(), slot.poll_at, fill].into_iter().flatten()
        });
        times.min().map_or(Next::Nothing, Next::At)
    }

    /// Whether a run that is due now should not wait for one that fills vectors, or for one
    /// that reads very many files of another worktree than `root`.
    pub fn is_urgent(&self, root: Option<&AbsPath>, now: Instant) -> bool {
        self.slots.iter().any(|(other, slot)| {
            let due = slot.due().is_some_and(|at| at <= now);
            due && slot.urgency() < Cause::Start && root.is_none_or(|root| root != other)
        })
    }

    /// When a run becomes due that [`Queue::is_urgent`] would name; in the past where one is.
    pub fn urgent_at(&self) -> Option<Instant> {
        self.slots.values().filter(|slot| slot.urgency() < Cause::Start).filter_map(Slot::due).min()
    }

    fn next_fill(&self, now: Instant) -> Option<AbsPath> {
        let ready = |slot: &Slot| slot.fill && slot.blocked.is_none_or(|at| at <= now);
        let mut roots = self.slots.iter().filter(|(_, slot)| ready(slot)).map(|(root, _)| root);
        let after = roots.clone().find(|root| self.filled.as_ref().is_some_and(|last| *root > last));
        after.or_else(|| roots.next()).cloned()
    }
}

impl Slot {
    fn urgency(&self) -> Cause {
        let causes = self.waiting.as_ref().map(|waiting| &waiting.causes);
        causes.and_then(|causes| causes.first().copied()).unwrap_or(Cause::Poll)
    }

    /// When the waiting run is due.
    fn due(&self) -> Option<Instant> {
        let waiting = self.waiting.as_ref()?;
        let asked = waiting.causes.contains(&Cause::Asked);
        let burst = waiting.events >= BURST_EVENTS || waiting.causes.contains(&Cause::Git);
        let (quiet, most) = match (burst, self.operation) {
            (false, _) => (EDIT_QUIET, EDIT_MOST),
            (true, false) => (BURST_QUIET, BURST_MOST),
            (true, true) => (BURST_QUIET, OPERATION_MOST),
        };
        let mut due = match waiting.events {
            0 => waiting.first,
            _ if asked => waiting.first,
            _ => (waiting.last + quiet).min(waiting.first + most),
        };
        if !asked && let Some(rest) = self.rest {
            due = due.max(rest);
        }
        self.blocked.map_or(Some(due), |blocked| Some(due.max(blocked)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn root(name: &str) -> AbsPath {
        AbsPath::new(format!("/{name}").into()).expect("absolute")
    }

    fn path(name: &str) -> Option<RepoPath> {
        RepoPath::new(name)
    }

    /// A queue of worktrees that have had their first run, a second ago.
    fn queue(names: &[&str], now: Instant) -> Queue {
        let mut queue = Queue::default();
        let before = now - Duration::from_secs(1);
        for name in names {
            queue.add(&root(name), before);
            assert!(matches!(queue.next(false, before), Next::Look(..)));
            queue.ended(&root(name), 5 * MS, false, Duration::from_secs(600), before);
        }
        queue
    }

    /// When the run of the only worktree starts, in milliseconds; looks each millisecond.
    fn starts(queue: &mut Queue, now: Instant, until: u32) -> Vec<u32> {
        let begun = |queue: &mut Queue, at| matches!(queue.next(false, now + at * MS), Next::Look(..));
        (0..until).filter(|at| begun(queue, *at)).collect()
    }

    #[test]
    fn events_become_runs() {
        let edit = |at: u32| (at, Cause::Edit);
        type Case = (&'static str, Vec<(u32, Cause)>, Vec<u32>);
        let cases: &[Case] = &[
            ("one save", vec![edit(0)], vec![30]),
            ("an atomic save", vec![edit(0), edit(1), edit(3)], vec![33]),
            ("two saves", vec![edit(0), edit(100)], vec![30, 130]),
            ("written without a pause", (0..20).map(|n| edit(n * 20)).collect(), vec![250, 410]),
            ("a formatter", (0..60).map(|n| edit(n * 2)).collect(), vec![118 + 500]),
            ("a commit", vec![(0, Cause::Git), (1, Cause::Git)], vec![501]),
            ("a save and a commit", vec![edit(0), (10, Cause::Git)], vec![510]),
            ("a rebase", (0..100).map(|n| (n * 200, Cause::Git)).collect(), vec![10_000, 20_200]),
            ("somebody waits", vec![edit(0), (5, Cause::Asked)], vec![5]),
        ];
        for (name, events, expected) in cases {
            let now = Instant::now();
            let mut queue = queue(&["a"], now);
            let mut begun = Vec::new();
            let mut events = events.iter().peekable();
            for at in 0..25_000 {
                while let Some((_, cause)) = events.next_if(|(when, _)| *when == at) {
                    queue.push(&root("a"), *cause, None, now + at * MS);
                }
                if matches!(queue.next(false, now + at * MS), Next::Look(..)) {
                    begun.push(at);
                }
            }
            assert_eq!(begun, *expected, "{name}");
        }
    }

    #[test]
    fn a_rebase_in_progress_is_one_run() {
        let now = Instant::now();
        let mut queue = queue(&["a"], now);
        queue.ended(&root("a"), MS, true, Duration::from_secs(600), now);
        for step in 0..100 {
            queue.push(&root("a"), Cause::Git, None, now + step * 200 * MS);
            assert!(!matches!(queue.next(false, now + step * 200 * MS), Next::Look(..)), "step {step}");
        }
        assert_eq!(starts(&mut queue, now + 19_800 * MS, 2000), [500]);
    }

    #[test]
    fn what_is_urgent_goes_first_and_vectors_last() {
        let now = Instant::now();
        let mut queue = queue(&["a", "b", "c"], now);
        queue.set_fill(&root("a"), true);
        queue.set_fill(&root("b"), true);
        queue.push(&root("c"), Cause::Rescan, None, now - MS);
        queue.push(&root("b"), Cause::Edit, path("x"), now - 100 * MS);
        queue.push(&root("a"), Cause::Asked, None, now);
        let mut order = Vec::new();
        for _ in 0..6 {
            match queue.next(true, now) {
                Next::Look(at, _) => order.push(at.to_string()),
                Next::Fill(at) => order.push(format!("fill {at}")),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(order, ["/a", "/b", "/c", "fill /a", "fill /b", "fill /a"]);
        assert!(matches!(queue.next(false, now), Next::At(_)));
    }

    #[test]
    fn one_slot_keeps_causes_and_paths() {
        let now = Instant::now();
        let mut queue = queue(&["a"], now);
        queue.push(&root("a"), Cause::Edit, path("x"), now);
        queue.push(&root("a"), Cause::Edit, path("y"), now);
        queue.push(&root("a"), Cause::Edit, path("x"), now);
        queue.push(&root("unknown"), Cause::Edit, path("z"), now);
        let Next::Look(at, waiting) = queue.next(false, now + 100 * MS) else { panic!("it is due") };
        assert_eq!(at, root("a"));
        assert_eq!((waiting.causes.len(), waiting.paths.len()), (1, 2));
        // Put off: what came meanwhile is the same run.
        queue.push(&root("a"), Cause::Git, None, now + 110 * MS);
        queue.block(&root("a"), waiting, now + 5_000 * MS);
        assert_eq!(starts(&mut queue, now, 6_000), [5_000]);
    }

    #[test]
    fn a_long_run_is_rested_from_unless_somebody_asks() {
        let now = Instant::now();
        for (cause, expected) in [(Cause::Edit, 2000), (Cause::Asked, 0)] {
            let mut queue = queue(&["a"], now);
            queue.ended(&root("a"), 2000 * MS, false, Duration::from_secs(600), now);
            queue.push(&root("a"), cause, None, now);
            assert_eq!(starts(&mut queue, now, 3000), [expected], "{cause:?}");
        }
    }

    #[test]
    fn failures_are_retried_less_and_less_often() {
        let now = Instant::now();
        let mut queue = queue(&["a"], now);
        let waits: Vec<u64> = (0..12).map(|_| queue.failed(&root("a"), 0.5, now).1.as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
        queue.ended(&root("a"), MS, false, Duration::from_secs(600), now);
        assert_eq!(queue.failed(&root("a"), 0.0, now), (1, 750 * MS));
        assert_eq!(queue.failed(&root("a"), 1.0, now), (2, 2500 * MS));
    }

    #[test]
    fn a_poll_comes_in_its_time() {
        let now = Instant::now();
        let mut queue = queue(&["a"], now);
        queue.ended(&root("a"), MS, false, 700 * MS, now);
        assert_eq!(queue.next(false, now), Next::At(now + 700 * MS));
        assert_eq!(starts(&mut queue, now, 2000), [700]);
        assert_eq!(queue.next(false, now + 3000 * MS), Next::Nothing);
    }
}
