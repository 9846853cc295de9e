//! The ConfigMaps, Secrets and ServiceAccounts that a pod names, and what a kubelet and the API server say when one is
//! missing (`simulation.requireReferences`).

use crate::{
    control::cluster::Cluster,
    objects::object::{
        Kind, Object, ObjectKey,
        namespace::{DEFAULT_ACCOUNT, ROOT_CERTIFICATE},
    },
};
use k8s_openapi::api::core::v1::{Container, KeyToPath, Pod, Volume};

/// What a pod waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingReference {
    /// What its containers say: `ContainerCreating` or `CreateContainerConfigError`.
    pub waiting: &'static str,
    /// The reason of the event: `FailedMount` or `Failed`.
    pub reason: &'static str,
    /// The event's message.
    pub told: String,
    /// What is wrong, alone.
    pub what: String,
}

/// The first thing that a pod names and that is not there: what is mounted, then what is in the environment. What is
/// optional is not missed.
pub fn missing(cluster: &Cluster, pod: &Pod) -> Option<MissingReference> {
    let spec = pod.spec.as_ref()?;
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let find = Find { cluster, namespace };
    for volume in spec.volumes.iter().flatten() {
        if let Some(what) = find.of_volume(volume) {
            let told = format!("MountVolume.SetUp failed for volume {:?} : {what}", volume.name);
            return Some(MissingReference { waiting: "ContainerCreating", reason: "FailedMount", told, what });
        }
    }
    let containers = spec.init_containers.iter().flatten().chain(&spec.containers);
    let what = containers.into_iter().find_map(|container| find.of_container(container))?;
    let told = format!("Error: {what}");
    Some(MissingReference { waiting: "CreateContainerConfigError", reason: "Failed", told, what })
}

/// The refusal of a new pod whose ServiceAccount does not exist; `None` for other objects. `default` exists in every
/// namespace, or will in a moment.
pub fn missing_account(cluster: &Cluster, object: &Object) -> Option<String> {
    let Object::Pod(pod) = object else { return None };
    let account = pod.spec.as_ref()?.service_account_name.as_deref().filter(|name| !name.is_empty())?;
    let key = object.key();
    let account_key = ObjectKey::new(Kind::ServiceAccount, &key.namespace, account);
    if account == DEFAULT_ACCOUNT || cluster.get(&account_key).is_some() {
        return None;
    }
    let name = pod.metadata.generate_name.as_deref().filter(|name| !name.is_empty()).unwrap_or(&key.name);
    Some(format!(
        "pods {name:?} is forbidden: error looking up service account {}/{account}: serviceaccount {account:?} not found",
        key.namespace
    ))
}

/// Looks for the objects that a pod names.
struct Find<'a> {
    cluster: &'a Cluster,
    namespace: &'a str,
}

impl Find<'_> {
    fn of_volume(&self, volume: &Volume) -> Option<String> {
        let config_map = volume
            .config_map
            .iter()
            .map(|map| (Kind::ConfigMap, Some(map.name.as_str()), map.items.as_deref(), map.optional));
        let secret = volume
            .secret
            .iter()
            .map(|secret| (Kind::Secret, secret.secret_name.as_deref(), secret.items.as_deref(), secret.optional));
        let sources = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
        let projected = sources.flat_map(|source| {
            let map = source.config_map.iter();
            let map = map.map(|map| (Kind::ConfigMap, Some(map.name.as_str()), map.items.as_deref(), map.optional));
            let secret = source.secret.iter();
            map.chain(secret.map(|one| (Kind::Secret, Some(one.name.as_str()), one.items.as_deref(), one.optional)))
        });
        let mut all = config_map.chain(secret).chain(projected);
        all.find_map(|(kind, name, items, optional)| {
            let name = name.unwrap_or_default();
            self.object(kind, name, optional).or_else(|| self.items(kind, name, items, optional))
        })
    }

    fn of_container(&self, container: &Container) -> Option<String> {
        let whole = container.env_from.iter().flatten().find_map(|source| {
            let map = source.config_map_ref.as_ref().map(|map| (Kind::ConfigMap, &map.name, map.optional));
            let secret = source.secret_ref.as_ref().map(|secret| (Kind::Secret, &secret.name, secret.optional));
            map.or(secret).and_then(|(kind, name, optional)| self.object(kind, name, optional))
        });
        let single = || {
            let sources = container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref());
            let mut keys = sources.filter_map(|source| {
                let map = source.config_map_key_ref.as_ref();
                let map = map.map(|map| (Kind::ConfigMap, &map.name, &map.key, map.optional));
                let secret = source.secret_key_ref.as_ref();
                map.or(secret.map(|secret| (Kind::Secret, &secret.name, &secret.key, secret.optional)))
            });
            keys.find_map(|(kind, name, key, optional)| {
                self.object(kind, name, optional).or_else(|| {
                    let lacks = optional != Some(true) && !self.has_key(kind, name, key);
                    lacks.then(|| format!("couldn't find key {key} in {} {}/{name}", kind.name(), self.namespace))
                })
            })
        };
        whole.or_else(single)
    }

    /// What is said of a whole object that is missing.
    fn object(&self, kind: Kind, name: &str, optional: Option<bool>) -> Option<String> {
        let is_missed = optional != Some(true) && !is_given(kind, name) && self.get(kind, name).is_none();
        is_missed.then(|| format!("{} {name:?} not found", kind.name().to_ascii_lowercase()))
    }

    /// What is said of the first key that is to be a file and is missing.
    fn items(&self, kind: Kind, name: &str, items: Option<&[KeyToPath]>, optional: Option<bool>) -> Option<String> {
        if optional == Some(true) || is_given(kind, name) {
            return None;
        }
        let missing = items?.iter().find(|item| !self.has_key(kind, name, &item.key))?;
        Some(match kind {
            Kind::Secret => format!("references non-existent secret key: {}", missing.key),
            _ => format!("configmap references non-existent config key: {}", missing.key),
        })
    }

    /// Only names are looked at, so that no value of a Secret gets anywhere.
    fn has_key(&self, kind: Kind, name: &str, key: &str) -> bool {
        let Some(Object::Stored(object)) = self.get(kind, name) else { return is_given(kind, name) };
        let body = object.body();
        ["data", "binaryData"].iter().any(|part| body.get(*part).is_some_and(|part| part.get(key).is_some()))
    }

    fn get(&self, kind: Kind, name: &str) -> Option<&Object> {
        self.cluster.get(&ObjectKey::new(kind, self.namespace, name))
    }
}

/// Whether every namespace has the object, also where no API is served that would show it.
fn is_given(kind: Kind, name: &str) -> bool {
    kind == Kind::ConfigMap && name == ROOT_CERTIFICATE
}
