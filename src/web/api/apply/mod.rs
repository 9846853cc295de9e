//! Server-side apply, and which manager owns which fields.
//!
//! An applied object says what its manager wants, and owns what it says. Applying merges it into the live object;
//! what the manager applied the last time and no longer does is removed, unless another manager owns it too; what it
//! would change that another manager owns is a conflict, unless it is forced. Every other write is tracked as an
//! update: what it changed is its manager's from then on.
//!
//! As upstream's structured-merge-diff does it, with the lists' keys of the same schema.

mod fields;
mod managers;
mod shape;
mod walk;

#[cfg(test)]
mod tests;

use crate::objects::{
    object::{LAST_APPLIED, schema::Schema},
    patch::{NESTING_MAX, is_shallower},
};
use fields::FieldSet;
use jiff::Timestamp;
use managers::{ManagerOperation, Managers, seconds};
use serde_json::{Value, json};
use shape::ValueShape;
use thiserror::Error;

/// The manager of what was there before an object was applied for the first time, where no manager is known.
const BEFORE: &str = "before-first-apply";

/// The manager whose client-side applies may be taken over.
const KUBECTL: &str = "kubectl";

/// What the server fills in: it has no manager.
const OF_SERVER: &[&str] =
    &["name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields", "resourceVersion"];

/// Why an object could not be applied.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ApplyError {
    /// Another manager owns what would change (409, Conflict; each is a cause FieldManagerConflict).
    #[error("{}", message(.0))]
    Conflicts(Vec<Conflict>),
    /// It is not a valid object (400, BadRequest).
    #[error("{0}")]
    Malformed(String),
}

/// A field that another manager owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Who, as messages name it: `"kubectl-client-side-apply" using apps/v1`.
    pub manager: String,
    /// The field: `.spec.replicas`.
    pub field: String,
}

impl Conflict {
    /// The message of the cause.
    pub fn message(&self) -> String {
        format!("conflict with {}", self.manager)
    }
}

/// What upstream says of conflicts.
fn message(conflicts: &[Conflict]) -> String {
    if let [only] = conflicts {
        return format!("Apply failed with 1 conflict: {}: {}", only.message(), only.field);
    }
    let mut lines = Vec::new();
    let mut manager = None;
    for conflict in conflicts {
        if manager != Some(&conflict.manager) {
            lines.push(format!("conflicts with {}:", conflict.manager));
            manager = Some(&conflict.manager);
        }
        lines.push(format!("- {}", conflict.field));
    }
    format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
}

/// The object that results of applying one to the live one, with its `managedFields`.
///
/// It has neither defaults nor what the server fills in, where the live object has not. Where nothing changes, it is
/// the live object.
pub fn apply(
    kind: &str,
    live: Option<&Value>,
    applied: &Value,
    manager: &str,
    force: bool,
    now: Timestamp,
) -> Result<Value, ApplyError> {
    let schema = Schema::of(kind).ok_or_else(|| ApplyError::Malformed(format!("{kind} cannot be applied")))?;
    let applied = applicable(applied, schema)?;
    let shape = ValueShape::Object(schema);
    let before = live.map_or_else(|| json!({}), without_managers);
    let mut managers = live.map(Managers::of).unwrap_or_default();
    if let Some(live) = live.filter(|_| managers.0.is_empty()) {
        let all = compare(&json!({}), &before, live, shape).added;
        managers.entry(BEFORE, ManagerOperation::Update, api_version(live), "").fields = owned(&all, None);
        managers.entry(BEFORE, ManagerOperation::Update, api_version(live), "").time = seconds(now);
    }

    let wanted = owned(&walk::field_set(&applied, shape), None);
    let own = managers.entry(manager, ManagerOperation::Apply, api_version(&applied), "");
    let last = std::mem::replace(&mut own.fields, wanted);
    own.api_version = api_version(&applied).to_owned();

    let merged = walk::merge(Some(&before), &applied, shape);
    let mut all = FieldSet::default();
    managers.0.iter().for_each(|entry| all.join(&entry.fields));
    let mut gone = walk::with_objects(&last, shape).without(&walk::with_objects(&all, shape));
    // Nobody owns the name, and it stays.
    if let Some(metadata) = gone.below.get_mut("f:metadata") {
        metadata.is_member = false;
    }
    let mut after = walk::remove(&merged, &gone, shape).unwrap_or(merged);

    let compared = compare(&before, &after, &applied, shape);
    let conflicts = conflicts(&managers, manager, &compared.changed());
    let taken_over = if manager == KUBECTL { last_applied(&before, shape) } else { FieldSet::default() };
    let refused: Vec<Conflict> = (conflicts.iter())
        .flat_map(|(manager, fields)| {
            let paths = fields.without(&taken_over).paths();
            paths.into_iter().map(|field| Conflict { manager: manager.clone(), field })
        })
        .collect();
    if !force && !refused.is_empty() {
        return Err(ApplyError::Conflicts(refused));
    }
    let lost = lost(&compared);
    for entry in managers.0.iter_mut().filter(|entry| !entry.is_of(manager, ManagerOperation::Apply, "")) {
        entry.fields = entry.fields.without(&lost);
    }
    let own = managers.entry(manager, ManagerOperation::Apply, api_version(&applied), "");
    if own.time.is_empty() || !compared.is_empty() {
        own.time = seconds(now);
    }
    if manager == KUBECTL {
        renew_last_applied(&mut after, &applied);
    }
    managers.put_into(&mut after);
    Ok(after)
}

