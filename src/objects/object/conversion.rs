//! Kinds that are served in two versions: the one that is stored, and the other one with other names for the same.
//!
//! events.k8s.io/v1 Event is the core's (upstream's `pkg/apis/events/v1/conversion.go`), autoscaling/v1
//! HorizontalPodAutoscaler is that of v2 (`pkg/apis/autoscaling/v1/conversion.go`), which keeps in annotations what v1
//! has no fields for.

use super::Kind;
use serde_json::{Map, Value, json};

/// A version of a kind that is served and not stored.
#[derive(Debug, Clone, Copy)]
pub struct OtherVersion {
    /// The kind as it is stored.
    pub kind: Kind,
    /// The API group.
    pub group: &'static str,
    /// The version without its group.
    pub version: &'static str,
    /// What names its structure: see [`Schema::of`](super::schema::Schema::of).
    pub structure: &'static str,
    stored: fn(&mut Map<String, Value>),
    served: fn(&mut Map<String, Value>),
}

impl PartialEq for OtherVersion {
    fn eq(&self, other: &OtherVersion) -> bool {
        self.structure == other.structure
    }
}
impl Eq for OtherVersion {}

impl OtherVersion {
    /// Every one.
    pub const ALL: &'static [OtherVersion] = &[
        OtherVersion {
            kind: Kind::HorizontalPodAutoscaler,
            group: "autoscaling",
            version: "v1",
            structure: "autoscaling/v1/HorizontalPodAutoscaler",
            stored: autoscaler_to_v2,
            served: autoscaler_to_v1,
        },
        OtherVersion {
            kind: Kind::Event,
            group: "events.k8s.io",
            version: "v1",
            structure: "events.k8s.io/v1/Event",
            stored: event_to_core,
            served: event_to_events,
        },
    ];

    /// The other version of a kind by its apiVersion, if it is one.
    pub fn find(api_version: &str, kind: &str) -> Option<&'static OtherVersion> {
        OtherVersion::ALL.iter().find(|other| other.kind.name() == kind && other.api_version() == api_version)
    }

    /// `autoscaling/v1`.
    pub fn api_version(&self) -> String {
        format!("{}/{}", self.group, self.version)
    }

    /// An object of this version as it is stored.
    pub fn to_stored(&self, mut object: Value) -> Value {
        if let Value::Object(fields) = &mut object {
            (self.stored)(fields);
            fields.insert("apiVersion".to_owned(), self.kind.api_version().into());
        }
        object
    }

    /// A stored object in this version.
    pub fn to_served(&self, mut object: Value) -> Value {
        if let Value::Object(fields) = &mut object {
            (self.served)(fields);
            fields.insert("apiVersion".to_owned(), self.api_version().into());
        }
        object
    }
}

/// Fields of an Event: in the core, and in events.k8s.io.
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("count", "deprecatedCount"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("involvedObject", "regarding"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
];

fn event_to_core(fields: &mut Map<String, Value>) {
    for (core, other) in EVENT_FIELDS {
        if let Some(value) = fields.shift_remove(other) {
            fields.insert(core.to_owned(), value);
        }
    }
    // The core requires it.
    fields.entry("involvedObject").or_insert_with(|| json!({}));
}

fn event_to_events(fields: &mut Map<String, Value>) {
    for (core, other) in EVENT_FIELDS {
        if let Some(value) = fields.shift_remove(core) {
            fields.insert(other.to_owned(), value);
        }
    }
}

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";

fn field<'a>(fields: &'a mut Map<String, Value>, name: &str) -> Option<&'a mut Map<String, Value>> {
    fields.get_mut(name).and_then(Value::as_object_mut)
}

fn is_cpu_utilization(metric: &Value, aim: &str, percent: &str) -> bool {
    metric["type"] == "Resource" && metric["resource"]["name"] == "cpu" && metric["resource"][aim][percent].is_number()
}

