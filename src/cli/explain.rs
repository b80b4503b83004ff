//! `indexer explain`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::error::CliError;
use super::{EXIT_NOTHING, EXIT_OK, output};
use crate::embed::Leg;
use crate::engine::{Engine, Workspace};
use crate::index::Explanation;
use crate::path::RepoPath;
use crate::wire;

/// Say how a file is indexed, or why it is not.
///
/// Exit code 1 means that the file is not searchable: git does not show it, it is skipped,
/// or it is not indexed yet; the reason is printed.
#[derive(Args)]
pub(super) struct Explain {
    /// The file.
    path: PathBuf,
    /// Print the explanation as one JSON document.
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub(super) fn run(&self, engine: &Arc<Engine>) -> Result<u8, CliError> {
        let (workspace, path) = Workspace::open_for_file(engine, &self.path)?;
        let explanation = workspace.explain(&path)?;
        if self.json {
            output::write_json(&wire::Explanation::from(&explanation))?;
        } else {
            output::write(&text(&explanation, workspace.root().as_path()))?;
        }
        let searchable = explanation.listed && explanation.skip.is_none() && explanation.record.is_some();
        Ok(if searchable { EXIT_OK } else { EXIT_NOTHING })
    }
}

fn text(explanation: &Explanation, root: &Path) -> String {
    let path = &explanation.path;
    if !explanation.listed {
        let mut text = match &explanation.ignored_by {
            Some(found) => format!(
                "{path}: not indexed: git does not show it: {}:{} ignores it by {:?}\n",
                found.source.display(),
                found.line,
                found.pattern
            ),
            None => format!("{path}: not indexed: {}\n", absent(root, path)),
        };
        if explanation.record.is_some() {
            text.push_str("it is still in the index; `indexer once` removes it\n");
        }
        return text;
    }
    if let Some(reason) = explanation.skip {
        return format!("{path}: not indexed: {reason}: {}\n", reason.explanation());
    }
    let tracked = if explanation.tracked { "tracked" } else { "untracked" };
    let mut text = format!("{path}: {tracked}, {} chunks\n", explanation.chunks.len());
    for chunk in &explanation.chunks {
        let vectors: Vec<String> = Leg::ALL
            .iter()
            .filter_map(|leg| match chunk.vectors[leg.index()]? {
                true => Some(format!("{leg} vector")),
                false => Some(format!("{leg} vector pending")),
            })
            .collect();
        let vectors = if vectors.is_empty() { "words only".to_owned() } else { vectors.join(", ") };
        text.push_str(&format!(
            "  {}-{}\t{}\t{}\t{}\n",
            chunk.lines.0,
            chunk.lines.1,
            chunk.kind,
            output::printable(chunk.symbol.as_deref().unwrap_or("-")),
            vectors
        ));
    }
    if explanation.pending {
        text.push_str("the index does not have this state yet; `indexer once` brings it\n");
    }
    text
}

/// Why git may not show a path that no pattern ignores.
fn absent(root: &Path, path: &RepoPath) -> &'static str {
    if path.as_bytes() == b".git" || path.as_bytes().starts_with(b".git/") {
        return "it is git's own";
    }
    match root.join(path.to_os_path()).symlink_metadata() {
        Ok(found) if found.is_dir() => "it is a directory; name a file",
        Ok(found) if found.is_file() => {
            "git does not show it: it lies in a repository of its own, or in this program's state"
        }
        Ok(_) => "git does not show what is no file",
        Err(error) if error.kind() == io::ErrorKind::NotFound => "there is no such file",
        Err(_) => "it cannot be looked at; check the permissions of the directories above it",
    }
}
