//! What stands before every route: by which name it was called, who asks, how often, how
//! much, for how long. In this order, so that who has no token costs nothing.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{self, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate as _};
use tower_http::decompression::RequestDecompressionLayer;
use tracing::{Instrument as _, field};

use super::events::Listeners;
use super::server::Local;
use super::{ApiError, ErrorCode, hosts};
use crate::config::HttpSettings;
use crate::daemon::Handle;
use crate::engine::Engine;
use crate::mcp::HttpDoor;
use crate::session::{Refused, Session, Tokens};
use crate::telemetry::metrics;

/// What all routes share.
pub(super) struct App {
    pub(super) handle: Handle,
    pub(super) settings: HttpSettings,
    pub(super) tokens: Tokens,
    pub(super) mcp: HttpDoor,
    /// Says that the door is closing.
    pub(super) closing: watch::Receiver<bool>,
    /// Those who are told of changes.
    pub(super) listeners: Arc<Listeners>,
    permits: Arc<Semaphore>,
    rates: Mutex<HashMap<String, Bucket>>,
    /// Requests are told apart by it: no two processes count alike.
    seed: u64,
    requests: AtomicU64,
}

/// One request answered at a time; whoever still answers when the handler is done, keeps it.
#[derive(Clone)]
#[expect(dead_code, reason = "it is held, not looked at")]
pub struct Permit(Arc<OwnedSemaphorePermit>);

/// By which the log knows a request; an extension of each.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// What a token may still ask for now.
struct Bucket {
    left: f64,
    at: Instant,
}

/// Tokens whose rates are remembered.
const MAX_BUCKETS: usize = 1024;

/// The header of the request's id.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

impl App {
    pub(super) fn new(handle: Handle, closing: watch::Receiver<bool>) -> App {
        let engine = handle.engine();
        let settings = engine.settings().http.clone();
        App {
            tokens: Tokens::new(&engine.settings().data_dir),
            mcp: super::mcp::door(&handle),
            closing,
            listeners: Arc::default(),
            permits: Arc::new(Semaphore::new(settings.max_requests)),
            rates: Mutex::default(),
            seed: RandomState::new().hash_one(std::process::id()),
            requests: AtomicU64::new(0),
            settings,
            handle,
        }
    }

    pub(super) fn engine(&self) -> Arc<Engine> {
        self.handle.engine()
    }

    fn request_id(&self) -> RequestId {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        RequestId(format!("{:08x}-{number:x}", self.seed as u32))
    }

    /// Whether the token may ask now.
    fn is_within_rate(&self, session: &Session) -> bool {
        let rate = f64::from(self.settings.requests_per_second);
        let most = 2.0 * rate;
        let now = Instant::now();
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        if rates.len() >= MAX_BUCKETS {
            // Whoever has not asked for that long has all of it again.
            rates.retain(|_, bucket| now.duration_since(bucket.at).as_secs_f64() < most / rate);
        }
        let bucket = rates.entry(session.id().to_owned()).or_insert(Bucket { left: most, at: now });
        bucket.left = (bucket.left + now.duration_since(bucket.at).as_secs_f64() * rate).min(most);
        bucket.at = now;
        let enough = bucket.left >= 1.0;
        if enough {
            bucket.left -= 1.0;
        }
        enough
    }
}

/// Before all routes: the name, the site, the shape of errors, and what is logged.
pub(super) fn in_front(app: &Arc<App>, routes: Router<Arc<App>>) -> Router<Arc<App>> {
    // What is sent piece by piece is not held back to be packed.
    let packed = DefaultPredicate::new().and(NotForContentType::const_new("application/x-ndjson"));
    routes
        .layer(from_fn_with_state(Arc::clone(app), front))
        .layer(CompressionLayer::new().compress_when(packed))
}

/// Before the routes that need a token.
pub(super) fn behind_session(app: &Arc<App>, routes: Router<Arc<App>>) -> Router<Arc<App>> {
    bounded(app, routes).layer(from_fn_with_state(Arc::clone(app), session))
}

/// Before all routes, once it is known who asks: body, concurrency and time.
pub(super) fn bounded(app: &Arc<App>, routes: Router<Arc<App>>) -> Router<Arc<App>> {
    routes
        .layer(from_fn_with_state(Arc::clone(app), work))
        .layer(RequestDecompressionLayer::new().pass_through_unaccepted(true))
}

async fn front(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = app.request_id();
    request.extensions_mut().insert(id.clone());
    let method = request.method().clone();
    let local = request.extensions().get::<Local>().map(|local| local.0);
    let known = match local {
        Some(local) => hosts::check(request.headers(), request.uri(), local, &app.settings.allowed_hosts),
        None => Err(ApiError::new(ErrorCode::Internal, "the connection has no address")),
    };
    // Of the address the route alone is logged: the rest is what people look for.
    let route = request.extensions().get::<MatchedPath>().map_or("-", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("http.request", %method, route, request.id = id.0, status = field::Empty);
    let response = match known {
        Ok(()) => next.run(request).instrument(span.clone()).await,
        Err(error) => error.into_response(),
    };
    let mut response = shaped(response, &id.0);
    let status = response.status().as_u16();
    span.record("status", status);
    metrics::request(method_name(&method), &route, status, began.elapsed());
    let ms = began.elapsed().as_millis() as u64;
    tracing::debug!(%method, route, status, ms, request = id.0, "http");
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(&id.0) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

/// One of few: others are as good as none.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        _ => "other",
    }
}

