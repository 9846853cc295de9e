//! The Kubernetes API over the embedded control plane, for the real, unmodified kubectl and every client library.
//!
//! ```text
//! request ─→ guard ─→ path, query, negotiate ─→ read:  handle ─→ select ─→ table / partial ─→ reply
//!                                             ╰→ watch: log ────→ select ─→ table / partial ─→ stream
//!                                             ╰→ write: body ─→ patch / apply / strict ─→ object ─→ handle ─→ reply
//! ```
//!
//! There is one store, the controller's: reads are taken from it between two turns, writes are carried out in it, and
//! watches follow the log of its changes. Nothing here remembers an object.
//!
//! Requests and replies are `serde_json::Value`s; objects are stored typed. A body is decoded, given its defaults and
//! validated by the functions that manifests go through ([`object`](crate::object)).
//!
//! What is pure stands in modules of its own, which know neither HTTP nor the store:
//!
//! ```text
//! table          columns(kind: &str) -> Vec<Value>                                   columnDefinitions
//!                cells(kind: &str, object: &Value, now: Timestamp) -> Vec<Value>     one row; the shell makes the Table
//!                partial(object: &Value) -> Value                                    PartialObjectMetadata
//! select         Labels::parse(&str) -> Result<Labels, String>                       the error is the 400's message
//!                Labels::matches(&self, Option<&BTreeMap<String, String>>) -> bool
//!                Fields::parse(kind: &str, &str) -> Result<Fields, String>
//!                Fields::matches(&self, object: &Value) -> bool
//!                Fields::name(&self) -> Option<&str>                                 where metadata.name= decides
//! endpoints      derive(&Service, slices: &[&EndpointSlice]) -> Value                the v1 Endpoints of a Service
//! openapi        index() -> &Value, document("api/v1") -> Option<Document { hash, json }>, V2: &[u8]
//!   ::strict     unknown_fields(kind: &str, body: &Value) -> Vec<String>             unknown field "spec.serviceNam"
//!   ::schema     Schema::of(kind: &str) -> Option<&'static Schema>                   structure, list types, merge keys
//! patch          patch(Type::{Json, Merge, Strategic}, kind, original: &Value, patch: &Value)
//!                  -> Result<Value, PatchError::{Malformed, Unprocessable}(String)>  400, 422
//! apply          apply(kind, live: Option<&Value>, applied: &Value, manager, force: bool, now)
//!                  -> Result<Value, ApplyError::{Conflicts(Vec<Conflict { manager, field }>), Malformed(String)}>
//!                track(kind, before: Option<&Value>, after: &mut Value, manager, subresource: Option<&str>, now)
//! protobuf       decode(body: &[u8]) -> Result<Value, String>                        Namespace and Service
//! ```
//!
//! `kind` is the name of the kind (`StatefulSet`); kinds served are those of [`resource::RESOURCES`].

pub mod apply;
pub mod endpoints;
pub mod openapi;
pub mod patch;
pub mod resource;
pub mod select;
pub mod table;
