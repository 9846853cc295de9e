//! The variables of a container: those of Services, then `envFrom`, then `env`; later ones take the place of earlier ones.

use super::{
    SpecError,
    expansion::{TEXT_OCTETS_MAX, TooLong, expand},
    fields::field,
    resources::resource_field,
    service_variables::service_variables,
};
use crate::control::runtime::containers::{KeyedData, NodeFacts, Referenced};
use k8s_openapi::api::core::v1::{Container, EnvFromSource, EnvVarSource, Pod};
use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
};

/// Variables in their order, each name once. The values may be a Secret's: only names are shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    variables: Vec<(String, String)>,
    places: HashMap<String, usize>,
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.variables.iter().map(|(name, _)| name)).finish()
    }
}

/// What the variables of a container are made from.
#[derive(Debug, Clone, Copy)]
pub struct VariableSources<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// One of its containers.
    pub container: &'a Container,
    /// The pod's addresses.
    pub addresses: &'a [IpAddr],
    /// What the pod refers to.
    pub referenced: &'a Referenced,
    /// The node.
    pub facts: &'a NodeFacts,
}

/// A key of a ConfigMap or Secret that a variable names.
struct KeyReference<'a> {
    kind: DataKind,
    name: &'a str,
    key: &'a str,
    optional: bool,
}

/// What keeps keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataKind {
    /// A ConfigMap.
    ConfigMap,
    /// A Secret.
    Secret,
}

impl DataKind {
    /// The object, or what kubelet says if it does not exist.
    pub fn find<'a>(self, name: &str, referenced: &'a Referenced) -> Result<&'a KeyedData, String> {
        let (map, word) = match self {
            DataKind::ConfigMap => (&referenced.config_maps, "configmap"),
            DataKind::Secret => (&referenced.secrets, "secret"),
        };
        map.get(name).map(|data| &**data).ok_or_else(|| format!("{word} \"{name}\" not found"))
    }
}

impl Environment {
    /// The variables of a container.
    ///
    /// # Errors
    /// `CreateContainerConfigError`, in kubelet's words: something does not exist that is not optional.
    pub fn of(sources: VariableSources<'_>) -> Result<Environment, SpecError> {
        let refused = |message| SpecError { reason: "CreateContainerConfigError", message };
        let mut environment = Environment::default();
        let links = sources.pod.spec.as_ref().and_then(|spec| spec.enable_service_links).unwrap_or(true);
        for (name, value) in service_variables(sources.referenced, links) {
            environment.set(&name, value);
        }
        for source in sources.container.env_from.iter().flatten() {
            environment.take_all(source, sources.referenced).map_err(refused)?;
        }
        for variable in sources.container.env.iter().flatten() {
            let literal = variable.value.as_deref().filter(|value| !value.is_empty());
            let value = match (literal, &variable.value_from) {
                (Some(text), _) => match environment.expand(text) {
                    Ok(value) => Some(value),
                    Err(TooLong) => return Err(refused(too_long(&variable.name))),
                },
                (None, Some(source)) => environment.value_from(source, &variable.name, sources).map_err(refused)?,
                (None, None) => Some(String::new()),
            };
            if let Some(value) = value {
                environment.set(&variable.name, value);
            }
        }
        environment.check().map_err(refused)?;
        Ok(environment)
    }

    /// Replaces the references of a text by these variables.
    ///
    /// # Errors
    /// The result is too long for any process.
    pub fn expand(&self, text: &str) -> Result<String, TooLong> {
        expand(text, |name| self.get(name))
    }

    /// Replaces the references of a path, which all must have a value.
    ///
    /// # Errors
    /// Some have none, in kubelet's words.
    pub fn expand_whole(&self, text: &str) -> Result<String, String> {
        let mut missing = BTreeSet::new();
        let expanded = expand(text, |name| {
            let value = self.get(name).unwrap_or_default();
            if value.is_empty() {
                missing.insert(name.to_owned());
            }
            Some(value)
        });
        match (missing.is_empty(), expanded) {
            (true, Ok(text)) => Ok(text),
            (true, Err(TooLong)) => Err(format!("the path is longer than {TEXT_OCTETS_MAX} octets")),
            (false, _) => Err(format!("missing value for {}", missing.into_iter().collect::<Vec<_>>().join(", "))),
        }
    }

