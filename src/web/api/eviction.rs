//! policy/v1 Eviction: a pod is deleted, if its PodDisruptionBudget allows that.

use super::{
    body::SentObject,
    delete::options,
    read::reply,
    status::StatusFailure,
    write::{ObjectChange, ObjectReply, Warnings, carry_out, check_type},
};
use crate::{control::controller::Write, objects::object::ObjectKey};
use axum::http::StatusCode;
use serde_json::json;

/// `POST …/pods/NAME/eviction`.
///
/// # Errors
/// 429 where the budget keeps the pod, with its reason among the causes; 400 for a body that is no Eviction of this pod.
pub async fn evict(change: ObjectChange<'_>, sent: SentObject) -> Result<ObjectReply, StatusFailure> {
    let ObjectChange { api, place, kind, query, .. } = change;
    let body = sent.json;
    // Upstream still takes the version in which older clients send it.
    if body["apiVersion"] != "policy/v1beta1" {
        check_type(&body, "policy/v1", "Eviction")?;
    }
    let (namespace, name) = (place.namespace.clone().unwrap_or_default(), place.name.clone().unwrap_or_default());
    let given = body["metadata"]["name"].as_str().unwrap_or_default();
    if !given.is_empty() && given != name {
        return Err(StatusFailure::bad_request("name in URL does not match name in Eviction object"));
    }
    let options = options(query, body["deleteOptions"].is_object().then_some(&body["deleteOptions"]))?;
    let key = ObjectKey::new(kind, namespace, name);
    let evict = Write::Evict { key, grace_seconds: options.grace_seconds, expected: options.expected };
    carry_out(api, evict, options.dry_run).await?;
    let done = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    Ok(ObjectReply { response: reply(StatusCode::CREATED, &done), warnings: Warnings::new() })
}
