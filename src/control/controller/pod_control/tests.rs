//! Pods of a template, whose they are, and which of them goes first.

#![allow(clippy::unwrap_used)]
use super::{deletion_order::DELETION_COST_ANNOTATION, *};
use crate::{control::controller::shared::Context, objects::object::selector};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::{Value, json};

const NOW: i64 = 1_000_000;

fn pod(name: &str, with: &Value) -> Arc<Pod> {
    let mut json = json!({
        "metadata": {"name": name, "uid": name, "creationTimestamp": Timestamp::from_second(NOW - 100).unwrap()},
        "spec": {"nodeName": "node", "containers": []},
        "status": {"phase": "Running", "conditions": [ready(50)]},
    });
    merge(&mut json, with);
    Arc::new(serde_json::from_value(json).unwrap())
}

fn merge(json: &mut Value, with: &Value) {
    match (json, with) {
        (Value::Object(json), Value::Object(with)) => {
            for (key, value) in with {
                merge(json.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (json, with) => *json = with.clone(),
    }
}

fn ready(for_seconds: i64) -> Value {
    json!({"type": "Ready", "status": "True", "lastTransitionTime": Timestamp::from_second(NOW - for_seconds).unwrap()})
}

#[test]
fn of_two_pods_the_first_goes() {
    let cost = |cost: &str| json!({"metadata": {"annotations": {DELETION_COST_ANNOTATION: cost}}});
    let phase = |phase: &str| json!({"status": {"phase": phase, "conditions": []}});
    let ready_for = |seconds: i64| json!({"status": {"conditions": [ready(seconds)]}});
    let restarts = |count: i32| {
        let status = json!({"name": "a", "image": "", "imageID": "", "ready": true, "restartCount": count});
        json!({"status": {"containerStatuses": [status]}})
    };
    let created =
        |seconds: i64| json!({"metadata": {"creationTimestamp": Timestamp::from_second(NOW - seconds).unwrap()}});
    let any = json!({});
    // What goes first, what goes then. The first has the greater uid, so that it is not chance.
    let rows = [
        (json!({"spec": {"nodeName": null}}), cost("-5")),
        (phase("Pending"), phase("Unknown")),
        (phase("Unknown"), phase("Running")),
        (phase("Running"), any.clone()),
        (phase("Running"), cost("-5")),
        (cost("-5"), any.clone()),
        (any.clone(), cost("5")),
        // Neither is a number as upstream reads one.
        (cost("-5"), cost("-0100")),
        (cost("-1"), cost("+1")),
        (json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}), ready_for(1)),
        (ready_for(1), ready_for(50)),
        // Of one order of magnitude (33 to 68 seconds are), so that the restarts decide.
        (restarts(2), restarts(1)),
        (created(10), created(1000)),
    ];
    for (first, then) in rows {
        let mut pods = vec![pod("a", &then), pod("b", &first)];
        sort_for_deletion(&mut pods, |_| 1, Timestamp::from_second(NOW).unwrap());
        assert_eq!(pods[0].metadata.name.as_deref(), Some("b"), "{first} before {then}");
    }
    let mut pods = vec![pod("a", &any), pod("b", &any)];
    sort_for_deletion(
        &mut pods,
        |pod| pod.metadata.name.as_deref().unwrap().len(),
        Timestamp::from_second(NOW).unwrap(),
    );
    assert_eq!(pods[0].metadata.name.as_deref(), Some("a"), "the uid decides");
    sort_for_deletion(
        &mut pods,
        |pod| usize::from(pod.metadata.name.as_deref() == Some("b")),
        Timestamp::from_second(NOW).unwrap(),
    );
    assert_eq!(pods[0].metadata.name.as_deref(), Some("b"), "the node with more related pods");
}

#[test]
fn batches_grow_until_one_fails() {
    // How many are wanted, at which call it fails, how many calls are made, how many succeed.
    for (count, fails_at, calls, successes) in
        [(0, 9, 0, 0), (1, 9, 1, 1), (10, 99, 10, 10), (10, 0, 1, 0), (10, 1, 3, 2), (10, 4, 7, 6), (10, 9, 10, 9)]
    {
        let mut called = 0;
        let (succeeded, error) = slow_start(count, || {
            called += 1;
            if called == fails_at + 1 { Err(called) } else { Ok(()) }
        });
        assert_eq!((called, succeeded), (calls, successes), "{count}, fails at {fails_at}");
        assert_eq!(error.is_some(), fails_at < count);
    }
}

#[test]
fn names_of_pods_begin_with_their_owners() {
    for (owner, expected) in
        [("web", "web-".to_owned()), ("a.b", "a.b-".to_owned()), (&"a".repeat(253), "a".repeat(253))]
    {
        assert_eq!(generate_name(owner), expected);
    }
}

/// A namespace with an owner that selects `app: web`, and pods.
fn context(owner: &Value, pods: &[Value]) -> (Context, Object) {
    let (mut context, now) = (Context::new(1), Timestamp::from_second(NOW).unwrap());
    context.now = now;
    let namespace = json!({"metadata": {"name": "default"}});
    context.cluster.create(Object::from_json(Kind::Namespace, namespace).unwrap(), now).unwrap();
    let mut set = json!({"metadata": {"name": "web", "namespace": "default"}});
    merge(&mut set, owner);
    let key = context.cluster.create(Object::from_json(Kind::ReplicaSet, set).unwrap(), now).unwrap();
    let owner = context.cluster.get(&key).unwrap().clone();
    for pod in pods {
        let mut json = json!({"metadata": {"namespace": "default", "labels": {"app": "web"}}});
        merge(&mut json, pod);
        if json["metadata"]["ownerReferences"] == json!("the owner") {
            json["metadata"]["ownerReferences"] = json!([controller_reference(Kind::ReplicaSet, owner.metadata())]);
        }
        context.cluster.create(Object::from_json(Kind::Pod, json).unwrap(), now).unwrap();
    }
    (context, owner)
}

#[test]
fn adoption_and_release() {
    let other =
        json!([{"apiVersion": "v1", "kind": "ReplicationController", "name": "x", "uid": "x", "controller": true}]);
    let pods = [
        json!({"metadata": {"name": "foreign", "ownerReferences": other}}),
        json!({"metadata": {"name": "orphan"}}),
        json!({"metadata": {"name": "other-label", "labels": {"app": "x"}}}),
        json!({"metadata": {"name": "own", "ownerReferences": "the owner"}}),
        json!({"metadata": {"name": "relabelled", "labels": {"app": "x"}, "ownerReferences": "the owner",
                            "finalizers": ["example.com/counted"]}}),
    ];
    let deleted = json!({"metadata": {"finalizers": ["example.com/waits"]}});
    for (owner, is_deleted, expected, still_owned) in [
        (json!({}), false, vec!["orphan", "own"], vec!["orphan", "own"]),
        (deleted, true, vec!["own"], vec!["own", "relabelled"]),
    ] {
        let (mut context, mut owner) = context(&owner, &pods);
        if is_deleted {
            deletion::delete(&mut context.cluster, &owner.key(), Deletion::default(), context.now).unwrap();
            owner = context.cluster.get(&owner.key()).unwrap().clone();
        }
        let selector: LabelSelector = serde_json::from_value(json!({"matchLabels": {"app": "web"}})).unwrap();
        let selects = |metadata: &ObjectMeta| selector::matches(&selector, metadata.labels.as_ref().unwrap());
        let claim = Claim { owner: &owner, selects: &selects, finalizer: Some("example.com/counted") };
        let claimed = claim.pods(&mut context.cluster);
        let names: Vec<_> = claimed.iter().filter_map(|pod| pod.metadata.name.as_deref()).collect();
        assert_eq!(names, expected);
        let uid = owner.metadata().uid.clone().unwrap();
        let owned = context.cluster.dependents_of_kind(&uid, Kind::Pod);
        let owned: Vec<_> = owned.map(|pod| pod.metadata().name.clone().unwrap()).collect();
        assert_eq!(owned, still_owned);
        let finalized = |name: &str| context.cluster.pod("default", name).unwrap().metadata.finalizers.is_some();
        assert_eq!((finalized("orphan"), finalized("relabelled")), (!is_deleted, is_deleted));
        assert_eq!(claim.pods(&mut context.cluster), claimed, "the second time changes nothing");
    }
}

#[test]
fn pods_are_made_and_deleted_with_events() {
    let template = |labels: Value| -> PodTemplateSpec {
        let spec = json!({"containers": [{"name": "a", "image": "x"}]});
        serde_json::from_value(json!({"metadata": {"labels": labels}, "spec": spec})).unwrap()
    };
    let mut bad_port = template(json!({"app": "web"}));
    bad_port.spec.as_mut().unwrap().containers[0].ports =
        serde_json::from_value(json!([{"containerPort": 0}])).unwrap();
    let rows = [
        (template(json!({"app": "web"})), "Normal SuccessfulCreate Created pod: NAME"),
        (template(json!({})), "Warning FailedCreate Error creating: unable to create pods, no labels"),
        (
            bad_port,
            "Warning FailedCreate Error creating: Pod \"NAME\" is invalid: \
             spec.containers[0].ports[0].containerPort: Required value",
        ),
    ];
    for (template, expected) in rows {
        let (mut context, owner) = context(&json!({}), &[]);
        let created = create_pod(&owner, new_pod(&owner, &template), "replicaset-controller", &mut context);
        assert_eq!(created.is_ok(), expected.starts_with("Normal"));
        let event = context.cluster.events().next().unwrap().clone();
        let message = event.message.clone().unwrap();
        let name = message.find("web-").map_or("no name", |at| &message[at..at + "web-".len() + 5]);
        let told = format!("{} {} {message}", event.type_.as_deref().unwrap(), event.reason.as_deref().unwrap());
        assert_eq!(told.replace(name, "NAME"), expected);
        if let Ok(key) = created {
            let pod = context.cluster.pod(&key.namespace, &key.name).unwrap().clone();
            assert_eq!(pod.metadata.owner_references.as_ref().unwrap()[0].block_owner_deletion, Some(true));
            assert!(delete_pod(&owner, &pod, "replicaset-controller", &mut context));
            assert!(!delete_pod(&owner, &pod, "replicaset-controller", &mut context), "it is gone");
            let reasons: Vec<_> = context.cluster.events().filter_map(|event| event.reason.clone()).collect();
            assert_eq!(reasons, ["SuccessfulCreate", "SuccessfulDelete"]);
        }
    }
    let (mut context, owner) = context(&json!({}), &[]);
    context
        .cluster
        .edit_namespace("", "default", |namespace| namespace.metadata.finalizers = Some(vec!["a/b".to_owned()]));
    context.cluster.delete(&ObjectKey::new(Kind::Namespace, "", "default"), None, context.now).unwrap();
    let created =
        create_pod(&owner, new_pod(&owner, &template(json!({"a": "b"}))), "replicaset-controller", &mut context);
    assert!(matches!(created, Err(NotStored::NamespaceTerminating(_))), "{created:?}");
    assert_eq!(context.cluster.events().count(), 0);
}
