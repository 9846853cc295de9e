//! What there must be in the directory of a pod before its containers start.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// A file's name in the directory of a pod: what containers see as `/etc/hosts`.
pub const HOSTS: &str = "etc-hosts";
/// A file's name in the directory of a pod: what containers see as `/etc/resolv.conf`.
pub const RESOLV_CONF: &str = "resolv.conf";
/// The directory of the pod's own volumes, in its directory: `volumes/NAME`.
pub const VOLUMES: &str = "volumes";
/// The directory of what is of single containers, in the directory of a pod: `containers/NAME/ATTEMPT` takes the termination
/// message.
pub const CONTAINERS: &str = "containers";

/// The files of one pod. Names are those of its directory; nothing here leads out of it but what is a path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodFiles {
    /// Plain files. They are mounted themselves, so they are written in place.
    pub plain: BTreeMap<String, FileEntry>,
    /// Whether the host's own `/etc/hosts` stands between the first line of [`HOSTS`] and the rest (`hostNetwork`).
    pub with_hosts_of_node: bool,
    /// `emptyDir` volumes on disk, by the volume's name, with their mode.
    pub directories: BTreeMap<String, u32>,
    /// Volumes whose files change together, by the volume's name: `..data` points to the newest version.
    pub projected: BTreeMap<String, ProjectedVolume>,
    /// Places below volumes (`subPath`) that a container's mounts need when it starts.
    pub sub_paths: Vec<SubPath>,
    /// Directories whose files get a group (`fsGroup`).
    pub groups: Vec<GroupOwnership>,
    /// What is checked of `hostPath` volumes, and made where their type says so.
    pub host_paths: Vec<HostPath>,
    /// Events (reason and message) of the type `Warning` that are to be told about them.
    pub warnings: Vec<(&'static str, String)>,
}

/// One file.
#[derive(Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Its octets.
    pub content: Arc<[u8]>,
    /// Its mode.
    pub mode: u32,
}

impl FileEntry {
    /// A file with this content and mode.
    pub fn new(content: &[u8], mode: u32) -> FileEntry {
        FileEntry { content: content.into(), mode }
    }
}

/// The content may be a Secret's.
impl std::fmt::Debug for FileEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileEntry").field("octets", &self.content.len()).field("mode", &self.mode).finish()
    }
}

/// A volume made of ConfigMaps, Secrets, the pod's own fields and tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectedVolume {
    /// Files by their path below the volume.
    pub files: BTreeMap<String, FileEntry>,
    /// The group that owns them, if the pod has one.
    pub group: Option<i64>,
}

/// A place below a volume that is mounted by itself. It is made when the container starts that mounts it, since containers
/// before it may make it too, and must not lead out of the volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubPath {
    /// The container's name.
    pub container: String,
    /// The name of the volume.
    pub volume: String,
    /// The volume's directory.
    pub directory: PathBuf,
    /// The path below it.
    pub path: String,
}

/// A directory whose files get a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupOwnership {
    /// The name of the volume.
    pub volume: String,
    /// Its directory.
    pub directory: PathBuf,
    /// The group (`fsGroup`).
    pub group: i64,
    /// Whether nothing is done if the directory itself is right already (`OnRootMismatch`).
    pub only_if_root_differs: bool,
}

/// A `hostPath` volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPath {
    /// The name of the volume.
    pub volume: String,
    /// The path on the host.
    pub path: PathBuf,
    /// Its type: `Directory`, `FileOrCreate`, …; may be empty.
    pub kind: String,
}
