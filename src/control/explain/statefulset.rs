//! The StatefulSet that makes a pod: its ordinals, its state, what it waits for.

use super::{SEARCHED_OBJECTS_MAX, Stage, pod, walk::Walk};
use crate::{
    control::records::name_schema::ServiceName,
    objects::object::{
        Kind, Object,
        pod::is_ready,
        statefulset::{self, Ordinals, parent_and_ordinal},
    },
};
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Event};
use std::sync::Arc;

/// `0–2`, `5`, or `none`.
fn range(ordinals: Ordinals) -> String {
    match ordinals.end - ordinals.start {
        ..=0 => "none".to_owned(),
        1 => ordinals.start.to_string(),
        _ => format!("{}–{}", ordinals.start, ordinals.end - 1),
    }
}

/// One line about a set.
fn described(set: &StatefulSet) -> String {
    let (namespace, name) = pod::place(&set.metadata);
    let spec = statefulset::spec(set);
    let status = set.status.clone().unwrap_or_default();
    let replicas = statefulset::replicas(set);
    let policy = spec.pod_management_policy.as_deref().unwrap_or("OrderedReady");
    let current = status.current_revision.unwrap_or_default();
    let revision = match status.update_revision.filter(|update| !update.is_empty() && *update != current) {
        Some(update) => format!(
            "revision {current}, on its way to {update} ({} pods updated)",
            status.updated_replicas.unwrap_or(0)
        ),
        None => format!("revision {current}"),
    };
    format!(
        "{namespace}/{name}: {replicas} replicas, ordinals {}, {} ready, {policy}, {revision}, serviceName {}",
        range(Ordinals::of(set)),
        status.ready_replicas.unwrap_or(0),
        spec.service_name.as_deref().unwrap_or_default(),
    )
}

