//! A search over the collections of some worktrees, with the models that it needs.

use super::{Engine, EngineError, Purpose, Workspace};
use crate::embed::{Embedder, Leg};
use crate::search::{Answer, Mode, Request, Searcher};

impl Engine {
    /// Answers `request` from the indexes of `workspaces`, whose places in the answer have the
    /// same order. One that cannot be searched is an error beside the others' hits.
    pub fn search(&self, workspaces: &[&Workspace], request: &Request) -> Result<Answer, EngineError> {
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
