//! `indexer search`.

use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::error::CliError;
use super::registry::shown;
use super::{EXIT_ERROR, EXIT_NOTHING, EXIT_OK, output};
use crate::daemon::asking;
use crate::daemon::registry::{Registry, State};
use crate::engine::{Engine, Workspace};
use crate::language::Language;
use crate::wire::{Hit, LegReport, Place, SearchLine, SearchRequest, SearchedWorktree, Summary, Waited};

/// Answer a question about the code, or find a name.
///
/// Every hit is compared with the file on disk before it is shown; what is stale is
/// left out. The last line says how fresh the index is.
///
/// Exit code 1 means that nothing was found.
#[derive(Args)]
pub(super) struct Search {
    /// A question, a name, a change request or an error message.
    #[arg(required = true, num_args = 1.., value_name = "QUERY")]
    query: Vec<String>,
    /// A path in the worktree to search; may be given more than once, and the best of all
    /// worktrees is shown.
    #[arg(short = 'C', long = "worktree", value_name = "DIR", default_value = ".")]
    worktree: Vec<PathBuf>,
    /// Search every registered worktree.
    #[arg(long, conflicts_with = "worktree")]
    all: bool,
    /// Say of each hit which legs found it, and what each rule added to its score.
    #[arg(long, conflicts_with = "json")]
    explain: bool,
    /// Print JSON lines: one object a hit, then one with "type": "summary".
    #[arg(long)]
    json: bool,
    /// The most hits [default: 10, or search.limit of the configuration].
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: Option<u32>,
    /// Only paths that match this glob, or are below this directory; may be given more than once.
    ///
    /// Relative to the worktree's root; `./`, `../` and absolute paths as the shell means
    /// them. A pattern without a slash, such as `*.rs`, matches at any depth.
    #[arg(short, long, value_name = "GLOB", value_parser = glob)]
    path: Vec<String>,
    /// Only this language; may be given more than once.
    #[arg(short, long, value_name = "NAME", value_parser = language)]
    language: Vec<Language>,
    /// Only this kind, such as function, method, class, struct, enum, section; may be given more than once.
    #[arg(short, long, value_name = "NAME")]
    kind: Vec<String>,
    /// Which legs answer.
    #[arg(short, long, default_value = "hybrid")]
    mode: ModeName,
    /// Wait up to this long, such as 500ms or 2s, for the answer to cover every edit made
    /// before; what is still pending then is said.
    #[arg(short, long, value_name = "TIME", value_parser = duration)]
    wait: Option<Duration>,
}

/// Paths that cannot be opened, with the reason.
type Failed = Vec<(PathBuf, String)>;

#[derive(Clone, Copy, ValueEnum)]
enum ModeName {
    /// Words, names and vectors.
    Hybrid,
    /// Words and names; needs no model.
    Lexical,
    /// Vectors only.
    Dense,
}

fn language(name: &str) -> Result<Language, String> {
    Language::from_name(&name.to_lowercase()).ok_or_else(|| {
        let names: Vec<&str> = Language::ALL.iter().map(|language| language.name()).collect();
        format!("unknown; it is one of {}", names.join(", "))
    })
}

/// Checks a glob's form, so that a wrong one is a usage error.
fn glob(pattern: &str) -> Result<String, String> {
    globset::Glob::new(pattern).map(|_| pattern.to_owned()).map_err(|error| error.to_string())
}

/// `500ms`, `2s` or `2`, which is seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, scale) = match text.strip_suffix("ms") {
        Some(number) => (number, 1e-3),
        None => (text.strip_suffix('s').unwrap_or(text), 1.0),
    };
    let seconds = number.trim().parse::<f64>().map(|number| number * scale);
    let wrong = "not a time such as 500ms or 2s, of one hour at most";
    seconds
        .ok()
        .filter(|seconds| (0.0..=3600.0).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or(wrong.into())
}

