//! What was seen of the engine, the file system and the network.

use super::command::ProbeKind;
use crate::engine::sandbox::{ContainerDetails, ContainerId, EngineError, ImageDetails};

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandError {
    /// The engine said so, or could not be asked.
    Engine(EngineError),
    /// The file system said so.
    Files(String),
}

/// A container or sandbox of this instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerFound {
    /// The pod's uid, by its label.
    pub uid: String,
    /// The container's name, by its label.
    pub container: String,
    /// The attempt, by its label.
    pub attempt: u32,
    /// The hash of what it was made from, by its label.
    pub spec_hash: String,
    /// Everything else.
    pub details: ContainerDetails,
}

/// Everything of this instance that an engine has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Containers and sandboxes. What is not here did not exist when the list was made.
    pub containers: Vec<ContainerFound>,
}

/// What was seen. A result of a command names what the command named.
#[derive(Debug, Clone, PartialEq)]
pub enum Observation {
    /// Everything there is; `begun` is the count of commands that had been taken when the list was asked for, so that what
    /// was made since is not taken for gone.
    Listed {
        /// What there is.
        listing: Listing,
        /// Commands that [`Containers::take_commands`](super) had given out by then.
        begun: u64,
    },
    /// The engine does not answer; nothing is known about what was commanded.
    EngineGone(String),
    /// The engine answers (again); a list follows.
    EngineBack,
    /// Result of `InspectImage` and `PullImage`; `None` if it is not there.
    Image {
        /// The pod's uid.
        uid: String,
        /// The container's name.
        container: String,
        /// Whether it was pulled now.
        pulled: bool,
        /// What is known of it.
        result: Result<Option<ImageDetails>, CommandError>,
    },
    /// Result of `StartSandbox`; the id is known even if starting it failed.
    SandboxStarted {
        /// The pod's uid.
        uid: String,
        /// The attempt.
        attempt: u32,
        /// What was made.
        id: Option<ContainerId>,
        /// What became of it.
        result: Result<ContainerDetails, CommandError>,
    },
    /// Result of `WriteFiles`.
    FilesWritten {
        /// The pod's uid.
        uid: String,
        /// What became of it.
        result: Result<(), CommandError>,
    },
    /// Result of `RemoveFiles`.
    FilesRemoved {
        /// The pod's uid.
        uid: String,
        /// What became of it.
        result: Result<(), CommandError>,
    },
    /// Result of `StartContainer`; the id is known even if starting it failed.
    ContainerStarted {
        /// The pod's uid.
        uid: String,
        /// The container's name.
        container: String,
        /// The attempt.
        attempt: u32,
        /// What was made.
        id: Option<ContainerId>,
        /// What became of it: `create` says whether the engine refused to make it or to start it.
        result: Result<ContainerDetails, (StartStep, CommandError)>,
    },
    /// Result of `Inspect`; `None` if it does not exist.
    Inspected {
        /// The pod's uid.
        uid: String,
        /// Which.
        id: ContainerId,
        /// What was seen, and its termination message if that was asked for.
        result: Result<Option<(ContainerDetails, Option<String>)>, CommandError>,
    },
    /// Result of `Kill`.
    Killed {
        /// The pod's uid.
        uid: String,
        /// Which.
        id: ContainerId,
        /// What became of it.
        result: Result<(), CommandError>,
    },
    /// Result of `Remove`: it is known not to exist any more.
    Removed {
        /// The pod's uid.
        uid: String,
        /// Which.
        id: ContainerId,
        /// What became of it.
        result: Result<(), CommandError>,
    },
    /// Result of `Probe`: what was seen, in words for the event if it failed.
    Probed {
        /// The pod's uid.
        uid: String,
        /// The container's name.
        container: String,
        /// The container's attempt.
        attempt: u32,
        /// Which probe or hook.
        kind: ProbeKind,
        /// `Err` has kubelet's words.
        result: Result<(), String>,
    },
    /// Something happened to a container: a hint to look.
    Hint {
        /// Which.
        id: ContainerId,
    },
}

/// Which step of starting a container failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartStep {
    /// Making it.
    Create,
    /// Starting it.
    Start,
}
