//! The directories that the list went through, and where git's own changes show.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::super::{GitChange, GitPlace, Worktree};
use super::Fixture;

fn directories(worktree: &Worktree) -> Vec<String> {
    worktree.list().expect("lists").directories.iter().map(ToString::to_string).collect()
}

#[test]
fn the_directories_that_files_may_come_to_be_shown_in() {
    let fixture = Fixture::commit_of(&["a", "d/e/b", "out/tracked/c", "sub.d/x"]);
    fixture.write(".gitignore", "out/\ntarget/\n");
    fixture.write(".indexerignore", "mine/\n");
    for file in ["target/debug/x", "out/new/y", "d/target/z", "mine/m", "state/s"] {
        fixture.write(file, "");
    }
    std::fs::create_dir_all(fixture.at("empty/inner")).expect("created");
    std::os::unix::fs::symlink("d", fixture.at("link")).expect("link");
    fixture.git(&["init", "-q", "nested"]);
    fixture.write("nested/n", "");
    fixture.git(&["worktree", "add", "-q", "linked", "-b", "side"]);
    fixture.write(b"\xff\n/z", "");
    let mut worktree = fixture.open();
    let shown = ["d", "d/e", "empty", "empty/inner", "out", "out/tracked", "state", "sub.d", "\u{fffd}\\n"];
    assert_eq!(directories(&worktree), shown);
    worktree.hide(&[fixture.at("state")]);
    assert!(!directories(&worktree).contains(&"state".to_owned()));
}

#[test]
fn the_git_directory_is_no_directory_of_the_worktree() {
    let fixture = Fixture::commit_of(&["a"]);
    let base = fixture.base.path().canonicalize().expect("canonical");
    let origin = fixture.root.to_str().expect("UTF-8");
    std::fs::create_dir(base.join("apart")).expect("created");
    fixture.git_in(&base, &["clone", "-q", origin, "--separate-git-dir", "apart/store", "apart/tree"]);
    fixture.git_in(&base, &["--git-dir=apart/store", "config", "core.worktree", "../"]);
    // Otherwise a repository inside the worktree.
    std::fs::remove_file(base.join("apart/tree/.git")).expect("removed");
    let worktree = Worktree::discover(&base.join("apart/store")).expect("opens");
    assert_eq!(worktree.root().as_path(), base.join("apart"));
    assert_eq!(directories(&worktree), ["tree"]);
}

/// `directory/name change`, directories relative to `base`, without those of an operation.
fn shown(worktree: &Worktree, base: &Path) -> Vec<String> {
    let mut shown: Vec<String> = Vec::new();
    for place in worktree.git_places() {
        let directory = place.directory.strip_prefix(base).expect("below").display();
        let name = place.name.map_or("*".to_owned(), |name| name.to_string());
        if place.change != GitChange::Operation {
            shown.push(format!("{directory}/{name} {:?}", place.change));
        }
    }
    shown.sort();
    shown
}

#[test]
fn each_layout_has_its_places() {
    let fixture = Fixture::commit_of(&["a"]);
    let base = fixture.base.path().canonicalize().expect("canonical");
    std::fs::create_dir_all(fixture.at(".git/info")).expect("created");
    fixture.git(&["worktree", "add", "-q", "../linked", "-b", "team/side"]);
    let of_common = [
        "repo/.git/config Config",
        "repo/.git/info Directory",
        "repo/.git/info/attributes Rules",
        "repo/.git/info/exclude Rules",
        "repo/.git/packed-refs Refs",
        "repo/.git/worktrees Worktrees",
        "repo/.git/worktrees/* Worktrees",
    ];
    let sorted = |more: &[&str]| {
        let mut all: Vec<String> = of_common.iter().chain(more).map(ToString::to_string).collect();
        all.sort();
        all
    };
    let main = [
        "repo/.git/HEAD Head",
        "repo/.git/config.worktree Config",
        "repo/.git/index Index",
        "repo/.git/info/sparse-checkout Rules",
        "repo/.git/logs Directory",
        "repo/.git/logs/HEAD Head",
        "repo/.git/refs/heads/main Refs",
        "repo/.git/reftable Directory",
    ];
    assert_eq!(shown(&fixture.open(), &base), sorted(&main));

    let linked = Worktree::discover(&base.join("linked")).expect("opens");
    let own = [
        "repo/.git/refs/heads/team Refs",
        "repo/.git/refs/heads/team/side Refs",
        "repo/.git/worktrees/linked/HEAD Head",
        "repo/.git/worktrees/linked/config.worktree Config",
        "repo/.git/worktrees/linked/index Index",
        "repo/.git/worktrees/linked/info Directory",
        "repo/.git/worktrees/linked/logs Directory",
        "repo/.git/worktrees/linked/logs/HEAD Head",
        "repo/.git/worktrees/linked/reftable Directory",
    ];
    assert_eq!(shown(&linked, &base), sorted(&own));

    // Packed: the branch's own directory is gone, its name above it tells when it is back.
    fixture.git(&["pack-refs", "--all"]);
    let packed = shown(&linked, &base);
    assert!(packed.contains(&"repo/.git/refs/heads/team Refs".to_owned()), "{packed:?}");
    assert!(!packed.contains(&"repo/.git/refs/heads/team/side Refs".to_owned()), "{packed:?}");
}

