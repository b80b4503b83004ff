//! Chunks and manifest records as points, and back.
//!
//! Every field of a chunk can be read in the payload as what it is, since people look there
//! too. A digest over all of them tells whether they are what was written.

use std::collections::BTreeMap;

use qdrant_client::qdrant::vector::Vector as Kind;
use qdrant_client::qdrant::vectors::VectorsOptions;
use qdrant_client::qdrant::{DenseVector, NamedVectors, PointStruct, Vector, Vectors};

use super::fields::{Fields, list, map, number, payload, text};
use super::keyword::{bounded, escape, unescape};
use super::names::{file_id, vector_name, version_id};
use super::remote::Payload;
use super::scope::{field, role};
use super::terms;
use crate::embed::Leg;
use crate::id::{ContentHash, PointId, VectorKey, decode_hex, encode_hex};
use crate::language::Language;
use crate::manifest::FileRecord;
use crate::path::RepoPath;
use crate::store::codec::{Decoder, put_frame};
use crate::store::kept_terms::KeptTerms;
use crate::store::record::{put_record, read_record};
use crate::store::{Legs, Point};

/// Name of the sparse vector of BM25.
pub(super) const TERMS: &str = "bm25";
/// The greatest time that the index tells from others.
const MAX_TIME: u64 = 1 << 53;

/// To which life and generation a version of a point belongs.
pub(super) struct Version<'a> {
    pub(super) tenant: &'a str,
    pub(super) life: &'a str,
    pub(super) generation: u64,
}

impl Version<'_> {
    fn point(
        &self,
        role: &'static str,
        id: &PointId,
        mut fields: Payload,
        vectors: NamedVectors,
    ) -> PointStruct {
        fields.extend(payload([
            (field::ROLE, text(role)),
            (field::TENANT, text(self.tenant)),
            (field::ID, text(id.to_string())),
            (field::FROM, number(self.generation)),
        ]));
        PointStruct {
            id: Some(version_id(self.life, role, id, self.generation)),
            payload: fields,
            vectors: Some(Vectors { vectors_options: Some(VectorsOptions::Vectors(vectors)) }),
        }
    }

    /// A chunk with those of its vectors that are known; `legs` name them.
    pub(super) fn chunk(&self, point: &Point, legs: &Legs, dense: [Option<&[f32]>; 2]) -> PointStruct {
        let mut vectors = NamedVectors::default();
        if let Some(sparse) = terms::document(&point.terms) {
            vectors.vectors.insert(TERMS.to_owned(), vector(Kind::Sparse(sparse)));
        }
        for (leg, dense) in Leg::ALL.into_iter().zip(dense) {
            if let Some((name, dense)) = vector_name(leg, legs).zip(dense) {
                vectors.vectors.insert(name, dense_vector(dense.to_vec()));
            }
        }
        self.point(role::CHUNK, &point.id, encode(point), vectors)
    }

    /// A manifest record.
    pub(super) fn file(&self, path: &RepoPath, record: &FileRecord) -> PointStruct {
        let mut bytes = Vec::new();
        put_record(&mut bytes, record, &[]);
        let mut framed = vec![RECORD_VERSION];
        put_frame(&mut framed, &bytes);
        let fields =
            payload([(field::PATH, text(escape(path.as_bytes()))), (RECORD, text(encode_hex(&framed)))]);
        self.point(role::FILE, &file_id(path), fields, NamedVectors::default())
    }
}

/// A dense vector as the server takes it.
pub(super) fn dense_vector(data: Vec<f32>) -> Vector {
    vector(Kind::Dense(DenseVector { data }))
}

fn vector(vector: Kind) -> Vector {
    Vector { vector: Some(vector), ..Vector::default() }
}

/// Bytes that a point takes on the wire, roughly.
pub(super) fn size(point: &Point) -> usize {
    point.text.len() + 8 * point.terms.len() + 4 * 384 * point.vectors.iter().flatten().count() + 1024
}

/// Field of a manifest record: hexadecimal of a version byte and a frame. Versions: 1, the first.
const RECORD: &str = "record";
const RECORD_VERSION: u8 = 1;
/// Fields of the terms: whether those of the text come first, and the others, one a line.
const TERMS_OF_TEXT: &str = "terms_of_text";
const OTHER_TERMS: &str = "terms";
/// Field of the digest over all others of a chunk.
const DIGEST: &str = "digest";

/// The fields that [`decode_file`] reads.
pub(super) const FILE_FIELDS: &[&str] = &[field::PATH, RECORD];

