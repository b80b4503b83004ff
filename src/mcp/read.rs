//! `read_code`: the lines that a hit needs, and what relates to them, from the disk as it is now.

use super::arguments::Arguments;
use super::page::{MAX_TOKENS, Page, cost, short};
use super::places::Places;
use super::{Call, wrong};
use crate::daemon::handle::failure;
use crate::engine::{Restriction, Text, Workspace};
use crate::language::Language;
use crate::path::RepoPath;
use crate::search::exact::{Definition, Pattern, is_named, last_name, word};
use crate::search::outline::{Outlined, enclosing};
use crate::search::relation::Position;
use crate::wire::{Failure, FailureCode, Freshness, Related};

const DEFAULT_TOKENS: u64 = 1_500;
/// Chunks shown that are similar, and of each relation where all are asked for.
const SIMILAR: usize = 8;
const RELATED: usize = 5;
/// Definitions shown of one name.
const DEFINITIONS: usize = 5;

struct Asked {
    path: Option<String>,
    /// First and last line, from 1.
    lines: Option<(u32, u32)>,
    symbol: Option<String>,
    relate: Option<Relation>,
    worktree: Option<String>,
    tokens: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Relation {
    Outline,
    Callers,
    Similar,
    Related,
}

pub(super) async fn read_code(call: &Call, arguments: Arguments) -> Result<String, Failure> {
    let asked = Asked::of(arguments).map_err(wrong)?;
    call.with_places(move |places| read(places, &asked)).await
}

impl Asked {
    fn of(mut arguments: Arguments) -> Result<Asked, String> {
        let (path, lines) = match arguments.text("path")? {
            None => (None, None),
            Some(text) => {
                let (path, lines) = place(&text);
                (Some(path.to_owned()), lines)
            }
        };
        let relate = match arguments.text("relate")?.as_deref() {
            None => None,
            Some("outline") => Some(Relation::Outline),
            Some("callers") => Some(Relation::Callers),
            Some("similar") => Some(Relation::Similar),
            Some("related") => Some(Relation::Related),
            Some(other) => {
                return Err(format!("`relate` is outline, callers, similar or related, not {other:?}"));
            }
        };
        let asked = Asked {
            path,
            lines,
            relate,
            symbol: arguments.text("symbol")?,
            worktree: arguments.text("worktree")?,
            tokens: arguments.number("token_budget", MAX_TOKENS)?.unwrap_or(DEFAULT_TOKENS),
        };
        arguments.finish()?;
        Ok(asked)
    }
}

/// `PATH`, `PATH:LINE` or `PATH:FIRST-LAST`.
fn place(text: &str) -> (&str, Option<(u32, u32)>) {
    let lines = |text: &str| -> Option<(u32, u32)> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        (1 <= first && first <= last).then_some((first, last))
    };
    match text.rsplit_once(':').map(|(path, rest)| (path, lines(rest))) {
        Some((path, Some(lines))) => (path, Some(lines)),
        _ => (text, None),
    }
}

