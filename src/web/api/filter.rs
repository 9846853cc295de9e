//! Which objects of a resource a request is about.

use super::{
    path::ResourcePath,
    query::RequestParameters,
    select::{FieldSelector, LabelRequirements},
    status::StatusFailure,
};
use crate::{
    control::cluster::{Change, Cluster, HeldObject},
    objects::object::{Kind, Object, ObjectKey},
};
use serde_json::Value;
use std::ops::Bound;

/// A kind, a namespace, labels, fields.
#[derive(Debug, Clone)]
pub struct ObjectFilter {
    /// The kind in the store.
    pub kind: Kind,
    /// The namespace; `None` for all.
    pub namespace: Option<String>,
    labels: Option<LabelRequirements>,
    fields: Option<FieldSelector>,
}

/// The fields that a definition says its resources can be selected by.
fn selectable(place: &ResourcePath) -> &[String] {
    let custom = place.resource.custom.as_ref();
    let version = custom.and_then(|custom| custom.definition.versions.get(custom.version));
    version.map_or(&[], |version| &version.selectable)
}

impl ObjectFilter {
    /// What path and query say; objects of `kind` are looked at. An error is a selector that cannot be.
    pub fn new(place: &ResourcePath, query: &RequestParameters, kind: Kind) -> Result<ObjectFilter, StatusFailure> {
        let labels = match query.label_selector.trim() {
            "" => None,
            text => Some(LabelRequirements::parse(text).map_err(StatusFailure::bad_request)?),
        };
        let fields = match query.field_selector.trim() {
            "" => None,
            text => Some(
                FieldSelector::parse(place.resource.structure, selectable(place), text)
                    .map_err(StatusFailure::bad_request)?,
            ),
        };
        Ok(ObjectFilter { kind, namespace: place.namespace.clone(), labels, fields })
    }

    /// Whether everything of the kind in the namespace is selected.
    pub fn is_everything(&self) -> bool {
        self.labels.is_none() && self.fields.is_none()
    }

    /// Whether labels and fields of an object are as selected; `json` is made where it is needed.
    pub fn takes(&self, object: &Object) -> bool {
        self.takes_labels(object) && self.takes_fields(object, || object.to_json())
    }

    fn takes_labels(&self, object: &Object) -> bool {
        self.labels.as_ref().is_none_or(|labels| labels.matches(object.metadata().labels.as_ref()))
    }

    fn takes_fields(&self, object: &Object, json: impl FnOnce() -> Value) -> bool {
        let Some(fields) = &self.fields else { return true };
        // Most requests with a field selector name one object.
        if fields.name().is_some_and(|name| object.metadata().name.as_deref() != Some(name)) {
            return false;
        }
        fields.matches(&json())
    }

    /// Whether labels and fields of an object that is derived and not stored are as selected.
    pub fn takes_derived(&self, object: &Value) -> bool {
        let labels = object["metadata"]["labels"].as_object().map(|labels| {
            labels.iter().map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
        });
        self.labels.as_ref().is_none_or(|selected| selected.matches(labels.as_ref()))
            && self.fields.as_ref().is_none_or(|selected| selected.matches(object))
    }

    /// Whether a change is one of the kind and the namespace.
    pub fn concerns(&self, change: &Change) -> bool {
        change.key.kind == self.kind && self.namespace.as_ref().is_none_or(|wanted| *wanted == change.key.namespace)
    }

    /// The objects of the kind and the namespace that follow `after`, in order; those of one name only where one is
    /// selected.
    pub fn candidates<'a>(
        &self,
        cluster: &'a Cluster,
        after: Option<&ObjectKey>,
    ) -> Box<dyn Iterator<Item = HeldObject> + 'a> {
        let name = self.fields.as_ref().and_then(FieldSelector::name);
        if let (Some(namespace), Some(name)) = (&self.namespace, name) {
            let key = ObjectKey::new(self.kind, namespace, name);
            let found = cluster.get(&key).filter(|_| after.is_none_or(|after| key > *after));
            return Box::new(found.cloned().map(HeldObject::from).into_iter());
        }
        let first = ObjectKey::new(self.kind, self.namespace.as_deref().unwrap_or_default(), "");
        let kind = self.kind;
        let namespace = self.namespace.clone();
        let here = move |key: &ObjectKey| {
            key.kind == kind && namespace.as_ref().is_none_or(|namespace| key.namespace == *namespace)
        };
        let from = match after {
            // A token of another namespace's list leads nowhere else.
            Some(after) if *after >= first => Bound::Excluded(after.clone()),
            _ => Bound::Included(first),
        };
        Box::new(cluster.held_from(from).take_while(move |(key, _)| here(key)).map(|(_, held)| held))
    }
}
