//! A [`Filter`] as the set of documents that pass it, made before any leg looks
//! at them. Globs run over the dictionary of paths, not over documents.

use std::ops::Range;
use std::sync::Arc;

use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocAddress, DocSet, SegmentReader, TERMINATED, Term};

use super::fields::{Fields, TIME_COLUMN, attribute, keyword};
use super::lexical::for_each_live;
use super::segment::Segment;
use crate::store::globs::Paths;
use crate::store::{Filter, StoreError};

/// Documents that pass a filter; `None` where all live ones do.
pub(super) struct Allowed(Option<Vec<Vec<bool>>>);

impl Allowed {
    /// Whether a live document passes.
    pub(super) fn has(&self, doc: DocAddress) -> bool {
        match &self.0 {
            None => true,
            Some(segments) => segments[doc.segment_ord as usize][doc.doc_id as usize],
        }
    }
}

/// A filter that has been understood.
pub(super) struct CompiledFilter {
    paths: Option<Paths>,
    languages: Vec<Vec<u8>>,
    kinds: Vec<Vec<u8>>,
    attributes: Vec<Vec<Vec<u8>>>,
    time: Option<Range<u64>>,
}

/// Reads a filter; a pattern that globset refuses is [`StoreError::Invalid`].
pub(super) fn compile(filter: &Filter) -> Result<CompiledFilter, StoreError> {
    Ok(CompiledFilter {
        paths: Paths::compile(&filter.paths)?,
        languages: filter.languages.iter().map(|l| l.name().as_bytes().to_vec()).collect(),
        kinds: filter.kinds.iter().map(|k| k.as_bytes().to_vec()).collect(),
        attributes: (filter.attributes.iter())
            .filter(|(_, values)| !values.is_empty())
            .map(|(name, values)| values.iter().map(|value| attribute(name, value)).collect())
            .collect(),
        time: filter.time.clone(),
    })
}

impl CompiledFilter {
    /// The documents that pass.
    pub(super) fn allowed(&self, segments: &[Arc<Segment>], fields: &Fields) -> tantivy::Result<Allowed> {
        let CompiledFilter { paths, languages, kinds, attributes, time } = self;
        let lists_empty = languages.is_empty() && kinds.is_empty() && attributes.is_empty();
        if paths.is_none() && lists_empty && time.is_none() {
            return Ok(Allowed(None));
        }
        let segments = segments.iter().map(|segment| self.segment(&segment.reader, fields));
        Ok(Allowed(Some(segments.collect::<tantivy::Result<_>>()?)))
    }

    fn segment(&self, segment: &SegmentReader, fields: &Fields) -> tantivy::Result<Vec<bool>> {
        let mut allowed: Option<Vec<bool>> = None;
        let mut intersect = |set: Vec<bool>| match &mut allowed {
            None => allowed = Some(set),
            Some(allowed) => allowed.iter_mut().zip(set).for_each(|(a, b)| *a &= b),
        };
        for (field, values) in [(fields.language, &self.languages), (fields.kind, &self.kinds)] {
            if !values.is_empty() {
                let mut set = vec![false; segment.max_doc() as usize];
                mark(segment, field, values, &mut set)?;
                intersect(set);
            }
        }
        for values in &self.attributes {
            let mut set = vec![false; segment.max_doc() as usize];
            mark(segment, fields.attribute, values, &mut set)?;
            intersect(set);
        }
        if let Some(range) = &self.time {
            let times = segment.fast_fields().u64(TIME_COLUMN)?;
            let within = |doc| times.first(doc).is_some_and(|time| range.contains(&time));
            intersect((0..segment.max_doc()).map(within).collect());
        }
        if let Some(paths) = &self.paths {
            let mut set = vec![false; segment.max_doc() as usize];
            if paths.plain.iter().any(Vec::is_empty) {
                set.fill(true);
            }
            mark(segment, fields.path, &paths.plain, &mut set)?;
            mark(segment, fields.ancestor, &paths.plain, &mut set)?;
            if paths.has_globs() {
                mark_matching(segment, fields.path, paths, &mut set)?;
            }
            intersect(set);
        }
        Ok(allowed.unwrap_or_default())
    }
}

fn mark(segment: &SegmentReader, field: Field, values: &[Vec<u8>], set: &mut [bool]) -> tantivy::Result<()> {
    for value in values {
        for_each_live(segment, Term::from_field_bytes(field, &keyword(value)), |doc| {
            set[doc as usize] = true
        })?;
    }
    Ok(())
}

fn mark_matching(
    segment: &SegmentReader,
    field: Field,
    patterns: &Paths,
    set: &mut [bool],
) -> tantivy::Result<()> {
    let index = segment.inverted_index(field)?;
    let mut paths = index.terms().stream()?;
    while let Some((path, postings)) = paths.next() {
        if patterns.glob_matches(path) {
            let mut list = index.read_postings_from_terminfo(postings, IndexRecordOption::Basic)?;
            // Deleted documents too: nobody asks about them.
            while list.doc() != TERMINATED {
                set[list.doc() as usize] = true;
                list.advance();
            }
        }
    }
    Ok(())
}
