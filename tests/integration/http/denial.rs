//! Every route × everybody who may not. The routes are those of the OpenAPI document, which
//! is of the router: one without a row here fails.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use contextd_indexer::config::{self, Flags};
use contextd_indexer::engine::{Engine, EngineError};
use contextd_indexer::git::Worktree;
use contextd_indexer::id::{DatabaseName, ProjectName, TeamName, UserName};
use contextd_indexer::memory::{MemoryError, NewCheckpoint};
use contextd_indexer::session::{self, NewToken, Reach};
use contextd_indexer::store::StoreError;
use contextd_indexer::tenant::{Member, Role, TenantContext};
use serde_json::{Value, json};

use super::{Reply, Server};
use crate::daemon::{add, configure, repository};
use crate::harness::Sandbox;

/// Whose data a route is about.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Of {
    /// A worktree that the request names.
    Worktree,
    /// All that the session sees.
    Session,
    /// What projects share.
    Shared,
    /// A memory that projects share, by its id.
    SharedMemory,
    /// The machine.
    Machine,
}

/// One route: method, path, the role that it needs, whose data, what is sent, and the status
/// for who may.
struct Row {
    route: (&'static str, &'static str),
    role: Role,
    of: Of,
    query: &'static str,
    body: Option<Value>,
    good: u16,
}

fn rows() -> Vec<Row> {
    use Of::{Machine, Session, Shared, SharedMemory, Worktree};
    use Role::{Admin, Read, Write};
    let row = |method, path, role, of, query, body, good| Row {
        route: (method, path),
        role,
        of,
        query,
        body,
        good,
    };
    let query = json!({"worktree": "ROOT", "query": "part"});
    let tree = "?worktree=ROOT";
    let file = "?worktree=ROOT&path=src/part_0.rs";
    let memory = json!({"error": "E", "solution": "S"});
    vec![
        row(
            "post",
            "/v1/search",
            Read,
            Worktree,
            "",
            Some(json!({"worktrees": ["ROOT"], "query": "part_0"})),
            200,
        ),
        row("get", "/v1/status", Read, Session, "", None, 200),
        row("get", "/v1/events", Read, Session, "?seconds=0", None, 200),
        row("post", "/v1/index", Write, Worktree, "", Some(json!({"worktree": "ROOT", "wait": true})), 200),
        row("get", "/v1/explain", Read, Worktree, file, None, 200),
        row("get", "/v1/file", Read, Worktree, file, None, 200),
        row("get", "/v1/related", Read, Worktree, "?worktree=ROOT&path=src/part_0.rs&line=1", None, 200),
        row("get", "/v1/checkpoints", Read, Worktree, tree, None, 200),
        row(
            "post",
            "/v1/checkpoints",
            Write,
            Worktree,
            "",
            Some(json!({"worktree": "ROOT", "summary": "s"})),
            201,
        ),
        row("post", "/v1/checkpoints/search", Read, Worktree, "", Some(query), 200),
        row("get", "/v1/checkpoints/{id}", Read, Worktree, tree, None, 200),
        row("delete", "/v1/checkpoints/{id}", Write, Worktree, tree, None, 204),
        row("get", "/v1/remediations", Read, Shared, "", None, 200),
        row("post", "/v1/remediations", Write, Shared, "", Some(memory), 201),
        row("post", "/v1/remediations/search", Read, Shared, "", Some(json!({"query": "linker"})), 200),
        row("get", "/v1/remediations/{id}", Read, SharedMemory, "", None, 200),
        row(
            "post",
            "/v1/remediations/{id}/feedback",
            Write,
            SharedMemory,
            "",
            Some(json!({"helpful": true})),
            200,
        ),
        row("delete", "/v1/remediations/{id}", Write, SharedMemory, "", None, 204),
        row("post", "/mcp", Read, Session, "", Some(call("index_status", json!({}))), 200),
        row("get", "/metrics", Read, Machine, "", None, 200),
        row("get", "/v1/databases", Admin, Machine, "", None, 200),
        row(
            "post",
            "/v1/databases",
            Admin,
            Machine,
            "",
            Some(json!({"type": "organisation", "name": "rival"})),
            201,
        ),
        row("get", "/v1/databases/{name}", Admin, Machine, "", None, 200),
        row("delete", "/v1/databases/{name}", Admin, Machine, "", None, 204),
    ]
}

