//! Which worktrees are kept: what the registry says, read on a thread of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Daemon, Event, seconds};
use crate::daemon::registry::{Changes, Registry, RegistryError, State};
use crate::daemon::tracked::Tracked;
use crate::engine::Engine;
use crate::path::AbsPath;

/// Git makes and moves a worktree in several steps, of which the first is heard of: the
/// registry is read at once, and again after these.
const REGISTRY_AGAIN: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(5)];

impl Daemon {
    pub(super) fn worktrees_changed(&mut self, now: Instant) {
        self.registry_at = now;
        self.registry_again = REGISTRY_AGAIN.iter();
    }

    pub(super) fn registry(&mut self, read: Result<(Registry, Changes), RegistryError>, now: Instant) {
        self.registry_busy = false;
        let poll = self.engine.settings().watch.poll;
        let again = self.registry_again.next().map_or(poll, |again| poll.min(*again));
        self.registry_at = now + if self.registry_missed { Duration::ZERO } else { again };
        self.registry_missed = false;
        let (registry, changes) = match read {
            Ok(read) => read,
            Err(error) => return tracing::error!(%error, "the registry"),
        };
        for problem in &changes.problems {
            tracing::warn!("{problem}");
        }
        for worktree in &changes.worktrees {
            tracing::info!(root = %worktree.root.display(), state = worktree.state.name(), "worktree");
        }
        let (active, others): (Vec<_>, Vec<_>) =
            registry.worktrees().iter().cloned().partition(|worktree| worktree.state == State::Active);
        self.others = others;
        let roots: Vec<AbsPath> =
            active.into_iter().filter_map(|worktree| AbsPath::new(worktree.root)).collect();
        let gone: Vec<AbsPath> = self.tracked.keys().filter(|root| !roots.contains(root)).cloned().collect();
        for root in gone {
            self.tracked.remove(&root);
            self.queue.remove(&root);
            self.watcher().release(&root);
            if let Some(running) = self.running.as_ref().filter(|running| running.root == root) {
                running.state.stop();
            }
        }
        for root in roots {
            if !self.tracked.contains_key(&root) {
                self.queue.add(&root, now);
                self.tracked.insert(root, Tracked::new());
            }
        }
    }

    pub(super) fn read_registry(&mut self, now: Instant) {
        self.registry_at = now + self.engine.settings().watch.poll;
        if self.registry_busy {
            self.registry_missed = true;
            return;
        }
        self.registry_busy = true;
        let (engine, events) = (Arc::clone(&self.engine), self.events.clone());
        tokio::task::spawn_blocking(move || {
            let settings = engine.settings();
            let read = Registry::refresh(&settings.data_dir, settings.home.as_deref(), seconds());
            if let Ok((registry, _)) = &read {
                collect(&engine, registry);
            }
            let _ = events.send(Event::Registry(read));
        });
    }
}

/// Drops the indexes of worktrees that were removed long enough ago.
fn collect(engine: &Engine, registry: &Registry) {
    let settings = engine.settings();
    for gone in registry.due(seconds(), settings.watch.keep) {
        let dropped = engine.drop_index(gone.project(), &gone.root);
        let (project, root): (PathBuf, PathBuf) = (gone.project().to_owned(), gone.root.clone());
        match dropped {
            Ok(_) => {
                tracing::info!(root = %root.display(), "the index of a removed worktree was dropped");
                let forgotten =
                    Registry::update(&settings.data_dir, |registry| registry.forget(&project, &root));
                if let Err(error) = forgotten {
                    tracing::warn!(%error, "the registry");
                }
            }
            Err(error) => tracing::warn!(root = %root.display(), %error, "its index cannot be dropped"),
        }
    }
}
