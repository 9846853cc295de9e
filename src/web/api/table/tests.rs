//! Rows as kubectl printed them against upstream, and objects of every shape.

use super::*;
use crate::web::api::resource::RESOURCES;
use proptest::prelude::*;

const NOW: &str = "2026-11-21T02:07:18Z";

/// Prints cells as kubectl does.
fn printed(cells: Vec<Value>) -> Vec<String> {
    cells.into_iter().map(|cell| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned)).collect()
}

/// `row` are the cells of all columns, separated by ` | `.
fn check(kind: &str, object: &Value, row: &str) {
    let cells = printed(cells(kind, object, NOW.parse().unwrap()));
    assert_eq!(cells.join(" | "), row, "{object}");
    assert_eq!(cells.len(), columns_of(kind).len(), "{kind}");
}

/// An object of thirteen seconds.
fn named(name: &str, rest: Value) -> Value {
    let mut object = json!({"metadata": {"name": name, "creationTimestamp": "2026-11-21T02:07:05Z"}});
    for (key, value) in rest.as_object().into_iter().flatten() {
        match (key.as_str(), value) {
            ("metadata", Value::Object(more)) => {
                object["metadata"].as_object_mut().unwrap().extend(more.clone());
            }
            _ => object[key] = value.clone(),
        }
    }
    object
}

#[test]
fn deployments_and_what_they_make() {
    let template = json!({"spec": {"containers": [{"name": "a", "image": "nginx:1"}, {"name": "b", "image": "x"}]}});
    let spec = |selector: Value| json!({"replicas": 2, "selector": selector, "template": template});
    let labels = spec(json!({"matchLabels": {"app": "d"}}));
    let status = json!({"replicas": 2, "readyReplicas": 2, "updatedReplicas": 1, "availableReplicas": 2});
    let web = named("web", json!({"spec": labels, "status": status}));
    check("Deployment", &web, "web | 2/2 | 1 | 2 | 13s | a,b | nginx:1,x | app=d");
    check("Deployment", &named("web", json!({"spec": labels})), "web | 0/2 | 0 | 0 | 13s | a,b | nginx:1,x | app=d");
    check("ReplicaSet", &web, "web | 2 | 2 | 2 | 13s | a,b | nginx:1,x | app=d");
    let map = named("old", json!({"spec": spec(json!({"app": "old"})), "status": status}));
    check("ReplicationController", &map, "old | 2 | 2 | 2 | 13s | a,b | nginx:1,x | app=old");
    check("ReplicationController", &named("old", json!({})), "old | 0 | 0 | 0 | 13s |  |  | <none>");
}

#[test]
fn headers() {
    for (kind, expected) in [
        ("StatefulSet", "NAME READY AGE CONTAINERS* IMAGES*"),
        ("Deployment", "NAME READY UP-TO-DATE AVAILABLE AGE CONTAINERS* IMAGES* SELECTOR*"),
        ("ReplicaSet", "NAME DESIRED CURRENT READY AGE CONTAINERS* IMAGES* SELECTOR*"),
        ("ReplicationController", "NAME DESIRED CURRENT READY AGE CONTAINERS* IMAGES* SELECTOR*"),
        ("Pod", "NAME READY STATUS RESTARTS AGE IP* NODE* NOMINATED NODE* READINESS GATES*"),
        ("Service", "NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE SELECTOR*"),
        (
            "PersistentVolumeClaim",
            "NAME STATUS VOLUME CAPACITY ACCESS MODES STORAGECLASS VOLUMEATTRIBUTESCLASS AGE VOLUMEMODE*",
        ),
        (
            "PersistentVolume",
            "NAME CAPACITY ACCESS MODES RECLAIM POLICY STATUS CLAIM STORAGECLASS VOLUMEATTRIBUTESCLASS REASON AGE \
             VOLUMEMODE*",
        ),
        ("StorageClass", "NAME PROVISIONER RECLAIMPOLICY VOLUMEBINDINGMODE ALLOWVOLUMEEXPANSION AGE"),
        ("EndpointSlice", "NAME ADDRESSTYPE PORTS ENDPOINTS AGE"),
        ("Endpoints", "NAME ENDPOINTS AGE"),
        ("ControllerRevision", "NAME CONTROLLER REVISION AGE"),
        ("Event", "LAST SEEN TYPE REASON OBJECT SUBOBJECT* SOURCE* MESSAGE FIRST SEEN* COUNT* NAME*"),
        ("Job", "NAME STATUS COMPLETIONS DURATION AGE CONTAINERS* IMAGES* SELECTOR*"),
        ("CronJob", "NAME SCHEDULE TIMEZONE SUSPEND ACTIVE LAST SCHEDULE AGE CONTAINERS* IMAGES* SELECTOR*"),
        ("Namespace", "NAME STATUS AGE"),
        ("Scale", "NAME DESIRED AVAILABLE AGE"),
    ] {
        let header = |column: &Value| {
            let star = if column["priority"] == 1 { "*" } else { "" };
            format!("{}{star}", column["name"].as_str().unwrap().to_uppercase())
        };
        let headers: Vec<String> = columns(kind).iter().map(header).collect();
        assert_eq!(headers.join(" "), expected);
    }
}

