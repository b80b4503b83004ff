//! What stands before every call: the API key, the record of calls, and the failures
//! that a test ordered. It must not know what a call does.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tonic::codegen::{BoxFuture, Context, Poll, Service, http};
use tonic::server::NamedService;
use tonic::{Code, Status};

/// What a test ordered, and what was called.
#[derive(Default)]
pub(super) struct Orders {
    pub(super) api_key: Option<String>,
    /// This many calls fail at once.
    pub(super) fail_next: Option<(usize, Code)>,
    /// Calls left until the one that is done and fails.
    pub(super) fail_after: Option<(usize, Code)>,
    pub(super) hang: bool,
    pub(super) calls: Vec<String>,
}

/// A handler that panicked left whole data behind; its panic is reported by its own test.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What becomes of a call.
enum Verdict {
    Answer,
    /// Nothing is done.
    Refuse(Status),
    /// It is done, and the answer is lost.
    Lose(Status),
    Hang,
}

impl Orders {
    fn judge(&mut self, path: &str, key: Option<&str>) -> Verdict {
        let call = path.strip_prefix("/qdrant.").unwrap_or(path);
        self.calls.push(call.to_owned());
        if self.hang {
            return Verdict::Hang;
        }
        if call == "Qdrant/HealthCheck" {
            return Verdict::Answer;
        }
        match (&self.api_key, key) {
            (None, _) => {}
            (Some(_), None) => {
                let message = "Must provide an API key or an Authorization bearer token";
                return Verdict::Refuse(Status::unauthenticated(message));
            }
            (Some(wanted), Some(key)) if wanted != key => {
                return Verdict::Refuse(Status::unauthenticated("Invalid API key or JWT"));
            }
            (Some(_), Some(_)) => {}
        }
        if let Some((calls, code)) = self.fail_next.take().filter(|(calls, _)| *calls > 0) {
            self.fail_next = Some((calls - 1, code));
            return Verdict::Refuse(Status::new(code, "ordered by the test: nothing was done"));
        }
        match self.fail_after.take() {
            Some((0 | 1, code)) => Verdict::Lose(Status::new(code, "ordered by the test: it was done")),
            Some((calls, code)) => {
                self.fail_after = Some((calls - 1, code));
                Verdict::Answer
            }
            None => Verdict::Answer,
        }
    }
}

/// A gRPC service behind the [`Orders`].
#[derive(Clone)]
pub(super) struct Gate<S> {
    inner: S,
    orders: Arc<Mutex<Orders>>,
}

impl<S> Gate<S> {
    pub(super) fn around(inner: S, orders: &Arc<Mutex<Orders>>) -> Gate<S> {
        Gate { inner, orders: Arc::clone(orders) }
    }
}

impl<S: NamedService> NamedService for Gate<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B> Service<http::Request<B>> for Gate<S>
where
    S: Service<http::Request<B>, Response = http::Response<tonic::body::Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = Infallible;
    type Future = BoxFuture<S::Response, Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let key = header("api-key").or_else(|| header("authorization")?.strip_prefix("Bearer "));
        match locked(&self.orders).judge(request.uri().path(), key) {
            Verdict::Answer => Box::pin(self.inner.call(request)),
            Verdict::Refuse(status) => Box::pin(async { Ok(status.into_http()) }),
            Verdict::Lose(status) => {
                let answer = self.inner.call(request);
                Box::pin(async {
                    answer.await?;
                    Ok(status.into_http())
                })
            }
            Verdict::Hang => Box::pin(std::future::pending()),
        }
    }
}
