//! Authoritative DNS for stateful pods: manifests in, names out.
//!
//! Eight wings, each a layer; imports go along the arrows only:
//!
//! ```text
//! text ──→ dns ──────╮
//!   │       ↑ net ───┼─→ control ──→ web ──→ program
//!   ├────→ objects ──┤
//!   ╰────→ engine ───╯
//! ```
//!
//! Two flows, each in one direction:
//!
//! ```text
//! one query:   serve ─→ answer ─→ zone ─→ wire ─→ name
//! one change:  manifest ─→ controller (cluster, runtime) ─→ records ─→ zone::Delta ─→ zone::Publisher
//! ```
//!
//! `dns` never sees Kubernetes, and `control` never sees packets; `control::records` is the one place where an object
//! becomes a name. `docs/architecture.md` walks through both.

#![warn(missing_docs)]
// Tests are tables of rows, which may be longer.
#![cfg_attr(not(test), warn(clippy::too_many_lines))]

// What tests share names this crate from outside.
#[cfg(test)]
extern crate self as headless_dns;

pub mod control;
pub mod dns;
pub mod engine;
pub mod net;
pub mod objects;
pub mod program;
pub mod text;
pub mod web;
