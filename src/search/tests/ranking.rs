//! Tests of the rules: each against the order that the legs alone would give.

use proptest::prelude::*;

use super::*;
use crate::id::{ContentHash, PointId};
use crate::language::Language;

fn point(id: u8, path: &str, kind: &str, symbol: &str, text: &str) -> Point {
    let path = RepoPath::new(path).expect("well-formed");
    Point {
        id: PointId([id; 16]),
        language: Language::of(&path),
        path,
        kind: kind.to_owned(),
        symbol: (!symbol.is_empty()).then(|| symbol.to_owned()),
        container: None,
        signature: None,
        text: text.to_owned(),
        terms: Vec::new(),
        bytes: 0..text.len() as u32,
        // Far from each other: neighbours are one hit.
        lines: (u32::from(id) * 100 + 1, u32::from(id) * 100 + text.lines().count().max(1) as u32),
        hash: ContentHash::of(text.as_bytes()),
        vectors: [None, None],
        attributes: Default::default(),
        time: None,
    }
}

fn order(query: &str, points: &[(f32, Point)]) -> Vec<u8> {
    let query = Query::new(query);
    let candidates: Vec<Candidate<'_>> =
        points.iter().map(|(fused, point)| Candidate { point, fused: *fused }).collect();
    let ranked = rank(&query, &candidates, &Weights::of(query.kind));
    ranked.iter().map(|hit| candidates[hit.index].point.id.0[0]).collect()
}

/// What is shown, the query, and two points with their fused scores, the second one wanted.
type Case = (&'static str, &'static str, [(f32, Point); 2]);

#[test]
fn rules_change_the_order_of_the_legs() {
    let body = "fn x() {\n    work();\n}";
    let cases: [Case; 8] = [
        (
            "a definition before its uses",
            "Router",
            [
                (1.0, point(1, "src/serve.rs", "function", "serve", body)),
                (0.6, point(2, "src/routing.rs", "struct", "Router", body)),
            ],
        ),
        (
            "a name that the words stand for",
            "where is the request parser",
            [
                (1.0, point(1, "src/serve.rs", "function", "serve", body)),
                (0.7, point(2, "src/input.rs", "struct", "RequestParser", body)),
            ],
        ),
        (
            "code before its tests",
            "how are routes stored",
            [
                (1.0, point(1, "tests/store.rs", "function", "x", body)),
                (0.8, point(2, "src/store_a.rs", "function", "x", body)),
            ],
        ),
        (
            "code before documents",
            "how are routes stored",
            [
                (1.0, point(1, "docs/a.md", "section", "x", body)),
                (0.7, point(2, "src/b.rs", "function", "x", body)),
            ],
        ),
        (
            "a file of that name",
            "websocket upgrade handling",
            [
                (0.8, point(1, "src/connect.rs", "function", "x", body)),
                (0.7, point(2, "src/websocket.rs", "function", "x", body)),
            ],
        ),
        (
            "a directory of that name for a file without one",
            "how middleware works",
            [
                (0.8, point(1, "src/connect.rs", "function", "x", body)),
                (0.7, point(2, "src/middleware/mod.rs", "function", "x", body)),
            ],
        ),
        (
            "the file that is written",
            "error in src/http/resolve.ts on close",
            [
                (0.8, point(1, "src/other/resolve.ts", "function", "x", body)),
                (0.7, point(2, "src/http/resolve.ts", "function", "x", body)),
            ],
        ),
        (
            "code before generated code",
            "how is output formatted",
            [
                (1.0, point(1, "dist/a.js", "function", "x", body)),
                (0.7, point(2, "src/a.js", "function", "x", body)),
            ],
        ),
    ];
    for (name, query, points) in cases {
        assert_eq!(order(query, &points), [2, 1], "{name}");
    }
}

#[test]
fn asked_for_tests_are_demoted_less() {
    let points = [
        (1.0, point(1, "tests/store.rs", "function", "x", "x")),
        (0.65, point(2, "src/store_a.rs", "function", "x", "x")),
    ];
    assert_eq!(order("how are routes saved", &points), [2, 1]);
    assert_eq!(order("tests about how routes are saved", &points), [1, 2]);
}

#[test]
fn unit_tests_beside_the_code_are_tests() {
    let mut test = point(1, "src/store.rs", "function", "x", "x");
    test.container = Some("tests".to_owned());
    let points = [(1.0, test), (0.65, point(2, "src/load.rs", "function", "x", "x"))];
    assert_eq!(order("how are routes saved", &points), [2, 1]);
    assert_eq!(order("tests about how routes are saved", &points), [1, 2]);
}

#[test]
fn a_symbol_before_the_head_of_a_file_where_no_change_is_asked_for() {
    let points =
        [(1.0, point(1, "src/a.rs", "module", "", "x")), (0.95, point(2, "src/b.rs", "function", "x", "y"))];
    assert_eq!(order("how are routes saved", &points), [2, 1]);
    assert_eq!(order("Add another dependency", &points), [1, 2]);
}

#[test]
fn a_question_spreads_over_files_and_a_change_stays() {
    let points = [
        (1.0, point(1, "src/a.rs", "function", "x", "x")),
        (0.95, point(2, "src/a.rs", "function", "y", "y")),
        (0.9, point(3, "src/b.rs", "function", "z", "z")),
    ];
    assert_eq!(order("how are routes saved", &points), [1, 3, 2]);
    assert_eq!(order("Fix routes that are lost", &points), [1, 2, 3]);
}

