//! What a search finds, and in which order.

use super::*;

pub(crate) fn terms_rank_by_bm25(open: Open<'_>) {
    let points = [
        point(b"a", "", 0, "rare common"),
        point(b"b", "", 0, "common common common filler filler filler filler"),
        point(b"c", "", 0, "common"),
        point(b"d", "", 0, "other words"),
    ];
    let store = created(open, &points);
    let all = Filter::default();
    assert_eq!(texts(&search(&*store, terms("rare common"), &all, 9))[0], "rare common");
    assert_eq!(search(&*store, terms("common"), &all, 9).len(), 3);
    assert_eq!(search(&*store, terms("common"), &all, 2).len(), 2);
    assert!(search(&*store, terms("common"), &all, 0).is_empty());
    assert!(search(&*store, terms("absent"), &all, 9).is_empty());
    assert!(search(&*store, Probe::Terms(Vec::new()), &all, 9).is_empty());
    // Weight decides between two equally rare terms.
    let weighted = Probe::Terms(vec![("rare".to_owned(), 0.1), ("other".to_owned(), 5.0)]);
    assert_eq!(texts(&search(&*store, weighted, &all, 1)), ["other words"]);
}

pub(crate) fn vectors_rank_by_cosine(open: Open<'_>) {
    let mut points: Vec<Point> =
        (0..40).map(|i| point(format!("f{i}.rs").as_bytes(), "", i, &format!("text {i}"))).collect();
    // Two points of one text share a vector: both are hits.
    points.push(point(b"copy.rs", "", 0, "text 7"));
    let store = created(open, &points);
    let hits = search(&*store, near(vector("text 7")), &Filter::default(), 3);
    assert_eq!(texts(&hits)[..2], ["text 7", "text 7"]);
    assert!(hits[0].point.id < hits[1].point.id && (hits[0].score - 1.0).abs() < 1e-5);
    assert!(hits[1].score > hits[2].score && hits[2].score >= -1.0);
    let cosine = |a: &[f32], b: &[f32]| {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    };
    let query = vector("a query");
    let mut expected: Vec<f32> = points.iter().map(|p| cosine(&query, &vector(&p.text))).collect();
    expected.sort_by(|a, b| b.total_cmp(a));
    let hits = search(&*store, near(query), &Filter::default(), 20);
    for (hit, expected) in hits.iter().zip(expected) {
        assert!((hit.score - expected).abs() < 1e-4, "{} instead of {expected}", hit.score);
    }
    assert!(search(&*store, Probe::Vector(Leg::Code, model(), vec![1.0]), &Filter::default(), 3).is_empty());
    let (db, collection) = names();
    for bad in [vec![], vec![1.0; DIMENSION + 1], vec![f32::NAN; DIMENSION]] {
        let result = store.search(&db, &collection, &[near(bad)], &Filter::default(), 3);
        assert!(matches!(result, Err(StoreError::Invalid(_))));
    }
}

pub(crate) fn symbols_match_without_case(open: Open<'_>) {
    let points = [
        point(b"a.rs", "HttpServer", 0, "one"),
        point(b"b.rs", "httpserver", 0, "two"),
        point(b"c.rs", "Http", 0, "three"),
    ];
    let store = created(open, &points);
    let names = |names: &[&str]| Probe::Symbols(names.iter().map(|&n| n.to_owned()).collect());
    let hits = search(&*store, names(&["HTTPSERVER", "httpServer"]), &Filter::default(), 9);
    assert_eq!((hits.len(), hits[0].score), (2, 1.0));
    assert_eq!(search(&*store, names(&["http", "httpserver"]), &Filter::default(), 9).len(), 3);
    assert!(search(&*store, names(&["ttp"]), &Filter::default(), 9).is_empty());
}

