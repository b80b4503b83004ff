//! The worktrees of a repository, compared with `git worktree list`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::super::{GitError, RegisteredWorktree, Worktree, worktrees};
use super::Fixture;

/// Root → (locked, prunable), from git; a bare main repository is left out.
fn by_git(fixture: &Fixture, dir: &Path) -> BTreeMap<PathBuf, (bool, bool)> {
    let printed = fixture.git_in(dir, &["worktree", "list", "--porcelain", "-z"]);
    let mut found = BTreeMap::new();
    let mut root = PathBuf::new();
    for line in printed.split(|byte| *byte == 0) {
        if let Some(path) = line.strip_prefix(b"worktree ") {
            root = PathBuf::from(OsStr::from_bytes(path));
            found.insert(root.clone(), (false, false));
        } else if line == b"bare" {
            found.remove(&root);
        } else if let Some(flags) = found.get_mut(&root) {
            flags.0 |= line.starts_with(b"locked");
            flags.1 |= line.starts_with(b"prunable");
        }
    }
    found
}

fn listed(common_dir: &Path) -> Vec<RegisteredWorktree> {
    worktrees(common_dir).expect("lists")
}

/// Asserts that git agrees, and returns what is there of the list by file name.
#[track_caller]
fn agrees(fixture: &Fixture, dir: &Path, common_dir: &Path) -> BTreeMap<String, bool> {
    let found = listed(common_dir);
    let ours: BTreeMap<_, _> = found.iter().map(|at| (at.root.clone(), (at.locked, at.prunable))).collect();
    assert_eq!(ours, by_git(fixture, dir));
    found
        .iter()
        .map(|at| (at.root.file_name().unwrap_or_default().to_string_lossy().into_owned(), at.present))
        .collect()
}

#[test]
fn what_git_lists() {
    let fixture = Fixture::commit_of(&["a"]);
    let base = fixture.base.path().canonicalize().expect("canonical");
    let common = fixture.at(".git");
    for name in ["added", "removed", "moved-from", "moved-by-hand", "deleted", "pruned", "locked", "emptied"]
    {
        fixture.git(&["worktree", "add", "-q", &format!("../{name}")]);
    }
    let odd = OsStr::from_bytes(b"caf\xe9 new\nline");
    fixture.git(&["worktree", "add", "-q", "--detach", "../plain"]);
    std::fs::rename(base.join("plain"), base.join(odd)).expect("renamed");
    let (ok, _, why) = fixture.try_git(&base.join(odd), &["worktree", "repair"]);
    assert!(ok, "{why}");
    fixture.git(&["worktree", "lock", "../locked"]);
    std::fs::remove_dir_all(base.join("locked")).expect("deleted");
    std::fs::remove_dir_all(base.join("pruned")).expect("deleted");
    fixture.git(&["worktree", "prune"]);
    std::fs::remove_dir_all(base.join("deleted")).expect("deleted");
    fixture.git(&["worktree", "remove", "../removed"]);
    fixture.git(&["worktree", "move", "../moved-from", "../moved-to"]);
    std::fs::rename(base.join("moved-by-hand"), base.join("elsewhere")).expect("renamed");
    // What a mount point looks like without its file system.
    std::fs::remove_dir_all(base.join("emptied")).expect("deleted");
    std::fs::create_dir(base.join("emptied")).expect("made");

    let odd = odd.to_string_lossy().into_owned();
    let expected = [
        ("added", true),
        (odd.as_str(), true),
        ("deleted", false),
        ("emptied", false),
        ("locked", false),
        ("moved-by-hand", false),
        ("moved-to", true),
        ("repo", true),
    ];
    let expected: BTreeMap<_, _> = expected.map(|(name, there)| (name.to_owned(), there)).into();
    assert_eq!(agrees(&fixture, &fixture.root, &common), expected);
    assert_eq!(listed(&common)[0].root, fixture.root, "the main one first");

    // Another repository in the place of a worktree is not that worktree.
    std::fs::remove_dir_all(base.join("added")).expect("deleted");
    fixture.git_in(&base, &["init", "-q", "added"]);
    let added = listed(&common).into_iter().find(|at| at.root.ends_with("added")).expect("still listed");
    assert!(!added.present);
}

#[test]
fn every_layout_of_the_main_worktree() {
    let fixture = Fixture::commit_of(&["a"]);
    let base = fixture.base.path().canonicalize().expect("canonical");
    let origin = fixture.root.to_str().expect("UTF-8").to_owned();

    fixture.git_in(&base, &["clone", "-q", "--bare", &origin, "bare.git"]);
    let bare = base.join("bare.git");
    assert_eq!(listed(&bare), []);
    fixture.git_in(&bare, &["worktree", "add", "-q", "../of-bare", "main"]);
    assert_eq!(agrees(&fixture, &bare, &bare), BTreeMap::from([("of-bare".to_owned(), true)]));

    fixture.git(&["submodule", "add", "-q", &origin, "sub"]);
    let sub = Worktree::discover(&fixture.at("sub")).expect("opens");
    fixture.git_in(&fixture.at("sub"), &["worktree", "add", "-q", "../../of-sub"]);
    let roots: Vec<_> =
        listed(sub.common_dir().as_path()).into_iter().map(|at| (at.root, at.present)).collect();
    assert_eq!(roots, [(fixture.at("sub"), true), (base.join("of-sub"), true)]);

    // Its git directory does not know where the files are; git itself lists the directory.
    fixture.git_in(&base, &["clone", "-q", &origin, "--separate-git-dir", "gd", "apart"]);
    assert_eq!(listed(&base.join("gd")), []);

    std::fs::rename(&bare, base.join("gone")).expect("renamed");
    let error = worktrees(&bare).expect_err("gone");
    assert!(matches!(error, GitError::NoSuchPath { .. }), "{error}");
}
