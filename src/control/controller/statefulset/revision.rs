//! Revisions of a set's template: which one is current, which one is wanted, which ones are past.

use super::{identity, plan::Action};
use crate::control::controller::history::{self, canonical};
use k8s_openapi::{
    api::{
        apps::v1::{ControllerRevision, StatefulSet},
        core::v1::PodTemplateSpec,
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, runtime::RawExtension},
};
use serde_json::Value;
use std::{borrow::Cow, collections::HashSet, sync::Arc};

/// The label that holds a revision's hash.
pub const HASH_LABEL: &str = "controller.kubernetes.io/hash";
const HISTORY_LIMIT: i32 = 10;
/// Longer names of sets are cut off in the names of their revisions, which may have 253 characters.
const NAME_PREFIX_CHARACTERS_MAX: usize = 223;

/// A revision, as far as pods are made from it.
#[derive(Debug, Clone)]
pub struct Revision<'a> {
    /// The object's name, which its pods carry as a label.
    pub name: String,
    /// The template.
    pub template: Cow<'a, PodTemplateSpec>,
}

/// What the history of a set says.
#[derive(Debug)]
pub struct Revisions<'a> {
    /// What pods below the partition are made from.
    pub current: Revision<'a>,
    /// What the set's template says now.
    pub update: Revision<'a>,
    /// How often two templates had the same hash; never falls.
    pub collision_count: i32,
    /// What makes the history so.
    pub actions: Vec<Action>,
}

/// Finds the revision of the set's present template among `existing` (or plans it), and the one that its status calls
/// current.
pub fn revisions<'a>(set: &'a StatefulSet, existing: &[&Arc<ControllerRevision>]) -> Revisions<'a> {
    let sorted = history::sorted(existing);
    if let Some(known) = known(set, &sorted) {
        return known;
    }
    let data = history::data(&identity::spec(set).template);
    let wanted = canonical::bytes(&data);
    let next = sorted.last().map_or(1, |last| last.revision.saturating_add(1));
    let mut collision_count = status_collision_count(set);
    let mut actions = Vec::new();

    let holding = |wanted: &[u8]| sorted.iter().rposition(|revision| history::stored_bytes(revision) == wanted);
    // Before divisors had their default, revisions were kept without it, and pods run that were made from them.
    let older =
        || Some(canonical::bytes(&history::without_zero_divisors(data.clone()))).filter(|older| *older != wanted);
    let name = match holding(&wanted).or_else(|| holding(&older()?)) {
        Some(index) => {
            let equal = sorted[index];
            // The template is one that was left before: it gets the highest number again, not a second object.
            let is_newest = index + 1 == sorted.len();
            if !is_newest {
                actions.push(Action::RenumberRevision { name: object_name(equal).to_owned(), revision: next });
            }
            object_name(equal).to_owned()
        }
        None => {
            let name = loop {
                let name = revision_name(set, &wanted, collision_count);
                if sorted.iter().all(|revision| object_name(revision) != name) {
                    break name;
                }
                collision_count += 1;
            };
            actions.push(Action::CreateRevision(Box::new(new_revision(set, name.clone(), data, next))));
            name
        }
    };

    Revisions::new(set, &sorted, name, collision_count, actions)
}

/// The answer of an earlier pass over the same spec, if the revision that it found is still the newest: neither a
/// template nor a revision's data changes without its generation or its name. Only an equal quantity in another writing
/// is no new generation, and a new revision all the same, so that a template with quantities is compared every time.
fn known<'a>(set: &'a StatefulSet, sorted: &[&ControllerRevision]) -> Option<Revisions<'a>> {
    let status = set.status.as_ref()?;
    let newest = object_name(sorted.last()?);
    let is_known = !has_quantities(&identity::spec(set).template)
        && set.metadata.generation.is_some()
        && status.observed_generation == set.metadata.generation
        && status.update_revision.as_deref() == Some(newest);
    is_known.then(|| Revisions::new(set, sorted, newest.to_owned(), status_collision_count(set), Vec::new()))
}

