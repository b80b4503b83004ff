//! Do the embedded store and a Qdrant server give the same answers, and at what cost?
//!
//! Both hold the index of one worktree: made by `indexer once` with either configuration, with
//! the same embedding cache. Asks each the same questions by words, by vectors and whole
//! (fused and ranked), prints how much of the first ten agrees, and the wall time of a question.
//!
//!     cargo bench --bench providers -- WORKTREE DATA_DIR QUERIES_JSONL [LIMIT]
//!
//! INDEXER_QDRANT_URL names the server; each line of QUERIES_JSONL has a "query".

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use contextd_indexer::config::{self, Flags};
use contextd_indexer::embed::{Embedder, Leg, LocalEmbedder, ModelOptions, ModelSource};
use contextd_indexer::git::Worktree;
use contextd_indexer::id::PointId;
use contextd_indexer::search::{Mode, Place, Query, Request, Searcher};
use contextd_indexer::store::qdrant::QdrantOptions;
use contextd_indexer::store::{EmbeddedStore, Filter, Probe, QdrantStore, Scored};
use contextd_indexer::tenant::{Database, Router, TenantContext};

type Failure = Box<dyn std::error::Error>;

const TOP: usize = 10;

/// What is compared.
#[derive(Clone, Copy)]
enum By {
    Vectors,
    Words,
    All,
    /// The server's own fusion against ours, of the same legs.
    Fusion,
}

#[expect(clippy::print_stdout, reason = "a bench prints its result")]
fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let [worktree, data_dir, queries, rest @ ..] = &args[..] else {
        println!("no WORKTREE, DATA_DIR and QUERIES_JSONL given: nothing measured");
        return Ok(());
    };
    let most = rest.first().map_or(Ok(200), |limit| limit.parse())?;
    let url = std::env::var("INDEXER_QDRANT_URL")?;
    let queries: Vec<String> = std::fs::read_to_string(queries)?
        .lines()
        .filter_map(|line| {
            Some(serde_json::from_str::<serde_json::Value>(line).ok()?["query"].as_str()?.to_owned())
        })
        .take(most)
        .collect();
    let settings = config::load(&Flags { data_dir: Some(PathBuf::from(data_dir)), ..Flags::default() })?;
    let worktree = Worktree::discover(worktree.as_ref())?;
    let tenant = TenantContext::local(worktree.project_path())?;
    let collection = tenant.code_collection(worktree.root().as_path())?;
    let server = Arc::new(QdrantStore::new(QdrantOptions::new(url))?);
    let embedded = Router::new(Arc::new(EmbeddedStore::new(&settings.data_dir))).database(&tenant)?;
    let remote = Router::new(Arc::<QdrantStore>::clone(&server)).database(&tenant)?;
    let mut model = LocalEmbedder::open(&ModelOptions {
        root: settings.embed.model_dir,
        source: ModelSource::Packages,
        runtime: settings.embed.runtime,
        threads: settings.embed.threads,
    })?;
    for (name, database) in [("embedded", &embedded), ("qdrant", &remote)] {
        let stats = database.stats(&collection)?;
        println!("{name:<9} {} points, {} vectors", stats.points, stats.vectors[0]);
    }
    let legs = embedded.schema(&collection)?.legs;
    let Some((indexed, _)) = &legs[Leg::Text.index()] else { return Err("it has no text leg".into()) };
    println!("{} queries, the first {TOP}", queries.len());
    let all = Filter::default();
    for (what, by) in [
        ("dense", By::Vectors),
        ("sparse", By::Words),
        ("hybrid", By::All),
        ("RRF, server's of the two", By::Fusion),
    ] {
        let (mut shared, mut same_first, mut empty) = (0.0, 0, 0);
        let mut walls = [Vec::new(), Vec::new()];
        for text in &queries {
            let probe = match by {
                By::Vectors => Probe::Vector(Leg::Text, indexed.clone(), model.embed(text)?),
                _ => Probe::Terms(Query::new(text).terms),
            };
            let mut ask = |database: &Database, wall: &mut Vec<f64>| -> Result<Vec<PointId>, Failure> {
                let began = Instant::now();
                let ids = match by {
                    By::Vectors | By::Words => {
                        ids(database.search(&collection, std::slice::from_ref(&probe), &all, TOP)?.remove(0))
                    }
                    By::All => {
                        let place = Place { database, collection: &collection, root: worktree.root() };
                        let request = Request {
                            query: text.clone(),
                            limit: TOP,
                            mode: Mode::Hybrid,
                            ..Request::default()
                        };
                        let embedder: &mut dyn Embedder = &mut model;
                        let answer =
                            Searcher::new(vec![place], vec![Ok(embedder)]).search(&request)?.or_error()?;
                        answer.hits.iter().map(|hit| hit.id).collect()
                    }
                    By::Fusion => {
                        let probes =
                            [probe.clone(), Probe::Vector(Leg::Text, indexed.clone(), model.embed(text)?)];
                        if std::ptr::eq(database, &embedded) {
                            rrf(database.search(&collection, &probes, &all, 100)?)
                        } else {
                            ids(server.hybrid(database.name(), &collection, &probes, &all, TOP, 100)?)
                        }
                    }
                };
                wall.push(began.elapsed().as_secs_f64() * 1000.0);
                Ok(ids)
            };
            let [own, other] = &mut walls;
            let (here, there) = (ask(&embedded, own)?, ask(&remote, other)?);
            let set: HashSet<&PointId> = here.iter().collect();
            match here.len().max(there.len()) {
                0 => empty += 1,
                most => shared += there.iter().filter(|id| set.contains(id)).count() as f64 / most as f64,
            }
            same_first += usize::from(here.first() == there.first());
        }
        let asked = (queries.len() - empty).max(1) as f64;
        println!(
            "{what:<24} overlap {:.4}, same first {:.3}, embedded {}, qdrant {}",
            shared / asked,
            same_first as f64 / queries.len() as f64,
            percentiles(&mut walls[0]),
            percentiles(&mut walls[1])
        );
    }
    Ok(())
}

fn ids(found: Vec<Scored>) -> Vec<PointId> {
    found.into_iter().map(|hit| hit.point.id).collect()
}

/// Reciprocal rank fusion with the constant 60, as the server does it.
fn rrf(legs: Vec<Vec<Scored>>) -> Vec<PointId> {
    let mut scores: Vec<(PointId, f64)> = Vec::new();
    for leg in legs {
        for (rank, hit) in leg.iter().enumerate() {
            let part = 1.0 / (60.0 + rank as f64 + 1.0);
            match scores.iter_mut().find(|(id, _)| *id == hit.point.id) {
                Some((_, score)) => *score += part,
                None => scores.push((hit.point.id, part)),
            }
        }
    }
    scores.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    scores.into_iter().take(TOP).map(|(id, _)| id).collect()
}

fn percentiles(walls: &mut [f64]) -> String {
    walls.sort_by(f64::total_cmp);
    let at = |share: usize| walls[walls.len() * share / 100];
    format!("p50 {:.1} ms, p99 {:.1} ms", at(50), at(99))
}
