//! A declared directory where the system cannot hold it open: it is named by its path each time.

use super::disk::{empty, open_unlinked};
use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

/// An error about what was given, and not about the disk.
pub(in crate::control::state) fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// The identity of a directory: its path, since there is nothing else here.
type Identity = PathBuf;

/// A directory.
#[derive(Debug)]
pub(in crate::control::state) struct Opened {
    /// Where it was found; without links then.
    pub path: PathBuf,
}

impl Opened {
    /// A directory by its path; what is above it is trusted.
    pub fn root(path: &Path) -> io::Result<Opened> {
        Ok(Opened { path: path.to_owned() })
    }

    /// What is in it under a name, if that is a directory and no link.
    pub fn enter(&self, name: &Path) -> io::Result<Opened> {
        let path = self.path.join(name);
        match fs::symlink_metadata(&path)?.is_dir() {
            true => Ok(Opened { path }),
            false => Err(invalid("it is no directory, or became a link; move it away")),
        }
    }

    /// Makes a directory in it, if there is nothing of that name.
    pub fn make(&self, name: &Path) -> io::Result<()> {
        match fs::create_dir(self.path.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            outcome => outcome,
        }
    }

    /// The identity of the directory.
    pub fn identity(&self) -> io::Result<Identity> {
        Ok(self.path.clone())
    }

    /// Opens an ordinary file in it, to append to it; makes it if it is not there.
    pub fn append_to(&self, name: &str) -> io::Result<File> {
        open_unlinked(OpenOptions::new().append(true).create(true), &self.path.join(name))
    }

    /// Removes everything in it.
    pub fn empty(&self) -> io::Result<()> {
        empty(&self.path)
    }
}

/// The identities of a directory and of all above it.
pub(in crate::control::state) fn lineage(path: &Path) -> Vec<Identity> {
    path.ancestors().map(Path::to_owned).collect()
}
