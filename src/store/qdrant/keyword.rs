//! Bytes as text that Qdrant can keep and compare: reversible, and readable where they are text.

use crate::id::ContentHash;

/// Longer ones are indexed by their hash. Above any path that an operating system takes.
const MAX: usize = 8192;

/// UTF-8 stands for itself, `\` for itself twice, any other byte as `\x` and two digits.
pub(super) fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(&chunk.valid().replace('\\', "\\\\"));
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// What [`escape`] was given; `None` where it gave no such text.
pub(super) fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('\\');
    bytes.extend_from_slice(parts.next()?.as_bytes());
    while let Some(part) = parts.next() {
        if part.is_empty() {
            // The second of two; what follows it is plain.
            bytes.push(b'\\');
            bytes.extend_from_slice(parts.next()?.as_bytes());
        } else {
            let (digits, rest) = part.strip_prefix('x')?.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            bytes.extend_from_slice(rest.as_bytes());
        }
    }
    Some(bytes)
}

/// A keyword to compare with, no longer than the index should hold.
pub(super) fn bounded(text: String) -> String {
    // No escaped text has this beginning.
    if text.len() <= MAX { text } else { format!("\\#{}", ContentHash::of(text.as_bytes())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_stays_readable() {
        for (bytes, text) in [
            (b"src/a.rs".as_slice(), "src/a.rs"),
            ("größe/\n".as_bytes(), "größe/\n"),
            (b"caf\xe9/e.rs", "caf\\xe9/e.rs"),
            (b"a\\x41", "a\\\\x41"),
            (b"\\", "\\\\"),
            (b"\xff\\\xfe", "\\xff\\\\\\xfe"),
        ] {
            assert_eq!(escape(bytes), text);
            assert_eq!(unescape(text).as_deref(), Some(bytes));
        }
        for bad in ["\\", "\\y", "\\x1", "\\xgg", "a\\b", "\\#00"] {
            assert_eq!(unescape(bad), None, "{bad}");
        }
        let (a, b) = (bounded("a".repeat(MAX + 1)), bounded("a".repeat(MAX + 2)));
        assert!(a != b && a.len() < 100 && unescape(&a).is_none());
        assert_eq!(bounded("a".repeat(MAX)).len(), MAX);
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(bytes: Vec<u8>, text: String) {
            prop_assert_eq!(unescape(&escape(&bytes)), Some(bytes));
            let _ = unescape(&text);
        }
    }
}
