//! The order of hits: what their names, places and neighbours say beyond the
//! legs' scores. Pure functions over candidates; no I/O.
//!
//! Rules are general: none knows a repository, a framework or a query.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::lexical;
use crate::path::RepoPath;
use crate::search::location::Role;
use crate::search::query::{Query, QueryKind};
use crate::store::Point;

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
    /// Its file's name consists of words of the query.
    FileName,
    /// Other chunks of its file were found too.
    File,
    /// Chunks next to it were found too.
    Neighbours,
    /// Demoted: a test, example, benchmark, document, setting, or generated, vendored or compatibility code.
    Role(Role),
    /// Demoted: little but imports and re-exports.
    ReExport,
    /// Demoted: better chunks of the same file stand before it.
    Repeated,
}

impl Reason {
    /// Stable name, as in JSON; a demotion has the name of the part that the file plays.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Symbol => "symbol",
            Reason::SymbolWords => "symbol_words",
            Reason::Path => "path",
            Reason::FileName => "file_name",
            Reason::File => "file",
            Reason::Neighbours => "neighbours",
            Reason::Role(role) => role.name(),
            Reason::ReExport => "re_export",
            Reason::Repeated => "repeated",
        }
    }
}

/// How much each leg and each rule counts. Scores before the rules are in 0..=1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    /// Weight of the BM25 leg in the fusion.
    pub lexical: f32,
    /// Weight of each dense leg in the fusion, in the order of [`crate::embed::Leg::ALL`].
    pub dense: [f32; 2],
    /// Added where the symbol is a name of the query.
    pub symbol: f32,
    /// Added in proportion where the symbol's words are words of the query.
    pub symbol_words: f32,
    /// Added where the path is written in the query.
    pub path: f32,
    /// Added in proportion where the file name's words are words of the query.
    pub file_name: f32,
    /// Added in proportion to what the file's chunks scored together.
    pub file: f32,
    /// Added in proportion to what was found within [`NEAR_LINES`] of the chunk.
    pub neighbours: f32,
    /// Factor on tests.
    pub test: f32,
    /// Factor on examples and benchmarks.
    pub example: f32,
    /// Factor on documents.
    pub documentation: f32,
    /// Factor on settings and data.
    pub configuration: f32,
    /// Factor on generated and vendored code.
    pub foreign: f32,
    /// Factor on compatibility code.
    pub compatibility: f32,
    /// Factor on chunks of imports and re-exports.
    pub re_export: f32,
    /// Factor on each further chunk of a file, to the power of how many stand before it.
    pub saturation: f32,
}

impl Weights {
    /// The weights for a kind of query. A question wants files to start reading
    /// at, so further chunks of a file give way; a change wants lines, of which a
    /// file may have several.
    pub fn of(kind: QueryKind) -> Weights {
        let question = Weights {
            lexical: 1.0,
            dense: [0.8, 0.6],
            symbol: 0.6,
            symbol_words: 0.3,
            path: 0.6,
            file_name: 0.5,
            file: 0.1,
            neighbours: 0.15,
            test: 0.5,
            example: 0.5,
            documentation: 0.5,
            configuration: 0.7,
            foreign: 0.4,
            compatibility: 0.7,
            re_export: 0.6,
            saturation: 0.7,
        };
        match kind {
            QueryKind::Symbol => Weights { dense: [0.3, 0.2], symbol: 1.5, file_name: 0.5, ..question },
            QueryKind::Question => question,
            QueryKind::Change => Weights {
                dense: [0.3, 0.2],
                symbol: 0.3,
                symbol_words: 0.15,
                file_name: 0.3,
                saturation: 0.98,
                ..question
            },
        }
    }

    /// No rule at all: the order of the legs.
    pub const NONE: Weights = Weights {
        lexical: 1.0,
        dense: [1.0, 1.0],
        symbol: 0.0,
        symbol_words: 0.0,
        path: 0.0,
        file_name: 0.0,
        file: 0.0,
        neighbours: 0.0,
        test: 1.0,
        example: 1.0,
        documentation: 1.0,
        configuration: 1.0,
        foreign: 1.0,
        compatibility: 1.0,
        re_export: 1.0,
        saturation: 1.0,
    };