/// Headings and rows that kubectl printed of a real v1.36 (all columns, those of `-o wide` included).
#[test]
fn rows_of_stored_kinds_as_recorded() {
    let selector = json!({"matchLabels": {"app": "d"}});
    let subjects = json!([{"kind": "User", "name": "jane"}, {"kind": "Group", "name": "devs"},
        {"kind": "ServiceAccount", "name": "sa", "namespace": "gold-v"}]);
    let cpu = json!({"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 50}}});
    let info = json!({"kubeletVersion": "v1.36.2", "osImage": "Debian GNU/Linux 12 (bookworm)",
        "kernelVersion": "6.1.0", "architecture": "amd64", "containerRuntimeVersion": "containerd://2.1.0"});
    for (kind, headings, object, row) in [
        ("ConfigMap", "NAME DATA AGE", json!({"data": {"a": "", "b": ""}, "binaryData": {"c": ""}}), "a | 3 | 13s"),
        ("Secret", "NAME TYPE DATA AGE", json!({"type": "Opaque", "data": {"a": "", "b": ""}}), "a | Opaque | 2 | 13s"),
        ("ServiceAccount", "NAME AGE", json!({}), "a | 13s"),
        ("Role", "NAME CREATED AT", json!({}), "a | 2026-11-21T02:07:05Z"),
        ("ClusterRole", "NAME CREATED AT", json!({}), "a | 2026-11-21T02:07:05Z"),
        ("LimitRange", "NAME CREATED AT", json!({}), "a | 2026-11-21T02:07:05Z"),
        (
            "RoleBinding",
            "NAME ROLE AGE USERS* GROUPS* SERVICEACCOUNTS*",
            json!({"roleRef": {"kind": "Role", "name": "reader"}, "subjects": subjects}),
            "a | Role/reader | 13s | jane | devs | gold-v/sa",
        ),
        ("NetworkPolicy", "NAME POD-SELECTOR AGE", json!({"spec": {"podSelector": selector}}), "a | app=d | 13s"),
        ("NetworkPolicy", "NAME POD-SELECTOR AGE", json!({"spec": {"podSelector": {}}}), "a | <none> | 13s"),
        (
            "IngressClass",
            "NAME CONTROLLER PARAMETERS AGE",
            json!({"spec": {"controller": "x.io/c", "parameters": {"kind": "ConfigMap", "name": "p"}}}),
            "a | x.io/c | ConfigMap/p | 13s",
        ),
        (
            "Ingress",
            "NAME CLASS HOSTS ADDRESS PORTS AGE",
            json!({"spec": {"ingressClassName": "gold-v-ic", "rules": [{"host": "www.example.com"}], "tls": [{}]}}),
            "a | gold-v-ic | www.example.com |  | 80, 443 | 13s",
        ),
        ("Ingress", "NAME CLASS HOSTS ADDRESS PORTS AGE", json!({}), "a | <none> | * |  | 80 | 13s"),
        (
            "HorizontalPodAutoscaler",
            "NAME REFERENCE TARGETS MINPODS MAXPODS REPLICAS AGE",
            json!({"spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "minReplicas": 2,
                "maxReplicas": 5, "metrics": [cpu]}, "status": {"currentReplicas": 2}}),
            "a | Deployment/web | cpu: <unknown>/50% | 2 | 5 | 2 | 13s",
        ),
        (
            "ResourceQuota",
            "NAME REQUEST LIMIT AGE",
            json!({"status": {"hard": {"pods": "100", "requests.cpu": "10", "limits.cpu": "1"},
                "used": {"pods": "7", "requests.cpu": "500m"}}}),
            "a | pods: 7/100, requests.cpu: 500m/10 | limits.cpu: 0/1 | 13s",
        ),
        (
            "PriorityClass",
            "NAME VALUE GLOBAL-DEFAULT AGE PREEMPTIONPOLICY",
            json!({"value": 100, "preemptionPolicy": "PreemptLowerPriority"}),
            "a | 100 | false | 13s | PreemptLowerPriority",
        ),
        ("Lease", "NAME HOLDER AGE", json!({"spec": {"holderIdentity": "me-1"}}), "a | me-1 | 13s"),
        (
            "Node",
            "NAME STATUS ROLES AGE VERSION INTERNAL-IP* EXTERNAL-IP* OS-IMAGE* KERNEL-VERSION* CONTAINER-RUNTIME*",
            json!({"status": {"conditions": [{"type": "Ready", "status": "True"}], "nodeInfo": info,
                "addresses": [{"type": "InternalIP", "address": "192.168.0.1"}]}}),
            "a | Ready | <none> | 13s | v1.36.2 | 192.168.0.1 | <none> | Debian GNU/Linux 12 (bookworm) | \
             6.1.0 (amd64) | containerd://2.1.0",
        ),
        (
            "Node",
            "NAME STATUS ROLES AGE VERSION INTERNAL-IP* EXTERNAL-IP* OS-IMAGE* KERNEL-VERSION* CONTAINER-RUNTIME*",
            json!({"metadata": {"labels": {"node-role.kubernetes.io/worker": ""}}, "spec": {"unschedulable": true}}),
            "a | Unknown,SchedulingDisabled | worker | 13s |  | <none> | <none> | <unknown> | <unknown> | <unknown>",
        ),
        (
            "CertificateSigningRequest",
            "NAME AGE SIGNERNAME REQUESTOR REQUESTEDDURATION CONDITION",
            json!({"spec": {"signerName": "a.b/c", "username": "jane"}, "status": {"conditions": [{"type": "Approved"}]}}),
            "a | 13s | a.b/c | jane | <none> | Approved",
        ),
        (
            "StorageClass",
            "NAME PROVISIONER RECLAIMPOLICY VOLUMEBINDINGMODE ALLOWVOLUMEEXPANSION AGE",
            json!({"provisioner": "x"}),
            "a | x | Delete | Immediate | false | 13s",
        ),
    ] {
        let header =
            |(name, priority, _): &Column| format!("{}{}", name.to_uppercase(), if *priority == 1 { "*" } else { "" });
        let columns: Vec<String> = columns_of(kind).iter().map(header).collect();
        assert_eq!(columns.join(" "), headings, "{kind}");
        check(kind, &named("a", object), row);
    }
}

#[test]
fn jobs_and_cron_jobs() {
    let template = json!({"spec": {"containers": [{"name": "a", "image": "nginx:1"}]}});
    let selector = json!({"matchLabels": {"u": "1"}});
    let job = |spec: Value, status: Value| {
        let mut job = named("j", json!({"spec": {"template": template, "selector": selector}, "status": status}));
        job["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        job
    };
    let condition = |kind: &str| json!({"conditions": [{"type": kind, "status": "True"}]});
    let started = json!({"startTime": "2026-11-21T02:07:06Z"});
    let ended = json!({"startTime": "2026-11-21T02:07:06Z", "completionTime": "2026-11-21T02:07:10Z", "succeeded": 2});
    for (spec, status, expected) in [
        (json!({"completions": 3}), started, "j | Running | 0/3 | 12s | 13s | a | nginx:1 | u=1"),
        (json!({"completions": 2}), ended, "j | Running | 2/2 | 4s | 13s | a | nginx:1 | u=1"),
        (json!({"completions": 2}), condition("Complete"), "j | Complete | 0/2 |  | 13s | a | nginx:1 | u=1"),
        (json!({"parallelism": 2}), condition("Suspended"), "j | Suspended | 0/1 of 2 |  | 13s | a | nginx:1 | u=1"),
        (json!({"parallelism": 1}), condition("FailureTarget"), "j | FailureTarget | 0/1 |  | 13s | a | nginx:1 | u=1"),
    ] {
        check("Job", &job(spec, status), expected);
    }
    let cron_job = |rest: Value| {
        let mut spec =
            json!({"schedule": "0 3 * * *", "suspend": false, "jobTemplate": {"spec": {"template": template}}});
        spec.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        spec
    };
    let spec = cron_job(json!({"timeZone": "Etc/UTC"}));
    let expected = "c | 0 3 * * * | Etc/UTC | False | 0 | <none> | 13s | a | nginx:1 | <none>";
    check("CronJob", &named("c", json!({"spec": spec, "status": {}})), expected);
    let status = json!({"active": [{}], "lastScheduleTime": "2026-11-21T02:07:06Z"});
    let expected = "c | 0 3 * * * | <none> | True | 1 | 12s | 13s | a | nginx:1 | <none>";
    check("CronJob", &named("c", json!({"spec": cron_job(json!({"suspend": true})), "status": status})), expected);
}

#[test]
fn sets_pods_and_revisions() {
    let template =
        json!({"spec": {"containers": [{"name": "nginx", "image": "nginx:1"}, {"name": "b", "image": "c"}]}});
    let set = json!({"spec": {"replicas": 2, "template": template}, "status": {"readyReplicas": 2}});
    check("StatefulSet", &named("web", set), "web | 2/2 | 13s | nginx,b | nginx:1,c");
    check("StatefulSet", &named("s", json!({"spec": {"replicas": 0}})), "s | 0/0 | 13s |  | ");
    let owner =
        |api_version, kind, name| json!([{"apiVersion": api_version, "kind": kind, "name": name, "controller": true}]);
    let revision = json!({"metadata": {"ownerReferences": owner("apps/v1", "StatefulSet", "web")}, "revision": 1});
    check("ControllerRevision", &named("web-6d964b4866", revision), "web-6d964b4866 | statefulset.apps/web | 1 | 13s");
    let revision = json!({"metadata": {"ownerReferences": owner("v1", "Pod", "web")}, "revision": 2});
    check("ControllerRevision", &named("x", revision), "x | pod/web | 2 | 13s");
    check("ControllerRevision", &named("x", json!({"revision": 3})), "x | <none> | 3 | 13s");
    check("Namespace", &named("gold", json!({"status": {"phase": "Active"}})), "gold | Active | 13s");
}

/// A pod with one container in its specification.
fn pod(status: Value, metadata: Value) -> Value {
    let spec = json!({"nodeName": "node-1", "containers": [{"name": "nginx"}]});
    named("web-0", json!({"metadata": metadata, "spec": spec, "status": status}))
}

#[test]
fn pods() {
    let container =
        |state: Value, ready: bool| json!({"name": "nginx", "ready": ready, "restartCount": 0, "state": state});
    let running = json!({"running": {"startedAt": "2026-11-21T02:07:06Z"}});
    let status = |phase: &str, container: Value| json!({"phase": phase, "containerStatuses": [container]});
    let deleted = json!({"deletionTimestamp": "2026-11-21T02:07:10Z"});
    let terminated = |what: Value| container(json!({"terminated": what}), false);
    for (row, status, metadata) in [
        (
            "1/1 | Running | 0 | 13s | 10.244.0.107",
            json!({
                "phase": "Running", "podIP": "10.244.0.107", "podIPs": [{"ip": "10.244.0.107"}, {"ip": "fd00::1"}],
                "containerStatuses": [container(running.clone(), true)],
            }),
            json!({}),
        ),
        (
            "1/1 | Running | 0 | 13s | 10.0.0.1",
            json!({"phase": "Running", "podIP": "10.0.0.1",
            "containerStatuses": [container(running.clone(), true)]}),
            json!({}),
        ),
        ("0/1 | Pending | 0 | 13s | <none>", json!({"phase": "Pending"}), json!({})),
        ("0/1 |  | 0 | 13s | <none>", json!({}), json!({})),
        ("0/1 | Running | 0 | 13s | <none>", status("Running", container(running.clone(), false)), json!({})),
        (
            "0/1 | ContainerCreating | 0 | 13s | <none>",
            status("Pending", container(json!({"waiting": {"reason": "ContainerCreating"}}), false)),
            json!({}),
        ),
        (
            "0/1 | Completed | 0 | 13s | <none>",
            status("Succeeded", terminated(json!({"reason": "Completed"}))),
            json!({}),
        ),
        ("0/1 | ExitCode:3 | 0 | 13s | <none>", status("Failed", terminated(json!({"exitCode": 3}))), json!({})),
        ("0/1 | Signal:9 | 0 | 13s | <none>", status("Failed", terminated(json!({"signal": 9}))), json!({})),
        ("1/1 | Terminating | 0 | 13s | <none>", status("Running", container(running.clone(), true)), deleted.clone()),
        ("0/1 | Failed | 0 | 13s | <none>", json!({"phase": "Failed"}), deleted.clone()),
        ("0/1 | Unknown | 0 | 13s | <none>", json!({"phase": "Running", "reason": "NodeLost"}), deleted),
        ("0/1 | Evicted | 0 | 13s | <none>", json!({"phase": "Failed", "reason": "Evicted"}), json!({})),
        (
            "0/1 | SchedulingGated | 0 | 13s | <none>",
            json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}]}),
            json!({}),
        ),
        (
            "1/1 | Running | 2 (5m3s ago) | 13s | <none>",
            status(
                "Running",
                json!({
                    "name": "nginx", "ready": true, "restartCount": 2, "state": running,
                    "lastState": {"terminated": {"finishedAt": "2026-11-21T02:02:15Z"}},
                }),
            ),
            json!({}),
        ),
        (
            "0/1 | Running | 4 | 13s | <none>",
            status("Running", json!({"name": "nginx", "ready": false, "restartCount": 4, "state": running})),
            json!({}),
        ),
    ] {
        check("Pod", &pod(status, metadata), &format!("web-0 | {row} | node-1 | <none> | <none>"));
    }
}

