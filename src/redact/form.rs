//! Secrets known by their form: key blocks, tokens with a vendor's prefix, JWTs,
//! credentials in URLs and authorization headers.

use std::ops::Range;
use std::sync::OnceLock;

use regex::Regex;

use super::Secret;
use super::literal::{is_placeholder, is_random, is_token};

/// Kind and pattern of each token, as its vendor documents it; bounded, so that one
/// search never costs more than the text.
const TOKENS: &[(&str, &str)] = &[
    ("aws_access_key", r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b"),
    ("gcp_key", r"\bAIza[0-9A-Za-z_-]{35}|\bya29\.[0-9A-Za-z_-]{20,512}|\bGOCSPX-[0-9A-Za-z_-]{20,64}"),
    ("github_token", r"\bgh[pousr]_[A-Za-z0-9]{36,255}\b|\bgithub_pat_[A-Za-z0-9_]{22,255}\b"),
    ("gitlab_token", r"\bgl(?:pat|ptt|dt|rt|cbt|ft|soat|imt|agent|oas)-[A-Za-z0-9_-]{20,255}"),
    (
        "slack_token",
        r"\bxox[abceoprs]-[A-Za-z0-9-]{10,255}|\bhooks\.slack\.com/services/T[A-Za-z0-9/]{20,255}",
    ),
    ("stripe_key", r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,255}\b|\bwhsec_[A-Za-z0-9+/=]{24,255}"),
    ("anthropic_key", r"\bsk-ant-[A-Za-z0-9_-]{20,255}"),
    ("openai_key", r"\bsk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,255}"),
    ("npm_token", r"\bnpm_[A-Za-z0-9]{36}\b"),
    ("pypi_token", r"\bpypi-AgE[A-Za-z0-9_-]{50,512}"),
    ("sendgrid_key", r"\bSG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64}"),
    ("huggingface_token", r"\bhf_[A-Za-z0-9]{34,64}\b"),
    ("digitalocean_token", r"\bdo[opr]_v1_[a-f0-9]{64}\b"),
    ("shopify_token", r"\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}\b"),
    // This program's own, as `session` makes them.
    ("indexer_token", r"\bctxi_[a-f0-9]{64}\b"),
    ("jwt", r"\beyJ[A-Za-z0-9_-]{8,2048}\.eyJ[A-Za-z0-9_-]{8,4096}\.[A-Za-z0-9_-]{8,1024}"),
];

const HEADER: &str = r#"(?i)\b(bearer|basic|token)[ \t]{1,4}([A-Za-z0-9+/=._~-]{16,4096})"#;

/// The patterns are part of the program; a test compiles them.
fn tokens() -> Option<&'static (Regex, Vec<usize>)> {
    static PATTERN: OnceLock<Option<(Regex, Vec<usize>)>> = OnceLock::new();
    PATTERN
        .get_or_init(|| {
            let alternatives: Vec<String> =
                TOKENS.iter().map(|(_, pattern)| format!("({pattern})")).collect();
            let regex = Regex::new(&alternatives.join("|")).ok()?;
            Some((regex, (1..=TOKENS.len()).collect()))
        })
        .as_ref()
}

fn header() -> Option<&'static Regex> {
    static PATTERN: OnceLock<Option<Regex>> = OnceLock::new();
    PATTERN.get_or_init(|| Regex::new(HEADER).ok()).as_ref()
}

