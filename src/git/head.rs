//! HEAD, the operation in progress, and which paths two commits differ in.
//!
//! Facts for counters and answers ("indexed at", "HEAD at"). Whether anything
//! changed is never decided here: files change without HEAD, and HEAD without files.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use gix::ObjectId;
use gix::state::InProgress;

use super::open::{LOCAL_ENV_VARS, reason};
use super::{GitError, Head};
use crate::path::RepoPath;

pub(super) fn head(repo: &gix::Repository, root: &Path) -> Result<Head, GitError> {
    let operation = repo.state().map(operation_name);
    let format = repo.config_snapshot().string("extensions.refStorage");
    if let Some(format) = format.filter(|format| format != "files") {
        let (commit, branch) = by_git(root, &format.to_string())?;
        return Ok(Head { commit, branch, operation });
    }
    let failed = |error: gix::Error| GitError::Head { root: root.to_owned(), reason: reason(&error) };
    let mut head = repo.head().map_err(failed)?;
    let branch = head.referent_name().map(|name| name.shorten().to_string());
    let commit = match head.is_unborn() {
        true => None,
        false => head.try_peel_to_id().map_err(failed)?.map(|id| id.to_string()),
    };
    Ok(Head { commit, branch, operation })
}

fn operation_name(state: InProgress) -> &'static str {
    match state {
        InProgress::ApplyMailbox => "am",
        InProgress::ApplyMailboxRebase | InProgress::Rebase | InProgress::RebaseInteractive => "rebase",
        InProgress::Bisect => "bisect",
        InProgress::CherryPick | InProgress::CherryPickSequence => "cherry-pick",
        InProgress::Merge => "merge",
        InProgress::Revert | InProgress::RevertSequence => "revert",
    }
}

/// Commit and branch from the git program, for ref formats that gix does not read.
fn by_git(root: &Path, format: &str) -> Result<(Option<String>, Option<String>), GitError> {
    let failed =
        |reason: String| GitError::RefFormat { root: root.to_owned(), format: format.to_owned(), reason };
    // Exit code 1 with `--quiet` means: asked and answered, there is none.
    let ask = |args: &[&str]| -> Result<Option<String>, GitError> {
        let output = git(root).args(args).output().map_err(|error| failed(format!("`git`: {error}")))?;
        match output.status.code() {
            Some(0) => Ok(Some(String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned())),
            Some(1) => Ok(None),
            _ => Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
        }
    };
    let commit = ask(&["rev-parse", "--quiet", "--verify", "HEAD^{commit}"])?;
    let branch = ask(&["symbolic-ref", "--quiet", "--short", "HEAD"])?;
    Ok((commit, branch))
}

/// The git program on the worktree `root`, free of a hook's environment, asking
/// nothing, taking no optional lock.
fn git(root: &Path) -> Command {
    let mut command = Command::new("git");
    for name in LOCAL_ENV_VARS {
        command.env_remove(name);
    }
    command.env("GIT_OPTIONAL_LOCKS", "0").env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C");
    command.arg("-C").arg(root).stdin(Stdio::null());
    command
}

pub(super) fn changed_between(
    repo: &gix::Repository,
    root: &Path,
    from: &str,
    to: &str,
) -> Result<Option<BTreeSet<RepoPath>>, GitError> {
    let commit =
        |id: &str, reason: String| GitError::Commit { root: root.to_owned(), id: id.to_owned(), reason };
    let parse = |id: &str| ObjectId::from_hex(id.as_bytes()).map_err(|error| commit(id, error.to_string()));
    let tree = |id: ObjectId| repo.find_object(id).and_then(|object| object.peel_to_tree());
    let (from_id, to_id) = (parse(from)?, parse(to)?);
    // Collected, force-pushed away, or never fetched: a hint less, no failure.
    let Ok(old) = tree(from_id) else { return Ok(None) };
    let new = tree(to_id).map_err(|error| commit(to, reason(&error)))?;
    let mut recorder = gix::diff::tree::Recorder::default();
    let state = gix::diff::tree::State::default();
    let diffed = gix::diff::tree(
        gix::objs::TreeRefIter::from_bytes(&old.data, old.id.kind()),
        gix::objs::TreeRefIter::from_bytes(&new.data, new.id.kind()),
        state,
        &repo.objects,
        &mut recorder,
    );
    // Trees that a partial clone left out.
    if diffed.is_err() {
        return Ok(None);
    }
    use gix::diff::tree::recorder::Change;
    let changed = recorder.records.into_iter().filter_map(|change| match change {
        Change::Addition { entry_mode, path, .. } | Change::Deletion { entry_mode, path, .. } => {
            (!entry_mode.is_tree()).then_some(path)
        }
        // A file that became a directory: the file's own path changed as well.
        Change::Modification { entry_mode, previous_entry_mode, path, .. } => {
            (!entry_mode.is_tree() || !previous_entry_mode.is_tree()).then_some(path)
        }
    });
    Ok(Some(changed.filter_map(RepoPath::new).collect()))
}
