//! What the daemon counts, for Prometheus. The one place where a metric has its name, its
//! labels and its help.
//!
//! Labels take their values from closed sets: no path, query, user or project is one, so the
//! number of series is bounded whatever is indexed. Where nothing is installed, counting does
//! nothing.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

static INSTALLED: OnceLock<PrometheusHandle> = OnceLock::new();
static SINCE_UPKEEP: AtomicU32 = AtomicU32::new(0);
/// Observations of histograms wait in memory until they are put into their buckets.
const UPKEEP_EVERY: u32 = 1024;
/// Seconds: from a lexical search to a first indexing.
const BUCKETS: [f64; 16] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 600.0];

/// A dashboard for Grafana over all of them, to be imported there.
pub const DASHBOARD: &str = include_str!("grafana.json");

macro_rules! names {
    ($($(#[$doc:meta])* $kind:ident $name:ident = $text:literal, $help:literal;)*) => {
        $(const $name: &str = $text;)*
        fn describe() {
            $(names!(@$kind $name, $help);)*
        }
        /// Name and help of every metric.
        pub const ALL: &[(&str, &str)] = &[$(($text, $help)),*];
    };
    (@counter $name:ident, $help:literal) => { describe_counter!($name, $help) };
    (@gauge $name:ident, $help:literal) => { describe_gauge!($name, $help) };
    (@histogram $name:ident, $help:literal) => { describe_histogram!($name, $help) };
}

names! {
    gauge BUILD_INFO = "indexer_build_info", "1, with the version of the program.";
    counter RUNS = "indexer_runs_total", "Runs over worktrees that ended, by kind, most urgent trigger and result.";
    histogram RUN_SECONDS = "indexer_run_duration_seconds", "Wall time of a run.";
    histogram SEARCHABLE_SECONDS = "indexer_edit_to_searchable_seconds", "From the first event of a change until its words can be found.";
    counter FILES = "indexer_files_parsed_total", "Files parsed.";
    counter VECTORS = "indexer_vectors_total", "Vectors that became part of an index, by where they came from.";
    counter SEARCHES = "indexer_searches_total", "Searches answered, by result.";
    histogram SEARCH_SECONDS = "indexer_search_duration_seconds", "Wall time of a search, and of each of its stages.";
    counter REQUESTS = "indexer_http_requests_total", "HTTP requests answered, by route and status.";
    histogram REQUEST_SECONDS = "indexer_http_request_duration_seconds", "Wall time of an HTTP request, by route.";
    gauge WORKTREES = "indexer_worktrees", "Registered worktrees by state.";
    gauge PROBLEMS = "indexer_worktrees_failing", "Worktrees whose last run failed.";
    gauge PENDING = "indexer_pending_files", "Files known to differ from the index.";
    gauge LAG_SECONDS = "indexer_index_lag_seconds", "Age of the oldest change that is not indexed yet.";
    gauge POINTS = "indexer_points", "Chunks indexed.";
    gauge BYTES = "indexer_index_bytes", "Bytes of the indexes.";
    gauge VECTORS_NEEDED = "indexer_vectors_needed", "Vectors that the indexes need, by leg.";
    gauge VECTORS_PRESENT = "indexer_vectors_present", "Vectors that the indexes have, by leg.";
    gauge WATCHES = "indexer_watches", "Directories watched.";
    gauge WATCH_BUDGET = "indexer_watches_limit", "Directories watched at most.";
    gauge UNWATCHED = "indexer_unwatched_directories", "Directories that only the poll looks at.";
    gauge DATABASES = "indexer_databases", "Databases by type.";
    gauge CACHE_ENTRIES = "indexer_embedding_cache_entries", "Vectors in the embedding cache.";
    gauge CACHE_BYTES = "indexer_embedding_cache_bytes", "Bytes of the embedding cache.";
    counter STORE_ERRORS = "indexer_store_errors_total", "Calls of the store that failed, by what was being done.";
}

/// Begins to count in this process.
///
/// # Errors
/// Why it cannot.
pub fn install() -> Result<(), String> {
    if INSTALLED.get().is_some() {
        return Ok(());
    }
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)
        .map_err(|error| error.to_string())?
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|error| error.to_string())?;
    describe();
    metrics_process::Collector::default().describe();
    gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    // What has not happened yet is a zero, not an absence.
    for source in ["computed", "cache"] {
        counter!(VECTORS, "source" => source).absolute(0);
    }
    for result in ["ok", "error"] {
        counter!(SEARCHES, "result" => result).absolute(0);
    }
    for during in ["run", "search"] {
        counter!(STORE_ERRORS, "during" => during).absolute(0);
    }
    counter!(FILES).absolute(0);
    // Two at once: the first stays.
    let _ = INSTALLED.set(handle);
    Ok(())
}

/// All of it in Prometheus' text format, version 0.0.4; `None` where nothing is counted.
pub fn render() -> Option<String> {
    let handle = INSTALLED.get()?;
    metrics_process::Collector::default().collect();
    Some(handle.render())
}

/// A run ended. Each of the words is one of few.
pub fn run(kind: &'static str, trigger: &'static str, result: &'static str, took: Duration) {
    counter!(RUNS, "kind" => kind, "trigger" => trigger, "result" => result).increment(1);
    observe(histogram!(RUN_SECONDS, "kind" => kind), took);
}

/// What a run did.
pub fn indexed(parsed: u64, computed: u64, cached: u64) {
    counter!(FILES).increment(parsed);
    counter!(VECTORS, "source" => "computed").increment(computed);
    counter!(VECTORS, "source" => "cache").increment(cached);
}

/// A change became searchable so long after its first event.
pub fn searchable(after: Duration) {
    observe(histogram!(SEARCHABLE_SECONDS), after);
}

