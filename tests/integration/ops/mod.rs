//! Random git and file operations over several worktrees of one repository: what
//! people, editors and tools do, in an order nobody planned.
//!
//! A [`Step`] carries a small seed of its own and decides by it, from what it
//! finds on the disk, which file or commit it takes. So steps can be left out of a
//! list and the rest stays meaningful: a failing list shrinks. An operation that
//! git or the file system refuses is part of the game and ignored.

mod files;
mod repository;

use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::harness::{Sandbox, nul_separated};

/// SplitMix64 (Steele, Lea and Flood, 2014): the same numbers on every machine.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `bound`; 0 where that is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }
}

macro_rules! kinds {
    ($($variant:ident $name:literal $weight:literal $scope:ident;)*) => {
        /// A kind of operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Kind { $($variant,)* }

        impl Kind {
            /// All kinds.
            pub(crate) const ALL: &[Kind] = &[$(Kind::$variant,)*];

            fn name(self) -> &'static str {
                match self { $(Kind::$variant => $name,)* }
            }

            fn weight(self) -> usize {
                match self { $(Kind::$variant => $weight,)* }
            }

            /// What it can change: the worktree it runs in, or all of them.
            fn scope(self) -> Scope {
                match self { $(Kind::$variant => Scope::$scope,)* }
            }
        }
    };
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Files of the one worktree.
    File,
    /// Git's state of the one worktree.
    Git,
    /// Git's state of the whole repository, or the user's.
    Shared,
}

kinds! {
    Edit "edit" 8 File;
    Append "append" 4 File;
    Truncate "truncate" 1 File;
    Add "add" 6 File;
    AddDeep "add-deep" 3 File;
    AddOddName "add-odd-name" 2 File;
    Duplicate "duplicate" 2 File;
    Delete "delete" 3 File;
    DeleteDirectory "delete-directory" 1 File;
    Rename "rename" 3 File;
    RenameDirectory "rename-directory" 2 File;
    Swap "swap" 2 File;
    CaseRename "case-rename" 2 File;
    Chmod "chmod" 1 File;
    Touch "touch" 2 File;
    SameSizeEdit "same-size-edit-mtime-restored" 4 File;
    AtomicSave "atomic-save" 3 File;
    ReplaceKeepingTimes "replace-same-size-same-mtime" 3 File;
    Revert "hand-revert" 3 File;
    FileToSymlink "file-to-symlink" 2 File;
    DirectoryToSymlink "directory-to-symlink" 1 File;
    SymlinkToFile "symlink-to-file" 2 File;
    SymlinkLoop "symlink-loop" 1 File;
    FileToDirectory "file-to-directory" 2 File;
    DirectoryToFile "directory-to-file" 1 File;
    Fifo "fifo" 1 File;
    HardLink "hard-link" 1 File;
    Binary "binary" 1 File;
    LineEndings "line-endings" 1 File;
    InvalidUtf8 "invalid-utf8" 1 File;
    NestedRepository "nested-repository" 1 File;
    GitIgnore "gitignore" 3 File;
    IndexerIgnore "indexerignore" 1 File;
    Attributes "gitattributes" 1 File;

    Stage "stage" 3 Git;
    StageAll "stage-all" 3 Git;
    StageForced "stage-forced" 1 Git;
    IntentToAdd "intent-to-add" 1 Git;
    RemoveCached "rm-cached" 2 Git;
    Remove "git-rm" 1 Git;
    Move "git-mv" 2 Git;
    Commit "commit" 3 Git;
    CommitAll "commit-all" 4 Git;
    Amend "amend" 2 Git;
    Branch "branch" 2 Git;
    Checkout "checkout" 4 Git;
    Detach "detach" 2 Git;
    Restore "restore" 2 Git;
    Merge "merge" 3 Git;
    Rebase "rebase" 2 Git;
    CherryPick "cherry-pick" 2 Git;
    RevertCommit "revert" 1 Git;
    Conclude "conclude-or-abort" 4 Git;
    Stash "stash" 2 Git;
    StashUntracked "stash-untracked" 1 Git;
    StashPop "stash-pop" 3 Git;
    ResetSoft "reset-soft" 1 Git;
    ResetMixed "reset-mixed" 1 Git;
    ResetHard "reset-hard" 2 Git;
    Clean "clean" 1 Git;
    CleanIgnored "clean-ignored" 1 Git;
    SparseSet "sparse-set" 1 Shared;
    SparseDisable "sparse-disable" 2 Shared;
    AssumeUnchanged "assume-unchanged" 1 Git;
    SkipWorktree "skip-worktree" 1 Git;
    ClearFlags "clear-index-flags" 2 Git;
    IndexVersion "index-version" 1 Git;
    SplitIndex "split-index" 1 Git;

    InfoExclude "info-exclude" 1 Shared;
    GlobalExcludes "global-excludes" 1 Shared;
    Configure "configure" 1 Shared;
    PackRefs "pack-refs" 1 Shared;
    Gc "gc" 1 Shared;
    Forget "expire-and-prune" 1 Shared;
    WorktreeAdd "worktree-add" 2 Shared;
    WorktreeAddNested "worktree-add-nested" 2 Shared;
    WorktreeRemove "worktree-remove" 1 Shared;
    WorktreeLose "worktree-rm-rf-and-prune" 1 Shared;
    WorktreeMove "worktree-move" 1 Shared;
    SubmoduleAdd "submodule-add" 1 Git;
}

