//! `indexer dashboard`.

use clap::Args;

use super::error::CliError;
use super::{EXIT_OK, output};
use crate::telemetry::metrics;

/// Print a Grafana dashboard over the daemon's metrics, as JSON to import there.
///
/// Prometheus reads the metrics at /metrics of the daemon's HTTP address, with a token:
///
///   scrape_configs:
///     - job_name: indexer
///       authorization: { credentials_file: /etc/prometheus/indexer.token }
///       static_configs: [{ targets: ["127.0.0.1:7461"] }]
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Dashboard {}

impl Dashboard {
    pub(super) fn run(&self) -> Result<u8, CliError> {
        output::write(metrics::DASHBOARD)?;
        Ok(EXIT_OK)
    }
}
