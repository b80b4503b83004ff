//! The status page: its files as a browser gets them, the address that `indexer page` prints,
//! and the events that it lives on.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use contextd_indexer::session;
use serde_json::Value;

use super::Server;
use crate::daemon::{Daemon, add, configure, repository, source, write};
use crate::harness::Sandbox;

/// As many as may listen at a time …
const PLACES: usize = 16;
/// … with one token.
const OF_TOKEN: usize = 8;

/// Somebody who listens.
struct Listener(BufReader<TcpStream>);

impl Listener {
    fn start(server: &Server<'_>, token: &str) -> Listener {
        let mut stream = server.connect();
        let request = format!(
            "GET /v1/events HTTP/1.0\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\r\n",
            server.address
        );
        stream.write_all(request.as_bytes()).expect("sent");
        Listener(BufReader::new(stream))
    }

    /// The next line, waited for; `None` at the end.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).expect("it comes in time");
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// The next status, waited for; `None` at the end.
    fn status(&mut self) -> Option<Value> {
        loop {
            if let Some(data) = self.line()?.strip_prefix("data: ") {
                return Some(serde_json::from_str(data).expect("JSON"));
            }
        }
    }

    /// Waits for a status that is as wanted.
    #[track_caller]
    fn until(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let status = self.status().unwrap_or_else(|| panic!("it ended before {what}"));
            if wanted(&status) {
                return status;
            }
        }
    }
}

fn token(sandbox: &Sandbox, args: &[&str]) -> String {
    let all = [&["token", "create", "--json"], args].concat();
    let made = sandbox.indexer(&sandbox.path(""), &all).expect(0).json();
    made["token"].as_str().expect("a token").to_owned()
}

#[test]
fn a_browser_gets_the_page_and_may_do_nothing_else_with_it() {
    let sandbox = Sandbox::new();
    configure(&sandbox, "");
    let refused = sandbox.indexer(&sandbox.path(""), &["page"]).expect(2);
    assert!(refused.stderr.contains("indexer watch"), "the way out: {}", refused.stderr);
    let closed = Daemon::start(&sandbox);
    let refused = sandbox.indexer(&sandbox.path(""), &["page"]).expect(2);
    assert!(refused.stderr.contains("http.listen"), "the way out: {}", refused.stderr);
    closed.stop();

    let server = Server::start(&sandbox, &[]);
    for (path, kind) in [("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javascript")] {
        let reply = server.send("GET", path, &[], None);
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(reply.header("content-type"), Some(&*format!("{kind}; charset=utf-8")), "{path}");
        let policy = reply.header("content-security-policy").expect("a policy");
        for rule in
            ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'none'"]
        {
            assert!(policy.split("; ").any(|one| one == rule), "{path}: {rule}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-cache"),
        ] {
            assert_eq!(reply.header(name), Some(value), "{path}");
        }
        let tag = reply.header("etag").expect("a tag");
        let again = server.send("GET", path, &[("If-None-Match", &format!("\"other\", {tag}"))], None);
        assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, Some(tag)), "{path}");
        let other = server.send("GET", path, &[("If-None-Match", "W/\"other\"")], None);
        assert_eq!((other.status, &other.body), (200, &reply.body), "{path}");
    }

    // The printed address has a token that reads, and no more; each page has its own.
    for name in ["page", "page-2"] {
        let printed = sandbox.indexer(&sandbox.path(""), &["page"]).expect(0);
        let printed = String::from_utf8(printed.stdout).expect("text");
        let token = printed.trim().strip_prefix(&format!("http://{}/#token=", server.address));
        let token = token.unwrap_or_else(|| panic!("an address: {printed}"));
        assert_eq!(server.ask(token, "GET", "/v1/status", None).status, 200);
        let order = serde_json::json!({"worktree": "/"});
        assert_eq!(server.ask(token, "POST", "/v1/index", Some(&order)).status, 403);
        let known = session::list(&sandbox.data_dir()).expect("tokens").pop().expect("the last");
        assert_eq!((&*known.name, known.expires_at), (name, Some(known.created_at + 12 * 3600)));
    }
    server.daemon.stop();
}

