//! The setting `hostPathRoot`: which declared paths (`spec.hostPath`, `spec.local`) are directories that may be used.
//!
//! A path has to be at or below the root twice: as it is written, which the [`Tracker`](super::Tracker) decides without a
//! look at the disk, and again, with all links followed, each time something is done in it.

use super::{
    VolumeDirectory,
    opened::{Opened, lineage},
};
use k8s_openapi::api::core::v1::PersistentVolume;
use std::{
    fmt, fs, io,
    path::{Component, Path, PathBuf},
};

/// The directory that declared paths have to be at or below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRoot(PathBuf);

/// A declared path that is not used; volumes/NAME in the state directory takes its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback {
    /// The volume's name.
    pub volume: String,
    /// The path as it is declared.
    pub path: String,
    /// Why it is not used, and which setting would have to change.
    pub reason: String,
}

impl fmt::Display for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fallback { volume, path, reason } = self;
        write!(
            f,
            "volume {volume}: path {path} {reason}; it is left alone, and volumes/{volume} in the state directory (if \
             there is one) takes its place"
        )
    }
}

/// What a declared path turned out to be.
pub(super) enum PathKind {
    /// A directory below the root.
    Directory(Opened),
    /// It is not there, and its type does not let it be made.
    Missing(PathBuf),
    /// It must not be used, and why.
    Refused(String),
}

impl HostRoot {
    /// The root as the settings name it, seen from the working directory.
    ///
    /// # Errors
    /// The path is empty, or the working directory has gone.
    pub fn new(path: &Path) -> io::Result<HostRoot> {
        Ok(HostRoot(normal(&std::path::absolute(path)?)))
    }

    /// The place of a volume: its declared path, if that is written as at or below the root and may be a directory.
    /// Otherwise its own directory, and, if it has declared a path, why.
    pub(super) fn place(&self, volume: &PersistentVolume) -> (VolumeDirectory, Option<Fallback>) {
        let name = volume.metadata.name.as_deref().unwrap_or_default();
        let own = VolumeDirectory::from(name);
        let spec = volume.spec.as_ref();
        let host_path = spec.and_then(|spec| spec.host_path.as_ref());
        let local = spec.and_then(|spec| spec.local.as_ref());
        let (path, kind) = match (host_path, local) {
            (Some(source), _) => (source.path.as_str(), source.type_.as_deref().unwrap_or_default()),
            // Upstream never makes the directory of a local volume.
            (None, Some(source)) => (source.path.as_str(), "Directory"),
            (None, None) => return (own, None),
        };
        let reason = if self.beneath(path).is_none() {
            self.outside()
        } else {
            match kind {
                "" | "DirectoryOrCreate" => return (own.at(path, true), None),
                "Directory" => return (own.at(path, false), None),
                kind => format!("is declared as {kind}, and below hostPathRoot only directories are used"),
            }
        };
        (own, Some(Fallback { volume: name.to_owned(), path: path.to_owned(), reason }))
    }

    /// Looks a declared path up and opens it; makes what is missing of it if `make` says so. Nothing outside the root, and
    /// nothing in the state directory, is touched.
    ///
    /// Links are followed first, in a look at where the path leads. What it leads to is then opened part by part with no
    /// link among them, so that nothing that is exchanged meanwhile leads elsewhere.
    pub(super) fn find(&self, path: &str, make: bool, state: Option<&Path>) -> io::Result<PathKind> {
        let Some(beneath) = self.beneath(path) else { return Ok(PathKind::Refused(self.outside())) };
        if make {
            fs::create_dir_all(&self.0)?;
        }
        let root = match fs::canonicalize(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(PathKind::Missing(self.0.clone())),
            outcome => outcome?,
        };
        let state = state.map(true_path).transpose()?;
        let is_state = |path: &Path| state.as_ref().is_some_and(|state| path.starts_with(state));
        let mut found = root.clone();
        let mut parts = beneath.components();
        let mut missing = Vec::new();
        while let Some(part) = parts.next() {
            let next = found.join(part);
            if is_state(&next) {
                return Ok(PathKind::Refused(self.is_the_state()));
            }
            let metadata = match fs::symlink_metadata(&next) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && !make => return Ok(PathKind::Missing(next)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    missing = [part].into_iter().chain(parts).map(|part| PathBuf::from(part.as_os_str())).collect();
                    break;
                }
                outcome => outcome?,
            };
            found = match metadata.is_symlink() {
                false => next,
                true => match fs::canonicalize(&next) {
                    Ok(target) if target.starts_with(&root) => target,
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    // What a link names that leads nowhere yet may be anywhere tomorrow.
                    _ => return Ok(PathKind::Refused(self.led_out(&next))),
                },
            };
            if !found.is_dir() {
                let message = format!("{} is no directory; move it away", found.display());
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
        }
        let whole = missing.iter().fold(found.clone(), |path, part| path.join(part));
        if is_state(&whole) || state.as_ref().is_some_and(|state| state.starts_with(&whole)) {
            return Ok(PathKind::Refused(self.is_the_state()));
        }
        let lineage = state.as_deref().map(lineage).unwrap_or_default();
        let mut opened = Opened::root(&root)?;
        for part in found.strip_prefix(&root).unwrap_or(Path::new("")).components() {
            opened = opened.enter(part.as_os_str().as_ref())?;
            // Whatever it is called by now.
            if lineage.first() == Some(&opened.identity()?) {
                return Ok(PathKind::Refused(self.is_the_state()));
            }
        }
        for part in &missing {
            opened.make(part)?;
            opened = opened.enter(part)?;
        }
        if lineage.contains(&opened.identity()?) {
            return Ok(PathKind::Refused(self.is_the_state()));
        }
        Ok(PathKind::Directory(opened))
    }

    /// Whether an absolute path is at or below the root, as it is written.
    pub(super) fn is_above(&self, path: &str) -> bool {
        self.beneath(path).is_some()
    }

    /// What of an absolute path is below the root, as it is written.
    fn beneath(&self, path: &str) -> Option<PathBuf> {
        let path = Path::new(path);
        path.has_root().then(|| normal(path))?.strip_prefix(&self.0).ok().map(Path::to_owned)
    }

    fn outside(&self) -> String {
        format!("is outside of hostPathRoot {}", self.0.display())
    }

    fn led_out(&self, link: &Path) -> String {
        format!("is led out of hostPathRoot {} (or to nothing) by the link {}", self.0.display(), link.display())
    }

    fn is_the_state(&self) -> String {
        format!("below hostPathRoot {} holds, or is part of, the state directory", self.0.display())
    }
}

/// Without `.` and `..`, as it is written; links are not looked at.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            // Above the root is the root.
            Component::ParentDir => drop(out.pop()),
            part => out.push(part),
        }
    }
    out
}

/// A directory with all links followed; one that is not there yet, as far as it is.
fn true_path(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    for there in path.ancestors() {
        match fs::canonicalize(there) {
            Ok(found) => return Ok(path.strip_prefix(there).map_or(found.clone(), |rest| found.join(rest))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(path)
}

#[cfg(all(test, unix))]
mod tests;
