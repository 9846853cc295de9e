//! Reading: one object, and lists of them page by page.

use super::{
    Api,
    budget::Share,
    filter::ObjectFilter,
    outlet::{Gone, Outlet},
    path::ResourcePath,
    query::RequestParameters,
    representation::{ListMetadata, Representation},
    status::StatusFailure,
    stream,
    watch_source::WatchObject,
};
use crate::{
    control::{
        cluster::{Cluster, HeldObject},
        controller::endpoints,
    },
    objects::object::{Kind, Object, ObjectKey},
};
use axum::{
    body::Body,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

/// A reply of JSON.
pub fn reply(code: StatusCode, json: &Value) -> Response {
    respond(code, Body::from(json.to_string() + "\n"))
}

/// A reply of JSON that is made while it is sent.
pub fn respond(code: StatusCode, body: Body) -> Response {
    (code, [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache, private")], body)
        .into_response()
}

/// One object of the store.
pub async fn stored(api: &Api, place: &ResourcePath, kind: Kind) -> Result<Object, StatusFailure> {
    let name = place.name.clone().unwrap_or_default();
    let key = ObjectKey::new(kind, place.namespace.clone().unwrap_or_default(), &name);
    let look = move |cluster: &Cluster| match key.kind {
        Kind::Endpoints => endpoints::find(cluster, &key.namespace, &key.name).map(Object::from),
        _ => cluster.get(&key).cloned(),
    };
    let found = api.handle.read(look).await?;
    found.ok_or_else(|| StatusFailure::not_found(&place.resource, &name))
}

/// `GET …/NAME`.
pub async fn get(
    api: &Api,
    place: &ResourcePath,
    kind: Kind,
    query: &RequestParameters,
    shape: Representation,
) -> Result<Response, StatusFailure> {
    not_newer(api, query)?;
    let object = stored(api, place, kind).await?;
    Ok(reply(StatusCode::OK, &shape.object(object.to_json())))
}

/// A version that is not there yet was given by another server.
pub fn not_newer(api: &Api, query: &RequestParameters) -> Result<(), StatusFailure> {
    let newest = api.handle.log().newest();
    match query.resource_version {
        Some(wanted) if wanted > newest => Err(StatusFailure::too_new(wanted, newest)),
        _ => Ok(()),
    }
}

/// One page of a list.
#[derive(Debug, Default)]
pub struct ListPage {
    /// What is selected.
    pub objects: Vec<HeldObject>,
    /// The version of the whole list.
    pub resource_version: u64,
    /// Whether there may be more.
    pub more: bool,
    /// How many more there are, if that is known.
    pub remaining: Option<usize>,
}

/// The selected objects that follow `after`, at most `limit` of them.
pub async fn page(
    api: &Api,
    selection: &ObjectFilter,
    after: Option<ObjectKey>,
    limit: Option<usize>,
) -> Result<ListPage, StatusFailure> {
    // What has to be looked at one by one is looked at here and not in the control loop.
    let early = limit.filter(|_| selection.is_everything());
    let looked = selection.clone();
    let mut page = api
        .handle
        .read(move |cluster| {
            let mut candidates = looked.candidates(cluster, after.as_ref());
            let objects: Vec<HeldObject> = candidates.by_ref().take(early.unwrap_or(usize::MAX)).collect();
            let remaining = candidates.count();
            ListPage {
                objects,
                resource_version: cluster.resource_version(),
                more: remaining > 0,
                remaining: early.map(|_| remaining),
            }
        })
        .await?;
    if early.is_none() && !selection.is_everything() {
        let most = limit.map_or(usize::MAX, |limit| limit.saturating_add(1));
        let taken = |held: &HeldObject| held.object().is_some_and(|object| selection.takes(&object));
        page.objects = page.objects.into_iter().filter(taken).take(most).collect();
        if let Some(limit) = limit.filter(|limit| page.objects.len() > *limit) {
            page.objects.truncate(limit);
            page.more = true;
        }
    }
    Ok(page)
}

/// `GET` of a collection.
pub async fn list(
    api: &Api,
    place: &ResourcePath,
    kind: Kind,
    query: &RequestParameters,
    shape: Representation,
) -> Result<Response, StatusFailure> {
    if query.initial_events.is_some() {
        let message = "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list";
        return Err(StatusFailure::unprocessable(message));
    }
    not_newer(api, query)?;
    let selection = ObjectFilter::new(place, query, kind)?;
    let start = Continue::of(api, query, kind)?;
    let (version, after) = start.map_or((None, None), |start| (Some(start.resource_version), Some(start.after)));
    let page = page(api, &selection, after, query.limit).await?;
    // What changed since the first page is told to who watches from the first page's version on.
    let resource_version = version.unwrap_or(page.resource_version);
    let continue_from = match page.objects.last().and_then(HeldObject::object) {
        Some(last) if page.more => Continue { resource_version, after: last.key() }.to_string(),
        _ => String::new(),
    };
    let metadata = ListMetadata { resource_version, continue_from, remaining: page.remaining };
    let share = holding(api, page.objects.len())?;
    let objects = page.objects.into_iter().map(WatchObject::Stored);
    Ok(respond(StatusCode::OK, list_body(api, share, page.resource_version, &metadata, shape, objects)))
}

/// A list of what there is none of.
pub fn nothing(api: &Api, shape: Representation) -> Response {
    let metadata = ListMetadata { resource_version: api.handle.log().newest(), ..ListMetadata::default() };
    respond(StatusCode::OK, Body::from(shape.list_head(&metadata) + Representation::LIST_END))
}

/// What so many objects take that are held for a client until they are sent. The objects themselves are the store's, or
/// counted by the log.
pub fn holding(api: &Api, objects: usize) -> Result<Share, StatusFailure> {
    Ok(api.budget.take(objects * HELD_OBJECT_OCTETS)?)
}

/// Octets of a list for each object that it holds.
const HELD_OBJECT_OCTETS: usize = 64;

/// A list, made while it is sent; what it holds was there at a version.
pub fn list_body(
    api: &Api,
    share: Share,
    version: u64,
    metadata: &ListMetadata,
    shape: Representation,
    objects: impl Iterator<Item = WatchObject> + Send + 'static,
) -> Body {
    let (parts, body) = stream::channel();
    let mut outlet = api.outlet(parts);
    outlet.begin(version);
    let head = shape.list_head(metadata);
    tokio::spawn(async move {
        let _share = share;
        // A body that ends is all that either side has to know of it.
        let _ = tell_list(&mut outlet, &head, shape, objects).await;
    });
    body
}

async fn tell_list(
    outlet: &mut Outlet,
    head: &str,
    shape: Representation,
    objects: impl Iterator<Item = WatchObject>,
) -> Result<(), Gone> {
    outlet.write(head).await?;
    for (index, object) in objects.enumerate() {
        let made = || match &object {
            WatchObject::Stored(object) => object.to_json(),
            WatchObject::Made(object) => object.clone(),
        };
        let (text, _share) = outlet.text(|| shape.item(made()).to_string()).await?;
        if index > 0 {
            outlet.write(",").await?;
        }
        outlet.write(&text).await?;
    }
    outlet.write(Representation::LIST_END).await?;
    outlet.flush().await
}

/// Where a list goes on; clients see it as opaque text.
#[derive(Debug, PartialEq, Eq)]
pub struct Continue {
    /// The version of the list's first page.
    pub resource_version: u64,
    /// The last object that was sent.
    pub after: ObjectKey,
}

/// Longest token that is looked at, in octets.
const TOKEN_OCTETS_MAX: usize = 1024;

impl Continue {
    /// Where a request goes on; `None` where it begins. What changed since the first page must still be known.
    pub fn of(api: &Api, query: &RequestParameters, kind: Kind) -> Result<Option<Continue>, StatusFailure> {
        if query.continue_from.is_empty() {
            return Ok(None);
        }
        let start = Continue::read(&query.continue_from, kind)?;
        match api.handle.log().reaches(start.resource_version) {
            Ok(()) => Ok(Some(start)),
            Err(_) => Err(StatusFailure::expired(
                "The provided continue parameter is too old to display a consistent list result. You must start a new \
                 list without the continue parameter.",
            )),
        }
    }

    fn read(token: &str, kind: Kind) -> Result<Continue, StatusFailure> {
        let refused =
            || StatusFailure::bad_request("continue key is not valid: take it from the metadata of the list before");
        let decoded =
            (token.len() <= TOKEN_OCTETS_MAX).then(|| BASE64URL_NOPAD.decode(token.as_bytes()).ok()).flatten();
        let read: Value = serde_json::from_slice(&decoded.ok_or_else(refused)?).map_err(|_| refused())?;
        let text = |field: &str| read[field].as_str().map(str::to_owned);
        match (read["rv"].as_u64(), text("namespace"), text("name")) {
            (Some(resource_version), Some(namespace), Some(name)) => {
                Ok(Continue { resource_version, after: ObjectKey { kind, namespace, name } })
            }
            _ => Err(refused()),
        }
    }
}

impl std::fmt::Display for Continue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ObjectKey { namespace, name, .. } = &self.after;
        let token = json!({"rv": self.resource_version, "namespace": namespace, "name": name}).to_string();
        f.write_str(&BASE64URL_NOPAD.encode(token.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_list_goes_on() {
        let there = Continue { resource_version: 7, after: ObjectKey::new(Kind::Pod, "default", "web-0") };
        assert_eq!(Continue::read(&there.to_string(), Kind::Pod).unwrap(), there);
        for wrong in ["x", "e30", "{}", &"a".repeat(2000)] {
            assert_eq!(Continue::read(wrong, Kind::Pod).unwrap_err().code, 400, "{wrong}");
        }
    }
}
