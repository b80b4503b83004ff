//! What the tools are called and say of themselves. An agent pays for each word of it in
//! every conversation, and a tool that it does not understand at once is not used.

use std::sync::Arc;

use rmcp::model::{Tool, ToolAnnotations};
use serde_json::{Value, json};

use super::access::Access;

/// Said once to the client.
pub(super) const INSTRUCTIONS: &str = "An index of this code base that follows the files on disk. \
Ask search_code first for where and how something is done, or for all places of an exact text; \
then read_code for what a hit needs. Every answer ends with how fresh it is.";

/// The tools that there are with these rights.
pub(super) fn tools(access: &Access) -> Vec<Tool> {
    let mut tools = vec![search_code(), read_code(), index_status()];
    if access.has_memory() {
        tools.push(find_memory());
        if access.may_write() {
            tools.extend([save_checkpoint(), record_remediation()]);
        }
    }
    tools
}

fn search_code() -> Tool {
    reading(
        "search_code",
        "Find code by meaning, words or names: path:lines, symbol and the best lines, best first. \
         Use it before grep for questions, names and error messages. `pattern` is grep that skips \
         nothing: every matching line on disk.",
        json!({
            "query": text("Question, name or error message"),
            "pattern": text("Exact text"),
            "regex": {"type": "boolean", "description": "`pattern` is a regular expression"},
            "path": text("Glob or directory"),
            "language": text("As `rust`"),
            "kind": text("As `function`, `class`, `section`"),
            "worktree": text("Path or name; default: yours"),
            "projects": {"type": "array", "items": {"type": "string"}, "description": "Search these worktrees; `*` is all"},
            "limit": number("Hits; default 5"),
            "token_budget": number("Default 640"),
            "wait_ms": number("Wait for edits just made; default 300"),
        }),
        &[],
    )
}

fn read_code() -> Tool {
    reading(
        "read_code",
        "Read only what a hit needs, instead of whole files: lines, a symbol's definition, a file's \
         outline, all uses of a name, similar code, or `related`: that and callers, tests, callees.",
        json!({
            "path": text("PATH, PATH:LINE or PATH:FIRST-LAST"),
            "symbol": text("Name, as `parse` or `Parser::parse`"),
            "relate": {"type": "string", "enum": ["outline", "callers", "similar", "related"]},
            "worktree": text("Path or name"),
            "token_budget": number("Default 1500"),
        }),
        &[],
    )
}

fn index_status() -> Tool {
    reading(
        "index_status",
        "What is indexed and how fresh. With a path: why that file is or is not found.",
        json!({"path": text("File"), "worktree": text("Path or name")}),
        &[],
    )
}

fn find_memory() -> Tool {
    reading(
        "find_memory",
        "Recall what was learned before: checkpoints of this project and fixes of errors. Without \
         a query: where the last session stopped.",
        json!({
            "query": text("Topic or error message"),
            "worktree": text("Path or name"),
            "limit": number("Default 5"),
            "token_budget": number("Default 640"),
        }),
        &[],
    )
}

fn save_checkpoint() -> Tool {
    writing(
        "save_checkpoint",
        "Keep what you are at, for whoever goes on: at the end of a task, or before a long one. \
         Paths in the text are tracked.",
        json!({
            "summary": text("What was done, and what is next"),
            "content": text("Details, as Markdown"),
            "tags": {"type": "array", "items": {"type": "string"}},
            "worktree": text("Path or name"),
        }),
        &["summary"],
    )
}

fn record_remediation() -> Tool {
    writing(
        "record_remediation",
        "Keep how an error was mended, once it is, for all projects.",
        json!({
            "error": text("The message"),
            "solution": text("What helped"),
            "tags": {"type": "array", "items": {"type": "string"}},
        }),
        &["error", "solution"],
    )
}

fn reading(name: &'static str, description: &'static str, properties: Value, required: &[&str]) -> Tool {
    let annotations = ToolAnnotations::new().read_only(true).open_world(false);
    tool(name, description, properties, required).with_annotations(annotations)
}

/// Adds, and changes nothing that is there.
fn writing(name: &'static str, description: &'static str, properties: Value, required: &[&str]) -> Tool {
    let annotations = ToolAnnotations::new().read_only(false).destructive(false).open_world(false);
    tool(name, description, properties, required).with_annotations(annotations)
}

fn tool(name: &'static str, description: &'static str, properties: Value, required: &[&str]) -> Tool {
    let mut schema = serde_json::Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), properties);
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    Tool::new(name, description, Arc::new(schema))
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn number(description: &str) -> Value {
    json!({"type": "integer", "description": description})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::Role;

    fn names(access: &Access) -> Vec<String> {
        tools(access).iter().map(|tool| tool.name.to_string()).collect()
    }

    #[test]
    fn the_list_is_short() {
        let tools = tools(&Access::of_person().without_memory());
        let bytes = serde_json::to_string(&json!({ "tools": tools })).expect("JSON").len();
        assert!(tools.len() <= 3 && bytes <= 2_500, "{} tools in {bytes} bytes", tools.len());
    }

    #[test]
    fn rights_decide_what_there_is() {
        let code = ["search_code", "read_code", "index_status"];
        assert_eq!(names(&Access::of_person().without_memory()), code);
        assert_eq!(names(&Access::to(Vec::new(), Role::Read))[3..], ["find_memory"]);
        assert_eq!(names(&Access::to(Vec::new(), Role::Write)).len(), 6);
    }
}
