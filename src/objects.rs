//! Kubernetes objects and the files that declare them, without a cluster.

pub mod manifest;
pub mod object;
pub mod patch;