fn read(places: &Places, asked: &Asked) -> Result<String, Failure> {
    let Some(path) = &asked.path else {
        let Some(name) = &asked.symbol else {
            return Err(Failure {
                message: "there is nothing to read".to_owned(),
                code: FailureCode::NotFound,
                hint: Some("give a `path`, such as src/a.rs:10-40, or a `symbol`".to_owned()),
            });
        };
        let workspace = places.one(asked.worktree.as_deref())?;
        if asked.relate == Some(Relation::Callers) {
            return uses(&workspace, name, asked.tokens);
        }
        let definitions = workspace.find_definitions(name).map_err(failure)?;
        if definitions.is_empty() {
            return Err(Failure {
                message: format!("nothing is defined as {name:?} in {}", workspace.root()),
                code: FailureCode::NotFound,
                hint: Some("search_code with it as `pattern` finds where it is written".to_owned()),
            });
        }
        return match asked.relate {
            Some(relation @ (Relation::Similar | Relation::Related)) => {
                let Definition { path, symbol } = &definitions[0];
                related(&workspace, path, symbol.lines.0, relation, asked.tokens)
            }
            _ => definitions_page(&workspace, &definitions, asked.tokens),
        };
    };
    let (workspace, path) = places.file(path, asked.worktree.as_deref())?;
    let text = workspace.text(&path).map_err(failure)?;
    if asked.relate == Some(Relation::Outline) {
        return Ok(outline(&text, asked.tokens));
    }
    let symbol = match &asked.symbol {
        Some(name) => {
            Some(text.outline.symbols.iter().find(|symbol| is_named(symbol, name)).ok_or_else(|| {
                Failure {
                    message: format!("nothing is defined as {name:?} in {path}"),
                    code: FailureCode::NotFound,
                    hint: Some("`relate: outline` lists what it defines".to_owned()),
                }
            })?)
        }
        None => asked.lines.and_then(|(first, last)| {
            enclosing(&text.outline.symbols, first)
                .filter(|around| asked.relate.is_some() || first == last || around.lines == (first, last))
        }),
    };
    if let Some(relation @ (Relation::Similar | Relation::Related)) = asked.relate {
        // A line need not be in a definition, if only a chunk is there.
        let line = match (&asked.symbol, asked.lines) {
            (None, Some((line, _))) => Some(line),
            _ => symbol.map(|symbol| symbol.lines.0),
        };
        if let Some(line) = line {
            return related(&workspace, &path, line, relation, asked.tokens);
        }
    }
    match (asked.relate, symbol) {
        (Some(Relation::Callers), Some(symbol)) => uses(&workspace, &symbol.name, asked.tokens),
        (Some(_), None) => Err(Failure {
            message: format!(
                "no definition is at {path}{}",
                asked.lines.map(|l| format!(":{}", l.0)).unwrap_or_default()
            ),
            code: FailureCode::NotFound,
            hint: Some("name one with `symbol`; `relate: outline` lists them".to_owned()),
        }),
        (_, symbol) => Ok(excerpt(&text, symbol, asked)),
    }
}

/// The lines that are asked for; of a line or a symbol what is around it.
fn excerpt(text: &Text, symbol: Option<&Outlined>, asked: &Asked) -> String {
    let lines: Vec<&str> = text.text.lines().collect();
    let all = lines.len() as u32;
    let mut page = Page::new(Some(asked.tokens));
    const KEPT: usize = 200;
    page.reserve(KEPT);
    let cost_of = |(first, last): (u32, u32)| -> usize {
        lines[first as usize - 1..last as usize].iter().map(|line| cost(line) + 2).sum()
    };
    let within = |(first, last): (u32, u32)| (first.min(all).max(1), last.min(all).max(1));
    let (first, last) = match (symbol, asked.lines) {
        _ if all == 0 => return format!("[{} is empty]\n", text.path),
        // The symbol, if it has room.
        (Some(symbol), lines) if lines.is_none() || cost_of(within(symbol.lines)) <= page.left() => {
            within(symbol.lines)
        }
        (_, Some((line, same))) if line == same => {
            let (line, _) = within((line, line));
            let (mut first, mut last) = (line, line);
            // A line more on either side, until the budget or the file ends.
            while (first > 1 || last < all) && last - first < 80 {
                let wider = within((first.saturating_sub(1).max(1), last + 1));
                if cost_of(wider) > page.left() {
                    break;
                }
                (first, last) = wider;
            }
            (first, last)
        }
        (_, Some(lines)) => within(lines),
        (_, None) => (1, all),
    };
    let around = symbol.or_else(|| enclosing(&text.outline.symbols, first));
    let name =
        around.map_or(String::new(), |around| format!("  {} {}", around.kind, short(&around.full_name, 80)));
    page.write(&format!("{}:{first}-{last}{name}\n", text.path));
    let written =
        page.write_lines(lines[first as usize - 1..last as usize].iter().copied(), usize::MAX) as u32;
    page.release();
    let cut = match last - first + 1 - written {
        0 => String::new(),
        more => format!("cut: {more} more from line {}, raise token_budget; ", first + written),
    };
    page.write(&format!("[{cut}{all} lines in the file, read from disk now]\n"));
    page.into_text()
}

