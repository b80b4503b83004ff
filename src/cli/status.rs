//! `indexer status`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::error::CliError;
use super::{EXIT_NOTHING, EXIT_OK, json as wire, output};
use crate::config::Settings;
use crate::embed::Leg;

/// Say what is indexed of a worktree, and how fresh it is.
///
/// Exit code 1 means that it is not indexed.
#[derive(Args)]
pub(super) struct Status {
    /// A path in the worktree.
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Print the status as one JSON document.
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(super) fn run(&self, settings: &Settings) -> Result<u8, CliError> {
        let context = Context::open(settings, &self.path)?;
        let cache =
            context.cache_stats().map(|cache| json!({ "entries": cache.entries, "bytes": cache.bytes }));
        let (Some(freshness), Some(stats)) = (context.freshness()?, context.stats()?) else {
            if self.json {
                output::write_json(&json!({ "root": context.root(), "indexed": false, "cache": cache }))?;
            } else {
                output::write(&format!("{}: not indexed; `indexer once` does it\n", context.root()))?;
            }
            return Ok(EXIT_NOTHING);
        };
        let coverage = |leg: Leg| freshness.vectors[leg.index()];
        if self.json {
            output::write_json(&json!({
                "root": context.root(),
                "indexed": true,
                "database": context.database_name(),
                "collection": context.collection().as_str(),
                "freshness": wire::freshness(&freshness),
                "points": stats.points,
                "bytes": stats.bytes,
                "cache": cache,
            }))?;
            return Ok(EXIT_OK);
        }
        let mut text = format!("{}\n", context.root());
        text.push_str(&format!("  {}\n", freshness.sentence()));
        text.push_str(&format!("  {} chunks", stats.points));
        for leg in Leg::ALL {
            if let Some((present, needed)) = coverage(leg) {
                text.push_str(&format!(", {leg} vectors {present}/{needed}"));
            }
        }
        let bytes: u64 = stats.bytes.values().sum();
        text.push_str(&format!("\n  {:.1} MB in {}\n", bytes as f64 / 1e6, context.collection()));
        output::write(&text)?;
        Ok(EXIT_OK)
    }
}