#[test]
fn pods_with_init_containers_and_gates() {
    let check = |status: Value, row: &str| {
        let spec = json!({
            "containers": [{"name": "main"}],
            "initContainers": [{"name": "one"}, {"name": "side", "restartPolicy": "Always"}],
            "readinessGates": [{"conditionType": "a"}, {"conditionType": "b"}],
        });
        check("Pod", &named("p", json!({"spec": spec, "status": status})), &format!("p | {row}"));
    };
    let one = |state: Value| json!({"phase": "Pending", "initContainerStatuses": [{"name": "one", "state": state}]});
    let none = "0 | 13s | <none> | <none> | <none> | 0/2";
    check(one(json!({"running": {}})), &format!("0/2 | Init:0/2 | {none}"));
    check(one(json!({"waiting": {"reason": "PodInitializing"}})), &format!("0/2 | Init:0/2 | {none}"));
    check(one(json!({"waiting": {"reason": "CrashLoopBackOff"}})), &format!("0/2 | Init:CrashLoopBackOff | {none}"));
    check(one(json!({"terminated": {"exitCode": 1}})), &format!("0/2 | Init:ExitCode:1 | {none}"));
    check(one(json!({"terminated": {"exitCode": 1, "reason": "Error"}})), &format!("0/2 | Init:Error | {none}"));
    let done = json!({
        "phase": "Running",
        "conditions": [{"type": "Initialized", "status": "True"}, {"type": "b", "status": "True"}],
        "initContainerStatuses": [
            {"name": "one", "restartCount": 7, "state": {"terminated": {"exitCode": 0}}},
            {"name": "side", "started": true, "ready": true, "restartCount": 1, "state": {"running": {}}},
        ],
        "containerStatuses": [{"name": "main", "ready": true, "state": {"running": {}}}],
    });
    check(done, "2/2 | Running | 1 | 13s | <none> | <none> | <none> | 1/2");
}

