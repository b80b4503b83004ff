//! What an agent's program sees of `indexer mcp`: JSON-RPC, a line a message, as it is sent.
//!
//! | file | what it holds |
//! |---|---|
//! | `tools` | answers: their size, exactness, freshness, and what errors say |
//! | `protocol` | starting, cancelling and ending |
//! | `http` | the same door as a service, and whose rights count there |
//! | `install` | other programs' configuration: changed, kept, and undone to the byte |

mod http;
mod install;
mod protocol;
mod tools;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::Sandbox;

/// How long anything may take. Generous: a machine under load is no fault.
const PATIENCE: Duration = Duration::from_secs(60);

/// An agent's program with the server that it started; killed when it is dropped.
struct Agent {
    child: Child,
    stdin: Option<ChildStdin>,
    /// What came on standard output, and what on standard error.
    messages: Receiver<String>,
    log: Receiver<String>,
    last_id: u64,
    /// Answers to `roots/list`.
    roots: Vec<PathBuf>,
}

/// What a tool said.
#[derive(Debug)]
struct Said {
    text: String,
    is_error: bool,
    /// Bytes of the message.
    bytes: usize,
}

impl Said {
    /// Its text, if it is no error.
    #[track_caller]
    fn ok(self) -> String {
        assert!(!self.is_error, "{}", self.text);
        self.text
    }
}

impl Agent {
    fn start(sandbox: &Sandbox, cwd: &Path, args: &[&str]) -> Agent {
        Agent::start_at(sandbox, cwd, args, Vec::new())
    }

    /// One that says that it is at `roots`, if any.
    fn start_at(sandbox: &Sandbox, cwd: &Path, args: &[&str], roots: Vec<PathBuf>) -> Agent {
        let mut all = vec!["mcp"];
        all.extend(args);
        let mut command = sandbox.indexer_command(cwd, &sandbox.data_dir(), &all);
        command.env("INDEXER_LOG", "info,rmcp=debug");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program runs");
        let messages = lines(child.stdout.take().expect("a pipe"));
        let log = lines(child.stderr.take().expect("a pipe"));
        let stdin = child.stdin.take();
        let capabilities = if roots.is_empty() { json!({}) } else { json!({"roots": {}}) };
        let mut agent = Agent { child, stdin, messages, log, last_id: 0, roots };
        let about = json!({"name": "test", "version": "0"});
        let hello =
            json!({"protocolVersion": "2025-06-18", "capabilities": capabilities, "clientInfo": about});
        let answer = agent.request("initialize", hello);
        assert_eq!(answer["result"]["protocolVersion"], "2025-06-18", "{answer}");
        agent.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        agent
    }

    fn send(&mut self, message: &Value) {
        let stdin = self.stdin.as_mut().expect("still open");
        stdin.write_all(format!("{message}\n").as_bytes()).expect("the server reads");
    }

    /// Sends a request and returns its id.
    fn ask(&mut self, method: &str, params: Value) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    /// The next message; everything on standard output is one.
    #[track_caller]
    fn next(&mut self) -> (Value, usize) {
        loop {
            let line = self.messages.recv_timeout(PATIENCE).expect("a message in time");
            let message: Value = serde_json::from_str(&line).expect("a message a line");
            assert_eq!(message["jsonrpc"], "2.0", "{line}");
            if message["method"] != "roots/list" {
                return (message, line.len());
            }
            let uri = |root: &PathBuf| json!({"uri": format!("file://{}", root.display())});
            let roots: Vec<Value> = self.roots.iter().map(uri).collect();
            self.send(&json!({"jsonrpc": "2.0", "id": message["id"], "result": {"roots": roots}}));
        }
    }

    #[track_caller]
    fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.ask(method, params);
        let (message, _) = self.next();
        assert_eq!(message["id"], id, "{message}");
        message
    }

    #[track_caller]
    fn call(&mut self, tool: &str, arguments: Value) -> Said {
        let id = self.ask("tools/call", json!({"name": tool, "arguments": arguments}));
        let (message, bytes) = self.next();
        assert_eq!(message["id"], id, "{message}");
        let result = &message["result"];
        let text = result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {message}"));
        Said { text: text.to_owned(), is_error: result["isError"] == true, bytes }
    }

    /// Waits for a line of the log.
    #[track_caller]
    fn await_log(&self, wanted: &str, patience: Duration) {
        while !self.log.recv_timeout(patience).expect(wanted).contains(wanted) {}
    }

    /// Closes its input, on which the server ends.
    fn close(mut self) -> ExitStatus {
        self.stdin = None;
        // Its output ends with it.
        while self.messages.recv_timeout(PATIENCE).is_ok() {}
        self.child.wait().expect("a child")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn lines(from: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (line, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for text in BufReader::new(from).lines().map_while(Result::ok) {
            // Nobody reads any more.
            let _ = line.send(text);
        }
    });
    lines
}

/// A small real repository: this program's own source, indexed by its words.
fn repository(sandbox: &Sandbox) -> PathBuf {
    let root = sandbox.path("real");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &root.join("src"));
    std::fs::write(root.join(".gitignore"), "*.secret\n").expect("written");
    sandbox.git(&root, &["init", "-q"]);
    sandbox.git(&root, &["add", "-A"]);
    sandbox.git(&root, &["commit", "-q", "-m", "first"]);
    sandbox.indexer(&root, &["once", "--lexical-only"]).expect(0);
    root
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("readable").path();
        let to = to.join(path.file_name().expect("a name"));
        match path.is_dir() {
            true => copy(&path, &to),
            false => drop(std::fs::copy(&path, &to).expect("copied")),
        }
    }
}
