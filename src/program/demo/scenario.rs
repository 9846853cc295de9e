//! The scenario language: what a demo's YAML file may say, decoded strictly. `docs/demos.md` explains it to people.

use super::page::PageUrl;
use crate::{program::settings::RuntimeChoice, text::options};
use ipnet::IpNet;
use jiff::SignedDuration;
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
};
use std::{
    collections::BTreeMap,
    fmt,
    path::{Component, PathBuf},
    time::Duration,
};

/// The longest that anything in a scenario may be waited for.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// A whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Scenario {
    /// One line: what is shown.
    pub title: String,
    /// Some lines more, printed under the title.
    #[serde(default)]
    pub about: String,
    /// How the server is set up.
    #[serde(default)]
    pub settings: ServerSettings,
    /// What happens, in order.
    pub steps: Vec<ScenarioStep>,
}

/// Settings of the server that the scenario plays against, spelt as in the settings file; whatever is missing has the server's
/// own default.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ServerSettings {
    /// The zone of the cluster.
    pub cluster_domain: Option<String>,
    /// Where pods' addresses come from.
    pub pod_cidrs: Option<Vec<Range>>,
    /// Where ClusterIPs come from.
    pub service_cidrs: Option<Vec<Range>>,
    /// TTL of records in seconds.
    pub ttl: Option<u32>,
    /// TTL of negative answers in seconds.
    pub negative_ttl: Option<u32>,
    /// How pods behave.
    #[serde(default)]
    pub simulation: SimulationWishes,
    /// A directory of static zones, relative to the scenario.
    pub zones: Option<PathBuf>,
    /// What runs the pods; the simulation if missing.
    #[serde(default, deserialize_with = "options::some")]
    pub runtime: Option<RuntimeChoice>,
}

/// Delays of simulated pods.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct SimulationWishes {
    /// From a pod's creation to Running.
    pub start_after: Option<TimeSpan>,
    /// From Running to Ready.
    pub ready_after: Option<TimeSpan>,
    /// From deletion to being gone.
    pub stop_after: Option<TimeSpan>,
}

/// One step: something said, something done, or both.
#[derive(Debug)]
pub(super) struct ScenarioStep {
    /// Printed before the action.
    pub say: Option<String>,
    /// What is done.
    pub action: Option<DemoAction>,
}

/// Everything a step can do.
#[derive(Debug)]
pub(super) enum DemoAction {
    /// Write a manifest file into the watched directory.
    Apply(Apply),
    /// Change one object in the file that declares it.
    Edit(ObjectEdit),
    /// Delete a file, or one object from its file.
    Remove(Remove),
    /// Set `spec.replicas`.
    Scale(Scale),
    /// Set a container's image.
    Image(Image),
    /// Delete a pod as kubectl does.
    DeletePod(DeletePod),
    /// Set a pod's phase to Failed.
    FailPod(FailPod),
    /// Set a pod's Ready condition.
    MarkPod(MarkPod),
    /// Wait until something holds.
    Wait(Condition),
    /// Demand that something holds now.
    Expect(Condition),
    /// Ask the DNS server.
    Query(DemoQuery),
    /// Fetch a page from a container.
    Fetch(Fetch),
    /// Show objects.
    Print(Print),
    /// Let a person read; skipped where nobody looks on.
    Pause(Option<String>),
}

/// The keys of a step, for error messages.
const STEP_KEYS: &[&str] = &[
    "say",
    "apply",
    "edit",
    "remove",
    "scale",
    "image",
    "delete-pod",
    "fail-pod",
    "mark-pod",
    "wait",
    "expect",
    "query",
    "fetch",
    "print",
    "pause",
];

/// Declarations, as text or as a file to copy.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Apply {
    /// The file's name in the watched directory.
    pub file: ManifestPath,
    /// What to write into it.
    pub text: Option<String>,
    /// A file, relative to the scenario, to copy instead.
    pub from: Option<PathBuf>,
    /// The message that must come back; without it nothing may be refused.
    pub refused: Option<String>,
}

