//! What `add`, `remove` and `list` share.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::output;
use crate::config::Settings;
use crate::daemon::Client;
use crate::daemon::protocol::Request;

/// How long the daemon may take to hear of a change.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tells a running daemon that the registry has changed; without one there is nobody to tell.
pub(super) fn tell_daemon(settings: &Settings) {
    let told = Client::connect(&settings.data_dir).and_then(|client| match client {
        Some(mut client) => client.ask(Request::Registry, Some(PATIENCE), &mut |_| {}).map(drop),
        None => Ok(()),
    });
    if let Err(error) = told {
        output::note(&format!("warning: {error}; the daemon learns of it at its next poll"));
    }
}

/// Seconds since the epoch.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The canonical form of a path of which only the beginning has to exist.
pub(super) fn resolve(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for existing in absolute.ancestors() {
        if let (Ok(canonical), Ok(rest)) = (existing.canonicalize(), absolute.strip_prefix(existing)) {
            // An empty rest would add a slash.
            return if rest.as_os_str().is_empty() { canonical } else { canonical.join(rest) };
        }
    }
    absolute
}

/// A path for people.
pub(super) fn shown(path: &Path) -> String {
    output::printable(&path.display().to_string())
}
