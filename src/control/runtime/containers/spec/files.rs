//! What there must be in the directory of a pod before its containers start.

use std::collections::BTreeMap;

/// The files of one pod, relative to its directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodFiles {
    /// Plain files, replaced by a rename (`etc-hosts` in place, since it is mounted itself).
    pub plain: BTreeMap<String, FileEntry>,
    /// Directories of `emptyDir` volumes on disk, with their mode.
    pub directories: BTreeMap<String, u32>,
    /// Volumes whose files change together: `..data` points to the newest version.
    pub projected: BTreeMap<String, ProjectedVolume>,
    /// Directories made below volumes for `subPath`: of each the volume's directory, the path below it that must not leave it, and
    /// the mode.
    pub sub_paths: Vec<(std::path::PathBuf, String, u32)>,
    /// Directories whose files get this group (`fsGroup`), and whether only if the root's differs.
    pub groups: Vec<(std::path::PathBuf, i64, bool)>,
    /// `hostPath` volumes: the path and its type.
    pub host_paths: Vec<(std::path::PathBuf, String)>,
}

/// One file.
#[derive(Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Its octets.
    pub content: Vec<u8>,
    /// Its mode.
    pub mode: u32,
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
