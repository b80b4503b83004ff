//! The file list, one rule at a time.

use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::Path;

use super::super::{GitError, Worktree};
use super::{Fixture, agrees_with_git};
use crate::skip::SkipReason;

type Rule = (&'static str, fn(&Fixture), &'static [&'static str]);

/// What is done to a repository with the tracked files `a`, `d/b` and `d/e/c`,
/// and what is listed then. Each outcome is compared with git's as well.
const RULES: &[Rule] = &[
    ("nothing", |_| {}, &["+a", "+d/b", "+d/e/c"]),
    (
        "untracked, its directories not collapsed",
        |f| f.write("n/m/x", ""),
        &["+a", "+d/b", "+d/e/c", "?n/m/x"],
    ),
    (
        "status.showUntrackedFiles=no does not matter",
        |f| {
            f.git(&["config", "status.showUntrackedFiles", "no"]);
            f.write("x", "");
        },
        &["+a", "+d/b", "+d/e/c", "?x"],
    ),
    ("deleted on disk", |f| std::fs::remove_file(f.at("d/b")).expect("removed"), &["+a", "+d/e/c"]),
    (
        "rm --cached: untracked now",
        |f| {
            f.git(&["rm", "-q", "--cached", "a"]);
        },
        &["?a", "+d/b", "+d/e/c"],
    ),
    (
        "rm --cached and ignored: gone",
        |f| {
            f.git(&["rm", "-q", "--cached", "a"]);
            f.write(".git/info/exclude", "a\n");
        },
        &["+d/b", "+d/e/c"],
    ),
    (
        "intent to add",
        |f| {
            f.write("x", "");
            f.git(&["add", "-N", "x"]);
        },
        &["+a", "+d/b", "+d/e/c", "+x"],
    ),
    (
        "assume-unchanged",
        |f| {
            f.git(&["update-index", "--assume-unchanged", "a"]);
        },
        &["+a", "+d/b", "+d/e/c"],
    ),
    (
        "skip-worktree, present",
        |f| {
            f.git(&["update-index", "--skip-worktree", "a"]);
        },
        &["+a", "+d/b", "+d/e/c"],
    ),
    (
        "skip-worktree, absent",
        |f| {
            f.git(&["update-index", "--skip-worktree", "a"]);
            std::fs::remove_file(f.at("a")).expect("removed");
        },
        &["+d/b", "+d/e/c"],
    ),
    (
        ".gitignore at every level, nearest first",
        |f| {
            f.write(".gitignore", "*.log\n/top\n");
            f.write("d/.gitignore", "!keep.log\n");
            for file in ["x.log", "top", "d/top", "d/keep.log", "d/e/keep.log", "d/y.log"] {
                f.write(file, "");
            }
        },
        &["?.gitignore", "+a", "?d/.gitignore", "+d/b", "+d/e/c", "?d/e/keep.log", "?d/keep.log", "?d/top"],
    ),
    (
        "tracked and ignored stays; beside it nothing",
        |f| {
            f.write(".gitignore", "/d/\n/a\n");
            f.write("d/new", "");
            f.write("d/e/new", "");
        },
        &["?.gitignore", "+a", "+d/b", "+d/e/c"],
    ),
    (
        "an ignored directory is not entered, whatever it re-includes",
        |f| {
            f.write(".gitignore", "out/\n!out/keep\n");
            f.write("out/keep", "");
            f.write("out/.gitignore", "!*\n");
        },
        &["?.gitignore", "+a", "+d/b", "+d/e/c"],
    ),
    (
        "*/ in info/exclude leaves the root's files",
        |f| {
            f.write(".git/info/exclude", "*/\n");
            f.write("x", "");
            f.write("n/y", "");
        },
        &["+a", "+d/b", "+d/e/c", "?x"],
    ),
    (
        "*/ in core.excludesFile",
        |f| {
            std::fs::write(f.base.path().join("core.excludesFile"), "*/\n").expect("written");
            f.write("x", "");
            f.write("d/y", "");
        },
        &["+a", "+d/b", "+d/e/c", "?x"],
    ),
    (
        "info/exclude outranks core.excludesFile, .gitignore both",
        |f| {
            std::fs::write(f.base.path().join("core.excludesFile"), "x\ny\nz\n").expect("written");
            f.write(".git/info/exclude", "!x\n!y\n");
            f.write(".gitignore", "y\n");
            for file in ["x", "y", "z"] {
                f.write(file, "");
            }
        },
        &["?.gitignore", "+a", "+d/b", "+d/e/c", "?x"],
    ),
    (
        "a .gitignore that is a link is not followed",
        |f| {
            f.write("n/patterns", "x\n");
            symlink("patterns", f.at("n/.gitignore")).expect("link");
            f.write("n/x", "");
        },
        &["+a", "+d/b", "+d/e/c", "?n/.gitignore", "?n/patterns", "?n/x"],
    ),
    (
        "a .gitignore kept from the disk by sparse checkout holds",
        |f| {
            f.write("d/.gitignore", "*.o\n");
            f.commit();
            f.git(&["update-index", "--skip-worktree", "d/.gitignore"]);
            std::fs::remove_file(f.at("d/.gitignore")).expect("removed");
            f.write("d/x.o", "");
        },
        &["+a", "+d/b", "+d/e/c"],
    ),
    (
        "newline, quote, dash, byte names",
        |f| {
            for file in [b"n\nl".as_slice(), b"q\"\\t", b"-rf", b"caf\xe9", b"\xff/\xfe", b"sp ace "] {
                f.write(file, "");
            }
        },
        &[
            "?-rf",
            "+a",
            "?caf\u{fffd}",
            "+d/b",
            "+d/e/c",
            "?n\nl",
            "?q\"\\t",
            "?sp ace ",
            "?\u{fffd}/\u{fffd}",
        ],
    ),
    (
        "case-only rename",
        |f| {
            f.git(&["mv", "a", "A"]);
        },
        &["+A", "+d/b", "+d/e/c"],
    ),
    (
        "directory rename",
        |f| {
            f.git(&["mv", "d", "g"]);
        },
        &["+a", "+g/b", "+g/e/c"],
    ),
    (
        "file becomes directory",
        |f| {
            std::fs::remove_file(f.at("a")).expect("removed");
            f.write("a/x", "");
        },
        &["?a/x", "+d/b", "+d/e/c"],
    ),
    (
        "directory becomes file",
        |f| {
            std::fs::remove_dir_all(f.at("d")).expect("removed");
            f.write("d", "");
        },
        &["+a", "?d"],
    ),
    (
        "directory becomes a link to its twin: nothing below it",
        |f| {
            std::fs::rename(f.at("d"), f.at("g")).expect("renamed");
            symlink("g", f.at("d")).expect("link");
        },
        &["+a", "?d", "?g/b", "?g/e/c"],
    ),
    ("link loop", |f| symlink(".", f.at("d/loop")).expect("link"), &["+a", "+d/b", "+d/e/c", "?d/loop"]),
    (
        "names that sort around the slash",
        |f| {
            for file in ["d-", "d.x", "d0", "d/e.x", "d/e0"] {
                f.write(file, "");
            }
            f.git(&["add", "d.x", "d/e.x"]);
        },
        &["+a", "?d-", "+d.x", "+d/b", "+d/e.x", "+d/e/c", "?d/e0", "?d0"],
    ),
    ("empty directory", |f| std::fs::create_dir(f.at("n")).expect("made"), &["+a", "+d/b", "+d/e/c"]),
    (
        "deleted index entry of a whole directory",
        |f| {
            f.git(&["rm", "-rq", "d"]);
        },
        &["+a"],
    ),
    (
        "index version 4",
        |f| {
            f.git(&["update-index", "--index-version", "4"]);
        },
        &["+a", "+d/b", "+d/e/c"],
    ),
    (
        "split index, with later changes",
        |f| {
            f.git(&["update-index", "--split-index"]);
            f.write("x", "");
            f.git(&["add", "x"]);
            f.git(&["rm", "-q", "d/b"]);
        },
        &["+a", "+d/e/c", "+x"],
    ),
    (
        "a .git file that names nothing makes no repository",
        |f| {
            f.write("n/.git", "gitdir: /nowhere\n");
            f.write("n/x", "");
        },
        &["+a", "+d/b", "+d/e/c", "?n/x"],
    ),
    (
        "a repository in the place of a tracked file",
        |f| {
            std::fs::remove_file(f.at("a")).expect("removed");
            f.git(&["init", "-q", "a"]);
        },
        &["+d/b", "+d/e/c"],
    ),
    ("an untracked FIFO is not shown", |f| fifo(&f.at("pipe")), &["+a", "+d/b", "+d/e/c"]),
    (
        "no index and no commit",
        |f| {
            f.git(&["update-ref", "-d", "HEAD"]);
            std::fs::remove_file(f.at(".git/index")).expect("removed");
        },
        &["?a", "?d/b", "?d/e/c"],
    ),
];

fn fifo(path: &Path) {
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o644.into(), 0).expect("made");
    assert!(path.symlink_metadata().expect("there").file_type().is_fifo());
}

#[test]
fn rules() {
    for (name, change, expected) in RULES {
        let fixture = Fixture::commit_of(&["a", "d/b", "d/e/c"]);
        change(&fixture);
        assert_eq!(fixture.shown(), *expected, "{name}");
        agrees_with_git(&fixture, &fixture.root, name);
    }
}

#[test]
fn conflict_stages_list_a_path_once() {
    let fixture = Fixture::commit_of(&["a", "b"]);
    fixture.git(&["switch", "-qc", "other"]);
    fixture.write("a", "theirs");
    fixture.commit();
    fixture.git(&["switch", "-q", "main"]);
    fixture.write("a", "ours");
    fixture.commit();
    let (merged, _, _) = fixture.try_git(&fixture.root, &["merge", "-q", "other"]);
    assert!(!merged);
    assert_eq!(fixture.shown(), ["+a", "+b"]);
    agrees_with_git(&fixture, &fixture.root, "conflict");
}

#[test]
fn kinds_of_files() {
    let fixture = Fixture::commit_of(&["plain", "pipe", "dir/x"]);
    std::fs::remove_file(fixture.at("pipe")).expect("removed");
    fifo(&fixture.at("pipe"));
    symlink("plain", fixture.at("link")).expect("link");
    symlink("dir", fixture.at("dirlink")).expect("link");
    symlink("nowhere", fixture.at("broken")).expect("link");
    for (path, skip) in [
        ("plain", None),
        ("pipe", Some(SkipReason::Special)),
        ("link", Some(SkipReason::Symlink)),
        ("dirlink", Some(SkipReason::Symlink)),
        ("broken", Some(SkipReason::Symlink)),
    ] {
        assert_eq!(fixture.skip(path), skip, "{path}");
    }
    agrees_with_git(&fixture, &fixture.root, "kinds");
}

#[test]
fn repositories_inside_are_boundaries() {
    let fixture = Fixture::commit_of(&["a", "tracked/b"]);
    let sub = Fixture::commit_of(&["inner"]);
    fixture.git(&["submodule", "--quiet", "add", sub.root.to_str().expect("UTF-8"), "sub"]);
    fixture.git(&["clone", "-q", sub.root.to_str().expect("UTF-8"), "nested"]);
    fixture.git(&["init", "-q", "fresh"]);
    fixture.git(&["worktree", "add", "-q", "wt"]);
    // Git goes on into a directory of which it tracks files.
    fixture.git(&["init", "-q", "tracked"]);
    fixture.write("tracked/new", "");
    for file in ["sub/new", "nested/new", "fresh/new", "wt/new"] {
        fixture.write(file, "");
    }
    let expected = ["+.gitmodules", "+a", "?fresh", "?nested", "+sub", "+tracked/b", "?tracked/new", "?wt"];
    assert_eq!(fixture.shown(), expected);
    for dir in ["fresh", "nested", "sub", "wt"] {
        assert_eq!(fixture.skip(dir), Some(SkipReason::Submodule), "{dir}");
    }
    agrees_with_git(&fixture, &fixture.root, "main");
    agrees_with_git(&fixture, &fixture.at("sub"), "submodule");
    agrees_with_git(&fixture, &fixture.at("wt"), "nested worktree");

    fixture.git(&["submodule", "--quiet", "deinit", "-f", "sub"]);
    assert_eq!(fixture.skip("sub"), Some(SkipReason::Submodule), "not initialised");
    let before = fixture.list();
    fixture.write("nested/more", "");
    assert_eq!(fixture.list(), before, "work inside changes nothing outside");
}

#[test]
fn sparse_checkout_of_every_kind() {
    for (mode, settings) in [
        ("cone", &["sparse-checkout", "set", "--cone", "in"][..]),
        ("sparse index", &["sparse-checkout", "set", "--cone", "--sparse-index", "in"]),
        ("patterns", &["sparse-checkout", "set", "--no-cone", "/in/", "/top"]),
    ] {
        let fixture = Fixture::commit_of(&["top", "in/a", "out/b", "out/deep/c", "out/deep/d", "out0"]);
        fixture.git(settings);
        let clean = fixture.shown();
        assert!(
            clean.contains(&"+in/a".to_owned()) && !clean.contains(&"+out/b".to_owned()),
            "{mode}: {clean:?}"
        );
        agrees_with_git(&fixture, &fixture.root, mode);
        // Files that come back by hand are tracked, strangers beside them are not.
        fixture.write("out/deep/c", "present");
        fixture.write("out/deep/new", "");
        let shown = fixture.shown();
        assert!(shown.contains(&"+out/deep/c".to_owned()), "{mode}: {shown:?}");
        assert!(shown.contains(&"?out/deep/new".to_owned()), "{mode}: {shown:?}");
        agrees_with_git(&fixture, &fixture.root, mode);
    }
}

#[test]
fn indexerignore() {
    let fixture = Fixture::commit_of(&["keep.rs", "gen/a.rs", "gen/b.rs", "docs/x.md", "docs/deep/y.md"]);
    fixture.write(".indexerignore", "# comment\n/gen/\n*.tmp\nscratch/\n");
    fixture.write("docs/.indexerignore", "*.md\n!y.md\n");
    fixture.write("note.tmp", "");
    fixture.write("scratch/z", "");
    fixture.write("gen/untracked", "");
    let ignored = Some(SkipReason::IndexerIgnored);
    for (path, skip) in [
        ("keep.rs", None),
        ("gen/a.rs", ignored),
        ("gen/untracked", ignored),
        ("note.tmp", ignored),
        ("docs/x.md", ignored),
        ("docs/deep/y.md", None),
    ] {
        assert_eq!(fixture.skip(path), skip, "{path}");
    }
    assert!(
        !fixture.shown().contains(&"?scratch/z".to_owned()),
        "an ignored untracked directory leaves no entry"
    );
}

#[test]
fn linguist_attributes() {
    let fixture = Fixture::commit_of(&["a.rs", "gen.rs", "v/x.rs", "v/own.rs", "w.rs", "i.rs"]);
    assert_eq!(fixture.skip("gen.rs"), None);
    fixture.write(
        ".gitattributes",
        "gen.rs linguist-generated\nv/** linguist-vendored=true\nw.rs linguist-vendored=false\n",
    );
    fixture.write("v/.gitattributes", "own.rs -linguist-vendored\n");
    fixture.write(".git/info/attributes", "i.rs linguist-generated=true\n");
    for (path, skip) in [
        ("a.rs", None),
        ("gen.rs", Some(SkipReason::Generated)),
        ("v/x.rs", Some(SkipReason::Vendored)),
        ("v/own.rs", None),
        ("w.rs", None),
        ("i.rs", Some(SkipReason::Generated)),
    ] {
        assert_eq!(fixture.skip(path), skip, "{path}");
    }
}

#[test]
fn the_git_directory_is_never_listed() {
    let fixture = Fixture::new();
    let base = fixture.base.path();
    fixture.write("../apart/wt/a", "");
    fixture.git_in(base, &["init", "-q", "--separate-git-dir", "apart/wt/data", "apart/wt"]);
    let worktree = Worktree::discover(&base.join("apart/wt")).expect("opens");
    let paths: Vec<_> =
        worktree.list().expect("lists").entries.into_iter().map(|e| e.path.to_string()).collect();
    assert_eq!(paths, ["a"]);
}

#[test]
fn a_missing_or_damaged_index_is_an_error_that_names_it() {
    let index = |fixture: &Fixture| fixture.at(".git/index");
    type Damage = fn(&mut Vec<u8>);
    let broken: &[(&str, Damage)] = &[
        ("empty", |bytes| bytes.clear()),
        ("torn", |bytes| bytes.truncate(bytes.len() / 2)),
        ("flipped", |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0xff;
        }),
        ("zeroed", |bytes| bytes.fill(0)),
    ];
    for (name, damage) in broken {
        let fixture = Fixture::commit_of(&["a", "b"]);
        let mut bytes = std::fs::read(index(&fixture)).expect("read");
        damage(&mut bytes);
        std::fs::write(index(&fixture), bytes).expect("written");
        let error = fixture.open().list().expect_err(name);
        assert!(matches!(error, GitError::IndexCorrupt { .. }), "{name}: {error}");
        assert!(error.to_string().contains(".git/index"), "{name}: {error}");
    }
    let fixture = Fixture::commit_of(&["a"]);
    std::fs::remove_file(index(&fixture)).expect("removed");
    let error = fixture.open().list().expect_err("missing");
    assert!(matches!(error, GitError::IndexMissing { .. }), "{error}");

    let fixture = Fixture::commit_of(&["a"]);
    fixture.git(&["update-index", "--split-index"]);
    for entry in std::fs::read_dir(fixture.at(".git")).expect("read") {
        let path = entry.expect("read").path();
        if path.to_string_lossy().contains("sharedindex") {
            std::fs::remove_file(path).expect("removed");
        }
    }
    let error = fixture.open().list().expect_err("split index without its base");
    assert!(matches!(error, GitError::IndexCorrupt { .. }), "{error}");
}

