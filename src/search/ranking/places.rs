//! Whether a candidate is where the query says: paths, lines of files, words of a path.

use std::collections::BTreeSet;

use crate::search::location::Role;
use crate::search::query::Query;
use crate::search::syntax::Position;
use crate::store::Point;

use super::Candidate;
use super::names::words_of;

/// What a path has to do with a query.
#[derive(Clone, Copy)]
pub(super) struct PathMatch {
    pub(super) role: Role,
    /// 0..=1: whether its path is written in the query.
    pub(super) written: f32,
    /// 0..1: the more, the more of the query's words are in its path.
    pub(super) words: f32,
}

/// File names that say nothing; their directory's name does.
const GENERIC_STEMS: &[&str] = &["index", "mod", "lib", "main", "init", "__init__", "__main__"];

impl PathMatch {
    pub(super) fn of(query: &Query, point: &Point) -> PathMatch {
        let path = &point.path;
        let text = String::from_utf8_lossy(path.as_bytes());
        let written = query.paths.iter().map(|written| path_share(written, &text)).fold(0.0, f32::max);
        let known: BTreeSet<String> = words_of(&text);
        let matched: f32 =
            query.weights.iter().filter(|(word, _)| known.contains(*word)).map(|(_, w)| w.min(1.0)).sum();
        let words = 1.0 - 0.6f32.powf(matched);
        PathMatch { role: Role::of(path, point.language), written, words }
    }
}

/// 0..=1: whether `path` is what `written` means. A stack trace has paths of another machine,
/// a person writes the end of one.
pub(super) fn path_share(written: &str, path: &str) -> f32 {
    let ends = || written.rsplit('/').zip(path.rsplit('/')).take_while(|(a, b)| a == b).count();
    let meant = written.trim_start_matches(['.', '/']).split('/').count();
    match ends() {
        0 => 0.0,
        common if common == meant || common == path.split('/').count() => 1.0,
        1 if path.rsplit('/').next().is_some_and(is_generic) => 0.1,
        1 => 0.4,
        _ => 0.8,
    }
}

fn is_generic(file_name: &str) -> bool {
    file_name.split('.').next().is_some_and(|stem| GENERIC_STEMS.contains(&stem))
}

/// Lines from a named one within which a chunk is meant: files change between a trace and now.
const DRIFT: u32 = 60;

/// Places of a query in files that were found, the innermost first.
pub(super) struct Positions<'a>(Vec<&'a Position>);

impl<'a> Positions<'a> {
    pub(super) fn of(query: &'a Query, candidates: &[Candidate<'_>]) -> Positions<'a> {
        // Frames of a runtime or a library are not ours, and do not count.
        let paths: BTreeSet<String> = match query.marks.positions.is_empty() {
            true => BTreeSet::new(),
            false => candidates.iter().map(|candidate| candidate.point.path.to_string()).collect(),
        };
        let found = |at: &&Position| paths.iter().any(|path| path_share(&at.path, path) >= 0.4);
        Positions(query.marks.positions.iter().filter(found).collect())
    }

    pub(super) fn near(&self, point: &Point) -> f32 {
        if self.0.is_empty() {
            return 0.0;
        }
        let path = point.path.to_string();
        let shares = self.0.iter().enumerate().map(|(depth, at)| {
            let away = point.lines.0.saturating_sub(at.line).max(at.line.saturating_sub(point.lines.1));
            let close = 1.0 - away.min(DRIFT) as f32 / DRIFT as f32;
            path_share(&at.path, &path) * close / (1.0 + depth as f32)
        });
        shares.fold(0.0, f32::max)
    }
}
