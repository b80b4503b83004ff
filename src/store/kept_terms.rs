//! The terms of a point as a store keeps them: where they begin with those of its text, as a
//! chunk's do, only the others.
//!
//! What is kept says what [`lexical::tokenize`] gave when it was written. A test below holds
//! what that is: a tokenizer that gives anything else is a new version of every payload.

use crate::lexical;
use crate::store::Point;

/// Terms, shortened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeptTerms {
    /// Whether those of the point's text come first.
    pub(super) of_text: bool,
    /// The others, one a line.
    pub(super) others: String,
}

impl KeptTerms {
    /// Those of a point.
    pub(super) fn of(point: &Point) -> KeptTerms {
        let mut first = Vec::new();
        lexical::tokenize(&point.text, &mut first);
        let others = point.terms.strip_prefix(first.as_slice());
        KeptTerms { of_text: others.is_some(), others: others.unwrap_or(&point.terms).join("\n") }
    }

    /// All of them, of a point with this text.
    pub(super) fn all(&self, text: &str) -> Vec<String> {
        let mut terms = Vec::new();
        if self.of_text {
            lexical::tokenize(text, &mut terms);
        }
        // No term is empty.
        terms.extend(self.others.split('\n').filter(|term| !term.is_empty()).map(str::to_owned));
        terms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract::point;

    #[test]
    fn terms_come_back_and_those_of_the_text_are_not_kept() {
        let of_text = ["fn", "parse_header", "pars", "header"];
        let cases: [(&[&str], bool, &str); 5] = [
            (&["fn", "parse_header", "pars", "header", "symbol", "symbol"], true, "symbol\nsymbol"),
            (&of_text, true, ""),
            (&["fn", "parse_header", "pars"], false, "fn\nparse_header\npars"),
            (
                &["symbol", "fn", "parse_header", "pars", "header"],
                false,
                "symbol\nfn\nparse_header\npars\nheader",
            ),
            (&[], false, ""),
        ];
        for (terms, is_of_text, others) in cases {
            let mut point = point(b"a.rs", "", 0, "fn parse_header()");
            point.terms = terms.iter().map(|term| (*term).to_owned()).collect();
            let kept = KeptTerms::of(&point);
            assert_eq!((kept.of_text, kept.others.as_str()), (is_of_text, others), "{terms:?}");
            assert_eq!(kept.all(&point.text), point.terms);
        }
    }

    #[test]
    fn the_tokenizer_is_the_one_of_this_version() {
        let text = "pub fn parseHTTPHeader(naïve_Über: &str) -> Vec<Sha256> { matching queries; caches } \
                    // 日本 réused";
        let mut terms = Vec::new();
        lexical::tokenize(text, &mut terms);
        let expected = "pub fn parsehttpheader pars http header naïve_über naïve über str vec \
                        sha256 sha 256 match query cach 日本 日 本 réused";
        assert_eq!(terms.join(" "), expected, "stores hold payloads that were written with other terms");
    }
}
