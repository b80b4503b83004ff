//! The token itself: 256 random bits that are shown once and never again.

use std::fmt;

use subtle::{Choice, ConstantTimeEq as _};

use crate::id::encode_hex;

/// How every token begins, so that scanners for secrets, `redact` among them, know it.
pub const PREFIX: &str = "ctxi_";

/// Hexadecimal digits of a token.
const DIGITS: usize = 64;

/// A token. Shown by [`Token::expose`] alone.
pub struct Token(String);

impl Token {
    /// A new one, of the operating system's randomness.
    pub(super) fn generate() -> Result<Token, getrandom::Error> {
        let mut bits = [0; DIGITS / 2];
        getrandom::fill(&mut bits)?;
        Ok(Token(format!("{PREFIX}{}", encode_hex(&bits))))
    }

    /// For whoever is to have it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub(super) fn hash(&self) -> [u8; 32] {
        hash(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

/// The hash of what was presented; `None` where it has not the form of a token, which is
/// no secret.
pub(super) fn hash(presented: &str) -> Option<[u8; 32]> {
    let digits = presented.strip_prefix(PREFIX)?;
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (digits.len() == DIGITS && digits.bytes().all(digit))
        .then(|| *blake3::hash(presented.as_bytes()).as_bytes())
}

/// The place of the hash that equals `wanted`. Every one of them is compared whole, so that
/// the time tells neither how much of one agrees nor which one it is.
pub(super) fn find<'a>(hashes: impl Iterator<Item = &'a [u8; 32]>, wanted: &[u8; 32]) -> Option<usize> {
    let mut found = 0u64;
    let mut any = Choice::from(0);
    for (at, hash) in (0u64..).zip(hashes) {
        let equal = hash.ct_eq(wanted);
        subtle::ConditionallySelectable::conditional_assign(&mut found, &at, equal);
        any |= equal;
    }
    bool::from(any).then_some(found as usize)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn tokens_differ_and_do_not_show_themselves() {
        let [a, b] = [Token::generate().unwrap(), Token::generate().unwrap()];
        assert_ne!(a.expose(), b.expose());
        assert_eq!(hash(a.expose()), Some(a.hash()));
        assert!(!format!("{a:?}").contains(&a.expose()[PREFIX.len()..]));
        let path = crate::path::RepoPath::new("a.rs").unwrap();
        let (text, found) = crate::redact::redact(&path, &format!("let t = \"{}\";", a.expose()));
        assert_eq!((text.as_str(), found), ("let t = \"[REDACTED:indexer_token]\";", 1));
    }

    #[test]
    fn only_the_form_of_a_token_is_looked_up() {
        let good = format!("{PREFIX}{}", "0a".repeat(32));
        assert!(hash(&good).is_some());
        for bad in [
            "",
            PREFIX,
            &good[1..],
            &good[..good.len() - 1],
            &format!("{good}0"),
            &good.to_uppercase(),
            &format!(" {good}"),
            &good.replace("0a", "0g"),
        ] {
            assert_eq!(hash(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn all_hashes_are_looked_at_wherever_the_right_one_is() {
        let hashes: Vec<[u8; 32]> = (0..5).map(|n| [n; 32]).collect();
        // The first and the last byte alone agree: as different as none at all.
        let mut near = [9; 32];
        (near[0], near[31]) = (2, 2);
        for (wanted, expected) in [([0; 32], Some(0)), ([4; 32], Some(4)), ([9; 32], None), (near, None)] {
            let looked_at = Cell::new(0);
            let counted = hashes.iter().inspect(|_| looked_at.set(looked_at.get() + 1));
            assert_eq!(find(counted, &wanted), expected);
            assert_eq!(looked_at.get(), hashes.len());
        }
    }
}
