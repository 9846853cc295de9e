//! Containers on the engine of this machine, without Kubernetes: what a sandbox and a container are, and who makes them.

pub mod sandbox;
