//! The daemon: is it a service, does one run, and does it answer?

use std::path::Path;
use std::time::Duration;

use crate::cli::registry::shown;
use crate::cli::service::{self, Installed};
use crate::config::{Flags, Settings};
use crate::daemon::protocol::{Reply, Request};
use crate::daemon::registry::Registry;
use crate::daemon::{Client, socket};
use crate::state_dir::{LockError, WriterLock};
use crate::wire::Check;

/// How long a daemon that is well may take to say so.
const PATIENCE: Duration = Duration::from_secs(2);
const NAME: &str = "daemon";

/// The service, where one is installed.
pub(super) fn service(settings: &Settings, flags: &Flags) -> Check {
    const NAME: &str = "service";
    match service::installed(settings, flags) {
        Ok(None | Some(Installed::No)) => Check::ok(NAME, "not installed"),
        Ok(Some(Installed::Current(path))) => Check::ok(NAME, format!("installed as {}", shown(&path))),
        Ok(Some(Installed::Differs(path))) => {
            let found = format!("{} is not what this version and these options would write", shown(&path));
            Check::warning(NAME, found).remedy("indexer service install --now")
        }
        Err(error) => Check::failure(NAME, error.to_string()),
    }
}

pub(super) fn daemon(data_dir: &Path) -> Check {
    let restart = "systemctl --user restart contextd-indexer, or stop `indexer watch` and start it again";
    let status = Client::connect(data_dir).and_then(|client| match client {
        Some(mut client) => client.ask(Request::Status, Some(PATIENCE), &mut |_| {}).map(Some),
        None => Ok(None),
    });
    match status {
        Ok(Some(Reply::Status(status))) => {
            let daemon = status.daemon.unwrap_or_default();
            Check::ok(NAME, format!("version {} runs as process {}", daemon.version, daemon.pid))
        }
        Ok(Some(_)) => Check::failure(NAME, "it answers something else than was asked").remedy(restart),
        Err(error) => Check::failure(NAME, error.to_string()).remedy(restart),
        Ok(None) => silent(data_dir),
    }
}

/// Nobody answers: is there nobody, or somebody who cannot?
fn silent(data_dir: &Path) -> Check {
    match WriterLock::probe(&socket::dir(data_dir).join("daemon.lock")) {
        Err(error @ LockError::Held { .. }) => {
            return Check::failure(NAME, format!("{error}, and does not answer")).remedy("end that process");
        }
        Err(error) => return Check::failure(NAME, error.to_string()),
        Ok(()) => {}
    }
    let registered = Registry::load(data_dir).is_ok_and(|registry| !registry.entries().is_empty());
    let mut found = "none runs".to_owned();
    if socket::path(data_dir).symlink_metadata().is_ok() {
        found.push_str("; the last one was killed, and the next one removes its socket");
    }
    if registered {
        found.push_str("; what is registered is not kept fresh");
        return Check::warning(NAME, found).remedy("indexer service install --now, or indexer watch");
    }
    Check::ok(NAME, format!("{found}, and nothing is registered for it"))
}
