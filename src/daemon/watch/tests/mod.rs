//! Real repositories, real inotify. That something is *not* noticed is shown by a change
//! made afterwards, whose notice comes without another before it: events keep their order.

mod directories;
mod files;
mod git;
mod limits;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tempfile::TempDir;

use super::events::Instance;
use super::watches::no_events;
use super::*;
use crate::git::{LOCAL_ENV_VARS, Worktree};

/// Longer than anything takes that works.
const DEADLINE: Duration = Duration::from_secs(20);

/// A watcher and what it told, and a repository in `repo`.
struct Fixture {
    base: TempDir,
    watcher: Watcher,
    notices: Receiver<Notice>,
    fences: usize,
}

impl Fixture {
    /// A repository with one commit of these files.
    fn of(files: &[&str]) -> Fixture {
        Fixture::with_budget(files, None)
    }

    fn with_budget(files: &[&str], max_watches: Option<usize>) -> Fixture {
        let (sender, notices) = channel();
        let tell = move |notice| drop(sender.send(notice));
        let watcher = Watcher::new(true, max_watches, tell);
        let base = TempDir::new().expect("temporary directory");
        let fixture = Fixture { base, watcher, notices, fences: 0 };
        fixture.git_in(fixture.base.path(), &["init", "-q", "-b", "main", "repo"]);
        for file in files {
            fixture.write(file, file);
        }
        fixture.git(&["add", "-A"]);
        fixture.git(&["commit", "-q", "--allow-empty", "-m", "first"]);
        fixture
    }

    fn base(&self) -> PathBuf {
        self.base.path().canonicalize().expect("canonical")
    }

    fn root(&self) -> AbsPath {
        AbsPath::new(self.base().join("repo")).expect("absolute")
    }

    fn at(&self, path: impl AsRef<[u8]>) -> PathBuf {
        self.root().as_path().join(OsStr::from_bytes(path.as_ref()))
    }

    fn write(&self, path: impl AsRef<[u8]>, content: &str) {
        let path = self.at(path);
        std::fs::create_dir_all(path.parent().expect("parent")).expect("directories");
        std::fs::write(path, content).expect("written");
    }

    fn git(&self, args: &[&str]) -> bool {
        let ok = self.try_git(&self.at(""), args);
        assert!(ok, "git {args:?}");
        ok
    }

    fn git_in(&self, dir: &Path, args: &[&str]) {
        assert!(self.try_git(dir, args), "git {args:?}");
    }

    /// Whether it succeeded.
    fn try_git(&self, dir: &Path, args: &[&str]) -> bool {
        let mut command = Command::new("git");
        for name in LOCAL_ENV_VARS {
            command.env_remove(name);
        }
        let who = ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"];
        command.envs(who.map(|name| (name, "a"))).env("HOME", self.base.path());
        command
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_EDITOR", "true");
        command.args(["-c", "gc.auto=0", "-c", "commit.gpgSign=false", "-c", "core.fsync=none"]);
        command.current_dir(dir).args(args).output().expect("git runs").status.success()
    }

    fn open(&self) -> Worktree {
        Worktree::discover(self.root().as_path()).expect("opens")
    }

    /// What one run does about watches.
    fn run(&mut self, root: &AbsPath) -> Coverage {
        let worktree = Worktree::discover(root.as_path()).expect("opens");
        let listing = worktree.list().expect("lists");
        self.watcher.cover(root, &worktree.git_places(), &listing.directories)
    }

    /// Runs until nothing is left to place, as the daemon does; the last coverage.
    fn settle(&mut self) -> Coverage {
        let root = self.root();
        self.settle_at(&root)
    }

    fn settle_at(&mut self, root: &AbsPath) -> Coverage {
        for _ in 0..5 {
            let coverage = self.run(root);
            if coverage.added == 0 {
                return coverage;
            }
        }
        panic!("watches are placed again and again");
    }

    /// All notices of what was done up to now, in order.
    fn told(&mut self) -> Vec<Notice> {
        let root = self.root();
        self.told_by(&root)
    }

    /// The same, by a change in another worktree, which must be covered.
    fn told_by(&mut self, root: &AbsPath) -> Vec<Notice> {
        self.fences += 1;
        let fence = RepoPath::new(format!("fence-{}", self.fences)).expect("well-formed");
        std::fs::File::create_new(root.join(&fence)).expect("created");
        let last = Notice::File { root: root.clone(), path: fence };
        let mut told = Vec::new();
        loop {
            let notice =
                self.notices.recv_timeout(DEADLINE).unwrap_or_else(|_| panic!("silence after {told:?}"));
            if notice == last {
                return told;
            }
            told.push(notice);
        }
    }

    /// Paths of files in the notices up to now, sorted, each once.
    fn paths(&mut self) -> Vec<String> {
        let told = self.told().into_iter();
        let path = |notice| match notice {
            Notice::File { path, .. } => Some(path.to_string()),
            _ => None,
        };
        let paths: BTreeSet<String> = told.filter_map(path).collect();
        paths.into_iter().collect()
    }
}
