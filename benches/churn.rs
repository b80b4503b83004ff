//! What does a save cost, for weeks on end?
//!
//! Edits one file after another in a clone of its own, runs the indexer after each in
//! this one process, as a daemon does, and prints what each run cost: bytes written
//! (pages made dirty, as the kernel accounts them to a process), CPU and wall time.
//! A scratch directory that is named is kept, and the next bench goes on in it.
//!
//!     cargo bench --bench churn -- REPOSITORY [--edits N] [--lexical] [--scratch DIR]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use contextd_indexer::config::{self, Flags};
use contextd_indexer::embed::{
    EmbedError, Embedder, EmbeddingCache, LocalEmbedder, ModelInfo, ModelOptions, ModelSource,
    leg_fingerprint,
};
use contextd_indexer::git::Worktree;
use contextd_indexer::id::Fingerprint;
use contextd_indexer::index::{Indexer, LegOptions, Options, Run, Scope, Vectors};
use contextd_indexer::store::EmbeddedStore;
use contextd_indexer::tenant::{Router, TenantContext};
use contextd_indexer::textify::TEXTIFY_VERSION;

type Failure = Box<dyn std::error::Error>;

/// Sizes of the files that are edited, in bytes.
const SIZES: std::ops::Range<u64> = 4 << 10..16 << 10;

struct Arguments {
    repository: String,
    edits: usize,
    lexical: bool,
    scratch: Option<PathBuf>,
}

fn arguments() -> Result<Option<Arguments>, Failure> {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let Some(repository) = args.next() else { return Ok(None) };
    let mut parsed = Arguments { repository, edits: 500, lexical: false, scratch: None };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--edits" => parsed.edits = args.next().ok_or("--edits N")?.parse()?,
            "--lexical" => parsed.lexical = true,
            "--scratch" => parsed.scratch = Some(args.next().ok_or("--scratch DIR")?.into()),
            other => return Err(format!("what is {other}?").into()),
        }
    }
    Ok(Some(parsed))
}

#[expect(clippy::print_stdout, reason = "a bench prints its result")]
fn main() -> Result<(), Failure> {
    let Some(arguments) = arguments()? else {
        println!("no REPOSITORY given: nothing measured");
        return Ok(());
    };
    let temporary = tempfile::tempdir()?;
    let scratch = arguments.scratch.as_deref().unwrap_or(temporary.path());
    let (tree, data) = (scratch.join("tree"), scratch.join("data"));
    if !tree.exists() {
        Command::new("git").args(["clone", "-q", &arguments.repository]).arg(&tree).status()?;
    }
    std::fs::create_dir_all(data.join("cache"))?;

    let settings = config::load(&Flags { data_dir: Some(data.clone()), ..Flags::default() })?;
    let model = ModelOptions {
        root: settings.embed.model_dir.clone(),
        source: ModelSource::Packages,
        runtime: settings.embed.runtime.clone(),
        threads: settings.embed.threads,
    };
    let options = options(&settings, &model)?;
    let worktree = Worktree::discover(&tree)?;
    let tenant = TenantContext::local(worktree.project_path())?;
    let database = Router::new(Arc::new(EmbeddedStore::new(&data))).database(&tenant)?;
    let collection = tenant.code_collection(worktree.root().as_path())?;
    let indexer =
        Indexer { database: &database, collection: &collection, worktree: &worktree, options: &options };
    // The model stays loaded, as in a daemon.
    let shared = Arc::new(Mutex::new(LocalEmbedder::open(&model)?));
    let path = data.join("cache/embeddings.sqlite");
    let mut cache = EmbeddingCache::open(&path, settings.embed.cache_max_bytes)?;
    let mut vectors = (!arguments.lexical).then(|| Vectors {
        loaded: Box::new(|_| true),
        scope: Scope::All,
        cache: Some(&mut cache),
        load: Box::new(move |_| Ok(Box::new(Shared::new(Arc::clone(&shared))))),
    });
    let mut run = || indexer.run(Run::default(), vectors.as_mut(), &mut |_| ControlFlow::Continue(()));
    let outcome = run()?;
    println!("{} chunks, {} edits", outcome.chunks.total, arguments.edits);

    let files = candidates(&worktree)?;
    let mut random = 88_172_645_463_325_252u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random as usize % below
    };
    let before = size(&data)?;
    let (mut changed, mut written, mut cpu, mut chunks, mut embedded) = (0, 0, 0.0, 0, 0);
    let mut walls = Vec::with_capacity(arguments.edits);
    let mut phases = [("list", 0.0), ("parse", 0.0), ("store", 0.0), ("embed", 0.0)];
    for edit in 0..arguments.edits {
        let path = &files[next(files.len())];
        let text = std::fs::read_to_string(path)?;
        let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
        // New to the embedding cache, which may be an earlier bench's.
        let line = format!("// edit {edit} of {}\n", std::process::id());
        lines.insert(next(lines.len() + 1), &line);
        let text = lines.concat();
        std::fs::write(path, &text)?;

        let (began, io, seconds) = (Instant::now(), write_bytes()?, cpu_seconds()?);
        let outcome = run()?;
        walls.push(began.elapsed().as_secs_f64() * 1000.0);
        written += write_bytes()? - io;
        cpu += cpu_seconds()? - seconds;
        changed += text.len() as u64;
        chunks += outcome.chunks.added + outcome.chunks.moved;
        let timing = &outcome.timing;
        for (phase, took) in phases.iter_mut().zip([timing.list, timing.parse, timing.store, timing.embed]) {
            phase.1 += took.as_secs_f64() * 1000.0 / arguments.edits as f64;
        }
        embedded += outcome.vectors[0].as_ref().map_or(0, |counts| counts.embedded);
    }
    let io = write_bytes()?;
    drop(vectors);
    drop(cache);
    written += write_bytes()? - io;
    let growth = size(&data)?.saturating_sub(before);

    walls.sort_by(f64::total_cmp);
    let edits = arguments.edits as f64;
    let each = |total: u64| total as f64 / edits / 1024.0;
    println!(
        "changed   {:8.1} KB a file, {:.1} chunks, {:.1} embedded",
        each(changed),
        chunks as f64 / edits,
        embedded as f64 / edits
    );
    println!("written   {:8.1} KB a run", each(written));
    println!("growth    {:8.1} KB a run", each(growth));
    println!(
        "ratio     {:8.2} (written - growth) / changed",
        (written as f64 - growth as f64) / changed as f64
    );
    println!("CPU       {:8.1} ms a run", cpu * 1000.0 / edits);
    println!("wall      {:8.1} ms p50, {:.1} ms p99", walls[walls.len() / 2], walls[walls.len() * 99 / 100]);
    let phases: Vec<_> = phases.iter().map(|(name, ms)| format!("{name} {ms:.1}")).collect();
    println!("          {} ms, vectors and their commit in `embed`", phases.join(", "));
    Ok(())
}

