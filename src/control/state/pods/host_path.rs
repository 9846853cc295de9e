//! `hostPath` volumes of pods: what their type says is checked, and made where it says so.
//!
//! A pod sees whatever path of the host its manifest names, as on any node: who may write manifests decides that. The setting
//! `hostPathRoot` is about PersistentVolumes, whose data this program makes, empties and reports on. Here nothing is emptied
//! or removed, ever.

use crate::control::state::volumes::opened::invalid;
use std::{
    fs::{self, FileType, OpenOptions},
    io,
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

/// Checks a path against the type of the volume, and makes what the type lets be made. Links are followed: they are the
/// host's.
///
/// # Errors
/// It is something else, or not there, in kubelet's words; or the system says so.
pub fn prepare(path: &Path, kind: &str) -> io::Result<()> {
    let found = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        outcome => Some(outcome?.file_type()),
    };
    let is = |test: fn(&FileType) -> bool| found.as_ref().is_some_and(test);
    let (holds, what) = match (kind, found.is_some()) {
        // Engines of kubelets make a directory of what is missing.
        ("" | "DirectoryOrCreate", false) => return make_directory(path),
        ("", true) => return Ok(()),
        ("FileOrCreate", false) => return make_file(path),
        ("Directory" | "DirectoryOrCreate", _) => (is(FileType::is_dir), "directory"),
        ("File" | "FileOrCreate", _) => (is(FileType::is_file), "file"),
        ("Socket", _) => (is(FileType::is_socket), "socket file"),
        ("CharDevice", _) => (is(FileType::is_char_device), "character device"),
        ("BlockDevice", _) => (is(FileType::is_block_device), "block device"),
        (kind, _) => return Err(invalid(&format!("{kind} is an invalid volume type"))),
    };
    match holds {
        true => Ok(()),
        false => Err(invalid(&format!("hostPath type check failed: {} is not a {what}", path.display()))),
    }
}

fn make_directory(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

/// The directory above it must be there, as upstream.
fn make_file(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o644).open(path).map(drop)
}
