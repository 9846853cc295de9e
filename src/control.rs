//! The control plane: one loop that owns everything that changes, and turns objects into names.

pub mod cluster;
pub mod controller;
pub mod explain;
pub mod records;
pub mod runtime;
pub mod state;
#[cfg(test)]
#[path = "../tests/support/control_plane.rs"]
mod testing;
