//! Rows of kinds that are only stored: one line of data a kind, and a function where a cell is made of several fields.

use super::{AGE, Column, NAME, NONE, UNSET, age::age, list, or, stored_cells as made, text};
use jiff::Timestamp;
use serde_json::Value;

/// What is in a cell.
pub(super) enum Cell {
    /// The object's name.
    Name,
    /// The time since it was created.
    Age,
    /// The text or the number at a pointer, or this where there is none.
    At(&'static str, &'static str),
    /// The number or the truth value at a pointer; zero and false where there is none.
    Number(&'static str),
    /// See [`Cell::Number`].
    Flag(&'static str),
    /// How many entries a list or a map has.
    Count(&'static [&'static str]),
    /// What is made of the object.
    Made(fn(&Value) -> String),
}

/// A column, and what is in its cells.
pub(super) type StoredColumn = (Column, Cell);

const N: StoredColumn = (NAME, Cell::Name);
const A: StoredColumn = (AGE, Cell::Age);
const CREATED: StoredColumn = (("Created At", 0, "when it was created"), Cell::At("/metadata/creationTimestamp", ""));
const DATA: Column = ("Data", 0, "how many entries it has");
const BINDING: &[StoredColumn] = &[
    N,
    (("Role", 0, "the role that is given"), Cell::Made(made::role)),
    A,
    (("Users", 1, "to which users"), Cell::Made(made::users)),
    (("Groups", 1, "to which groups"), Cell::Made(made::groups)),
    (("ServiceAccounts", 1, "to which ServiceAccounts"), Cell::Made(made::service_accounts)),
];
const POLICY_BINDING: &[StoredColumn] = &[
    N,
    (("PolicyName", 0, "the policy that it puts into force"), Cell::At("/spec/policyName", "")),
    (("ParamRef", 0, "the object with its parameters"), Cell::Made(made::parameter)),
    A,
];
const WEBHOOKS: &[StoredColumn] = &[N, (("Webhooks", 0, "how many webhooks it has"), Cell::Count(&["/webhooks"])), A];

/// The columns of a kind that is only stored; `None` for those that have no more than name and age.
#[expect(clippy::too_many_lines, reason = "a table with a row for each kind")]
pub(super) fn columns_of(kind: &str) -> Option<&'static [StoredColumn]> {
    Some(match kind {
        "APIService" => &[
            N,
            (("Service", 0, "the Service that answers"), Cell::Made(made::api_service)),
            (("Available", 0, "whether it answers"), Cell::Made(made::is_available)),
            A,
        ],
        "CSIDriver" => &[
            N,
            (("AttachRequired", 0, "whether volumes are attached"), Cell::Flag("/spec/attachRequired")),
            (("PodInfoOnMount", 0, "whether it is told of pods"), Cell::Flag("/spec/podInfoOnMount")),
            (("StorageCapacity", 0, "whether it tells its capacity"), Cell::Flag("/spec/storageCapacity")),
            (("TokenRequests", 0, "audiences of the tokens that it wants"), Cell::Made(made::token_audiences)),
            (("RequiresRepublish", 0, "whether volumes are published again"), Cell::Flag("/spec/requiresRepublish")),
            (("Modes", 0, "modes of its volumes"), Cell::Made(made::modes)),
            A,
        ],
        "CSINode" => &[N, (("Drivers", 0, "how many drivers the node has"), Cell::Count(&["/spec/drivers"])), A],
        "CSIStorageCapacity" => &[
            N,
            (("StorageClassName", 0, "the StorageClass"), Cell::At("/storageClassName", "")),
            (("Capacity", 0, "how much can be stored"), Cell::At("/capacity", UNSET)),
        ],
        "CertificateSigningRequest" => &[
            N,
            A,
            (("SignerName", 0, "who is to sign"), Cell::At("/spec/signerName", NONE)),
            (("Requestor", 0, "who asks"), Cell::At("/spec/username", "")),
            (("RequestedDuration", 0, "how long it is to be valid"), Cell::Made(made::requested_duration)),
            (("Condition", 0, "what was decided"), Cell::Made(made::signing_condition)),
        ],
        "ClusterRole" | "CustomResourceDefinition" | "LimitRange" | "Role" => &[N, CREATED],
        "ClusterRoleBinding" | "RoleBinding" => BINDING,
        "ConfigMap" => &[N, (DATA, Cell::Count(&["/data", "/binaryData"])), A],
        "FlowSchema" => &[
            N,
            (("PriorityLevel", 0, "the level"), Cell::At("/spec/priorityLevelConfiguration/name", "")),
            (("MatchingPrecedence", 0, "which schema comes first"), Cell::Number("/spec/matchingPrecedence")),
            (("DistinguisherMethod", 0, "what tells flows apart"), Cell::At("/spec/distinguisherMethod/type", NONE)),
            A,
            (("MissingPL", 0, "whether the level is missing"), Cell::Made(made::is_level_missing)),
        ],
        "HorizontalPodAutoscaler" => &[
            N,
            (("Reference", 0, "what it scales"), Cell::Made(made::scale_target)),
            (("Targets", 0, "what is measured, of what is aimed at"), Cell::Made(made::metrics)),
            (("MinPods", 0, "the least number of pods"), Cell::At("/spec/minReplicas", UNSET)),
            (("MaxPods", 0, "the largest number of pods"), Cell::Number("/spec/maxReplicas")),
            (("Replicas", 0, "how many pods there are"), Cell::Number("/status/currentReplicas")),
            A,
        ],
        "IPAddress" => &[N, (("ParentRef", 0, "the object that has the address"), Cell::Made(made::address_parent))],
        "Ingress" => &[
            N,
            (("Class", 0, "the IngressClass"), Cell::At("/spec/ingressClassName", NONE)),
            (("Hosts", 0, "the hosts that are routed"), Cell::Made(made::hosts)),
            (("Address", 0, "where the load balancer is"), Cell::Made(made::load_balancer)),
            (("Ports", 0, "the ports of the load balancer"), Cell::Made(made::ingress_ports)),
            A,
        ],
        "IngressClass" => &[
            N,
            (("Controller", 0, "who routes"), Cell::At("/spec/controller", "")),
            (("Parameters", 0, "the object with its parameters"), Cell::Made(made::class_parameters)),
            A,
        ],
        "Lease" => &[N, (("Holder", 0, "who holds it"), Cell::At("/spec/holderIdentity", "")), A],
        "MutatingAdmissionPolicy" => &[
            N,
            (("Mutations", 0, "how many mutations it has"), Cell::Count(&["/spec/mutations"])),
            (("ParamKind", 0, "the kind of its parameters"), Cell::Made(made::parameter_kind)),
            A,
        ],
        "MutatingAdmissionPolicyBinding" | "ValidatingAdmissionPolicyBinding" => POLICY_BINDING,
        "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => WEBHOOKS,
        "NetworkPolicy" => &[N, (("Pod-Selector", 0, "the pods that it is about"), Cell::Made(made::pod_selector)), A],
        "Node" => NODE,
        "PodTemplate" => &[
            N,
            (("Containers", 0, "names of the containers"), Cell::Made(made::template_containers)),
            (("Images", 0, "images of the containers"), Cell::Made(made::template_images)),
            (("Pod Labels", 0, "labels of the pods"), Cell::Made(made::template_labels)),
        ],
        "PriorityClass" => &[
            N,
            (("Value", 0, "the priority of its pods"), Cell::Number("/value")),
            (("Global-Default", 0, "whether pods without class have it"), Cell::Flag("/globalDefault")),
            A,
            (("PreemptionPolicy", 0, "whether its pods drive out others"), Cell::At("/preemptionPolicy", "")),
        ],
        "PriorityLevelConfiguration" => &[
            N,
            (("Type", 0, "Limited or Exempt"), Cell::At("/spec/type", "")),
            (("NominalConcurrencyShares", 0, "its share of all requests"), Cell::Made(made::shares)),
            (("Queues", 0, "how many queues it has"), Cell::At(QUEUES, NONE)),
            (("HandSize", 0, "how many queues a flow may use"), Cell::At(HAND_SIZE, NONE)),
            (("QueueLengthLimit", 0, "how many requests a queue holds"), Cell::At(QUEUE_LENGTH, NONE)),
            A,
        ],
        "ResourceClaim" => &[N, (("State", 0, "whether devices are allocated"), Cell::Made(made::claim_state)), A],
        "ResourceQuota" => &[
            N,
            (("Request", 0, "what is used, of what may be"), Cell::Made(made::quota_requests)),
            (("Limit", 0, "the same of limits"), Cell::Made(made::quota_limits)),
            A,
        ],
        "ResourceSlice" => &[
            N,
            (("Node", 0, "the node with the devices"), Cell::At("/spec/nodeName", UNSET)),
            (("Driver", 0, "the driver of the devices"), Cell::At("/spec/driver", "")),
            (("Pool", 0, "the pool of the devices"), Cell::At("/spec/pool/name", "")),
            A,
        ],
        "RuntimeClass" => &[N, (("Handler", 0, "what runs the containers"), Cell::At("/handler", "")), A],
        "Secret" => &[N, (("Type", 0, "what it is for"), Cell::At("/type", "")), (DATA, Cell::Count(&["/data"])), A],
        "ServiceCIDR" => &[N, (("CIDRs", 0, "the networks of Services' addresses"), Cell::Made(made::cidrs)), A],
        "ValidatingAdmissionPolicy" => &[
            N,
            (("Validations", 0, "how many validations it has"), Cell::Count(&["/spec/validations"])),
            (("ParamKind", 0, "the kind of its parameters"), Cell::Made(made::parameter_kind)),
            A,
        ],
        "VolumeAttachment" => &[
            N,
            (("Attacher", 0, "who attaches"), Cell::At("/spec/attacher", "")),
            (("PV", 0, "the volume"), Cell::At("/spec/source/persistentVolumeName", "")),
            (("Node", 0, "the node"), Cell::At("/spec/nodeName", "")),
            (("Attached", 0, "whether it is attached"), Cell::Flag("/status/attached")),
            A,
        ],
        "VolumeAttributesClass" => &[N, (("DriverName", 0, "the driver"), Cell::At("/driverName", "")), A],
        _ => return None,
    })
}

