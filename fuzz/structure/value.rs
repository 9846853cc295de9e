//! JSON values: any, and one with a part replaced, removed, added or copied.

use crate::{once_in, pick};
use fastrand::Rng;
use serde_json::{Map, Value, json};

const NAMES: &[&str] = &[
    "apiVersion",
    "kind",
    "metadata",
    "name",
    "namespace",
    "generateName",
    "labels",
    "annotations",
    "finalizers",
    "ownerReferences",
    "uid",
    "resourceVersion",
    "managedFields",
    "creationTimestamp",
    "deletionTimestamp",
    "spec",
    "status",
    "replicas",
    "serviceName",
    "selector",
    "matchLabels",
    "template",
    "containers",
    "image",
    "env",
    "value",
    "ports",
    "port",
    "targetPort",
    "nodePort",
    "protocol",
    "clusterIP",
    "clusterIPs",
    "ipFamilies",
    "ipFamilyPolicy",
    "type",
    "externalName",
    "volumeClaimTemplates",
    "accessModes",
    "resources",
    "requests",
    "storage",
    "endpoints",
    "addresses",
    "conditions",
    "ready",
    "hostname",
    "addressType",
    "volumes",
    "emptyDir",
    "volumeMounts",
    "mountPath",
    "$patch",
    "$retainKeys",
    "$setElementOrder/ports",
    "$setElementOrder/containers",
    "$deleteFromPrimitiveList/finalizers",
    "",
    "a/b~c",
];
const TEXTS: &[&str] = &[
    "",
    "a",
    "web",
    "v1",
    "apps/v1",
    "StatefulSet",
    "Service",
    "Pod",
    "None",
    "TCP",
    "UDP",
    "delete",
    "replace",
    "merge",
    "IPv4",
    "192.0.2.1",
    "10.96.0.7",
    "2001:db8::1",
    "1Gi",
    "100m",
    "ReadWriteOnce",
    "ClusterIP",
    "NodePort",
    "ExternalName",
    "example.com/a",
    "app",
    "2026-01-01T00:00:00Z",
    "\u{1b}[31m",
    "\u{202e}",
    "-",
    "web-0",
    "default",
    "SingleStack",
    "RequireDualStack",
];

/// Any value, not deep.
pub fn any(random: &mut Rng, depth: usize) -> Value {
    match random.u8(..if depth == 0 { 7 } else { 10 }) {
        0 => Value::Null,
        1 => random.bool().into(),
        2 => random.i64(-2..300).into(),
        3 => json!([0.5, -0.0, 1e300, 80.0][random.usize(..4)]),
        4 => json!([i64::MAX, i64::MIN, 2_147_483_648, 65_536][random.usize(..4)]),
        5 | 6 => pick(random, TEXTS).into(),
        7 => (0..random.usize(..4)).map(|_| any(random, depth - 1)).collect(),
        _ => object(random, depth - 1),
    }
}

/// Any object, not deep.
pub fn object(random: &mut Rng, depth: usize) -> Value {
    let fields = (0..random.usize(..5)).map(|_| (pick(random, NAMES).to_owned(), any(random, depth)));
    Value::Object(fields.collect::<Map<_, _>>())
}

/// JSON pointers to all parts of a value, of the whole first.
pub fn pointers(value: &Value) -> Vec<String> {
    fn walk(value: &Value, at: &str, found: &mut Vec<String>) {
        found.push(at.to_owned());
        match value {
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(index, item)| walk(item, &format!("{at}/{index}"), found));
            }
            Value::Object(fields) => fields.iter().for_each(|(name, field)| {
                walk(field, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), found);
            }),
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(value, "", &mut found);
    found
}

/// Changes some parts.
pub fn change(value: &mut Value, random: &mut Rng) {
    for _ in 0..random.usize(1..4) {
        let places = pointers(value);
        let place = &places[random.usize(..places.len())];
        let from = value.pointer(&places[random.usize(..places.len())]).cloned().unwrap_or_default();
        // A copy of a whole would double it each time.
        let from = if pointers(&from).len() > 30 { Value::Null } else { from };
        let Some(part) = value.pointer_mut(place) else { continue };
        match (random.u8(..5), part) {
            (0 | 1, Value::Object(fields)) => {
                let new = if random.bool() { any(random, 2) } else { from };
                fields.insert(pick(random, NAMES).to_owned(), new);
            }
            (0 | 1, Value::Array(items)) => {
                let new = if random.bool() { any(random, 2) } else { from };
                items.insert(random.usize(..=items.len()), new);
            }
            (2, Value::Object(fields)) if !fields.is_empty() => {
                let name = fields.keys().nth(random.usize(..fields.len())).cloned().unwrap_or_default();
                fields.remove(&name);
            }
            (2, Value::Array(items)) if !items.is_empty() => drop(items.remove(random.usize(..items.len()))),
            (3, part) if !place.is_empty() => *part = from,
            (_, part) if !place.is_empty() || once_in(random, 20) => *part = any(random, 2),
            _ => {}
        }
    }
}
