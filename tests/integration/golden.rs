//! How well search answers: the queries of `testdata/golden/queries.jsonl` over the small
//! product beside them, against the ranks that are kept in `testdata/golden/ranks.txt`.
//! A ranking that changes is a diff of that file; `INDEXER_GOLDEN=write` writes it.
//!
//! What a query wants is said there by a path and, mostly, by a text that stands on exactly
//! one line of the file: the hit must hold that line. Judged is what the answer shows, and
//! nothing is asked twice, so that this module must not know how an answer comes about.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use contextd_indexer::config::{self, Flags};
use contextd_indexer::engine::Engine;
use contextd_indexer::search::{Hit, Request};
use serde_json::{Value, json};

use crate::harness::{Sandbox, say};

/// Hits judged; a hit beyond them is not found.
const JUDGED: usize = 10;
/// Hits asked for. Some beyond the judged ones, to see how close the next are.
const ASKED: usize = 20;
/// Scores this close may stand the other way round on another processor. The model multiplies
/// integers, which is exact everywhere, but rounds floats in between as the processor does.
/// Query vectors with noise to a cosine of 0.999 moved up to 3 of 240 queries into another
/// class, all of them within this; no two processors were compared.
const NEAR: f32 = 0.02;
/// Longest label of a query in `ranks.txt`, in characters.
const LABEL: usize = 100;

/// The header of `ranks.txt`.
const HEADER: &str = "\
# Where the expected hit of each query of queries.jsonl stands in the answer; `-`: not in
# the first ten. Written by `INDEXER_GOLDEN=write cargo test --test integration golden`.
#
# Processors differ in the last bits of a vector, so the test compares classes of ranks
# (1, 2-5, 6-10, -), and not even those where the scores on both sides of the border are
# within 0.02. The table is for the reader, and is not compared. For `foreign` look
# at `in 5`: most of its questions share no word with the code.
";

/// A line of `queries.jsonl`.
struct Query {
    kind: String,
    text: String,
    /// The file that the first hit should be of.
    path: String,
    /// The line that it should hold, from 1; `None` where any part of the file will do.
    line: Option<u32>,
}

/// Where the expected hit stands.
struct Found {
    /// Rank from 1; `None` if it is not among the hits judged.
    rank: Option<usize>,
    /// The best and the worst rank that it has if near scores change places.
    span: (Option<usize>, Option<usize>),
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/golden")
}

fn queries() -> Vec<Query> {
    let text = std::fs::read_to_string(folder().join("queries.jsonl")).expect("the queries");
    text.lines().map(|row| query(&serde_json::from_str(row).expect("a JSON object"))).collect()
}

/// # Panics
/// If the row expects what is nowhere, or in several places: it would check nothing.
fn query(row: &Value) -> Query {
    let text = |name: &str| row[name].as_str().unwrap_or_else(|| panic!("no {name}: {row}")).to_owned();
    let path = text("path");
    let file = std::fs::read_to_string(folder().join("corpus").join(&path))
        .unwrap_or_else(|error| panic!("{path}: {error}: {row}"));
    let line = row["line"].as_str().map(|wanted| {
        let lines: Vec<u32> = (1..)
            .zip(file.lines())
            .filter(|(_, line)| line.contains(wanted))
            .map(|(number, _)| number)
            .collect();
        assert_eq!(lines.len(), 1, "{wanted:?} stands on the lines {lines:?} of {path}: {row}");
        lines[0]
    });
    Query { kind: text("kind"), text: text("query"), path, line }
}

impl Query {
    fn is_met_by(&self, hit: &Hit) -> bool {
        hit.path.as_bytes() == self.path.as_bytes()
            && self.line.is_none_or(|line| (hit.lines.0..=hit.lines.1).contains(&line))
    }

    fn find_in(&self, hits: &[Hit]) -> Found {
        let Some(at) = hits.iter().position(|hit| self.is_met_by(hit)) else {
            return Found { rank: None, span: (None, None) };
        };
        let score = hits[at].score;
        let better = hits.iter().filter(|hit| hit.score > score + NEAR).count();
        let not_worse = hits.iter().filter(|hit| hit.score >= score - NEAR).count();
        Found { rank: judged(at + 1), span: (judged(better + 1), judged(not_worse)) }
    }

