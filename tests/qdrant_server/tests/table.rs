//! Calls and their answers, in order: the same of the stand-in and of a real server.

use std::collections::HashMap;

use ::qdrant_client::qdrant::*;
use serde_json::json;

use super::call::Call::{self, *};
use super::call::payload;
use super::requests::*;
use super::{searches::searches, writes::writes};

/// Calls of the collection `a` and the alias `x`, each with its answer. An answer that
/// ends in `…` is the beginning of one. `prefix` goes before every name.
pub(super) fn table(prefix: &str) -> Vec<(Call, &'static str)> {
    let (a, x, y) = (&*format!("{prefix}a"), &*format!("{prefix}x"), &*format!("{prefix}y"));
    let none = || FieldCondition::default();
    let mut calls = vec![
        // --- collections
        (exists(a), "false"),
        (info(a), "NotFound: Not found: Collection `a` doesn't exist!"),
        (drop_collection(a), "false"),
        (create(a), "true"),
        (create(a), "AlreadyExists: Wrong input: Collection `a` already exists!"),
        (create("a*b"), "InvalidArgument: Validation error in body: [collection_name: …"),
        (info(""), "InvalidArgument: Validation error in body: [collection_name: …"),
        (count("a/b", Filter::default()), "InvalidArgument: Validation error in body: [collection_name: …"),
        (exists(a), "true"),
        (List(ListCollectionsRequest {}), "a"),
        (
            info(a),
            "points=0 dense=[d:3, h:2] sparse=[raw:None, s:Idf] schema=[] metadata={model: m1, old: 1}",
        ),
        (
            Update(UpdateCollection {
                collection_name: a.to_owned(),
                metadata: payload(json!({"old": null, "new": [1]})),
                ..UpdateCollection::default()
            }),
            "true",
        ),
        (
            Update(UpdateCollection {
                collection_name: a.to_owned(),
                vectors_config: Some(VectorsConfigDiff {
                    config: Some(vectors_config_diff::Config::ParamsMap(VectorParamsDiffMap {
                        map: HashMap::from([("w".to_owned(), VectorParamsDiff::default())]),
                    })),
                }),
                ..UpdateCollection::default()
            }),
            "InvalidArgument: Wrong input: Not existing vector name error: w",
        ),
        (
            Update(UpdateCollection { collection_name: y.to_owned(), ..UpdateCollection::default() }),
            "NotFound: Not found: Collection `y` doesn't exist!",
        ),
        (
            info(a),
            "points=0 dense=[d:3, h:2] sparse=[raw:None, s:Idf] schema=[] metadata={model: m1, new: [1]}",
        ),
        // --- named vectors
        (create_vector(a, "n", 2), "Completed"),
        (create_vector(a, "n", 2), "Completed"),
        (
            create_vector(a, "n", 3),
            "InvalidArgument: Wrong input: Vector `n` already exists with a different configuration",
        ),
        (create_vector(y, "n", 2), "NotFound: Not found: Collection `y` doesn't exist!"),
        (
            info(a),
            "points=0 dense=[d:3, h:2, n:2] sparse=[raw:None, s:Idf] schema=[] metadata={model: m1, new: [1]}",
        ),
        (Upsert(upsert(a, vec![point(77, &[("n", dense(&[1.0, 0.0]))], json!({}))])), "Completed"),
        (drop_vector(a, "n"), "Completed"),
        (drop_vector(a, "n"), "Completed"),
        (create_vector(a, "n", 3), "Completed"),
        (count(a, Filter::must([Condition::has_vector("n")])), "0"),
        (drop_vector(a, "n"), "Completed"),
        (
            Delete(DeletePoints {
                collection_name: a.to_owned(),
                wait: Some(true),
                points: ids(&[77]),
                ..DeletePoints::default()
            }),
            "Completed",
        ),
        // --- aliases
        (aliases(vec![create_alias(x, y)]), "NotFound: Not found: Collection `y` doesn't exist!"),
        (aliases(vec![create_alias(a, a)]), "AlreadyExists: Wrong input: Collection `a` already exists!"),
        (aliases(vec![create_alias(y, a), rename_alias(y, x)]), "true"),
        (aliases(vec![rename_alias(y, x)]), "NotFound: Not found: Alias y does not exists!"),
        (aliases(vec![delete_alias(y)]), "true"),
        (ListAliases(ListAliasesRequest {}), "x=a"),
        (AliasesOf(ListCollectionAliasesRequest { collection_name: a.to_owned() }), "x=a"),
        (AliasesOf(ListCollectionAliasesRequest { collection_name: y.to_owned() }), ""),
        (exists(x), "true"),
        (
            create(x),
            "InvalidArgument: Wrong input: Can't create collection with name x. Alias with the same name already exists",
        ),
        (drop_collection(x), "false"),
        (count(x, Filter::default()), "0"),
        // --- what is refused of an upsert
        (
            Upsert(upsert(y, vec![point(1, &[], json!({}))])),
            "NotFound: Not found: Collection `y` doesn't exist!",
        ),
        (Upsert(upsert(a, vec![])), "InvalidArgument: Bad request: Empty update request"),
        (
            Upsert(upsert(
                a,
                vec![
                    point(1, &[("d", dense(&[1., 2., 3.]))], json!({})),
                    point(2, &[("d", dense(&[1., 2.]))], json!({})),
                ],
            )),
            "InvalidArgument: Wrong input: Vector dimension error: expected dim: 3, got 2 for vector 'd'",
        ),
        (
            Upsert(UpsertPoints {
                wait: None,
                ..upsert(a, vec![point(1, &[("d", dense(&[1., 2.]))], json!({}))])
            }),
            "InvalidArgument: Wrong input: Vector dimension error: expected dim: 3, got 2 for vector 'd'",
        ),
        (
            Upsert(upsert(a, vec![point(1, &[("w", dense(&[1., 2., 3.]))], json!({}))])),
            "InvalidArgument: Wrong input: Not existing vector name error: w",
        ),
        (
            Upsert(UpsertPoints {
                wait: Some(false),
                ..upsert(a, vec![point(1, &[("w", dense(&[1.]))], json!({}))])
            }),
            "Acknowledged",
        ),
        (
            Upsert(upsert(a, vec![point(1, &[("s", dense(&[1., 2., 3.]))], json!({}))])),
            "InvalidArgument: Wrong input: Conversion between sparse and regular vectors failed",
        ),
        (
            Upsert(upsert(a, vec![point(1, &[("d", sparse(&[(1, 1.)]))], json!({}))])),
            "InvalidArgument: Wrong input: Conversion between sparse and regular vectors failed",
        ),
        (
            Upsert(upsert(a, vec![point(1, &[("s", sparse(&[(1, 1.), (1, 2.)]))], json!({}))])),
            "InvalidArgument: …",
        ),
        (
            Upsert(upsert(
                a,
                vec![PointStruct { vectors: Some(dense(&[1., 2., 3.]).into()), ..point(1, &[], json!({})) }],
            )),
            "InvalidArgument: Wrong input: Not existing vector name error: ",
        ),
        (
            Upsert(upsert(a, vec![point("no-uuid", &[], json!({}))])),
            "InvalidArgument: Unable to parse UUID: no-uuid",
        ),
        (
            Upsert(upsert(a, vec![PointStruct { id: None, ..point(1, &[], json!({})) }])),
            "InvalidArgument: Empty ID is not allowed",
        ),
        (
            Upsert(upsert(a, vec![PointStruct { vectors: None, ..point(1, &[], json!({})) }])),
            "InvalidArgument: Expected some vectors",
        ),
        (
            Upsert(upsert(
                a,
                vec![PointStruct {
                    payload: HashMap::from([("n".to_owned(), f64::NAN.into())]),
                    ..point(1, &[], json!({}))
                }],
            )),
            "InvalidArgument: cannot convert to json number",
        ),
        (count(a, Filter::default()), "0"),
        // --- points
        (
            Upsert(upsert(
                a,
                vec![
                    point(
                        UUID.replace('-', "").to_uppercase().as_str(),
                        &[
                            ("d", dense(&[3., 4., 0.])),
                            ("s", sparse(&[(5, 1.), (1, 2.)])),
                            ("raw", sparse(&[(1, -1.)])),
                        ],
                        json!({
                            "a": {"b": "x", "c": 1}, "n": 3, "f": 1.5, "t": true, "z": null, "e": [], "l": ["p", "q", "p"],
                            "ar": [{"k": 1, "v": "o"}, {"k": 2, "v": "w"}], "whole": 2.0, "odd key": "o",
                        }),
                    ),
                    point(
                        7,
                        &[
                            ("d", dense(&[0., 1., 0.])),
                            ("s", sparse(&[(1, 1.)])),
                            ("raw", sparse(&[(1, 2.), (2, 1.)])),
                        ],
                        json!({"n": 5, "l": "q", "a": {"b": "xy"}}),
                    ),
                    point(3, &[("s", sparse(&[]))], json!({"a": {"b": "y"}, "t": false})),
                    point(10, &[("d", dense(&[0., 0., 0.])), ("s", sparse(&[(9, 1.)]))], json!({"n": 4.5})),
                    point(9, &[], json!({})),
                ],
            )),
            "Completed",
        ),
        (
            get(a, &[9, 3, 1234, 3, 10]),
            "9 <>, 3 {a: {b: y}, t: false} <s[]>, 10 {n: 4.5} <d[0, 0, 0], s[9:1]>",
        ),
        (Get(GetPoints { collection_name: a.to_owned(), ids: vec![7.into()], ..GetPoints::default() }), "7"),
        (
            Get(GetPoints {
                collection_name: a.to_owned(),
                ids: vec![7.into(), 3.into()],
                with_vectors: Some(vec!["s", "d"].into()),
                ..GetPoints::default()
            }),
            "7 <d[0, 1, 0], s[1:1]>, 3 <s[]>",
        ),
        (
            Get(GetPoints {
                collection_name: a.to_owned(),
                ids: vec![7.into()],
                with_vectors: Some(vec!["w"].into()),
                ..GetPoints::default()
            }),
            "InvalidArgument: Wrong input: Not existing vector name error: w",
        ),
        // --- scroll
        (
            Scroll(ScrollPoints { limit: Some(2), ..scroll(a) }),
            "3 {a: {b: y}, t: false}, 7 {a: {b: xy}, l: q, n: 5} -> 9",
        ),
        (
            Scroll(ScrollPoints {
                limit: Some(2),
                offset: Some(8.into()),
                with_payload: Some(false.into()),
                ..scroll(x)
            }),
            "9, 10 -> 550e8400-e29b-41d4-a716-446655440000",
        ),
        (
            Scroll(ScrollPoints {
                offset: Some(UUID.into()),
                with_payload: Some(vec!["a.b", "ar[].k", "l", "zz"].into()),
                with_vectors: Some(true.into()),
                ..scroll(a)
            }),
            "550e8400-e29b-41d4-a716-446655440000 {a: {b: x}, ar: [{k: 1}, {k: 2}], l: [p, q, p]} \
             <d[0.6, 0.8, 0], raw[1:-1], s[1:2, 5:1]>",
        ),
        (
            Scroll(ScrollPoints {
                offset: Some(UUID.into()),
                with_payload: Some(
                    with_payload_selector::SelectorOptions::Exclude(PayloadExcludeSelector {
                        fields: ["a.b", "ar", "n", "zz"].map(str::to_owned).to_vec(),
                    })
                    .into(),
                ),
                ..scroll(a)
            }),
            "550e8400-e29b-41d4-a716-446655440000 {a: {c: 1}, e: [], f: 1.5, l: [p, q, p], odd key: o, t: true, \
             whole: 2.0, z: null}",
        ),
        (
            Scroll(ScrollPoints {
                filter: Some(Filter::must([Condition::matches("n", 5)])),
                with_payload: Some(false.into()),
                limit: Some(1),
                ..scroll(a)
            }),
            "7",
        ),
        (
            Scroll(ScrollPoints { limit: Some(0), ..scroll(a) }),
            "InvalidArgument: Validation error in body: [limit: …",
        ),
        // --- filters
        (count(a, Filter::must([Condition::matches("a.b", "x".to_owned())])), "1"),
        (count(a, Filter::must([Condition::matches("a.b", vec!["x".to_owned(), "y".to_owned()])])), "2"),
        (count(a, Filter::must([Condition::matches("l", "q".to_owned())])), "2"),
        (count(a, Filter::must([Condition::matches("l[1]", "q".to_owned())])), "1"),
        (count(a, Filter::must([Condition::matches("\"odd key\"", "o".to_owned())])), "1"),
        (count(a, Filter::must([Condition::matches("odd key", "o".to_owned())])), "InvalidArgument: …"),
        (count(a, Filter::must([Condition::matches("t", false)])), "1"),
        (count(a, Filter::must([Condition::matches("n", vec![3, 5])])), "2"),
        (count(a, Filter::must([Condition::matches("whole", 2)])), "0"),
        (
            count(
                a,
                Filter::must([Condition::matches("n", r#match::MatchValue::ExceptIntegers(vec![3].into()))]),
            ),
            "2",
        ),
        (
            count(
                a,
                Filter::must([Condition::matches(
                    "l",
                    r#match::MatchValue::ExceptKeywords(vec!["q".to_owned()].into()),
                )]),
            ),
            "1",
        ),
        (
            count(
                a,
                Filter::must([Condition::matches("z", r#match::MatchValue::ExceptIntegers(vec![3].into()))]),
            ),
            "0",
        ),
        (
            count(a, Filter::must([Condition::matches("a.b", r#match::MatchValue::Prefix("x".to_owned()))])),
            "2",
        ),
        (
            count(
                a,
                Filter::must([Condition::range(
                    "n",
                    Range { gte: Some(3.), lt: Some(5.), ..Range::default() },
                )]),
            ),
            "2",
        ),
        (count(a, Filter::must([Condition::range("f", Range { gt: Some(1.5), ..Range::default() })])), "0"),
        (count(a, Filter::must([Condition::range("f", Range { lte: Some(1.5), ..Range::default() })])), "1"),
        (count(a, Filter::must([Condition::is_empty("z")])), "5"),
        (count(a, Filter::must([Condition::is_empty("e")])), "5"),
        (count(a, Filter::must([Condition::is_empty("n")])), "2"),
        (count(a, Filter::must([Condition::is_null("z")])), "1"),
        (count(a, Filter::must([Condition::is_null("nowhere")])), "0"),
        (count(a, Filter::must([field("n", FieldCondition { is_empty: Some(false), ..none() })])), "3"),
        (count(a, Filter::must([field("z", FieldCondition { is_null: Some(false), ..none() })])), "4"),
        (count(a, Filter::must([field("nowhere", FieldCondition { is_null: Some(true), ..none() })])), "0"),
        (
            count(
                a,
                Filter::must([Condition::has_id([PointId::from(7), PointId::from(UUID), PointId::from(8)])]),
            ),
            "2",
        ),
        (count(a, Filter::must([Condition::has_vector("d")])), "3"),
        (count(a, Filter::must([Condition::has_vector("s")])), "4"),
        (count(a, Filter::must([Condition::has_vector("w")])), "0"),
        (
            count(
                a,
                Filter::must([Condition::nested(
                    "ar",
                    Filter::must([Condition::matches("k", 1), Condition::matches("v", "w".to_owned())]),
                )]),
            ),
            "0",
        ),
        (
            count(
                a,
                Filter::must([Condition::nested(
                    "ar[]",
                    Filter::must([Condition::matches("k", 2), Condition::matches("v", "w".to_owned())]),
                )]),
            ),
            "1",
        ),
        (count(a, Filter::must([Condition::matches("ar[].v", "w".to_owned())])), "1"),
        (count(a, Filter::must([Condition::matches("ar.v", "w".to_owned())])), "0"),
        (count(a, Filter::must_not([Condition::matches("n", 3), Condition::matches("n", 5)])), "3"),
        (count(a, Filter::should([Condition::matches("n", 3), Condition::matches("n", 5)])), "2"),
        (
            count(
                a,
                Filter {
                    must: vec![Condition::has_vector("d")],
                    ..Filter::should([Condition::matches("n", 3)])
                },
            ),
            "1",
        ),
        (
            count(
                a,
                Filter::must([
                    Filter::should([Condition::matches("n", 3), Condition::matches("t", false)]).into()
                ]),
            ),
            "2",
        ),
        (
            count(
                a,
                Filter::min_should(
                    2,
                    [Condition::matches("n", 5), Condition::has_vector("s"), Condition::matches("t", true)],
                ),
            ),
            "2",
        ),
        (count(a, Filter::min_should(0, [])), "InvalidArgument: …"),
    ];
    calls.extend(writes(&format!("{prefix}b")));
    calls.extend(searches(a));
    calls.extend([
        (drop_collection(a), "true"),
        (ListAliases(ListAliasesRequest {}), ""),
        (List(ListCollectionsRequest {}), ""),
        (count(x, Filter::default()), "NotFound: Not found: Collection `x` doesn't exist!"),
    ]);
    calls
}
