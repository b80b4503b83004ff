//! What belongs to a place of the code.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Freshness, PathName};
use crate::search::relation::{self, Why};

/// See [`relation::Related`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Related {
    /// The place.
    pub subject: RelatedSubject,
    /// One of each relation: `similar`, `callers`, `tests`, `callees`.
    pub groups: Vec<RelatedGroup>,
    /// Left out because the disk has another text.
    pub dropped: u32,
    /// How fresh the index is.
    pub freshness: Option<Freshness>,
}

/// See [`relation::Subject`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "the fields of the domain type, documented there")]
pub struct RelatedSubject {
    #[serde(flatten)]
    pub path: PathName,
    pub start_line: u32,
    pub end_line: u32,
    pub kind: String,
    pub symbol: Option<String>,
    pub signature: Option<String>,
    pub definitions: Option<u32>,
}

/// See [`relation::Group`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RelatedGroup {
    /// Which relation.
    pub relation: String,
    /// How they were found, or why there are none.
    pub how: String,
    /// Best first.
    pub results: Vec<RelatedHit>,
    /// Further ones, not compared with the disk.
    pub more: usize,
}

/// See [`relation::Found`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[expect(missing_docs, reason = "the fields of the domain type, documented there")]
pub struct RelatedHit {
    #[serde(flatten)]
    pub path: PathName,
    pub start_line: u32,
    pub end_line: u32,
    pub kind: String,
    pub symbol: Option<String>,
    pub container: Option<String>,
    pub signature: Option<String>,
    /// `vector`, `words`, `calls`, `mentions`, `named` or `defines`.
    pub why: String,
    /// Of `vector` the cosine, of `words` the share of the best one's score.
    pub score: Option<f32>,
    /// The line that calls or mentions it.
    pub line: Option<u32>,
    /// The name that it defines, of `defines`.
    pub name: Option<String>,
    /// Definitions of that name.
    pub definitions: Option<u32>,
    pub copies: u32,
    pub repaired: bool,
}

impl Related {
    /// The domain's answer with what is known of the index's freshness.
    pub fn new(related: &relation::Related, freshness: Option<Freshness>) -> Related {
        let subject = &related.subject;
        Related {
            subject: RelatedSubject {
                path: (&subject.path).into(),
                start_line: subject.lines.0,
                end_line: subject.lines.1,
                kind: subject.kind.clone(),
                symbol: subject.symbol.clone(),
                signature: subject.signature.clone(),
                definitions: subject.definitions,
            },
            groups: related.groups.iter().map(group).collect(),
            dropped: related.dropped,
            freshness,
        }
    }

    /// Whether nothing belongs to it.
    pub fn is_empty(&self) -> bool {
        self.groups.iter().all(|group| group.results.is_empty())
    }
}

fn group(group: &relation::Group) -> RelatedGroup {
    RelatedGroup {
        relation: group.relation.name().to_owned(),
        how: group.how.clone(),
        results: group.results.iter().map(hit).collect(),
        more: group.more,
    }
}

fn hit(found: &relation::Found) -> RelatedHit {
    let (why, score, line) = match found.why {
        Why::Vector(cosine) => ("vector", Some(cosine), None),
        Why::Words(share) => ("words", Some(share), None),
        Why::Calls(line) => ("calls", None, Some(line)),
        Why::Mentions(line) => ("mentions", None, Some(line)),
        Why::Named => ("named", None, None),
        Why::Defines(..) => ("defines", None, None),
    };
    let defined = match &found.why {
        Why::Defines(name, definitions) => Some((name.clone(), *definitions)),
        _ => None,
    };
    RelatedHit {
        path: (&found.path).into(),
        start_line: found.lines.0,
        end_line: found.lines.1,
        kind: found.kind.clone(),
        symbol: found.symbol.clone(),
        container: found.container.clone(),
        signature: found.signature.clone(),
        why: why.to_owned(),
        score,
        line,
        name: defined.as_ref().map(|(name, _)| name.clone()),
        definitions: defined.map(|(_, definitions)| definitions),
        copies: found.copies,
        repaired: found.repaired,
    }
}

impl RelatedHit {
    /// Why it is here, in a few words.
    pub fn reason(&self) -> String {
        let mut text = match (self.why.as_str(), self.score, self.line, &self.name, self.definitions) {
            ("vector", Some(cosine), ..) => format!("cosine {cosine:.2}"),
            ("words", Some(share), ..) => format!("words {share:.2}"),
            (why, _, Some(line), ..) => format!("{why} it at line {line}"),
            (_, _, _, Some(name), Some(definitions @ 2..)) => format!("{name}, 1 of {definitions}"),
            (_, _, _, Some(name), _) => name.clone(),
            _ => "named after it".to_owned(),
        };
        if self.copies > 0 {
            text.push_str(&format!(", {} more like it", self.copies));
        }
        text
    }
}
