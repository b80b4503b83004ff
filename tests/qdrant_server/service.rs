//! The server traits of qdrant-client: which call goes to which function, and which
//! is not served.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use ::qdrant_client::qdrant::collections_server::Collections;
use ::qdrant_client::qdrant::points_server::Points;
use ::qdrant_client::qdrant::qdrant_server::Qdrant;
use ::qdrant_client::qdrant::*;
use tonic::{Request, Response, Status};

use super::collection::Data;
use super::{collection, facet, gate, query, read, write};

/// All three services over one set of data.
#[derive(Clone, Default)]
pub(super) struct Service {
    data: Arc<Mutex<Data>>,
}

impl Service {
    /// Calls see each other's effects whole: one at a time.
    fn answer<Q, A>(
        &self,
        request: Request<Q>,
        serve: impl FnOnce(&mut Data, Q) -> Result<A, Status>,
    ) -> Result<Response<A>, Status> {
        serve(&mut gate::locked(&self.data), request.into_inner()).map(Response::new)
    }
}

/// Methods as the traits' `async_trait` wants them: `name(Request) -> Response = function`
/// where the call is served.
macro_rules! calls {
    ($($name:ident($request:ty) -> $response:ty $(= $serve:expr)?;)*) => {
        $(fn $name<'life0, 'async_trait>(
            &'life0 self,
            request: Request<$request>,
        ) -> Pin<Box<dyn Future<Output = Result<Response<$response>, Status>> + Send + 'async_trait>>
        where
            'life0: 'async_trait,
            Self: 'async_trait,
        {
            Box::pin(async move { calls!(@answer self, request, $name $(, $serve)?) })
        })*
    };
    (@answer $self:ident, $request:ident, $name:ident, $serve:expr) => {
        $self.answer($request, $serve)
    };
    (@answer $self:ident, $request:ident, $name:ident) => {{
        drop($request);
        Err(Status::unimplemented(concat!("the stand-in server does not serve ", stringify!($name))))
    }};
}

impl Qdrant for Service {
    calls! {
        health_check(HealthCheckRequest) -> HealthCheckReply = |_, _| Ok(HealthCheckReply {
            title: "qdrant - vector search engine".to_owned(),
            version: "1.19.0".to_owned(),
            commit: None,
        });
    }
}

impl Collections for Service {
    calls! {
        get(GetCollectionInfoRequest) -> GetCollectionInfoResponse = collection::get;
        list(ListCollectionsRequest) -> ListCollectionsResponse = collection::list;
        create(CreateCollection) -> CollectionOperationResponse = collection::create;
        update(UpdateCollection) -> CollectionOperationResponse = collection::update;
        delete(DeleteCollection) -> CollectionOperationResponse = collection::delete;
        collection_exists(CollectionExistsRequest) -> CollectionExistsResponse = collection::exists;
        update_aliases(ChangeAliases) -> CollectionOperationResponse = collection::update_aliases;
        list_aliases(ListAliasesRequest) -> ListAliasesResponse = collection::list_aliases;
        list_collection_aliases(ListCollectionAliasesRequest) -> ListAliasesResponse
            = collection::list_collection_aliases;
        collection_cluster_info(CollectionClusterInfoRequest) -> CollectionClusterInfoResponse;
        update_collection_cluster_setup(UpdateCollectionClusterSetupRequest)
            -> UpdateCollectionClusterSetupResponse;
        create_shard_key(CreateShardKeyRequest) -> CreateShardKeyResponse;
        delete_shard_key(DeleteShardKeyRequest) -> DeleteShardKeyResponse;
        list_shard_keys(ListShardKeysRequest) -> ListShardKeysResponse;
    }
}

impl Points for Service {
    calls! {
        upsert(UpsertPoints) -> PointsOperationResponse = write::upsert;
        delete(DeletePoints) -> PointsOperationResponse = write::delete;
        update_vectors(UpdatePointVectors) -> PointsOperationResponse = write::update_vectors;
        delete_vectors(DeletePointVectors) -> PointsOperationResponse = write::delete_vectors;
        set_payload(SetPayloadPoints) -> PointsOperationResponse = write::set_payload;
        overwrite_payload(SetPayloadPoints) -> PointsOperationResponse = write::overwrite_payload;
        delete_payload(DeletePayloadPoints) -> PointsOperationResponse = write::delete_payload;
        clear_payload(ClearPayloadPoints) -> PointsOperationResponse = write::clear_payload;
        update_batch(UpdateBatchPoints) -> UpdateBatchResponse = write::update_batch;
        create_field_index(CreateFieldIndexCollection) -> PointsOperationResponse
            = collection::create_field_index;
        delete_field_index(DeleteFieldIndexCollection) -> PointsOperationResponse
            = collection::delete_field_index;
        get(GetPoints) -> GetResponse = read::get;
        scroll(ScrollPoints) -> ScrollResponse = read::scroll;
        count(CountPoints) -> CountResponse = read::count;
        facet(FacetCounts) -> FacetResponse = facet::facet;
        query(QueryPoints) -> QueryResponse = query::query;
        query_batch(QueryBatchPoints) -> QueryBatchResponse = query::query_batch;
        create_vector_name(CreateVectorNameRequest) -> PointsOperationResponse
            = collection::create_vector_name;
        delete_vector_name(DeleteVectorNameRequest) -> PointsOperationResponse
            = collection::delete_vector_name;
        search(SearchPoints) -> SearchResponse;
        search_batch(SearchBatchPoints) -> SearchBatchResponse;
        search_groups(SearchPointGroups) -> SearchGroupsResponse;
        recommend(RecommendPoints) -> RecommendResponse;
        recommend_batch(RecommendBatchPoints) -> RecommendBatchResponse;
        recommend_groups(RecommendPointGroups) -> RecommendGroupsResponse;
        discover(DiscoverPoints) -> DiscoverResponse;
        discover_batch(DiscoverBatchPoints) -> DiscoverBatchResponse;
        query_groups(QueryPointGroups) -> QueryGroupsResponse;
        search_matrix_pairs(SearchMatrixPoints) -> SearchMatrixPairsResponse;
        search_matrix_offsets(SearchMatrixPoints) -> SearchMatrixOffsetsResponse;
    }
}
