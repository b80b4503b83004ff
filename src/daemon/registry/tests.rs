//! The registry over real repositories: what appears, goes, comes back, stays out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::view::Scan;
use super::{Registered, Registry, RegistryError, State, View};
use crate::git::{LOCAL_ENV_VARS, Worktree};

/// A data directory and room for repositories.
struct Machine {
    _dir: TempDir,
    base: PathBuf,
    /// Seconds since the epoch; each look at the disk is one second later.
    now: u64,
}

impl Machine {
    fn new() -> Machine {
        let dir = TempDir::new().unwrap();
        let base = dir.path().canonicalize().unwrap();
        fs::create_dir_all(base.join("home")).unwrap();
        Machine { _dir: dir, base, now: 1000 }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.base.join(name)
    }

    fn data(&self) -> PathBuf {
        self.at("data")
    }

    fn git(&self, dir: &str, args: &[&str]) {
        let mut command = Command::new("git");
        for name in LOCAL_ENV_VARS {
            command.env_remove(name);
        }
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        command.args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgSign=false"]);
        let output = command.args(args).current_dir(self.at(dir)).output().unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn repository(&self, name: &str) {
        fs::create_dir_all(self.at(name)).unwrap();
        self.git(name, &["init", "-q", "-b", "main"]);
        self.git(name, &["commit", "-q", "--allow-empty", "-m", "first"]);
    }

    fn add(&self, name: &str) {
        let worktree = Worktree::discover(&self.at(name)).unwrap();
        let (root, common_dir) = (worktree.root().as_path(), worktree.common_dir().as_path());
        Registry::update(&self.data(), |registry| registry.add_repository(root, common_dir, self.now))
            .unwrap();
    }

    fn add_folder(&self, name: &str) {
        Registry::update(&self.data(), |registry| registry.add_folder(&self.at(name), false, self.now))
            .unwrap();
    }

    /// Names of what is removed with it.
    fn remove(&self, name: &str) -> Option<Vec<String>> {
        let removed = Registry::update(&self.data(), |registry| registry.remove(&self.at(name), self.now));
        removed.unwrap().map(|removed| removed.iter().map(|worktree| self.name(worktree)).collect())
    }

    fn name(&self, worktree: &Registered) -> String {
        worktree.root.strip_prefix(&self.base).unwrap().display().to_string()
    }

    /// Looks at the disk; all worktrees as `name state since`, and those that changed by name.
    fn look(&mut self) -> (Vec<String>, Vec<String>) {
        self.now += 1;
        let (registry, changes) = Registry::refresh(&self.data(), Some(&self.at("home")), self.now).unwrap();
        let all = registry.worktrees().iter().map(|worktree| {
            let since = match worktree.state {
                State::Active | State::Excluded { since: None } => String::new(),
                State::Missing { since }
                | State::Retired { since }
                | State::Excluded { since: Some(since) } => {
                    format!(" {since}")
                }
            };
            format!("{} {}{since}", self.name(worktree), worktree.state.name())
        });
        (all.collect(), changes.worktrees.iter().map(|worktree| self.name(worktree)).collect())
    }

    #[track_caller]
    fn expect(&mut self, all: &[&str], changed: &[&str]) {
        let (states, changes) = self.look();
        assert_eq!(states, all);
        assert_eq!(changes, changed);
        assert_eq!(self.look(), (states, Vec::new()), "a second look finds no news");
    }
}

#[test]
fn worktrees_of_a_repository_come_and_go() {
    let mut machine = Machine::new();
    machine.repository("repo");
    machine.add("repo");
    machine.expect(&["repo active"], &["repo"]);
    machine.git("repo", &["worktree", "add", "-q", "../one"]);
    machine.git("repo", &["worktree", "add", "-q", "../two"]);
    machine.expect(&["one active", "repo active", "two active"], &["one", "two"]);

    // Deleted by hand: git still lists it, so it may be a disk that is not there.
    fs::rename(machine.at("one"), machine.at("away")).unwrap();
    machine.expect(&["one missing 1005", "repo active", "two active"], &["one"]);
    fs::rename(machine.at("away"), machine.at("one")).unwrap();
    machine.expect(&["one active", "repo active", "two active"], &["one"]);
    fs::remove_dir_all(machine.at("one")).unwrap();
    machine.expect(&["one missing 1009", "repo active", "two active"], &["one"]);
    machine.git("repo", &["worktree", "prune"]);
    machine.expect(&["one retired 1011", "repo active", "two active"], &["one"]);
    machine.git("repo", &["worktree", "add", "-q", "--detach", "../one"]);
    machine.expect(&["one active", "repo active", "two active"], &["one"]);

    machine.git("repo", &["worktree", "move", "../two", "../three"]);
    machine.expect(&["one active", "repo active", "three active", "two retired 1015"], &["three", "two"]);

    // All of it on a disk that is not there: nothing is retired.
    fs::rename(machine.at("repo"), machine.at("away")).unwrap();
    machine.expect(
        &["one missing 1017", "repo missing 1017", "three missing 1017", "two retired 1015"],
        &["one", "repo", "three"],
    );
    fs::rename(machine.at("away"), machine.at("repo")).unwrap();
    machine.expect(
        &["one active", "repo active", "three active", "two retired 1015"],
        &["one", "repo", "three"],
    );
    // There, but not to be read.
    fs::write(machine.at("repo/.git/config"), "[").unwrap();
    let (states, _) = machine.look();
    assert_eq!(states, ["one active", "repo active", "three active", "two retired 1015"]);
    let (_, changes) = Registry::refresh(&machine.data(), None, machine.now).unwrap();
    assert!(changes.problems[0].contains("repo"), "{:?}", changes.problems);
}

#[test]
fn another_repository_at_the_place_of_a_worktree_is_another_worktree() {
    let mut machine = Machine::new();
    machine.repository("repo");
    machine.git("repo", &["worktree", "add", "-q", "../one"]);
    machine.add("repo");
    machine.expect(&["one active", "repo active"], &["one", "repo"]);
    machine.git("repo", &["worktree", "remove", "../one"]);
    machine.repository("one");
    machine.add("one");
    machine.expect(&["one active", "one retired 1003", "repo active"], &["one", "one"]);
    let registry = Registry::load(&machine.data()).unwrap();
    let projects: Vec<_> = registry.worktrees().iter().map(|worktree| worktree.project()).collect();
    assert_eq!(projects, [machine.at("one"), machine.at("repo"), machine.at("repo")]);
    assert_eq!(registry.due(1003, Duration::ZERO).len(), 1, "the retired one alone");
}

#[test]
fn what_a_person_removed_stays_out() {
    let mut machine = Machine::new();
    machine.repository("repo");
    machine.git("repo", &["worktree", "add", "-q", "../one"]);
    machine.add("repo");
    machine.expect(&["one active", "repo active"], &["one", "repo"]);
    assert_eq!(machine.remove("one"), Some(vec!["one".to_owned()]));
    machine.expect(&["one excluded 1002", "repo active"], &[]);
    // Its grace is over.
    let keep = Duration::from_secs(10);
    Registry::update(&machine.data(), |registry| {
        assert_eq!(registry.due(1011, keep), []);
        for worktree in registry.due(1012, keep) {
            registry.forget(worktree.project(), &worktree.root);
        }
        assert_eq!(registry.due(9999, keep), []);
    })
    .unwrap();
    machine.expect(&["one excluded", "repo active"], &[]);
    machine.add("one");
    machine.expect(&["one active", "repo active"], &["one"]);

    // Not for longer than git knows the worktree: what is made anew there is another one.
    machine.remove("one");
    machine.expect(&["one excluded 1008", "repo active"], &[]);
    machine.git("repo", &["worktree", "remove", "../one"]);
    machine.expect(&["one retired 1008", "repo active"], &["one"]);
    machine.git("repo", &["worktree", "add", "-q", "--detach", "../one"]);
    machine.expect(&["one active", "repo active"], &["one"]);
}

#[test]
fn removing_undoes_what_was_added() {
    let mut machine = Machine::new();
    machine.repository("repo");
    machine.git("repo", &["worktree", "add", "-q", "../one"]);
    machine.repository("other");
    machine.add("one");
    machine.add("other");
    machine.expect(&["one active", "other active", "repo active"], &["one", "other", "repo"]);
    assert_eq!(machine.remove("nothing"), None);
    assert_eq!(machine.remove("one"), Some(vec!["one".to_owned(), "repo".to_owned()]));
    machine.expect(&["one retired 1002", "other active", "repo retired 1002"], &[]);
    assert_eq!(machine.remove("repo"), Some(vec!["one".to_owned(), "repo".to_owned()]), "again");
    machine.add("repo");
    machine.expect(&["one active", "other active", "repo active"], &["one", "repo"]);
    assert_eq!(machine.remove("repo"), Some(vec!["one".to_owned(), "repo".to_owned()]));
    Registry::update(&machine.data(), |registry| {
        for worktree in registry.due(2000, Duration::ZERO) {
            registry.forget(worktree.project(), &worktree.root);
        }
    })
    .unwrap();
    machine.expect(&["other active"], &[]);
}

#[test]
fn a_folder_holds_the_repositories_below_it() {
    let mut machine = Machine::new();
    for name in ["src/a", "src/group/b", "src/group/b/nested", "src/.hidden/c", "src/x/node_modules/d"] {
        machine.repository(name);
    }
    machine.repository("elsewhere");
    machine.git("elsewhere", &["worktree", "add", "-q", "../src/of-elsewhere"]);
    std::os::unix::fs::symlink(machine.at("elsewhere"), machine.at("src/link")).unwrap();
    fs::create_dir(machine.at("src/broken")).unwrap();
    fs::write(machine.at("src/broken/.git"), "gitdir: /nowhere\n").unwrap();
    machine.add_folder("src");
    let all = ["elsewhere active", "src/a active", "src/group/b active", "src/of-elsewhere active"];
    machine.expect(&all, &["elsewhere", "src/a", "src/group/b", "src/of-elsewhere"]);

    // A repository that was removed stays out, its new worktrees too; a new one is found.
    assert_eq!(machine.remove("src/a"), Some(vec!["src/a".to_owned()]));
    machine.git("src/a", &["worktree", "add", "-q", "../a-2"]);
    machine.repository("src/new");
    let mut states = vec![
        "elsewhere active",
        "src/a retired 1002",
        "src/group/b active",
        "src/new active",
        "src/of-elsewhere active",
    ];
    machine.expect(&states, &["src/new"]);
    machine.add("src/a");
    states[1] = "src/a active";
    states.insert(2, "src/a-2 active");
    machine.expect(&states, &["src/a", "src/a-2"]);

    // With the folder goes what only the folder held.
    let removed = machine.remove("src").unwrap();
    assert_eq!(removed, ["elsewhere", "src/group/b", "src/new", "src/of-elsewhere"]);
    machine.add_folder("src");
    let (states, _) = machine.look();
    assert!(states.iter().all(|state| state.ends_with("active")), "{states:?}");

    fs::rename(machine.at("src"), machine.at("away")).unwrap();
    let (states, changed) = machine.look();
    assert_eq!(changed.len(), 5);
    assert!(
        states.iter().all(|state| state.contains("missing") || state == "elsewhere active"),
        "{states:?}"
    );
    let (_, changes) = Registry::refresh(&machine.data(), None, 2000).unwrap();
    assert!(changes.problems[0].contains("src"), "{:?}", changes.problems);
}

#[test]
fn a_scan_stops_at_its_bound_and_says_so() {
    let machine = Machine::new();
    for name in ["src/a", "src/deep/er/b"] {
        machine.repository(name);
    }
    for (most, expected, problems) in [(100, 2, 0), (2, 1, 1)] {
        let mut view = View::default();
        let found = Scan { other_file_systems: false, most }.run(&machine.at("src"), &mut view);
        assert_eq!((found.len(), view.problems.len()), (expected, problems), "{most}: {:?}", view.problems);
    }
}

#[test]
fn the_home_directory_is_taken_only_by_name() {
    let mut machine = Machine::new();
    machine.repository("home");
    machine.repository("home/src");
    machine.git("home", &["worktree", "add", "-q", "../linked"]);
    machine.add("linked");
    machine.add_folder("home");
    machine.expect(&["home/src active", "linked active"], &["home/src", "linked"]);
    machine.add("home");
    machine.expect(&["home active", "home/src active", "linked active"], &["home"]);
}

#[test]
fn a_git_directory_apart_does_not_know_its_worktree() {
    let mut machine = Machine::new();
    fs::create_dir(machine.at("apart")).unwrap();
    machine.git("apart", &["init", "-q", "--separate-git-dir", "../gd"]);
    machine.add("apart");
    machine.expect(&["apart active"], &["apart"]);
    fs::rename(machine.at("apart"), machine.at("away")).unwrap();
    machine.expect(&["apart missing 1003"], &["apart"]);
    fs::rename(machine.at("away"), machine.at("apart")).unwrap();
    machine.expect(&["apart active"], &["apart"]);
}

#[test]
fn nothing_is_written_where_nothing_changed() {
    use std::os::unix::fs::MetadataExt;
    let mut machine = Machine::new();
    assert_eq!(machine.look(), (Vec::new(), Vec::new()));
    assert!(!machine.data().exists());
    machine.repository("repo");
    machine.add("repo");
    machine.look();
    let written = |machine: &Machine| {
        let stat = |name: &str| {
            fs::metadata(machine.data().join(name)).map(|file| (file.ino(), file.ctime(), file.ctime_nsec()))
        };
        [stat("registry.json").unwrap(), stat("registry.lock").unwrap()]
    };
    let before = written(&machine);
    machine.look();
    assert_eq!(written(&machine), before);
}

#[test]
fn a_registry_that_cannot_be_read_is_never_overwritten() {
    let machine = Machine::new();
    machine.repository("repo");
    let data = machine.data();
    machine.add("repo");
    Registry::refresh(&data, None, 1).unwrap();
    let good = fs::read_to_string(Registry::path(&data)).unwrap();
    let cases = [
        String::new(),
        good[..good.len() / 2].to_owned(),
        good.replace("\"active\"", "\"asleep\""),
        good.replace("\"active\"", "\"missing\""),
        good.replace("\"version\": 1", "\"version\": 2"),
        good.replace("\"excluded\": []", "\"excluded\": [\"relative\"]"),
        good.replace("\"excluded\": []", "\"excluded\": [], \"unknown\": 1"),
    ];
    for (number, bad) in cases.into_iter().enumerate() {
        assert_ne!(bad, good, "case {number} changes something");
        fs::write(Registry::path(&data), &bad).unwrap();
        let error =
            Registry::update(&data, |registry| registry.add_folder(Path::new("/x"), false, 1)).unwrap_err();
        let newer = matches!(error, RegistryError::Newer { found: 2, .. });
        assert_eq!(newer, bad.contains("\"version\": 2"), "{error}");
        assert!(newer || matches!(error, RegistryError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("registry.json"), "{error}");
        assert_eq!(fs::read_to_string(Registry::path(&data)).unwrap(), bad);
    }
}

#[test]
fn every_state_and_path_survives_the_file() {
    use std::os::unix::ffi::OsStrExt;
    let machine = Machine::new();
    let odd = Path::new(std::ffi::OsStr::from_bytes(b"/src/caf\xe9 \n\"x"));
    let states = [
        State::Active,
        State::Missing { since: 1 },
        State::Retired { since: u64::MAX },
        State::Excluded { since: Some(3) },
        State::Excluded { since: None },
    ];
    let mut registry = Registry::default();
    for (number, state) in states.into_iter().enumerate() {
        let root = odd.join(number.to_string());
        let (git_dir, common_dir) = (root.join(".git"), odd.join(".git"));
        registry.worktrees.push(Registered { root, git_dir, common_dir, state });
    }
    registry.add_repository(odd, &odd.join(".git"), 1);
    registry.add_folder(odd, true, 2);
    registry.excluded.insert(odd.to_owned());
    Registry::update(&machine.data(), |stored| *stored = registry.clone()).unwrap();
    assert_eq!(Registry::load(&machine.data()).unwrap(), registry);
}
