//! Every crate that the build links is under a licence that `deny.toml` allows,
//! comes from the registry, and is not banned. The same file serves cargo-deny;
//! this check needs nothing but cargo, and no network.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// SPDX licence expression, as far as crates use it: `AND` binds closer than
/// `OR`, parentheses, `WITH`; `/` is the registry's old way to write `OR`.
/// `None` where it does not parse.
fn permitted(expression: &str, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let value = any_of(&tokens, &mut at, allowed)?;
    (at == tokens.len()).then_some(value)
}

fn any_of(tokens: &[&str], at: &mut usize, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut value = all_of(tokens, at, allowed)?;
    while tokens.get(*at) == Some(&"OR") {
        *at += 1;
        value |= all_of(tokens, at, allowed)?;
    }
    Some(value)
}

fn all_of(tokens: &[&str], at: &mut usize, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut value = licence(tokens, at, allowed)?;
    while tokens.get(*at) == Some(&"AND") {
        *at += 1;
        value &= licence(tokens, at, allowed)?;
    }
    Some(value)
}

fn licence(tokens: &[&str], at: &mut usize, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let token = *tokens.get(*at)?;
    *at += 1;
    match token {
        "(" => {
            let value = any_of(tokens, at, allowed)?;
            (tokens.get(*at) == Some(&")")).then(|| *at += 1)?;
            Some(value)
        }
        ")" | "OR" | "AND" | "WITH" => None,
        name if tokens.get(*at) == Some(&"WITH") => {
            let exception = tokens.get(*at + 1)?;
            *at += 2;
            Some(allowed(&format!("{name} WITH {exception}")))
        }
        name => Some(allowed(name)),
    }
}

#[test]
fn expressions() {
    let mit = |name: &str| matches!(name, "MIT" | "ISC" | "Apache-2.0 WITH LLVM-exception");
    let cases = [
        ("MIT", Some(true)),
        ("GPL-3.0", Some(false)),
        ("MIT OR GPL-3.0", Some(true)),
        ("GPL-3.0/MIT", Some(true)),
        ("MIT AND GPL-3.0", Some(false)),
        ("GPL-3.0 OR MIT AND ISC", Some(true)),
        ("(GPL-3.0 OR MIT) AND ISC", Some(true)),
        ("(GPL-3.0 OR MIT) AND BSL-1.0", Some(false)),
        ("Apache-2.0 WITH LLVM-exception", Some(true)),
        ("Apache-2.0", Some(false)),
        ("MIT OR", None),
        ("(MIT", None),
        ("MIT ISC", None),
        ("", None),
    ];
    for (expression, expected) in cases {
        assert_eq!(permitted(expression, &mit), expected, "{expression:?}");
    }
}

fn metadata() -> Value {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("-vV").output().expect("rustc runs");
    let version = String::from_utf8(version.stdout).expect("UTF-8");
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
    // The crates of this host only: those of others need not have been downloaded.
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--offline", "--filter-platform", host])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn strings(value: &toml::Value) -> BTreeSet<String> {
    let items = value.as_array().expect("a list");
    items.iter().map(|item| item.as_str().expect("a string").to_owned()).collect()
}

#[test]
fn licences_sources_and_bans() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deny.toml");
    let policy: toml::Table = std::fs::read_to_string(path).expect("deny.toml").parse().expect("TOML");
    let allow = strings(&policy["licenses"]["allow"]);
    let exceptions: BTreeMap<&str, BTreeSet<String>> = policy["licenses"]["exceptions"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| (entry["crate"].as_str().expect("a name"), strings(&entry["allow"])))
        .collect();
    let banned: BTreeSet<&str> = policy["bans"]["deny"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| entry["crate"].as_str().expect("a name"))
        .collect();

    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    assert!(packages.len() > 100, "only {} packages: the listing is not whole", packages.len());
    let mut registries = BTreeSet::new();
    let mut faults = Vec::new();
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        let extra = exceptions.get(name);
        let allowed = |id: &str| allow.contains(id) || extra.is_some_and(|extra| extra.contains(id));
        let expression = package["license"].as_str().unwrap_or_default();
        if permitted(expression, &allowed) != Some(true) {
            faults.push(format!("{name}: licence {expression:?} is not allowed by deny.toml"));
        }
        if banned.contains(name) {
            faults.push(format!("{name}: banned by deny.toml; see the reason there"));
        }
        match package["source"].as_str() {
            None if name == env!("CARGO_PKG_NAME") => {}
            Some(source) if source.starts_with("registry+") => _ = registries.insert(source.to_owned()),
            other => faults.push(format!("{name}: comes from {other:?}, not from the registry")),
        }
    }
    if registries.len() > 1 {
        faults.push(format!("crates from more than one registry: {registries:?}"));
    }
    for name in exceptions.keys() {
        if !packages.iter().any(|package| package["name"] == **name) {
            faults.push(format!("{name}: has an exception in deny.toml and is not in the build"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
