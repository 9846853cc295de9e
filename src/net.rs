//! Connections of clients, whatever is spoken over them.

pub mod accepting;
pub mod connections;
pub mod write_timeout;
