//! Connections: where they are accepted, how many, for how long, and their end in good order.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::gate::App;
use super::stall::Stalling;
use crate::config::TlsFiles;
use crate::daemon::socket;
use crate::state_dir::write_atomic;

/// The headers of a request, or the next request of a connection, come within this time.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
/// A peer that takes nothing for so long has gone.
const READS_WITHIN: Duration = Duration::from_secs(30);
/// Bytes of headers, and of a chunk that is read at once.
const MAX_BUFFER: usize = 64 << 10;
/// After a failed accept, such as one for want of descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// What whoever is one too many is told.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n\
    retry-after: 1\r\nconnection: close\r\ncontent-length: 115\r\n\r\n\
    {\"error\":{\"code\":\"busy\",\"message\":\"too many connections\",\
    \"hint\":\"close those that you do not use\",\"request_id\":\"\"}}";

/// The address at which a connection was accepted; an extension of its requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Local(pub(super) SocketAddr);

/// The door cannot be opened. Messages name the subject and the way out.
#[derive(Debug, thiserror::Error)]
pub(super) enum DoorError {
    /// The address is taken, or not this machine's.
    #[error(
        "{address} cannot be listened at ({source}): set http.listen to another address, to port 0 for a free one, \
         or to \"off\", and start the daemon again"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Certificate or key cannot be used.
    #[error("{path} cannot be used for TLS ({reason}): see http.tls_cert and http.tls_key")]
    Tls {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
}

/// Answers with `routes` until `closing` says otherwise, or goes.
pub(super) async fn serve(
    app: &Arc<App>,
    routes: Router,
    mut closing: watch::Receiver<bool>,
) -> Result<(), DoorError> {
    let Some(address) = app.settings.listen else { return Ok(()) };
    let tls = app.settings.tls.as_ref().map(acceptor).transpose()?;
    let failed = |source| DoorError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let url = format!("{}://{address}", if tls.is_some() { "https" } else { "http" });
    let place = socket::dir(&app.engine().settings().data_dir).join("http.addr");
    tell(&place, &url);
    app.handle.listens_at(url.clone());
    tracing::info!("HTTP at {url}");
    let places = Arc::new(Semaphore::new(most_connections(app.settings.max_connections)));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            refuse(stream, tls.is_some());
            continue;
        };
        let (routes, tls, watcher) = (routes.clone(), tls.clone(), graceful.watcher());
        tokio::spawn(async move {
            if let Err(error) = connection(stream, tls, routes, watcher).await {
                tracing::debug!(%error, "an HTTP connection broke off");
            }
            drop(place);
        });
    }
    drop(listener);
    // What lies there is of this process.
    let _ = std::fs::remove_file(&place);
    graceful.shutdown().await;
    Ok(())
}

/// Writes where HTTP is spoken, for programs that look for it.
fn tell(place: &Path, url: &str) {
    if let Err(error) = write_atomic(place, format!("{url}\n").as_bytes()) {
        tracing::warn!(path = %place.display(), %error, "the address of HTTP was not written");
    }
}

/// Connections that leave the daemon half of the descriptors that it may have.
fn most_connections(wanted: usize) -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let half = limit.map_or(usize::MAX, |limit| usize::try_from(limit / 2).unwrap_or(usize::MAX));
    wanted.min(half).max(1)
}

/// Tells one that is too many to come again: as far as that goes without waiting for it.
fn refuse(stream: TcpStream, tls: bool) {
    if !tls && let Ok(mut stream) = stream.into_std() {
        // It has gone, or it reads nothing: all the same.
        let _ = stream.write(FULL);
    }
}

async fn connection(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    routes: Router,
    watcher: Watcher,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let local = Local(stream.local_addr()?);
    stream.set_nodelay(true)?;
    let stream = Stalling::new(stream, READS_WITHIN);
    match tls {
        None => speak(stream, local, routes, watcher).await,
        Some(tls) => {
            let stream = tokio::time::timeout(HEADERS_WITHIN, tls.accept(stream)).await??;
            speak(stream, local, routes, watcher).await
        }
    }
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    local: Local,
    routes: Router,
    watcher: Watcher,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(local);
        tower::ServiceExt::oneshot(routes.clone(), request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    Ok(watcher.watch(connection).await?)
}

/// TLS with the files' certificate.
fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, DoorError> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |reason: String| DoorError::Tls { path, reason }
    };
    let certificates = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(&files.cert)(error.to_string()))?;
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|error| failed(&files.key)(error.to_string()))?;
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(certificates, key))
        .map_err(|error| failed(&files.cert)(error.to_string()))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_one_too_many_gets_an_answer_that_reads() {
        let text = std::str::from_utf8(FULL).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        assert_eq!(length.parse::<usize>().unwrap(), body.len());
        let body: super::super::ErrorBody = serde_json::from_str(body).unwrap();
        assert_eq!(body.error.code, super::super::ErrorCode::Busy);
    }
}