/// One operation: its kind, the place of its worktree in the list (modulo), and
/// the seed of its choices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) kind: Kind,
    pub(crate) tree: u8,
    pub(crate) seed: u32,
}

/// `edit 0 1a2b3c4d`, as [`FromStr`] reads it.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:x}", self.kind.name(), self.tree, self.seed)
    }
}

impl FromStr for Step {
    type Err = String;

    fn from_str(text: &str) -> Result<Step, String> {
        let error = || format!("not a step: {text:?}; want KIND WORKTREE HEX, such as `edit 0 1a2b3c4d`");
        let mut parts = text.split_whitespace();
        let mut part = || parts.next().ok_or_else(error);
        let (kind, tree, seed) = (part()?, part()?, part()?);
        Ok(Step {
            kind: Kind::ALL.iter().copied().find(|known| known.name() == kind).ok_or_else(error)?,
            tree: tree.parse().map_err(|_| error())?,
            seed: u32::from_str_radix(seed, 16).map_err(|_| error())?,
        })
    }
}

/// The list of `count` steps that `seed` names.
pub(crate) fn steps(seed: u64, count: usize) -> Vec<Step> {
    let mut rng = Rng::new(seed);
    let total: usize = Kind::ALL.iter().map(|kind| kind.weight()).sum();
    let draw = |rng: &mut Rng| {
        let mut at = rng.below(total);
        let found = Kind::ALL.iter().copied().find(|kind| match at.checked_sub(kind.weight()) {
            Some(rest) => {
                at = rest;
                false
            }
            None => true,
        });
        found.unwrap_or(Kind::Edit)
    };
    (0..count)
        .map(|_| Step { kind: draw(&mut rng), tree: rng.below(256) as u8, seed: rng.next() as u32 })
        .collect()
}

/// The repository that steps work on, its worktrees, and everything around them.
pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
}

impl World {
    /// A repository with some thirty files, three branches that can conflict, and a
    /// linked worktree beside the main one.
    pub(crate) fn new() -> World {
        let world = World { sandbox: Sandbox::new() };
        let main = world.main();
        world.sandbox.git(&world.sandbox.path(""), &["init", "-q", "main"]);
        let mut rng = Rng::new(7);
        for _ in 0..30 {
            files::apply(Kind::Add, &main, &mut rng);
        }
        let commit = |message: &str| {
            world.sandbox.git(&main, &["add", "-A"]);
            world.sandbox.git(&main, &["commit", "-q", "--allow-empty", "-m", message]);
        };
        commit("first");
        for branch in ["left", "right"] {
            world.sandbox.git(&main, &["checkout", "-q", "-B", branch, "main"]);
            for kind in [Kind::Edit, Kind::Edit, Kind::Edit, Kind::Rename, Kind::Delete, Kind::Add] {
                files::apply(kind, &main, &mut rng);
            }
            commit(branch);
        }
        world.sandbox.git(&main, &["checkout", "-q", "main"]);
        world.sandbox.git(&main, &["worktree", "add", "-q", "../linked", "left"]);
        for tree in world.worktrees() {
            files::age(&tree);
        }
        world
    }

    /// The main worktree.
    pub(crate) fn main(&self) -> PathBuf {
        self.sandbox.path("main")
    }

