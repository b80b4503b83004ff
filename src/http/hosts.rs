//! By which names the server may be called, and from whose pages.
//!
//! A page of another site can make a browser on this machine send requests here, and a name
//! that it owns can be made to point here: the first is told by `Origin` and
//! `Sec-Fetch-Site`, the second by `Host`. No cookie is ever looked at, so neither could do
//! anything without a token; this keeps them from trying.

use std::net::{IpAddr, SocketAddr};

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Uri};

use super::{ApiError, ErrorCode};

/// Refuses a request that calls the server by a name that is not its own, or that comes from
/// another site. `local` is the address at which the connection was accepted.
pub(super) fn check(
    headers: &HeaderMap,
    uri: &Uri,
    local: SocketAddr,
    allowed: &[String],
) -> Result<(), ApiError> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().unwrap_or_default(),
        (None, _) => return Err(ApiError::new(ErrorCode::Malformed, "the request names no host")),
        (Some(_), Some(_)) => return Err(ApiError::new(ErrorCode::Malformed, "two hosts are named")),
    };
    let named = [Some(host), uri.authority().map(|authority| authority.as_str())];
    for name in named.into_iter().flatten() {
        if !is_own(name, local, allowed) {
            let message = "this server is not called by that name";
            return Err(ApiError::new(ErrorCode::UnknownHost, message)
                .with_hint("use localhost or its address, or set http.allowed_hosts"));
        }
    }
    let cross_site = || Err(ApiError::new(ErrorCode::CrossSite, "requests of other sites are refused"));
    if let Some(origin) = headers.get(ORIGIN) {
        let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        if !authority.is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host)) {
            return cross_site();
        }
    }
    match headers.get("sec-fetch-site").map(|site| site.as_bytes()) {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => cross_site(),
    }
}

/// Whether an authority (a name or an address, with or without a port) is this server.
fn is_own(authority: &str, local: SocketAddr, allowed: &[String]) -> bool {
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => (address, port),
        None => match authority.split_once(':') {
            Some((host, _)) => (host, &authority[host.len()..]),
            None => (authority, ""),
        },
    };
    let port = port.strip_prefix(':').map_or(port.is_empty(), |port| port.parse::<u16>().is_ok());
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let address = host.parse::<IpAddr>().map(|address| address.to_canonical());
    port && match address {
        Ok(address) => {
            address.is_loopback() || address == local.ip().to_canonical() || allowed.contains(&host)
        }
        Err(_) => host == "localhost" || allowed.contains(&host),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn only_its_own_names_reach_it() {
        let local = "192.0.2.7:7461".parse().unwrap();
        let allowed = ["index.example.org".to_owned()];
        let cases = [
            ("localhost", true),
            ("LOCALHOST:7461", true),
            ("localhost.", true),
            ("127.0.0.1:1", true),
            ("127.9.9.9", true),
            ("[::1]:7461", true),
            ("[::ffff:127.0.0.1]", true),
            ("192.0.2.7:7461", true),
            ("index.example.org", true),
            ("Index.Example.Org.:443", true),
            ("192.0.2.8", false),
            ("evil.example", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("evil.example:7461", false),
            ("index.example.org.evil.example", false),
            ("0.0.0.0", false),
            ("2130706433", false),
            ("[::1]evil.example", false),
            ("localhost:80:80", false),
            ("localhost@evil.example", false),
            ("", false),
            (":7461", false),
        ];
        for (host, expected) in cases {
            assert_eq!(is_own(host, local, &allowed), expected, "{host:?}");
            let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_str(host).unwrap())]);
            let result = check(&headers, &Uri::from_static("/"), local, &allowed);
            assert_eq!(result.is_ok(), expected, "{host:?}");
        }
        let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static("localhost"))]);
        let target = Uri::from_static("http://evil.example/v1/status");
        assert!(check(&headers, &target, local, &allowed).is_err(), "the address counts too");
        let mut two = headers.clone();
        two.append(HOST, HeaderValue::from_static("localhost"));
        assert!(check(&two, &Uri::from_static("/"), local, &allowed).is_err());
        assert!(check(&HeaderMap::new(), &Uri::from_static("/"), local, &allowed).is_err());
    }

    #[test]
    fn only_its_own_pages_reach_it() {
        let local = "127.0.0.1:7461".parse().unwrap();
        let cases = [
            ("origin", "http://localhost:7461", true),
            ("origin", "https://localhost:7461", true),
            ("origin", "http://localhost", false),
            ("origin", "http://localhost:7462", false),
            ("origin", "http://127.0.0.1:7461", false),
            ("origin", "http://evil.example", false),
            ("origin", "http://localhost:7461.evil.example", false),
            ("origin", "null", false),
            ("origin", "", false),
            ("sec-fetch-site", "same-origin", true),
            ("sec-fetch-site", "none", true),
            ("sec-fetch-site", "same-site", false),
            ("sec-fetch-site", "cross-site", false),
            ("sec-fetch-site", "", false),
        ];
        for (name, value, expected) in cases {
            let headers = HeaderMap::from_iter([
                (HOST, HeaderValue::from_static("localhost:7461")),
                (HeaderName::from_static(name), HeaderValue::from_static(value)),
            ]);
            let result = check(&headers, &Uri::from_static("/"), local, &[]);
            assert_eq!(result.is_ok(), expected, "{name}: {value:?}");
        }
    }
}
