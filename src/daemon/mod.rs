//! The daemon: keeps the index of every registered worktree what is on disk, and
//! answers whoever asks over a Unix socket.
//!
//! Events are hints. Each of them, and the poll without any, leads to the same
//! thing: an ordinary run, which compares what git shows with the manifest. A lost
//! event costs freshness, never correctness. One run at a time; what is urgent stops
//! what is not, at a point where nothing is lost.
//!
//! | File | For |
//! |---|---|
//! | `main_loop` | events → state → runs |
//! | `queue` | which run is next, and when |
//! | `tracked` | what is known of a worktree |
//! | `job` | one run on its thread |
//! | `pressure` | whether the machine has time for what can wait |
//! | `registry` | which worktrees |
//! | `watch` | file-system events |
//! | `handle` | what is answered, whoever asks |
//! | `socket`, `protocol`, `server`, `client` | who asks, and how |
//! | `asking` | a question to whoever can answer it: the daemon, or this process |

pub mod asking;
pub mod client;
pub mod handle;
mod job;
mod main_loop;
pub mod pressure;
pub mod protocol;
pub mod queue;
pub mod registry;
mod server;
pub mod socket;
mod tracked;
pub mod watch;

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch as watch_channel};

pub use client::{Client, ClientError};
pub use handle::{Handle, blocking, failure};

use crate::config::Flags;
use crate::engine::Engine;
use crate::state_dir::{LockError, WriterLock, create_private_dir};
use crate::telemetry::{LogFilter, metrics};
use main_loop::{Daemon, Event};
use server::Shared;

/// A run in progress has this long to reach a safe point once the daemon is to end; there
/// is no point at which anything is lost, so then it is left behind.
const STOP_MOST: Duration = Duration::from_secs(4);

