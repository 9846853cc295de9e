//! What is said to who asks for something that cannot be: upstream's Status objects, and from what they come.

use super::{
    apply::{ApplyError, Conflict},
    handle::Unavailable,
    resource::Resource,
};
use crate::{
    control::controller::{BudgetRefusal, WriteError},
    objects::{
        object::{FieldError, ObjectKey},
        patch::PatchError,
    },
    text::escape::visible_lines,
};
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

/// A refusal: a Status with `status: Failure`.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusFailure {
    /// The HTTP status.
    pub code: u16,
    /// The word that clients decide by.
    pub reason: &'static str,
    /// The sentence that people read.
    pub message: String,
    /// `details`; null for none.
    pub details: Box<Value>,
    /// What there is to warn of beside it.
    pub warnings: Vec<String>,
}

impl StatusFailure {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> StatusFailure {
        StatusFailure {
            code,
            reason,
            message: visible_lines(&message.into()),
            details: Box::default(),
            warnings: Vec::new(),
        }
    }

    /// The failure with warnings about a body that was read before it was refused.
    pub fn warned(mut self, warnings: &[String]) -> StatusFailure {
        self.warnings = warnings.to_vec();
        self
    }

    fn about(mut self, group: &str, kind: &str, name: &str) -> StatusFailure {
        let mut details = json!({});
        for (field, value) in [("name", name), ("group", group), ("kind", kind)] {
            if !value.is_empty() {
                details[field] = value.into();
            }
        }
        self.details = Box::new(details);
        self
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> StatusFailure {
        StatusFailure::new(400, "BadRequest", message)
    }

    /// 401.
    pub fn unauthorized() -> StatusFailure {
        StatusFailure::new(
            401,
            "Unauthorized",
            "Unauthorized: a bearer token is needed; `headless-dns kubeconfig` prints it",
        )
    }

    /// 403.
    pub fn forbidden(message: impl Into<String>) -> StatusFailure {
        StatusFailure::new(403, "Forbidden", message)
    }

    /// 404 of a path that leads nowhere.
    pub fn nowhere() -> StatusFailure {
        StatusFailure::new(404, "NotFound", "the server could not find the requested resource")
    }

    /// 404 of an object: `pods "x" not found`.
    pub fn not_found(resource: &Resource, name: &str) -> StatusFailure {
        StatusFailure::new(404, "NotFound", format!("{} \"{name}\" not found", resource.qualified())).about(
            resource.group,
            resource.plural,
            name,
        )
    }

    /// 403 for an object that would exceed the limit of octets (`limits.apiObjectOctets`).
    pub fn exceeded(resource: &Resource, name: &str, growth: u64, limit: u64) -> StatusFailure {
        let message = format!(
            "{} \"{name}\" is forbidden: it takes {growth} octets more (with the pods of a set), and all objects together \
             would take more than {limit} (limits.apiObjectOctets)",
            resource.qualified()
        );
        StatusFailure::new(403, "Forbidden", message).about(resource.group, resource.plural, name)
    }

    /// 405.
    pub fn not_allowed(message: impl Into<String>) -> StatusFailure {
        StatusFailure::new(405, "MethodNotAllowed", message)
    }

    /// 406.
    pub fn not_acceptable() -> StatusFailure {
        let message = "only the following media types are accepted: application/json, \
                       application/json;as=Table;g=meta.k8s.io;v=v1, \
                       application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
        StatusFailure::new(406, "NotAcceptable", message)
    }

    /// 409.
    pub fn conflict(resource: &Resource, name: &str, message: &str) -> StatusFailure {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {message}", resource.qualified());
        StatusFailure::new(409, "Conflict", message).about(resource.group, resource.plural, name)
    }

    /// 410.
    pub fn expired(message: impl Into<String>) -> StatusFailure {
        StatusFailure::new(410, "Expired", message)
    }

    /// 413.
    pub fn too_large(limit: usize) -> StatusFailure {
        StatusFailure::new(413, "RequestEntityTooLarge", format!("the request's body is larger than {limit} octets"))
    }

    /// 413 of what is short and holds too much.
    pub fn too_complex(most: usize, what: &str) -> StatusFailure {
        StatusFailure::new(
            413,
            "RequestEntityTooLarge",
            format!("the object or the request's body holds more than {most} {what}"),
        )
    }

    /// 415.
    pub fn unsupported(message: impl Into<String>) -> StatusFailure {
        StatusFailure::new(415, "UnsupportedMediaType", message)
    }

    /// 422 of an object: `Pod "x" is invalid: …`, with a cause for each error.
    pub fn invalid(resource: &Resource, name: &str, errors: &[FieldError]) -> StatusFailure {
        let sentences: Vec<String> = errors.iter().map(sentence).collect();
        let listed = match sentences.as_slice() {
            [one] => one.clone(),
            all => format!("[{}]", all.join(", ")),
        };
        let message = format!("{} \"{name}\" is invalid: {listed}", resource.qualified_kind());
        let mut refused = StatusFailure::new(422, "Invalid", message).about(resource.group, resource.kind, name);
        refused.details["causes"] = errors.iter().map(cause).collect();
        refused
    }

    /// 422 of a Scale.
    pub fn invalid_scale(name: &str, error: &FieldError) -> StatusFailure {
        let message = format!("Scale.autoscaling \"{name}\" is invalid: {error}");
        let mut refused = StatusFailure::new(422, "Invalid", message).about("autoscaling", "Scale", name);
        refused.details["causes"] = json!([cause(error)]);
        refused
    }

    /// 422 without an object.
    pub fn unprocessable(message: impl Into<String>) -> StatusFailure {
        StatusFailure::new(422, "Invalid", message)
    }

    /// 429; the client is asked to try again in a second.
    pub fn too_many(message: impl Into<String>) -> StatusFailure {
        let mut refused = StatusFailure::new(429, "TooManyRequests", message);
        *refused.details = json!({"retryAfterSeconds": 1});
        refused
    }

    /// 500.
    pub fn internal(message: impl Into<String>) -> StatusFailure {
        StatusFailure::new(500, "InternalError", message)
    }

    /// 504 of a request that was not done in time; whether it will be is not known.
    pub fn late(limit: std::time::Duration) -> StatusFailure {
        let message = format!("Timeout: the request was not done within {} seconds", limit.as_secs());
        StatusFailure::new(504, "Timeout", message)
    }

    /// 504 of a version that is not there yet.
    pub fn too_new(wanted: u64, newest: u64) -> StatusFailure {
        let mut refused = StatusFailure::new(
            504,
            "Timeout",
            format!("Timeout: Too large resource version: {wanted}, current: {newest}"),
        );
        *refused.details = json!({
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        });
        refused
    }

    /// What became of a write that was refused.
    pub fn of_write(error: &WriteError) -> StatusFailure {
        let details = |refused: StatusFailure, key: &ObjectKey| {
            let resource = Resource::of(key.kind);
            refused.about(resource.group, resource.plural, &key.name)
        };
        let message = error.to_string();
        match error {
            WriteError::NotFound(key) => details(StatusFailure::new(404, "NotFound", message), key),
            WriteError::AlreadyExists(key) | WriteError::BeingDeleted(key) => {
                details(StatusFailure::new(409, "AlreadyExists", message), key)
            }
            WriteError::Conflict(key, _) => details(StatusFailure::new(409, "Conflict", message), key),
            WriteError::Forbidden(key, _) => details(StatusFailure::new(403, "Forbidden", message), key),
            WriteError::Disruption(key, refusal) => StatusFailure::of_budget(key, refusal),
            WriteError::Terminating(key) => {
                let mut refused = details(StatusFailure::new(403, "Forbidden", message), key);
                refused.details["causes"] = json!([{
                    "reason": "NamespaceTerminating",
                    "message": format!("namespace {} is being terminated", key.namespace),
                    "field": "metadata.namespace",
                }]);
                refused
            }
            WriteError::Invalid(key, errors) => StatusFailure::invalid(&Resource::of(key.kind), &key.name, errors),
        }
    }

    /// Why a pod is not evicted.
    fn of_budget(pod: &ObjectKey, refusal: &BudgetRefusal) -> StatusFailure {
        let message = refusal.message();
        match refusal {
            BudgetRefusal::NotNow(cause, after) => {
                let mut refused = StatusFailure::new(429, "TooManyRequests", message);
                *refused.details = json!({"causes": [{"reason": "DisruptionBudget", "message": cause}]});
                if let Some(seconds) = after {
                    refused.details["retryAfterSeconds"] = (*seconds).into();
                }
                refused
            }
            BudgetRefusal::SeveralBudgets => StatusFailure::new(500, "InternalError", message),
            BudgetRefusal::Forbidden(_) => StatusFailure::forbidden(format!(
                "poddisruptionbudgets.policy \"{}\" is forbidden: {message}",
                pod.name
            )),
        }
    }

    /// Why a patch was not applied. kubectl shows the sentence only where the details name no object.
    pub fn of_patch(error: &PatchError) -> StatusFailure {
        match error {
            PatchError::Malformed(message) => StatusFailure::bad_request(message.as_str()),
            PatchError::Unprocessable(message) => {
                StatusFailure { details: Box::new(json!({})), ..StatusFailure::unprocessable(message.as_str()) }
            }
        }
    }

    /// Why something was not applied: malformed, or managed by others.
    pub fn of_apply(resource: &Resource, name: &str, error: &ApplyError) -> StatusFailure {
        let ApplyError::Conflicts(conflicts) = error else { return StatusFailure::bad_request(error.to_string()) };
        let mut refused =
            StatusFailure::new(409, "Conflict", error.to_string()).about(resource.group, resource.plural, name);
        let cause = |conflict: &Conflict| json!({"reason": "FieldManagerConflict", "message": conflict.message(), "field": conflict.field});
        refused.details["causes"] = conflicts.iter().map(cause).collect();
        refused
    }

    /// The Status object.
    pub fn to_json(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
        });
        if !self.details.is_null() {
            status["details"] = shown(&self.details);
        }
        status["code"] = self.code.into();
        status
    }
}

