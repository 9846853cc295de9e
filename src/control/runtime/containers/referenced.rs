//! What a pod refers to, as the controller found it, and what all pods must know of the node.

use jiff::Timestamp;
use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, sync::Arc};

/// The keys of a ConfigMap or Secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KeyedData {
    /// Values by key; a Secret's are decoded.
    pub data: BTreeMap<String, Vec<u8>>,
}

/// The values may be a Secret's: only keys are shown.
impl std::fmt::Debug for KeyedData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.data.keys()).finish()
    }
}

/// Where a claim's data are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimDirectory {
    /// The volume's directory on the host.
    pub path: PathBuf,
    /// Whether its volume or claim permits reading only.
    pub read_only: bool,
}

/// A Service with an address of its own, for the variables of containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceVariables {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
    /// Its ports in their order: name (may be empty), `TCP`, `UDP` or `SCTP`, number.
    pub ports: Vec<(String, String, u16)>,
}

/// What a pod refers to; what does not exist is not in the maps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Referenced {
    /// ConfigMaps that it names, by name.
    pub config_maps: BTreeMap<String, Arc<KeyedData>>,
    /// Secrets that it names, by name; those of `imagePullSecrets` too.
    pub secrets: BTreeMap<String, Arc<KeyedData>>,
    /// Claims that it names, by the claim's name.
    pub claims: BTreeMap<String, ClaimDirectory>,
    /// Services of its namespace that have an address, by name, and `kubernetes` of `default`.
    pub services: Vec<ServiceVariables>,
    /// The token of its ServiceAccount, where the API gives one.
    pub service_account_token: Option<String>,
}

/// What all pods must know of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFacts {
    /// The node's name.
    pub name: String,
    /// The node's addresses that pods reach: the network's gateways.
    pub addresses: Vec<IpAddr>,
    /// The instance's identity: the value of the engine's label.
    pub instance: String,
    /// The network of sandboxes on the engine.
    pub network: String,
    /// The DNS server for pods.
    pub dns_servers: Vec<IpAddr>,
    /// The domain of the cluster: `cluster.local`.
    pub cluster_domain: String,
    /// `nameserver`, `search` and `options` of the host's own `resolv.conf`.
    pub host_name_servers: Vec<IpAddr>,
    /// Search list of the host.
    pub host_search: Vec<String>,
    /// Options of the host's resolver.
    pub host_options: Vec<String>,
    /// The directory of pods' own files: `PODS/UID/…`.
    pub pods_directory: PathBuf,
    /// Profiles of system calls by their file's name, each as JSON, for `seccompProfile.localhostProfile`.
    pub seccomp_profiles: BTreeMap<String, String>,
    /// Processors of the node in thousandths.
    pub millicores: u64,
    /// Memory of the node in octets.
    pub memory_octets: u64,
    /// Whether the engine wants the hostname on each container (Podman).
    pub hostname_on_containers: bool,
    /// When the facts were found out.
    pub at: Timestamp,
}
