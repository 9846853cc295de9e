//! What is wrong with a body before it is an object: values of the wrong type, unknown fields, fields given twice.
//!
//! The sentences are those of upstream's decoder (sigs.k8s.io/json), which names Go's types.

use crate::web::api::resource::Resource;
use crate::{
    objects::object::{
        octets,
        quantity::{MALFORMED, Precision, canonical},
        schema::{Schema, SchemaField, SchemaType},
    },
    text::escape::visible,
};
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::{cell::RefCell, collections::HashMap, fmt};

/// Most faults that are reported of one body; upstream stops there too.
pub const MAX_FAULTS: usize = 100;
/// Longest path that a fault repeats, in octets: the names on it are the client's.
const MAX_PATH: usize = 1024;

/// A fault of a field, with its path.
fn fault(what: &str, path: &str) -> String {
    match path.len() {
        0..=MAX_PATH => format!("{what} \"{path}\""),
        octets => format!("{what} \"{}… ({octets} octets)\"", &path[..path.floor_char_boundary(MAX_PATH)]),
    }
}

/// Fields that the kind does not have, in the order of the body: `unknown field "spec.serviceNam"`.
pub fn unknown_fields(kind: &str, body: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(schema) = Schema::of(kind) {
        find_unknown(&SchemaType::Object(schema.name), body, &mut String::new(), &mut found);
    }
    found
}

/// Fields that occur twice in one object of a JSON text, in its order: `duplicate field "spec.replicas"`. Text that is
/// no JSON has none.
pub fn duplicate_fields(text: &[u8]) -> Vec<String> {
    let path = RefCell::new(String::new());
    let found = RefCell::new(Vec::new());
    let mut reader = serde_json::Deserializer::from_slice(text);
    // What is wrong with the text is told by whoever decodes it.
    let _ = RepeatedFields { path: &path, found: &found }.deserialize(&mut reader);
    found.into_inner()
}

/// The first value that does not have its field's type: `json: cannot unmarshal string into Go struct field
/// StatefulSetSpec.spec.replicas of type int32`.
pub fn mismatch(kind: &str, body: &Value) -> Option<String> {
    let schema = Schema::of(kind)?;
    let root = FieldPath { holder: schema.short_name(), path: String::new() };
    check(&SchemaType::Object(schema.name), body, &root)
}

/// The message of the 400 about a body that cannot be decoded.
pub fn refusal(resource: &Resource, what: &str) -> String {
    let (kind, version) = (resource.kind, &resource.version);
    format!("{kind} in version \"{version}\" cannot be handled as a {kind}: {what}")
}

/// What [`refusal`] says about fields, under strict validation.
pub fn strict(faults: &[String]) -> String {
    format!("strict decoding error: {}", faults.join(", "))
}

/// A `Warning` header's value (RFC 9111 section 5.5, RFC 7234 before it), as kubectl prints it after `Warning: `.
pub fn warning(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 8);
    // Control characters could end the header, and nothing beyond ASCII may stand in one.
    for letter in
        visible(text).chars().map(|letter| if letter.is_ascii_graphic() || letter == ' ' { letter } else { '?' })
    {
        if matches!(letter, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(letter);
    }
    format!("299 - \"{quoted}\"")
}

fn find_unknown(of: &SchemaType, value: &Value, path: &mut String, found: &mut Vec<String>) {
    let before = path.len();
    match (of, value) {
        (SchemaType::Object(name), Value::Object(map)) => {
            let Some(schema) = Schema::named(name) else { return };
            for (key, inner) in map {
                push(path, key);
                match schema.field(key) {
                    Some(field) => find_unknown(&field.of, inner, path, found),
                    None if found.len() < MAX_FAULTS => found.push(fault("unknown field", path)),
                    None => {}
                }
                path.truncate(before);
            }
        }
        (SchemaType::Map(of), Value::Object(map)) if of.schema().is_some() => {
            for (key, inner) in map {
                push(path, key);
                find_unknown(of, inner, path, found);
                path.truncate(before);
            }
        }
        (SchemaType::List(of), Value::Array(list)) if of.schema().is_some() => {
            for (index, inner) in list.iter().enumerate() {
                path.push_str(&format!("[{index}]"));
                find_unknown(of, inner, path, found);
                path.truncate(before);
            }
        }
        _ => {}
    }
}

/// Null in a map of quantities is zero to Go.
pub fn zero_for_null(kind: &str, body: &mut Value) {
    if let Some(schema) = Schema::of(kind) {
        zero_in(schema, body);
    }
}

