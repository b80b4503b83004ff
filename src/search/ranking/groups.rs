//! What candidates say of each other: neighbours, files, copies.

use std::collections::{BTreeSet, HashMap};

use crate::id::ContentHash;
use crate::path::RepoPath;

use super::{Candidate, Ranked, Reason, sort};

/// Lines that may be between neighbours: a blank one belongs to neither.
pub const JOIN_GAP: u32 = 2;
/// What a neighbour must have of the hit's score to be shown with it. From 0 to 0.35 nothing
/// changes; at 0.5 lines are lost.
const JOIN_LEAST: f32 = 0.35;

/// Makes one hit of chunks that stand next to each other, up to `most` lines: a long function
/// is one answer and not three, and the places that it leaves are for other answers.
pub(super) fn join(ranked: Vec<Ranked>, candidates: &[Candidate<'_>], most: u32) -> Vec<Ranked> {
    let mut out: Vec<(Ranked, (u32, u32))> = Vec::with_capacity(ranked.len());
    let mut files: HashMap<&RepoPath, Vec<usize>> = HashMap::new();
    for hit in ranked {
        let point = candidates[hit.index].point;
        let of_file = files.entry(&point.path).or_default();
        let beside = of_file.iter().copied().find(|at| {
            let (other, lines) = &out[*at];
            let (first, last) = (lines.0.min(point.lines.0), lines.1.max(point.lines.1));
            let follows = |a: (u32, u32), b: (u32, u32)| a.1 < b.0 && b.0 <= a.1 + JOIN_GAP;
            let adjacent = follows(*lines, point.lines) || follows(point.lines, *lines);
            adjacent && last - first < most && hit.score >= JOIN_LEAST * other.score
        });
        match beside {
            Some(at) => {
                let (other, lines) = &mut out[at];
                *lines = (lines.0.min(point.lines.0), lines.1.max(point.lines.1));
                other.joined.push(hit.index);
            }
            None => {
                of_file.push(out.len());
                out.push((hit, point.lines));
            }
        }
    }
    out.into_iter().map(|(hit, _)| hit).collect()
}

/// Chunks of a file beyond this many give way to other files for every kind of
/// query, by [`CROWD_FACTOR`] each: a long answer shows more than one large file.
const CROWD: i32 = 5;
const CROWD_FACTOR: f32 = 0.9;

/// Multiplies the n-th chunk of a file by `factor` to the n-1, and more beyond [`CROWD`].
pub(super) fn saturate(ranked: &mut [Ranked], candidates: &[Candidate<'_>], factor: f32) {
    if factor >= 1.0 {
        return;
    }
    let mut before: HashMap<&RepoPath, i32> = HashMap::new();
    for hit in ranked.iter_mut() {
        let count = before.entry(&candidates[hit.index].point.path).or_default();
        if *count > 0 {
            let crowd = (*count - CROWD).max(0);
            hit.demote(factor.powi(*count) * CROWD_FACTOR.powi(crowd), Reason::Repeated);
        }
        *count += 1;
    }
    sort(ranked, candidates);
}

/// Multiplies each chunk whose text, but for white space and case, stands before it by `factor`.
pub(super) fn copies(ranked: &mut [Ranked], candidates: &[Candidate<'_>], factor: f32) {
    if factor >= 1.0 {
        return;
    }
    let mut seen: BTreeSet<ContentHash> = BTreeSet::new();
    for hit in ranked.iter_mut().take(COPIES_DEPTH) {
        let text: String = candidates[hit.index].point.text.split_whitespace().collect();
        // A brace and a return say nothing of where they came from.
        if text.len() >= COPY_LEAST && !seen.insert(ContentHash::of(text.to_lowercase().as_bytes())) {
            hit.demote(factor, Reason::Copy);
        }
    }
    sort(ranked, candidates);
}

/// Hits that are looked at for copies: more than an answer shows.
const COPIES_DEPTH: usize = 60;
/// Characters that make a copy, white space left out.
const COPY_LEAST: usize = 40;

/// What the chunks of each file scored together, as a share of the best file's:
/// the best chunk whole, each further one half as much as the one before.
pub(super) fn file_scores<'a>(candidates: &[Candidate<'a>]) -> HashMap<&'a RepoPath, f32> {
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
const NEAR_LINES: u32 = 30;

/// For each candidate what those near it in its file scored, each the less the
/// farther it is: a place with several hits is likelier than a lone one. At most 1.
pub(super) fn neighbour_scores(candidates: &[Candidate<'_>]) -> Vec<f32> {
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