#[test]
fn a_head_that_leads_out_of_the_repository_is_not_followed() {
    let fixture = Fixture::commit_of(&["a"]);
    for head in ["ref: refs/heads/../../../x\n", "ref: refs/heads/\n", "ref: refs/tags/x\n", "\0\n", ""] {
        let worktree = fixture.open();
        let branch = |worktree: &Worktree| {
            let refs = |place: &GitPlace| place.directory.starts_with(fixture.at(".git/refs"));
            worktree.git_places().iter().any(refs)
        };
        assert!(branch(&worktree));
        std::fs::write(fixture.at(".git/HEAD"), head).expect("written");
        assert!(!branch(&worktree), "{head:?}");
        std::fs::write(fixture.at(".git/HEAD"), "ref: refs/heads/main\n").expect("written");
    }
}

#[test]
fn reftable_has_one_file_that_changes_with_every_ref() {
    let fixture = Fixture::with(&["--ref-format=reftable"]);
    let base = fixture.base.path().canonicalize().expect("canonical");
    let places = shown(&fixture.open(), &base);
    let own = "repo/.git/reftable/tables.list Refs".to_owned();
    assert_eq!(places.iter().filter(|place| **place == own).count(), 1, "{places:?}");
}

#[test]
fn entries_that_concern() {
    let fixture = Fixture::commit_of(&["a"]);
    fixture.git(&["worktree", "add", "-q", "../linked"]);
    let places = fixture.open().git_places();
    let concerned = |directory: &str, name: &str| -> Vec<GitChange> {
        let here = places.iter().filter(|place| place.directory == fixture.at(directory));
        here.filter(|place| place.concerns(name.as_bytes())).map(|place| place.change).collect()
    };
    let cases: &[(&str, &str, &[GitChange])] = &[
        (".git", "index", &[GitChange::Index]),
        (".git", "index.lock", &[]),
        (".git", "ORIG_HEAD", &[]),
        (".git", "objects", &[]),
        (".git", "rebase-merge", &[GitChange::Operation]),
        (".git", "MERGE_HEAD", &[GitChange::Operation]),
        (".git/refs/heads", "main", &[GitChange::Refs]),
        (".git/refs/heads", "other", &[]),
        (".git/worktrees", "anything", &[GitChange::Worktrees]),
        (".git/worktrees", "anything.lock", &[]),
    ];
    for (directory, name, expected) in cases {
        assert_eq!(&concerned(directory, name), expected, "{directory}/{name}");
    }
}

#[test]
fn the_index_is_locked_while_its_lock_exists() {
    let fixture = Fixture::commit_of(&["a"]);
    fixture.git(&["worktree", "add", "-q", "../linked"]);
    let worktree = fixture.open();
    assert_eq!(worktree.index_locked(), None);
    fixture.write(".git/index.lock", "");
    let since = worktree.index_locked().expect("locked");
    let age = SystemTime::now().duration_since(since).unwrap_or_default();
    assert!(age < Duration::from_secs(60), "{age:?}");
    let linked = Worktree::discover(&fixture.base.path().join("linked")).expect("opens");
    assert_eq!(linked.index_locked(), None, "each worktree has its own");
    std::fs::remove_file(fixture.at(".git/index.lock")).expect("removed");
    // A link is a lock as well, wherever it leads.
    std::os::unix::fs::symlink("nowhere", fixture.at(".git/index.lock")).expect("link");
    assert!(worktree.index_locked().is_some());
}
