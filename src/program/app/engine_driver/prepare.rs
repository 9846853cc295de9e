//! What is decided before anything runs: the instance's identity, the network's range, what pods are told of the node.

use super::{dns_check::DnsCheck, identity::Identity, machine, resolv_conf::ResolvConf};
use crate::{
    control::{
        controller::{NODE, NodeDescription},
        runtime::containers::NodeFacts,
        state::volumes::VolumePaths,
    },
    engine::sandbox::{Engine, EngineError, EngineInfo, EngineKind, EngineVersion, INSTANCE_LABEL, NetworkSpec},
    program::{app::StartError, settings::Settings},
    text::regular_file,
};
use ipnet::{IpNet, Ipv4Net};
use jiff::Timestamp;
use std::{
    collections::BTreeMap,
    fs, io,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// How long the start waits for an engine that does not answer; after that it goes on without, and asks again.
const PATIENCE: Duration = Duration::from_secs(10);
/// The directory of pods' own files in the state directory.
pub(super) const PODS: &str = "pods";
/// The directory of profiles of system calls in the state directory, how many are read, and octets of each.
const SECCOMP: &str = "seccomp";
const SECCOMP_MAX: usize = 64;
const SECCOMP_OCTETS_MAX: u64 = 1 << 20;
/// What the ranges begin with that are tried one after another where the settings name none.
const SECOND_OCTETS: std::ops::RangeInclusive<u8> = 244..=254;

/// An engine, and everything that is decided about it.
pub(in crate::program::app) struct PreparedEngine<E> {
    pub(super) engine: Arc<E>,
    pub(in crate::program::app) facts: NodeFacts,
    pub(super) network: NetworkSpec,
    pub(in crate::program::app) claims: Arc<VolumePaths>,
    /// Which it is; `None` if it has not answered yet.
    version: Option<EngineVersion>,
    /// What it said of itself, once it was asked.
    info: Option<EngineInfo>,
    socket: PathBuf,
    /// Whether DNS is served at the gateway.
    serves_dns: bool,
}

impl<E> std::fmt::Debug for PreparedEngine<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PreparedEngine").field("facts", &self.facts).finish_non_exhaustive()
    }
}

/// What the engine is for.
#[derive(Debug, Clone, Copy)]
pub(in crate::program::app) struct Place<'a> {
    pub socket: &'a Path,
    pub state_directory: &'a Path,
}

