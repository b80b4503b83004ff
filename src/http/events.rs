//! The status whenever it changes, to whoever listens: server-sent events, for the page and
//! for programs. Nothing is done while nothing changes, but for a sign of life.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{Extension, State};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use utoipa::{IntoParams, ToSchema};

use super::extract::Params;
use super::gate::{App, now};
use super::{ApiError, ErrorCode, tree};
use crate::session::Session;
use crate::wire::Status;

/// Listeners at a time: each costs a connection, and a look at every worktree for each change …
const MAX_LISTENERS: usize = 16;
/// … and those of one token, so that it does not keep the others out: half of them, as a person
/// has the page open in several windows.
const MAX_OF_TOKEN: usize = 8;
/// Between two events; what changes meanwhile is in the second.
const PAUSE: Duration = Duration::from_millis(500);
/// Without an event a listener hears this often that it is still connected.
const SIGN_OF_LIFE: Duration = Duration::from_secs(20);

/// How many listen, by the token's id.
#[derive(Default)]
pub(super) struct Listeners(Mutex<HashMap<String, usize>>);

/// The place of one who listens.
struct Place {
    listeners: Arc<Listeners>,
    token: String,
}

impl Listeners {
    fn enter(self: &Arc<Listeners>, token: &str) -> Result<Place, ApiError> {
        let mut places = self.places();
        let others = match places.get(token) {
            Some(own) if *own >= MAX_OF_TOKEN => format!("{own} listen with this token"),
            _ if places.values().sum::<usize>() >= MAX_LISTENERS => format!("{MAX_LISTENERS} others listen"),
            _ => {
                *places.entry(token.to_owned()).or_default() += 1;
                return Ok(Place { listeners: Arc::clone(self), token: token.to_owned() });
            }
        };
        Err(ApiError::new(ErrorCode::Busy, format!("{others} already"))
            .with_hint("close one of them, or ask `GET /v1/status` from time to time"))
    }

    fn places(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.listeners.places();
        match places.get_mut(&self.token) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(places.remove(&self.token)),
        }
    }
}

/// How long is listened.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsParams {
    /// End after so many seconds; 0 after the first event. Without it, it goes on.
    seconds: Option<u32>,
}

/// An event.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is written as text; this is its place in the document")]
pub(super) struct StatusEvent {
    /// Always `status`.
    event: String,
    /// What `GET /v1/status` answers, as JSON.
    data: String,
}

/// Tell the status now, and again whenever it has changed.
///
/// Server-sent events: each is called `status` and carries what `GET /v1/status` answers. Two a
/// second at most; comments between them are signs of life. It ends when the token does, or the
/// daemon. There are places for 16 listeners, of which a token gets 8; whoever is one too many is
/// told `busy`.
#[utoipa::path(
    get,
    path = "/v1/events",
    tag = "worktrees",
    params(EventsParams),
    responses((status = 200, body = StatusEvent, content_type = "text/event-stream", description = "Events"))
)]
pub(super) async fn events(
    State(app): State<Arc<App>>,
    Extension(session): Extension<Session>,
    Params(params): Params<EventsParams>,
) -> Result<Response, ApiError> {
    let place = app.listeners.enter(session.id())?;
    // What changes after the first look is told: the ear is opened before it.
    let mut changes = app.handle.changes();
    let first = text(&tree::seen(&app, session.clone()).await?);
    let (events, next) = mpsc::channel(1);
    // There is room for one.
    let _ = events.try_send(event(&first));
    tokio::spawn(async move {
        let _place = place;
        let mut closing = app.closing.clone();
        let telling = async {
            let (mut told, mut at) = (first, Instant::now());
            loop {
                sleep(PAUSE).await;
                let changed = timeout(SIGN_OF_LIFE.saturating_sub(at.elapsed()), changes.changed()).await;
                if matches!(changed, Ok(Err(_))) || !app.tokens.holds(&session, now()) {
                    return;
                }
                let mut next = Bytes::from_static(b":\n\n");
                if changed.is_ok() {
                    let Ok(status) = tree::seen(&app, session.clone()).await else { return };
                    let status = text(&status);
                    if status != told {
                        next = event(&status);
                        told = status;
                    } else if at.elapsed() < SIGN_OF_LIFE {
                        continue;
                    }
                }
                at = Instant::now();
                if events.send(next).await.is_err() {
                    return;
                }
            }
        };
        let end = async {
            match params.seconds {
                Some(seconds) => sleep(Duration::from_secs(seconds.into())).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => {}
            () = events.closed() => {}
            () = end => {}
            () = telling => {}
        }
    });
    let mut response = Response::new(Body::from_stream(ReceiverStream::new(next).map(Ok::<_, Infallible>)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    Ok(response)
}

fn text(status: &Status) -> String {
    serde_json::to_string(status).unwrap_or_default()
}

/// JSON has no line breaks: it is one line of data.
fn event(status: &str) -> Bytes {
    Bytes::from(format!("event: status\ndata: {status}\n\n"))
}
