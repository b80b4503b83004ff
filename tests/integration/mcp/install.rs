//! Other programs' configuration: changed, kept, and undone to the byte.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::Value;

use crate::harness::Sandbox;

/// Name, the person's file, the project's file, and the section.
const CLIENTS: [(&str, &str, Option<&str>, &str); 7] = [
    ("claude-code", ".claude.json", Some(".mcp.json"), "mcpServers"),
    ("cursor", ".cursor/mcp.json", Some(".cursor/mcp.json"), "mcpServers"),
    ("vscode", ".config/Code/User/mcp.json", Some(".vscode/mcp.json"), "servers"),
    ("codex", ".codex/config.toml", Some(".codex/config.toml"), "mcp_servers"),
    ("zed", ".config/zed/settings.json", Some(".zed/settings.json"), "context_servers"),
    ("windsurf", ".codeium/windsurf/mcp_config.json", None, "mcpServers"),
    ("gemini-cli", ".gemini/settings.json", Some(".gemini/settings.json"), "mcpServers"),
];

/// The command of our entry.
fn entry(text: &str, client: &str, section: &str) -> Vec<String> {
    let all: Value = match client {
        "codex" => serde_json::to_value(toml::from_str::<toml::Table>(text).expect("TOML")).expect("values"),
        _ => {
            let line =
                |line: &str| line.split_once("//").map_or(line.to_owned(), |(code, _)| code.to_owned());
            let plain: String = text.lines().map(|text| line(text) + "\n").collect();
            serde_json::from_str(&plain).unwrap_or_else(|error| panic!("{error}:\n{text}"))
        }
    };
    let entry = &all[section]["indexer"];
    let args = entry["args"].as_array().unwrap_or_else(|| panic!("no entry in {text}"));
    let words = std::iter::once(&entry["command"]).chain(args);
    words.map(|word| word.as_str().expect("a string").to_owned()).collect()
}

fn contents(client: &str, section: &str) -> [Option<String>; 3] {
    match client {
        "codex" => [
            None,
            Some("# mine\nmodel = \"o\" # why\n\n[mcp_servers.other]\ncommand = \"x\" # theirs\n".to_owned()),
            Some("# only a comment".to_owned()),
        ],
        _ => [
            None,
            Some(format!(
                "{{\n\t// mine\n\t\"a\": [1,  2], // why\n\t\"{section}\": {{\n\t\t\"other\": {{\"command\": \"x\"}} // theirs\n\t}}\n}}\n"
            )),
            Some("{ }".to_owned()),
        ],
    }
}

#[test]
fn an_entry_is_put_in_and_taken_out_to_the_byte() {
    for (client, file, _, section) in CLIENTS {
        for before in contents(client, section) {
            let sandbox = Sandbox::new();
            let home = sandbox.path("home");
            let path = home.join(file);
            if let Some(text) = &before {
                std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
                std::fs::write(&path, text).expect("written");
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("set");
            }
            let run = |args: &[&str]| {
                let mut all = vec!["mcp"];
                all.extend(args);
                all.extend(["--client", client]);
                sandbox.indexer(&home, &all)
            };
            let now = || std::fs::read_to_string(&path).ok();
            // Shown, and nothing else.
            let shown = run(&["install", "--dry-run"]).expect(0);
            assert!(String::from_utf8_lossy(&shown.stdout).contains("indexer"), "{client}: {shown:?}");
            assert_eq!(now(), before, "{client}: a dry run changes nothing");
            // Nobody can be asked.
            run(&["install"]).expect(2);
            assert_eq!(now(), before, "{client}");
            run(&["install", "--yes"]).expect(0);
            let with = now().expect("a file");
            let command = entry(&with, client, section);
            let data_dir = sandbox.data_dir().display().to_string();
            assert_eq!(command[1..], ["mcp", "--data-dir", &data_dir], "{client}: {command:?}");
            assert!(PathBuf::from(&command[0]).is_file(), "{client}: {command:?}");
            for line in before.iter().flat_map(|text| text.lines()).filter(|line| line.contains("mine")) {
                assert!(with.contains(line), "{client}: {line:?} is lost:\n{with}");
            }
            for word in ["// theirs", "# theirs", "# why", "// why"] {
                let had = before.as_ref().is_some_and(|text| text.contains(word));
                assert_eq!(with.contains(word), had, "{client}: {word}\n{with}");
            }
            if before.is_some() {
                let mode = std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777;
                assert_eq!(mode, 0o640, "{client}");
            }
            // Again, and nothing more happens.
            run(&["install", "--yes"]).expect(0);
            assert_eq!(now().as_ref(), Some(&with), "{client}");
            // Another entry replaces it, and what was before is still known.
            run(&["install", "--yes", "--memory"]).expect(0);
            assert_eq!(entry(&now().expect("a file"), client, section).last().expect("args"), "--memory");
            run(&["uninstall", "--yes"]).expect(0);
            assert_eq!(now(), before, "{client}: undone to the byte");
            run(&["uninstall", "--yes"]).expect(0);
            let left: Vec<_> = std::fs::read_dir(path.parent().expect("a folder"))
                .map(|entries| entries.map(|entry| entry.expect("readable").file_name()).collect())
                .unwrap_or_default();
            let ours = |name: &&std::ffi::OsString| name.to_string_lossy().contains("before-indexer");
            assert_eq!(left.iter().find(ours), None, "{client}: nothing is left behind");
        }
    }
}

