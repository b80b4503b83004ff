//! Traces reach a collector, say where the time went, and keep the words of a query to themselves.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use crate::harness::Sandbox;

/// A collector of OTLP over HTTP: path and body of each request.
fn collector() -> (String, Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.expect("a connection"));
            let mut lines = Vec::new();
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).expect("a header");
                match line.trim() {
                    "" => break,
                    line => lines.push(line.to_owned()),
                }
            }
            let length = lines.iter().find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length:")
                    .map(|length| length.trim().to_owned())
            });
            let mut body = vec![0; length.expect("a length").parse().expect("a number")];
            stream.read_exact(&mut body).expect("a body");
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.get_mut().write_all(answer).expect("answered");
            if send.send((lines.swap_remove(0), body)).is_err() {
                return;
            }
        }
    });
    (address, receive)
}

/// Whether protobuf bytes have this text in them.
fn says(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn a_run_and_a_search_are_traced_stage_by_stage() {
    let sandbox = Sandbox::new();
    let tree = crate::daemon::repository(&sandbox, "repo", 2);
    let (endpoint, received) = collector();
    let run = |args: &[&str]| {
        let mut command = sandbox.indexer_command(&tree, &sandbox.data_dir(), args);
        let status = command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint).output().expect("run").status;
        assert!(status.success(), "{args:?}");
        let (request, body) = received.recv_timeout(Duration::from_secs(60)).expect("traces");
        assert!(request.starts_with("POST /v1/traces "), "{request}");
        body
    };
    let path = tree.canonicalize().expect("a path").to_string_lossy().into_owned();
    let spans = ["index.run", "index.list", "index.parse", "store.apply", "index.embed"];
    let body = run(&["once"]);
    for text in spans.iter().chain(&["project.path", &path, "contextd-indexer", "files.parsed"]) {
        assert!(says(&body, text), "{text} is not among the spans of a run");
    }
    let body = run(&["search", "where is part_1 counted"]);
    for text in
        ["search.embed", "search.retrieve", "search.rank", "search.verify", "query.length", "results", &path]
    {
        assert!(says(&body, text), "{text} is not among the spans of a search");
    }
    assert!(!says(&body, "counted"), "the text of a query was sent");
    let config = sandbox.path("home/.config/contextd-indexer/config.toml");
    std::fs::create_dir_all(config.parent().expect("a parent")).expect("a directory");
    std::fs::write(config, "[traces]\nquery_text = true\n").expect("written");
    assert!(says(&run(&["search", "where is part_1 counted"]), "where is part_1 counted"));
}

#[test]
fn a_collector_that_is_not_there_costs_nothing_but_a_warning() {
    let sandbox = Sandbox::new();
    let tree = crate::daemon::repository(&sandbox, "repo", 1);
    // Bound and let go: nobody listens there.
    let address =
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let mut command = sandbox.indexer_command(&tree, &sandbox.data_dir(), &["once", "--lexical-only"]);
    let output =
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}")).output().expect("run");
    assert!(output.status.success(), "{output:?}");
    sandbox.indexer(&tree, &["verify"]).expect(0);
}
