//! The one shape of an error: a code from a closed list, a message, what to do, and the
//! request's id, by which the log knows it.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::wire::{Failure, FailureCode};

/// What kind of error it is. Codes are added, never renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// Not a request: JSON that does not parse, a header that is not one.
    Malformed,
    /// No token, or none that is accepted.
    Unauthorized,
    /// The token's role is too weak.
    Forbidden,
    /// It comes from another site's page.
    CrossSite,
    /// There is nothing here for this token.
    NotFound,
    /// The path has other methods.
    MethodNotAllowed,
    /// The request did not arrive in time.
    RequestTimeout,
    /// The worktree has no index yet.
    NotIndexed,
    /// The body is too large.
    TooLarge,
    /// The body is not JSON, or encoded in another way than gzip.
    UnsupportedMediaType,
    /// The host is not one by which this server is called.
    UnknownHost,
    /// It can be read, and cannot be done.
    Invalid,
    /// Too many requests with this token.
    RateLimited,
    /// The headers are too large.
    HeadersTooLarge,
    /// It went wrong here.
    Internal,
    /// Another is at work; later it may go well.
    Busy,
    /// Something that it needs is not there.
    Unavailable,
    /// It was not answered in time.
    Timeout,
}

impl ErrorCode {
    /// The status that it comes with.
    pub fn status(self) -> StatusCode {
        match self {
            ErrorCode::Malformed => StatusCode::BAD_REQUEST,
            ErrorCode::Unauthorized => StatusCode::UNAUTHORIZED,
            ErrorCode::Forbidden | ErrorCode::CrossSite => StatusCode::FORBIDDEN,
            ErrorCode::NotFound => StatusCode::NOT_FOUND,
            ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            ErrorCode::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            ErrorCode::NotIndexed => StatusCode::CONFLICT,
            ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ErrorCode::UnknownHost => StatusCode::MISDIRECTED_REQUEST,
            ErrorCode::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            ErrorCode::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            ErrorCode::Busy | ErrorCode::Unavailable | ErrorCode::Timeout => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What a bare status, such as the router gives, means.
    pub(super) fn of_status(status: StatusCode) -> ErrorCode {
        match status {
            StatusCode::NOT_FOUND => ErrorCode::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => ErrorCode::MethodNotAllowed,
            StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::TooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => ErrorCode::UnsupportedMediaType,
            StatusCode::UNPROCESSABLE_ENTITY => ErrorCode::Invalid,
            status if status.is_client_error() => ErrorCode::Malformed,
            _ => ErrorCode::Internal,
        }
    }
}

/// An error on its way out; the request's id is added where all answers pass.
#[derive(Clone, Debug)]
pub struct ApiError {
    /// What kind.
    pub code: ErrorCode,
    /// What went wrong; names its subject.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// What is sent.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorDetail,
}

/// One error.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ErrorDetail {
    /// What kind.
    pub code: ErrorCode,
    /// What went wrong.
    pub message: String,
    /// What to do, where the message does not say.
    pub hint: Option<String>,
    /// By which the log knows the request.
    pub request_id: String,
}

impl ApiError {
    /// An error of which the message says all.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> ApiError {
        ApiError { code, message: message.into(), hint: None }
    }

    /// Adds what to do.
    pub fn with_hint(self, hint: impl Into<String>) -> ApiError {
        ApiError { hint: Some(hint.into()), ..self }
    }

    /// What is not there, and what the session may not see, are the same.
    pub fn not_found(what: &str) -> ApiError {
        ApiError::new(ErrorCode::NotFound, format!("there is no such {what}"))
    }

    /// As it is sent.
    pub fn body(&self, request_id: &str) -> ErrorBody {
        ErrorBody {
            error: ErrorDetail {
                code: self.code,
                message: self.message.clone(),
                hint: self.hint.clone(),
                request_id: request_id.to_owned(),
            },
        }
    }

    pub(super) fn response(&self, request_id: &str) -> Response {
        let mut response = (self.code.status(), Json(self.body(request_id))).into_response();
        let headers = response.headers_mut();
        match self.code {
            ErrorCode::Unauthorized => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            ErrorCode::RateLimited | ErrorCode::Busy => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> ApiError {
        let code = match failure.code {
            FailureCode::Failed => ErrorCode::Internal,
            FailureCode::Invalid => ErrorCode::Invalid,
            FailureCode::NotFound => ErrorCode::NotFound,
            FailureCode::NotIndexed => ErrorCode::NotIndexed,
            FailureCode::Denied => ErrorCode::Forbidden,
            FailureCode::Busy => ErrorCode::Busy,
            FailureCode::Unavailable => ErrorCode::Unavailable,
        };
        ApiError { code, message: failure.message, hint: failure.hint }
    }
}
