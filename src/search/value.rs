//! What in a query is a value of somebody's run: an address, a time, a number, an id. A program
//! that printed it has a placeholder there, so a value is in no source, while the words around it
//! are. Pure.

/// Whether a word of a query, without blanks, is a value. What is not surely one is none: `utf-8`,
/// `1.2.3` and `sha256` are things that code is about.
pub(super) fn is_value(word: &str) -> bool {
    // The number of a report or of a change.
    if word.trim_start_matches(['(', '[']).starts_with('#') {
        return false;
    }
    let word = word.trim_matches(|c: char| !c.is_alphanumeric());
    if let Some((scheme, _)) = word.split_once("://") {
        return scheme.ends_with(|c: char| c.is_ascii_alphanumeric());
    }
    is_mail(word)
        || is_time_or_address(word)
        || is_duration(word)
        || word.split(['-', '_', '/', '=']).any(is_id)
}

/// `ada@example.org`.
fn is_mail(word: &str) -> bool {
    let parts = word.split_once('@');
    parts.is_some_and(|(name, host)| !name.is_empty() && host.contains('.') && !host.contains('@'))
}

/// `2026-03-04T11:02:17Z`, `09:14:55`, `10.1.2.3:51514`, `16777216`.
fn is_time_or_address(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    digits >= 5 && word.bytes().all(|b| b.is_ascii_digit() || b".:-/+,TZ".contains(&b))
}

/// `3m12s`, `250ms`.
fn is_duration(word: &str) -> bool {
    let mut rest = word;
    while !rest.is_empty() {
        let unit = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        if unit.len() == rest.len() {
            return false;
        }
        let next = unit.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        if !["ns", "us", "µs", "ms", "s", "m", "h"].contains(&&unit[..unit.len() - next.len()]) {
            return false;
        }
        rest = next;
    }
    !word.is_empty()
}

/// `1badb002`: of at least seven hexadecimal digits, some of which are decimal.
fn is_id(part: &str) -> bool {
    part.len() >= 7 && part.bytes().all(|b| b.is_ascii_hexdigit()) && part.bytes().any(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_from_words() {
        let values = [
            "https://hooks.example.com/in",
            "(http://localhost:8080/)",
            "url=https://a.b",
            "ada@example.org",
            "2026-03-04T11:02:17Z",
            "09:14:55",
            "10.1.2.3:51514",
            "16777216",
            "3m12s",
            "250ms",
            "1.5s",
            "1badb002,",
            "job-018c251c0000-00000a",
            "550e8400-e29b-41d4-a716-446655440000",
        ];
        let words = [
            "",
            "://",
            "a://",
            "#12345",
            "(#12345)",
            "utf-8",
            "1.2.3",
            "sha256",
            "http2",
            "x86-64",
            "base64",
            "502",
            "404:",
            "@decorator",
            "user@host",
            "deadbeef",
            "feedback",
            "m",
            "5m0s5x",
            "std::fmt",
            "a/b.rs:12",
            "42",
            "v1.20.3",
            "12345abcxyz",
            "msg",
            "ms",
        ];
        assert_eq!(values.iter().filter(|word| !is_value(word)).collect::<Vec<_>>(), [&""; 0]);
        assert_eq!(words.iter().filter(|word| is_value(word)).collect::<Vec<_>>(), [&""; 0]);
    }
}
