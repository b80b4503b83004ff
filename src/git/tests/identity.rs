//! Which worktree, which HEAD, which environment.

use std::path::Path;
use std::process::Command;

use super::super::{GitError, Head, LOCAL_ENV_VARS, Worktree};
use super::{Fixture, agrees_with_git, hermetic_git};

fn rev(fixture: &Fixture, dir: &Path, name: &str) -> String {
    String::from_utf8(fixture.git_in(dir, &["rev-parse", name])).expect("UTF-8").trim().to_owned()
}

fn check(fixture: &Fixture, root: &Path, head: Head, context: &str) {
    let worktree = Worktree::discover(root).unwrap_or_else(|error| panic!("{context}: {error}"));
    let canonical = |path: String| Path::new(&path).canonicalize().expect("canonical");
    assert_eq!(worktree.root().as_path(), canonical(rev(fixture, root, "--show-toplevel")), "{context}");
    assert_eq!(
        worktree.git_dir().as_path(),
        canonical(rev(fixture, root, "--absolute-git-dir")),
        "{context}"
    );
    let common = root.join(rev(fixture, root, "--git-common-dir"));
    assert_eq!(worktree.common_dir().as_path(), common.canonicalize().expect("canonical"), "{context}");
    assert_eq!(worktree.head().unwrap_or_else(|error| panic!("{context}: {error}")), head, "{context}");
    agrees_with_git(fixture, worktree.root().as_path(), context);
}

fn on(branch: &str, commit: &str) -> Head {
    Head { commit: Some(commit.to_owned()), branch: Some(branch.to_owned()), operation: None }
}

#[test]
fn every_layout() {
    let fixture = Fixture::commit_of(&["a", "d/b"]);
    let commit = rev(&fixture, &fixture.root, "HEAD");
    let base = fixture.base.path().canonicalize().expect("canonical");
    let origin = fixture.root.to_str().expect("UTF-8").to_owned();
    let url = format!("file://{origin}");
    check(&fixture, &fixture.root, on("main", &commit), "normal");
    check(&fixture, &fixture.at("d"), on("main", &commit), "from a subdirectory");
    let from_file = Worktree::discover(&fixture.at("d/b")).expect("opens");
    assert_eq!(from_file.root().as_path(), fixture.root, "from a file");
    assert_eq!(from_file.project_path(), base.join("repo"));

    fixture.git(&["worktree", "add", "-q", "../linked", "-b", "side"]);
    check(&fixture, &base.join("linked"), on("side", &commit), "linked worktree");
    assert_eq!(Worktree::discover(&base.join("linked")).expect("opens").project_path(), base.join("repo"));

    fixture.git_in(&base, &["clone", "-q", &origin, "--separate-git-dir", "gd", "apart"]);
    check(&fixture, &base.join("apart"), on("main", &commit), "separate git dir");

    fixture.git_in(&base, &["clone", "-q", "--bare", &origin, "bare.git"]);
    fixture.git_in(&base.join("bare.git"), &["worktree", "add", "-q", "../of-bare", "main"]);
    check(&fixture, &base.join("of-bare"), on("main", &commit), "worktree of a bare repository");
    assert_eq!(
        Worktree::discover(&base.join("of-bare")).expect("opens").project_path(),
        base.join("bare.git")
    );
    let error = Worktree::discover(&base.join("bare.git")).map(|_| ()).expect_err("bare");
    assert!(matches!(&error, GitError::Bare { .. }), "{error}");
    assert!(error.to_string().contains("of-bare"), "names its worktrees: {error}");

    fixture.git_in(&base, &["clone", "-q", "--depth=1", &url, "shallow"]);
    check(&fixture, &base.join("shallow"), on("main", &commit), "shallow");
    fixture.git_in(&base, &["clone", "-q", "--filter=blob:none", &url, "partial"]);
    check(&fixture, &base.join("partial"), on("main", &commit), "partial clone");

    fixture.git(&["checkout", "-q", "--detach"]);
    check(&fixture, &fixture.root, Head { branch: None, ..on("", &commit) }, "detached");

    std::os::unix::fs::symlink(&fixture.root, base.join("via-link")).expect("link");
    let via_link = Worktree::discover(&base.join("via-link/d")).expect("opens");
    assert_eq!(via_link.root().as_path(), fixture.root, "through a link to the root");
}