impl Walk<'_> {
    /// The set whose pod bears this name, and the pod's ordinal.
    pub(super) fn set_of_pod(&self, namespace: &str, pod: &str) -> Option<(Arc<StatefulSet>, i64)> {
        let (name, ordinal) = parent_and_ordinal(pod)?;
        Some((Arc::clone(self.cluster.stateful_set(namespace, name)?), ordinal))
    }

    /// The first set that names the Service as its own.
    pub(super) fn governed_set(&self, place: &ServiceName) -> Option<Arc<StatefulSet>> {
        let sets = self.cluster.named(Kind::StatefulSet, &place.namespace, "").take(SEARCHED_OBJECTS_MAX);
        let mut sets = sets.filter_map(|object| match object {
            Object::StatefulSet(set) => Some(set),
            _ => None,
        });
        sets.find(|set| names_service(set, &place.service)).map(Arc::clone)
    }

    /// Tells about a set; false where the name cannot exist because of it. `ordinal` is that of the pod asked for.
    pub(super) fn set(&mut self, set: &StatefulSet, place: &ServiceName, ordinal: Option<i64>) -> bool {
        let text = described(set);
        let (namespace, name) = pod::place(&set.metadata);
        let governing = set.spec.as_ref().and_then(|spec| spec.service_name.clone()).unwrap_or_default();
        if ordinal.is_some() && governing != place.service {
            self.fail(Stage::StatefulSet, format!("{text}; its pods' names lie below Service `{governing}`"));
            let pod = ordinal.map(|ordinal| format!("{name}-{ordinal}")).unwrap_or_default();
            if self.cluster.service(namespace, &governing).is_some() {
                self.propose([format!("{pod}.{}", place.sibling(&*governing))]);
            }
            self.advise(format!(
                "ask for {pod}.{governing}, or recreate the StatefulSet with serviceName: {} (it cannot be changed)",
                place.service
            ));
            return false;
        }
        if set.metadata.deletion_timestamp.is_some() {
            self.warn(Stage::StatefulSet, format!("{text}; it is being deleted"));
            return true;
        }
        let ordinals = Ordinals::of(set);
        match ordinal {
            Some(ordinal)
                if !ordinals.contains(ordinal)
                    && self.cluster.pod(namespace, &format!("{name}-{ordinal}")).is_none() =>
            {
                self.fail(Stage::StatefulSet, format!("{text}; ordinal {ordinal} is not among them"));
                if ordinal >= ordinals.end {
                    let replicas = ordinal - ordinals.start + 1;
                    self.advise(format!(
                        "set replicas: {replicas} in StatefulSet {namespace}/{name} if this pod is wanted"
                    ));
                } else {
                    self.advise(format!(
                        "ordinals of StatefulSet {namespace}/{name} begin at {} (spec.ordinals.start)",
                        ordinals.start
                    ));
                }
                let last = (ordinals.end > ordinals.start).then(|| {
                    let near = ordinal.clamp(ordinals.start, ordinals.end - 1);
                    format!("{name}-{near}.{place}")
                });
                self.propose(last);
                false
            }
            Some(ordinal) if !ordinals.contains(ordinal) => {
                self.warn(Stage::StatefulSet, format!("{text}; ordinal {ordinal} is not among them, so its pod goes"));
                true
            }
            _ => {
                self.ok(Stage::StatefulSet, text);
                true
            }
        }
    }

    /// The pod of an ordinal is wanted and is not there.
    pub(super) fn pod_not_made(&mut self, set: &StatefulSet, ordinal: i64) {
        let (namespace, name) = pod::place(&set.metadata);
        let ordered = set.spec.as_ref().and_then(|spec| spec.pod_management_policy.as_deref()) != Some("Parallel");
        let before = |ordinal: &i64| {
            let pod = self.cluster.pod(namespace, &format!("{name}-{ordinal}"));
            pod.is_none_or(|pod| !is_ready(pod) || pod.metadata.deletion_timestamp.is_some())
        };
        let ordinals = Ordinals::of(set);
        let waits_for = (ordinals.start..ordinal).take(SEARCHED_OBJECTS_MAX).find(before).filter(|_| ordered);
        match waits_for {
            Some(other) => {
                self.fail(
                    Stage::Pod,
                    format!("{name}-{ordinal} is not made yet: {name}-{other} has to be Running and Ready first (OrderedReady)"),
                );
                match self.cluster.pod(namespace, &format!("{name}-{other}")).map(Arc::clone) {
                    Some(pod) => {
                        self.pod(&pod);
                        self.claims(&pod);
                    }
                    None => self.fail(Stage::Pod, format!("{name}-{other} is not there either")),
                }
                self.advise(format!(
                    "make {name}-{other} ready, or use podManagementPolicy: Parallel in a new StatefulSet"
                ));
            }
            None => {
                let warning = self.last_warning("StatefulSet", namespace, name);
                let why = warning
                    .map_or_else(|| "it is about to be made".to_owned(), |warning| format!("last event: {warning}"));
                self.fail(Stage::Pod, format!("{name}-{ordinal} is wanted and not there; {why}"));
            }
        }
    }

    /// The latest warning about an object.
    pub(super) fn last_warning(&self, kind: &str, namespace: &str, name: &str) -> Option<String> {
        let events = self.cluster.named(Kind::Event, namespace, name).take(SEARCHED_OBJECTS_MAX);
        let events = events.filter_map(|object| match object {
            Object::Event(event) => Some(event),
            _ => None,
        });
        let about = |event: &&Arc<Event>| {
            let object = &event.involved_object;
            object.kind.as_deref() == Some(kind) && object.name.as_deref() == Some(name)
        };
        let warnings = events.filter(about).filter(|event| event.type_.as_deref() == Some("Warning"));
        let latest = warnings.max_by_key(|event| event.last_timestamp.as_ref().map(|time| time.0))?;
        let (reason, message) = (latest.reason.as_deref(), latest.message.as_deref());
        Some(format!("{}: {}", reason.unwrap_or_default(), message.unwrap_or_default().trim_end_matches('.')))
    }
}

fn names_service(set: &StatefulSet, service: &str) -> bool {
    set.spec.as_ref().is_some_and(|spec| spec.service_name.as_deref() == Some(service))
}
