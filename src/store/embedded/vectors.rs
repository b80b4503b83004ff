//! The vector file of one dense leg: append-only, content-addressed, exact.
//!
//! How many bytes count is recorded in the commit, which has the last ones itself.
//! Bytes beyond are an unfinished write: readers do not look at them, the next writer
//! cuts them off.
//!
//! Format 1: `CTXVECT1`, u32 dimension, u32 CRC-32 of both; then records of
//! (16 bytes vector key, `dimension` binary16 components, CRC-32 of both), all
//! little-endian.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use half::f16;
use half::slice::HalfFloatSliceExt;
use tantivy::directory::OwnedBytes;

use super::dense::Quantized;
use crate::id::VectorKey;

const MAGIC: &[u8; 8] = b"CTXVECT1";
/// Bytes before the first record.
pub(super) const HEADER_LEN: usize = 16;
const KEY_LEN: usize = 16;
const CHECKSUM_LEN: usize = 4;

/// Bytes of one record.
pub(super) fn record_len(dimension: usize) -> usize {
    KEY_LEN + 2 * dimension + CHECKSUM_LEN
}

/// The header of a file of vectors with `dimension` components.
pub(super) fn header(dimension: usize) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&(dimension as u32).to_le_bytes());
    let checksum = crc32fast::hash(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out
}

/// Appends a record. Components are rounded to binary16, which leaves what an
/// `Embedder` gives as it is.
pub(super) fn append(out: &mut Vec<u8>, key: VectorKey, vector: &[f32]) {
    let start = out.len();
    out.extend_from_slice(&key.0);
    for component in vector {
        out.extend_from_slice(&f16::from_f32(*component).to_le_bytes());
    }
    let checksum = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&checksum.to_le_bytes());
}

/// The committed vectors of one leg, mapped into memory and verified.
pub(super) struct Vectors {
    bytes: OwnedBytes,
    /// Records that follow the file's.
    tail: Vec<u8>,
    dimension: usize,
    ordinals: HashMap<VectorKey, u32>,
    /// Keys; made when they are first asked for.
    keys: OnceLock<Arc<HashSet<VectorKey>>>,
    /// For scanning; made at the first search.
    quantized: OnceLock<Quantized>,
}

impl Vectors {
    /// Reads the committed bytes of a file, and the records that follow them. `former` is
    /// an earlier, shorter state of the same: its part is not verified again.
    pub(super) fn open(
        bytes: OwnedBytes,
        tail: &[u8],
        dimension: usize,
        former: Option<&Vectors>,
    ) -> Result<Vectors, String> {
        if bytes.get(..HEADER_LEN) != Some(header(dimension).as_slice()) {
            return Err(format!("not a file of {dimension}-dimensional vectors of format 1"));
        }
        let record_len = record_len(dimension);
        let parts = [&bytes[HEADER_LEN..], tail];
        if parts.iter().any(|part| !part.len().is_multiple_of(record_len)) {
            return Err("it ends within a vector".to_owned());
        }
        let count = parts.iter().map(|part| part.len() / record_len).sum();
        let former = former.filter(|former| former.dimension == dimension && former.len() <= count);
        let mut ordinals = former.map(|former| former.ordinals.clone()).unwrap_or_default();
        let verified = ordinals.len();
        ordinals.reserve(count - verified);
        let records = parts.into_iter().flat_map(|part| part.chunks_exact(record_len));
        for (ordinal, record) in records.enumerate().skip(verified) {
            let (body, checksum) = record.split_at(record.len() - CHECKSUM_LEN);
            if crc32fast::hash(body).to_le_bytes() != *checksum {
                return Err(format!("vector {ordinal} does not match its checksum"));
            }
            let mut key = VectorKey([0; KEY_LEN]);
            key.0.copy_from_slice(&body[..KEY_LEN]);
            if ordinals.insert(key, ordinal as u32).is_some() {
                return Err(format!("vector {ordinal} is there twice"));
            }
        }
        let keys = OnceLock::new();
        if let Some(made) = former.and_then(|former| former.keys.get()) {
            let mut made = Arc::clone(made);
            if made.len() < ordinals.len() {
                let known = made.len() as u32;
                let new = ordinals.iter().filter(|(_, ordinal)| **ordinal >= known);
                Arc::make_mut(&mut made).extend(new.map(|(key, _)| *key));
            }
            let _ = keys.set(made);
        }
        let quantized = OnceLock::new();
        if let Some(made) = former.and_then(|former| former.quantized.get()) {
            let _ = quantized.set(made.clone());
        }
        let mut vectors = Vectors { bytes, tail: tail.to_vec(), dimension, ordinals, keys, quantized };
        vectors.extend_quantized();
        Ok(vectors)
    }

    /// Brings a quantized copy taken over from an earlier state up to date.
    fn extend_quantized(&mut self) {
        if let Some(mut quantized) = self.quantized.take() {
            self.quantize_into(&mut quantized);
            let _ = self.quantized.set(quantized);
        }
    }

