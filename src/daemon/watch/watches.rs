//! The watches of all worktrees, and the one instance that they are on: placing them,
//! ending them, and placing them anew where what is watched is in doubt.
//!
//! The table is never locked while the instance is asked for something: it answers on
//! the thread that tells events, which waits for the table.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use super::events::{Happened, Instance, directory, is_absence};
use super::table::{Place, Table};
use super::{Notice, Reason};
use crate::path::AbsPath;

/// More watches than this are not ended one by one: ending one costs as much as placing
/// a fiftieth of all, so that what remains is placed anew instead.
const MANY: usize = 50;

type Notify = Arc<dyn Fn(Notice) + Send + Sync>;

/// The watches, and what they tell.
pub(super) struct Watches {
    notify: Notify,
    table: Arc<Mutex<Table>>,
    /// Started with the first worktree, and again where it failed.
    pub(super) instance: Option<Instance>,
}

impl Watches {
    /// None yet.
    pub(super) fn new(notify: impl Fn(Notice) + Send + Sync + 'static) -> Watches {
        Watches { notify: Arc::new(notify), table: Arc::default(), instance: None }
    }

    /// What each stands for.
    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }

    /// Starts an instance where none is running.
    pub(super) fn start(&mut self) -> Result<(), Reason> {
        if self.instance.as_ref().is_some_and(Instance::is_alive) {
            return Ok(());
        }
        let first = self.instance.take().is_none();
        self.table().clear();
        self.instance = Some(self.new_instance().map_err(|error| Reason::System(no_events(&error)))?);
        if !first {
            (self.notify)(Notice::Rescan);
        }
        Ok(())
    }

    /// One that watches nothing yet.
    fn new_instance(&self) -> io::Result<Instance> {
        let (table, notify) = (Arc::clone(&self.table), Arc::clone(&self.notify));
        Instance::start(move |happened: Happened| {
            let notices = lock(&table).notices(&happened);
            notices.into_iter().for_each(|notice| notify(notice));
        })
    }

    /// Ends the watches at `freed`, and makes good those of a worktree that are in doubt.
    pub(super) fn settle(&mut self, root: &AbsPath, mut freed: Vec<PathBuf>) -> Result<(), Reason> {
        // No watch tells that a directory above an anchor was moved, and with it all below it.
        let anchors = self.table().anchors(root);
        for (path, _) in anchors.iter().filter(|(path, then)| directory(path) != Ok(Some(*then))) {
            self.table().doubt(path);
        }
        let doubted = self.table().doubted(root);
        let (gone, replaced): (Vec<_>, Vec<_>) =
            doubted.into_iter().partition(|path| directory(path) == Ok(None));
        for path in gone {
            self.table().forget(&path);
            freed.push(path);
        }
        if replaced.is_empty() { self.end(freed) } else { self.renew() }
    }

    /// Ends the watches at these paths, which the table has no more.
    pub(super) fn end(&mut self, paths: Vec<PathBuf>) -> Result<(), Reason> {
        if paths.len() > MANY {
            return self.renew();
        }
        if let Some(instance) = &mut self.instance {
            instance.unwatch(&paths);
        }
        Ok(())
    }

    /// Places all watches of the table anew.
    fn renew(&mut self) -> Result<(), Reason> {
        let Some(mut old) = self.instance.take() else { return Ok(()) };
        // So that what is about to be made good is not put in doubt once more.
        old.drain();
        let (mut old, mut new, mut gap) = match self.new_instance() {
            Ok(new) => (Some(old), new, false),
            // One more than the system allows.
            Err(_) => {
                old.end();
                let new = self.new_instance().map_err(|error| {
                    self.table().clear();
                    (self.notify)(Notice::Rescan);
                    Reason::System(no_events(&error))
                })?;
                (None, new, true)
            }
        };
        let mut paths = self.table().paths();
        paths.retain(|path| {
            let found = directory(path);
            let mut table = self.table();
            match found {
                Ok(Some(identity)) => table.renew(path, identity),
                Ok(None) | Err(_) => drop(table.forget(path)),
            }
            gap |= found.is_err();
            matches!(found, Ok(Some(_)))
        });
        let mut refused = new.watch(&paths);
        if refused.iter().any(|(_, errno)| *errno == Errno::NOSPC)
            && let Some(old) = old.take()
        {
            old.end();
            gap = true;
            let again: Vec<PathBuf> = refused.into_iter().map(|(path, _)| path).collect();
            refused = new.watch(&again);
        }
        for (path, errno) in refused {
            self.table().forget(&path);
            gap |= !is_absence(errno);
        }
        gap |= old.is_some_and(|mut old| !old.drain());
        self.instance = Some(new);
        if gap {
            (self.notify)(Notice::Rescan);
        }
        Ok(())
    }

    /// Watches those of `places` that are not. Returns how many, those placed anew
    /// included, and those refused with why. A place without a directory has no watch,
    /// and is not refused.
    pub(super) fn place(&mut self, root: &AbsPath, places: Vec<Place>) -> (usize, Vec<(Place, Errno)>) {
        let (mut added, mut refused, mut paths) = (0, Vec::new(), Vec::new());
        let Some(instance) = &mut self.instance else { return (added, refused) };
        let root = Arc::new(root.clone());
        let missing = lock(&self.table).missing(&root, places);
        for place in missing {
            let path = place.path(&root);
            match directory(&path) {
                Ok(Some(identity)) => {
                    added += 1;
                    if lock(&self.table).insert(&root, place, path.clone(), identity) {
                        paths.push(path);
                    }
                }
                Ok(None) => {}
                Err(errno) => refused.push((place, errno)),
            }
        }
        for (path, errno) in instance.watch(&paths) {
            for (_, place) in lock(&self.table).forget(&path) {
                added -= 1;
                if !is_absence(errno) {
                    refused.push((place, errno));
                }
            }
        }
        added += lock(&self.table).take_renewed(&root);
        (added, refused)
    }
}

/// A thread that panicked holds nothing half done: each change of the table is complete
/// before the next can fail.
fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why there are no events at all, and the way out.
pub(super) fn no_events(error: &io::Error) -> String {
    if error.raw_os_error() == Some(Errno::MFILE.raw_os_error()) {
        return "the system's limit of inotify instances or of open files is reached; run `sysctl \
                fs.inotify.max_user_instances=1024`, or see `ulimit -n`"
            .to_owned();
    }
    format!("the system gives no file-system events: {error}")
}
