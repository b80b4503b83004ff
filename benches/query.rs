//! What does a query cost once the model is loaded?
//!
//! Asks an indexed worktree the same questions again and again in one process, and
//! prints CPU and wall milliseconds a query, the embedding of the query included.
//!
//!     cargo bench --bench query -- WORKTREE [DATA_DIR]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use contextd_indexer::config::{self, Flags};
use contextd_indexer::embed::{Embedder, LocalEmbedder, ModelOptions, ModelSource};
use contextd_indexer::git::Worktree;
use contextd_indexer::search::{Mode, Place, Request, Searcher};
use contextd_indexer::store::EmbeddedStore;
use contextd_indexer::tenant::{Router, TenantContext};

const ROUNDS: u32 = 20;

const QUERIES: [&str; 10] = [
    "where is the lock file read and parsed",
    "resolve features of a dependency",
    "fn compile_targets",
    "how is the target directory locked against another process",
    "parse a semver requirement",
    "registry index cache",
    "PackageId",
    "fix: do not rebuild when only the modification time has changed",
    "what happens offline when a package is missing",
    "shell completion",
];

#[expect(clippy::print_stdout, reason = "a bench prints its result")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let Some(path) = args.next() else {
        println!("no WORKTREE given: nothing measured");
        return Ok(());
    };
    let settings = config::load(&Flags { data_dir: args.next().map(PathBuf::from), ..Flags::default() })?;
    let worktree = Worktree::discover(path.as_ref())?;
    let tenant = TenantContext::local(worktree.project_path())?;
    let database = Router::new(Arc::new(EmbeddedStore::new(&settings.data_dir))).database(&tenant)?;
    let collection = tenant.code_collection(worktree.root().as_path())?;
    let mut model = LocalEmbedder::open(&ModelOptions {
        root: settings.embed.model_dir,
        source: ModelSource::Packages,
        runtime: settings.embed.runtime,
        threads: settings.embed.threads,
    })?;
    println!("{} points", database.stats(&collection)?.points);
    for mode in [Mode::Lexical, Mode::Dense, Mode::Hybrid] {
        let mut ask = |query: &str| {
            let embedder: &mut dyn Embedder = &mut model;
            let request = Request { query: query.to_owned(), limit: 10, mode, ..Request::default() };
            let place = Place { database: &database, collection: &collection, root: worktree.root() };
            Searcher::new(vec![place], [Some(embedder), None]).search(&request)?.or_error()
        };
        for query in QUERIES {
            ask(query)?;
        }
        let (began, before) = (Instant::now(), cpu_seconds()?);
        for _ in 0..ROUNDS {
            for query in QUERIES {
                ask(query)?;
            }
        }
        let queries = f64::from(ROUNDS) * QUERIES.len() as f64;
        let cpu = (cpu_seconds()? - before) * 1000.0 / queries;
        let wall = began.elapsed().as_secs_f64() * 1000.0 / queries;
        println!("{:8} {cpu:6.2} ms CPU  {wall:6.2} ms wall a query", mode.name());
    }
    Ok(())
}

/// User and system seconds of this process (proc(5), fields 14 and 15).
fn cpu_seconds() -> Result<f64, Box<dyn std::error::Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / 100.0)
}
