//! The directories of pods where the system is not like Unix: there are none, since no engine mounts them.

use crate::{control::runtime::containers::spec::PodFiles, engine::sandbox::ContainerSpec};
use std::path::Path;

const REFUSED: &str = "pods as containers need a system like Unix; set runtime: simulated";

/// The directories of all pods.
#[derive(Debug)]
pub struct PodDirectories;

impl PodDirectories {
    /// None.
    pub fn new(_: &Path) -> PodDirectories {
        PodDirectories
    }

    /// Refused.
    ///
    /// # Errors
    /// Always.
    pub fn write(&self, _: &str, _: &PodFiles) -> Result<(), String> {
        Err(REFUSED.to_owned())
    }

    /// Refused.
    ///
    /// # Errors
    /// Always.
    pub fn before_start(&self, _: &ContainerSpec) -> Result<(), String> {
        Err(REFUSED.to_owned())
    }

    /// There is nothing to remove.
    ///
    /// # Errors
    /// None.
    pub fn remove(&self, _: &str) -> Result<(), String> {
        Ok(())
    }

    /// There is none.
    pub fn message(&self, _: &Path) -> Option<String> {
        None
    }
}
