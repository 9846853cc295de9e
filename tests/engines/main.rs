//! What is asked of a container engine, asked of Docker and of Podman, both as they are in Debian.
#![expect(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod calls;
mod containers;
mod demo;
mod fixture;
mod harness;
mod machine_image;
mod pod_contents;
mod refusals;
mod tutorial;
