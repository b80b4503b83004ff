//! The same door as a service of an HTTP server: each request has the rights that it brings.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

use contextd_indexer::config::{self, Flags};
use contextd_indexer::engine::Engine;
use contextd_indexer::mcp::{Access, Backend, StreamableHttpServerConfig, service};
use contextd_indexer::tenant::Role;
use serde_json::{Value, json};

use super::{PATIENCE, repository};
use crate::harness::Sandbox;

/// Serves until the test ends. `x-may` of a request says what it may do, in place of a session.
fn serve(sandbox: &Sandbox, root: PathBuf) -> SocketAddr {
    let config = sandbox.path("empty.toml");
    std::fs::write(&config, "").expect("written");
    let flags = Flags { config: Some(config), data_dir: Some(sandbox.data_dir()) };
    let engine = Arc::new(Engine::new(config::load(&flags).expect("settings")).expect("an engine"));
    let (tell, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.expect("a runtime").block_on(async move {
            let mut settings = StreamableHttpServerConfig::default();
            settings.legacy_session_mode = false;
            settings.json_response = true;
            let door = service(Backend::Away(engine), settings);
            let rights = axum::middleware::from_fn(
                move |mut request: axum::extract::Request, next: axum::middleware::Next| {
                    let roots = vec![root.clone()];
                    let may = request.headers().get("x-may").map(|may| may.to_str().map(str::to_owned));
                    match may.and_then(Result::ok).as_deref() {
                        Some("read") => drop(request.extensions_mut().insert(Access::to(roots, Role::Read))),
                        Some("write") => {
                            drop(request.extensions_mut().insert(Access::to(roots, Role::Write)))
                        }
                        _ => {}
                    }
                    next.run(request)
                },
            );
            let router = axum::Router::new().nest_service("/mcp", door).layer(rights);
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            tell.send(listener.local_addr().expect("an address")).expect("the test waits");
            axum::serve(listener, router).await.expect("it serves");
        });
    });
    address.recv_timeout(PATIENCE).expect("it starts")
}

fn post(address: SocketAddr, may: &str, message: &Value) -> (String, Value) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let body = message.to_string();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {address}\r\nx-may: {may}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2025-06-18\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.lines().next().unwrap_or_default().to_owned(), serde_json::from_str(body).unwrap_or(json!(body)))
}

#[test]
fn each_request_has_the_rights_that_it_brings() {
    let sandbox = Sandbox::new();
    let real = repository(&sandbox);
    let other = sandbox.path("other");
    std::fs::create_dir_all(&other).expect("made");
    std::fs::write(other.join("o.rs"), "fn other() {}\n").expect("written");
    sandbox.git(&other, &["init", "-q"]);
    sandbox.indexer(&other, &["once", "--lexical-only"]).expect(0);
    let address = serve(&sandbox, real);
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}});
    let names = |may: &str| -> Vec<String> {
        let (_, answer) = post(address, may, &list);
        let tools = answer["result"]["tools"].as_array().cloned().unwrap_or_default();
        tools.iter().map(|tool| tool["name"].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(names("nothing"), Vec::<String>::new());
    assert_eq!(names("read"), ["search_code", "read_code", "index_status", "find_memory"]);
    assert_eq!(names("write").len(), 6);

    let call = |may: &str, tool: &str, arguments: Value| {
        let params = json!({"name": tool, "arguments": arguments});
        post(address, may, &json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params})).1
    };
    // The one worktree that may be seen is meant where none is named.
    let found = call("read", "search_code", json!({"query": "RepoPath"}));
    let text = found["result"]["content"][0]["text"].as_str().unwrap_or_default();
    assert!(text.starts_with("src/"), "{found}");
    // One that may not be seen is answered like one that is not there.
    let shape = |path: PathBuf| {
        let path = path.to_str().expect("UTF-8").to_owned();
        let answer = call("read", "search_code", json!({"query": "other", "worktree": &path}));
        assert_eq!(answer["result"]["isError"], true, "{answer}");
        answer["result"]["content"][0]["text"].as_str().unwrap_or_default().replace(&path, "PATH")
    };
    assert_eq!(shape(other.clone()), shape(sandbox.path("nothing-there")));
    for (tool, arguments) in [
        ("read_code", json!({"path": other.join("o.rs")})),
        ("index_status", json!({"worktree": &other})),
        ("search_code", json!({"query": "x", "projects": [&other]})),
        ("search_code", json!({"pattern": "other", "worktree": &other})),
    ] {
        let answer = call("read", tool, arguments);
        let text = answer["result"]["content"][0]["text"].as_str().unwrap_or_default();
        assert!(answer["result"]["isError"] == true && !text.contains("fn other"), "{answer}");
    }
    let refused = call("read", "save_checkpoint", json!({"summary": "x"}));
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
    let refused = call("nothing", "search_code", json!({"query": "x"}));
    assert!(refused["error"].is_object(), "{refused}");
}
