//! Pods: phase, readiness, deletion; their claims and volumes.

use super::{Stage, walk::Walk, workload::made_by};
use crate::{
    control::cluster::claims_of,
    objects::object::{
        labels::{REVISION_LABEL, label},
        pod::{condition, is_ready, phase},
    },
};
use k8s_openapi::{
    api::core::v1::{PersistentVolumeClaim, Pod, PodCondition},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use std::sync::Arc;

/// Claims of one pod that are told about.
const SHOWN_CLAIMS_MAX: usize = 20;

/// Namespace and name.
pub(super) fn place(metadata: &ObjectMeta) -> (&str, &str) {
    (metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default())
}

/// Reason and message of a condition that does not hold.
fn why_not(condition: &PodCondition) -> String {
    match (condition.reason.as_deref(), condition.message.as_deref()) {
        (Some(reason), Some(message)) => format!(" ({reason}: {})", message.trim_end_matches('.')),
        (Some(text), None) | (None, Some(text)) => format!(" ({text})"),
        (None, None) => String::new(),
    }
}

/// One line about a pod.
fn described(pod: &Pod) -> String {
    let (namespace, name) = place(&pod.metadata);
    let status = pod.status.clone().unwrap_or_default();
    let mut parts = vec![status.phase.clone().unwrap_or_else(|| "Pending".to_owned())];
    if let Some(reason) = status.reason.as_deref().filter(|reason| !reason.is_empty()) {
        parts.push(format!("{reason}: {}", status.message.as_deref().unwrap_or_default()));
    }
    match condition(pod, "PodScheduled").filter(|condition| condition.status == "False") {
        Some(scheduled) => parts.push(format!("not scheduled{}", why_not(scheduled))),
        None => match condition(pod, "Ready") {
            Some(ready) if ready.status == "True" => parts.push("Ready".to_owned()),
            Some(ready) => parts.push(format!("not Ready{}", why_not(ready))),
            None => parts.push("not Ready yet".to_owned()),
        },
    }
    let waiting = status.container_statuses.iter().flatten().find_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        Some(format!("container {} waits: {}", container.name, waiting.reason.as_deref()?))
    });
    parts.extend(waiting);
    if let Some(time) = &pod.metadata.deletion_timestamp {
        parts.push(format!("being deleted, gone by {}", time.0));
    }
    let addresses: Vec<String> = status.pod_ips.iter().flatten().map(|ip| ip.ip.clone()).collect();
    parts.push(if addresses.is_empty() {
        "no address".to_owned()
    } else {
        format!("address {}", addresses.join(", "))
    });
    let restarts: i64 = status.container_statuses.iter().flatten().map(|status| i64::from(status.restart_count)).sum();
    if restarts > 0 {
        parts.push(format!("{restarts} restarts"));
    }
    if let Some(revision) = label(&pod.metadata, REVISION_LABEL) {
        parts.push(format!("revision {revision}"));
    }
    if let Some(node) = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) {
        parts.push(format!("on node {node}"));
    }
    format!("{namespace}/{name}: {}", parts.join("; "))
}

impl Walk<'_> {
    /// Tells about a pod. Whether it is answered for is its endpoint's affair.
    pub(super) fn pod(&mut self, pod: &Pod) {
        let mut text = described(pod);
        if let Some(made_by) = made_by(self.cluster, pod) {
            text.push_str(&format!("; {made_by}"));
        }
        if pod.metadata.deletion_timestamp.is_none() && is_ready(pod) && phase(pod) == Some("Running") {
            return self.ok(Stage::Pod, text);
        }
        let (namespace, name) = place(&pod.metadata);
        self.warn(Stage::Pod, text);
        match phase(pod) {
            _ if pod.metadata.deletion_timestamp.is_some() => {}
            Some("Failed" | "Succeeded") => {
                self.advise(format!(
                    "pod {namespace}/{name} has ended: a pod of a StatefulSet is replaced, a bare one has to be deleted"
                ));
            }
            Some("Running") => {
                self.advise(format!("make pod {namespace}/{name} ready: its containers or its readiness probe say no"))
            }
            _ => {}
        }
    }

    /// Tells about a pod's claims and their volumes.
    pub(super) fn claims(&mut self, pod: &Pod) {
        let (namespace, _) = place(&pod.metadata);
        let names: Vec<String> = claims_of(pod).take(SHOWN_CLAIMS_MAX).map(str::to_owned).collect();
        for name in names {
            match self.cluster.claim(namespace, &name).map(Arc::clone) {
                Some(claim) => self.claim(&claim),
                None => {
                    self.fail(Stage::Claim, format!("{namespace}/{name} does not exist, and the pod waits for it"));
                    self.advise(format!("declare PersistentVolumeClaim {namespace}/{name}"));
                }
            }
        }
    }

    fn claim(&mut self, claim: &PersistentVolumeClaim) {
        let (namespace, name) = place(&claim.metadata);
        let spec = claim.spec.clone().unwrap_or_default();
        let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending");
        let class = match spec.storage_class_name.as_deref() {
            None => "the default class".to_owned(),
            Some("") => "no class".to_owned(),
            Some(class) => format!("class {class}"),
        };
        if phase == "Bound" {
            let volume = spec.volume_name.unwrap_or_default();
            let missing = self.cluster.volume("", &volume).is_none();
            let text = format!("{namespace}/{name}: Bound to volume {volume}, {class}");
            return if missing {
                self.warn(Stage::Claim, format!("{text}; the volume is gone"))
            } else {
                self.ok(Stage::Claim, text)
            };
        }
        let warning = self.last_warning("PersistentVolumeClaim", namespace, name);
        let why = warning.unwrap_or_else(|| "no volume fits, and no class makes one".to_owned());
        self.fail(Stage::Claim, format!("{namespace}/{name}: {phase}, {class}; {why}"));
        match spec.storage_class_name.as_deref().filter(|class| !class.is_empty()) {
            Some(class) if self.cluster.storage_class("", class).is_none() => self.advise(format!(
                "declare StorageClass {class}, or leave storageClassName out of the claim for the default class"
            )),
            _ => self.advise(format!(
                "declare a PersistentVolume that fits claim {namespace}/{name} (class, size, access modes), or use a class \
                 that makes volumes"
            )),
        }
    }
}