    /// Kind and text on one line: what the query is called in `ranks.txt`.
    fn label(&self) -> String {
        let text = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let short: String = text.chars().take(LABEL).collect();
        format!("{:10} {short}", self.kind)
    }
}

/// A rank, if it is among those judged.
fn judged(rank: usize) -> Option<usize> {
    (rank <= JUDGED).then_some(rank)
}

/// The class of a rank: those within a class are not told apart.
fn class(rank: Option<usize>) -> u8 {
    match rank {
        Some(1) => 0,
        Some(2..=5) => 1,
        Some(_) => 2,
        None => 3,
    }
}

fn shown(rank: Option<usize>) -> String {
    rank.map_or_else(|| "-".to_owned(), |rank| rank.to_string())
}

/// A repository of the corpus, indexed with the model.
fn indexed(sandbox: &Sandbox) -> PathBuf {
    let tree = sandbox.path("courier");
    copy(&folder().join("corpus"), &tree);
    sandbox.git(&tree, &["init", "-q"]);
    sandbox.git(&tree, &["add", "-A"]);
    sandbox.git(&tree, &["commit", "-q", "-m", "first"]);
    let outcome = sandbox.indexer(&tree, &["once", "--json"]).expect(0).json();
    let files = &outcome["files"];
    assert_eq!((&files["syntax_errors"], &files["skipped"]), (&json!(0), &json!({})), "{outcome}");
    assert_eq!(outcome["vectors"]["text"]["pending"], 0, "{outcome}");
    tree
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("the corpus") {
        let entry = entry.expect("readable");
        let to = to.join(entry.file_name());
        match entry.path() {
            folder if folder.is_dir() => copy(&folder, &to),
            file => drop(std::fs::copy(file, to).expect("copied")),
        }
    }
}

/// One row a kind: number of queries, shares found first and in the first five, and the
/// mean of 1/rank.
fn table(queries: &[Query], found: &[Found]) -> String {
    let mut kinds: Vec<&str> = Vec::new();
    for query in queries {
        if !kinds.contains(&query.kind.as_str()) {
            kinds.push(&query.kind);
        }
    }
    let mut text = String::from("#\n# kind          n   first    in 5  MRR@10\n");
    for kind in kinds.into_iter().map(Some).chain([None]) {
        let of_kind = |query: &Query| kind.is_none_or(|kind| query.kind == kind);
        let ranks: Vec<Option<usize>> = queries
            .iter()
            .zip(found)
            .filter(|(query, _)| of_kind(query))
            .map(|(_, found)| found.rank)
            .collect();
        let count = ranks.len() as f64;
        let share =
            |limit: usize| ranks.iter().flatten().filter(|rank| **rank <= limit).count() as f64 / count;
        let reciprocal = ranks.iter().flatten().map(|rank| 1.0 / *rank as f64).sum::<f64>() / count;
        let (first, in_five) = (share(1), share(5));
        let name = kind.unwrap_or("all");
        writeln!(text, "# {name:10} {count:4} {first:7.2} {in_five:7.2} {reciprocal:7.2}").expect("text");
    }
    text
}

/// The ranks of a written file by label.
fn kept(text: &str) -> BTreeMap<&str, Option<usize>> {
    let rows = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    rows.map(|row| {
        let (rank, label) = row.trim_start().split_once(' ').expect("a rank and a label");
        let rank =
            (rank != "-").then(|| rank.parse().unwrap_or_else(|_| panic!("{rank:?} is no rank: {row}")));
        (label, rank)
    })
    .collect()
}