/// A change of one declared object.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ObjectEdit {
    /// Which.
    pub object: Reference,
    /// An RFC 7396 merge patch: mappings are merged, null removes, everything else replaces.
    pub patch: serde_json::Value,
    /// The message that must come back; without it nothing may be refused.
    pub refused: Option<String>,
}

/// What no longer is declared.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Remove {
    /// A file with all its objects.
    pub file: Option<ManifestPath>,
    /// One object.
    pub object: Option<Reference>,
}

/// A new number of replicas.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Scale {
    /// Whose.
    pub statefulset: Named,
    /// How many.
    pub replicas: u32,
}

/// A new image.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Image {
    /// Whose.
    pub statefulset: Named,
    /// Which container; the first one if missing.
    pub container: Option<String>,
    /// The image.
    pub image: String,
}

/// A pod to delete.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct DeletePod {
    /// Which.
    pub pod: Named,
    /// Seconds of grace; the pod's own if missing, 0 removes it at once.
    pub grace: Option<i64>,
}

/// A pod that fails.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct FailPod {
    /// Which.
    pub pod: Named,
    /// `status.reason`, `Evicted` for instance.
    pub reason: Option<String>,
}

/// A pod whose readiness is set by hand.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct MarkPod {
    /// Which.
    pub pod: Named,
    /// Its Ready condition.
    pub ready: bool,
}

/// What must hold, all of it at the same moment.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Condition {
    /// Pods by name.
    #[serde(default)]
    pub pods: BTreeMap<Named, ExpectedPods>,
    /// Exactly these pods exist in all namespaces.
    pub only_pods: Option<Vec<Named>>,
    /// Status fields of StatefulSets by name, named as upstream names them; a missing field counts as 0.
    #[serde(default)]
    pub statefulsets: BTreeMap<Named, BTreeMap<StatusField, i64>>,
    /// PersistentVolumeClaims by name.
    #[serde(default)]
    pub claims: BTreeMap<Named, ClaimExpectation>,
    /// Meanwhile a StatefulSet's pods come one at a time, each after its predecessors are ready.
    pub ascending: Option<Named>,
    /// Meanwhile a StatefulSet's pods go one at a time, the highest ordinal first.
    pub descending: Option<Named>,
    /// How long to wait for it: 10 s for `wait`, not at all for `expect`.
    pub within: Option<TimeSpan>,
    /// How long it must go on to hold.
    pub steady: Option<TimeSpan>,
}

/// What a pod must be like; a bare word is short for `is`.
#[derive(Debug, Default)]
pub(super) struct ExpectedPods {
    /// Its state.
    pub is: Option<PodState>,
    /// Its first container's image.
    pub image: Option<String>,
    /// What ties its fields to remembered values.
    pub fields: FieldExpectations<PodField>,
}

/// What a claim must be like; a bare word is short for `is`.
#[derive(Debug, Default)]
pub(super) struct ClaimExpectation {
    /// Its state.
    pub is: Option<ClaimState>,
    /// What ties its fields to remembered values.
    pub fields: FieldExpectations<ClaimField>,
}

/// How fields relate to values under names that the scenario chose.
#[derive(Debug)]
pub(super) struct FieldExpectations<F> {
    /// Remember the field under this name once the whole condition holds.
    pub remember: BTreeMap<F, String>,
    /// The field must equal the remembered value.
    pub same_as: BTreeMap<F, String>,
    /// The field must not equal the remembered value.
    pub differs_from: BTreeMap<F, String>,
}

impl<F> Default for FieldExpectations<F> {
    fn default() -> Self {
        FieldExpectations { remember: BTreeMap::new(), same_as: BTreeMap::new(), differs_from: BTreeMap::new() }
    }
}

/// A pod's state as a scenario names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum PodState {
    /// Running, condition Ready, not being deleted.
    Ready,
    /// Exists, is not being deleted and is not Ready.
    NotReady,
    /// Phase Pending.
    Pending,
    /// Phase Running, ready or not.
    Running,
    /// Phase Failed.
    Failed,
    /// Being deleted.
    Terminating,
    /// Exists, whatever its state.
    Present,
    /// No such pod.
    Gone,
}

