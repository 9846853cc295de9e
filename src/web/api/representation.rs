//! Objects and lists in the form that a client asked for.

use super::{json_cache, negotiate::MediaForm, resource::Resource, table};
use crate::objects::object::CustomVersion;
use data_encoding::BASE64;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

/// What a Table's row includes of its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Include {
    Metadata,
    Object,
    Nothing,
}

/// The form of one reply.
#[derive(Debug, Clone)]
pub struct Representation {
    form: MediaForm,
    include: Include,
    resource: Arc<Resource>,
    /// The kind of the objects; beneath an object it may be another one than the resource's.
    kind: &'static str,
    now: Timestamp,
}

/// The metadata of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListMetadata {
    /// The version of the list.
    pub resource_version: u64,
    /// Where the next page begins; empty for nowhere.
    pub continue_from: String,
    /// How many are on further pages, if that is known.
    pub remaining: Option<usize>,
}

impl ListMetadata {
    fn to_json(&self) -> Value {
        let mut metadata = json!({"resourceVersion": self.resource_version.to_string()});
        if !self.continue_from.is_empty() {
            metadata["continue"] = self.continue_from.as_str().into();
            if let Some(remaining) = self.remaining {
                metadata["remainingItemCount"] = remaining.into();
            }
        }
        metadata
    }
}

/// Which forms objects are offered in.
pub fn offered(form: MediaForm) -> bool {
    form != MediaForm::Aggregated
}

impl Representation {
    /// Objects of `resource` in this form; `include_object` is the parameter of that name.
    pub fn new(form: MediaForm, include_object: &str, resource: &Arc<Resource>, now: Timestamp) -> Representation {
        let include = match include_object {
            "Object" => Include::Object,
            "None" => Include::Nothing,
            _ => Include::Metadata,
        };
        Representation { form, include, resource: Arc::clone(resource), kind: resource.kind, now }
    }

    /// The representation of a Scale of the resource.
    pub fn of_scale(self) -> Representation {
        Representation { kind: "Scale", ..self }
    }

    /// An empty list, in the base64 that clients of 1.33 take theirs from once the initial events are sent.
    pub fn blueprint(&self) -> String {
        let (kind, version) = (format!("{}List", self.resource.kind), self.resource.api_version());
        let list = json!({"kind": kind, "apiVersion": version, "metadata": {"resourceVersion": ""}, "items": []});
        BASE64.encode(list.to_string().as_bytes())
    }

    /// A stored object in the version of the resource. A Scale is in its own already.
    fn served(&self, object: Value) -> Value {
        if self.kind == self.resource.kind { self.resource.served(object) } else { object }
    }

    /// One object.
    pub fn object(&self, object: Value) -> Value {
        match self.form {
            MediaForm::Table(version) => {
                let metadata = version_of(&object);
                self.table(version, &json!({"resourceVersion": metadata}), Some(&object), true)
            }
            MediaForm::Partial => table::partial(&object),
            MediaForm::Plain | MediaForm::Aggregated => self.served(object),
        }
    }

    /// One object of a stream; only the first needs the columns.
    pub fn event(&self, object: Value, first: bool) -> Value {
        match self.form {
            MediaForm::Table(version) => {
                let metadata = version_of(&object);
                self.table(version, &json!({"resourceVersion": metadata}), Some(&object), first)
            }
            _ => self.object(object),
        }
    }

    /// Which text of an object is in its event, shared by all who watch: between [`Representation::begin`] and
    /// [`Representation::end`].
    /// `None` where none does.
    pub fn shared(&self) -> Option<json_cache::TextForm> {
        if self.resource.other_version.is_some() || self.custom().is_some() {
            return None;
        }
        match (self.form, self.include) {
            (MediaForm::Plain | MediaForm::Aggregated, _) | (MediaForm::Table(_), Include::Object) => {
                Some(json_cache::TextForm::Whole)
            }
            (MediaForm::Partial, _) | (MediaForm::Table(_), Include::Metadata) => Some(json_cache::TextForm::Partial),
            (MediaForm::Table(_), Include::Nothing) => None,
        }
    }

    /// What precedes the shared text; `object` is called where that describes it.
    pub fn begin(&self, first: bool, object: impl FnOnce() -> Arc<Value>) -> String {
        let MediaForm::Table(version) = self.form else { return String::new() };
        let object = object();
        let columns = Value::Array(if first { self.columns() } else { Vec::new() });
        let cells = Value::Array(self.cells(&object));
        let metadata = json!({"resourceVersion": version_of(&object)});
        format!(
            "{{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/{version}\",\"metadata\":{metadata},\
             \"columnDefinitions\":{columns},\"rows\":[{{\"cells\":{cells},\"object\":"
        )
    }

