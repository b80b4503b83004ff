//! The HTTP door of a running daemon, knocked at over sockets.
//!
//! | file | what it holds |
//! |---|---|
//! | `denial` | every route of the OpenAPI document × everybody who may not |
//! | `routes` | what is answered to whoever may ask |
//! | `page` | the status page's files, its address, and the events that it lives on |
//! | `tls` | with a certificate: TLS and nothing else |
//! | `limits` | too much, too slow, too many, not HTTP at all: the daemon lives and indexes |

mod denial;
mod limits;
mod page;
mod routes;
mod tls;

use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::daemon::Daemon;
use crate::harness::Sandbox;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was answered.
#[derive(Debug)]
struct Reply {
    status: u16,
    /// In lower case, but for their values.
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The code of the error, which has the one shape and the id of its header.
    #[track_caller]
    fn code(&self) -> String {
        let error = &self.json()["error"];
        assert_eq!(error["request_id"].as_str(), self.header("x-request-id"), "{self:?}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{self:?}");
        error["code"].as_str().expect("a code").to_owned()
    }

    /// The error without what no two answers share.
    fn told(&self) -> Value {
        let mut body = self.json();
        body["error"]["request_id"] = Value::Null;
        body
    }
}

/// A daemon whose HTTP door is open.
struct Server<'a> {
    daemon: Daemon<'a>,
    address: String,
}

impl<'a> Server<'a> {
    /// Starts one and waits until it listens.
    fn start(sandbox: &'a Sandbox, env: &[(&str, &str)]) -> Server<'a> {
        let env = [&[("INDEXER_HTTP_LISTEN", "127.0.0.1:0")], env].concat();
        let daemon = Daemon::start_with_env(sandbox, &env);
        let url = daemon.wait_for("it listens", |status| status.daemon.as_ref()?.http.clone());
        let (_, address) = url.split_once("://").expect("an address");
        let address = address.to_owned();
        Server { daemon, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("connects");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    }

    /// Sends a request with these headers, and a body as JSON where there is one.
    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Reply {
        let body = body.map(|body| body.to_string().into_bytes());
        let mut all = headers.to_vec();
        if body.is_some() {
            all.push(("Content-Type", "application/json"));
        }
        self.send_bytes(method, path, &all, body.as_deref())
    }

    fn send_bytes(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Reply {
        // In version 1.0 an answer ends with its connection.
        let mut text = format!("{method} {path} HTTP/1.0\r\nHost: {}\r\n", self.address);
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = body {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        let mut stream = self.connect();
        stream.write_all(text.as_bytes()).expect("sent");
        // Refused before all of it was read: the answer is there all the same.
        let _ = stream.write_all(body.unwrap_or_default());
        answer(&mut stream)
    }

    /// With a token.
    fn ask(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> Reply {
        self.send(method, path, &[("Authorization", &format!("Bearer {token}"))], body)
    }
}

/// Reads an answer to its end.
fn answer(stream: &mut impl Read) -> Reply {
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        panic!("no answer ({read:?}): {:?}", String::from_utf8_lossy(&bytes));
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    Reply { status, headers, body: bytes[end + 4..].to_vec() }
}
