//! Repositories inside the worktree: a walk stops at them, as git's does.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use bstr::{BStr, ByteSlice};
use rustix::fs::{AtFlags, FileType};

/// Whether the untracked directory `dir` (open as `fd`, at `path`) is the root of
/// a repository or worktree of its own: it has a `.git` that is a git directory,
/// or a file that names one. A dangling `.git` file makes none, as with git.
pub(super) fn is_repository(fd: &OwnedFd, path: &Path) -> bool {
    let Ok(stat) = rustix::fs::statat(fd.as_fd(), ".git", AtFlags::empty()) else { return false };
    let dot_git = path.join(".git");
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => is_git_dir(&dot_git),
        FileType::RegularFile => match std::fs::read(&dot_git) {
            Ok(bytes) => named_by(&bytes, path).is_some_and(|target| is_git_dir(&target)),
            // Git does not look into what it may not read.
            Err(_) => true,
        },
        _ => false,
    }
}

/// The directory that the text of a `.git` file in `dir` names.
fn named_by(bytes: &[u8], dir: &Path) -> Option<PathBuf> {
    let target = bytes.strip_prefix(b"gitdir: ")?.trim_end_with(|c| matches!(c, '\n' | '\r'));
    (!target.is_empty()).then(|| dir.join(std::ffi::OsStr::from_bytes(target)))
}

/// Git's own test: a valid HEAD, `objects` and `refs`, the last two in the common
/// directory where there is one.
fn is_git_dir(dir: &Path) -> bool {
    let common = match std::fs::read(dir.join("commondir")) {
        Ok(bytes) => dir.join(std::ffi::OsStr::from_bytes(bytes.trim_end_with(|c| matches!(c, '\n' | '\r')))),
        Err(_) => dir.to_owned(),
    };
    common.join("objects").is_dir() && common.join("refs").is_dir() && is_head(&dir.join("HEAD"))
}

fn is_head(head: &Path) -> bool {
    if let Ok(target) = std::fs::read_link(head) {
        return target.as_os_str().as_bytes().starts_with(b"refs/");
    }
    let Ok(bytes) = std::fs::read(head) else { return false };
    let text: &BStr = bytes.as_bstr();
    match text.strip_prefix(b"ref:") {
        Some(target) => target.trim_start().starts_with(b"refs/"),
        None => {
            [40, 64].iter().any(|&len| text.get(..len).is_some_and(|id| id.iter().all(u8::is_ascii_hexdigit)))
        }
    }
}
