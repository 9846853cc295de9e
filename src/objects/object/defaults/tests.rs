//! Defaulting against recordings of upstream (`tests/data/upstream/defaults`), and rows beside them.

use super::*;
use crate::objects::object::{
    Kind,
    schema::{Schema, SchemaType},
};
use proptest::prelude::*;
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
    // What is generated of a Job's uid.
    if value["kind"] == "Job" {
        for path in [&["metadata", "labels"][..], &["spec", "selector"], &["spec", "template", "metadata"]] {
            remove(&mut value, path);
        }
    }
    for allocated in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        remove(&mut value, &["spec", allocated]);
    }
    let kind = Kind::from_name(value["kind"].as_str().unwrap()).unwrap();
    let has_given_status = matches!(kind, Kind::Namespace | Kind::Service | Kind::PersistentVolumeClaim | Kind::Node);
    if !has_given_status && kind.has_status() {
        remove(&mut value, &["status"]);
    }
    without_nulls(value)
}

/// Go writes some of what is not there as null.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
            fields.map(|(name, value)| (name, without_nulls(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

/// Recordings of what needs more than defaults: another version of the kind, and what a controller filled in.
const MORE_THAN_DEFAULTS: [&str; 2] = ["hpa-v1.yaml", "secret-service-account-token.yaml"];

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
        if MORE_THAN_DEFAULTS.contains(&path.file_name().unwrap().to_str().unwrap()) {
            continue;
        }
        let Some((mut applied, mut expected)) = recording(&std::fs::read_to_string(&path).unwrap()) else { continue };
        // The default class is given by admission, which knows the others.
        if applied["kind"] == "Ingress" && applied["spec"].get("ingressClassName").is_none() {
            remove(&mut expected, &["spec", "ingressClassName"]);
        }
        if expected["metadata"].get("namespace").is_some() {
            applied["metadata"]["namespace"] = json!("gold");
        }
        assert_eq!(comparable(stored(applied)), comparable(expected), "{}", path.display());
        compared += 1;
    }
    assert!(compared >= 45, "{compared} recordings");
}

#[test]
fn made_by_controllers_is_defaulted_already() {
    for text in [
        include_str!("../../../../tests/data/upstream/defaults/made-pod.yaml"),
        include_str!("../../../../tests/data/upstream/defaults/made-statefulset.yaml"),
        include_str!("../../../../tests/data/upstream/defaults/made-configmap-kube-root-ca.yaml"),
        include_str!("../../../../tests/data/upstream/defaults/made-node.yaml"),
        include_str!("../../../../tests/data/upstream/defaults/made-serviceaccount-default.yaml"),
        include_str!("../../../../tests/data/upstream/defaults/made-replicaset-of-deployment.yaml"),
        include_str!("../../../../tests/data/upstream/defaults/made-pod-of-deployment.yaml"),
        include_str!("../../../../tests/data/upstream/defaults/made-pod-of-replicationcontroller.yaml"),
        include_str!("../../../../tests/data/upstream/defaults/made-job-from-cronjob.yaml"),
        include_str!("../../../../tests/data/upstream/defaults/made-pod-of-job.yaml"),
        include_str!("../../../../tests/data/upstream/defaults/made-pod-of-indexed-job.yaml"),
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

#[test]
fn rows_of_stored_kinds() {
    let of = |kind: Kind, rest: Value| {
        let mut json = json!({"apiVersion": kind.api_version(), "kind": kind.name(), "metadata": {"name": "a"}});
        json.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        json
    };
    check(of(Kind::ConfigMap, json!({"data": {}})), "/data", Value::Null);
    check(of(Kind::Secret, json!({"stringData": {"a": "ä"}, "data": {"a": "AA=="}})), "/data", json!({"a": "w6Q="}));
    check(of(Kind::Secret, json!({"stringData": {"a": "b"}})), "/stringData", Value::Null);
    check(of(Kind::Secret, json!({"type": ""})), "/type", json!("Opaque"));
    let binding = json!({"roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "Group", "name": "g"}]});
    check(of(Kind::RoleBinding, binding.clone()), "/roleRef/apiGroup", json!("rbac.authorization.k8s.io"));
    check(of(Kind::ClusterRoleBinding, binding), "/subjects/0/apiGroup", json!("rbac.authorization.k8s.io"));
    let policy = json!({"spec": {"podSelector": {}, "egress": [{}]}});
    check(of(Kind::NetworkPolicy, policy), "/spec/policyTypes", json!(["Ingress", "Egress"]));
    let webhook = json!({"name": "a.b.c", "clientConfig": {"service": {"namespace": "n", "name": "s"}},
        "rules": [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}],
        "sideEffects": "None", "admissionReviewVersions": ["v1"]});
    let hooks = |kind| of(kind, json!({"webhooks": [webhook]}));
    for (pointer, expected) in [
        ("/webhooks/0/failurePolicy", json!("Fail")),
        ("/webhooks/0/timeoutSeconds", json!(10)),
        ("/webhooks/0/rules/0/scope", json!("*")),
        ("/webhooks/0/clientConfig/service/port", json!(443)),
        ("/webhooks/0/objectSelector", json!({})),
    ] {
        check(hooks(Kind::ValidatingWebhookConfiguration), pointer, expected.clone());
        check(hooks(Kind::MutatingWebhookConfiguration), pointer, expected);
    }
    check(hooks(Kind::MutatingWebhookConfiguration), "/webhooks/0/reinvocationPolicy", json!("Never"));
    let driver = of(Kind::CSIDriver, json!({"spec": {}}));
    check(driver.clone(), "/spec/volumeLifecycleModes", json!(["Persistent"]));
    check(driver, "/spec/attachRequired", json!(true));
    check(of(Kind::FlowSchema, json!({"spec": {}})), "/spec/matchingPrecedence", json!(1000));
    let queue = json!({"type": "Queue", "queuing": {"queues": 8}});
    let level = json!({"spec": {"type": "Limited", "limited": {"limitResponse": queue}}});
    let queuing = json!({"queues": 8, "handSize": 8, "queueLengthLimit": 50});
    check(of(Kind::PriorityLevelConfiguration, level), "/spec/limited/limitResponse/queuing", queuing);
    check(of(Kind::Node, json!({"spec": {"podCIDR": "10.0.0.0/24"}})), "/spec/podCIDRs", json!(["10.0.0.0/24"]));
    let capacity = json!({"status": {"capacity": {"memory": "1024Mi"}}});
    check(of(Kind::Node, capacity), "/status/allocatable/memory", json!("1Gi"));
    let overhead = json!({"handler": "x", "overhead": {"podFixed": {"cpu": "1000m"}}});
    check(of(Kind::RuntimeClass, overhead), "/overhead/podFixed/cpu", json!("1"));
    let limits = json!({"spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}, "min": {"memory": 0}}]}});
    check(of(Kind::LimitRange, limits.clone()), "/spec/limits/0/defaultRequest", json!({"cpu": "2", "memory": "0"}));
    check(of(Kind::LimitRange, limits), "/spec/limits/0/default", json!({"cpu": "2"}));
}

/// A value of a type, made from a number.
fn made(of: &SchemaType, seed: &mut u64, depth: usize) -> Option<Value> {
    let mut draw = |choices: u64| {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 33) % choices
    };
    let chosen = draw(4) as usize;
    Some(match of {
        SchemaType::Any | SchemaType::Free => return None,
        SchemaType::Boolean => json!(chosen > 1),
        SchemaType::Int32 | SchemaType::Int64 => json!([0, 1, 3, 80][chosen]),
        SchemaType::String => json!(["", "Container", "Limited", "Queue"][chosen]),
        SchemaType::Bytes => json!(["", "AA==", "YQ==", "w6Q="][chosen]),
        SchemaType::Time => json!("2026-01-01T00:00:00Z"),
        SchemaType::MicroTime => json!("2026-01-01T00:00:00.000000Z"),
        SchemaType::Quantity => json!(["1000m", "1024Mi", "0.5", "1"][chosen]),
        SchemaType::IntOrString => json!("50%"),
        SchemaType::List(inner) => (0..chosen).filter_map(|_| made(inner, seed, depth + 1)).collect(),
        SchemaType::Map(inner) => {
            let entries = (0..chosen).filter_map(|n| Some((format!("k{n}"), made(inner, seed, depth + 1)?)));
            Value::Object(entries.collect())
        }
        SchemaType::Object(name) => {
            let mut fields = serde_json::Map::new();
            for field in &Schema::named(name)?.fields {
                let is_there = field.is_required || depth < 6 && made(&SchemaType::Boolean, seed, 0)? == true;
                if is_there && let Some(value) = made(&field.of, seed, depth + 1) {
                    fields.insert(field.name.to_owned(), value);
                }
            }
            Value::Object(fields)
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn setting_defaults_twice_changes_nothing(seed in any::<u64>()) {
        for (number, &kind) in (0..).zip(Kind::ALL) {
            let mut seed = seed ^ number;
            let schema = Schema::of(kind.name()).unwrap();
            let mut object = made(&SchemaType::Object(schema.name), &mut seed, 0).unwrap();
            object["metadata"] = json!({"name": "a"});
            object["apiVersion"] = kind.api_version().into();
            object["kind"] = kind.name().into();
            // What cannot be decoded is none of this function's.
            let Ok(mut object) = Object::from_json(kind, object) else { continue };
            set_defaults(&mut object);
            let once = object.clone();
            set_defaults(&mut object);
            prop_assert_eq!(object.to_json(), once.to_json(), "{}", kind.name());
        }
    }
}
