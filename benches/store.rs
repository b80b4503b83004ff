//! What does the embedded store cost at its size limit, and with very many databases?
//!
//! Fills one collection with chunks of real files and vectors drawn at random (an exact
//! search costs the same whatever they are), then asks, changes and opens it again; then
//! makes many databases with three collections each. Prints times, memory and bytes.
//!
//!     cargo bench --bench store -- [--chunks N] [--databases N] WORKTREE...

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use contextd_indexer::chunk::{ChunkOptions, chunk};
use contextd_indexer::embed::Leg;
use contextd_indexer::git::{Worktree, read_file};
use contextd_indexer::id::{CollectionName, ContentHash, Fingerprint, PointId, VectorKey};
use contextd_indexer::language::Language;
use contextd_indexer::lexical;
use contextd_indexer::manifest::{ChunkRef, FileRecord, FileState};
use contextd_indexer::path::RepoPath;
use contextd_indexer::search::Query;
use contextd_indexer::store::{Batch, CollectionKind, EmbeddedStore, Filter, Point, Probe, Schema};
use contextd_indexer::tenant::{Database, MachineOwner, Router, TenantContext};

type Failure = Box<dyn std::error::Error>;

const DIMENSION: usize = 384;
const QUERIES: [&str; 8] = [
    "where is the lock file read and parsed",
    "resolve features of a dependency",
    "how is the request retried after a failure",
    "parse a semver requirement",
    "fn compile_targets",
    "shell completion of subcommands",
    "read the configuration file",
    "what happens when a package is missing",
];
const ROUNDS: usize = 25;

/// Numbers that look random and are the same every time (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A vector of length 1.
    fn vector(&mut self) -> Vec<f32> {
        let raw: Vec<f32> =
            (0..DIMENSION).map(|_| (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0).collect();
        let length = raw.iter().map(|x| x * x).sum::<f32>().sqrt();
        raw.into_iter().map(|x| x / length).collect()
    }
}

#[expect(clippy::print_stdout, reason = "a bench prints its result")]
fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let (mut chunks, mut databases, mut worktrees) = (100_000, 1000, Vec::new());
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--chunks" => chunks = args.next().ok_or("--chunks N")?.parse()?,
            "--databases" => databases = args.next().ok_or("--databases N")?.parse()?,
            path => worktrees.push(PathBuf::from(path)),
        }
    }
    if worktrees.is_empty() {
        println!("no WORKTREE given: nothing measured");
        return Ok(());
    }
    let files = points(&worktrees, chunks)?;
    large(&files)?;
    many(&files, databases)
}

type Files = Vec<(RepoPath, Vec<Point>)>;

/// Points of files until there are `most`.
fn points(worktrees: &[PathBuf], most: usize) -> Result<Files, Failure> {
    let count = |text: &str| text.len() / 3;
    let options = ChunkOptions { count_tokens: &count, max_tokens: 384, max_file_bytes: 1 << 20 };
    let (mut files, mut total) = (Vec::new(), 0);
    for (number, root) in worktrees.iter().enumerate() {
        let worktree = Worktree::discover(root)?;
        for entry in worktree.list()?.entries {
            let Ok(read) = read_file(worktree.root(), &entry.path, options.max_file_bytes) else { continue };
            let language = Language::of(&entry.path);
            let Ok(chunked) = chunk(&entry.path, language, &read.bytes, &options) else { continue };
            let path =
                RepoPath::new([format!("repository{number}/").as_bytes(), entry.path.as_bytes()].concat());
            let path = path.ok_or("a path")?;
            let point = |(ordinal, chunk): (u32, contextd_indexer::chunk::Chunk)| Point {
                id: PointId::new(
                    path.as_bytes(),
                    chunk.symbol.as_deref().unwrap_or_default(),
                    ordinal,
                    &chunk.hash,
                ),
                terms: lexical::chunk_terms(&path, &chunk),
                path: path.clone(),
                language,
                kind: chunk.kind.to_owned(),
                bytes: chunk.bytes,
                lines: chunk.lines,
                hash: chunk.hash,
                symbol: chunk.symbol,
                container: chunk.container,
                signature: chunk.signature,
                vectors: [Some(VectorKey::of(&chunk.text)), None],
                text: chunk.text,
                attributes: Default::default(),
                time: None,
            };
            let mut points: Vec<Point> = (0..).zip(chunked.chunks).map(point).collect();
            points.truncate(most - total);
            total += points.len();
            files.push((path, points));
            if total == most {
                return Ok(files);
            }
        }
    }
    Ok(files)
}