/// Whether a template holds any quantity.
fn has_quantities(template: &PodTemplateSpec) -> bool {
    let Some(spec) = &template.spec else { return false };
    let mut containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let in_container = containers.any(|container| {
        let resources = container.resources.iter().any(|all| all.limits.is_some() || all.requests.is_some());
        let mut sources = container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref());
        resources || sources.any(|source| source.resource_field_ref.is_some())
    });
    let in_volume = spec.volumes.iter().flatten().any(|volume| {
        volume.empty_dir.as_ref().is_some_and(|empty| empty.size_limit.is_some())
            || volume.ephemeral.is_some()
            || volume.downward_api.is_some()
            || volume.projected.is_some()
    });
    in_container || in_volume || spec.overhead.is_some() || spec.resources.is_some()
}

impl<'a> Revisions<'a> {
    /// With the name of the update revision found.
    fn new(
        set: &'a StatefulSet,
        sorted: &[&ControllerRevision],
        name: String,
        collision_count: i32,
        actions: Vec<Action>,
    ) -> Revisions<'a> {
        let update = Revision { name, template: Cow::Borrowed(&identity::spec(set).template) };
        let status_current = set.status.as_ref().and_then(|status| status.current_revision.as_deref());
        let current = sorted
            .iter()
            .find(|revision| Some(object_name(revision)) == status_current && object_name(revision) != update.name)
            // A revision that holds no template was written by somebody else: pods come from the set then.
            .and_then(|revision| {
                Some(Revision {
                    name: object_name(revision).to_owned(),
                    template: Cow::Owned(history::stored_template(revision)?),
                })
            })
            .unwrap_or_else(|| update.clone());
        Revisions { current, update, collision_count, actions }
    }
}

/// Which revisions must go: of those that neither the set nor any of its pods uses, all but the newest
/// `revisionHistoryLimit`.
pub fn truncate<'a>(
    set: &StatefulSet,
    existing: &[&Arc<ControllerRevision>],
    live: impl Iterator<Item = &'a str>,
) -> Vec<Action> {
    let live: HashSet<&str> = live.collect();
    let past: Vec<_> =
        history::sorted(existing).into_iter().filter(|revision| !live.contains(object_name(revision))).collect();
    // A negative limit keeps everything.
    let Ok(limit) = usize::try_from(identity::spec(set).revision_history_limit.unwrap_or(HISTORY_LIMIT)) else {
        return Vec::new();
    };
    let excess = past.len().saturating_sub(limit);
    past[..excess].iter().map(|revision| Action::DeleteRevision { name: object_name(revision).to_owned() }).collect()
}

fn status_collision_count(set: &StatefulSet) -> i32 {
    set.status.as_ref().and_then(|status| status.collision_count).unwrap_or(0)
}

fn object_name(revision: &ControllerRevision) -> &str {
    revision.metadata.name.as_deref().unwrap_or_default()
}

fn revision_name(set: &StatefulSet, data: &[u8], collision_count: i32) -> String {
    let name = identity::set_name(set);
    let prefix = name.get(..NAME_PREFIX_CHARACTERS_MAX).unwrap_or(name);
    format!("{prefix}-{}", history::hash(data, collision_count))
}

