//! `/openapi/v2` in protobuf, written from the documents of version 3: kubectl up to 1.26 explains and validates by it,
//! later ones look into it for what they do not find there (files of `kind: List`, a Scale).
//!
//! The messages are those of gnostic's OpenAPIv2.proto, of which this fills what clients read: paths with the kind and
//! the query parameters of each operation, and definitions.

use serde_json::{Map, Value};

/// A message being written.
#[derive(Default)]
struct ProtobufMessage(Vec<u8>);

impl ProtobufMessage {
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// A field of octets: text, or another message.
    fn octets(&mut self, field: u8, octets: &[u8]) {
        // Numbers of fields here go up to 31; type 2 is a length and octets.
        self.number(u64::from(field) << 3 | 2);
        self.number(octets.len() as u64);
        self.0.extend_from_slice(octets);
    }

    /// A text; one that is not there is left out.
    fn text(&mut self, field: u8, text: &Value) {
        if let Some(text) = text.as_str() {
            self.octets(field, text.as_bytes());
        }
    }

    fn message(&mut self, field: u8, fill: impl FnOnce(&mut ProtobufMessage)) {
        let mut inner = ProtobufMessage::default();
        fill(&mut inner);
        self.octets(field, &inner.0);
    }

    /// An entry of a map: its name and its value.
    fn named(&mut self, field: u8, name: &str, fill: impl FnOnce(&mut ProtobufMessage)) {
        self.message(field, |entry| {
            entry.octets(1, name.as_bytes());
            entry.message(2, fill);
        });
    }

    /// The extensions of an object, `x-kubernetes-…`, each as YAML.
    fn extensions(&mut self, field: u8, of: &Value) {
        for (name, value) in members(of).filter(|(name, _)| name.starts_with("x-")) {
            self.named(field, name, |any| any.octets(2, value.to_string().as_bytes()));
        }
    }
}

fn members(of: &Value) -> impl Iterator<Item = (&String, &Value)> {
    of.as_object().into_iter().flat_map(Map::iter)
}

fn elements(of: &Value) -> impl Iterator<Item = &Value> {
    of.as_array().into_iter().flatten()
}

/// One document of all that these have.
pub(super) fn document(documents: &[Value]) -> Vec<u8> {
    let mut written = ProtobufMessage::default();
    written.octets(1, b"2.0");
    if let Some(first) = documents.first() {
        written.message(2, |info| {
            info.text(1, &first["info"]["title"]);
            info.text(2, &first["info"]["version"]);
        });
    }
    written.0.extend(parts(documents));
    written.0
}

/// The paths and definitions of these.
pub(super) fn parts(documents: &[Value]) -> Vec<u8> {
    let mut written = ProtobufMessage::default();
    written.message(8, |paths| {
        for (path, item) in documents.iter().flat_map(|document| members(&document["paths"])) {
            paths.named(2, path, |written| path_item(written, item));
        }
    });
    // Groups share definitions.
    let mut all = Map::new();
    for (name, schema) in documents.iter().flat_map(|document| members(&document["components"]["schemas"])) {
        all.entry(name.as_str()).or_insert_with(|| schema.clone());
    }
    written.message(9, |definitions| {
        for (name, of) in &all {
            definitions.named(1, name, |written| schema(written, of));
        }
    });
    written.0
}

fn path_item(written: &mut ProtobufMessage, item: &Value) {
    for (field, method) in [(2, "get"), (3, "put"), (4, "post"), (5, "delete"), (8, "patch")] {
        let Some(of) = item.get(method) else { continue };
        written.message(field, |operation| {
            for parameter in elements(&of["parameters"]) {
                // A parameter that is none of the body but of the query.
                operation.message(8, |item| {
                    item.message(1, |item| {
                        item.message(2, |item| item.message(3, |query| query_parameter(query, parameter)));
                    });
                });
            }
            operation.extensions(13, of);
        });
    }
}

fn query_parameter(written: &mut ProtobufMessage, parameter: &Value) {
    written.text(2, &parameter["in"]);
    written.text(4, &parameter["name"]);
    written.text(6, &parameter["schema"]["type"]);
}

fn schema(written: &mut ProtobufMessage, of: &Value) {
    let inner = &of["allOf"][0];
    let reference = of.get("$ref").or_else(|| inner.get("$ref")).and_then(Value::as_str);
    if let Some(name) = reference.and_then(|reference| reference.rsplit('/').next()) {
        written.octets(1, format!("#/definitions/{name}").as_bytes());
    }
    written.text(2, &of["format"]);
    written.text(4, &of["description"]);
    elements(&of["required"]).for_each(|name| written.text(19, name));
    if let Some(values) = of.get("additionalProperties") {
        written.message(21, |item| item.message(1, |written| schema(written, values)));
    }
    // What is a number or a text there is a text here.
    let text = Value::from("string");
    let kind = if of.get("oneOf").is_some() { &text } else { &of["type"] };
    if kind.is_string() {
        written.message(22, |item| item.text(1, kind));
    }
    if let Some(item) = of.get("items") {
        written.message(23, |items| items.message(1, |written| schema(written, item)));
    }
    if let Some(properties) = of.get("properties") {
        written.message(25, |written| {
            for (name, property) in members(properties) {
                written.named(1, name, |written| schema(written, property));
            }
        });
    }
    written.extensions(31, of);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn messages_as_gnostic_reads_them() {
        let parts = json!({
            "info": {"title": "T", "version": "1"},
            "paths": {"/a": {"patch": {"parameters": [{"name": "dryRun", "in": "query", "schema": {"type": "string"}}],
                "x-k": {"kind": "A"}}}},
            "components": {"schemas": {"A": {"type": "object", "required": ["b"], "properties": {
                "b": {"allOf": [{"$ref": "#/components/schemas/B"}]},
            }}}},
        });
        let expected: &[&[u8]] = &[
            b"\x0a\x032.0",
            b"\x12\x06\x0a\x01T\x12\x011",
            b"\x42\x40\x12\x3e\x0a\x02/a\x12\x38\x42\x36",
            b"\x42\x1d\x0a\x1b\x12\x19\x1a\x17\x12\x05query\x22\x06dryRun\x32\x06string",
            b"\x6a\x15\x0a\x03x-k\x12\x0e\x12\x0c{\"kind\":\"A\"}",
            b"\x4a\x31\x0a\x2f\x0a\x01A\x12\x2a\x9a\x01\x01b\xb2\x01\x08\x0a\x06object\xca\x01\x18",
            b"\x0a\x16\x0a\x01b\x12\x11\x0a\x0f#/definitions/B",
        ];
        let found = document(&[parts]);
        assert_eq!(found.escape_ascii().to_string(), expected.concat().escape_ascii().to_string());
        let mut long = ProtobufMessage::default();
        long.octets(1, &[b'x'; 300]);
        assert_eq!(long.0[..3], [0x0a, 0xac, 0x02]);
    }
}
