//! `indexer memory checkpoint`.

use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::super::error::CliError;
use super::super::{EXIT_NOTHING, EXIT_OK, output};
use super::{
    Common, Deletion, Failure, Question, Selection, first_line, found, input, note_answer, note_written,
    printable_lines, time,
};
use crate::engine::{Engine, Memory};
use crate::memory::{NewCheckpoint, Place, worktree_attribute};
use crate::store::Filter;
use crate::wire::{
    self, CheckpointHit, Commits, MemoryAnswer, MemoryList, MemoryWritten, PathName, Reference,
};

/// What an agent was at, kept for whoever goes on.
///
/// Checkpoints belong to the project: all of its worktrees see them, no other project does.
#[derive(Args)]
pub(super) struct Checkpoint {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Save(Save),
    Get(Get),
    List(List),
    Search(Search),
    Resume(Resume),
    Delete(Delete),
}

/// Save a checkpoint.
///
/// Branch, commit and worktree are taken from git. Paths in the text that exist in the
/// worktree, such as src/a.rs:10-40, are kept as references: whether these lines are still
/// what they were is told whenever the checkpoint is read.
#[derive(Args)]
#[command(after_help = "\
Examples:
  indexer memory checkpoint save 'Retries moved out of src/client.rs:40-90; tests still red'
  indexer memory checkpoint save --tag retry --session s1 'Retries, half done' - < notes.md
  indexer memory checkpoint save --ref src/retry.rs:10-40 'Backoff is wrong for attempt 0'")]
struct Save {
    #[command(flatten)]
    common: Common,
    /// What it is about, in a few words or sentences.
    summary: String,
    /// Everything else that is to be known, as text or Markdown; `-` reads standard input.
    #[arg(default_value = "")]
    content: String,
    /// A tag; may be given more than once.
    #[arg(short, long, value_name = "TAG")]
    tag: Vec<String>,
    /// Code that it speaks of, from the worktree's root, or with ./ and ../ as the shell means
    /// it: PATH, PATH:LINE or PATH:FIRST-LAST; may be given more than once.
    #[arg(short, long = "ref", value_name = "PLACE")]
    reference: Vec<String>,
    /// Name of the session.
    #[arg(short, long, value_name = "NAME")]
    session: Option<String>,
    /// Another branch than the worktree's.
    #[arg(long, value_name = "NAME")]
    branch: Option<String>,
    /// Another commit than the worktree's, by its full id.
    #[arg(long, value_name = "ID")]
    commit: Option<String>,
}

/// Show a checkpoint, and what became of the code that it speaks of.
#[derive(Args)]
struct Get {
    #[command(flatten)]
    common: Common,
    /// Its id, or the beginning of it.
    id: String,
}

/// List checkpoints, newest first.
///
/// Exit code 1 means that there are none.
#[derive(Args)]
#[command(after_help = "\
Examples:
  indexer memory checkpoint list --here --since 3d
  indexer memory checkpoint list --branch main --tag retry --json")]
struct List {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    place: Whereabouts,
}

/// Find checkpoints by what they are about, and by time.
///
/// Exit code 1 means that nothing was found.
#[derive(Args)]
#[command(after_help = "\
Examples:
  indexer memory checkpoint search 'why did we drop the connection pool?'
  indexer memory checkpoint search --since 2026-11-01 --until 2026-12-01 backoff")]
struct Search {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    question: Question,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    place: Whereabouts,
}

/// Show what is needed to go on: the newest checkpoint of this worktree and branch, and what
/// has changed since.
///
/// Where this worktree has none, it is the newest of the branch in any worktree of the
/// project. Exit code 1 means that there is none.
#[derive(Args)]
struct Resume {
    #[command(flatten)]
    common: Common,
    /// Another checkpoint than the newest: its id, or the beginning of it.
    id: Option<String>,
}

/// Delete checkpoints.
#[derive(Args)]
struct Delete {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    deletion: Deletion,
}

/// Where checkpoints were made.
#[derive(Args)]
struct Whereabouts {
    /// Only those of this branch; given more than once, of any of them.
    #[arg(short, long, value_name = "NAME")]
    branch: Vec<String>,
    /// Only those of this worktree.
    #[arg(long)]
    here: bool,
}

impl Whereabouts {
    fn restrict(&self, mut filter: Filter, memory: &Memory) -> Filter {
        filter.attributes.insert("branch".to_owned(), self.branch.clone());
        if self.here {
            let root = worktree_attribute(memory.root().as_path());
            filter.attributes.insert("worktree".to_owned(), vec![root]);
        }
        filter.attributes.retain(|_, values| !values.is_empty());
        filter
    }
}

