//! FlowSchemas and PriorityLevelConfigurations (upstream's `pkg/apis/flowcontrol/validation`), but for the entropy of shuffle
//! sharding and the objects that upstream makes itself.

use super::super::{FieldErrors, names};
use crate::objects::object::StoredObject;
use serde_json::{Map, Value};

const PRECEDENCE_MAX: i64 = 10_000;
const QUEUES_MAX: i64 = 10_000_000;
/// The level whose requests are not limited.
const EXEMPT: &str = "exempt";
const VERBS: [&str; 9] = ["*", "create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

pub(super) fn validate_flow_schema(errors: &mut FieldErrors, schema: &StoredObject) {
    let body = Value::Object(schema.body());
    let spec = &body["spec"];
    let field = "spec.matchingPrecedence";
    match spec["matchingPrecedence"].as_i64().unwrap_or(0) {
        precedence @ ..=0 => errors.invalid(field, precedence, "must be a positive value"),
        1 if schema.metadata.name.as_deref() != Some(EXEMPT) => {
            errors.invalid(field, 1, "only the schema named 'exempt' may have matchingPrecedence 1");
        }
        precedence if precedence > PRECEDENCE_MAX => {
            errors.invalid(field, precedence, &format!("must not be greater than {PRECEDENCE_MAX}"));
        }
        _ => {}
    }
    let method = &spec["distinguisherMethod"];
    if !method.is_null() && !["ByNamespace", "ByUser"].contains(&text(&method["type"])) {
        errors.unsupported("spec.distinguisherMethod.type", method.clone(), &["ByNamespace", "ByUser"]);
    }
    let field = "spec.priorityLevelConfiguration.name";
    match text(&spec["priorityLevelConfiguration"]["name"]) {
        "" => errors.required(field, "must reference a priority level"),
        name => errors.each(field, name, names::dns_subdomain(name)),
    }
    for (index, rule) in items(&spec["rules"]).iter().enumerate() {
        validate_rule(errors, &format!("spec.rules[{index}]"), rule);
    }
}

fn validate_rule(errors: &mut FieldErrors, field: &str, rule: &Value) {
    if items(&rule["subjects"]).is_empty() {
        errors.required(format!("{field}.subjects"), "subjects must contain at least one value");
    }
    for (index, subject) in items(&rule["subjects"]).iter().enumerate() {
        validate_subject(errors, &format!("{field}.subjects[{index}]"), subject);
    }
    let (resources, others) = (items(&rule["resourceRules"]), items(&rule["nonResourceRules"]));
    if resources.is_empty() && others.is_empty() {
        errors.required(field, "at least one of resourceRules and nonResourceRules has to be non-empty");
    }
    for (index, rule) in resources.iter().enumerate() {
        let field = format!("{field}.resourceRules[{index}]");
        validate_verbs(errors, &field, rule);
        let missing = "resource rules must supply at least one api group";
        validate_list(errors, &field, "apiGroups", rule, missing, "api groups");
        let missing = "resource rules must supply at least one resource";
        validate_list(errors, &field, "resources", rule, missing, "resources");
        if rule["clusterScope"] != true || !items(&rule["namespaces"]).is_empty() {
            let missing = "resource rules that are not cluster scoped must supply at least one namespace";
            validate_list(errors, &field, "namespaces", rule, missing, "namespaces");
        }
        for (index, namespace) in items(&rule["namespaces"]).iter().map(text).enumerate() {
            let messages = if namespace == "*" { Vec::new() } else { names::dns_label(namespace) };
            let messages = messages.into_iter();
            let messages =
                messages.map(|why| format!("each member of this list must be '*' or a DNS-1123 label; {why}"));
            errors.each(&format!("{field}.namespaces[{index}]"), namespace, messages.collect());
        }
    }
    for (index, rule) in others.iter().enumerate() {
        let field = format!("{field}.nonResourceRules[{index}]");
        validate_verbs(errors, &field, rule);
        let missing = "nonResourceURLs must contain at least one value";
        validate_list(errors, &field, "nonResourceURLs", rule, missing, "non-resource URLs");
    }
}

fn validate_verbs(errors: &mut FieldErrors, field: &str, rule: &Value) {
    validate_list(errors, field, "verbs", rule, "verbs must contain at least one value", "verbs");
    if items(&rule["verbs"]).iter().any(|verb| !VERBS.contains(&text(verb))) {
        errors.unsupported(format!("{field}.verbs"), rule["verbs"].clone(), &VERBS);
    }
}

/// A list that is not empty, and in which `*` stands alone.
fn validate_list(errors: &mut FieldErrors, field: &str, name: &str, rule: &Value, missing: &str, others: &str) {
    let (place, list) = (format!("{field}.{name}"), items(&rule[name]));
    if list.is_empty() {
        errors.required(place, missing);
    } else if list.len() > 1 && list.iter().any(|one| one == "*") {
        errors.invalid(place, rule[name].clone(), &format!("if '*' is present, must not specify other {others}"));
    }
}

fn validate_subject(errors: &mut FieldErrors, field: &str, subject: &Value) {
    const KINDS: [(&str, &str); 3] = [("Group", "group"), ("ServiceAccount", "serviceAccount"), ("User", "user")];
    let kind = text(&subject["kind"]);
    if !KINDS.iter().any(|(known, _)| *known == kind) {
        return errors.unsupported(format!("{field}.kind"), kind, &KINDS.map(|(kind, _)| kind));
    }
    for (known, name) in KINDS {
        let (place, said) = (format!("{field}.{name}"), &subject[name]);
        if known != kind {
            if !said.is_null() {
                errors.forbidden(place, &format!("{name} is forbidden when subject kind is not '{known}'"));
            }
            continue;
        }
        if said.is_null() {
            errors.required(place, &format!("{name} is required when subject kind is '{known}'"));
            continue;
        }
        if text(&said["name"]).is_empty() {
            errors.required(format!("{place}.name"), "");
        }
        if name == "serviceAccount" && text(&said["namespace"]).is_empty() {
            errors.required(format!("{place}.namespace"), "must specify namespace for service account");
        }
    }
}

pub(super) fn validate_priority_level(errors: &mut FieldErrors, level: &StoredObject) {
    let body = Value::Object(level.body());
    let (spec, of) = (&body["spec"], text(&body["spec"]["type"]));
    if (level.metadata.name.as_deref() == Some(EXEMPT)) != (of == "Exempt") {
        errors.invalid("spec.type", of, "type must be 'Exempt' if and only if name is 'exempt'");
    }
    match of {
        "Exempt" => {
            if !spec["limited"].is_null() {
                errors.forbidden("spec.limited", "must be nil if the type is not Limited");
            }
        }
        "Limited" => {
            if !spec["exempt"].is_null() {
                errors.forbidden("spec.exempt", "must be nil if the type is Limited");
            }
            match spec["limited"].as_object() {
                None => errors.required("spec.limited", "must not be empty when type is Limited"),
                Some(limited) => validate_limited(errors, limited),
            }
        }
        other => errors.unsupported("spec.type", other, &["Exempt", "Limited"]),
    }
}

fn validate_limited(errors: &mut FieldErrors, limited: &Map<String, Value>) {
    let number = |name: &str| limited.get(name).and_then(Value::as_i64).unwrap_or(0);
    if number("nominalConcurrencyShares") < 0 {
        let field = "spec.limited.nominalConcurrencyShares";
        errors.invalid(field, number("nominalConcurrencyShares"), "must be a non-negative integer");
    }
    if !(0..=100).contains(&number("lendablePercent")) {
        errors.invalid(
            "spec.limited.lendablePercent",
            number("lendablePercent"),
            "must be between 0 and 100, inclusive",
        );
    }
    let response = limited.get("limitResponse").unwrap_or(&Value::Null);
    let (field, queuing) = ("spec.limited.limitResponse.queuing", &response["queuing"]);
    match text(&response["type"]) {
        "Reject" if !queuing.is_null() => {
            errors.forbidden(field, "must be nil if limited.limitResponse.type is not Limited");
        }
        "Reject" => {}
        "Queue" if queuing.is_null() => {
            errors.required(field, "must not be empty if limited.limitResponse.type is Limited");
        }
        "Queue" => {
            let number = |name: &str| queuing[name].as_i64().unwrap_or(0);
            for name in ["queueLengthLimit", "queues", "handSize"] {
                if number(name) <= 0 {
                    errors.invalid(format!("{field}.{name}"), number(name), "must be positive");
                }
            }
            let (queues, hand) = (number("queues"), number("handSize"));
            if queues > QUEUES_MAX {
                errors.invalid(format!("{field}.queues"), queues, &format!("must not be greater than {QUEUES_MAX}"));
            }
            if hand > 0 && hand > queues {
                let detail = format!("should not be greater than queues ({queues})");
                errors.invalid(format!("{field}.handSize"), hand, &detail);
            }
        }
        other => errors.unsupported("spec.limited.limitResponse.type", other, &["Queue", "Reject"]),
    }
}
