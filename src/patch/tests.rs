//! Patches as RFC 6902 and RFC 7386 have them, and what is refused. That strategic merge patches are Go's is compared in
//! `tests/strategic_merge.rs`.
#![allow(clippy::unwrap_used)]

use super::*;
use serde_json::json;

fn check(of: Type, original: Value, changes: Value, expected: Result<Value, &str>) {
    let got = patch(of, "Pod", &original, &changes);
    let shown = got.as_ref().map_err(ToString::to_string);
    match &expected {
        Ok(value) => assert_eq!(shown, Ok(value), "{changes}"),
        Err(message) => assert_eq!(shown, Err((*message).to_owned()), "{changes}"),
    }
}

#[test]
fn operations_of_a_json_patch_are_carried_out_in_order() {
    let list = || json!({ "a": [1, 2, 3], "b": { "c/d": 1, "e~f": 2 } });
    for (changes, expected) in [
        (json!([]), Ok(list())),
        (
            json!([{ "op": "add", "path": "/x", "value": null }]),
            Ok(json!({ "a": [1, 2, 3], "b": list()["b"], "x": null })),
        ),
        (json!([{ "op": "add", "path": "/a/1", "value": 9 }]), Ok(json!({ "a": [1, 9, 2, 3], "b": list()["b"] }))),
        (json!([{ "op": "add", "path": "/a/-", "value": 9 }]), Ok(json!({ "a": [1, 2, 3, 9], "b": list()["b"] }))),
        (
            json!([{ "op": "add", "path": "/a/4", "value": 9 }]),
            Err("operation 0 of the JSON patch: there is nothing at /a/4"),
        ),
        (
            json!([{ "op": "add", "path": "/a/01", "value": 9 }]),
            Err("operation 0 of the JSON patch: there is nothing at /a/01"),
        ),
        (
            json!([{ "op": "add", "path": "/x/y", "value": 9 }]),
            Err("operation 0 of the JSON patch: there is nothing at /x/y"),
        ),
        (json!([{ "op": "remove", "path": "/b/c~1d" }]), Ok(json!({ "a": [1, 2, 3], "b": { "e~f": 2 } }))),
        (json!([{ "op": "remove", "path": "/b/e~0f" }]), Ok(json!({ "a": [1, 2, 3], "b": { "c/d": 1 } }))),
        (json!([{ "op": "remove", "path": "/a/3" }]), Err("operation 0 of the JSON patch: there is nothing at /a/3")),
        (json!([{ "op": "replace", "path": "/a/0", "value": [0] }]), Ok(json!({ "a": [[0], 2, 3], "b": list()["b"] }))),
        (
            json!([{ "op": "replace", "path": "/y", "value": 1 }]),
            Err("operation 0 of the JSON patch: there is nothing at /y"),
        ),
        (
            json!([{ "op": "move", "from": "/a", "path": "/b/a" }]),
            Ok(json!({ "b": { "c/d": 1, "e~f": 2, "a": [1, 2, 3] } })),
        ),
        (
            json!([{ "op": "move", "from": "/b", "path": "/b/b" }]),
            Err("operation 0 of the JSON patch: /b cannot be moved into itself"),
        ),
        (json!([{ "op": "copy", "from": "/a/0", "path": "/a/0" }]), Ok(json!({ "a": [1, 1, 2, 3], "b": list()["b"] }))),
        (json!([{ "op": "test", "path": "/a", "value": [1, 2.0, 3] }]), Ok(list())),
        (json!([{ "op": "test", "path": "/nothing", "value": null }]), Ok(list())),
        (
            json!([{ "op": "remove", "path": "/b" }, { "op": "test", "path": "/a/0", "value": 2 }]),
            Err("operation 1 of the JSON patch: the test of /a/0 failed"),
        ),
        (json!({}), Err("a JSON patch must be a list of operations")),
        (
            json!([{ "op": "add", "path": "x", "value": 1 }]),
            Err("operation 0 of the JSON patch: the path \"x\" must begin with /"),
        ),
        (json!([{ "op": "add", "path": "/x" }]), Err("operation 0 of the JSON patch: missing field `value`")),
        (json!([{ "op": "replace", "path": "", "value": 1 }]), Err("the patch leaves no object")),
    ] {
        check(Type::Json, list(), changes, expected);
    }
    let many: Vec<Value> = vec![json!({ "op": "test", "path": "/a/0", "value": 1 }); 10_001];
    let message = "a JSON patch has at most 10000 operations, not 10001";
    check(Type::Json, list(), Value::Array(many), Err(message));
}

