//! Operations of git. What git refuses (nothing to commit, a conflict, a branch
//! that is checked out elsewhere) is a step that did less.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::files::patterns;
use super::{Kind, Rng, World, list_directories, list_files};
use crate::harness::nul_separated;

pub(super) fn apply(kind: Kind, world: &World, tree: &Path, rng: &mut Rng) {
    let git = |args: &[&str]| drop(world.sandbox.try_git(tree, args));
    let on = |args: &[&str], path: &Path| {
        let mut all: Vec<&OsStr> = vec![OsStr::new("--literal-pathspecs")];
        all.extend(args.iter().map(OsStr::new));
        all.extend([OsStr::new("--"), path.as_os_str()]);
        drop(world.sandbox.try_git(tree, &all));
    };
    let files = list_files(tree);
    let file = rng.pick(&files).cloned().unwrap_or_else(|| tree.join("none"));
    let tracked = tracked(world, tree, rng);
    let moves_head = matches!(
        kind,
        Kind::Checkout | Kind::Detach | Kind::Merge | Kind::Rebase | Kind::CherryPick | Kind::RevertCommit
    );
    if moves_head && rng.chance(60) {
        // Git refuses most of these over local changes; people commit first.
        git(&["add", "-A"]);
        git(&["commit", "-q", "-m", "before"]);
    }
    match kind {
        Kind::Stage => on(&["add"], &file),
        Kind::StageAll => git(&["add", "-A"]),
        Kind::StageForced => on(&["add", "-f"], &file),
        Kind::IntentToAdd => on(&["add", "-N"], &file),
        Kind::RemoveCached => on(&["rm", "-q", "--cached"], &tracked),
        Kind::Remove => on(&["rm", "-q", "-f"], &tracked),
        Kind::Move => {
            let directories = list_directories(tree);
            let into = rng.pick(&directories).cloned().unwrap_or_else(|| tree.to_owned());
            let args = ["--literal-pathspecs", "mv", "-f", "--"].map(OsStr::new);
            let ends = [tracked.as_os_str(), into.as_os_str()];
            drop(world.sandbox.try_git(tree, &[args.as_slice(), ends.as_slice()].concat()));
        }
        Kind::Commit => git(&["commit", "-q", "-m", "staged"]),
        Kind::CommitAll => {
            git(&["add", "-A"]);
            git(&["commit", "-q", "-m", "all"]);
        }
        Kind::Amend => git(&["commit", "-q", "-a", "--amend", "--no-edit", "--allow-empty"]),
        Kind::Branch => git(&["checkout", "-q", "-b", &format!("topic-{}", rng.below(8))]),
        Kind::Checkout => {
            let force = rng.chance(30);
            let branch = branch(world, tree, rng);
            git(&["checkout", if force { "-qf" } else { "-q" }, &branch]);
        }
        Kind::Detach => git(&["checkout", "-q", "--detach", &commit(world, tree, rng)]),
        Kind::Restore => on(&["checkout", "-q"], if rng.chance(70) { &tracked } else { tree }),
        Kind::Merge => {
            let strategy =
                *rng.pick(&["--no-ff", "--ff", "--squash", "-Xours", "-Xtheirs"]).unwrap_or(&"--ff");
            git(&["merge", "-q", "-m", "merged", strategy, &branch(world, tree, rng)]);
        }
        Kind::Rebase => git(&["rebase", "-q", &branch(world, tree, rng)]),
        Kind::CherryPick => git(&["cherry-pick", &commit(world, tree, rng)]),
        Kind::RevertCommit => git(&["revert", "--no-edit", &commit(world, tree, rng)]),
        Kind::Conclude => conclude(world, tree, rng),
        Kind::Stash => git(&["stash", "-q"]),
        Kind::StashUntracked => git(&["stash", "-q", "-u"]),
        Kind::StashPop => git(&["stash", "pop", "-q"]),
        Kind::ResetSoft => git(&["reset", "-q", "--soft", &commit(world, tree, rng)]),
        Kind::ResetMixed => git(&["reset", "-q", "--mixed", &commit(world, tree, rng)]),
        Kind::ResetHard => git(&["reset", "-q", "--hard", &commit(world, tree, rng)]),
        Kind::Clean => git(&["clean", "-q", "-fd"]),
        Kind::CleanIgnored => git(&["clean", "-q", "-fdX"]),
        Kind::SparseSet => sparse_set(world, tree, rng),
        Kind::SparseDisable => git(&["sparse-checkout", "disable"]),
        Kind::AssumeUnchanged => on(&["update-index", "--assume-unchanged"], &tracked),
        Kind::SkipWorktree => on(&["update-index", "--skip-worktree"], &tracked),
        Kind::ClearFlags => {
            git(&["update-index", "-q", "--really-refresh"]);
            on(&["update-index", "--no-assume-unchanged"], &tracked);
            on(&["update-index", "--no-skip-worktree"], &tracked);
        }
        Kind::IndexVersion => {
            git(&["update-index", "--index-version", if rng.chance(50) { "4" } else { "2" }]);
        }
        Kind::SplitIndex => {
            git(&["update-index", if rng.chance(50) { "--split-index" } else { "--no-split-index" }]);
        }
        Kind::InfoExclude => {
            let path = world.sandbox.git(tree, &["rev-parse", "--git-path", "info/exclude"]);
            let path = tree.join(path);
            drop(fs::create_dir_all(path.parent().unwrap_or(tree)));
            drop(fs::write(path, if rng.chance(50) { String::new() } else { patterns(rng) }));
        }
        Kind::GlobalExcludes => {
            let path = world.sandbox.path("home/.config/git/ignore");
            drop(fs::create_dir_all(path.parent().unwrap_or(tree)));
            drop(fs::write(path, if rng.chance(50) { String::new() } else { patterns(rng) }));
        }
        Kind::Configure => {
            let settings = [
                ["status.showUntrackedFiles", "no"],
                ["status.showUntrackedFiles", "all"],
                ["core.autocrlf", "input"],
                ["core.autocrlf", "false"],
                ["core.untrackedCache", "true"],
                ["core.quotePath", "false"],
                ["core.fileMode", "false"],
                ["core.trustctime", "false"],
                ["core.checkStat", "minimal"],
                ["core.precomposeUnicode", "false"],
                ["index.sparse", "false"],
            ];
            let [name, value] = rng.pick(&settings).copied().unwrap_or(["core.fileMode", "true"]);
            git(&["config", name, value]);
        }
        Kind::PackRefs => git(&["pack-refs", "--all"]),
        Kind::Gc => git(&["gc", "-q"]),
        Kind::Forget => {
            git(&["reflog", "expire", "--expire=now", "--all"]);
            git(&["gc", "-q", "--prune=now"]);
        }
        // Enough of them to matter, few enough for each step to stay quick.
        Kind::WorktreeAdd | Kind::WorktreeAddNested if world.worktrees().len() < 4 => {
            let name = format!("wt-{}", rng.below(6));
            let inside =
                if kind == Kind::WorktreeAddNested { tree.to_owned() } else { world.sandbox.path("") };
            let (path, start) = (inside.join(name), commit(world, tree, rng));
            let mut args: Vec<&OsStr> = ["worktree", "add", "-q", "--detach"].map(OsStr::new).to_vec();
            args.extend([path.as_os_str(), OsStr::new(&start)]);
            drop(world.sandbox.try_git(tree, &args));
        }
        Kind::WorktreeRemove => {
            if let Some(path) = linked(world, rng) {
                drop(world.sandbox.try_git(
                    &world.main(),
                    &[
                        "worktree".as_ref(),
                        "remove".as_ref(),
                        "--force".as_ref(),
                        "--force".as_ref(),
                        path.as_os_str(),
                    ],
                ));
            }
        }
        Kind::WorktreeLose => {
            if let Some(path) = linked(world, rng) {
                drop(fs::remove_dir_all(path));
                drop(world.sandbox.try_git(&world.main(), &["worktree", "prune"]));
            }
        }
        Kind::WorktreeMove => {
            if let Some(path) = linked(world, rng) {
                let to = world.sandbox.path(format!("moved-{}", rng.below(4)));
                drop(world.sandbox.try_git(
                    &world.main(),
                    &["worktree".as_ref(), "move".as_ref(), path.as_os_str(), to.as_os_str()],
                ));
            }
        }
        Kind::SubmoduleAdd => {
            let from = world.sandbox.path("library");
            if !from.exists() {
                world.sandbox.git(&world.sandbox.path(""), &["init", "-q", "library"]);
                drop(fs::write(from.join("lib.rs"), "pub fn shared() {}\n"));
                world.sandbox.git(&from, &["add", "-A"]);
                world.sandbox.git(&from, &["commit", "-q", "-m", "library"]);
            }
            let name = format!("sub-{}", rng.below(3));
            // Relative, so that the same steps make the same commits in every sandbox.
            git(&["submodule", "--quiet", "add", "--force", "../library", &name]);
        }
        _ => {}
    }
}