const QUEUES: &str = "/spec/limited/limitResponse/queuing/queues";
const HAND_SIZE: &str = "/spec/limited/limitResponse/queuing/handSize";
const QUEUE_LENGTH: &str = "/spec/limited/limitResponse/queuing/queueLengthLimit";

const NODE: &[StoredColumn] = &[
    N,
    (("Status", 0, "whether it is ready"), Cell::Made(made::node_status)),
    (("Roles", 0, "what it is for"), Cell::Made(made::node_roles)),
    A,
    (("Version", 0, "the version of its kubelet"), Cell::At("/status/nodeInfo/kubeletVersion", "")),
    (("Internal-IP", 1, "its address in the cluster"), Cell::Made(made::internal_address)),
    (("External-IP", 1, "its address outside"), Cell::Made(made::external_address)),
    (("OS-Image", 1, "its operating system"), Cell::At("/status/nodeInfo/osImage", "<unknown>")),
    (("Kernel-Version", 1, "its kernel"), Cell::Made(made::kernel)),
    (
        ("Container-Runtime", 1, "what runs its containers"),
        Cell::At("/status/nodeInfo/containerRuntimeVersion", "<unknown>"),
    ),
];

/// The cells of an object's row.
pub(super) fn cells(columns: &[StoredColumn], object: &Value, now: Timestamp) -> Vec<Value> {
    columns.iter().map(|(_, cell)| content(cell, object, now)).collect()
}

fn content(cell: &Cell, object: &Value, now: Timestamp) -> Value {
    match cell {
        Cell::Name => text(object, "/metadata/name").into(),
        Cell::Age => age(object, now).into(),
        Cell::At(pointer, otherwise) => match object.pointer(pointer) {
            Some(Value::Number(number)) => number.to_string().into(),
            _ => or(text(object, pointer), otherwise).into(),
        },
        Cell::Number(pointer) => super::number(object, pointer).into(),
        Cell::Flag(pointer) => (object.pointer(pointer) == Some(&Value::Bool(true))).into(),
        Cell::Count(pointers) => {
            let count = |pointer: &&str| match object.pointer(pointer) {
                Some(Value::Object(map)) => map.len(),
                _ => list(object, pointer).len(),
            };
            pointers.iter().map(count).sum::<usize>().into()
        }
        Cell::Made(make) => make(object).into(),
    }
}
