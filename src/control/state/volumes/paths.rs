//! Where the data of volumes are on the host, for containers that mount them.

use super::{DIRECTORY, DeclaredPath, HostRoot, host::PathKind};
use k8s_openapi::api::core::v1::PersistentVolume;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The directories of volumes by what their objects say.
#[derive(Debug, Clone)]
pub struct VolumePaths {
    state: PathBuf,
    root: Option<HostRoot>,
}

impl VolumePaths {
    /// Those of a state directory, and below a root those that are declared there.
    ///
    /// # Errors
    /// The working directory cannot be found out.
    pub fn new(state_directory: &Path, root: Option<HostRoot>) -> io::Result<VolumePaths> {
        Ok(VolumePaths { state: std::path::absolute(state_directory)?, root })
    }

    /// The directory of a volume. The disk is not looked at.
    pub fn directory(&self, volume: &PersistentVolume) -> PathBuf {
        let name = volume.metadata.name.as_deref().unwrap_or_default();
        let declared = self.root.as_ref().and_then(|root| root.place(volume).0.declared);
        match declared {
            Some(DeclaredPath { path, .. }) => PathBuf::from(path),
            None => self.state.join(DIRECTORY).join(name),
        }
    }

    /// Looks whether something may be mounted: it is there, and if it is named below the root of declared paths, no link
    /// leads out of it by now.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn look(&self, source: &Path) -> Result<(), String> {
        let shown = source.display();
        let metadata = fs::metadata(source).map_err(|error| format!("{shown}: {error}"))?;
        let (Some(root), true, Some(path)) = (&self.root, metadata.is_dir(), source.to_str()) else { return Ok(()) };
        match root.find(path, false, Some(&self.state)) {
            Ok(PathKind::Directory(_)) => Ok(()),
            Ok(PathKind::Missing(path)) => Err(format!("{} is not there", path.display())),
            // Not below the root at all: whoever wrote the pod names what it may see.
            Ok(PathKind::Refused(_)) if !root.is_above(path) => Ok(()),
            Ok(PathKind::Refused(reason)) => Err(format!("{shown} {reason}")),
            Err(error) => Err(format!("{shown}: {error}")),
        }
    }
}