impl<E: Engine> PreparedEngine<E> {
    /// Makes the network on the engine, in a range that clashes with none, and puts that range into the settings. What the
    /// engine says of its machine is asked later, and so is everything of an engine that does not answer.
    ///
    /// # Errors
    /// The identity cannot be kept, or the engine refuses the network.
    pub(in crate::program::app) fn new(
        engine: E,
        place: Place<'_>,
        settings: &mut Settings,
        claims: VolumePaths,
    ) -> Result<PreparedEngine<E>, StartError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| StartError::System { what: "engine", source })?;
        let kept = |source| StartError::System { what: "the identity on the container engine", source };
        let state_directory = std::path::absolute(place.state_directory).map_err(kept)?;
        let mut identity = Identity::read_or_make(&state_directory).map_err(kept)?;
        let ranges = ranges(settings, &identity);
        let choosing = async {
            let asked = tokio::time::timeout(PATIENCE, choose(&engine, &identity, &ranges)).await;
            asked.unwrap_or(Err(EngineError::TimedOut(PATIENCE)))
        };
        let (network, version) = match runtime.block_on(choosing) {
            Ok((network, version)) => (network, Some(version)),
            Err(error) if error.is_about_the_engine() => {
                (network(&identity, ranges.first().cloned().unwrap_or_default()), None)
            }
            Err(error) => return Err(StartError::Engine { socket: place.socket.to_owned(), source: error }),
        };
        if identity.pod_cidrs != network.subnets {
            identity.pod_cidrs.clone_from(&network.subnets);
            identity.write(&state_directory).map_err(kept)?;
        }
        if settings.pod_cidrs != network.subnets {
            tracing::info!(
                ranges = %list(&network.subnets),
                "podCidrs: the range by default is taken on this machine, or was when the network was made"
            );
            settings.move_pods(network.subnets.clone());
        }
        let host = ResolvConf::read();
        let facts = NodeFacts {
            name: NODE.to_owned(),
            addresses: network.gateways.clone(),
            instance: identity.instance.clone(),
            network: network.name.clone(),
            dns_servers: network.gateways.clone(),
            cluster_domain: settings.cluster_domain.first.to_string().trim_end_matches('.').to_owned(),
            host_name_servers: host.name_servers,
            host_search: host.search,
            host_options: host.options,
            pods_directory: state_directory.join(PODS),
            seccomp_profiles: seccomp_profiles(&state_directory.join(SECCOMP)),
            millicores: machine::millicores(),
            memory_octets: machine::memory_octets(),
            hostname_on_containers: false,
            at: Timestamp::now(),
        };
        let mut prepared = PreparedEngine {
            engine: Arc::new(engine),
            facts,
            network,
            claims: Arc::new(claims),
            version: None,
            info: None,
            socket: place.socket.to_owned(),
            serves_dns: false,
        };
        if let Some(version) = version {
            let ensured = runtime.block_on(prepared.engine.ensure_sandbox_image());
            ensured.map_err(|source| StartError::Engine { socket: place.socket.to_owned(), source })?;
            prepared.recognise(version);
        }
        Ok(prepared)
    }

    /// Where DNS is to be served for pods.
    pub(in crate::program::app) fn dns_addresses(&self) -> Vec<IpAddr> {
        self.network.gateways.clone()
    }

    /// Notes that DNS is served there.
    pub(in crate::program::app) fn serves_dns(&mut self) {
        self.serves_dns = true;
    }

    /// Whether the engine has answered.
    pub(super) fn is_connected(&self) -> bool {
        self.version.is_some()
    }

    /// Whether it has said that it is Podman.
    pub(super) fn is_podman(&self) -> bool {
        self.version.as_ref().is_some_and(|version| version.kind == EngineKind::Podman)
    }

    /// Makes network and sandbox image on the engine if they are not there.
    pub(super) async fn connect(&mut self) -> Result<(), EngineError> {
        let version = self.engine.version().await?;
        self.engine.ensure_network(&self.network).await?;
        self.engine.ensure_sandbox_image().await?;
        self.recognise(version);
        Ok(())
    }

    fn recognise(&mut self, version: EngineVersion) {
        self.facts.hostname_on_containers = version.kind == EngineKind::Podman;
        self.facts.at = Timestamp::now();
        self.version = Some(version);
    }

    /// Has the engine say what it is and has, which takes Podman a quarter of a second.
    pub(super) async fn learn(&mut self) -> Result<&EngineInfo, EngineError> {
        let info = self.engine.info().await?;
        self.recognise(EngineVersion { kind: info.kind, version: info.version.clone() });
        self.facts.millicores = u64::from(info.cpus) * 1000;
        self.facts.memory_octets = info.memory_octets;
        Ok(self.info.insert(info))
    }

    /// What the engine is called in messages.
    pub(in crate::program::app) fn name(&self) -> String {
        match &self.version {
            Some(version) => format!("{} at {}", runtime_version(version), self.socket.display()),
            None => self.socket.display().to_string(),
        }
    }

    pub(super) fn dns_check(&self) -> DnsCheck {
        let server = self.network.gateways.first().copied().filter(|_| self.serves_dns);
        DnsCheck::new(self.network.clone(), server)
    }

    /// What the one node says of itself.
    pub(in crate::program::app) fn description(&self) -> NodeDescription {
        let simulated = NodeDescription::simulated();
        let address = self.network.gateways.first().map_or(simulated.address.clone(), IpAddr::to_string);
        let Some(version) = &self.version else { return NodeDescription { address, is_simulated: false, ..simulated } };
        NodeDescription {
            address,
            is_simulated: false,
            runtime_version: runtime_version(version),
            os_image: self.info.as_ref().map(|info| info.operating_system.clone()).unwrap_or_default(),
            kernel_version: self.info.as_ref().map(|info| info.kernel_version.clone()).unwrap_or_default(),
            cpus: u32::try_from(self.facts.millicores / 1000).ok(),
            memory_octets: Some(self.facts.memory_octets),
            problem: None,
        }
    }
}