fn new_revision(set: &StatefulSet, name: String, data: Value, revision: i64) -> ControllerRevision {
    let hash = name.rsplit('-').next().unwrap_or_default().to_owned();
    let mut labels =
        identity::spec(set).template.metadata.as_ref().and_then(|metadata| metadata.labels.clone()).unwrap_or_default();
    labels.insert(HASH_LABEL.to_owned(), hash);
    ControllerRevision {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: set.metadata.namespace.clone(),
            labels: Some(labels),
            annotations: history::annotations(&set.metadata),
            owner_references: Some(vec![identity::set_reference(set)]),
            ..ObjectMeta::default()
        },
        data: Some(RawExtension(data)),
        revision,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::controller::history::{data, stored_template};
    use serde_json::json;

    /// A set with a template as the API server stores it.
    fn stored_set(name: &str, template: &str) -> StatefulSet {
        let template: Value = serde_yaml::from_str(template).unwrap();
        serde_json::from_value(json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {"name": name, "namespace": "gold", "uid": "set-uid"},
            "spec": {"selector": {}, "template": template},
        }))
        .unwrap()
    }

    const TAIL: &str = "
  dnsPolicy: ClusterFirst
  restartPolicy: Always
  schedulerName: default-scheduler
  securityContext: {}
  terminationGracePeriodSeconds: ";

    fn template(app: &str, container: &str, grace: u32) -> String {
        format!(
            "metadata: {{labels: {{app: {app}}}}}\nspec:\n  containers:\n  - {{{container}, resources: {{}}, \
             imagePullPolicy: IfNotPresent, terminationMessagePath: /dev/termination-log, \
             terminationMessagePolicy: File}}{TAIL}{grace}\n"
        )
    }

    #[test]
    fn names_are_those_that_upstream_gives() {
        let port = "ports: [{containerPort: 80, name: web, protocol: TCP}]";
        let rows = [
            ("web", template("nginx", &format!("name: nginx, image: 'nginx:1', {port}"), 10), "web-6d964b4866"),
            ("s", template("x", "name: a, image: 'nginx:1'", 30), "s-789f8c4bf9"),
            (
                "s2",
                template(
                    "x2",
                    &format!("name: a, image: 'nginx:1', {port}, volumeMounts: [{{mountPath: /w, name: www}}]"),
                    30,
                ),
                "s2-fbb66b79f",
            ),
        ];
        for (name, template, expected) in rows {
            let set = stored_set(name, &template);
            let chosen = revisions(&set, &[]);
            assert_eq!(chosen.update.name, expected);
            let [Action::CreateRevision(made)] = &chosen.actions[..] else { panic!("{:?}", chosen.actions) };
            let hash = expected.rsplit('-').next().unwrap();
            assert_eq!(made.metadata.labels.as_ref().unwrap()[HASH_LABEL], hash);
            assert_eq!(stored_template(made).unwrap(), identity::spec(&set).template, "the template comes back whole");
        }
    }

    #[test]
    fn data_is_written_with_sorted_keys() {
        let set =
            stored_set("s", "{spec: {restartPolicy: Always, containers: []}, metadata: {labels: {b: '1', a: '2'}}}");
        assert_eq!(
            data(&identity::spec(&set).template).to_string(),
            concat!(
                r#"{"spec":{"template":{"$patch":"replace","metadata":{"labels":{"a":"2","b":"1"}},"#,
                r#""spec":{"containers":[],"restartPolicy":"Always"}}}}"#
            )
        );
    }

    /// The writing of an equal quantity is a revision of its own, also in a generation that was looked at before; a
    /// default that was not written down once is none.
    #[test]
    fn quantities_are_compared_as_they_are_written() {
        let set = |container: &str| {
            let mut set = stored_set("web", &template("nginx", &format!("name: a, image: x, {container}"), 30));
            set.metadata.generation = Some(1);
            set
        };
        let reference = |divisor: &str| {
            format!("env: [{{name: E, valueFrom: {{resourceFieldRef: {{resource: limits.cpu{divisor}}}}}}}]")
        };
        for (before, after, is_another) in [
            ("resizePolicy: []".to_owned(), "resizePolicy: []".to_owned(), false),
            (reference(", divisor: 1m"), reference(", divisor: 1m"), false),
            (reference(", divisor: 1000m"), reference(", divisor: '1'"), true),
            (reference(""), reference(", divisor: '0'"), false),
        ] {
            let first = set(&before);
            let Action::CreateRevision(made) = revisions(&first, &[]).actions.remove(0) else { panic!() };
            let name = made.metadata.name.clone().unwrap();
            let mut second = set(&after);
            let status = second.status.get_or_insert_default();
            (status.observed_generation, status.update_revision) = (Some(1), Some(name.clone()));
            let made = Arc::from(made);
            let chosen = revisions(&second, &[&made]);
            assert_eq!(
                (chosen.update.name != name, chosen.actions.len()),
                (is_another, usize::from(is_another)),
                "{after}"
            );
        }
    }

    #[test]
    fn a_name_that_holds_other_data_counts_as_collision() {
        let set = stored_set("web", &template("nginx", "name: a, image: x", 30));
        let first = revisions(&set, &[]).update.name;
        let foreign = Arc::new(ControllerRevision {
            metadata: ObjectMeta { name: Some(first.clone()), ..ObjectMeta::default() },
            data: Some(RawExtension(json!({"spec": {}}))),
            revision: 1,
        });
        let chosen = revisions(&set, &[&foreign]);
        assert_ne!(chosen.update.name, first);
        assert_eq!(chosen.collision_count, 1);
    }
}