fn record(points: &[Point]) -> FileRecord {
    let chunks = points.iter().map(|point| ChunkRef {
        id: point.id,
        bytes: point.bytes.clone(),
        lines: point.lines,
        payload: 0,
        vectors: point.vectors,
    });
    FileRecord {
        content: Some(ContentHash::of(b"")),
        stat: None,
        tracked: true,
        state: FileState::Indexed { language: Language::Rust, chunks: chunks.collect() },
    }
}

fn schema(kind: CollectionKind) -> Schema {
    Schema { kind, legs: [Some((model(), DIMENSION)), None], source: Vec::new() }
}

fn model() -> Fingerprint {
    Fingerprint("bench".to_owned())
}

fn near(vector: Vec<f32>) -> Probe {
    Probe::Vector(Leg::Text, model(), vector)
}

fn database(data: &Path) -> Result<Database, Failure> {
    let tenant = TenantContext::local(Path::new("/bench"))?;
    Ok(Router::new(Arc::new(EmbeddedStore::new(data))).database(&tenant)?)
}

/// One large collection.
#[expect(clippy::print_stdout, reason = "a bench prints its result")]
fn large(files: &Files) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let name = CollectionName::new("large")?;
    let open = database(folder.path())?;
    let mut random = Random(88_172_645_463_325_252);
    open.create(&name, &schema(CollectionKind::Codebase))?;
    let (began, before) = (Instant::now(), cpu_seconds()?);
    let mut batch = Batch::default();
    let mut total = 0;
    for (at, (path, points)) in files.iter().enumerate() {
        total += points.len();
        batch
            .vectors
            .extend(points.iter().filter_map(|point| Some((Leg::Text, point.vectors[0]?, random.vector()))));
        batch.files.insert(path.clone(), Some(record(points)));
        batch.upsert.extend(points.iter().cloned());
        if batch.upsert.len() >= 10_000 || at + 1 == files.len() {
            open.apply(&name, std::mem::take(&mut batch))?;
        }
    }
    println!(
        "ingest    {total} chunks, {:.1} s, {:.1} CPU-s, {:.0} MB resident at most",
        began.elapsed().as_secs_f64(),
        cpu_seconds()? - before,
        status_mb("VmHWM")?
    );
    let stats = open.stats(&name)?;
    let bytes: u64 = stats.bytes.values().sum();
    println!("disk      {:.0} bytes a chunk: {:?}", bytes as f64 / total as f64, stats.bytes);

    let terms: Vec<Probe> = QUERIES.iter().map(|query| Probe::Terms(Query::new(query).terms)).collect();
    let rust = Filter { languages: vec![Language::Rust], ..Filter::default() };
    let below = Filter { paths: vec!["repository0/src".to_owned()], ..Filter::default() };
    for (what, filter) in [("", &Filter::default()), (", one language", &rust), (", one directory", &below)] {
        let mut dense = Vec::new();
        let mut lexical = Vec::new();
        for _ in 0..ROUNDS {
            for terms in &terms {
                let probe = [near(random.vector())];
                dense.push(timed(|| open.search(&name, &probe, filter, 10))?);
                lexical.push(timed(|| open.search(&name, std::slice::from_ref(terms), filter, 10))?);
            }
        }
        println!("dense     top-10{what}: {}", percentiles(dense));
        println!("BM25      top-10{what}: {}", percentiles(lexical));
    }

    let mut walls = Vec::new();
    for round in 0..50u32 {
        let path = RepoPath::new(format!("delta/file{round}.rs")).ok_or("a path")?;
        let donors = files.iter().flat_map(|(_, points)| points).skip(round as usize * 997).take(20);
        let upsert: Vec<Point> = (0..)
            .zip(donors)
            .map(|(ordinal, point)| Point {
                id: PointId::new(path.as_bytes(), "", ordinal, &point.hash),
                vectors: [Some(VectorKey::of(&format!("{round} {ordinal}"))), None],
                path: path.clone(),
                ..point.clone()
            })
            .collect();
        let vectors = upsert.iter().filter_map(|p| Some((Leg::Text, p.vectors[0]?, random.vector())));
        let batch = Batch {
            vectors: vectors.collect(),
            files: [(path, Some(record(&upsert)))].into(),
            upsert,
            ..Batch::default()
        };
        walls.push(timed(|| open.apply(&name, batch))?);
    }
    println!("delta     20 chunks, durable: {}", percentiles(walls));

    drop(open);
    let (began, resident) = (Instant::now(), status_mb("VmRSS")?);
    let again = database(folder.path())?;
    again.search(&name, &terms[..1], &Filter::default(), 10)?;
    let words = began.elapsed();
    again.search(&name, &[near(random.vector())], &Filter::default(), 10)?;
    println!(
        "reopened  first answer by words {:.0} ms, by vectors {:.0} ms; {:+.0} MB resident",
        words.as_secs_f64() * 1000.0,
        began.elapsed().as_secs_f64() * 1000.0,
        status_mb("VmRSS")? - resident
    );
    Ok(())
}

