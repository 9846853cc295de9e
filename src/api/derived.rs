//! Endpoints: those that are stored, and for other Services with a selector those that are made of their slices whenever
//! somebody looks.

use super::{
    Api,
    handle::Handle,
    path::Place,
    query::Query,
    read::{Continue, holding, list_body, not_newer, reply, respond},
    selection::Selection,
    shape::{ListMetadata, Shape},
    status::Refused,
    watch::{Told, Watched},
    write::warn,
};
use crate::{
    cluster::{Change, Cluster},
    controller::endpoints::{derive, derived, has_endpoints},
    object::{
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

/// The label by which a slice belongs to a Service.

/// What upstream tells everybody who asks for them.
pub const DEPRECATED: &str = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice";

/// Namespace and name of a Service.
type Name = (String, String);

/// The Endpoints of a name, or what they are made of.
#[derive(Debug)]
enum Parts {
    Stored(Arc<Endpoints>),
    Made { service: Arc<Service>, slices: Vec<Arc<EndpointSlice>> },
}

/// The Endpoints of a name, stored or made now.
pub fn find(cluster: &Cluster, namespace: &str, name: &str) -> Option<Endpoints> {
    match cluster.endpoints(namespace, name) {
        Some(stored) => Some(Endpoints::clone(stored)),
        None => derived(cluster, namespace, name),
    }
}

impl Parts {
    fn of(cluster: &Cluster, namespace: &str, name: &str) -> Option<Parts> {
        match cluster.endpoints(namespace, name) {
            Some(stored) => Some(Parts::Stored(Arc::clone(stored))),
            None => Parts::made(cluster, cluster.service(namespace, name)?),
        }
    }

    fn made(cluster: &Cluster, service: &Arc<Service>) -> Option<Parts> {
        if !has_endpoints(service) {
            return None;
        }
        let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
        let name = service.metadata.name.as_deref().unwrap_or_default();
        let slices = cluster.slices_of_service(namespace, name).cloned().collect();
        Some(Parts::Made { service: Arc::clone(service), slices })
    }

    fn json(&self) -> Value {
        let made = match self {
            Parts::Stored(endpoints) => serde_json::to_value(endpoints.as_ref()),
            Parts::Made { service, slices } => {
                let slices: Vec<&EndpointSlice> = slices.iter().map(AsRef::as_ref).collect();
                serde_json::to_value(derive(service, &slices))
            }
        };
        made.unwrap_or_default()
    }

    /// How many objects it holds.
    fn held(&self) -> usize {
        match self {
            Parts::Stored(_) => 1,
            Parts::Made { slices, .. } => 1 + slices.len(),
        }
    }

    fn name(&self) -> Name {
        let metadata = match self {
            Parts::Stored(endpoints) => &endpoints.metadata,
            Parts::Made { service, .. } => &service.metadata,
        };
        (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
    }
}

/// `GET …/endpoints/NAME`.
pub async fn get(api: &Api, place: &Place, query: &Query, shape: Shape) -> Result<Response, Refused> {
    not_newer(api, query)?;
    let (namespace, name) = (place.namespace.clone().unwrap_or_default(), place.name.clone().unwrap_or_default());
    let wanted = name.clone();
    let look = move |cluster: &Cluster| Parts::of(cluster, &namespace, &wanted);
    let parts = api.handle.read(look).await?.ok_or_else(|| Refused::not_found(place.resource, &name))?;
    Ok(warn(reply(StatusCode::OK, &shape.object(parts.json())), &[DEPRECATED.to_owned()]))
}

/// Everything in a namespace, or everywhere, in the order of names; and the version.
async fn all(handle: &Handle, namespace: Option<String>) -> Result<(Vec<Parts>, u64), Refused> {
    let look = move |cluster: &Cluster| {
        let here = |of: &Option<String>| namespace.is_none() || *of == namespace;
        let services = cluster.services().filter(|service| here(&service.metadata.namespace));
        let stored = cluster.all_endpoints().filter(|endpoints| here(&endpoints.metadata.namespace));
        let made = services.filter_map(|service| Parts::made(cluster, service));
        // What is stored comes last and counts.
        let all = made.chain(stored.map(|endpoints| Parts::Stored(Arc::clone(endpoints))));
        let by_name: BTreeMap<Name, Parts> = all.map(|parts| (parts.name(), parts)).collect();
        (by_name.into_values().collect(), cluster.resource_version())
    };
    Ok(handle.read(look).await?)
}

/// `GET` of a collection. Pages go by the Services' names, which are the Endpoints'.
pub async fn list(api: &Api, place: &Place, query: &Query, shape: Shape) -> Result<Response, Refused> {
    not_newer(api, query)?;
    let selection = Selection::new(place, query, Kind::Service)?;
    let start = Continue::of(api, query, Kind::Service)?;
    let (mut parts, newest) = all(&api.handle, place.namespace.clone()).await?;
    let share = holding(api, parts.iter().map(Parts::held).sum())?;
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
    let body = list_body(api, share, newest, &metadata, shape, objects.map(Told::Made));
    Ok(warn(respond(StatusCode::OK, body), &[DEPRECATED.to_owned()]))
}

/// A watch of Endpoints. What was told of each is remembered, without its addresses.
#[derive(Debug)]
pub struct Derived {
    handle: Handle,
    selection: Selection,
    initial: Vec<Value>,
    /// What the client has.
    told: BTreeMap<Name, Value>,
}

impl Derived {
    /// A watch from a version on, or with what is there; and the version from which it goes on.
    pub async fn begin(api: &Api, place: &Place, query: &Query, after: Option<u64>) -> Result<(Derived, u64), Refused> {
        let selection = Selection::new(place, query, Kind::Service)?;
        let (parts, version) = all(&api.handle, place.namespace.clone()).await?;
        let mut derived = Derived { handle: api.handle.clone(), selection, initial: Vec::new(), told: BTreeMap::new() };
        for parts in parts {
            let object = parts.json();
            if derived.selection.takes_derived(&object) {
                derived.told.insert(parts.name(), without_addresses(&object));
                if after.is_none() {
                    derived.initial.push(object);
                }
            }
        }
        Ok((derived, after.unwrap_or(version)))
    }
}

fn without_addresses(object: &Value) -> Value {
    let mut kept = object.clone();
    if let Some(fields) = kept.as_object_mut() {
        fields.remove("subsets");
    }
    kept
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

impl Watched for Derived {
    fn initial(&mut self) -> impl Iterator<Item = Told> + Send + 'static {
        std::mem::take(&mut self.initial).into_iter().map(Told::Made)
    }

    fn concerns(&self, change: &Change) -> bool {
        matches!(change.key.kind, Kind::Service | Kind::EndpointSlice | Kind::Endpoints)
            && self.selection.namespace.as_ref().is_none_or(|wanted| *wanted == change.key.namespace)
    }

    async fn events(&mut self, changes: &[Change]) -> Option<Vec<(&'static str, Told)>> {
        let version = changes.last()?.resource_version;
        let names: BTreeSet<Name> = changes.iter().filter_map(service_of).collect();
        let look = move |cluster: &Cluster| {
            let parts = |(namespace, name): &Name| Parts::of(cluster, namespace, name);
            names.into_iter().map(|name| (parts(&name), name)).collect::<Vec<_>>()
        };
        let mut events = Vec::new();
        for (parts, name) in self.handle.read(look).await.ok()? {
            let object = parts.map(|parts| parts.json()).filter(|object| self.selection.takes_derived(object));
            match (object, self.told.remove(&name)) {
                (Some(object), before) => {
                    self.told.insert(name, without_addresses(&object));
                    events.push((if before.is_some() { "MODIFIED" } else { "ADDED" }, Told::Made(object)));
                }
                (None, Some(mut before)) => {
                    before["metadata"]["resourceVersion"] = version.to_string().into();
                    events.push(("DELETED", Told::Made(before)));
                }
                (None, None) => {}
            }
        }
        Some(events)
    }
}