/// The details with all texts made safe to show: kubectl prints names and causes as they are.
fn shown(details: &Value) -> Value {
    match details {
        Value::String(text) => Value::String(visible_lines(text)),
        Value::Array(all) => all.iter().map(shown).collect(),
        Value::Object(fields) => fields.iter().map(|(field, value)| (field.clone(), shown(value))).collect(),
        other => other.clone(),
    }
}

fn sentence(error: &FieldError) -> String {
    if error.field.is_empty() { error.message.clone() } else { error.to_string() }
}

/// One of `details.causes`; the reason is upstream's word for how the sentence begins.
fn cause(error: &FieldError) -> Value {
    let reason = [
        ("Required value", "FieldValueRequired"),
        ("Invalid value", "FieldValueInvalid"),
        ("Unsupported value", "FieldValueNotSupported"),
        ("Duplicate value", "FieldValueDuplicate"),
        ("Not found", "FieldValueNotFound"),
        ("Forbidden", "FieldValueForbidden"),
        ("Too long", "FieldValueTooLong"),
        ("Too many", "FieldValueTooMany"),
        ("Internal error", "InternalError"),
    ]
    .into_iter()
    .find(|(start, _)| error.message.starts_with(start))
    .map_or("FieldValueInvalid", |(_, reason)| reason);
    json!({"reason": reason, "message": error.message, "field": error.field})
}

