//! An in-process stand-in for a Qdrant server: the gRPC services of qdrant-client's
//! own server traits over collections in memory, so that the wire is tested where no
//! real server is.
//!
//! It does what Qdrant 1.19 does for the calls in [`service`]; `tests` holds one table
//! of calls and answers, which runs against this server always and against a real one
//! where `QDRANT_URL` names its gRPC address. Everything else is `UNIMPLEMENTED`,
//! rather than almost right. Searches are exact. What it does not imitate:
//!
//! - equal scores are ordered by id, where the real server has no fixed order;
//! - the IDF counts live points only, where the real server counts deleted ones until
//!   it optimizes the segment;
//! - `get` shows the configuration as it was given, without the server's defaults;
//! - a condition means the same whether its field has an index or not, where the real
//!   server's index does not know values of another type than its own;
//! - a null that is set on a point without any payload is dropped, as on any other,
//!   where the real server keeps it.
//!
//! It must use nothing of this crate: it is compiled into the unit tests and into the
//! integration tests alike.

mod collection;
mod facet;
mod filter;
mod gate;
mod path;
mod point;
mod query;
mod read;
mod service;
#[cfg(test)]
mod tests;
mod write;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ::qdrant_client::qdrant::collections_server::CollectionsServer;
use ::qdrant_client::qdrant::points_server::PointsServer;
use ::qdrant_client::qdrant::qdrant_server::QdrantServer as HealthServer;
use tokio::net::TcpSocket;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use gate::{Gate, Orders};
use service::Service;

/// A running server on a port of its own. It stops when it is dropped.
pub(crate) struct QdrantServer {
    service: Service,
    orders: Arc<Mutex<Orders>>,
    address: SocketAddr,
    running: Option<Running>,
    /// Holds the port while nothing runs, without listening, so that nobody else gets it.
    reserved: Option<TcpSocket>,
}

struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl QdrantServer {
    /// Starts an empty server on a free port of 127.0.0.1; it accepts calls when this returns.
    pub(crate) fn start() -> QdrantServer {
        QdrantServer::new(Orders::default())
    }

    /// The same, which refuses who does not send this API key.
    pub(crate) fn with_api_key(key: &str) -> QdrantServer {
        QdrantServer::new(Orders { api_key: Some(key.to_owned()), ..Orders::default() })
    }

    fn new(orders: Orders) -> QdrantServer {
        let socket = free_port();
        let mut server = QdrantServer {
            service: Service::default(),
            orders: Arc::new(Mutex::new(orders)),
            address: socket.local_addr().expect("a bound socket has an address"),
            running: None,
            reserved: Some(socket),
        };
        server.restart();
        server
    }

    /// `http://127.0.0.1:PORT`, for the client's gRPC.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Closes the port and cuts all connections; the data stays.
    pub(crate) fn stop(&mut self) {
        if self.halt() {
            // A process that another test is just starting holds this one's sockets until it
            // runs its own program: until then the port stays open.
            let until = Instant::now() + Duration::from_secs(20);
            self.reserved = Some(loop {
                match bind(self.address) {
                    Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < until => {
                        std::thread::yield_now();
                    }
                    bound => break bound.expect("nobody else takes the port"),
                }
            });
        }
    }

    /// Serves again after [`QdrantServer::stop`]: same port, same data.
    pub(crate) fn restart(&mut self) {
        if let Some(socket) = self.reserved.take() {
            self.running = Some(serve(socket, self.service.clone(), &self.orders));
        }
    }

    /// Whether it was running.
    fn halt(&mut self) -> bool {
        let Some(Running { stop, thread }) = self.running.take() else { return false };
        drop(stop);
        thread.join().is_ok()
    }

    /// The next `calls` calls fail with `code`, and do nothing. Health checks, which the
    /// client makes of itself, neither fail nor count, here and below.
    pub(crate) fn fail_next(&self, calls: usize, code: tonic::Code) {
        gate::locked(&self.orders).fail_next = Some((calls, code));
    }

    /// The call number `calls` from now (1: the next one) is done, and answers `code`
    /// as if it were not. Calls that were refused do not count.
    pub(crate) fn fail_after(&self, calls: usize, code: tonic::Code) {
        gate::locked(&self.orders).fail_after = Some((calls, code));
    }

    /// Calls received so far, health checks and refused ones among them, as
    /// `Service/Method`: `Points/Upsert`.
    pub(crate) fn calls(&self) -> Vec<String> {
        gate::locked(&self.orders).calls.clone()
    }

    /// While `yes`, calls are accepted and never answered.
    pub(crate) fn hang(&self, yes: bool) {
        gate::locked(&self.orders).hang = yes;
    }
}

impl Drop for QdrantServer {
    fn drop(&mut self) {
        self.halt();
    }
}

/// Ports below those that systems give to whoever asks for any: while a server is stopped, for
/// a moment nobody holds its port.
const PORTS: Range<u32> = 20_000..30_000;

/// A socket on a port that nobody has. Each test begins to look at another place.
fn free_port() -> TcpSocket {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut candidates = PORTS.map(|_| {
        let number = std::process::id().wrapping_mul(61).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + number % PORTS.len() as u32;
        bind(SocketAddr::from((Ipv4Addr::LOCALHOST, u16::try_from(port).expect("a port"))))
    });
    candidates.find_map(Result::ok).expect("a free port")
}

/// A socket on the address that does not listen yet.
fn bind(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // Connections that were cut keep the port busy for a minute otherwise.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Serves on a thread and a runtime of its own: dropping the runtime cuts every connection.
fn serve(socket: TcpSocket, service: Service, orders: &Arc<Mutex<Orders>>) -> Running {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime for the server");
    let listener = {
        let _inside = runtime.enter();
        socket.listen(1024).expect("a bound socket listens")
    };
    let (stop, stopped) = oneshot::channel();
    let router = Server::builder()
        .add_service(Gate::around(
            HealthServer::new(service.clone()).accept_compressed(Gzip).send_compressed(Gzip),
            orders,
        ))
        .add_service(Gate::around(
            CollectionsServer::new(service.clone()).accept_compressed(Gzip).send_compressed(Gzip),
            orders,
        ))
        .add_service(Gate::around(
            // Batches of points are larger than the 4 MiB that is the default.
            PointsServer::new(service)
                .accept_compressed(Gzip)
                .send_compressed(Gzip)
                .max_decoding_message_size(usize::MAX),
            orders,
        ));
    // An answer of two packets would wait for the client to acknowledge the first.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let thread = std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                served = router.serve_with_incoming(incoming) => served.expect("served"),
                _ = stopped => {}
            }
        });
    });
    Running { stop, thread }
}
