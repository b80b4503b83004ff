//! Searches over the worktrees that a session sees.

use std::sync::Arc;

use axum::body::{Body as Stream, Bytes};
use axum::extract::{Extension, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::{Json, http::HeaderValue};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Array, ArrayBuilder, ObjectBuilder, Type};

use super::extract::Body;
use super::gate::App;
use super::{ApiError, ErrorDetail, Permit, RequestId, Worktrees};
use crate::daemon::{Handle, blocking};
use crate::search::MAX_QUERY_BYTES;
use crate::session::Session;
use crate::wire::{Answer, Place, SearchRequest, languages};

/// The longest wait that is granted, in milliseconds: what is over it is cut, and the answer
/// says what it covers.
const MAX_WAIT_MS: u64 = 20_000;

/// Worktrees of one search at most.
const MAX_WORKTREES: usize = 64;

/// Which legs answer.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ModeName {
    /// Words and meaning.
    #[default]
    Hybrid,
    /// Words; needs no model.
    Lexical,
    /// Meaning only.
    Dense,
}

impl ModeName {
    pub(super) fn name(self) -> &'static str {
        match self {
            ModeName::Hybrid => "hybrid",
            ModeName::Lexical => "lexical",
            ModeName::Dense => "dense",
        }
    }
}

/// A search.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchBody {
    /// A question, a name or an error message.
    #[schema(min_length = 1, max_length = 65536, pattern = r"\S")]
    query: String,
    /// Absolute paths in the worktrees to search; none means all that this token may see.
    #[serde(default)]
    #[schema(max_items = 64)]
    worktrees: Vec<Place>,
    /// The most hits.
    #[schema(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// Which legs answer.
    #[serde(default)]
    mode: ModeName,
    /// Globs, from the worktrees' roots.
    #[serde(default)]
    paths: Vec<String>,
    /// Languages by name.
    #[serde(default)]
    #[schema(schema_with = language_names)]
    languages: Vec<String>,
    /// Kinds, such as `function`.
    #[serde(default)]
    kinds: Vec<String>,
    /// How long to wait for the edits made before the request, in milliseconds.
    wait_ms: Option<u64>,
    /// Answer with one JSON object a line: what the words find at once, then all.
    #[serde(default)]
    stream: bool,
}

fn language_names() -> Array {
    let name = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(languages()));
    ArrayBuilder::new().items(name).build()
}

/// One line of a streamed answer.
#[derive(Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum SearchEvent {
    /// What the words find; an answer follows.
    Lexical {
        /// The answer.
        answer: Box<Answer>,
    },
    /// The last line.
    Answer {
        /// The answer.
        answer: Box<Answer>,
    },
    /// The last line, where it failed.
    Error {
        /// Why.
        error: ErrorDetail,
    },
}

/// Search code by meaning, words and names.
///
/// Each hit is checked against the disk before it is shown. With `stream` the answer is
/// `application/x-ndjson`.
#[utoipa::path(
    post,
    path = "/v1/search",
    tag = "search",
    request_body = SearchBody,
    responses((status = 200, content((Answer = "application/json"), (SearchEvent = "application/x-ndjson")),
               description = "Hits, best first"))
)]
pub(super) async fn search(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Extension(RequestId(id)): Extension<RequestId>,
    Extension(permit): Extension<Permit>,
    Body(body): Body<SearchBody>,
) -> Result<Response, ApiError> {
    let stream = body.stream;
    let request = request(&app, session, body).await?;
    if !stream {
        return Ok(Json(app.handle.search(request).await?).into_response());
    }
    let (lines, next) = mpsc::channel(2);
    let handle = app.handle.clone();
    tokio::spawn(async move {
        let _permit = permit;
        streamed(&handle, request, &id, lines).await;
    });
    let mut response =
        Response::new(Stream::from_stream(ReceiverStream::new(next).map(Ok::<_, std::convert::Infallible>)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    Ok(response)
}

/// The request within what the session may see.
async fn request(app: &Arc<App>, session: Session, body: SearchBody) -> Result<SearchRequest, ApiError> {
    let invalid = |message: String| ApiError::new(super::ErrorCode::Invalid, message);
    if body.query.len() > 16 * MAX_QUERY_BYTES {
        return Err(invalid(format!("the query is over {} bytes", 16 * MAX_QUERY_BYTES)));
    }
    let limit = body.limit.unwrap_or(app.engine().settings().search_limit as u32);
    if !(1..=100).contains(&limit) {
        return Err(invalid(format!("limit: {limit} is not from 1 to 100")));
    }
    let engine = app.engine();
    let seen = blocking(move || Worktrees::of(&session, &engine.settings().data_dir)).await?;
    let mut roots: Vec<Place> = Vec::new();
    match body.worktrees.is_empty() {
        true => roots.extend(seen.active().map(Place::from)),
        false => {
            for place in &body.worktrees {
                let root = Place::from(seen.find(place)?.0);
                if !roots.contains(&root) {
                    roots.push(root);
                }
            }
        }
    }
    if roots.len() > MAX_WORKTREES {
        return Err(invalid(format!("{} worktrees are over {MAX_WORKTREES}", roots.len()))
            .with_hint("name those to search in `worktrees`"));
    }
    let mut roots = roots.into_iter();
    let worktree = roots
        .next()
        .ok_or_else(|| ApiError::not_found("worktree").with_hint("`indexer add PATH` registers one"))?;
    Ok(SearchRequest {
        worktree,
        also: roots.collect(),
        query: body.query,
        limit: limit as usize,
        mode: body.mode.name().to_owned(),
        paths: body.paths,
        languages: body.languages,
        kinds: body.kinds.iter().map(|kind| kind.to_lowercase()).collect(),
        wait_ms: body.wait_ms.map(|wait| wait.min(MAX_WAIT_MS)),
    })
}

/// What the words find, then all; ends early where nobody reads.
async fn streamed(handle: &Handle, request: SearchRequest, id: &str, lines: mpsc::Sender<Bytes>) {
    if request.mode == "hybrid" {
        let quick = SearchRequest { mode: "lexical".to_owned(), wait_ms: None, ..request.clone() };
        // Should it fail, the whole says so.
        if let Ok(answer) = handle.search(quick).await
            && lines.send(line(&SearchEvent::Lexical { answer: Box::new(answer) })).await.is_err()
        {
            return;
        }
    }
    let last = match handle.search(request).await {
        Ok(answer) => SearchEvent::Answer { answer: Box::new(answer) },
        Err(failure) => SearchEvent::Error { error: ApiError::from(failure).body(id).error },
    };
    // Nobody reads any more.
    let _ = lines.send(line(&last)).await;
}

fn line(event: &SearchEvent) -> Bytes {
    let mut line = serde_json::to_vec(event).unwrap_or_default();
    line.push(b'\n');
    Bytes::from(line)
}
