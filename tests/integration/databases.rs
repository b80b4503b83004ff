//! Databases are listed, described, created and deleted by the machine's owner; no name
//! leads anywhere else.

use serde_json::Value;

use crate::harness::{Answer, Sandbox};
use crate::qdrant_server::QdrantServer;

fn indexed(sandbox: &Sandbox, name: &str) -> std::path::PathBuf {
    let root = sandbox.path(name);
    std::fs::create_dir_all(&root).expect("made");
    std::fs::write(root.join("a.rs"), "/// Greets.\nfn hello() {}\n").expect("written");
    sandbox.git(&root, &["init", "-q"]);
    sandbox.git(&root, &["add", "-A"]);
    sandbox.git(&root, &["commit", "-q", "-m", "first"]);
    sandbox.indexer(&root, &["once", "--lexical-only"]).expect(0);
    root
}

fn listed(sandbox: &Sandbox, args: &[&str]) -> Vec<Value> {
    let mut all = vec!["db", "list", "--json"];
    all.extend(args);
    let answer = sandbox.indexer(&sandbox.path(""), &all);
    answer.json()["databases"].as_array().expect("an array").clone()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

#[test]
fn create_list_describe_stats_delete() {
    let sandbox = Sandbox::new();
    let here = sandbox.path("");
    sandbox.indexer(&here, &["db", "list"]).expect(1);
    let [first, second] = ["first", "second"].map(|name| indexed(&sandbox, name));
    sandbox.indexer(&here, &["db", "create", "--shared"]).expect(0);
    let acme = sandbox.indexer(&here, &["db", "create", "--organisation", "acme", "--json"]).expect(0).json();
    assert_eq!((text(&acme["name"]), text(&acme["type"])), ("acme", "organisation"));
    sandbox.indexer(&first, &["db", "create", "--project", "."]).expect(0);

    let all = listed(&sandbox, &[]);
    let kinds: Vec<&str> = all.iter().map(|database| text(&database["type"])).collect();
    assert_eq!(kinds, ["organisation", "project", "project", "shared"]);
    assert_eq!(listed(&sandbox, &["--type", "shared"]).len(), 1);
    let projects = listed(&sandbox, &["--type", "project"]);
    let of = |root: &std::path::Path| {
        let own = projects.iter().find(|database| text(&database["project"]) == root.to_string_lossy());
        own.expect("its database").clone()
    };
    let (own, other) = (of(&first), of(&second));
    assert!(own["created_at"].as_u64().is_some_and(|at| at > 1_700_000_000));
    let name = text(&own["name"]);
    assert!(name.starts_with("project_") && name.len() == "project_".len() + 8, "{name}");

    let described = sandbox.indexer(&here, &["db", "describe", name, "--json"]).expect(0).json();
    let collection = &described["collections"][0];
    assert_eq!(text(&collection["type"]), "codebase");
    assert_eq!(text(&collection["worktree"]), first.to_string_lossy());
    let vectors: Vec<&str> =
        collection["vectors"].as_array().expect("an array").iter().map(|v| text(&v["name"])).collect();
    assert_eq!(vectors, ["text", "bm25"]);
    assert_eq!(collection["vectors"][0]["dimension"], 384);
    let fields = collection["fields"].as_array().expect("an array");
    let path = fields.iter().find(|field| field["name"] == "path").expect("a path");
    assert_eq!((text(&path["type"]), path["indexed"].as_bool()), ("keyword", Some(true)));
    let human = sandbox.indexer(&here, &["db", "describe", name]).expect(0);
    assert!(String::from_utf8_lossy(&human.stdout).contains("384 components, cosine"), "{human:?}");
    let stats = sandbox.indexer(&here, &["db", "stats", name, "--json"]).expect(0).json();
    assert!(stats["databases"][0]["collections"][0]["bytes"]["manifest"].as_u64() > Some(0), "{stats}");

    let refused = sandbox.indexer(&here, &["db", "delete", name]).expect(2);
    assert!(refused.stderr.contains("--yes"), "{refused:?}");
    assert_eq!(listed(&sandbox, &[]).len(), 4);
    sandbox.indexer(&here, &["db", "delete", name, "--yes"]).expect(0);
    assert!(!sandbox.data_dir().join("databases").join(name).exists());
    sandbox.indexer(&first, &["status"]).expect(1);
    // The other one's is as it was, and what was deleted is made anew.
    assert_eq!(listed(&sandbox, &["--type", "project"]), [other]);
    sandbox.indexer(&second, &["search", "--mode", "lexical", "hello"]).expect(0);
    sandbox.indexer(&first, &["once", "--lexical-only"]).expect(0);
    sandbox.indexer(&first, &["search", "--mode", "lexical", "hello"]).expect(0);
}

#[test]
fn a_grant_is_of_one_database_and_of_the_list_of_all() {
    let sandbox = Sandbox::new();
    let here = sandbox.path("");
    let refused = sandbox.indexer(&here, &["db", "grant", "shared"]).expect(2);
    assert!(refused.stderr.contains("store.provider"), "the way out: {refused:?}");

    let server = QdrantServer::start();
    let config = sandbox.path("home/.config/contextd-indexer/config.toml");
    std::fs::create_dir_all(config.parent().expect("a parent")).expect("made");
    let settings = format!("[store]\nprovider = \"qdrant\"\n[store.qdrant]\nurl = \"{}\"\n", server.url());
    std::fs::write(config, settings).expect("written");
    for name in ["first", "second"] {
        sandbox.indexer(&indexed(&sandbox, name), &["status"]).expect(0);
    }
    let databases = listed(&sandbox, &[]);
    let [first, second] = [&databases[0], &databases[1]].map(|database| text(&database["name"]));
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
    let granted = |name: &str, args: &[&str]| -> (Vec<(String, String)>, u64) {
        let claims = sandbox.indexer(&here, &[&["db", "grant", name], args].concat()).expect(0).json();
        let access = claims["access"].as_array().expect("an array").iter();
        let access = access.map(|one| (text(&one["collection"]).to_owned(), text(&one["access"]).to_owned()));
        (access.collect(), claims["exp"].as_u64().expect("a time"))
    };
    for (args, access, days) in [(&[][..], "rw", 30), (&["--role", "read", "--days", "1"], "r", 1)] {
        let [(of_first, expires), (of_second, _)] = [first, second].map(|name| granted(name, args));
        assert!((now..now + 60).contains(&(expires - days * 86_400)), "{args:?}: {expires}");
        let (own, registry) = of_first.split_at(of_first.len() - 1);
        assert!(!own.is_empty() && own.iter().all(|(_, granted)| granted == access), "{args:?}: {own:?}");
        // Nothing but the list of databases is in both.
        assert_eq!(registry[0].1, "r", "{args:?}");
        let both: Vec<_> = of_first.iter().filter(|one| of_second.contains(one)).collect();
        assert_eq!(both, [&registry[0]], "{args:?}");
    }
    let refused = sandbox.indexer(&here, &["db", "grant", "nobody"]).expect(2);
    assert!(refused.stderr.contains("indexer db list"), "the way out: {refused:?}");
}

#[test]
fn no_name_leads_out_of_its_database() {
    let sandbox = Sandbox::new();
    let root = indexed(&sandbox, "repo");
    let before = listed(&sandbox, &[]);
    let long = "x".repeat(65);
    let names: [(&str, &str); 12] = [
        ("", "^[a-z0-9_]{1,64}$"),
        ("..", "^[a-z0-9_]{1,64}$"),
        ("../databases", "^[a-z0-9_]{1,64}$"),
        ("project_1a2b3c4d/..", "^[a-z0-9_]{1,64}$"),
        ("/etc", "^[a-z0-9_]{1,64}$"),
        ("Shared", "^[a-z0-9_]{1,64}$"),
        // Cyrillic, full-width and an invisible character.
        ("\u{455}hared", "^[a-z0-9_]{1,64}$"),
        ("\u{ff53}hared", "^[a-z0-9_]{1,64}$"),
        ("sha\u{200b}red", "^[a-z0-9_]{1,64}$"),
        ("a b", "^[a-z0-9_]{1,64}$"),
        (&long, "^[a-z0-9_]{1,64}$"),
        ("nobody", "indexer db list"),
    ];
    let operations: [&[&str]; 3] = [&["describe"], &["stats"], &["delete", "--yes"]];
    for (name, expected) in names {
        for operation in operations {
            let mut args = vec!["db"];
            args.extend(operation);
            args.push(name);
            let refused: Answer = sandbox.indexer(&root, &args).expect(2);
            assert!(refused.stderr.contains(expected), "{args:?}: {refused:?}");
        }
        if name != "nobody" {
            let args = ["db", "create", &format!("--organisation={name}")];
            let refused = sandbox.indexer(&root, &args).expect(2);
            assert!(refused.stderr.contains(expected), "{args:?}: {refused:?}");
        }
    }
    for taken in ["shared", "project_1a2b3c4d"] {
        let refused = sandbox.indexer(&root, &["db", "create", "--organisation", taken]).expect(2);
        assert!(refused.stderr.contains("cannot be called"), "{refused:?}");
    }
    assert_eq!(listed(&sandbox, &[]), before);
}

#[test]
fn a_database_that_cannot_be_read_is_told_beside_the_others() {
    let sandbox = Sandbox::new();
    indexed(&sandbox, "repo");
    sandbox.indexer(&sandbox.path(""), &["db", "create", "--organisation", "acme"]).expect(0);
    let file = sandbox.data_dir().join("databases/acme/database.json");
    let mut bytes = std::fs::read(&file).expect("there");
    bytes[20] ^= 1;
    std::fs::write(&file, &bytes).expect("written");
    let list = sandbox.indexer(&sandbox.path(""), &["db", "list", "--json"]).expect(0).json();
    assert_eq!(list["databases"].as_array().map(Vec::len), Some(1));
    assert!(text(&list["problems"][0]).contains("database.json"), "{list}");
}
