//! Server-side apply as upstream's documentation and its tests have it.

use super::*;

fn now(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// The fields that an entry has, as its paths.
fn managed(object: &Value, manager: &str) -> Vec<String> {
    let entries = Managers::of(object);
    let mut fields = FieldSet::default();
    entries.0.iter().filter(|entry| entry.manager == manager).for_each(|entry| fields.join(&entry.fields));
    fields.paths()
}

fn service(spec: Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "web" }, "spec": spec })
}

fn set(replicas: Option<u32>, image: &str) -> Value {
    let mut set = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": { "name": "web", "labels": { "app": "web" } },
        "spec": {
            "serviceName": "web",
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{ "name": "a", "image": image, "ports": [{ "containerPort": 80 }] }] },
            },
        },
    });
    if let Some(replicas) = replicas {
        set["spec"]["replicas"] = json!(replicas);
    }
    set
}

fn must(live: Option<&Value>, applied: &Value, manager: &str, second: i64) -> Value {
    let kind = applied["kind"].as_str().unwrap();
    apply(kind, live, applied, manager, false, now(second)).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn an_applied_object_is_its_managers() {
    let live = must(None, &set(Some(3), "a:1"), "one", 0);
    assert_eq!(
        live["metadata"]["managedFields"],
        json!([{
            "manager": "one", "operation": "Apply", "apiVersion": "apps/v1", "time": "2027-01-15T08:00:00Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:metadata": { "f:labels": { "f:app": {} } },
                "f:spec": {
                    "f:replicas": {},
                    "f:selector": {},
                    "f:serviceName": {},
                    "f:template": {
                        "f:metadata": { "f:labels": { "f:app": {} } },
                        "f:spec": { "f:containers": { "k:{\"name\":\"a\"}": {
                            ".": {}, "f:image": {}, "f:name": {},
                            "f:ports": { "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {
                                ".": {}, "f:containerPort": {},
                            } },
                        } } },
                    },
                },
            },
        }])
    );
    assert_eq!(must(Some(&live), &set(Some(3), "a:1"), "one", 60), live, "nothing changes, the time neither");
}

#[test]
fn what_others_manage_is_a_conflict_unless_forced_or_equal() {
    let live = must(None, &set(Some(3), "a:1"), "one", 0);
    let error = apply("StatefulSet", Some(&live), &set(Some(4), "a:2"), "two", false, now(1)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Apply failed with 2 conflicts: conflicts with \"one\":\n- .spec.replicas\n\
         - .spec.template.spec.containers[name=\"a\"].image"
    );
    let shared = must(Some(&live), &set(Some(3), "a:1"), "two", 1);
    assert_eq!(managed(&shared, "one"), managed(&shared, "two"));
    let forced = apply("StatefulSet", Some(&live), &set(Some(4), "a:1"), "two", true, now(1)).unwrap();
    assert_eq!(forced["spec"]["replicas"], 4);
    assert!(!managed(&forced, "one").contains(&".spec.replicas".to_owned()));
    assert!(managed(&forced, "two").contains(&".spec.replicas".to_owned()));
    let conflict = apply("StatefulSet", Some(&forced), &set(Some(5), "a:1"), "one", false, now(2)).unwrap_err();
    assert_eq!(conflict.to_string(), "Apply failed with 1 conflict: conflict with \"two\": .spec.replicas");
}

#[test]
fn what_is_no_longer_applied_goes_unless_somebody_else_has_it() {
    let ports = |numbers: &[u16]| -> Value { numbers.iter().map(|port| json!({ "port": port })).collect() };
    let first = service(json!({ "ports": ports(&[80, 81, 82]), "selector": { "a": "b" }, "type": "ClusterIP" }));
    let live = must(None, &first, "one", 0);
    let live = must(Some(&live), &service(json!({ "ports": ports(&[81, 83]) })), "two", 1);
    assert_eq!(live["spec"]["ports"], ports(&[80, 81, 82, 83]));
    let after = must(Some(&live), &service(json!({ "ports": ports(&[80]) })), "one", 2);
    assert_eq!(after["spec"], json!({ "ports": ports(&[80, 81, 83]) }));
    let after = must(Some(&after), &service(json!({})), "two", 3);
    assert_eq!(after["spec"], json!({ "ports": ports(&[80]) }));
    let after = must(Some(&after), &service(json!({})), "one", 4);
    assert_eq!(after.get("spec").and_then(|spec| spec.get("ports")), None);
}

