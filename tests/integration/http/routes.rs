//! What is answered to whoever may ask: lists in pieces, an organisation apart from the
//! machine, lines of a file as the index has them.

use serde_json::{Value, json};

use super::Server;
use crate::daemon::{add, configure, repository, write};
use crate::harness::Sandbox;

fn token(sandbox: &Sandbox, args: &[&str]) -> String {
    let all = [&["token", "create", "--json"], args].concat();
    let made = sandbox.indexer(&sandbox.path(""), &all).expect(0).json();
    made["token"].as_str().expect("a token").to_owned()
}

/// Names of all, a piece at a time; each piece has at most two.
fn in_pieces(server: &Server<'_>, token: &str, path: &str, list: &str, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let reply = server.ask(token, "GET", &format!("{path}limit=2{cursor}"), None);
        assert_eq!(reply.status, 200, "{reply:?}");
        let piece = reply.json();
        let names = piece[list].as_array().expect("a list").iter().map(|one| one[name].to_string());
        let before = found.len();
        found.extend(names);
        assert!(found.len() - before <= 2, "{piece}");
        match piece["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

#[test]
fn a_list_goes_on_where_it_stopped_and_an_organisation_is_apart() {
    let sandbox = Sandbox::new();
    configure(&sandbox, "");
    let tree = repository(&sandbox, "repo", 1);
    add(&sandbox, &tree);
    let server = Server::start(&sandbox, &[]);
    server.daemon.settle(&tree);
    let admin = token(&sandbox, &["me", "--role", "admin"]);
    let member = ["--organisation", "acme", "--team", "core", "--project", "web", "--user", "ada"];
    let member = token(&sandbox, &[&["ada", "--role", "write"], &member[..]].concat());
    let post = |token: &str, path: &str, body: Value| {
        let reply = server.ask(token, "POST", path, Some(&body));
        assert!(matches!(reply.status, 200 | 201), "{path}: {}", String::from_utf8_lossy(&reply.body));
        reply.json()
    };
    for number in 0..5 {
        post(&admin, "/v1/checkpoints", json!({"worktree": tree, "summary": format!("step {number}")}));
        let error = ["linker", "network", "disk", "memory", "clock"][number];
        post(&admin, "/v1/remediations", json!({"error": format!("{error} broken"), "solution": "mend it"}));
        let name = format!("org_{number}");
        post(&admin, "/v1/databases", json!({"type": "organisation", "name": name}));
    }
    post(&member, "/v1/remediations", json!({"error": "gateway down", "solution": "ask ada"}));

    let checkpoints = format!("/v1/checkpoints?worktree={}&", tree.display());
    let found = in_pieces(&server, &admin, &checkpoints, "memories", "summary");
    assert_eq!(found, (0..5).rev().map(|number| format!("\"step {number}\"")).collect::<Vec<_>>());
    let mut found = in_pieces(&server, &admin, "/v1/remediations?", "memories", "error");
    found.sort();
    let mut expected =
        ["linker", "network", "disk", "memory", "clock"].map(|what| format!("\"{what} broken\""));
    expected.sort();
    assert_eq!(found, expected, "each once, and none of the organisation's");
    let found = in_pieces(&server, &member, "/v1/remediations?", "memories", "error");
    assert_eq!(found, ["\"gateway down\""]);
    let found = in_pieces(&server, &admin, "/v1/databases?", "databases", "type");
    assert_eq!(found.len(), 8, "five, acme's, the project's, the shared: {found:?}");
    for path in ["/v1/remediations?cursor=x", "/v1/remediations?cursor=0.0", "/v1/databases?cursor=zz"] {
        assert_eq!(server.ask(&admin, "GET", path, None).code(), "invalid", "{path}");
    }
    let status = server.ask(&member, "GET", "/v1/status", None).json();
    assert_eq!((&status["worktrees"], &status["cache"]), (&json!([]), &Value::Null));
    server.daemon.stop();
}

#[test]
fn lines_are_those_on_disk_of_indexed_files_without_secrets() {
    let sandbox = Sandbox::new();
    configure(&sandbox, "");
    let tree = repository(&sandbox, "repo", 1);
    write(&tree, ".env", "API_KEY=abcdef0123456789\nMODE=fast\n");
    write(&tree, ".gitignore", "hidden.rs\n");
    write(&tree, "hidden.rs", "fn hidden() {}\n");
    add(&sandbox, &tree);
    let server = Server::start(&sandbox, &[]);
    server.daemon.settle(&tree);
    let token = token(&sandbox, &["me", "--project", "repo"]);
    let file =
        |rest: &str| server.ask(&token, "GET", &format!("/v1/file?worktree={}&{rest}", tree.display()), None);
    let secret = file("path=.env");
    let text = secret.json()["text"].as_str().expect("a text").to_owned();
    assert!(text.starts_with("API_KEY=[REDACTED:") && !text.contains("abcdef0123456789"), "{text}");
    // Written after it was indexed, and read as it is now.
    write(&tree, "src/part_0.rs", "// one\n// two\r\n// three");
    for (range, expected) in [
        ("", ("// one\n// two\r\n// three", 1, 3)),
        ("&start_line=2&end_line=2", ("// two\r\n", 2, 2)),
        ("&start_line=3&end_line=9", ("// three", 3, 3)),
        ("&start_line=0&end_line=1", ("// one\n", 1, 1)),
        ("&start_line=4294967295", ("", 4_294_967_295, 3)),
        ("&start_line=3&end_line=2", ("", 3, 2)),
    ] {
        let lines = file(&format!("path=src/part_0.rs{range}")).json();
        let found = (lines["text"].as_str(), lines["start_line"].as_u64(), lines["end_line"].as_u64());
        assert_eq!(found, (Some(expected.0), Some(expected.1), Some(expected.2)), "{range}");
        assert_eq!(lines["total_lines"], 3);
    }
    for path in ["hidden.rs", ".git/config", "src", "nothing.rs"] {
        assert_eq!(file(&format!("path={path}")).code(), "not_found", "{path}");
    }
    for path in ["", "/etc/passwd", "../data/tokens.json", "src/../../data/tokens.json"] {
        assert_eq!(file(&format!("path={path}")).code(), "invalid", "{path}");
    }
    let explained =
        server.ask(&token, "GET", &format!("/v1/explain?worktree={}&path=hidden.rs", tree.display()), None);
    assert_eq!(explained.json()["ignored_by"]["pattern"], "hidden.rs");
    server.daemon.stop();
}
