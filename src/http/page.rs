//! The status page: three files that are part of the program, for everybody. They hold
//! nobody's data; what the page shows it asks for with a token, as any other program.

use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::id::encode_hex;

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
/// One script, in pieces that people can read.
const SCRIPT: &str = concat!(
    include_str!("page/base.js"),
    include_str!("page/worktrees.js"),
    include_str!("page/search.js"),
    include_str!("page/memory.js"),
    include_str!("page/page.js"),
);

/// The page may run its own script and ask its own server, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'; form-action 'none'";

/// The status page.
#[utoipa::path(get, path = "/", tag = "page", security(()), responses(
    (status = 200, body = String, content_type = "text/html", description = "The page"),
    (status = 304, description = "It is the one that `If-None-Match` names")
))]
pub(super) async fn page(request: Request) -> Response {
    asset(&request, "text/html; charset=utf-8", PAGE)
}

/// Its style.
#[utoipa::path(get, path = "/page.css", tag = "page", security(()), responses(
    (status = 200, body = String, content_type = "text/css", description = "The style"),
    (status = 304, description = "It is the one that `If-None-Match` names")
))]
pub(super) async fn style(request: Request) -> Response {
    asset(&request, "text/css; charset=utf-8", STYLE)
}

/// Its script.
#[utoipa::path(get, path = "/page.js", tag = "page", security(()), responses(
    (status = 200, body = String, content_type = "text/javascript", description = "The script"),
    (status = 304, description = "It is the one that `If-None-Match` names")
))]
pub(super) async fn script(request: Request) -> Response {
    asset(&request, "text/javascript; charset=utf-8", SCRIPT)
}

/// The text, or that it is the one that is there already. Another version of the program has
/// others under the same address, so that each use asks.
fn asset(request: &Request, kind: &'static str, text: &'static str) -> Response {
    // Weak: it is packed on its way, or not.
    let tag = format!("W/\"{}\"", encode_hex(&blake3::hash(text.as_bytes()).as_bytes()[..12]));
    let known = request.headers().get_all(IF_NONE_MATCH).iter();
    let known = known.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let is_known = known.map(str::trim).any(|known| known == tag || known == "*");
    let mut response = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => text.into_response(),
    };
    let headers = response.headers_mut();
    if !is_known {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    response
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    #[test]
    fn the_files_keep_to_their_policy() {
        // What a hit says is hostile: it is text, and never markup or code. Nothing is loaded from
        // elsewhere, and what the policy would refuse is not there.
        let forbidden = [
            r"(?i)innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|srcdoc",
            r"\beval\(|new Function|setTimeout\(\s*['\x22]|javascript:",
            r"(?i)\bstyle\s*=\s*['\x22]|\bon[a-z]+\s*=\s*['\x22]|<style",
            r"(?i)<script(?:>|\s+(?:[^s>]|s[^r>]))|<script[^>]*>[^<]",
            r"@import|url\(",
            r"localStorage[^\n]*[tT]oken",
        ];
        let address = Regex::new(r"(?i)(?:https?:)?//[a-z0-9]+\.[^\s\x22']*").expect("a pattern");
        for (name, text) in [("page", PAGE), ("style", STYLE), ("script", SCRIPT)] {
            for pattern in forbidden {
                let found = Regex::new(pattern).expect("a pattern").find(text);
                assert!(found.is_none(), "{name}: {:?}", found.map(|found| found.as_str()));
            }
            // The name of a format is no address that is loaded.
            let elsewhere = address.find_iter(text).map(|found| found.as_str());
            let elsewhere: Vec<_> =
                elsewhere.filter(|found| !found.contains("www.w3.org/2000/svg")).collect();
            assert!(elsewhere.is_empty(), "{name}: {elsewhere:?}");
        }
        for (what, named) in [("the style", r#"href="/page.css""#), ("the script", r#"src="/page.js""#)] {
            assert!(PAGE.contains(named), "the page names {what}");
        }
        let ids = Regex::new(r#"\bid="([^"]+)""#).expect("a pattern");
        let ids: Vec<&str> = ids.captures_iter(PAGE).map(|id| id.extract::<1>().1[0]).collect();
        let wanted = Regex::new(r#"\bbyId\("([^"]+)"\)"#).expect("a pattern");
        for id in wanted.captures_iter(SCRIPT).map(|id| id.extract::<1>().1[0]) {
            assert_eq!(ids.iter().filter(|known| **known == id).count(), 1, "the page has one #{id}");
        }
    }
}
