//! Packs of queries: their repositories made and indexed, their queries asked.

use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use contextd_indexer::config::{self, Flags, ModelSettings};
use contextd_indexer::embed::{EmbedError, Embedder, LocalEmbedder};
use contextd_indexer::engine::model_options;
use contextd_indexer::git::Worktree;
use contextd_indexer::id::{CollectionName, Fingerprint};
use contextd_indexer::search::{Mode, Place, Query, QueryKind, Request, Searcher, Weights};
use contextd_indexer::store::EmbeddedStore;
use contextd_indexer::tenant::{Database, Router, TenantContext};
use serde::Deserialize;

use crate::score::{Found, Row, Target, score};
use crate::{Args, Result};

/// Hits asked for, so that enough distinct files are among them.
const LIMIT: usize = 50;

#[derive(Deserialize)]
struct Asked {
    id: String,
    repo: String,
    query: String,
    category: String,
    relevant: Vec<Target>,
}

struct Repository {
    worktree: Worktree,
    database: Database,
    collection: CollectionName,
}

/// Packs, indexed.
pub(crate) struct Bench {
    queries: Vec<(String, Asked)>,
    repositories: HashMap<(String, String), Repository>,
    /// By leg.
    embedders: [Option<Remembering>; 2],
    mode: Mode,
    found: Vec<Vec<Found>>,
}

/// A model that embeds no query twice: only the ranking is measured.
struct Remembering {
    model: LocalEmbedder,
    vectors: HashMap<String, Vec<f32>>,
}

impl Embedder for Remembering {
    fn fingerprint(&self) -> &Fingerprint {
        self.model.fingerprint()
    }

    fn dimension(&self) -> usize {
        self.model.dimension()
    }

    fn max_tokens(&self) -> usize {
        self.model.max_tokens()
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.model.count_tokens(text)
    }

    fn embed(&mut self, text: &str) -> std::result::Result<Vec<f32>, EmbedError> {
        self.model.embed(text)
    }

    fn embed_query(&mut self, text: &str) -> std::result::Result<Vec<f32>, EmbedError> {
        if let Some(vector) = self.vectors.get(text) {
            return Ok(vector.clone());
        }
        let vector = self.model.embed_query(text)?;
        self.vectors.insert(text.to_owned(), vector.clone());
        Ok(vector)
    }
}

impl Bench {
    /// Makes and indexes what the packs ask about.
    pub(crate) fn open(args: &Args, packs: &Path, mode: Mode) -> Result<Bench> {
        let mut folders: Vec<PathBuf> = fs::read_dir(packs)?.map(|e| Ok(e?.path())).collect::<Result<_>>()?;
        folders.retain(|folder| folder.join("queries.jsonl").exists());
        folders.sort();
        let work = &args.work;
        let data = std::path::absolute(args.data.clone().unwrap_or_else(|| work.join("data")))?;
        let flags = Flags { data_dir: Some(data), config: args.config.clone() };
        let settings = config::load(&flags)?;
        let router = Router::new(Arc::new(EmbeddedStore::new(&settings.data_dir)));
        let embedder = |model: &ModelSettings| -> Result<Remembering> {
            let model = LocalEmbedder::open(&model_options(&settings.embed, model))?;
            Ok(Remembering { model, vectors: HashMap::new() })
        };
        let code = settings.embed.code.as_ref().map(embedder).transpose()?;
        let mut bench = Bench {
            queries: Vec::new(),
            repositories: HashMap::new(),
            embedders: [Some(embedder(&settings.embed.text)?), code],
            mode,
            found: Vec::new(),
        };
        for folder in folders {
            let pack = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !args.pack.is_empty() && !args.pack.contains(&pack) {
                continue;
            }
            for row in fs::read_to_string(folder.join("repos.tsv"))?.lines().skip(1) {
                let columns: Vec<&str> = row.split('\t').collect();
                let [name, repository, commit, _, root, ..] = columns[..] else { continue };
                let path = work.join(&pack).join(name);
                if !path.join(".git").exists() {
                    let clones = args.clones.as_ref().ok_or("--clones is needed to make the worktrees")?;
                    let git_dir = clones.join(repository.replace('/', "+")).join("repo");
                    materialize(&git_dir, commit, root, &path)?;
                }
                index(&flags, &path)?;
                let worktree = Worktree::discover(&path)?;
                let tenant = TenantContext::local(worktree.project_path())?;
                let (database, collection) =
                    (router.database(&tenant)?, tenant.code_collection(worktree.root().as_path())?);
                bench
                    .repositories
                    .insert((pack.clone(), name.to_owned()), Repository { worktree, database, collection });
            }
            for line in fs::read_to_string(folder.join("queries.jsonl"))?.lines() {
                bench.queries.push((pack.clone(), serde_json::from_str(line)?));
            }
        }
        Ok(bench)
    }

