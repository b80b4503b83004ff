//! Random git and file operations; after each, the list must be what git shows.
//!
//! `INDEXER_RANDOM_SEEDS` sets how many seeds run (default 3), 100 steps each;
//! `INDEXER_RANDOM_FIRST` the first of them, to look at one that failed.

use std::os::unix::fs::symlink;

use super::{Fixture, agrees_with_git};

/// Steps a seed.
const STEPS: u64 = 100;

/// splitmix64: enough, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound as u64).expect("fits")
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    /// A path of few names, so that files and directories get into each other's way.
    fn path(&mut self) -> String {
        let names = ["a", "b", "A", "d", "e-", "x.o", "x.log", "d.x", "-n", "s p"];
        let depth = 1 + self.below(3);
        (0..depth).map(|_| self.pick(&names)).collect::<Vec<_>>().join("/")
    }

    fn patterns(&mut self) -> String {
        let patterns = [
            "*.o", "*.log", "!x.log", "d/", "/d", "a", "!a", "**/b", "d/**", "/*", "!/d/", "e-/x.o", "*/",
            "[ab]", "a/*", "# no", "\\!x", "b ", "*.x", "!*/", "",
        ];
        (0..1 + self.below(3)).map(|_| self.pick(&patterns).to_owned() + "\n").collect()
    }
}

fn step(fixture: &Fixture, random: &mut Random, linked: &std::path::Path) -> String {
    let dir = if random.below(4) == 0 && linked.exists() { linked.to_owned() } else { fixture.root.clone() };
    let path = random.path();
    let at = dir.join(&path);
    // Operations may fail (a conflict, nothing to commit): the list must agree all the same.
    let git = |args: &[&str]| {
        fixture.try_git(&dir, args);
        format!("{args:?} in {}", dir.display())
    };
    let write = |at: &std::path::Path, content: &str| {
        let made = at.parent().map(std::fs::create_dir_all);
        let written = std::fs::write(at, content);
        format!("write {} {content:?}: {made:?} {written:?}", at.display())
    };
    match random.below(30) {
        0..=5 => write(&at, &random.below(1000).to_string()),
        6 => format!("rm {path}: {:?}", std::fs::remove_file(&at)),
        7 => format!("rm -r {path}: {:?}", std::fs::remove_dir_all(&at)),
        8 => format!("mv {path}: {:?}", std::fs::rename(&at, dir.join(random.path()))),
        9 => format!("ln -s {path}: {:?}", symlink(random.path(), &at)),
        10 => write(&at.with_file_name(".gitignore"), &random.patterns()),
        11 => write(&fixture.at(".git/info/exclude"), &random.patterns()),
        12 => write(&fixture.base.path().join("core.excludesFile"), &random.patterns()),
        13 => git(&["add", "-A"]),
        14 => git(&["add", "-f", "--", &path]),
        15 => git(&["add", "-N", "--", &path]),
        16 => git(&["commit", "-q", "-a", "-m", "c"]),
        17 => git(&["rm", "-r", "-q", "--cached", "--", &path]),
        18 => git(&["mv", "--", &path, &random.path()]),
        19 => git(&["switch", "-q", "-C", random.pick(&["one", "two"])]),
        20 => git(&["checkout", "-q", "-f", random.pick(&["one", "two", "three", "main"])]),
        21 => git(&["merge", "-q", random.pick(&["one", "two", "three"])]),
        22 => git(&["rebase", "-q", random.pick(&["one", "two", "three"])]),
        23 => git(&[random.pick(&["rebase", "merge", "cherry-pick"]), "--abort"]),
        24 => git(&[
            "reset",
            "-q",
            random.pick(&["--hard", "--mixed", "--soft"]),
            random.pick(&["HEAD", "HEAD~1", "two"]),
        ]),
        25 => git(&["stash", random.pick(&["push", "pop"]), "-q"]),
        26 => git(&["clean", "-fdq"]),
        27 => {
            git(&["update-index", random.pick(&["--split-index", "--no-split-index", "--index-version=4"])])
        }
        28 => match random.below(4) {
            0 => git(&["sparse-checkout", "set", "--cone", random.pick(&["a", "d"])]),
            1 => git(&["sparse-checkout", "set", "--cone", "--sparse-index", random.pick(&["a", "d"])]),
            2 => git(&["sparse-checkout", "set", "--no-cone", random.pick(&["/a", "d/", "*.o"])]),
            _ => git(&["sparse-checkout", "disable"]),
        },
        _ => match random.below(3) {
            0 => git(&["init", "-q", &path]),
            1 => git(&["worktree", "add", "-q", "-f", linked.to_str().expect("UTF-8"), "-B", "three"]),
            _ => git(&["add", "--", &path]),
        },
    }
}

#[test]
fn agrees_with_git_after_every_step() {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let first = number("INDEXER_RANDOM_FIRST").unwrap_or(1);
    let seeds = number("INDEXER_RANDOM_SEEDS").unwrap_or(3);
    let mut compared = 0;
    for seed in first..first + seeds {
        let fixture = Fixture::commit_of(&["a", "d/a", "d/b", "x.o"]);
        let linked = fixture.base.path().join("linked");
        let mut random = Random(seed);
        let mut history = Vec::new();
        for n in 0..STEPS {
            history.push(step(&fixture, &mut random, &linked));
            // Git 2.47 itself gives up on some sparse indexes; there is nothing to compare with then.
            let (answers, _, stderr) = fixture.try_git(&fixture.root, &["ls-files"]);
            if !answers && stderr.contains("BUG: sparse-index.c") {
                break;
            }
            compared += 1;
            let recent = || history[history.len().saturating_sub(12)..].join("\n  ");
            agrees_with_git(&fixture, &fixture.root, &format!("seed {seed}, step {n}:\n  {}", recent()));
            if linked.exists() {
                agrees_with_git(
                    &fixture,
                    &linked,
                    &format!("linked, seed {seed}, step {n}:\n  {}", recent()),
                );
            }
        }
    }
    assert!(compared >= seeds * STEPS / 2, "only {compared} steps were compared");
}
