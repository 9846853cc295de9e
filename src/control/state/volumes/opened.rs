//! A directory, held open: what is done in it is done in that directory, whatever its path leads to by then.
//!
//! It is opened from the root on, one part of the path after the other and no link among them, and everything beneath is
//! named relative to what is open. If another process exchanges a directory for a link in between, the result is an
//! error and no more.

#[cfg(target_os = "linux")]
use rustix::fs::{ResolveFlags, openat2};
use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, mkdirat, openat, renameat, statat, unlinkat},
    io::Errno,
};
use std::{
    ffi::CStr,
    fs::File,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::MetadataExt as _,
    },
    path::{Path, PathBuf},
};

/// An error about what was given, and not about the disk.
pub(in crate::control::state) fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// Deepest nesting of directories that are emptied in one go: each level is held open.
const NESTING_MAX: usize = 200;
/// How often what is nested deeper is moved up. More than two million levels are left to people.
const ROUNDS_MAX: usize = 10_000;
/// What it is called then, with a number.
const MOVED_UP: &str = ".moved-up-";

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::RDONLY);

/// The identity of a directory: the device and its number there.
type Identity = (u64, u64);

/// An open directory.
#[derive(Debug)]
pub(in crate::control::state) struct Opened {
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

    /// One that is open already, and its path. It need not have been opened for reading.
    pub fn from_open(path: PathBuf, open: OwnedFd) -> io::Result<Opened> {
        match FileType::from_raw_mode(fstat(&open)?.st_mode) {
            FileType::Directory => Ok(Opened { path, directory: open }),
            _ => Err(invalid("a part of the path is no directory")),
        }
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

    /// Removes everything in it. What somebody has mounted in it is left alone and is an error, and so is what was not
    /// removed yet by then.
    pub fn empty(&self) -> io::Result<()> {
        let mut moved = 0;
        for _ in 0..ROUNDS_MAX {
            let before = moved;
            self.empty_below(&self.directory, NESTING_MAX, &mut moved)?;
            if moved == before {
                return Ok(());
            }
        }
        Err(invalid("directories are nested too deep here; empty it by hand"))
    }

    fn empty_below(&self, directory: &OwnedFd, depth: usize, moved: &mut usize) -> io::Result<()> {
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let is_directory = match file_type(directory, name, entry.file_type()) {
                Err(Errno::NOENT) => continue,
                found => found? == FileType::Directory,
            };
            if is_directory {
                let Some(deeper) = depth.checked_sub(1) else {
                    self.move_up(directory, name, moved)?;
                    continue;
                };
                // It may have become something else meanwhile: then this fails, and is tried again.
                self.empty_below(&within(directory, name)?, deeper, moved)?;
            }
            match unlinkat(directory, name, if is_directory { AtFlags::REMOVEDIR } else { AtFlags::empty() }) {
                // Somebody else was faster.
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Moves a directory from far below to the top, where the next round removes it.
    fn move_up(&self, directory: &OwnedFd, name: &CStr, moved: &mut usize) -> io::Result<()> {
        for _ in 0..ROUNDS_MAX {
            *moved += 1;
            match renameat(directory, name, &self.directory, format!("{MOVED_UP}{moved}")) {
                // Somebody has called something so: it is removed as well.
                Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
                outcome => return Ok(outcome?),
            }
        }
        Err(invalid("directories are nested too deep here; empty it by hand"))
    }
}

impl AsFd for Opened {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

/// What an entry of a directory is; a link is a link.
pub(in crate::control::state) fn file_type(
    directory: impl AsFd,
    name: &CStr,
    told: FileType,
) -> Result<FileType, Errno> {
    match told {
        FileType::Unknown => {
            let found = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
            Ok(FileType::from_raw_mode(found.st_mode))
        }
        known => Ok(known),
    }
}

/// Opens a directory in a directory, if it is no link and nothing is mounted there.
pub(in crate::control::state) fn within(directory: impl AsFd, name: &CStr) -> io::Result<OwnedFd> {
    let mounted = || invalid(&format!("something is mounted at {}; unmount it", name.to_string_lossy()));
    #[cfg(target_os = "linux")]
    match openat2(
        &directory,
        name,
        DIRECTORY,
        Mode::empty(),
        ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH,
    ) {
        Err(Errno::XDEV) => return Err(mounted()),
        // A kernel before 5.6, or somebody who forbids what he does not know.
        Err(Errno::NOSYS | Errno::PERM) => {}
        outcome => return Ok(outcome?),
    }
    let found = openat(&directory, name, DIRECTORY, Mode::empty())?;
    match fstat(&found)?.st_dev == fstat(&directory)?.st_dev {
        true => Ok(found),
        false => Err(mounted()),
    }
}

/// The identities of a directory and of all above it, as its path leads there.
pub(in crate::control::state) fn lineage(path: &Path) -> Vec<Identity> {
    let identity = |path: &Path| path.metadata().ok().map(|found| (found.dev(), found.ino()));
    path.ancestors().filter_map(identity).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};

    #[test]
    fn what_is_mounted_is_left_alone() {
        let root = Opened::root(Path::new("/")).unwrap();
        if !Path::new("/proc/self").exists() {
            return;
        }
        let error = within(&root, c"proc").unwrap_err();
        assert!(error.to_string().contains("something is mounted at proc"), "{error}");
        assert!(within(&root, c"etc").is_ok());
    }

    #[test]
    fn links_are_not_followed() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("outside")).unwrap();
        fs::write(home.path().join("outside/data"), "precious").unwrap();
        fs::create_dir_all(home.path().join("volume/a/b")).unwrap();
        symlink(home.path().join("outside"), home.path().join("volume/a/link")).unwrap();
        let volume = Opened::root(&home.path().join("volume")).unwrap();
        assert!(within(Opened::root(&home.path().join("volume/a")).unwrap(), c"link").is_err());
        volume.empty().unwrap();
        assert_eq!(fs::read_dir(home.path().join("volume")).unwrap().count(), 0);
        assert_eq!(fs::read_to_string(home.path().join("outside/data")).unwrap(), "precious");
    }

    /// Deeper than any path can name, with two branches and names that are in the way.
    #[test]
    fn deep_directories_are_emptied() {
        let home = tempfile::tempdir().unwrap();
        let volume = Opened::root(home.path()).unwrap();
        fs::create_dir(home.path().join(format!("{MOVED_UP}1"))).unwrap();
        fs::write(home.path().join(format!("{MOVED_UP}1/x")), "").unwrap();
        fs::write(home.path().join(format!("{MOVED_UP}2")), "").unwrap();
        for branch in ["left", "right"] {
            let name = Path::new(branch);
            volume.make(name).unwrap();
            let mut place = volume.enter(name).unwrap();
            for _ in 0..1500 {
                place.make(Path::new("d")).unwrap();
                place = place.enter(Path::new("d")).unwrap();
            }
        }
        volume.empty().unwrap();
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }
}
