//! Field selectors: `metadata.name=web-0,status.phase!=Running`, and which fields a kind can be selected by.

use serde_json::Value;
use std::borrow::Cow;

/// A parsed field selector: all of its requirements hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldSelector(Vec<FieldRequirement>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct FieldRequirement {
    field: Cow<'static, str>,
    value: String,
    is_equal: bool,
}

/// Fields that every kind has.
const COMMON: &[&str] = &["metadata.name", "metadata.namespace"];

/// What else a kind can be selected by, as upstream's conversions of field labels list it.
fn fields_of(kind: &str) -> &'static [&'static str] {
    match kind {
        "Event" => &[
            "involvedObject.apiVersion",
            "involvedObject.fieldPath",
            "involvedObject.kind",
            "involvedObject.name",
            "involvedObject.namespace",
            "involvedObject.resourceVersion",
            "involvedObject.uid",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        "CertificateSigningRequest" => &["spec.signerName"],
        "Namespace" => &["name", "status.phase"],
        "Node" => &["spec.unschedulable"],
        "PersistentVolume" | "PersistentVolumeClaim" => &["name"],
        "Pod" => &[
            "spec.hostNetwork",
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.nominatedNodeName",
            "status.phase",
            "status.podIP",
            "status.podIPs",
        ],
        "ReplicaSet" | "ReplicationController" => &["status.replicas"],
        "Secret" => &["type"],
        "Service" => &["spec.clusterIP", "spec.type"],
        "Job" | "StatefulSet" => &["status.successful"],
        _ => &[],
    }
}

/// Upstream's refusal of another field.
fn unsupported(kind: &str, field: &str) -> String {
    match kind {
        "Job" => format!("field label {field:?} not supported for Job"),
        "StatefulSet" => format!("field label not supported for StatefulSet: {field}"),
        "ReplicaSet" => format!("field label not supported for appsv1.ReplicaSet: {field}"),
        "CertificateSigningRequest"
        | "Event"
        | "Namespace"
        | "Node"
        | "Pod"
        | "ReplicationController"
        | "Secret"
        | "Service" => format!("field label not supported: {field}"),
        _ => format!("{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""),
    }
}

/// Fields of events.k8s.io/v1, with their names in the core, where Events are stored.
const OF_EVENTS: [(&str, &str); 8] = [
    ("regarding.apiVersion", "involvedObject.apiVersion"),
    ("regarding.fieldPath", "involvedObject.fieldPath"),
    ("regarding.kind", "involvedObject.kind"),
    ("regarding.name", "involvedObject.name"),
    ("regarding.namespace", "involvedObject.namespace"),
    ("regarding.resourceVersion", "involvedObject.resourceVersion"),
    ("regarding.uid", "involvedObject.uid"),
    ("reportingController", "reportingComponent"),
];
/// What names the structure of those.
const EVENTS: &str = "events.k8s.io/v1/Event";

/// The field that is looked at for one that a selector names; `None` for one that it may not name.
fn known(structure: &str, field: &str) -> Option<&'static str> {
    if structure == EVENTS {
        let of_both = ["reason", "type"].into_iter().chain(COMMON.iter().copied());
        return of_both
            .map(|name| (name, name))
            .chain(OF_EVENTS)
            .find(|(name, _)| *name == field)
            .map(|(_, core)| core);
    }
    // Other versions of a kind have the fields of the one that is stored.
    let kind = structure.rsplit('/').next().unwrap_or(structure);
    COMMON.iter().chain(fields_of(kind)).copied().find(|known| *known == field)
}

impl FieldSelector {
    /// Reads a selector for a kind (by what its structure is found by), which can be selected by these fields as well; an
    /// empty one selects everything.
    pub fn parse(kind: &str, others: &[String], text: &str) -> Result<FieldSelector, String> {
        let mut requirements = Vec::new();
        for term in split(text).into_iter().filter(|term| !term.is_empty()) {
            let wrong = || format!("invalid selector: '{text}'; can't understand '{term}'");
            let (field, value, is_equal) = operands(term).ok_or_else(wrong)?;
            let other = || others.iter().find(|other| *other == field).map(|other| Cow::Owned(other.clone()));
            let known = known(kind, field).map(Cow::Borrowed).or_else(other);
            let field = known.ok_or_else(|| unsupported(kind.rsplit('/').next().unwrap_or(kind), field))?;
            requirements.push(FieldRequirement { field, value: unescape(value)?, is_equal });
        }
        Ok(FieldSelector(requirements))
    }

    /// Whether an object is selected.
    pub fn matches(&self, object: &Value) -> bool {
        self.0.iter().all(|one| (value(object, &one.field) == one.value) == one.is_equal)
    }

    /// The one name that an object must have to be selected.
    pub fn name(&self) -> Option<&str> {
        let named = |one: &&FieldRequirement| one.is_equal && matches!(&*one.field, "metadata.name" | "name");
        self.0.iter().find(named).map(|one| one.value.as_str())
    }

    /// The one namespace that an object must have to be selected.
    pub fn namespace(&self) -> Option<&str> {
        let named = |one: &&FieldRequirement| one.is_equal && one.field == "metadata.namespace";
        self.0.iter().find(named).map(|one| one.value.as_str())
    }
}

/// A field's value as text; what is absent is empty.
fn value(object: &Value, field: &str) -> String {
    let at = |path: &str| {
        let mut found = object;
        for name in path.split('.') {
            found = &found[name];
        }
        match found {
            Value::String(text) => text.clone(),
            Value::Bool(yes) => yes.to_string(),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        }
    };
    match field {
        "name" => at("metadata.name"),
        "reportingComponent" => at("reportingComponent"),
        // An event of the newer kind names its source there.
        "source" => {
            Some(at("source.component")).filter(|text| !text.is_empty()).unwrap_or_else(|| at("reportingComponent"))
        }
        "spec.hostNetwork" | "spec.unschedulable" => {
            Some(at(field)).filter(|text| !text.is_empty()).unwrap_or_else(|| "false".to_owned())
        }
        "status.podIPs" => {
            let addresses = object["status"]["podIPs"].as_array();
            let addresses = addresses.into_iter().flatten().filter_map(|one| one["ip"].as_str());
            addresses.collect::<Vec<_>>().join(",")
        }
        "status.successful" if object["kind"] == "Job" => {
            Some(at("status.succeeded")).filter(|text| !text.is_empty()).unwrap_or_else(|| "0".to_owned())
        }
        // Nothing that a set has; upstream has it for historical reasons.
        "status.successful" => String::new(),
        _ => at(field),
    }
}

/// The terms between commas; a comma after a backslash belongs to its term.
fn split(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let (mut from, mut is_escaped) = (0, false);
    for (at, letter) in text.char_indices() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            ',' => {
                terms.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[from..]);
    terms
}

/// Field, value, and whether they should be equal.
fn operands(term: &str) -> Option<(&str, &str, bool)> {
    let at = term.find(['=', '!'])?;
    let (field, rest) = term.split_at(at);
    for (operator, is_equal) in [("!=", false), ("==", true), ("=", true)] {
        if let Some(value) = rest.strip_prefix(operator) {
            return Some((field, value, is_equal));
        }
    }
    None
}

/// A value without its backslashes.
fn unescape(value: &str) -> Result<String, String> {
    let mut read = String::new();
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some(escaped @ ('\\' | ',' | '=')) => read.push(escaped),
                other => {
                    let sequence: String = std::iter::once('\\').chain(other).collect();
                    return Err(format!("invalid field selector: invalid escape sequence: {sequence}"));
                }
            },
            ',' | '=' => return Err(format!("invalid field selector: unescaped character in value: {letter}")),
            _ => read.push(letter),
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn what_is_selected() {
        let pod = json!({
            "metadata": {"name": "web-0", "namespace": "default"},
            "spec": {"nodeName": "node-1"},
            "status": {"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]},
        });
        let event = json!({
            "metadata": {"name": "web.1", "namespace": "default"},
            "involvedObject": {"kind": "StatefulSet", "name": "web", "namespace": "default", "uid": "u-1"},
            "reason": "SuccessfulCreate", "type": "Normal", "source": {"component": "statefulset-controller"},
        });
        let class_event = json!({"involvedObject": {"kind": "StorageClass", "name": "std"}, "reportingComponent": "x"});
        let service = json!({"metadata": {"name": "s"}, "spec": {"type": "ClusterIP", "clusterIP": "None"}});
        for (kind, object, selector, expected) in [
            ("Pod", &pod, "", true),
            ("Pod", &pod, "metadata.name=web-0", true),
            ("Pod", &pod, "metadata.name==web-1", false),
            ("Pod", &pod, "metadata.name!=web-1,metadata.namespace=default", true),
            ("Pod", &pod, "status.phase=Running,spec.nodeName=node-1", true),
            ("Pod", &pod, "status.phase!=Running", false),
            ("Pod", &pod, "spec.nodeName=", false),
            ("Pod", &pod, "spec.hostNetwork=false", true),
            ("Pod", &pod, "status.podIP=10.0.0.1,status.podIPs=10.0.0.1\\,fd00::1", true),
            ("Event", &event, "involvedObject.uid=u-1,involvedObject.kind=StatefulSet,involvedObject.name=web", true),
            ("Event", &event, "involvedObject.namespace=default,type!=Normal", false),
            ("Event", &event, "source=statefulset-controller,reason=SuccessfulCreate", true),
            ("Event", &class_event, "involvedObject.namespace=,involvedObject.name=std", true),
            ("Event", &class_event, "source=x,reportingComponent=x", true),
            ("Service", &service, "spec.type=ClusterIP,spec.clusterIP=None", true),
            (EVENTS, &event, "regarding.kind=StatefulSet,reason=SuccessfulCreate,type!=Warning", true),
            (EVENTS, &class_event, "reportingController=x", true),
            ("Secret", &json!({"type": "Opaque"}), "type=Opaque", true),
            ("Node", &json!({"spec": {}}), "spec.unschedulable=false", true),
            ("CertificateSigningRequest", &json!({"spec": {"signerName": "a/b"}}), "spec.signerName=a/b", true),
            ("Namespace", &json!({"status": {"phase": "Active"}}), "status.phase=Active", true),
            ("Job", &json!({"kind": "Job", "status": {"succeeded": 2}}), "status.successful=2", true),
            ("Job", &json!({"kind": "Job", "status": {}}), "status.successful=0", true),
            ("ReplicaSet", &json!({"status": {"replicas": 0}}), "status.replicas=0", true),
            ("ReplicationController", &json!({"status": {"replicas": 2}}), "status.replicas!=0", true),
            ("PersistentVolume", &json!({"metadata": {"name": "a=b"}}), "name=a\\=b", true),
        ] {
            let parsed = FieldSelector::parse(kind, &[], selector).unwrap_or_else(|why| panic!("{selector}: {why}"));
            assert_eq!(parsed.matches(object), expected, "{selector}");
        }
        let named = FieldSelector::parse("Pod", &[], "metadata.namespace=a,metadata.name=web-0").unwrap();
        assert_eq!((named.name(), named.namespace()), (Some("web-0"), Some("a")));
        assert_eq!(FieldSelector::parse("Pod", &[], "metadata.name!=web-0").unwrap().name(), None);
    }

    #[test]
    fn what_is_refused() {
        for (kind, selector, expected) in [
            ("Pod", "spec.foo=x", "field label not supported: spec.foo"),
            ("Secret", "data.a=x", "field label not supported: data.a"),
            (EVENTS, "involvedObject.name=x", "field label not supported: involvedObject.name"),
            ("Job", "status.active=1", "field label \"status.active\" not supported for Job"),
            ("StatefulSet", "spec.replicas=1", "field label not supported for StatefulSet: spec.replicas"),
            (
                "EndpointSlice",
                "spec.foo=x",
                "\"spec.foo\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
            ),
            ("Pod", "metadata.name", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
            ("Pod", "metadata.name=a\\b", "invalid field selector: invalid escape sequence: \\b"),
            ("Pod", "metadata.name=a=b", "invalid field selector: unescaped character in value: ="),
        ] {
            assert_eq!(FieldSelector::parse(kind, &[], selector).unwrap_err(), expected, "{selector}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "(metadata\\.name|status\\.phase|[=!,\\\\]|\\PC){0,16}") {
            if let Ok(fields) = FieldSelector::parse("Pod", &[], &text) {
                fields.matches(&Value::Null);
            }
        }
    }
}
