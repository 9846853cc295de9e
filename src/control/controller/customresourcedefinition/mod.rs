//! Custom resource definitions: their names are accepted, and with a definition everything goes that it defined (upstream's
//! controllers `status`, `establish` and `finalizer` of apiextensions-apiserver).

mod conditions;
mod names;

use super::{
    deletion::{self, CLEANUP, Deletion, has_finalizer, remove_finalizer},
    queue::{Reconciler, Work},
    shared::Context,
};
use crate::objects::object::{CustomDefinition, Kind, Object, ObjectKey};
use conditions::{set_condition, terminating};
use std::sync::Arc;

/// Accepts definitions and cleans up after them. It remembers nothing.
#[derive(Debug, Default)]
pub struct CustomResourceDefinitionController;

impl CustomResourceDefinitionController {
    /// A definition came, changed or went.
    pub fn on_definition_changed(&mut self, key: &ObjectKey, after: Option<&Object>, context: &mut Context) {
        if after.is_some() {
            context.queue.add(Work::new(Reconciler::CustomResourceDefinition, key.clone()));
            return;
        }
        // Its names are free for others of its group.
        let group = key.name.split_once('.').map_or("", |(_, group)| group);
        let waiting: Vec<ObjectKey> = context
            .cluster
            .definitions_of_group(group)
            .filter(|definition| !definition.is_established)
            .map(|definition| key_of(definition))
            .collect();
        for key in waiting {
            context.queue.add(Work::new(Reconciler::CustomResourceDefinition, key));
        }
    }

    /// An object went: a definition that is being deleted waits for the last that it defined.
    pub fn on_gone(&mut self, key: &ObjectKey, context: &mut Context) {
        let Some(definition) = context.cluster.definition(key.kind) else { return };
        if definition.is_terminating && context.cluster.keys_of_kind(key.kind).next().is_none() {
            let key = key_of(definition);
            context.queue.add(Work::new(Reconciler::CustomResourceDefinition, key));
        }
    }

    /// Accepts the names of a definition, or goes on with its deletion.
    pub fn reconcile(&mut self, key: &ObjectKey, context: &mut Context) {
        let Some(object) = context.cluster.get(key).cloned() else { return };
        let Some(definition) = context.cluster.definition_named(&key.name).cloned() else {
            return refuse(&object, context);
        };
        if definition.is_terminating {
            return delete_instances(&object, &definition, context);
        }
        let conflict = {
            let others = context.cluster.definitions_of_group(definition.kind.group());
            names::conflict(&definition, others.filter(|other| other.kind != definition.kind).map(AsRef::as_ref))
        };
        let now = context.now;
        context.cluster.edit(key, |object| {
            if let Object::Stored(stored) = object {
                Arc::make_mut(stored)
                    .edit_body(|body| conditions::accept_names(body, &definition, conflict.as_ref(), now));
            }
        });
    }
}

fn key_of(definition: &CustomDefinition) -> ObjectKey {
    ObjectKey::new(Kind::CustomResourceDefinition, "", definition.kind.resource())
}

/// A definition that defines nothing, because there is no room for its names in this process, says so, and goes when it is
/// deleted.
fn refuse(object: &Object, context: &mut Context) {
    let (key, now) = (object.key(), context.now);
    if object.metadata().deletion_timestamp.is_some() {
        return remove_finalizer(&mut context.cluster, &key, CLEANUP);
    }
    context.cluster.edit(&key, |object| {
        if let Object::Stored(stored) = object {
            Arc::make_mut(stored).edit_body(|body| set_condition(body, conditions::no_room(), now));
        }
    });
}

/// Deletes what a definition defined; the definition goes when nothing of it is left.
fn delete_instances(object: &Object, definition: &CustomDefinition, context: &mut Context) {
    let (key, kind, now) = (object.key(), Kind::Custom(definition.kind), context.now);
    if !has_finalizer(object, CLEANUP) {
        return;
    }
    context.cluster.edit(&key, |object| {
        if let Object::Stored(stored) = object {
            Arc::make_mut(stored).edit_body(|body| set_condition(body, terminating(), now));
        }
    });
    let instances: Vec<ObjectKey> = context.cluster.keys_of_kind(kind).cloned().collect();
    for instance in &instances {
        let standing = context.cluster.get(instance);
        if standing.is_some_and(|object| object.metadata().deletion_timestamp.is_none()) {
            // It is there: it was looked at just now.
            let _ = deletion::delete(&mut context.cluster, instance, Deletion::default(), now);
        }
    }
    if context.cluster.keys_of_kind(kind).next().is_none() {
        remove_finalizer(&mut context.cluster, &key, CLEANUP);
    }
}
