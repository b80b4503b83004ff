//! The git layer on real repositories, made by the git program in temporary
//! directories, and compared with what git itself lists.

mod history;
mod identity;
mod list;
mod places;
mod random;
mod reading;
mod worktrees;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use bstr::ByteSlice;
use tempfile::TempDir;

use super::{FileEntry, Listing, Worktree};
use crate::path::RepoPath;
use crate::skip::SkipReason;

/// A temporary directory with a repository in `repo`, cut off from the settings
/// of the machine.
pub(super) struct Fixture {
    pub base: TempDir,
    pub root: PathBuf,
}

impl Fixture {
    /// An empty repository.
    pub(super) fn new() -> Fixture {
        Fixture::with(&[])
    }

    /// An empty repository, with more arguments to `git init`.
    pub(super) fn with(init: &[&str]) -> Fixture {
        let base = TempDir::new().expect("temporary directory");
        let root = base.path().canonicalize().expect("canonical").join("repo");
        let fixture = Fixture { base, root };
        let mut args = vec!["init", "-q", "-b", "main"];
        args.extend(init);
        args.push("repo");
        fixture.git_in(fixture.base.path(), &args);
        fixture.isolate();
        fixture
    }

    /// A repository with one commit of these files, each with its name as content.
    pub(super) fn commit_of(files: &[&str]) -> Fixture {
        let fixture = Fixture::new();
        for file in files {
            fixture.write(file, file);
        }
        fixture.commit();
        fixture
    }

    /// Settings of whoever runs the tests must not show through.
    fn isolate(&self) {
        for key in ["core.excludesFile", "core.attributesFile"] {
            let file = self.base.path().join(key);
            self.git(&["config", key, file.to_str().expect("UTF-8")]);
        }
    }

    pub(super) fn git(&self, args: &[&str]) -> Vec<u8> {
        self.git_in(&self.root, args)
    }

    pub(super) fn git_in(&self, dir: &Path, args: &[&str]) -> Vec<u8> {
        let (ok, stdout, stderr) = self.try_git(dir, args);
        assert!(ok, "git {args:?}: {stderr}");
        stdout
    }

