//! A request's parts, typed; what they are not is an error of the one shape.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::{ApiError, ErrorCode};
use crate::id::{PointId, decode_hex};
use crate::memory::Cursor;
use crate::session::Session;
use crate::tenant::Role;

/// A body of JSON.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Body<T>, ApiError> {
        require_json(request.headers())?;
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|_| ApiError::new(ErrorCode::Malformed, "the body could not be read"))?;
        serde_json::from_slice(&bytes).map(Body).map_err(|error| {
            let code = match error.classify() {
                Category::Data => ErrorCode::Invalid,
                Category::Syntax | Category::Eof | Category::Io => ErrorCode::Malformed,
            };
            ApiError::new(code, format!("the body: {error}"))
        })
    }
}

/// Whether the body is said to be JSON.
pub(super) fn require_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let essence = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let message = "the body is to be JSON, with `Content-Type: application/json`";
    Err(ApiError::new(ErrorCode::UnsupportedMediaType, message))
}

/// The query of the address.
pub(super) struct Params<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Params<T>, ApiError> {
        Query::try_from_uri(&parts.uri)
            .map(|Query(value)| Params(value))
            .map_err(|error| ApiError::new(ErrorCode::Invalid, format!("the query: {}", error.body_text())))
    }
}

/// Whether the session's role is enough.
pub(super) fn require(session: &Session, role: Role) -> Result<(), ApiError> {
    if session.role() >= role {
        return Ok(());
    }
    let (has, needs) = (session.role().name(), role.name());
    let message = format!("the token's role is {has:?}, and this needs {needs:?}");
    Err(ApiError::new(ErrorCode::Forbidden, message)
        .with_hint(format!("`indexer token create --role {needs}` makes one that may")))
}

/// The id in an address; what is not whole is nobody's.
pub(super) fn id(what: &'static str, text: &str) -> Result<String, ApiError> {
    PointId::parse(text).map(|id| id.to_string()).ok_or_else(|| ApiError::not_found(what))
}

/// How many of a list at once.
pub(super) fn limit(asked: Option<u32>) -> Result<usize, ApiError> {
    let limit = asked.unwrap_or(DEFAULT_LIMIT);
    match (1..=MAX_LIMIT).contains(&limit) {
        true => Ok(limit as usize),
        false => {
            Err(ApiError::new(ErrorCode::Invalid, format!("limit: {limit} is not from 1 to {MAX_LIMIT}")))
        }
    }
}

const DEFAULT_LIMIT: u32 = 20;
const MAX_LIMIT: u32 = 200;

/// Where a list of memories goes on, as text.
pub(super) fn encode_cursor(time: u64, id: &str) -> String {
    format!("{time:x}.{id}")
}

/// The same as it comes back.
pub(super) fn decode_cursor(text: Option<&str>) -> Result<Option<Cursor>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let read = || {
        let (time, id) = text.split_once('.')?;
        Some((u64::from_str_radix(time, 16).ok()?, PointId::parse(id)?))
    };
    read().map(Some).ok_or_else(wrong_cursor)
}

pub(super) fn wrong_cursor() -> ApiError {
    ApiError::new(ErrorCode::Invalid, "the cursor is not one that an answer gave")
        .with_hint("leave it out to begin anew")
}

/// A name as a cursor.
pub(super) fn decode_name(text: Option<&str>) -> Result<Option<String>, ApiError> {
    let read = |text: &str| String::from_utf8(decode_hex(text)?).ok();
    text.map(|text| read(text).ok_or_else(wrong_cursor)).transpose()
}
