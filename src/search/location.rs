//! What part a file plays in its repository, told from its path alone. Pure.
//!
//! Ranking asks it to put a definition before the tests, examples and copies
//! that repeat its words.

use crate::language::Language;
use crate::path::RepoPath;

/// The part a file plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Code of the product.
    Source,
    /// Tests, fixtures, mocks and snapshots.
    Test,
    /// Examples, samples and demonstrations.
    Example,
    /// Benchmarks.
    Benchmark,
    /// Prose: documentation, change logs, sites.
    Documentation,
    /// Settings and data: YAML, JSON, style sheets, build scripts' configuration.
    Configuration,
    /// Made by a program.
    Generated,
    /// Copied from elsewhere.
    Vendored,
    /// Types and signatures of code that is elsewhere: `.d.ts`, `.pyi`.
    Declaration,
}

impl Role {
    /// Stable name.
    pub fn name(self) -> &'static str {
        match self {
            Role::Source => "source",
            Role::Test => "test",
            Role::Example => "example",
            Role::Benchmark => "benchmark",
            Role::Documentation => "documentation",
            Role::Configuration => "configuration",
            Role::Generated => "generated",
            Role::Vendored => "vendored",
            Role::Declaration => "declaration",
        }
    }

    /// The role of `symbol` within `container` in a file of this role: Rust keeps unit tests
    /// beside the code, in a module that is called so by convention.
    pub fn of_symbol(self, language: Language, container: Option<&str>, symbol: Option<&str>) -> Role {
        if self != Role::Source || language != Language::Rust {
            return self;
        }
        let outer = container.iter().flat_map(|names| names.split("::"));
        match outer.chain(symbol).any(|name| matches!(name, "test" | "tests")) {
            true => Role::Test,
            false => self,
        }
    }

    /// The role of `path`. The first rule that applies decides: whose code it is
    /// says more than what it holds.
    pub fn of(path: &RepoPath, language: Language) -> Role {
        let text = String::from_utf8_lossy(path.as_bytes()).to_lowercase();
        let mut components: Vec<&str> = text.split('/').collect();
        let name = components.pop().unwrap_or_default();
        let stem = name.split('.').next().unwrap_or_default();
        let below = |dirs: &[&str]| components.iter().any(|c| dirs.contains(c));
        if below(&["vendor", "vendored", "third_party", "third-party", "thirdparty", "node_modules"]) {
            return Role::Vendored;
        }
        if below(TEST_DIRS) || is_test_name(name, stem) {
            return Role::Test;
        }
        if below(&["dist", "generated", "__generated__", "gen"]) || is_generated_name(name) {
            return Role::Generated;
        }
        if below(EXAMPLE_DIRS) {
            return Role::Example;
        }
        if below(&["bench", "benches", "benchmark", "benchmarks", "perf"]) {
            return Role::Benchmark;
        }
        if below(&["docs", "website", "www"])
            || matches!(language, Language::Markdown | Language::Text)
            || (below(&["doc"]) && !language.has_grammar())
        {
            return Role::Documentation;
        }
        if name.ends_with(".d.ts") || name.ends_with(".pyi") {
            return Role::Declaration;
        }
        if is_configuration(language) { Role::Configuration } else { Role::Source }
    }
}

const TEST_DIRS: &[&str] = &[
    "test",
    "tests",
    "__tests__",
    "spec",
    "specs",
    "e2e",
    "testdata",
    "test-data",
    "test_data",
    "fixture",
    "fixtures",
    "__fixtures__",
    "__mocks__",
    "mocks",
    "__snapshots__",
    "testsuite",
    "integration-tests",
    "integration_tests",
];

const EXAMPLE_DIRS: &[&str] =
    &["example", "examples", "sample", "samples", "demo", "demos", "tutorial", "tutorials", "playground"];

fn is_test_name(name: &str, stem: &str) -> bool {
    let dotted = |word: &str| name.split('.').skip(1).any(|part| part == word);
    matches!(stem, "test" | "tests" | "conftest")
        || stem.starts_with("test_")
        || ["_test", "_tests", "-test", "-tests", "_spec", "-spec"].iter().any(|end| stem.ends_with(end))
        || dotted("test")
        || dotted("tests")
        || dotted("test-d")
        || dotted("spec")
        || dotted("snap")
}

fn is_generated_name(name: &str) -> bool {
    [".min.js", ".min.css", ".pb.go", "_pb2.py", "_pb2_grpc.py", ".bundle.js"]
        .iter()
        .any(|end| name.ends_with(end))
        || [".gen.", ".generated."].iter().any(|part| name.contains(part))
}

fn is_configuration(language: Language) -> bool {
    use Language::{Css, Dockerfile, Html, Ini, Json, Make, Toml, Xml, Yaml};
    matches!(language, Css | Dockerfile | Html | Ini | Json | Make | Toml | Xml | Yaml)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_by_path() {
        let cases = [
            ("src/server.rs", Role::Source),
            ("doc/man_docs.go", Role::Source),
            ("doc/intro.rst", Role::Documentation),
            ("docs/conf.py", Role::Documentation),
            ("README.md", Role::Documentation),
            ("click/testing.py", Role::Source),
            ("src/latest.ts", Role::Source),
            ("src/contest.go", Role::Source),
            ("pkg/router_test.go", Role::Test),
            ("tests/common/mod.rs", Role::Test),
            ("src/routing/tests.rs", Role::Test),
            ("packages/a/link.test-d.ts", Role::Test),
            ("packages/a/link.test.ts", Role::Test),
            ("test_app.py", Role::Test),
            ("examples/minimal/main.py", Role::Example),
            ("benches/run.rs", Role::Benchmark),
            ("dist/axios.js", Role::Generated),
            ("api/user.pb.go", Role::Generated),
            ("vendor/github.com/x/y_test.go", Role::Vendored),
            ("types/index.d.ts", Role::Declaration),
            ("package.json", Role::Configuration),
            (".github/workflows/ci.yml", Role::Configuration),
            ("Tests/Case.cs", Role::Test),
        ];
        for (path, role) in cases {
            let path = RepoPath::new(path).expect("well-formed");
            assert_eq!(Role::of(&path, Language::of(&path)), role, "{path}");
        }
    }

    #[test]
    fn tests_beside_the_code() {
        let cases = [
            (Role::Source, Language::Rust, Some("tests"), Some("parses"), Role::Test),
            (Role::Source, Language::Rust, Some("wire::tests::big"), None, Role::Test),
            (Role::Source, Language::Rust, None, Some("tests"), Role::Test),
            (Role::Source, Language::Rust, Some("Tester"), Some("test_all"), Role::Source),
            (Role::Source, Language::Rust, None, None, Role::Source),
            (Role::Source, Language::Go, Some("tests"), Some("Parse"), Role::Source),
            (Role::Vendored, Language::Rust, Some("tests"), Some("parses"), Role::Vendored),
        ];
        for (role, language, container, symbol, expected) in cases {
            assert_eq!(role.of_symbol(language, container, symbol), expected, "{container:?} {symbol:?}");
        }
    }

    #[test]
    fn any_bytes_have_a_role() {
        let path = RepoPath::new(b"t\xffsts/\xfe".as_slice()).expect("well-formed");
        assert_eq!(Role::of(&path, Language::Rust), Role::Source);
    }
}