/// A path of the index.
fn tracked(world: &World, tree: &Path, rng: &mut Rng) -> PathBuf {
    let listed = world.sandbox.try_git(tree, &["ls-files", "-z"]);
    let paths: Vec<&Path> = nul_separated(&listed.stdout).collect();
    tree.join(rng.pick(&paths).copied().unwrap_or(Path::new("none")))
}

/// A local branch; one of another worktree too, which git refuses to check out.
fn branch(world: &World, tree: &Path, rng: &mut Rng) -> String {
    let listed = world.sandbox.try_git(tree, &["for-each-ref", "--format=%(refname:short)", "refs/heads"]);
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    let names: Vec<&str> = text.lines().collect();
    rng.pick(&names).copied().unwrap_or("main").to_owned()
}

/// One of this branch's last few commits, or another branch.
fn commit(world: &World, tree: &Path, rng: &mut Rng) -> String {
    if rng.chance(40) {
        return branch(world, tree, rng);
    }
    let listed = world.sandbox.try_git(tree, &["rev-list", "--max-count=5", "HEAD"]);
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    let commits: Vec<&str> = text.lines().collect();
    rng.pick(&commits).copied().unwrap_or("main").to_owned()
}

/// A linked worktree.
fn linked(world: &World, rng: &mut Rng) -> Option<PathBuf> {
    let trees = world.worktrees();
    rng.pick(trees.get(1..)?).cloned()
}

/// Ends what is in progress, this way or that; a conflict is resolved as it lies.
fn conclude(world: &World, tree: &Path, rng: &mut Rng) {
    let how = if rng.chance(50) { "--continue" } else { "--abort" };
    if how == "--continue" {
        drop(world.sandbox.try_git(tree, &["add", "-A"]));
    }
    for operation in ["rebase", "merge", "cherry-pick", "revert"] {
        drop(world.sandbox.try_git(tree, &[operation, how]));
    }
}

fn sparse_set(world: &World, tree: &Path, rng: &mut Rng) {
    let mode: &[&str] = match rng.below(3) {
        0 => &["--cone", "--no-sparse-index"],
        1 => &["--cone", "--sparse-index"],
        _ => &["--no-cone", "--no-sparse-index"],
    };
    let directories = ["src", "lib", "docs", "web", "deep/er"];
    let mut args = vec!["sparse-checkout", "set"];
    args.extend(mode);
    args.extend((0..1 + rng.below(2)).filter_map(|_| rng.pick(&directories).copied()));
    drop(world.sandbox.try_git(tree, &args));
}