pub(crate) fn filters_apply_before_the_limit(open: Open<'_>) {
    let paths: [&[u8]; 7] = [
        b"src/a.rs",
        b"src/deep/b.rs",
        b"src/deep/c.py",
        b"srcs/d.rs",
        b"README.md",
        b"caf\xe9/e.rs",
        b"a[1].rs",
    ];
    let mut points: Vec<Point> = paths.iter().map(|path| point(path, "", 0, "needle")).collect();
    points[1].kind = "method".to_owned();
    // Better matches elsewhere must not use up the limit.
    points.extend((0..50).map(|i| point(b"noise.txt", "", i, "needle needle needle")));
    let store = created(open, &points);
    let filter = |paths: &[&str], languages: &[Language], kinds: &[&str]| Filter {
        paths: paths.iter().map(|&p| p.to_owned()).collect(),
        languages: languages.to_vec(),
        kinds: kinds.iter().map(|&k| k.to_owned()).collect(),
        ..Filter::default()
    };
    let cases: [(Filter, &[usize]); 16] = [
        (filter(&["src"], &[], &[]), &[0, 1, 2]),
        (filter(&["src/"], &[], &[]), &[0, 1, 2]),
        (filter(&["./src/deep"], &[], &[]), &[1, 2]),
        (filter(&["src/a.rs"], &[], &[]), &[0]),
        (filter(&["src/*.rs"], &[], &[]), &[0]),
        (filter(&["src/**/*.rs"], &[], &[]), &[0, 1]),
        (filter(&["**/*.rs"], &[], &[]), &[0, 1, 3, 5, 6]),
        (filter(&["*.md", "src/deep"], &[], &[]), &[1, 2, 4]),
        (filter(&["a[1].rs"], &[], &[]), &[6]),
        (filter(&["{src,srcs}/*.rs"], &[], &[]), &[0, 3]),
        (filter(&[], &[Language::Python, Language::Markdown], &[]), &[2, 4]),
        (filter(&["src"], &[Language::Rust], &[]), &[0, 1]),
        (filter(&["src"], &[Language::Rust], &["method"]), &[1]),
        (filter(&[], &[], &["method", "absent"]), &[1]),
        (filter(&["nowhere"], &[], &[]), &[]),
        (filter(&["src/deep/"], &[Language::Go], &[]), &[]),
    ];
    for (filter, expected) in cases {
        let mut expected: Vec<_> = expected.iter().map(|i| points[*i].path.clone()).collect();
        expected.sort();
        for probe in [terms("needle"), near(vector("needle needle needle"))] {
            let mut found: Vec<_> =
                search(&*store, probe.clone(), &filter, 7).into_iter().map(|hit| hit.point.path).collect();
            found.sort();
            assert_eq!(found, expected, "{filter:?} {probe:?}");
        }
    }
    let (db, collection) = names();
    let bad = filter(&["src/{a"], &[], &[]);
    let error = store.search(&db, &collection, &[terms("x")], &bad, 1).unwrap_err();
    assert!(matches!(&error, StoreError::Invalid(text) if text.contains("src/{a")), "{error}");
}

