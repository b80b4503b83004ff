//! The token budget: whether a text fits, asked of the tokenizer as seldom as
//! possible. Estimates steer; where one cannot decide, the tokenizer does.

/// Special tokens that a model adds to a text.
const SPECIAL: usize = 2;

/// A number of tokens, by looking at characters only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Estimate {
    /// Tenths of a token, close to the truth for code.
    pub(crate) tenths: usize,
    /// Hardly ever exceeded.
    pub(crate) most: usize,
}

impl Estimate {
    /// Tokens, close to the truth for code.
    pub(crate) fn likely(self) -> usize {
        self.tenths / 10
    }
}

impl std::ops::AddAssign for Estimate {
    fn add_assign(&mut self, other: Estimate) {
        self.tenths += other.tenths;
        self.most += other.most;
    }
}

/// Tenths of a token that a word of letters has by its length, as an English
/// word-piece vocabulary of 30,000 cuts the identifiers of code (measured).
const LETTERS: [usize; 18] = [0, 10, 11, 13, 12, 12, 13, 13, 14, 19, 20, 25, 28, 32, 38, 45, 49, 54];
/// The same for a word with digits in it.
const MIXED: [usize; 8] = [0, 10, 15, 16, 18, 24, 26, 30];

/// Estimates the tokens of `text` under a word-piece vocabulary: punctuation counts
/// one each, a word by its length, anything unusual by its bytes.
pub(crate) fn estimate(text: &str) -> Estimate {
    let mut sum = Estimate::default();
    let (mut letters, mut digits) = (0usize, 0usize);
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => letters += 1,
            b'0'..=b'9' => digits += 1,
            _ => {
                sum += word(letters, digits);
                (letters, digits) = (0, 0);
                if !byte.is_ascii_whitespace() {
                    sum += Estimate { tenths: 10, most: 1 };
                }
            }
        }
    }
    sum += word(letters, digits);
    sum
}

fn word(letters: usize, digits: usize) -> Estimate {
    let length = letters + digits;
    if length == 0 {
        Estimate::default()
    } else if digits == 0 {
        let tenths = LETTERS.get(length).copied().unwrap_or(length * 10 / 3);
        Estimate { tenths, most: 1 + length / 2 }
    } else {
        let tenths = MIXED.get(length).copied().unwrap_or(length * 9 / 2);
        Estimate { tenths, most: length }
    }
}

/// The budget of a chunk.
pub(super) struct Budget<'a> {
    pub(super) count: &'a dyn Fn(&str) -> usize,
    pub(super) max: usize,
}

impl Budget<'_> {
    /// Whether `text`, of which `estimate` was made, has at most the tokens allowed.
    ///
    /// Counted only where the estimates leave it open: over ten repositories one text
    /// in 10,000 had more than `most` (by at most 4 %), one in 1,000 more than 1.35
    /// times the likely number.
    pub(super) fn fits(&self, text: &str, estimate: Estimate) -> bool {
        let (likely, room) = (estimate.likely(), self.max.saturating_sub(SPECIAL));
        if text.len() <= room || estimate.most + estimate.most / 20 <= room {
            return true;
        }
        if likely + likely * 35 / 100 <= room && estimate.most - estimate.most / 10 <= room {
            return true;
        }
        likely * 3 / 4 <= self.max && (self.count)(text) <= self.max
    }

    /// Below this many tokens a piece seeks neighbours.
    pub(super) fn floor(&self) -> usize {
        40.min(self.max / 4)
    }

    /// Up to this many tokens a class, impl, trait or module stays one chunk.
    pub(super) fn whole(&self) -> usize {
        128.min(self.max / 4)
    }
}