/// Tracks a write that is not an apply: what changed from `before` to `after` is `manager`'s. Writes `managedFields`
/// into `after`; what is there already, as clients send it, is believed.
pub fn track(
    kind: &str,
    before: Option<&Value>,
    after: &mut Value,
    manager: &str,
    subresource: Option<&str>,
    now: Timestamp,
) {
    let Some(schema) = Schema::of(kind) else { return };
    let mut managers = Managers::default();
    if !Managers::are_reset(after) {
        managers = if subresource.is_some() { Managers::default() } else { Managers::of(after) };
        if let Some(before) = before.filter(|_| managers.0.is_empty()) {
            managers = Managers::of(before);
        }
    }
    let after_alone = without_managers(after);
    let before = before.map_or_else(|| json!({}), without_managers);
    let compared = compare(&before, &after_alone, after, ValueShape::Object(schema));
    let changed = owned(&compared.changed(), subresource);
    let lost = lost(&compared);
    for entry in &mut managers.0 {
        entry.fields = entry.fields.without(&lost);
    }
    if !changed.is_empty() {
        let version = api_version(&after_alone).to_owned();
        let own = managers.entry(manager, ManagerOperation::Update, &version, subresource.unwrap_or_default());
        own.fields.join(&changed);
        own.time = seconds(now);
    }
    managers.put_into(after);
}

/// The applied object, checked, without what it cannot apply.
fn applicable(applied: &Value, schema: &'static Schema) -> Result<Value, ApplyError> {
    let malformed = |message: String| Err(ApplyError::Malformed(message));
    if !is_shallower(applied, NESTING_MAX) {
        return malformed(format!("the applied object is nested deeper than {NESTING_MAX} levels"));
    }
    if applied.pointer("/metadata/managedFields").is_some_and(|entries| !entries.is_null()) {
        return malformed("metadata.managedFields must be nil".to_owned());
    }
    if let Err(error) = shape::check(applied, schema, &mut String::new()) {
        let text = |path| applied.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        // A group goes before its version, even if it is the empty one.
        let version = api_version(applied);
        let core = if version.contains('/') { "" } else { "/" };
        let object = format!("{namespace}/{name}; {core}{version}, Kind={}", schema.short_name());
        return malformed(format!("failed to create typed patch object ({object}): {error}"));
    }
    let mut applied = applied.clone();
    if let Value::Object(fields) = &mut applied {
        fields.remove("status");
        let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
        if let Value::Object(metadata) = metadata {
            metadata.remove("managedFields");
        }
    }
    Ok(applied)
}

fn api_version(object: &Value) -> &str {
    object.get("apiVersion").and_then(Value::as_str).unwrap_or_default()
}

fn without_managers(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.remove("managedFields");
    }
    object
}

/// What differs between two objects of the kind that `like` has.
fn compare(before: &Value, after: &Value, like: &Value, shape: ValueShape) -> walk::Comparison {
    let empty = skeleton(like);
    let filled = |object: &Value| {
        let mut object = object.clone();
        fill(&mut object, &empty);
        object
    };
    walk::compare(Some(&filled(before)), Some(&filled(after)), shape)
}