impl Search {
    pub(super) fn run(&self, engine: &Arc<Engine>, color: bool) -> Result<u8, CliError> {
        let (opened, failed) = self.open(engine)?;
        let Some(first) = opened.first() else {
            let reason = failed.into_iter().next().map(|(_, error)| error);
            return Err(CliError::usage(reason.unwrap_or_else(|| "no worktree is registered".to_owned()))
                .with_hint("`indexer add PATH` registers one, `-C DIR` names one"));
        };
        let several = opened.len() + failed.len() > 1;
        let root = first.root().as_path();
        if several && let Some(pattern) = self.path.iter().find(|pattern| is_shell_path(pattern)) {
            return Err(CliError::usage(format!(
                "--path {pattern} is of one worktree, and several are searched"
            )));
        }
        let paths = self.path.iter().map(|pattern| root_pattern(pattern, root));
        let request = SearchRequest {
            worktree: Place::from(root),
            also: opened[1..].iter().map(|other| Place::from(other.root().as_path())).collect(),
            query: self.query.join(" "),
            limit: self.limit.map_or(engine.settings().search_limit, |limit| limit as usize),
            mode: match self.mode {
                ModeName::Hybrid => "hybrid",
                ModeName::Lexical => "lexical",
                ModeName::Dense => "dense",
            }
            .to_owned(),
            paths: paths.collect::<Result<_, _>>()?,
            languages: self.language.iter().map(|language| language.name().to_owned()).collect(),
            kinds: self.kind.iter().map(|kind| kind.to_lowercase()).collect(),
            wait_ms: self.wait.map(|wait| wait.as_millis() as u64),
        };
        let mut answer = asking::search(engine, &opened, &request)?;
        if several {
            let failed =
                failed.into_iter().map(|(path, error)| SearchedWorktree::failed(path.as_path(), error));
            answer.summary.worktrees.get_or_insert_default().extend(failed);
        }
        let problems = answer.summary.worktrees.iter().flatten().filter(|searched| searched.error.is_some());
        let nothing = answer.hits.is_empty();
        let all_failed = several && problems.clone().count() == opened.len().max(1) && nothing;
        if self.json {
            for hit in answer.hits {
                output::write_json(&SearchLine::Hit(Box::new(hit)))?;
            }
            output::write_json(&SearchLine::Summary(Box::new(answer.summary)))?;
        } else {
            for hit in &answer.hits {
                let own = hit.worktree.as_ref().map(Place::to_path);
                let root = own.as_deref().unwrap_or(root);
                output::write(&hit_text(hit, &root.to_string_lossy(), &up_to_root(root), color))?;
                if self.explain {
                    output::write(&explanation(hit))?;
                }
            }
            for searched in problems {
                let error = searched.error.as_deref().unwrap_or_default();
                output::note(&format!("warning: {}: {error}", shown(&searched.root.to_path())));
            }
            output::note(&summary_text(&answer.summary));
        }
        Ok(match (all_failed, nothing) {
            (true, _) => EXIT_ERROR,
            (false, true) => EXIT_NOTHING,
            (false, false) => EXIT_OK,
        })
    }

    /// The worktrees to search, and those that cannot be opened with the reason.
    fn open(&self, engine: &Arc<Engine>) -> Result<(Vec<Workspace>, Failed), CliError> {
        if let ([path], false) = (&self.worktree[..], self.all) {
            return Ok((vec![engine.open(path)?], Vec::new()));
        }
        let paths = match self.all {
            true => {
                let registry = Registry::load(&engine.settings().data_dir)?;
                let active = registry.worktrees().iter().filter(|known| known.state == State::Active);
                active.map(|known| known.root.clone()).collect()
            }
            false => self.worktree.clone(),
        };
        let (mut opened, mut failed): (Vec<Workspace>, _) = (Vec::new(), Vec::new());
        for path in paths {
            match engine.open(&path) {
                Ok(found) if opened.iter().any(|other| other.root() == found.root()) => {}
                Ok(found) => opened.push(found),
                Err(error) => failed.push((path, error.to_string())),
            }
        }
        Ok((opened, failed))
    }
}

/// Whether a pattern is a path as the shell means it.
fn is_shell_path(pattern: &str) -> bool {
    pattern.starts_with("./") || pattern.starts_with("../") || pattern.starts_with('/') || pattern == ".."
}

/// A pattern as typed → a pattern from the worktree's root.
fn root_pattern(pattern: &str, root: &Path) -> Result<String, CliError> {
    if !is_shell_path(pattern) {
        let anywhere = !pattern.contains('/') && pattern.contains(['*', '?', '[', '{']);
        return Ok(if anywhere { format!("**/{pattern}") } else { pattern.to_owned() });
    }
    let here = std::env::current_dir().and_then(|dir| dir.canonicalize()).unwrap_or_default();
    let mut place = PathBuf::new();
    for component in here.join(pattern).components() {
        match component {
            Component::ParentDir => drop(place.pop()),
            Component::CurDir => {}
            other => place.push(other),
        }
    }
    match place.strip_prefix(root) {
        Ok(inside) if inside.as_os_str().is_empty() => Ok("**".to_owned()),
        Ok(inside) => Ok(inside.to_string_lossy().into_owned()),
        Err(_) => Err(CliError::usage(format!("--path {pattern} is not in the worktree {}", root.display()))),
    }
}

