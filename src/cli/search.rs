//! `indexer search`.

use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::context::Context;
use super::error::CliError;
use super::{EXIT_NOTHING, EXIT_OK, json as wire, output};
use crate::config::Settings;
use crate::embed::Leg;
use crate::index::Freshness;
use crate::language::Language;
use crate::search::{Answer, Hit, LegState, Mode, Request};
use crate::store::Filter;

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
    /// A path in the worktree to search.
    #[arg(short = 'C', long = "worktree", value_name = "DIR", default_value = ".")]
    worktree: PathBuf,
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
}

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

impl Search {
    pub(super) fn run(&self, settings: &Settings, color: bool) -> Result<u8, CliError> {
        let context = Context::open(settings, &self.worktree)?;
        let request = Request {
            query: self.query.join(" "),
            limit: self.limit.map_or(settings.search_limit, |limit| limit as usize),
            mode: match self.mode {
                ModeName::Hybrid => Mode::Hybrid,
                ModeName::Lexical => Mode::Lexical,
                ModeName::Dense => Mode::Dense,
            },
            filter: self.filter(&context)?,
        };
        let answer = context.search(&request)?;
        let freshness = context.freshness()?;
        let up = up_to_root(&context.root_path());
        for (rank, hit) in (1..).zip(&answer.hits) {
            if self.json {
                output::write_json(&hit_json(rank, hit))?;
            } else {
                output::write(&hit_text(hit, &context.root(), &up, color))?;
            }
        }
        if self.json {
            output::write_json(&summary_json(&answer, &freshness))?;
        } else {
            output::note(&summary_text(&answer, &freshness));
        }
        Ok(if answer.hits.is_empty() { EXIT_NOTHING } else { EXIT_OK })
    }
}

/// Checks a glob's form, so that a wrong one is a usage error.
fn glob(pattern: &str) -> Result<String, String> {
    globset::Glob::new(pattern).map(|_| pattern.to_owned()).map_err(|error| error.to_string())
}

impl Search {
    fn filter(&self, context: &Context<'_>) -> Result<Filter, CliError> {
        let paths = self.path.iter().map(|pattern| root_pattern(pattern, &context.root_path()));
        Ok(Filter {
            paths: paths.collect::<Result<_, _>>()?,
            languages: self.language.clone(),
            kinds: self.kind.iter().map(|kind| kind.to_lowercase()).collect(),
        })
    }
}

/// A pattern as typed → a pattern from the worktree's root.
fn root_pattern(pattern: &str, root: &Path) -> Result<String, CliError> {
    let shell = pattern.starts_with("./")
        || pattern.starts_with("../")
        || pattern.starts_with('/')
        || pattern == "..";
    if !shell {
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

fn hit_json(rank: u32, hit: &Hit) -> Value {
    let legs = hit.legs.iter().map(|(leg, rank)| (leg.name().to_owned(), Value::from(*rank))).collect();
    let reasons: Vec<String> = hit.reasons.iter().map(|reason| reason.name().to_owned()).collect();
    wire::with_path(
        &hit.path,
        json!({
            "type": "hit",
            "rank": rank,
            "start_line": hit.lines.0,
            "end_line": hit.lines.1,
            "start_byte": hit.bytes.start,
            "end_byte": hit.bytes.end,
            "score": hit.score,
            "language": hit.language.name(),
            "kind": hit.kind,
            "symbol": hit.symbol,
            "container": hit.container,
            "signature": hit.signature,
            "legs": Value::Object(legs),
            "reasons": reasons,
            "repaired": hit.repaired,
            "snippet": { "start_line": hit.snippet.lines.0, "end_line": hit.snippet.lines.1, "text": hit.snippet.text },
            "text": hit.text,
            "chunk_id": hit.id.to_string(),
        }),
    )
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
    let place = format!("{up}{}:{}", hit.path, hit.lines.0);
    let mut text = paint("35", &place);
    if color {
        // A terminal hyperlink, for terminals that do not find `path:line` themselves.
        text = format!(
            "\x1b]8;;file://{}/{}\x1b\\{text}\x1b]8;;\x1b\\",
            percent(root),
            percent_bytes(hit.path.as_bytes())
        );
    }
    let _ = write!(text, "-{}", hit.lines.1);
    if let Some(signature) = hit.signature.as_ref().or(hit.symbol.as_ref()) {
        let _ = write!(text, "  {}", paint("1", &output::printable(signature)));
    }
    let _ = write!(text, "  {}", paint("2", &hit.kind));
    if let Some(container) = &hit.container {
        let _ = write!(text, " {}", paint("2", &format!("in {}", output::printable(container))));
    }
    text.push('\n');
    for (number, line) in (hit.snippet.lines.0..).zip(hit.snippet.text.lines()) {
        let _ = writeln!(text, "{} {}", paint("32", &format!("{number:>6}")), output::printable(line));
    }
    text.push('\n');
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

fn summary_json(answer: &Answer, freshness: &Option<Freshness>) -> Value {
    let legs = answer.legs.iter().map(|(leg, state)| {
        let value = match state {
            LegState::Searched { candidates } => json!({ "candidates": candidates }),
            LegState::Off => json!({ "off": true }),
            LegState::Unavailable(why) => json!({ "unavailable": why }),
        };
        (leg.name().to_owned(), value)
    });
    json!({
        "type": "summary",
        "hits": answer.hits.len(),
        "query_kind": answer.kind.name(),
        "dropped": answer.dropped,
        "repaired": answer.repaired,
        "legs": Value::Object(legs.collect()),
        "dense": wire::by_leg(|leg| answer.dense[leg.index()].map(|coverage| {
            json!({ "vectors": coverage.vectors, "points": coverage.points })
        })),
        "freshness": freshness.as_ref().map(wire::freshness),
        "us": {
            "embed": answer.timing.embed.as_micros() as u64,
            "retrieve": answer.timing.retrieve.as_micros() as u64,
            "rank": answer.timing.rank.as_micros() as u64,
            "verify": answer.timing.verify.as_micros() as u64,
        },
    })
}

fn summary_text(answer: &Answer, freshness: &Option<Freshness>) -> String {
    let mut text = match answer.hits.len() {
        0 => "nothing found".to_owned(),
        1 => "1 hit".to_owned(),
        hits => format!("{hits} hits"),
    };
    if let Some(freshness) = freshness {
        let _ = write!(text, "; {}", freshness.sentence());
    }
    if answer.dropped > 0 {
        let _ = write!(text, "; {} left out because the file has changed", answer.dropped);
    }
    for (leg, state) in &answer.legs {
        if let LegState::Unavailable(why) = state {
            let _ = write!(text, "; without the {} leg: {why}", leg.name());
        }
    }
    for leg in Leg::ALL {
        if let Some(coverage) = answer.dense[leg.index()]
            && coverage.vectors == 0
            && coverage.points > 0
        {
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
}