#[test]
fn a_json_patch_neither_grows_without_bound_nor_builds_a_tower() {
    let doubling = vec![json!({ "op": "copy", "from": "/a", "path": "/a/-" }); 200];
    let error = patch(Type::Json, "Pod", &json!({ "a": [1] }), &Value::Array(doubling)).unwrap_err();
    assert!(error.to_string().ends_with("copies more than 3145728 bytes"), "{error}");
    let tower: Vec<Value> =
        (0..200).map(|level| json!({ "op": "add", "path": "/a".repeat(level + 1), "value": {} })).collect();
    let error = patch(Type::Json, "Pod", &json!({}), &Value::Array(tower)).unwrap_err();
    assert!(error.to_string().ends_with("nested deeper than 96 levels"), "{error}");
}

#[test]
fn a_merge_patch_is_that_of_the_rfc() {
    // The table of RFC 7386, appendix A, where both are objects.
    for (original, changes, expected) in [
        (json!({ "a": "b" }), json!({ "a": "c" }), json!({ "a": "c" })),
        (json!({ "a": "b" }), json!({ "b": "c" }), json!({ "a": "b", "b": "c" })),
        (json!({ "a": "b" }), json!({ "a": null }), json!({})),
        (json!({ "a": "b", "b": "c" }), json!({ "a": null }), json!({ "b": "c" })),
        (json!({ "a": ["b"] }), json!({ "a": "c" }), json!({ "a": "c" })),
        (json!({ "a": "c" }), json!({ "a": ["b"] }), json!({ "a": ["b"] })),
        (json!({ "a": { "b": "c" } }), json!({ "a": { "b": "d", "c": null } }), json!({ "a": { "b": "d" } })),
        (json!({ "a": [{ "b": "c" }] }), json!({ "a": [1] }), json!({ "a": [1] })),
        (json!({ "e": null }), json!({ "a": 1 }), json!({ "e": null, "a": 1 })),
        (json!({}), json!({ "a": { "bb": { "ccc": null } } }), json!({ "a": { "bb": {} } })),
    ] {
        check(Type::Merge, original, changes, Ok(expected));
    }
    check(Type::Merge, json!({}), json!([1]), Err("a merge patch must be an object"));
}

#[test]
fn a_strategic_merge_patch_that_makes_no_sense_is_refused() {
    let pod =
        json!({ "metadata": { "finalizers": ["a"] }, "spec": { "containers": [{ "name": "a" }], "nodeName": "n" } });
    for (changes, expected) in [
        (json!([]), "a strategic merge patch must be an object"),
        (json!({ "spec": { "$patch": "merge" } }), "unknown patch type: \"merge\""),
        (json!({ "spec": { "containers": [{ "name": "a", "$patch": 1 }] } }), "unknown patch type: 1"),
        (
            json!({ "spec": { "containers": [{ "image": "b" }] } }),
            "map: {\"image\":\"b\"} does not contain declared merge key: name",
        ),
        (json!({ "spec": { "containers": [1] } }), "list element types are not identical"),
        (json!({ "spec": { "containers": [[]] } }), "list element types are not identical"),
        (json!({ "metadata": { "finalizers": [[]] } }), "list element types are not identical"),
        (json!({ "spec": { "$setElementOrder/containers": 1 } }), "expected a list, but received something else"),
        (json!({ "spec": { "$setElementOrder": [] } }), "invalid patch format of setElementOrder list"),
        (json!({ "metadata": { "$deleteFromPrimitiveList": [] } }), "invalid patch format of primitive list"),
        (json!({ "spec": { "$retainKeys": ["a"], "b": 1 } }), "invalid patch format of retainKeys"),
    ] {
        check(Type::Strategic, pod.clone(), changes, Err(expected));
    }
    let error = patch(Type::Strategic, "Secret", &pod, &json!({})).unwrap_err();
    assert_eq!(error.to_string(), "Secret has no strategic merge patch; use a merge patch");
}

#[test]
fn what_is_too_deep_is_refused() {
    let deep = |levels| (0..levels).fold(json!({}), |inner, _| json!({ "spec": inner }));
    for of in [Type::Json, Type::Merge, Type::Strategic] {
        let error = patch(of, "Pod", &json!({}), &deep(DEPTH)).unwrap_err();
        assert_eq!(error, PatchError::Malformed("the patch is nested deeper than 96 levels".to_owned()));
    }
    assert!(patch(Type::Merge, "Pod", &json!({}), &deep(DEPTH - 1)).is_ok());
}
