//! Logs on standard error. Quiet by default: warnings and errors only. A panic that
//! is caught is a log line, not a message. Traces and metrics, where they are asked for.

pub mod metrics;
mod traces;

use std::any::Any;
use std::cell::Cell;
use std::io::IsTerminal as _;
use std::panic::{self, AssertUnwindSafe};

use tracing::Metadata;
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt, reload};

pub use traces::Traces;

use crate::config::{LogSettings, TraceSettings};

/// Spans of other crates are none of ours.
const SPANS: &str = "contextd_indexer";

/// Changes the filter of the subscriber while it is in use.
#[derive(Clone)]
pub struct LogFilter(reload::Handle<EnvFilter, Registry>);

impl LogFilter {
    /// Logs what `filter`, in `tracing`'s directive syntax, lets pass from now on; `None`
    /// goes back to what `verbosity` means.
    pub fn set(&self, filter: Option<&str>, verbosity: u8) -> Result<(), String> {
        let filter = parse(filter, verbosity)?;
        self.0.reload(filter).map_err(|error| error.to_string())
    }
}

fn parse(filter: Option<&str>, verbosity: u8) -> Result<EnvFilter, String> {
    let text = filter.unwrap_or(match verbosity {
        0 => "warn,ort=error",
        1 => "warn,contextd_indexer=info,ort=error",
        _ => "info,contextd_indexer=debug,ort=error",
    });
    EnvFilter::try_new(text).map_err(|error| format!("log filter {text:?}: {error}"))
}

/// Installs the subscriber. A filter that does not parse, or a collector of traces that cannot
/// be one, is reported as `Err` with its text and nothing is installed.
pub fn init(
    settings: &LogSettings,
    traces: &TraceSettings,
    verbosity: u8,
) -> Result<(LogFilter, Traces), String> {
    let (filter, handle) = reload::Layer::new(parse(settings.filter.as_deref(), verbosity)?);
    let (traces, tracer) = Traces::new(traces)?;
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let lines = match settings.json {
        // Whoever collects them wants times; a terminal and a journal have their own.
        true => lines.json().flatten_event(true).boxed(),
        false => lines.without_time().with_ansi(std::io::stderr().is_terminal()).boxed(),
    };
    // Spans are for traces: a line says what it has to say itself.
    let lines = lines.with_filter(filter.and(filter_fn(|metadata| !metadata.is_span())));
    let spans = tracer.map(|tracer| {
        let own = |metadata: &Metadata<'_>| metadata.is_span() && metadata.target().starts_with(SPANS);
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_filter(LevelFilter::INFO.and(filter_fn(own)))
    });
    // A second initialisation in one process (tests) keeps the first.
    let _ = tracing_subscriber::registry().with(lines).with(spans).try_init();
    Ok((LogFilter(handle), traces))
}

thread_local!(static CATCHING: Cell<bool> = const { Cell::new(false) });

/// Makes panics inside [`catch_panic`] silent but for a log line at debug level; all
/// others print as ever.
pub fn install_panic_hook() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if CATCHING.get() {
            tracing::debug!(panic = %info, "caught");
        } else {
            print(info);
        }
    }));
}

/// Runs `act`; a panic in it is returned. For calls into libraries that do not expect
/// hostile data. Panics on threads that it starts are not caught.
pub fn catch_panic<T>(act: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    let outer = CATCHING.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(act));
    CATCHING.set(outer);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_caught_and_later_ones_are_not_silenced() {
        assert_eq!(catch_panic(|| CATCHING.get()).ok(), Some(true));
        let inner = catch_panic(|| catch_panic(|| panic!("inner")).is_err() && CATCHING.get());
        assert_eq!(inner.ok(), Some(true));
        assert!(catch_panic(|| panic!("outer")).is_err());
        assert!(!CATCHING.get());
    }
}
