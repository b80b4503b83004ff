//! `indexer dump`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::error::CliError;
use super::{EXIT_OK, json as wire, output};
use crate::engine::Engine;
use crate::manifest::FileState;

/// Print what is indexed as JSON lines, sorted by path.
///
/// One line a file: {"path" or "path_hex", "content_hash", "chunk_ids"}. Skipped files
/// are not indexed and not printed.
#[derive(Args)]
pub(super) struct Dump {
    /// A path in the worktree.
    #[arg(default_value = ".")]
    path: PathBuf,
}

impl Dump {
    pub(super) fn run(&self, engine: &Arc<Engine>) -> Result<u8, CliError> {
        let workspace = engine.open(&self.path)?;
        for (path, record) in workspace.snapshot()?.manifest.iter() {
            let FileState::Indexed { chunks, .. } = &record.state else { continue };
            let ids: Vec<String> = chunks.iter().map(|chunk| chunk.id.to_string()).collect();
            let hash = record.content.map(|hash| hash.to_string());
            output::write_json(&wire::with_path(path, json!({ "content_hash": hash, "chunk_ids": ids })))?;
        }
        Ok(EXIT_OK)
    }
}
