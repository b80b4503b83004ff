//! With a certificate the door speaks TLS and nothing else, and a token is needed all the same.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::{Reply, Server, answer};
use crate::daemon::{Daemon, add, configure, repository};
use crate::harness::Sandbox;

/// Asks for the status as a client that trusts this certificate and no other.
fn status(server: &Server<'_>, trusted: &CertificateDer<'static>, token: &str) -> io::Result<Reply> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    let client = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut stream: StreamOwned<_, TcpStream> = StreamOwned::new(client, server.connect());
    let request = format!(
        "GET /v1/status HTTP/1.0\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\r\n",
        server.address
    );
    stream.write_all(request.as_bytes())?;
    Ok(answer(&mut stream))
}

#[test]
fn with_a_certificate_it_speaks_tls_alone_and_still_wants_a_token() {
    let sandbox = Sandbox::new();
    let [ours, other] = [0, 1].map(|_| generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("made"));
    let CertifiedKey { cert, signing_key } = ours;
    let files = [sandbox.path("cert.pem"), sandbox.path("key.pem")];
    fs::write(&files[0], cert.pem()).expect("written");
    let set_key = |key: &KeyPair| fs::write(&files[1], key.serialize_pem()).expect("written");
    set_key(&signing_key);
    configure(&sandbox, &format!("[http]\ntls_cert = {:?}\ntls_key = {:?}\n", files[0], files[1]));
    let tree = repository(&sandbox, "repo", 1);
    add(&sandbox, &tree);
    let made = sandbox.indexer(&tree, &["token", "create", "--json", "laptop"]).expect(0).json();
    let token = made["token"].as_str().expect("a token");

    let server = Server::start(&sandbox, &[]);
    let told = fs::read_to_string(sandbox.data_dir().join("run/http.addr")).expect("told");
    assert_eq!(told, format!("https://{}\n", server.address));
    let reply = status(&server, cert.der(), token).expect("it is trusted");
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json()["worktrees"][0]["root"].as_str(), tree.to_str());
    let reply = status(&server, cert.der(), "none").expect("it is trusted");
    assert_eq!((reply.status, &*reply.code()), (401, "unauthorized"));
    let refused = status(&server, other.cert.der(), token).expect_err("it is not the other one");
    assert!(refused.to_string().contains("certificate"), "{refused}");

    let mut plain = server.connect();
    let request = format!("GET /healthz HTTP/1.0\r\nHost: {}\r\n\r\n", server.address);
    plain.write_all(request.as_bytes()).expect("sent");
    let mut bytes = Vec::new();
    // Closed, with a word of TLS or without one.
    let _ = plain.read_to_end(&mut bytes);
    assert!(!bytes.starts_with(b"HTTP"), "{:?}", String::from_utf8_lossy(&bytes));
    server.daemon.stop();

    // A key of another certificate: no door, and the daemon goes on.
    set_key(&other.signing_key);
    let daemon = Daemon::start_with_env(&sandbox, &[("INDEXER_HTTP_LISTEN", "127.0.0.1:0")]);
    daemon.await_log("cannot be used for TLS");
    daemon.exact(&tree);
    assert_eq!(daemon.status().daemon.expect("a daemon").http, None);
    daemon.stop();
}
