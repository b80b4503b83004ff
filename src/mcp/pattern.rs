//! `search_code` with a pattern: every line that matches, by file; a query puts the files in
//! order, and leaves none out.

use std::collections::HashMap;

use super::page::{Page, cost};
use super::search::{Asked, path_pattern, shown_path};
use super::wrong;
use crate::daemon::handle::failure;
use crate::engine::{Restriction, Workspace};
use crate::search::exact::{Line, Pattern, Read};
use crate::search::outline::enclosing;
use crate::wire::{Failure, FailureCode, Hit};

/// Lines shown by default, if the budget has room for more.
const DEFAULT_LIMIT: usize = 100;

/// All lines that match in each of the worktrees.
pub(super) fn find(workspaces: &[Workspace], asked: &Asked) -> Result<Vec<Read<Line>>, Failure> {
    let text = asked.pattern.as_deref().unwrap_or_default();
    let pattern = match asked.regex {
        true => Pattern::regex(text).map_err(|error| Failure {
            message: format!("`pattern` is not a regular expression: {error}"),
            code: FailureCode::Invalid,
            hint: Some("without `regex` it is taken as it stands".to_owned()),
        })?,
        false => Pattern::literal(text).map_err(wrong)?,
    };
    let each = workspaces.iter().map(|workspace| {
        let root = workspace.root().as_path();
        let paths = asked.only.paths.iter().map(|path| path_pattern(path, root)).collect();
        let only = Restriction { paths, ..asked.only.clone() };
        workspace.find_lines(&pattern, &only).map_err(failure)
    });
    each.collect()
}

/// The lines as a text. Files of `order` come first.
pub(super) fn page(workspaces: &[Workspace], found: Vec<Read<Line>>, order: &[Hit], asked: &Asked) -> String {
    let several = workspaces.len() > 1;
    let mut rank: HashMap<String, usize> = HashMap::new();
    for (at, hit) in order.iter().enumerate() {
        rank.entry(shown_path(hit, several)).or_insert(at);
    }
    let sum = |of: fn(&Read<Line>) -> usize| found.iter().map(of).sum::<usize>();
    let (total, files, searched) = (sum(|all| all.total), sum(|all| all.files), sum(|all| all.searched));
    let (binary, unread) = (sum(|all| all.binary), sum(|all| all.unread.len()));
    let mut by_file: Vec<(String, usize, Vec<Line>)> = Vec::new();
    for (at, read) in found.into_iter().enumerate() {
        for line in read.found {
            let path = match several {
                true => format!("{}/{}", workspaces[at].root(), line.path),
                false => line.path.to_string(),
            };
            match by_file.last_mut().filter(|(last, ..)| *last == path) {
                Some((_, _, lines)) => lines.push(line),
                None => by_file.push((path, at, vec![line])),
            }
        }
    }
    by_file.sort_by_key(|(path, ..)| rank.get(path).copied().unwrap_or(usize::MAX));

    let mut page = Page::new(asked.tokens);
    // For the last line, whatever it will say.
    const KEPT: usize = 250;
    page.reserve(KEPT);
    let limit = asked.limit.map_or(DEFAULT_LIMIT, |limit| limit as usize);
    let mut shown = 0;
    'files: for (path, at, lines) in &by_file {
        if shown >= limit {
            break;
        }
        let outline = workspaces[*at].outline(&lines[0].path);
        let mut last = None;
        for (number, line) in lines.iter().take(limit - shown).enumerate() {
            let around =
                enclosing(&outline.symbols, line.number).filter(|around| around.lines.0 != line.number);
            let name = around.map(|around| around.full_name.as_str());
            // Said once for the lines that it is around.
            let said = name.filter(|_| name != last).map_or(String::new(), |name| format!("  «{name}»"));
            last = name;
            let head = if number == 0 { format!("{path}\n") } else { String::new() };
            if !page.write(&format!("{head}{}: {}{said}\n", line.number, line.text.trim_start())) {
                break 'files;
            }
            shown += 1;
        }
    }
    page.release();
    let mut foot = match (total, shown) {
        (0, _) => "no line matches".to_owned(),
        (total, shown) if shown == total => format!("all {total} lines in {files} files"),
        (total, shown) => {
            format!(
                "{shown} of {total} lines in {files} files: narrow with `path`, or raise token_budget or limit"
            )
        }
    };
    foot.push_str(&format!("; {searched} files read from disk now"));
    if binary > 0 {
        foot.push_str(&format!(", {binary} binary ones not"));
    }
    if unread > 0 {
        foot.push_str(&format!(", {unread} could not be read"));
    }
    if total == 0
        && !asked.regex
        && asked.pattern.as_deref().is_some_and(|text| text.contains(['\\', '|', '*']))
    {
        foot.push_str("; it was taken as it stands: `regex: true` for an expression");
    } else if total == 0 {
        foot.push_str("; it tells upper from lower case: try `query`, or `regex: true` with (?i)");
    }
    debug_assert!(cost(&foot) < KEPT, "the last line has room: {foot}");
    page.write(&format!("[{foot}]\n"));
    page.into_text()
}