/// What a file defines: all of it, or what is not too deep for the budget.
fn outline(text: &Text, tokens: u64) -> String {
    let symbols = &text.outline.symbols;
    let line = |symbol: &Outlined| {
        let what = if symbol.signature.is_empty() { &symbol.name } else { &symbol.signature };
        let indent = "  ".repeat(symbol.depth.min(6));
        format!("{}-{} {indent}{}\n", symbol.lines.0, symbol.lines.1, short(what, 120))
    };
    let deepest = symbols.iter().map(|symbol| symbol.depth).max().unwrap_or_default();
    let mut page = Page::new(Some(tokens));
    const KEPT: usize = 160;
    page.reserve(KEPT);
    let cost_to = |depth: usize| -> usize {
        symbols.iter().filter(|symbol| symbol.depth <= depth).map(|symbol| cost(&line(symbol))).sum()
    };
    let depth = (0..=deepest).rev().find(|depth| cost_to(*depth) <= page.left()).unwrap_or_default();
    let mut shown = 0;
    for symbol in symbols.iter().filter(|symbol| symbol.depth <= depth) {
        if !page.write(&line(symbol)) {
            break;
        }
        shown += 1;
    }
    page.release();
    let of =
        if shown < symbols.len() { format!("{shown} of {}", symbols.len()) } else { format!("all {shown}") };
    page.write(&format!(
        "[{of} definitions of {}, {} lines, read from disk now]\n",
        text.path, text.outline.lines
    ));
    page.into_text()
}

fn definitions_page(
    workspace: &Workspace,
    definitions: &[Definition],
    tokens: u64,
) -> Result<String, Failure> {
    if let [Definition { path, symbol }] = definitions {
        let text = workspace.text(path).map_err(failure)?;
        let asked = Asked { path: None, lines: None, symbol: None, relate: None, worktree: None, tokens };
        return Ok(excerpt(&text, Some(symbol), &asked));
    }
    let mut page = Page::new(Some(tokens));
    const KEPT: usize = 160;
    page.reserve(KEPT);
    let shown = definitions.len().min(DEFINITIONS);
    for (at, Definition { path, symbol }) in definitions.iter().take(shown).enumerate() {
        let text = workspace.text(path).map_err(failure)?;
        let lines: Vec<&str> = text.text.lines().collect();
        let range = symbol.lines.0 as usize - 1..(symbol.lines.1 as usize).min(lines.len());
        page.write(&format!(
            "{path}:{}-{}  {} {}\n",
            symbol.lines.0,
            symbol.lines.1,
            symbol.kind,
            short(&symbol.full_name, 80)
        ));
        let share = page.left() / (shown - at);
        let body = lines.get(range.clone()).unwrap_or_default();
        let written = page.write_lines(body.iter().copied(), share.saturating_sub(24));
        if written < body.len() {
            page.write(&format!("… {} more lines\n", body.len() - written));
        }
    }
    page.release();
    page.write(&format!("[{shown} of {} definitions, read from disk now]\n", definitions.len()));
    Ok(page.into_text())
}