#[test]
fn unborn_sha256_and_core_worktree() {
    let unborn = Fixture::new();
    unborn.write("a", "");
    check_head(&unborn, Head { branch: Some("main".to_owned()), ..Head::default() });

    let sha256 = Fixture::with(&["--object-format=sha256"]);
    sha256.write("a", "");
    sha256.commit();
    let commit = rev(&sha256, &sha256.root, "HEAD");
    assert_eq!(commit.len(), 64);
    check(&sha256, &sha256.root, on("main", &commit), "sha256");

    let moved = Fixture::commit_of(&["a"]);
    let elsewhere = moved.base.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).expect("made");
    std::fs::write(elsewhere.join("a"), "").expect("written");
    moved.git(&["config", "core.worktree", elsewhere.to_str().expect("UTF-8")]);
    let worktree = Worktree::discover(&moved.at(".git")).expect("opens");
    assert_eq!(worktree.root().as_path(), elsewhere.canonicalize().expect("canonical"));
    assert_eq!(worktree.list().expect("lists").entries.len(), 1);
}

fn check_head(fixture: &Fixture, head: Head) {
    assert_eq!(fixture.open().head().expect("head"), head);
    agrees_with_git(fixture, &fixture.root, "head");
}

#[test]
fn refs_in_a_reftable_are_asked_of_git() {
    let fixture = Fixture::with(&["--ref-format=reftable"]);
    fixture.write("a", "");
    check_head(&fixture, Head { branch: Some("main".to_owned()), ..Head::default() });
    fixture.commit();
    let commit = rev(&fixture, &fixture.root, "HEAD");
    check(&fixture, &fixture.root, on("main", &commit), "reftable");
    fixture.write("b", "");
    fixture.commit();
    let changed = fixture.open().changed_between(&commit, &rev(&fixture, &fixture.root, "HEAD"));
    assert_eq!(changed.expect("differs").map(|paths| paths.len()), Some(1));
}

#[test]
fn operations_in_progress() {
    for (operation, command) in [
        ("merge", &["merge", "other"][..]),
        ("rebase", &["rebase", "other"]),
        ("cherry-pick", &["cherry-pick", "other"]),
        ("revert", &["revert", "--no-edit", "HEAD~1"]),
    ] {
        let fixture = Fixture::commit_of(&["a"]);
        fixture.git(&["switch", "-qc", "other"]);
        fixture.write("a", "theirs");
        fixture.commit();
        fixture.git(&["switch", "-q", "main"]);
        for content in ["ours", "later"] {
            fixture.write("a", content);
            fixture.commit();
        }
        let (clean, _, _) = fixture.try_git(&fixture.root, command);
        assert!(!clean, "{operation} stops at a conflict");
        let head = fixture.open().head().expect("head");
        assert_eq!(head.operation, Some(operation));
        assert_eq!(
            head.commit.as_deref(),
            Some(rev(&fixture, &fixture.root, "HEAD").as_str()),
            "{operation}"
        );
        agrees_with_git(&fixture, &fixture.root, operation);
    }
}