/// Many databases with three collections each.
#[expect(clippy::print_stdout, reason = "a bench prints its result")]
fn many(files: &Files, databases: usize) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let router = Router::new(Arc::new(EmbeddedStore::new(folder.path())));
    let names = CollectionKind::ALL.map(|kind| (kind, CollectionName::new(kind.name())));
    let tenant = |number: usize| TenantContext::local(Path::new(&format!("/bench/{number}")));
    let points: Vec<&Point> = files.iter().flat_map(|(_, points)| points).take(100).collect();
    let mut random = Random(1);
    let mut created = Vec::new();
    let before = status_mb("RssAnon")?;
    for number in 0..databases {
        let database = router.database(&tenant(number)?)?;
        let began = Instant::now();
        for (kind, name) in &names {
            let name = name.as_ref().map_err(Clone::clone)?;
            database.create(name, &schema(*kind))?;
            let upsert: Vec<Point> = points.iter().skip(number % 80).take(20).map(|p| (*p).clone()).collect();
            let vectors = upsert.iter().filter_map(|p| Some((Leg::Text, p.vectors[0]?, random.vector())));
            let batch = Batch { vectors: vectors.collect(), upsert, ..Batch::default() };
            database.apply(name, batch)?;
        }
        created.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    println!("databases {databases} × 3 collections of 20 points");
    println!("create    three collections and a commit in each: {}", percentiles(created));
    println!("memory    {:+.1} MB anonymous after all were made", status_mb("RssAnon")? - before);
    let catalogue = router.catalogue(&MachineOwner::at_the_command_line());
    let began = Instant::now();
    let all = catalogue.names()?;
    println!("list      {} in {:.1} ms", all.len(), began.elapsed().as_secs_f64() * 1000.0);

    let before = status_mb("RssAnon")?;
    let mut walls = Vec::new();
    let terms = Probe::Terms(Query::new(QUERIES[0]).terms);
    for number in (0..databases).map(|at| at * 7919 % databases) {
        let database = router.database(&tenant(number)?)?;
        let name = names[number % 3].1.as_ref().map_err(Clone::clone)?;
        let probes = [terms.clone(), near(random.vector())];
        walls.push(timed(|| database.search(name, &probes, &Filter::default(), 10))?);
    }
    println!("search    of one opened for it: {}", percentiles(walls));
    println!("memory    {:+.1} MB anonymous after all were asked", status_mb("RssAnon")? - before);
    println!("threads   {}, descriptors {}", entries("/proc/self/task")?, entries("/proc/self/fd")?);

    let mut walls = Vec::new();
    for name in &all {
        walls.push(timed(|| catalogue.open(name)?.drop_whole())?);
    }
    println!("delete    {}", percentiles(walls));
    println!("left      {} databases", catalogue.names()?.len());
    Ok(())
}

/// Milliseconds that `act` takes.
fn timed<T, E: Into<Failure>>(act: impl FnOnce() -> Result<T, E>) -> Result<f64, Failure> {
    let began = Instant::now();
    act().map_err(Into::into)?;
    Ok(began.elapsed().as_secs_f64() * 1000.0)
}

fn percentiles(mut walls: Vec<f64>) -> String {
    walls.sort_by(f64::total_cmp);
    let at = |share: usize| walls[walls.len() * share / 100];
    format!("p50 {:.2} ms, p99 {:.2} ms", at(50), at(99))
}

fn entries(directory: &str) -> Result<usize, Failure> {
    Ok(std::fs::read_dir(directory)?.count())
}

/// A size of this process in MB (proc(5)).
fn status_mb(name: &str) -> Result<f64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kilobytes: f64 =
        line.and_then(|line| line.split_whitespace().next()).ok_or("no such line")?.parse()?;
    Ok(kilobytes / 1024.0)
}

/// User and system seconds of this process (proc(5), fields 14 and 15).
fn cpu_seconds() -> Result<f64, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / 100.0)
}
