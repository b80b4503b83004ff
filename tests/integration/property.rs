//! After every random operation: an incremental run leaves what a run from nothing
//! leaves, `verify` finds no fault, and both hold what git itself shows.
//!
//! A failure prints the steps; `INDEXER_OPS_REPLAY=FILE` runs such a list again and
//! shrinks it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use contextd_indexer::id::{ContentHash, decode_hex};
use serde_json::Value;

use crate::harness::{Answer, nul_separated, number};
use crate::ops::{Step, World, steps};

/// Extensions that are always indexed; a file of another kind may have a reason not to be.
const INDEXED: &[&str] = &["rs", "go", "ts", "js", "py", "md", "txt", "toml"];

/// Path → the rest of its line in `dump`.
type Dump = BTreeMap<PathBuf, Value>;

fn parse_dump(answer: &Answer) -> Result<Dump, String> {
    let mut dump = Dump::new();
    for line in answer.json_lines() {
        let bytes = match (line["path"].as_str(), line["path_hex"].as_str()) {
            (Some(path), None) => path.as_bytes().to_vec(),
            (None, Some(hex)) => decode_hex(hex).ok_or_else(|| format!("path_hex: {line}"))?,
            _ => return Err(format!("a line of dump has one of path and path_hex: {line}")),
        };
        let path = PathBuf::from(OsStr::from_bytes(&bytes));
        if dump.insert(path.clone(), line).is_some() {
            return Err(format!("dump has {} twice", path.display()));
        }
    }
    Ok(dump)
}

fn expect(what: &str, answer: Answer, codes: &[i32]) -> Result<Answer, String> {
    let panicked = answer.stderr.contains("panicked at");
    match answer.code {
        Some(code) if codes.contains(&code) && !panicked => Ok(answer),
        code => Err(format!(
            "{what} ended with {code:?}\n{}{}",
            answer.stderr,
            String::from_utf8_lossy(&answer.stdout)
        )),
    }
}

fn once(world: &World, tree: &Path, data_dir: &Path) -> Result<(), String> {
    let answer = world.sandbox.indexer_in(tree, data_dir, &["once", "--lexical-only", "--json"]);
    expect("once", answer, &[0]).map(drop)
}

fn dump(world: &World, tree: &Path, data_dir: &Path) -> Result<Dump, String> {
    // 1 says that nothing was found: an empty worktree has an empty dump.
    parse_dump(&expect("dump", world.sandbox.indexer_in(tree, data_dir, &["dump"]), &[0, 1])?)
}

/// A run leaves the index of `tree` as [`compare`] wants it.
fn check(world: &World, tree: &Path) -> Result<(), String> {
    once(world, tree, &world.sandbox.data_dir())?;
    compare(world, tree)
}

/// The index of `tree` is what a run from nothing would make, and what git shows.
pub(crate) fn compare(world: &World, tree: &Path) -> Result<(), String> {
    let incremental = dump(world, tree, &world.sandbox.data_dir())?;

    let fresh_dir = tempfile::tempdir_in(world.sandbox.path("")).map_err(|error| error.to_string())?;
    once(world, tree, fresh_dir.path())?;
    let fresh = dump(world, tree, fresh_dir.path())?;
    let mut faults = Vec::new();
    for path in incremental.keys().chain(fresh.keys()).collect::<BTreeSet<_>>() {
        let (old, new) = (incremental.get(path), fresh.get(path));
        if old != new {
            faults.push(format!("{path:?}\n  incremental:  {old:?}\n  from scratch: {new:?}"));
        }
    }
    faults.extend(differences_from_git(world, tree, &incremental));
    if !faults.is_empty() {
        return Err(faults.join("\n"));
    }
    expect("verify", world.sandbox.indexer(tree, &["verify"]), &[0]).map(drop)
}

/// What git lists and what lies on the disk, against what is indexed. Independent
/// of the program's own listing, so that two equal wrong answers are seen.
fn differences_from_git(world: &World, tree: &Path, dump: &Dump) -> Vec<String> {
    let args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let listed = world.sandbox.try_git(tree, &args);
    if listed.code != Some(0) {
        // A split index that git wrote and does not read any more is git's own fault.
        let own_fault = listed.stderr.contains("exceeds base index size");
        return if own_fault { Vec::new() } else { vec![format!("git ls-files: {}", listed.stderr)] };
    }
    let listed: BTreeSet<PathBuf> = nul_separated(&listed.stdout).map(Path::to_owned).collect();
    let mut faults = Vec::new();
    for (path, line) in dump {
        if !listed.contains(path) {
            faults.push(format!("{path:?} is indexed, and git does not show it"));
        }
        let on_disk = std::fs::read(tree.join(path)).map(|bytes| ContentHash::of(&bytes).to_string());
        if !on_disk.as_ref().is_ok_and(|hash| line["content_hash"] == **hash) {
            faults.push(format!("{path:?} is indexed as {line}, and the disk has {on_disk:?}"));
        }
    }
    for path in listed {
        if must_be_indexed(tree, &path) && !dump.contains_key(&path) {
            faults.push(format!("{path:?} is shown by git, and not indexed"));
        }
    }
    faults
}

