//! The one node that every started pod is on: what it is called, and what it says of itself.

use crate::{
    control::{cluster::whole_second, runtime::NODE_ADDRESS},
    objects::object::scheduling::SchedulingNode,
};
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        coordination::v1::{Lease, LeaseSpec},
        core::v1::{
            DaemonEndpoint, Node, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeSpec, NodeStatus, NodeSystemInfo,
        },
    },
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{MicroTime, ObjectMeta},
    },
};
use std::collections::BTreeMap;

/// The name of the one node that every started pod is on.
pub const NODE: &str = "headless-dns";
/// The namespace of nodes' Leases.
pub const LEASE_NAMESPACE: &str = "kube-node-lease";
/// The version of Kubernetes whose API this is, and the program's own; clients compare theirs with the first.
pub const VERSION: &str = concat!("v1.33.0+headless-dns.", env!("CARGO_PKG_VERSION"));

/// What the node has room for. Simulated pods take nothing and no pod is refused for want of room, so these are numbers
/// that no sum of requests reaches; of pods there are at most as many as one set may have replicas.
const CAPACITY: [(&str, &str); 4] =
    [("cpu", "1k"), ("ephemeral-storage", "100Ti"), ("memory", "100Ti"), ("pods", "100k")];
/// How long a kubelet's Lease is good, in seconds; upstream's default, and of no effect here.
const LEASE_SECONDS: i32 = 40;

/// The conditions of a node that lacks nothing: type, status, reason, message.
const CONDITIONS: [(&str, &str, &str, &str); 4] = [
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "simulated pods take no memory"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "simulated pods take no disk"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "simulated pods have no processes"),
    ("Ready", "True", "KubeletReady", "pods are simulated by headless-dns; there is no kubelet"),
];

/// Conditions of a node whose pods are real: what nobody measures is not lacking.
const REAL_CONDITIONS: [(&str, &str, &str, &str); 4] = [
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "memory is not watched; the kernel limits containers"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "disks are not watched"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "processes are not counted"),
    ("Ready", "True", "KubeletReady", "the container engine answers"),
];

/// What runs the pods, as the node tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeDescription {
    /// The node's address.
    pub address: String,
    /// Whether pods only pretend to run.
    pub is_simulated: bool,
    /// What runs them, and its version: `docker://20.10.24`.
    pub runtime_version: String,
    /// The operating system's name.
    pub os_image: String,
    /// The kernel's version; may be empty.
    pub kernel_version: String,
    /// Processors; as many as anybody may ask for if `None`.
    pub cpus: Option<u32>,
    /// Octets of memory; as many as anybody may ask for if `None` or 0.
    pub memory_octets: Option<u64>,
    /// Why no pod can be started now, if so.
    pub problem: Option<String>,
}

impl NodeDescription {
    /// A node whose pods are simulated.
    pub fn simulated() -> NodeDescription {
        NodeDescription {
            address: NODE_ADDRESS.to_owned(),
            is_simulated: true,
            runtime_version: concat!("simulated://", env!("CARGO_PKG_VERSION")).to_owned(),
            os_image: "headless-dns, simulated".to_owned(),
            kernel_version: String::new(),
            cpus: None,
            memory_octets: None,
            problem: None,
        }
    }
}

/// What of the node decides which pods may be on it, before anybody changed anything.
pub fn untouched() -> SchedulingNode {
    SchedulingNode { name: NODE.to_owned(), labels: labels(), taints: Vec::new() }
}

/// The node as it registers itself.
pub fn node(described: &NodeDescription, now: Timestamp) -> Node {
    let metadata = ObjectMeta {
        name: Some(NODE.to_owned()),
        labels: Some(labels()),
        annotations: Some(BTreeMap::from([("node.alpha.kubernetes.io/ttl".to_owned(), "0".to_owned())])),
        ..ObjectMeta::default()
    };
    Node { metadata, spec: Some(NodeSpec::default()), status: Some(status(described, now)) }
}

/// What the node says of itself: where pods are simulated, honestly, that it is none.
pub fn status(described: &NodeDescription, now: Timestamp) -> NodeStatus {
    let quantities = || {
        CAPACITY.iter().map(|(name, amount)| {
            let measured = match *name {
                "cpu" => described.cpus.map(|cpus| cpus.to_string()),
                "memory" => {
                    described.memory_octets.filter(|octets| *octets > 0).map(|octets| format!("{}Ki", octets >> 10))
                }
                _ => None,
            };
            ((*name).to_owned(), Quantity(measured.unwrap_or_else(|| (*amount).to_owned())))
        })
    };
    let address = |type_: &str, address: &str| NodeAddress { type_: type_.to_owned(), address: address.to_owned() };
    let condition = |(type_, status, reason, message): &(&str, &str, &str, &str)| NodeCondition {
        type_: (*type_).to_owned(),
        status: (*status).to_owned(),
        reason: Some((*reason).to_owned()),
        message: Some((*message).to_owned()),
        last_heartbeat_time: Some(whole_second(now)),
        last_transition_time: Some(whole_second(now)),
    };
    let standing = if described.is_simulated { &CONDITIONS } else { &REAL_CONDITIONS };
    let mut conditions: Vec<NodeCondition> = standing.iter().map(condition).collect();
    if let (Some(problem), Some(ready)) = (&described.problem, conditions.last_mut()) {
        ready.status = "False".to_owned();
        ready.reason = Some("KubeletNotReady".to_owned());
        ready.message = Some(format!("container runtime is down: {problem}"));
    }
    NodeStatus {
        addresses: Some(vec![address("InternalIP", &described.address), address("Hostname", NODE)]),
        allocatable: Some(quantities().collect()),
        capacity: Some(quantities().collect()),
        conditions: Some(conditions),
        daemon_endpoints: Some(NodeDaemonEndpoints { kubelet_endpoint: Some(DaemonEndpoint { port: 0 }) }),
        node_info: Some(NodeSystemInfo {
            architecture: architecture().to_owned(),
            container_runtime_version: described.runtime_version.clone(),
            kernel_version: described.kernel_version.clone(),
            kubelet_version: VERSION.to_owned(),
            operating_system: std::env::consts::OS.to_owned(),
            os_image: described.os_image.clone(),
            ..NodeSystemInfo::default()
        }),
        ..NodeStatus::default()
    }
}

/// The node's Lease.
pub fn lease(now: Timestamp) -> Lease {
    Lease {
        metadata: ObjectMeta {
            name: Some(NODE.to_owned()),
            namespace: Some(LEASE_NAMESPACE.to_owned()),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(NODE.to_owned()),
            lease_duration_seconds: Some(LEASE_SECONDS),
            renew_time: Some(MicroTime(now)),
            ..LeaseSpec::default()
        }),
    }
}

fn labels() -> BTreeMap<String, String> {
    let (arch, os) = (architecture(), std::env::consts::OS);
    let labels = [
        ("beta.kubernetes.io/arch", arch),
        ("beta.kubernetes.io/os", os),
        ("kubernetes.io/arch", arch),
        ("kubernetes.io/hostname", NODE),
        ("kubernetes.io/os", os),
    ];
    labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// The machine's architecture as Go calls it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}
