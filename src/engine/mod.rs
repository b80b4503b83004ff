//! The use cases put together: settings, store, models and worktrees, for every door alike.
//!
//! An [`Engine`] is what a process has once: the store, the models, the embedding cache.
//! A [`Workspace`] is one worktree with its collection in its tenant's database. Whoever
//! asks, on the command line or through the daemon, asks these. Must not print, and must
//! not know who asks.

mod databases;
mod memory;
mod migration;
mod models;
mod reading;
mod removal;
mod search;
mod workspace;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use memory::{Memory, SharedMemory};
pub use migration::{Migrated, Migration, ObserveMigration};
pub use models::{Purpose, model_options};
pub use reading::{Restriction, Text};
pub use workspace::{Lines, Workspace};

use models::{Model, SharedEmbedder};

use crate::config::{QdrantSettings, Settings, StoreSettings};
use crate::embed::{CacheStats, EmbedError, EmbeddingCache, Leg, ModelInfo, leg_fingerprint};
use crate::git::GitError;
use crate::id::CollectionName;
use crate::index::{IndexError, LegOptions, Options};
use crate::memory::MemoryError;
use crate::migrate::MigrateError;
use crate::path::RepoPath;
use crate::search::SearchError;
use crate::search::relation::RelatedError;
use crate::state_dir::create_private_dir;
use crate::store::qdrant::{ApiKey, Layout, QdrantOptions};
use crate::store::{EmbeddedStore, QdrantStore, StoreError};
use crate::tenant::{CatalogueError, Database, Router, TenantContext, TenantError};
use crate::textify::TEXTIFY_VERSION;

/// Version of what the code leg is given.
const RAW_VERSION: u32 = 1;

/// What one process needs once, however many worktrees and askers it has.
pub struct Engine {
    settings: Settings,
    router: Router,
    /// The store, where it is a server.
    server: Option<Arc<QdrantStore>>,
    /// By leg; legs with the same model share one.
    models: [Option<Arc<Model>>; 2],
    /// Models of former configurations that queries still need.
    former: Mutex<Vec<Arc<Model>>>,
    options: Mutex<Option<Arc<Options>>>,
    cache: Mutex<Option<EmbeddingCache>>,
}

/// It could not be done. Messages name the subject; [`EngineError::hint`] says what to do
/// where the message does not.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Git could not be read.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database could not be had.
    #[error(transparent)]
    Tenant(#[from] TenantError),
    /// A run failed.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A search failed.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// There is nothing to which other code could be related.
    #[error(transparent)]
    Related(#[from] RelatedError),
    /// A memory could not be kept or found.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// A collection could not be moved.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// A database could not be created.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// A model cannot be used.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// A model that a search needs cannot be used.
    #[error(transparent)]
    QueryModel(EmbedError),
    /// Indexing it would index the index.
    #[error("{0} is the worktree itself: choose another --data-dir")]
    DataDir(PathBuf),
    /// A file was to be named.
    #[error("{0} is a directory: name a file in it")]
    Directory(PathBuf),
    /// A path of another place.
    #[error("{path} is not a path of a file in the worktree {root}")]
    Outside {
        /// As given.
        path: PathBuf,
        /// The worktree.
        root: PathBuf,
    },
    /// It lies in a worktree of another project, or in none.
    #[error("{0} is not in a worktree of this project")]
    OtherProject(PathBuf),
    /// A path that cannot be made absolute.
    #[error("{path}: {source}")]
    Path {
        /// As given.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Not a name.
    #[error("{name:?} is not a name that can be looked for: {why}")]
    Name {
        /// As given.
        name: String,
        /// Why not.
        why: String,
    },
    /// A file that is not shown.
    #[error("{path}: {why}")]
    Hidden {
        /// Path.
        path: RepoPath,
        /// Why not.
        why: String,
    },
    /// Another run has the collection.
    #[error("{root} is being written by another run{}", pid.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Busy {
        /// The worktree.
        root: PathBuf,
        /// Whose run.
        pid: Option<u32>,
    },
}

impl EngineError {
    /// What to do about it, where the message does not say so.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            EngineError::QueryModel(_) => Some("`--mode lexical` searches without a model"),
            EngineError::Migrate(error) => error.hint(),
            EngineError::Busy { .. } => Some("wait for it to end, or stop it: nothing of its work is lost"),
            _ => None,
        }
    }

    /// Whether trying again later may help by itself.
    pub fn is_busy(&self) -> bool {
        matches!(
            self,
            EngineError::Busy { .. }
                | EngineError::Store(StoreError::Locked { .. })
                | EngineError::Index(IndexError::Store(StoreError::Locked { .. }))
        )
    }
}