    /// Whether it succeeded, and what it printed.
    pub(super) fn try_git(&self, dir: &Path, args: &[&str]) -> (bool, Vec<u8>, String) {
        let output = hermetic_git(self.base.path()).current_dir(dir).args(args).output().expect("git runs");
        (output.status.success(), output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Writes a file, its directories too. Names are bytes.
    pub(super) fn write(&self, path: impl AsRef<[u8]>, content: impl AsRef<[u8]>) {
        let path = self.at(path);
        std::fs::create_dir_all(path.parent().expect("parent")).expect("directories");
        std::fs::write(path, content).expect("written");
    }

    pub(super) fn at(&self, path: impl AsRef<[u8]>) -> PathBuf {
        self.root.join(OsStr::from_bytes(path.as_ref()))
    }

    pub(super) fn commit(&self) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", "commit"]);
    }

    pub(super) fn open(&self) -> Worktree {
        Worktree::discover(&self.root).expect("opens")
    }

    pub(super) fn list(&self) -> Listing {
        self.open().list().expect("lists")
    }

    /// Paths in the list, lossy, tracked ones with `+` and others with `?` before them.
    pub(super) fn shown(&self) -> Vec<String> {
        let mark =
            |entry: &FileEntry| format!("{}{}", if entry.tracked { '+' } else { '?' }, entry.path.as_bstr());
        self.list().entries.iter().map(mark).collect()
    }

    /// The reason that the list gives for skipping `path`; panics where it is not listed.
    pub(super) fn skip(&self, path: &str) -> Option<SkipReason> {
        let list = self.list();
        let found = list.entries.iter().find(|entry| entry.path.as_bytes() == path.as_bytes());
        found.unwrap_or_else(|| panic!("{path} is not listed: {list:?}")).skip
    }
}

/// The git program with fixed dates and without anybody's settings.
pub(super) fn hermetic_git(home: &Path) -> Command {
    let mut command = Command::new("git");
    for name in super::LOCAL_ENV_VARS {
        command.env_remove(name);
    }
    let who = [
        ("GIT_AUTHOR_NAME", "a"),
        ("GIT_AUTHOR_EMAIL", "a@b"),
        ("GIT_COMMITTER_NAME", "a"),
        ("GIT_COMMITTER_EMAIL", "a@b"),
    ];
    let date = [("GIT_AUTHOR_DATE", "2024-01-01T00:00:00Z"), ("GIT_COMMITTER_DATE", "2024-01-01T00:00:00Z")];
    command.envs(who).envs(date).env("HOME", home).env("LC_ALL", "C");
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env_remove("XDG_CONFIG_HOME");
    let settings = [
        "protocol.file.allow=always",
        "commit.gpgSign=false",
        "gc.auto=0",
        "core.fsync=none",
        "advice.skippedCherryPicks=false",
    ];
    for setting in settings {
        command.args(["-c", setting]);
    }
    command
}

/// What git shows in `root`: paths of `ls-files`, cached and others, that are on
/// disk as a file, link or special file, or as the directory of a repository;
/// links in the way not followed; with whether git tracks each.
pub(super) fn shown_by_git(fixture: &Fixture, root: &Path) -> Vec<(RepoPath, bool)> {
    let list = |args: &[&str]| {
        let mut full = vec!["ls-files", "-z"];
        full.extend(args);
        let bytes = fixture.git_in(root, &full);
        bytes.split(|&b| b == 0).filter(|p| !p.is_empty()).map(<[u8]>::to_vec).collect::<Vec<_>>()
    };
    let mut paths: Vec<(RepoPath, bool)> = Vec::new();
    for line in list(&["--stage"]) {
        let (meta, path) = line.split_once_str("\t").expect("mode, id, stage, path");
        let gitlink = meta.starts_with(b"160000");
        let path = RepoPath::new(path).expect("well-formed");
        let kind = lstat_each(root, &path);
        if kind.is_some_and(|kind| !kind.is_dir() || gitlink) {
            paths.push((path, true));
        }
    }
    for path in list(&["--others", "--exclude-standard"]) {
        let path = path.strip_suffix(b"/").unwrap_or(&path);
        paths.push((RepoPath::new(path).expect("well-formed"), false));
    }
    paths.sort();
    paths.dedup();
    paths
}

fn lstat_each(root: &Path, path: &RepoPath) -> Option<std::fs::FileType> {
    let dirs: Vec<_> = path.ancestors().collect();
    for dir in dirs.iter().rev() {
        let at = root.join(OsStr::from_bytes(dir));
        std::fs::symlink_metadata(at).ok().filter(|metadata| metadata.is_dir())?;
    }
    std::fs::symlink_metadata(root.join(path.to_os_path())).ok().map(|metadata| metadata.file_type())
}

/// Asserts that the list is what git shows.
pub(super) fn agrees_with_git(fixture: &Fixture, root: &Path, context: &str) {
    let listing =
        Worktree::discover(root).expect("opens").list().unwrap_or_else(|error| panic!("{context}: {error}"));
    assert!(listing.unreadable.is_empty(), "{context}: {:?}", listing.unreadable);
    let ours: Vec<_> = listing.entries.into_iter().map(|entry| (entry.path, entry.tracked)).collect();
    let theirs = shown_by_git(fixture, root);
    let missing: Vec<_> = theirs.iter().filter(|at| !ours.contains(at)).collect();
    let extra: Vec<_> = ours.iter().filter(|at| !theirs.contains(at)).collect();
    assert!(missing.is_empty() && extra.is_empty(), "{context}: missing {missing:?}, extra {extra:?}");
    assert_eq!(ours, theirs, "{context}: order or duplicates");
}