/// A call of a tool.
fn call(tool: &str, arguments: Value) -> Value {
    let params = json!({"name": tool, "arguments": arguments});
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
}

/// What each tool is given to be about a worktree; one without a row here fails.
fn arguments(tool: &str) -> Value {
    match tool {
        "search_code" => json!({"query": "part_0", "worktree": "ROOT"}),
        "read_code" => json!({"path": "ROOT/src/part_0.rs"}),
        "index_status" => json!({"worktree": "ROOT"}),
        "find_memory" => json!({"query": "kept", "worktree": "ROOT"}),
        "save_checkpoint" => json!({"summary": "s", "worktree": "ROOT"}),
        "record_remediation" => json!({"error": "E", "solution": "S", "worktree": "ROOT"}),
        other => panic!("the tool {other} has no row in the denial test"),
    }
}

/// Open to everybody.
const OPEN: [(&str, &str); 6] = [
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/v1/openapi.json"),
    ("get", "/"),
    ("get", "/page.css"),
    ("get", "/page.js"),
];

/// The ids that routes with a place for one are asked with.
struct Ids {
    root: String,
    checkpoint: String,
    remediation: String,
}

impl Row {
    fn send(&self, server: &Server<'_>, token: Option<&str>, ids: &Ids) -> Reply {
        let (method, path) = self.route;
        let id = if path.contains("checkpoints") { &ids.checkpoint } else { &ids.remediation };
        let path = format!("{path}{}", self.query);
        let path = path.replace("{id}", id).replace("{name}", "rival").replace("ROOT", &ids.root);
        let body = self.body.as_ref().map(|body| body.to_string().replace("ROOT", &ids.root));
        let body = body.map(|body| serde_json::from_str::<Value>(&body).expect("JSON"));
        let bearer = token.map(|token| format!("Bearer {token}"));
        let headers: Vec<(&str, &str)> = bearer.iter().map(|value| ("Authorization", &**value)).collect();
        server.send(&method.to_uppercase(), &path, &headers, body.as_ref())
    }
}

fn make(data_dir: &Path, name: &str, role: Role, reach: Reach, expires_at: Option<u64>) -> String {
    let new = NewToken { name: name.to_owned(), role, reach, expires_at };
    session::create(data_dir, new, 0).expect("a token").0.expose().to_owned()
}

#[test]
fn the_engine_keeps_a_tenant_to_its_role_and_project_too() {
    let sandbox = Sandbox::new();
    configure(&sandbox, "");
    let (mine, other) = (repository(&sandbox, "mine", 1), repository(&sandbox, "other", 1));
    let data_dir = Some(sandbox.data_dir());
    let config = Some(sandbox.path("home/.config/contextd-indexer/config.toml"));
    let settings = config::load(&Flags { config, data_dir }).expect("settings");
    let engine = Arc::new(Engine::new(settings).expect("an engine"));
    let project = Worktree::discover(&mine).expect("a worktree").project_path().to_owned();
    let tenant = |role| TenantContext::local(&project).expect("a tenant").at_most(role);
    let new = NewCheckpoint { summary: "s".to_owned(), ..NewCheckpoint::default() };
    let reader = engine.memory_as(&mine, &tenant(Role::Read)).expect("its own");
    let denied = reader.save_checkpoint(&new).expect_err("it may only read");
    assert!(matches!(denied, EngineError::Memory(MemoryError::Store(StoreError::Denied { .. }))), "{denied}");
    engine.memory_as(&mine, &tenant(Role::Write)).expect("its own").save_checkpoint(&new).expect("saved");
    let wrong = engine.memory_as(&other, &tenant(Role::Admin)).err();
    assert!(matches!(wrong, Some(EngineError::OtherProject(_))), "{wrong:?}");
    let wrong = engine.open_as(&other, &tenant(Role::Admin)).err();
    assert!(matches!(wrong, Some(EngineError::OtherProject(_))), "{wrong:?}");
    // The worktree says now that it is of another repository.
    fs::rename(mine.join(".git"), sandbox.path("aside")).expect("renamed");
    fs::write(mine.join(".git"), format!("gitdir: {}\n", other.join(".git").display())).expect("written");
    let wrong = engine.open_as(&mine, &tenant(Role::Admin)).err();
    assert!(wrong.is_some(), "its index would be another project's");
}