/// A claim's state as a scenario names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ClaimState {
    /// Phase Bound.
    Bound,
    /// Phase Pending.
    Pending,
    /// Phase Lost.
    Lost,
    /// Exists, whatever its state.
    Present,
    /// No such claim.
    Gone,
}

/// A field of a pod that can be remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum PodField {
    /// `metadata.uid`.
    Uid,
    /// `status.podIP`.
    Address,
    /// Label `controller-revision-hash`.
    Revision,
    /// The first container's image.
    Image,
}

/// A field of a claim that can be remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ClaimField {
    /// `metadata.uid`.
    Uid,
    /// `spec.volumeName`.
    Volume,
}

/// A number in a StatefulSet's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum StatusField {
    /// Pods that exist.
    Replicas,
    /// Pods that are Ready.
    ReadyReplicas,
    /// Pods that have been Ready for `minReadySeconds`.
    AvailableReplicas,
    /// Pods of the current revision.
    CurrentReplicas,
    /// Pods of the update revision.
    UpdatedReplicas,
    /// The newest generation the controller has seen.
    ObservedGeneration,
}

/// One question and what its answer must be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct DemoQuery {
    /// The name: with a final dot as it is, otherwise completed by the search list of a container in `namespace`.
    pub name: Option<String>,
    /// Instead of a name: the reverse name of a pod's address, or of a remembered one (`$name`).
    pub reverse_of: Option<String>,
    /// The record type; A if missing.
    #[serde(rename = "type", default = "address_type")]
    pub record_type: String,
    /// The namespace of the container that asks.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// The set of records, or a response code.
    pub expect: Option<ExpectedAnswer>,
    /// The answer is exactly the addresses of these pods.
    pub addresses_of: Option<Vec<Named>>,
    /// How many records the answer holds.
    pub count: Option<usize>,
    /// Remember the answer's set under this name.
    pub remember: Option<String>,
    /// The answer is the same set as the remembered one.
    pub same_as: Option<String>,
    /// The answer shares no record with the remembered one.
    pub differs_from: Option<String>,
    /// Ask again until it is as expected, no longer than this; asked once if missing.
    pub within: Option<TimeSpan>,
}

/// A page that a container serves, and what must be on it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Fetch {
    /// Where; the name is resolved by the server, as in a container of `namespace`.
    pub url: PageUrl,
    /// The namespace of the container that would ask.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// The whole text, without white space around it; any if missing.
    pub expect: Option<String>,
    /// Fetch again until it is as expected, no longer than this; fetched once if missing.
    pub within: Option<TimeSpan>,
}

fn address_type() -> String {
    "A".to_owned()
}

fn default_namespace() -> String {
    "default".to_owned()
}

/// What an answer must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ExpectedAnswer {
    /// These records, in any order, as in a zone file; a record of another type than asked for begins with its type.
    Records(Vec<String>),
    /// `NODATA`: the name exists, but nothing of the type.
    NoData,
    /// A response code: `NXDOMAIN`, `REFUSED`, `SERVFAIL`, …
    Code(String),
}

/// What can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Print {
    /// Pods with phase, readiness, address and revision.
    Pods,
    /// Services with their ClusterIPs.
    Services,
    /// EndpointSlices with each endpoint's conditions.
    Slices,
    /// PersistentVolumeClaims with their volumes.
    Claims,
    /// The status of StatefulSets.
    Status,
    /// Events.
    Events,
}

/// A span of time as people write it: `50ms`, `3s`, `1m 30s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimeSpan(pub Duration);

/// A range of addresses: `10.244.0.0/16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range(pub IpNet);

/// The name of a namespaced object: `web-0` in namespace `default`, or `prod/web-0`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Named {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.as_str() {
            "default" => f.write_str(&self.name),
            namespace => write!(f, "{namespace}/{}", self.name),
        }
    }
}

/// One object of any kind: `StatefulSet/web`, or `StatefulSet/prod/web`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    /// The kind, as manifests spell it.
    pub kind: String,
    /// Namespace and name.
    pub named: Named,
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.named)
    }
}

/// The path of a manifest below the watched directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ManifestPath(pub PathBuf);