    fn role(&self, role: Role, query: &Query) -> f32 {
        let wants = query.wants;
        let (factor, wanted) = match role {
            Role::Source => (1.0, true),
            Role::Test => (self.test, wants.tests),
            Role::Example => (self.example, wants.examples),
            Role::Benchmark => (self.example, wants.benchmarks),
            Role::Documentation => (self.documentation, wants.documentation),
            Role::Configuration => (self.configuration, wants.configuration),
            Role::Generated | Role::Vendored => (self.foreign, false),
            Role::Compatibility => (self.compatibility, false),
        };
        // Asked for is not required: half of the demotion stays.
        if wanted { factor.sqrt() } else { factor }
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
}

/// Orders `candidates`, best first, equal scores by id.
pub fn rank(query: &Query, candidates: &[Candidate<'_>], weights: &Weights) -> Vec<Ranked> {
    let names = Names::of(query, candidates);
    let files = file_scores(candidates);
    let neighbours = neighbour_scores(candidates);
    let mut paths: HashMap<&RepoPath, PathMatch> = HashMap::new();
    let mut ranked: Vec<Ranked> = Vec::with_capacity(candidates.len());
    for (index, Candidate { point, fused }) in candidates.iter().enumerate() {
        let at = *paths.entry(&point.path).or_insert_with(|| PathMatch::of(query, point));
        let mut reasons = Vec::new();
        let mut score = *fused;
        let mut add = |weight: f32, share: f32, least: f32, reason: Reason| {
            score += weight * share;
            if weight > 0.0 && share >= least {
                reasons.push(reason);
            }
        };
        add(weights.symbol, names.symbol_match(point), 0.5, Reason::Symbol);
        add(weights.symbol_words, symbol_words(query, point), 0.5, Reason::SymbolWords);
        add(weights.path, at.written, 0.5, Reason::Path);
        add(weights.file_name, at.name, 0.5, Reason::FileName);
        let file = files.get(&point.path).copied().unwrap_or_default();
        add(weights.file, file, 0.75, Reason::File);
        add(weights.neighbours, neighbours[index], 0.5, Reason::Neighbours);
        let factor = weights.role(at.role, query);
        if factor < 1.0 {
            score *= factor;
            reasons.push(Reason::Role(at.role));
        }
        if weights.re_export < 1.0 && is_re_export(point) {
            score *= weights.re_export;
            reasons.push(Reason::ReExport);
        }
        ranked.push(Ranked { index, score, reasons });
    }
    sort(&mut ranked, candidates);
    saturate(&mut ranked, candidates, weights.saturation);
    ranked
}

fn sort(ranked: &mut [Ranked], candidates: &[Candidate<'_>]) {
    ranked.sort_by(|a, b| {
        let id = |r: &Ranked| candidates[r.index].point.id;
        b.score.total_cmp(&a.score).then_with(|| id(a).cmp(&id(b)))
    });
}

/// Chunks of a file beyond this many give way to other files for every kind of
/// query, by [`CROWD_FACTOR`] each: a long answer shows more than one large file.
const CROWD: i32 = 5;
const CROWD_FACTOR: f32 = 0.9;

/// Multiplies the n-th chunk of a file by `factor` to the n-1, and more beyond [`CROWD`].
fn saturate(ranked: &mut [Ranked], candidates: &[Candidate<'_>], factor: f32) {
    if factor >= 1.0 {
        return;
    }
    let mut before: HashMap<&RepoPath, i32> = HashMap::new();
    for hit in ranked.iter_mut() {
        let count = before.entry(&candidates[hit.index].point.path).or_default();
        if *count > 0 {
            let crowd = (*count - CROWD).max(0);
            hit.score *= factor.powi(*count) * CROWD_FACTOR.powi(crowd);
            hit.reasons.push(Reason::Repeated);
        }
        *count += 1;
    }
    sort(ranked, candidates);
}

/// What the chunks of each file scored together, as a share of the best file's:
/// the best chunk whole, each further one half as much as the one before.
fn file_scores<'a>(candidates: &[Candidate<'a>]) -> HashMap<&'a RepoPath, f32> {
    let mut scores: HashMap<&RepoPath, Vec<f32>> = HashMap::new();
    for candidate in candidates {
        scores.entry(&candidate.point.path).or_default().push(candidate.fused);
    }
    let mut files: HashMap<&RepoPath, f32> = HashMap::new();
    for (path, mut chunks) in scores {
        chunks.sort_by(|a, b| b.total_cmp(a));
        let sum = chunks.iter().zip(0..8).map(|(score, n)| score * 0.5f32.powi(n)).sum();
        files.insert(path, sum);
    }
    let best = files.values().copied().fold(0.0, f32::max);
    if best > 0.0 {
        files.values_mut().for_each(|sum| *sum /= best);
    }
    files
}

/// Distance in lines at which chunks no longer support each other.
pub const NEAR_LINES: u32 = 30;

/// For each candidate what those near it in its file scored, each the less the
/// farther it is: a place with several hits is likelier than a lone one. At most 1.
fn neighbour_scores(candidates: &[Candidate<'_>]) -> Vec<f32> {
    let mut files: HashMap<&RepoPath, Vec<usize>> = HashMap::new();
    for (index, candidate) in candidates.iter().enumerate() {
        files.entry(&candidate.point.path).or_default().push(index);
    }
    let gap = |a: (u32, u32), b: (u32, u32)| b.0.saturating_sub(a.1).max(a.0.saturating_sub(b.1));
    let mut scores = vec![0.0; candidates.len()];
    for mut indexes in files.into_values() {
        // In line order, so that the sum is the same for every order of candidates.
        indexes.sort_by_key(|index| (candidates[*index].point.lines, candidates[*index].point.id));
        for this in &indexes {
            let near = indexes.iter().filter(|other| *other != this).map(|other| {
                let gap = gap(candidates[*this].point.lines, candidates[*other].point.lines);
                let share = 1.0 - gap.min(NEAR_LINES) as f32 / NEAR_LINES as f32;
                share * candidates[*other].fused
            });
            scores[*this] = near.sum::<f32>().min(1.0);
        }
    }
    scores
}

/// Lower case without separators, so that `path_router` and `PathRouter` are one name.
fn squash(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Names of a query by how sure it is that they are meant.
struct Names<'a> {
    written: BTreeSet<&'a str>,
    lower: BTreeSet<String>,
    squashed: BTreeMap<String, f32>,
    /// Candidates by squashed symbol.
    bearers: HashMap<String, u32>,
}

impl<'a> Names<'a> {
    fn of(query: &'a Query, candidates: &[Candidate<'_>]) -> Names<'a> {
        let words: BTreeSet<String> =
            query.text.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase).collect();
        let single = |name: &str| words.contains(name) || words.contains(&format!("{name}s"));
        let sure = |name: &String| if single(name) { 0.3 } else { 0.7 };
        let mut squashed: BTreeMap<String, f32> =
            query.guesses.iter().map(|name| (squash(name), sure(name))).collect();
        // Another style of writing is another thing more often than not: a trait
        // `FromRequest` and the methods `from_request` of those who implement it.
        squashed.extend(query.names.iter().map(|name| (squash(name), 0.5)));
        let mut bearers: HashMap<String, u32> = HashMap::new();
        for symbol in candidates.iter().filter_map(|candidate| candidate.point.symbol.as_deref()) {
            *bearers.entry(squash(last_part(symbol))).or_default() += 1;
        }
        Names {
            written: query.names.iter().map(String::as_str).collect(),
            lower: query.names.iter().map(|name| name.to_lowercase()).collect(),
            squashed,
            bearers,
        }
    }

    /// 0..=1: whether the point defines a name of the query; the less, the more others do.
    fn symbol_match(&self, point: &Point) -> f32 {
        let Some(symbol) = point.symbol.as_deref() else { return 0.0 };
        let kind = match point.kind.as_str() {
            "section" | "text" => return 0.0,
            "struct" | "class" | "trait" | "interface" | "enum" | "type" | "function" | "macro" => 1.0,
            "module" | "impl" => 0.8,
            _ => 0.9,
        };
        let name = last_part(symbol);
        let squashed = squash(name);
        let sure = if self.written.contains(name) || self.written.contains(symbol) {
            1.0
        } else if self.lower.contains(&name.to_lowercase()) {
            0.85
        } else {
            self.squashed.get(&squashed).copied().unwrap_or_default()
        };
        let bearers = self.bearers.get(&squashed).copied().unwrap_or(1).max(1);
        sure * kind / (bearers as f32).sqrt()
    }
}

