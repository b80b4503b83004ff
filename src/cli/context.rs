//! What every command on a worktree needs: the worktree, its collection in the
//! tenant's database, and, where asked for, the models.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::CliError;
use crate::config::{EmbedSettings, ModelSettings, Settings};
use crate::embed::{
    CacheStats, Embedder, EmbeddingCache, Leg, LocalEmbedder, ModelInfo, ModelOptions, ModelSource,
    leg_fingerprint,
};
use crate::git::Worktree;
use crate::id::CollectionName;
use crate::index::{
    Explanation, Freshness, Indexer, LegOptions, Options, Outcome, Progress, Run, Vectors, Verification,
};
use crate::path::RepoPath;
use crate::search::{Answer, Mode, Request, Searcher};
use crate::state_dir::{LockError, WriterLock, create_private_dir};
use crate::store::{EmbeddedStore, Snapshot, Stats, StoreError};
use crate::tenant::{Database, Router, TenantContext};
use crate::textify::TEXTIFY_VERSION;

/// Version of what the code leg is given.
const RAW_VERSION: u32 = 1;

/// A worktree and its collection.
pub(super) struct Context<'s> {
    settings: &'s Settings,
    worktree: Worktree,
    database: Database,
    collection: CollectionName,
}

impl<'s> Context<'s> {
    /// The worktree that `path` is in. Nothing is created.
    pub(super) fn open(settings: &'s Settings, path: &Path) -> Result<Context<'s>, CliError> {
        let mut worktree = Worktree::discover(path)?;
        if settings.data_dir.canonicalize().is_ok_and(|dir| dir == worktree.root().as_path()) {
            return Err(CliError::usage(format!(
                "{} is the worktree itself: choose another --data-dir",
                settings.data_dir.display()
            )));
        }
        worktree.hide(&[settings.data_dir.clone(), settings.embed.model_dir.clone()]);
        let tenant = TenantContext::local(worktree.project_path())?;
        let router = Router::new(Arc::new(EmbeddedStore::new(&settings.data_dir)));
        let database = router.database(&tenant)?;
        let collection = tenant.code_collection(worktree.root().as_path())?;
        Ok(Context { settings, worktree, database, collection })
    }

    /// The worktree that the file `path` is in, and its path there. The file need not exist.
    pub(super) fn open_for_file(
        settings: &'s Settings,
        path: &Path,
    ) -> Result<(Context<'s>, RepoPath), CliError> {
        let absolute = std::path::absolute(path)
            .map_err(|error| CliError::usage(format!("{}: {error}", path.display())))?;
        if absolute.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            return Err(CliError::usage(format!("{} is a directory: name a file in it", path.display())));
        }
        let existing = absolute.ancestors().skip(1).find(|dir| dir.is_dir()).unwrap_or(Path::new("/"));
        let context = Context::open(settings, existing)?;
        // Only the directory is resolved: the file itself may be a link, which is what is asked about.
        let rest = absolute.strip_prefix(existing).unwrap_or(&absolute);
        let resolved = existing.canonicalize().unwrap_or_else(|_| existing.to_path_buf()).join(rest);
        let inside = resolved.strip_prefix(context.worktree.root().as_path()).ok();
        let inside = inside.and_then(|path| RepoPath::new(path.as_os_str().as_encoded_bytes()));
        match inside {
            Some(path) => Ok((context, path)),
            None => Err(CliError::usage(format!(
                "{} is not a path of a file in the worktree {}",
                path.display(),
                context.worktree.root()
            ))),
        }
    }

    pub(super) fn root_path(&self) -> PathBuf {
        self.worktree.root().as_path().to_path_buf()
    }

    pub(super) fn root(&self) -> String {
        self.worktree.root().to_string()
    }

    pub(super) fn collection(&self) -> &CollectionName {
        &self.collection
    }

    pub(super) fn database_name(&self) -> String {
        self.database.name().to_string()
    }

    /// Runs the indexer, alone.
    pub(super) fn run(
        &self,
        run: Run,
        lexical_only: bool,
        observe: &mut dyn FnMut(Progress),
    ) -> Result<Outcome, CliError> {
        let _lock = self.lock()?;
        self.run_locked(run, lexical_only, observe)
    }

    fn run_locked(
        &self,
        run: Run,
        lexical_only: bool,
        observe: &mut dyn FnMut(Progress),
    ) -> Result<Outcome, CliError> {
        let options = self.options()?;
        if lexical_only {
            return Ok(self.indexer(&options).run(run, None, observe)?);
        }
        let embed = &self.settings.embed;
        let mut vectors = Vectors {
            cache: self.cache(),
            load: Box::new(|leg| {
                let model = self.model(leg).unwrap_or_else(|| model_options(embed, &embed.text));
                Ok(Box::new(LocalEmbedder::open(&model)?))
            }),
        };
        Ok(self.indexer(&options).run(run, Some(&mut vectors), observe)?)
    }

    pub(super) fn verify(&self, observe: &mut dyn FnMut(Progress)) -> Result<Verification, CliError> {
        Ok(self.indexer(&self.options()?).verify(observe)?)
    }

    /// Forgets what differs and runs.
    pub(super) fn repair(
        &self,
        verification: &Verification,
        run: Run,
        observe: &mut dyn FnMut(Progress),
    ) -> Result<Outcome, CliError> {
        let _lock = self.lock()?;
        self.indexer(&self.options()?).forget(verification)?;
        self.run_locked(run, false, observe)
    }

    pub(super) fn explain(&self, path: &RepoPath) -> Result<Explanation, CliError> {
        Ok(self.indexer(&self.options()?).explain(path)?)
    }

