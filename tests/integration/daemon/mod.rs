//! The running daemon, held from outside: started as a child, made ready, asked over
//! its socket, told to stop or killed. Nothing here sleeps: a test waits for what the
//! daemon says, with a deadline.
//!
//! | file | what it holds |
//! |---|---|
//! | `refs` | git moves HEAD, refs and worktrees: the index follows by itself, and embeds nothing again |
//! | `polls` | no event comes, or not all directories are watched |
//! | `storm` | random operations over several worktrees, with kills |
//! | `failures` | what fails stays with its worktree, and what is stopped goes on |
//! | `quiet` | at rest, and under noise, nothing is done |
//! | `work` | what is urgent goes first; commands go through the daemon |
//! | `doors` | a second daemon, another user, a configuration that changes |

mod doors;
mod failures;
mod polls;
mod quiet;
mod refs;
mod storm;
mod work;

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use contextd_indexer::daemon::Client;
use contextd_indexer::daemon::protocol::{Reply, Request};
use contextd_indexer::wire::{Answer, Place, SearchRequest, Status, WorktreeStatus};
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::Sandbox;

/// How long anything may take. Generous: a machine under load is no fault.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two questions where the daemon logs nothing.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// The daemon promises to end within seconds.
const STOP_MOST: Duration = Duration::from_secs(20);

/// A daemon of a sandbox's data directory; killed when it is dropped.
pub(crate) struct Daemon<'a> {
    sandbox: &'a Sandbox,
    child: Child,
    data_dir: PathBuf,
    log: Arc<Mutex<String>>,
    /// One for each line of the log; closed when the process has ended.
    lines: Receiver<()>,
}

/// Writes the sandbox's configuration: lines of `[watch]`. Vectors are never put off.
pub(crate) fn configure(sandbox: &Sandbox, watch: &str) {
    let path = sandbox.path("home/.config/contextd-indexer/config.toml");
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    std::fs::write(path, format!("[watch]\nmax_load = 0.0\nmin_battery = 0\n{watch}")).expect("written");
}

