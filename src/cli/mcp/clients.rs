//! The programs that agents run in: where each keeps its servers, and in which form.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::{Value, json};
use toml_edit::{DocumentMut, Item, Table};

use super::jsonc;
use crate::config::Settings;

/// What our entry is called everywhere.
pub(super) const NAME: &str = "indexer";

/// A program that agents run in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Client {
    /// Claude Code.
    ClaudeCode,
    /// Cursor.
    Cursor,
    /// Visual Studio Code.
    #[value(name = "vscode")]
    VsCode,
    /// Codex.
    Codex,
    /// Zed.
    Zed,
    /// Windsurf.
    Windsurf,
    /// Gemini CLI.
    GeminiCli,
    /// All of these.
    All,
}

/// How a file keeps servers.
enum Form {
    /// JSON: an object of this name.
    Json(&'static str),
    /// TOML: a table `mcp_servers`.
    Toml,
}

impl Client {
    /// Each, in the order of the help.
    pub(super) const EACH: [Client; 7] = [
        Client::ClaudeCode,
        Client::Cursor,
        Client::VsCode,
        Client::Codex,
        Client::Zed,
        Client::Windsurf,
        Client::GeminiCli,
    ];

    /// What people call it.
    pub(super) fn title(self) -> &'static str {
        match self {
            Client::ClaudeCode => "Claude Code",
            Client::Cursor => "Cursor",
            Client::VsCode => "VS Code",
            Client::Codex => "Codex",
            Client::Zed => "Zed",
            Client::Windsurf => "Windsurf",
            Client::GeminiCli => "Gemini CLI",
            Client::All => "all clients",
        }
    }

    /// The file of all the person's projects, where the person has a home.
    pub(super) fn of_person(self, settings: &Settings) -> Option<PathBuf> {
        let home = settings.home.as_ref()?;
        let config = settings.config_home.clone().unwrap_or_else(|| home.join(".config"));
        Some(match self {
            Client::ClaudeCode => home.join(".claude.json"),
            Client::Cursor => home.join(".cursor/mcp.json"),
            Client::VsCode if cfg!(target_os = "macos") => {
                home.join("Library/Application Support/Code/User/mcp.json")
            }
            Client::VsCode => config.join("Code/User/mcp.json"),
            Client::Codex => home.join(".codex/config.toml"),
            Client::Zed if cfg!(target_os = "macos") => home.join(".config/zed/settings.json"),
            Client::Zed => config.join("zed/settings.json"),
            Client::Windsurf => home.join(".codeium/windsurf/mcp_config.json"),
            Client::GeminiCli => home.join(".gemini/settings.json"),
            Client::All => return None,
        })
    }

    /// The file of one project, where the client has such.
    pub(super) fn of_project(self, root: &Path) -> Option<PathBuf> {
        let path = match self {
            Client::ClaudeCode => ".mcp.json",
            Client::Cursor => ".cursor/mcp.json",
            Client::VsCode => ".vscode/mcp.json",
            Client::Codex => ".codex/config.toml",
            Client::Zed => ".zed/settings.json",
            Client::GeminiCli => ".gemini/settings.json",
            Client::Windsurf | Client::All => return None,
        };
        Some(root.join(path))
    }

    /// Whether the person seems to use it: its file or its folder is there.
    pub(super) fn is_used(self, settings: &Settings) -> bool {
        let Some(path) = self.of_person(settings) else { return false };
        // The home directory itself says nothing.
        let folder = path.parent().filter(|dir| Some(*dir) != settings.home.as_deref());
        path.exists() || folder.is_some_and(Path::is_dir)
    }

    fn form(self) -> Form {
        match self {
            Client::VsCode => Form::Json("servers"),
            Client::Zed => Form::Json("context_servers"),
            Client::Codex => Form::Toml,
            _ => Form::Json("mcpServers"),
        }
    }

    /// The file's text with our entry, which runs `command`; an error says what is wrong with it.
    pub(super) fn with_entry(self, text: &str, command: &[String]) -> Result<String, String> {
        let (program, args) = command.split_first().ok_or("there is no command")?;
        match self.form() {
            Form::Json(section) => {
                let mut entry = serde_json::Map::new();
                if matches!(self, Client::ClaudeCode | Client::VsCode) {
                    entry.insert("type".to_owned(), json!("stdio"));
                }
                entry.insert("command".to_owned(), json!(program));
                entry.insert("args".to_owned(), json!(args));
                let entry = serde_json::to_string_pretty(&Value::Object(entry)).map_err(|e| e.to_string())?;
                jsonc::set(text, section, NAME, &entry)
            }
            Form::Toml => {
                let mut document: DocumentMut = text.parse().map_err(first_line)?;
                let mut parent = Table::new();
                parent.set_implicit(true);
                let servers = document.entry("mcp_servers").or_insert(Item::Table(parent));
                let servers = servers.as_table_like_mut().ok_or("mcp_servers is not a table")?;
                let mut entry = Table::new();
                entry["command"] = toml_edit::value(program);
                entry["args"] = toml_edit::value(args.iter().collect::<toml_edit::Array>());
                if servers.get(NAME).is_some_and(|old| old.to_string().trim() == entry.to_string().trim()) {
                    return Ok(text.to_owned());
                }
                servers.insert(NAME, Item::Table(entry));
                Ok(document.to_string())
            }
        }
    }

    /// The command of our entry in a file's text; `None` where it has none that can be read.
    pub(super) fn command(self, text: &str) -> Option<Vec<String>> {
        let entry: Value = match self.form() {
            Form::Json(section) => serde_json::from_str(jsonc::get(text, section, NAME)?).ok()?,
            Form::Toml => {
                let all: toml::Table = toml::from_str(text).ok()?;
                serde_json::to_value(all.get("mcp_servers")?.get(NAME)?).ok()?
            }
        };
        let args = entry.get("args").and_then(Value::as_array).into_iter().flatten();
        let words = std::iter::once(entry.get("command")?).chain(args);
        words.map(|word| word.as_str().map(str::to_owned)).collect()
    }

    /// The file's text without our entry; `None` where it has none.
    pub(super) fn without_entry(self, text: &str) -> Result<Option<String>, String> {
        match self.form() {
            Form::Json(section) => jsonc::remove(text, section, NAME),
            Form::Toml => {
                let mut document: DocumentMut = text.parse().map_err(first_line)?;
                let servers = document.get_mut("mcp_servers").and_then(Item::as_table_like_mut);
                match servers.and_then(|servers| servers.remove(NAME)) {
                    Some(_) => Ok(Some(document.to_string())),
                    None => Ok(None),
                }
            }
        }
    }
}

fn first_line(error: toml_edit::TomlError) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}