fn zero_in(schema: &'static Schema, value: &mut Value) {
    let Value::Object(map) = value else { return };
    for (key, value) in map {
        match (schema.field(key).map(|field| &field.of), value) {
            (Some(SchemaType::Map(of)), Value::Object(entries)) if **of == SchemaType::Quantity => {
                entries.values_mut().filter(|value| value.is_null()).for_each(|value| *value = "0".into());
            }
            (Some(SchemaType::Object(name)), value) => {
                if let Some(schema) = Schema::named(name) {
                    zero_in(schema, value);
                }
            }
            (Some(SchemaType::List(of)), Value::Array(list)) => {
                if let SchemaType::Object(name) = &**of
                    && let Some(schema) = Schema::named(name)
                {
                    list.iter_mut().for_each(|value| zero_in(schema, value));
                }
            }
            _ => {}
        }
    }
}

fn push(path: &mut String, key: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
}

/// Where a value is: the struct whose field holds it, and the names on the way there; indices are left out.
struct FieldPath {
    holder: &'static str,
    path: String,
}

fn check(of: &SchemaType, value: &Value, place: &FieldPath) -> Option<String> {
    match (of, value) {
        (SchemaType::Any | SchemaType::Free, _) | (_, Value::Null) => None,
        (SchemaType::Boolean, Value::Bool(_)) | (SchemaType::String, Value::String(_)) => None,
        (SchemaType::Bytes, Value::String(text)) => octets::decode(text).err().map(octets::refusal),
        (SchemaType::Int32, Value::Number(number)) if number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => None,
        (SchemaType::Int64, Value::Number(number)) if number.as_i64().is_some() => None,
        (SchemaType::Quantity, Value::Number(_)) => None,
        (SchemaType::Quantity, Value::String(text)) => canonical(text, Precision::Nano).err().map(str::to_owned),
        (SchemaType::Quantity, _) => Some(MALFORMED.to_owned()),
        (SchemaType::IntOrString, Value::String(_)) => None,
        (SchemaType::IntOrString, value) => {
            check(&SchemaType::Int32, value, &FieldPath { holder: "", path: String::new() })
        }
        (SchemaType::Time | SchemaType::MicroTime, Value::String(text)) => check_time(of, text),
        (SchemaType::Time | SchemaType::MicroTime, value) => {
            Some(format!("json: cannot unmarshal {} into Go value of type string", what(value)))
        }
        (SchemaType::List(inner), Value::Array(list)) => list.iter().find_map(|value| check(inner, value, place)),
        (SchemaType::Map(inner), Value::Object(map)) => map.values().find_map(|value| check(inner, value, place)),
        (SchemaType::Object(name), Value::Object(map)) => {
            let schema = Schema::named(name)?;
            map.iter().find_map(|(key, value)| check_field(schema, schema.field(key)?, value, place))
        }
        _ => Some(mismatched(of, value, place)),
    }
}

fn check_field(schema: &'static Schema, field: &SchemaField, value: &Value, place: &FieldPath) -> Option<String> {
    let mut path = place.path.clone();
    push(&mut path, field.name);
    check(&field.of, value, &FieldPath { holder: schema.short_name(), path })
}

fn mismatched(of: &SchemaType, value: &Value, place: &FieldPath) -> String {
    let what = match value {
        // Only what could have been the number repeats it.
        Value::Number(_) if !matches!(of, SchemaType::Int32 | SchemaType::Int64) => "number".to_owned(),
        value => what(value),
    };
    let of = go_type(of);
    if place.path.is_empty() {
        return format!("json: cannot unmarshal {what} into Go value of type {of}");
    }
    format!("json: cannot unmarshal {what} into Go struct field {}.{} of type {of}", place.holder, place.path)
}

/// Go's word for a value.
fn what(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(number) => format!("number {number}"),
        Value::String(_) => "string".to_owned(),
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
    }
}

fn go_type(of: &SchemaType) -> String {
    match of {
        SchemaType::Any | SchemaType::Free => "interface {}".to_owned(),
        SchemaType::Boolean => "bool".to_owned(),
        SchemaType::Int32 => "int32".to_owned(),
        SchemaType::Int64 => "int64".to_owned(),
        SchemaType::String => "string".to_owned(),
        SchemaType::Bytes => "[]uint8".to_owned(),
        SchemaType::Time => "v1.Time".to_owned(),
        SchemaType::MicroTime => "v1.MicroTime".to_owned(),
        SchemaType::Quantity => "resource.Quantity".to_owned(),
        SchemaType::IntOrString => "intstr.IntOrString".to_owned(),
        SchemaType::List(inner) => format!("[]{}", go_type(inner)),
        SchemaType::Map(inner) => format!("map[string]{}", go_type(inner)),
        // Packages are named by their version.
        SchemaType::Object(name) => name.rsplit_once('.').map_or_else(
            || (*name).to_owned(),
            |(package, short)| format!("{}.{short}", package.rsplit('.').next().unwrap_or(package)),
        ),
    }
}