    /// The variables in their order.
    pub fn into_variables(self) -> Vec<(String, String)> {
        self.variables
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(*self.places.get(name)?).map(|(_, value)| value.as_str())
    }

    fn set(&mut self, name: &str, value: String) {
        match self.places.get(name).and_then(|place| self.variables.get_mut(*place)) {
            Some((_, known)) => *known = value,
            None => {
                self.places.insert(name.to_owned(), self.variables.len());
                self.variables.push((name.to_owned(), value));
            }
        }
    }

    /// All keys of a ConfigMap or Secret. Keys that can be no name of a variable are left out.
    fn take_all(&mut self, source: &EnvFromSource, referenced: &Referenced) -> Result<(), String> {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        let (kind, name, optional) = match (&source.config_map_ref, &source.secret_ref) {
            (Some(map), _) => (DataKind::ConfigMap, &map.name, map.optional),
            (None, Some(secret)) => (DataKind::Secret, &secret.name, secret.optional),
            (None, None) => return Ok(()),
        };
        let data = match kind.find(name, referenced) {
            Ok(data) => data,
            Err(_) if optional == Some(true) => return Ok(()),
            Err(message) => return Err(message),
        };
        for (key, value) in &data.data {
            let name = [prefix, key].concat();
            if let Some(value) = text_of(kind, value).filter(|_| is_name(&name)) {
                self.set(&name, value);
            }
        }
        Ok(())
    }

    /// The value that a variable takes from elsewhere; `None` if it is optional and there is none.
    fn value_from(
        &self,
        source: &EnvVarSource,
        variable: &str,
        sources: VariableSources<'_>,
    ) -> Result<Option<String>, String> {
        let VariableSources { pod, container, addresses, referenced, facts } = sources;
        if let Some(reference) = &source.field_ref {
            return field(pod, &reference.field_path, addresses, facts).map(Some);
        }
        if let Some(reference) = &source.resource_field_ref {
            return resource_field(pod, Some(container), reference, facts).map(Some);
        }
        let reference = match (&source.config_map_key_ref, &source.secret_key_ref) {
            (Some(map), _) => KeyReference {
                kind: DataKind::ConfigMap,
                name: &map.name,
                key: &map.key,
                optional: map.optional.unwrap_or(false),
            },
            (None, Some(secret)) => KeyReference {
                kind: DataKind::Secret,
                name: &secret.name,
                key: &secret.key,
                optional: secret.optional.unwrap_or(false),
            },
            (None, None) if source.file_key_ref.is_some() => {
                return Err(format!("variable {variable}: fileKeyRef is not supported; take a ConfigMap or Secret"));
            }
            (None, None) => return Ok(Some(String::new())),
        };
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        value_of_key(&reference, namespace, referenced)
    }

    /// Whether a process can be given all of them.
    fn check(&self) -> Result<(), String> {
        let zero = |text: &str| text.contains('\0');
        for (name, value) in &self.variables {
            if name.len() + value.len() >= TEXT_OCTETS_MAX {
                return Err(too_long(name));
            }
            if zero(name) || zero(value) {
                return Err(format!("variable {name:?} has a zero octet, which no process can be given"));
            }
        }
        Ok(())
    }
}

fn value_of_key(
    reference: &KeyReference<'_>,
    namespace: &str,
    referenced: &Referenced,
) -> Result<Option<String>, String> {
    let KeyReference { kind, name, key, optional } = *reference;
    let data = match kind.find(name, referenced) {
        Err(_) if optional => return Ok(None),
        found => found?,
    };
    match data.data.get(key).and_then(|value| text_of(kind, value)) {
        None if optional => Ok(None),
        None => Err(format!("couldn't find key {key} in {kind:?} {namespace}/{name}")),
        value => Ok(value),
    }
}