impl<'de> Deserialize<'de> for TimeSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TimeSpan, D::Error> {
        let text = String::deserialize(deserializer)?;
        let span: SignedDuration =
            text.parse().map_err(|_| de::Error::custom(format_args!("`{text}` is no time such as `50ms` or `3s`")))?;
        match Duration::try_from(span) {
            Ok(span) if span <= WAIT_MAX => Ok(TimeSpan(span)),
            _ => Err(de::Error::custom(format_args!("`{text}` is not between 0 and {} s", WAIT_MAX.as_secs()))),
        }
    }
}

impl<'de> Deserialize<'de> for Range {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Range, D::Error> {
        let text = String::deserialize(deserializer)?;
        let range = text.parse().map(Range);
        range.map_err(|_| de::Error::custom(format_args!("`{text}` is no range of addresses such as `10.244.0.0/16`")))
    }
}

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Named, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (namespace, name) = text.split_once('/').unwrap_or(("default", &text));
        if namespace.is_empty() || name.is_empty() || name.contains('/') {
            return Err(de::Error::custom(format_args!("`{text}` is neither `NAME` nor `NAMESPACE/NAME`")));
        }
        Ok(Named { namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Reference, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parts: Vec<&str> = text.split('/').collect();
        let (kind, namespace, name) = match parts[..] {
            [kind, name] => (kind, "default", name),
            [kind, namespace, name] => (kind, namespace, name),
            _ => ("", "", ""),
        };
        if kind.is_empty() || namespace.is_empty() || name.is_empty() {
            return Err(de::Error::custom(format_args!("`{text}` is neither `KIND/NAME` nor `KIND/NAMESPACE/NAME`")));
        }
        let named = Named { namespace: namespace.to_owned(), name: name.to_owned() };
        Ok(Reference { kind: kind.to_owned(), named })
    }
}

impl<'de> Deserialize<'de> for ManifestPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ManifestPath, D::Error> {
        let path = PathBuf::deserialize(deserializer)?;
        let inside = path.components().all(|component| matches!(component, Component::Normal(_)));
        let read = path.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json");
        if !inside || !read {
            let path = path.display();
            let rule = "a relative path without `..` that ends in .yaml, .yml or .json";
            return Err(de::Error::custom(format_args!("`{path}` is not {rule}")));
        }
        Ok(ManifestPath(path))
    }
}

impl<'de> Deserialize<'de> for ExpectedAnswer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ExpectedAnswer, D::Error> {
        struct AnswerVisitor;
        impl<'de> Visitor<'de> for AnswerVisitor {
            type Value = ExpectedAnswer;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of records, NODATA or a response code such as NXDOMAIN")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<ExpectedAnswer, E> {
                match text {
                    "NODATA" => Ok(ExpectedAnswer::NoData),
                    "NXDOMAIN" | "REFUSED" | "SERVFAIL" | "FORMERR" | "NOTIMP" => {
                        Ok(ExpectedAnswer::Code(text.to_owned()))
                    }
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<ExpectedAnswer, A::Error> {
                let mut records = Vec::new();
                while let Some(record) = seq.next_element::<String>()? {
                    records.push(record);
                }
                match records.is_empty() {
                    true => Err(de::Error::custom("an empty answer is written NODATA or NXDOMAIN")),
                    false => Ok(ExpectedAnswer::Records(records)),
                }
            }
        }
        deserializer.deserialize_any(AnswerVisitor)
    }
}

