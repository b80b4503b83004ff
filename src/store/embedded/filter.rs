//! A [`Filter`] as the set of documents that pass it, made before any leg looks
//! at them. Globs run over the dictionary of paths, not over documents.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use std::ffi::OsStr;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocAddress, DocSet, SegmentReader, TERMINATED, Term};

use super::fields::{Fields, TIME_COLUMN, attribute, keyword};
use super::lexical::for_each_live;
use super::segment::Segment;
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

/// The path patterns of a filter: what is named outright, and what has wildcards.
struct Paths {
    plain: Vec<Vec<u8>>,
    globs: Option<GlobSet>,
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
    let paths = if filter.paths.is_empty() { None } else { Some(compile_paths(&filter.paths)?) };
    Ok(CompiledFilter {
        paths,
        languages: filter.languages.iter().map(|l| l.name().as_bytes().to_vec()).collect(),
        kinds: filter.kinds.iter().map(|k| k.as_bytes().to_vec()).collect(),
        attributes: (filter.attributes.iter())
            .filter(|(_, values)| !values.is_empty())
            .map(|(name, values)| values.iter().map(|value| attribute(name, value)).collect())
            .collect(),
        time: filter.time.clone(),
    })
}

fn compile_paths(patterns: &[String]) -> Result<Paths, StoreError> {
    let invalid = |pattern: &str, e: globset::Error| {
        StoreError::Invalid(format!("path pattern {pattern:?}: {}", e.kind()))
    };
    let mut plain = Vec::new();
    let mut globs = GlobSetBuilder::new();
    let mut any_glob = false;
    for pattern in patterns {
        let trimmed = pattern.strip_prefix("./").unwrap_or(pattern);
        if trimmed.contains(['*', '?', '[', ']', '{', '}', '\\', '!']) {
            let glob = GlobBuilder::new(trimmed).literal_separator(true).build();
            globs.add(glob.map_err(|e| invalid(pattern, e))?);
            any_glob = true;
        }
        // Also as it stands: file names may have the characters of a wildcard.
        plain.push(trimmed.trim_end_matches('/').as_bytes().to_vec());
    }
    let globs = if any_glob { Some(globs.build().map_err(|e| invalid("", e))?) } else { None };
    Ok(Paths { plain, globs })
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
            if let Some(globs) = &paths.globs {
                mark_matching(segment, fields.path, globs, &mut set)?;
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
    globs: &GlobSet,
    set: &mut [bool],
) -> tantivy::Result<()> {
    let index = segment.inverted_index(field)?;
    let mut paths = index.terms().stream()?;
    while let Some((path, postings)) = paths.next() {
        if globs.is_match(Path::new(OsStr::from_bytes(path))) {
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