/// A value as text. What of a ConfigMap is no text (`binaryData`) is no variable.
fn text_of(kind: DataKind, value: &[u8]) -> Option<String> {
    match kind {
        DataKind::ConfigMap => std::str::from_utf8(value).ok().map(str::to_owned),
        DataKind::Secret => Some(String::from_utf8_lossy(value).into_owned()),
    }
}

/// Upstream's `IsRelaxedEnvVarName`: what can be printed, but for the sign between name and value.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|octet| (b' '..=b'~').contains(&octet) && octet != b'=')
}

fn too_long(name: &str) -> String {
    format!("variable {name} is longer than the {TEXT_OCTETS_MAX} octets that Linux gives to a process")
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{addresses, data, facts, pod_of, referenced},
        *,
    };

    fn environment(container: &str, rest: &str, referenced: &Referenced) -> Result<String, String> {
        let (pod, container) = pod_of(container, rest);
        let (addresses, facts) = (addresses("10.9.0.7"), facts());
        let sources =
            VariableSources { pod: &pod, container: &container, addresses: &addresses, referenced, facts: &facts };
        let environment = Environment::of(sources).map_err(|error| {
            assert_eq!(error.reason, "CreateContainerConfigError");
            error.message
        })?;
        let variables = environment.into_variables();
        Ok(variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect())
    }

    fn check(container: &str, expected: Result<&str, &str>) {
        let found =
            environment(container, "enableServiceLinks: false", &Referenced { services: Vec::new(), ..referenced() });
        assert_eq!(found.as_deref().map_err(String::as_str), expected, "{container}");
    }

    #[test]
    fn values() {
        let rows = [
            ("env: []", ""),
            (
                "env: [{name: A, value: one}, {name: B, value: '$(A)-$(C)-$$(A)'}, {name: C, value: late}]",
                "A=one\nB=one-$(C)-$(A)\nC=late\n",
            ),
            ("env: [{name: A, value: one}, {name: A, value: '$(A) two'}]", "A=one two\n"),
            ("env: [{name: A}, {name: B, value: ''}]", "A=\nB=\n"),
            (
                "env: [{name: A, valueFrom: {fieldRef: {fieldPath: metadata.name}}}, {name: B, value: $(A).x}]",
                "A=web-0\nB=web-0.x\n",
            ),
            ("env: [{name: A, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]", "A=10.9.0.7\n"),
            ("env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 1m}}}]", "A=2000\n"),
            ("env: [{name: A, valueFrom: {configMapKeyRef: {name: settings, key: LEVEL}}}]", "A=debug\n"),
            ("env: [{name: A, valueFrom: {secretKeyRef: {name: login, key: password}}}]", "A=hunter2\n"),
            (
                "env: [{name: A, valueFrom: {secretKeyRef: {name: none, key: x, optional: true}}}, {name: B, value: $(A)}]",
                "B=$(A)\n",
            ),
            ("env: [{name: A, valueFrom: {configMapKeyRef: {name: settings, key: x, optional: true}}}]", ""),
            // `raw` is no text.
            ("envFrom: [{configMapRef: {name: settings}}]", "LEVEL=debug\nsite.conf=listen 80;\n"),
            ("envFrom: [{prefix: P_, secretRef: {name: login}}]", "P_password=hunter2\nP_user=admin\n"),
            ("envFrom: [{prefix: 'A=', secretRef: {name: login}}]", ""),
            ("envFrom: [{configMapRef: {name: none, optional: true}}, {secretRef: {name: none, optional: true}}]", ""),
            (
                "envFrom: [{secretRef: {name: login}}], env: [{name: user, value: me}, {name: X, value: $(password)}]",
                "password=hunter2\nuser=me\nX=hunter2\n",
            ),
        ];
        for (container, expected) in rows {
            check(container, Ok(expected));
        }
    }

    #[test]
    fn what_is_missing() {
        let rows = [
            ("envFrom: [{configMapRef: {name: none}}]", "configmap \"none\" not found"),
            ("envFrom: [{secretRef: {name: none}}]", "secret \"none\" not found"),
            ("env: [{name: A, valueFrom: {configMapKeyRef: {name: none, key: k}}}]", "configmap \"none\" not found"),
            ("env: [{name: A, valueFrom: {secretKeyRef: {name: none, key: k}}}]", "secret \"none\" not found"),
            (
                "env: [{name: A, valueFrom: {configMapKeyRef: {name: settings, key: k}}}]",
                "couldn't find key k in ConfigMap shop/settings",
            ),
            (
                "env: [{name: A, valueFrom: {configMapKeyRef: {name: settings, key: raw}}}]",
                "couldn't find key raw in ConfigMap shop/settings",
            ),
            (
                "env: [{name: A, valueFrom: {secretKeyRef: {name: login, key: k}}}]",
                "couldn't find key k in Secret shop/login",
            ),
            ("env: [{name: A, valueFrom: {fieldRef: {fieldPath: spec.x}}}]", "unsupported fieldPath: spec.x"),
            (
                "env: [{name: A, valueFrom: {fileKeyRef: {volumeName: v, path: p, key: k}}}]",
                "variable A: fileKeyRef is not supported; take a ConfigMap or Secret",
            ),
            ("env: [{name: A, value: \"a\\0b\"}]", "variable \"A\" has a zero octet, which no process can be given"),
        ];
        for (container, expected) in rows {
            check(container, Err(expected));
        }
    }

    #[test]
    fn services_come_first() {
        let all = environment(
            "env: [{name: URL, value: $(DB_PORT)}, {name: DB_SERVICE_PORT, value: '1'}]",
            "",
            &referenced(),
        );
        let all = all.unwrap();
        assert!(all.starts_with("DB_SERVICE_HOST=10.96.0.7\nDB_SERVICE_PORT=1\n"), "{all}");
        assert!(all.contains("\nKUBERNETES_SERVICE_PORT_HTTPS=443\n"), "{all}");
        assert!(all.ends_with("\nURL=tcp://10.96.0.7:5432\n"), "{all}");
        let few = environment("", "enableServiceLinks: false", &referenced()).unwrap();
        assert!(few.starts_with("KUBERNETES_SERVICE_HOST=10.96.0.1\n") && !few.contains("DB_"), "{few}");
    }

    #[test]
    fn what_grows_has_an_end() {
        let large = Referenced {
            config_maps: [("settings".to_owned(), data(&[("BIG", &vec![b'x'; 1 << 20])]))].into(),
            ..Referenced::default()
        };
        let expected = Err("variable BIG is longer than the 131072 octets that Linux gives to a process".to_owned());
        assert_eq!(environment("envFrom: [{configMapRef: {name: settings}}]", "", &large), expected);
        // Each doubles the one before: 2⁶⁴ octets.
        let doubling: Vec<String> =
            (1..64).map(|n| format!("{{name: V{n}, value: '$(V{})$(V{})'}}", n - 1, n - 1)).collect();
        let container = format!("env: [{{name: V0, value: xx}}, {}]", doubling.join(", "));
        let expected = "variable V17 is longer than the 131072 octets that Linux gives to a process";
        check(&container, Err(expected));
    }

    #[test]
    fn secrets_are_not_shown() {
        let (pod, container) = pod_of("envFrom: [{secretRef: {name: login}}]", "");
        let (referenced, facts) = (referenced(), facts());
        let sources = VariableSources {
            pod: &pod,
            container: &container,
            addresses: &[],
            referenced: &referenced,
            facts: &facts,
        };
        let shown = format!("{:?} {sources:?}", Environment::of(sources).unwrap());
        assert!(shown.contains("password") && !shown.contains("hunter2"), "{shown}");
    }
}
