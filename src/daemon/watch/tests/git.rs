//! What git does.

use super::GitChange::*;
use super::*;

/// What is told of git's side, each change once.
fn changes(fixture: &mut Fixture, of: &AbsPath) -> BTreeSet<GitChange> {
    let change = |notice| match notice {
        Notice::Git { root, change } if root == *of => Some(change),
        _ => None,
    };
    fixture.told().into_iter().filter_map(change).collect()
}

/// Commands, each after the runs for those before it; whether git succeeds; what is told
/// at least; what is not told.
type Step = (&'static [&'static str], bool, &'static [GitChange], &'static [GitChange]);

const STEPS: &[Step] = &[
    (&["commit", "-q", "--allow-empty", "-m", "x"], true, &[Head, Refs], &[Operation, Config, Directory]),
    (&["checkout", "-q", "-b", "team/side"], true, &[Head], &[Operation, Config]),
    (&["commit", "-q", "--allow-empty", "-m", "y"], true, &[Head, Refs], &[Operation]),
    (&["reset", "-q", "--soft", "HEAD~1"], true, &[Head, Refs], &[Operation]),
    (&["update-ref", "refs/heads/team/side", "main~1"], true, &[Refs], &[Index]),
    (&["branch", "other"], true, &[], &[Refs, Index, Head]),
    (&["mv", "a", "b"], true, &[Index], &[Refs, Head]),
    (&["commit", "-q", "-m", "moved"], true, &[Index, Head, Refs], &[]),
    (&["stash", "list"], true, &[], &[Index, Head, Refs]),
    (&["pack-refs", "--all"], true, &[Refs], &[Index]),
    (&["commit", "-q", "--allow-empty", "-m", "z"], true, &[Head, Refs], &[]),
    (&["config", "core.ignoreCase", "true"], true, &[Config], &[Index]),
    (&["checkout", "-q", "main"], true, &[Head, Index], &[Operation]),
    (&["mv", "a", "c"], true, &[Index], &[]),
    (&["commit", "-q", "-m", "moved otherwise"], true, &[Head, Refs], &[Operation]),
    (&["merge", "team/side"], false, &[Operation, Index], &[]),
    (&["merge", "--abort"], true, &[Operation, Index], &[]),
    (&["rebase", "team/side"], false, &[Operation, Head], &[]),
    (&["rebase", "--abort"], true, &[Operation, Head], &[]),
    (&["cherry-pick", "team/side~1"], false, &[Operation, Index], &[]),
    (&["cherry-pick", "--abort"], true, &[Operation], &[]),
    (&["worktree", "add", "-q", "--detach", "../linked"], true, &[Worktrees], &[Refs]),
    (&["worktree", "remove", "../linked"], true, &[Worktrees], &[]),
    (&["sparse-checkout", "set", "--no-cone", "/*"], true, &[Rules], &[]),
];

#[test]
fn what_each_command_changes() {
    let mut fixture = Fixture::of(&["a", "d/x"]);
    fixture.settle();
    let root = fixture.root();
    for (at, (args, succeeds, told, not_told)) in STEPS.iter().enumerate() {
        if args[0] == "cherry-pick" && *succeeds {
            // A pick that is empty, or in conflict: either way in progress.
            assert!(fixture.open().head().expect("reads").operation.is_some());
        }
        assert_eq!(fixture.try_git(root.as_path(), args), *succeeds, "{at}: git {args:?}");
        let changes = changes(&mut fixture, &root);
        let missing: Vec<_> = told.iter().filter(|change| !changes.contains(change)).collect();
        let extra: Vec<_> = not_told.iter().filter(|change| changes.contains(change)).collect();
        assert!(missing.is_empty() && extra.is_empty(), "{at}: git {args:?}: {changes:?}");
        // Fences are files of the test, and in the way of some commands.
        for fence in 1..=fixture.fences {
            let _ = std::fs::remove_file(fixture.at(format!("fence-{fence}")));
        }
        fixture.settle();
        fixture.told();
    }
}

#[test]
fn files_of_git_that_are_edited_by_hand() {
    let mut fixture = Fixture::of(&["a"]);
    std::fs::remove_dir_all(fixture.at(".git/info")).expect("removed");
    fixture.settle();
    let root = fixture.root();
    fixture.write(".git/info/exclude", "*.log\n");
    assert_eq!(changes(&mut fixture, &root), BTreeSet::from([Directory]));
    fixture.settle();
    for (file, change) in
        [("info/exclude", Rules), ("info/attributes", Rules), ("config", Config), ("HEAD", Head)]
    {
        let path = format!(".git/{file}");
        let content = std::fs::read_to_string(fixture.at(&path)).unwrap_or_default();
        fixture.write(&path, &content);
        assert_eq!(changes(&mut fixture, &root), BTreeSet::from([change]), "{file}");
    }
    for file in ["index.lock", "HEAD.lock", "objects/x", "hooks/x", "COMMIT_EDITMSG", "info/other"] {
        fixture.write(format!(".git/{file}"), "");
        assert_eq!(changes(&mut fixture, &root), BTreeSet::new(), "{file}");
    }
    std::fs::rename(fixture.at(".git"), fixture.base().join("kept")).expect("moved");
    assert_eq!(changes(&mut fixture, &root), BTreeSet::from([Directory]));
}

#[test]
fn worktrees_of_one_repository_share_watches_and_notices() {
    let mut fixture = Fixture::of(&["a"]);
    fixture.git(&["worktree", "add", "-q", "../linked", "-b", "side"]);
    let main = fixture.root();
    let linked = AbsPath::new(fixture.base().join("linked")).expect("absolute");
    fixture.settle();
    let alone = fixture.watcher.stats().watches;
    let coverage = fixture.run(&linked);
    let together = fixture.watcher.stats().watches;
    // New are its root, its git directory and the log there; the rest is shared.
    assert_eq!(together - alone, 3);
    assert!(coverage.added > 3);
    fixture.settle_at(&linked);
    fixture.told();

    let told = |fixture: &mut Fixture| {
        let mut of = [BTreeSet::new(), BTreeSet::new()];
        for notice in fixture.told() {
            if let Notice::Git { root, change } = notice {
                of[usize::from(root == linked)].insert(change);
            }
        }
        of
    };
    fixture.git(&["config", "a.b", "c"]);
    assert_eq!(told(&mut fixture), [BTreeSet::from([Config]), BTreeSet::from([Config])]);
    fixture.git_in(linked.as_path(), &["commit", "-q", "--allow-empty", "-m", "x"]);
    let [of_main, of_linked] = told(&mut fixture);
    assert!(of_main.is_empty(), "another branch: {of_main:?}");
    assert!(of_linked.contains(&Head) && of_linked.contains(&Refs), "{of_linked:?}");

    fixture.watcher.release(&linked);
    assert_eq!(fixture.watcher.stats().watches, alone);
    assert_eq!(fixture.watcher.coverage(&linked), None);
    fixture.git(&["config", "a.b", "d"]);
    assert_eq!(told(&mut fixture), [BTreeSet::from([Config]), BTreeSet::new()]);
    fixture.watcher.release(&main);
    assert_eq!(fixture.watcher.stats().watches, 0);
}
