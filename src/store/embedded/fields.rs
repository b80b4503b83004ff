//! A point as a tantivy document: which fields are indexed, and the stored payload.
//!
//! All keywords are raw bytes, so that a path needs no valid UTF-8. There is no
//! indexed id: ids are two 64-bit columns, and finding some means scanning them,
//! which is faster than a dictionary of random keys and half the size.

use std::borrow::Cow;

use tantivy::TantivyDocument;
use tantivy::schema::{
    BytesOptions, Field, IndexRecordOption, NumericOptions, Schema, TextFieldIndexing, TextOptions, Value,
};
use tantivy::tokenizer::{Token, TokenStream, Tokenizer, TokenizerManager};

use crate::embed::Leg;
use crate::id::{ContentHash, PointId};
use crate::language::Language;
use crate::path::RepoPath;
use crate::store::Point;
use crate::store::codec::{Decoder, put_bytes, put_option, put_varint};
use crate::store::kept_terms::KeptTerms;
use crate::store::record::{put_keys, read_keys};

/// Name of the tokenizer of [`Fields::terms`].
const LINES: &str = "lines";

/// The fields of the index, by their role.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    pub(super) schema: Schema,
    pub(super) path: Field,
    pub(super) ancestor: Field,
    pub(super) language: Field,
    pub(super) kind: Field,
    pub(super) symbol: Field,
    pub(super) terms: Field,
    pub(super) attribute: Field,
    time: Field,
    id: [Field; 2],
    vectors: [[Field; 2]; Leg::ALL.len()],
    payload: Field,
}

/// Names of the two columns of an id.
pub(super) const ID_COLUMNS: [&str; 2] = ["id_0", "id_1"];
/// Names of the two columns of each leg's vector key.
pub(super) const VECTOR_COLUMNS: [[&str; 2]; Leg::ALL.len()] = [["text_0", "text_1"], ["code_0", "code_1"]];

/// Name of the column of times.
pub(super) const TIME_COLUMN: &str = "time";

impl Fields {
    pub(super) fn new() -> Fields {
        let mut builder = Schema::builder();
        let keyword = BytesOptions::default().set_indexed();
        let column = NumericOptions::default().set_fast();
        let terms = TextOptions::default().set_indexing_options(
            TextFieldIndexing::default()
                .set_tokenizer(LINES)
                .set_index_option(IndexRecordOption::WithFreqs)
                .set_fieldnorms(true),
        );
        Fields {
            path: builder.add_bytes_field("path", keyword.clone()),
            ancestor: builder.add_bytes_field("ancestor", keyword.clone()),
            language: builder.add_bytes_field("language", keyword.clone()),
            kind: builder.add_bytes_field("kind", keyword.clone()),
            symbol: builder.add_bytes_field("symbol", keyword.clone()),
            attribute: builder.add_bytes_field("attribute", keyword),
            terms: builder.add_text_field("terms", terms),
            time: builder.add_u64_field(TIME_COLUMN, column.clone()),
            id: ID_COLUMNS.map(|name| builder.add_u64_field(name, column.clone())),
            vectors: VECTOR_COLUMNS
                .map(|names| names.map(|name| builder.add_u64_field(name, column.clone()))),
            payload: builder.add_bytes_field("payload", BytesOptions::default().set_stored()),
            schema: builder.build(),
        }
    }

    pub(super) fn document(&self, point: &Point) -> TantivyDocument {
        let mut document = TantivyDocument::new();
        document.add_bytes(self.path, &keyword(point.path.as_bytes()));
        for ancestor in point.path.ancestors() {
            document.add_bytes(self.ancestor, &keyword(ancestor));
        }
        document.add_bytes(self.language, point.language.name().as_bytes());
        document.add_bytes(self.kind, &keyword(point.kind.as_bytes()));
        if let Some(symbol) = &point.symbol {
            document.add_bytes(self.symbol, &keyword(symbol.to_lowercase().as_bytes()));
        }
        for (name, value) in &point.attributes {
            document.add_bytes(self.attribute, &attribute(name, value));
        }
        if let Some(time) = point.time {
            document.add_u64(self.time, time);
        }
        document.add_text(self.terms, point.terms.join("\n"));
        for (field, value) in self.id.into_iter().zip(halves(&point.id.0)) {
            document.add_u64(field, value);
        }
        for (fields, key) in self.vectors.iter().zip(&point.vectors) {
            let Some(key) = key else { continue };
            for (field, value) in fields.iter().zip(halves(&key.0)) {
                document.add_u64(*field, value);
            }
        }
        document.add_bytes(self.payload, &encode_payload(point));
        document
    }

    /// The point in a stored document, without its terms; `None` where it is damaged.
    pub(super) fn point(&self, document: &TantivyDocument) -> Option<Point> {
        self.decode(document).map(|(point, _)| point)
    }

