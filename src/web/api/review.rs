//! Questions that are asked by creating an object that is not stored: who am I, and what may I or somebody do.
//!
//! Whoever may ask this server may do everything: RBAC is stored and not enforced. So every answer is yes.

use super::{openapi::strict, path::ResourcePath, status::StatusFailure, write::check_type};
use serde_json::{Value, json};

/// Why something is allowed.
const REASON: &str = "this server has no authorization: whoever may ask it may do everything";
/// Who asks: the only user.
const USER: &str = "headless-dns:admin";

/// The question with its answer as its status.
pub fn answer(place: &ResourcePath, mut question: Value) -> Result<Value, StatusFailure> {
    let kind = place.resource.kind;
    check_type(&question, &place.resource.api_version(), kind)?;
    if let Some(mismatch) = strict::mismatch(kind, &question) {
        return Err(StatusFailure::bad_request(strict::refusal(&place.resource, &mismatch)));
    }
    if !question.is_object() {
        return Err(StatusFailure::bad_request("the body is no object"));
    }
    let is_given = |field: &str| !question["spec"][field].is_null();
    let status = match kind {
        "SelfSubjectReview" => json!({"userInfo": user()}),
        "TokenReview" if question["spec"]["token"].as_str().unwrap_or_default().is_empty() => {
            return Err(invalid(place, "spec.token", "Required value"));
        }
        // The guard compares the token that a request bears; others are nobody's.
        "TokenReview" => json!({"authenticated": false, "error": "this server gives out no tokens"}),
        "SelfSubjectRulesReview" => json!({
            "incomplete": false,
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        }),
        _ if is_given("resourceAttributes") == is_given("nonResourceAttributes") => {
            let message =
                "Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified";
            return Err(invalid(place, "spec.resourceAttributes", message));
        }
        _ => json!({"allowed": true, "reason": REASON}),
    };
    question["apiVersion"] = place.resource.api_version().into();
    question["kind"] = kind.into();
    if question["metadata"].is_null() {
        question["metadata"] = json!({"creationTimestamp": null});
    }
    question["status"] = status;
    Ok(question)
}

fn user() -> Value {
    json!({"username": USER, "groups": ["system:masters", "system:authenticated"]})
}

fn invalid(place: &ResourcePath, field: &str, message: &str) -> StatusFailure {
    let error = crate::objects::object::FieldError { field: field.to_owned(), message: message.to_owned() };
    StatusFailure::invalid(&place.resource, "", &[error])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::web::api::{
        custom::CustomResources,
        path::{RequestTarget, parse},
    };

    #[test]
    fn questions_and_answers() {
        let may = json!({"resourceAttributes": {"verb": "get", "resource": "pods"}});
        let rows = [
            (
                "authorization.k8s.io/v1/selfsubjectaccessreviews",
                json!({"spec": may}),
                Some(("/status/allowed", json!(true))),
            ),
            (
                "authorization.k8s.io/v1/subjectaccessreviews",
                json!({"spec": may}),
                Some(("/status/allowed", json!(true))),
            ),
            ("authorization.k8s.io/v1/subjectaccessreviews", json!({"spec": {"user": "a"}}), None),
            ("authorization.k8s.io/v1/subjectaccessreviews", json!({"spec": 7}), None),
            ("authorization.k8s.io/v1/subjectaccessreviews", json!([]), None),
            (
                "authorization.k8s.io/v1/namespaces/x/localsubjectaccessreviews",
                json!({"spec": may}),
                Some(("/status/allowed", json!(true))),
            ),
            (
                "authorization.k8s.io/v1/selfsubjectrulesreviews",
                json!({"spec": {"namespace": "x"}}),
                Some(("/status/resourceRules/0/verbs/0", json!("*"))),
            ),
            (
                "authentication.k8s.io/v1/selfsubjectreviews",
                json!({}),
                Some(("/status/userInfo/username", json!(USER))),
            ),
            (
                "authentication.k8s.io/v1/tokenreviews",
                json!({"spec": {"token": "a"}}),
                Some(("/status/authenticated", json!(false))),
            ),
            ("authentication.k8s.io/v1/tokenreviews", json!({"spec": {}}), None),
            ("authentication.k8s.io/v1/tokenreviews", json!({"kind": "Pod", "spec": {"token": "a"}}), None),
        ];
        for (path, question, expected) in rows {
            let Some(RequestTarget::Objects(place)) = parse(&format!("/apis/{path}"), &CustomResources::default())
            else {
                panic!("{path}")
            };
            let answered = answer(&place, question.clone());
            match expected {
                Some((pointer, value)) => assert_eq!(answered.unwrap().pointer(pointer), Some(&value), "{path}"),
                None => assert!(answered.is_err(), "{path} {question}"),
            }
        }
    }
}
