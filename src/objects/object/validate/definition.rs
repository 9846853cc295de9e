//! CustomResourceDefinitions: names, versions, scope, schemas, and what does not change (`apiextensions/validation`).

mod schema;

use super::{FieldErrors, IMMUTABLE, names};
use crate::objects::object::{CustomDefinition, StoredObject};
use serde_json::{Value, json};

/// Names for which upstream wants an approval.
const PROTECTED: [&str; 2] = ["k8s.io", "kubernetes.io"];
const APPROVED: &str = "api-approved.kubernetes.io";
/// Most versions of a definition here, a limit of this program.
const VERSIONS_MAX: usize = 100;
/// Deepest nesting of a schema here, a limit of this program: clients go through it recursively.
const SCHEMA_LEVELS_MAX: usize = 100;

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

pub(super) fn validate(errors: &mut FieldErrors, definition: &StoredObject) {
    let body = Value::Object(definition.body());
    let (spec, names_of) = (&body["spec"], &body["spec"]["names"]);
    let (group, plural) = (text(&spec["group"]), text(&names_of["plural"]));
    let name = definition.metadata.name.as_deref().unwrap_or_default();
    if name != format!("{plural}.{group}") {
        errors.invalid("metadata.name", name, "must be spec.names.plural+\".\"+spec.group");
    }
    let is_protected = PROTECTED.iter().any(|one| group == *one || group.ends_with(&format!(".{one}")));
    let approval = definition.metadata.annotations.as_ref().and_then(|annotations| annotations.get(APPROVED));
    if is_protected && approval.is_none_or(String::is_empty) {
        let detail = "protected groups must have approval annotation \"api-approved.kubernetes.io\", see \
                      https://github.com/kubernetes/enhancements/pull/1111";
        errors.required(format!("metadata.annotations[{APPROVED}]"), detail);
    }
    match group {
        "" => errors.required("spec.group", ""),
        group => {
            errors.each("spec.group", group, names::dns_subdomain(group));
            if !group.contains('.') {
                errors.invalid("spec.group", group, "should be a domain with at least one dot");
            }
        }
    }
    match text(&spec["scope"]) {
        "" => errors.required("spec.scope", ""),
        "Namespaced" | "Cluster" => {}
        other => errors.unsupported("spec.scope", other, &["Cluster", "Namespaced"]),
    }
    versions(errors, spec);
    of_names(errors, names_of);
}

