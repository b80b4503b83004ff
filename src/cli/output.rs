//! Writing: data to standard output, progress and errors to standard error.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use super::error::CliError;
use crate::index::Progress;
use crate::wire::{Place, Running};

/// Writes data. A closed reader is an error that ends the program quietly.
pub(super) fn write(text: &str) -> Result<(), CliError> {
    io::stdout().lock().write_all(text.as_bytes()).map_err(CliError::stdout)
}

/// Writes one JSON document on a line.
pub(super) fn write_json(value: &impl serde::Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string(value).map_err(|error| CliError::usage(error.to_string()))?;
    write(&format!("{text}\n"))
}

/// A path as the daemon is told it: it has another current directory.
pub(super) fn place(path: &Path) -> Result<Place, CliError> {
    let absolute =
        std::path::absolute(path).map_err(|error| CliError::usage(format!("{}: {error}", path.display())))?;
    Ok(Place::from(absolute.as_path()))
}

/// A line that can do nothing to a terminal but be read.
pub(super) fn printable(line: &str) -> String {
    line.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// Bytes for people.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// Standard input and output, for a protocol.
pub(super) fn stdio() -> (tokio::io::Stdin, tokio::io::Stdout) {
    rmcp::transport::stdio()
}

pub(super) fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Writes a note for people.
pub(super) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Writes an error, its subject first, its remedy last.
pub(super) fn print_error(error: &CliError) {
    note(&format!("error: {error}"));
    if let Some(hint) = error.hint() {
        note(&format!("hint: {hint}"));
    }
}

/// A progress line on a terminal; silent elsewhere.
pub(super) struct ProgressLine {
    shown: Option<Instant>,
    enabled: bool,
    dirty: bool,
    vectors_began: Option<(Instant, u64)>,
}

impl ProgressLine {
    pub(super) fn new() -> ProgressLine {
        ProgressLine { shown: None, enabled: io::stderr().is_terminal(), dirty: false, vectors_began: None }
    }

    /// Shows `progress`, at most ten times a second.
    pub(super) fn show(&mut self, progress: Progress<'_>) {
        if !self.enabled {
            return;
        }
        let text = match progress {
            Progress::Listing | Progress::Listed { .. } => "listing files".to_owned(),
            Progress::Files { done, total } => format!("reading files {done}/{total}"),
            Progress::Searchable => {
                self.clear();
                note("searchable by words; computing vectors");
                return;
            }
            Progress::Vectors { done, total } => {
                let (began, first) = *self.vectors_began.get_or_insert((Instant::now(), done));
                format!("vectors {done}/{total}{}", remaining(began.elapsed(), done - first, total - done))
            }
        };
        if self.shown.is_some_and(|shown| shown.elapsed() < Duration::from_millis(100)) {
            return;
        }
        self.line(&text);
    }

    /// Shows how far the daemon is.
    pub(super) fn show_running(&mut self, running: &Running) {
        if self.enabled && self.shown.is_none_or(|shown| shown.elapsed() >= Duration::from_millis(100)) {
            self.line(&format!("{} {}/{}", running.stage, running.done, running.total));
        }
    }

    /// Shows any text in the same way.
    pub(super) fn line(&mut self, text: &str) {
        if !self.enabled {
            return;
        }
        self.shown = Some(Instant::now());
        self.dirty = true;
        let mut stderr = io::stderr().lock();
        let _ = write!(stderr, "\r\x1b[K{text}");
        let _ = stderr.flush();
    }

    /// Removes the line.
    pub(super) fn clear(&mut self) {
        if self.dirty {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
            self.dirty = false;
        }
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.clear();
    }
}

fn remaining(elapsed: Duration, done: u64, left: u64) -> String {
    if done < 20 {
        return String::new();
    }
    let seconds = elapsed.as_secs_f64() / done as f64 * left as f64;
    format!(", {:.0} per second, {} left", done as f64 / elapsed.as_secs_f64(), duration(seconds))
}

fn duration(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    if seconds < 60 { format!("{seconds} s") } else { format!("{} min {} s", seconds / 60, seconds % 60) }
}