#[test]
fn an_object_keeps_its_name_though_nothing_else_of_its_metadata_is_applied_any_more() {
    let mut labelled = service(json!({ "clusterIP": "None" }));
    labelled["metadata"]["labels"] = json!({ "a": "b" });
    let live = must(None, &labelled, "one", 0);
    let after = must(Some(&live), &service(json!({ "clusterIP": "None" })), "one", 1);
    assert_eq!(after["metadata"]["name"], "web");
    assert_eq!(after["metadata"].get("labels"), None);
}

#[test]
fn defaults_stay_beneath_what_is_still_applied() {
    let live = must(None, &set(Some(3), "a:1"), "one", 0);
    let mut defaulted = live.clone();
    defaulted["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] = json!("Always");
    defaulted["spec"]["template"]["spec"]["containers"][0]["ports"][0]["protocol"] = json!("TCP");
    let after = must(Some(&defaulted), &set(None, "a:1"), "one", 1);
    let container = &after["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["imagePullPolicy"], "Always");
    assert_eq!(container["ports"], json!([{ "containerPort": 80, "protocol": "TCP" }]));
    assert_eq!(after["spec"].get("replicas"), None, "the server gives its default again");
}

#[test]
fn an_atomic_element_is_one_value() {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "a" },
        "spec": { "imagePullSecrets": [{ "name": "s" }], "nodeSelector": { "a": "b" } },
    });
    let live = must(None, &pod, "one", 0);
    assert_eq!(managed(&live, "one"), [".spec.imagePullSecrets[name=\"s\"]", ".spec.nodeSelector"]);
}

#[test]
fn updates_are_tracked() {
    let mut created = set(Some(3), "a:1");
    track("StatefulSet", None, &mut created, "kubectl-create", None, now(0));
    let fields = &created["metadata"]["managedFields"][0]["fieldsV1"];
    assert_eq!(fields["f:metadata"], json!({ "f:labels": { ".": {}, "f:app": {} } }));
    assert_eq!(
        fields["f:spec"]["f:template"]["f:spec"]["f:containers"],
        json!({ "k:{\"name\":\"a\"}": {
            ".": {}, "f:image": {}, "f:name": {},
            "f:ports": { ".": {}, "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": { ".": {}, "f:containerPort": {} } },
        } })
        .as_object()
        .map(|element| {
            let mut containers = json!({ ".": {} });
            containers.as_object_mut().unwrap().extend(element.clone());
            containers
        })
        .unwrap()
    );

    let mut scaled = created.clone();
    scaled["spec"]["replicas"] = json!(5);
    track("StatefulSet", Some(&created), &mut scaled, "kubectl", Some("scale"), now(1));
    assert_eq!(managed(&scaled, "kubectl"), [".spec.replicas"]);
    assert!(!managed(&scaled, "kubectl-create").contains(&".spec.replicas".to_owned()));

    let mut status = scaled.clone();
    status["status"] = json!({ "replicas": 5 });
    track("StatefulSet", Some(&scaled), &mut status, "controller", Some("status"), now(2));
    assert_eq!(managed(&status, "controller"), [".status.replicas"]);

    let error = apply("StatefulSet", Some(&status), &set(Some(1), "a:2"), "two", false, now(3)).unwrap_err();
    let ApplyError::Conflicts(conflicts) = error else { panic!("{error}") };
    let shown: Vec<String> =
        conflicts.iter().map(|conflict| format!("{} {}", conflict.message(), conflict.field)).collect();
    assert_eq!(
        shown,
        [
            "conflict with \"kubectl\" with subresource \"scale\" using apps/v1 .spec.replicas",
            "conflict with \"kubectl-create\" using apps/v1 .spec.template.spec.containers[name=\"a\"].image",
        ]
    );

    let mut same = status.clone();
    track("StatefulSet", Some(&status), &mut same, "other", None, now(4));
    assert_eq!(same, status, "a write that changes nothing has no manager");
}

#[test]
fn what_clients_say_of_managers_is_believed() {
    let mut live = set(Some(3), "a:1");
    track("StatefulSet", None, &mut live, "kubectl-client-side-apply", None, now(0));
    // kubectl renames its entry when it goes over to server-side apply.
    let mut renamed = live.clone();
    renamed["metadata"]["managedFields"][0]["manager"] = json!("kubectl");
    renamed["metadata"]["managedFields"][0]["operation"] = json!("Apply");
    track("StatefulSet", Some(&live), &mut renamed, "kubectl", None, now(1));
    assert_eq!(renamed["metadata"]["managedFields"][0]["manager"], "kubectl");
    assert_eq!(renamed["metadata"]["managedFields"].as_array().unwrap().len(), 1);
    // Who does not know of entries takes none away; one empty entry does.
    for (given, count) in [(None, 1), (Some(json!([])), 1), (Some(json!([{}])), 0)] {
        let mut object = set(Some(3), "a:1");
        if let Some(given) = given {
            object["metadata"]["managedFields"] = given;
        }
        track("StatefulSet", Some(&live), &mut object, "x", None, now(1));
        assert_eq!(Managers::of(&object).0.len(), count);
    }
}

