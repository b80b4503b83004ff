//! Identifiers, one newtype per kind, with validating constructors.
//!
//! No I/O here, and no meaning beyond identity: an id never knows how to fetch
//! what it names.

use std::fmt;
use std::path::Path;

use sha2::{Digest, Sha256};

/// BLAKE3 of some bytes: a whole file, or the bytes of one chunk as they are on
/// disk (before redaction).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash(pub [u8; 32]);

impl ContentHash {
    /// Hashes `bytes`.
    pub fn of(bytes: &[u8]) -> ContentHash {
        ContentHash(*blake3::hash(bytes).as_bytes())
    }

    /// Parses 64 hexadecimal digits.
    pub fn from_hex(hex: &str) -> Option<ContentHash> {
        decode_hex(hex)?.try_into().ok().map(ContentHash)
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode_hex(&self.0))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({})", encode_hex(&self.0[..6]))
    }
}

/// Identity of a text that is embedded: the first 128 bits of its BLAKE3.
///
/// Two chunks with the same text share a key and so share a vector. Together
/// with a [`Fingerprint`] it is the key of the embedding cache.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VectorKey(pub [u8; 16]);

impl VectorKey {
    /// The key of `text`, exactly as it is given to the model.
    pub fn of(text: &str) -> VectorKey {
        let hash = blake3::hash(text.as_bytes());
        let mut key = [0; 16];
        key.copy_from_slice(&hash.as_bytes()[..16]);
        VectorKey(key)
    }
}

impl fmt::Debug for VectorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VectorKey({})", encode_hex(&self.0[..6]))
    }
}

/// Id of a point: a UUID (version 8, RFC 9562) made from BLAKE3 over path,
/// symbol path, ordinal and chunk hash, so that the same content at the same
/// place has the same id on every machine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PointId(pub [u8; 16]);

impl PointId {
    /// The id of the `ordinal`-th chunk that has this path, symbol path and content.
    pub fn new(path: &[u8], symbol_path: &str, ordinal: u32, chunk: &ContentHash) -> PointId {
        let mut hasher = blake3::Hasher::new();
        for part in [path, symbol_path.as_bytes(), &ordinal.to_le_bytes(), &chunk.0] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mut id = [0; 16];
        id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        id[6] = (id[6] & 0x0f) | 0x80;
        id[8] = (id[8] & 0x3f) | 0x80;
        PointId(id)
    }

    /// Parses the hyphenated form.
    pub fn parse(text: &str) -> Option<PointId> {
        decode_hex(&text.replace('-', ""))?.try_into().ok().map(PointId)
    }
}

impl fmt::Display for PointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = encode_hex(&self.0);
        write!(f, "{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

impl fmt::Debug for PointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PointId({self})")
    }
}

/// What makes a vector comparable with another: model, revision, dimension,
/// pooling and text version, in one printable line such as
/// `all-minilm-l6-v2@1f0c…;384;mean;textify-1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub String);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// First 8 hexadecimal digits of SHA-256 over the bytes of a canonical absolute
/// path: the project hash and the worktree hash.
pub fn path_hash8(canonical: &Path) -> String {
    bytes_hash8(canonical.as_os_str().as_encoded_bytes())
}

/// First 8 hexadecimal digits of SHA-256 over `bytes`.
pub fn bytes_hash8(bytes: &[u8]) -> String {
    encode_hex(&Sha256::digest(bytes)[..4])
}

/// A name was refused; the text says why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what} {name:?}: it must match ^[a-z0-9_]{{1,64}}$")]
pub struct InvalidName {
    /// What was to be named: `database`, `collection`, `team`, …
    pub what: &'static str,
    /// The refused name.
    pub name: String,
}

fn validate(what: &'static str, name: &str) -> Result<String, InvalidName> {
    let valid = (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if valid { Ok(name.to_owned()) } else { Err(InvalidName { what, name: name.to_owned() }) }
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Accepts names that match `^[a-z0-9_]{1,64}$`.
            pub fn new(name: &str) -> Result<$name, InvalidName> {
                validate($what, name).map($name)
            }

            /// The name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_type!(
    /// Name of a tenant database, such as `project_1a2b3c4d`.
    DatabaseName,
    "database name"
);
name_type!(
    /// Name of a collection, such as `local_cargo_codebase_1a2b3c4d`.
    CollectionName,
    "collection name"
);

name_type!(
    /// Name of a team of an organisation.
    TeamName,
    "team name"
);
name_type!(
    /// Name of a project of an organisation.
    ProjectName,
    "project name"
);
name_type!(
    /// Name of a person in an organisation.
    UserName,
    "user name"
);

/// Lower-case hexadecimal digits of `bytes`.
pub fn encode_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)] as char);
        out.push(DIGITS[usize::from(byte & 15)] as char);
    }
    out
}

/// The bytes of an even number of hexadecimal digits.
pub fn decode_hex(hex: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| (b as char).to_digit(16).map(|d| d as u8);
    let bytes = hex.as_bytes();
    if !bytes.len().is_multiple_of(2) {
        return None;
    }
    bytes.chunks_exact(2).map(|pair| Some((digit(pair[0])? << 4) | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_validated_in_one_place() {
        for good in ["a", "project_1a2b3c4d", &"x".repeat(64)] {
            assert!(DatabaseName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "A", "a-b", "../a", "a/b", "é", "а", "a b", "a\0", &"x".repeat(65)] {
            let error = DatabaseName::new(bad).expect_err(bad);
            assert!(error.to_string().contains("^[a-z0-9_]{1,64}$"), "{error}");
        }
    }

    #[test]
    fn hex_round_trips() {
        let hash = ContentHash::of(b"content");
        assert_eq!(ContentHash::from_hex(&hash.to_string()), Some(hash));
        assert_eq!(ContentHash::from_hex("zz"), None);
        let id = PointId::new(b"src/a.rs", "a::b", 0, &hash);
        assert_eq!(PointId::parse(&id.to_string()), Some(id));
        assert_eq!(id.to_string().as_bytes()[14], b'8');
    }

    #[test]
    fn point_ids_depend_on_every_part() {
        let hash = ContentHash::of(b"content");
        let base = PointId::new(b"a", "b", 0, &hash);
        let others = [
            PointId::new(b"ab", "", 0, &hash),
            PointId::new(b"a", "c", 0, &hash),
            PointId::new(b"a", "b", 1, &hash),
            PointId::new(b"a", "b", 0, &ContentHash::of(b"other")),
        ];
        assert!(others.iter().all(|other| *other != base));
    }
}
