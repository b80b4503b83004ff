//! How good is the first page? Public questions with judged answers, asked of the program's own
//! search in one process.
//!
//!     cargo bench --bench quality -- --packs DIR --clones DIR [--pack NAME]… [--mode MODE]
//!         [--config FILE] [--data DIR] [--set KIND.WEIGHT=VALUE]… [--against RESULT.json] [--keep RESULT.json]
//!         [--ablate] [--tune] [--misses]
//!
//! A pack is a folder with `repos.tsv` and `queries.jsonl` (see `benches/quality/README.md`). What
//! is indexed and asked lies below `--work`, and is used again.

mod pack;
mod score;
mod tune;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Parser;
use contextd_indexer::search::{Mode, QueryKind, Weights};

use pack::Bench;
use score::{LEVELS, Row, difference, mean};

/// Result of any step.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[derive(Parser)]
struct Args {
    /// Folder of packs.
    #[arg(long)]
    packs: Option<PathBuf>,
    /// Folder with a git directory for each repository, at OWNER+NAME/repo.
    #[arg(long)]
    clones: Option<PathBuf>,
    /// Where worktrees and indexes are made.
    #[arg(long, default_value = "target/quality")]
    work: PathBuf,
    /// Configuration with other models; give each a --data of its own.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Where the indexes lie; `data` below --work by default.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Only this pack; may be repeated.
    #[arg(long)]
    pack: Vec<String>,
    /// hybrid, lexical or dense.
    #[arg(long, default_value = "hybrid")]
    mode: String,
    /// Another weight: symbol, question, change or `*`, a dot, the weight's name, `=`, the value.
    #[arg(long)]
    set: Vec<String>,
    /// Compare with this kept result, by paired bootstrap.
    #[arg(long)]
    against: Option<PathBuf>,
    /// Write the result here.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Each leg and each rule left out, one at a time.
    #[arg(long)]
    ablate: bool,
    /// Tune on all repositories but one, for each of them.
    #[arg(long)]
    tune: bool,
    /// Tune on all of them.
    #[arg(long)]
    tune_all: bool,
    /// Queries whose answer is not in the first place, with what is.
    #[arg(long)]
    misses: bool,
    /// Also write what was found, for another scorer: one run-PACK.jsonl a pack.
    #[arg(long)]
    runs: bool,
    #[arg(long, hide = true)]
    bench: bool,
}

#[expect(clippy::print_stdout, reason = "a bench prints its result")]
fn main() -> Result<()> {
    let args = Args::parse();
    let Some(packs) = &args.packs else {
        println!("no --packs given: nothing measured");
        return Ok(());
    };
    let mode = Mode::from_name(&args.mode).ok_or("--mode is hybrid, lexical or dense")?;
    let mut bench = Bench::open(&args, packs, mode)?;
    let changes = args.set.iter().map(|change| tune::Change::parse(change)).collect::<Result<Vec<_>>>()?;
    let weights = |kind: QueryKind| {
        let mut weights = Weights::of(kind);
        changes.iter().for_each(|change| change.apply(kind, &mut weights));
        weights
    };
    let rows = bench.run(&weights)?;
    report(&rows);
    if args.misses {
        bench.misses(&rows);
    }
    if args.runs {
        bench.write_runs(&args.work)?;
    }
    if let Some(path) = &args.against {
        let before: BTreeMap<String, [Option<f64>; 3]> = serde_json::from_slice(&std::fs::read(path)?)?;
        for (at, level) in LEVELS.iter().enumerate() {
            for pack in pack_names(&rows) {
                let of_pack = rows.iter().filter(|row| row.pack == pack);
                let deltas: Vec<f64> =
                    of_pack.filter_map(|row| Some(row.ndcg(at)? - (*before.get(&row.id)?)[at]?)).collect();
                println!("against {}: {pack} {level}: {}", path.display(), difference(&deltas));
            }
        }
    }
    if let Some(path) = &args.keep {
        let kept: BTreeMap<&str, [Option<f64>; 3]> =
            rows.iter().map(|row| (row.id.as_str(), [0, 1, 2].map(|at| row.ndcg(at)))).collect();
        std::fs::write(path, serde_json::to_vec_pretty(&kept)?)?;
    }
    if args.ablate {
        tune::ablate(&mut bench, &rows)?;
    }
    if args.tune_all {
        tune::tune_all(&mut bench)?;
    }
    if args.tune {
        tune::leave_one_out(&mut bench)?;
    }
    Ok(())
}

fn pack_names(rows: &[Row]) -> Vec<String> {
    let mut names: Vec<String> = rows.iter().map(|row| row.pack.clone()).collect();
    names.dedup();
    names
}

#[expect(clippy::print_stdout, reason = "a bench prints its result")]
fn report(rows: &[Row]) {
    println!(
        "{:34} {:>4}  {}",
        "NDCG@10",
        "n",
        LEVELS.map(|level| format!("{level:>7}")).join(" ") + "   recall@1 recall@5   mrr"
    );
    for pack in pack_names(rows) {
        let mut groups: BTreeMap<String, Vec<&Row>> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.pack == pack) {
            for group in [
                "".to_owned(),
                format!(" / {}", row.repo),
                format!(" / {}", row.category),
                format!(" / as {}", row.kind),
            ] {
                groups.entry(group).or_default().push(row);
            }
        }
        for (group, rows) in groups {
            let levels = [0, 1, 2].map(|at| match mean(rows.iter().filter_map(|row| row.ndcg(at))) {
                Some(ndcg) => format!("{ndcg:7.4}"),
                None => format!("{:>7}", "-"),
            });
            let of = |value: fn(&score::Metrics) -> f64| {
                mean(rows.iter().filter_map(|row| row.levels[0].as_ref()).map(value)).unwrap_or_default()
            };
            println!(
                "{:34} {:>4}  {}    {:7.4}  {:7.4} {:6.4}",
                format!("{pack}{group}"),
                rows.len(),
                levels.join(" "),
                of(|m| m.recall_1),
                of(|m| m.recall_5),
                of(|m| m.mrr)
            );
        }
    }
}
