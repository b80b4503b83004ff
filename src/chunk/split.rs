//! Cuts a range of lines that is over the budget: at the outermost syntax nodes,
//! then at blank lines, then at any line, and a giant line between characters.

use std::ops::Range;

use super::budget::{Budget, estimate};
use super::source::Source;

/// How good a cut before each line is: the lower, the better.
pub(super) type Costs = Vec<u16>;

/// Cost of a line at which no syntax node starts.
pub(super) const NO_NODE: u16 = u16::MAX - 1;

/// Costs for text without a grammar: blank lines first, then shallow indentation;
/// never before a closing bracket if that can be helped.
pub(super) fn text_costs(source: &Source<'_>) -> Costs {
    (0..source.lines())
        .map(|line| {
            let text = source.line(line);
            let body = text.trim_start();
            let indent = (text.len() - body.len()).min(100) as u16;
            let after_blank = line == 0 || source.is_blank(line - 1);
            let closes = body.starts_with(['}', ')', ']']) || body.starts_with("end");
            indent + if after_blank { 0 } else { 20 } + if closes { 200 } else { 0 }
        })
        .collect()
}

/// Cuts `lines` into spans that fit, in order. `balanced` makes parts of about
/// equal size (a symbol's); otherwise each is filled (so that an edit moves only
/// the cuts after it, up to the next strong one).
pub(super) fn split(
    source: &Source<'_>,
    lines: Range<usize>,
    costs: &Costs,
    budget: &Budget<'_>,
    balanced: bool,
) -> Vec<Range<usize>> {
    let mut out = Vec::new();
    // Tokens by estimate that a part may have; learnt from the parts counted.
    let mut room = budget.max as f64;
    let mut rest = source.trim(lines);
    while !rest.is_empty() {
        let left = source.estimate(rest.clone()).likely() as f64;
        if left <= room * 1.2 && fits(source, rest.clone(), budget) {
            out.push(source.span(rest));
            break;
        }
        let target = if balanced { left / (left / (room * 0.95)).ceil().max(2.0) * 1.1 } else { room };
        let mut end = reach(source, rest.clone(), target.min(room * 0.95).max(1.0));
        let mut cut = best_cut(source, rest.start..end, rest.end, costs, balanced);
        while end > rest.start + 1 && !fits(source, rest.start..cut, budget) {
            let tokens = (budget.count)(&source.render(source.span(rest.start..cut))).max(1);
            let likely = source.estimate(rest.start..cut).likely() as f64;
            room = (likely * budget.max as f64 / tokens as f64 * 0.97).min(room * 0.9).max(1.0);
            end = reach(source, rest.start..end - 1, room);
            cut = best_cut(source, rest.start..end, rest.end, costs, balanced);
        }
        if end == rest.start + 1 && !fits(source, rest.start..end, budget) {
            split_line(source, rest.start, budget, &mut out);
            cut = end;
        } else {
            out.push(source.span(source.trim(rest.start..cut)));
        }
        // One dense passage must not make all that follow it small.
        room = (room * 1.1).min(budget.max as f64);
        rest = source.trim(cut..rest.end);
    }
    out
}

fn fits(source: &Source<'_>, lines: Range<usize>, budget: &Budget<'_>) -> bool {
    budget.fits(&source.render(source.span(lines.clone())), source.estimate(lines))
}

/// End of the longest run of lines from the start with at most `tokens` by estimate; at least one line.
fn reach(source: &Source<'_>, lines: Range<usize>, tokens: f64) -> usize {
    let (mut low, mut high) = (lines.start + 1, lines.end.max(lines.start + 1));
    while low < high {
        let middle = (low + high).div_ceil(2);
        if source.estimate(lines.start..middle).likely() as f64 <= tokens {
            low = middle
        } else {
            high = middle - 1
        }
    }
    low
}

/// The best line to cut before, in the second half of `start..=end`. Of equals a
/// symbol takes the last; a text the one with the least hash, so that two versions
/// of it come back to the same cuts soon after the place where they differ.
fn best_cut(source: &Source<'_>, lines: Range<usize>, limit: usize, costs: &Costs, balanced: bool) -> usize {
    let Range { start, end } = lines;
    if end == limit {
        return end;
    }
    let earliest = start + ((end - start) / 2).max(1);
    let rank = |line: &usize| {
        let cost = costs.get(*line).copied().unwrap_or(NO_NODE);
        (cost, if balanced { 0 } else { fnv(source.line(*line).as_bytes()) })
    };
    (earliest..=end).rev().min_by_key(rank).unwrap_or(end)
}

/// FNV-1a, 32 bits.
fn fnv(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// Cuts one line that is over the budget, at white space where there is some.
fn split_line(source: &Source<'_>, line: usize, budget: &Budget<'_>, out: &mut Vec<Range<usize>>) {
    let mut rest = source.span(line..line + 1);
    let mut window = budget.max.saturating_mul(3).max(1);
    while !rest.is_empty() {
        let mut end = source.text.ceil_char_boundary(rest.start.saturating_add(window).min(rest.end));
        loop {
            let text = source.render(rest.start..end);
            if budget.fits(&text, estimate(&text)) {
                break;
            }
            let half = source.text.floor_char_boundary(rest.start + (end - rest.start) / 2);
            if half <= rest.start {
                break;
            }
            end = half;
            window = (end - rest.start).max(1);
        }
        if end < rest.end {
            let space = source.text[rest.start..end].rfind(char::is_whitespace);
            if let Some(at) = space.filter(|at| *at > (end - rest.start) / 2) {
                end = rest.start + at;
            }
        }
        if !source.text[rest.start..end].trim().is_empty() {
            out.push(rest.start..end);
        }
        rest.start = end;
    }
}