/// One model for all runs.
struct Shared {
    model: Arc<Mutex<LocalEmbedder>>,
    fingerprint: Fingerprint,
}

impl Shared {
    fn new(model: Arc<Mutex<LocalEmbedder>>) -> Shared {
        let fingerprint = model.lock().expect("no run has panicked").fingerprint().clone();
        Shared { model, fingerprint }
    }

    fn with<T>(&self, ask: impl FnOnce(&mut LocalEmbedder) -> T) -> T {
        ask(&mut self.model.lock().expect("no run has panicked"))
    }
}

impl Embedder for Shared {
    fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }
    fn dimension(&self) -> usize {
        self.with(|model| model.dimension())
    }
    fn max_tokens(&self) -> usize {
        self.with(|model| model.max_tokens())
    }
    fn count_tokens(&self, text: &str) -> usize {
        self.with(|model| model.count_tokens(text))
    }
    fn embed(&mut self, text: &str) -> Result<Vec<f32>, EmbedError> {
        self.with(|model| model.embed(text))
    }
    fn embed_query(&mut self, text: &str) -> Result<Vec<f32>, EmbedError> {
        self.with(|model| model.embed_query(text))
    }
}

/// As the program makes them.
fn options(settings: &config::Settings, model: &ModelOptions) -> Result<Options, Failure> {
    let info = ModelInfo::open(model)?;
    let text = LegOptions {
        fingerprint: leg_fingerprint(&info.fingerprint, &format!("textify-{TEXTIFY_VERSION}")),
        model: info.fingerprint,
        dimension: info.dimension,
        max_tokens: info.max_tokens,
        texts: info.tokenizer.clone(),
        tokens: info.tokens.clone(),
    };
    Ok(Options {
        max_file_bytes: settings.index.max_file_bytes,
        max_chunk_tokens: settings.index.max_chunk_tokens,
        tokens: info.tokens,
        tokenizer: info.tokenizer,
        legs: [Some(text), None],
        threads: settings.index.threads,
    })
}

/// Files of code and text that are of the size to be edited.
fn candidates(worktree: &Worktree) -> Result<Vec<PathBuf>, Failure> {
    let entries = worktree.list()?.entries;
    let sized = entries.iter().filter(|entry| entry.skip.is_none() && SIZES.contains(&entry.stat.size));
    let paths = sized.map(|entry| worktree.root().join(&entry.path));
    Ok(paths.filter(|path| std::fs::read_to_string(path).is_ok()).collect())
}

/// Bytes of all files below a directory.
fn size(directory: &Path) -> Result<u64, Failure> {
    let mut total = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let found = entry.metadata()?;
        total += if found.is_dir() { size(&entry.path())? } else { found.len() };
    }
    Ok(total)
}

/// Bytes that this process has caused to be written (proc(5)).
fn write_bytes() -> Result<u64, Failure> {
    let io = std::fs::read_to_string("/proc/self/io")?;
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    Ok(line.ok_or("no write_bytes")?.parse()?)
}

/// User and system seconds of this process (proc(5), fields 14 and 15).
fn cpu_seconds() -> Result<f64, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / 100.0)
}