impl<'a> Daemon<'a> {
    /// Starts one and waits until it says that it is ready.
    pub(crate) fn start(sandbox: &'a Sandbox) -> Daemon<'a> {
        Daemon::start_with(sandbox, &[])
    }

    /// With further variables.
    pub(crate) fn start_with_env(sandbox: &'a Sandbox, env: &[(&str, &str)]) -> Daemon<'a> {
        let data_dir = sandbox.data_dir();
        let mut command = sandbox.indexer_command(&sandbox.path(""), &data_dir, &["watch", "-v"]);
        command.envs(env.iter().copied());
        Daemon::spawn(sandbox, command, |_| data_dir)
    }

    /// With further arguments.
    pub(crate) fn start_with(sandbox: &'a Sandbox, args: &[&str]) -> Daemon<'a> {
        let data_dir = sandbox.data_dir();
        let mut all = vec!["watch", "-v"];
        all.extend(args);
        let command = sandbox.indexer_command(&sandbox.path(""), &data_dir, &all);
        Daemon::spawn(sandbox, command, |_| data_dir)
    }

    /// Runs `command`, which becomes a daemon; `data_dir` tells where its data directory is
    /// seen from here, by its process id.
    fn spawn(
        sandbox: &'a Sandbox,
        mut command: Command,
        data_dir: impl FnOnce(u32) -> PathBuf,
    ) -> Daemon<'a> {
        let place = sandbox.path("notify");
        // Of the last one.
        drop(std::fs::remove_file(&place));
        let notified = UnixDatagram::bind(&place).expect("a socket");
        command.env("NOTIFY_SOCKET", &place).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program runs");
        let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let (line, lines) = mpsc::channel();
        let log = Arc::new(Mutex::new(String::new()));
        let written = Arc::clone(&log);
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            while stderr.read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
                let text = String::from_utf8_lossy(&bytes);
                written.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
                bytes.clear();
                // Nobody waits any more.
                let _ = line.send(());
            }
        });
        let data_dir = data_dir(child.id());
        let daemon = Daemon { sandbox, child, data_dir, log, lines };
        daemon.await_ready(&notified);
        daemon
    }

    /// Waits for `READY=1`, as a service manager does.
    fn await_ready(&self, notified: &UnixDatagram) {
        let deadline = Instant::now() + PATIENCE;
        notified.set_read_timeout(Some(ASK_AGAIN)).expect("a timeout");
        let mut buffer = [0; 4096];
        loop {
            let text = match notified.recv(&mut buffer) {
                Ok(length) => String::from_utf8_lossy(&buffer[..length]).into_owned(),
                Err(_) => String::new(),
            };
            if text.lines().any(|line| line == "READY=1") {
                return;
            }
            let ended = self.lines.try_iter().count() == 0
                && matches!(self.lines.try_recv(), Err(mpsc::TryRecvError::Disconnected));
            assert!(!ended && Instant::now() < deadline, "it is not ready");
        }
    }

    /// All that it wrote to standard error.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it has logged `text`: what is logged arrives after what is answered.
    #[track_caller]
    pub(crate) fn await_log(&self, text: &str) {
        self.wait_for(&format!("the log has {text:?}"), |_| self.log().contains(text).then_some(()));
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a child of this process");
    }

    /// Asks; what is an error is one of the test.
    #[track_caller]
    pub(crate) fn ask(&self, request: Request) -> Reply {
        let client = Client::connect(&self.data_dir).expect("connects");
        let mut client = client.expect("a daemon listens");
        client.ask(request, Some(PATIENCE), &mut |_| {}).expect("an answer")
    }

    #[track_caller]
    pub(crate) fn status(&self) -> Status {
        match self.ask(Request::Status) {
            Reply::Status(status) => *status,
            reply => panic!("not a status: {reply:?}"),
        }
    }

    /// Its line of the status; a default where there is none.
    #[track_caller]
    pub(crate) fn worktree(&self, tree: &Path) -> WorktreeStatus {
        find(&self.status(), tree).cloned().unwrap_or_default()
    }

    /// Asks for the status until `probe` finds in it what is waited for.
    #[track_caller]
    pub(crate) fn wait_for<T>(&self, what: &str, mut probe: impl FnMut(&Status) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.status();
            if let Some(found) = probe(&status) {
                return found;
            }
            assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}: {status:#?}");
            self.await_line();
        }
    }

    /// Waits until the log goes on, or it is time to ask again.
    fn await_line(&self) {
        self.lines.try_iter().for_each(drop);
        // Closed: then the next question finds that nobody answers.
        let _ = self.lines.recv_timeout(ASK_AGAIN);
    }

    /// Waits until `tree` is fresh at what git says is HEAD, with every vector, and nothing
    /// waits or runs.
    #[track_caller]
    pub(crate) fn settle(&self, tree: &Path) -> WorktreeStatus {
        let head = self.sandbox.git(tree, &["rev-parse", "HEAD"]);
        self.wait_for(&format!("{} settles at {head}", tree.display()), |status| {
            settled(status, tree, &head).cloned()
        })
    }

    /// Waits until the index of `tree` is what a run from nothing makes, without asking
    /// for a run; its status then.
    #[track_caller]
    pub(crate) fn exact(&self, tree: &Path) -> WorktreeStatus {
        let expected = from_scratch(self.sandbox, tree);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.settle(tree);
            let kept = dump(self.sandbox, tree, &self.sandbox.data_dir());
            if kept == expected {
                return status;
            }
            assert!(Instant::now() < deadline, "{}: {}", tree.display(), differences(&kept, &expected));
            self.await_line();
        }
    }

    /// Searches words, after all that was done before is indexed where `wait` is set.
    #[track_caller]
    pub(crate) fn search(&self, tree: &Path, query: &str, wait: bool) -> Answer {
        let request = SearchRequest {
            also: Vec::new(),
            worktree: Place::from(tree),
            query: query.to_owned(),
            limit: 10,
            mode: "lexical".to_owned(),
            paths: Vec::new(),
            languages: Vec::new(),
            kinds: Vec::new(),
            wait_ms: wait.then_some(PATIENCE.as_millis() as u64 / 2),
        };
        match self.ask(Request::Search(Box::new(request))) {
            Reply::Answer(answer) => *answer,
            reply => panic!("not an answer: {reply:?}"),
        }
    }

    /// Makes the daemon look at `tree` and waits until it has.
    #[track_caller]
    pub(crate) fn barrier(&self, tree: &Path) {
        let waited = self.search(tree, "anything", true).summary.waited;
        assert!(waited.as_ref().is_some_and(|waited| waited.covered), "{}: {waited:?}", tree.display());
    }

    /// Tells it to end, which it does well and in seconds.
    pub(crate) fn stop(mut self) {
        let status = self.terminate();
        assert!(status.success(), "{status}");
        assert!(!self.log().contains("panicked at"), "a thread panicked");
    }

    fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let deadline = Instant::now() + STOP_MOST;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(()) => {}
                Err(RecvTimeoutError::Disconnected) => return self.child.wait().expect("a child"),
                Err(RecvTimeoutError::Timeout) => panic!("it does not end within {STOP_MOST:?}"),
            }
        }
    }

    /// kill -9.
    pub(crate) fn kill(self) {
        drop(self);
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            drop(writeln!(std::io::stderr(), "--- log of the daemon\n{}---", self.log()));
        }
    }
}