    /// Worktrees that git lists and that are there, the main one first.
    pub(crate) fn worktrees(&self) -> Vec<PathBuf> {
        let listed = self.sandbox.try_git(&self.main(), &["worktree", "list", "--porcelain", "-z"]);
        let mut trees: Vec<PathBuf> = nul_separated(&listed.stdout)
            .filter_map(|line| line.to_str()?.strip_prefix("worktree ").map(PathBuf::from))
            .filter(|path| path.join(".git").symlink_metadata().is_ok())
            .collect();
        if let Some((_, linked)) = trees.split_first_mut() {
            linked.sort();
        }
        trees
    }

    /// Does `step`; the worktrees in which something may have changed.
    pub(crate) fn apply(&self, step: &Step) -> Vec<PathBuf> {
        let trees = self.worktrees();
        let Some(tree) = trees.get(usize::from(step.tree) % trees.len().max(1)) else { return trees };
        let mut rng = Rng::new(u64::from(step.seed));
        match step.kind.scope() {
            Scope::File => files::apply(step.kind, tree, &mut rng),
            Scope::Git | Scope::Shared => repository::apply(step.kind, self, tree, &mut rng),
        }
        remove_rule_fifos(tree);
        match step.kind.scope() {
            Scope::Shared => self.worktrees(),
            Scope::File | Scope::Git => vec![tree.clone()],
        }
    }
}

/// Git opens what it takes for its rules, and waits for ever where that is a FIFO.
fn remove_rule_fifos(tree: &Path) {
    for path in list_files(tree) {
        let ruled = path.file_name().is_some_and(|name| name.as_bytes().starts_with(b".git"));
        if ruled && path.symlink_metadata().is_ok_and(|found| found.file_type().is_fifo()) {
            drop(std::fs::remove_file(path));
        }
    }
}

/// Names below `tree` that are not directories, sorted; nested repositories and
/// `.git` are not entered, links not followed.
fn list_files(tree: &Path) -> Vec<PathBuf> {
    list(tree).0
}

/// Directories below `tree`, sorted, as [`list_files`] enters them.
fn list_directories(tree: &Path) -> Vec<PathBuf> {
    list(tree).1
}

fn list(tree: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let (mut files, mut directories, mut pending) = (Vec::new(), Vec::new(), vec![tree.to_owned()]);
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_name() == ".git" {
                continue;
            }
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                files.push(path);
            } else if path.join(".git").symlink_metadata().is_err() {
                directories.push(path.clone());
                pending.push(path);
            }
        }
    }
    files.sort();
    directories.sort();
    (files, directories)
}

#[test]
fn steps_are_determined_by_their_seed_and_survive_print() {
    let list = steps(11, 500);
    assert_eq!(list, steps(11, 500));
    assert_ne!(list, steps(12, 500));
    for step in &list {
        assert_eq!(step.to_string().parse(), Ok(*step));
    }
    for kind in Kind::ALL {
        let found = steps(3, 5000).iter().any(|step| step.kind == *kind);
        assert!(found, "{} never comes", kind.name());
    }
    for wrong in ["", "edit", "edit 0", "edit x 1", "edit 0 zz", "fly 0 1"] {
        assert!(wrong.parse::<Step>().is_err(), "{wrong:?}");
    }
}

#[test]
fn most_steps_change_something() {
    let list = steps(5, 100);
    let world = World::new();
    let mut changed = 0;
    let mut last = Vec::new();
    for step in &list {
        world.apply(step);
        let now = picture(&world);
        changed += usize::from(now != last);
        last = now;
    }
    assert!(changed > list.len() / 2, "only {changed} of {} steps changed anything", list.len());
}

/// HEAD, status and files of every worktree, the sandbox's own place left out.
fn picture(world: &World) -> Vec<String> {
    let root = world.sandbox.path("");
    let inside = |path: &Path| path.strip_prefix(&root).unwrap_or(path).to_owned();
    let mut lines = Vec::new();
    for tree in world.worktrees() {
        lines.push(format!("worktree {:?}", inside(&tree)));
        for args in [&["rev-parse", "HEAD"][..], &["status", "--porcelain", "-z"]] {
            lines.push(String::from_utf8_lossy(&world.sandbox.try_git(&tree, args).stdout).into_owned());
        }
        for path in list_files(&tree) {
            // A link is named by its target, a FIFO has no bytes to read.
            let found = path.symlink_metadata();
            let bytes = found.is_ok_and(|found| found.is_file()).then(|| std::fs::read(&path).ok());
            lines.push(format!("{:?} {:?} {bytes:?}", inside(&path), std::fs::read_link(&path).ok()));
        }
    }
    lines
}
