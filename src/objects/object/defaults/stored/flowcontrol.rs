//! FlowSchemas and PriorityLevelConfigurations.

use super::{Fields, default, object, object_or_new, text};

pub(super) fn set_flow_schema(fields: &mut Fields) {
    if let Some(spec) = object_or_new(fields, "spec") {
        // Zero is nothing to Go.
        if spec.get("matchingPrecedence").is_some_and(|precedence| *precedence == 0) {
            spec.shift_remove("matchingPrecedence");
        }
        default(spec, "matchingPrecedence", 1000);
    }
}

pub(super) fn set_priority_level(fields: &mut Fields) {
    let Some(spec) = object_or_new(fields, "spec") else { return };
    if let Some(exempt) = object(spec, "exempt") {
        default(exempt, "nominalConcurrencyShares", 0);
        default(exempt, "lendablePercent", 0);
    }
    let Some(limited) = object(spec, "limited") else { return };
    default(limited, "nominalConcurrencyShares", 30);
    default(limited, "lendablePercent", 0);
    let response = object(limited, "limitResponse").filter(|response| text(response, "type") == "Queue");
    if let Some(queuing) = response.and_then(|response| object(response, "queuing")) {
        for (name, number) in [("queues", 64), ("handSize", 8), ("queueLengthLimit", 50)] {
            if queuing.get(name).is_some_and(|standing| *standing == 0) {
                queuing.shift_remove(name);
            }
            default(queuing, name, number);
        }
    }
}
