//! The part of the table that ranks points, over those that `table` wrote.

use ::qdrant_client::qdrant::*;

use super::call::Call::{self, *};
use super::requests::*;

pub(super) fn searches(a: &str) -> Vec<(Call, &'static str)> {
    let d = |values: &[f32]| nearest(values.to_vec());
    vec![
        (Ask(ask(a, "d", d(&[2., 2., 0.]))), "550e8400-e29b-41d4-a716-446655440000=0.9899, 7=0.7071, 10=0"),
        (
            Ask(QueryPoints {
                limit: Some(1),
                offset: Some(1),
                with_payload: Some(vec!["n"].into()),
                with_vectors: Some(vec!["d"].into()),
                ..ask(a, "d", d(&[2., 2., 0.]))
            }),
            "7=0.7071 {n: 5} <d[0, 1, 0]>",
        ),
        (
            Ask(QueryPoints { score_threshold: Some(0.), ..ask(a, "d", d(&[1., 1., 0.])) }),
            "550e8400-e29b-41d4-a716-446655440000=0.9899, 7=0.7071",
        ),
        (
            Ask(QueryPoints {
                filter: Some(Filter::must([Condition::matches("l", "q".to_owned())])),
                ..ask(a, "d", d(&[0., 1., 0.]))
            }),
            "7=1, 550e8400-e29b-41d4-a716-446655440000=0.8",
        ),
        (Ask(ask(a, "d", nearest(PointId::from(7)))), "550e8400-e29b-41d4-a716-446655440000=0.8, 10=0"),
        (
            Ask(ask(a, "d", nearest(PointId::from(3)))),
            "NotFound: Not found: Vector with name \"d\" for point not found",
        ),
        (Ask(ask(a, "d", nearest(PointId::from(77)))), "NotFound: Not found: No point with id 77 found"),
        (
            Ask(ask(a, "d", d(&[1., 1.]))),
            "InvalidArgument: Wrong input: Vector dimension error: expected dim: 3, got 2",
        ),
        (Ask(ask(a, "w", d(&[1., 1.]))), "InvalidArgument: Wrong input: Not existing vector name error: w"),
        (
            Ask(ask(a, "s", d(&[1., 1.]))),
            "InvalidArgument: Wrong input: Conversion between sparse and regular vectors failed",
        ),
        (
            Ask(QueryPoints { limit: Some(0), ..ask(a, "d", d(&[1., 1., 1.])) }),
            "InvalidArgument: Validation error in body: [limit: …",
        ),
        (Ask(QueryPoints { limit: Some(2), using: None, ..ask(a, "", None) }), "3=1, 7=1"),
        // --- sparse: of three documents, two have term 1, one term 5, one term 9, none term 4
        (Ask(ask(a, "s", by_terms(&[(1, 1.)]))), "550e8400-e29b-41d4-a716-446655440000=0.94, 7=0.47"),
        (
            Ask(ask(a, "s", by_terms(&[(1, 1.), (5, 2.), (4, 9.)]))),
            "550e8400-e29b-41d4-a716-446655440000=2.9017, 7=0.47",
        ),
        (
            Ask(ask(a, "s", by_terms(&[(9, 1.), (1, 1.)]))),
            "10=0.9808, 550e8400-e29b-41d4-a716-446655440000=0.94, 7=0.47",
        ),
        (
            // The filter is not the corpus of the statistics.
            Ask(QueryPoints {
                filter: Some(Filter::must([Condition::matches("n", 5)])),
                ..ask(a, "s", by_terms(&[(1, 1.)]))
            }),
            "7=0.47",
        ),
        (
            Ask(QueryPoints {
                params: Some(SearchParams {
                    idf: Some(IdfParams {
                        corpus: Some(Filter::must([Condition::matches("l", "q".to_owned())])),
                    }),
                    ..SearchParams::default()
                }),
                ..ask(a, "s", by_terms(&[(1, 1.)]))
            }),
            "550e8400-e29b-41d4-a716-446655440000=0.3646, 7=0.1823",
        ),
        (
            Ask(ask(a, "raw", by_terms(&[(1, 1.), (2, 0.5)]))),
            "7=2.5, 550e8400-e29b-41d4-a716-446655440000=-1",
        ),
        (Ask(QueryPoints { score_threshold: Some(-1.), ..ask(a, "raw", by_terms(&[(1, 1.)])) }), "7=2"),
        (Ask(ask(a, "s", by_terms(&[(4, 1.)]))), ""),
        (Ask(ask(a, "s", by_terms(&[]))), ""),
        (Ask(ask(a, "s", by_terms(&[(1, 1.), (1, 1.)]))), "InvalidArgument: …"),
        // --- prefetch and fusion
        (
            Ask(QueryPoints {
                prefetch: vec![
                    PrefetchQuery { limit: Some(2), ..prefetch("d", d(&[0., 1., 0.])) },
                    prefetch("s", by_terms(&[(1, 1.), (9, 1.)])),
                ],
                ..ask(a, "", Some(Query::new_fusion(Fusion::Rrf)))
            }),
            "7=0.75, 550e8400-e29b-41d4-a716-446655440000=0.6667, 10=0.5",
        ),
        (
            Ask(QueryPoints {
                prefetch: vec![prefetch("d", d(&[0., 1., 0.])), prefetch("s", by_terms(&[(1, 1.), (9, 1.)]))],
                ..ask(a, "", rrf(Some(60), &[3., 1.]))
            }),
            "10=0.0333, 550e8400-e29b-41d4-a716-446655440000=0.0332, 7=0.033",
        ),
        (
            Ask(QueryPoints {
                prefetch: vec![
                    PrefetchQuery { limit: Some(1), ..prefetch("d", d(&[0., 1., 0.])) },
                    PrefetchQuery {
                        filter: Some(Filter::must([Condition::matches("n", 3)])),
                        ..prefetch("s", by_terms(&[(1, 1.), (9, 1.)]))
                    },
                ],
                filter: Some(Filter::must([Condition::matches("l", "q".to_owned())])),
                score_threshold: Some(0.5),
                limit: Some(1),
                offset: Some(1),
                ..ask(a, "", rrf(None, &[1., 0.]))
            }),
            "",
        ),
        (
            Ask(QueryPoints {
                prefetch: vec![prefetch("d", d(&[0., 1., 0.]))],
                ..ask(a, "", rrf(None, &[1., 2.]))
            }),
            "InvalidArgument: Wrong input: Validation failed: RRF weights length (2) does not match number of prefetches (1)",
        ),
        (
            Ask(ask(a, "", Some(Query::new_fusion(Fusion::Rrf)))),
            "InvalidArgument: Wrong input: Validation failed: cannot apply Fusion without prefetches",
        ),
        (
            Ask(QueryPoints { prefetch: vec![prefetch("d", d(&[0., 1., 0.]))], ..ask(a, "", None) }),
            "InvalidArgument: Bad request: A query is needed to merge the prefetches. \
             Can't have prefetches without defining a query.",
        ),
        (
            // Nearest over what was prefetched.
            Ask(QueryPoints {
                prefetch: vec![PrefetchQuery {
                    limit: Some(2),
                    ..prefetch("s", by_terms(&[(1, 1.), (9, 1.)]))
                }],
                ..ask(a, "d", d(&[0., 1., 0.]))
            }),
            "550e8400-e29b-41d4-a716-446655440000=0.8, 10=0",
        ),
        (
            AskBatch(QueryBatchPoints {
                collection_name: a.to_owned(),
                query_points: vec![
                    QueryPoints { limit: Some(1), ..ask(a, "d", d(&[0., 1., 0.])) },
                    // The batch's collection is asked, whatever is named here.
                    ask("nowhere", "s", by_terms(&[(9, 1.)])),
                ],
                ..QueryBatchPoints::default()
            }),
            "7=1 | 10=0.9808",
        ),
    ]
}
