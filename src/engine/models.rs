//! The models of one process: each loaded at most once, when it is first needed, and
//! shared by runs and queries.
//!
//! A query never waits for more than the one text that is being embedded: runs step
//! aside while any query wants the model.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::lock;
use crate::config::{EmbedSettings, ModelSettings};
use crate::embed::{EmbedError, Embedder, LocalEmbedder, ModelInfo, ModelOptions, ModelSource};
use crate::id::Fingerprint;

/// What a text is embedded for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Somebody waits for the answer.
    Query,
    /// A run, which lets queries go first.
    Run,
}

/// One model.
pub(super) struct Model {
    options: ModelOptions,
    info: Mutex<Option<Arc<ModelInfo>>>,
    loaded: Mutex<Option<Loaded>>,
    /// Queries that want the model now.
    queries: Mutex<usize>,
    no_query: Condvar,
}

struct Loaded {
    embedder: LocalEmbedder,
    used: Instant,
}

impl Model {
    pub(super) fn new(options: ModelOptions) -> Model {
        Model {
            options,
            info: Mutex::default(),
            loaded: Mutex::default(),
            queries: Mutex::default(),
            no_query: Condvar::new(),
        }
    }

    /// Its numbers and tokenizer, read once.
    pub(super) fn info(&self) -> Result<Arc<ModelInfo>, EmbedError> {
        let mut known = lock(&self.info);
        if let Some(info) = &*known {
            return Ok(Arc::clone(info));
        }
        let info = Arc::new(ModelInfo::open(&self.options)?);
        *known = Some(Arc::clone(&info));
        Ok(info)
    }

    /// A share of the model. It is loaded here, so that one that cannot be is told now.
    pub(super) fn embedder(self: &Arc<Model>, purpose: Purpose) -> Result<SharedEmbedder, EmbedError> {
        let share = SharedEmbedder { model: Arc::clone(self), info: self.info()?, purpose };
        share.with(|_| Ok(()))?;
        Ok(share)
    }

    /// Whether it is in memory.
    pub(super) fn is_loaded(&self) -> bool {
        lock(&self.loaded).is_some()
    }

    /// Unloads it where it was not used for `idle`; whether it is still loaded.
    pub(super) fn unload_idle(&self, idle: Duration) -> bool {
        let mut loaded = lock(&self.loaded);
        if loaded.as_ref().is_some_and(|loaded| loaded.used.elapsed() >= idle) {
            *loaded = None;
            tracing::debug!("the model left memory");
        }
        loaded.is_some()
    }
}

/// An [`Embedder`] over a model that others use too.
pub(super) struct SharedEmbedder {
    model: Arc<Model>,
    info: Arc<ModelInfo>,
    purpose: Purpose,
}

impl SharedEmbedder {
    fn with<T>(
        &self,
        act: impl FnOnce(&mut LocalEmbedder) -> Result<T, EmbedError>,
    ) -> Result<T, EmbedError> {
        let _query = match self.purpose {
            Purpose::Query => Some(Query::enter(&self.model)),
            Purpose::Run => {
                let queries = lock(&self.model.queries);
                drop(self.model.no_query.wait_while(queries, |queries| *queries > 0));
                None
            }
        };
        let mut loaded = lock(&self.model.loaded);
        if loaded.is_none() {
            let embedder = LocalEmbedder::open(&self.model.options)?;
            if *embedder.fingerprint() != self.info.fingerprint {
                return Err(EmbedError::Model {
                    path: self.model.options.root.clone(),
                    reason: "it was replaced by another one while this process ran: start it again"
                        .to_owned(),
                });
            }
            *loaded = Some(Loaded { embedder, used: Instant::now() });
        }
        match &mut *loaded {
            Some(loaded) => {
                loaded.used = Instant::now();
                act(&mut loaded.embedder)
            }
            None => Err(EmbedError::NotInstalled {
                what: "the embedding model".to_owned(),
                path: self.model.options.root.clone(),
            }),
        }
    }
}

impl Embedder for SharedEmbedder {
    fn fingerprint(&self) -> &Fingerprint {
        &self.info.fingerprint
    }

    fn dimension(&self) -> usize {
        self.info.dimension
    }

    fn max_tokens(&self) -> usize {
        self.info.max_tokens
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.info.tokens.count(text)
    }

    fn embed(&mut self, text: &str) -> Result<Vec<f32>, EmbedError> {
        self.with(|embedder| embedder.embed(text))
    }

    fn embed_query(&mut self, text: &str) -> Result<Vec<f32>, EmbedError> {
        self.with(|embedder| embedder.embed_query(text))
    }
}

/// A query in progress; runs wait until it is dropped.
struct Query<'a>(&'a Model);

impl Query<'_> {
    fn enter(model: &Model) -> Query<'_> {
        *lock(&model.queries) += 1;
        Query(model)
    }
}

impl Drop for Query<'_> {
    fn drop(&mut self) {
        let mut queries = self.0.queries.lock().unwrap_or_else(PoisonError::into_inner);
        *queries -= 1;
        if *queries == 0 {
            self.0.no_query.notify_all();
        }
    }
}

/// A model of the settings as the embedding module takes it.
pub fn model_options(settings: &EmbedSettings, model: &ModelSettings) -> ModelOptions {
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
