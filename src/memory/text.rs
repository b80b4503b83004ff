//! Texts as they are kept: bounded, whole, and without secrets. Pure.

use super::MemoryError;
use crate::path::RepoPath;
use crate::redact::redact;

/// The longest summary, in bytes: within what the model reads, for English.
pub const MAX_SUMMARY: usize = 2 << 10;
/// The longest content, error message or solution, in bytes.
pub const MAX_CONTENT: usize = 256 << 10;
/// The longest tag, category or name of a session, in bytes.
pub(super) const MAX_NAME: usize = 100;
/// Tags of one memory at most.
pub(super) const MAX_TAGS: usize = 32;
/// References that are given to one checkpoint at most.
pub(super) const MAX_REFERENCES: usize = 128;

/// A text that may be empty: trimmed at its end, secrets replaced.
pub(super) fn kept(what: &'static str, text: &str, limit: usize) -> Result<String, MemoryError> {
    if text.contains('\0') {
        return Err(MemoryError::Nul { what });
    }
    if text.len() > limit {
        return Err(MemoryError::TooLong { what, bytes: text.len(), limit });
    }
    // Of the path only the name counts, where a whole file is a secret: this is none.
    let (text, _) = match RepoPath::new("memory.md") {
        Some(path) => redact(&path, text.trim_end()),
        None => (String::new(), 0),
    };
    Ok(text)
}

/// A text that must say something.
pub(super) fn required(what: &'static str, text: &str, limit: usize) -> Result<String, MemoryError> {
    match kept(what, text.trim(), limit)? {
        text if text.is_empty() => Err(MemoryError::Empty { what }),
        text => Ok(text),
    }
}

/// A name on one line.
pub(super) fn name(what: &'static str, text: &str) -> Result<String, MemoryError> {
    let words: Vec<&str> = text.split(|c: char| c.is_whitespace()).filter(|word| !word.is_empty()).collect();
    required(what, &words.join(" "), MAX_NAME)
}

/// Tags, sorted, each once.
pub(super) fn tags(tags: &[String]) -> Result<Vec<String>, MemoryError> {
    let mut tags: Vec<String> = tags.iter().map(|tag| name("tag", tag)).collect::<Result<_, _>>()?;
    tags.sort();
    tags.dedup();
    match tags.len() {
        0..=MAX_TAGS => Ok(tags),
        count => Err(MemoryError::TooMany { what: "tags", count, limit: MAX_TAGS }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_bounded_whole_and_without_secrets() {
        assert_eq!(required("summary", " a b\n", 9).unwrap(), "a b");
        assert_eq!(kept("content", "\n  code\n\n", 90).unwrap(), "\n  code");
        assert_eq!(name("tag", " two\n words ").unwrap(), "two words");
        let token = format!("ghp_{}", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8");
        assert!(!kept("content", &format!("use {token} here"), 900).unwrap().contains(&token));
        for (result, expected) in [
            (required("summary", " \n", 9), "summary is empty"),
            (required("summary", "a\0b", 9), "NUL"),
            (kept("content", &"x".repeat(10), 9), "10 bytes, and 9"),
            (name("tag", &"x".repeat(101)), "101 bytes"),
        ] {
            let error = result.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let given = ["b", "a", " b "].map(str::to_owned);
        assert_eq!(tags(&given).unwrap(), ["a", "b"]);
        let many: Vec<String> = (0..40).map(|n| n.to_string()).collect();
        assert!(tags(&many).unwrap_err().to_string().contains("40 tags"));
    }
}
