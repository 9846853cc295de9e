//! Which kinds count their generations, and what makes one grow: the spec, never the status or the metadata, and not the
//! way in which an equal quantity is written.

use crate::objects::object::{self, Object};

/// A new object's generation; `None` for kinds that have none.
pub fn initial(object: &Object) -> Option<i64> {
    match object {
        Object::Pod(_) | Object::StatefulSet(_) | Object::EndpointSlice(_) => Some(1),
        _ => None,
    }
}

/// Whether replacing `before` by `after` is a new generation.
pub fn grows(before: &Object, after: &Object) -> bool {
    // The second look is dear, and seldom needed.
    differs(before, after) && object::written_as(before, after).is_none_or(|rewritten| differs(&rewritten, after))
}

fn differs(before: &Object, after: &Object) -> bool {
    match (before, after) {
        // Binding a pod to its node is no change of what is wanted.
        (Object::Pod(before), Object::Pod(after)) => match (&before.spec, &after.spec) {
            (Some(before), Some(after)) if before.node_name != after.node_name => {
                let mut unbound = after.clone();
                unbound.node_name.clone_from(&before.node_name);
                unbound != *before
            }
            (before, after) => before != after,
        },
        (Object::StatefulSet(before), Object::StatefulSet(after)) => before.spec != after.spec,
        // A slice is all spec; upstream counts its labels as well.
        (Object::EndpointSlice(before), Object::EndpointSlice(after)) => {
            before.endpoints != after.endpoints
                || before.ports != after.ports
                || before.address_type != after.address_type
                || before.metadata.labels != after.metadata.labels
        }
        _ => false,
    }
}
