//! Traces: where the time of a run or a search goes, sent by OTLP over HTTP to a collector.
//!
//! Nothing is sent unless a collector is configured. A collector that does not answer costs
//! the spans, never the run: they are queued in memory up to a bound, and dropped beyond it.
//! Spans carry paths of worktrees and counts; the text of a query only where that was asked for.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{KeyValue, global};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

use crate::config::TraceSettings;

/// A collector has this long to take a batch, and a process that ends waits no longer for it.
const PATIENCE: Duration = Duration::from_secs(3);
/// An answer says what was refused, in few words.
const ANSWER_MOST: u64 = 64 << 10;

/// Sends what is left when it is dropped.
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Those of a process that sends none.
    pub(super) fn off() -> Traces {
        Traces(None)
    }

    /// Sends to the collector of `settings`; the tracer to make spans with, where there is one.
    pub(super) fn new(settings: &TraceSettings) -> Result<(Traces, Option<SdkTracer>), String> {
        let Some(endpoint) = &settings.endpoint else { return Ok((Traces::off(), None)) };
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .user_agent(concat!("contextd-indexer/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client(agent))
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(&url)
            .with_timeout(PATIENCE)
            .build()
            .map_err(|error| format!("traces.endpoint {endpoint:?}: {error}"))?;
        let resource = Resource::builder()
            .with_service_name("contextd-indexer")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
        global::set_tracer_provider(provider.clone());
        let tracer = provider.tracer("contextd-indexer");
        Ok((Traces(Some(provider)), Some(tracer)))
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Some(provider) = &self.0
            && let Err(error) = provider.shutdown_with_timeout(PATIENCE)
        {
            tracing::warn!(%error, "the last traces did not reach their collector (traces.endpoint)");
        }
    }
}

/// The blocking client, as the exporter wants one: it calls from a thread of its own.
#[derive(Debug)]
struct Client(ureq::Agent);

impl HttpClient for Client {
    fn send_bytes<'a: 'b, 'b>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'b>> {
        Box::pin(async move {
            let (parts, body) = self.0.run(request.map(|body| body.to_vec()))?.into_parts();
            let body = body.into_with_config().limit(ANSWER_MOST).read_to_vec()?;
            Ok(Response::from_parts(parts, body.into()))
        })
    }
}