pub(super) fn find(text: &str, out: &mut Vec<Secret>) {
    private_keys(text, out);
    if let Some((regex, groups)) = tokens() {
        for found in regex.captures_iter(text) {
            let hit =
                groups.iter().zip(TOKENS).find_map(|(group, (kind, _))| Some((found.get(*group)?, *kind)));
            let Some((hit, kind)) = hit else { continue };
            // A CSS class may start with `sk-` too.
            let earnest = kind != "openai_key" || is_random(hit.as_str());
            if earnest && !is_placeholder(hit.as_str()) {
                out.push(Secret { bytes: hit.range(), kind });
            }
        }
    }
    if let Some(regex) = header() {
        for found in regex.captures_iter(text) {
            let Some(value) = found.get(2) else { continue };
            let basic = found.get(1).is_some_and(|scheme| scheme.as_str().eq_ignore_ascii_case("basic"));
            let encoded = basic
                && value.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
                && value.as_str().bytes().any(|b| b.is_ascii_uppercase())
                && value.as_str().bytes().any(|b| b.is_ascii_digit() || b == b'=');
            if encoded || is_token(value.as_str()) {
                out.push(Secret { bytes: value.range(), kind: "authorization" });
            }
        }
    }
    url_credentials(text, out);
}

const DASHES: &str = "-----";

/// PEM and PGP private keys (RFC 7468, RFC 9580): from BEGIN to END, or to where the
/// base64 ends if the end is missing. The bare markers, as a parser names them, stay.
fn private_keys(text: &str, out: &mut Vec<Secret>) {
    for (start, begin) in text.match_indices("-----BEGIN ") {
        let label_start = start + begin.len();
        let Some(label) = text[label_start..].find(DASHES).filter(|length| *length <= 64) else { continue };
        if !text[label_start..label_start + label].contains("PRIVATE KEY") {
            continue;
        }
        let body = label_start + label + DASHES.len();
        let allowed =
            |b: u8| b.is_ascii_alphanumeric() || b.is_ascii_whitespace() || b"+/=\\\"',:.#*|".contains(&b);
        let mut end = body;
        let mut encoded = 0;
        for byte in text[body..].bytes() {
            // A single dash occurs in a header (`Proc-Type`), five of them end the block.
            if !(allowed(byte) || (byte == b'-' && !text[end..].starts_with(DASHES))) {
                break;
            }
            encoded += usize::from(byte.is_ascii_alphanumeric());
            end += 1;
        }
        if encoded < 32 {
            continue;
        }
        let tail = &text[end..];
        if let Some(after) = tail.strip_prefix("-----END ") {
            let length = after.find(DASHES).filter(|length| *length <= 64);
            end += length.map_or(0, |length| "-----END ".len() + length + DASHES.len());
        }
        out.push(Secret { bytes: start..start + text[start..end].trim_end().len(), kind: "private_key" });
    }
}

/// Longest user name and longest password looked for in a URL.
const MAX_USER_INFO: usize = 256;

/// The password of `scheme://user:password@host` (RFC 3986 § 3.2.1).
fn url_credentials(text: &str, out: &mut Vec<Secret>) {
    let bytes = text.as_bytes();
    for (at, mark) in text.match_indices("://") {
        let start = at + mark.len();
        let window = &bytes[start..bytes.len().min(start + 2 * MAX_USER_INFO)];
        let ends = |b: &u8| b.is_ascii_whitespace() || b"/@\"'`<>()\\,;|?#".contains(b);
        let Some(length) = window.iter().position(ends) else { continue };
        if window[length] != b'@' {
            continue;
        }
        let user_info = start..start + length;
        let Some(colon) = text[user_info.clone()].find(':') else { continue };
        let password: Range<usize> = user_info.start + colon + 1..user_info.end;
        if is_url_password(&text[password.clone()]) {
            out.push(Secret { bytes: password, kind: "url_password" });
        }
    }
}

fn is_url_password(password: &str) -> bool {
    const STAND_INS: &[&str] = &[
        "pass", "passwd", "password", "passw0rd", "pw", "pwd", "secret", "token", "user", "username", "test",
        "x", "xxx",
    ];
    let lower = password.to_ascii_lowercase();
    password.len() >= 3 && !is_placeholder(password) && !STAND_INS.contains(&lower.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_compile() {
        assert!(tokens().is_some() && header().is_some());
    }
}
