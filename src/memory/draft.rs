//! A record on its way into a collection: its point, and what is embedded of it. Pure.

use std::collections::BTreeMap;

use super::MemoryError;
use super::{Checkpoint, Remediation};
use crate::embed::{Embedder, Leg};
use crate::id::{ContentHash, PointId, VectorKey};
use crate::language::Language;
use crate::lexical;
use crate::path::RepoPath;
use crate::store::{CollectionKind, Point};

/// A point and the texts that stand for it, fullest first.
pub(super) struct Draft {
    pub(super) point: Point,
    texts: Vec<String>,
}

/// What a record gives to its point.
pub(super) struct Content<'a> {
    pub(super) kind: CollectionKind,
    pub(super) id: PointId,
    /// The stored form.
    pub(super) json: String,
    pub(super) created_at: u64,
    /// Keywords; those without a value are left out.
    pub(super) attributes: Vec<(&'static str, Option<&'a str>)>,
    pub(super) tags: &'a [String],
    /// What it is about: counts twice.
    pub(super) title: &'a str,
    /// What else it says.
    pub(super) body: &'a str,
}

/// Name of the attribute of a tag.
pub(super) fn tag_attribute(tag: &str) -> String {
    format!("tag_{tag}")
}

/// What the points of a collection are called, one of them.
pub(super) fn kind_name(kind: CollectionKind) -> &'static str {
    match kind {
        CollectionKind::Remediations => "remediation",
        CollectionKind::Checkpoints | CollectionKind::Codebase => "checkpoint",
    }
}

impl Draft {
    pub(super) fn new(content: Content<'_>) -> Result<Draft, MemoryError> {
        let Content { kind, id, json, created_at, attributes, tags, title, body } = content;
        let path = format!("{}/{id}", kind.name());
        // Of a name of ours and hexadecimal digits.
        let path = RepoPath::new(path.as_bytes())
            .ok_or_else(|| MemoryError::Record { id, reason: format!("{path} is no path") })?;
        let mut terms = Vec::new();
        for text in [title, title, body] {
            lexical::tokenize(text, &mut terms);
        }
        tags.iter().for_each(|tag| lexical::tokenize(tag, &mut terms));
        let named =
            attributes.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
        let tags = tags.iter().map(|tag| (tag_attribute(tag), "1".to_owned()));
        let attributes: BTreeMap<String, String> =
            named.chain(tags).filter(|(_, value)| !value.is_empty()).collect();
        let length = u32::try_from(json.len()).unwrap_or(u32::MAX);
        let texts = match body.is_empty() {
            true => vec![title.to_owned()],
            false => vec![format!("{title}\n\n{body}"), title.to_owned()],
        };
        let point = Point {
            id,
            path,
            language: Language::Text,
            kind: kind_name(kind).to_owned(),
            symbol: None,
            container: None,
            signature: None,
            terms,
            bytes: 0..length,
            lines: (1, 1),
            hash: ContentHash::of(json.as_bytes()),
            text: json,
            vectors: [None, None],
            attributes,
            time: Some(created_at),
        };
        Ok(Draft { point, texts })
    }

    /// The draft of a stored point, as this version makes it.
    pub(super) fn of(kind: CollectionKind, point: &Point) -> Result<Draft, MemoryError> {
        match kind {
            CollectionKind::Remediations => Remediation::read(point)?.draft(),
            CollectionKind::Checkpoints | CollectionKind::Codebase => Checkpoint::read(point)?.draft(),
        }
    }

    /// With the vectors of `former`, which has the same texts.
    pub(super) fn with_vectors_of(mut self, former: &Point) -> Draft {
        self.point.vectors = former.vectors;
        self
    }

    /// The fullest of its texts that the model reads whole; its key becomes the point's. What is
    /// longer than the model reads is never cut: it is found by its words.
    pub(super) fn embeddable(&mut self, model: &dyn Embedder) -> Option<(VectorKey, &str)> {
        let fits = |text: &&String| model.count_tokens(text) <= model.max_tokens();
        let text = self.texts.iter().find(fits)?;
        let key = VectorKey::of(text);
        self.point.vectors[Leg::Text.index()] = Some(key);
        Some((key, text))
    }
}
