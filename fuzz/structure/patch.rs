//! A kind of patch, an object and a patch of it, a line each: the patch names what is in the object.

use crate::{once_in, pick, value};
use fastrand::Rng;
use serde_json::{Value, json};

const KINDS: &[&str] = &[
    "StatefulSet",
    "Pod",
    "Service",
    "PersistentVolumeClaim",
    "PersistentVolume",
    "EndpointSlice",
    "Namespace",
    "Endpoints",
    "Unknown",
];

/// This patch or its object changed, or another patch of the same object.
pub fn change(input: &[u8], random: &mut Rng) -> Vec<u8> {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.splitn(3, '\n');
    let head = lines.next().unwrap_or_default().to_owned();
    let mut read = || lines.next().and_then(|line| serde_json::from_str::<Value>(line).ok());
    let (Some(mut original), patch) = (read(), read()) else { return input.to_vec() };
    let (how, kind) = head.split_once(' ').unwrap_or((&head, "StatefulSet"));
    let kind = if once_in(random, 16) { pick(random, KINDS) } else { kind };
    let how = if once_in(random, 4) { pick(random, &["json", "merge", "strategic", "apply"]) } else { how };
    if once_in(random, 5) {
        value::change(&mut original, random);
    }
    let patch = match (how, patch) {
        ("json", Some(mut patch)) if random.bool() && patch.is_array() => {
            value::change(&mut patch, random);
            patch
        }
        ("json", _) => (0..random.usize(..6)).map(|_| operation(&original, random)).collect(),
        (_, Some(mut patch)) if random.bool() && patch.is_object() => {
            value::change(&mut patch, random);
            patch
        }
        _ => part(&original, how == "strategic", random),
    };
    format!("{how} {kind}\n{original}\n{patch}").into_bytes()
}

/// One operation of a JSON patch on an object.
fn operation(original: &Value, random: &mut Rng) -> Value {
    let places = value::pointers(original);
    let place = |random: &mut Rng| {
        let mut place = places[random.usize(..places.len())].clone();
        match random.u8(..12) {
            0 => place += "/-",
            1 => place += "/0",
            2 => place += "/new",
            3 => place += "~2",
            4 => place += "/18446744073709551616",
            _ => {}
        }
        place
    };
    let (path, from) = (place(random), place(random));
    let value =
        if random.bool() { value::any(random, 2) } else { original.pointer(&from).cloned().unwrap_or_default() };
    match pick(random, &["add", "remove", "replace", "move", "copy", "test", "none"]) {
        op @ ("remove" | "none") => json!({"op": op, "path": path}),
        op @ ("move" | "copy") => json!({"op": op, "path": path, "from": from}),
        op => json!({"op": op, "path": path, "value": value}),
    }
}

/// Parts of an object with other values, as a merge patch or an applied configuration has them.
fn part(original: &Value, directives: bool, random: &mut Rng) -> Value {
    match original {
        Value::Object(fields) => {
            let mut made = serde_json::Map::new();
            for (name, field) in fields {
                if ["apiVersion", "kind", "name", "containerPort", "port"].contains(&name.as_str())
                    || once_in(random, 2)
                {
                    let new = if once_in(random, 8) { value::any(random, 2) } else { part(field, directives, random) };
                    made.insert(name.clone(), new);
                }
                if directives && once_in(random, 10) {
                    let order = part(field, false, random);
                    let word = pick(random, &["$setElementOrder", "$deleteFromPrimitiveList"]);
                    made.insert(format!("{word}/{name}"), order);
                }
            }
            if directives && once_in(random, 10) {
                made.insert("$patch".to_owned(), pick(random, &["delete", "replace", "merge", "x"]).into());
            }
            if directives && once_in(random, 16) {
                made.insert("$retainKeys".to_owned(), fields.keys().take(2).cloned().collect());
            }
            Value::Object(made)
        }
        Value::Array(items) => {
            let mut made: Vec<Value> = items.iter().map(|item| part(item, directives, random)).collect();
            if made.len() > 1 && once_in(random, 3) {
                random.shuffle(&mut made);
                made.truncate(random.usize(1..=made.len()));
            }
            if once_in(random, 6) {
                made.push(value::any(random, 2));
            }
            Value::Array(made)
        }
        other if once_in(random, 5) => {
            let _ = other;
            value::any(random, 0)
        }
        other => other.clone(),
    }
}
