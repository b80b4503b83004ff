//! File systems: how much is left, and whether they are of this machine.

use std::path::Path;

use crate::cli::registry::shown;
use crate::daemon::watch::remote_file_system;
use crate::wire::Check;

/// A warning where `path` lies on a file system that is changed from elsewhere;
/// `consequence` says what that means for it.
pub(super) fn remote(check: &str, path: &Path, consequence: &str) -> Option<Check> {
    let kind = remote_file_system(&path.canonicalize().ok()?)?;
    let found = format!("{} is on a file system of another machine ({kind}): {consequence}", shown(path));
    Some(Check::warning(check, found).remedy("use a local disk"))
}

/// Bytes that this user may still write on the file system of `path`.
pub(super) fn free_bytes(path: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(path).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}