/// Puts in what is missing.
fn fill(object: &mut Value, empty: &Value) {
    let (Value::Object(object), Value::Object(empty)) = (object, empty) else { return };
    for (name, part) in empty {
        fill(object.entry(name.as_str()).or_insert_with(|| json!({})), part);
    }
}

/// What an object of the kind has before anything is in it: the parts that upstream's Go structs always have, which
/// no manager comes to own by creating it.
fn skeleton(object: &Value) -> Value {
    match object.get("kind").and_then(Value::as_str).unwrap_or_default() {
        "StatefulSet" => json!({
            "metadata": {}, "status": {},
            "spec": { "template": { "metadata": {}, "spec": {} }, "updateStrategy": {} },
        }),
        "Deployment" => json!({
            "metadata": {}, "status": {},
            "spec": { "template": { "metadata": {}, "spec": {} }, "strategy": {} },
        }),
        "ReplicaSet" => json!({
            "metadata": {}, "status": {}, "spec": { "template": { "metadata": {}, "spec": {} } },
        }),
        // Its template is a pointer in Go.
        "ReplicationController" => json!({ "metadata": {}, "spec": {}, "status": {} }),
        "PersistentVolumeClaim" => json!({ "metadata": {}, "spec": { "resources": {} }, "status": {} }),
        "Service" => json!({ "metadata": {}, "spec": {}, "status": { "loadBalancer": {} } }),
        "Event" => json!({ "metadata": {}, "involvedObject": {}, "source": {} }),
        "Pod" | "Namespace" | "PersistentVolume" => json!({ "metadata": {}, "spec": {}, "status": {} }),
        _ => json!({ "metadata": {} }),
    }
}

/// The part of a set that a manager can own: without what the server fills in, and of the status only where that was
/// written.
fn owned(fields: &FieldSet, subresource: Option<&str>) -> FieldSet {
    let mut owned = FieldSet::default();
    for (element, below) in &fields.below {
        match element.as_str() {
            "f:apiVersion" | "f:kind" => {}
            "f:status" if subresource != Some("status") => {}
            "f:metadata" => {
                let mut metadata = FieldSet { is_member: false, below: below.below.clone() };
                metadata.below.retain(|element, _| !OF_SERVER.iter().any(|name| element[2..] == **name));
                owned.put(element.clone(), metadata);
            }
            _ => owned.put(element.clone(), below.clone()),
        }
    }
    owned
}

/// The fields that no other manager owns any more after a write.
fn lost(compared: &walk::Comparison) -> FieldSet {
    let mut lost = compared.changed();
    lost.join(&compared.removed);
    lost
}

/// What others own of what changes, each by its name, in order.
fn conflicts(managers: &Managers, manager: &str, changed: &FieldSet) -> Vec<(String, FieldSet)> {
    let others = managers.0.iter().filter(|entry| !entry.is_of(manager, ManagerOperation::Apply, ""));
    let mut conflicts: Vec<(String, FieldSet)> = others
        .map(|entry| (entry.spoken(), entry.fields.common(changed)))
        .filter(|(_, fields)| !fields.is_empty())
        .collect();
    conflicts.sort_by(|left, right| left.0.cmp(&right.0));
    conflicts
}

/// The fields that kubectl applied on the client's side the last time: it may take them over.
fn last_applied(live: &Value, shape: ValueShape) -> FieldSet {
    let text = annotation(live).unwrap_or_default();
    serde_json::from_str(text).map(|applied: Value| walk::field_set(&applied, shape)).unwrap_or_default()
}

fn annotation(object: &Value) -> Option<&str> {
    object.get("metadata")?.get("annotations")?.get(LAST_APPLIED)?.as_str()
}

/// Keeps the annotation, where there is one, for those who go back to applying on the client's side.
fn renew_last_applied(object: &mut Value, applied: &Value) {
    if annotation(object).is_none() {
        return;
    }
    let mut applied = applied.clone();
    if let Some(Value::Object(own)) = applied.pointer_mut("/metadata/annotations") {
        own.remove(LAST_APPLIED);
    }
    if let Some(Value::Object(all)) = object.pointer_mut("/metadata/annotations") {
        all.insert(LAST_APPLIED.to_owned(), Value::String(format!("{applied}\n")));
    }
}