/// Whether no rule can exclude the file: plain text of a known kind, reached through
/// directories of this repository. Where `.indexerignore` or attributes may speak,
/// only the comparison with the run from nothing judges.
fn must_be_indexed(tree: &Path, path: &Path) -> bool {
    let mut above = tree.to_owned();
    for component in path.parent().into_iter().flat_map(Path::components) {
        let Component::Normal(name) = component else { return false };
        let ruled = [".indexerignore", ".gitattributes"].iter().any(|name| above.join(name).exists());
        above.push(name);
        let boundary = above.is_symlink() || above.join(".git").symlink_metadata().is_ok();
        if ruled || boundary {
            return false;
        }
    }
    let ruled = [".indexerignore", ".gitattributes"].iter().any(|name| above.join(name).exists());
    let place = tree.join(path);
    let plain = place.symlink_metadata().is_ok_and(|found| found.is_file());
    let known = path.extension().is_some_and(|extension| INDEXED.iter().any(|known| extension == *known));
    let text = || std::fs::read(&place).is_ok_and(|bytes| !bytes.is_empty() && !bytes.contains(&0));
    !ruled && plain && known && text()
}

/// Runs the steps, checking after each (or after the last alone); the number of
/// the failed step and what was wrong.
fn run(list: &[Step], every: bool) -> Result<(), (usize, String)> {
    let world = World::new();
    for tree in world.worktrees() {
        check(&world, &tree).map_err(|fault| (0, format!("{}: {fault}", tree.display())))?;
    }
    for (at, step) in list.iter().enumerate() {
        for tree in world.apply(step) {
            let result = if every || at + 1 == list.len() {
                check(&world, &tree)
            } else {
                once(&world, &tree, &world.sandbox.data_dir())
            };
            if let Err(fault) = result {
                let kept = world.sandbox.kept().map(|dir| format!("\nkept: {}", dir.display()));
                return Err((at, format!("{}: {fault}{}", tree.display(), kept.unwrap_or_default())));
            }
        }
    }
    Ok(())
}

/// The shortest list found that still fails: whole runs of steps are left out,
/// halves first, single steps last (Zeller and Hildebrandt's ddmin, bounded).
fn shrink(mut list: Vec<Step>, mut runs: usize) -> Vec<Step> {
    let mut size = list.len().div_ceil(2);
    while size > 0 && runs > 0 {
        let mut at = 0;
        while at < list.len() && runs > 0 {
            let shorter: Vec<Step> = list
                .iter()
                .enumerate()
                .filter(|(i, _)| !(at..at + size).contains(i))
                .map(|(_, s)| *s)
                .collect();
            runs -= 1;
            match run(&shorter, false) {
                Err((failed, _)) => list = shorter[..(failed + 1).min(shorter.len())].to_vec(),
                Ok(()) => at += size,
            }
        }
        size /= 2;
    }
    list
}

fn print(list: &[Step]) -> String {
    list.iter().map(|step| format!("{step}\n")).collect()
}

#[test]
fn incremental_equals_from_scratch_after_every_step() {
    if let Some(file) = std::env::var_os("INDEXER_OPS_REPLAY") {
        let text = std::fs::read_to_string(&file).expect("the file of steps");
        let list: Vec<Step> = text.lines().map(|line| line.parse().expect("a step")).collect();
        if let Err((at, fault)) = run(&list, true) {
            let short = shrink(list[..=at].to_vec(), 60);
            let fault = run(&short, true).err().map_or(fault, |(_, fault)| fault);
            panic!("{fault}\nafter these {} steps:\n{}", short.len(), print(&short));
        }
        return;
    }
    let count = number("INDEXER_OPS_STEPS", 300) as usize;
    let first = number("INDEXER_OPS_SEED", 1);
    for seed in first..first + number("INDEXER_OPS_SEEDS", 1) {
        let list = steps(seed, count);
        if let Err((at, fault)) = run(&list, true) {
            let steps = print(&list[..(at + 1).min(list.len())]);
            panic!(
                "seed {seed}, step {at}: {fault}\n\nthe steps (save them, then run again with \
                 INDEXER_OPS_REPLAY=FILE to shrink):\n{steps}"
            );
        }
    }
}
