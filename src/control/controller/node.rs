//! The controller of the one node: kubelet and node lifecycle in one. It registers the node and its Lease, again when they
//! are deleted, and keeps the taint of a cordoned node.
//!
//! The Lease and the conditions' heartbeats are written once in each run of the program. Nobody here judges a node by
//! them, and a heartbeat would be a write to the store, a version and a message to every watcher, for nothing.

use super::{
    one_node::{self, LEASE_NAMESPACE, NODE, NodeDescription},
    queue::{Reconciler, Work},
    recorder::EventSpec,
    shared::Context,
};
use crate::{
    control::cluster::whole_second,
    objects::object::{
        Kind, Object, ObjectKey,
        scheduling::{SchedulingNode, UNSCHEDULABLE_TAINT, unschedulable_taint},
    },
};
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{Node, NodeStatus};
use std::sync::Arc;

/// Keeps the one node.
#[derive(Debug)]
pub struct NodeController {
    described: NodeDescription,
    /// Whether this run has said that the node is there.
    has_registered: bool,
}

impl Default for NodeController {
    fn default() -> NodeController {
        NodeController { described: NodeDescription::simulated(), has_registered: false }
    }
}

impl NodeController {
    /// What runs the pods. Where that differs from what was known, the node says so at once, and an event tells when it no
    /// longer answers or does again.
    pub fn describe(&mut self, described: NodeDescription, context: &mut Context) {
        if self.described == described {
            return;
        }
        let (now, before) = (context.now, std::mem::replace(&mut self.described, described));
        if !self.has_registered {
            return;
        }
        let status = one_node::status(&self.described, now);
        edit(context, |node| node.status = Some(renewed(node.status.take(), status)));
        let (warning, reason, message) = match (&before.problem, &self.described.problem) {
            (None, Some(problem)) => (
                true,
                "NodeNotReady",
                format!("the container engine does not answer, pods stay as they are: {problem}"),
            ),
            (Some(_), None) => (false, "NodeReady", "the container engine answers again".to_owned()),
            _ => return,
        };
        tell(warning, reason, message, context);
    }

    /// What runs the pods, as it was told last.
    pub fn described(&self) -> &NodeDescription {
        &self.described
    }

    /// Registers the node where it is missing, and once in each run.
    pub fn register(&mut self, context: &mut Context) {
        let now = context.now;
        if context.cluster.get(&key()).is_none() {
            // Nobody holds the name: it was looked for just now.
            let _ = context.cluster.create(one_node::node(&self.described, now).into(), now);
        } else if !self.has_registered {
            let status = one_node::status(&self.described, now);
            edit(context, |node| node.status = Some(renewed(node.status.take(), status)));
        }
        let lease = ObjectKey::new(Kind::Lease, LEASE_NAMESPACE, NODE);
        if context.cluster.get(&lease).is_none() {
            if !context.cluster.is_terminating(LEASE_NAMESPACE) {
                let _ = context.cluster.create(one_node::lease(now).into(), now);
            }
        } else if !self.has_registered {
            let Object::Stored(renewed) = Object::from(one_node::lease(now)) else { return };
            context.cluster.edit(&lease, |standing| {
                if let Object::Stored(standing) = standing {
                    Arc::make_mut(standing).set_body(renewed.body());
                }
            });
        }
        self.has_registered = true;
    }

    /// A node came, changed or went. Whether it was the one that pods are on, and another one as far as they are concerned.
    pub fn on_node_changed(&mut self, key: &ObjectKey, after: Option<&Object>, context: &mut Context) -> bool {
        if key.name != NODE {
            return false;
        }
        let node = after.and_then(typed);
        let seen = node.as_ref().map_or_else(one_node::untouched, SchedulingNode::of);
        if node.as_ref().is_some_and(|node| is_cordoned(node) != has_taint(node)) {
            context.queue.add(Work::new(Reconciler::Node, key.clone()));
        }
        let is_another = *context.node != seen;
        context.node = Arc::new(seen);
        is_another
    }

    /// A cordoned node has its taint, and no other node has it.
    pub fn reconcile(&mut self, context: &mut Context) {
        let now = context.now;
        edit(context, |node| {
            let (cordoned, tainted) = (is_cordoned(node), has_taint(node));
            let spec = node.spec.get_or_insert_default();
            let taints = spec.taints.get_or_insert_default();
            match (cordoned, tainted) {
                (true, false) => {
                    let mut taint = unschedulable_taint();
                    taint.time_added = Some(whole_second(now));
                    taints.push(taint);
                }
                (false, true) => taints.retain(|taint| taint.key != UNSCHEDULABLE_TAINT),
                _ => {}
            }
            if taints.is_empty() {
                spec.taints = None;
            }
        });
    }
}

/// Records an event about the node.
pub fn tell(warning: bool, reason: &str, message: String, context: &mut Context) {
    let (component, at_most_every) = ("kubelet", SignedDuration::ZERO);
    context.record_about(&key(), EventSpec { component, warning, reason, message, at_most_every, field_path: None });
}

fn key() -> ObjectKey {
    ObjectKey::new(Kind::Node, "", NODE)
}

fn typed(object: &Object) -> Option<Node> {
    match object {
        Object::Stored(stored) => stored.typed(),
        _ => None,
    }
}

/// Changes the node; one that cannot be read stays as it is.
fn edit(context: &mut Context, change: impl FnOnce(&mut Node)) {
    let Some(mut node) = context.cluster.get(&key()).and_then(typed) else { return };
    let (before, metadata) = (node.clone(), node.metadata.clone());
    change(&mut node);
    if node != before {
        let mut object = Object::from(node);
        *object.metadata_mut() = metadata;
        let _ = context.cluster.update(object);
    }
}

/// The status as it is said now, with what others wrote of it: other conditions, and since when a condition holds.
fn renewed(standing: Option<NodeStatus>, said: NodeStatus) -> NodeStatus {
    let standing_conditions = standing.and_then(|status| status.conditions).unwrap_or_default();
    let mut status = said;
    let conditions = status.conditions.get_or_insert_default();
    for condition in standing_conditions {
        match conditions.iter_mut().find(|own| own.type_ == condition.type_) {
            Some(own) if own.status == condition.status => own.last_transition_time = condition.last_transition_time,
            Some(_) => {}
            None => conditions.push(condition),
        }
    }
    status
}

fn is_cordoned(node: &Node) -> bool {
    node.spec.as_ref().is_some_and(|spec| spec.unschedulable == Some(true))
}

fn has_taint(node: &Node) -> bool {
    node.spec.iter().flat_map(|spec| spec.taints.iter().flatten()).any(|taint| taint.key == UNSCHEDULABLE_TAINT)
}
