//! `indexer page`.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Args;

use super::error::CliError;
use super::memory::time;
use super::registry::now;
use super::{EXIT_OK, output};
use crate::daemon::Client;
use crate::daemon::protocol::{Reply, Request};
use crate::engine::Engine;
use crate::session::{self, NewToken, Reach, TokensError};
use crate::tenant::Role;

/// How long the daemon may take to say where it speaks HTTP.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the page's token is one, in seconds.
const EXPIRES: u64 = 12 * 3600;
/// Pages at a time, each with its own token.
const MAX_PAGES: usize = 100;

/// Print the address of the status page, with a token that may read for 12 hours.
///
/// The daemon has to run. The token is behind the `#`: a browser sends it nowhere, and the page
/// takes it out of the address at once.
#[derive(Args)]
pub(super) struct Page {
    /// Also open it in the browser. Other accounts of this machine may see the address while
    /// the browser starts.
    #[arg(long)]
    open: bool,
}

impl Page {
    pub(super) fn run(&self, engine: &Engine) -> Result<u8, CliError> {
        let url = reachable(&address(engine)?);
        let now = now();
        let token = token(engine, now)?;
        let url = format!("{url}/#token={token}");
        output::write(&format!("{url}\n"))?;
        let until = time::shown(now + EXPIRES);
        output::note(&format!("whoever has this address may read what is indexed until {until} UTC"));
        if self.open {
            open(&url)?;
        }
        Ok(EXIT_OK)
    }
}

/// Where the running daemon speaks HTTP.
fn address(engine: &Engine) -> Result<String, CliError> {
    let Some(mut client) = Client::connect(&engine.settings().data_dir)? else {
        return Err(CliError::usage("no daemon runs, and the page is the daemon's")
            .with_hint("`indexer watch` starts one, `indexer service install --now` makes it a service"));
    };
    let status = match client.ask(Request::Status, Some(PATIENCE), &mut |_| {})? {
        Reply::Status(status) => *status,
        _ => Default::default(),
    };
    status.daemon.and_then(|daemon| daemon.http).ok_or_else(|| {
        CliError::usage("the daemon does not speak HTTP").with_hint(
            "set http.listen, such as \"127.0.0.1:7461\", and start it again; its log says where that failed",
        )
    })
}

/// The same, where an address that means all of this machine's is one of them.
fn reachable(url: &str) -> String {
    let parts = url.split_once("://");
    let address = parts.and_then(|(scheme, rest)| Some((scheme, rest.parse::<SocketAddr>().ok()?)));
    match address {
        Some((scheme, mut address)) if address.ip().is_unspecified() => {
            match address {
                SocketAddr::V4(_) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
                SocketAddr::V6(_) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            }
            format!("{scheme}://{address}")
        }
        _ => url.to_owned(),
    }
}

/// A token called `page`, or `page-2` and so on where pages are open. Those that have expired
/// make room.
fn token(engine: &Engine, now: u64) -> Result<String, CliError> {
    let data_dir = &engine.settings().data_dir;
    let names = || {
        (1..=MAX_PAGES).map(|number| if number == 1 { "page".to_owned() } else { format!("page-{number}") })
    };
    let known = session::list(data_dir)?;
    for old in known.iter().filter(|known| known.expires_at.is_some_and(|expiry| expiry <= now)) {
        if names().any(|name| name == old.name) {
            match session::revoke(data_dir, &old.name) {
                // Another page did.
                Ok(_) | Err(TokensError::Unknown(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    for name in names() {
        let reach = Reach::Machine { projects: None };
        let new = NewToken { name, role: Role::Read, reach, expires_at: Some(now + EXPIRES) };
        match session::create(data_dir, new, now) {
            Ok((token, _)) => return Ok(token.expose().to_owned()),
            Err(TokensError::Taken(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(CliError::usage(format!("there are {MAX_PAGES} tokens of pages already"))
        .with_hint("`indexer token revoke page` makes room, or wait until they expire"))
}

/// Opens the browser, and does not wait for it.
fn open(url: &str) -> Result<(), CliError> {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let started = Command::new(program)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    started.map(drop).map_err(|error| {
        CliError::usage(format!("{program}: {error}")).with_hint("open the address that was printed yourself")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_at_an_address_that_a_browser_can_ask() {
        for (url, expected) in [
            ("http://127.0.0.1:7461", "http://127.0.0.1:7461"),
            ("http://0.0.0.0:7461", "http://127.0.0.1:7461"),
            ("https://[::]:7461", "https://[::1]:7461"),
            ("https://192.0.2.7:7461", "https://192.0.2.7:7461"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(reachable(url), expected);
        }
    }
}