impl<'de> Deserialize<'de> for ScenarioStep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ScenarioStep, D::Error> {
        struct StepVisitor;
        impl<'de> Visitor<'de> for StepVisitor {
            type Value = ScenarioStep;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a step: a mapping with `say`, one action, or both")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ScenarioStep, A::Error> {
                let mut step = ScenarioStep { say: None, action: None };
                while let Some(key) = map.next_key::<String>()? {
                    if key == "say" {
                        step.say = Some(map.next_value()?);
                        continue;
                    }
                    let action = match key.as_str() {
                        "apply" => DemoAction::Apply(map.next_value()?),
                        "edit" => DemoAction::Edit(map.next_value()?),
                        "remove" => DemoAction::Remove(map.next_value()?),
                        "scale" => DemoAction::Scale(map.next_value()?),
                        "image" => DemoAction::Image(map.next_value()?),
                        "delete-pod" => DemoAction::DeletePod(map.next_value()?),
                        "fail-pod" => DemoAction::FailPod(map.next_value()?),
                        "mark-pod" => DemoAction::MarkPod(map.next_value()?),
                        "wait" => DemoAction::Wait(map.next_value()?),
                        "expect" => DemoAction::Expect(map.next_value()?),
                        "query" => DemoAction::Query(map.next_value()?),
                        "fetch" => DemoAction::Fetch(map.next_value()?),
                        "print" => DemoAction::Print(map.next_value()?),
                        "pause" => DemoAction::Pause(map.next_value()?),
                        _ => return Err(de::Error::unknown_field(&key, STEP_KEYS)),
                    };
                    if step.action.is_some() {
                        return Err(de::Error::custom(format_args!(
                            "a step has one action; move `{key}` to a step of its own"
                        )));
                    }
                    check(&action).map_err(de::Error::custom)?;
                    step.action = Some(action);
                }
                match (&step.say, &step.action) {
                    (None, None) => Err(de::Error::custom("a step without `say` and without an action does nothing")),
                    _ => Ok(step),
                }
            }
        }
        deserializer.deserialize_map(StepVisitor)
    }
}

/// What the fields of an action must be like together.
fn check(action: &DemoAction) -> Result<(), &'static str> {
    match action {
        DemoAction::Apply(apply) if apply.text.is_some() == apply.from.is_some() => {
            Err("apply takes either `text` or `from`")
        }
        DemoAction::Remove(remove) if remove.file.is_some() == remove.object.is_some() => {
            Err("remove takes either `file` or `object`")
        }
        DemoAction::Query(query) if query.name.is_some() == query.reverse_of.is_some() => {
            Err("query takes either `name` or `reverse-of`")
        }
        DemoAction::Query(query) if query.expect.is_some() && query.addresses_of.is_some() => {
            Err("query takes either `expect` or `addresses-of`")
        }
        _ => Ok(()),
    }
}

/// The long forms of the expectations that also have a short one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct LongPod {
    is: Option<PodState>,
    image: Option<String>,
    #[serde(default)]
    remember: BTreeMap<PodField, String>,
    #[serde(default)]
    same_as: BTreeMap<PodField, String>,
    #[serde(default)]
    differs_from: BTreeMap<PodField, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct LongClaim {
    is: Option<ClaimState>,
    #[serde(default)]
    remember: BTreeMap<ClaimField, String>,
    #[serde(default)]
    same_as: BTreeMap<ClaimField, String>,
    #[serde(default)]
    differs_from: BTreeMap<ClaimField, String>,
}

/// A word, or a mapping in which the word stands under `is`.
macro_rules! word_or_mapping {
    ($type:ident, $long:ident, $state:ident, $expecting:literal, $from:expr) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
                struct EitherVisitor;
                impl<'de> Visitor<'de> for EitherVisitor {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }
                    fn visit_str<E: de::Error>(self, word: &str) -> Result<$type, E> {
                        let state = $state::deserialize(de::value::StrDeserializer::<E>::new(word))?;
                        Ok($type { is: Some(state), ..$type::default() })
                    }
                    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<$type, A::Error> {
                        let long = $long::deserialize(de::value::MapAccessDeserializer::new(map))?;
                        Ok($from(long))
                    }
                }
                deserializer.deserialize_any(EitherVisitor)
            }
        }
    };
}

word_or_mapping!(
    ExpectedPods,
    LongPod,
    PodState,
    "a pod's state (`ready`, `gone`, …) or a mapping",
    |long: LongPod| {
        let LongPod { is, image, remember, same_as, differs_from } = long;
        ExpectedPods { is, image, fields: FieldExpectations { remember, same_as, differs_from } }
    }
);
word_or_mapping!(
    ClaimExpectation,
    LongClaim,
    ClaimState,
    "a claim's state (`bound`, …) or a mapping",
    |long: LongClaim| {
        let LongClaim { is, remember, same_as, differs_from } = long;
        ClaimExpectation { is, fields: FieldExpectations { remember, same_as, differs_from } }
    }
);

