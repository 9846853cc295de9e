//! Deleting: one object or all that are selected, with grace, cascade and conditions.

use super::{
    filter::ObjectFilter,
    path::ResourcePath,
    query::{self, RequestParameters},
    read::{holding, list_body, page, reply},
    representation::{ListMetadata, Representation},
    status::StatusFailure,
    watch_source::WatchObject,
    write::{ObjectChange, ObjectReply, Warnings, carry_out, check_type},
};
use crate::{
    control::cluster::HeldObject,
    control::controller::{Cascade, ORIGIN, Preconditions, Write, WriteResult},
    objects::object::{Kind, Object, ObjectKey},
};
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

/// What the body and the query of a DELETE say together.
#[derive(Debug, Default)]
pub struct DeleteParameters {
    /// Seconds of grace for a pod.
    pub grace_seconds: Option<i64>,
    /// What becomes of dependents.
    pub cascade: Cascade,
    /// What must hold of the stored object.
    pub expected: Preconditions,
    /// Whether nothing is to happen.
    pub dry_run: bool,
}

/// Reads DeleteOptions.
///
/// # Errors
/// What is wrong with them (400, 422).
pub fn options(query: &RequestParameters, body: Option<&Value>) -> Result<DeleteParameters, StatusFailure> {
    let mut options = DeleteParameters {
        grace_seconds: query.grace_seconds,
        cascade: cascade(&query.propagation, None)?,
        dry_run: query.dry_run,
        ..DeleteParameters::default()
    };
    let Some(body) = body else { return Ok(options) };
    // Each group has its own version of the same options.
    if body["kind"].as_str().is_some_and(|kind| !kind.is_empty()) {
        check_type(&json!({"kind": body["kind"]}), "v1", "DeleteOptions")?;
    }
    let wrong = |field: &str| StatusFailure::bad_request(format!("DeleteOptions: {field} is not of the right type"));
    match &body["gracePeriodSeconds"] {
        Value::Null => {}
        value => options.grace_seconds = Some(value.as_i64().ok_or_else(|| wrong("gracePeriodSeconds"))?),
    }
    match (&body["propagationPolicy"], &body["orphanDependents"]) {
        (Value::Null, Value::Null) => {}
        (policy, orphan) => {
            let policy = policy.as_str().unwrap_or_default();
            options.cascade = cascade(policy, orphan.as_bool())?;
        }
    }
    for value in body["dryRun"].as_array().into_iter().flatten() {
        options.dry_run |= query::dry_run(value.as_str().unwrap_or("?"))?;
    }
    let text = |field: &str| body["preconditions"][field].as_str().map(str::to_owned);
    options.expected = Preconditions { resource_version: text("resourceVersion"), uid: text("uid") };
    Ok(options)
}

fn cascade(policy: &str, orphan_dependents: Option<bool>) -> Result<Cascade, StatusFailure> {
    match (policy, orphan_dependents) {
        ("", Some(true)) | ("Orphan", _) => Ok(Cascade::Orphan),
        ("" | "Background", _) => Ok(Cascade::Background),
        ("Foreground", _) => Ok(Cascade::Foreground),
        (other, _) => Err(StatusFailure::unprocessable(format!(
            "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: {other:?}: supported \
             values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
        ))),
    }
}

/// What there is to say of an object that a file declares.
fn warnings(object: &Object) -> Warnings {
    let declared = object.metadata().annotations.as_ref().is_some_and(|all| all.contains_key(ORIGIN));
    if !declared {
        return Warnings::new();
    }
    vec![format!(
        "{} is declared by a manifest: it stays deleted until its manifest changes or the program starts again",
        object.key()
    )]
}

/// `DELETE …/NAME`.
pub async fn delete(
    change: ObjectChange<'_>,
    body: Option<&Value>,
    shape: Representation,
) -> Result<ObjectReply, StatusFailure> {
    let ObjectChange { api, place, kind, query, .. } = change;
    let options = options(query, body)?;
    let (namespace, name) = (place.namespace.clone().unwrap_or_default(), place.name.clone().unwrap_or_default());
    let key = ObjectKey::new(kind, namespace, &name);
    let DeleteParameters { grace_seconds, cascade, expected, dry_run } = options;
    let written = carry_out(api, Write::Delete { key, grace_seconds, cascade, expected }, dry_run).await?;
    let warnings = warnings(&written.object);
    Ok(ObjectReply { response: answer(place, &name, &written, shape), warnings })
}