/// A search was answered, or failed; its stages by name.
pub fn search(answered: bool, took: Duration, stages: &[(&'static str, Duration)]) {
    counter!(SEARCHES, "result" => if answered { "ok" } else { "error" }).increment(1);
    observe(histogram!(SEARCH_SECONDS, "stage" => "all"), took);
    for (stage, took) in stages {
        observe(histogram!(SEARCH_SECONDS, "stage" => *stage), *took);
    }
}

/// The store failed `during` a `run` or a `search`.
pub fn store_error(during: &'static str) {
    counter!(STORE_ERRORS, "during" => during).increment(1);
}

/// An HTTP request was answered. `route` is the router's pattern, never the path that was asked for.
pub fn request(method: &'static str, route: &str, status: u16, took: Duration) {
    let route = route.to_owned();
    counter!(REQUESTS, "method" => method, "route" => route.clone(), "status" => status.to_string())
        .increment(1);
    observe(histogram!(REQUEST_SECONDS, "method" => method, "route" => route), took);
}

fn observe(histogram: metrics::Histogram, took: Duration) {
    histogram.record(took.as_secs_f64());
    if SINCE_UPKEEP.fetch_add(1, Ordering::Relaxed) % UPKEEP_EVERY == UPKEEP_EVERY - 1
        && let Some(handle) = INSTALLED.get()
    {
        handle.run_upkeep();
    }
}

/// How things are now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// State of a worktree → how many.
    pub worktrees: Vec<(&'static str, u64)>,
    /// Worktrees whose last run failed.
    pub failing: u64,
    /// Files that differ from the index.
    pub pending: u64,
    /// How long the oldest of them does.
    pub lag: Duration,
    /// Chunks.
    pub points: u64,
    /// Bytes of all indexes.
    pub bytes: u64,
    /// Leg, vectors there are, vectors needed.
    pub vectors: Vec<(&'static str, u64, u64)>,
    /// Watches in use, and at most.
    pub watches: (u64, u64),
    /// Directories that are polled only.
    pub unwatched: u64,
    /// Type of a database → how many.
    pub databases: Vec<(&'static str, u64)>,
    /// Entries and bytes of the embedding cache.
    pub cache: Option<(u64, u64)>,
}

/// Says how things are; asked for before they are rendered.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a double")]
pub fn state(state: &State) {
    for (name, count) in &state.worktrees {
        gauge!(WORKTREES, "state" => *name).set(*count as f64);
    }
    for (leg, present, needed) in &state.vectors {
        gauge!(VECTORS_PRESENT, "leg" => *leg).set(*present as f64);
        gauge!(VECTORS_NEEDED, "leg" => *leg).set(*needed as f64);
    }
    for (kind, count) in &state.databases {
        gauge!(DATABASES, "type" => *kind).set(*count as f64);
    }
    if let Some((entries, bytes)) = state.cache {
        gauge!(CACHE_ENTRIES).set(entries as f64);
        gauge!(CACHE_BYTES).set(bytes as f64);
    }
    gauge!(PROBLEMS).set(state.failing as f64);
    gauge!(PENDING).set(state.pending as f64);
    gauge!(LAG_SECONDS).set(state.lag.as_secs_f64());
    gauge!(POINTS).set(state.points as f64);
    gauge!(BYTES).set(state.bytes as f64);
    gauge!(WATCHES).set(state.watches.0 as f64);
    gauge!(WATCH_BUDGET).set(state.watches.1 as f64);
    gauge!(UNWATCHED).set(state.unwatched as f64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_named_by_the_conventions_and_rendered_with_its_help() {
        install().expect("installed");
        install().expect("once is enough");
        let second = Duration::from_secs(1);
        run("look", "edit", "done", second);
        indexed(1, 2, 3);
        searchable(second);
        search(true, second, &[("embed", second)]);
        store_error("run");
        request("GET", "/v1/status", 200, second);
        let pair = vec![("a", 1)];
        let vectors = vec![("text", 1, 2)];
        let cache = Some((1, 2));
        state(&State { worktrees: pair.clone(), databases: pair, vectors, cache, ..State::default() });
        let text = render().expect("rendered");
        for (name, help) in ALL {
            assert!(name.starts_with("indexer_") && help.ends_with('.'), "{name}");
            assert!(text.contains(&format!("# HELP {name} {help}\n")), "{name} is not rendered:\n{text}");
            let kind = match (name.ends_with("_total"), name.ends_with("_seconds")) {
                (true, _) => "counter",
                (_, true) if *name != LAG_SECONDS => "histogram",
                _ => "gauge",
            };
            assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name} is no {kind}:\n{text}");
        }
        assert!(text.contains("process_resident_memory_bytes "), "{text}");
        assert!(text.contains("indexer_search_duration_seconds_bucket{stage=\"embed\",le=\"1\"}"), "{text}");
    }

    #[test]
    fn the_dashboard_asks_for_what_there_is() {
        let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).expect("JSON");
        let panels = dashboard["panels"].as_array().expect("panels");
        let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("targets"));
        let names = regex::Regex::new("(?:indexer|process)_[a-z_]+").expect("a pattern");
        let mut asked = std::collections::BTreeSet::new();
        for target in targets {
            for name in names.find_iter(target["expr"].as_str().expect("an expression")) {
                let name = name.as_str().strip_suffix("_bucket").unwrap_or(name.as_str());
                let known = ALL.iter().any(|(known, _)| *known == name) || name.starts_with("process_");
                assert!(known, "{name}");
                asked.insert(name);
            }
        }
        let unasked = ALL.iter().map(|(name, _)| *name).filter(|name| !asked.contains(name));
        assert_eq!(unasked.collect::<Vec<_>>(), [BUILD_INFO]);
    }
}