    /// What follows the shared text.
    pub fn end(&self) -> &'static str {
        if matches!(self.form, MediaForm::Table(_)) { "}]}" } else { "" }
    }

    /// The object of a BOOKMARK: a version, and what annotations say of it.
    pub fn bookmark(&self, resource_version: u64, annotations: Option<Value>) -> Value {
        let mut metadata = json!({"resourceVersion": resource_version.to_string(), "creationTimestamp": null});
        if let Some(annotations) = annotations {
            metadata["annotations"] = annotations;
        }
        match self.form {
            MediaForm::Table(version) => {
                let object = json!({"kind": self.resource.kind, "apiVersion": self.resource.api_version(),
                    "metadata": metadata});
                let version_only = json!({"resourceVersion": resource_version.to_string()});
                let mut table = self.table(version, &version_only, None, false);
                // The row carries the annotations, as upstream's does.
                if object["metadata"].get("annotations").is_some() {
                    table["rows"] = json!([{"cells": [], "object": table::partial(&object)}]);
                }
                table
            }
            MediaForm::Partial => {
                json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
            }
            _ => json!({
                "kind": self.resource.kind,
                "apiVersion": self.resource.api_version(),
                "metadata": metadata,
            }),
        }
    }

    /// What a list begins with; its items follow, separated by commas, and then [`Representation::LIST_END`].
    pub fn list_head(&self, metadata: &ListMetadata) -> String {
        let (kind, api_version, items) = match self.form {
            MediaForm::Table(version) => ("Table".to_owned(), format!("meta.k8s.io/{version}"), "rows"),
            MediaForm::Partial => ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned(), "items"),
            _ => (format!("{}List", self.resource.kind), self.resource.api_version(), "items"),
        };
        let columns = match self.form {
            MediaForm::Table(_) => {
                format!("\"columnDefinitions\":{},", Value::Array(self.columns()))
            }
            _ => String::new(),
        };
        format!(
            "{{\"kind\":\"{kind}\",\"apiVersion\":\"{api_version}\",\"metadata\":{},{columns}\"{items}\":[",
            metadata.to_json()
        )
    }

    /// What a list ends with.
    pub const LIST_END: &'static str = "]}\n";

    /// One item of a list.
    pub fn item(&self, object: Value) -> Value {
        match self.form {
            MediaForm::Table(_) => self.row(&object),
            MediaForm::Partial => table::partial(&object),
            _ => self.served(object),
        }
    }

    /// The version of a definition that the objects are of, if one defines them.
    fn custom(&self) -> Option<&CustomVersion> {
        let custom = self.resource.custom.as_ref().filter(|_| self.kind == self.resource.kind)?;
        custom.definition.versions.get(custom.version)
    }

    fn columns(&self) -> Vec<Value> {
        self.custom().map_or_else(|| table::columns(self.kind), table::custom::columns)
    }

    fn cells(&self, object: &Value) -> Vec<Value> {
        match self.custom() {
            Some(version) => table::custom::cells(version, object, self.now),
            None => table::cells(self.kind, object, self.now),
        }
    }

    fn row(&self, object: &Value) -> Value {
        let cells = self.cells(object);
        match self.include {
            Include::Metadata => json!({"cells": cells, "object": table::partial(object)}),
            Include::Object => json!({"cells": cells, "object": self.served(object.clone())}),
            Include::Nothing => json!({"cells": cells}),
        }
    }

    fn table(&self, version: &str, metadata: &Value, object: Option<&Value>, with_columns: bool) -> Value {
        let columns = if with_columns { self.columns() } else { Vec::new() };
        let rows: Vec<Value> = object.into_iter().map(|object| self.row(object)).collect();
        json!({
            "kind": "Table",
            "apiVersion": format!("meta.k8s.io/{version}"),
            "metadata": metadata,
            "columnDefinitions": columns,
            "rows": rows,
        })
    }
}

fn version_of(object: &Value) -> Value {
    object.pointer("/metadata/resourceVersion").cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::api::resource::find;

    #[test]
    fn a_shared_text_stands_in_the_same_event() {
        let object = json!({"kind": "Service", "apiVersion": "v1", "metadata": {"name": "a", "resourceVersion": "7"},
            "spec": {"ports": [{"port": 80}], "clusterIP": "None"}});
        let resource = find("", "v1", "services").unwrap();
        for form in [MediaForm::Plain, MediaForm::Partial, MediaForm::Table("v1")] {
            for include in ["Object", "Metadata", "None"] {
                for first in [false, true] {
                    let shape = Representation::new(form, include, &resource, Timestamp::UNIX_EPOCH);
                    let expected = shape.event(object.clone(), first);
                    let shared = match shape.shared() {
                        Some(json_cache::TextForm::Whole) => object.clone(),
                        Some(json_cache::TextForm::Partial) => table::partial(&object),
                        None => {
                            assert_eq!(include, "None");
                            continue;
                        }
                    };
                    let (begin, end) = (shape.begin(first, || Arc::new(object.clone())), shape.end());
                    assert_eq!(format!("{begin}{shared}{end}"), expected.to_string());
                }
            }
        }
    }
}