/// `Parser.parse` → `parse`.
fn last_part(symbol: &str) -> &str {
    symbol.rsplit(['.', ':']).next().unwrap_or(symbol)
}

/// Words of a name, stemmed as terms are; the joined name itself left out.
fn words_of(name: &str) -> BTreeSet<String> {
    let mut terms = Vec::new();
    lexical::tokenize(name, &mut terms);
    let whole = name.to_lowercase();
    let mut words: BTreeSet<String> = terms.into_iter().collect();
    if words.len() > 1 {
        words.remove(&whole);
    }
    words
}

/// 0..=1: how far the symbol's words are words of the query, and how many.
fn symbol_words(query: &Query, point: &Point) -> f32 {
    let Some(symbol) = point.symbol.as_deref() else { return 0.0 };
    if matches!(point.kind.as_str(), "section" | "text") {
        return 0.0;
    }
    let words = words_of(symbol);
    let matched = words.iter().filter(|word| query.weights.contains_key(*word)).count();
    if matched == 0 {
        return 0.0;
    }
    let precision = matched as f32 / words.len() as f32;
    // One word in common is weak evidence; three are as good as it gets.
    precision * (matched as f32 / 3.0).min(1.0)
}

/// What a path has to do with a query.
#[derive(Clone, Copy)]
struct PathMatch {
    role: Role,
    written: f32,
    name: f32,
}