/// What is not as it was kept, as lines of a diff.
fn differences(kept: &BTreeMap<&str, Option<usize>>, now: &[(String, Found)]) -> Vec<String> {
    let mut lines = Vec::new();
    for (label, found) in now {
        let old = kept.get(label.as_str());
        let (best, worst) = (class(found.span.0), class(found.span.1));
        let as_kept = |rank: &Option<usize>| (best..=worst).contains(&class(*rank));
        if !old.is_some_and(as_kept) {
            lines.extend(old.map(|rank| format!("-{:>4} {label}", shown(*rank))));
            lines.push(format!("+{:>4} {label}", shown(found.rank)));
        }
    }
    let labels: BTreeSet<&str> = now.iter().map(|(label, _)| label.as_str()).collect();
    let gone = kept.iter().filter(|(label, _)| !labels.contains(*label));
    lines.extend(gone.map(|(label, rank)| format!("-{:>4} {label}", shown(*rank))));
    lines
}

#[test]
fn every_query_is_answered_as_well_as_it_was() {
    let sandbox = Sandbox::new();
    let tree = indexed(&sandbox);
    let settings = sandbox.path("empty.toml");
    std::fs::write(&settings, "").expect("written");
    let flags = Flags { config: Some(settings), data_dir: Some(sandbox.data_dir()) };
    let engine = Arc::new(Engine::new(config::load(&flags).expect("settings")).expect("an engine"));
    let workspace = engine.open(&tree).expect("a worktree");

    let queries = queries();
    let find = |query: &Query| {
        let request = Request { query: query.text.clone(), limit: ASKED, ..Request::default() };
        let answer = engine.search(&[&workspace], &request).and_then(|answer| Ok(answer.or_error()?));
        query.find_in(&answer.unwrap_or_else(|error| panic!("{}: {error}", query.label())).hits)
    };
    let found: Vec<Found> = queries.iter().map(find).collect();
    let table = table(&queries, &found);
    let now: Vec<(String, Found)> = queries.iter().map(Query::label).zip(found).collect();
    let labels: BTreeSet<&String> = now.iter().map(|(label, _)| label).collect();
    assert_eq!(labels.len(), now.len(), "two queries begin with the same {LABEL} characters");

    let path = folder().join("ranks.txt");
    if std::env::var_os("INDEXER_GOLDEN").is_some_and(|value| value == "write") {
        let rows = now.iter().map(|(label, found)| format!("{:>4} {label}\n", shown(found.rank)));
        let text = format!("{HEADER}{table}\n{}", rows.collect::<String>());
        std::fs::write(&path, text).expect("written");
        return say(&format!("written: {}\n{table}", path.display()));
    }
    let text = std::fs::read_to_string(&path).expect("the ranks that are kept");
    let differences = differences(&kept(&text), &now);
    assert!(
        differences.is_empty(),
        "queries are answered otherwise than {} has it:\n{}\n{table}If that is meant, accept it: \
         INDEXER_GOLDEN=write cargo test --test integration golden, and commit the file",
        path.display(),
        differences.join("\n")
    );
}

#[test]
fn a_rank_is_as_kept_within_its_class_and_near_its_border() {
    // Rank, the best and the worst it can be; rank kept, whether that is the same. 11: not found.
    let cases = [
        (1, 1, 1, "1", true),
        (1, 1, 1, "2", false),
        (2, 2, 2, "5", true),
        (2, 1, 2, "1", true),
        (2, 2, 3, "1", false),
        (2, 2, 6, "9", true),
        (6, 6, 7, "-", false),
        (11, 11, 11, "10", false),
        (11, 10, 12, "10", true),
    ];
    for (rank, best, worst, old, same) in cases {
        let text = format!("# a note\n\n{old:>4} kind       words of it\n");
        let found = Found { rank: judged(rank), span: (judged(best), judged(worst)) };
        let now = [("kind       words of it".to_owned(), found)];
        assert_eq!(differences(&kept(&text), &now).is_empty(), same, "{rank} {best} {worst} {old}");
    }
    let found = Found { rank: Some(1), span: (Some(1), Some(1)) };
    let text = "   1 kind       gone\n";
    let lines = differences(&kept(text), &[("kind       new".to_owned(), found)]);
    assert_eq!(lines, ["+   1 kind       new", "-   1 kind       gone"]);
}
