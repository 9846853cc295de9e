//! The whole server in one value: sockets, control loop, watchers; what `serve` and `demo` and the tests start.
//!
//! ```text
//! manifest::watch ──hint──→ scan thread ──events──→ control thread ──snapshot──→ serve threads
//!                           (owns Manifests)        (owns Controller, Publisher)
//!                                                              │ changes, replies due
//!                                                              ╰──→ journal thread
//!                                                                   (owns state store, volumes)
//! ```
//!
//! Each arrow is a bounded channel, but for the atomic swap of the snapshot and for the journal's, where what waits is
//! put together by object (`journal.rs`); nothing else that is mutable is shared.

mod advice;
mod clock;
mod control;
mod cookies;
mod descriptors;
mod dns_programming;
mod dry_run;
mod engine_driver;
mod handle;
mod messages;
mod observe;
mod pod_runtime;
mod reload;
mod scan;
mod server;
mod signals;
mod start;
mod start_error;
mod store_writer;
mod thread;
mod token;
mod zones;

pub use dry_run::DryRun;
pub use engine_driver::{DownError, RemovedFromEngine, down};
pub use handle::{Control, SendError};
pub use messages::Ended;
pub use server::Server;
pub use signals::Signals;
pub use start_error::StartError;
pub use token::read_token;

use crate::{
    control::{
        controller::ControllerSettings,
        explain::ServerFacts,
        runtime::simulated::{Simulated, SimulationSettings},
    },
    dns::zone::JournalLimits,
    program::settings::{Settings, UndeclaredStorageClasses},
};

fn controller_settings(settings: &Settings) -> ControllerSettings {
    ControllerSettings {
        service_cidrs: settings.service_cidrs.clone(),
        records: zones::record_settings(settings),
        built_in_class: settings.default_storage_class,
        provision_undeclared: settings.undeclared_storage_classes == UndeclaredStorageClasses::Provision,
        max_unavailable: settings.max_unavailable_stateful_set,
        seed: fastrand::u64(..),
    }
}

fn surroundings(settings: &Settings) -> ServerFacts {
    ServerFacts { domains: settings.cluster_domains().cloned().collect(), forwarding: settings.forward.is_on() }
}

/// What zones remember of their changes; nothing where no client may ask for it.
fn journals(settings: &Settings) -> JournalLimits {
    let transfer = &settings.transfer;
    match transfer.to.is_empty() {
        true => JournalLimits::default(),
        false => JournalLimits { changes: transfer.journal.changes, octets: transfer.journal.octets },
    }
}

fn simulated(settings: &Settings) -> Simulated {
    Simulated::new(SimulationSettings { pod_cidrs: settings.pod_cidrs.clone(), delays: settings.simulation.clone() })
}
