//! Tests in this process: names, objects, histories, the API, and the oracles that they are compared with.
#![expect(clippy::unwrap_used)]

mod deployment_names;
mod dname;
mod hostile_manifests;
mod names;
mod oracle;
mod scale;
mod statefulset_rules;
mod strategic_merge;
#[path = "../support/mod.rs"]
mod support;
mod traces;
mod upstream_statefulset;
mod upstream_volumes;
#[path = "../support/ways.rs"]
mod ways;
mod yaml_oracle;
mod zone_oracle;
