//! The directories of pods that are containers: what `PodFiles` says is carried out below `PODS/UID/`.
//!
//! ```text
//! pods/UID/etc-hosts, resolv.conf        mounted themselves, so written in place
//! pods/UID/volumes/NAME/                 emptyDir; or ConfigMaps, Secrets, …: a link for each key, ..data, ..2026_12_01_…
//! pods/UID/containers/NAME/ATTEMPT       the termination message of an attempt
//! pods/UID/groups/NAME                   the volume's files have got the pod's group (fsGroup)
//! ```
//!
//! Everything is below a directory that only this program's user can enter, so that values of Secrets are open to the
//! containers that mount them and to nobody else. Containers write in their volumes: no link that lies there is followed out
//! of the volume, nothing that is mounted there is unmounted or emptied, no pipe is waited for.
//!
//! # Crashes
//!
//! A directory gets its name when it is complete, the files of a volume change together by one rename, and what is removed is
//! renamed first. What an earlier run left half-made has a name that nothing else has; it is removed by the next write, or at
//! the first use after a start.

#[cfg(unix)]
mod directory;
#[cfg(unix)]
mod disk;
#[cfg(not(unix))]
#[path = "pods/elsewhere.rs"]
mod disk;
#[cfg(unix)]
mod group;
#[cfg(unix)]
mod host_path;
#[cfg(unix)]
mod projected;
#[cfg(unix)]
mod sub_path;

#[cfg(all(test, unix))]
mod tests;

pub use disk::PodDirectories;

use std::{io, path::PathBuf};

/// The longest termination message, in octets: kubelet's limit.
pub const MESSAGE_OCTETS_MAX: u64 = 4096;

/// Why the files of a pod are not as they should be. Values are never part of it.
#[derive(Debug, thiserror::Error)]
pub enum PodFilesError {
    /// A volume, in kubelet's words.
    #[error("MountVolume.SetUp failed for volume \"{volume}\" : {message}")]
    Volume {
        /// The volume's name.
        volume: String,
        /// What is wrong.
        message: String,
    },
    /// A place below a volume, in kubelet's words.
    #[error("failed to prepare subPath for volumeMount \"{volume}\" of container \"{container}\": {message}")]
    SubPath {
        /// The volume's name.
        volume: String,
        /// The container's name.
        container: String,
        /// What is wrong.
        message: String,
    },
    /// Something of the pod's own.
    #[error("{path}: {source}")]
    Own {
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}
