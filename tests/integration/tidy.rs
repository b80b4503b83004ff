//! The source tree keeps its own rules. Each test names the file, the line and
//! the way out; a rule that no longer fits is changed here, in its table.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use contextd_indexer::language::Language;
use contextd_indexer::skip::SkipReason;
use contextd_indexer::telemetry::metrics;
use regex::Regex;

/// Reading order is dependency order: module → modules it may use. Every name in
/// a row stands in a row above it; a test holds that too.
const MAY_USE: &[(&str, &[&str])] = &[
    // vocabulary: no I/O
    ("path", &[]),
    ("skip", &[]),
    ("id", &[]),
    ("language", &["path"]),
    ("manifest", &["id", "language", "path", "skip"]),
    // environment
    ("config", &["id", "language", "path"]),
    ("telemetry", &["config"]),
    ("state_dir", &["id", "path"]),
    // what changed
    ("git", &["id", "manifest", "path", "skip"]),
    ("delta", &["git", "manifest", "path", "skip"]),
    // what it says
    ("parse", &["language", "path"]),
    ("redact", &["language", "path"]),
    ("chunk", &["id", "language", "parse", "path", "redact", "skip"]),
    ("lexical", &["chunk", "path"]),
    ("textify", &["chunk", "language", "lexical", "path"]),
    // numbers
    ("embed", &["config", "id", "state_dir"]),
    // where it rests
    ("store", &["embed", "id", "language", "lexical", "manifest", "path", "skip", "state_dir", "telemetry"]),
    ("tenant", &["embed", "id", "manifest", "path", "store"]),
    // use cases
    (
        "index",
        &[
            "chunk",
            "config",
            "delta",
            "embed",
            "git",
            "id",
            "language",
            "lexical",
            "manifest",
            "parse",
            "path",
            "redact",
            "skip",
            "state_dir",
            "store",
            "tenant",
            "textify",
        ],
    ),
    (
        "search",
        &[
            "chunk", "config", "embed", "git", "id", "index", "language", "lexical", "manifest", "path",
            "redact", "skip", "store", "tenant", "textify",
        ],
    ),
    (
        "memory",
        &[
            "embed",
            "git",
            "id",
            "language",
            "lexical",
            "path",
            "redact",
            "search",
            "state_dir",
            "store",
            "tenant",
        ],
    ),
    ("migrate", &["embed", "id", "manifest", "path", "store", "tenant"]),
    // It puts the parts together (`textify`'s version is part of the options), and so
    // names `store`'s types; that it calls no store is held below, by the trait.
    (
        "engine",
        &[
            "config",
            "embed",
            "git",
            "id",
            "index",
            "language",
            "manifest",
            "memory",
            "migrate",
            "path",
            "redact",
            "search",
            "skip",
            "state_dir",
            "store",
            "telemetry",
            "tenant",
            "textify",
        ],
    ),
    (
        "wire",
        &[
            "embed", "git", "id", "index", "language", "manifest", "memory", "migrate", "path", "search",
            "store", "tenant",
        ],
    ),
    // doors
    ("session", &["id", "state_dir", "tenant", "wire"]),
    (
        "daemon",
        &[
            "config",
            "embed",
            "engine",
            "git",
            "id",
            "index",
            "memory",
            "path",
            "search",
            "state_dir",
            "store",
            "telemetry",
            "tenant",
            "wire",
        ],
    ),
    (
        "mcp",
        &["daemon", "engine", "index", "language", "memory", "path", "search", "store", "tenant", "wire"],
    ),
    (
        "http",
        &[
            "config",
            "daemon",
            "engine",
            "id",
            "mcp",
            "memory",
            "path",
            "search",
            "session",
            "state_dir",
            "store",
            "telemetry",
            "tenant",
            "wire",
        ],
    ),
    (
        "cli",
        &[
            "config",
            "daemon",
            "embed",
            "engine",
            "git",
            "http",
            "id",
            "index",
            "language",
            "manifest",
            "mcp",
            "memory",
            "migrate",
            "path",
            "search",
            "session",
            "skip",
            "state_dir",
            "store",
            "telemetry",
            "tenant",
            "wire",
        ],
    ),
    ("main", &["cli", "config", "telemetry"]),
];

/// Modules (or files of one) that do no I/O.
const PURE: &[&str] = &[
    "path",
    "skip",
    "id",
    "language",
    "manifest",
    "delta",
    "parse",
    "redact",
    "chunk",
    "textify",
    "lexical",
    "memory/draft",
    "memory/normalise",
    "memory/text",
    "search/copies",
    "search/fusion",
    "search/naming",
    "search/outline",
    "search/ranking",
    "search/relation",
    "search/usage",
];

