//! What does a query cost in a warm process, stage by stage, and how does that grow?
//!
//! Asks every indexed worktree the queries of the quality packs, in one process and one after
//! another, as the daemon is asked: through the engine, each query embedded anew, each hit
//! checked against the disk. Prints the median and the 95th percentile of each stage's wall
//! time and of the whole, and the mean of the process' CPU time: it is counted in steps of ten
//! milliseconds, too coarse for one query.
//!
//!     cargo bench --bench query -- DATA_DIR WORKTREE...

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use contextd_indexer::config::{self, Flags};
use contextd_indexer::engine::Engine;
use contextd_indexer::search::{Mode, Request};
use serde::Deserialize;

type Failure = Box<dyn std::error::Error>;

/// Of each mode, in front of what counts: loads the model, fills the caches.
const WARM_UP: usize = 50;

#[derive(Deserialize)]
struct Asked {
    query: String,
}

#[expect(clippy::print_stdout, reason = "a bench prints its result")]
fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let Some(data_dir) = args.next().map(PathBuf::from) else {
        println!("no DATA_DIR given: nothing measured");
        return Ok(());
    };
    let engine =
        Arc::new(Engine::new(config::load(&Flags { data_dir: Some(data_dir), ..Flags::default() })?)?);
    let queries = queries()?;
    println!("{} queries; milliseconds, median / 95th percentile, mean of CPU", queries.len());
    println!(
        "{:>8} {:>8}  {:>13} {:>13} {:>13} {:>13} {:>13} {:>6}",
        "points", "mode", "embed", "retrieve", "rank", "verify", "wall", "CPU"
    );
    for path in args {
        let workspace = engine.open(path.as_ref())?;
        let points = workspace.stats()?.ok_or(format!("{path} is not indexed in that DATA_DIR"))?.points;
        for mode in [Mode::Lexical, Mode::Dense, Mode::Hybrid] {
            let mut stages: [Vec<Duration>; 5] = Default::default();
            let mut before = cpu_seconds()?;
            for (asked, query) in queries[..WARM_UP].iter().chain(&queries).enumerate() {
                let request = Request { query: query.clone(), limit: 10, mode, ..Request::default() };
                if asked == WARM_UP {
                    before = cpu_seconds()?;
                }
                let began = Instant::now();
                let timing = workspace.search(&request)?.timing;
                let all = [timing.embed, timing.retrieve, timing.rank, timing.verify, began.elapsed()];
                if asked >= WARM_UP {
                    stages.iter_mut().zip(all).for_each(|(stage, took)| stage.push(took));
                }
            }
            let cpu = (cpu_seconds()? - before) * 1000.0 / queries.len() as f64;
            let columns = stages.map(|mut stage| {
                stage.sort_unstable();
                let at = |share: f64| stage[(stage.len() as f64 * share) as usize].as_secs_f64() * 1000.0;
                format!("{:5.2} / {:5.2}", at(0.5), at(0.95))
            });
            println!("{points:>8} {:>8}  {} {cpu:6.2}", mode.name(), columns.join(" "));
        }
    }
    Ok(())
}

/// The queries of all packs, in turn: of every kind, over repositories of every kind.
fn queries() -> Result<Vec<String>, Failure> {
    let packs = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/quality/packs");
    let mut files: Vec<PathBuf> = Vec::new();
    for pack in fs::read_dir(packs)? {
        files.push(pack?.path().join("queries.jsonl"));
    }
    files.sort();
    let mut queries = Vec::new();
    for file in files {
        for (line, text) in fs::read_to_string(file)?.lines().enumerate() {
            queries.push((line, serde_json::from_str::<Asked>(text)?.query));
        }
    }
    queries.sort_by_key(|(line, _)| *line);
    Ok(queries.into_iter().map(|(_, query)| query).collect())
}

/// User and system seconds of this process (proc(5), fields 14 and 15).
fn cpu_seconds() -> Result<f64, Failure> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / 100.0)
}
