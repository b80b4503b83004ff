//! `indexer memory remediation`.

use std::fmt::Write as _;
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::super::error::CliError;
use super::super::{EXIT_OK, output};
use super::{
    Common, Deletion, Failure, Question, Selection, first_line, found, input, note_answer, note_written,
    printable_lines, time,
};
use crate::engine::Engine;
use crate::memory::NewRemediation;
use crate::store::Filter;
use crate::wire::{self, MemoryAnswer, MemoryList, MemoryWritten, RemediationHit};

/// Errors that were met, and what helped; shared by all projects of this machine.
#[derive(Args)]
pub(super) struct Remediation {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Record(Record),
    Get(Get),
    List(List),
    Search(Search),
    Feedback(Feedback),
    Delete(Delete),
}

/// Record an error and what helped.
///
/// The same error with the same solution, recorded again, is counted: paths, numbers, times,
/// addresses and colours do not tell one error from another.
#[derive(Args)]
#[command(after_help = "\
Examples:
  indexer memory remediation record --category build 'linker `cc` not found' \\
      'apt-get install build-essential'
  cargo build 2>&1 | tail -5 | indexer memory remediation record - 'cargo clean, then build'")]
struct Record {
    #[command(flatten)]
    common: Common,
    /// The error message; `-` reads standard input.
    error: String,
    /// What helped; `-` reads standard input.
    solution: String,
    /// What kind of error it is, such as build, test or network.
    #[arg(short, long, value_name = "NAME")]
    category: Option<String>,
    /// A tag; may be given more than once.
    #[arg(short, long, value_name = "TAG")]
    tag: Vec<String>,
}

/// Show a remediation.
#[derive(Args)]
struct Get {
    #[command(flatten)]
    common: Common,
    /// Its id, or the beginning of it.
    id: String,
}

/// List remediations, last seen first.
///
/// Exit code 1 means that there are none.
#[derive(Args)]
struct List {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    categories: Categories,
}

/// Find what helped with an error.
///
/// Those that were found helpful rank a little higher, by a fifth of their score at most, and
/// those that were not as much lower. Exit code 1 means that nothing was found.
#[derive(Args)]
#[command(after_help = "\
Examples:
  indexer memory remediation search 'error: linker `cc` not found'
  indexer memory remediation search --category network 'TLS handshake times out'")]
struct Search {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    question: Question,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    categories: Categories,
}

/// Say whether a remediation helped.
#[derive(Args)]
#[command(after_help = "\
Examples:
  indexer memory remediation feedback 3f2a --helpful
  indexer memory remediation feedback 3f2a --unhelpful")]
struct Feedback {
    #[command(flatten)]
    common: Common,
    /// Its id, or the beginning of it.
    id: String,
    /// It helped.
    #[arg(long, required_unless_present = "unhelpful", conflicts_with = "unhelpful")]
    helpful: bool,
    /// It did not help.
    #[arg(long)]
    unhelpful: bool,
}

/// Delete remediations.
#[derive(Args)]
struct Delete {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    deletion: Deletion,
}

#[derive(Args)]
struct Categories {
    /// Only this category; given more than once, any of them.
    #[arg(short, long, value_name = "NAME")]
    category: Vec<String>,
}

impl Categories {
    fn restrict(&self, mut filter: Filter) -> Filter {
        if !self.category.is_empty() {
            filter.attributes.insert("category".to_owned(), self.category.clone());
        }
        filter
    }
}

impl Remediation {
    pub(super) fn run(&self, engine: &Arc<Engine>) -> Result<u8, Failure> {
        match &self.command {
            Command::Record(command) => command.run(engine),
            Command::Get(Get { common, id }) => show(common, &common.open(engine)?.shared().get(id)?),
            Command::List(command) => command.run(engine),
            Command::Search(command) => command.run(engine),
            Command::Feedback(Feedback { common, id, helpful, .. }) => {
                show(common, &common.open(engine)?.shared().feedback(id, *helpful)?)
            }
            Command::Delete(Delete { common, deletion }) => {
                let memory = common.open(engine)?;
                deletion.run("remediation", common.json, |ids| memory.shared().delete(ids))
            }
        }
    }
}