/// Where and why a text is no scenario: line and column from 1 (0 if there is none), and the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnreadableScenario {
    pub line: usize,
    pub column: usize,
    pub reason: String,
}

/// Decodes a scenario.
pub(super) fn decode(text: &str) -> Result<Scenario, UnreadableScenario> {
    serde_yaml::from_str(text).map_err(|error| {
        let (line, column) = error.location().map_or((0, 0), |at| (at.line(), at.column()));
        // The place is told in front of the message, as compilers do, so not once more at its end.
        let message = error.to_string();
        let reason = match message.rsplit_once(" at line ") {
            Some((reason, _)) if line > 0 => reason.to_owned(),
            _ => message,
        };
        UnreadableScenario { line, column, reason }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(steps: &str, expected: &str) {
        let text = format!("title: t\nsteps:\n{steps}");
        let got = match decode(&text) {
            Ok(scenario) => format!("{} steps", scenario.steps.len()),
            Err(UnreadableScenario { line, column, reason }) => format!("{line}:{column}: {reason}"),
        };
        assert!(got.contains(expected), "{steps}\n  expected {expected:?}\n  got      {got:?}");
    }

    #[test]
    fn strict_and_with_places() {
        check("- say: hello\n- pause:\n", "2 steps");
        check("- print: pods\n- wait: {pods: {web-0: ready, prod/web-1: {is: gone}}, within: 3s}\n", "2 steps");
        check("- query: {name: nginx, expect: [10.0.0.1]}\n- query: {name: nginx, expect: NODATA}\n", "2 steps");
        check("- edit: {object: StatefulSet/web, patch: {spec: {replicas: 1}}}\n", "1 steps");
        check("- say: a\nsettings: {podCidrs: [10.1.0.0]}\n", "settings.podCidrs: `10.1.0.0` is no range");
        check("- say: a\n- sing: b\n", "4:3: steps[1]: unknown field `sing`, expected one of `say`");
        check("- apply: {file: a.yaml}\n", "apply takes either `text` or `from`");
        check("- apply: {file: ../a.yaml, text: ''}\n", "without `..`");
        check("- apply: {file: a.txt, text: ''}\n", "ends in .yaml");
        check("- print: pods\n  pause:\n", "move `pause` to a step of its own");
        check("- {}\n", "does nothing");
        check("- wait: {pods: {web-0: redy}}\n", "unknown variant `redy`, expected one of `ready`");
        check("- wait: {pods: {web-0: {state: ready}}}\n", "unknown field `state`");
        check("- wait: {within: soon}\n", "3:9: steps[0].wait: `soon` is no time");
        check("- wait: {within: 2h}\n", "not between 0 and 300 s");
        check("- wait: {statefulsets: {web: {ready: 3}}}\n", "unknown variant `ready`");
        check("- query: {name: a, reverse-of: b}\n", "either `name` or `reverse-of`");
        check("- query: {name: a, expect: nxdomain}\n", "expected a list of records, NODATA or a response code");
        check("- query: {name: a, expect: []}\n", "an empty answer is written");
        check("- edit: {object: web, patch: {}}\n", "neither `KIND/NAME` nor");
        check("- scale: {statefulset: a/b/c, replicas: 1}\n", "neither `NAME` nor");
        check("- fetch: {url: http://web-0.nginx/, expect: hello}\n", "1 steps");
        check("- fetch: {url: web-0.nginx}\n", "`web-0.nginx` is no address of a page");
        check("- say: a\nsettings: {runtime: kubelet}\n", "`kubelet` is none of simulated, docker");
        check("- scale: {statefulset: web, replicas: -1}\n", "expected u32");
    }

    #[test]
    fn broken_yaml_has_a_place() {
        let unreadable = decode("title: t\nsteps: [\n").unwrap_err();
        assert!(unreadable.line >= 2, "{unreadable:?}");
        assert_eq!(decode("titel: t\nsteps: []\n").unwrap_err().line, 1);
    }
}
