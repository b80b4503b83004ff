//! A search over the collections of some worktrees, with the models that it needs.

use std::sync::Arc;
use std::time::Instant;

use tracing::field;

use super::models::{Model, SharedEmbedder};
use super::{Engine, EngineError, Purpose, Workspace, lock, model_options};
use crate::embed::{self, EmbedError, Embedder, Leg, ModelOptions, ModelSource, is_of_model};
use crate::id::Fingerprint;
use crate::search::related::related;
use crate::search::relation::{Position, Related};
use crate::search::{Answer, Mode, Place, Request, SearchError, Searcher};
use crate::telemetry::metrics;

impl Engine {
    /// Answers `request` from the indexes of `workspaces`, whose places in the answer have the
    /// same order. One that cannot be searched is an error beside the others' hits.
    pub fn search(&self, workspaces: &[&Workspace], request: &Request) -> Result<Answer, EngineError> {
        let project = workspaces.first().map(|workspace| field::display(workspace.root()));
        let text = self.settings.traces.query_text.then_some(&request.query);
        let span = tracing::info_span!(
            "search",
            project.path = project,
            projects = workspaces.len(),
            query.length = request.query.chars().count(),
            query.text = text,
            query.kind = field::Empty,
            results = field::Empty,
            error = field::Empty,
        );
        let _entered = span.enter();
        let began = Instant::now();
        let result = self.answer(workspaces, request);
        let stages = match &result {
            Ok(answer) => {
                span.record("query.kind", answer.kind.name());
                span.record("results", answer.hits.len());
                let timing = &answer.timing;
                let (embed, retrieve) = (("embed", timing.embed), ("retrieve", timing.retrieve));
                vec![embed, retrieve, ("rank", timing.rank), ("verify", timing.verify)]
            }
            Err(error) => {
                span.record("error", field::display(error));
                Vec::new()
            }
        };
        let failed = |error: &SearchError| matches!(error, SearchError::Store(_));
        let places = result.iter().flat_map(|answer| &answer.places);
        for _ in places.filter_map(|place| place.as_ref().err()).filter(|error| failed(error)) {
            metrics::store_error("search");
        }
        metrics::search(result.is_ok(), began.elapsed(), &stages);
        result
    }

    fn answer(&self, workspaces: &[&Workspace], request: &Request) -> Result<Answer, EngineError> {
        let places: Vec<Place<'_>> = workspaces.iter().map(|workspace| workspace.place()).collect();
        let mut models = Vec::new();
        if request.mode != Mode::Lexical {
            for Place { database, collection, .. } in &places {
                let Ok(schema) = database.schema(collection) else { continue };
                for leg in Leg::ALL {
                    let Some((indexed, _)) = &schema.legs[leg.index()] else { continue };
                    // Without a vector anywhere a model stays where it is.
                    let is_filled =
                        || database.stats(collection).is_ok_and(|stats| stats.vectors[leg.index()] > 0);
                    if !models.iter().any(|model| embeds_for(model, indexed)) && is_filled() {
                        models.push(self.query_model(indexed).map_err(EngineError::QueryModel)?);
                    }
                }
            }
        }
        let models = models.iter_mut().map(|model| match model {
            Ok(embedder) => Ok(embedder as &mut dyn Embedder),
            Err(unusable) => Err(unusable.clone()),
        });
        Ok(Searcher::new(places, models.collect()).search(request)?)
    }

    /// The model that the vectors of a leg are of: a configured one, or while that of the
    /// configuration is not yet filled a former one. Why there is none is said in the answer,
    /// and is an error where it may be for the want of a configured one.
    fn query_model(&self, indexed: &Fingerprint) -> Result<Found, EmbedError> {
        let mut unusable = None;
        for model in self.models.iter().flatten() {
            match model.info() {
                Ok(info) if is_of_model(indexed, &info.fingerprint) => {
                    return model.embedder(Purpose::Query).map(Ok);
                }
                Ok(_) => {}
                Err(error) => unusable = Some(error),
            }
        }
        if let Some(model) = self.former_model(indexed) {
            let embedder = model.embedder(Purpose::Query);
            return Ok(embedder.map_err(|error| (indexed.clone(), error.to_string())));
        }
        let why =
            format!("its model {indexed} is not installed: `indexer once` gives it the configured one's");
        unusable.map_or(Ok(Err((indexed.clone(), why))), Err)
    }

    /// The installed model that the vectors of a leg are of, whatever is configured.
    fn former_model(&self, indexed: &Fingerprint) -> Option<Arc<Model>> {
        let mut former = lock(&self.former);
        let is_it =
            |model: &&Arc<Model>| model.info().is_ok_and(|info| is_of_model(indexed, &info.fingerprint));
        if let Some(model) = former.iter().find(is_it) {
            return Some(Arc::clone(model));
        }
        let options = model_options(&self.settings.embed, &self.settings.embed.text);
        let (_, folder) =
            embed::installed(&options.root).into_iter().find(|(model, _)| is_of_model(indexed, model))?;
        let source = ModelSource::Installed { folder };
        let model = Arc::new(Model::new(ModelOptions { source, ..options }));
        former.push(Arc::clone(&model));
        Some(model)
    }
}

/// A model for queries, or which one cannot be used, and why.
type Found = Result<SharedEmbedder, (Fingerprint, String)>;

/// Whether a model that was looked for already is that of a leg.
fn embeds_for(model: &Found, indexed: &Fingerprint) -> bool {
    match model {
        Ok(embedder) => is_of_model(indexed, embedder.fingerprint()),
        Err((unusable, _)) => unusable == indexed,
    }
}

impl Workspace {
    /// What belongs to the code at a position, by the index and the disk; loads no model.
    pub fn related(&self, position: &Position) -> Result<Related, EngineError> {
        let _entered = tracing::info_span!("related", project.path = %self.root()).entered();
        Ok(related(&self.place(), position)?)
    }
}
