//! Tests of what is read out of a query.

use super::*;
use proptest::prelude::*;

#[test]
fn kinds() {
    let cases = [
        ("StaticModel", QueryKind::Symbol),
        ("distill", QueryKind::Symbol),
        ("Router::nest", QueryKind::Symbol),
        ("src/http/resolveResponse.ts", QueryKind::Path),
        ("parser.rs:120 lexer.rs", QueryKind::Path),
        ("error[E0308]: mismatched types", QueryKind::Error),
        ("2024-05-01T10:00:00Z WARN pool exhausted after 30s", QueryKind::Error),
        ("ValueError: bad input 'x'", QueryKind::Error),
        ("fix ValueError: bad input", QueryKind::Change),
        ("no answer from https://a.example/v1 within 10000 ms", QueryKind::Error),
        ("job 018c251c0000 is held by worker-3", QueryKind::Error),
        ("where is https://a.example called", QueryKind::Question),
        ("thread 'main' panicked at src/a.rs:3:5:\nboom", QueryKind::Error),
        ("where is the error: bad input raised?", QueryKind::Question),
        ("parse_args ArgumentParser", QueryKind::Symbol),
        ("where is the request parser", QueryKind::Question),
        ("bash completion generation", QueryKind::Question),
        ("how are errors fixed up", QueryKind::Question),
        ("command hooks: PreRun, PostRun lifecycle", QueryKind::Question),
        ("Fix rendering glitch with preview window", QueryKind::Change),
        ("http: treat localhost as base URL", QueryKind::Change),
        ("vint buffer overflow crash", QueryKind::Change),
    ];
    for (text, kind) in cases {
        assert_eq!(Query::new(text).kind, kind, "{text}");
    }
    let story = "word ".repeat(40);
    let long = [
        (story.clone(), QueryKind::Change),
        (format!("{story} where is that?"), QueryKind::Question),
        (format!("Hello, {story} where is that? Thanks"), QueryKind::Question),
        (format!("how is {story}"), QueryKind::Question),
        (format!("Fix the parser. {story} Why? It failed"), QueryKind::Change),
        (format!("http: refuse it. {story} Why? It failed"), QueryKind::Change),
    ];
    for (text, kind) in &long {
        assert_eq!(Query::new(text).kind, *kind, "{text}");
    }
}

#[test]
fn names_as_written() {
    let cases: [(&str, &[&str]); 8] = [
        ("how does resolveResponse work", &["resolveResponse"]),
        ("call `quit` in Terminal::run.", &["quit", "run"]),
        ("support parse_args and __init__", &["parse_args", "__init__"]),
        ("use of App.handle() and URLs", &["handle"]),
        ("plain words, e.g. this; and/or that", &[]),
        ("TRPCError", &["TRPCError"]),
        ("Router", &["Router"]),
        ("the v1.2 release", &[]),
    ];
    for (text, names) in cases {
        assert_eq!(Query::new(text).names, names, "{text}");
    }
}

#[test]
fn paths_as_written() {
    let query = Query::new("error in `src/http/resolve.ts` and mod.rs, not in and/or");
    assert_eq!(query.paths, ["src/http/resolve.ts", "mod.rs"]);
}

#[test]
fn words_become_candidate_names() {
    let guesses = Query::new("where is the request parser").guesses;
    for name in ["requestparser", "request_parser", "request", "parser"] {
        assert!(guesses.iter().any(|g| g == name), "{name} in {guesses:?}");
    }
    let guesses = Query::new("rejection types for failed extractions").guesses;
    assert!(guesses.contains(&"failedextraction".to_owned()), "{guesses:?}");
    assert!(guesses.contains(&"rejection_type".to_owned()), "{guesses:?}");
}

#[test]
fn what_is_asked_for() {
    assert!(Query::new("tests of the router").wants.tests);
    assert!(!Query::new("latest router").wants.tests);
    assert!(Query::new("which CI workflow builds it").wants.configuration);
}

proptest! {
    #[test]
    fn any_text_is_a_query(text in "\\PC{0,300}") {
        let query = Query::new(&text);
        prop_assert!(query.guesses.len() <= MAX_GUESSES);
        prop_assert!(query.text.len() <= MAX_QUERY_BYTES);
    }
}

#[test]
fn values_count_less_than_the_words_around_them() {
    let weight = |query: &str, term: &str| {
        Query::new(query).terms.into_iter().find(|(other, _)| other == term).map(|(_, weight)| weight)
    };
    let message =
        "gave up after 5 attempts: endpoint https://hooks.example.com/in answered 502, ask ada@example.org";
    for (term, expected) in [("attempt", 1.0), ("endpoint", 1.0), ("hook", 0.2), ("ada", 0.2), ("502", 0.2)] {
        assert_eq!(weight(message, term), Some(expected), "{term}");
    }
    // A word that stands elsewhere in the query too is a word.
    assert_eq!(weight("hooks: no answer from https://hooks.example.com/in", "hook"), Some(1.0));
    let trace = "TypeError: x\n    at run (http://localhost:5173/src/router.ts:5:11)";
    assert_eq!(weight(trace, "router"), Some(1.0));
}
