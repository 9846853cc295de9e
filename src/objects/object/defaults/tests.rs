//! Defaulting against recordings of upstream (`tests/data/upstream/defaults`), and rows beside them.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::objects::object::Kind;
use serde_json::{Value, json};
use std::path::Path;

fn stored(manifest: Value) -> Value {
    let name = manifest["kind"].as_str().unwrap().to_owned();
    let kind = *Kind::ALL.iter().find(|kind| kind.name() == name).unwrap();
    let mut object = Object::from_json(kind, manifest).unwrap();
    set_defaults(&mut object);
    let once = object.clone();
    set_defaults(&mut object);
    assert_eq!(object, once, "defaulting twice");
    object.to_json()
}

fn remove(value: &mut Value, path: &[&str]) {
    let Some((last, parents)) = path.split_last() else { return };
    let parent = parents.iter().try_fold(value, |value, part| value.get_mut(*part));
    if let Some(Value::Object(fields)) = parent {
        fields.remove(*last);
    }
}

/// Takes off what the recording's cluster allocated, and what its kubelet or controllers put into the status.
fn comparable(mut value: Value) -> Value {
    remove(&mut value, &["metadata", "annotations"]);
    remove(&mut value, &["metadata", "generation"]);
    remove(&mut value, &["metadata", "ownerReferences"]);
    remove(&mut value, &["spec", "nodeName"]);
    for allocated in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        remove(&mut value, &["spec", allocated]);
    }
    if matches!(value["kind"].as_str(), Some("Pod" | "PersistentVolume" | "PodDisruptionBudget")) {
        remove(&mut value, &["status"]);
    }
    if value["spec"].get("template").is_some() {
        remove(&mut value, &["status"]);
    }
    value
}

/// A recording's applied manifest and what was stored; `None` where upstream was asked for something else (a name `n`
/// is a boolean).
fn recording(text: &str) -> Option<(Value, Value)> {
    let (applied, stored) = text.split_once("# stored")?;
    let applied: String = applied
        .lines()
        .skip(1)
        .filter(|line| !line.starts_with("# kubectl said"))
        .map(|line| format!("{}\n", line.strip_prefix("# ").unwrap_or_default()))
        .collect();
    let stored = stored.split_once('\n')?.1;
    if stored.starts_with("error:") {
        return None;
    }
    // What was stored is the last of several documents.
    let applied = applied.rsplit("\n---\n").next().unwrap_or_default();
    Some((serde_yaml::from_str(applied).unwrap(), serde_yaml::from_str(stored).unwrap()))
}

#[test]
fn recordings_of_upstream() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/upstream/defaults");
    let mut compared = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let Some((mut applied, expected)) = recording(&std::fs::read_to_string(&path).unwrap()) else { continue };
        if expected["metadata"].get("namespace").is_some() {
            applied["metadata"]["namespace"] = json!("gold");
        }
        assert_eq!(comparable(stored(applied)), comparable(expected), "{}", path.display());
        compared += 1;
    }
    assert!(compared >= 14, "{compared} recordings");
}

#[test]
fn made_by_controllers_is_defaulted_already() {
    for text in [
        include_str!("../../../../tests/data/upstream/defaults/made-pod.yaml"),
        include_str!("../../../../tests/data/upstream/defaults/made-statefulset.yaml"),
        include_str!("../../../../tests/data/upstream/defaults/made-replicaset-of-deployment.yaml"),
        include_str!("../../../../tests/data/upstream/defaults/made-pod-of-deployment.yaml"),
        include_str!("../../../../tests/data/upstream/defaults/made-pod-of-replicationcontroller.yaml"),
        include_str!("../../../../tests/data/upstream/defaults/made-pod-of-daemonset.yaml"),
    ] {
        let value: Value = serde_yaml::from_str(text).unwrap();
        assert_eq!(comparable(stored(value.clone())), comparable(value));
    }
}

#[track_caller]
fn check(manifest: Value, pointer: &str, expected: Value) {
    let stored = stored(manifest.clone());
    assert_eq!(stored.pointer(pointer).cloned().unwrap_or_default(), expected, "{pointer} of {manifest}");
}

#[test]
fn rows() {
    let service = |spec: Value| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": spec});
    let set =
        |spec: Value| json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "a"}, "spec": spec});
    let pod = |spec: Value| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec});
    let image = |image: &str| pod(json!({"containers": [{"name": "a", "image": image}]}));

    check(service(json!({})), "/metadata/namespace", json!("default"));
    let volume = json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "a", "namespace": "x"}});
    check(volume, "/metadata/namespace", Value::Null);

    let node_port = service(json!({"type": "NodePort", "ports": [{"port": 80}]}));
    check(node_port.clone(), "/spec/externalTrafficPolicy", json!("Cluster"));
    check(node_port, "/spec/ports/0", json!({"port": 80, "protocol": "TCP", "targetPort": 80}));
    check(service(json!({"type": "LoadBalancer"})), "/spec/allocateLoadBalancerNodePorts", json!(true));
    let affinity = service(json!({"sessionAffinity": "ClientIP"}));
    check(affinity, "/spec/sessionAffinityConfig/clientIP/timeoutSeconds", json!(10800));
    check(service(json!({"clusterIP": "", "clusterIPs": []})), "/spec/clusterIP", Value::Null);
    let affinity = service(json!({"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}}}));
    check(affinity, "/spec/sessionAffinityConfig", Value::Null);

    check(set(json!({})), "/spec/replicas", json!(1));
    check(
        set(json!({"updateStrategy": {"type": "RollingUpdate"}})),
        "/spec/updateStrategy",
        json!({"type": "RollingUpdate"}),
    );

    for (name, policy) in [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1", "IfNotPresent"),
        ("registry.example:5000/nginx", "Always"),
        ("registry.example:5000/nginx:2", "IfNotPresent"),
        ("nginx@sha256:00", "IfNotPresent"),
    ] {
        check(image(name), "/spec/containers/0/imagePullPolicy", json!(policy));
    }
    check(image("a"), "/status", json!({"phase": "Pending", "qosClass": "BestEffort"}));
    let limited = json!({"limits": {"cpu": "1000m", "memory": "1024Mi"}});
    let limited = pod(json!({"containers": [{"name": "a", "resources": limited}]}));
    check(limited.clone(), "/spec/containers/0/resources/requests", json!({"cpu": "1", "memory": "1Gi"}));
    check(limited, "/status/qosClass", json!("Guaranteed"));
    check(pod(json!({"volumes": [{"name": "v"}]})), "/spec/volumes/0/emptyDir", json!({}));
    check(pod(json!({"volumes": [{"name": "v", "secret": {}}]})), "/spec/volumes/0/secret/defaultMode", json!(420));
}
