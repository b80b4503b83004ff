//! BM25 over terms, and symbols by name.
//!
//! Every posting of every term is read into one accumulator per document, in
//! the order of the query. Tantivy's own top-k is faster past a million documents,
//! but counts deleted documents until a merge and adds scores in an order that
//! depends on the segments: the same content would rank differently after
//! another history. Here a score is a function of the live content alone.

use std::sync::Arc;

use tantivy::postings::Postings;
use tantivy::schema::IndexRecordOption;
use tantivy::{DocAddress, DocSet, SegmentReader, TERMINATED, Term};

use super::fields::{Fields, keyword};
use super::filter::Allowed;
use super::segment::Segment;

/// Saturation of the term frequency (Robertson & Zaragoza 2009, eq. 3.15; Lucene's default).
const K1: f32 = 1.2;
/// Strength of the length normalisation (the same).
const B: f32 = 0.75;

/// Number of live documents and their mean length in terms.
#[derive(Clone, Copy, Debug)]
pub(super) struct LengthStats {
    documents: f32,
    mean: f32,
}

impl LengthStats {
    /// Lengths are as coarse as BM25 sees them (one byte each).
    pub(super) fn of(segments: &[Arc<Segment>], fields: &Fields) -> tantivy::Result<LengthStats> {
        let (mut documents, mut total) = (0u64, 0u64);
        for Segment { reader: segment, .. } in segments.iter().map(Arc::as_ref) {
            let lengths = segment.get_fieldnorms_reader(fields.terms)?;
            for doc in segment.doc_ids_alive() {
                documents += 1;
                total += u64::from(lengths.fieldnorm(doc));
            }
        }
        let mean = if documents == 0 { 1.0 } else { (total as f32 / documents as f32).max(1.0) };
        Ok(LengthStats { documents: documents as f32, mean })
    }
}

/// BM25 scores of all allowed documents that have any of the terms.
pub(super) fn score_terms(
    segments: &[Arc<Segment>],
    fields: &Fields,
    stats: LengthStats,
    query: &[(String, f32)],
    allowed: &Allowed,
) -> tantivy::Result<Vec<(f32, DocAddress)>> {
    let mut terms: Vec<(&str, f32)> = Vec::with_capacity(query.len());
    for (term, weight) in query {
        match terms.iter_mut().find(|(known, _)| known == term) {
            Some((_, sum)) => *sum += weight,
            None => terms.push((term, *weight)),
        }
    }
    terms.retain(|(_, weight)| *weight > 0.0 && weight.is_finite());

    let segments: Vec<&SegmentReader> = segments.iter().map(|segment| &segment.reader).collect();
    let lengths = segments
        .iter()
        .map(|s| s.get_fieldnorms_reader(fields.terms))
        .collect::<tantivy::Result<Vec<_>>>()?;
    let norms: Vec<f32> = (0..=u8::MAX)
        .map(|id| {
            let length = tantivy::fieldnorm::FieldNormReader::id_to_fieldnorm(id) as f32;
            K1 * (1.0 - B + B * length / stats.mean)
        })
        .collect();
    let mut scores: Vec<Vec<f32>> = segments.iter().map(|s| vec![0.0; s.max_doc() as usize]).collect();
    let mut postings = Vec::new();
    for (term, weight) in terms {
        postings.clear();
        let term = Term::from_field_text(fields.terms, term);
        for (ordinal, segment) in segments.iter().enumerate() {
            let Some(mut list) =
                segment.inverted_index(fields.terms)?.read_postings(&term, IndexRecordOption::WithFreqs)?
            else {
                continue;
            };
            let alive = segment.alive_bitset();
            let mut doc = list.doc();
            while doc != TERMINATED {
                if alive.is_none_or(|alive| alive.is_alive(doc)) {
                    postings.push((DocAddress::new(ordinal as u32, doc), list.term_freq()));
                }
                doc = list.advance();
            }
        }
        let frequency = postings.len() as f32;
        let idf = (1.0 + (stats.documents - frequency + 0.5) / (frequency + 0.5)).ln();
        let factor = weight * idf * (K1 + 1.0);
        for (doc, count) in &postings {
            let (segment, id) = (doc.segment_ord as usize, doc.doc_id);
            let count = *count as f32;
            let norm = norms[usize::from(lengths[segment].fieldnorm_id(id))];
            scores[segment][id as usize] += factor * count / (count + norm);
        }
    }
    let mut found = Vec::new();
    for (segment, scores) in scores.iter().enumerate() {
        for (id, score) in scores.iter().enumerate() {
            let doc = DocAddress::new(segment as u32, id as u32);
            if *score > 0.0 && allowed.has(doc) {
                found.push((*score, doc));
            }
        }
    }
    Ok(found)
}

/// All allowed documents whose symbol is one of `names`, each with score 1.
pub(super) fn find_symbols(
    segments: &[Arc<Segment>],
    fields: &Fields,
    names: &[String],
    allowed: &Allowed,
) -> tantivy::Result<Vec<(f32, DocAddress)>> {
    let mut names: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
    names.sort_unstable();
    names.dedup();
    let mut found = Vec::new();
    for (ordinal, segment) in segments.iter().enumerate() {
        for name in &names {
            // A point has one symbol, so no document comes twice.
            for_each_live(
                &segment.reader,
                Term::from_field_bytes(fields.symbol, &keyword(name.as_bytes())),
                |doc| {
                    let doc = DocAddress::new(ordinal as u32, doc);
                    if allowed.has(doc) {
                        found.push((1.0, doc));
                    }
                },
            )?;
        }
    }
    Ok(found)
}

/// Visits the live documents of a segment that have a term.
pub(super) fn for_each_live(
    segment: &SegmentReader,
    term: Term,
    mut visit: impl FnMut(u32),
) -> tantivy::Result<()> {
    let index = segment.inverted_index(term.field())?;
    let Some(mut list) = index.read_postings(&term, IndexRecordOption::Basic)? else { return Ok(()) };
    let alive = segment.alive_bitset();
    let mut doc = list.doc();
    while doc != TERMINATED {
        if alive.is_none_or(|alive| alive.is_alive(doc)) {
            visit(doc);
        }
        doc = list.advance();
    }
    Ok(())
}
