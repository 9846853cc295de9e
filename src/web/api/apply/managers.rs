//! The entries of `metadata.managedFields`: who manages which fields, since when.

use super::fields::FieldSet;
use jiff::Timestamp;
use serde_json::{Value, json};

/// How many entries of updates an object has at most, as upstream; the oldest are put together beyond that.
const UPDATE_ENTRIES_MAX: usize = 10;

/// Who manages what the entries that were put together did.
const ANCIENT: &str = "ancient-changes";

/// How a manager came by its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ManagerOperation {
    /// By server-side apply.
    Apply,
    /// By any other write.
    Update,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedFieldsEntry {
    pub manager: String,
    pub operation: ManagerOperation,
    pub api_version: String,
    pub subresource: String,
    /// As it is written; empty for none.
    pub time: String,
    pub fields: FieldSet,
}

/// All entries of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Managers(pub Vec<ManagedFieldsEntry>);

impl ManagedFieldsEntry {
    /// Whether it is the entry of this manager.
    pub fn is_of(&self, manager: &str, operation: ManagerOperation, subresource: &str) -> bool {
        (self.manager.as_str(), self.operation, self.subresource.as_str()) == (manager, operation, subresource)
    }

    /// As conflicts name it: `"kubectl-client-side-apply" using apps/v1`.
    pub fn spoken(&self) -> String {
        let mut text = format!("{:?}", self.manager);
        if !self.subresource.is_empty() {
            text += &format!(" with subresource {:?}", self.subresource);
        }
        if self.operation == ManagerOperation::Update {
            text += &format!(" using {}", self.api_version);
        }
        text
    }

    fn read(json: &Value) -> Option<ManagedFieldsEntry> {
        let text = |name| json.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let operation = match json.get("operation")?.as_str()? {
            "Apply" => ManagerOperation::Apply,
            "Update" => ManagerOperation::Update,
            _ => return None,
        };
        Some(ManagedFieldsEntry {
            manager: text("manager"),
            operation,
            api_version: text("apiVersion"),
            subresource: text("subresource"),
            time: text("time"),
            fields: FieldSet::read(json.get("fieldsV1")?),
        })
    }

    fn write(&self) -> Value {
        let operation = if self.operation == ManagerOperation::Apply { "Apply" } else { "Update" };
        let mut json = json!({
            "manager": self.manager,
            "operation": operation,
            "apiVersion": self.api_version,
            "time": self.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": self.fields.write(),
            "subresource": self.subresource,
        });
        if let Value::Object(members) = &mut json {
            members.retain(|_, member| member != "");
        }
        json
    }
}

impl Managers {
    /// The entries of an object; entries that make no sense are left out.
    pub fn of(object: &Value) -> Managers {
        let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array);
        Managers(entries.into_iter().flatten().filter_map(ManagedFieldsEntry::read).collect())
    }

    /// Whether the object asks for its entries to be forgotten: a list of one empty entry.
    pub fn are_reset(object: &Value) -> bool {
        let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array);
        entries.is_some_and(|entries| matches!(&entries[..], [only] if *only == json!({})))
    }

    /// Writes the entries into an object, those of apply first, then by age.
    pub fn put_into(mut self, object: &mut Value) {
        self.0.retain(|entry| !entry.fields.is_empty());
        self.cap();
        self.0.sort_by(|left, right| {
            let by = |entry: &ManagedFieldsEntry| (entry.operation, entry.time.clone(), entry.manager.clone());
            by(left).cmp(&by(right)).then_with(|| left.subresource.cmp(&right.subresource))
        });
        let entries: Vec<Value> = self.0.iter().map(ManagedFieldsEntry::write).collect();
        let Some(Value::Object(metadata)) = object.get_mut("metadata") else { return };
        if entries.is_empty() {
            metadata.remove("managedFields");
        } else {
            metadata.insert("managedFields".to_owned(), Value::Array(entries));
        }
    }

    /// The entry of a manager, made where there is none.
    pub fn entry(
        &mut self,
        manager: &str,
        operation: ManagerOperation,
        api_version: &str,
        subresource: &str,
    ) -> &mut ManagedFieldsEntry {
        let at = self.0.iter().position(|entry| {
            entry.is_of(manager, operation, subresource)
                && (operation == ManagerOperation::Apply || entry.api_version == api_version)
        });
        let at = at.unwrap_or_else(|| {
            self.0.push(ManagedFieldsEntry {
                manager: manager.to_owned(),
                operation,
                api_version: api_version.to_owned(),
                subresource: subresource.to_owned(),
                time: String::new(),
                fields: FieldSet::default(),
            });
            self.0.len() - 1
        });
        &mut self.0[at]
    }

    /// Puts the oldest entries of updates together where there are too many.
    fn cap(&mut self) {
        let is_update = |entry: &&ManagedFieldsEntry| entry.operation == ManagerOperation::Update;
        let count = self.0.iter().filter(is_update).count();
        if count <= UPDATE_ENTRIES_MAX {
            return;
        }
        self.0.sort_by(|left, right| (left.operation, &left.time).cmp(&(right.operation, &right.time)));
        let first = self.0.iter().filter(|entry| entry.operation == ManagerOperation::Apply).count();
        let old: Vec<ManagedFieldsEntry> = self.0.drain(first..=first + count - UPDATE_ENTRIES_MAX).collect();
        for old in old {
            let ancient = self.entry(ANCIENT, ManagerOperation::Update, &old.api_version, "");
            ancient.fields.join(&old.fields);
            ancient.time = ancient.time.clone().max(old.time);
        }
    }
}

/// A time as entries have it: without a fraction of a second.
pub fn seconds(now: Timestamp) -> String {
    Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}