/// The path and record of a point, or what is wrong with it.
pub(super) fn decode_file(fields: &Payload) -> Result<(RepoPath, FileRecord), String> {
    let fields = Fields(fields);
    let path = fields.text(field::PATH).and_then(unescape).and_then(RepoPath::new);
    let path = path.ok_or("a manifest record has no path")?;
    let record = || {
        let framed = decode_hex(fields.text(RECORD)?)?;
        let mut decoder = Decoder(&framed);
        if decoder.byte()? != RECORD_VERSION {
            return None;
        }
        let mut record = Decoder(decoder.frame()?);
        let decoded = read_record(&mut record, &[])?;
        (decoder.is_empty() && record.is_empty()).then_some(decoded)
    };
    let record =
        record().ok_or_else(|| format!("the manifest record of {path} does not match its checksum"))?;
    Ok((path, record))
}

/// An attribute as a keyword. Neither part has a NUL.
pub(super) fn attribute(name: &str, value: &str) -> String {
    bounded(format!("{name}\0{value}"))
}

/// A time as the index has it.
pub(super) fn indexed_time(time: u64) -> u64 {
    time.min(MAX_TIME)
}

/// A vector key as a keyword: 128 bits, which Qdrant indexes as a UUID.
pub(super) fn key_text(key: &VectorKey) -> String {
    PointId(key.0).to_string()
}

fn encode(point: &Point) -> Payload {
    let path = escape(point.path.as_bytes());
    let places = point.path.ancestors().map(|place| escape(place)).chain([path.clone()]);
    let places = list(places.map(|place| text(bounded(place))));
    let terms = KeptTerms::of(point);
    let mut fields = payload([
        (field::PLACE, places),
        (field::PATH, text(path)),
        (field::LANGUAGE, text(point.language.name())),
        (field::KIND, text(&point.kind)),
        ("text", text(&point.text)),
        ("start", number(point.bytes.start.into())),
        ("end", number(point.bytes.end.into())),
        ("first_line", number(point.lines.0.into())),
        ("last_line", number(point.lines.1.into())),
        ("hash", text(point.hash.to_string())),
        (DIGEST, text(digest(point, &terms))),
        (TERMS_OF_TEXT, number(terms.of_text.into())),
        (OTHER_TERMS, text(terms.others)),
    ]);
    let names = [("symbol", &point.symbol), ("container", &point.container), ("signature", &point.signature)];
    for (name, value) in names {
        fields.extend(value.as_ref().map(|value| (name.to_owned(), text(value))));
    }
    if let Some(symbol) = &point.symbol {
        fields.insert(field::SYMBOL_KEY.to_owned(), text(symbol_key(symbol)));
    }
    for (name, key) in field::KEYS.into_iter().zip(&point.vectors) {
        fields.extend(key.map(|key| (name.to_owned(), text(key_text(&key)))));
    }
    if !point.attributes.is_empty() {
        let keywords = point.attributes.iter().map(|(name, value)| text(attribute(name, value)));
        fields.insert(field::ATTRIBUTE.to_owned(), list(keywords));
        fields.insert("attributes".to_owned(), map(point.attributes.clone()));
    }
    if let Some(time) = point.time {
        fields.insert(field::TIME.to_owned(), number(indexed_time(time)));
        fields.insert("seconds".to_owned(), text(time.to_string()));
    }
    fields
}

/// A symbol's name as it is compared.
pub(super) fn symbol_key(name: &str) -> String {
    bounded(name.to_lowercase())
}

/// The chunk in a point's fields, without its terms, or what is wrong with it.
pub(super) fn decode_chunk(fields: &Payload) -> Result<Point, String> {
    decode_both(fields).map(|(point, _)| point)
}

/// The chunk in a point's fields as it was put, or what is wrong with it.
pub(super) fn decode_chunk_with_terms(fields: &Payload) -> Result<Point, String> {
    let (mut point, terms) = decode_both(fields)?;
    point.terms = terms.all(&point.text);
    Ok(point)
}

fn decode_both(fields: &Payload) -> Result<(Point, KeptTerms), String> {
    let fields = Fields(fields);
    let id = fields.id(field::ID).ok_or("a point has no id")?;
    let terms = || {
        Some(KeptTerms { of_text: fields.number(TERMS_OF_TEXT)? == 1, others: fields.owned(OTHER_TERMS)? })
    };
    let both = decode(id, fields).zip(terms());
    let both = both.filter(|(point, terms)| fields.text(DIGEST) == Some(&digest(point, terms)));
    both.ok_or_else(|| format!("the fields of point {id} do not match their digest"))
}