/// What only some modules may write: pattern, who may, and why.
const ONLY: &[(&str, &[&str], &str)] = &[
    (r"\be?print(ln)?!|\bstdout\(\)", &["cli"], "only cli prints"),
    (r"process::exit|process::abort", &["cli", "main"], "only cli exits"),
    // Where git's own configuration lies is said by the environment, to git and so to us.
    (r"\benv::vars?(_os)?\b", &["config", "git"], "only config reads the environment"),
    (r"\bstore::(\{.*\b)?Store\b", &["store", "tenant"], "a store is called through a Database"),
    (r"\bDatabase\s*\{\s*[a-z]|\bDatabase::new\b", &["tenant"], "nothing outside tenant makes a Database"),
    (r"\bat_the_command_line\b", &["tenant", "cli"], "only the command line is its machine's owner"),
    (
        r"\bMachineOwner::by_token\b",
        &["tenant", "session"],
        "an administrator's session is its machine's owner",
    ),
    (
        r"\.(?:route|nest)(?:_service)?\(",
        &[],
        "a route is in the OpenAPI document, and so in the denial test",
    ),
    (r"\bpub trait (?:Store|Embedder)\b", &["store", "embed"], "each contract has one home"),
    (r"\bpub(?:\([a-z]+\))? trait\b", &["store", "embed"], "two traits, Store and Embedder"),
    (
        r"\bserde\b",
        &[
            "config",
            "state_dir",
            "index",
            "search",
            "memory",
            "wire",
            "session",
            "daemon",
            "http",
            "cli",
            "embed",
            "store",
        ],
        "serde lives at the edges",
    ),
    (r"\btantivy::", &["store"], "one provider knows its engine"),
    (r"\bgix::", &["git"], "git is read in one place"),
    (r"\bunreachable!\(\)", &[], "say what cannot happen and why, or return an error"),
];

/// Words that are nowhere: pattern and why. Written so as not to match themselves
/// matters not: this file is left out.
const FORBIDDEN: &[(&str, &str)] = &[
    (r"\b(TODO|FIXME|XXX|HACK)\b", "finish it, or say it in README's limits"),
    (r"(?i)not written yet|not implemented yet", "finish it, or leave it out"),
    (r"\b(struct|enum|trait|type|mod)\s+\w*(Manager|Helper|Util|Utils|V2)\b", "name it after what it is"),
    (r"\bmod (util|utils|helper|helpers|common|misc)\b", "name it after what it holds"),
    (r"#\[ignore", "a test that does not run checks nothing"),
    (r"thread::sleep", "wait for the event itself"),
    (r"(?i)/work/|\bworkplace\b|\bintegrator\b", "the source does not know where it was written"),
    (r#"["'`( ]/tmp/"#, "ask the system for its temporary directory"),
];

const MAX_LINES: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files below `dir`, sorted, of one of the extensions (none given: all).
fn files(dir: &str, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![root().join(dir)];
    while let Some(dir) = pending.pop() {
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        for entry in entries {
            let path = entry.expect("a readable directory").path();
            let extension = path.extension().unwrap_or_default();
            if path.is_dir() {
                pending.push(path);
            } else if extensions.is_empty() || extensions.iter().any(|wanted| extension == *wanted) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// All sources that people write: Rust, scripts, benchmarks.
fn sources() -> Vec<PathBuf> {
    let mut all = files("src", &["rs", "html", "css", "js"]);
    all.extend(files("tests", &["rs"]));
    all.extend(files("benches", &["rs", "py", "md"]));
    all.extend(files("queries", &["scm"]));
    all.extend(files("scripts", &[]));
    all.extend(files(".ci", &[]));
    all.extend(["README.md", "CHANGELOG.md", "Cargo.toml", "Makefile", "deny.toml"].map(|f| root().join(f)));
    all
}

/// `src/search/fusion.rs` → `search/fusion`; `src/git/mod.rs` → `git`.
fn module_path(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).unwrap_or(path).with_extension("");
    inside.to_string_lossy().trim_end_matches("/mod").to_owned()
}

/// Lines of product code with their numbers: comments and test modules left out.
fn product_code(path: &Path, text: &str) -> Vec<(usize, String)> {
    let of_tests =
        ["tests", "contract"].iter().any(|name| path.file_stem().is_some_and(|stem| stem == *name));
    if of_tests || path.components().any(|part| part.as_os_str() == "tests") {
        return Vec::new();
    }
    let lines: Vec<&str> = text.lines().collect();
    let test_module = lines.windows(2).position(|pair| {
        pair[0].trim() == "#[cfg(test)]" && pair[1].contains("mod ") && pair[1].trim_end().ends_with('{')
    });
    lines[..test_module.unwrap_or(lines.len())]
        .iter()
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(at, line)| (at + 1, (*line).to_owned()))
        .collect()
}

/// Modules of this crate that code names by `crate::…`, braces included.
fn uses(code: &str, prefix: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices(prefix) {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | ':')) {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        let name = |text: &str| -> String {
            text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
        };
        let Some(list) = rest.strip_prefix('{') else {
            found.insert(name(rest));
            continue;
        };
        let mut depth = 0;
        let mut first = true;
        for (at, c) in list.char_indices() {
            if first && !c.is_whitespace() {
                found.insert(name(&list[at..]));
                first = false;
            }
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => first = true,
                _ => {}
            }
        }
    }
    found.remove("");
    found
}