/// What leads from the current directory to the root, so that `path:line` can be clicked
/// and opened from a directory below it.
fn up_to_root(root: &Path) -> String {
    let here = std::env::current_dir().and_then(|dir| dir.canonicalize()).unwrap_or_default();
    match here.strip_prefix(root) {
        Ok(below) => "../".repeat(below.components().count()),
        Err(_) => format!("{}/", root.display()),
    }
}

fn hit_text(hit: &Hit, root: &str, up: &str, color: bool) -> String {
    let paint =
        |code: &str, text: &str| if color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() };
    let Some(path) = hit.path.to_repo_path() else { return String::new() };
    let place = format!("{up}{path}:{}", hit.start_line);
    let mut text = paint("35", &place);
    if color {
        // A terminal hyperlink, for terminals that do not find `path:line` themselves.
        text = format!(
            "\x1b]8;;file://{}/{}\x1b\\{text}\x1b]8;;\x1b\\",
            percent(root),
            percent_bytes(path.as_bytes())
        );
    }
    let _ = write!(text, "-{}", hit.end_line);
    if let Some(signature) = hit.signature.as_ref().or(hit.symbol.as_ref()) {
        let _ = write!(text, "  {}", paint("1", &output::printable(signature)));
    }
    let _ = write!(text, "  {}", paint("2", &hit.kind));
    if let Some(container) = &hit.container {
        let _ = write!(text, " {}", paint("2", &format!("in {}", output::printable(container))));
    }
    text.push('\n');
    for (number, line) in (hit.snippet.start_line..).zip(hit.snippet.text.lines()) {
        let _ = writeln!(text, "{} {}", paint("32", &format!("{number:>6}")), output::printable(line));
    }
    text.push('\n');
    text
}

/// Legs with ranks, what they gave together, and what each rule added to it.
fn explanation(hit: &Hit) -> String {
    let legs: Vec<String> = hit.legs.iter().map(|(leg, rank)| format!("{leg} #{rank}")).collect();
    let mut text = format!("  why: {}; {:.2}", legs.join(", "), hit.fused);
    for (rule, boost) in &hit.boosts {
        let _ = write!(text, " {}{:.2} {rule}", if *boost < 0.0 { '-' } else { '+' }, boost.abs());
    }
    let _ = writeln!(text, " = {:.2}\n", hit.score);
    text
}

fn percent(path: &str) -> String {
    percent_bytes(path.as_bytes())
}

fn percent_bytes(path: &[u8]) -> String {
    let mut out = String::new();
    for byte in path {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
                out.push(*byte as char)
            }
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

fn summary_text(summary: &Summary) -> String {
    let mut text = match summary.hits {
        0 => "nothing found".to_owned(),
        1 => "1 hit".to_owned(),
        hits => format!("{hits} hits"),
    };
    if let Some(freshness) = &summary.freshness {
        let _ = write!(text, "; {}", freshness.sentence());
    }
    if let Some(worktrees) = &summary.worktrees {
        let failed = worktrees.iter().filter(|searched| searched.error.is_some()).count();
        let _ = write!(text, "; {} worktrees searched", worktrees.len() - failed);
        if failed > 0 {
            let _ = write!(text, ", {failed} not");
        }
        let stale = worktrees.iter().filter_map(|searched| searched.freshness.as_ref());
        match stale.filter(|freshness| !freshness.fresh).count() {
            0 => {}
            stale => drop(write!(text, "; {stale} of those with hits are not up to date")),
        }
    }
    if let Some(Waited { covered: false, ms }) = &summary.waited {
        let _ = write!(text, "; after {ms} ms not every edit is covered");
    }
    if summary.dropped > 0 {
        let _ = write!(text, "; {} left out because the file has changed", summary.dropped);
    }
    for (leg, report) in &summary.legs {
        if let LegReport::Unavailable(why) = report {
            let _ = write!(text, "; without the {leg} leg: {why}");
        }
    }
    for (leg, coverage) in &summary.dense {
        if coverage.vectors == 0 && coverage.points > 0 {
            let _ = write!(text, "; no {leg} vectors yet");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_raw() {
        assert_eq!(output::printable("a\x1b[2Jb\tc\u{7}"), "a\u{fffd}[2Jb\tc\u{fffd}");
        assert_eq!(percent("/a b/ü"), "/a%20b/%C3%BC");
    }

    #[test]
    fn times() {
        for (text, ms) in [("500ms", Some(500)), ("2s", Some(2000)), ("0.5", Some(500)), ("0", Some(0))] {
            assert_eq!(duration(text).ok().map(|time| time.as_millis()), ms, "{text}");
        }
        for text in ["", "ms", "-1s", "soon", "2h", "1e9", "NaN"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
