//! The server's calls that the store makes, each with a deadline, repeated where it may help.
//!
//! Every call here may be repeated: it writes what it says whatever was there, or checks on
//! the server what it expects to be there. Must not know what a point means; that every
//! request of points is confined to one collection is in the type of its filter, [`Scoped`].

use std::collections::HashMap;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use qdrant_client::qdrant::collections_client::CollectionsClient;
use qdrant_client::qdrant::points_client::PointsClient;
use qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use qdrant_client::qdrant::{
    CollectionInfo, CountPoints, CreateCollection, CreateFieldIndexCollection, CreateVectorNameRequest,
    DeleteCollection, DeletePayloadPoints, DeletePoints, FacetCounts, FacetHit, GetCollectionInfoRequest,
    GetPoints, ListCollectionsRequest, PayloadIncludeSelector, PointId, PointStruct, PointVectors,
    PointsSelector, QueryBatchPoints, QueryPoints, ReadConsistency, ReadConsistencyType, RetrievedPoint,
    ScoredPoint, ScrollPoints, SetPayloadPoints, UpdateMode, UpdatePointVectors, UpsertPoints, Value,
    VectorsSelector, WithPayloadSelector, WithVectorsSelector, WriteOrdering, WriteOrderingType,
    read_consistency, with_payload_selector, with_vectors_selector,
};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Response, Status};

use super::failure::Failure;
use super::options::QdrantOptions;
use super::retry::{Backoff, Breaker};
use super::scope::Scoped;
use crate::store::StoreError;

