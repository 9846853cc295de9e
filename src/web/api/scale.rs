//! autoscaling/v1 Scale: how many replicas a StatefulSet, Deployment, ReplicaSet or ReplicationController has, as an object of
//! its own.

use super::{
    Api,
    body::SentObject,
    path::ResourcePath,
    query::RequestParameters,
    read::{reply, stored},
    representation::Representation,
    select::selector_text,
    status::StatusFailure,
    write::{ObjectChange, ObjectReply, check_type},
};
use crate::{
    control::controller::Part,
    objects::object::{FieldError, Kind},
};
use axum::{http::StatusCode, response::Response};
use serde_json::{Value, json};

/// The Scale of an object that has replicas.
pub fn of(set: &Value) -> Value {
    let metadata = &set["metadata"];
    let mut kept = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        kept[field] = metadata[field].clone();
    }
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": kept,
        "spec": {"replicas": set["spec"]["replicas"]},
        "status": {
            "replicas": set["status"]["replicas"].as_i64().unwrap_or(0),
            "selector": selector_text(&set["spec"]["selector"]),
        },
    })
}

/// `GET …/scale`.
pub async fn get(
    api: &Api,
    place: &ResourcePath,
    kind: Kind,
    shape: Representation,
) -> Result<Response, StatusFailure> {
    let scale = of(&stored(api, place, kind).await?.to_json());
    Ok(reply(StatusCode::OK, &shape.of_scale().object(scale)))
}

/// `PUT` and `PATCH` of `…/scale`: `new_scale` makes the new Scale of the current one.
pub async fn change(
    change: ObjectChange<'_>,
    new_scale: impl Fn(&Value) -> Result<Value, StatusFailure>,
) -> Result<ObjectReply, StatusFailure> {
    // Fields of the set are none of this body's.
    let query = RequestParameters { field_validation: super::query::FieldValidation::Ignore, ..change.query.clone() };
    let of_set = ObjectChange { part: Part::Main, query: &query, ..change };
    let changed = of_set
        .modify(|mut set| {
            let wanted = new_scale(&of(&set))?;
            check_type(&wanted, "autoscaling/v1", "Scale")?;
            let name = wanted["metadata"]["name"].as_str().unwrap_or_default();
            if name != change.place.name.as_deref().unwrap_or_default() {
                return Err(StatusFailure::bad_request("the name of the Scale does not match the name on the URL"));
            }
            let replicas = match &wanted["spec"]["replicas"] {
            Value::Null => 0,
            value => value.as_i64().ok_or_else(|| {
                StatusFailure::bad_request(
                    "Scale in version \"v1\" cannot be handled as a Scale: json: cannot unmarshal into Go struct field \
                     ScaleSpec.spec.replicas of type int32",
                )
            })?,
        };
            if replicas < 0 {
                let message = format!("Invalid value: {replicas}: must be greater than or equal to 0");
                return Err(StatusFailure::invalid_scale(
                    name,
                    &FieldError { field: "spec.replicas".to_owned(), message },
                ));
            }
            set["spec"]["replicas"] = replicas.into();
            // A version or uid of the Scale is one of the set.
            for field in ["resourceVersion", "uid"] {
                if let Some(value) = wanted["metadata"][field].as_str().filter(|value| !value.is_empty()) {
                    set["metadata"][field] = value.into();
                }
            }
            Ok(SentObject { json: set, duplicates: Vec::new() })
        })
        .await?;
    let response = reply(StatusCode::OK, &of(&changed.object.to_json()));
    Ok(ObjectReply { response, warnings: changed.warnings })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale() {
        let set = json!({
            "metadata": {"name": "web", "namespace": "default", "uid": "u", "labels": {"a": "b"}},
            "spec": {"replicas": 3, "selector": {
                "matchLabels": {"app": "nginx"},
                "matchExpressions": [{"key": "tier", "operator": "In", "values": ["b", "a"]}],
            }},
            "status": {"replicas": 2},
        });
        let scale = of(&set);
        assert_eq!(scale["spec"]["replicas"], 3);
        assert_eq!(scale["status"], json!({"replicas": 2, "selector": "app=nginx,tier in (a,b)"}));
        assert_eq!(scale["metadata"].get("labels"), None);
        // A ReplicationController's selector is a plain map.
        let controller = json!({"spec": {"replicas": 1, "selector": {"b": "c", "a": "b"}}});
        assert_eq!(of(&controller)["status"]["selector"], "a=b,b=c");
    }
}
