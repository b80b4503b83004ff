//! The OpenAPI document: of the handlers and their types, with what stands before them.

use axum::Json;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::{ErrorBody, ErrorCode, ErrorDetail, open_routes, session_routes};

/// What stands before every route, and so can answer in its place.
const ANY: &[ErrorCode] = &[
    ErrorCode::Malformed,
    ErrorCode::CrossSite,
    ErrorCode::RequestTimeout,
    ErrorCode::TooLarge,
    ErrorCode::UnsupportedMediaType,
    ErrorCode::UnknownHost,
    ErrorCode::HeadersTooLarge,
    ErrorCode::Internal,
    ErrorCode::Busy,
];

/// What routes behind a session can answer beside that.
const BEHIND_SESSION: &[ErrorCode] = &[
    ErrorCode::Unauthorized,
    ErrorCode::Forbidden,
    ErrorCode::NotFound,
    ErrorCode::NotIndexed,
    ErrorCode::Invalid,
    ErrorCode::RateLimited,
];

/// The document of this version.
pub fn document() -> OpenApi {
    let info = InfoBuilder::new()
        .title("contextd-indexer")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "What the daemon of contextd-indexer answers. Every error has the shape of `ErrorBody`; its \
             `request_id` is in the daemon's log, and in the header `X-Request-Id`. A token sees its own \
             worktrees: what it may not see is answered like what is not there.",
        ))
        .build();
    let mut document = OpenApiBuilder::new().info(info).build();
    let (_, mut open) = open_routes().split_for_parts();
    let (_, mut behind) = session_routes().split_for_parts();
    for operation in operations(&mut open) {
        answers(operation, ANY);
    }
    for operation in operations(&mut behind) {
        answers(operation, ANY);
        answers(operation, BEHIND_SESSION);
        operation.security = Some(vec![SecurityRequirement::new("token", [""; 0])]);
    }
    document.merge(open);
    document.merge(behind);
    let components = document.components.get_or_insert_default();
    let bearer = Http::builder().scheme(HttpAuthScheme::Bearer).description(Some("`indexer token create`"));
    components.add_security_scheme("token", SecurityScheme::Http(bearer.build()));
    for (name, schema) in [
        (ErrorBody::name(), ErrorBody::schema()),
        (ErrorDetail::name(), ErrorDetail::schema()),
        (ErrorCode::name(), ErrorCode::schema()),
    ] {
        components.schemas.insert(name.into_owned(), schema);
    }
    for (name, schema) in &mut components.schemas {
        // Behind an alias of a map the macro takes the values for the keys, too.
        if let (true, RefOr::T(Schema::Object(map))) = (name.starts_with("BTreeMap_"), schema) {
            map.property_names = None;
        }
    }
    document
}

fn operations(document: &mut OpenApi) -> impl Iterator<Item = &mut Operation> {
    document.paths.paths.values_mut().flat_map(|path| {
        [&mut path.get, &mut path.post, &mut path.put, &mut path.delete, &mut path.patch]
            .into_iter()
            .filter_map(Option::as_mut)
    })
}

/// Adds the answers of these errors, where the route has not its own of that status.
fn answers(operation: &mut Operation, codes: &[ErrorCode]) {
    for code in codes {
        let status = code.status();
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(ErrorBody::name()))).build();
        let response = ResponseBuilder::new()
            .description(status.canonical_reason().unwrap_or_default())
            .content("application/json", content)
            .build();
        let responses = &mut operation.responses.responses;
        responses.entry(status.as_str().to_owned()).or_insert(RefOr::T(response));
    }
}

/// This document.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "health", security(()),
               responses((status = 200, body = serde_json::Value)))]
pub(super) async fn openapi() -> Json<OpenApi> {
    Json(document())
}
