//! Webhook configurations (upstream's `pkg/apis/admissionregistration/validation`).

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