impl Checkpoint {
    pub(super) fn run(&self, engine: &Arc<Engine>) -> Result<u8, Failure> {
        match &self.command {
            Command::Save(command) => command.run(engine),
            Command::Get(command) => command.run(engine),
            Command::List(command) => command.run(engine),
            Command::Search(command) => command.run(engine),
            Command::Resume(command) => command.run(engine),
            Command::Delete(Delete { common, deletion }) => {
                let memory = common.open(engine)?;
                deletion.run("checkpoint", common.json, |ids| memory.delete_checkpoints(ids))
            }
        }
    }
}

impl Save {
    fn run(&self, engine: &Arc<Engine>) -> Result<u8, Failure> {
        let memory = self.common.open(engine)?;
        let root = memory.root().as_path();
        let references = self.reference.iter().map(|text| place(text, root));
        let new = NewCheckpoint {
            references: references.collect::<Result<_, _>>()?,
            summary: self.summary.clone(),
            content: input::text(&self.content)?,
            tags: self.tag.clone(),
            branch: self.branch.clone(),
            commit: self.commit.clone(),
            session: self.session.clone(),
        };
        let (view, written) = memory.save_checkpoint(&new)?;
        if self.common.json {
            output::write_json(&MemoryWritten {
                memory: wire::Checkpoint::from(&view),
                without_vector: written.without_vector,
            })?;
        } else {
            output::write(&format!("saved {}\n", view.checkpoint.id))?;
            note_written(&written);
        }
        Ok(EXIT_OK)
    }
}

impl Get {
    fn run(&self, engine: &Arc<Engine>) -> Result<u8, Failure> {
        let view = self.common.open(engine)?.checkpoint(&self.id)?;
        let checkpoint = wire::Checkpoint::from(&view);
        match self.common.json {
            true => output::write_json(&checkpoint)?,
            false => output::write(&(head_text(&checkpoint) + &tail_text(&checkpoint)))?,
        }
        Ok(EXIT_OK)
    }
}

impl List {
    fn run(&self, engine: &Arc<Engine>) -> Result<u8, Failure> {
        let memory = self.common.open(engine)?;
        let filter = self.place.restrict(self.selection.filter(), &memory);
        let (views, total) = memory.list_checkpoints(&filter, None, self.selection.limit as usize)?;
        let memories: Vec<_> = views.iter().map(wire::Checkpoint::brief).collect();
        if self.common.json {
            output::write_json(&MemoryList { memories, total })?;
        } else {
            for checkpoint in &memories {
                output::write(&line_text(checkpoint))?;
            }
            match total {
                0 => output::note("no checkpoints"),
                total if total > memories.len() => output::note(&format!("{} of {total}", memories.len())),
                _ => {}
            }
        }
        Ok(found(total > 0))
    }
}

impl Search {
    fn run(&self, engine: &Arc<Engine>) -> Result<u8, Failure> {
        let memory = self.common.open(engine)?;
        let filter = self.place.restrict(self.selection.filter(), &memory);
        let answer = memory.search_checkpoints(&self.question.request(&self.selection, filter))?;
        let answer: MemoryAnswer<CheckpointHit> = MemoryAnswer::new(&answer);
        if self.common.json {
            output::write_json(&answer)?;
        } else {
            for hit in &answer.hits {
                output::write(&line_text(&hit.checkpoint))?;
            }
            note_answer(&answer);
        }
        Ok(found(!answer.hits.is_empty()))
    }
}

impl Resume {
    fn run(&self, engine: &Arc<Engine>) -> Result<u8, Failure> {
        let Some(resumed) = self.common.open(engine)?.resume(self.id.as_deref())? else {
            output::note(
                "no checkpoint of this worktree or branch: `indexer memory checkpoint list` shows the others",
            );
            return Ok(EXIT_NOTHING);
        };
        let resumed = wire::Resumed::from(&resumed);
        if self.common.json {
            output::write_json(&resumed)?;
        } else {
            let checkpoint = &resumed.checkpoint;
            let mut text = head_text(checkpoint);
            for (commits, what) in [(&resumed.since, "since then"), (&resumed.missing, "not in HEAD")] {
                text.push_str(&commits_text(commits.as_ref(), what));
            }
            if resumed.since.is_none() && checkpoint.commit.is_some() {
                text.push_str("its commit is not in the repository: what was committed since is unknown\n");
            }
            output::write(&(text + &tail_text(checkpoint)))?;
        }
        Ok(EXIT_OK)
    }
}

/// A place as typed → a place from the worktree's root.
fn place(text: &str, root: &Path) -> Result<Place, CliError> {
    let shell = ["./", "../", "/"].iter().any(|start| text.starts_with(start));
    let inside = match shell {
        true => resolved(text).strip_prefix(root).ok().map(|path| path.to_string_lossy().into_owned()),
        false => Some(text.to_owned()),
    };
    inside.and_then(|text| Place::parse(&text)).ok_or_else(|| {
        CliError::usage(format!("{text} is not a place in the worktree {}", root.display()))
            .with_hint("PATH, PATH:LINE or PATH:FIRST-LAST, from the worktree's root")
    })
}