#[test]
fn services() {
    let ports = json!([{"name": "a", "port": 80, "protocol": "TCP"}, {"name": "b", "port": 53, "protocol": "UDP"}]);
    let none = json!(["None"]);
    for (spec, row) in [
        (
            json!({"type": "ClusterIP", "clusterIP": "10.96.113.177", "clusterIPs": ["10.96.113.177"], "ports": ports,
                "selector": {"app": "x"}}),
            "ClusterIP | 10.96.113.177 | <none> | 80/TCP,53/UDP | 13s | app=x",
        ),
        (
            json!({"type": "ExternalName", "externalName": "www.example.com"}),
            "ExternalName | <none> | www.example.com | <none> | 13s | <none>",
        ),
        (
            json!({"type": "ClusterIP", "clusterIP": "None", "clusterIPs": none,
                "ports": [{"port": 80, "protocol": "TCP"}], "selector": {"tier": "db", "app": "x"}}),
            "ClusterIP | None | <none> | 80/TCP | 13s | app=x,tier=db",
        ),
        (json!({"type": "ClusterIP", "clusterIPs": none}), "ClusterIP | None | <none> | <none> | 13s | <none>"),
        (
            json!({"type": "NodePort", "clusterIP": "10.96.0.9", "externalIPs": ["1.2.3.4", "5.6.7.8"],
                "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}]}),
            "NodePort | 10.96.0.9 | 1.2.3.4,5.6.7.8 | 80:30080/TCP | 13s | <none>",
        ),
        (json!({"type": "LoadBalancer"}), "LoadBalancer | <none> | <pending> | <none> | 13s | <none>"),
        (json!({}), " | <none> | <unknown> | <none> | 13s | <none>"),
    ] {
        check("Service", &named("s", json!({"spec": spec})), &format!("s | {row}"));
    }
    let balanced = json!({
        "spec": {"type": "LoadBalancer", "externalIPs": ["1.1.1.1"]},
        "status": {"loadBalancer": {"ingress": [{"ip": "9.9.9.9"}, {"hostname": "a.example"}, {"ip": "9.9.9.9"}]}},
    });
    let row = "s | LoadBalancer | <none> | 9.9.9.9,a.example,1.1.1.1 | <none> | 13s | <none>";
    check("Service", &named("s", balanced), row);
}

#[test]
fn storage() {
    check(
        "PersistentVolumeClaim",
        &named("pvc", json!({"spec": {"volumeMode": "Filesystem"}, "status": {"phase": "Pending"}})),
        "pvc | Pending |  |  |  |  | <unset> | 13s | Filesystem",
    );
    let bound = json!({
        "spec": {"volumeName": "pv-a", "storageClassName": "std"},
        "status": {"phase": "Bound", "capacity": {"storage": "1024Mi"}, "accessModes": ["ReadOnlyMany", "ReadWriteOnce"]},
    });
    check(
        "PersistentVolumeClaim",
        &named("c", bound),
        "c | Bound | pv-a | 1Gi | RWO,ROX | std | <unset> | 13s | <unset>",
    );
    let volume = |claim: Value, class: &str| {
        json!({
            "spec": {
                "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "claimRef": claim,
                "persistentVolumeReclaimPolicy": "Retain", "storageClassName": class,
            },
            "status": {"phase": if claim.is_null() { "Available" } else { "Bound" }},
        })
    };
    let row = "gold-pv | 1Gi | RWO | Retain | Available |  | gold | <unset> |  | 13s | <unset>";
    check("PersistentVolume", &named("gold-pv", volume(Value::Null, "gold")), row);
    let row = "pv-a | 1Gi | RWO | Retain | Bound | default/www-web-0 |  | <unset> |  | 13s | <unset>";
    let claim = json!({"namespace": "default", "name": "www-web-0"});
    check("PersistentVolume", &named("pv-a", volume(claim, "")), row);
    let class = json!({"provisioner": "x.io/y", "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"});
    check("StorageClass", &named("gold-sc", class), "gold-sc | x.io/y | Delete | Immediate | false | 13s");
    let annotations = json!({"storageclass.kubernetes.io/is-default-class": "true"});
    let class = json!({"metadata": {"annotations": annotations}, "provisioner": "p", "allowVolumeExpansion": true});
    check("StorageClass", &named("std", class), "std (default) | p | Delete | Immediate | true | 13s");
}

#[test]
fn endpoints() {
    let slice = |ports: Value, addresses: &[&str]| {
        let endpoints: Vec<Value> = addresses.iter().map(|address| json!({"addresses": [address]})).collect();
        named("s", json!({"addressType": "IPv4", "ports": ports, "endpoints": endpoints}))
    };
    let web = json!([{"name": "web", "port": 80}]);
    check("EndpointSlice", &slice(web, &["10.1.1.1", "10.1.1.2"]), "s | IPv4 | 80 | 10.1.1.1,10.1.1.2 | 13s");
    check("EndpointSlice", &slice(Value::Null, &[]), "s | IPv4 | <unset> | <unset> | 13s");
    let many = json!([{"name": "a"}, {}, {"port": 1}, {"port": 2}]);
    check(
        "EndpointSlice",
        &slice(many, &["a", "b", "c", "d", "e"]),
        "s | IPv4 | a,*,1 + 1 more... | a,b,c + 2 more... | 13s",
    );
    let subset = |addresses: &[&str], ports: &[i32]| {
        let addresses: Vec<Value> = addresses.iter().map(|ip| json!({"ip": ip})).collect();
        json!({"addresses": addresses, "ports": ports.iter().map(|port| json!({"port": port})).collect::<Vec<_>>()})
    };
    for (subsets, row) in [
        (json!([]), "<none>"),
        (json!([subset(&["10.244.0.107", "10.244.0.108"], &[80])]), "10.244.0.107:80,10.244.0.108:80"),
        (json!([subset(&["10.0.0.1", "fd00::1"], &[1, 2])]), "10.0.0.1:1,[fd00::1]:1,10.0.0.1:2 + 1 more..."),
        (json!([subset(&["10.0.0.1", "10.0.0.2"], &[])]), "10.0.0.1,10.0.0.2"),
        (json!([{"notReadyAddresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]), ""),
    ] {
        check("Endpoints", &named("nginx", json!({"subsets": subsets})), &format!("nginx | {row} | 13s"));
    }
}

#[test]
fn events() {
    let event = |rest: Value| {
        let mut event = json!({
            "type": "Normal", "reason": "SuccessfulCreate", "message": "Create Pod web-0 successful\n",
            "involvedObject": {"kind": "StatefulSet", "name": "web"},
        });
        event.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        named("web.1", event)
    };
    let (first, last) = ("2026-11-21T02:07:04Z", "2026-11-21T02:07:17Z");
    let row = |last: &str, source: &str, first: &str, count: u32| {
        format!(
            "{last} | Normal | SuccessfulCreate | statefulset/web |  | {source} | Create Pod web-0 successful | {first} | \
             {count} | web.1"
        )
    };
    for (rest, expected) in [
        (
            json!({"firstTimestamp": first, "lastTimestamp": last, "count": 15, "source": {"component": "c", "host": "h"}}),
            row("1s", "c, h", "14s", 15),
        ),
        (json!({"firstTimestamp": first, "source": {"component": "c"}}), row("14s", "c", "14s", 1)),
        (json!({"eventTime": "2026-11-21T02:07:04.000001Z", "reportingComponent": "r"}), row("13s", "r", "13s", 1)),
        (
            json!({"eventTime": "2026-11-21T02:07:04.000000Z", "reportingComponent": "r", "reportingInstance": "i",
                "series": {"count": 3, "lastObservedTime": "2026-11-21T02:07:16.000000Z"}}),
            row("2s", "r, i", "14s", 3),
        ),
        (json!({}), row("<unknown>", "", "<unknown>", 1)),
    ] {
        check("Event", &event(rest), &expected);
    }
}

#[test]
fn metadata_alone() {
    let object = named("web-0", json!({"spec": {}}));
    let expected =
        json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]});
    assert_eq!(partial(&object), expected);
}

fn any_json() -> impl Strategy<Value = Value> {
    let names = "metadata|spec|status|name|containers|containerStatuses|initContainers|initContainerStatuses|state|ports\
                 |terminated|subsets|addresses|endpoints|conditions|series|restartCount|[a-z]{1,2}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "2026-11-2[0-9]T0[0-9]:00:00Z|[0-9.:]{0,6}|\\PC{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(7, 96, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(names, inner, 0..7).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn every_object_has_a_row(object in any_json()) {
        for resource in RESOURCES.iter() {
            let cells = cells(resource.kind, &object, NOW.parse().unwrap());
            prop_assert_eq!(cells.len(), columns(resource.kind).len());
            partial(&object);
        }
    }
}