    /// The point in a stored document as it was put; `None` where it is damaged.
    pub(super) fn point_with_terms(&self, document: &TantivyDocument) -> Option<Point> {
        let (mut point, terms) = self.decode(document)?;
        point.terms = terms.all(&point.text);
        Some(point)
    }

    fn decode(&self, document: &TantivyDocument) -> Option<(Point, KeptTerms)> {
        decode_payload(document.get_first(self.payload)?.as_bytes()?)
    }

    /// Whether a stored document differs from that of `point` at most in its place.
    pub(super) fn differs_only_in_place(&self, document: &TantivyDocument, point: &Point) -> bool {
        let stored = document.get_first(self.payload).and_then(|payload| payload.as_bytes());
        let Some((stored, (former, _))) = stored.and_then(|bytes| Some((bytes, decode_payload(bytes)?)))
        else {
            return false;
        };
        let there = Point { bytes: former.bytes, lines: former.lines, ..point.clone() };
        encode_payload(&there) == stored
    }
}

/// The tokenizers that the fields name.
pub(super) fn tokenizers() -> TokenizerManager {
    let tokenizers = TokenizerManager::default();
    tokenizers.register(LINES, LineTokenizer::default());
    tokenizers
}

/// 128 bits as two numbers, in the order of the bytes.
pub(super) fn halves(bytes: &[u8; 16]) -> [u64; 2] {
    let both = u128::from_be_bytes(*bytes);
    [(both >> 64) as u64, both as u64]
}

/// 128 bits from two numbers.
pub(super) fn whole(halves: [u64; 2]) -> [u8; 16] {
    (u128::from(halves[0]) << 64 | u128::from(halves[1])).to_be_bytes()
}

/// A value as an index term. Terms are bounded; what is longer than any real path
/// or name is represented by its hash, marked by a byte that no path starts with.
pub(super) fn keyword(value: &[u8]) -> Cow<'_, [u8]> {
    const MAX: usize = 4096;
    if value.len() <= MAX {
        return Cow::Borrowed(value);
    }
    let mut hashed = vec![0];
    hashed.extend_from_slice(&ContentHash::of(value).0);
    Cow::Owned(hashed)
}

/// An attribute as an index term.
pub(super) fn attribute(name: &str, value: &str) -> Vec<u8> {
    keyword(format!("{name}\0{value}").as_bytes()).into_owned()
}

const PAYLOAD_VERSION: u8 = 4;

/// Version, fields in order, CRC-32 of all before. Versions:
/// 1: the first; 2: with a digest of the terms; 3: with attributes and time; 4: with the terms,
/// and no digest of them.
fn encode_payload(point: &Point) -> Vec<u8> {
    let mut out = Vec::with_capacity(point.text.len() + 192);
    out.push(PAYLOAD_VERSION);
    out.extend_from_slice(&point.id.0);
    out.extend_from_slice(&point.hash.0);
    put_bytes(&mut out, point.path.as_bytes());
    put_bytes(&mut out, point.language.name().as_bytes());
    put_bytes(&mut out, point.kind.as_bytes());
    for value in [&point.symbol, &point.container, &point.signature] {
        put_option(&mut out, value.as_ref(), |out, value| put_bytes(out, value.as_bytes()));
    }
    for value in [point.bytes.start, point.bytes.end, point.lines.0, point.lines.1] {
        put_varint(&mut out, u64::from(value));
    }
    put_keys(&mut out, &point.vectors);
    put_bytes(&mut out, point.text.as_bytes());
    let terms = KeptTerms::of(point);
    out.push(u8::from(terms.of_text));
    put_bytes(&mut out, terms.others.as_bytes());
    put_varint(&mut out, point.attributes.len() as u64);
    for part in point.attributes.iter().flat_map(|(name, value)| [name, value]) {
        put_bytes(&mut out, part.as_bytes());
    }
    put_option(&mut out, point.time, put_varint);
    let checksum = crc32fast::hash(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out
}

/// The point without its terms, and those as they are kept.
fn decode_payload(bytes: &[u8]) -> Option<(Point, KeptTerms)> {
    let (body, checksum) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
    if crc32fast::hash(body).to_le_bytes() != *checksum {
        return None;
    }
    let mut decoder = Decoder(body);
    if decoder.byte()? != PAYLOAD_VERSION {
        return None;
    }
    let mut point = Point {
        id: PointId(decoder.array()?),
        hash: ContentHash(decoder.array()?),
        path: RepoPath::new(decoder.bytes()?)?,
        language: Language::from_name(std::str::from_utf8(decoder.bytes()?).ok()?)?,
        kind: decoder.string()?,
        symbol: decoder.option(Decoder::string)?,
        container: decoder.option(Decoder::string)?,
        signature: decoder.option(Decoder::string)?,
        bytes: decoder.varint_u32()?..decoder.varint_u32()?,
        lines: (decoder.varint_u32()?, decoder.varint_u32()?),
        vectors: read_keys(&mut decoder)?,
        text: decoder.string()?,
        terms: Vec::new(),
        attributes: Default::default(),
        time: None,
    };
    let of_text = match decoder.byte()? {
        0 => false,
        1 => true,
        _ => return None,
    };
    let terms = KeptTerms { of_text, others: decoder.string()? };
    for _ in 0..decoder.varint()? {
        point.attributes.insert(decoder.string()?, decoder.string()?);
    }
    point.time = decoder.option(Decoder::varint)?;
    decoder.is_empty().then_some((point, terms))
}

/// One token per line: the terms come ready-made, and are not to be split again.
#[derive(Clone, Default)]
struct LineTokenizer {
    token: Token,
}

struct Lines<'a> {
    lines: std::str::Split<'a, char>,
    token: &'a mut Token,
}

