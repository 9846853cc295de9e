//! Authoritative DNS for stateful pods: manifests in, names out.
//!
//! Two flows, each in one direction:
//!
//! ```text
//! one query:   serve ─→ answer ─→ zone ─→ wire ─→ name
//! one change:  manifest ─→ controller (cluster, runtime) ─→ records ─→ zone::Delta ─→ zone::Publisher
//! ```
//!
//! The data plane (`name`, `wire`, `zone`, `answer`, `forward`, `serve`) never sees Kubernetes, and the control plane never sees
//! packets; `records` is the one place where an object becomes a name. `docs/architecture.md` walks through both.

#![warn(missing_docs)]

// What tests share names this crate from outside.
#[cfg(test)]
extern crate self as headless_dns;

// Data plane.
pub mod answer;
pub mod forward;
pub mod name;
pub mod serve;
pub mod wire;
pub mod zone;

// From text to objects, and to people.
pub mod diagnostic;
pub mod escape;
pub mod manifest;
pub mod object;
pub mod options;
pub mod patch;
pub mod regular_file;
pub mod text;
pub mod yaml;

// Control plane.
pub mod cluster;
pub mod controller;
pub mod explain;
pub mod records;
pub mod runtime;
pub mod state;

// The program around them.
pub mod accepting;
pub mod api;
pub mod app;
pub mod certificate;
pub mod cli;
pub mod connections;
pub mod demo;
pub mod exit;
pub mod http;
pub mod metrics;
pub mod settings;
pub mod telemetry;
pub mod write_timeout;
