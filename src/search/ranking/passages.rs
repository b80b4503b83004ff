//! Whether a candidate's text has what the query says word for word.

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
