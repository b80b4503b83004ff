//! `indexer related`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::error::CliError;
use super::{EXIT_NOTHING, EXIT_OK, output};
use crate::engine::{Engine, Workspace};
use crate::search::relation::Position;
use crate::wire::{PathName, Related, RelatedHit};

/// Show what belongs to a place of the code: what is alike, who uses it, what tests it,
/// what it calls.
///
/// Alike is what has a near vector; nothing is embedded, and no model is needed. Callers,
/// tests and callees are found by name alone: namesakes are found too, and counted. Every
/// result is compared with the file on disk before it is shown.
///
/// Exit code 1 means that nothing belongs to it.
#[derive(Args)]
pub(super) struct RelatedTo {
    /// A file and a line, such as src/retry.rs:42 or, as answers write it, src/retry.rs:42-60.
    #[arg(value_name = "PATH:LINE", value_parser = place)]
    place: (PathBuf, u32),
    /// The most results of each relation.
    #[arg(short = 'n', long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=50))]
    limit: u32,
    /// Print the answer as one JSON document.
    #[arg(long)]
    json: bool,
}

/// `PATH:LINE` or `PATH:FIRST-LAST`, of which the first counts.
fn place(text: &str) -> Result<(PathBuf, u32), String> {
    let (path, lines) = text.rsplit_once(':').ok_or("a line is missing: src/retry.rs:42")?;
    let (first, last) = lines.split_once('-').unwrap_or((lines, lines));
    match (first.parse(), last.parse::<u32>()) {
        (Ok(line @ 1..), Ok(last)) if line <= last && !path.is_empty() => Ok((path.into(), line)),
        _ => Err(format!("{lines:?} is not a line, which is a number from 1")),
    }
}

impl RelatedTo {
    pub(super) fn run(&self, engine: &Arc<Engine>) -> Result<u8, CliError> {
        let (path, line) = &self.place;
        let (workspace, path) = Workspace::open_for_file(engine, path)?;
        let related = workspace.related(&Position { path, line: *line, limit: self.limit as usize })?;
        let freshness = workspace.freshness()?;
        let related = Related::new(&related, freshness.as_ref().map(Into::into));
        if self.json {
            output::write_json(&related)?;
        } else {
            output::write(&text(&related))?;
            if let Some(freshness) = &related.freshness {
                output::note(&freshness.sentence());
            }
        }
        Ok(if related.is_empty() { EXIT_NOTHING } else { EXIT_OK })
    }
}

fn text(related: &Related) -> String {
    let subject = &related.subject;
    let what = subject.signature.as_ref().or(subject.symbol.as_ref()).unwrap_or(&subject.kind);
    let mut text =
        format!("{}  {}\n", at(&subject.path, subject.start_line, subject.end_line), output::printable(what));
    for group in &related.groups {
        let _ = writeln!(text, "\n{} ({})", group.relation, output::printable(&group.how));
        for hit in &group.results {
            let _ = writeln!(text, "  {}", hit_text(hit));
        }
        match (group.results.len(), group.more) {
            (0, _) => text.push_str("  none\n"),
            (_, 0) => {}
            (_, more) => drop(writeln!(text, "  and {more} more")),
        }
    }
    text
}

fn hit_text(hit: &RelatedHit) -> String {
    let what = hit.signature.as_ref().or(hit.symbol.as_ref()).unwrap_or(&hit.kind);
    let container = hit.container.as_ref().map_or(String::new(), |container| format!(" in {container}"));
    let place = at(&hit.path, hit.start_line, hit.end_line);
    output::printable(&format!("{place}  {what}{container}  [{}]", hit.reason()))
}

fn at(path: &PathName, first: u32, last: u32) -> String {
    let path = path.to_repo_path().map(|path| path.to_string()).unwrap_or_default();
    output::printable(&format!("{path}:{first}-{last}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        for (text, expected) in [
            ("src/a.rs:7", Some(("src/a.rs", 7))),
            ("src/a.rs:7-9", Some(("src/a.rs", 7))),
            ("a:b.rs:1", Some(("a:b.rs", 1))),
            ("src/a.rs", None),
            ("src/a.rs:0", None),
            ("src/a.rs:9-7", None),
            ("src/a.rs:", None),
            (":3", None),
            ("src/a.rs:4294967296", None),
        ] {
            let expected = expected.map(|(path, line)| (PathBuf::from(path), line));
            assert_eq!(place(text).ok(), expected, "{text}");
        }
    }
}