#[test]
fn uses_are_found() {
    let cases: &[(&str, &[&str])] = &[
        ("use crate::id::{A, B};", &["id"]),
        ("use crate::{id::A, path, store::{B, C}};", &["id", "path", "store"]),
        ("use crate::{\n    id,\n    path::X,\n};", &["id", "path"]),
        ("let x = crate::git::open(crate::path::X);", &["git", "path"]),
        ("$crate::id and mycrate::path and a::crate::skip", &[]),
    ];
    for (code, expected) in cases {
        let expected: BTreeSet<String> = expected.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(uses(code, "crate::"), expected, "{code}");
    }
}

#[test]
fn module_order_has_one_direction() {
    let mut above = BTreeSet::new();
    for (module, may_use) in MAY_USE {
        for used in *may_use {
            assert!(above.contains(used), "{module} may use {used}, which stands below it");
        }
        assert!(above.insert(*module), "{module} stands twice");
    }
}

#[test]
fn modules_use_only_those_above() {
    let table: BTreeMap<&str, &[&str]> = MAY_USE.iter().copied().collect();
    let mut faults = Vec::new();
    for path in files("src", &["rs"]) {
        let full = module_path(&path);
        let module = full.split('/').next().unwrap_or_default();
        if module == "lib" {
            continue;
        }
        let Some(may_use) = table.get(module) else {
            faults.push(format!("{}: module {module} has no row in MAY_USE", shown(&path)));
            continue;
        };
        let text = read(&path);
        let code: Vec<String> = product_code(&path, &text).into_iter().map(|(_, line)| line).collect();
        let code = code.join("\n");
        let mut used = uses(&code, "crate::");
        used.extend(uses(&code, "contextd_indexer::"));
        if full == module {
            // At a module's root `super` is the crate.
            used.extend(uses(&code, "super::").into_iter().filter(|name| table.contains_key(name.as_str())));
        }
        for name in used {
            if name != module && table.contains_key(name.as_str()) && !may_use.contains(&name.as_str()) {
                faults.push(format!("{}: {module} may not use {name}", shown(&path)));
            }
        }
    }
    let lib = read(&root().join("src/lib.rs"));
    let declared: BTreeSet<&str> = lib
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub mod ").or(line.trim().strip_prefix("mod ")))
        .map(|rest| rest.trim_end_matches(';'))
        .collect();
    for module in declared {
        if !table.contains_key(module) {
            faults.push(format!("src/lib.rs: module {module} has no row in MAY_USE"));
        }
    }
    assert!(faults.is_empty(), "the module order of DESIGN is broken:\n{}", faults.join("\n"));
}

