//! Commits between two commits, as git counts them.

use super::Fixture;
use crate::git::{Commits, GitError};

#[test]
fn commits_are_those_that_git_lists() {
    let fixture = Fixture::commit_of(&["a"]);
    let rev =
        |name: &str| String::from_utf8(fixture.git(&["rev-parse", name])).expect("hex").trim().to_owned();
    let base = rev("HEAD");
    fixture.git(&["switch", "-qc", "side"]);
    for subject in ["side 1", "side 2"] {
        fixture.git(&["commit", "-q", "--allow-empty", "-m", subject]);
    }
    let side = rev("HEAD");
    fixture.git(&["switch", "-q", "main"]);
    fixture.git(&["commit", "-q", "--allow-empty", "-m", "\n\nmain 1 \n\nbody"]);
    let main = rev("HEAD");
    fixture.git(&["merge", "-q", "--no-edit", "side"]);
    let merged = rev("HEAD");
    fixture.git(&["commit", "-q", "--allow-empty", "--allow-empty-message", "-m", ""]);
    let worktree = fixture.open();
    for (from, to) in [(&base, &merged), (&main, &merged), (&side, &main), (&merged, &base), (&base, &base)] {
        let found = worktree.commits_between(from, to, 2).expect("walks").expect("there");
        let range = format!("{from}..{to}");
        let listed = String::from_utf8(fixture.git(&["log", "--format=%s", &range])).expect("UTF-8");
        assert_eq!(found.count, listed.lines().count(), "{range}");
        assert!(!found.more && found.subjects.len() == found.count.min(2), "{found:?}");
        assert!(found.subjects.iter().all(|subject| listed.lines().any(|line| line == subject)), "{found:?}");
    }
    let unnamed = worktree.commits_between(&merged, &rev("HEAD"), 9).expect("walks");
    assert_eq!(unnamed, Some(Commits { count: 1, more: false, subjects: vec![String::new()] }));
    let lost = "1".repeat(40);
    assert_eq!(worktree.commits_between(&lost, &merged, 9).expect("no failure"), None);
    for (from, to) in [("main", merged.as_str()), (base.as_str(), lost.as_str())] {
        let error = worktree.commits_between(from, to, 9).expect_err("no commit");
        assert!(matches!(error, GitError::Commit { .. }), "{error}");
    }
}
