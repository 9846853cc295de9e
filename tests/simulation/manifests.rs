//! The manifests that a history declares and edits: two sets that are easily mistaken for each other, the services
//! that select their pods, and a bare pod that may hold a name of a set's.

use headless_dns::objects::object::{self, Kind, Object, ObjectKey};
use k8s_openapi::api::core::v1::ServiceSpec;
use serde_json::{Value, json};

/// How the pods of a template behave (annotations that the simulated runtime reads).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    Plain,
    NeverReady,
    NoImage,
    SlowStart,
    SlowStop,
    CrashLoop,
    Fails,
    Evicted,
    Succeeds,
    Flaps,
}

impl Behaviour {
    pub const ALL: [Behaviour; 10] = [
        Behaviour::Plain,
        Behaviour::NeverReady,
        Behaviour::NoImage,
        Behaviour::SlowStart,
        Behaviour::SlowStop,
        Behaviour::CrashLoop,
        Behaviour::Fails,
        Behaviour::Evicted,
        Behaviour::Succeeds,
        Behaviour::Flaps,
    ];

    fn annotations(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Behaviour::Plain => &[],
            Behaviour::NeverReady => &[("ready", "false")],
            Behaviour::NoImage => &[("start", "false")],
            Behaviour::SlowStart => &[("ready-after", "4s")],
            Behaviour::SlowStop => &[("stop-after", "7s")],
            Behaviour::CrashLoop => &[("crash-loop", "2s")],
            Behaviour::Fails => &[("fail-after", "3s")],
            Behaviour::Evicted => &[("evict-after", "5s")],
            Behaviour::Succeeds => &[("succeed-after", "6s")],
            Behaviour::Flaps => &[("unready-after", "3s"), ("unready-for", "1s")],
        }
    }
}

/// How a set is updated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    Rolling(i32),
    OnDelete,
}

/// A StatefulSet's manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct SetManifest {
    pub namespace: &'static str,
    pub name: &'static str,
    pub replicas: i32,
    pub start: i32,
    pub image: u8,
    pub behaviour: Behaviour,
    pub in_order: bool,
    pub strategy: Strategy,
    pub min_ready_seconds: i32,
    pub retention: (bool, bool),
    pub has_claims: bool,
    pub history_limit: i32,
    pub grace_seconds: i64,
    pub service_name: &'static str,
    /// Selects by the label that both sets' pods bear, instead of by the set's own.
    pub selects_widely: bool,
}

impl SetManifest {
    pub fn key(&self) -> ObjectKey {
        ObjectKey::new(Kind::StatefulSet, self.namespace, self.name)
    }

    pub fn object(&self) -> Object {
        let strategy = match self.strategy {
            Strategy::Rolling(partition) => json!({"type": "RollingUpdate", "rollingUpdate": {"partition": partition}}),
            Strategy::OnDelete => json!({"type": "OnDelete"}),
        };
        let what = |deletes: bool| if deletes { "Delete" } else { "Retain" };
        let annotations: Value = self
            .behaviour
            .annotations()
            .iter()
            .map(|(name, value)| (format!("simulation.headless-dns/{name}"), json!(value)))
            .collect::<serde_json::Map<_, _>>()
            .into();
        // The port that services name differs between images, so that pods of two revisions need two slices.
        let port = 8080 + i32::from(self.image % 2);
        let selected = if self.selects_widely { json!({"tier": "x"}) } else { json!({"app": self.name}) };
        let mut set = json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": {
                "serviceName": self.service_name, "replicas": self.replicas, "minReadySeconds": self.min_ready_seconds,
                "ordinals": {"start": self.start}, "revisionHistoryLimit": self.history_limit,
                "podManagementPolicy": if self.in_order { "OrderedReady" } else { "Parallel" },
                "updateStrategy": strategy,
                "persistentVolumeClaimRetentionPolicy": {
                    "whenDeleted": what(self.retention.0), "whenScaled": what(self.retention.1),
                },
                "selector": {"matchLabels": selected},
                "template": {
                    "metadata": {"labels": {"app": self.name, "tier": "x"}, "annotations": annotations},
                    "spec": {
                        "terminationGracePeriodSeconds": self.grace_seconds,
                        "containers": [{
                            "name": "a", "image": format!("a:{}", self.image),
                            "ports": [{"name": "web", "containerPort": port}],
                        }],
                    },
                },
            },
        });
        if self.has_claims {
            let claim = |name: &str| {
                json!({"metadata": {"name": name}, "spec": {
                    "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
                }})
            };
            set["spec"]["volumeClaimTemplates"] = json!([claim("data"), claim("data-a")]);
        }
        decode(set)
    }
}

