//! What pods refer to, looked up for a runtime that mounts it and puts it into environments, and looked up again when
//! it changes: the pods that name an object are found by an index, not among all pods.

use crate::{
    control::{
        cluster::{Cluster, claims_of},
        runtime::{
            Referenced,
            containers::{ClaimDirectory, KeyedData, ServiceVariables},
        },
    },
    objects::object::{Kind, Object, ObjectKey},
};
use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Container, PersistentVolume, Pod, PodSpec, Secret, Service},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
    path::PathBuf,
    sync::Arc,
};

/// The Service that pods of all namespaces have variables of.
const API_SERVICE: (&str, &str) = ("default", "kubernetes");

/// Where the data of a volume are on the host; `None` for a volume that has no directory.
#[derive(Clone)]
pub struct VolumeDirectories(Arc<DirectoryRule>);

/// The directory of a volume's data.
type DirectoryRule = dyn Fn(&PersistentVolume) -> Option<PathBuf> + Send + Sync;

impl VolumeDirectories {
    /// Directories by this rule, which must not look at the disk: it is asked while everything else waits.
    pub fn new(directory: impl Fn(&PersistentVolume) -> Option<PathBuf> + Send + Sync + 'static) -> VolumeDirectories {
        VolumeDirectories(Arc::new(directory))
    }
}

impl fmt::Debug for VolumeDirectories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VolumeDirectories").finish_non_exhaustive()
    }
}

/// What the pods of a runtime refer to.
#[derive(Debug)]
pub(super) struct References {
    directories: VolumeDirectories,
    /// ConfigMaps and Secrets as they are now, each decoded once for all pods that name it.
    data: HashMap<ObjectKey, Arc<KeyedData>>,
    /// The ConfigMaps and Secrets that a pod names, there or not.
    named_by: HashMap<ObjectKey, BTreeSet<ObjectKey>>,
    /// The pods that name a ConfigMap or Secret.
    naming: HashMap<ObjectKey, BTreeSet<ObjectKey>>,
    /// Pods that are to be told of a change.
    stale: BTreeSet<ObjectKey>,
    /// Namespaces whose Services have changed in what variables say.
    stale_namespaces: BTreeSet<String>,
}

impl References {
    pub(super) fn new(directories: VolumeDirectories) -> References {
        References {
            directories,
            data: HashMap::new(),
            named_by: HashMap::new(),
            naming: HashMap::new(),
            stale: BTreeSet::new(),
            stale_namespaces: BTreeSet::new(),
        }
    }

    /// Looks up everything that a pod refers to, and notes that this pod does.
    pub(super) fn look_up(&mut self, key: &ObjectKey, pod: &Pod, cluster: &Cluster) -> Referenced {
        self.forget(key);
        let names = pod.spec.as_ref().map(|spec| names(spec, &key.namespace)).unwrap_or_default();
        let mut referenced = Referenced { services: services(&key.namespace, cluster), ..Referenced::default() };
        for name in &names {
            self.naming.entry(name.clone()).or_default().insert(key.clone());
            let Some(data) = self.data_of(name, cluster) else { continue };
            match name.kind {
                Kind::Secret => referenced.secrets.insert(name.name.clone(), data),
                _ => referenced.config_maps.insert(name.name.clone(), data),
            };
        }
        self.named_by.insert(key.clone(), names);
        for claim in claims_of(pod) {
            if let Some(directory) = self.claim(&key.namespace, claim, cluster) {
                referenced.claims.insert(claim.to_owned(), directory);
            }
        }
        referenced
    }

    /// A pod has gone.
    pub(super) fn forget(&mut self, pod: &ObjectKey) {
        self.stale.remove(pod);
        for name in self.named_by.remove(pod).into_iter().flatten() {
            if let Some(pods) = self.naming.get_mut(&name) {
                pods.remove(pod);
                if pods.is_empty() {
                    self.naming.remove(&name);
                    self.data.remove(&name);
                }
            }
        }
    }

    /// A ConfigMap or Secret came, changed or went.
    pub(super) fn on_data_changed(&mut self, key: &ObjectKey) {
        self.data.remove(key);
        self.stale.extend(self.naming.get(key).into_iter().flatten().cloned());
    }

    /// A Service came, changed or went.
    pub(super) fn on_service_changed(&mut self, key: &ObjectKey, before: Option<&Service>, after: Option<&Service>) {
        if before.and_then(variables) != after.and_then(variables) {
            let everywhere = (key.namespace.as_str(), key.name.as_str()) == API_SERVICE;
            let namespaces: HashSet<&str> = match everywhere {
                true => self.named_by.keys().map(|pod| pod.namespace.as_str()).collect(),
                false => HashSet::from([key.namespace.as_str()]),
            };
            self.stale_namespaces.extend(namespaces.into_iter().map(str::to_owned));
        }
    }

    /// A pod has changed itself.
    pub(super) fn on_pod_changed(&mut self, key: &ObjectKey) {
        self.stale.insert(key.clone());
    }

    /// Whether a pod is to be told of a change.
    pub(super) fn is_stale(&self) -> bool {
        !self.stale.is_empty() || !self.stale_namespaces.is_empty()
    }