/// The response, or where it is an error, that in the one shape.
fn shaped(mut response: Response, id: &str) -> Response {
    let status = response.status();
    let error = response.extensions_mut().remove::<ApiError>();
    let is_json = |kind: &HeaderValue| kind.as_bytes().starts_with(b"application/json");
    let error = match error {
        Some(error) => error,
        None if !(status.is_client_error() || status.is_server_error()) => return response,
        None if response.headers().get(CONTENT_TYPE).is_some_and(is_json) => return response,
        None => {
            let reason = status.canonical_reason().unwrap_or("failed").to_lowercase();
            ApiError::new(ErrorCode::of_status(status), reason)
        }
    };
    if error.code == ErrorCode::Internal {
        tracing::error!(request = id, "{}", error.message);
    }
    let mut answer = error.response(id);
    *answer.status_mut() = status;
    for (name, value) in response.headers() {
        if ![CONTENT_TYPE, CONTENT_LENGTH].contains(name) {
            answer.headers_mut().insert(name.clone(), value.clone());
        }
    }
    answer
}

async fn session(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let opened = match bearer(request.headers()) {
        Some(presented) => app.tokens.session(presented, now()),
        None => Err(Refused::Unknown),
    };
    // Nobody further in has a use for it.
    request.headers_mut().remove(AUTHORIZATION);
    let unauthorized = |message: &str| {
        ApiError::new(ErrorCode::Unauthorized, message)
            .with_hint("send `Authorization: Bearer TOKEN` with a token that `indexer token create` printed")
    };
    let session = match opened {
        Ok(session) => session,
        Err(Refused::Unknown) => return unauthorized("no token, or none that is known").into_response(),
        Err(Refused::Expired) => return unauthorized("the token has expired").into_response(),
        Err(Refused::Unavailable(error)) => {
            tracing::error!("{error}");
            let message = "tokens cannot be checked now, so nobody is let in";
            return ApiError::new(ErrorCode::Unavailable, message)
                .with_hint("the daemon's log says why")
                .into_response();
        }
    };
    if !app.is_within_rate(&session) {
        let rate = app.settings.requests_per_second;
        let message = format!("this token may ask {rate} times a second");
        return ApiError::new(ErrorCode::RateLimited, message).into_response();
    }
    request.extensions_mut().insert(session);
    next.run(request).await
}

/// The token of the one `Authorization` header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let (one, None) = (all.next()?, all.next()) else { return None };
    let (scheme, token) = one.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start_matches(' '))
}

async fn work(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let most = app.settings.timeout;
    let (mut parts, body) = request.into_parts();
    let bytes = match tokio::time::timeout(most, whole(&parts.headers, body, &app.settings)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => return error.into_response(),
        Err(_) => {
            let message = format!("the body did not arrive within {} s", most.as_secs());
            return ApiError::new(ErrorCode::RequestTimeout, message).into_response();
        }
    };
    let began = Instant::now();
    let Ok(Ok(permit)) = tokio::time::timeout(most, Arc::clone(&app.permits).acquire_owned()).await else {
        return ApiError::new(ErrorCode::Busy, "too many requests are being answered").into_response();
    };
    let permit = Permit(Arc::new(permit));
    parts.extensions.insert(permit.clone());
    let request = Request::from_parts(parts, Body::from(bytes));
    // On a task of its own: what it began goes on, and keeps its permit, where nobody waits.
    let answer = async move {
        let response = next.run(request).await;
        drop(permit);
        response
    };
    let answer = tokio::spawn(answer.in_current_span());
    match tokio::time::timeout(most.saturating_sub(began.elapsed()), answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            ApiError::new(ErrorCode::Internal, format!("the request failed unexpectedly: {error}"))
                .with_hint("this is a bug: please report it with the log")
                .into_response()
        }
        Err(_) => {
            let message = format!("there was no answer within {} s", most.as_secs());
            ApiError::new(ErrorCode::Timeout, message)
                .with_hint("ask for less, or set http.timeout_seconds")
                .into_response()
        }
    }
}

/// The body, unpacked, if it is within its limit.
async fn whole(
    headers: &HeaderMap,
    body: Body,
    settings: &HttpSettings,
) -> Result<axum::body::Bytes, ApiError> {
    let most = settings.max_body_bytes;
    // Packed bodies have lost the header: whoever packed it told of it, and it was unpacked.
    if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        let message = "the body may be packed with gzip, and in no other way";
        return Err(ApiError::new(ErrorCode::UnsupportedMediaType, message));
    }
    let too_large = || ApiError::new(ErrorCode::TooLarge, format!("the body is over {most} bytes"));
    let told = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if told.is_some_and(|length| length > most) {
        return Err(too_large());
    }
    match Limited::new(body, most).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if is_too_long(&*error) => Err(too_large()),
        Err(_) => Err(ApiError::new(ErrorCode::Malformed, "the body could not be read")),
    }
}

fn is_too_long(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| error.is::<LengthLimitError>())
}

/// Seconds since the epoch.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bearer_token_is_a_token() {
        let cases: [(&[&str], Option<&str>); 9] = [
            (&["Bearer abc"], Some("abc")),
            (&["bearer abc"], Some("abc")),
            (&["BEARER  abc"], Some("abc")),
            (&[], None),
            (&["abc"], None),
            (&["Basic abc"], None),
            (&["Bearer"], None),
            (&["Bearer abc", "Bearer abc"], None),
            (&["Bearer a", "Basic b"], None),
        ];
        for (values, expected) in cases {
            let mut map = HeaderMap::new();
            for value in values {
                map.append(AUTHORIZATION, HeaderValue::from_static(value));
            }
            assert_eq!(bearer(&map), expected, "{values:?}");
        }
    }
}
