//! Tests of what is read out of a query's marks.

use proptest::prelude::*;

use super::*;

fn marks(query: &str) -> Marks {
    read(query).expect("languages are known")
}

#[test]
fn operators() {
    let only = marks("retry lang:go kind:Struct budget");
    assert_eq!(only.text, "retry budget");
    assert_eq!((only.only.languages, only.only.kinds), (vec![Language::Go], vec!["struct".to_owned()]));
    let not = marks("-path:tests -lang:ts parse -kind:method");
    assert_eq!((not.text.as_str(), not.only.is_empty()), ("parse", true));
    assert_eq!(not.not.languages, [Language::TypeScript, Language::Tsx]);
    assert!(not.not.paths.contains(&"**/*tests*/**".to_owned()), "{:?}", not.not.paths);
    assert_eq!(marks("file:\"my dir/a.rs\" x").text, "x");
    assert_eq!(marks("path:web/**/*.ts router").only.paths, ["web/**/*.ts", "**/web/**/*.ts"]);
    for plain in ["see file://etc/x", "a::path:b", "kind: x", "std::path::Path", "path:", "log\npath:a b"] {
        assert_eq!((marks(plain).text.as_str(), marks(plain).only.is_empty()), (plain, true), "{plain}");
    }
    let error = read("parse lang:klingon").expect_err("not a language").to_string();
    assert!(error.contains("`lang:klingon`") && error.contains("rust, go"), "{error}");
}

#[test]
fn literals() {
    let cases: [(&str, &[&str]); 6] = [
        ("where is \"no space left\" printed", &["no space left"]),
        ("the 'retry-after' header", &["retry-after"]),
        ("don't panic, it's fine", &[]),
        ("call `run_once` or `a + b`", &["a + b"]),
        ("an open \"quote", &[]),
        ("key=\"a b\"", &["a b"]),
    ];
    for (text, literals) in cases {
        assert_eq!(marks(text).literals, literals, "{text}");
    }
}

/// A query, whether it is a stack trace, and its places.
type Traced<'a> = (&'a str, bool, &'a [(&'a str, u32)]);

#[test]
fn places() {
    let python = "Traceback (most recent call last):\n  File \"/home/x/app/main.py\", line 10, in <module>\n    run()\n  File \"/home/x/app/core/run.py\", line 7, in run\nValueError: bad";
    let rust = "thread 'main' panicked at src/store/log.rs:42:9:\nindex out of bounds";
    let go = "panic: x\n\ngoroutine 1 [running]:\nmain.(*Server).Serve(0x0)\n\t/build/svc/server.go:88 +0x1d\n\t/usr/go/src/net/http.go:9";
    let node =
        "TypeError: x is undefined\n    at run (/srv/web/src/router.ts:5:11)\n    at node:internal/main:1:2";
    let recovered = "goroutine 1 [running]:\napi.recoverPanics()\n\t/app/api/errors.go:61 +0x8c\npanic({0x7c})\n\t/usr/go/src/runtime/panic.go:785\napi.list()\n\t/app/api/list.go:85 +0x1";
    let cases: [Traced<'_>; 10] = [
        (
            recovered,
            true,
            &[("/usr/go/src/runtime/panic.go", 785), ("/app/api/list.go", 85), ("/app/api/errors.go", 61)],
        ),
        (python, true, &[("/home/x/app/core/run.py", 7), ("/home/x/app/main.py", 10)]),
        (rust, true, &[("src/store/log.rs", 42)]),
        (go, true, &[("/build/svc/server.go", 88), ("/usr/go/src/net/http.go", 9)]),
        (node, true, &[("/srv/web/src/router.ts", 5)]),
        ("src/a.rs:3", false, &[("src/a.rs", 3)]),
        ("lib\\web\\b.ts(12,5): error TS2322", false, &[("lib/web/b.ts", 12)]),
        ("pkg/x.go#L12", false, &[("pkg/x.go", 12)]),
        ("see a/b.py line 4", false, &[("a/b.py", 4)]),
        ("localhost:3000 and 12:30 and example.com:80", false, &[]),
    ];
    for (text, trace, places) in cases {
        let marks = marks(text);
        let found: Vec<(&str, u32)> = marks.positions.iter().map(|at| (at.path.trim(), at.line)).collect();
        assert_eq!((marks.trace, found.as_slice()), (trace, places), "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read(text in "\\PC{0,200}") {
        let _ = read(&text);
        prop_assert!(plain(&text).positions.len() <= MAX_POSITIONS);
    }
}