/// Where a name is written, but for its definitions.
fn uses(workspace: &Workspace, name: &str, tokens: u64) -> Result<String, Failure> {
    let name = last_name(name);
    let pattern = Pattern::regex(&word(name)).map_err(wrong)?;
    let mut read = workspace.find_lines(&pattern, &Restriction::default()).map_err(failure)?;
    let mut page = Page::new(Some(tokens));
    const KEPT: usize = 200;
    page.reserve(KEPT);
    let (mut shown, mut defined, mut full) = (0, 0, false);
    let mut at = 0;
    // Code before what speaks of it; the order within stays.
    read.found.sort_by_key(|line| !Language::of(&line.path).has_grammar());
    while at < read.found.len() {
        let path = &read.found[at].path;
        let end = at + read.found[at..].iter().take_while(|line| line.path == *path).count();
        let outline = workspace.outline(path);
        let mut head = format!("{path}\n");
        let mut last = None;
        for line in &read.found[at..end] {
            let around = enclosing(&outline.symbols, line.number);
            // Its first line in itself is the definition.
            let first = |symbol: &Outlined| {
                read.found[at..end].iter().find(|line| line.number >= symbol.lines.0).map(|line| line.number)
            };
            if around.is_some_and(|around| around.name == name && first(around) == Some(line.number)) {
                defined += 1;
                continue;
            }
            let around = around.map(|around| around.full_name.as_str());
            let said =
                around.filter(|_| around != last).map_or(String::new(), |around| format!("  «{around}»"));
            if !full && page.write(&format!("{head}{}: {}{said}\n", line.number, line.text.trim_start())) {
                shown += 1;
                head.clear();
                last = around;
            } else {
                full = true;
            }
        }
        at = end;
    }
    page.release();
    let total = read.total - defined;
    let cut = if shown < total { "; raise token_budget for more" } else { "" };
    page.write(&format!(
        "[{shown} of {total} lines that write `{name}`, by name alone: comments and namesakes too{cut}; read from disk now]\n"
    ));
    Ok(page.into_text())
}

/// What belongs to a place by the index: what is alike, or that and callers, tests and callees.
fn related(
    workspace: &Workspace,
    path: &RepoPath,
    line: u32,
    relation: Relation,
    tokens: u64,
) -> Result<String, Failure> {
    let limit = if relation == Relation::Similar { SIMILAR } else { RELATED };
    let position = Position { path: path.clone(), line, limit };
    let found = workspace.related(&position).map_err(failure)?;
    let freshness = workspace.freshness().map_err(failure)?.as_ref().map(Freshness::from);
    let found = Related::new(&found, freshness);
    let mut page = Page::new(Some(tokens));
    const KEPT: usize = 200;
    page.reserve(KEPT);
    for group in &found.groups {
        if relation == Relation::Related {
            page.write(&format!("{}, {}\n", group.relation, short(&group.how, 160)));
        } else if group.relation != "similar" {
            continue;
        }
        for hit in &group.results {
            let path = hit.path.to_repo_path().map(|path| path.to_string()).unwrap_or_default();
            let name = hit.signature.as_deref().or(hit.symbol.as_deref()).unwrap_or(&hit.kind);
            let (first, last, why) = (hit.start_line, hit.end_line, hit.reason());
            page.write(&format!("{path}:{first}-{last}  {}  ({})\n", short(name, 120), short(&why, 60)));
        }
    }
    page.release();
    let what = if relation == Relation::Similar { "similar" } else { "related" };
    let (first, last) = (found.subject.start_line, found.subject.end_line);
    let fresh = found.freshness.map(|freshness| format!("; {}", short(&freshness.sentence(), 120)));
    page.write(&format!(
        "[{what} to {}:{first}-{last}{}]\n",
        short(&path.to_string(), 60),
        fresh.unwrap_or_default()
    ));
    Ok(page.into_text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_as_answers_write_them() {
        for (text, expected) in [
            ("src/a.rs", ("src/a.rs", None)),
            ("src/a.rs:7", ("src/a.rs", Some((7, 7)))),
            ("src/a.rs:7-9", ("src/a.rs", Some((7, 9)))),
            ("/w/a:b.rs:7", ("/w/a:b.rs", Some((7, 7)))),
            ("a:b", ("a:b", None)),
            ("a:9-7", ("a:9-7", None)),
            ("a:0", ("a:0", None)),
        ] {
            assert_eq!(place(text), expected, "{text}");
        }
    }
}
