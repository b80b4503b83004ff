//! Random git and file operations over several worktrees while the daemon watches, is
//! killed and started again: at every checkpoint each index is what a run from nothing
//! makes, and what git shows; at every other one without anybody having asked.
//!
//! `INDEXER_STORM_OPS` sets how many operations (60), `INDEXER_STORM_SEED` which (1).

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::{Daemon, PATIENCE, add, configure, find};
use crate::harness::{number, say};
use crate::ops::{Kind, Rng, World, steps};
use crate::property::compare;

/// Operations between two checkpoints, at most.
const CALM: usize = 24;
/// Of a hundred operations, before how many the daemon is killed.
const KILLS_PERCENT: usize = 4;

#[test]
fn a_storm_of_git_with_kills_leaves_every_index_exact() {
    let seed = number("INDEXER_STORM_SEED", 1);
    let list = steps(seed, number("INDEXER_STORM_OPS", 60) as usize);
    let world = World::new();
    configure(&world.sandbox, "");
    add(&world.sandbox, &world.main());
    let mut rng = Rng::new(seed);
    let mut daemon = Daemon::start(&world.sandbox);
    let (began, mut kills, mut asked, mut by_itself) = (Instant::now(), 0, 0, 0);
    let (mut calm, mut heard) = (CALM, true);
    for (at, step) in list.iter().enumerate() {
        if rng.chance(KILLS_PERCENT) {
            // At whatever the last steps gave it to do; some things happen while none runs.
            daemon.kill();
            if rng.chance(50) {
                world.apply(step);
            }
            daemon = Daemon::start(&world.sandbox);
            kills += 1;
        }
        world.apply(step);
        // The user's own ignore rules lie in no repository: the poll finds them.
        heard &= step.kind != Kind::GlobalExcludes;
        calm -= 1;
        if calm == 0 || at + 1 == list.len() {
            calm = 1 + rng.below(CALM);
            let ask = !heard || rng.chance(50);
            check(&world, &daemon, ask, &format!("seed {seed}, operation {at}, asked: {ask}"));
            (asked, by_itself) = (asked + usize::from(ask), by_itself + usize::from(!ask));
            heard |= ask;
        }
    }
    assert!(asked + by_itself > 0, "nothing was compared");
    let seconds = began.elapsed().as_secs();
    let operations = list.len();
    say(&format!(
        "{operations} operations, {kills} kills, {asked} checkpoints asked for and {by_itself} not, {seconds} s"
    ));
    daemon.stop();
}

fn check(world: &World, daemon: &Daemon<'_>, ask: bool, place: &str) {
    let mut trees = world.worktrees();
    trees.sort();
    // What git lists, and nothing else, is kept.
    daemon.wait_for(&format!("{place}: the worktrees are {trees:?}"), |status| {
        let active = status.worktrees.iter().filter(|found| found.state.as_deref() == Some("active"));
        let mut active: Vec<PathBuf> = active.map(|found| found.root.to_path()).collect();
        active.sort();
        (active == trees).then_some(())
    });
    for tree in &trees {
        let compared = if ask {
            daemon.barrier(tree);
            compare(world, tree)
        } else {
            exact_by_itself(world, daemon, tree)
        };
        if let Err(fault) = compared {
            panic!("{place}: {}: {fault}", tree.display());
        }
    }
}

fn exact_by_itself(world: &World, daemon: &Daemon<'_>, tree: &Path) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        daemon.wait_for(&format!("{} rests", tree.display()), |status| {
            let at_rest = status.daemon.as_ref().is_some_and(|daemon| daemon.running.is_none());
            let found = find(status, tree).filter(|found| at_rest && found.queued.is_empty())?;
            found.freshness.as_ref().filter(|freshness| freshness.fresh).map(drop)
        });
        match compare(world, tree) {
            Err(_) if Instant::now() < deadline => daemon.await_line(),
            compared => return compared,
        }
    }
}
