//! The server's calls that the store makes.
//!
//! Every call here may be repeated: it writes what it says whatever was there, or checks on
//! the server what it expects to be there. Must not know what a point means; that every
//! request of points is confined to one collection is in the type of its filter, [`Scoped`].

use qdrant_client::qdrant::collections_client::CollectionsClient;
use qdrant_client::qdrant::points_client::PointsClient;
use qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use qdrant_client::qdrant::{
    CollectionInfo, CountPoints, CreateCollection, CreateFieldIndexCollection, CreateVectorNameRequest,
    DeleteCollection, DeletePayloadPoints, DeletePointVectors, DeletePoints, DeleteVectorNameRequest,
    FacetCounts, FacetHit, GetCollectionInfoRequest, GetPoints, ListCollectionsRequest, PointId, PointStruct,
    PointVectors, PointsSelector, QueryBatchPoints, QueryPoints, RetrievedPoint, ScoredPoint, ScrollPoints,
    SetPayloadPoints, UpdateCollection, UpdateMode, UpdatePointVectors, UpsertPoints, VectorsSelector,
    WriteOrdering, WriteOrderingType,
};

use super::failure::Failure;
use super::remote::{Payload, Remote, Service, With};
use super::scope::Scoped;

impl Remote {
    // physical collections

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

    pub(super) async fn update(&self, request: UpdateCollection) -> Result<(), Failure> {
        self.call(request, |s, q| async move { CollectionsClient::new(s).update(q).await }).await.map(drop)
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

    /// Removes a dense vector from those that points may have, with all of its values.
    pub(super) async fn drop_vector(&self, physical: &str, name: &str) -> Result<(), Failure> {
        let request = DeleteVectorNameRequest {
            collection_name: physical.to_owned(),
            wait: Some(true),
            vector_name: name.to_owned(),
            ..DeleteVectorNameRequest::default()
        };
        self.call(request, |s, q| async move { PointsClient::new(s).delete_vector_name(q).await }).await?;
        Ok(())
    }

    // reading points

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

    // writing points: every one waits until it is done, in the order of the leader

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

    /// Takes a dense vector from the points in a scope.
    pub(super) async fn take_vectors(
        &self,
        physical: &str,
        scope: &Scoped,
        name: &str,
    ) -> Result<(), Failure> {
        let request = DeletePointVectors {
            collection_name: physical.to_owned(),
            wait: Some(true),
            points_selector: selector(scope),
            vectors: Some(VectorsSelector { names: vec![name.to_owned()] }),
            ordering: strong(),
            ..DeletePointVectors::default()
        };
        self.call(request, |s, q| async move { points(s).delete_vectors(q).await }).await.map(drop)
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