impl Engine {
    /// Nothing is opened, created or loaded yet, and no server is asked.
    pub fn new(settings: Settings) -> Result<Engine, EngineError> {
        let embed = &settings.embed;
        let text = Arc::new(Model::new(model_options(embed, &embed.text)));
        let code = embed.code.as_ref().map(|code| match *code == embed.text {
            true => Arc::clone(&text),
            false => Arc::new(Model::new(model_options(embed, code))),
        });
        let server = match &settings.store {
            StoreSettings::Embedded => None,
            StoreSettings::Qdrant(qdrant) => Some(Arc::new(QdrantStore::new(qdrant_options(qdrant)?)?)),
        };
        let router = match &server {
            None => Router::new(Arc::new(EmbeddedStore::new(&settings.data_dir))),
            Some(server) => Router::new(Arc::<QdrantStore>::clone(server)),
        };
        Ok(Engine {
            router,
            server,
            models: [Some(text), code],
            former: Mutex::default(),
            options: Mutex::default(),
            cache: Mutex::default(),
            settings,
        })
    }

    /// The settings that it was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The worktree that `path` is in. Nothing is created.
    pub fn open(self: &Arc<Engine>, path: &Path) -> Result<Workspace, EngineError> {
        Workspace::open(Arc::clone(self), path)
    }

    /// The same for a tenant, within its rights; the worktree must be one of its project.
    pub fn open_as(
        self: &Arc<Engine>,
        path: &Path,
        tenant: &TenantContext,
    ) -> Result<Workspace, EngineError> {
        Workspace::open_as(Arc::clone(self), path, tenant)
    }

    /// Whether the store answers.
    pub fn check_store(&self) -> Result<(), EngineError> {
        Ok(self.router.check()?)
    }

    /// Unloads models that were not used for `idle`, and writes what the embedding cache
    /// holds back; whether any model is still loaded.
    pub fn unload_idle(&self, idle: Duration) -> bool {
        // A run has it otherwise, and is not idle.
        if let Ok(mut cache) = self.cache.try_lock()
            && let Some(open) = &mut *cache
            && let Err(error) = open.flush()
        {
            tracing::warn!(%error, "the embedding cache is opened anew");
            *cache = None;
        }
        // No short circuit: each is to be looked at.
        let former = lock(&self.former).clone();
        self.models.iter().flatten().chain(&former).fold(false, |any, model| model.unload_idle(idle) | any)
    }

    /// The embedding cache's size, where there is one.
    pub fn cache_stats(&self) -> Option<CacheStats> {
        let path = self.cache_path();
        let open = || EmbeddingCache::open(&path, self.settings.embed.cache_max_bytes).ok();
        path.exists().then(open).flatten().and_then(|cache| cache.stats().ok())
    }

