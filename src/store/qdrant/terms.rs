//! BM25 as a sparse vector.
//!
//! A document's value for a term is the saturated, length-normalised frequency of BM25; the
//! inverse document frequency is the server's, over the collection's own visible points; a
//! query's value is the probe's weight. The dot product of the two is the BM25 score.
//!
//! Scores differ from the embedded provider's in two ways. The mean length of a document is a
//! constant here, because a document's value is computed once, when it is written, and cannot
//! follow what is written later. And a term is 32 bits of its hash, so that two terms may
//! count as one: among 100,000 distinct terms about one pair does.

use std::collections::BTreeMap;

use qdrant_client::qdrant::SparseVector;

/// Saturation of the term frequency, and strength of the length normalisation, as the
/// embedded provider has them.
const K1: f32 = 1.2;
const B: f32 = 0.75;
/// Mean number of terms of a chunk: that of 44,135 chunks of eight repositories in Rust, Go,
/// TypeScript, JavaScript and Python, whose own means are 83 to 137.
const MEAN_LENGTH: f32 = 112.0;

/// The vector of a document; `None` where it has no terms.
pub(super) fn document(terms: &[String]) -> Option<SparseVector> {
    let mut counts: BTreeMap<u32, f32> = BTreeMap::new();
    for term in terms {
        *counts.entry(index(term)).or_default() += 1.0;
    }
    let norm = K1 * (1.0 - B + B * terms.len() as f32 / MEAN_LENGTH);
    sparse(counts.into_iter().map(|(index, count)| (index, count * (K1 + 1.0) / (count + norm))))
}

/// The vector of a query; `None` where nothing in it counts.
pub(super) fn query(terms: &[(String, f32)]) -> Option<SparseVector> {
    let mut weights: BTreeMap<u32, f32> = BTreeMap::new();
    for (term, weight) in terms {
        *weights.entry(index(term)).or_default() += weight;
    }
    sparse(weights.into_iter().filter(|(_, weight)| *weight > 0.0 && weight.is_finite()))
}

fn sparse(entries: impl Iterator<Item = (u32, f32)>) -> Option<SparseVector> {
    let (indices, values): (Vec<u32>, Vec<f32>) = entries.unzip();
    (!indices.is_empty()).then_some(SparseVector { values, indices })
}

fn index(term: &str) -> u32 {
    let hash = blake3::hash(term.as_bytes());
    let [a, b, c, d, ..] = *hash.as_bytes();
    u32::from_le_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn more_of_a_term_counts_more_and_saturates() {
        let value = |text: &str| document(&words(text)).unwrap().values[0];
        let (one, two, many) = (value("a"), value("a a"), value(&"a ".repeat(50)));
        assert!(one < two && two < many && many < K1 + 1.0, "{one} {two} {many}");
        // The same count in a longer document counts less.
        let long = document(&words(&format!("a {}", "b ".repeat(300)))).unwrap();
        let at = long.indices.iter().position(|i| *i == index("a")).unwrap();
        assert!(long.values[at] < one);
        assert_eq!(document(&[]), None);
        // A term alone in a document of mean length has the value 1.
        let mean: Vec<String> = (0..MEAN_LENGTH as usize).map(|n| n.to_string()).collect();
        assert!(document(&mean).unwrap().values.iter().all(|v| (v - 1.0).abs() < 1e-6));
    }

    #[test]
    fn weights_of_a_term_add_up_and_bad_ones_are_left_out() {
        let terms = |terms: &[(&str, f32)]| -> Vec<(String, f32)> {
            terms.iter().map(|(t, w)| ((*t).to_owned(), *w)).collect()
        };
        let vector = query(&terms(&[("a", 1.0), ("b", 0.0), ("a", 0.5), ("c", f32::NAN), ("d", -1.0)]));
        assert_eq!(vector, Some(SparseVector { values: vec![1.5], indices: vec![index("a")] }));
        assert_eq!(query(&terms(&[("b", 0.0)])), None);
        assert!(document(&words("b a c")).unwrap().indices.is_sorted());
    }
}
