//! What manifests declare: merged into what is there, and withdrawn when no manifest declares it any more.

mod declare;
mod last_applied;

pub use last_applied::LastVersions;
