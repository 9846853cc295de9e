//! Creating and replacing: a client's body to an object that upstream would take.

use super::{
    Api,
    advice::advice,
    apply,
    body::SentObject,
    cost::Cost,
    openapi::{nulls, strict},
    path::ResourcePath,
    query::{FieldValidation, RequestParameters},
    read::stored,
    resource::{Resource, Subresource},
    status::StatusFailure,
};
use crate::{
    control::controller::{Part, Preconditions, Write, WriteResult},
    objects::object::{self, Kind, Object},
};
use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use jiff::Timestamp;
use serde_json::Value;

/// Sentences for the client beside the result.
pub type Warnings = Vec<String>;

/// Who writes, and beneath what: for `managedFields`.
#[derive(Debug, Clone)]
pub struct FieldManager {
    /// The name of the manager.
    pub manager: String,
    /// The subresource that is written.
    pub subresource: Option<&'static str>,
    /// When.
    pub now: Timestamp,
}

impl FieldManager {
    /// Who sends a request: the parameter says so, or what the client calls itself.
    pub fn of(query: &RequestParameters, headers: &HeaderMap, subresource: Option<&'static str>) -> FieldManager {
        let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let manager = match (query.field_manager.as_str(), agent.split('/').next().unwrap_or_default()) {
            ("", "") => "unknown".to_owned(),
            ("", agent) => agent.chars().take(128).collect(),
            (given, _) => given.to_owned(),
        };
        FieldManager { manager, subresource, now: Timestamp::now() }
    }

    /// The object with `managedFields` that record which manager changed which fields.
    fn track(&self, resource: &Resource, before: Option<&Object>, mut object: Object, part: Part) -> Object {
        // A custom resource without that subresource may have a field of that name.
        let has_status = resource.custom.is_none() || resource.subresources.contains(&Subresource::Status);
        let standing = before.map(Object::to_json);
        let sent = object.to_json();
        let mut after = match (&standing, part) {
            (Some(standing), Part::Status) => {
                let mut after = standing.clone();
                after["status"] = sent["status"].clone();
                after
            }
            (_, _) if !has_status => sent,
            (standing, _) => {
                let mut after = sent;
                let status = standing.as_ref().and_then(|standing| standing.get("status"));
                match (status, after.as_object_mut()) {
                    (Some(status), Some(fields)) => drop(fields.insert("status".to_owned(), status.clone())),
                    (None, Some(fields)) => drop(fields.remove("status")),
                    _ => {}
                }
                after
            }
        };
        if resource.custom.is_some() {
            after["apiVersion"] = resource.api_version().into();
        }
        apply::track(resource.structure, standing.as_ref(), &mut after, &self.manager, self.subresource, self.now);
        let tracked = after["metadata"]["managedFields"].take();
        object.metadata_mut().managed_fields = serde_json::from_value(tracked).unwrap_or_default();
        object
    }
}

/// What a body has to say of itself.
pub fn check_type(body: &Value, api_version: &str, kind: &str) -> Result<(), StatusFailure> {
    let text = |field: &str| body[field].as_str().unwrap_or_default();
    let (given_version, given_kind) = (text("apiVersion"), text("kind"));
    if !given_version.is_empty() && given_version != api_version {
        return Err(StatusFailure::bad_request(format!(
            "the API version in the data ({given_version}) does not match the expected API version ({api_version})"
        )));
    }
    if !given_kind.is_empty() && given_kind != kind {
        return Err(StatusFailure::bad_request(format!(
            "{given_kind} in version \"{}\" cannot be handled as a {kind}: it is of another kind than the path names",
            api_version.rsplit('/').next().unwrap_or_default()
        )));
    }
    Ok(())
}