impl Record {
    fn run(&self, engine: &Arc<Engine>) -> Result<u8, Failure> {
        if self.error == "-" && self.solution == "-" {
            let error = CliError::usage("the error message and the solution cannot both be standard input");
            return Err(error.with_hint("give one of them as an argument").into());
        }
        let new = NewRemediation {
            error: input::text(&self.error)?,
            solution: input::text(&self.solution)?,
            category: self.category.clone(),
            tags: self.tag.clone(),
        };
        let (remediation, written) = self.common.open(engine)?.shared().record(&new)?;
        if self.common.json {
            output::write_json(&MemoryWritten {
                memory: wire::Remediation::from(&remediation),
                without_vector: written.without_vector,
            })?;
        } else {
            let times = match remediation.occurrences {
                1 => String::new(),
                times => format!(", met {times} times"),
            };
            output::write(&format!("recorded {}{times}\n", remediation.id))?;
            note_written(&written);
        }
        Ok(EXIT_OK)
    }
}

impl List {
    fn run(&self, engine: &Arc<Engine>) -> Result<u8, Failure> {
        let filter = self.categories.restrict(self.selection.filter());
        let limit = self.selection.limit as usize;
        let (found_here, total) = self.common.open(engine)?.shared().list(&filter, None, limit)?;
        let memories: Vec<_> = found_here.iter().map(wire::Remediation::from).collect();
        if self.common.json {
            output::write_json(&MemoryList { memories, total })?;
        } else {
            for remediation in &memories {
                output::write(&brief_text(remediation))?;
            }
            match total {
                0 => output::note("no remediations"),
                total if total > memories.len() => output::note(&format!("{} of {total}", memories.len())),
                _ => {}
            }
        }
        Ok(found(total > 0))
    }
}

impl Search {
    fn run(&self, engine: &Arc<Engine>) -> Result<u8, Failure> {
        let filter = self.categories.restrict(self.selection.filter());
        let request = self.question.request(&self.selection, filter);
        let answer = self.common.open(engine)?.shared().search(&request)?;
        let answer: MemoryAnswer<RemediationHit> = MemoryAnswer::new(&answer);
        if self.common.json {
            output::write_json(&answer)?;
        } else {
            for hit in &answer.hits {
                output::write(&brief_text(&hit.remediation))?;
            }
            note_answer(&answer);
        }
        Ok(found(!answer.hits.is_empty()))
    }
}

fn show(common: &Common, remediation: &crate::memory::Remediation) -> Result<u8, Failure> {
    let remediation = wire::Remediation::from(remediation);
    match common.json {
        true => output::write_json(&remediation)?,
        false => output::write(&whole_text(&remediation))?,
    }
    Ok(EXIT_OK)
}

/// How often it was met, and what people thought of it.
fn counts_text(remediation: &wire::Remediation) -> String {
    let mut text = format!("met {}x", remediation.occurrences);
    if remediation.helpful + remediation.unhelpful > 0 {
        let _ = write!(text, ", helpful {}, unhelpful {}", remediation.helpful, remediation.unhelpful);
    }
    if let Some(category) = &remediation.category {
        let _ = write!(text, ", {}", output::printable(category));
    }
    if !remediation.tags.is_empty() {
        let _ = write!(text, "  [{}]", output::printable(&remediation.tags.join(", ")));
    }
    text
}

/// Three lines: what a reader needs to choose.
fn brief_text(remediation: &wire::Remediation) -> String {
    format!(
        "{}  {}  {}\n  error     {}\n  solution  {}\n",
        remediation.id,
        time::shown(remediation.last_seen),
        counts_text(remediation),
        first_line(&remediation.error, 160),
        first_line(&remediation.solution, 160)
    )
}

fn whole_text(remediation: &wire::Remediation) -> String {
    format!(
        "remediation {}\nfirst seen {} UTC, last {}; {}\nerror:\n{}solution:\n{}",
        remediation.id,
        time::shown(remediation.created_at),
        time::shown(remediation.last_seen),
        counts_text(remediation),
        printable_lines(&remediation.error, "  "),
        printable_lines(&remediation.solution, "  ")
    )
}
