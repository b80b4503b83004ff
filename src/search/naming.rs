//! Which chunks call, mention, test and define a name, by what is stored of them. Pure.
//!
//! A name is compared as a word: whose it is, is not known, so namesakes are counted.

use std::collections::{BTreeMap, HashSet};

use crate::language::Language;
use crate::lexical;
use crate::search::location::Role;
use crate::search::relation::{Candidate, Why};
use crate::search::usage::{self, Uses};
use crate::store::Point;

/// Terms that stand for a text at most.
const TELLING_TERMS: usize = 30;
/// Shorter names, in bytes, are part of too many others.
const LEAST_NAME: usize = 4;

/// A chunk with what it does with a name.
#[derive(Clone, Debug)]
pub struct User {
    /// The chunk.
    pub point: Point,
    /// Its lines with the name, from 0.
    pub uses: Uses,
    /// Whether it names the type that the name is a member of; a name that is no member's is
    /// known everywhere.
    pub knows_owner: bool,
}

impl User {
    /// Whether something of this name is defined here.
    pub fn defines(&self, name: &str) -> bool {
        !self.uses.definitions.is_empty() || self.is_of(name)
    }

    /// Whether the whole chunk is of a definition with this name. A type's `impl` is not
    /// another one.
    fn is_of(&self, name: &str) -> bool {
        let kind = self.point.kind.as_str();
        self.point.symbol.as_deref() == Some(name) && !matches!(kind, "impl" | "section" | "text")
    }

    /// The strongest use, with its line in the file.
    fn why(&self) -> Option<Why> {
        let first = |lines: &[u32]| lines.first().map(|line| self.point.lines.0 + line);
        first(&self.uses.calls).map(Why::Calls).or_else(|| first(&self.uses.mentions).map(Why::Mentions))
    }

    fn is_source(&self) -> bool {
        Role::of(&self.point.path, self.point.language) == Role::Source
    }
}

/// The name by which code uses a symbol: `Type` of `Trait for Type<A>`.
pub fn usable_name(symbol: &str) -> Option<&str> {
    let typed = symbol.rsplit(" for ").next().unwrap_or(symbol);
    let bare = typed.split('<').next().unwrap_or(typed).trim();
    let name = bare.rsplit(['.', ':', '&', '#', '*', ' ']).next().unwrap_or(bare);
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$');
    is_name.then_some(name)
}

/// The type that a symbol is a member of: `Parser` of `Parser::parse`.
pub fn owner<'a>(full_name: &'a str, name: &str) -> Option<&'a str> {
    let container = full_name.strip_suffix(name)?.trim_end_matches([':', '.']);
    usable_name(container)
}

/// The terms of a name, each once, weighed alike; the whole of it first.
pub fn terms(name: &str) -> Vec<(String, f32)> {
    let mut terms = Vec::new();
    lexical::tokenize(name, &mut terms);
    let mut seen = HashSet::new();
    terms.retain(|term| seen.insert(term.clone()));
    terms.into_iter().map(|term| (term, 1.0)).collect()
}

/// Each chunk once, with what it does with `name`, a member of `owner`, if it can be about
/// something that is written in `language`.
pub fn users(
    points: impl Iterator<Item = Point>,
    language: Language,
    name: &str,
    owner: Option<&str>,
) -> Vec<User> {
    let mut seen = HashSet::new();
    let points = points.filter(|point| seen.insert(point.id) && may_use(point.language, language));
    let user = |point: Point| User {
        uses: usage::uses(point.language, &point.text, name),
        knows_owner: owner.is_none_or(|owner| {
            point.container.as_deref().and_then(usable_name) == Some(owner)
                || usage::has_word(&point.text, owner)
        }),
        point,
    };
    points.map(user).collect()
}

/// Whether code of one language may use what is written in another; prose speaks of all.
fn may_use(user: Language, of: Language) -> bool {
    let family = |language: Language| match language {
        Language::TypeScript | Language::Tsx => Language::JavaScript,
        other => other,
    };
    !user.has_grammar() || family(user) == family(of)
}

