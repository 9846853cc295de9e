//! The status of a definition: accepted names, stored versions, conditions.

use super::names::NameConflict;
use crate::{control::cluster::whole_second, objects::object::CustomDefinition};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// Type, status, reason and message.
type Condition<'a> = (&'a str, bool, &'a str, String);

/// The condition of a definition that is being deleted.
pub fn terminating<'a>() -> Condition<'a> {
    ("Terminating", true, "InstanceDeletionInProgress", "CustomResource deletion is in progress".to_owned())
}

/// The condition of a definition whose names are too many for this process.
pub fn no_room<'a>() -> Condition<'a> {
    let message = "there is no room for more names of kinds in this process: restart it".to_owned();
    ("NamesAccepted", false, "NoRoom", message)
}

/// Writes into a definition's body what became of its names.
pub fn accept_names(
    body: &mut Map<String, Value>,
    definition: &CustomDefinition,
    conflict: Option<&NameConflict>,
    now: Timestamp,
) {
    let names = body.get("spec").map(|spec| spec["names"].clone()).unwrap_or_default();
    let status = body.entry("status").or_insert_with(|| json!({}));
    if conflict.is_none() {
        status["acceptedNames"] = names;
    } else if !status["acceptedNames"].is_object() {
        status["acceptedNames"] = json!({"plural": "", "kind": ""});
    }
    let stored = Value::from(definition.storage_version.as_str());
    match status["storedVersions"].as_array_mut() {
        Some(versions) if versions.contains(&stored) => {}
        Some(versions) => versions.push(stored),
        None => status["storedVersions"] = json!([stored]),
    }
    match conflict {
        None => {
            set_condition(body, ("NamesAccepted", true, "NoConflicts", "no conflicts found".to_owned()), now);
            let established = "the initial names have been accepted".to_owned();
            set_condition(body, ("Established", true, "InitialNamesAccepted", established), now);
        }
        Some(NameConflict { reason, name }) => {
            set_condition(body, ("NamesAccepted", false, reason, format!("{name:?} is already in use")), now);
            // What was accepted once stays served.
            if !definition.is_established {
                let not_all = "not all names are accepted".to_owned();
                set_condition(body, ("Established", false, "NotAccepted", not_all), now);
            }
        }
    }
}

/// Sets a condition; its time is that of the last change of its status.
pub fn set_condition(body: &mut Map<String, Value>, (of, is_true, reason, message): Condition<'_>, now: Timestamp) {
    let status = body.entry("status").or_insert_with(|| json!({}));
    if !status["conditions"].is_array() {
        status["conditions"] = json!([]);
    }
    let Some(conditions) = status["conditions"].as_array_mut() else { return };
    let value = if is_true { "True" } else { "False" };
    let mut condition = json!({
        "lastTransitionTime": whole_second(now),
        "message": message,
        "reason": reason,
        "status": value,
        "type": of,
    });
    match conditions.iter_mut().find(|standing| standing["type"] == of) {
        Some(standing) => {
            if standing["status"] == value {
                condition["lastTransitionTime"] = standing["lastTransitionTime"].clone();
            }
            *standing = condition;
        }
        None => conditions.push(condition),
    }
}
