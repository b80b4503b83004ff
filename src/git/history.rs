//! Which commits one commit has behind it and another has not.

use std::path::Path;

use gix::ObjectId;
use gix::revision::walk::Sorting;
use gix::traverse::commit::simple::CommitTimeOrder;

use super::GitError;
use super::open::reason;

/// Commits that are counted; how many more there are is not said.
const COUNTED: usize = 1000;
/// The longest subject kept, in bytes.
const SUBJECT: usize = 200;

/// Commits that one commit has behind it, itself included, and another has not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commits {
    /// How many, at most 1,000.
    pub count: usize,
    /// Whether there are more than `count`.
    pub more: bool,
    /// First lines of the newest messages, newest first.
    pub subjects: Vec<String>,
}

pub(super) fn commits_between(
    repo: &gix::Repository,
    root: &Path,
    from: &str,
    to: &str,
    subjects: usize,
) -> Result<Option<Commits>, GitError> {
    let commit =
        |id: &str, reason: String| GitError::Commit { root: root.to_owned(), id: id.to_owned(), reason };
    let parse = |id: &str| ObjectId::from_hex(id.as_bytes()).map_err(|error| commit(id, error.to_string()));
    let (from, to_id) = (parse(from)?, parse(to)?);
    // Collected, or never fetched.
    if repo.find_commit(from).is_err() {
        return Ok(None);
    }
    let failed = |error: gix::Error| commit(to, reason(&error));
    let walk = repo
        .rev_walk([to_id])
        .sorting(Sorting::ByCommitTime(CommitTimeOrder::NewestFirst))
        .with_hidden([from])
        .all()
        .map_err(failed)?;
    let mut found = Commits::default();
    for info in walk {
        if found.count == COUNTED {
            found.more = true;
            break;
        }
        let info = info.map_err(failed)?;
        if found.count < subjects {
            let commit = info.object().map_err(failed)?;
            found.subjects.push(subject(commit.message_raw_sloppy()));
        }
        found.count += 1;
    }
    Ok(Some(found))
}

/// The first line of a message.
fn subject(message: &[u8]) -> String {
    let line = message.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty());
    let line = line.unwrap_or_default().trim_ascii();
    String::from_utf8_lossy(&line[..line.len().min(SUBJECT)]).into_owned()
}