    /// What an index is a function of; read once.
    fn options(&self) -> Result<Arc<Options>, EngineError> {
        let mut known = lock(&self.options);
        if let Some(options) = &*known {
            return Ok(Arc::clone(options));
        }
        let leg_options = |leg: Leg| -> Result<Option<(LegOptions, Arc<ModelInfo>)>, EmbedError> {
            let Some(model) = &self.models[leg.index()] else { return Ok(None) };
            let info = model.info()?;
            let options = LegOptions {
                fingerprint: leg_fingerprint(&info.fingerprint, &wording(leg)),
                model: info.fingerprint.clone(),
                dimension: info.dimension,
                max_tokens: info.max_tokens,
                texts: format!("{},{},{}", wording(leg), info.max_tokens, info.tokenizer),
                tokens: info.tokens.clone(),
            };
            Ok(Some((options, info)))
        };
        let (text, code) = (leg_options(Leg::Text)?, leg_options(Leg::Code)?);
        let Some((text, info)) = text else {
            // The configuration refuses to switch the text leg off.
            return Err(EngineError::Embed(EmbedError::NotInstalled {
                what: "the text leg's model".to_owned(),
                path: self.settings.embed.model_dir.clone(),
            }));
        };
        let options = Arc::new(Options {
            max_file_bytes: self.settings.index.max_file_bytes,
            max_chunk_tokens: self.settings.index.max_chunk_tokens,
            tokens: info.tokens.clone(),
            tokenizer: info.tokenizer.clone(),
            legs: [Some(text), code.map(|(options, _)| options)],
            threads: self.settings.index.threads,
        });
        *known = Some(Arc::clone(&options));
        Ok(options)
    }

    fn is_loaded(&self, leg: Leg) -> bool {
        self.models[leg.index()].as_ref().is_some_and(|model| model.is_loaded())
    }

    fn embedder(&self, leg: Leg, purpose: Purpose) -> Result<Option<SharedEmbedder>, EmbedError> {
        self.models[leg.index()].as_ref().map(|model| model.embedder(purpose)).transpose()
    }

    /// The lock of the one run per collection.
    fn run_lock_path(&self, database: &Database, collection: &CollectionName) -> PathBuf {
        self.locks_dir().join(format!("{}.{collection}.lock", database.name()))
    }

    /// Where the lock files lie.
    fn locks_dir(&self) -> PathBuf {
        self.settings.data_dir.join("locks")
    }

    /// Where the embedding cache lies.
    pub fn cache_path(&self) -> PathBuf {
        self.settings.data_dir.join("cache").join("embeddings.sqlite")
    }

    /// The cache, opened where it is not yet; none where it cannot be: a run then computes
    /// what it needs, and says so.
    fn cache(&self) -> MutexGuard<'_, Option<EmbeddingCache>> {
        let mut cache = lock(&self.cache);
        if cache.is_none() {
            let path = self.cache_path();
            if let Some(dir) = path.parent()
                && let Err(error) = create_private_dir(dir)
            {
                tracing::warn!(path = %dir.display(), %error, "no embedding cache");
                return cache;
            }
            *cache = EmbeddingCache::open(&path, self.settings.embed.cache_max_bytes)
                .map_err(|error| tracing::warn!(%error, "no embedding cache: vectors are computed anew"))
                .ok();
        }
        cache
    }
}

/// What a leg's model is given, with its version: part of the leg's fingerprint.
fn wording(leg: Leg) -> String {
    match leg {
        Leg::Text => format!("textify-{TEXTIFY_VERSION}"),
        Leg::Code => format!("raw-{RAW_VERSION}"),
    }
}

/// What a panic left behind is whole: every value here is replaced, never half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The store's options as they are set.
fn qdrant_options(settings: &QdrantSettings) -> Result<QdrantOptions, EngineError> {
    let certificate = settings.ca_file.as_deref().map(|path| {
        std::fs::read(path).map_err(|source| EngineError::Path { path: path.to_owned(), source })
    });
    Ok(QdrantOptions {
        api_key: settings.api_key.as_ref().map(|key| ApiKey::new(key.expose())),
        ca_certificate: certificate.transpose()?,
        prefix: settings.prefix.clone(),
        layout: if settings.shared_layout { Layout::Shared } else { Layout::Collection },
        timeout: settings.timeout,
        connect_timeout: settings.connect_timeout,
        retries: settings.retries,
        batch_bytes: settings.batch_bytes,
        approximate_above: settings.approximate_above,
        quantization: settings.quantization,
        on_disk: settings.on_disk_vectors,
        on_disk_payload: settings.on_disk_payload,
        shard_number: settings.shard_number,
        replication_factor: settings.replication_factor,
        write_consistency_factor: settings.write_consistency_factor,
        ..QdrantOptions::new(&settings.url)
    })
}