/// Kinds whose objects upstream replies with even when they have gone; typed clients count on it.
const TOLD_IN_FULL: &[Kind] =
    &[Kind::Pod, Kind::Service, Kind::PersistentVolumeClaim, Kind::PersistentVolume, Kind::StorageClass];

/// The object while it is on its way out, else a Status with its uid, by which kubectl knows it from another one of the
/// same name.
fn answer(place: &ResourcePath, name: &str, written: &WriteResult, shape: Representation) -> Response {
    if !written.gone || TOLD_IN_FULL.contains(&written.object.kind()) {
        return reply(StatusCode::OK, &shape.object(written.object.to_json()));
    }
    let mut details = json!({"name": name});
    if !place.resource.group.is_empty() {
        details["group"] = place.resource.group.into();
    }
    details["kind"] = place.resource.plural.into();
    details["uid"] = written.object.metadata().uid.clone().into();
    reply(
        StatusCode::OK,
        &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}),
    )
}

/// `DELETE` of a collection: everything that is selected.
pub async fn delete_all(
    change: ObjectChange<'_>,
    body: Option<&Value>,
    shape: Representation,
) -> Result<ObjectReply, StatusFailure> {
    let ObjectChange { api, place, kind, query, .. } = change;
    let selection = ObjectFilter::new(place, query, kind)?;
    let options = options(query, body)?;
    let page = page(api, &selection, None, None).await?;
    let share = holding(api, page.objects.len())?;
    for object in page.objects.iter().filter_map(HeldObject::object) {
        let write = Write::Delete {
            key: object.key(),
            grace_seconds: options.grace_seconds,
            cascade: options.cascade,
            expected: Preconditions { uid: object.metadata().uid.clone(), resource_version: None },
        };
        match carry_out(api, write, options.dry_run).await {
            // Somebody else was faster.
            Err(refused) if ["NotFound", "Conflict"].contains(&refused.reason) => {}
            outcome => drop(outcome?),
        }
    }
    let metadata = ListMetadata { resource_version: page.resource_version, ..ListMetadata::default() };
    let objects = page.objects.into_iter().map(WatchObject::Stored);
    let body = list_body(api, share, page.resource_version, &metadata, shape, objects);
    let response = ([(axum::http::header::CONTENT_TYPE, "application/json")], body).into_response();
    Ok(ObjectReply { response, warnings: Warnings::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_deletion_asks_for() {
        let query = RequestParameters {
            grace_seconds: Some(5),
            propagation: "Orphan".to_owned(),
            ..RequestParameters::default()
        };
        let from_query = options(&query, None).unwrap();
        assert_eq!((from_query.grace_seconds, from_query.cascade), (Some(5), Cascade::Orphan));
        let body = json!({"kind": "DeleteOptions", "apiVersion": "apps/v1", "gracePeriodSeconds": 0,
            "propagationPolicy": "Foreground", "dryRun": ["All"], "preconditions": {"uid": "u"}});
        let both = options(&query, Some(&body)).unwrap();
        assert_eq!((both.grace_seconds, both.cascade, both.dry_run), (Some(0), Cascade::Foreground, true));
        assert_eq!(both.expected.uid.as_deref(), Some("u"));
        let orphan = options(&RequestParameters::default(), Some(&json!({"orphanDependents": true}))).unwrap();
        assert_eq!(orphan.cascade, Cascade::Orphan);
        for wrong in [
            json!({"gracePeriodSeconds": "soon"}),
            json!({"propagationPolicy": "Maybe"}),
            json!({"dryRun": ["Some"]}),
            json!({"kind": "Pod"}),
        ] {
            assert!(options(&RequestParameters::default(), Some(&wrong)).is_err(), "{wrong}");
        }
    }
}
