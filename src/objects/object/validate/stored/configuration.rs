//! ConfigMaps and Secrets (upstream's `ValidateConfigMap`, `ValidateSecret`). No message repeats a value.

use super::super::{FieldErrors, IMMUTABLE, names, same};
use crate::objects::object::{Kind, StoredObject, octets};
use serde_json::{Map, Value};

/// Most octets that a ConfigMap or a Secret may hold.
const OCTETS_MAX: usize = 1024 * 1024;
/// What stands in errors in the place of a Secret's value.
const REDACTED: &str = "<secret contents redacted>";

type Fields = Map<String, Value>;

fn entries<'a>(fields: &'a Fields, name: &str) -> impl Iterator<Item = (&'a String, &'a str)> {
    let map = fields.get(name).and_then(Value::as_object);
    map.into_iter().flatten().map(|(key, value)| (key, value.as_str().unwrap_or_default()))
}

/// The octets that a text in base64 stands for, counted and not made.
fn decoded_length(text: &str) -> usize {
    text.len() / 4 * 3 - text.bytes().rev().take(2).filter(|octet| *octet == b'=').count().min(text.len())
}

pub(super) fn validate_config_map(errors: &mut FieldErrors, fields: &Fields) {
    let binary = fields.get("binaryData").and_then(Value::as_object);
    let mut octets = 0;
    for (key, value) in entries(fields, "data") {
        let place = format!("data[{key}]");
        errors.each(&place, key, names::config_key(key));
        if binary.is_some_and(|binary| binary.contains_key(key)) {
            errors.invalid(place, key.as_str(), "duplicate of key present in binaryData");
        }
        octets += value.len();
    }
    for (key, value) in entries(fields, "binaryData") {
        errors.each(&format!("binaryData[{key}]"), key, names::config_key(key));
        octets += decoded_length(value);
    }
    if octets > OCTETS_MAX {
        // The path of the whole object, as upstream writes it.
        errors.too_long("[]", OCTETS_MAX);
    }
}

pub(super) fn validate_secret(errors: &mut FieldErrors, secret: &StoredObject) {
    let fields = secret.body();
    let mut octets = 0;
    for (key, value) in entries(&fields, "data") {
        errors.each(&format!("data[{key}]"), key, names::config_key(key));
        octets += decoded_length(value);
    }
    if octets > OCTETS_MAX {
        errors.too_long("data", OCTETS_MAX);
    }
    let value = |key: &str| fields.get("data").and_then(|data| data.get(key)).and_then(Value::as_str);
    let mut need = |key: &str| {
        if value(key).is_none() {
            errors.required(format!("data[{key}]"), "");
        }
    };
    match fields.get("type").and_then(Value::as_str).unwrap_or_default() {
        "kubernetes.io/tls" => {
            need("tls.crt");
            need("tls.key");
        }
        "kubernetes.io/basic-auth" if value("username").is_none() && value("password").is_none() => {
            need("username");
            need("password");
        }
        "kubernetes.io/ssh-auth" if value("ssh-privatekey").is_none_or(str::is_empty) => {
            errors.required("data[ssh-privatekey]", "");
        }
        "kubernetes.io/dockerconfigjson" => {
            registry_credentials(errors, ".dockerconfigjson", value(".dockerconfigjson"))
        }
        "kubernetes.io/dockercfg" => registry_credentials(errors, ".dockercfg", value(".dockercfg")),
        "kubernetes.io/service-account-token" => {
            const ACCOUNT: &str = "kubernetes.io/service-account.name";
            let annotations = secret.metadata.annotations.as_ref();
            if annotations.and_then(|all| all.get(ACCOUNT)).is_none_or(String::is_empty) {
                errors.required(format!("metadata.annotations[{ACCOUNT}]"), "");
            }
        }
        _ => {}
    }
}

/// JSON that a kubelet hands to a registry.
fn registry_credentials(errors: &mut FieldErrors, key: &str, value: Option<&str>) {
    let place = format!("data[{key}]");
    let Some(value) = value else { return errors.required(place, "") };
    let octets = octets::decode(value).unwrap_or_default();
    let problem = match serde_json::from_slice::<Value>(&octets) {
        Ok(Value::Object(_) | Value::Null) => return,
        Ok(value) => {
            let what = match value {
                Value::Array(_) => "array",
                Value::String(_) => "string",
                Value::Number(_) => "number",
                _ => "bool",
            };
            format!("json: cannot unmarshal {what} into Go value of type map[string]interface {{}}")
        }
        Err(_) => syntax_problem(&octets),
    };
    errors.invalid(place, REDACTED, &problem);
}

/// What Go says to the beginning of a text that is no JSON; of what follows nothing is repeated.
fn syntax_problem(octets: &[u8]) -> String {
    let text = octets.trim_ascii_start();
    let Some(&first) = text.first() else { return "unexpected end of JSON input".to_owned() };
    for literal in ["null", "true", "false"] {
        let expected = literal.as_bytes();
        if first == expected[0]
            && let Some(at) = (1..expected.len()).find(|&at| text.get(at) != expected.get(at))
        {
            return match text.get(at) {
                Some(octet) => format!(
                    "invalid character {:?} in literal {literal} (expecting {:?})",
                    char::from(*octet),
                    char::from(expected[at])
                ),
                None => "unexpected end of JSON input".to_owned(),
            };
        }
    }
    match first {
        b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' => "invalid JSON".to_owned(),
        _ => format!("invalid character {:?} looking for beginning of value", char::from(first)),
    }
}

pub(super) fn update(errors: &mut FieldErrors, kind: Kind, old: &Fields, new: &Fields) {
    let of = |fields: &Fields, name: &str| fields.get(name).cloned().unwrap_or_default();
    if kind == Kind::Secret && of(old, "type") != of(new, "type") {
        errors.invalid("type", of(new, "type"), IMMUTABLE);
    }
    if of(old, "immutable") != true {
        return;
    }
    const DETAIL: &str = "field is immutable when `immutable` is set";
    if of(new, "immutable") != true {
        errors.forbidden("immutable", DETAIL);
    }
    for name in ["data", "binaryData"] {
        if !same_map(&of(old, name), &of(new, name)) {
            errors.forbidden(name, DETAIL);
        }
    }
}

/// Whether two maps hold the same; an empty text is an entry all the same.
fn same_map(old: &Value, new: &Value) -> bool {
    old == new || same(&old, &Value::Null) && same(&new, &Value::Null)
}
