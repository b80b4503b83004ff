//! Which error messages are one and the same: what differs from run to run is taken
//! out of them. Pure; linear in the text.

use std::sync::LazyLock;

use regex::Regex;

/// The message without what differs from run to run: colours, times, ids and addresses,
/// paths and numbers, and the form of white space.
pub(super) fn normalise(message: &str) -> String {
    let mut text = ANSI.replace_all(message, "").into_owned();
    for (pattern, name) in RULES.iter() {
        text = pattern.replace_all(&text, *name).into_owned();
    }
    let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

fn pattern(text: &str) -> Regex {
    // A test compiles each of them.
    Regex::new(text).expect("a pattern of this file")
}

/// Control sequences of terminals: colours, titles and links.
static ANSI: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])|\x{9b}[0-?]*[ -/]*[@-~]")
});

/// In this order: a time holds numbers, and so does an address.
static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    vec![
        (
            pattern(
                r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?|\b\d\d:\d\d:\d\d(?:[.,]\d+)?",
            ),
            "<time>",
        ),
        (pattern(r"\b0[xX][0-9a-fA-F]+\b"), "<hex>"),
        (pattern(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "<hex>"),
        // Drives, and anything with a separator between two names or before one. The place in
        // a file goes with it.
        (
            pattern(
                r"(?:\b[A-Za-z]:\\|\\\\|~/|\.{0,2}/)?[\w.@+-]*(?:[/\\][\w.@+-]+)+[/\\]?(?::\d+(?::\d+)?)?",
            ),
            "<path>",
        ),
        // Digests and ids: long, and of digits and letters both.
        (pattern(r"\b(?:[0-9]+[a-fA-F]|[a-fA-F]+[0-9])[0-9a-fA-F]{5,}\b"), "<hex>"),
        (pattern(r"\b\d+(?:\.\d+)*(?:ns|us|µs|ms|s|m|h|[KMGT]i?B|B|%)?\b"), "<n>"),
    ]
});

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_differs_from_run_to_run_is_taken_out() {
        for (message, expected) in [
            ("", ""),
            ("  plain   words\n\tstay ", "plain words stay"),
            ("\x1b[1;31merror\x1b[0m: no", "error: no"),
            ("\x1b]8;;file:///a\x1b\\link\x1b]8;;\x1b\\", "link"),
            ("error[E0308]: mismatched types", "error[E0308]: mismatched types"),
            ("at line 12, column 5", "at line <n>, column <n>"),
            ("took 1.25s, 300 ms, 12MiB", "took <n>, <n> ms, <n>"),
            ("--> src/main.rs:12:5", "--> <path>"),
            ("/home/ada/project/x.py: denied", "<path>: denied"),
            ("C:\\Users\\ada\\x.py not found", "<path> not found"),
            ("open ../a/b.txt failed", "open <path> failed"),
            ("segfault at 0x7ffde01f", "segfault at <hex>"),
            ("object 1f0c3a9bde missing", "object <hex> missing"),
            ("id 123e4567-e89b-12d3-a456-426614174000", "id <hex>"),
            ("2026-11-23T18:10:44.123Z WARN retry", "<time> WARN retry"),
            ("[18:10:44] retry", "[<time>] retry"),
            ("utf8 and x86 and base64 stay", "utf8 and x86 and base64 stay"),
            ("deadbeef is a word, facade too", "deadbeef is a word, facade too"),
            ("port 8080 on 127.0.0.1", "port <n> on <n>"),
        ] {
            assert_eq!(normalise(message), expected, "{message:?}");
        }
    }

    #[test]
    fn the_same_error_of_two_runs_is_one() {
        let first = "2026-11-23 18:10:44 \x1b[31mERROR\x1b[0m /home/ada/app/db.rs:42: timeout after 30s (0xdeadbeef01)";
        let second = "2026-11-24 09:00:01 ERROR /srv/app/db.rs:57: timeout after 31s (0xdeadbeef02)";
        assert_eq!(normalise(first), normalise(second));
        assert_ne!(normalise(first), normalise("refused after 30s"));
    }

    proptest! {
        #[test]
        fn what_is_normalised_stays(message in "(?s)[ -~\x1b\n]{0,80}|.{0,60}") {
            let once = normalise(&message);
            prop_assert_eq!(normalise(&once), once);
        }
    }
}