    /// Asks every query, in one mode, with these weights.
    pub(crate) fn run(&mut self, weights: &dyn Fn(QueryKind) -> Weights) -> Result<Vec<Row>> {
        let mut rows = Vec::with_capacity(self.queries.len());
        self.found.clear();
        for (pack, asked) in &self.queries {
            let Some(place) = self.repositories.get(&(pack.clone(), asked.repo.clone())) else {
                return Err(format!("{pack}: no repository {}", asked.repo).into());
            };
            let Repository { worktree, database, collection } = place;
            let request =
                Request { query: asked.query.clone(), limit: LIMIT, mode: self.mode, ..Request::default() };
            let models = self.embedders.iter_mut().flatten();
            let models = models.map(|embedder| Ok(embedder as &mut dyn Embedder)).collect();
            let answer = Searcher::new(vec![Place { database, collection, root: worktree.root() }], models)
                .with_weights(weights)
                .search(&request)?
                .or_error()?;
            let found: Vec<Found> = (answer.hits.iter())
                .map(|hit| Found {
                    path: hit.path.to_string(),
                    start_line: hit.lines.0,
                    end_line: hit.lines.1,
                    score: hit.score,
                })
                .collect();
            rows.push(Row {
                pack: pack.clone(),
                repo: asked.repo.clone(),
                category: asked.category.clone(),
                kind: Query::new(&asked.query).kind.name(),
                id: asked.id.clone(),
                levels: score(&found, &asked.relevant),
            });
            self.found.push(found);
        }
        Ok(rows)
    }

    /// What the last run found, for the packs' own scorer.
    pub(crate) fn write_runs(&self, work: &Path) -> Result<()> {
        for ((pack, asked), found) in self.queries.iter().zip(&self.found) {
            let path = work.join(format!("run-{pack}.jsonl"));
            let first =
                self.queries.iter().find(|(other, _)| other == pack).is_some_and(|(_, a)| a.id == asked.id);
            let mut file =
                fs::OpenOptions::new().create(true).write(true).truncate(first).append(!first).open(path)?;
            writeln!(file, "{}", serde_json::json!({ "id": asked.id, "results": found }))?;
        }
        Ok(())
    }

    /// Prints the queries of the last run whose first hit is no answer.
    #[expect(clippy::print_stdout, reason = "a bench prints its result")]
    pub(crate) fn misses(&self, rows: &[Row]) {
        for (((pack, asked), found), row) in self.queries.iter().zip(&self.found).zip(rows) {
            let Some(metrics) = &row.levels[0] else { continue };
            if metrics.ndcg > 0.99 {
                continue;
            }
            println!("\n{pack} {} [{}] ndcg {:.2}: {}", asked.id, row.kind, metrics.ndcg, asked.query);
            for target in &asked.relevant {
                println!("   want {}:{:?}-{:?}", target.path, target.start_line, target.end_line);
            }
            for hit in found.iter().take(5) {
                println!("   {:.3} {}:{}-{}", hit.score, hit.path, hit.start_line, hit.end_line);
            }
        }
    }
}

/// The files of `commit` below `root` as a repository of one commit at `to`.
fn materialize(git_dir: &Path, commit: &str, root: &str, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let to = to.canonicalize()?;
    let list = to.join(".list");
    let git = |args: &[&str], input: Option<&Path>, output: Option<&Path>| -> Result<()> {
        let mut command = Command::new("git");
        command.args(args).env("GIT_INDEX_FILE", to.join(".index")).current_dir(&to);
        command.stdin(input.map(fs::File::open).transpose()?.map_or_else(Stdio::null, Stdio::from));
        command.stdout(output.map(fs::File::create).transpose()?.map_or_else(Stdio::null, Stdio::from));
        match command.status()?.success() {
            true => Ok(()),
            false => Err(format!("git {args:?} failed for {}", to.display()).into()),
        }
    };
    let git_dir = git_dir.to_string_lossy();
    let dir = ["--git-dir", &git_dir, "--work-tree", "."];
    let mut list_args = [&dir[..], &["ls-files", "-z"]].concat();
    if !root.is_empty() {
        list_args.push(root);
    }
    git(&[&dir[..], &["read-tree", commit]].concat(), None, None)?;
    git(&list_args, None, Some(&list))?;
    git(&[&dir[..], &["checkout-index", "-q", "-f", "-z", "--stdin"]].concat(), Some(&list), None)?;
    fs::remove_file(&list)?;
    fs::remove_file(to.join(".index"))?;
    for args in [
        &["init", "-q"][..],
        &["add", "-A", "-f"],
        &["-c", "user.name=bench", "-c", "user.email=bench@invalid", "commit", "-q", "-m", commit],
    ] {
        match Command::new("git").args(args).current_dir(&to).status()?.success() {
            true => {}
            false => return Err(format!("git {args:?} failed in {}", to.display()).into()),
        }
    }
    Ok(())
}

/// Indexes a worktree with the program itself.
fn index(flags: &Flags, worktree: &Path) -> Result<()> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_indexer"));
    for (name, path) in [("--data-dir", &flags.data_dir), ("--config", &flags.config)] {
        command.args(path.iter().flat_map(|path| [name.as_ref(), path.as_os_str()]));
    }
    let status = command.arg("once").arg(worktree).stdout(Stdio::null()).status()?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("indexing {} failed", worktree.display()).into()),
    }
}