#[test]
fn who_listens_hears_of_changes_that_it_may_see_and_of_nothing_after_the_token() {
    let sandbox = Sandbox::new();
    configure(&sandbox, "");
    let (mine, other) = (repository(&sandbox, "mine", 1), repository(&sandbox, "other", 1));
    for tree in [&mine, &other] {
        add(&sandbox, tree);
    }
    let server = Server::start(&sandbox, &[]);
    server.daemon.settle(&mine);
    server.daemon.settle(&other);
    let all = token(&sandbox, &["all"]);
    let restricted = token(&sandbox, &["restricted", "--project", "other"]);
    let parsed = |status: &Value, tree: &std::path::Path| {
        let trees = status["worktrees"].as_array().expect("worktrees");
        let found = trees.iter().find(|one| one["root"].as_str().map(std::path::Path::new) == Some(tree));
        found.and_then(|found| found["counters"]["parsed"].as_u64())
    };
    let mut hears_all = Listener::start(&server, &all);
    let mut hears_other = Listener::start(&server, &restricted);
    let before = parsed(&hears_all.status().expect("at once"), &mine).expect("its own");
    assert_eq!(parsed(&hears_other.status().expect("at once"), &mine), None);

    write(&mine, "src/part_0.rs", &source(7));
    hears_all.until("the edit is told", |status| parsed(status, &mine) == Some(before + 1));
    // Who may not see it hears nothing of it: the next that it hears is of its own.
    let own = |status: &Value| parsed(status, &other).expect("its own");
    server.daemon.settle(&mine);
    write(&other, "src/part_0.rs", &source(8));
    let heard = hears_other.until("its own edit is told", |status| own(status) > 1);
    assert!(!heard.to_string().contains("/mine"), "{heard}");

    session::revoke(&sandbox.data_dir(), "restricted").expect("revoked");
    write(&other, "src/part_0.rs", &source(9));
    while let Some(status) = hears_other.status() {
        assert_eq!(own(&status), own(&heard), "nothing that was done after the token was revoked");
    }
    hears_all.until("others hear on", |status| own(status) > 2);
    let ended = server.ask(&all, "GET", "/v1/events?seconds=0", None);
    assert_eq!(ended.header("content-type"), Some("text/event-stream"));
    assert!(ended.body.starts_with(b"event: status\ndata: {"), "{ended:?}");
    server.daemon.stop();
}

#[test]
fn places_are_few_and_who_listens_does_not_keep_the_daemon() {
    let sandbox = Sandbox::new();
    configure(&sandbox, "");
    let server = Server::start(&sandbox, &[]);
    let tokens: Vec<String> =
        (0..=PLACES / OF_TOKEN).map(|number| token(&sandbox, &[&format!("laptop-{number}")])).collect();
    let (last, others) = tokens.split_last().expect("some");
    let refused = |token: &str, why: &str| {
        let refused = server.ask(token, "GET", "/v1/events", None);
        assert_eq!((refused.status, &*refused.code()), (503, "busy"));
        assert_eq!(refused.header("retry-after"), Some("1"));
        assert!(refused.told().to_string().contains(why), "{refused:?}");
    };
    let mut listeners: Vec<Listener> = Vec::new();
    for token in others {
        for _ in 0..OF_TOKEN {
            let mut listener = Listener::start(&server, token);
            listener.status().expect("at once");
            listeners.push(listener);
        }
        refused(token, "with this token");
    }
    refused(last, "others");
    // Who goes makes room.
    drop(listeners.pop());
    let deadline = Instant::now() + Duration::from_secs(30);
    while server.ask(last, "GET", "/v1/events?seconds=0", None).status != 200 {
        assert!(Instant::now() < deadline, "the place stays taken");
    }
    let began = Instant::now();
    server.daemon.stop();
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    for mut listener in listeners {
        // In good order: a connection that is torn is no end.
        while listener.line().is_some() {}
    }
}
