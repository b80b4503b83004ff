//! Symbols by file-driven cases, and what broken or hostile code gives.

use std::fmt::Write as _;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::path::RepoPath;

/// One line a symbol, as kept beside each source in `testdata/parse`.
fn describe(parsed: &Parsed, source: &str) -> String {
    let line = |byte: usize| source[..byte].matches('\n').count() + 1;
    let mut out = String::new();
    writeln!(out, "module {:?} doc {:?} errors {}", parsed.module, parsed.module_doc, parsed.errors > 0)
        .unwrap();
    for s in &parsed.symbols {
        let lines = line(s.bytes.start)..=line(s.bytes.end - 1);
        writeln!(out, "{lines:?} {} {} | {} | {}", s.kind, s.name, s.container.join(" > "), s.signature)
            .unwrap();
        if let Some(doc) = &s.doc {
            writeln!(out, "    {doc:?}").unwrap();
        }
    }
    out
}

/// `UPDATE_EXPECT=1` writes what is found instead of comparing.
#[test]
fn symbols_are_as_expected() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/parse");
    let mut cases = 0;
    for folder in std::fs::read_dir(root).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "symbols") {
                continue;
            }
            let source = std::fs::read_to_string(&path).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap();
            let parsed = parse(Language::of(&RepoPath::new(name).unwrap()), &source);
            let (found, expected) = (describe(&parsed, &source), path.with_extension("symbols"));
            if std::env::var_os("UPDATE_EXPECT").is_some() {
                std::fs::write(&expected, found).unwrap();
            } else {
                let expected = std::fs::read_to_string(&expected).unwrap_or_default();
                assert_eq!(found, expected, "{}", path.display());
            }
            cases += 1;
        }
    }
    assert!(cases >= 8);
}

#[test]
fn deep_nesting_neither_overflows_nor_hangs() {
    let cases = [
        (Language::Rust, format!("fn a() {{}}\nfn f() {{ {} }}\n", "(".repeat(50_000))),
        (Language::Rust, "mod a { ".repeat(20_000)),
        (Language::JavaScript, format!("x = {}1{}", "[".repeat(50_000), "]".repeat(50_000))),
        (Language::JavaScript, "function f() { ".repeat(20_000)),
        (Language::Rust, "r#\"".repeat(30_000)),
        (Language::JavaScript, "`${\n".repeat(30_000)),
        (Language::Rust, format!("{}1{}", "mod a {".repeat(1_500), "}".repeat(1_500))),
        (Language::TypeScript, format!("x = {}1{}", "[(".repeat(900), ")]".repeat(900))),
        (Language::Python, (0..500).map(|i| format!("{}if x:\n", " ".repeat(i))).collect()),
        (Language::Go, format!("package p\nvar x = {}", "a+".repeat(50_000))),
        (Language::TypeScript, "a<".repeat(20_000)),
        (Language::Tsx, "<a>".repeat(20_000)),
    ];
    for (language, source) in cases {
        let parsed = parse(language, &source);
        for symbol in &parsed.symbols {
            assert!(symbol.container.len() <= MAX_CONTAINERS, "{language}");
        }
    }
}

#[test]
fn hopeless_input_is_given_up_alike_each_time() {
    let source = "a ? b : < ( [ { ` ' \\ @ # => ".repeat(3_000);
    for language in [Language::TypeScript, Language::Rust, Language::Python, Language::Go] {
        assert_eq!(parse(language, &source), parse(language, &source));
    }
}

#[test]
fn a_long_run_of_brackets_is_not_queried() {
    for bracket in ["(", "[", "{", ","] {
        let count = |n: usize| {
            let source = format!("fn first() {{}}\nfn second() {{ let x = [{}", bracket.repeat(n));
            parse(Language::Rust, &source).symbols.len()
        };
        assert!(count(10) > 0, "{bracket}");
        assert_eq!(count(2 * MAX_CROWD), 0, "{bracket}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn mangled_code_gives_ordered_symbols_inside_the_text(
        case in 0usize..4,
        cuts in prop::collection::vec((0usize..2_000, 0usize..40, "[ -~\n]{0,12}"), 0..8),
    ) {
        let (language, source) = [
            (Language::Rust, include_str!("../../testdata/parse/rust/items.rs")),
            (Language::Go, include_str!("../../testdata/parse/go/items.go")),
            (Language::Python, include_str!("../../testdata/parse/python/items.py")),
            (Language::TypeScript, include_str!("../../testdata/parse/typescript/items.ts")),
        ][case];
        let mut text = source.to_owned();
        for (at, length, new) in cuts {
            let at = at.min(text.len());
            let end = (at + length).min(text.len());
            text.replace_range(at..end, &new);
        }
        let parsed = parse(language, &text);
        let mut last = 0;
        for symbol in &parsed.symbols {
            prop_assert!(symbol.bytes.start >= last && symbol.bytes.end <= text.len() && !symbol.bytes.is_empty());
            prop_assert!(!symbol.name.is_empty() && !symbol.signature.contains('\n'));
            last = symbol.bytes.start;
        }
        prop_assert!(parsed.breaks.windows(2).all(|pair| pair[0].byte < pair[1].byte));
    }
}
