//! `index_status`: what is indexed, how fresh it is, and why a file is not found.

use super::arguments::Arguments;
use super::page::{Page, short};
use super::{Call, wrong};
use crate::daemon::asking::worktree_status;
use crate::daemon::handle::failure;
use crate::index::Explanation;
use crate::wire::{Failure, WorktreeStatus};

/// Other worktrees named, at most.
const OTHERS: usize = 12;
/// Chunks of a file named, at most.
const CHUNKS: usize = 12;

pub(super) async fn index_status(call: &Call, mut arguments: Arguments) -> Result<String, Failure> {
    let path = arguments.text("path").map_err(wrong)?;
    let worktree = arguments.text("worktree").map_err(wrong)?;
    arguments.finish().map_err(wrong)?;
    if let Some(path) = path {
        return call
            .with_places(move |places| {
                let (workspace, path) = places.file(&path, worktree.as_deref())?;
                let explanation = workspace.explain(&path).map_err(failure)?;
                Ok(explained(&explanation))
            })
            .await;
    }
    let mut status = call.backend.status().await?;
    let own = call
        .with_places(move |places| {
            // Whoever is in no worktree asks for the others.
            let own = match places.one(worktree.as_deref()) {
                Ok(workspace) => workspace,
                Err(_) if worktree.is_none() && !places.known().is_empty() => return Ok(None),
                Err(error) => return Err(error),
            };
            Ok(Some((worktree_status(&own, None).map_err(failure)?, places.access.clone())))
        })
        .await?;
    let access = call.places.access.clone();
    status.worktrees.retain(|tree| access.sees(&tree.root.to_path()));
    let mut page = Page::new(Some(super::page::MAX_TOKENS));
    if let Some((own, _)) = own {
        let at = status.worktrees.iter().position(|tree| tree.root == own.root);
        let (tree, registered) = match at {
            Some(at) => (status.worktrees.remove(at), true),
            None => (own, false),
        };
        page.write(&worktree_text(&tree, registered));
    }
    let daemon = match &status.daemon {
        Some(daemon) => {
            let at_work = daemon.running.as_ref().map_or("at rest".to_owned(), |running| {
                format!("at work on {}: {} {}/{}", running.root.to_path().display(), running.stage, running.done, running.total)
            });
            match access.roots() {
                None => format!("daemon {}: {at_work}", daemon.version),
                // What it does for others is not told.
                Some(_) => format!("daemon {}", daemon.version),
            }
        }
        None => "no daemon runs: each search looks for changes itself; `indexer watch` or `indexer service install` starts one".to_owned(),
    };
    page.write(&format!("{daemon}\n"));
    if !status.worktrees.is_empty() {
        page.write("other worktrees:\n");
        for tree in status.worktrees.iter().take(OTHERS) {
            page.write(&format!("  {}: {}\n", tree.root.to_path().display(), brief(tree)));
        }
        if status.worktrees.len() > OTHERS {
            page.write(&format!("  and {} more\n", status.worktrees.len() - OTHERS));
        }
    }
    Ok(page.into_text())
}

fn brief(tree: &WorktreeStatus) -> String {
    match (&tree.state, &tree.freshness) {
        (Some(state), _) if state != "active" => state.clone(),
        (_, Some(freshness)) => short(&freshness.sentence(), 120),
        (_, None) => "not indexed".to_owned(),
    }
}

fn worktree_text(tree: &WorktreeStatus, registered: bool) -> String {
    let root = tree.root.to_path();
    let mut text = format!("{}: {}", root.display(), brief(tree));
    if let Some(branch) = tree.freshness.as_ref().and_then(|freshness| freshness.head.branch.as_ref()) {
        text.push_str(&format!("; branch {branch}"));
    }
    if tree.points > 0 {
        text.push_str(&format!("; {} chunks", tree.points));
    }
    for (leg, present) in tree.freshness.iter().flat_map(|freshness| &freshness.vectors) {
        text.push_str(&format!(", {leg} vectors {}/{}", present.present, present.needed));
    }
    text.push('\n');
    if !registered {
        text.push_str(&format!("  not kept up to date: `indexer add {}` does it\n", root.display()));
    }
    if let Some(problem) = &tree.problem {
        text.push_str(&format!("  error: {}\n", problem.failure.message));
        if let Some(hint) = &problem.failure.hint {
            text.push_str(&format!("  {hint}\n"));
        }
    }
    text
}

fn explained(explanation: &Explanation) -> String {
    let path = &explanation.path;
    if !explanation.listed {
        return match &explanation.ignored_by {
            Some(found) => format!(
                "{path} is not found: {}:{} ignores it by {:?}\n",
                found.source.display(),
                found.line,
                found.pattern
            ),
            None => format!("{path} is not found: git shows no such file here\n"),
        };
    }
    if let Some(reason) = explanation.skip {
        let why = reason.explanation();
        return format!("{path} is not found by query ({reason}: {why}); `pattern` reads it from disk\n");
    }
    let mut text = format!("{path}: {} chunks\n", explanation.chunks.len());
    for chunk in explanation.chunks.iter().take(CHUNKS) {
        let symbol = chunk.symbol.as_deref().unwrap_or_default();
        text.push_str(&format!(
            "  {}-{} {} {}\n",
            chunk.lines.0,
            chunk.lines.1,
            chunk.kind,
            short(symbol, 100)
        ));
    }
    if explanation.chunks.len() > CHUNKS {
        text.push_str(&format!("  and {} more\n", explanation.chunks.len() - CHUNKS));
    }
    if explanation.pending {
        text.push_str("the index does not have its last edit yet: search_code with wait_ms\n");
    }
    text
}
