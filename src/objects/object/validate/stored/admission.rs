//! Webhook configurations and admission policies (upstream's `pkg/apis/admissionregistration/validation`).

use super::super::{FieldErrors, names};
use serde_json::{Map, Value};

/// How long an API server may be told to wait for a webhook, in seconds.
const SECONDS_MAX: i64 = 30;

pub(super) fn validate_webhooks(errors: &mut FieldErrors, fields: &Map<String, Value>) {
    let webhooks = fields.get("webhooks").and_then(Value::as_array);
    for (index, webhook) in webhooks.into_iter().flatten().enumerate() {
        let field = format!("webhooks[{index}]");
        let text = |name: &str| webhook[name].as_str().unwrap_or_default();
        let is_empty = |name: &str| webhook[name].as_array().is_none_or(Vec::is_empty);
        let messages = names::dns_subdomain(text("name"));
        match text("name") {
            "" => errors.required(format!("{field}.name"), ""),
            name if messages.is_empty() && name.split('.').count() < 3 => {
                let detail = "should be a domain with at least three segments separated by dots";
                errors.invalid(format!("{field}.name"), name, detail);
            }
            name => errors.each(&format!("{field}.name"), name, messages),
        }
        if is_empty("admissionReviewVersions") {
            errors.required(format!("{field}.admissionReviewVersions"), "must specify one of v1, v1beta1");
        }
        match text("sideEffects") {
            "" => errors.required(format!("{field}.sideEffects"), "must specify one of None, NoneOnDryRun"),
            "None" | "NoneOnDryRun" => {}
            other => errors.unsupported(format!("{field}.sideEffects"), other, &["None", "NoneOnDryRun"]),
        }
        errors.word(format!("{field}.failurePolicy"), text("failurePolicy"), &["Fail", "Ignore"]);
        errors.word(format!("{field}.matchPolicy"), text("matchPolicy"), &["Equivalent", "Exact"]);
        if let Some(seconds) = webhook["timeoutSeconds"].as_i64()
            && !(1..=SECONDS_MAX).contains(&seconds)
        {
            let detail = "the timeout value must be between 1 and 30 seconds";
            errors.invalid(format!("{field}.timeoutSeconds"), seconds, detail);
        }
        let config = &webhook["clientConfig"];
        if config["url"].is_null() == config["service"].is_null() {
            errors.required(format!("{field}.clientConfig"), "exactly one of url or service is required");
        }
    }
}

/// A ValidatingAdmissionPolicy: its form. Expressions are not compiled.
pub(super) fn validate_policy(errors: &mut FieldErrors, fields: &Map<String, Value>) {
    let none = Value::Null;
    let spec = fields.get("spec").unwrap_or(&none);
    let list = |name: &str| spec[name].as_array().map(Vec::as_slice).unwrap_or_default();
    errors.word("spec.failurePolicy", spec["failurePolicy"].as_str().unwrap_or_default(), &["Fail", "Ignore"]);
    let constraints = &spec["matchConstraints"];
    if constraints.is_null() {
        errors.required("spec.matchConstraints", "");
    } else if constraints["resourceRules"].as_array().is_none_or(Vec::is_empty) {
        errors.required("spec.matchConstraints.resourceRules", "");
    }
    let param = &spec["paramKind"];
    if !param.is_null() {
        for name in ["apiVersion", "kind"] {
            if param[name].as_str().unwrap_or_default().is_empty() {
                errors.required(format!("spec.paramKind.{name}"), "");
            }
        }
    }
    if list("validations").is_empty() && list("auditAnnotations").is_empty() {
        for name in ["validations", "auditAnnotations"] {
            let detail = "validations or auditAnnotations must contain at least one item";
            errors.required(format!("spec.{name}"), detail);
        }
    }
    let is_blank = |value: &Value| value.as_str().unwrap_or_default().trim().is_empty();
    for (name, part) in
        [("validations", "expression"), ("variables", "expression"), ("auditAnnotations", "valueExpression")]
    {
        for (index, one) in list(name).iter().enumerate() {
            if is_blank(&one[part]) {
                errors.required(format!("spec.{name}[{index}].{part}"), &format!("{part} is not specified"));
            }
        }
    }
    for (index, one) in list("validations").iter().enumerate() {
        let (place, message) =
            (format!("spec.validations[{index}].message"), one["message"].as_str().unwrap_or_default());
        if !message.is_empty() && message.trim().is_empty() {
            errors.invalid(place, message, "message must be non-empty if specified");
        } else if message.trim().contains(['\n', '\r']) {
            errors.invalid(place, message, "message must not contain line breaks");
        }
        let reasons = ["Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized"];
        if let Some(reason) = one["reason"].as_str().filter(|reason| !reasons.contains(reason)) {
            errors.unsupported(format!("spec.validations[{index}].reason"), reason, &reasons);
        }
    }
    for (index, one) in list("matchConditions").iter().enumerate() {
        for part in ["expression", "name"] {
            if is_blank(&one[part]) {
                errors.required(format!("spec.matchConditions[{index}].{part}"), "");
            }
        }
    }
}

/// A ValidatingAdmissionPolicyBinding: its policy, and what it does.
pub(super) fn validate_policy_binding(errors: &mut FieldErrors, fields: &Map<String, Value>) {
    let none = Value::Null;
    let spec = fields.get("spec").unwrap_or(&none);
    match spec["policyName"].as_str().unwrap_or_default() {
        "" => errors.required("spec.policyName", ""),
        name => errors.each("spec.policyName", name, names::dns_subdomain(name)),
    }
    let actions = spec["validationActions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let known = ["Audit", "Deny", "Warn"];
    for (index, action) in actions.iter().enumerate() {
        let place = format!("spec.validationActions[{index}]");
        if !known.contains(&action.as_str().unwrap_or_default()) {
            errors.unsupported(place.as_str(), action.clone(), &known);
        }
        if actions[..index].contains(action) {
            errors.duplicate(place, action.clone());
        }
    }
    let has = |name: &str| actions.iter().any(|action| action == name);
    if has("Deny") && has("Warn") {
        let detail = "must not contain both Deny and Warn (repeating the same validation failure information in the API \
                      response and headers serves no purpose)";
        errors.invalid("spec.validationActions", actions.to_vec(), detail);
    }
    if actions.is_empty() {
        errors.required("spec.validationActions", "at least one validation action is required");
    }
}