#[test]
fn what_kubectl_applied_on_its_side_may_be_taken_over() {
    let mut live = set(Some(3), "a:1");
    live["metadata"]["annotations"] = json!({ LAST_APPLIED: set(Some(3), "a:1").to_string() });
    track("StatefulSet", None, &mut live, "kubectl-client-side-apply", None, now(0));
    let applied = apply("StatefulSet", Some(&live), &set(Some(4), "a:1"), "kubectl", false, now(1)).unwrap();
    assert_eq!(applied["spec"]["replicas"], 4);
    assert!(annotation(&applied).unwrap().contains("\"replicas\":4"));
    assert!(apply("StatefulSet", Some(&live), &set(Some(4), "a:1"), "other", false, now(1)).is_err());
}

#[test]
fn what_was_there_before_the_first_apply_has_a_manager_too() {
    let live = set(Some(3), "a:1");
    let error = apply("StatefulSet", Some(&live), &set(Some(4), "a:1"), "one", false, now(1)).unwrap_err();
    let expected = "Apply failed with 1 conflict: conflict with \"before-first-apply\" using apps/v1: .spec.replicas";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn what_is_no_object_of_its_kind_is_refused() {
    let refused = |change: &dyn Fn(&mut Value), expected: &str| {
        let mut applied = set(Some(3), "a:1");
        change(&mut applied);
        let error = apply("StatefulSet", None, &applied, "one", false, now(0)).unwrap_err();
        assert_eq!(error, ApplyError::Malformed(expected.to_owned()));
    };
    refused(&|set| set["metadata"]["managedFields"] = json!([]), "metadata.managedFields must be nil");
    let patch = |error: &str| format!("failed to create typed patch object (/web; apps/v1, Kind=StatefulSet): {error}");
    refused(&|set| set["spec"]["x"] = json!(1), &patch(".spec.x: field not declared in schema"));
    refused(
        &|set| set["spec"]["replicas"] = json!("1"),
        &patch(".spec.replicas: expected numeric (int or float), got string"),
    );
    refused(
        &|set| set["spec"]["template"]["spec"]["containers"] = json!([{ "name": "a" }, { "name": "a" }]),
        &patch(".spec.template.spec.containers: duplicate entries for key {\"name\":\"a\"}"),
    );
    refused(
        &|set| set["spec"]["template"]["spec"]["containers"] = json!([{ "image": "a" }]),
        &patch(
            ".spec.template.spec.containers: element 0: associative list with keys has an element that omits key \
             field \"name\" (and has no default)",
        ),
    );
    let mut deep = json!({});
    for _ in 0..NESTING_MAX {
        deep = json!({ "spec": deep });
    }
    refused(&|set| set["spec"] = deep.clone(), "the applied object is nested deeper than 96 levels");
}

#[test]
fn entries_are_few() {
    let mut live = set(Some(0), "a:1");
    track("StatefulSet", None, &mut live, "first", None, now(0));
    for number in 1..30 {
        let before = live.clone();
        live["metadata"]["labels"][format!("l{number}")] = json!("x");
        track("StatefulSet", Some(&before), &mut live, &format!("m{number}"), None, now(number));
    }
    let names: Vec<String> = Managers::of(&live).0.into_iter().map(|entry| entry.manager).collect();
    assert_eq!(names.len(), 10, "{names:?}");
    assert_eq!(names[0], "ancient-changes");
    assert_eq!(names[9], "m29");
    assert!(managed(&live, "ancient-changes").contains(&".metadata.labels.l1".to_owned()));
}

#[test]
fn sets_are_read_as_they_are_written() {
    let written = json!({
        ".": {},
        "f:a": { ".": {}, "k:{\"name\":\"x\",\"port\":1}": { "f:b": {} } },
        "f:c": { "v:\"d\"": {}, "i:1": {} },
    });
    let mut fields = FieldSet::read(&written);
    assert_eq!(fields.write(), written);
    fields.is_member = false;
    assert_eq!(fields.paths(), [".a", ".a[name=\"x\",port=1].b", ".c[1]", ".c[=\"d\"]"]);
    let loose = json!({ "f:a": { "k:{\"port\": 1, \"name\": \"x\"}": {} }, "nonsense": {}, "k:{": {} });
    assert_eq!(FieldSet::read(&loose).write(), json!({ "f:a": { "k:{\"name\":\"x\",\"port\":1}": {} } }));
}
