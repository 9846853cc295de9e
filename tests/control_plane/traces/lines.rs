//! Objects in the form of the recordings, one line each.

use super::batch;
use headless_dns::{
    control::{cluster::Cluster, controller::endpoints},
    objects::object::{Object, labels::label},
};
use k8s_openapi::api::core::v1::{EndpointAddress, Pod};
use serde_json::Value;

/// What the recordings add to the lines of slices that were made of Endpoints.
pub fn mirrored(slice: &Object) -> &'static str {
    match label(slice.metadata(), "endpointslice.kubernetes.io/managed-by") {
        Some("endpointslicemirroring-controller.k8s.io") => " mirrored",
        _ => "",
    }
}

/// The Endpoints of a Service in the recordings' form, with the number of addresses in the place of each of them; `None` of
/// a Service that has none.
pub fn endpoints_line(cluster: &Cluster, service: &str) -> Option<String> {
    let endpoints = endpoints::find(cluster, "default", service)?;
    let count = |addresses: &Option<Vec<EndpointAddress>>| addresses.as_ref().map_or(0, Vec::len);
    let subsets = endpoints.subsets.iter().flatten().map(|subset| {
        let ports = subset.ports.iter().flatten();
        let ports = ports.map(|port| format!("{}:{}", port.name.as_deref().unwrap_or(""), port.port));
        let ports = ports.collect::<Vec<_>>().join(",");
        format!("{{!{} {} ports={ports}}}", count(&subset.not_ready_addresses), count(&subset.addresses))
    });
    let mut subsets: Vec<String> = subsets.collect();
    subsets.sort();
    let mark = label(&endpoints.metadata, "service.kubernetes.io/headless").map_or("", |_| " headless-label");
    Some(subsets.join(" ") + mark)
}

/// The Endpoints of a recorded line, in the form of [`endpoints_line`].
pub fn recorded_endpoints(line: &str) -> String {
    let (subsets, mark) = line.rsplit_once('}').unwrap();
    let subsets = subsets.split('{').skip(1).map(|subset| subset.trim_end().trim_end_matches('}'));
    let subsets = subsets.filter(|subset| !subset.is_empty()).map(|subset| {
        let (addresses, ports) = subset.split_once("ports=").unwrap();
        let (not_ready, ready): (Vec<&str>, Vec<&str>) =
            addresses.split_whitespace().partition(|address| address.starts_with('!'));
        format!("{{!{} {} ports={ports}}}", not_ready.len(), ready.len())
    });
    let mut subsets: Vec<String> = subsets.collect();
    subsets.sort();
    subsets.join(" ") + mark
}