/// An object of a body, with defaults; and what there is to warn of.
pub fn decode(
    place: &ResourcePath,
    kind: Kind,
    sent: SentObject,
    query: &RequestParameters,
) -> Result<(Object, Warnings), StatusFailure> {
    let resource = &place.resource;
    let SentObject { mut json, duplicates } = sent;
    // A patch may have made much of little.
    Cost::of_object(&json).check()?;
    check_type(&json, &resource.api_version(), resource.kind)?;
    nulls::fill(resource.structure, &mut json);
    let unfit = |why: &str| StatusFailure::bad_request(strict::refusal(resource, why));
    if let Some(mismatch) = strict::mismatch(resource.structure, &json) {
        return Err(unfit(&mismatch));
    }
    let mut warnings = Warnings::new();
    if query.field_validation != FieldValidation::Ignore {
        warnings.extend(duplicates);
        warnings.extend(strict::unknown_fields(resource.structure, &json));
        warnings.truncate(strict::MAX_FAULTS);
        if query.field_validation == FieldValidation::Strict && !warnings.is_empty() {
            return Err(unfit(&strict::strict(&warnings)));
        }
    }
    json["apiVersion"] = resource.api_version().into();
    json["kind"] = resource.kind.into();
    strict::zero_for_null(resource.structure, &mut json);
    object::octets::canonicalize(resource.structure, &mut json);
    let mut object = object::from_request(kind, resource.to_stored(json)).map_err(|error| unfit(&error.to_string()))?;
    let metadata = object.metadata_mut();
    match (&place.namespace, &metadata.namespace) {
        (Some(wanted), Some(given)) if !given.is_empty() && given != wanted => {
            return Err(StatusFailure::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        (wanted, _) => metadata.namespace.clone_from(wanted),
    }
    object::set_defaults(&mut object);
    warnings.extend(advice(&object));
    warnings.extend(object::fractional_bytes(&object));
    Ok((object, warnings))
}

/// Whether upstream's validation takes a new object. Its name may be still to be made.
fn valid(place: &ResourcePath, object: &Object) -> Result<(), StatusFailure> {
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
    if errors.is_empty() { Ok(()) } else { Err(StatusFailure::invalid(&place.resource, &name, &errors)) }
}

/// Whether there is room for what an object takes more than the one that it replaces, with the pods of a set.
fn fits(api: &Api, place: &ResourcePath, standing: Option<&Object>, object: &Object) -> Result<(), StatusFailure> {
    let growth = object.weight().saturating_sub(standing.map_or(0, Object::weight));
    if growth == 0 || api.handle.stored_octets().saturating_add(growth) <= api.object_octets {
        return Ok(());
    }
    let name = object.metadata().name.as_deref().unwrap_or_default();
    Err(StatusFailure::exceeded(&place.resource, name, growth, api.object_octets))
}

/// Carries out a write; what is refused becomes a Status.
pub async fn carry_out(api: &Api, write: Write, dry_run: bool) -> Result<WriteResult, StatusFailure> {
    api.handle.write(write, dry_run).await?.map_err(|error| StatusFailure::of_write(&error))
}

/// How often a change is made again because another client was faster.
const CONFLICT_ATTEMPTS_MAX: usize = 5;

/// One change that a client asks for, whatever its form.
#[derive(Clone, Copy)]
pub struct ObjectChange<'a> {
    /// What all requests share.
    pub api: &'a Api,
    /// What the path names.
    pub place: &'a ResourcePath,
    /// The kind of the object.
    pub kind: Kind,
    /// What of the object is written.
    pub part: Part,
    /// The parameters of the query.
    pub query: &'a RequestParameters,
    /// Who writes.
    pub writer: &'a FieldManager,
}

/// Result of a change.
#[derive(Debug)]
pub struct ChangedObject {
    /// The object as it is now.
    pub object: Object,
    /// Warnings for the client.
    pub warnings: Warnings,
    /// Whether the object was created.
    pub is_new: bool,
}

/// A reply, and warnings for the client.
#[derive(Debug)]
pub struct ObjectReply {
    /// The reply without the warnings.
    pub response: Response,
    /// For kubectl to print.
    pub warnings: Warnings,
}

impl ObjectChange<'_> {
    /// `POST` to a collection.
    pub async fn create(&self, sent: SentObject) -> Result<ChangedObject, StatusFailure> {
        let ObjectChange { place, kind, query, writer, .. } = *self;
        let (object, warnings) = decode(place, kind, sent, query)?;
        let object = writer.track(&place.resource, None, object, Part::Main);
        match self.put_new(object).await {
            Ok(object) => Ok(ChangedObject { object, warnings, is_new: true }),
            Err(refused) => Err(refused.warned(&warnings)),
        }
    }

    /// Creates an object that is complete but for what the server fills in.
    async fn put_new(&self, object: Object) -> Result<Object, StatusFailure> {
        let ObjectChange { api, place, query, .. } = *self;
        valid(place, &object)?;
        fits(api, place, None, &object)?;
        let write = Write::Create { object, with_namespace: api.create_namespaces };
        Ok(carry_out(api, write, query.dry_run).await?.object)
    }

    /// `PUT` of an object, or of its status.
    pub async fn replace(&self, sent: SentObject) -> Result<ChangedObject, StatusFailure> {
        let wanted = self.place.name.as_deref().unwrap_or_default();
        let given = sent.json["metadata"]["name"].as_str().unwrap_or_default();
        if given != wanted {
            return Err(StatusFailure::bad_request(format!(
                "the name of the object ({given}) does not match the name on the URL ({wanted})"
            )));
        }
        self.modify(|_| Ok(sent.clone())).await
    }

    /// Reads an object, changes it, writes it, as often as others are faster; unless the change itself names a version.
    pub async fn modify(
        &self,
        change: impl Fn(Value) -> Result<SentObject, StatusFailure>,
    ) -> Result<ChangedObject, StatusFailure> {
        let ObjectChange { api, place, kind, part, query, writer } = *self;
        let mut attempts = 0;
        loop {
            let standing = stored(api, place, kind).await?;
            let (object, warnings) = decode(place, kind, change(place.resource.served(standing.to_json()))?, query)?;
            let (metadata, before) = (object.metadata(), standing.metadata());
            if metadata.name != before.name {
                return Err(StatusFailure::bad_request(
                    "metadata.name: Invalid value: the name of an object cannot be changed",
                ));
            }
            let given = |field: &Option<String>, standing: &Option<String>| {
                field.clone().filter(|text| !text.is_empty()).or_else(|| standing.clone())
            };
            let expected = Preconditions {
                resource_version: given(&metadata.resource_version, &before.resource_version),
                uid: given(&metadata.uid, &before.uid),
            };
            let pinned = expected.resource_version != before.resource_version;
            if part == Part::Main {
                fits(api, place, Some(&standing), &object)?;
            }
            let object = writer.track(&place.resource, Some(&standing), object, part);
            match carry_out(api, Write::Update { object, part, expected }, query.dry_run).await {
                Ok(written) => return Ok(ChangedObject { object: written.object, warnings, is_new: false }),
                Err(refused) if refused.reason == "Conflict" && !pinned && attempts < CONFLICT_ATTEMPTS_MAX => {
                    attempts += 1
                }
                Err(refused) => return Err(refused.warned(&warnings)),
            }
        }
    }

    /// Server-side apply: the object is made of the live one and what is applied, or created.
    pub async fn apply(&self, mut applied: Value) -> Result<ChangedObject, StatusFailure> {
        let ObjectChange { api, place, kind, query, writer, .. } = *self;
        if query.field_manager.is_empty() {
            let message =
                "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch";
            return Err(StatusFailure::unprocessable(message));
        }
        let (api_version, name) = (place.resource.api_version(), place.name.clone().unwrap_or_default());
        check_type(&applied, &api_version, place.resource.kind)?;
        let given = applied["metadata"]["name"].as_str().unwrap_or_default();
        if !given.is_empty() && given != name {
            return Err(StatusFailure::bad_request(format!(
                "the name of the object ({given}) does not match the name on the URL ({name})"
            )));
        }
        nulls::fill(place.resource.structure, &mut applied);
        if !applied["metadata"].is_object() && !applied["metadata"].is_null() {
            return Err(StatusFailure::bad_request("metadata is no object"));
        }
        applied["metadata"]["name"] = name.into();
        if let Some(namespace) = &place.namespace
            && applied["metadata"]["namespace"].is_null()
        {
            applied["metadata"]["namespace"] = namespace.as_str().into();
        }
        let mut attempts = 0;
        loop {
            let standing = match stored(api, place, kind).await {
                Ok(standing) => Some(standing),
                Err(refused) if refused.reason == "NotFound" => None,
                Err(refused) => return Err(refused),
            };
            let live = standing.as_ref().map(|standing| place.resource.served(standing.to_json()));
            let merged = apply::apply(
                place.resource.structure,
                live.as_ref(),
                &applied,
                &query.field_manager,
                query.force,
                writer.now,
            )
            .map_err(|error| StatusFailure::of_apply(&place.resource, given_name(place), &error))?;
            let (mut object, warnings) =
                decode(place, kind, SentObject { json: merged, duplicates: Vec::new() }, query)?;
            let Some(standing) = standing else {
                match self.put_new(object).await {
                    // Another client created it meanwhile.
                    Err(refused) if refused.reason == "AlreadyExists" && attempts < CONFLICT_ATTEMPTS_MAX => {
                        attempts += 1
                    }
                    outcome => return Ok(ChangedObject { object: outcome?, warnings, is_new: true }),
                }
                continue;
            };
            // An atomic list that was applied without its defaults differs until it has them.
            if without_times(&object) == without_times(&standing) {
                object = standing.clone();
            }
            let (metadata, before) = (object.metadata(), standing.metadata());
            let expected =
                Preconditions { resource_version: metadata.resource_version.clone(), uid: metadata.uid.clone() };
            let pinned = metadata.resource_version != before.resource_version;
            fits(api, place, Some(&standing), &object)?;
            match carry_out(api, Write::Update { object, part: Part::Main, expected }, query.dry_run).await {
                Ok(written) => return Ok(ChangedObject { object: written.object, warnings, is_new: false }),
                Err(refused) if refused.reason == "Conflict" && !pinned && attempts < CONFLICT_ATTEMPTS_MAX => {
                    attempts += 1
                }
                Err(refused) => return Err(refused),
            }
        }
    }
}

/// The object without the times of its `managedFields`, and without their order, which follows from the times: a
/// difference in these alone is none.
fn without_times(object: &Object) -> Object {
    let mut object = object.clone();
    if let Some(entries) = &mut object.metadata_mut().managed_fields {
        entries.iter_mut().for_each(|entry| entry.time = None);
        entries.sort_by_key(|entry| (entry.manager.clone(), entry.operation.clone(), entry.subresource.clone()));
    }
    object
}

fn given_name(place: &ResourcePath) -> &str {
    place.name.as_deref().unwrap_or_default()
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