#[test]
fn changed_between_two_commits() {
    let fixture = Fixture::commit_of(&["same", "edited", "moved", "d/gone", "turned"]);
    let from = rev(&fixture, &fixture.root, "HEAD");
    fixture.write("edited", "more");
    fixture.git(&["mv", "moved", "d/here"]);
    fixture.git(&["rm", "-q", "d/gone", "turned"]);
    fixture.write("turned/into", "a directory");
    fixture.commit();
    let to = rev(&fixture, &fixture.root, "HEAD");
    let worktree = fixture.open();
    let changed = worktree.changed_between(&from, &to).expect("differs").expect("both there");
    let names: Vec<_> = changed.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["d/gone", "d/here", "edited", "moved", "turned", "turned/into"]);
    assert_eq!(worktree.changed_between(&to, &to).expect("same").map(|paths| paths.len()), Some(0));
    let lost = "1".repeat(40);
    assert_eq!(worktree.changed_between(&lost, &to).expect("a hint less"), None);
    for (from, to) in [("main", to.as_str()), (from.as_str(), lost.as_str())] {
        let error = worktree.changed_between(from, to).expect_err("no commit");
        assert!(matches!(error, GitError::Commit { .. }), "{error}");
    }
}

#[test]
fn a_worktree_that_is_gone_is_an_error() {
    let fixture = Fixture::commit_of(&["a"]);
    fixture.git(&["worktree", "add", "-q", "../linked"]);
    let linked = fixture.base.path().join("linked");
    let (main, side) = (fixture.open(), Worktree::discover(&linked).expect("opens"));
    std::fs::remove_dir_all(&linked).expect("removed");
    let error = side.list().expect_err("removed");
    assert!(matches!(error, GitError::RootGone { .. }), "{error}");
    // A mount point that lost its file system: an empty directory.
    std::fs::create_dir(&linked).expect("made");
    let error = side.list().expect_err("empty");
    assert!(matches!(error, GitError::RootGone { .. }), "{error}");
    assert_eq!(main.list().expect("still there").entries.len(), 1);

    std::fs::rename(fixture.at(".git"), fixture.base.path().join("gone")).expect("renamed");
    let error = main.list().expect_err("no repository");
    assert!(matches!(error, GitError::RootGone { .. }), "{error}");
}

#[test]
fn another_repository_at_the_same_path_is_noticed() {
    let fixture = Fixture::commit_of(&["a"]);
    let before = fixture.open().identity().expect("identity");
    fixture.write("b", "");
    fixture.commit();
    assert_eq!(fixture.open().identity().expect("identity"), before, "a commit changes nothing");
    std::fs::rename(fixture.at(".git"), fixture.base.path().join("old")).expect("renamed");
    fixture.git(&["init", "-q"]);
    assert_ne!(fixture.open().identity().expect("identity"), before, "made anew");

    let worktree = fixture.open();
    std::fs::remove_dir_all(fixture.at(".git")).expect("removed");
    fixture.write(".git", format!("gitdir: {}\n", fixture.base.path().join("old").display()));
    let error = worktree.list().expect_err("another repository");
    assert!(matches!(error, GitError::Replaced { .. }), "{error}");
}

#[test]
fn what_is_no_worktree_is_refused() {
    let base = tempfile::TempDir::new().expect("temporary directory");
    let error = Worktree::discover(base.path()).map(|_| ()).expect_err("no repository");
    assert!(matches!(error, GitError::NotARepository { .. }), "{error}");
    let error = Worktree::discover(&base.path().join("none")).map(|_| ()).expect_err("nothing there");
    assert!(matches!(error, GitError::NoSuchPath { .. }), "{error}");
}

/// Only root can give a directory away; elsewhere there is nothing to compare with.
#[test]
fn another_users_repository_is_refused_as_git_does() {
    if std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) != 0) {
        return;
    }
    let fixture = Fixture::commit_of(&["a"]);
    std::os::unix::fs::chown(&fixture.root, Some(12345), None).expect("chown");
    std::os::unix::fs::chown(fixture.at(".git"), Some(12345), None).expect("chown");
    let (accepted, _, stderr) = fixture.try_git(&fixture.root, &["status"]);
    assert!(!accepted && stderr.contains("dubious ownership"), "{stderr}");
    let error = Worktree::discover(&fixture.root).map(|_| ()).expect_err("foreign");
    assert!(matches!(error, GitError::Untrusted { .. }), "{error}");
    assert!(error.to_string().contains("safe.directory"), "{error}");
}

