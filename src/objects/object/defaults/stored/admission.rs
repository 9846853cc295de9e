//! Webhook configurations and admission policies.

use super::{Fields, default, object, object_or_new, objects};
use serde_json::Map;

/// How long an API server waits for a webhook, in seconds.
const WEBHOOK_SECONDS: i32 = 10;
/// Port of a Service that is called where none is given.
pub(super) const HTTPS_PORT: i32 = 443;

pub(super) fn set_mutating_webhooks(fields: &mut Fields) {
    set_validating_webhooks(fields);
    objects(fields, "webhooks").for_each(|webhook| default(webhook, "reinvocationPolicy", "Never"));
}

pub(super) fn set_validating_webhooks(fields: &mut Fields) {
    for webhook in objects(fields, "webhooks") {
        default(webhook, "failurePolicy", "Fail");
        default(webhook, "timeoutSeconds", WEBHOOK_SECONDS);
        set_match(webhook, &["rules"]);
        if let Some(service) = object(webhook, "clientConfig").and_then(|config| object(config, "service")) {
            default(service, "port", HTTPS_PORT);
        }
    }
}

pub(super) fn set_policy(fields: &mut Fields) {
    let Some(spec) = object_or_new(fields, "spec") else { return };
    default(spec, "failurePolicy", "Fail");
    if let Some(constraints) = object(spec, "matchConstraints") {
        set_match(constraints, &["resourceRules", "excludeResourceRules"]);
    }
}

pub(super) fn set_policy_binding(fields: &mut Fields) {
    if let Some(resources) = object(fields, "spec").and_then(|spec| object(spec, "matchResources")) {
        set_match(resources, &["resourceRules", "excludeResourceRules"]);
    }
}

/// Which requests are meant.
fn set_match(fields: &mut Fields, rules: &[&str]) {
    default(fields, "matchPolicy", "Equivalent");
    default(fields, "namespaceSelector", Map::new());
    default(fields, "objectSelector", Map::new());
    for name in rules {
        objects(fields, name).for_each(|rule| default(rule, "scope", "*"));
    }
}
