//! How much of the bare model's throughput does the pipeline keep?
//!
//! Embeds the distinct texts of a repository's chunks twice: by the model alone, in
//! a loop, and by an index run that looks them up, embeds them, keeps them in the
//! cache and commits them. Prints texts, wall and CPU seconds of both, and the ratio.
//! With a second model folder it also compares the two models' speed and vectors. `--export`
//! writes the texts and the model's vectors instead, for `benches/models.py`: `texts.jsonl`, a JSON
//! string a line, and `vectors.f32`, little-endian, in the same order.
//!
//!     cargo bench --bench embedding -- REPOSITORY [MODEL_FOLDER | --export FOLDER]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use contextd_indexer::chunk::{ChunkOptions, chunk};
use contextd_indexer::config::{self, Flags};
use contextd_indexer::embed::{Embedder, LocalEmbedder, ModelInfo, ModelOptions, ModelSource};
use contextd_indexer::git::{Worktree, read_file};
use contextd_indexer::language::Language;
use contextd_indexer::textify::textify;

type Failure = Box<dyn std::error::Error>;

#[expect(clippy::print_stdout, reason = "a bench prints its result")]
fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let Some(repository) = args.next() else {
        println!("no REPOSITORY given: nothing measured");
        return Ok(());
    };
    let settings = config::load(&Flags::default())?;
    let packaged = ModelOptions {
        root: settings.embed.model_dir.clone(),
        source: ModelSource::Packages,
        runtime: settings.embed.runtime.clone(),
        threads: settings.embed.threads,
    };
    let texts = texts(Path::new(&repository), &packaged, &settings)?;
    let bare = bare(&texts, &packaged)?;
    let other = args.next();
    if other.as_deref() == Some("--export") {
        return export(Path::new(&args.next().ok_or("--export FOLDER")?), &texts, &bare.vectors);
    }
    println!("bare      {} texts  {:.2} s wall  {:.2} s CPU", texts.len(), bare.wall, bare.cpu);

    let (embedded, wall, cpu) = pipeline(&repository)?;
    println!("pipeline  {embedded} texts  {wall:.2} s wall  {cpu:.2} s CPU");
    println!("kept      {:.0} % by wall, {:.0} % by CPU", 100.0 * bare.wall / wall, 100.0 * bare.cpu / cpu);

    if let Some(folder) = other {
        let source = ModelSource::Local { folder: PathBuf::from(folder), pooling: None };
        let other = self::bare(&texts, &ModelOptions { source, ..packaged })?;
        let cosines = bare
            .vectors
            .iter()
            .zip(&other.vectors)
            .map(|(a, b)| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>());
        let mean = cosines.clone().sum::<f32>() / texts.len() as f32;
        let least = cosines.fold(1.0, f32::min);
        println!("other     {:.2} s wall  {:.2} s CPU", other.wall, other.cpu);
        println!(
            "ratio     {:.2} by wall, {:.2} by CPU; cosine mean {mean:.4}, least {least:.4}",
            other.wall / bare.wall,
            other.cpu / bare.cpu
        );
    }
    Ok(())
}

/// Distinct texts of the text leg that the model takes whole.
fn texts(
    repository: &Path,
    model: &ModelOptions,
    settings: &config::Settings,
) -> Result<Vec<String>, Failure> {
    let worktree = Worktree::discover(repository)?;
    let info = ModelInfo::open(model)?;
    let options = ChunkOptions {
        count_tokens: &|text| info.tokens.count(text),
        max_tokens: settings.index.max_chunk_tokens,
        max_file_bytes: settings.index.max_file_bytes,
    };
    let mut texts = BTreeMap::new();
    for entry in worktree.list()?.entries.iter().filter(|entry| entry.skip.is_none()) {
        let Ok(read) = read_file(worktree.root(), &entry.path, options.max_file_bytes) else { continue };
        let language = Language::of(&entry.path);
        let Ok(chunked) = chunk(&entry.path, language, &read.bytes, &options) else { continue };
        for chunk in chunked.chunks {
            let text = textify(language, &chunk);
            if info.tokens.count(&text) <= info.max_tokens {
                texts.insert(text, ());
            }
        }
    }
    Ok(texts.into_keys().collect())
}

struct Bare {
    wall: f64,
    cpu: f64,
    vectors: Vec<Vec<f32>>,
}

fn bare(texts: &[String], options: &ModelOptions) -> Result<Bare, Failure> {
    let mut model = LocalEmbedder::open(options)?;
    let (began, before) = (Instant::now(), cpu("self")?);
    let vectors = texts.iter().map(|text| model.embed(text)).collect::<Result<_, _>>()?;
    Ok(Bare { wall: began.elapsed().as_secs_f64(), cpu: cpu("self")? - before, vectors })
}

fn export(folder: &Path, texts: &[String], vectors: &[Vec<f32>]) -> Result<(), Failure> {
    let lines = texts.iter().map(|text| Ok(serde_json::to_string(text)? + "\n"));
    std::fs::write(folder.join("texts.jsonl"), lines.collect::<Result<String, Failure>>()?)?;
    let bytes: Vec<u8> = vectors.iter().flatten().flat_map(|component| component.to_le_bytes()).collect();
    Ok(std::fs::write(folder.join("vectors.f32"), bytes)?)
}

/// A run of the program with an empty cache whose lexical part is done already.
fn pipeline(repository: &str) -> Result<(u64, f64, f64), Failure> {
    let scratch = tempfile::tempdir()?;
    let run = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_indexer"));
        command.args(["once", repository, "--json", "--data-dir"]).arg(scratch.path()).args(more).output()
    };
    run(&["--lexical-only"])?;
    let before = cpu("children")?;
    let outcome: serde_json::Value = serde_json::from_slice(&run(&[])?.stdout)?;
    let embedded = outcome["vectors"]["text"]["embedded"].as_u64().ok_or("no outcome")?;
    let wall = outcome["ms"]["embed"].as_f64().ok_or("no outcome")? / 1000.0;
    Ok((embedded, wall, cpu("children")? - before))
}

/// User and system seconds of this process, or of its ended children (proc(5), fields 14 to 17).
fn cpu(of: &str) -> Result<f64, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let first = if of == "self" { 11 } else { 13 };
    let ticks: f64 = fields[first].parse::<f64>()? + fields[first + 1].parse::<f64>()?;
    Ok(ticks / 100.0)
}
