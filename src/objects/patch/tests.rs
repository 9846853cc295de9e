//! Patches as RFC 6902 and RFC 7386 have them, and what is refused. That strategic merge patches are Go's is compared in
//! `tests/control_plane/strategic_merge.rs`.

use super::*;
use proptest::prelude::{Strategy, *};
use serde_json::json;
use std::collections::BTreeMap;

fn check(of: PatchType, original: Value, changes: Value, expected: Result<Value, &str>) {
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
        check(PatchType::Json, list(), changes, expected);
    }
    let many: Vec<Value> = vec![json!({ "op": "test", "path": "/a/0", "value": 1 }); 10_001];
    let message = "a JSON patch has at most 10000 operations, not 10001";
    check(PatchType::Json, list(), Value::Array(many), Err(message));
}

#[test]
fn a_json_patch_neither_grows_without_bound_nor_builds_a_tower() {
    let doubling = vec![json!({ "op": "copy", "from": "/a", "path": "/a/-" }); 200];
    let error = patch(PatchType::Json, "Pod", &json!({ "a": [1] }), &Value::Array(doubling)).unwrap_err();
    assert!(error.to_string().ends_with("copies more than 3145728 bytes"), "{error}");
    let tower: Vec<Value> =
        (0..200).map(|level| json!({ "op": "add", "path": "/a".repeat(level + 1), "value": {} })).collect();
    let error = patch(PatchType::Json, "Pod", &json!({}), &Value::Array(tower)).unwrap_err();
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
        check(PatchType::Merge, original, changes, Ok(expected));
    }
    check(PatchType::Merge, json!({}), json!([1]), Err("a merge patch must be an object"));
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
        check(PatchType::Strategic, pod.clone(), changes, Err(expected));
    }
    let error = patch(PatchType::Strategic, "Banana", &pod, &json!({})).unwrap_err();
    assert_eq!(error.to_string(), "Banana has no strategic merge patch; use a merge patch");
}

#[test]
fn what_is_too_deep_is_refused() {
    let deep = |levels| (0..levels).fold(json!({}), |inner, _| json!({ "spec": inner }));
    for of in [PatchType::Json, PatchType::Merge, PatchType::Strategic] {
        let error = patch(of, "Pod", &json!({}), &deep(NESTING_MAX)).unwrap_err();
        assert_eq!(error, PatchError::Malformed("the patch is nested deeper than 96 levels".to_owned()));
    }
    assert!(patch(PatchType::Merge, "Pod", &json!({}), &deep(NESTING_MAX - 1)).is_ok());
}

/// Leaves by their paths: elements of lists that are merged stand under their keys, other lists are leaves.
fn leaves(value: &Value, path: &str, merged: &dyn Fn(&str) -> Option<&'static str>) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    match (value, merged(path.rsplit('/').next().unwrap())) {
        (Value::Object(fields), _) => {
            for (name, inner) in fields {
                found.extend(leaves(inner, &format!("{path}/{name}"), merged));
            }
        }
        (Value::Array(items), Some("")) => {
            found.extend(items.iter().map(|item| (format!("{path}/{item}"), item.clone())));
        }
        (Value::Array(items), Some(key)) => {
            for item in items {
                found.extend(leaves(item, &format!("{path}/{}", item[key]), merged));
            }
        }
        (leaf, _) => drop(found.insert(path.to_owned(), leaf.clone())),
    }
    found
}

/// Objects of a few fields of each sort: text, maps, lists of objects and of text that are merged, atomic lists.
fn drawn() -> impl Strategy<Value = Value> {
    let word = || (0..3_u8).prop_map(|number| json!(format!("v{number}")));
    let map = move || prop::collection::btree_map("[abc]", word(), 0..3).prop_map(|map| json!(map));
    let fields = move |names: &'static [&'static str]| {
        prop::collection::btree_map(prop::sample::select(names), word(), 0..3).prop_map(|map| json!(map))
    };
    let env = prop::collection::btree_map("[AB]", word(), 0..3).prop_map(|map| -> Value {
        map.into_iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
    });
    let container = (fields(&["image", "workingDir"]), env, prop::option::of(prop::collection::vec(word(), 0..3)));
    let containers = prop::collection::btree_map("[abc]", container, 0..3).prop_map(|map| -> Value {
        let element = |(name, (mut fields, env, args)): (String, (Value, Value, Option<Vec<Value>>))| {
            fields["name"] = json!(name);
            if env != json!([]) {
                fields["env"] = env;
            }
            if let Some(args) = args {
                fields["args"] = args.into();
            }
            fields
        };
        map.into_iter().map(element).collect()
    });
    let finalizers = prop::collection::btree_set("[xyz]", 0..3);
    (map(), map(), finalizers, fields(&["nodeName", "hostname", "subdomain"]), containers).prop_map(
        |(labels, annotations, finalizers, mut spec, containers)| {
            let mut metadata = json!({ "name": "one", "annotations": annotations });
            for (name, value) in [("labels", labels), ("finalizers", json!(finalizers))] {
                if value != json!({}) && value != json!([]) {
                    metadata[name] = value;
                }
            }
            if containers != json!([]) {
                spec["containers"] = containers;
            }
            json!({ "metadata": metadata, "spec": spec })
        },
    )
}