/// `docker://20.10.24`.
fn runtime_version(version: &EngineVersion) -> String {
    let kind = match version.kind {
        EngineKind::Docker => "docker",
        EngineKind::Podman => "podman",
    };
    format!("{kind}://{}", version.version)
}

/// The settings that a reload read, with the ranges that were chosen at the start where the settings still name none.
pub(in crate::program::app) fn keep_ranges(used: &Settings, mut new: Settings) -> Settings {
    if !new.explicit.pod_cidrs && !used.explicit.pod_cidrs && used.pod_cidrs != new.pod_cidrs {
        new.move_pods(used.pod_cidrs.clone());
    }
    new
}

/// The ranges that may be taken, the first that clashes with nothing: what the settings name, what an earlier run has
/// taken, or one of several.
fn ranges(settings: &Settings, identity: &Identity) -> Vec<Vec<IpNet>> {
    if settings.explicit.pod_cidrs {
        return vec![settings.pod_cidrs.clone()];
    }
    if !identity.pod_cidrs.is_empty() {
        return vec![identity.pod_cidrs.clone()];
    }
    let taken = machine::routes();
    let candidates = SECOND_OCTETS.map(|octet| IpNet::from(Ipv4Net::new_assert(Ipv4Addr::new(10, octet, 0, 0), 16)));
    let overlaps = |one: &IpNet, other: &IpNet| one.contains(other) || other.contains(one);
    let free = candidates
        .filter(|range| !taken.iter().chain(&settings.service_cidrs).any(|other| overlaps(range, other)))
        .map(|range| vec![range]);
    let free: Vec<Vec<IpNet>> = free.collect();
    if free.is_empty() { vec![settings.pod_cidrs.clone()] } else { free }
}

/// Profiles of system calls that containers may name: the files of this directory, each as text. What cannot be read is
/// told of, and missing then.
fn seccomp_profiles(directory: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(directory).into_iter().flatten().map_while(Result::ok);
    let read = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        match regular_file::read(&entry.path(), SECCOMP_OCTETS_MAX).map(String::from_utf8) {
            Ok(Ok(text)) => Some((name, text)),
            Ok(Err(_)) => {
                tracing::warn!(file = %entry.path().display(), "this seccomp profile is not UTF-8, and not used");
                None
            }
            Err(error) => {
                tracing::warn!(%error, file = %entry.path().display(), "this seccomp profile cannot be read");
                None
            }
        }
    };
    entries.filter_map(read).take(SECCOMP_MAX).collect()
}

/// The network in the first range that the engine takes.
async fn choose<E: Engine>(
    engine: &E,
    identity: &Identity,
    ranges: &[Vec<IpNet>],
) -> Result<(NetworkSpec, EngineVersion), EngineError> {
    let version = engine.version().await?;
    let mut refused = EngineError::SubnetTaken("there is no range to choose from".to_owned());
    for subnets in ranges {
        let network = network(identity, subnets.clone());
        match engine.ensure_network(&network).await {
            Ok(()) => return Ok((network, version)),
            Err(error @ EngineError::SubnetTaken(_)) => refused = error,
            Err(error) => return Err(error),
        }
    }
    Err(refused)
}

fn network(identity: &Identity, subnets: Vec<IpNet>) -> NetworkSpec {
    let gateways = subnets.iter().filter_map(|subnet| subnet.hosts().next()).collect();
    NetworkSpec {
        name: identity.network(),
        bridge: identity.bridge(),
        gateways,
        subnets,
        mtu: None,
        labels: BTreeMap::from([(INSTANCE_LABEL.to_owned(), identity.instance.clone())]),
    }
}

fn list(ranges: &[IpNet]) -> String {
    ranges.iter().map(IpNet::to_string).collect::<Vec<_>>().join(", ")
}

/// Why no engine can be used as set.
pub(in crate::program::app) fn without_state() -> StartError {
    let message = "real containers need a state directory for their files and for who they belong to; name one with \
                   --state-dir, or set runtime: simulated";
    StartError::System { what: "runtime", source: io::Error::new(io::ErrorKind::InvalidInput, message) }
}