/// Where a service's slices get their port numbers from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ports {
    None,
    Unnamed,
    Named,
    /// Of the pod's port of that name.
    ByName,
    Two,
}

/// Whose pods a service selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selects {
    Nobody,
    Everybody,
    App(&'static str),
    Pod(&'static str),
}

/// What a Service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Headless,
    ClusterIp,
    NodePort,
    ExternalName,
}

impl Form {
    /// The form of a stored Service.
    pub fn of(spec: &ServiceSpec) -> Form {
        match (spec.type_.as_deref(), spec.cluster_ip.as_deref()) {
            (Some("ExternalName"), _) => Form::ExternalName,
            (Some("NodePort"), _) => Form::NodePort,
            (_, Some("None")) => Form::Headless,
            _ => Form::ClusterIp,
        }
    }
}

/// A Service's manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceManifest {
    pub namespace: &'static str,
    pub name: &'static str,
    pub form: Form,
    pub publishes_not_ready: bool,
    pub selects: Selects,
    pub ports: Ports,
}

impl ServiceManifest {
    pub fn key(&self) -> ObjectKey {
        ObjectKey::new(Kind::Service, self.namespace, self.name)
    }

    pub fn object(&self) -> Object {
        let ports = match self.ports {
            // Only a headless service may do without.
            Ports::None if self.form == Form::Headless => json!([]),
            Ports::None | Ports::Unnamed => json!([{"port": 80}]),
            Ports::Named => json!([{"name": "web", "port": 80}]),
            Ports::ByName => json!([{"name": "web", "port": 80, "targetPort": "web"}]),
            Ports::Two => json!([
                {"name": "web", "port": 80, "targetPort": 8000}, {"name": "talk", "port": 53, "protocol": "UDP"},
            ]),
        };
        let mut service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": {"publishNotReadyAddresses": self.publishes_not_ready, "ports": ports},
        });
        match self.form {
            Form::ClusterIp => {}
            Form::Headless => service["spec"]["clusterIP"] = json!("None"),
            Form::NodePort => service["spec"]["type"] = json!("NodePort"),
            Form::ExternalName => {
                service["spec"]["type"] = json!("ExternalName");
                service["spec"]["externalName"] = json!("www.example.test");
            }
        }
        match self.selects {
            Selects::Nobody => {}
            Selects::Everybody => service["spec"]["selector"] = json!({"tier": "x"}),
            Selects::App(app) => service["spec"]["selector"] = json!({"app": app, "tier": "x"}),
            Selects::Pod(pod) => service["spec"]["selector"] = json!({"statefulset.kubernetes.io/pod-name": pod}),
        }
        decode(service)
    }
}

/// A bare pod that holds a name which a set may want.
pub fn foreign_pod(namespace: &str, name: &str) -> Object {
    decode(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, "labels": {"tier": "y"}},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "a", "image": "a"}]},
    }))
}

fn decode(json: Value) -> Object {
    let kind = *Kind::ALL.iter().find(|kind| json["kind"] == kind.name()).expect("a kind");
    let mut object = Object::from_json(kind, json).expect("an object");
    object::set_defaults(&mut object);
    assert_eq!(object::validate(&object), [], "{}", object.key());
    object
}