/// How many definitions of a name there are in these chunks: all chunks of one symbol are one.
pub fn count_definitions(users: &[User], name: &str) -> u32 {
    let (own, others): (Vec<&User>, Vec<&User>) = users.iter().partition(|user| user.is_of(name));
    let own: HashSet<_> = own.iter().map(|user| (&user.point.path, &user.point.container)).collect();
    // Small definitions share a chunk that has another's name. A type's blocks are its own.
    let is_own_block = |user: &User| user.point.kind == "impl" && user.point.symbol.as_deref() == Some(name);
    let others = others.iter().filter(|user| !is_own_block(user));
    let others: usize = others.map(|user| user.uses.definitions.len()).sum();
    u32::try_from(own.len() + others).unwrap_or(u32::MAX)
}

/// Of chunks that define a name the likeliest to be meant in the chunk `from`: of its own
/// type, of its own file, or the product's.
pub fn nearest_definition(users: Vec<User>, name: &str, from: &Point) -> Option<Point> {
    let rank = |user: &User| {
        let point = &user.point;
        let is_near = point.path == from.path;
        let is_member = is_near && point.container.is_some() && point.container == from.container;
        (!is_member, !is_near, !user.is_source(), !user.is_of(name), point.id)
    };
    users.into_iter().min_by_key(rank).map(|user| user.point)
}

/// A test by its file, or by the module that it is in.
pub fn is_test(point: &Point) -> bool {
    let role = Role::of(&point.path, point.language);
    role.of_symbol(point.language, point.container.as_deref(), point.symbol.as_deref()) == Role::Test
}

/// Those that use the name: calls first, then who knows its type, then the product's code,
/// else in the given order.
pub fn callers(users: Vec<User>) -> Vec<Candidate> {
    let ranked = users.into_iter().filter_map(|user| {
        let why = user.why()?;
        let is_call = matches!(why, Why::Calls(_));
        Some(((!is_call, !user.knows_owner, !user.is_source()), (user.point, 0, why)))
    });
    sorted(ranked.collect())
}

/// Tests of the name: those that are named after it first, then those that call it.
pub fn tests(users: Vec<User>, name: &str) -> Vec<Candidate> {
    let ranked = users.into_iter().filter_map(|user| {
        let is_named = user.point.symbol.as_deref().is_some_and(|symbol| is_named_after(symbol, name));
        let why = match user.why() {
            Some(Why::Mentions(_)) | None if is_named => Why::Named,
            why => why?,
        };
        let is_call = matches!(why, Why::Calls(_));
        Some(((!is_named, !is_call, !user.knows_owner), (user.point, 0, why)))
    });
    sorted(ranked.collect())
}

fn sorted(mut ranked: Vec<((bool, bool, bool), Candidate)>) -> Vec<Candidate> {
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, candidate)| candidate).collect()
}