/// The line of `tree`.
pub(crate) fn find<'a>(status: &'a Status, tree: &Path) -> Option<&'a WorktreeStatus> {
    status.worktrees.iter().find(|worktree| worktree.root.to_path() == tree)
}

/// The line of `tree`, if all is well and at rest there.
fn settled<'a>(status: &'a Status, tree: &Path, head: &str) -> Option<&'a WorktreeStatus> {
    let at_work = status.daemon.as_ref().is_none_or(|daemon| daemon.running.is_some());
    let found = find(status, tree).filter(|found| !at_work && found.queued.is_empty())?;
    let freshness = found.freshness.as_ref().filter(|_| found.problem.is_none())?;
    let filled = freshness.vectors.values().all(|vectors| vectors.present == vectors.needed);
    let at_head = freshness.indexed_commit.as_deref() == Some(head);
    (freshness.fresh && filled && at_head).then_some(found)
}

/// What is indexed of `tree`, a line a file.
pub(crate) fn dump(sandbox: &Sandbox, tree: &Path, data_dir: &Path) -> String {
    let answer = sandbox.indexer_in(tree, data_dir, &["dump"]);
    // 1 says that there is nothing: an empty worktree has an empty dump.
    let answer = if answer.code == Some(1) { answer.expect(1) } else { answer.expect(0) };
    String::from_utf8(answer.stdout).expect("JSON")
}

/// What a run from nothing makes of `tree`.
pub(crate) fn from_scratch(sandbox: &Sandbox, tree: &Path) -> String {
    let data_dir = tempfile::tempdir_in(sandbox.path("")).expect("a directory");
    sandbox.indexer_in(tree, data_dir.path(), &["once", "--lexical-only"]).expect(0);
    dump(sandbox, tree, data_dir.path())
}

fn differences(kept: &str, expected: &str) -> String {
    let lines = |text: &str| -> BTreeSet<String> { text.lines().map(str::to_owned).collect() };
    let (kept, expected) = (lines(kept), lines(expected));
    let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| -> String {
        a.difference(b).map(|line| format!("  {line}\n")).collect()
    };
    format!("kept:\n{}from scratch:\n{}", only(&kept, &expected), only(&expected, &kept))
}

/// A repository with `files` small sources at `name` in the sandbox.
pub(crate) fn repository(sandbox: &Sandbox, name: &str, files: usize) -> PathBuf {
    let tree = sandbox.path(name);
    sandbox.git(&sandbox.path(""), &["init", "-q", name]);
    for number in 0..files {
        write(&tree, &format!("src/part_{number}.rs"), &source(number));
    }
    commit(sandbox, &tree, "first");
    tree
}

/// A source unlike those of other numbers.
pub(crate) fn source(number: usize) -> String {
    format!("/// Counts part {number}.\npub fn part_{number}() -> usize {{\n    {number}\n}}\n")
}

pub(crate) fn write(tree: &Path, path: &str, content: &str) {
    let path = tree.join(path);
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    std::fs::write(path, content).expect("a file");
}

/// Commits everything.
pub(crate) fn commit(sandbox: &Sandbox, tree: &Path, message: &str) {
    sandbox.git(tree, &["add", "-A"]);
    sandbox.git(tree, &["commit", "-q", "-m", message]);
}

/// Registers what `tree` is in.
pub(crate) fn add(sandbox: &Sandbox, tree: &Path) {
    sandbox.indexer(tree, &["add", "."]).expect(0);
}