/// Go's complaint about a time that is not valid; which part it could not read is reported only for the first.
fn check_time(of: &SchemaType, text: &str) -> Option<String> {
    let layout = if *of == SchemaType::Time { "2006-01-02T15:04:05Z07:00" } else { "2006-01-02T15:04:05.000000Z07:00" };
    match text.parse::<jiff::Timestamp>() {
        Ok(_) if *of == SchemaType::MicroTime => {
            // `2006-01-02T15:04:05`, and then exactly so many digits.
            let rest = text.get(19..).unwrap_or_default();
            let digits =
                rest.strip_prefix('.').map_or(0, |digits| digits.bytes().take_while(u8::is_ascii_digit).count());
            let (rest, wanted) = match digits {
                6 => return None,
                0..6 => (rest, ".000000"),
                _ => (rest.get(7..).unwrap_or_default(), "Z07:00"),
            };
            Some(format!("parsing time {text:?} as {layout:?}: cannot parse {rest:?} as {wanted:?}"))
        }
        Ok(_) => None,
        Err(_) => Some(format!("parsing time {text:?} as {layout:?}: cannot parse {text:?} as \"2006\"")),
    }
}

/// Reads a JSON text for nothing but fields that are given twice.
#[derive(Clone, Copy)]
struct RepeatedFields<'a> {
    path: &'a RefCell<String>,
    found: &'a RefCell<Vec<String>>,
}

impl RepeatedFields<'_> {
    fn within<T>(self, step: impl FnOnce(&mut String), read: impl FnOnce() -> T) -> T {
        let before = self.path.borrow().len();
        step(&mut self.path.borrow_mut());
        let read = read();
        self.path.borrow_mut().truncate(before);
        read
    }
}

