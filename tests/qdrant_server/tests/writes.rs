//! The part of the table that changes points, in a collection of its own.

use ::qdrant_client::qdrant::points_update_operation::{self as operation, Operation};
use ::qdrant_client::qdrant::*;
use serde_json::json;

use super::call::Call::{self, *};
use super::call::payload;
use super::requests::*;

pub(super) fn writes(b: &str) -> Vec<(Call, &'static str)> {
    let v1 = || Filter::must([Condition::matches("v", 1)]);
    let p = |id: u64, fields| point(id, &[("d", dense(&[0., 2., 0.])), ("s", sparse(&[(1, 1.)]))], fields);
    let update = |id: u64, named: &[(&str, Vector)]| UpdatePointVectors {
        collection_name: b.to_owned(),
        wait: Some(true),
        points: vec![PointVectors { id: Some(id.into()), vectors: vectors(named) }],
        ..UpdatePointVectors::default()
    };
    let unvector = |selector: Option<PointsSelector>, names: &[&str]| {
        DeleteVectors(DeletePointVectors {
            collection_name: b.to_owned(),
            wait: Some(true),
            points_selector: selector,
            vectors: Some(VectorsSelector { names: names.iter().map(|name| (*name).to_owned()).collect() }),
            ..DeletePointVectors::default()
        })
    };
    let delete = |selector: Option<PointsSelector>| {
        Delete(DeletePoints {
            collection_name: b.to_owned(),
            wait: Some(true),
            points: selector,
            ..DeletePoints::default()
        })
    };
    let clear = |selector: Option<PointsSelector>| {
        ClearPayload(ClearPayloadPoints {
            collection_name: b.to_owned(),
            wait: Some(true),
            points: selector,
            ..ClearPayloadPoints::default()
        })
    };
    let batch = |operations: Vec<Operation>| {
        let operations =
            operations.into_iter().map(|operation| PointsUpdateOperation { operation: Some(operation) });
        UpdateBatch(UpdateBatchPoints {
            collection_name: b.to_owned(),
            wait: Some(true),
            operations: operations.collect(),
            ordering: None,
            timeout: None,
        })
    };
    let facet = |key: &str| FacetCounts {
        collection_name: b.to_owned(),
        key: key.to_owned(),
        ..FacetCounts::default()
    };
    vec![
        (create(b), "true"),
        // --- upsert: the last of an id, whole, and under a condition
        (Upsert(upsert(b, vec![p(1, json!({"v": 1})), p(1, json!({"v": 2, "w": 1}))])), "Completed"),
        (get(b, &[1]), "1 {v: 2, w: 1} <d[0, 1, 0], s[1:1]>"),
        (Upsert(upsert(b, vec![point(1, &[], json!({"v": 1}))])), "Completed"),
        (get(b, &[1]), "1 {v: 1} <>"),
        (
            Upsert(UpsertPoints {
                update_filter: Some(v1()),
                ..upsert(b, vec![p(1, json!({"v": 3})), p(2, json!({"v": 4}))])
            }),
            "Completed",
        ),
        (get(b, &[1, 2]), "1 {v: 3} <d[0, 1, 0], s[1:1]>, 2 {v: 4} <d[0, 1, 0], s[1:1]>"),
        (
            Upsert(UpsertPoints {
                update_filter: Some(v1()),
                ..upsert(b, vec![p(1, json!({"v": 5})), p(3, json!({"v": 1}))])
            }),
            "Completed",
        ),
        (
            Upsert(UpsertPoints {
                update_mode: Some(UpdateMode::InsertOnly.into()),
                ..upsert(b, vec![p(2, json!({"v": 6})), p(4, json!({"v": 6}))])
            }),
            "Completed",
        ),
        (
            Upsert(UpsertPoints {
                update_mode: Some(UpdateMode::UpdateOnly.into()),
                update_filter: Some(v1()),
                ..upsert(b, vec![p(2, json!({"v": 7})), p(3, json!({"v": 7})), p(5, json!({"v": 7}))])
            }),
            "Completed",
        ),
        (
            Upsert(UpsertPoints {
                update_mode: Some(UpdateMode::UpdateOnly.into()),
                ..upsert(b, vec![p(4, json!({"v": 8})), p(6, json!({"v": 8}))])
            }),
            "Completed",
        ),
        (Scroll(scroll(b)), "1 {v: 3}, 2 {v: 4}, 3 {v: 7}, 4 {v: 8}"),
        // --- payload
        (
            SetPayload(set(b, ids(&[1]), json!({"v": null, "n": {"a": null, "b": 1}, "m": 1}), None)),
            "Completed",
        ),
        (SetPayload(set(b, ids(&[1]), json!({"c": 2, "b": null}), Some("n"))), "Completed"),
        (SetPayload(set(b, ids(&[1]), json!({"x": 1}), Some("new.deep"))), "Completed"),
        (
            SetPayload(set(
                b,
                having(Filter::must([Condition::matches("m", 1)])),
                json!({"m": [{"q": 1}, {}]}),
                None,
            )),
            "Completed",
        ),
        (SetPayload(set(b, ids(&[1]), json!({"r": 2}), Some("m[]"))), "Completed"),
        (SetPayload(set(b, ids(&[1]), json!({"r": 3}), Some("m[1]"))), "Completed"),
        (
            Scroll(ScrollPoints { limit: Some(1), ..scroll(b) }),
            "1 {m: [{q: 1, r: 2}, {r: 3}], n: {a: null, c: 2}, new: {deep: {x: 1}}} -> 2",
        ),
        // What exists is changed; then comes the error.
        (
            SetPayload(set(b, ids(&[2, 77]), json!({"half": true}), None)),
            "NotFound: Not found: No point with id 77 found",
        ),
        (
            SetPayload(SetPayloadPoints { wait: None, ..set(b, ids(&[77]), json!({"half": true}), None) }),
            "Acknowledged",
        ),
        (SetPayload(set(b, None, json!({"half": true}), None)), "InvalidArgument: …"),
        (
            SetPayload(set(b, ids(&[]), json!({"half": true}), None)),
            "InvalidArgument: Bad request: Empty update request",
        ),
        (OverwritePayload(set(b, ids(&[3]), json!({"only": null, "this": 1}), None)), "Completed"),
        (
            OverwritePayload(set(
                b,
                having(Filter::must([Condition::matches("v", 8)])),
                json!({"k": 1}),
                Some("at"),
            )),
            "Completed",
        ),
        (
            Scroll(ScrollPoints { offset: Some(2.into()), ..scroll(b) }),
            "2 {half: true, v: 4}, 3 {only: null, this: 1}, 4 {k: 1}",
        ),
        (unset(b, ids(&[1]), &["n.a", "m[].r", "m[0]", "new.deep.x", "nowhere"]), "Completed"),
        (unset(b, ids(&[77]), &["n"]), "NotFound: Not found: No point with id 77 found"),
        (unset(b, ids(&[1]), &["a b"]), "InvalidArgument: …"),
        (
            Scroll(ScrollPoints { limit: Some(1), ..scroll(b) }),
            "1 {m: [{q: 1}, {}], n: {c: 2}, new: {deep: {}}} -> 2",
        ),
        (unset(b, having(Filter::must([Condition::has_id([1])])), &["m[]"]), "Completed"),
        (Scroll(ScrollPoints { limit: Some(1), ..scroll(b) }), "1 {m: [], n: {c: 2}, new: {deep: {}}} -> 2"),
        (clear(ids(&[3])), "Completed"),
        (clear(ids(&[77])), "NotFound: Not found: No point with id 77 found"),
        // --- vectors
        (UpdateVectors(update(1, &[("d", dense(&[3., 0., 4.]))])), "Completed"),
        (
            UpdateVectors(update(77, &[("d", dense(&[3., 0., 4.]))])),
            "NotFound: Not found: No point with id 77 found",
        ),
        (
            UpdateVectors(update(1, &[("d", dense(&[3., 0.]))])),
            "InvalidArgument: Wrong input: Vector dimension error: expected dim: 3, got 2",
        ),
        (
            UpdateVectors(UpdatePointVectors { wait: None, ..update(1, &[("d", dense(&[3., 0.]))]) }),
            "Acknowledged",
        ),
        (
            UpdateVectors(update(1, &[("w", dense(&[3., 0.]))])),
            "InvalidArgument: Wrong input: Not existing vector name error: w",
        ),
        (
            UpdateVectors(UpdatePointVectors {
                update_filter: Some(v1()),
                ..update(1, &[("d", dense(&[1., 0., 0.]))])
            }),
            "Completed",
        ),
        (
            UpdateVectors(UpdatePointVectors {
                update_filter: Some(v1()),
                ..update(77, &[("d", dense(&[1., 0., 0.]))])
            }),
            "NotFound: Not found: No point with id 77 found",
        ),
        (unvector(ids(&[2]), &["s"]), "Completed"),
        (unvector(ids(&[2]), &["w"]), "InvalidArgument: Wrong input: Not existing vector name error: w"),
        (unvector(ids(&[2]), &[]), "Completed"),
        (unvector(ids(&[77]), &["d"]), "NotFound: Not found: No point with id 77 found"),
        (unvector(having(Filter::must([Condition::has_id([3])])), &["s", "d"]), "Completed"),
        (
            get(b, &[2, 3, 1]),
            "2 {half: true, v: 4} <d[0, 1, 0]>, 3 <>, 1 {m: [], n: {c: 2}, new: {deep: {}}} <d[0.6, 0, 0.8], s[1:1]>",
        ),
        // --- delete
        (delete(ids(&[77])), "Completed"),
        (delete(ids(&[])), "InvalidArgument: Bad request: Empty update request"),
        (delete(None), "InvalidArgument: …"),
        (delete(ids(&[3])), "Completed"),
        (delete(having(Filter::must([Condition::is_empty("k")]))), "Completed"),
        (Scroll(scroll(b)), "4 {k: 1}"),
        // --- batches: in order, up to the first failure
        (
            batch(vec![
                Operation::Upsert(operation::PointStructList {
                    points: vec![p(8, json!({"v": 1})), p(9, json!({"v": 2}))],
                    ..Default::default()
                }),
                Operation::SetPayload(operation::SetPayload {
                    payload: payload(json!({"set": 1})),
                    points_selector: having(v1()),
                    ..Default::default()
                }),
                Operation::DeletePoints(operation::DeletePoints { points: ids(&[9]), ..Default::default() }),
            ]),
            "Completed, Completed, Completed",
        ),
        (
            batch(vec![
                Operation::DeletePoints(operation::DeletePoints { points: ids(&[4]), ..Default::default() }),
                Operation::ClearPayload(operation::ClearPayload { points: ids(&[77]), ..Default::default() }),
                Operation::DeletePoints(operation::DeletePoints { points: ids(&[8]), ..Default::default() }),
            ]),
            "NotFound: Not found: No point with id 77 found",
        ),
        (Scroll(scroll(b)), "8 {set: 1, v: 1}"),
        (
            batch(vec![
                Operation::DeletePoints(operation::DeletePoints { points: ids(&[]), ..Default::default() }),
                Operation::DeletePoints(operation::DeletePoints { points: ids(&[8]), ..Default::default() }),
            ]),
            "InvalidArgument: Bad request: Empty update request",
        ),
        (batch(vec![]), "InvalidArgument: Validation error in body: [operations…"),
        // --- indexes and facets
        (Facet(facet("l")), "InvalidArgument: Wrong input: No appropriate index for faceting: `l`. …"),
        (CreateIndex(index(b, "l", FieldType::Keyword)), "Completed"),
        (
            CreateIndex(CreateFieldIndexCollection { wait: None, ..index(b, "v", FieldType::Integer) }),
            "Acknowledged",
        ),
        (
            CreateIndex(CreateFieldIndexCollection {
                field_index_params: Some(PayloadIndexParams {
                    index_params: Some(payload_index_params::IndexParams::KeywordIndexParams(
                        KeywordIndexParams { is_tenant: Some(true), ..KeywordIndexParams::default() },
                    )),
                }),
                ..index(b, "o.p", FieldType::Keyword)
            }),
            "Completed",
        ),
        (
            CreateIndex(CreateFieldIndexCollection { field_type: None, ..index(b, "z", FieldType::Keyword) }),
            "InvalidArgument: cannot convert field_type",
        ),
        (CreateIndex(index(b, "a b", FieldType::Keyword)), "InvalidArgument: …"),
        (
            Upsert(upsert(
                b,
                vec![
                    p(1, json!({"l": ["p", "q", "p"], "v": 1, "o": {"p": "t"}})),
                    p(2, json!({"l": "q", "v": 2, "o": {"p": "u"}})),
                    p(3, json!({"l": ["z", 5], "v": "1", "o": {"p": "u"}})),
                ],
            )),
            "Completed",
        ),
        (
            info(b),
            "points=4 dense=[d:3, h:2] sparse=[raw:None, s:Idf] schema=[l:1:3, o.p:1(tenant):3, v:2:3] metadata={model: m1, old: 1}",
        ),
        (Facet(facet("l")), "q:2, p:1, z:1"),
        (Facet(FacetCounts { limit: Some(2), exact: Some(true), ..facet("l") }), "q:2, p:1"),
        (Facet(FacetCounts { limit: Some(0), ..facet("l") }), ""),
        (
            Facet(FacetCounts { filter: Some(Filter::must([Condition::matches("v", 2)])), ..facet("o.p") }),
            "u:1",
        ),
        (Facet(facet("v")), "1:2, 2:1"),
        // What is gone is counted on in exact answers, until the server optimizes.
        (delete(ids(&[1])), "Completed"),
        (SetPayload(set(b, ids(&[8]), json!({"v": 7}), None)), "Completed"),
        (Facet(facet("l")), "q:1, z:1"),
        (Facet(FacetCounts { exact: Some(true), ..facet("l") }), "q:1, z:1, p:0"),
        (Facet(FacetCounts { exact: Some(true), ..facet("v") }), "2:1, 7:1, 1:0"),
        (
            Facet(FacetCounts { filter: Some(Filter::must_not([Condition::has_id([2])])), ..facet("l") }),
            "z:1",
        ),
        (
            DeleteIndex(DeleteFieldIndexCollection {
                collection_name: b.to_owned(),
                wait: Some(true),
                field_name: "l".to_owned(),
                ..DeleteFieldIndexCollection::default()
            }),
            "Completed",
        ),
        (Facet(facet("l")), "InvalidArgument: …"),
        (CreateIndex(index(b, "l", FieldType::Keyword)), "Completed"),
        (Facet(facet("l")), "q:1, z:1"),
        (drop_collection(b), "true"),
    ]
}
