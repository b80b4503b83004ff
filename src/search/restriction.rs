//! A query's operators beside the filter of its request: what the store is asked, and what is
//! looked at afterwards.

use crate::search::SearchError;
use crate::search::syntax::{Marks, Restriction};
use crate::store::{Filter, Paths, Point};

/// What the store cannot be asked: it knows no "not", and one list of each sort.
pub(super) struct After {
    only: Restriction,
    only_paths: Option<Paths>,
    not: Restriction,
    not_paths: Option<Paths>,
}

impl After {
    pub(super) fn passes(&self, point: &Point) -> bool {
        let kind = |list: &[String]| list.contains(&point.kind);
        self.only_paths.as_ref().is_none_or(|paths| paths.matches(&point.path))
            && (self.only.languages.is_empty() || self.only.languages.contains(&point.language))
            && (self.only.kinds.is_empty() || kind(&self.only.kinds))
            && !self.not_paths.as_ref().is_some_and(|paths| paths.matches(&point.path))
            && !self.not.languages.contains(&point.language)
            && !kind(&self.not.kinds)
    }
}

/// The filter with the query's operators, and what is left to be looked at afterwards.
pub(super) fn restrictions(filter: &Filter, marks: &Marks) -> Result<(Filter, Option<After>), SearchError> {
    let mut filter = filter.clone();
    let mut only = marks.only.clone();
    if filter.paths.is_empty() {
        filter.paths = std::mem::take(&mut only.paths);
    }
    if filter.languages.is_empty() {
        filter.languages = std::mem::take(&mut only.languages);
    }
    if filter.kinds.is_empty() {
        filter.kinds = std::mem::take(&mut only.kinds);
    }
    if only.is_empty() && marks.not.is_empty() {
        return Ok((filter, None));
    }
    let after = After {
        only_paths: Paths::compile(&only.paths)?,
        not_paths: Paths::compile(&marks.not.paths)?,
        not: marks.not.clone(),
        only,
    };
    Ok((filter, Some(after)))
}
