//! A fast authoritative server: one query to one reply. Nothing here knows Kubernetes or settings files.

pub mod answer;
pub mod forward;
pub mod name;
pub mod serve;
pub mod wire;
pub mod zone;
