//! Nearest vectors by cosine: an exact answer from an 8-bit scan.
//!
//! Each vector is kept in memory as one signed byte a component. Scanning those
//! gives every cosine to within a bound that is known for each vector; the few
//! that may be among the best are then computed from the file in full precision.
//! Plain loops over slices: the compiler makes them vector instructions.

use std::sync::Arc;

use tantivy::DocAddress;

use super::vectors::Vectors;

/// Vectors as signed bytes, scaled so that the largest component is 127. A copy
/// shares all but what is added to either.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Quantized {
    dimension: usize,
    blocks: Vec<Arc<Block>>,
}

/// Vectors of a block.
const BLOCK: usize = 1024;

#[derive(Clone, Debug, Default, PartialEq)]
struct Block {
    codes: Vec<i8>,
    /// By vector: the factor from a dot product of codes to a cosine.
    factors: Vec<f32>,
    /// By vector: length of (vector − decoded codes), in lengths of the vector.
    errors: Vec<f32>,
}

impl Quantized {
    pub(super) fn new(dimension: usize) -> Quantized {
        Quantized { dimension, blocks: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.blocks.last().map_or(0, |last| (self.blocks.len() - 1) * BLOCK + last.factors.len())
    }

    pub(super) fn push(&mut self, vector: &[f32]) {
        if self.len().is_multiple_of(BLOCK) {
            self.blocks.push(Arc::default());
        }
        let Some(block) = self.blocks.last_mut().map(Arc::make_mut) else { return };
        let start = block.codes.len();
        block.codes.resize(start + self.dimension, 0);
        let (factor, error) = quantize(vector, &mut block.codes[start..]);
        block.factors.push(factor);
        block.errors.push(error);
    }

    /// Codes, factor and error of a vector.
    fn get(&self, ordinal: u32) -> (&[i8], f32, f32) {
        let (block, at) = (ordinal as usize / BLOCK, ordinal as usize % BLOCK);
        let Block { codes, factors, errors } = &*self.blocks[block];
        (&codes[at * self.dimension..(at + 1) * self.dimension], factors[at], errors[at])
    }
}

/// Adding it to a number of moderate size leaves the number, rounded to an
/// integer, in the low bits of the sum: 1.5 × 2²³.
const ROUND: f32 = 12_582_912.0;

/// Fills `codes`; returns (scale ÷ length, relative error), both 0 for a vector
/// of length 0, whose cosine with anything counts as 0.
fn quantize(vector: &[f32], codes: &mut [i8]) -> (f32, f32) {
    let length = dot(vector, vector).sqrt();
    let largest = vector.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    if length == 0.0 || largest == 0.0 {
        return (0.0, 0.0);
    }
    let scale = largest / 127.0;
    let inverse = 127.0 / largest;
    let mut squares = [0.0f32; LANES];
    for (vector, codes) in vector.chunks(LANES).zip(codes.chunks_mut(LANES)) {
        for ((square, value), code) in squares.iter_mut().zip(vector).zip(codes) {
            let rounded = value * inverse + ROUND;
            *code = rounded.to_bits() as i8;
            let error = value - (rounded - ROUND) * scale;
            *square += error * error;
        }
    }
    (scale / length, squares.iter().sum::<f32>().sqrt() / length)
}

const LANES: usize = 16;

/// Dot product, summed in an order that does not depend on the machine.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

/// Dot product of codes. Widening a block first and multiplying then is what
/// compilers turn into multiply-add instructions. Wrapping cannot happen below
/// 130,000 dimensions, and an overflow check would keep it from being vectorised.
fn dot_codes(query: &[i16], codes: &[i8]) -> i32 {
    const BLOCK: usize = 32;
    let (query_blocks, query_rest) = query.as_chunks::<BLOCK>();
    let (code_blocks, code_rest) = codes.as_chunks::<BLOCK>();
    let mut sum = 0i32;
    for (query, codes) in query_blocks.iter().zip(code_blocks) {
        let wide = codes.map(i16::from);
        let mut block = 0i32;
        for (q, c) in query.iter().zip(&wide) {
            block = block.wrapping_add(i32::from(*q).wrapping_mul(i32::from(*c)));
        }
        sum = sum.wrapping_add(block);
    }
    for (q, c) in query_rest.iter().zip(code_rest) {
        sum = sum.wrapping_add(i32::from(*q).wrapping_mul(i32::from(*c)));
    }
    sum
}

/// The documents that have a vector in the file, by place in the file.
#[derive(Debug, Default)]
pub(super) struct VectorDocs(Vec<(u32, DocAddress)>);

impl VectorDocs {
    pub(super) fn new(mut docs: Vec<(u32, DocAddress)>) -> VectorDocs {
        docs.sort_unstable();
        VectorDocs(docs)
    }
}

/// Cosines of at least the best `limit` documents for which `allowed` holds, ties
/// at the end included; in no order. Documents that share a vector are all there.
pub(super) fn nearest(
    vectors: &Vectors,
    docs: &VectorDocs,
    query: &[f32],
    limit: usize,
    allowed: impl Fn(DocAddress) -> bool,
) -> Vec<(f32, DocAddress)> {
    if limit == 0 {
        return Vec::new();
    }
    let quantized = vectors.quantized();
    let length = dot(query, query).sqrt();
    let unit: Vec<f32> = query.iter().map(|v| if length == 0.0 { 0.0 } else { v / length }).collect();
    let mut codes = vec![0; unit.len()];
    let (query_factor, query_error) = quantize(&unit, &mut codes);
    let codes: Vec<i16> = codes.into_iter().map(i16::from).collect();

    // |q·v − q'·v'| ≤ |q||v−v'| + |q−q'||v'|, and a little for the arithmetic.
    let mut scanned: Vec<(f32, f32, u32)> = Vec::with_capacity(quantized.len());
    let mut last = None;
    for (ordinal, doc) in &docs.0 {
        if last == Some(*ordinal) || !allowed(*doc) {
            continue;
        }
        last = Some(*ordinal);
        let (code, factor, error) = quantized.get(*ordinal);
        let cosine = dot_codes(&codes, code) as f32 * factor * query_factor;
        let bound = error + query_error * (1.0 + error) + 1e-5;
        scanned.push((cosine - bound, cosine + bound, *ordinal));
    }
    if scanned.len() > limit {
        let (_, worst, _) = scanned.select_nth_unstable_by(limit - 1, |a, b| b.0.total_cmp(&a.0));
        let least = worst.0;
        scanned.retain(|(_, upper, _)| *upper >= least);
    }

    let mut found = Vec::with_capacity(scanned.len());
    let mut vector = vec![0.0; vectors.dimension()];
    for (_, _, ordinal) in scanned {
        vectors.read(ordinal, &mut vector);
        let length = dot(&vector, &vector).sqrt();
        let cosine = if length == 0.0 { 0.0 } else { (dot(&unit, &vector) / length).clamp(-1.0, 1.0) };
        let first = docs.0.partition_point(|(o, _)| *o < ordinal);
        let same = docs.0[first..].iter().take_while(|(o, _)| *o == ordinal);
        found.extend(same.filter(|(_, doc)| allowed(*doc)).map(|(_, doc)| (cosine, *doc)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::vectors;
    use super::*;
    use crate::id::VectorKey;
    use proptest::prelude::*;
    use tantivy::directory::OwnedBytes;

    fn vector(dimension: usize) -> impl Strategy<Value = Vec<f32>> {
        // Spikes beside small values are the worst case for a common scale.
        let component = prop_oneof![8 => -0.1f32..0.1, 1 => -8f32..8.0, 1 => Just(0.0)];
        let rounded = component.prop_map(|v| half::f16::from_f32(v).to_f32());
        proptest::collection::vec(rounded, dimension)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_scan_finds_exactly_what_brute_force_finds(
            stored in proptest::collection::vec(vector(37), 1..120),
            query in vector(37),
            limit in 1usize..20,
        ) {
            let mut bytes = vectors::header(37);
            let mut docs = Vec::new();
            for (i, v) in stored.iter().enumerate() {
                vectors::append(&mut bytes, VectorKey((i as u128).to_be_bytes()), v);
                // Every third vector belongs to two documents, every fifth to none.
                let copies = if i % 5 == 0 { 0 } else if i % 3 == 0 { 2 } else { 1 };
                docs.extend((0..copies).map(|c| (i as u32, DocAddress::new(c, i as u32))));
            }
            let vectors = Vectors::open(OwnedBytes::new(bytes), &[], 37, None).unwrap();
            let allowed = |doc: DocAddress| !doc.doc_id.is_multiple_of(7);
            let exact = |v: &[f32]| {
                let (l, n) = (dot(v, v).sqrt(), dot(&query, &query).sqrt());
                if l == 0.0 || n == 0.0 { 0.0 } else { dot(&query, v) / l / n }
            };
            let mut expected: Vec<_> = docs.iter().filter(|(_, d)| allowed(*d)).map(|(o, d)| (exact(&stored[*o as usize]), *d)).collect();
            expected.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            let docs = VectorDocs::new(docs);
            let mut found = nearest(&vectors, &docs, &query, limit, allowed);
            found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            prop_assert!(found.len() >= limit.min(expected.len()));
            let worst = expected.get(limit - 1).map_or(f32::MIN, |e| e.0);
            for (score, doc) in expected.iter().take_while(|e| e.0 > worst + 1e-5) {
                prop_assert!(found.iter().any(|f| f.1 == *doc && (f.0 - score).abs() < 1e-5), "{:?} is missing", doc);
            }
            for (rank, (score, _)) in found.iter().take(limit).enumerate() {
                prop_assert!((score - expected[rank].0).abs() < 1e-5);
            }
        }
    }
}
