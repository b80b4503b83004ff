//! What an answer of the server, or the lack of one, means.

use std::error::Error;
use std::path::PathBuf;

use tonic::{Code, Status};

use crate::store::StoreError;

/// A call that failed. The text is the server's or the transport's, and never has the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The physical collection is not there.
    Missing(String),
    /// It is there already.
    Exists(String),
    /// The key was refused.
    Unauthorized(String),
    /// No answer, or not in time.
    Unreachable(String),
    /// The server is busy and says so.
    Busy(String),
    /// The server's disk is full.
    Full,
    /// Anything else.
    Other(String),
}

impl Failure {
    pub(super) fn of(status: &Status) -> Failure {
        let text = words(status);
        // Without an answer, the status was made here, from the failure of the connection.
        if status.source().is_some() {
            return Failure::Unreachable(text);
        }
        match status.code() {
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => Failure::Unreachable(text),
            Code::ResourceExhausted => Failure::Busy(text),
            Code::Unauthenticated | Code::PermissionDenied => Failure::Unauthorized(text),
            Code::NotFound => Failure::Missing(text),
            Code::AlreadyExists => Failure::Exists(text),
            // Older servers give the code of a bad request.
            Code::InvalidArgument if text.contains("already exists") => Failure::Exists(text),
            _ if text.contains("No space left") || text.contains("ot enough space") => Failure::Full,
            code => Failure::Other(format!("{code:?}: {text}")),
        }
    }

    /// Whether the same call may succeed when it is repeated.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Failure::Unreachable(_) | Failure::Busy(_))
    }

    /// For the caller of the store.
    pub(super) fn into_error(self, url: &str) -> StoreError {
        let url = url.to_owned();
        match self {
            Failure::Unreachable(reason) => StoreError::Unreachable { url, reason },
            Failure::Unauthorized(reason) => StoreError::Unauthorized { url, reason },
            Failure::Full => StoreError::Full { path: PathBuf::from(url) },
            Failure::Missing(reason)
            | Failure::Exists(reason)
            | Failure::Busy(reason)
            | Failure::Other(reason) => StoreError::Remote { url, reason },
        }
    }
}

/// The message and what lies below it, without saying anything twice.
fn words(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut source = status.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = if text.is_empty() { more } else { format!("{text}: {more}") };
        }
        source = error.source();
    }
    if text.is_empty() { format!("{:?}", status.code()) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_mean_what_can_be_done_about_them() {
        let of = |code, text: &str| Failure::of(&Status::new(code, text));
        let text = || "words".to_owned();
        for (code, expected) in [
            (Code::Unavailable, Failure::Unreachable(text())),
            (Code::Cancelled, Failure::Unreachable(text())),
            (Code::DeadlineExceeded, Failure::Unreachable(text())),
            (Code::ResourceExhausted, Failure::Busy(text())),
            (Code::Unauthenticated, Failure::Unauthorized(text())),
            (Code::PermissionDenied, Failure::Unauthorized(text())),
            (Code::NotFound, Failure::Missing(text())),
            (Code::AlreadyExists, Failure::Exists(text())),
            (Code::Internal, Failure::Other("Internal: words".to_owned())),
        ] {
            assert_eq!(of(code, "words"), expected);
            let may_pass = matches!(expected, Failure::Unreachable(_) | Failure::Busy(_));
            assert_eq!(of(code, "words").may_pass(), may_pass);
        }
        let full =
            "Service internal error: No space left on device: WAL buffer size exceeds available disk space";
        assert_eq!(of(Code::Internal, full), Failure::Full);
        assert!(matches!(Failure::Full.into_error("http://x:1"), StoreError::Full { .. }));
        assert_eq!(
            of(Code::InvalidArgument, "Collection `a` already exists!"),
            Failure::Exists("Collection `a` already exists!".to_owned())
        );
    }
}