fn versions(errors: &mut FieldErrors, spec: &Value) {
    let versions = spec["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
    if versions.len() > VERSIONS_MAX {
        return errors.too_many("spec.versions", versions.len(), VERSIONS_MAX);
    }
    // Upstream looks at a schema that all versions have as one of the whole.
    let shared = versions.first().map(|version| &version["schema"]);
    let is_shared = versions.iter().all(|version| Some(&version["schema"]) == shared);
    for (index, version) in versions.iter().enumerate() {
        let field = format!("spec.versions[{index}]");
        let name = text(&version["name"]);
        errors.each(&format!("{field}.name"), name, names::dns_1035_label(name));
        if versions[..index].iter().any(|other| other["name"] == name) {
            errors.duplicate(format!("{field}.name"), name);
        }
        let schema = &version["schema"]["openAPIV3Schema"];
        let schema_field = format!("{field}.schema.openAPIV3Schema");
        if !schema.is_object() {
            errors.required(&schema_field, "");
        } else if levels(schema) > SCHEMA_LEVELS_MAX {
            errors.invalid(&schema_field, json!(null), &format!("it is nested deeper than {SCHEMA_LEVELS_MAX} levels"));
        } else if !is_shared {
            schema::validate(errors, &schema_field, schema, has_status(version));
        }
        for (at, column) in version["additionalPrinterColumns"].as_array().into_iter().flatten().enumerate() {
            let field = format!("{field}.additionalPrinterColumns[{at}]");
            if text(&column["name"]).is_empty() {
                errors.required(format!("{field}.name"), "");
            }
            match text(&column["type"]) {
                "" => {
                    let kinds = "boolean, date, integer, number, string";
                    errors.required(format!("{field}.type"), &format!("must be one of {kinds}"));
                }
                "boolean" | "date" | "integer" | "number" | "string" => {}
                other => errors.unsupported(
                    format!("{field}.type"),
                    other,
                    &["boolean", "date", "integer", "number", "string"],
                ),
            }
            if text(&column["jsonPath"]).is_empty() {
                errors.required(format!("{field}.jsonPath"), "");
            }
        }
    }
    if is_shared
        && let Some(schema) = shared.map(|schema| &schema["openAPIV3Schema"])
        && schema.is_object()
        && levels(schema) <= SCHEMA_LEVELS_MAX
    {
        schema::validate(errors, "spec.validation.openAPIV3Schema", schema, versions.iter().any(has_status));
    }
    if versions.iter().filter(|version| version["storage"] == true).count() != 1 {
        let names: Vec<&str> = versions.iter().map(|version| text(&version["name"])).collect();
        errors.invalid("spec.versions", json!(names), "must have exactly one version marked as storage version");
    }
}

fn has_status(version: &Value) -> bool {
    version["subresources"]["status"].is_object()
}

/// How deep a schema is nested. No recursion: a body may be as deep as the reader allows.
fn levels(schema: &Value) -> usize {
    let (mut deepest, mut open) = (0, vec![(schema, 1)]);
    while let Some((value, level)) = open.pop() {
        deepest = deepest.max(level);
        match value {
            Value::Object(fields) => open.extend(fields.values().map(|value| (value, level + 1))),
            Value::Array(items) => open.extend(items.iter().map(|value| (value, level + 1))),
            _ => {}
        }
    }
    deepest
}

fn of_names(errors: &mut FieldErrors, names_of: &Value) {
    for field in ["plural", "singular"] {
        let value = text(&names_of[field]);
        if value.is_empty() && field == "plural" {
            errors.required("spec.names.plural", "");
        } else if !value.is_empty() {
            errors.each(&format!("spec.names.{field}"), value, names::dns_1035_label(value));
        }
    }
    for field in ["kind", "listKind"] {
        let (path, value) = (format!("spec.names.{field}"), text(&names_of[field]));
        if value.is_empty() && field == "kind" {
            errors.required(&path, "");
        } else if !value.is_empty() {
            let lowered = names::dns_1035_label(&value.to_lowercase());
            let messages =
                lowered.into_iter().map(|why| format!("may have mixed case, but should otherwise match: {why}"));
            errors.each(&path, value, messages.collect());
        }
    }
    for field in ["shortNames", "categories"] {
        for (index, value) in names_of[field].as_array().into_iter().flatten().enumerate() {
            let value = text(value);
            errors.each(&format!("spec.names.{field}[{index}]"), value, names::dns_1035_label(value));
        }
    }
    if !text(&names_of["kind"]).is_empty() && names_of["kind"] == names_of["listKind"] {
        let detail = "kind and listKind may not be the same";
        errors.invalid("spec.names.listKind", names_of["listKind"].clone(), detail);
    }
}

/// What does not change once names were accepted; the group and the plural are the object's name.
pub(super) fn validate_update(errors: &mut FieldErrors, old: &StoredObject, new: &StoredObject) {
    if CustomDefinition::of(old).is_some_and(|definition| definition.is_established) {
        let (before, after) = (Value::Object(old.body()), Value::Object(new.body()));
        for path in ["spec.scope", "spec.names.kind", "spec.names.plural", "spec.group"] {
            let at = |body: &Value| body.pointer(&format!("/{}", path.replace('.', "/"))).cloned().unwrap_or_default();
            if at(&before) != at(&after) {
                errors.invalid(path, at(&after), IMMUTABLE);
            }
        }
    }
    validate(errors, new);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::object::{Kind, Object, validate as all};

    fn definition(change: impl FnOnce(&mut Value)) -> Object {
        let mut json = json!({
            "metadata": {"name": "bads.example.com"},
            "spec": {
                "group": "example.com", "scope": "Namespaced", "names": {"plural": "bads", "kind": "Bad"},
                "versions": [version("v1", true)],
            },
        });
        change(&mut json);
        Object::from_json(Kind::CustomResourceDefinition, json).unwrap()
    }

    fn version(name: &str, storage: bool) -> Value {
        json!({"name": name, "served": true, "storage": storage, "schema": {"openAPIV3Schema": {"type": "object"}}})
    }

    /// A schema with so many properties within each other.
    fn nested(levels: usize) -> Value {
        (0..levels).fold(json!({"type": "object"}), |inner, _| json!({"type": "object", "properties": {"a": inner}}))
    }

    #[test]
    fn bad_definitions() {
        type Change = fn(&mut Value);
        let rows: [(Change, &[&str]); 12] = [
            (|_| {}, &[]),
            (
                |json| json["metadata"]["name"] = "x.example.com".into(),
                &["metadata.name: Invalid value: \"x.example.com\": must be spec.names.plural+\".\"+spec.group"],
            ),
            (|json| json["spec"]["scope"] = "World".into(), &["spec.scope: Unsupported value: \"World\": supported"]),
            (|json| json["spec"]["versions"] = json!([]), &["spec.versions: Invalid value: []: must have exactly one"]),
            (
                |json| json["spec"]["versions"] = json!([version("v1", true), version("v1", true)]),
                &["spec.versions[1].name: Duplicate value", "spec.versions: Invalid value: [\"v1\",\"v1\"]: must have"],
            ),
            (
                |json| json["spec"]["versions"][0]["schema"] = Value::Null,
                &["spec.versions[0].schema.openAPIV3Schema: Required value"],
            ),
            (
                |json| json["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["type"] = "string".into(),
                &["spec.validation.openAPIV3Schema.type: Invalid value: \"string\": must be object at the root"],
            ),
            (
                |json| json["spec"]["names"]["kind"] = "bad one".into(),
                &[
                    "spec.names.kind: Invalid value: \"bad one\": may have mixed case, but should otherwise match: a DNS-1035",
                ],
            ),
            (
                |json| json["spec"]["names"]["listKind"] = "Bad".into(),
                &["spec.names.listKind: Invalid value: \"Bad\": kind and listKind may not be the same"],
            ),
            (
                |json| {
                    json["spec"]["group"] = "x.k8s.io".into();
                    json["metadata"]["name"] = "bads.x.k8s.io".into();
                },
                &["metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have"],
            ),
            (
                |json| json["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = nested(SCHEMA_LEVELS_MAX / 2 + 5),
                &["spec.versions[0].schema.openAPIV3Schema: Invalid value: null: it is nested deeper than 100 levels"],
            ),
            (
                |json| {
                    let many = (0..=VERSIONS_MAX).map(|number| version(&format!("v{number}"), number == 0));
                    json["spec"]["versions"] = many.collect();
                },
                &["spec.versions: Too many: 101: must have at most 100 items"],
            ),
        ];
        for (change, expected) in rows {
            let object = definition(change);
            let errors: Vec<String> = all(&object).iter().map(ToString::to_string).collect();
            assert_eq!(errors.len(), expected.len(), "{errors:#?} instead of {expected:#?}");
            for (error, expected) in errors.iter().zip(expected) {
                assert!(error.starts_with(expected), "{error} instead of {expected}");
            }
        }
    }
}
