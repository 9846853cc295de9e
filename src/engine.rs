//! Containers on the engine of this machine, without Kubernetes: what a sandbox and a container are, and who makes them.

pub mod docker_api;
pub mod sandbox;
pub mod sandbox_image;
pub mod unix_http;