/// File names that say nothing; their directory's name does.
const GENERIC_STEMS: &[&str] = &["index", "mod", "lib", "main", "init", "__init__", "__main__"];

impl PathMatch {
    fn of(query: &Query, point: &Point) -> PathMatch {
        let path = &point.path;
        let text = String::from_utf8_lossy(path.as_bytes());
        let ends_with = |written: &String| {
            let written = written.trim_start_matches("./");
            text.strip_suffix(written).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
        };
        let written = if query.paths.iter().any(ends_with) { 1.0 } else { 0.0 };
        let stem = String::from_utf8_lossy(path.stem()).into_owned();
        let parent = path.ancestors().next().map(|dir| {
            String::from_utf8_lossy(dir.rsplit(|b| *b == b'/').next().unwrap_or_default()).into_owned()
        });
        let share = |name: &str| {
            let words = words_of(name);
            let matched = words.iter().filter(|word| query.weights.contains_key(*word)).count();
            if words.is_empty() { 0.0 } else { matched as f32 / words.len() as f32 }
        };
        let name = match &parent {
            Some(parent) if GENERIC_STEMS.contains(&stem.as_str()) => share(parent),
            Some(parent) => share(&stem).max(0.5 * share(parent)),
            None => share(&stem),
        };
        PathMatch { role: Role::of(path, point.language), written, name }
    }
}

/// Whether nearly all of the chunk's lines import or re-export.
fn is_re_export(point: &Point) -> bool {
    if !point.language.has_grammar() {
        return false;
    }
    let mut lines = 0;
    let mut passing = 0;
    for line in point.text.lines().map(str::trim) {
        let comment = ["//", "#", "/*", "*", "\"\"\""].iter().any(|mark| line.starts_with(mark));
        if line.is_empty() || (comment && !line.starts_with("#[")) {
            continue;
        }
        lines += 1;
        let starts = [
            "import ",
            "import{",
            "from ",
            "use ",
            "pub use ",
            "pub mod ",
            "mod ",
            "package ",
            "pub(crate) use ",
        ]
        .iter()
        .any(|word| line.starts_with(word));
        let exports = line.starts_with("export ") && line.contains(" from ")
            || line.starts_with("export *")
            || line == "export {"
            || line.starts_with("export type {");
        let requires = line.contains("require(") && line.starts_with(['c', 'l', 'v']);
        let list_item = line.ends_with(',') && !line.contains(['(', '=', ':']);
        let closing = line.starts_with(['}', ')', '{']);
        if starts || exports || requires || list_item || closing {
            passing += 1;
        }
    }
    lines > 0 && passing * 10 >= lines * 9
}

#[cfg(test)]
#[path = "tests/ranking.rs"]
mod tests;
