//! Too much, too slow, too many, or not HTTP at all: each is answered or closed, and the
//! daemon goes on indexing.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Server, answer};
use crate::daemon::{Daemon, add, configure, repository, source, write};
use crate::harness::Sandbox;

/// What it is, the headers and the body that are sent, the status and the code of the answer.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [u8], u16, &'a str);

fn token(sandbox: &Sandbox, args: &[&str]) -> String {
    let all = [&["token", "create"], args].concat();
    let answer = sandbox.indexer(&sandbox.path(""), &all).expect(0);
    String::from_utf8(answer.stdout).expect("UTF-8").trim().to_owned()
}

fn gzip(sandbox: &Sandbox, bytes: &[u8]) -> Vec<u8> {
    let mut command = sandbox.command("gzip", &sandbox.path(""));
    let mut child =
        command.arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("gzip runs");
    let mut input = child.stdin.take().expect("a pipe");
    std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(bytes).expect("written"));
        let mut packed = Vec::new();
        child.stdout.take().expect("a pipe").read_to_end(&mut packed).expect("read");
        assert!(child.wait().expect("a child").success());
        packed
    })
}

#[test]
fn what_is_no_request_gets_an_answer_of_the_one_shape() {
    let sandbox = Sandbox::new();
    configure(&sandbox, "");
    let tree = repository(&sandbox, "repo", 2);
    add(&sandbox, &tree);
    let server = Server::start(&sandbox, &[]);
    server.daemon.settle(&tree);
    let token = token(&sandbox, &["laptop"]);
    let bearer = format!("Bearer {token}");
    let authorized = ("Authorization", bearer.as_str());
    let kind = ("Content-Type", "application/json");
    let packed = ("Content-Encoding", "gzip");
    let large = vec![b' '; 2 << 20];
    let bomb = gzip(&sandbox, &vec![b' '; 64 << 20]);
    assert!(bomb.len() < 128 << 10);
    let good = br#"{"query": "part_1"}"#;
    let small = gzip(&sandbox, good);
    let cases: [Case<'_>; 14] = [
        ("good", &[kind], good, 200, ""),
        ("packed", &[kind, packed], &small, 200, ""),
        ("no JSON", &[kind], b"{", 400, "malformed"),
        ("not UTF-8", &[kind], b"{\"query\": \"\xff\"}", 400, "malformed"),
        ("nothing", &[kind], b"", 400, "malformed"),
        ("another type", &[("Content-Type", "text/plain")], good, 415, "unsupported_media_type"),
        ("no type", &[], good, 415, "unsupported_media_type"),
        ("packed otherwise", &[kind, ("Content-Encoding", "br")], good, 415, "unsupported_media_type"),
        ("not packed", &[kind, packed], good, 400, "malformed"),
        ("unknown field", &[kind], br#"{"query": "x", "project": "/"}"#, 422, "invalid"),
        ("no query", &[kind], br#"{"query": " "}"#, 422, "invalid"),
        ("a wrong limit", &[kind], br#"{"query": "x", "limit": 1000}"#, 422, "invalid"),
        ("large", &[kind], &large, 413, "too_large"),
        ("a bomb", &[kind, packed], &bomb, 413, "too_large"),
    ];
    for (what, headers, body, status, code) in cases {
        let headers = [&[authorized], headers].concat();
        let reply = server.send_bytes("POST", "/v1/search", &headers, Some(body));
        assert_eq!(reply.status, status, "{what}: {}", String::from_utf8_lossy(&reply.body));
        if status != 200 {
            assert_eq!(reply.code(), code, "{what}");
        }
    }
    // Nor is it a message of JSON-RPC.
    for body in [&b"{"[..], b"[]", br#"{"jsonrpc": "1.0", "id": 1, "method": "ping"}"#] {
        let reply = server.send_bytes("POST", "/mcp", &[authorized, kind], Some(body));
        assert_eq!((reply.status, &*reply.code()), (400, "malformed"), "{}", String::from_utf8_lossy(body));
    }
    // Without a length, in pieces.
    let mut stream = server.connect();
    let head = format!(
        "POST /v1/search HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: {bearer}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("sent");
    for _ in 0..64 {
        // It is refused on the way.
        let _ = stream.write_all(&[b"8000\r\n", vec![b' '; 0x8000].as_slice(), b"\r\n"].concat());
    }
    assert_eq!(answer(&mut stream).status, 413);
    // Not HTTP at all, and headers without an end.
    for garbage in [
        b"\x16\x03\x01\x02\x00garbage\r\n\r\n".to_vec(),
        [b"GET / HTTP/1.1\r\n".to_vec(), vec![b'a'; 1 << 20]].concat(),
    ] {
        let mut stream = server.connect();
        let _ = stream.write_all(&garbage);
        let mut bytes = Vec::new();
        // Closed, with or without a word.
        let _ = stream.read_to_end(&mut bytes);
        assert!(
            bytes.is_empty() || bytes.starts_with(b"HTTP/1.1 4"),
            "{:?}",
            String::from_utf8_lossy(&bytes)
        );
    }
    let by_name = "GET /healthz HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    let mut stream = server.connect();
    stream.write_all(by_name.as_bytes()).expect("sent");
    let reply = answer(&mut stream);
    assert_eq!((reply.status, &*reply.code()), (421, "unknown_host"));

    // Packed where it is asked for, and line by line where that is.
    let path = "/v1/status";
    let reply = server.send("GET", path, &[authorized, ("Accept-Encoding", "gzip")], None);
    assert_eq!(reply.header("content-encoding"), Some("gzip"), "{reply:?}");
    let lines = json!({"query": "part_1", "stream": true});
    let reply = server.send("POST", "/v1/search", &[authorized, ("Accept-Encoding", "gzip")], Some(&lines));
    let text = String::from_utf8(reply.body).expect("UTF-8");
    let types: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["type"].to_string())
        .collect();
    assert_eq!(types, ["\"lexical\"", "\"answer\""]);

    write(&tree, "src/part_0.rs", &source(7));
    server.daemon.exact(&tree);
    server.daemon.stop();
}

#[test]
fn who_says_nothing_is_closed_and_who_is_one_too_many_is_told() {
    let sandbox = Sandbox::new();
    configure(&sandbox, "[http]\nmax_connections = 8\nrequests_per_second = 1\ntimeout_seconds = 3\n");
    let tree = repository(&sandbox, "repo", 1);
    add(&sandbox, &tree);
    let server = Server::start(&sandbox, &[]);
    let token = token(&sandbox, &["laptop"]);
    let began = Instant::now();
    // Idle, half a header, and a body that does not come.
    let body = format!(
        "POST /v1/search HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    );
    let beginnings = ["", "GET /healthz HTTP/1.1\r\nHost: loc", &body];
    let mut slow: Vec<TcpStream> = (0..8).map(|_| server.connect()).collect();
    for (stream, beginning) in slow.iter_mut().zip(beginnings.iter().cycle()) {
        stream.write_all(beginning.as_bytes()).expect("sent");
    }
    // A thousand more: each is told so, or closed.
    let refused = |stream: &mut TcpStream| {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        assert!(
            bytes.is_empty() || bytes.starts_with(b"HTTP/1.1 503"),
            "{:?}",
            String::from_utf8_lossy(&bytes)
        );
        !bytes.is_empty()
    };
    let told = (0..1000).filter(|_| refused(&mut server.connect())).count();
    assert!(told > 900, "{told} of 1000 were told");
    write(&tree, "src/part_0.rs", &source(7));
    server.daemon.exact(&tree);
    for stream in &mut slow {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        assert!(
            bytes.is_empty() || bytes.starts_with(b"HTTP/1.1 408"),
            "{:?}",
            String::from_utf8_lossy(&bytes)
        );
    }
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    drop(slow);
    let reply = server.send("GET", "/healthz", &[], None);
    assert_eq!(reply.status, 200);

    let statuses: Vec<u16> =
        (0..6).map(|_| server.ask(&token, "GET", "/v1/checkpoints", None).status).collect();
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
    // Whoever keeps a connection does not keep the daemon.
    let idle = server.connect();
    server.daemon.stop();
    drop(idle);
}

#[test]
fn the_address_is_told_while_it_holds_and_one_that_is_taken_is_no_end() {
    let sandbox = Sandbox::new();
    configure(&sandbox, "");
    let tree = repository(&sandbox, "repo", 1);
    add(&sandbox, &tree);
    let place = sandbox.data_dir().join("run/http.addr");
    let server = Server::start(&sandbox, &[]);
    assert_eq!(fs::read_to_string(&place).expect("told"), format!("http://{}\n", server.address));
    assert_eq!(fs::metadata(&place).expect("there").permissions().mode() & 0o777, 0o600);
    let shown = sandbox.indexer(&tree, &["status"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains(&server.address), "{shown:?}");
    server.daemon.stop();
    assert!(!place.exists());

    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let daemon = Daemon::start_with_env(&sandbox, &[("INDEXER_HTTP_LISTEN", &address)]);
    daemon.await_log("cannot be listened at");
    assert!(daemon.log().contains("http.listen"), "the way out");
    daemon.exact(&tree);
    assert_eq!(daemon.status().daemon.expect("a daemon").http, None);
    daemon.stop();
}
