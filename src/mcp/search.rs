//! `search_code`: hits for a question, best first.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::Path;

use super::arguments::Arguments;
use super::page::{MAX_TOKENS, Page, cost, short};
use super::{Call, pattern, wrong};
use crate::engine::{Restriction, Workspace};
use crate::language::Language;
use crate::path::RepoPath;
use crate::wire::{Failure, FailureCode, Hit, LegReport, Place, SearchRequest, Summary, Waited};

const DEFAULT_LIMIT: u64 = 5;
const MAX_LIMIT: u64 = 200;
/// An agent asks just after it has written: long enough for a few files, too short to be felt.
const DEFAULT_WAIT_MS: u64 = 300;
const MAX_WAIT_MS: u64 = 120_000;
/// Longest signature shown, in characters.
const SIGNATURE: usize = 110;
/// Hits asked for beside those wanted, as some are parts of one symbol.
const SPARE: usize = 5;
/// Hits that put files in order where lines are asked for.
const ORDERING: usize = 50;

/// What is asked of `search_code`.
pub(super) struct Asked {
    pub(super) query: Option<String>,
    pub(super) pattern: Option<String>,
    pub(super) regex: bool,
    pub(super) only: Restriction,
    pub(super) limit: Option<u64>,
    pub(super) tokens: Option<u64>,
    wait_ms: Option<u64>,
}

pub(super) async fn search_code(call: &Call, mut arguments: Arguments) -> Result<String, Failure> {
    let worktree = arguments.text("worktree").map_err(wrong)?;
    let projects = arguments.texts("projects").map_err(wrong)?;
    let asked = Asked::of(arguments).map_err(wrong)?;
    let (workspaces, asked) = call
        .with_places(move |places| {
            let workspaces = match (&projects[..], &worktree) {
                ([], worktree) => vec![places.one(worktree.as_deref())?],
                (projects, None) => places.several(projects)?,
                (_, Some(_)) => return Err(wrong("give `worktree` or `projects`, not both".to_owned())),
            };
            if let ([only], None) = (&workspaces[..], &asked.pattern) {
                check_indexed(only, asked.wait_ms.is_some(), places.access.may_write())?;
            }
            Ok((workspaces, asked))
        })
        .await?;
    let roots: Vec<String> = workspaces.iter().map(|workspace| workspace.root().to_string()).collect();
    let several = roots.len() > 1;
    let request = asked.request(&workspaces);
    if asked.pattern.is_none() {
        let Some(request) = request else {
            return Err(Failure {
                message: "there is nothing to look for".to_owned(),
                code: FailureCode::Invalid,
                hint: Some("give a `query` in words, or a `pattern` for an exact text".to_owned()),
            });
        };
        let limit = request.limit;
        let request = SearchRequest { limit: limit + SPARE, ..request };
        let mut answer = call.backend.search(workspaces, request).await?;
        distinct(&mut answer.hits, limit);
        return Ok(page(&answer.hits, &answer.summary, several, asked.tokens));
    }
    let (lines, workspaces) =
        call.with_places(move |_| Ok((pattern::find(&workspaces, &asked), (workspaces, asked)))).await?;
    let (workspaces, asked) = workspaces;
    let order = match request {
        // What cannot be ranked is shown all the same.
        Some(request) => {
            let request = SearchRequest { limit: ORDERING, ..request };
            let reopened = call.with_places({
                let roots = roots.clone();
                move |places| roots.iter().map(|root| places.one(Some(root))).collect::<Result<Vec<_>, _>>()
            });
            call.backend.search(reopened.await?, request).await.map(|answer| answer.hits).unwrap_or_default()
        }
        None => Vec::new(),
    };
    let lines = lines?;
    call.with_places(move |_| Ok(pattern::page(&workspaces, lines, &order, &asked))).await
}

impl Asked {
    fn of(mut arguments: Arguments) -> Result<Asked, String> {
        let query = arguments.text("query")?.filter(|query| !query.trim().is_empty());
        let pattern = arguments.text("pattern")?;
        let regex = arguments.flag("regex")?;
        let paths = arguments.texts("path")?;
        let languages =
            arguments.texts("language")?.iter().map(|name| language(name)).collect::<Result<_, _>>()?;
        let kinds = arguments.texts("kind")?.iter().map(|kind| kind.to_lowercase()).collect();
        let asked = Asked {
            query,
            pattern,
            regex,
            only: Restriction { paths, languages, kinds },
            limit: arguments.number("limit", MAX_LIMIT)?.map(|limit| limit.max(1)),
            tokens: arguments.number("token_budget", MAX_TOKENS)?,
            wait_ms: arguments.number("wait_ms", MAX_WAIT_MS)?,
        };
        arguments.finish()?;
        Ok(asked)
    }

