//! A declared directory, held open: what is done in it is done in that directory, whatever its path leads to by then.
//!
//! It is opened from the root on, one part of the path after the other and no link among them, and everything beneath is
//! named relative to what is open. If another process exchanges a directory for a link in between, the result is an
//! error and no more.

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, mkdirat, openat, statat, unlinkat},
    io::Errno,
};
use std::{
    fs::File,
    io,
    os::{fd::OwnedFd, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
};

/// An error about what was given, and not about the disk.
pub(super) fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// Deepest nesting of directories that are emptied: each level is held open.
const NESTING_MAX: usize = 200;

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::RDONLY);

/// The identity of a directory: the device and its number there.
type Identity = (u64, u64);

/// An open directory.
#[derive(Debug)]
pub(super) struct Opened {
    /// Where it was found; without links then.
    pub path: PathBuf,
    directory: OwnedFd,
}

impl Opened {
    /// A directory by its path; what is above it is trusted.
    pub fn root(path: &Path) -> io::Result<Opened> {
        let directory = rustix::fs::open(path, DIRECTORY, Mode::empty())?;
        Ok(Opened { path: path.to_owned(), directory })
    }

    /// What is in it under a name, if that is a directory and no link.
    pub fn enter(&self, name: &Path) -> io::Result<Opened> {
        let path = self.path.join(name);
        match openat(&self.directory, name, DIRECTORY, Mode::empty()) {
            Ok(directory) => Ok(Opened { path, directory }),
            Err(Errno::LOOP | Errno::NOTDIR) => {
                let message = format!("{} is no directory, or became a link; move it away", path.display());
                Err(invalid(&message))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a directory in it, if there is nothing of that name.
    pub fn make(&self, name: &Path) -> io::Result<()> {
        match mkdirat(&self.directory, name, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The identity of the directory.
    pub fn identity(&self) -> io::Result<Identity> {
        let found = fstat(&self.directory)?;
        Ok((found.st_dev as u64, found.st_ino as u64))
    }

    /// Opens an ordinary file in it that has this one name, to append to it; makes it if it is not there.
    pub fn append_to(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::APPEND | OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = File::from(openat(&self.directory, name, flags | OFlags::CLOEXEC, Mode::from_raw_mode(0o666))?);
        let metadata = file.metadata()?;
        match metadata.is_file() && metadata.nlink() == 1 {
            true => Ok(file),
            false => Err(invalid("this is no ordinary file of its own; move it away")),
        }
    }

    /// Removes everything in it.
    pub fn empty(&self) -> io::Result<()> {
        empty(&self.directory, NESTING_MAX)
    }
}

/// The identities of a directory and of all above it, as its path leads there.
pub(super) fn lineage(path: &Path) -> Vec<Identity> {
    let identity = |path: &Path| path.metadata().ok().map(|found| (found.dev(), found.ino()));
    path.ancestors().filter_map(identity).collect()
}

fn empty(directory: &OwnedFd, depth: usize) -> io::Result<()> {
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let is_directory = match entry.file_type() {
            FileType::Unknown => match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => continue,
                found => FileType::from_raw_mode(found?.st_mode) == FileType::Directory,
            },
            known => known == FileType::Directory,
        };
        if is_directory {
            let deeper = depth.checked_sub(1);
            let deeper = deeper.ok_or_else(|| invalid("directories are nested too deep here; empty it by hand"))?;
            // It may have become something else meanwhile: then this fails, and is tried again.
            empty(&openat(directory, name, DIRECTORY, Mode::empty())?, deeper)?;
        }
        match unlinkat(directory, name, if is_directory { AtFlags::REMOVEDIR } else { AtFlags::empty() }) {
            // Somebody else was faster.
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
