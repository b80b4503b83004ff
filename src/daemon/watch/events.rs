//! The system's file-system events, as the `notify` crate gives them: placing and
//! ending watches, and the thread that events are told on.
//!
//! Knows paths, no worktrees and no budgets. Nothing that a reader of files does
//! (opening, reading, closing) is subscribed to.
//!
//! What is told and what is watched is by path, while the system watches inodes; so the
//! crate forgets the watch of a path whose directory was moved or removed, and may do so
//! after another took its place and was watched in turn. Each time it tells of that
//! first, as [`Happened::Replaced`]. The way out is a new [`Instance`], which has no past.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use notify::event::{EventKind, EventKindMask, ModifyKind};
use notify::{Config, ErrorKind, PathOp, RecommendedWatcher, RecursiveMode, Watcher, WatcherKind};
use notify::{UpdatePathsError, WatchPathConfig};
use rustix::io::Errno;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Happened {
    /// What is at a path was made or written to, or its attributes were set.
    Changed(PathBuf),
    /// What was at a path is gone from there, or something was moved there.
    Replaced(PathBuf),
    /// Events were lost, of whichever directory.
    Lost,
}

/// Device and inode of a directory. Whoever moves away keeps it.
pub(super) type Identity = (u64, u64);

/// The directory at `path`; `None` where there is none, but a link to one at most.
pub(super) fn directory(path: &Path) -> Result<Option<Identity>, Errno> {
    match std::fs::symlink_metadata(path) {
        Ok(found) => Ok(found.is_dir().then(|| (found.dev(), found.ino()))),
        Err(error) => match Errno::from_io_error(&error).unwrap_or(Errno::IO) {
            errno if is_absence(errno) => Ok(None),
            errno => Err(errno),
        },
    }
}

/// Whether an error says that there is no directory at a path.
pub(super) fn is_absence(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP)
}

/// A running watcher. Dropped, it tells nothing more.
pub(super) struct Instance {
    /// Present until it is stopped.
    watcher: Option<RecommendedWatcher>,
    /// It tells nothing any more: it was stopped, or its receiver panicked.
    silent: Arc<AtomicBool>,
    /// Disconnected when the thread ended that events are told on.
    ended: Receiver<()>,
}

impl Instance {
    /// Starts an instance that hands what happens to `handle`, in order, on its own thread.
    pub(super) fn start(handle: impl Fn(Happened) + Send + 'static) -> io::Result<Instance> {
        let silent = Arc::new(AtomicBool::new(false));
        let (until_end, ended) = channel::<()>();
        let is_silent = Arc::clone(&silent);
        let handle = move |event: notify::Result<notify::Event>| {
            let _held_until_the_end = &until_end;
            if is_silent.load(Ordering::Relaxed) {
                return;
            }
            // The crate takes it for granted that its thread lives as long as the watcher.
            let told = catch_unwind(AssertUnwindSafe(|| happened(event).into_iter().for_each(&handle)));
            if told.is_err() {
                is_silent.store(true, Ordering::Relaxed);
            }
        };
        let config = Config::default().with_event_kinds(EventKindMask::CORE).with_follow_symlinks(false);
        let watcher = RecommendedWatcher::new(handle, config).map_err(|error| match error.kind {
            ErrorKind::Io(error) => error,
            _ => io::Error::other(error),
        })?;
        Ok(Instance { watcher: Some(watcher), silent, ended })
    }

    /// Watches the directories at `paths`, none of which it watches already; not through a
    /// link in the last component. Returns those refused, and why.
    pub(super) fn watch(&mut self, paths: &[PathBuf]) -> Vec<(PathBuf, Errno)> {
        let config = WatchPathConfig::new(RecursiveMode::NonRecursive).with_dereference_symlinks(false);
        self.update(paths, |path| PathOp::Watch(path, config.clone()))
    }

    /// Ends the watches of `paths`, each of which looks at all there are.
    pub(super) fn unwatch(&mut self, paths: &[PathBuf]) {
        // What is refused ended by itself before.
        self.update(paths, PathOp::unwatch);
    }

    fn update(&mut self, paths: &[PathBuf], op: impl Fn(PathBuf) -> PathOp) -> Vec<(PathBuf, Errno)> {
        let Some(watcher) = &mut self.watcher else { return Vec::new() };
        let mut refused = Vec::new();
        let mut rest = paths;
        while !rest.is_empty() {
            // It stops at the first that fails.
            let Err(UpdatePathsError { source, origin, remaining }) =
                watcher.update_paths(rest.iter().cloned().map(&op).collect())
            else {
                break;
            };
            let errno = errno(source);
            let at = origin.as_ref().map_or(0, |_| rest.len() - remaining.len() - 1);
            // Where the limit is reached, or the thread has ended, there is no more to be had.
            let to = if origin.is_none() || errno == Errno::NOSPC { rest.len() } else { at + 1 };
            refused.extend(rest[at..to].iter().map(|path| (path.clone(), errno)));
            rest = &rest[to..];
        }
        refused
    }

    /// Returns when everything that happened before was handled; `false` where it was not,
    /// or that cannot be known.
    pub(super) fn drain(&mut self) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        // A batch reads all events before its answer and hands them on after it, and so
        // before the answer to the next.
        let mut read = || watcher.update_paths(Vec::new()).is_ok();
        read() && read() && self.is_alive() && RecommendedWatcher::kind() == WatcherKind::Inotify
    }

    /// Returns when its watches and its thread have ended.
    pub(super) fn end(mut self) {
        self.stop();
        // Nothing is ever sent.
        let _ = self.ended.recv();
    }

    /// Whether events are still being told.
    pub(super) fn is_alive(&self) -> bool {
        !self.silent.load(Ordering::Relaxed) && !self.has_ended()
    }

    /// What it watches, by its own account.
    #[cfg(test)]
    pub(super) fn watched(&self) -> Vec<PathBuf> {
        let watched = self.watcher.as_ref().expect("not dropped").watched_paths().expect("alive");
        watched.into_iter().map(|(path, _)| path).collect()
    }

    fn has_ended(&self) -> bool {
        self.ended.try_recv() == Err(TryRecvError::Disconnected)
    }

    fn stop(&mut self) {
        self.silent.store(true, Ordering::Relaxed);
        let watcher = self.watcher.take();
        if self.has_ended() {
            // Its thread could not be started; dropping it would panic, and there is nothing to end.
            std::mem::forget(watcher);
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.stop();
    }
}

fn happened(event: notify::Result<notify::Event>) -> Vec<Happened> {
    let event = match event {
        Ok(event) if event.need_rescan() => return vec![Happened::Lost],
        Ok(event) => event,
        Err(error) => {
            tracing::warn!("reading file-system events failed: {error}");
            return vec![Happened::Lost];
        }
    };
    let replaced = matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)));
    let happened = if replaced { Happened::Replaced } else { Happened::Changed };
    event.paths.into_iter().map(happened).collect()
}

fn errno(error: notify::Error) -> Errno {
    match &error.kind {
        ErrorKind::Io(error) => Errno::from_io_error(error).unwrap_or(Errno::IO),
        ErrorKind::MaxFilesWatch => Errno::NOSPC,
        ErrorKind::PathNotFound | ErrorKind::WatchNotFound => Errno::NOENT,
        ErrorKind::Generic(_) | ErrorKind::InvalidConfig(_) => {
            tracing::warn!("watching failed: {error}");
            Errno::NOTSUP
        }
    }
}