    fn quantize_into(&self, quantized: &mut Quantized) {
        let mut buffer = vec![0.0; self.dimension];
        for ordinal in quantized.len()..self.len() {
            self.read(ordinal as u32, &mut buffer);
            quantized.push(&buffer);
        }
    }

    /// Number of vectors.
    pub(super) fn len(&self) -> usize {
        self.ordinals.len()
    }

    /// Components of a vector.
    pub(super) fn dimension(&self) -> usize {
        self.dimension
    }

    /// Keys.
    pub(super) fn keys(&self) -> Arc<HashSet<VectorKey>> {
        Arc::clone(self.keys.get_or_init(|| Arc::new(self.ordinals.keys().copied().collect())))
    }

    /// Place of a vector in the file.
    pub(super) fn ordinal(&self, key: &VectorKey) -> Option<u32> {
        self.ordinals.get(key).copied()
    }

    /// The bytes of a record, to copy it to another file.
    pub(super) fn record(&self, ordinal: u32) -> &[u8] {
        let len = record_len(self.dimension);
        let start = HEADER_LEN + ordinal as usize * len;
        match start.checked_sub(self.bytes.len()) {
            Some(start) => &self.tail[start..start + len],
            None => &self.bytes[start..start + len],
        }
    }

    /// Reads the components of a vector into `out`, which has as many.
    pub(super) fn read(&self, ordinal: u32, out: &mut [f32]) {
        let record = self.record(ordinal);
        let components = &record[KEY_LEN..record.len() - CHECKSUM_LEN];
        let mut halves = [f16::ZERO; 64];
        for (bytes, out) in components.chunks(128).zip(out.chunks_mut(64)) {
            for (half, bytes) in halves.iter_mut().zip(bytes.chunks_exact(2)) {
                *half = f16::from_le_bytes([bytes[0], bytes[1]]);
            }
            halves[..out.len()].convert_to_f32_slice(out);
        }
    }

    /// All vectors in the form that is scanned.
    pub(super) fn quantized(&self) -> &Quantized {
        self.quantized.get_or_init(|| {
            let mut quantized = Quantized::new(self.dimension);
            self.quantize_into(&mut quantized);
            quantized
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(vectors: &[(VectorKey, Vec<f32>)]) -> Vec<u8> {
        let mut bytes = header(vectors[0].1.len());
        for (key, vector) in vectors {
            append(&mut bytes, *key, vector);
        }
        bytes
    }

    fn sample(count: u8) -> Vec<(VectorKey, Vec<f32>)> {
        (0..count)
            .map(|i| (VectorKey([i; 16]), (0..70).map(|j| f32::from(i) - j as f32 / 8.0).collect()))
            .collect()
    }

    #[test]
    fn vectors_round_trip_bit_by_bit() {
        let sample = sample(5);
        let vectors = Vectors::open(OwnedBytes::new(file(&sample)), &[], 70, None).unwrap();
        let mut read = vec![0.0; 70];
        for (key, vector) in &sample {
            vectors.read(vectors.ordinal(key).unwrap(), &mut read);
            assert_eq!(&read, vector);
        }
    }

    #[test]
    fn a_longer_state_takes_over_the_shorter_one() {
        let whole = sample(9);
        let short = Vectors::open(OwnedBytes::new(file(&whole[..4])), &[], 70, None).unwrap();
        assert_eq!((short.quantized().len(), short.keys().len()), (4, 4));
        let fresh = Vectors::open(OwnedBytes::new(file(&whole)), &[], 70, None).unwrap();
        // All in the file, and the last three still behind it.
        let bytes = file(&whole);
        for in_file in [9, 6] {
            let (bytes, tail) = bytes.split_at(HEADER_LEN + in_file * record_len(70));
            let grown = Vectors::open(OwnedBytes::new(bytes.to_vec()), tail, 70, Some(&short)).unwrap();
            assert_eq!(grown.ordinals, fresh.ordinals);
            assert_eq!((grown.quantized(), grown.keys()), (fresh.quantized(), fresh.keys()));
            assert!((0..9).all(|ordinal| grown.record(ordinal) == fresh.record(ordinal)));
        }
    }

    #[test]
    fn every_flip_and_cut_is_found() {
        let bytes = file(&sample(3));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 2;
            assert!(Vectors::open(OwnedBytes::new(damaged), &[], 70, None).is_err(), "flip at {at}");
        }
        assert!(Vectors::open(OwnedBytes::new(bytes[..bytes.len() - 1].to_vec()), &[], 70, None).is_err());
        assert!(Vectors::open(OwnedBytes::new(Vec::new()), &[], 70, None).is_err());
        assert!(Vectors::open(OwnedBytes::new(bytes), &[], 71, None).is_err());
    }
}