#[test]
fn who_may_not_is_refused_everywhere_and_nothing_tells_of_what_is_there() {
    let sandbox = Sandbox::new();
    configure(&sandbox, "");
    let (mine, other) = (repository(&sandbox, "mine", 2), repository(&sandbox, "other", 1));
    for tree in [&mine, &other] {
        add(&sandbox, tree);
    }
    let server = Server::start(&sandbox, &[("INDEXER_LOG", "trace")]);
    server.daemon.settle(&mine);
    server.daemon.settle(&other);
    let data_dir = sandbox.data_dir();
    let project = |tree: &Path| Worktree::discover(tree).expect("a worktree").project_path().to_owned();
    let all = Reach::Machine { projects: None };
    let of = |tree: &Path| Reach::Machine { projects: Some(BTreeSet::from([project(tree)])) };
    let member = Reach::Member(Member {
        organisation: DatabaseName::new("acme").expect("a name"),
        team: TeamName::new("core").expect("a name"),
        project: ProjectName::new("mine").expect("a name"),
        user: UserName::new("ada").expect("a name"),
    });
    let by_role: BTreeMap<Role, String> = Role::ALL
        .into_iter()
        .map(|role| (role, make(&data_dir, role.name(), role, all.clone(), None)))
        .collect();
    let admin = &by_role[&Role::Admin];
    let restricted = make(&data_dir, "mine", Role::Admin, of(&mine), None);
    let strangers = [
        make(&data_dir, "other", Role::Admin, of(&other), None),
        make(&data_dir, "member", Role::Admin, member, None),
    ];
    let expired = make(&data_dir, "expired", Role::Admin, all.clone(), Some(1));
    let revoked = make(&data_dir, "revoked", Role::Admin, all, None);
    assert_eq!(server.ask(&revoked, "GET", "/v1/status", None).status, 200);
    session::revoke(&data_dir, "revoked").expect("revoked");
    let wrong = format!("ctxi_{}", "0123456789abcdef".repeat(4));

    let root = mine.to_str().expect("UTF-8").to_owned();
    let saved = json!({"worktree": root, "summary": "kept", "content": "what is to be known"});
    let saved = server.ask(admin, "POST", "/v1/checkpoints", Some(&saved));
    let met = json!({"error": "linker not found", "solution": "install one"});
    let met = server.ask(admin, "POST", "/v1/remediations", Some(&met));
    let id = |reply: &Reply| {
        assert_eq!(reply.status, 201, "{reply:?}");
        reply.json()["memory"]["id"].as_str().expect("an id").to_owned()
    };
    let ids = Ids { root, checkpoint: id(&saved), remediation: id(&met) };
    let nowhere = Ids {
        root: sandbox.path("nowhere").to_str().expect("UTF-8").to_owned(),
        checkpoint: ids.checkpoint.clone(),
        remediation: "00000000-0000-0000-0000-000000000000".to_owned(),
    };

    // The rows are the routes.
    let document = server.send("GET", "/v1/openapi.json", &[], None).json();
    let mut routes = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let open = OPEN.contains(&(method.as_str(), path.as_str()));
            assert_eq!(operation["security"] == json!([{"token": []}]), !open, "{method} {path}");
            if !open {
                routes.insert((method.clone(), path.clone()));
            }
        }
    }
    let rows = rows();
    let known: BTreeSet<_> =
        rows.iter().map(|row| (row.route.0.to_owned(), row.route.1.to_owned())).collect();
    assert_eq!(routes, known, "every route of the router has a row here");

    for row in &rows {
        let what = |who: &str| format!("{who}: {} {}", row.route.0, row.route.1);
        for (who, token) in [
            ("nobody", None),
            ("a wrong token", Some(wrong.as_str())),
            ("an empty token", Some("")),
            ("no token at all", Some("ctxi_")),
            ("an expired token", Some(expired.as_str())),
            ("a revoked token", Some(revoked.as_str())),
        ] {
            let reply = row.send(&server, token, &ids);
            assert_eq!((reply.status, &*reply.code()), (401, "unauthorized"), "{}", what(who));
            assert_eq!(reply.header("www-authenticate"), Some("Bearer"), "{}", what(who));
        }
        for (role, token) in by_role.iter().filter(|(role, _)| **role < row.role) {
            let reply = row.send(&server, Some(token), &ids);
            assert_eq!((reply.status, &*reply.code()), (403, "forbidden"), "{}", what(role.name()));
        }
        // The projects of a machine share what is shared: no token of it is a stranger there.
        let is_shared = matches!(row.of, Of::Shared | Of::SharedMemory);
        for token in strangers.iter().filter(|_| !is_shared) {
            let reply = row.send(&server, Some(token), &ids);
            match row.of {
                Of::Worktree => {
                    assert_eq!((reply.status, &*reply.code()), (404, "not_found"), "{}", what("a stranger"));
                    let absent = row.send(&server, Some(token), &nowhere);
                    assert_eq!(reply.told(), absent.told(), "{}", what("a stranger"));
                    let absent = row.send(&server, Some(admin), &nowhere);
                    assert_eq!(reply.told(), absent.told(), "{}", what("nowhere"));
                }
                Of::Session => {
                    let text = String::from_utf8(reply.body).expect("UTF-8");
                    assert!(
                        reply.status == 200 && !text.contains(&ids.root),
                        "{}: {text}",
                        what("a stranger")
                    );
                }
                Of::Machine => {
                    assert_eq!((reply.status, &*reply.code()), (403, "forbidden"), "{}", what("a stranger"));
                }
                Of::Shared | Of::SharedMemory => {}
            }
        }
        // A member's organisation has its own.
        let [_, member] = &strangers;
        if row.of == Of::SharedMemory {
            let reply = row.send(&server, Some(member), &ids);
            assert_eq!((reply.status, &*reply.code()), (404, "not_found"), "{}", what("a member"));
            let absent = row.send(&server, Some(member), &nowhere).told();
            let told = reply.told().to_string().replace(&ids.remediation, &nowhere.remediation);
            assert_eq!(told, absent.to_string(), "{}", what("a member"));
        } else if row.of == Of::Shared && row.role == Role::Read {
            let reply = row.send(&server, Some(member), &ids);
            let text = String::from_utf8_lossy(&reply.body);
            assert!(reply.status == 200 && !text.contains("install one"), "{}: {text}", what("a member"));
        }
        if row.of == Of::Machine {
            let reply = row.send(&server, Some(&restricted), &ids);
            assert_eq!((reply.status, &*reply.code()), (403, "forbidden"), "{}", what("one project's"));
        }
    }
    // Every tool of the agents' door, too.
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}});
    let tools = |token: &str| -> Vec<String> {
        let list = server.ask(token, "POST", "/mcp?memory=true", Some(&list)).json();
        let tools = list["result"]["tools"].as_array().expect("tools").iter();
        tools.map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
    };
    let of = |tool: &str, ids: &Ids| -> Value {
        let text = call(tool, arguments(tool)).to_string().replace("ROOT", &ids.root);
        serde_json::from_str(&text).expect("JSON")
    };
    let told = |reply: Reply, ids: &Ids| {
        let answer = reply.json();
        let said = answer["result"]["content"][0]["text"].as_str().unwrap_or_default();
        (answer["result"]["isError"] == true, said.replace(&ids.root, "ROOT"))
    };
    let known = tools(admin);
    for tool in &known {
        let what = |who: &str| format!("{who}: {tool}");
        let good = server.ask(admin, "POST", "/mcp?memory=true", Some(&of(tool, &ids)));
        let (failed, said) = told(good, &ids);
        // A remediation is of no worktree.
        assert!(!failed || tool == "record_remediation", "{}: {said}", what("the administrator"));
        for stranger in &strangers {
            let ask = |ids| told(server.ask(stranger, "POST", "/mcp?memory=true", Some(&of(tool, ids))), ids);
            let (failed, said) = ask(&ids);
            assert!(
                failed && !said.contains(mine.to_str().expect("UTF-8")),
                "{}: {said}",
                what("a stranger")
            );
            assert_eq!(said, ask(&nowhere).1, "{}", what("a stranger"));
        }
    }
    let writing: Vec<&String> =
        known.iter().filter(|tool| !tools(&by_role[&Role::Read]).contains(tool)).collect();
    assert_eq!(writing, ["save_checkpoint", "record_remediation"]);
    for tool in writing {
        let refused =
            server.ask(&by_role[&Role::Read], "POST", "/mcp?memory=true", Some(&of(tool, &ids))).json();
        assert_eq!(refused["error"]["code"], -32602, "{tool}: {refused}");
    }
    let nothing = server.send("GET", "/v1/nothing", &[], None);
    assert_eq!(nothing.status, 401, "who has no token learns nothing of routes");
    assert_eq!(server.ask(admin, "GET", "/v1/nothing", None).code(), "not_found");
    let wrong_method = server.ask(admin, "PUT", "/v1/search", None);
    assert_eq!((wrong_method.status, &*wrong_method.code()), (405, "method_not_allowed"));
    assert_eq!(wrong_method.header("allow"), Some("POST"));
    for (_, path) in OPEN {
        assert_eq!(server.send("GET", path, &[], None).status, 200, "{path}");
        // Neither by another name, nor from another site, nor with a token in the wrong place.
        let headers: [&[(&str, &str)]; 2] =
            [&[("Origin", "http://evil.example")], &[("Sec-Fetch-Site", "cross-site")]];
        for headers in headers {
            assert_eq!(server.send("GET", path, headers, None).code(), "cross_site", "{path}");
        }
    }
    let in_query = format!("/v1/status?token={admin}&access_token={admin}");
    assert_eq!(server.send("GET", &in_query, &[], None).status, 401);
    let cookie = format!("token={admin}");
    assert_eq!(server.send("GET", "/v1/status", &[("Cookie", &cookie)], None).status, 401);

    // Nothing that was refused did anything, and whoever may, can.
    for row in &rows {
        let reply = row.send(&server, Some(admin), &ids);
        assert_eq!(reply.status, row.good, "{:?}: {}", row.route, String::from_utf8_lossy(&reply.body));
        if row.route == ("get", "/v1/checkpoints/{id}") {
            assert_eq!(reply.json()["content"], "what is to be known");
        }
    }
    let reply = rows[0].send(&server, Some(&restricted), &ids);
    assert_eq!(reply.status, 200, "{reply:?}");

    server.daemon.await_log("route=\"/v1/databases/{name}\" status=204");
    let log = server.daemon.log();
    assert!(log.contains("DEBUG http"), "it logs requests");
    let secrets = by_role.values().chain(&strangers).chain([&restricted, &expired, &revoked, &wrong]);
    for secret in secrets {
        for part in [&secret[5..37], &secret[37..]] {
            assert!(!log.contains(part), "a token is in the log");
        }
    }
    for secret in ["what is to be known", "install one"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    server.daemon.stop();
}