fn decode(id: PointId, fields: Fields<'_>) -> Option<Point> {
    let key = |name| fields.option(name, |f| f.id(name).map(|id| VectorKey(id.0)));
    let attribute = |(name, value): (&String, &qdrant_client::qdrant::Value)| {
        let value = match value.kind.as_ref()? {
            qdrant_client::qdrant::value::Kind::StringValue(value) => value,
            _ => return None,
        };
        Some((name.clone(), value.clone()))
    };
    Some(Point {
        id,
        path: RepoPath::new(unescape(fields.text(field::PATH)?)?)?,
        language: Language::from_name(fields.text(field::LANGUAGE)?)?,
        kind: fields.owned(field::KIND)?,
        symbol: fields.owned("symbol"),
        container: fields.owned("container"),
        signature: fields.owned("signature"),
        text: fields.owned("text")?,
        terms: Vec::new(),
        bytes: fields.number_u32("start")?..fields.number_u32("end")?,
        lines: (fields.number_u32("first_line")?, fields.number_u32("last_line")?),
        hash: ContentHash::from_hex(fields.text("hash")?)?,
        vectors: [key(field::KEYS[0])?, key(field::KEYS[1])?],
        attributes: match fields.map("attributes") {
            None => BTreeMap::new(),
            Some(attributes) => attributes.iter().map(attribute).collect::<Option<_>>()?,
        },
        time: fields.option("seconds", |f| f.text("seconds")?.parse().ok())?,
    })
}

/// Over all that a point says.
fn digest(point: &Point, terms: &KeptTerms) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut put = |part: Option<&[u8]>| {
        hasher.update(&part.map_or(u64::MAX, |part| part.len() as u64).to_le_bytes());
        hasher.update(part.unwrap_or_default());
    };
    let text = |value: &Option<String>| value.clone().map(String::into_bytes);
    let place = [point.bytes.start, point.bytes.end, point.lines.0, point.lines.1].map(u32::to_le_bytes);
    put(Some(&point.id.0));
    put(Some(point.path.as_bytes()));
    put(Some(point.language.name().as_bytes()));
    put(Some(point.kind.as_bytes()));
    for value in [&point.symbol, &point.container, &point.signature] {
        put(text(value).as_deref());
    }
    put(Some(point.text.as_bytes()));
    put(Some(&place.concat()));
    put(Some(&point.hash.0));
    for key in &point.vectors {
        put(key.as_ref().map(|key| key.0.as_slice()));
    }
    for part in point.attributes.iter().flat_map(|(name, value)| [name, value]) {
        put(Some(part.as_bytes()));
    }
    put(point.time.map(u64::to_le_bytes).as_ref().map(|time| time.as_slice()));
    put(Some(&[terms.of_text.into()]));
    put(Some(terms.others.as_bytes()));
    encode_hex(&hasher.finalize().as_bytes()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Point {
        Point {
            id: PointId([3; 16]),
            path: RepoPath::new(b"caf\xe9/x\\y.rs".as_slice()).unwrap(),
            language: Language::Rust,
            kind: "method".to_owned(),
            symbol: Some("Größe".to_owned()),
            container: None,
            signature: Some(String::new()),
            text: "fn größe() {}\0\n".repeat(3),
            terms: ["fn", "größ", "symbol"].map(str::to_owned).to_vec(),
            bytes: 0..u32::MAX,
            lines: (1, 30),
            hash: ContentHash::of(b"y"),
            vectors: [None, Some(VectorKey([9; 16]))],
            attributes: [("a.b".to_owned(), "test".to_owned())].into(),
            time: Some(u64::MAX),
        }
    }

    #[test]
    fn chunks_round_trip_and_any_other_field_is_found() {
        let version = Version { tenant: "d/c/l", life: "l", generation: 7 };
        let stored = version.chunk(&sample(), &[None, None], [None, None]);
        assert_eq!(decode_chunk_with_terms(&stored.payload), Ok(sample()));
        assert_eq!(decode_chunk(&stored.payload), Ok(Point { terms: Vec::new(), ..sample() }));
        assert_eq!(Fields(&stored.payload).number(field::FROM), Some(7));
        for name in
            ["path", "language", "kind", "text", "start", "last_line", "hash", "key_code", "symbol", "terms"]
        {
            let mut damaged = stored.payload.clone();
            damaged.insert(name.to_owned(), text("00"));
            assert!(decode_chunk(&damaged).is_err(), "{name}");
            damaged.remove(name);
            assert!(decode_chunk(&damaged).is_err(), "without {name}");
        }
        assert!(decode_chunk(&Payload::new()).is_err());
    }

    #[test]
    fn records_round_trip_and_every_flip_is_found() {
        let path = RepoPath::new(b"caf\xe9\n".as_slice()).unwrap();
        let state = crate::manifest::FileState::Skipped(crate::skip::SkipReason::Binary);
        let record = FileRecord { content: None, stat: None, tracked: true, state };
        let version = Version { tenant: "d/c/l", life: "l", generation: 1 };
        let stored = version.file(&path, &record).payload;
        assert_eq!(decode_file(&stored), Ok((path, record)));
        let hex = Fields(&stored).owned(RECORD).unwrap();
        for at in 0..hex.len() {
            let mut damaged = hex.clone().into_bytes();
            damaged[at] = if damaged[at] == b'0' { b'1' } else { b'0' };
            let mut fields = stored.clone();
            fields.insert(RECORD.to_owned(), text(String::from_utf8(damaged).unwrap()));
            assert!(decode_file(&fields).is_err(), "flip at {at}");
        }
    }
}
