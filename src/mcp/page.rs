//! A text of a bounded size. What is counted is what is sent: a line break, a tab or a quote
//! counts as JSON writes it. Pure.

/// Bytes that are taken for a token. Of code a token is somewhat less, so that a budget
/// holds on the safe side.
const BYTES_A_TOKEN: usize = 4;
/// Fewer tokens than this say nothing.
const MIN_TOKENS: u64 = 100;
/// More than this is never sent at once.
pub(super) const MAX_TOKENS: u64 = 20_000;
/// The default; five hits stay below 2.7 kB.
pub(super) const DEFAULT_TOKENS: u64 = 640;

/// A text that grows up to its budget.
pub(super) struct Page {
    text: String,
    /// Bytes left.
    left: usize,
    /// Bytes kept for what is written last.
    kept: usize,
}

/// What a text costs on the wire.
pub(super) fn cost(text: &str) -> usize {
    text.bytes()
        .map(|byte| match byte {
            b'"' | b'\\' | b'\n' | b'\t' | b'\r' => 2,
            0..0x20 => 6,
            _ => 1,
        })
        .sum()
}

impl Page {
    pub(super) fn new(tokens: Option<u64>) -> Page {
        let tokens = tokens.unwrap_or(DEFAULT_TOKENS).clamp(MIN_TOKENS, MAX_TOKENS);
        Page { text: String::new(), left: tokens as usize * BYTES_A_TOKEN, kept: 0 }
    }

    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// Keeps up to so many bytes for what is written last.
    pub(super) fn reserve(&mut self, bytes: usize) {
        let bytes = bytes.min(self.left);
        self.left -= bytes;
        self.kept += bytes;
    }

    /// Gives back what was kept.
    pub(super) fn release(&mut self) {
        self.left += std::mem::take(&mut self.kept);
    }

    /// Writes `text` whole, or not at all.
    pub(super) fn write(&mut self, text: &str) -> bool {
        let cost = cost(text);
        if cost > self.left {
            return false;
        }
        self.left -= cost;
        self.text.push_str(text);
        true
    }

    /// Writes as many of `lines`, whole, as cost at most `most`; how many.
    pub(super) fn write_lines<'a>(&mut self, lines: impl IntoIterator<Item = &'a str>, most: usize) -> usize {
        let most = most.min(self.left);
        let (mut spent, mut written) = (0, 0);
        for line in lines {
            let line_cost = cost(line) + 2;
            if spent + line_cost > most {
                break;
            }
            spent += line_cost;
            self.text.push_str(line);
            self.text.push('\n');
            written += 1;
        }
        self.left -= spent;
        written
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }
}

/// At most so many characters of a text, on one line.
pub(super) fn short(text: &str, most: usize) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match one_line.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &one_line[..at]),
        None => one_line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_those_of_json() {
        for text in ["", "a\n\"b\"\t\\", "\u{1}\u{7}", "é…", "fn a() {\r\n}"] {
            let json = serde_json::to_string(text).expect("a string");
            // The two shorthands that JSON has besides only make it cheaper.
            assert!(json.len() - 2 <= cost(text), "{text:?}");
        }
    }

    #[test]
    fn a_page_never_grows_over_its_budget() {
        let mut page = Page::new(Some(0));
        assert!(page.write(&"x".repeat(390)));
        assert!(!page.write("0123456789-"));
        assert_eq!(page.write_lines(["a", "b", "", "d"], 1000), 3);
        assert_eq!(page.left(), 2);
        assert!(cost(&page.into_text()) <= 400);
    }
}
