//! The order of hits: what their names, places and neighbours say beyond the
//! legs' scores. Pure functions over candidates; no I/O.
//!
//! Rules are general: none knows a repository, a framework or a query. `names` and
//! `places` compare a candidate with what the query names, `passages` with what it says,
//! `groups` with the other candidates; [`Weights`] says what each is worth.

use std::collections::HashMap;

use crate::path::RepoPath;
use crate::search::location::Role;
use crate::search::query::Query;
use crate::store::Point;

mod groups;
mod names;
mod passages;
mod places;
mod weights;

pub use groups::JOIN_GAP;
pub use weights::Weights;

use names::{Names, symbol_words};
use passages::{Phrases, literals};
use places::{PathMatch, Positions};

/// A point that some leg found.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The point.
    pub point: &'a Point,
    /// Its fused score, 0..=1.
    pub fused: f32,
}

/// Why a hit stands where it stands, beside its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Its symbol is a name of the query.
    Symbol,
    /// Words of the query make up its symbol's name.
    SymbolWords,
    /// Its path or file name is written in the query.
    Path,
    /// A line that the query names is in it or near.
    Position,
    /// Text that the query quotes is in it.
    Literal,
    /// Words of the query are in it in the same order.
    Phrase,
    /// Words of the query are in its path.
    PathWords,
    /// Other chunks of its file were found too.
    File,
    /// Chunks next to it were found too.
    Neighbours,
    /// Demoted: a test, example, benchmark, document, setting, declaration, or generated or vendored code.
    Role(Role),
    /// Demoted: the head of a file, or else of the kind `module`.
    Module,
    /// Demoted: better chunks of the same file stand before it.
    Repeated,
    /// Demoted: its text stands before it already.
    Copy,
}

impl Reason {
    /// Stable name, as in JSON; a demotion has the name of the part that the file plays.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Symbol => "symbol",
            Reason::SymbolWords => "symbol_words",
            Reason::Path => "path",
            Reason::Position => "position",
            Reason::Literal => "literal",
            Reason::Phrase => "phrase",
            Reason::PathWords => "path_words",
            Reason::File => "file",
            Reason::Neighbours => "neighbours",
            Reason::Role(role) => role.name(),
            Reason::Module => "module",
            Reason::Repeated => "repeated",
            Reason::Copy => "copy",
        }
    }
}

/// A candidate in its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    /// Index into the candidates given.
    pub index: usize,
    /// Score; higher is better, without an upper bound of its own.
    pub score: f32,
    /// Which rules applied.
    pub reasons: Vec<Reason>,
    /// What each rule added to the fused score, negative where it took, in the order in which
    /// they were applied.
    pub boosts: Vec<(Reason, f32)>,
    /// Neighbours that were found too, and are shown with it: indexes into the candidates.
    pub joined: Vec<usize>,
}

impl Ranked {
    fn demote(&mut self, factor: f32, reason: Reason) {
        self.boosts.push((reason, self.score * (factor - 1.0)));
        self.score *= factor;
        self.reasons.push(reason);
    }
}

/// Orders `candidates`, best first, equal scores by id.
pub fn rank(query: &Query, candidates: &[Candidate<'_>], weights: &Weights) -> Vec<Ranked> {
    let names = Names::of(query, candidates);
    let positions = Positions::of(query, candidates);
    let phrases = Phrases::of(query);
    let files = groups::file_scores(candidates);
    let neighbours = groups::neighbour_scores(candidates);
    let mut paths: HashMap<&RepoPath, PathMatch> = HashMap::new();
    let mut ranked: Vec<Ranked> = Vec::with_capacity(candidates.len());
    for (index, Candidate { point, fused }) in candidates.iter().enumerate() {
        let at = *paths.entry(&point.path).or_insert_with(|| PathMatch::of(query, point));
        let mut hit =
            Ranked { index, score: *fused, reasons: Vec::new(), boosts: Vec::new(), joined: Vec::new() };
        let mut add = |weight: f32, share: f32, least: f32, reason: Reason| {
            hit.score += weight * share;
            if weight * share > 0.0 {
                hit.boosts.push((reason, weight * share));
            }
            if weight > 0.0 && share >= least {
                hit.reasons.push(reason);
            }
        };
        add(weights.symbol, names.symbol_match(point), 0.5, Reason::Symbol);
        add(weights.symbol_words, symbol_words(query, point), 0.5, Reason::SymbolWords);
        add(weights.path, at.written, 0.5, Reason::Path);
        add(weights.position, positions.near(point), 0.3, Reason::Position);
        add(weights.literal, literals(query, point), 0.5, Reason::Literal);
        add(weights.phrase, phrases.share(point), 0.5, Reason::Phrase);
        add(weights.path_words, at.words, 0.4, Reason::PathWords);
        let file = files.get(&point.path).copied().unwrap_or_default();
        add(weights.file, file, 0.75, Reason::File);
        add(weights.neighbours, neighbours[index], 0.5, Reason::Neighbours);
        let role = at.role.of_symbol(point.language, point.container.as_deref(), point.symbol.as_deref());
        let factor = weights.role(role, query);
        if factor < 1.0 {
            hit.demote(factor, Reason::Role(role));
        }
        if point.kind == "module" && weights.module < 1.0 {
            hit.demote(weights.module, Reason::Module);
        }
        ranked.push(hit);
    }
    sort(&mut ranked, candidates);
    groups::copies(&mut ranked, candidates, weights.copy);
    let mut ranked = groups::join(ranked, candidates, weights.join as u32);
    groups::saturate(&mut ranked, candidates, weights.saturation);
    ranked
}

fn sort(ranked: &mut [Ranked], candidates: &[Candidate<'_>]) {
    ranked.sort_by(|a, b| {
        let id = |r: &Ranked| candidates[r.index].point.id;
        b.score.total_cmp(&a.score).then_with(|| id(a).cmp(&id(b)))
    });
}

#[cfg(test)]
#[path = "../tests/ranking.rs"]
mod tests;