#[test]
fn the_list_of_local_variables_is_gits() {
    let fixture = Fixture::new();
    let printed = String::from_utf8(fixture.git(&["rev-parse", "--local-env-vars"])).expect("UTF-8");
    for name in printed.lines() {
        assert!(LOCAL_ENV_VARS.contains(&name), "{name}");
    }
}

/// Where set, this test is a child process that prints the list of this worktree.
const PROBE: &str = "INDEXER_TEST_LIST_OF";

#[test]
fn a_hooks_environment_redirects_nothing() {
    if let Some(root) = std::env::var_os(PROBE) {
        let worktree = Worktree::discover(Path::new(&root)).expect("opens");
        let paths: Vec<_> =
            worktree.list().expect("lists").entries.iter().map(|e| e.path.to_string()).collect();
        std::fs::write(Path::new(&root).join(".git/probe"), paths.join(" ")).expect("written");
        let head = worktree.head().expect("head");
        assert_eq!(head.branch.as_deref(), Some("main"));
        return;
    }
    let fixture = Fixture::commit_of(&["a", "b"]);
    let other = Fixture::commit_of(&["other"]);
    other.git(&["branch", "-m", "elsewhere"]);
    fixture.git(&["config", "--unset", "core.excludesFile"]);
    let global = fixture.base.path().join("global");
    let excludes = fixture.base.path().join("excludes");
    std::fs::write(&global, format!("[core]\n\texcludesFile = {}\n", excludes.display())).expect("written");
    std::fs::write(&excludes, "*.ignored\n").expect("written");
    fixture.write("x.ignored", "");
    let probe = |command: &mut Command| {
        command.args(["--exact", "git::tests::identity::a_hooks_environment_redirects_nothing"]);
        let output = command.env(PROBE, &fixture.root).output().expect("runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let path = fixture.at(".git/probe");
        let listed = std::fs::read_to_string(&path).expect("the child wrote it");
        std::fs::remove_file(path).expect("removed");
        listed
    };
    let mut child = Command::new(std::env::current_exe().expect("test binary"));
    for (name, value) in [
        ("GIT_DIR", ".git"),
        ("GIT_WORK_TREE", "."),
        ("GIT_INDEX_FILE", ".git/index"),
        ("GIT_OBJECT_DIRECTORY", ".git/objects"),
        ("GIT_COMMON_DIR", ".git"),
    ] {
        child.env(name, other.at(value));
    }
    child
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "core.worktree")
        .env("GIT_CONFIG_VALUE_0", &other.root);
    child.env("GIT_NAMESPACE", "x").env("GIT_PREFIX", "d/").env("GIT_CEILING_DIRECTORIES", &fixture.root);
    child.env("GIT_CONFIG_GLOBAL", &global).env("GIT_CONFIG_NOSYSTEM", "1").current_dir(&other.root);
    assert_eq!(probe(&mut child), "a b", "the user's settings hold, the hook's do not");
    let mut child = Command::new(std::env::current_exe().expect("test binary"));
    child
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("HOME", fixture.base.path());
    child.env_remove("XDG_CONFIG_HOME");
    assert_eq!(probe(&mut child), "a b x.ignored", "without the user's settings");

    // The same from a real hook.
    let hook = fixture.at(".git/hooks/post-commit");
    let exe = std::env::current_exe().expect("test binary");
    let script = format!(
        "#!/bin/sh\n{PROBE}='{}' '{}' --exact git::tests::identity::a_hooks_environment_redirects_nothing\n",
        fixture.root.display(),
        exe.display()
    );
    std::fs::create_dir_all(hook.parent().expect("parent")).expect("directories");
    std::fs::write(&hook, script).expect("written");
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("chmod");
    let output = hermetic_git(fixture.base.path())
        .current_dir(&fixture.root)
        .args(["commit", "-q", "--only", "b", "--allow-empty", "-m", "hooked"])
        .output()
        .expect("git runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listed = std::fs::read_to_string(fixture.at(".git/probe")).expect("the hook wrote it");
    assert_eq!(listed, "a b x.ignored");
}
