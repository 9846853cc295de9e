//! What an object takes in memory, roughly: a walk over what is serialized, without writing it anywhere.

use super::{Object, pod::ENDED_PODS_MAX};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use std::io;

/// Octets of a structure beyond what is in it: they have room for fields that are not set, from 88 octets for a port to
/// 2 KiB for a container.
const STRUCTURE: &[u8] = &[0; 512];
/// Octets of an element of a list, or a field, beyond its text: a length, a capacity and an address, and what the
/// allocator adds.
const ELEMENT: &[u8] = &[0; 48];

/// An estimate of the octets that a value takes. What is short in JSON is long in memory; an object of the largest size
/// that a request may have is estimated within a small factor, whether it is one text or very many structures.
pub(super) fn estimate(value: &impl Serialize) -> usize {
    let mut octets = OctetCounter(0);
    // Counting does not fail, and our objects have no map whose keys are no texts.
    let _ = value.serialize(&mut Serializer::with_formatter(&mut octets, Weighed));
    octets.0
}

/// Octets of a pod beyond what its template says: its status, its metadata, its place in a slice, its names.
const POD_STATUS_OCTETS: u64 = 4096;

impl Object {
    /// What it makes the cluster take in memory, in octets, roughly: [`Object::octets`], for a StatefulSet with all its
    /// pods and claims, for a DaemonSet, Deployment, ReplicaSet or ReplicationController with all its pods, for a Job with
    /// all those that are there at its end, whether they are there yet or not. The pods themselves weigh nothing then; neither
    /// does what a Deployment's ReplicaSets ask for.
    pub fn weight(&self) -> u64 {
        match self {
            Object::StatefulSet(set) => {
                let Some(spec) = &set.spec else { return self.octets() as u64 };
                let claims: usize = spec.volume_claim_templates.iter().flatten().map(estimate).sum();
                let pod = (estimate(&spec.template) + claims) as u64 + POD_STATUS_OCTETS;
                let pods = u64::try_from(spec.replicas.unwrap_or(1)).unwrap_or(0);
                self.octets() as u64 + pods.saturating_mul(pod)
            }
            // With a surge there are two pods for a moment.
            Object::DaemonSet(_) => self.with_pods(Some(2)),
            Object::Deployment(deployment) => self.with_pods(deployment.spec.as_ref().and_then(|spec| spec.replicas)),
            Object::Job(job) => {
                // Of those that have ended not all stay, and others run beside the last of them.
                let spec = job.spec.as_ref();
                let parallelism = spec.and_then(|spec| spec.parallelism).unwrap_or(1);
                let kept = i32::try_from(ENDED_PODS_MAX).unwrap_or(i32::MAX);
                self.with_pods(spec.map(|spec| spec.completions.unwrap_or(0).min(kept).saturating_add(parallelism)))
            }
            Object::ReplicaSet(set) if !is_owned_by(&set.metadata, &["Deployment"]) => {
                self.with_pods(set.spec.as_ref().and_then(|spec| spec.replicas))
            }
            Object::ReplicationController(controller) => {
                self.with_pods(controller.spec.as_ref().and_then(|spec| spec.replicas))
            }
            Object::Pod(pod) if is_owned_by(&pod.metadata, &WEIGHING_OWNERS) => 0,
            _ => self.octets() as u64,
        }
    }

    /// The object and so many pods of its template.
    fn with_pods(&self, replicas: Option<i32>) -> u64 {
        let pod = self.pod_template().map_or(0, estimate) as u64 + POD_STATUS_OCTETS;
        self.octets() as u64 + u64::try_from(replicas.unwrap_or(1)).unwrap_or(0).saturating_mul(pod)
    }
}

/// Kinds of owners that weigh their pods.
const WEIGHING_OWNERS: [&str; 5] = ["StatefulSet", "DaemonSet", "Job", "ReplicaSet", "ReplicationController"];

fn is_owned_by(metadata: &ObjectMeta, kinds: &[&str]) -> bool {
    metadata.owner_references.iter().flatten().any(|owner| kinds.contains(&owner.kind.as_str()))
}

/// Counts what is written.
struct OctetCounter(usize);

impl io::Write for OctetCounter {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0 += octets.len();
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes more where more is in memory than in the text.
struct Weighed;

impl Formatter for Weighed {
    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(STRUCTURE)
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, _: bool) -> io::Result<()> {
        writer.write_all(ELEMENT)
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, _: bool) -> io::Result<()> {
        writer.write_all(ELEMENT)
    }
}

#[cfg(test)]
mod tests {
    use crate::objects::object::{Kind, Object};
    use k8s_openapi::api::{
        core::v1::{Container, ContainerPort, EnvVar, Pod},
        discovery::v1::{Endpoint, EndpointSlice},
    };
    use serde_json::{Value, json};

    const MANY: usize = 1000;

    fn many(one: &Value) -> Value {
        Value::Array(vec![one.clone(); MANY])
    }

    #[test]
    fn within_a_small_factor_of_what_is_in_memory() {
        let pod = |container: Value| json!({"metadata": {"name": "a"}, "spec": {"containers": [container]}});
        let rows = [
            (Kind::Pod, json!({"metadata": {"name": "a"}}), size_of::<Pod>()),
            (Kind::Pod, json!({"metadata": {"annotations": {"a": "x".repeat(1 << 20)}}}), 1 << 20),
            (Kind::Pod, json!({"spec": {"containers": many(&json!({"name": "a"}))}}), MANY * size_of::<Container>()),
            (Kind::Pod, pod(json!({"name": "a", "env": many(&json!({"name": "a"}))})), MANY * size_of::<EnvVar>()),
            (
                Kind::Pod,
                pod(json!({"name": "a", "ports": many(&json!({"containerPort": 1}))})),
                MANY * size_of::<ContainerPort>(),
            ),
            (Kind::Pod, pod(json!({"name": "a", "args": many(&json!("a"))})), MANY * size_of::<String>()),
            (
                Kind::EndpointSlice,
                json!({"addressType": "IPv4", "endpoints": many(&json!({"addresses": ["192.0.2.1"]}))}),
                size_of::<EndpointSlice>() + MANY * (size_of::<Endpoint>() + size_of::<String>()),
            ),
        ];
        for (kind, json, octets) in rows {
            let estimated = Object::from_json(kind, json.clone()).unwrap().octets();
            let is_near = (octets / 4..octets * 8).contains(&estimated);
            assert!(is_near, "{estimated} instead of {octets}: {kind:?} {:.60}", json.to_string());
        }
    }
}
