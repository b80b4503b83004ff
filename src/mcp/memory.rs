//! The tools that keep what was learned, and find it again.

use super::arguments::Arguments;
use super::page::{MAX_TOKENS, Page, short};
use super::{Call, wrong};
use crate::daemon::handle::failure;
use crate::engine::{Memory, Workspace};
use crate::memory::{CheckpointView, NewCheckpoint, NewRemediation, Remediation, Written};
use crate::search::{Mode, Request};
use crate::store::Filter;
use crate::tenant::TenantContext;
use crate::wire::Failure;

const DEFAULT_LIMIT: u64 = 5;
const MAX_LIMIT: u64 = 50;

pub(super) async fn find_memory(call: &Call, mut arguments: Arguments) -> Result<String, Failure> {
    let query = arguments.text("query").map_err(wrong)?;
    let worktree = arguments.text("worktree").map_err(wrong)?;
    let limit = arguments.number("limit", MAX_LIMIT).map_err(wrong)?.unwrap_or(DEFAULT_LIMIT).max(1);
    let tokens = arguments.number("token_budget", MAX_TOKENS).map_err(wrong)?;
    arguments.finish().map_err(wrong)?;
    call.with_places(move |places| {
        let memory = memory(&places.one(worktree.as_deref())?, places)?;
        let mut page = Page::new(tokens);
        match query {
            None => resume(&memory, &mut page)?,
            Some(query) => found(&memory, query, limit as usize, &mut page)?,
        }
        Ok(page.into_text())
    })
    .await
}

pub(super) async fn save_checkpoint(call: &Call, mut arguments: Arguments) -> Result<String, Failure> {
    let new = NewCheckpoint {
        summary: arguments.text("summary").map_err(wrong)?.unwrap_or_default(),
        content: arguments.text("content").map_err(wrong)?.unwrap_or_default(),
        tags: arguments.texts("tags").map_err(wrong)?,
        ..NewCheckpoint::default()
    };
    let worktree = arguments.text("worktree").map_err(wrong)?;
    arguments.finish().map_err(wrong)?;
    call.with_places(move |places| {
        let memory = memory(&places.one(worktree.as_deref())?, places)?;
        let (view, written) = memory.save_checkpoint(&new).map_err(failure)?;
        Ok(format!("saved {}{}\n", view.checkpoint.id, without_vector(&written)))
    })
    .await
}

pub(super) async fn record_remediation(call: &Call, mut arguments: Arguments) -> Result<String, Failure> {
    let new = NewRemediation {
        error: arguments.text("error").map_err(wrong)?.unwrap_or_default(),
        solution: arguments.text("solution").map_err(wrong)?.unwrap_or_default(),
        tags: arguments.texts("tags").map_err(wrong)?,
        category: None,
    };
    arguments.finish().map_err(wrong)?;
    call.with_places(move |places| {
        let memory = memory(&places.one(None)?, places)?;
        let (remediation, written) = memory.shared().record(&new).map_err(failure)?;
        let seen = match remediation.occurrences {
            0 | 1 => String::new(),
            times => format!(", seen {times} times"),
        };
        Ok(format!("recorded {}{seen}{}\n", remediation.id, without_vector(&written)))
    })
    .await
}

fn memory(workspace: &Workspace, places: &super::places::Places) -> Result<Memory, Failure> {
    let tenant = TenantContext::local(workspace.worktree().project_path());
    let tenant = tenant.map_err(|error| failure(error.into()))?.at_most(places.access.role());
    places.engine.memory_as(workspace.root().as_path(), &tenant).map_err(failure)
}

fn without_vector(written: &Written) -> String {
    written.without_vector.as_ref().map_or(String::new(), |why| format!("; found by its words alone: {why}"))
}

fn resume(memory: &Memory, page: &mut Page) -> Result<(), Failure> {
    let Some(resumed) = memory.resume(None).map_err(failure)? else {
        page.write("no checkpoint was saved on this branch yet\n");
        return Ok(());
    };
    page.write(&checkpoint_text(&resumed.view));
    let content = resumed.view.checkpoint.content.as_str();
    let written = page.write_lines(content.lines(), page.left().saturating_sub(120));
    let lines = content.lines().count();
    if written < lines {
        page.write(&format!("… {} more lines\n", lines - written));
    }
    if let Some(since) = resumed.since.filter(|since| since.count > 0) {
        let more = if since.more { "more than " } else { "" };
        page.write(&format!("[{more}{} commits since]\n", since.count));
    }
    Ok(())
}

fn found(memory: &Memory, query: String, limit: usize, page: &mut Page) -> Result<(), Failure> {
    let request = Request { query, limit, mode: Mode::Hybrid, filter: Filter::default() };
    let checkpoints = memory.search_checkpoints(&request).map_err(failure)?.hits;
    let remediations = memory.shared().search(&request).map_err(failure)?.hits;
    // Of different collections: their scores are not comparable, so they take turns.
    let mut texts: Vec<(usize, String)> = Vec::new();
    texts.extend(remediations.iter().map(|hit| remediation_text(&hit.remediation)).enumerate());
    texts.extend(checkpoints.iter().map(|hit| checkpoint_text(&hit.view)).enumerate());
    texts.sort_by_key(|(rank, _)| *rank);
    if texts.is_empty() {
        page.write("nothing like it was kept\n");
    }
    for (_, text) in texts.iter().take(limit) {
        page.write(text);
    }
    Ok(())
}

fn checkpoint_text(view: &CheckpointView) -> String {
    let checkpoint = &view.checkpoint;
    let branch = checkpoint.branch.as_deref().unwrap_or("no branch");
    let mut text = format!("checkpoint {} on {branch}: {}\n", checkpoint.id, short(&checkpoint.summary, 400));
    for (reference, state) in checkpoint.references.iter().zip(&view.states).take(6) {
        let lines = reference.lines.map_or(String::new(), |(first, last)| format!(":{first}-{last}"));
        text.push_str(&format!("  {}{lines} {}\n", reference.path, state.name()));
    }
    text
}

fn remediation_text(remediation: &Remediation) -> String {
    let Remediation { id, error, solution, occurrences, .. } = remediation;
    format!("fix {id}, seen {occurrences} times\n  {}\n  → {}\n", short(error, 200), short(solution, 400))
}
