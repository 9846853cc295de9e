//! Pods of every shape that the lifecycle tells apart, and how their processes behave.

use fastrand::Rng;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

/// A pod that a seed made up.
pub fn pod(rng: &mut Rng, name: &str, uid: &str) -> Pod {
    let policy = ["Always", "Always", "OnFailure", "Never"][rng.usize(0..4)];
    let inits: Vec<Value> = (0..rng.usize(0..3)).map(|at| init(rng, at)).collect();
    let mains: Vec<Value> = (0..rng.usize(1..3)).map(|at| container(rng, &format!("c{at}"))).collect();
    let grace = [0, 1, 5, 30][rng.usize(0..4)];
    let mut spec = json!({
        "nodeName": "node",
        "restartPolicy": policy,
        "initContainers": inits,
        "containers": mains,
        "terminationGracePeriodSeconds": grace,
    });
    if rng.u8(0..8) == 0 {
        spec["volumes"] = json!([{"name": "conf", "configMap": {"name": "conf"}}]);
    }
    if rng.u8(0..10) == 0 {
        spec["activeDeadlineSeconds"] = json!(rng.u32(1..300));
    }
    let value = json!({"metadata": {"name": name, "namespace": "default", "uid": uid}, "spec": spec});
    serde_json::from_value(value).unwrap()
}

fn init(rng: &mut Rng, at: usize) -> Value {
    let mut init = container(rng, &format!("i{at}"));
    if rng.bool() {
        init["restartPolicy"] = json!("Always");
    } else {
        for probe in ["startupProbe", "readinessProbe", "livenessProbe", "lifecycle"] {
            init.as_object_mut().unwrap().remove(probe);
        }
    }
    init
}

fn container(rng: &mut Rng, name: &str) -> Value {
    let image = ["app:1", "app:1", "app:1", "app:latest", "absent:1"][rng.usize(0..5)];
    let mut container = json!({"name": name, "image": image});
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        if rng.u8(0..3) == 0 {
            container[probe] = json!({
                "exec": {"command": [probe]},
                "initialDelaySeconds": rng.u32(0..4),
                "periodSeconds": rng.u32(1..11),
                "failureThreshold": rng.u32(1..4),
            });
            if rng.bool() && probe != "readinessProbe" {
                container[probe]["terminationGracePeriodSeconds"] = json!(rng.u32(1..20));
            }
        }
    }
    for hook in ["postStart", "preStop"] {
        if rng.u8(0..4) == 0 {
            container["lifecycle"][hook] = json!({"exec": {"command": [hook]}});
        }
    }
    if rng.u8(0..12) == 0 {
        container["envFrom"] = json!([{"configMapRef": {"name": "conf"}}]);
    }
    container
}