#[test]
fn neighbours_are_one_hit() {
    let at = |id: u8, lines: (u32, u32)| Point { lines, ..point(id, "src/a.rs", "function", "x", "x") };
    let points =
        [at(1, (10, 30)), at(2, (32, 40)), at(3, (43, 50)), at(4, (41, 42)), at(5, (1, 9)), at(6, (80, 99))];
    let candidates: Vec<Candidate<'_>> = points.iter().map(|point| Candidate { point, fused: 0.9 }).collect();
    let query = Query::new("Fix routes that are lost");
    let weights = Weights { join: 40.0, ..Weights::of(query.kind) };
    let ranked = rank(&query, &candidates, &weights);
    let mut hits: Vec<Vec<usize>> = (ranked.iter())
        .map(|hit| {
            let mut all = [&[hit.index][..], &hit.joined].concat();
            all.sort_unstable();
            all
        })
        .collect();
    hits.sort();
    let covered: Vec<usize> = hits.concat();
    assert_eq!(covered.len(), 6, "{hits:?}");
    let span = |hit: &Vec<usize>| {
        let first = hit.iter().map(|at| points[*at].lines.0).min();
        hit.iter().map(|at| points[*at].lines.1).max().zip(first).map_or(0, |(last, first)| last - first)
    };
    assert!(hits.iter().all(|hit| span(hit) < 40), "{hits:?}");
    assert!(hits.contains(&vec![5]) && hits.iter().any(|hit| hit.len() > 2), "{hits:?}");
    assert_eq!(rank(&query, &candidates, &Weights { join: 0.0, ..weights }).len(), 6);
}

#[test]
fn a_copy_gives_way() {
    let text = "fn retry(times: u32) -> Result<(), Error> {\n    attempt(times)\n}";
    let points = [
        (0.9, point(1, "src/a.rs", "function", "retry", text)),
        (0.89, point(2, "src/copy.rs", "function", "retry", &text.replace("    ", "\t"))),
        (0.5, point(3, "src/b.rs", "function", "wait", "fn wait() {}")),
    ];
    assert_eq!(order("how is an attempt made again", &points)[0], 1);
    let factor = Weights::of(crate::search::QueryKind::Question).copy;
    assert!(factor < 1.0);
}

#[test]
fn paths_are_meant_by_their_ends() {
    use super::places::path_share;
    let cases = [
        ("src/a.rs", "src/a.rs", 1.0),
        ("a.rs", "src/a.rs", 1.0),
        ("/home/x/repo/src/a.rs", "src/a.rs", 1.0),
        ("/home/x/repo/lib/a.rs", "src/a.rs", 0.4),
        ("/x/lib/http/a.rs", "src/http/a.rs", 0.8),
        ("/x/lib/http/mod.rs", "src/store/mod.rs", 0.1),
        ("b.rs", "src/a.rs", 0.0),
    ];
    for (written, path, share) in cases {
        assert!((path_share(written, path) - share).abs() < 1e-6, "{written} {path}");
    }
}

#[test]
fn no_file_fills_a_long_answer() {
    let mut points: Vec<(f32, Point)> = (0..30)
        .map(|n| (1.0 - f32::from(n) * 0.01, point(n, "src/large.rs", "function", "x", "x")))
        .collect();
    points.extend((30..34).map(|n| (0.5, point(n, &format!("src/f{n}.rs"), "function", "x", "x"))));
    let first: Vec<u8> = order("Fix routes that are lost", &points).into_iter().take(20).collect();
    assert!((30..34).all(|n| first.contains(&n)), "{first:?}");
}

#[test]
fn file_evidence_decides_between_equals() {
    let points = [
        (0.8, point(1, "src/a.rs", "function", "x", "x")),
        (0.8, point(2, "src/b.rs", "function", "y", "y")),
        (0.7, point(3, "src/b.rs", "function", "z", "z")),
    ];
    assert_eq!(order("how are routes saved", &points)[0], 2);
}

fn any_point() -> impl Strategy<Value = (f32, Point)> {
    let path = prop::sample::select(vec!["src/router.rs", "tests/a.rs", "docs/a.md", "lib/index.ts", "a.py"]);
    let symbol = prop::sample::select(vec!["", "Router", "request_parser", "x"]);
    let kind = prop::sample::select(vec!["function", "struct", "section", "text"]);
    (0.0f32..1.0, any::<u8>(), path, kind, symbol)
        .prop_map(|(fused, id, path, kind, symbol)| (fused, point(id, path, kind, symbol, "some text")))
}

proptest! {
    #[test]
    fn order_is_a_function_of_the_set(mut points in prop::collection::vec(any_point(), 0..20), query in "[a-zA-Z ]{1,30}") {
        points.sort_by_key(|(_, point)| point.id);
        points.dedup_by_key(|(_, point)| point.id);
        let forward = order(&query, &points);
        points.reverse();
        prop_assert_eq!(&forward, &order(&query, &points));
        prop_assert_eq!(forward.len(), points.len());
    }

    #[test]
    fn a_better_fused_score_never_ranks_a_point_lower(
        points in prop::collection::vec(any_point(), 1..12),
        which in any::<prop::sample::Index>(),
        more in 0.0f32..1.0,
    ) {
        // One file each: within a file the neighbours' scores belong to the point too.
        let mut points = points;
        for (n, (_, point)) in points.iter_mut().enumerate() {
            point.id = PointId([n as u8; 16]);
            point.path = RepoPath::new(format!("d{n}/{}", point.path)).expect("well-formed");
        }
        let at = which.index(points.len());
        let wanted = points[at].1.id.0[0];
        let place = |points: &[(f32, Point)]| order("where is the request router", points).iter().position(|id| *id == wanted);
        let before = place(&points);
        points[at].0 += more;
        prop_assert!(place(&points) <= before);
    }
}
