//! Starting, cancelling and ending.

use std::time::Duration;

use serde_json::json;

use super::{Agent, repository};
use crate::daemon::{self, Daemon};
use crate::harness::Sandbox;

#[test]
fn it_starts_anywhere_says_little_and_ends_with_its_input() {
    let sandbox = Sandbox::new();
    // No worktree, no index, no daemon.
    let mut agent = Agent::start(&sandbox, &sandbox.path("home"), &[]);
    let list = agent.request("tools/list", json!({}));
    let tools = list["result"]["tools"].as_array().expect("tools");
    let bytes = list["result"].to_string().len();
    assert!(tools.len() <= 3 && bytes <= 2_500, "{} tools in {bytes} bytes", tools.len());
    for tool in tools {
        assert_eq!(tool["annotations"]["readOnlyHint"], true, "{tool}");
        assert_eq!(tool["inputSchema"]["type"], "object", "{tool}");
    }
    assert!(agent.close().success());

    let mut agent = Agent::start(&sandbox, &sandbox.path("home"), &["--memory"]);
    let list = agent.request("tools/list", json!({}));
    let changing = |tool: &&serde_json::Value| tool["annotations"]["readOnlyHint"] == false;
    let tools = list["result"]["tools"].as_array().expect("tools");
    assert_eq!((tools.len(), tools.iter().filter(changing).count()), (6, 2), "{list}");
    let unknown = agent.request("tools/call", json!({"name": "delete_code", "arguments": {}}));
    assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
}

#[test]
fn the_worktree_is_the_one_that_the_client_is_in() {
    let sandbox = Sandbox::new();
    let real = repository(&sandbox);
    let home = sandbox.path("home");
    let question = json!({"pattern": "fn repository_of_nobody_else_zzz"});
    std::fs::write(real.join("src/zzz.rs"), "fn repository_of_nobody_else_zzz() {}\n").expect("written");
    let named = real.to_str().expect("UTF-8");
    for (cwd, args, roots) in [
        (&real.join("src"), &[][..], Vec::new()),
        (&home, &["-C", named][..], Vec::new()),
        (&home, &[][..], vec![home.clone(), real.join("src")]),
    ] {
        let mut agent = Agent::start_at(&sandbox, cwd, args, roots);
        let text = agent.call("search_code", question.clone()).ok();
        assert!(text.contains("src/zzz.rs\n1: fn"), "{text}");
    }
    let error = Agent::start(&sandbox, &home, &[]).call("search_code", question);
    assert!(error.is_error && error.text.contains("worktree"), "{error:?}");
}

#[test]
fn a_cancelled_request_waits_no_longer() {
    let sandbox = Sandbox::new();
    let tree = daemon::repository(&sandbox, "tree", 3);
    let daemon = Daemon::start(&sandbox);
    daemon::add(&sandbox, &tree);
    daemon.settle(&tree);
    // While git writes its index the daemon waits, and so does who asks for all edits.
    std::fs::write(tree.join(".git/index.lock"), "").expect("written");
    std::fs::write(tree.join("new.rs"), "fn new() {}\n").expect("written");
    let mut agent = Agent::start(&sandbox, &tree, &[]);
    let wait = json!({"name": "search_code", "arguments": {"query": "new", "wait_ms": 120_000}});
    let id = agent.ask("tools/call", wait);
    agent.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}));
    // Long before the daemon takes that lock for a stale one.
    agent.await_log("dropping response for cancelled request", Duration::from_secs(15));
    // It is still asked, and answers nothing to what was cancelled.
    assert!(agent.request("tools/list", json!({}))["result"].is_object());
}