fn autoscaler_to_v1(fields: &mut Map<String, Value>) {
    let mut notes: Vec<(&str, Value)> = Vec::new();
    if let Some(spec) = field(fields, "spec") {
        if let Some(Value::Array(mut metrics)) = spec.shift_remove("metrics") {
            let cpu = metrics.iter().position(|metric| is_cpu_utilization(metric, "target", "averageUtilization"));
            if let Some(cpu) = cpu {
                let cpu = metrics.remove(cpu);
                let percent = cpu["resource"]["target"]["averageUtilization"].clone();
                spec.insert("targetCPUUtilizationPercentage".to_owned(), percent);
            }
            if !metrics.is_empty() {
                notes.push((METRICS, metrics.iter().map(|metric| metric_to_v1(metric, "target")).collect()));
            }
        }
        if let Some(behavior) = spec.shift_remove("behavior").filter(Value::is_object) {
            notes.push((BEHAVIOR, capitalized(behavior)));
        }
    }
    if let Some(status) = field(fields, "status") {
        if let Some(Value::Array(mut metrics)) = status.shift_remove("currentMetrics") {
            let cpu = metrics.iter().position(|metric| is_cpu_utilization(metric, "current", "averageUtilization"));
            if let Some(cpu) = cpu {
                let cpu = metrics.remove(cpu);
                let percent = cpu["resource"]["current"]["averageUtilization"].clone();
                status.insert("currentCPUUtilizationPercentage".to_owned(), percent);
            }
            if !metrics.is_empty() {
                notes.push((CURRENT_METRICS, metrics.iter().map(|metric| metric_to_v1(metric, "current")).collect()));
            }
        }
        if let Some(conditions) = status.shift_remove("conditions").filter(Value::is_array) {
            notes.push((CONDITIONS, conditions));
        }
        // Numbers that v1 requires.
        for name in ["currentReplicas", "desiredReplicas"] {
            status.entry(name).or_insert_with(|| 0.into());
        }
    }
    if notes.is_empty() {
        return;
    }
    let Value::Object(metadata) = fields.entry("metadata").or_insert_with(|| json!({})) else { return };
    let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
    for (name, note) in notes {
        annotations[name] = note.to_string().into();
    }
}

fn autoscaler_to_v2(fields: &mut Map<String, Value>) {
    let mut note = |name: &str| {
        let annotations = field(fields, "metadata").and_then(|metadata| field(metadata, "annotations"))?;
        let text = annotations.shift_remove(name)?;
        serde_json::from_str::<Value>(text.as_str()?).ok()
    };
    let (metrics, behavior) = (note(METRICS), note(BEHAVIOR));
    let (conditions, current) = (note(CONDITIONS), note(CURRENT_METRICS));
    if let Some(metadata) = field(fields, "metadata")
        && field(metadata, "annotations").is_some_and(|annotations| annotations.is_empty())
    {
        metadata.shift_remove("annotations");
    }
    if let Some(spec) = field(fields, "spec") {
        let mut all = list_to_v2(metrics, "target");
        let percent = spec.shift_remove("targetCPUUtilizationPercentage");
        if let Some(percent) = percent.filter(Value::is_number) {
            let target = json!({"type": "Utilization", "averageUtilization": percent});
            all.push(json!({"type": "Resource", "resource": {"name": "cpu", "target": target}}));
        }
        if !all.is_empty() {
            spec.insert("metrics".to_owned(), all.into());
        }
        if let Some(behavior) = behavior.filter(Value::is_object) {
            spec.insert("behavior".to_owned(), uncapitalized(behavior));
        }
    }
    if let Some(status) = field(fields, "status") {
        let mut all = list_to_v2(current, "current");
        let percent = status.shift_remove("currentCPUUtilizationPercentage");
        if let Some(percent) = percent.filter(Value::is_number) {
            let current = json!({"averageUtilization": percent});
            all.push(json!({"type": "Resource", "resource": {"name": "cpu", "current": current}}));
        }
        if !all.is_empty() {
            status.insert("currentMetrics".to_owned(), all.into());
        }
        if let Some(conditions) = conditions.filter(Value::is_array) {
            status.insert("conditions".to_owned(), conditions);
        }
    }
}

fn list_to_v2(metrics: Option<Value>, aim: &str) -> Vec<Value> {
    let Some(Value::Array(metrics)) = metrics else { return Vec::new() };
    metrics.iter().map(|metric| metric_to_v2(metric, aim)).collect()
}

/// The field of a metric that holds its source.
fn source_of(metric: &Value) -> Option<&'static str> {
    Some(match metric["type"].as_str()? {
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        "Pods" => "pods",
        "Object" => "object",
        "External" => "external",
        _ => return None,
    })
}