impl From<Unavailable> for StatusFailure {
    fn from(why: Unavailable) -> StatusFailure {
        match why {
            Unavailable::Busy => StatusFailure::too_many(why.to_string()),
            Unavailable::Ended => StatusFailure::new(503, "ServiceUnavailable", why.to_string()),
            Unavailable::NotStored => StatusFailure::internal(why.to_string()),
        }
    }
}

impl IntoResponse for StatusFailure {
    fn into_response(self) -> Response {
        let code = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        let mut response = (code, json, self.to_json().to_string()).into_response();
        if self.code == 429 {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::api::resource::find;

    #[test]
    fn sentences_as_upstream_writes_them() {
        let sets = find("apps", "v1", "statefulsets").unwrap();
        let key = || ObjectKey::new(crate::objects::object::Kind::StatefulSet, "default", "web");
        let error = |field: &str, message: &str| FieldError { field: field.to_owned(), message: message.to_owned() };
        let negative = error("spec.replicas", "Invalid value: -1: must be greater than or equal to 0");
        let two = vec![negative.clone(), error("spec.selector", "Required value")];
        let rows = [
            (StatusFailure::not_found(&sets, "web"), 404, "statefulsets.apps \"web\" not found"),
            (
                StatusFailure::of_write(&WriteError::AlreadyExists(key())),
                409,
                "statefulsets.apps \"web\" already exists",
            ),
            (
                StatusFailure::of_write(&WriteError::Conflict(key(), "the object has been modified".to_owned())),
                409,
                "Operation cannot be fulfilled on statefulsets.apps \"web\": the object has been modified",
            ),
            (
                StatusFailure::of_write(&WriteError::Terminating(key())),
                403,
                "statefulsets.apps \"web\" is forbidden: unable to create new content in namespace default because it \
                 is being terminated",
            ),
            (
                StatusFailure::of_write(&WriteError::Invalid(key(), vec![negative])),
                422,
                "StatefulSet.apps \"web\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal \
                 to 0",
            ),
            (
                StatusFailure::invalid(&sets, "web", &two),
                422,
                "StatefulSet.apps \"web\" is invalid: [spec.replicas: Invalid value: -1: must be greater than or equal \
                 to 0, spec.selector: Required value]",
            ),
        ];
        for (refused, code, message) in rows {
            assert_eq!((refused.code, refused.message.as_str()), (code, message));
            let status = refused.to_json();
            assert_eq!(status["details"]["group"], "apps", "{status}");
            assert_eq!(status["details"]["name"], "web", "{status}");
        }
        let causes = StatusFailure::invalid(&sets, "web", &two).details["causes"].clone();
        assert_eq!(
            causes[1],
            json!({"reason": "FieldValueRequired", "message": "Required value", "field": "spec.selector"})
        );
    }
}
