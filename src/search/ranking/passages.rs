//! Whether a candidate's text has what the query says word for word, or says nothing.

use std::collections::BTreeSet;

use crate::search::query::Query;
use crate::store::Point;

/// 1 where all of a quoted text is in the chunk, less where only its case differs.
pub(super) fn literals(query: &Query, point: &Point) -> f32 {
    let share = |literal: &String| match point.text.contains(literal.as_str()) {
        true => 1.0,
        false if point.text.to_lowercase().contains(&literal.to_lowercase()) => 0.7,
        false => 0.0,
    };
    query.marks.literals.iter().map(share).fold(0.0, f32::max)
}

/// Words in a row that are a phrase.
const PHRASE: usize = 3;
/// Words in a row after which more say no more.
const LONG_PHRASE: usize = 7;

/// Runs of [`PHRASE`] words of a query.
pub(super) struct Phrases(BTreeSet<[String; PHRASE]>);

impl Phrases {
    pub(super) fn of(query: &Query) -> Phrases {
        let words: Vec<String> = plain_words(&query.text).collect();
        let runs = words.windows(PHRASE).filter_map(|run| <[String; PHRASE]>::try_from(run.to_vec()).ok());
        Phrases(runs.collect())
    }

    /// The longest run of words that the chunk and the query share, as a share of [`LONG_PHRASE`].
    pub(super) fn share(&self, point: &Point) -> f32 {
        if self.0.is_empty() {
            return 0.0;
        }
        let (mut run, mut longest) = (0, 0);
        let mut last: [String; PHRASE] = Default::default();
        for word in plain_words(&point.text) {
            last.rotate_left(1);
            last[PHRASE - 1] = word;
            run = if self.0.contains(&last) { run + 1 } else { 0 };
            longest = longest.max(run);
        }
        match longest {
            0 => 0.0,
            runs => (runs + PHRASE - 1).min(LONG_PHRASE) as f32 / LONG_PHRASE as f32,
        }
    }
}

fn plain_words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// Whether nearly all of the chunk's lines import or re-export.
pub(super) fn is_re_export(point: &Point) -> bool {
    if !point.language.has_grammar() {
        return false;
    }
    let mut lines = 0;
    let mut passing = 0;
    for line in point.text.lines().map(str::trim) {
        let comment = ["//", "#", "/*", "*", "\"\"\""].iter().any(|mark| line.starts_with(mark));
        if line.is_empty() || (comment && !line.starts_with("#[")) {
            continue;
        }
        lines += 1;
        let starts = [
            "import ",
            "import{",
            "from ",
            "use ",
            "pub use ",
            "pub mod ",
            "mod ",
            "package ",
            "pub(crate) use ",
        ]
        .iter()
        .any(|word| line.starts_with(word));
        let exports = line.starts_with("export ") && line.contains(" from ")
            || line.starts_with("export *")
            || line == "export {"
            || line.starts_with("export type {");
        let requires = line.contains("require(") && line.starts_with(['c', 'l', 'v']);
        let list_item = line.ends_with(',') && !line.contains(['(', '=', ':']);
        let closing = line.starts_with(['}', ')', '{']);
        if starts || exports || requires || list_item || closing {
            passing += 1;
        }
    }
    lines > 0 && passing * 10 >= lines * 9
}
