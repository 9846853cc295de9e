//! The store's own rules, as rows.

use super::*;
use serde_json::{Value, json};

fn now() -> Timestamp {
    "2026-01-01T00:00:00.75Z".parse().unwrap()
}

fn object(kind: Kind, json: Value) -> Object {
    let mut object = Object::from_json(kind, json).unwrap();
    if kind.is_namespaced() {
        object.metadata_mut().namespace = Some("default".to_owned());
    }
    object
}

fn pod(name: &str, node: Option<&str>, finalizers: &[&str]) -> Object {
    let spec =
        json!({"containers": [{"name": "a", "image": "a"}], "nodeName": node, "terminationGracePeriodSeconds": 30});
    object(Kind::Pod, json!({"metadata": {"name": name, "finalizers": finalizers}, "spec": spec}))
}

#[test]
fn the_store_allocates_identity() {
    let mut cluster = Cluster::new(1);
    let mut names = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let json = json!({"metadata": {"generateName": "nginx-", "uid": "mine", "generation": 7},
                          "addressType": "IPv4", "endpoints": []});
        let key = cluster.create(object(Kind::EndpointSlice, json), now()).unwrap();
        let metadata = cluster.get(&key).unwrap().metadata().clone();
        let uid = metadata.uid.unwrap();
        let parts: Vec<usize> = uid.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12], "{uid}");
        assert!(uid.as_bytes()[14] == b'4' && b"89ab".contains(&uid.as_bytes()[19]), "{uid} is of version 4");
        assert_eq!(metadata.generation, Some(1));
        assert_eq!(metadata.resource_version, Some(cluster.resource_version().to_string()));
        assert_eq!(metadata.creation_timestamp.unwrap().0.to_string(), "2026-01-01T00:00:00Z");
        let suffix = key.name.strip_prefix("nginx-").unwrap();
        assert!(suffix.len() == 5 && suffix.bytes().all(|byte| b"bcdfghjklmnpqrstvwxz2456789".contains(&byte)));
        assert!(names.insert(key.name));
    }
    let error = cluster.create(object(Kind::Pod, json!({"metadata": {}})), now()).unwrap_err();
    assert_eq!(error.to_string(), "Pod: name or generateName is required");
    let long = json!({"metadata": {"generateName": "x".repeat(80)}});
    assert_eq!(cluster.create(object(Kind::Pod, long), now()).unwrap().name.len(), 63);
}

#[test]
fn the_generation_grows_with_the_spec_only() {
    let mut cluster = Cluster::new(1);
    let key = cluster.create(pod("a", None, &[]), now()).unwrap();
    assert_eq!(cluster.create(pod("a", None, &[]), now()).unwrap_err().to_string(), "pods \"a\" already exists");
    let edits: [(&str, Value, i64, bool); 6] = [
        ("/metadata/labels", json!({"a": "b"}), 1, true),
        ("/metadata/labels", json!({"a": "b"}), 1, false),
        ("/status", json!({"phase": "Running"}), 1, true),
        ("/spec/nodeName", json!("node"), 1, true),
        ("/spec/containers/0/image", json!("b"), 2, true),
        ("/metadata/uid", json!("other"), 2, false),
    ];
    for (path, value, generation, changes) in edits {
        let mut json = cluster.get(&key).unwrap().to_json();
        let (parent, field) = path.rsplit_once('/').unwrap();
        json.pointer_mut(parent).unwrap()[field] = value;
        let before = cluster.resource_version();
        assert_eq!(cluster.update(Object::from_json(Kind::Pod, json).unwrap()), Ok(changes), "{path}");
        assert_eq!(cluster.resource_version(), before + u64::from(changes), "{path}");
        assert_eq!(cluster.get(&key).unwrap().metadata().generation, Some(generation), "{path}");
    }
    assert_eq!(cluster.update(pod("b", None, &[])).unwrap_err().to_string(), "pods \"b\" not found");
}

