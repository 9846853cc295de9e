//! Places below volumes (`subPath`): made part by part, and never outside of the volume, whatever containers put into it.
//!
//! What is checked here is mounted by the engine a moment later, by its path. A container that has the volume mounted already
//! can put a link there in between; a kubelet closes that gap by mounting what it holds open, which needs its rights.

use crate::control::state::volumes::opened::{Opened, invalid};
#[cfg(target_os = "linux")]
use rustix::fs::{ResolveFlags, openat2};
use rustix::{
    fs::{Mode, OFlags, fchmod, fstat, mkdirat, openat},
    io::Errno,
};
use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

/// Makes sure that there is something at a path below a volume, and that it is in the volume. What is missing becomes a
/// directory with the mode of the volume's.
///
/// # Errors
/// It leads out of the volume, or the system says so. The words do not tell what is outside.
pub fn make(volume: &Path, path: &str) -> io::Result<()> {
    let parts: Vec<&str> = path.split('/').collect();
    if parts.iter().any(|part| matches!(*part, "" | "." | "..")) {
        return Err(leads_out());
    }
    // The volume's own path is the manifest's or this program's.
    let volume = Opened::root(&std::fs::canonicalize(volume)?)?;
    let mut above = volume.enter(Path::new("."))?;
    let mode = Mode::from_raw_mode(fstat(&volume)?.st_mode & 0o7777);
    for end in 1..=parts.len() {
        let part = parts.get(..end).unwrap_or_default();
        let beginning: PathBuf = part.iter().collect();
        let is_last = end == parts.len();
        match find(&volume, &beginning) {
            Ok(_) if is_last => {}
            // Through links that stay inside, as the engine will go.
            Ok(_) => above = open_directory(&volume, &beginning)?,
            Err(Errno::NOENT) => {
                let name = Path::new(part.last().copied().unwrap_or_default());
                match mkdirat(&above, name, Mode::from_raw_mode(0o700)) {
                    Ok(()) => {}
                    // A link that leads to nothing yet may lead anywhere tomorrow.
                    Err(Errno::EXIST) => return Err(leads_out()),
                    Err(error) => return Err(error.into()),
                }
                above = above.enter(name)?;
                fchmod(&above, mode)?;
            }
            Err(error) => return Err(refused(error)),
        }
    }
    Ok(())
}

/// Opens a directory at a path below the volume.
fn open_directory(volume: &Opened, path: &Path) -> io::Result<Opened> {
    find(volume, path).map_err(refused).and_then(|found| Opened::from_open(volume.path.join(path), found))
}

fn refused(error: Errno) -> io::Error {
    match error {
        Errno::XDEV | Errno::LOOP => leads_out(),
        Errno::NOTDIR => invalid("a part of the path is no directory"),
        error => error.into(),
    }
}

fn leads_out() -> io::Error {
    invalid("the path leads out of the volume, or to nothing")
}

/// What is at a path below the volume, with links followed that stay inside.
fn find(volume: &Opened, path: &Path) -> Result<OwnedFd, Errno> {
    #[cfg(target_os = "linux")]
    match openat2(
        volume,
        path,
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
    ) {
        // A kernel before 5.6, or somebody who forbids what he does not know.
        Err(Errno::NOSYS | Errno::PERM) => {}
        outcome => return outcome,
    }
    // Two looks: where the path leads, then what is there now.
    let found = std::fs::canonicalize(volume.path.join(path));
    let found = found.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    let beneath = found.strip_prefix(&volume.path).map_err(|_| Errno::XDEV)?;
    let mut place = openat(volume, ".", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    for part in beneath.components() {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        place = openat(&place, part.as_os_str(), flags, Mode::empty())?;
    }
    Ok(place)
}