    /// The pods that are to be told of a change, each once.
    pub(super) fn take_stale(&mut self) -> BTreeSet<ObjectKey> {
        let mut stale = std::mem::take(&mut self.stale);
        let namespaces = std::mem::take(&mut self.stale_namespaces);
        if !namespaces.is_empty() {
            stale.extend(self.named_by.keys().filter(|pod| namespaces.contains(&pod.namespace)).cloned());
        }
        stale
    }

    fn data_of(&mut self, key: &ObjectKey, cluster: &Cluster) -> Option<Arc<KeyedData>> {
        if let Some(data) = self.data.get(key) {
            return Some(Arc::clone(data));
        }
        let data = Arc::new(KeyedData { data: decoded(cluster.get(key)?)? });
        self.data.insert(key.clone(), Arc::clone(&data));
        Some(data)
    }

    fn claim(&self, namespace: &str, name: &str, cluster: &Cluster) -> Option<ClaimDirectory> {
        let claim = cluster.claim(namespace, name)?;
        let volume = claim.spec.as_ref()?.volume_name.as_deref().filter(|volume| !volume.is_empty())?;
        let volume = cluster.volume("", volume)?;
        let spec = volume.spec.as_ref();
        let nfs = spec.and_then(|spec| spec.nfs.as_ref()?.read_only);
        let csi = spec.and_then(|spec| spec.csi.as_ref()?.read_only);
        let read_only = nfs.or(csi).unwrap_or(false);
        Some(ClaimDirectory { path: (self.directories.0)(volume)?, read_only })
    }
}

/// The ConfigMaps and Secrets that a pod names.
fn names(spec: &PodSpec, namespace: &str) -> BTreeSet<ObjectKey> {
    let config_map = |name: &str| ObjectKey::new(Kind::ConfigMap, namespace, name);
    let secret = |name: &str| ObjectKey::new(Kind::Secret, namespace, name);
    let mut names = BTreeSet::new();
    for volume in spec.volumes.iter().flatten() {
        names.extend(volume.config_map.iter().map(|source| config_map(&source.name)));
        let secrets = volume.secret.iter().filter_map(|source| source.secret_name.as_deref());
        names.extend(secrets.map(secret));
        for source in volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten()) {
            names.extend(source.config_map.iter().map(|source| config_map(&source.name)));
            names.extend(source.secret.iter().map(|source| secret(&source.name)));
        }
    }
    let of_container = |container: &Container| {
        let whole = container.env_from.iter().flatten().flat_map(|source| {
            let map = source.config_map_ref.iter().map(|source| config_map(&source.name));
            map.chain(source.secret_ref.iter().map(|source| secret(&source.name))).collect::<Vec<_>>()
        });
        let variables = container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref());
        let single = variables.flat_map(|source| {
            let map = source.config_map_key_ref.iter().map(|source| config_map(&source.name));
            map.chain(source.secret_key_ref.iter().map(|source| secret(&source.name))).collect::<Vec<_>>()
        });
        whole.chain(single).collect::<Vec<_>>()
    };
    names.extend(spec.init_containers.iter().flatten().chain(&spec.containers).flat_map(of_container));
    names.extend(spec.image_pull_secrets.iter().flatten().map(|source| secret(&source.name)));
    names.retain(|name| !name.name.is_empty());
    names
}

/// The keys and values of a ConfigMap or Secret.
fn decoded(object: &Object) -> Option<BTreeMap<String, Vec<u8>>> {
    let Object::Stored(stored) = object else { return None };
    let binary = |data: Option<BTreeMap<String, ByteString>>| {
        data.into_iter().flatten().map(|(key, value)| (key, value.0)).collect::<BTreeMap<_, _>>()
    };
    match object.kind() {
        Kind::Secret => Some(binary(stored.typed::<Secret>()?.data)),
        _ => {
            let map: ConfigMap = stored.typed()?;
            let mut data = binary(map.binary_data);
            data.extend(map.data.into_iter().flatten().map(|(key, value)| (key, value.into_bytes())));
            Some(data)
        }
    }
}

/// The Services whose variables the containers of a namespace have, in order of their names.
fn services(namespace: &str, cluster: &Cluster) -> Vec<ServiceVariables> {
    let own = cluster.named(Kind::Service, namespace, "").filter_map(|object| match object {
        Object::Service(service) => variables(service),
        _ => None,
    });
    let (of_api, api) = API_SERVICE;
    let of_others = (namespace != of_api).then(|| cluster.service(of_api, api)).flatten();
    own.chain(of_others.and_then(|service| variables(service))).collect()
}

/// What variables say of a Service; `None` if it has no address.
fn variables(service: &Service) -> Option<ServiceVariables> {
    let spec = service.spec.as_ref()?;
    let address = spec.cluster_ip.as_deref()?.parse().ok()?;
    let ports = spec.ports.iter().flatten().filter_map(|port| {
        let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
        Some((port.name.clone().unwrap_or_default(), protocol, u16::try_from(port.port).ok()?))
    });
    Some(ServiceVariables { name: service.metadata.name.clone().unwrap_or_default(), address, ports: ports.collect() })
}