#[test]
fn what_was_changed_since_is_kept() {
    for (client, file, _, section) in CLIENTS {
        let sandbox = Sandbox::new();
        let home = sandbox.path("home");
        let path = home.join(file);
        let [_, before, _] = contents(client, section);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, before.expect("a file")).expect("written");
        let run =
            |command: &str| sandbox.indexer(&home, &["mcp", command, "--yes", "--client", client]).expect(0);
        run("install");
        let later = std::fs::read_to_string(&path).expect("a file").replace("mine", "mine, later");
        std::fs::write(&path, later).expect("written");
        run("uninstall");
        let now = std::fs::read_to_string(&path).expect("a file");
        assert!(now.contains("mine, later") && now.contains("theirs"), "{client}:\n{now}");
        assert!(!now.contains("indexer"), "{client}:\n{now}");
    }
}

#[test]
fn a_malformed_file_is_refused_and_no_file_is_touched() {
    for (client, file, _, section) in CLIENTS {
        let wrong = match client {
            "codex" => vec!["[mcp_servers\n".to_owned(), "mcp_servers = 1\n".to_owned()],
            _ => vec!["{ \"a\": ".to_owned(), "[]".to_owned(), format!("{{\"{section}\": []}}")],
        };
        for text in wrong {
            let sandbox = Sandbox::new();
            let home = sandbox.path("home");
            let path = home.join(file);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(&path, &text).expect("written");
            let other = if client == "cursor" { "zed" } else { "cursor" };
            let args = ["mcp", "install", "--yes", "--client", other, "--client", client];
            let refused = sandbox.indexer(&home, &args).expect(2);
            assert!(refused.stderr.contains(path.to_str().expect("UTF-8")), "{}", refused.stderr);
            assert_eq!(std::fs::read_to_string(&path).expect("a file"), text, "{client}");
            let place = CLIENTS.iter().find(|(name, ..)| *name == other).expect("a client").1;
            assert!(!home.join(place).exists(), "{other} was changed before {client} was refused");
        }
    }
}

#[test]
fn a_projects_files_name_no_ones_folders() {
    let sandbox = Sandbox::new();
    let root = sandbox.path("project");
    std::fs::create_dir_all(root.join("below")).expect("made");
    sandbox.git(&root, &["init", "-q"]);
    let run = |args: &[&str], code| {
        let mut all = vec!["mcp"];
        all.extend(args);
        sandbox.indexer(&root.join("below"), &all).expect(code)
    };
    run(&["install", "--project", "--yes", "--client", "all"], 0);
    for (client, _, file, section) in CLIENTS {
        let Some(file) = file else { continue };
        let text = std::fs::read_to_string(root.join(file)).expect(file);
        assert_eq!(entry(&text, client, section), ["indexer", "mcp"], "{client}");
    }
    run(&["uninstall", "--project", "--yes", "--client", "all"], 0);
    assert_eq!(sandbox.git(&root, &["status", "--porcelain"]), "");
    run(&["install", "--project", "--client", "windsurf"], 2);
    // Nobody is found who could be told.
    run(&["install", "--yes"], 2);
}