#[test]
fn each_module_keeps_to_its_business() {
    let io = r"\bstd::(fs|net|process|env|io)\b|\buse std::\{[^}]*\b(fs|net|process|env)\b|\bFile::(open|create)\b";
    let io = Regex::new(io).expect("a pattern");
    let only: Vec<_> =
        ONLY.iter().map(|(p, who, why)| (Regex::new(p).expect("a pattern"), who, why)).collect();
    let mut faults = Vec::new();
    for path in files("src", &["rs"]) {
        let full = module_path(&path);
        let module = full.split('/').next().unwrap_or_default();
        let pure = PURE.iter().any(|name| full == *name || full.starts_with(&format!("{name}/")));
        for (line, code) in product_code(&path, &read(&path)) {
            let place = format!("{}:{line}: {}", shown(&path), code.trim());
            if pure && io.is_match(&code) {
                faults.push(format!("{place}\n    {full} does no I/O"));
            }
            for (pattern, who, why) in &only {
                if pattern.is_match(&code) && !who.contains(&module) {
                    faults.push(format!("{place}\n    {why}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn files_open_with_their_purpose_and_stay_small() {
    let mut faults = Vec::new();
    for path in sources() {
        let text = read(&path);
        let lines = text.lines().count();
        let extension = path.extension().unwrap_or_default();
        if extension == "rs" && !text.starts_with("//!") {
            faults.push(format!("{}: opens with //!: what it is for, what it must not do", shown(&path)));
        }
        if extension != "md" && lines > MAX_LINES {
            faults.push(format!("{}: {lines} lines, over {MAX_LINES}: split it", shown(&path)));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn forbidden_words() {
    let forbidden: Vec<_> =
        FORBIDDEN.iter().map(|(p, why)| (Regex::new(p).expect("a pattern"), why)).collect();
    let mut faults = Vec::new();
    for path in sources().into_iter().filter(|path| !path.ends_with("tests/integration/tidy.rs")) {
        for (at, line) in read(&path).lines().enumerate() {
            for (pattern, why) in forbidden.iter().filter(|(pattern, _)| pattern.is_match(line)) {
                faults.push(format!("{}:{}: {}\n    /{pattern}/: {why}", shown(&path), at + 1, line.trim()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_test_file_is_in_the_module_table() {
    let main = read(&root().join("tests/integration/main.rs"));
    let rows: BTreeSet<String> = main
        .lines()
        .filter_map(|line| line.strip_prefix("//! | `")?.split('`').next().map(str::to_owned))
        .collect();
    let mut modules = BTreeSet::new();
    for entry in fs::read_dir(root().join("tests/integration")).expect("the folder of this file") {
        let path = entry.expect("readable").path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if stem != "main" && (path.is_dir() || path.extension().is_some_and(|extension| extension == "rs")) {
            modules.insert(stem);
        }
    }
    assert_eq!(rows, modules, "the table at the top of tests/integration/main.rs names every test module");
    for module in &modules {
        assert!(main.contains(&format!("\nmod {module};")), "tests/integration/{module} is not compiled");
    }
}

#[test]
fn readme_documents_what_people_meet() {
    let readme = read(&root().join("README.md"));
    let mut missing = BTreeSet::new();
    for reason in SkipReason::ALL {
        if !readme.contains(&format!("| `{}` |", reason.name())) {
            missing.insert(format!("the skip reason `{}`", reason.name()));
        }
    }
    for (name, help) in metrics::ALL {
        if !readme.contains(&format!("| `{name}` |")) || !readme.contains(help) {
            missing.insert(format!("the metric `{name}`"));
        }
    }
    let variable = Regex::new(r#""(INDEXER_[A-Z_]+)""#).expect("a pattern");
    for path in files("src", &["rs"]).into_iter().chain(files("tests", &["rs"])) {
        // INDEXER_TEST_… is what a test tells a copy of itself.
        for name in variable.captures_iter(&read(&path)).filter(|name| !name[1].starts_with("INDEXER_TEST_"))
        {
            if !readme.contains(&format!("`{}`", &name[1])) {
                missing.insert(format!("the environment variable `{}` ({})", &name[1], shown(&path)));
            }
        }
    }
    // Names of JSON fields, as `json!` has them.
    let field = Regex::new(r#"(?m)[{,\s]"([a-z_]+)":\s"#).expect("a pattern");
    for path in files("src/cli", &["rs"]) {
        let text = read(&path);
        for (line, code) in product_code(&path, &text) {
            for name in field.captures_iter(&code) {
                if !readme.contains(&format!("`{}`", &name[1])) {
                    missing.insert(format!("the JSON field `{}` ({}:{line})", &name[1], shown(&path)));
                }
            }
        }
    }
    // And as types have them; a request is what the program itself sends.
    let line = Regex::new(r"^pub struct (\w+)|^    pub ([a-z_]+):").expect("a pattern");
    for path in files("src/wire", &["rs"]) {
        let mut of_request = false;
        for found in read(&path).lines().filter_map(|text| line.captures(text)) {
            match (found.get(1), found.get(2)) {
                (Some(name), _) => of_request = name.as_str().ends_with("Request"),
                (None, Some(name)) if !of_request && !readme.contains(&format!("`{}`", name.as_str())) => {
                    missing.insert(format!("the JSON field `{}` ({})", name.as_str(), shown(&path)));
                }
                _ => {}
            }
        }
    }
    assert!(missing.is_empty(), "README does not document:\n{}", Vec::from_iter(missing).join("\n"));
}

#[test]
fn every_grammar_has_its_query_and_no_query_is_idle() {
    let parser: String = files("src/parse", &["rs"]).iter().map(|path| read(path)).collect();
    let present: BTreeSet<String> = files("queries", &["scm"]).iter().map(|path| shown(path)).collect();
    assert!(!present.is_empty(), "queries/<language>/tags.scm");
    for file in &present {
        assert!(parser.contains(&format!("include_str!(\"../../{file}\")")), "{file} is read by no language");
    }
    for language in Language::ALL.iter().filter(|language| language.has_grammar()) {
        // TSX is TypeScript with elements: what defines a symbol is the same.
        let folder = if *language == Language::Tsx { "typescript" } else { language.name() };
        let file = format!("queries/{folder}/tags.scm");
        assert!(present.contains(&file), "{language} has a grammar and no {file}");
    }
}
