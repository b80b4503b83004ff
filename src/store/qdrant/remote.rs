//! The connection to the server: every call has a deadline and is repeated where it may help.
//!
//! What is called is in `calls`; this must not know it.

use std::collections::HashMap;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use qdrant_client::qdrant::{
    PayloadIncludeSelector, ReadConsistency, ReadConsistencyType, Value, VectorsSelector,
    WithPayloadSelector, WithVectorsSelector, read_consistency, with_payload_selector, with_vectors_selector,
};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Response, Status};

use super::failure::Failure;
use super::options::QdrantOptions;
use super::retry::{Backoff, Breaker};
use crate::store::StoreError;

pub(super) type Service = InterceptedService<Channel, Auth>;
pub(super) type Payload = HashMap<String, Value>;

/// Puts the key into every request.
#[derive(Clone)]
pub(super) struct Auth(Option<MetadataValue<Ascii>>);

impl Interceptor for Auth {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(key) = &self.0 {
            request.metadata_mut().insert("api-key", key.clone());
        }
        Ok(request)
    }
}

/// A connection, made when it is first needed and again when it was lost.
pub(super) struct Remote {
    url: String,
    service: Service,
    timeout: Duration,
    retries: u32,
    backoff: (Duration, Duration),
    breaker: Mutex<Breaker>,
    is_replicated: bool,
}

/// What a page of points brings besides their ids.
#[derive(Clone, Copy)]
pub(super) enum With<'a> {
    /// Some fields.
    Fields(&'a [&'a str]),
    /// All fields.
    Payload,
    /// Some fields, and a dense vector.
    Vector(&'a [&'a str], &'a str),
}

impl With<'_> {
    pub(super) fn payload(self) -> Option<WithPayloadSelector> {
        Some(match self {
            With::Payload => with_payload_selector::SelectorOptions::Enable(true).into(),
            With::Fields(fields) | With::Vector(fields, _) => {
                let fields = fields.iter().map(|&field| field.to_owned()).collect();
                with_payload_selector::SelectorOptions::Include(PayloadIncludeSelector { fields }).into()
            }
        })
    }

    pub(super) fn vectors(self) -> Option<WithVectorsSelector> {
        let With::Vector(_, name) = self else { return None };
        let names = vec![name.to_owned()];
        Some(with_vectors_selector::SelectorOptions::Include(VectorsSelector { names }).into())
    }
}

impl Remote {
    /// Checks the options; connects to nothing. To be called in the context of the runtime.
    pub(super) fn new(options: &QdrantOptions) -> Result<Remote, StoreError> {
        let url = options.url.trim_end_matches('/').to_owned();
        let invalid = |what: &str| {
            // The address is not repeated: it may have a password in it.
            StoreError::Invalid(format!(
                "the address of the Qdrant server {what}, such as http://127.0.0.1:6334"
            ))
        };
        let endpoint = Endpoint::from_shared(url.clone()).map_err(|_| invalid("must be a URL"))?;
        let uri = endpoint.uri().clone();
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(invalid("must have no user or password; the key is an option of its own"));
        }
        let mut endpoint = endpoint
            .connect_timeout(options.connect_timeout)
            .tcp_keepalive(Some(Duration::from_secs(30)))
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(options.connect_timeout);
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                let mut tls = ClientTlsConfig::new().with_native_roots();
                if let Some(pem) = &options.ca_certificate {
                    // What has none in it would be passed over in silence.
                    if !String::from_utf8_lossy(pem).contains("-----BEGIN CERTIFICATE-----") {
                        return Err(StoreError::Invalid(format!(
                            "the certificate authority for {url} has no PEM certificate: give one"
                        )));
                    }
                    tls = tls.ca_certificate(Certificate::from_pem(pem));
                }
                endpoint = endpoint.tls_config(tls).map_err(|e| {
                    StoreError::Invalid(format!("the certificate authority for {url} cannot be used: {e}"))
                })?;
            }
            _ => return Err(invalid("must begin with http:// or https://")),
        }
        let key = match &options.api_key {
            None => None,
            Some(key) => {
                let mut value = MetadataValue::try_from(key.expose()).map_err(|_| {
                    StoreError::Invalid("the Qdrant API key must be of visible ASCII characters".to_owned())
                })?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        Ok(Remote {
            url,
            service: InterceptedService::new(endpoint.connect_lazy(), Auth(key)),
            timeout: options.timeout,
            retries: options.retries,
            backoff: (options.backoff, options.backoff_limit),
            breaker: Mutex::new(Breaker::new(options.breaker_failures, options.breaker_pause)),
            is_replicated: options.replication_factor.is_some_and(|factor| factor > 1),
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn error(&self, failure: Failure) -> StoreError {
        failure.into_error(&self.url)
    }

    pub(super) async fn call<Q, A, F>(
        &self,
        request: Q,
        send: impl Fn(Service, Request<Q>) -> F,
    ) -> Result<A, Failure>
    where
        Q: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let mut backoff = Backoff::new(self.retries, self.backoff.0, self.backoff.1);
        loop {
            self.breaker().admit(Instant::now()).map_err(Failure::Unreachable)?;
            let mut attempt = Request::new(request.clone());
            attempt.set_timeout(self.timeout);
            let answer = tokio::time::timeout(self.timeout, send(self.service.clone(), attempt)).await;
            let late = || Failure::Unreachable(format!("no answer within {:?}", self.timeout));
            let failure = match answer {
                Ok(Ok(answer)) => {
                    self.breaker().answered();
                    return Ok(answer.into_inner());
                }
                Ok(Err(status)) if status.message() == "Timeout expired" => late(),
                Ok(Err(status)) => Failure::of(&status),
                Err(_) => late(),
            };
            match &failure {
                Failure::Unreachable(reason) => self.breaker().failed(Instant::now(), reason),
                _ => self.breaker().answered(),
            }
            match backoff.wait(luck()).filter(|_| failure.may_pass()) {
                None => return Err(failure),
                Some(wait) => {
                    tracing::debug!(?failure, ?wait, "the call is repeated");
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    fn breaker(&self) -> std::sync::MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn consistency(&self) -> Option<ReadConsistency> {
        let majority = read_consistency::Value::Type(ReadConsistencyType::Majority.into());
        self.is_replicated.then(|| majority.into())
    }
}

/// A number that nobody foresees.
pub(super) fn luck() -> u64 {
    RandomState::new().hash_one(())
}