/// Lower case without separators, so that `path_router` and `PathRouter` are one name.
pub(super) fn squash(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether a test's name has the subject's in it: `test_parse_header` and `parseHeader`.
fn is_named_after(test: &str, name: &str) -> bool {
    let name = squash(name);
    name.len() >= LEAST_NAME && squash(test).contains(&name)
}

/// The terms by which a text is told from others: its name's, compound identifiers, then what
/// it repeats. How rare they are in the collection is for BM25 to weigh.
pub fn telling_terms(text: &str, name: Option<&str>) -> Vec<(String, f32)> {
    let mut all = Vec::new();
    lexical::tokenize(text, &mut all);
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for term in all.into_iter().filter(|term| term.len() > 2) {
        *counts.entry(term).or_default() += 1;
    }
    let named: Vec<String> = terms(name.unwrap_or_default()).into_iter().map(|(term, _)| term).collect();
    let mut telling: Vec<(String, u32)> = counts.into_iter().collect();
    telling
        .sort_by_key(|(term, count)| (!named.contains(term), !term.contains('_'), std::cmp::Reverse(*count)));
    telling.truncate(TELLING_TERMS);
    let weigh = |term: &String| if named.contains(term) { 2.0 } else { 1.0 };
    telling.into_iter().map(|(term, _)| (weigh(&term), term)).map(|(weight, term)| (term, weight)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ContentHash, PointId};
    use crate::path::RepoPath;

    fn point(path: &str, kind: &str, symbol: &str, container: &str, text: &str) -> Point {
        let path = RepoPath::new(path).expect("well-formed");
        let named = |name: &str| Some(name.to_owned()).filter(|name| !name.is_empty());
        let hash = ContentHash::of(text.as_bytes());
        Point {
            id: PointId::new(path.as_bytes(), symbol, 0, &hash),
            language: Language::of(&path),
            path,
            kind: kind.to_owned(),
            symbol: named(symbol),
            container: named(container),
            signature: None,
            text: text.to_owned(),
            terms: Vec::new(),
            bytes: 0..text.len() as u32,
            lines: (11, 10 + text.lines().count() as u32),
            hash,
            vectors: [None, None],
            attributes: Default::default(),
            time: None,
        }
    }

    /// Chunks with something to do with `parse`.
    fn chunks() -> Vec<Point> {
        vec![
            point("README.md", "section", "Use", "", "Call `parse`."),
            point("src/log.rs", "function", "log", "", "fn log() {\n    // as parse does\n}"),
            point("src/main.rs", "function", "main", "", "fn main() {\n    parse(1);\n}"),
            point("examples/a.rs", "function", "main", "", "fn main() { parse(1) }"),
            point("src/lib.rs", "function", "parse", "", "fn parse(a: u8) {"),
            point("src/lib.rs", "function", "parse", "", "    a + 1\n}"),
            point("src/other.rs", "impl", "Other", "", "impl Other {\n    fn parse() {}\n    fn b() {}\n}"),
            point("src/small.rs", "module", "", "", "fn parse() {}\nfn c() {}"),
            point("src/lib.rs", "function", "reads", "tests", "fn reads() { parse(2) }"),
            point("tests/a.rs", "function", "test_parse", "", "fn test_parse() { run() }"),
            point("tests/a.rs", "function", "other", "", "fn other() { log(parse) }"),
            point("tool.py", "function", "main", "", "parse(1)"),
            point("src/use.rs", "module", "", "", "use crate::parse;"),
        ]
    }

    fn shown(candidates: &[Candidate]) -> Vec<String> {
        let name = |point: &Point| point.symbol.clone().unwrap_or_default();
        candidates.iter().map(|(point, _, why)| format!("{} {} {why:?}", point.path, name(point))).collect()
    }

    #[test]
    fn chunks_are_told_apart_by_what_they_do_with_a_name() {
        let users = users(chunks().into_iter().chain(chunks()), Language::Rust, "parse", None);
        assert_eq!(users.len(), 12, "each once, and none of another language");
        let (tests, others): (Vec<User>, Vec<User>) =
            users.into_iter().partition(|user| is_test(&user.point));
        let expected = [
            "src/main.rs main Calls(12)",
            "examples/a.rs main Calls(11)",
            "src/log.rs log Mentions(12)",
            "README.md Use Mentions(11)",
        ];
        assert_eq!(shown(&callers(others)), expected);
        let expected =
            ["tests/a.rs test_parse Named", "src/lib.rs reads Calls(11)", "tests/a.rs other Mentions(11)"];
        assert_eq!(shown(&super::tests(tests, "parse")), expected);
    }

    #[test]
    fn who_knows_the_type_of_a_member_comes_first() {
        let chunks = [
            point("a.rs", "function", "a", "", "fn a() { x.parse() }"),
            point("b.rs", "method", "b", "Header", "fn b(&self) { self.parse() }"),
            point("c.rs", "function", "c", "", "fn c() { Header::parse() }"),
            point("d.rs", "function", "d", "", "fn d() { Headers::parse() }"),
        ];
        for (owner, expected) in [(Some("Header"), "bcad"), (None, "abcd")] {
            let users = users(chunks.clone().into_iter(), Language::Rust, "parse", owner);
            let order = callers(users).into_iter().filter_map(|(point, ..)| point.symbol);
            assert_eq!(order.collect::<String>(), expected, "{owner:?}");
        }
        for (full_name, expected) in [
            ("Header::parse", Some("Header")),
            ("a::Display for Header<T>::parse", Some("Header")),
            ("Outer.Inner.parse", Some("Inner")),
            ("parse", None),
        ] {
            assert_eq!(owner(full_name, "parse"), expected, "{full_name}");
        }
    }

    #[test]
    fn definitions_are_counted_and_the_nearest_is_taken() {
        let users = users(chunks().into_iter(), Language::Rust, "parse", None);
        // One in two chunks; one among another's members; one in a chunk without a name.
        assert_eq!(count_definitions(&users, "parse"), 3, "{users:#?}");
        let defining: Vec<User> = users.into_iter().filter(|user| user.defines("parse")).collect();
        for (from, expected) in [
            ("src/small.rs", "src/small.rs"),
            ("src/main.rs", "src/lib.rs"),
            ("src/other.rs", "src/other.rs"),
        ] {
            let from = point(from, "function", "f", "", "");
            let nearest = nearest_definition(defining.clone(), "parse", &from).expect("one");
            assert_eq!(nearest.path.to_string(), expected, "{}", from.path);
        }
        // Of two in one file that of the same type.
        let of = |container: &str| {
            point("a.py", "method", "parse", container, &format!("def parse(self): # {container}"))
        };
        let both = [of("A"), of("B")];
        for container in ["A", "B"] {
            let users = super::users(both.clone().into_iter(), Language::Python, "parse", None);
            let from = point("a.py", "method", "run", container, "");
            let nearest = nearest_definition(users, "parse", &from).expect("one");
            assert_eq!(nearest.container.as_deref(), Some(container));
        }
    }

    #[test]
    fn names_by_which_symbols_are_used() {
        for (symbol, name) in [
            ("parse", Some("parse")),
            ("Display for Point<T>", Some("Point")),
            ("fmt::Display for a::Point", Some("Point")),
            ("From<&'a str> for &Name", Some("Name")),
            ("#secret", Some("secret")),
            ("[T; 4]", None),
            ("", None),
        ] {
            assert_eq!(usable_name(symbol), name, "{symbol}");
        }
    }

    #[test]
    fn tests_are_named_after_what_they_test() {
        for (test, name, expected) in [
            ("test_parse_header", "parse_header", true),
            ("TestParseHeader", "parseHeader", true),
            ("parses", "parse", true),
            ("test_run", "run", false),
            ("test_header", "parse_header", false),
        ] {
            assert_eq!(is_named_after(test, name), expected, "{test} {name}");
        }
    }

    #[test]
    fn telling_terms_are_few_and_the_name_comes_first() {
        let text = "fn read_header(buf: &[u8]) { buf; buf; parse_line(buf) }";
        let terms = telling_terms(text, Some("read_header"));
        let first: Vec<&str> = terms.iter().map(|(term, _)| term.as_str()).take(5).collect();
        assert_eq!(first, ["read_header", "header", "read", "parse_line", "buf"]);
        assert_eq!((terms[0].1, terms[4].1), (2.0, 1.0));
        let many: String = (0..99).map(|n| format!("name{n:02}x ")).collect();
        assert_eq!(telling_terms(&many, None).len(), TELLING_TERMS);
        assert!(telling_terms("", None).is_empty());
    }

    #[test]
    fn languages_that_meet() {
        use Language::{JavaScript, Markdown, Python, Rust, Tsx};
        for (user, of, expected) in
            [(Rust, Rust, true), (Tsx, JavaScript, true), (Rust, Python, false), (Markdown, Rust, true)]
        {
            assert_eq!(may_use(user, of), expected, "{user} {of}");
        }
    }
}