pub(crate) fn filters_see_attributes_and_times(open: Open<'_>) {
    let tagged = |name: &str, time: Option<u64>, attributes: &[(&str, &str)]| Point {
        attributes: attributes.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        time,
        ..point(name.as_bytes(), "", 0, "needle")
    };
    let points = [
        tagged("a", Some(10), &[("branch", "main"), ("category", "x")]),
        tagged("b", Some(20), &[("branch", "topic"), ("category", "x")]),
        tagged("c", None, &[("branch", "main")]),
        tagged("d", Some(u64::MAX - 1), &[("category", "main")]),
    ];
    let store = created(open, &points);
    let mut expected = points.to_vec();
    expected.sort_by_key(|point| point.id);
    assert_eq!(scan(&*open()), expected);
    type Case<'a> = (&'a [(&'a str, &'a [&'a str])], Option<Range<u64>>, &'a str);
    let cases: [Case<'_>; 8] = [
        (&[("branch", &["main"])], None, "ac"),
        (&[("branch", &["main", "topic"])], None, "abc"),
        (&[("branch", &["main"]), ("category", &["x"])], None, "a"),
        (&[("absent", &["main"])], None, ""),
        (&[("branch", &[])], None, "abcd"),
        (&[], Some(10..20), "a"),
        (&[], Some(11..u64::MAX), "bd"),
        (&[("branch", &["topic"])], Some(0..20), ""),
    ];
    for (attributes, time, names) in cases {
        let values = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect();
        let attributes = attributes.iter().map(|(n, v)| ((*n).to_owned(), values(v))).collect();
        let filter = Filter { attributes, time, ..Filter::default() };
        for probe in [terms("needle"), near(vector("needle"))] {
            let mut found: Vec<_> =
                search(&*store, probe, &filter, 9).iter().map(|hit| hit.point.path.to_string()).collect();
            found.sort();
            assert_eq!(found.concat(), names, "{filter:?}");
        }
    }
}

pub(crate) fn ties_are_broken_by_id(open: Open<'_>) {
    let points: Vec<Point> =
        (0..30).map(|i| point(format!("{i}.rs").as_bytes(), "same", i, "same")).collect();
    let store = created(open, &points);
    let mut ids: Vec<PointId> = points.iter().map(|point| point.id).collect();
    ids.sort();
    for probe in [terms("same"), near(vector("same")), Probe::Symbols(vec!["same".to_owned()])] {
        let hits = search(&*store, probe, &Filter::default(), 9);
        assert_eq!(hits.iter().map(|hit| hit.point.id).collect::<Vec<_>>(), ids[..9]);
    }
}

/// Whatever a filter is made of, it takes away: nothing comes in that was not there without
/// it, and nothing of another database, which has the same points and more.
pub(crate) fn no_filter_lets_anything_in(open: Open<'_>) {
    let points: Vec<Point> = [&b"src/a.rs"[..], b"src/[b]*.py", b"docs/c d.md", b"\xff/d.go"]
        .iter()
        .map(|path| point(path, "same", 0, &format!("same {}", path.len())))
        .collect();
    let store = created(open, &points);
    let (db, collection) = names();
    let other = DatabaseName::new("project_ffffffff").unwrap();
    let mut others = points.clone();
    others.push(point(b"src/secret.rs", "same", 0, "same secret"));
    store.create(&other, &collection, &schema()).unwrap();
    let batch = Batch { vectors: with_vectors(&others), upsert: others, ..Batch::default() };
    store.apply(&other, &collection, batch).unwrap();

    let probes = [terms("same"), Probe::Symbols(vec!["same".to_owned()]), near(vector("same"))];
    let ids: HashSet<PointId> = points.iter().map(|point| point.id).collect();
    let word = || prop_oneof![r"[\[\]{}*?!,./\\a-d ]{0,12}", "(src|docs)/?[*]{0,2}", any::<String>()];
    let words = || proptest::collection::vec(word(), 0..3);
    let attributes = proptest::collection::btree_map(word(), words(), 0..2);
    let time = proptest::option::of((any::<u64>(), any::<u64>()));
    let filters = (words(), words(), attributes, time, any::<bool>()).prop_map(
        |(paths, kinds, attributes, time, rust)| Filter {
            paths,
            kinds,
            attributes,
            languages: if rust { vec![Language::Rust] } else { Vec::new() },
            time: time.map(|(from, until)| from..until),
        },
    );
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&filters, |filter| {
            match store.search(&db, &collection, &probes, &filter, 10) {
                Ok(found) => {
                    prop_assert_eq!(found.len(), probes.len());
                    prop_assert!(
                        found.iter().flatten().all(|hit| ids.contains(&hit.point.id)),
                        "{:?}",
                        found
                    );
                }
                Err(StoreError::Invalid(_)) => {}
                Err(error) => prop_assert!(false, "{}", error),
            }
            Ok(())
        })
        .unwrap();
}
