//! Revisions of a pod template, for whoever keeps them (upstream's `controller/history`): the data that a ControllerRevision
//! holds, its hash, and the order of revisions.

pub mod canonical;

use crate::objects::object::{APPLIED, ORIGIN};
use k8s_openapi::{
    api::{apps::v1::ControllerRevision, core::v1::PodTemplateSpec},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

/// Revisions by number, of one number the older first.
pub fn sorted<'a>(existing: &[&'a Arc<ControllerRevision>]) -> Vec<&'a ControllerRevision> {
    let mut sorted: Vec<&ControllerRevision> = existing.iter().map(|&revision| &**revision).collect();
    sorted.sort_by_key(|revision| {
        (revision.revision, revision.metadata.creation_timestamp.clone(), revision.metadata.name.clone())
    });
    sorted
}

/// A revision's data: a strategic merge patch that replaces the template and nothing else.
pub fn data(template: &PodTemplateSpec) -> Value {
    let mut template = canonical::normalize(serde_json::to_value(template).unwrap_or_default());
    if let Value::Object(fields) = &mut template {
        // First in the order of bytes, so that the keys stay sorted as they stand in the object.
        fields.shift_insert(0, "$patch".to_owned(), json!("replace"));
        // Go writes metadata and spec even when nothing is in them.
        fields.entry("metadata").or_insert_with(|| json!({}));
        fields.entry("spec").or_insert_with(|| json!({}));
    }
    json!({"spec": {"template": template}})
}

/// The data without the divisors of `resourceFieldRef` that are the default.
pub fn without_zero_divisors(mut data: Value) -> Value {
    match &mut data {
        Value::Object(fields) => {
            if fields.contains_key("resource") && fields.get("divisor").is_some_and(|divisor| divisor == "0") {
                fields.shift_remove("divisor");
            }
            fields.values_mut().for_each(|value| *value = without_zero_divisors(value.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| *value = without_zero_divisors(value.take())),
        _ => {}
    }
    data
}

/// The bytes of a stored revision's data, to be compared with those of [`data`].
pub fn stored_bytes(revision: &ControllerRevision) -> Vec<u8> {
    revision.data.as_ref().map(|data| canonical::bytes(&data.0)).unwrap_or_default()
}

/// The template that a stored revision holds; `None` if it holds none.
pub fn stored_template(revision: &ControllerRevision) -> Option<PodTemplateSpec> {
    let mut template = revision.data.as_ref()?.0.get("spec")?.get("template")?.clone();
    template.as_object_mut()?.shift_remove("$patch");
    serde_json::from_value(template).ok()
}

/// The owner's annotations, but not those that say which manifest it comes from: no manifest declares the revision, and
/// it would be taken for one whose file is gone.
pub fn annotations(owner: &ObjectMeta) -> Option<BTreeMap<String, String>> {
    let mut annotations = owner.annotations.clone().unwrap_or_default();
    annotations.retain(|name, _| ![ORIGIN, APPLIED].contains(&name.as_str()));
    Some(annotations).filter(|annotations| !annotations.is_empty())
}

/// 32-bit FNV-1 over the data and the decimal collision count, its decimal digits replaced by letters that spell no
/// words (apimachinery `util/rand`).
pub fn hash(data: &[u8], collision_count: i32) -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let sum = data
        .iter()
        .copied()
        .chain(collision_count.to_string().bytes())
        .fold(0x811c_9dc5_u32, |sum, byte| sum.wrapping_mul(0x0100_0193) ^ u32::from(byte));
    sum.to_string().bytes().map(|digit| char::from(ALPHABET[usize::from(digit) % ALPHABET.len()])).collect()
}