proptest! {
    /// An independent model: the leaves of the three, and nothing of how patches are made.
    #[test]
    fn an_edit_sets_what_is_said_removes_what_was_said_and_leaves_the_rest(
        original in drawn(), modified in drawn(), current in drawn()
    ) {
        let merged = apply_edit("Pod", Some(&original), &modified, &current).unwrap();
        let key = |list: &str| match list {
            "containers" | "env" => Some("name"),
            "finalizers" => Some(""),
            _ => None,
        };
        let of = |value: &Value| leaves(value, "", &key);
        let (said, says, live) = (of(&original), of(&modified), of(&current));
        let is_gone = |path: &String| said.contains_key(path) && !says.contains_key(path);
        // What was said as a whole goes as a whole: a map, a list, an element.
        let wholes = |value: &Value| {
            let (mut found, mut open) = (Vec::new(), vec![(String::new(), value)]);
            while let Some((path, value)) = open.pop() {
                let next: Vec<(String, &Value)> = match value {
                    Value::Object(fields) => fields.iter().map(|(name, inner)| (format!("{path}/{name}"), inner)).collect(),
                    Value::Array(items) => match key(path.rsplit('/').next().unwrap()).filter(|key| !key.is_empty()) {
                        Some(key) => items.iter().map(|item| (format!("{path}/{}", item[key]), item)).collect(),
                        None => Vec::new(),
                    },
                    _ => continue,
                };
                found.push(path);
                open.extend(next);
            }
            found
        };
        let still: Vec<String> = wholes(&modified);
        let gone: Vec<String> =
            wholes(&original).into_iter().filter(|path| !still.contains(path)).map(|path| path + "/").collect();
        let mut expected: BTreeMap<String, Value> = live
            .into_iter()
            .filter(|(path, _)| !is_gone(path) && !gone.iter().any(|whole| path.starts_with(whole)))
            .collect();
        expected.extend(says);
        // Null, and directives in elements that are new, are nothing to whoever decodes it, as upstream.
        let is_left = |(path, value): &(String, Value)| !value.is_null() && !path.contains("/$");
        let got: BTreeMap<_, _> = of(&merged).into_iter().filter(is_left).collect();
        prop_assert_eq!(&got, &expected, "\n{}\n{}\n{}\n{}", original, modified, current, merged);
        // Again it changes nothing.
        let again = apply_edit("Pod", Some(&modified), &modified, &merged).unwrap();
        prop_assert_eq!(again, merged);
    }
}

#[test]
fn lists_keep_the_order_of_the_file_and_the_place_of_others() {
    let pod = |names: &[&str]| {
        let containers: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
        json!({ "spec": { "containers": containers } })
    };
    // (said, says, live, merged)
    for (original, modified, current, expected) in [
        (&["a", "b"][..], &["a", "b"][..], &["a", "x", "b"][..], &["a", "x", "b"][..]),
        (&["a", "b"], &["b", "a"], &["a", "x", "b"], &["x", "b", "a"]),
        (&["a", "b"], &["b"], &["a", "x", "b"], &["x", "b"]),
        (&["a"], &["a", "c"], &["a", "x"], &["a", "c", "x"]),
    ] {
        let merged = apply_edit("Pod", Some(&pod(original)), &pod(modified), &pod(current)).unwrap();
        assert_eq!(merged, pod(expected), "{original:?} {modified:?} {current:?}");
    }
}

#[test]
fn what_is_one_value_and_what_keeps_its_keys() {
    let check = |original: Value, modified: Value, current: Value, expected: Value| {
        let spec = |value| json!({ "spec": value });
        let merged = apply_edit("Pod", Some(&spec(original)), &spec(modified), &spec(current)).unwrap();
        assert_eq!(merged, spec(expected));
    };
    // A volume that was one thing and is another now.
    check(
        json!({ "volumes": [{ "name": "v", "emptyDir": {} }] }),
        json!({ "volumes": [{ "name": "v", "configMap": { "name": "c" } }] }),
        json!({ "volumes": [{ "name": "v", "emptyDir": {} }, { "name": "w", "emptyDir": {} }] }),
        json!({ "volumes": [{ "name": "v", "configMap": { "name": "c" } }, { "name": "w", "emptyDir": {} }] }),
    );
    // An atomic list: what others put in is gone, once the file says otherwise than what stands.
    check(
        json!({ "tolerations": [{ "key": "a" }] }),
        json!({ "tolerations": [{ "key": "a" }] }),
        json!({ "tolerations": [{ "key": "a" }, { "key": "x" }] }),
        json!({ "tolerations": [{ "key": "a" }] }),
    );
    check(json!({ "hostname": "a" }), json!({ "hostname": null }), json!({ "hostname": "b" }), json!({}));
    check(json!({}), json!({ "hostname": null }), json!({}), json!({}));
    // What cannot be told apart is an error, whose way out is the caller's.
    let unnamed = json!({ "spec": { "containers": [{ "image": "a" }] } });
    let named = json!({ "spec": { "containers": [{ "name": "a" }] } });
    let error = apply_edit("Pod", Some(&unnamed), &named, &named).unwrap_err();
    assert_eq!(error.to_string(), "map: {\"image\":\"a\"} does not contain declared merge key: name");
}
