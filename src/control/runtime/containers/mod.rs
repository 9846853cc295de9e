//! Pods as real containers: for each pod a machine without I/O that says what is to be done and hears what was seen.
//!
//! ```text
//! Pod, Referenced ──→ lifecycle ──→ Command ──→ (the program carries it out on an engine)
//!                         ↑                                     │
//!                         ╰────────── Observation ←─────────────╯
//! ```

mod command;
mod container;
mod image;
mod observation;
mod pod;
mod probes;
mod referenced;
mod retry;
mod runtime;
pub mod spec;
mod termination;
mod turn;

pub use command::{Command, Credentials, Probe, ProbeKind};
pub use observation::{CommandError, ContainerFound, Listing, Observation, StartStep};
pub use referenced::{ClaimDirectory, KeyedData, NodeFacts, Referenced, ServiceVariables};
pub use runtime::Containers;