/// The daemon cannot run. Errors of single worktrees are no reason.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// There is one already.
    #[error(
        "a daemon runs already for {}{}: stop it first, or choose another --data-dir", data_dir.display(),
        pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    Running {
        /// The data directory.
        data_dir: PathBuf,
        /// Its process id.
        pid: Option<u32>,
    },
    /// Its folder or socket cannot be made.
    #[error("{}: {source}: check its permissions and its disk, or choose another --data-dir", path.display())]
    Io {
        /// Folder, lock or socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Keeps a door of the daemon open until the receiver says to close it: who asks there, and
/// how, is not for the daemon to know.
pub type Door =
    Box<dyn FnOnce(Handle, watch_channel::Receiver<bool>) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// What a daemon is started with, beside the settings.
pub struct Start {
    /// Further doors, beside the socket.
    pub doors: Vec<Door>,
    /// To read the configuration again.
    pub flags: Flags,
    /// To change what is logged.
    pub log: LogFilter,
    /// How often `-v` was given.
    pub verbosity: u8,
    /// File-system events are lost, all of them: for tests that only the poll is relied upon.
    #[cfg(debug_assertions)]
    pub drop_events: bool,
}

/// Runs until it is told to stop by SIGTERM or SIGINT.
pub fn run(engine: Arc<Engine>, start: Start) -> Result<(), DaemonError> {
    let data_dir = engine.settings().data_dir.clone();
    if let Err(error) = metrics::install() {
        tracing::warn!(error, "nothing is counted");
    }
    let failed = |path: PathBuf| move |source| DaemonError::Io { path, source };
    let dir = socket::dir(&data_dir);
    create_private_dir(&dir).map_err(failed(dir.clone()))?;
    let lock = WriterLock::acquire(&dir.join("daemon.lock")).map_err(|error| match error {
        LockError::Held { pid, .. } => DaemonError::Running { data_dir: data_dir.clone(), pid },
        LockError::Io { path, source } => DaemonError::Io { path, source },
    })?;
    let (listener, activated) = match listenfd::ListenFd::from_env().take_unix_listener(0) {
        Ok(Some(listener)) => (listener, true),
        // Sockets that are none of ours are left alone.
        _ => (socket::listen(&data_dir).map_err(failed(socket::path(&data_dir)))?, false),
    };
    listener.set_nonblocking(true).map_err(failed(socket::path(&data_dir)))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(32)
        .enable_all()
        .build()
        .map_err(failed(data_dir.clone()))?;
    let result = runtime.block_on(main(engine, start, listener)).map_err(failed(data_dir.clone()));
    // A run that did not stop in time is left behind: what it did is committed.
    runtime.shutdown_background();
    if !activated {
        // Whoever connects now is refused either way.
        let _ = std::fs::remove_file(socket::path(&data_dir));
    }
    drop(lock);
    result
}

async fn main(
    engine: Arc<Engine>,
    start: Start,
    listener: std::os::unix::net::UnixListener,
) -> io::Result<()> {
    let listener = tokio::net::UnixListener::from_std(listener)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let (events, mut next) = mpsc::unbounded_channel();
    let watcher = watcher(&engine, &start, events.clone());
    let changes = watch_channel::Sender::new(());
    let mut daemon = Daemon::new(Arc::clone(&engine), watcher, events.clone(), changes.clone());
    let shared = Shared {
        handle: Handle::new(engine, events.clone(), changes),
        flags: start.flags,
        log: start.log,
        verbosity: start.verbosity,
    };
    let serving = tokio::spawn(server::serve(listener, shared.clone()));
    let (close, closing) = watch_channel::channel(false);
    let mut doors = tokio::task::JoinSet::new();
    for door in start.doors {
        doors.spawn(door(shared.handle.clone(), closing.clone()));
    }
    // The loop itself says that it lives, so that one that hangs is started again.
    let mut watchdog = sd_notify::watchdog_enabled().map(|limit| tokio::time::interval(limit / 2));
    let mut summary = String::new();
    tell(&[NotifyState::Ready]);
    let mut stop_by = None;
    while !daemon.is_done() && stop_by.is_none_or(|by| Instant::now() < by) {
        let wake = [daemon.turn(), stop_by].into_iter().flatten().min();
        if daemon.summary() != summary {
            summary = daemon.summary();
            tell(&[NotifyState::Status(&summary)]);
        }
        let sleep = async {
            match wake {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        let alive = async {
            match &mut watchdog {
                Some(interval) => drop(interval.tick().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = terminate.recv() => stop_by = stop_by.or(Some(Instant::now() + STOP_MOST)),
            _ = interrupt.recv() => stop_by = stop_by.or(Some(Instant::now() + STOP_MOST)),
            _ = hang_up.recv() => {
                let shared = shared.clone();
                tokio::task::spawn_blocking(move || {
                    tell(&[NotifyState::Reloading]);
                    if let Err(failure) = shared.reload(None) {
                        tracing::error!("{}", failure.message);
                    }
                    tell(&[NotifyState::Ready]);
                });
            }
            () = alive => tell(&[NotifyState::Watchdog]),
            event = next.recv() => match event {
                Some(event) => daemon.handle(event),
                None => break,
            },
            () = sleep => {}
        }
        if stop_by.is_some() && !serving.is_finished() {
            serving.abort();
            // They have gone already, or go now.
            let _ = close.send(true);
            tell(&[NotifyState::Stopping]);
            daemon.handle(Event::Stop);
        }
    }
    // Who waits for the loop is told that it has ended; whoever is being answered has what is
    // left of the time.
    drop((daemon, next));
    let left = stop_by.unwrap_or_else(Instant::now);
    let _ = tokio::time::timeout_at(left.into(), async { while doors.join_next().await.is_some() {} }).await;
    Ok(())
}

#[cfg(debug_assertions)]
fn watcher(engine: &Engine, start: &Start, events: mpsc::UnboundedSender<Event>) -> watch::Watcher {
    match start.drop_events {
        true => main_loop::deaf_watcher(engine),
        false => main_loop::watcher(engine, events),
    }
}

#[cfg(not(debug_assertions))]
fn watcher(engine: &Engine, _start: &Start, events: mpsc::UnboundedSender<Event>) -> watch::Watcher {
    main_loop::watcher(engine, events)
}

/// Tells the service manager, where there is one.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager was not told");
    }
}