/// What comes of deletions with these graces, one after the other, and the graces that stand then.
#[track_caller]
fn check(pod: Object, graces: &[Option<i64>], expected: &[(Deleted, Option<i64>)]) {
    let mut cluster = Cluster::new(1);
    let key = cluster.create(pod, now()).unwrap();
    let mut got = Vec::new();
    for grace in graces {
        let deleted = cluster.delete(&key, *grace, now()).unwrap();
        got.push((deleted, cluster.get(&key).and_then(|pod| pod.metadata().deletion_grace_period_seconds)));
    }
    assert_eq!(got, expected, "{graces:?}");
}

#[test]
fn deletion_is_graceful() {
    use Deleted::{Gone, Marked, Unchanged};
    check(pod("started", Some("node"), &[]), &[None, None], &[(Marked, Some(30)), (Unchanged, Some(30))]);
    check(pod("shorter", Some("node"), &[]), &[Some(20), Some(25)], &[(Marked, Some(20)), (Unchanged, Some(20))]);
    check(
        pod("shortened", Some("node"), &[]),
        &[None, Some(5), Some(0)],
        &[(Marked, Some(30)), (Marked, Some(5)), (Gone, None)],
    );
    check(pod("never-started", None, &[]), &[None], &[(Gone, None)]);
    check(pod("negative", Some("node"), &[]), &[Some(-1)], &[(Marked, Some(1))]);
    check(pod("kept", Some("node"), &["x"]), &[Some(0), Some(0)], &[(Marked, Some(0)), (Unchanged, Some(0))]);
}

#[test]
fn an_object_goes_with_its_last_finalizer() {
    let mut cluster = Cluster::new(1);
    let claim = |finalizers: &[&str]| {
        object(Kind::PersistentVolumeClaim, json!({"metadata": {"name": "c", "finalizers": finalizers}}))
    };
    let key = cluster.create(claim(&["a", "b"]), now()).unwrap();
    assert_eq!(cluster.delete(&key, None, now()), Ok(Deleted::Marked));
    cluster.update(claim(&["b"])).unwrap();
    assert!(cluster.get(&key).is_some_and(|claim| claim.metadata().deletion_timestamp.is_some()));
    cluster.update(claim(&[])).unwrap();
    assert_eq!(cluster.get(&key), None);
    let log: Vec<(bool, bool)> =
        cluster.take_changes().iter().map(|change| (change.before.is_some(), change.after.is_some())).collect();
    assert_eq!(log, [(false, true), (true, true), (true, true), (true, true), (true, false)]);
}

#[test]
fn services_with_one_pair_in_common_are_found_by_the_other() {
    let mut cluster = Cluster::new(1);
    for number in 0..100 {
        let selector = json!({"app": "nginx", "pod": number.to_string()});
        let service = json!({"metadata": {"name": format!("s{number}")}, "spec": {"selector": selector}});
        cluster.create(object(Kind::Service, service), now()).unwrap();
        let labels = json!({"app": "nginx", "pod": number.to_string(), "tier": "db"});
        cluster
            .create(object(Kind::Pod, json!({"metadata": {"name": format!("p{number}"), "labels": labels}})), now())
            .unwrap();
    }
    for number in 0..100 {
        let labels = cluster.pod("default", &format!("p{number}")).unwrap().metadata.labels.clone().unwrap();
        assert_eq!(cluster.services_of_labels("default", Some(&labels)), [format!("s{number}")]);
        // Two candidates at most: the one that came first stands under the pair in common.
        assert!(cluster.index.services_that_may_select("default", &labels).count() <= 2);
        let service = cluster.service("default", &format!("s{number}")).unwrap();
        let pods: Vec<_> = cluster.pods_of_service(service).iter().map(|pod| pod.metadata.name.clone()).collect();
        assert_eq!(pods, [Some(format!("p{number}"))]);
    }
}