    /// What is asked of the index; `None` without a query.
    fn request(&self, workspaces: &[Workspace]) -> Option<SearchRequest> {
        let (first, also) = workspaces.split_first()?;
        let root = |workspace: &Workspace| Place::from(workspace.root().as_path());
        Some(SearchRequest {
            worktree: root(first),
            also: also.iter().map(root).collect(),
            query: self.query.clone()?,
            limit: self.limit.unwrap_or(DEFAULT_LIMIT) as usize,
            mode: "hybrid".to_owned(),
            paths: self.only.paths.iter().map(|path| path_pattern(path, first.root().as_path())).collect(),
            languages: self.only.languages.iter().map(|language| language.name().to_owned()).collect(),
            kinds: self.only.kinds.clone(),
            wait_ms: Some(self.wait_ms.unwrap_or(DEFAULT_WAIT_MS)).filter(|wait| *wait > 0),
        })
    }
}

/// A worktree without an index is not indexed unasked: that may take minutes, and the
/// person may not want it. Whoever waits has asked.
fn check_indexed(workspace: &Workspace, waits: bool, may_write: bool) -> Result<(), Failure> {
    if workspace.is_indexed() || (waits && may_write) {
        return Ok(());
    }
    let root = workspace.root();
    let now = if may_write { "; `wait_ms: 60000` indexes its words now" } else { "" };
    Err(Failure {
        message: format!("{root} is not indexed yet"),
        code: FailureCode::NotIndexed,
        hint: Some(format!(
            "`indexer add {root}` keeps it indexed, `indexer once` there does it once{now}. \
             `pattern` and read_code work without an index."
        )),
    })
}

/// A language by its name, or by a file name's ending.
fn language(name: &str) -> Result<Language, String> {
    let name = name.to_lowercase();
    let by_ending = || {
        let path = RepoPath::new(format!("a.{name}"))?;
        Some(Language::of(&path)).filter(|language| *language != Language::Text)
    };
    Language::from_name(&name).or_else(by_ending).ok_or_else(|| {
        let names: Vec<&str> = Language::ALL.iter().map(|language| language.name()).collect();
        format!("the language {name:?} is not known; it is one of {}", names.join(", "))
    })
}

/// A pattern as agents write it: absolute, from the root, or without a slash for any depth.
pub(super) fn path_pattern(pattern: &str, root: &Path) -> String {
    if let Ok(inside) = Path::new(pattern).strip_prefix(root) {
        return inside.to_string_lossy().into_owned();
    }
    let anywhere = !pattern.contains('/') && pattern.contains(['*', '?', '[', '{']);
    if anywhere { format!("**/{pattern}") } else { pattern.to_owned() }
}

/// The hits as a text: what each is, and its best lines as far as the budget goes.
fn page(hits: &[Hit], summary: &Summary, several: bool, tokens: Option<u64>) -> String {
    let mut page = Page::new(tokens);
    let foot = foot(summary, several);
    // What is left out is told too.
    let kept = cost(&foot) + 60;
    page.reserve(kept);
    let heads: Vec<String> = hits.iter().map(|hit| head(hit, several)).collect();
    let mut shown = 0;
    let mut spent = 0;
    // A hit without a line of its own says little: leave room for one.
    while shown < heads.len() && spent + cost(&heads[shown]) + 40 <= page.left() {
        spent += cost(&heads[shown]) + 2;
        shown += 1;
    }
    let mut for_lines = page.left().saturating_sub(spent);
    for (at, (hit, head)) in hits.iter().zip(&heads).take(shown).enumerate() {
        page.write(head);
        // The first are most likely what is looked for.
        let weight = |at: usize| 1.0 / (at as f64 + 1.5);
        let rest: f64 = (at..shown).map(weight).sum();
        let share = (for_lines as f64 * weight(at) / rest) as usize;
        let before = page.left();
        lines(&mut page, hit, share);
        for_lines = for_lines.saturating_sub(before - page.left());
    }
    page.release();
    if shown < hits.len() {
        page.write(&format!("{} more hits: raise token_budget\n", hits.len() - shown));
    }
    page.write(&foot);
    page.into_text()
}

/// Leaves `limit` hits, and of each symbol the best part: an agent that wants the others reads
/// the symbol.
fn distinct(hits: &mut Vec<Hit>, limit: usize) {
    let mut seen = HashSet::new();
    hits.retain(|hit| {
        let Some(symbol) = &hit.symbol else { return true };
        let name = (hit.path.to_repo_path(), hit.container.clone(), symbol.clone(), hit.signature.clone());
        seen.insert((hit.worktree.clone(), name))
    });
    hits.truncate(limit);
}