impl Tokenizer for LineTokenizer {
    type TokenStream<'a> = Lines<'a>;
    fn token_stream<'a>(&'a mut self, text: &'a str) -> Lines<'a> {
        self.token.reset();
        Lines { lines: text.split('\n'), token: &mut self.token }
    }
}

impl TokenStream for Lines<'_> {
    fn advance(&mut self) -> bool {
        let Some(line) = self.lines.find(|line| !line.is_empty()) else { return false };
        self.token.text.clear();
        self.token.text.push_str(line);
        self.token.position = self.token.position.wrapping_add(1);
        true
    }
    fn token(&self) -> &Token {
        self.token
    }
    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::VectorKey;

    fn sample() -> Point {
        Point {
            id: PointId([3; 16]),
            path: RepoPath::new(b"caf\xe9/x.rs".as_slice()).unwrap(),
            language: Language::Rust,
            kind: "method".to_owned(),
            symbol: Some("Größe".to_owned()),
            container: None,
            signature: Some(String::new()),
            text: "fn größe() {}\n".repeat(30),
            terms: ["fn", "größ", "symbol"].map(str::to_owned).to_vec(),
            bytes: 0..u32::MAX,
            lines: (1, 30),
            hash: ContentHash::of(b"y"),
            vectors: [None, Some(VectorKey([9; 16]))],
            attributes: [("category".to_owned(), "test".to_owned())].into(),
            time: Some(1),
        }
    }

    #[test]
    fn payloads_round_trip_and_every_flip_is_found() {
        let bytes = encode_payload(&sample());
        let (mut point, terms) = decode_payload(&bytes).unwrap();
        assert!(point.terms.is_empty());
        point.terms = terms.all(&point.text);
        assert_eq!(point, sample());
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 4;
            assert_eq!(decode_payload(&damaged), None, "flip at {at}");
            assert_eq!(decode_payload(&bytes[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn only_a_change_of_place_is_one() {
        let fields = Fields::new();
        let document = fields.document(&sample());
        let with = |change: &dyn Fn(&mut Point)| {
            let mut point = sample();
            change(&mut point);
            fields.differs_only_in_place(&document, &point)
        };
        assert!(with(&|_| ()) && with(&|p| p.bytes = 7..8) && with(&|p| p.lines = (2, 9)));
        assert!(!with(&|p| p.terms.push("term".to_owned())));
        assert!(!with(&|p| p.text.push(' ')) && !with(&|p| p.signature = None));
        assert!(!with(&|p| p.vectors = [None; 2]));
        assert!(!with(&|p| p.time = None) && !with(&|p| p.attributes.clear()));
        assert!(!fields.differs_only_in_place(&TantivyDocument::new(), &sample()));
    }

    #[test]
    fn halves_keep_order_and_value() {
        let (low, high) = ([1; 16], [2; 16]);
        assert!(halves(&low) < halves(&high));
        assert_eq!(whole(halves(&high)), high);
    }

    #[test]
    fn long_keywords_are_bounded_and_distinct() {
        let (a, b) = (vec![b'a'; 70_000], vec![b'a'; 70_001]);
        assert_eq!(keyword(b"short").as_ref(), b"short");
        assert!(keyword(&a).len() < 64 && keyword(&a) != keyword(&b));
    }

    #[test]
    fn lines_are_tokens() {
        let mut tokenizer = LineTokenizer::default();
        let mut stream = tokenizer.token_stream("a b\n\nc");
        let mut tokens = Vec::new();
        while stream.advance() {
            tokens.push(stream.token().text.clone());
        }
        assert_eq!(tokens, ["a b", "c"]);
    }
}