/// Values of a metric: the name in v2, and what its name is with `target` or `current` before it in v1.
const VALUES: [(&str, &str); 3] =
    [("averageUtilization", "AverageUtilization"), ("averageValue", "AverageValue"), ("value", "Value")];

/// The name of a value in v1: `targetAverageValue`; of an object only `averageValue`.
fn value_name(source: &str, aim: &str, part: &str) -> String {
    if source == "object" && part == "AverageValue" { "averageValue".to_owned() } else { format!("{aim}{part}") }
}

fn metric_to_v1(metric: &Value, aim: &str) -> Value {
    let Some(source) = source_of(metric) else { return metric.clone() };
    let of = &metric[source];
    let mut written = Map::new();
    for name in ["name", "container"] {
        if let Some(value) = of.get(name) {
            written.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(name) = of["metric"].get("name") {
        written.insert("metricName".to_owned(), name.clone());
    }
    if let Some(selector) = of["metric"].get("selector") {
        let name = if source == "external" { "metricSelector" } else { "selector" };
        written.insert(name.to_owned(), selector.clone());
    }
    if let Some(described) = of.get("describedObject") {
        written.insert("target".to_owned(), described.clone());
    }
    for (v2, v1) in VALUES {
        if let Some(value) = of[aim].get(v2) {
            written.insert(value_name(source, aim, v1), value.clone());
        }
    }
    json!({"type": metric["type"], source: written})
}

fn metric_to_v2(metric: &Value, aim: &str) -> Value {
    let Some(source) = source_of(metric) else { return metric.clone() };
    let of = &metric[source];
    let (mut written, mut named, mut aimed) = (Map::new(), Map::new(), Map::new());
    for name in ["name", "container"] {
        if let Some(value) = of.get(name) {
            written.insert(name.to_owned(), value.clone());
        }
    }
    for (v1, v2) in [("metricName", "name"), ("metricSelector", "selector"), ("selector", "selector")] {
        if let Some(value) = of.get(v1) {
            named.insert(v2.to_owned(), value.clone());
        }
    }
    if let Some(described) = of.get("target") {
        written.insert("describedObject".to_owned(), described.clone());
    }
    for (v2, v1) in VALUES {
        if let Some(value) = of.get(value_name(source, aim, v1)) {
            aimed.insert(v2.to_owned(), value.clone());
        }
    }
    if aim == "target" {
        let has = |name: &str| aimed.contains_key(name);
        let of_type = match (has("averageUtilization"), has("averageValue")) {
            (true, _) => "Utilization",
            (false, true) => "AverageValue",
            (false, false) => "Value",
        };
        aimed.insert("type".to_owned(), of_type.into());
    }
    if !named.is_empty() {
        written.insert("metric".to_owned(), named.into());
    }
    written.insert(aim.to_owned(), aimed.into());
    json!({"type": metric["type"], source: written})
}

/// Upstream writes the behaviour of its inner form, whose fields have no names for JSON.
fn capitalized(value: Value) -> Value {
    renamed(value, |name| match name.split_at_checked(1) {
        Some((first, rest)) => first.to_uppercase() + rest,
        None => name.to_owned(),
    })
}

fn uncapitalized(value: Value) -> Value {
    renamed(value, |name| match name.split_at_checked(1) {
        Some((first, rest)) => first.to_lowercase() + rest,
        None => name.to_owned(),
    })
}

fn renamed(value: Value, rename: fn(&str) -> String) -> Value {
    match value {
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (rename(&name), renamed(value, rename))).collect()
        }
        Value::Array(items) => items.into_iter().map(|item| renamed(item, rename)).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::objects::object::{Object, set_defaults};

    /// A stored object, and its fields in the other version.
    fn check(api_version: &str, kind: &str, stored: Value, served: Value) {
        let version = OtherVersion::find(api_version, kind).unwrap();
        let found = version.to_served(stored.clone());
        for (name, value) in served.as_object().unwrap() {
            assert_eq!(&found[name], value, "{name} of {found}");
        }
        assert_eq!(found["apiVersion"], api_version);
        let mut back = version.to_stored(found);
        back.sort_all_objects();
        let mut stored = stored;
        stored.sort_all_objects();
        assert_eq!(back, stored);
    }

    #[test]
    fn there_and_back() {
        let metadata = json!({"name": "a", "namespace": "x"});
        check(
            "events.k8s.io/v1",
            "Event",
            json!({"apiVersion": "v1", "kind": "Event", "metadata": metadata, "involvedObject": {"kind": "Pod"},
                "message": "it started", "count": 3, "source": {"component": "kubelet"}, "reportingComponent": "kubelet",
                "lastTimestamp": "2026-01-01T00:00:00Z", "reason": "Started", "type": "Normal"}),
            json!({"regarding": {"kind": "Pod"}, "note": "it started", "deprecatedCount": 3, "reason": "Started",
                "deprecatedSource": {"component": "kubelet"}, "reportingController": "kubelet",
                "deprecatedLastTimestamp": "2026-01-01T00:00:00Z"}),
        );
        let cpu = json!({"type": "Resource", "resource": {"name": "cpu",
            "target": {"type": "Utilization", "averageUtilization": 60}}});
        let memory = json!({"type": "Resource", "resource": {"name": "memory",
            "target": {"type": "AverageValue", "averageValue": "1Gi"}}});
        let external = json!({"type": "External", "external": {"metric": {"name": "q", "selector": {}},
            "target": {"type": "Value", "value": "30"}}});
        let behavior = json!({"scaleDown": {"selectPolicy": "Max", "stabilizationWindowSeconds": 10}});
        check(
            "autoscaling/v1",
            "HorizontalPodAutoscaler",
            json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata,
                "spec": {"maxReplicas": 3, "metrics": [memory, external, cpu], "behavior": behavior},
                "status": {"currentReplicas": 0, "desiredReplicas": 0, "conditions": [{"type": "AbleToScale"}]}}),
            json!({
                "spec": {"maxReplicas": 3, "targetCPUUtilizationPercentage": 60},
                "status": {"currentReplicas": 0, "desiredReplicas": 0},
                "metadata": {"name": "a", "namespace": "x", "annotations": {
                    METRICS: "[{\"type\":\"Resource\",\"resource\":{\"name\":\"memory\",\"targetAverageValue\":\"1Gi\"}},\
                        {\"type\":\"External\",\"external\":{\"metricName\":\"q\",\"metricSelector\":{},\
                        \"targetValue\":\"30\"}}]",
                    BEHAVIOR: "{\"ScaleDown\":{\"SelectPolicy\":\"Max\",\"StabilizationWindowSeconds\":10}}",
                    CONDITIONS: "[{\"type\":\"AbleToScale\"}]",
                }},
            }),
        );
    }

    #[test]
    fn as_recorded() {
        let recorded = include_str!("../../../tests/data/upstream/defaults/hpa-v1.yaml");
        let (applied, stored) = recorded.split_once("# stored").unwrap();
        let applied: String =
            applied.lines().skip(1).map(|line| format!("{}\n", line.trim_start_matches("# "))).collect();
        let mut applied: Value = serde_yaml::from_str(&applied).unwrap();
        applied["metadata"]["namespace"] = "gold".into();
        let stored: Value = serde_yaml::from_str(stored.split_once('\n').unwrap().1).unwrap();
        let version = OtherVersion::find("autoscaling/v1", "HorizontalPodAutoscaler").unwrap();
        let mut object = Object::from_json(version.kind, version.to_stored(applied)).unwrap();
        set_defaults(&mut object);
        assert_eq!(object.to_json()["spec"], stored["spec"]);
    }

    #[test]
    fn notes_that_are_broken_are_no_metrics() {
        let version = OtherVersion::find("autoscaling/v1", "HorizontalPodAutoscaler").unwrap();
        for note in ["{", "7", "[7]", "[{\"type\":\"Resource\"}]", "null"] {
            let object = json!({"metadata": {"annotations": {METRICS: note, BEHAVIOR: note}}, "spec": {}, "status": 7});
            version.to_served(version.to_stored(object));
        }
        for odd in [json!(null), json!([]), json!({"spec": [], "metadata": 7}), json!({"metadata": {"annotations": 1}})]
        {
            version.to_served(version.to_stored(odd));
        }
    }
}