/// An object in the recordings' form, with our own uids, addresses and revision names; `None` of what is not shown.
pub fn line(object: &Object) -> Option<String> {
    let metadata = object.metadata();
    let name = metadata.name.as_deref().unwrap_or_default();
    let uid = metadata.uid.as_deref().unwrap_or_default();
    let terminating = metadata.deletion_timestamp.is_some();
    let dash = |text: Option<&str>| text.filter(|text| !text.is_empty()).unwrap_or("-").to_owned();
    let json = object.to_json();
    let number = |field: &str| json["status"][field].as_i64().unwrap_or(0);
    let annotation = |name: &str| metadata.annotations.as_ref()?.get(name).map(String::as_str);
    Some(match object {
        Object::Pod(pod) => {
            let status = pod.status.as_ref();
            let ready = condition(pod, "Ready");
            let owner = metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
            format!(
                "pod {name} uid={uid} phase={} ready={} ip={} rev={} image={} owner={} terminating={}",
                dash(status.and_then(|status| status.phase.as_deref())),
                dash(ready.as_deref()),
                dash(status.and_then(|status| status.pod_ip.as_deref())),
                dash(label(metadata, "controller-revision-hash").or_else(|| label(metadata, "pod-template-hash"))),
                pod.spec.as_ref().unwrap().containers[0].image.as_deref().unwrap_or_default(),
                dash(owner.map(|owner| owner.name.as_str())),
                if terminating { "yes" } else { "no" },
            )
        }
        Object::StatefulSet(set) => format!(
            "sts {name} want={} replicas={} ready={} available={} current={} updated={} currentRevision={} \
                 updateRevision={} observed={}/{}{}",
            set.spec.as_ref().unwrap().replicas.unwrap(),
            number("replicas"),
            number("readyReplicas"),
            number("availableReplicas"),
            number("currentReplicas"),
            number("updatedReplicas"),
            dash(json["status"]["currentRevision"].as_str()),
            dash(json["status"]["updateRevision"].as_str()),
            number("observedGeneration"),
            metadata.generation.unwrap_or(0),
            if terminating { " terminating" } else { "" },
        ),
        Object::Deployment(deployment) => format!(
            "deploy {name} want={} replicas={} updated={} ready={} available={} unavailable={}{} revision={}{} \
                 conditions={} observed={}/{}{}",
            deployment.spec.as_ref().unwrap().replicas.unwrap(),
            number("replicas"),
            number("updatedReplicas"),
            number("readyReplicas"),
            number("availableReplicas"),
            number("unavailableReplicas"),
            terminating_replicas(&json),
            dash(annotation("deployment.kubernetes.io/revision")),
            if json["spec"]["paused"] == true { " paused" } else { "" },
            dash(Some(&conditions(&json))),
            number("observedGeneration"),
            metadata.generation.unwrap_or(0),
            if terminating { " terminating" } else { "" },
        ),
        Object::ReplicaSet(set) => format!(
            "rs {name} want={} replicas={} labeled={} ready={} available={}{} revision={}{} desired={} max={} \
                 owner={} observed={}/{}{}",
            set.spec.as_ref().unwrap().replicas.unwrap(),
            number("replicas"),
            number("fullyLabeledReplicas"),
            number("readyReplicas"),
            number("availableReplicas"),
            terminating_replicas(&json),
            dash(annotation("deployment.kubernetes.io/revision")),
            annotation("deployment.kubernetes.io/revision-history")
                .map_or(String::new(), |all| format!(" history={all}")),
            dash(annotation("deployment.kubernetes.io/desired-replicas")),
            dash(annotation("deployment.kubernetes.io/max-replicas")),
            dash(metadata.owner_references.iter().flatten().next().map(|owner| owner.name.as_str())),
            number("observedGeneration"),
            metadata.generation.unwrap_or(0),
            if terminating { " terminating" } else { "" },
        ),
        Object::Job(_) => batch::job_line(&json, name, &dash(Some(&conditions(&json)))),
        Object::CronJob(_) => batch::cron_job_line(&json, name),
        Object::EndpointSlice(slice) => {
            let service = &metadata.labels.as_ref().unwrap()["kubernetes.io/service-name"];
            let mut endpoints: Vec<String> = Vec::new();
            for endpoint in slice.endpoints.iter().flatten() {
                let conditions = endpoint.conditions.clone().unwrap_or_default();
                let letter = |on: Option<bool>, letter: char| match on {
                    Some(true) => letter.to_ascii_uppercase(),
                    _ => letter,
                };
                endpoints.push(format!(
                    "{}={}:{}{}{}",
                    endpoint.hostname.as_deref().unwrap_or("-"),
                    endpoint.addresses[0],
                    letter(conditions.ready, 'r'),
                    letter(conditions.serving, 's'),
                    letter(conditions.terminating, 't'),
                ));
            }
            endpoints.sort();
            let ports = slice.ports.iter().flatten();
            let ports = ports.map(|port| format!("{}:{}", port.name.as_deref().unwrap_or(""), port.port.unwrap_or(0)));
            let ports: Vec<String> = ports.collect();
            let mirrored = mirrored(object);
            format!("slice of {service} [{}] ports={}{mirrored}", endpoints.join(" "), dash(Some(&ports.join(","))))
        }
        Object::DaemonSet(_) => format!(
            "ds {name} desired={} current={} ready={} available={} unavailable={} updated={} misscheduled={} \
                 observed={}/{}{}",
            number("desiredNumberScheduled"),
            number("currentNumberScheduled"),
            number("numberReady"),
            number("numberAvailable"),
            number("numberUnavailable"),
            number("updatedNumberScheduled"),
            number("numberMisscheduled"),
            number("observedGeneration"),
            metadata.generation.unwrap_or(0),
            if terminating { " terminating" } else { "" },
        ),
        // Pods of a DaemonSet bear the hash of their revision, not its name.
        Object::ControllerRevision(revision) => {
            let name = label(metadata, "controller-revision-hash").unwrap_or(name);
            format!("revision {name} number={}", revision.revision)
        }
        Object::PersistentVolumeClaim(claim) => {
            let owners = metadata.owner_references.iter().flatten();
            let owners: Vec<String> = owners.map(|owner| format!("{}/{}", owner.kind, owner.name)).collect();
            format!(
                "pvc {name} uid={uid} phase={} volume={} owners={}{}",
                dash(json["status"]["phase"].as_str()),
                dash(claim.spec.as_ref().unwrap().volume_name.as_deref()),
                dash(Some(&owners.join(","))),
                if terminating { " terminating" } else { "" },
            )
        }
        // The recording had no scheduler, so nobody told there why a pod waits.
        Object::Event(event) if event.involved_object.kind.as_deref() != Some("Pod") => format!(
            "event {} {} {}/{}: {}",
            event.type_.as_deref().unwrap_or_default(),
            event.reason.as_deref().unwrap_or_default(),
            event.involved_object.kind.as_deref().unwrap_or_default().to_lowercase(),
            event.involved_object.name.as_deref().unwrap_or_default(),
            event.message.as_deref().unwrap_or_default(),
        ),
        _ => return None,
    })
}

fn condition(pod: &Pod, wanted: &str) -> Option<String> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    Some(conditions.iter().find(|condition| condition.type_ == wanted)?.status.clone())
}

fn terminating_replicas(json: &Value) -> String {
    json["status"]["terminatingReplicas"]
        .as_i64()
        .map_or(String::new(), |count| format!(" terminatingReplicas={count}"))
}

/// `Type:Status(Reason)` of each condition, by type.
fn conditions(json: &Value) -> String {
    let mut all: Vec<String> = json["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| {
            let text = |field: &str| one[field].as_str().unwrap_or_default();
            format!("{}:{}({})", text("type"), text("status"), text("reason"))
        })
        .collect();
    all.sort();
    all.join(",")
}