#[test]
fn a_held_index_lock_is_no_obstacle_and_nothing_is_written() {
    let fixture = Fixture::commit_of(&["a"]);
    fixture.write(".git/index.lock", "");
    let snapshot = || {
        let mut names: Vec<_> = std::fs::read_dir(fixture.at(".git"))
            .expect("read")
            .map(|entry| {
                let entry = entry.expect("read");
                (entry.path(), entry.metadata().expect("stat").modified().expect("time"))
            })
            .collect();
        names.sort();
        names
    };
    let before = snapshot();
    fixture.write("b", "");
    assert_eq!(fixture.shown(), ["+a", "?b"]);
    assert_eq!(fixture.open().head().expect("head").branch.as_deref(), Some("main"));
    assert_eq!(snapshot(), before);
}

#[test]
fn the_pattern_that_ignores_a_path() {
    let fixture = Fixture::commit_of(&["d/b"]);
    fixture.write(".gitignore", "*.o\n\nout/\n");
    fixture.write("d/.gitignore", "!keep.o\n/top\n");
    fixture.write(".git/info/exclude", "secret\n");
    for file in ["x.o", "out/deep/x", "d/keep.o", "d/top", "d/e/top", "d/secret"] {
        fixture.write(file, "");
    }
    let worktree = fixture.open();
    for (path, expected) in [
        ("x.o", Some((".gitignore", 1, "*.o"))),
        ("out/deep/x", Some((".gitignore", 3, "out/"))),
        ("d/keep.o", None),
        ("d/top", Some(("d/.gitignore", 2, "/top"))),
        ("d/e/top", None),
        ("d/secret", Some((".git/info/exclude", 1, "secret"))),
        ("none", None),
    ] {
        let path = crate::path::RepoPath::new(path).expect("well-formed");
        let found = worktree.ignored_by(&path).expect("answers");
        let found = found.as_ref().map(|by| {
            let source = by.source.strip_prefix(&fixture.root).unwrap_or(&by.source);
            (source.to_str().expect("UTF-8"), by.line, by.pattern.as_str())
        });
        assert_eq!(found, expected, "{path}");
    }
}