    pub(super) fn snapshot(&self) -> Result<Snapshot, CliError> {
        Ok(self.database.snapshot(&self.collection)?)
    }

    /// Counts and sizes; `None` where the worktree is not indexed.
    pub(super) fn stats(&self) -> Result<Option<Stats>, CliError> {
        match self.database.stats(&self.collection) {
            Ok(stats) => Ok(Some(stats)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn freshness(&self) -> Result<Option<Freshness>, CliError> {
        Ok(Freshness::of(&self.worktree, &self.database, &self.collection)?)
    }

    /// Answers `request`, with the models that its mode needs.
    pub(super) fn search(&self, request: &Request) -> Result<Answer, CliError> {
        let mut embedders: [Option<LocalEmbedder>; 2] = [None, None];
        if request.mode != Mode::Lexical {
            let stats = self.database.stats(&self.collection)?;
            for leg in Leg::ALL.into_iter().filter(|leg| stats.vectors[leg.index()] > 0) {
                if let Some(model) = self.model(leg) {
                    let embedder = LocalEmbedder::open(&model).map_err(|error| {
                        CliError::from(error).with_hint("`--mode lexical` searches without a model")
                    })?;
                    embedders[leg.index()] = Some(embedder);
                }
            }
        }
        let embedders = embedders
            .each_mut()
            .map(|embedder| embedder.as_mut().map(|embedder| embedder as &mut dyn Embedder));
        let mut searcher = Searcher::new(&self.database, &self.collection, self.worktree.root(), embedders);
        Ok(searcher.search(request)?)
    }

    /// The embedding cache's size, where there is one.
    pub(super) fn cache_stats(&self) -> Option<CacheStats> {
        let path = self.cache_path();
        path.exists().then(|| self.cache()).flatten().and_then(|cache| cache.stats().ok())
    }

    fn indexer<'a>(&'a self, options: &'a Options) -> Indexer<'a> {
        Indexer { database: &self.database, collection: &self.collection, worktree: &self.worktree, options }
    }

    fn options(&self) -> Result<Options, CliError> {
        let settings = self.settings;
        let text = ModelInfo::open(&model_options(&settings.embed, &settings.embed.text))?;
        let (tokens, tokenizer) = (text.tokens.clone(), text.tokenizer.clone());
        let options = |info: ModelInfo, leg: Leg| LegOptions {
            fingerprint: leg_fingerprint(&info.fingerprint, &wording(leg)),
            model: info.fingerprint,
            dimension: info.dimension,
            max_tokens: info.max_tokens,
            tokens: info.tokens,
        };
        let code = match &settings.embed.code {
            Some(code) => Some(ModelInfo::open(&model_options(&settings.embed, code))?),
            None => None,
        };
        Ok(Options {
            max_file_bytes: settings.index.max_file_bytes,
            max_chunk_tokens: settings.index.max_chunk_tokens,
            tokens,
            tokenizer,
            legs: [Some(options(text, Leg::Text)), code.map(|info| options(info, Leg::Code))],
            threads: settings.index.threads,
        })
    }

    fn model(&self, leg: Leg) -> Option<ModelOptions> {
        let embed = &self.settings.embed;
        let model = match leg {
            Leg::Text => Some(&embed.text),
            Leg::Code => embed.code.as_ref(),
        };
        model.map(|model| model_options(embed, model))
    }

    fn cache_path(&self) -> PathBuf {
        self.settings.data_dir.join("cache").join("embeddings.sqlite")
    }

    /// The cache, or none where it cannot be opened: a run then computes what it needs, and says so.
    fn cache(&self) -> Option<EmbeddingCache> {
        let path = self.cache_path();
        if let Some(dir) = path.parent()
            && let Err(error) = create_private_dir(dir)
        {
            tracing::warn!(path = %dir.display(), %error, "no embedding cache");
            return None;
        }
        EmbeddingCache::open(&path, self.settings.embed.cache_max_bytes)
            .map_err(|error| tracing::warn!(%error, "no embedding cache: vectors are computed anew"))
            .ok()
    }

    /// The lock of the one run per collection.
    fn lock(&self) -> Result<WriterLock, CliError> {
        let dir = self.settings.data_dir.join("locks");
        create_private_dir(&dir).map_err(|error| CliError::from(StoreError::write(&dir, error)))?;
        let path = dir.join(format!("{}.{}.lock", self.database.name(), self.collection));
        WriterLock::acquire(&path).map_err(|error| match error {
            LockError::Held { pid, .. } => CliError::usage(format!(
                "{} is being indexed by another run{}",
                self.worktree.root(),
                pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
            ))
            .with_hint("wait for it to end, or stop it: nothing of its work is lost"),
            LockError::Io { path, source } => StoreError::write(&path, source).into(),
        })
    }
}

/// What a leg's model is given, with its version: part of the leg's fingerprint.
fn wording(leg: Leg) -> String {
    match leg {
        Leg::Text => format!("textify-{TEXTIFY_VERSION}"),
        Leg::Code => format!("raw-{RAW_VERSION}"),
    }
}

/// A model as the embedding module takes it.
pub(super) fn model_options(settings: &EmbedSettings, model: &ModelSettings) -> ModelOptions {
    ModelOptions {
        root: settings.model_dir.clone(),
        source: match model {
            ModelSettings::Packages(_) => ModelSource::Packages,
            ModelSettings::Hub(name) => ModelSource::Hub { model: name.clone(), endpoint: None },
            ModelSettings::Local(folder) => ModelSource::Local { folder: folder.clone(), pooling: None },
        },
        runtime: settings.runtime.clone(),
        threads: settings.threads,
    }
}