fn head(hit: &Hit, several: bool) -> String {
    let path = shown_path(hit, several);
    let name = hit.signature.as_deref().or(hit.symbol.as_deref()).unwrap_or_default();
    let mut text = format!("{path}:{}-{}", hit.start_line, hit.end_line);
    if !name.is_empty() {
        let _ = write!(text, "  {}", short(name, SIGNATURE));
    }
    let mut about = vec![hit.kind.clone()];
    if let Some(container) = &hit.container {
        about[0] = format!("{} in {}", hit.kind, short(container, 60));
    }
    let why = why(hit);
    if !why.is_empty() {
        about.push(format!("by {}", why.join(", ")));
    }
    let _ = writeln!(text, " ({})", about.join("; "));
    text
}

pub(super) fn shown_path(hit: &Hit, several: bool) -> String {
    let path = hit.path.to_repo_path().map(|path| path.to_string()).unwrap_or_default();
    match hit.worktree.as_ref().filter(|_| several) {
        Some(root) => format!("{}/{path}", root.to_path().display()),
        None => path,
    }
}

/// What found it, in a few words.
fn why(hit: &Hit) -> Vec<&'static str> {
    let reason = |name: &str| hit.reasons.iter().any(|reason| reason == name);
    let leg = |name: &str| hit.legs.contains_key(name);
    let all = [
        (reason("symbol"), "name"),
        (reason("symbol_words") && !reason("symbol"), "words of its name"),
        (reason("path") || reason("path_words"), "path"),
        (leg("lexical"), "words"),
        (leg("text") || leg("code"), "meaning"),
    ];
    all.into_iter().filter_map(|(is, word)| is.then_some(word)).collect()
}

/// The best lines of a hit, or all of it where that has room.
fn lines(page: &mut Page, hit: &Hit, share: usize) {
    let whole = cost(&hit.text) + 2 <= share;
    let (text, first) = match whole {
        true => (&hit.text, hit.start_line),
        false => (&hit.snippet.text, hit.snippet.start_line),
    };
    let text = text.trim_end();
    let mark = if first == hit.start_line { String::new() } else { format!("@{first}\n") };
    let total = text.lines().count();
    // The mark of what is cut costs too.
    let room = share.saturating_sub(cost(&mark));
    let most = if cost(text) + 2 <= room { room } else { room.saturating_sub(18) };
    let next = text.lines().next().map_or(0, |line| cost(line) + 2);
    if total == 0 || next > most {
        return;
    }
    page.write(&mark);
    let written = page.write_lines(text.lines(), most);
    if written < total {
        page.write(&format!("… {} more lines\n", total - written));
    }
}

/// What can be said of the answer as a whole: how fresh it is, and what it lacks.
fn foot(summary: &Summary, several: bool) -> String {
    let mut notes = Vec::new();
    if let Some(freshness) = &summary.freshness {
        notes.push(short(&freshness.sentence(), 200));
    }
    if let Some(worktrees) = summary.worktrees.as_ref().filter(|_| several) {
        for searched in worktrees {
            let root = searched.root.to_path();
            let name = root.file_name().unwrap_or_default().to_string_lossy().into_owned();
            match (&searched.error, &searched.freshness) {
                (Some(error), _) => notes.push(format!("{name} not searched: {}", short(error, 100))),
                (None, Some(freshness)) => notes.push(format!("{name} {}", short(&freshness.sentence(), 80))),
                (None, None) => {}
            }
        }
    }
    if let Some(Waited { covered: false, ms }) = &summary.waited {
        notes.push(format!("after {ms} ms not every edit is covered"));
    }
    if summary.hits == 0 {
        notes.push("nothing found: try other words, drop filters, or `pattern` for an exact text".to_owned());
    }
    for (leg, report) in &summary.legs {
        if let LegReport::Unavailable(why) = report {
            notes.push(format!("without the {leg} leg: {}", short(why, 120)));
        }
    }
    format!("[{}]\n", short(&notes.join("; "), 330))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_from_the_root_or_anywhere() {
        let root = Path::new("/w/a");
        for (given, expected) in [
            ("/w/a/src", "src"),
            ("/w/a", ""),
            ("src/", "src/"),
            ("*.rs", "**/*.rs"),
            ("src/*.rs", "src/*.rs"),
            ("README.md", "README.md"),
        ] {
            assert_eq!(path_pattern(given, root), expected, "{given}");
        }
    }

    #[test]
    fn languages_by_name_or_ending() {
        for name in ["rust", "Rust", "rs"] {
            assert_eq!(language(name), Ok(Language::Rust), "{name}");
        }
        assert!(language("klingon").is_err_and(|error| error.contains("rust")));
    }
}
