//! A search over the collections of some worktrees, with the models that it needs.

use std::time::Instant;

use tracing::field;

use super::{Engine, EngineError, Purpose, Workspace};
use crate::embed::{Embedder, Leg};
use crate::search::related::related;
use crate::search::relation::{Position, Related};
use crate::search::{Answer, Mode, Request, SearchError, Searcher};
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
        let mut embedders = [None, None];
        if request.mode != Mode::Lexical {
            for leg in Leg::ALL {
                // Without a vector anywhere the model stays where it is.
                let any = workspaces.iter().any(|workspace| {
                    let stats = workspace.place().database.stats(workspace.collection());
                    stats.is_ok_and(|stats| stats.vectors[leg.index()] > 0)
                });
                if any {
                    embedders[leg.index()] =
                        self.embedder(leg, Purpose::Query).map_err(EngineError::QueryModel)?;
                }
            }
        }
        let embedders = embedders
            .each_mut()
            .map(|embedder| embedder.as_mut().map(|embedder| embedder as &mut dyn Embedder));
        let places = workspaces.iter().map(|workspace| workspace.place()).collect();
        Ok(Searcher::new(places, embedders).search(request)?)
    }
}

impl Workspace {
    /// What belongs to the code at a position, by the index and the disk; loads no model.
    pub fn related(&self, position: &Position) -> Result<Related, EngineError> {
        let _entered = tracing::info_span!("related", project.path = %self.root()).entered();
        Ok(related(&self.place(), position)?)
    }
}
