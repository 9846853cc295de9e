//! Endpoints: those that are stored, and for other Services with a selector those that are made of their slices whenever
//! a client asks.

use super::{
    Api,
    budget::Share,
    filter::ObjectFilter,
    handle::Handle,
    path::ResourcePath,
    query::RequestParameters,
    read::{Continue, holding, list_body, not_newer, reply, respond},
    representation::{ListMetadata, Representation},
    status::StatusFailure,
    watch_source::{WatchObject, WatchSource},
    write::warn,
};
use crate::{
    control::{
        cluster::{Change, Cluster},
        controller::endpoints::{derive, has_endpoints},
    },
    objects::object::{
        Kind, Object, ObjectKey,
        labels::{SERVICE_NAME_LABEL, label},
    },
};
use axum::{http::StatusCode, response::Response};
use k8s_openapi::api::{
    core::v1::{Endpoints, Service},
    discovery::v1::EndpointSlice,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The warning that upstream sends to every client that asks for them.
pub const DEPRECATED: &str = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice";

/// Namespace and name of a Service.
type Name = (String, String);

/// The Endpoints of a name, or what they are made of.
#[derive(Debug, Clone)]
enum EndpointsSource {
    Stored(Arc<Endpoints>),
    Made { service: Arc<Service>, slices: Vec<Arc<EndpointSlice>> },
}

impl EndpointsSource {
    fn of(cluster: &Cluster, namespace: &str, name: &str) -> Option<EndpointsSource> {
        match cluster.endpoints(namespace, name) {
            Some(stored) => Some(EndpointsSource::Stored(Arc::clone(stored))),
            None => EndpointsSource::made(cluster, cluster.service(namespace, name)?),
        }
    }

    fn made(cluster: &Cluster, service: &Arc<Service>) -> Option<EndpointsSource> {
        if !has_endpoints(service) {
            return None;
        }
        let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
        let name = service.metadata.name.as_deref().unwrap_or_default();
        let slices = cluster.slices_of_service(namespace, name).cloned().collect();
        Some(EndpointsSource::Made { service: Arc::clone(service), slices })
    }

    fn json(&self) -> Value {
        let made = match self {
            EndpointsSource::Stored(endpoints) => serde_json::to_value(endpoints.as_ref()),
            EndpointsSource::Made { service, slices } => {
                let slices: Vec<&EndpointSlice> = slices.iter().map(AsRef::as_ref).collect();
                serde_json::to_value(derive(service, &slices))
            }
        };
        made.unwrap_or_default()
    }

    /// How many objects it holds.
    fn held(&self) -> usize {
        match self {
            EndpointsSource::Stored(_) => 1,
            EndpointsSource::Made { slices, .. } => 1 + slices.len(),
        }
    }

    fn name(&self) -> Name {
        let metadata = match self {
            EndpointsSource::Stored(endpoints) => &endpoints.metadata,
            EndpointsSource::Made { service, .. } => &service.metadata,
        };
        (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
    }
}

/// `GET …/endpoints/NAME`.
pub async fn get(
    api: &Api,
    place: &ResourcePath,
    query: &RequestParameters,
    shape: Representation,
) -> Result<Response, StatusFailure> {
    not_newer(api, query)?;
    let (namespace, name) = (place.namespace.clone().unwrap_or_default(), place.name.clone().unwrap_or_default());
    let wanted = name.clone();
    let look = move |cluster: &Cluster| EndpointsSource::of(cluster, &namespace, &wanted);
    let parts = api.handle.read(look).await?.ok_or_else(|| StatusFailure::not_found(&place.resource, &name))?;
    Ok(warn(reply(StatusCode::OK, &shape.object(parts.json())), &[DEPRECATED.to_owned()]))
}

/// Everything in a namespace, or everywhere, in the order of names; and the version.
async fn all(handle: &Handle, namespace: Option<String>) -> Result<(Vec<EndpointsSource>, u64), StatusFailure> {
    let look = move |cluster: &Cluster| {
        let here = |of: &Option<String>| namespace.is_none() || *of == namespace;
        let services = cluster.services().filter(|service| here(&service.metadata.namespace));
        let stored = cluster.all_endpoints().filter(|endpoints| here(&endpoints.metadata.namespace));
        let made = services.filter_map(|service| EndpointsSource::made(cluster, service));
        // What is stored comes last and counts.
        let all = made.chain(stored.map(|endpoints| EndpointsSource::Stored(Arc::clone(endpoints))));
        let by_name: BTreeMap<Name, EndpointsSource> = all.map(|parts| (parts.name(), parts)).collect();
        (by_name.into_values().collect(), cluster.resource_version())
    };
    Ok(handle.read(look).await?)
}

/// `GET` of a collection. Pages go by the Services' names, which are the Endpoints'.
pub async fn list(
    api: &Api,
    place: &ResourcePath,
    query: &RequestParameters,
    shape: Representation,
) -> Result<Response, StatusFailure> {
    not_newer(api, query)?;
    let selection = ObjectFilter::new(place, query, Kind::Service)?;
    let start = Continue::of(api, query, Kind::Service)?;
    let (mut parts, newest) = all(&api.handle, place.namespace.clone()).await?;
    let share = holding(api, parts.iter().map(EndpointsSource::held).sum())?;
    if let Some(Continue { after, .. }) = &start {
        parts.retain(|parts| parts.name() > (after.namespace.clone(), after.name.clone()));
    }
    let mut metadata = ListMetadata {
        resource_version: start.map_or(newest, |start| start.resource_version),
        ..ListMetadata::default()
    };
    // What is selected is known once it is made; one more than wanted tells whether there is a further page.
    let selected = parts.into_iter().map(|parts| (parts.name(), parts.json()));
    let mut selected = selected.filter(move |(_, object)| selection.takes_derived(object));
    let objects: Box<dyn Iterator<Item = Value> + Send> = match query.limit {
        None => Box::new(selected.map(|(_, object)| object)),
        Some(limit) => {
            let page: Vec<(Name, Value)> = selected.by_ref().take(limit).collect();
            if let (Some(((namespace, name), _)), Some(_)) = (page.last(), selected.next()) {
                let after = ObjectKey::new(Kind::Service, namespace.as_str(), name.as_str());
                let resource_version = metadata.resource_version;
                metadata.continue_from = Continue { resource_version, after }.to_string();
            }
            Box::new(page.into_iter().map(|(_, object)| object))
        }
    };
    let body = list_body(api, share, newest, &metadata, shape, objects.map(WatchObject::Made));
    Ok(warn(respond(StatusCode::OK, body), &[DEPRECATED.to_owned()]))
}

/// What was sent last about an object, without its addresses: the Service that it was made for, which the store has as
/// well.
#[derive(Debug)]
struct Last {
    parts: EndpointsSource,
    annotations: Option<Value>,
}

impl Last {
    fn new(parts: EndpointsSource, object: &Value) -> Last {
        let parts = match parts {
            EndpointsSource::Made { service, .. } => EndpointsSource::Made { service, slices: Vec::new() },
            stored => stored,
        };
        Last { parts, annotations: object["metadata"].get("annotations").cloned() }
    }

    /// The object as it was, of this version.
    fn json(self, version: u64) -> Value {
        let mut object = self.parts.json();
        if let Some(fields) = object.as_object_mut() {
            fields.remove("subsets");
        }
        if let Some(annotations) = self.annotations {
            object["metadata"]["annotations"] = annotations;
        }
        object["metadata"]["resourceVersion"] = version.to_string().into();
        object
    }
}

/// A watch of Endpoints, which remembers what it has sent.
#[derive(Debug)]
pub struct Derived {
    handle: Handle,
    selection: ObjectFilter,
    initial: Vec<EndpointsSource>,
    /// What the client has.
    told: BTreeMap<Name, Last>,
    /// What that takes.
    share: Share,
}

/// Octets of the memory of a watch for each object that was sent.
const WATCHED_OBJECT_OCTETS: usize = 512;

impl Derived {
    /// A watch from a version on, or with what is there; and the version from which it goes on.
    pub async fn begin(
        api: &Api,
        place: &ResourcePath,
        query: &RequestParameters,
        after: Option<u64>,
    ) -> Result<(Derived, u64), StatusFailure> {
        let selection = ObjectFilter::new(place, query, Kind::Service)?;
        let (parts, version) = all(&api.handle, place.namespace.clone()).await?;
        // All of them are held until they are told.
        let share = api.budget.take(parts.len() * WATCHED_OBJECT_OCTETS)?;
        let mut told = BTreeMap::new();
        let mut initial = Vec::new();
        for parts in parts {
            let object = parts.json();
            if selection.takes_derived(&object) {
                told.insert(parts.name(), Last::new(parts.clone(), &object));
                if after.is_none() {
                    initial.push(parts);
                }
            }
        }
        Ok((Derived { handle: api.handle.clone(), selection, initial, told, share }, after.unwrap_or(version)))
    }
}

/// The Service that a changed object belongs to.
fn service_of(change: &Change) -> Option<Name> {
    match change.key.kind {
        Kind::Service | Kind::Endpoints => Some((change.key.namespace.clone(), change.key.name.clone())),
        Kind::EndpointSlice => {
            let slice: &Object = change.after.as_ref().or(change.before.as_ref())?;
            let service = label(slice.metadata(), SERVICE_NAME_LABEL)?;
            Some((change.key.namespace.clone(), service.to_owned()))
        }
        _ => None,
    }
}

impl WatchSource for Derived {
    fn initial(&mut self) -> impl Iterator<Item = WatchObject> + Send + 'static {
        std::mem::take(&mut self.initial).into_iter().map(|parts| WatchObject::Made(parts.json()))
    }

    fn concerns(&self, change: &Change) -> bool {
        matches!(change.key.kind, Kind::Service | Kind::EndpointSlice | Kind::Endpoints)
            && self.selection.namespace.as_ref().is_none_or(|wanted| *wanted == change.key.namespace)
    }

    async fn events(&mut self, changes: &[Change]) -> Option<Vec<(&'static str, WatchObject)>> {
        let version = changes.last()?.resource_version;
        let names: BTreeSet<Name> = changes.iter().filter_map(service_of).collect();
        let look = move |cluster: &Cluster| {
            let parts = |(namespace, name): &Name| EndpointsSource::of(cluster, namespace, name);
            names.into_iter().map(|name| (parts(&name), name)).collect::<Vec<_>>()
        };
        let mut events = Vec::new();
        for (parts, name) in self.handle.read(look).await.ok()? {
            let object = parts.map(|parts| (parts.json(), parts));
            match (object.filter(|(object, _)| self.selection.takes_derived(object)), self.told.remove(&name)) {
                (Some((object, parts)), before) => {
                    self.told.insert(name, Last::new(parts, &object));
                    // Without room for more the watch ends, and the client comes again.
                    self.share.grow_to(self.told.len() * WATCHED_OBJECT_OCTETS).ok()?;
                    events.push((if before.is_some() { "MODIFIED" } else { "ADDED" }, WatchObject::Made(object)));
                }
                (None, Some(before)) => events.push(("DELETED", WatchObject::Made(before.json(version)))),
                (None, None) => {}
            }
        }
        Some(events)
    }
}
