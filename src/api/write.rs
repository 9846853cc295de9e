//! Creating and replacing: a client's body to an object that upstream would take.

use super::{
    Api,
    body::Sent,
    openapi::strict,
    path::Place,
    query::{FieldValidation, Query},
    read::{reply, stored},
    shape::Shape,
    status::Refused,
};
use crate::{
    controller::{Part, Preconditions, Write, Written},
    object::{self, Kind, Object},
};
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use serde_json::Value;

/// Sentences for the client beside the result.
pub type Warnings = Vec<String>;

/// What a body has to say of itself.
pub fn check_type(body: &Value, api_version: &str, kind: &str) -> Result<(), Refused> {
    let text = |field: &str| body[field].as_str().unwrap_or_default();
    let (given_version, given_kind) = (text("apiVersion"), text("kind"));
    if !given_version.is_empty() && given_version != api_version {
        return Err(Refused::bad_request(format!(
            "the API version in the data ({given_version}) does not match the expected API version ({api_version})"
        )));
    }
    if !given_kind.is_empty() && given_kind != kind {
        return Err(Refused::bad_request(format!(
            "{given_kind} in version \"{}\" cannot be handled as a {kind}: it is of another kind than the path names",
            api_version.rsplit('/').next().unwrap_or_default()
        )));
    }
    Ok(())
}

/// An object of a body, with defaults; and what there is to warn of.
pub fn decode(place: &Place, kind: Kind, sent: Sent, query: &Query) -> Result<(Object, Warnings), Refused> {
    let resource = place.resource;
    let Sent { mut json, duplicates } = sent;
    check_type(&json, &resource.api_version(), resource.kind)?;
    let unfit = |why: &str| Refused::bad_request(strict::refusal(resource.kind, why));
    if let Some(mismatch) = strict::mismatch(resource.kind, &json) {
        return Err(unfit(&mismatch));
    }
    let mut warnings = Warnings::new();
    if query.field_validation != FieldValidation::Ignore {
        warnings.extend(duplicates);
        warnings.extend(strict::unknown_fields(resource.kind, &json));
        warnings.truncate(strict::MAX_FAULTS);
        if query.field_validation == FieldValidation::Strict && !warnings.is_empty() {
            return Err(unfit(&strict::strict(&warnings)));
        }
    }
    json["apiVersion"] = resource.api_version().into();
    json["kind"] = resource.kind.into();
    let mut object = object::from_request(kind, json).map_err(|error| unfit(&error.to_string()))?;
    let metadata = object.metadata_mut();
    match (&place.namespace, &metadata.namespace) {
        (Some(wanted), Some(given)) if !given.is_empty() && given != wanted => {
            return Err(Refused::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        (wanted, _) => metadata.namespace.clone_from(wanted),
    }
    object::set_defaults(&mut object);
    Ok((object, warnings))
}

/// `POST` to a collection.
pub async fn create(
    api: &Api,
    place: &Place,
    kind: Kind,
    query: &Query,
    sent: Sent,
    shape: Shape,
) -> Result<(Response, Warnings), Refused> {
    let (object, warnings) = decode(place, kind, sent, query)?;
    valid(place, &object)?;
    let write = Write::Create { object, with_namespace: api.create_namespaces };
    let written = carry_out(api, write, query.dry_run).await?;
    Ok((reply(StatusCode::CREATED, &shape.object(written.object.to_json())), warnings))
}

/// Whether upstream's validation takes a new object. Its name may be still to be made.
fn valid(place: &Place, object: &Object) -> Result<(), Refused> {
    let metadata = object.metadata();
    let name = metadata.name.clone().unwrap_or_default();
    let base = metadata.generate_name.clone().unwrap_or_default();
    let errors = if name.is_empty() && !base.is_empty() {
        let mut named = object.clone();
        named.metadata_mut().name = Some(format!("{base}00000"));
        object::validate(&named)
    } else {
        object::validate(object)
    };
    if errors.is_empty() { Ok(()) } else { Err(Refused::invalid(place.resource, &name, &errors)) }
}

/// Carries out a write; what is refused becomes a Status.
pub async fn carry_out(api: &Api, write: Write, dry_run: bool) -> Result<Written, Refused> {
    api.handle.write(write, dry_run).await?.map_err(|error| Refused::of_write(&error))
}

/// `PUT` of an object, or of its status.
pub async fn replace(
    api: &Api,
    place: &Place,
    kind: Kind,
    part: Part,
    query: &Query,
    sent: Sent,
    shape: Shape,
) -> Result<(Response, Warnings), Refused> {
    let (object, warnings) = decode(place, kind, sent, query)?;
    let metadata = object.metadata();
    let (wanted, given) = (place.name.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default());
    if given != wanted {
        return Err(Refused::bad_request(format!(
            "the name of the object ({given}) does not match the name on the URL ({wanted})"
        )));
    }
    let text = |field: &Option<String>| field.clone().filter(|text| !text.is_empty());
    let expected = Preconditions { resource_version: text(&metadata.resource_version), uid: text(&metadata.uid) };
    let written = carry_out(api, Write::Update { object, part, expected }, query.dry_run).await?;
    Ok((reply(StatusCode::OK, &shape.object(written.object.to_json())), warnings))
}

/// How often a change is made anew because somebody else was faster.
const ATTEMPTS: usize = 5;

/// Reads an object, changes it, writes it, as often as others are faster; unless the change itself names a version.
pub async fn modify(
    api: &Api,
    place: &Place,
    kind: Kind,
    part: Part,
    query: &Query,
    change: impl Fn(Value) -> Result<Value, Refused>,
) -> Result<(Object, Warnings), Refused> {
    let mut attempts = 0;
    loop {
        let standing = stored(api, place, kind).await?;
        let changed = change(standing.to_json())?;
        let (object, warnings) = decode(place, kind, Sent { json: changed, duplicates: Vec::new() }, query)?;
        let metadata = object.metadata();
        if metadata.name != standing.metadata().name {
            return Err(Refused::bad_request("metadata.name: Invalid value: the name of an object cannot be changed"));
        }
        let pinned = metadata.resource_version != standing.metadata().resource_version;
        let given = |field: &Option<String>, standing: &Option<String>| field.clone().or_else(|| standing.clone());
        let expected = Preconditions {
            resource_version: given(&metadata.resource_version, &standing.metadata().resource_version),
            uid: given(&metadata.uid, &standing.metadata().uid),
        };
        match carry_out(api, Write::Update { object, part, expected }, query.dry_run).await {
            Ok(written) => return Ok((written.object, warnings)),
            Err(refused) if refused.reason == "Conflict" && !pinned && attempts < ATTEMPTS => attempts += 1,
            Err(refused) => return Err(refused),
        }
    }
}

/// Puts warnings into a reply, where kubectl prints them.
pub fn warn(mut response: Response, warnings: &[String]) -> Response {
    // More than anybody reads would make the head too large.
    for warning in warnings.iter().take(16) {
        let short: String = warning.chars().take(512).collect();
        if let Ok(value) = HeaderValue::from_str(&strict::warning(&short)) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    response
}