type Service = InterceptedService<Channel, Auth>;
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

    async fn call<Q, A, F>(&self, request: Q, send: impl Fn(Service, Request<Q>) -> F) -> Result<A, Failure>
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

    fn consistency(&self) -> Option<ReadConsistency> {
        let majority = read_consistency::Value::Type(ReadConsistencyType::Majority.into());
        self.is_replicated.then(|| majority.into())
    }

    // --- physical collections

    pub(super) async fn list(&self) -> Result<Vec<String>, Failure> {
        let request = ListCollectionsRequest {};
        let answer =
            self.call(request, |s, q| async move { CollectionsClient::new(s).list(q).await }).await?;
        Ok(answer.collections.into_iter().map(|collection| collection.name).collect())
    }

    pub(super) async fn info(&self, physical: &str) -> Result<Option<CollectionInfo>, Failure> {
        let request = GetCollectionInfoRequest { collection_name: physical.to_owned() };
        let answer = self.call(request, |s, q| async move { CollectionsClient::new(s).get(q).await });
        Ok(unless_missing(answer.await)?.and_then(|answer| answer.result))
    }

    /// Whether it was made now.
    pub(super) async fn create(&self, request: CreateCollection) -> Result<bool, Failure> {
        let answer = self.call(request, |s, q| async move { CollectionsClient::new(s).create(q).await });
        match answer.await {
            Err(Failure::Exists(_)) => Ok(false),
            answer => answer.map(|_| true),
        }
    }

    pub(super) async fn drop(&self, physical: &str) -> Result<(), Failure> {
        let request = DeleteCollection { collection_name: physical.to_owned(), timeout: None };
        let answer = self.call(request, |s, q| async move { CollectionsClient::new(s).delete(q).await });
        unless_missing(answer.await).map(drop)
    }

    pub(super) async fn index(&self, request: CreateFieldIndexCollection) -> Result<(), Failure> {
        self.call(request, |s, q| async move { PointsClient::new(s).create_field_index(q).await }).await?;
        Ok(())
    }

    /// Adds a dense vector to those that points may have.
    pub(super) async fn add_vector(&self, request: CreateVectorNameRequest) -> Result<(), Failure> {
        match self.call(request, |s, q| async move { PointsClient::new(s).create_vector_name(q).await }).await
        {
            Err(Failure::Exists(_)) => Ok(()),
            answer => answer.map(|_| ()),
        }
    }

    // --- reading points

    /// The points of these ids that are there; none where the physical collection is not.
    pub(super) async fn get(
        &self,
        physical: &str,
        ids: Vec<PointId>,
        with: With<'_>,
    ) -> Result<Vec<RetrievedPoint>, Failure> {
        let request = GetPoints {
            collection_name: physical.to_owned(),
            ids,
            with_payload: with.payload(),
            with_vectors: with.vectors(),
            read_consistency: self.consistency(),
            ..GetPoints::default()
        };
        let answer = self.call(request, |s, q| async move { points(s).get(q).await });
        Ok(unless_missing(answer.await)?.map(|answer| answer.result).unwrap_or_default())
    }

    /// A page of the points in a scope, and where the next one begins.
    pub(super) async fn scroll(
        &self,
        physical: &str,
        scope: &Scoped,
        with: With<'_>,
        limit: usize,
        offset: Option<PointId>,
    ) -> Result<(Vec<RetrievedPoint>, Option<PointId>), Failure> {
        let request = ScrollPoints {
            collection_name: physical.to_owned(),
            filter: Some(scope.filter()),
            offset,
            limit: Some(u32::try_from(limit).unwrap_or(u32::MAX)),
            with_payload: with.payload(),
            with_vectors: Some(with.vectors().unwrap_or(false.into())),
            read_consistency: self.consistency(),
            ..ScrollPoints::default()
        };
        let answer = self.call(request, |s, q| async move { points(s).scroll(q).await }).await?;
        Ok((answer.result, answer.next_page_offset))
    }

    /// All points in a scope, in pages of `page`, in order of their ids on the server.
    pub(super) async fn all(
        &self,
        physical: &str,
        scope: &Scoped,
        with: With<'_>,
        page: usize,
    ) -> Result<Vec<RetrievedPoint>, Failure> {
        let mut all = Vec::new();
        let mut offset = None;
        loop {
            let (mut points, next) = self.scroll(physical, scope, with, page, offset).await?;
            all.append(&mut points);
            if next.is_none() {
                return Ok(all);
            }
            offset = next;
        }
    }

    pub(super) async fn count(&self, physical: &str, scope: &Scoped) -> Result<u64, Failure> {
        let request = CountPoints {
            collection_name: physical.to_owned(),
            filter: Some(scope.filter()),
            exact: Some(true),
            read_consistency: self.consistency(),
            ..CountPoints::default()
        };
        let answer = self.call(request, |s, q| async move { points(s).count(q).await }).await?;
        Ok(answer.result.map_or(0, |result| result.count))
    }

    /// The distinct values of a keyword, with how many points in the scope have each.
    pub(super) async fn facet(
        &self,
        physical: &str,
        scope: &Scoped,
        key: &str,
        limit: u64,
    ) -> Result<Vec<FacetHit>, Failure> {
        let request = FacetCounts {
            collection_name: physical.to_owned(),
            key: key.to_owned(),
            filter: Some(scope.filter()),
            limit: Some(limit),
            exact: Some(true),
            read_consistency: self.consistency(),
            ..FacetCounts::default()
        };
        Ok(self.call(request, |s, q| async move { points(s).facet(q).await }).await?.hits)
    }

    /// Queries of one physical collection, whose filters are those of [`Scoped::filter`].
    pub(super) async fn query(
        &self,
        physical: &str,
        queries: Vec<QueryPoints>,
    ) -> Result<Vec<Vec<ScoredPoint>>, Failure> {
        let request = QueryBatchPoints {
            collection_name: physical.to_owned(),
            query_points: queries,
            read_consistency: self.consistency(),
            timeout: None,
        };
        let answer = self.call(request, |s, q| async move { points(s).query_batch(q).await }).await?;
        Ok(answer.result.into_iter().map(|batch| batch.result).collect())
    }

    // --- writing points: every one waits until it is done, in the order of the leader

    /// Adds points; one that is there already stays as it is.
    pub(super) async fn insert(&self, physical: &str, new: Vec<PointStruct>) -> Result<(), Failure> {
        let request = UpsertPoints {
            collection_name: physical.to_owned(),
            wait: Some(true),
            points: new,
            ordering: strong(),
            update_mode: Some(UpdateMode::InsertOnly.into()),
            ..UpsertPoints::default()
        };
        self.call(request, |s, q| async move { points(s).upsert(q).await }).await.map(drop)
    }

    /// Sets fields of the points in a scope and leaves their others.
    pub(super) async fn set(&self, physical: &str, scope: &Scoped, payload: Payload) -> Result<(), Failure> {
        let request = SetPayloadPoints {
            collection_name: physical.to_owned(),
            wait: Some(true),
            payload,
            points_selector: selector(scope),
            ordering: strong(),
            ..SetPayloadPoints::default()
        };
        self.call(request, |s, q| async move { points(s).set_payload(q).await }).await.map(drop)
    }

    /// Removes fields of the points in a scope.
    pub(super) async fn unset(&self, physical: &str, scope: &Scoped, keys: &[&str]) -> Result<(), Failure> {
        let request = DeletePayloadPoints {
            collection_name: physical.to_owned(),
            wait: Some(true),
            keys: keys.iter().map(|&key| key.to_owned()).collect(),
            points_selector: selector(scope),
            ordering: strong(),
            ..DeletePayloadPoints::default()
        };
        self.call(request, |s, q| async move { points(s).delete_payload(q).await }).await.map(drop)
    }

    /// Removes the points in a scope.
    pub(super) async fn delete(&self, physical: &str, scope: &Scoped) -> Result<(), Failure> {
        let request = DeletePoints {
            collection_name: physical.to_owned(),
            wait: Some(true),
            points: selector(scope),
            ordering: strong(),
            ..DeletePoints::default()
        };
        self.call(request, |s, q| async move { points(s).delete(q).await }).await.map(drop)
    }

    /// Gives vectors to points that are there.
    pub(super) async fn put_vectors(
        &self,
        physical: &str,
        vectors: Vec<PointVectors>,
    ) -> Result<(), Failure> {
        let request = UpdatePointVectors {
            collection_name: physical.to_owned(),
            wait: Some(true),
            points: vectors,
            ordering: strong(),
            ..UpdatePointVectors::default()
        };
        self.call(request, |s, q| async move { points(s).update_vectors(q).await }).await.map(drop)
    }
}

/// The bounds on messages are the store's own: pages and batches.
fn points(service: Service) -> PointsClient<Service> {
    PointsClient::new(service).max_decoding_message_size(usize::MAX)
}

fn strong() -> Option<WriteOrdering> {
    Some(WriteOrdering { r#type: WriteOrderingType::Strong.into() })
}

fn selector(scope: &Scoped) -> Option<PointsSelector> {
    Some(PointsSelector { points_selector_one_of: Some(PointsSelectorOneOf::Filter(scope.filter())) })
}

fn unless_missing<T>(answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match answer {
        Err(Failure::Missing(_)) => Ok(None),
        answer => answer.map(Some),
    }
}

/// A number that nobody foresees.
pub(super) fn luck() -> u64 {
    RandomState::new().hash_one(())
}
