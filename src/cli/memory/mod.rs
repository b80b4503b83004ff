//! `indexer memory`: what its commands share.

mod checkpoint;
mod input;
mod remediation;
pub(super) mod time;

pub(super) use input::confirmed;

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};

use super::error::CliError;
use super::{EXIT_NOTHING, EXIT_OK, output};
use crate::engine::{Engine, EngineError, Memory as Memories};
use crate::id::PointId;
use crate::memory::{MemoryError, Written, require_tags};
use crate::search::{Mode, Request};
use crate::store::Filter;
use crate::wire::{LegReport, MemoryAnswer, MemoryDeleted};

/// Keep what an agent learned, and find it again.
///
/// A checkpoint is what an agent was at: a summary, the rest of what is to be known, and the
/// code it speaks of; checkpoints belong to the project of the worktree. A remediation is an
/// error and what helped; all projects of this machine share them. Secrets are replaced
/// before anything is kept.
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Memory {
    #[command(subcommand)]
    group: Group,
}

const AFTER_HELP: &str = "\
Examples:
  indexer memory checkpoint save 'Retries moved to src/retry.rs; tests still red' - < notes.md
  indexer memory checkpoint resume
  indexer memory remediation record 'linker `cc` not found' 'apt-get install build-essential'
  indexer memory remediation search 'error: linker cc not found'";

#[derive(Subcommand)]
enum Group {
    Checkpoint(checkpoint::Checkpoint),
    Remediation(remediation::Remediation),
}

impl Memory {
    pub(super) fn run(&self, engine: &Arc<Engine>) -> Result<u8, CliError> {
        let done = match &self.group {
            Group::Checkpoint(command) => command.run(engine),
            Group::Remediation(command) => command.run(engine),
        };
        match done {
            Ok(code) => Ok(code),
            Err(Failure::Engine(EngineError::Memory(error @ MemoryError::Unknown { .. }))) => {
                output::note(&error.to_string());
                Ok(EXIT_NOTHING)
            }
            Err(Failure::Engine(error)) => Err(error.into()),
            Err(Failure::Cli(error)) => Err(error),
        }
    }
}

/// Why a command failed. What is only not there is told apart above.
enum Failure {
    Engine(EngineError),
    Cli(CliError),
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Failure {
        Failure::Engine(error)
    }
}

impl From<CliError> for Failure {
    fn from(error: CliError) -> Failure {
        Failure::Cli(error)
    }
}

/// Options of every command on memories.
#[derive(Args)]
struct Common {
    /// A path in a worktree of the project.
    #[arg(short = 'C', long = "worktree", value_name = "DIR", default_value = ".")]
    worktree: PathBuf,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl Common {
    fn open(&self, engine: &Arc<Engine>) -> Result<Memories, Failure> {
        Ok(engine.memory(&self.worktree)?)
    }
}

/// Which memories are meant.
#[derive(Args)]
struct Selection {
    /// Only those with this tag; given more than once, with all of them.
    #[arg(short, long, value_name = "TAG")]
    tag: Vec<String>,
    /// Only those made since then: 2h, 3d, 2026-11-23 or 2026-11-23T18:10 (UTC).
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    since: Option<u64>,
    /// Only those made before then.
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    until: Option<u64>,
    /// The most that are shown.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

impl Selection {
    fn filter(&self) -> Filter {
        let mut filter = Filter::default();
        require_tags(&mut filter, &self.tag);
        if self.since.is_some() || self.until.is_some() {
            filter.time = Some(self.since.unwrap_or_default()..self.until.unwrap_or(u64::MAX));
        }
        filter
    }
}

/// What is looked for.
#[derive(Args)]
struct Question {
    /// What it is about, in words; or an error message.
    #[arg(required = true, num_args = 1.., value_name = "QUERY")]
    query: Vec<String>,
    /// Which legs answer.
    #[arg(short, long, default_value = "hybrid")]
    mode: ModeName,
}

#[derive(Clone, Copy, ValueEnum)]
enum ModeName {
    /// Words and meaning.
    Hybrid,
    /// Words; needs no model.
    Lexical,
    /// Meaning only.
    Dense,
}

impl Question {
    fn request(&self, selection: &Selection, filter: Filter) -> Request {
        let mode = match self.mode {
            ModeName::Hybrid => Mode::Hybrid,
            ModeName::Lexical => Mode::Lexical,
            ModeName::Dense => Mode::Dense,
        };
        Request { query: self.query.join(" "), limit: selection.limit as usize, mode, filter }
    }
}

/// Which memories go.
#[derive(Args)]
struct Deletion {
    /// Ids, or their beginnings. One that is not there deletes none.
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// Do not ask; nothing is asked either where standard input is no terminal.
    #[arg(short, long)]
    yes: bool,
}

impl Deletion {
    fn run(
        &self,
        what: &str,
        json: bool,
        delete: impl FnOnce(&[String]) -> Result<Vec<PointId>, EngineError>,
    ) -> Result<u8, Failure> {
        let question =
            format!("delete {} {what}{}?", self.ids.len(), if self.ids.len() == 1 { "" } else { "s" });
        if !self.yes && !input::confirmed(&question)? {
            output::note("nothing was deleted");
            return Ok(EXIT_NOTHING);
        }
        let deleted: Vec<String> = delete(&self.ids)?.iter().map(PointId::to_string).collect();
        if json {
            output::write_json(&MemoryDeleted { deleted })?;
        } else {
            for id in deleted {
                output::write(&format!("deleted {id}\n"))?;
            }
        }
        Ok(EXIT_OK)
    }
}

/// Says where what was written lacks its vector.
fn note_written(written: &Written) {
    if let Some(why) = &written.without_vector {
        output::note(&format!("for now it is found by its words alone: {why}"));
    }
}

/// Says what an answer went without, and that it is empty where it is.
fn note_answer<T>(answer: &MemoryAnswer<T>) {
    if answer.hits.is_empty() {
        output::note("nothing found");
    }
    for (leg, report) in &answer.legs {
        if let LegReport::Unavailable(why) = report {
            output::note(&format!("without the {leg} leg: {why}"));
        }
    }
}

/// A list's or an answer's exit code.
fn found(any: bool) -> u8 {
    if any { EXIT_OK } else { EXIT_NOTHING }
}

/// A text on lines of its own that can do nothing to a terminal but be read.
fn printable_lines(text: &str, indent: &str) -> String {
    text.lines().map(|line| format!("{indent}{}\n", output::printable(line))).collect()
}

/// The first line of a text, shortened.
fn first_line(text: &str, width: usize) -> String {
    let line = output::printable(text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default());
    match line.char_indices().nth(width) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