/// An absolute path without `.` and `..`.
fn resolved(text: &str) -> PathBuf {
    let here = std::env::current_dir().and_then(|dir| dir.canonicalize()).unwrap_or_default();
    let mut place = PathBuf::new();
    for component in here.join(text).components() {
        match component {
            Component::ParentDir => drop(place.pop()),
            Component::CurDir => {}
            other => place.push(other),
        }
    }
    place
}

/// One line of a list.
fn line_text(checkpoint: &wire::Checkpoint) -> String {
    let branch = checkpoint.branch.as_deref().unwrap_or("-");
    let mut line = format!(
        "{}  {}  {}  {}",
        checkpoint.id,
        time::shown(checkpoint.created_at),
        output::printable(branch),
        first_line(&checkpoint.summary, 100)
    );
    if !checkpoint.tags.is_empty() {
        let _ = write!(line, "  [{}]", output::printable(&checkpoint.tags.join(", ")));
    }
    let changed = checkpoint
        .references
        .iter()
        .filter(|reference| reference.now.is_none() && reference.state != "unchanged");
    match changed.count() {
        0 => {}
        changed => drop(write!(line, "  {changed} of {} references changed", checkpoint.references.len())),
    }
    line + "\n"
}

/// What a checkpoint is, and where things stand.
fn head_text(checkpoint: &wire::Checkpoint) -> String {
    let at = |branch: &Option<String>, commit: &Option<String>| {
        let commit: String = commit.as_deref().unwrap_or("no commit").chars().take(12).collect();
        output::printable(&format!("{} at {commit}", branch.as_deref().unwrap_or("no branch")))
    };
    let shown = |place: &wire::Place| output::printable(&place.to_path().to_string_lossy());
    let mut text = format!("checkpoint {}\n", checkpoint.id);
    let _ = write!(
        text,
        "saved {} UTC on {} in {}",
        time::shown(checkpoint.created_at),
        at(&checkpoint.branch, &checkpoint.commit),
        shown(&checkpoint.worktree)
    );
    if let Some(session) = &checkpoint.session {
        let _ = write!(text, ", session {}", output::printable(session));
    }
    text.push('\n');
    if !checkpoint.tags.is_empty() {
        let _ = writeln!(text, "tags: {}", output::printable(&checkpoint.tags.join(", ")));
    }
    let _ = write!(text, "now: {}", at(&checkpoint.head.branch, &checkpoint.head.commit));
    let _ = write!(text, "{}", if checkpoint.same_branch { "" } else { ", another branch" });
    let _ = write!(text, "{}", if checkpoint.same_commit { "" } else { ", another commit" });
    if checkpoint.looked_at != checkpoint.worktree {
        let _ = write!(text, "; its worktree is gone, so this is {}", shown(&checkpoint.looked_at));
    }
    text + "\n"
}

fn commits_text(commits: Option<&Commits>, what: &str) -> String {
    let Some(commits) = commits.filter(|commits| commits.count > 0) else { return String::new() };
    let mut text =
        format!("commits {what}: {}{}\n", commits.count, if commits.more { " or more" } else { "" });
    for subject in &commits.subjects {
        let _ = writeln!(text, "  {}", output::printable(subject));
    }
    if commits.count > commits.subjects.len() {
        text.push_str("  …\n");
    }
    text
}

/// Its references and its words.
fn tail_text(checkpoint: &wire::Checkpoint) -> String {
    let mut text = String::new();
    if !checkpoint.references.is_empty() {
        text.push_str("references:\n");
    }
    for reference in &checkpoint.references {
        let _ = writeln!(text, "  {}", reference_text(reference));
    }
    text.push('\n');
    text.push_str(&printable_lines(&checkpoint.summary, ""));
    if let Some(content) = checkpoint.content.as_ref().filter(|content| !content.is_empty()) {
        text.push('\n');
        text.push_str(&printable_lines(content, ""));
    }
    text
}

fn reference_text(reference: &Reference) -> String {
    let mut text = match &reference.path {
        PathName::Text { path } => output::printable(path),
        PathName::Bytes { path_hex } => format!("{path_hex} (hexadecimal)"),
    };
    if let (Some(start), Some(end)) = (reference.start_line, reference.end_line) {
        let _ = write!(text, ":{start}-{end}");
    }
    let _ = write!(text, "  {}", reference.state);
    if let (Some((start, end)), "moved") = (reference.now, reference.state.as_str()) {
        let _ = write!(text, " to {start}-{end}");
    }
    text
}