impl<'de> DeserializeSeed<'de> for RepeatedFields<'_> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for RepeatedFields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        // Whether a field was told already: each is told once, however often it stands there.
        let mut seen: HashMap<String, bool> = HashMap::new();
        while let Some(key) = map.next_key::<String>()? {
            self.within(|path| push(path, &key), || map.next_value_seed(self))?;
            let Some(is_told) = seen.get_mut(&key) else {
                seen.insert(key, false);
                continue;
            };
            if !std::mem::replace(is_told, true) && self.found.borrow().len() < MAX_FAULTS {
                let fault = self.within(|path| push(path, &key), || fault("duplicate field", &self.path.borrow()));
                self.found.borrow_mut().push(fault);
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        for index in 0_usize.. {
            let read = self.within(|path| path.push_str(&format!("[{index}]")), || list.next_element_seed(self))?;
            if read.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn unknown_fields_are_told_with_their_paths() {
        for (kind, body, expected) in [
            ("StatefulSet", json!({"kind": "StatefulSet", "spec": {"serviceNam": "x"}}), "spec.serviceNam"),
            ("Service", json!({"spec": {"clusterIp": "None", "ports": [{"port": 1}]}}), "spec.clusterIp"),
            ("Service", json!({"foo": 1, "spec": {"ports": [{"port": 1}, {"prt": 2}]}}), "foo spec.ports[1].prt"),
            ("Namespace", json!({"metadata": {"labels": {"any": "thing"}, "lables": {}}}), "metadata.lables"),
            (
                "StatefulSet",
                json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "Image": "b"}]}}}}),
                "spec.template.spec.containers[0].Image",
            ),
            ("ControllerRevision", json!({"data": {"any": {"thing": 1}}}), ""),
            ("Pod", json!({"metadata": {"managedFields": [{"fieldsV1": {"f:spec": {}}}]}}), ""),
            ("Pod", json!([1]), ""),
        ] {
            let expected: Vec<String> =
                expected.split_whitespace().map(|path| format!("unknown field \"{path}\"")).collect();
            assert_eq!(unknown_fields(kind, &body), expected, "{body}");
        }
    }

    #[test]
    fn fields_given_twice_are_told_with_their_paths() {
        for (text, expected) in [
            (r#"{"a": 1, "b": 2}"#, ""),
            (r#"{"spec": {"replicas": 1, "replicas": 2}}"#, "spec.replicas"),
            (r#"{"a": [{"b": 1}, {"b": 1, "b": 2, "b": 3}], "a": null}"#, "a[1].b a"),
            (r#"{"a": {"x": 1}, "b": {"x": 1}}"#, ""),
            (r#"{"a": 1, "a": 1.5, "c"#, "a"),
            ("nothing", ""),
        ] {
            let expected: Vec<String> =
                expected.split_whitespace().map(|path| format!("duplicate field \"{path}\"")).collect();
            assert_eq!(duplicate_fields(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn values_of_the_wrong_type_are_told_as_by_upstream() {
        for (body, expected) in [
            (json!({"spec": {"replicas": 3, "selector": null}}), ""),
            (
                json!({"spec": {"replicas": "three"}}),
                "json: cannot unmarshal string into Go struct field StatefulSetSpec.spec.replicas of type int32",
            ),
            (
                json!({"spec": {"selector": {"matchLabels": {"app": true}}}}),
                "json: cannot unmarshal bool into Go struct field LabelSelector.spec.selector.matchLabels of type string",
            ),
            (
                json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "image": true}]}}}}),
                "json: cannot unmarshal bool into Go struct field Container.spec.template.spec.containers.image of type \
                 string",
            ),
            (
                json!({"spec": []}),
                "json: cannot unmarshal array into Go struct field StatefulSet.spec of type v1.StatefulSetSpec",
            ),
            (
                json!({"spec": {"replicas": 4_000_000_000_u32}}),
                "json: cannot unmarshal number 4000000000 into Go struct field StatefulSetSpec.spec.replicas of type int32",
            ),
            (
                json!({"spec": {"volumeClaimTemplates": [{"spec": {"resources": {"requests": {"storage": "1Gb"}}}}]}}),
                MALFORMED,
            ),
            (
                json!({"metadata": {"creationTimestamp": "yesterday"}}),
                "parsing time \"yesterday\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"yesterday\" as \"2006\"",
            ),
            (json!("text"), "json: cannot unmarshal string into Go value of type v1.StatefulSet"),
        ] {
            assert_eq!(mismatch("StatefulSet", &body).unwrap_or_default(), expected, "{body}");
        }
    }

    #[test]
    fn sentences() {
        let faults = ["unknown field \"spec.serviceNam\"".to_owned()];
        assert_eq!(
            refusal(&Resource::of(crate::objects::object::Kind::StatefulSet), &strict(&faults)),
            "StatefulSet in version \"v1\" cannot be handled as a StatefulSet: strict decoding error: unknown field \
             \"spec.serviceNam\""
        );
        assert_eq!(warning(&faults[0]), r#"299 - "unknown field \"spec.serviceNam\"""#);
        assert_eq!(warning("a\r\nb\\ü"), r#"299 - "a\\u{d}\\nb\\?""#);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let names = "spec|metadata|labels|template|containers|ports|replicas|data|[a-z]{1,3}";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 64, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(names, inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// What upstream's decoder said of bodies that it could not read, and of unknown fields.
    #[test]
    fn recorded_refusals_of_the_decoder() {
        let recorded = include_str!("../../../../tests/data/upstream/refusals.md");
        let mut compared = 0;
        for section in recorded.split("\n## ").skip(1) {
            let Some((_, said)) = section.split_once("\nError from server (BadRequest): ") else { continue };
            let Some((_, said)) = said.split_once(" cannot be handled as a ") else { continue };
            let (kind, said) = said.lines().next().unwrap().split_once(": ").unwrap();
            let Some((_, manifest)) = section.split_once("```yaml\n") else { continue };
            // A bare `yes` is a boolean to kubectl.
            let manifest = manifest.split("\n```").next().unwrap().replace(": yes}", ": true}");
            let Ok(body) = serde_yaml::from_str::<Value>(&manifest) else { continue };
            if body["kind"] != kind || section.starts_with("api version") {
                continue;
            }
            // A key `y` is a boolean to kubectl, and text to the reader here.
            if said.contains("unmarshal bool") && mismatch(kind, &body).is_none() {
                continue;
            }
            let found = mismatch(kind, &body).unwrap_or_else(|| strict(&unknown_fields(kind, &body)));
            assert_eq!(found, said, "{}", section.lines().next().unwrap());
            compared += 1;
        }
        assert!(compared >= 8, "{compared}");
    }

    proptest! {
        #[test]
        fn no_body_is_too_strange(body in any_json()) {
            for kind in crate::objects::object::Kind::ALL {
                unknown_fields(kind.name(), &body);
                mismatch(kind.name(), &body);
            }
            duplicate_fields(body.to_string().as_bytes());
        }
    }
}
