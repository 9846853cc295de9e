//! From a pod and what it refers to, to what is made on the engine and in the file system.

mod files;

pub use files::{FileEntry, PodFiles, ProjectedVolume};

/// Why something of a pod cannot be made, in kubelet's words: `CreateContainerConfigError`, `FailedMount`, ….
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecError {
    /// The reason.
    pub reason: &'static str,
    /// The message.
    pub message: String,
}
