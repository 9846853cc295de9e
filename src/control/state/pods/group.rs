//! `fsGroup`: the files of a volume belong to a group that can read and write them, as kubelet's `SetVolumeOwnership`.
//!
//! Without the right to give files away (this program does not run as root) what it owns is opened to everybody instead: only
//! containers reach it, since the directory above is private.

use crate::control::state::volumes::opened::{Opened, file_type, invalid, within};
use rustix::{
    fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, RawMode, chownat, fchmod, fchown, fstat, openat},
    io::Errno,
};
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

/// The owner and the group read.
pub const READ: u32 = 0o440;
/// The owner and the group read and write.
const WRITE: u32 = 0o660;
/// The owner and the group enter a directory, and what is made in it has its group.
pub const ENTER: u32 = 0o2110;
/// The bits of a mode that are not the type.
const MODE: u32 = 0o7777;
/// Deepest nesting of directories: each level is held open.
const NESTING_MAX: usize = 500;

/// Gives a directory and everything in it to a group. Links are given themselves, never what they lead to; what is mounted in
/// it is left alone.
///
/// # Errors
/// What the system says.
pub fn give(directory: &Path, group: u32, only_if_root_differs: bool) -> io::Result<()> {
    // The path is the manifest's or this program's; only what is in the directory is not trusted.
    let directory = Opened::root(&std::fs::canonicalize(directory)?)?;
    let root = fstat(&directory)?;
    let needed = WRITE | ENTER;
    if only_if_root_differs && root.st_gid == group && root.st_mode as u32 & needed == needed {
        return Ok(());
    }
    give_all(&directory, group, NESTING_MAX)?;
    // Last, so that a walk that did not come to its end is made again.
    give_one(&directory, group, needed)
}

fn give_all(directory: impl AsFd, group: u32, depth: usize) -> io::Result<()> {
    for entry in Dir::read_from(&directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let kind = match file_type(&directory, name, entry.file_type()) {
            Err(Errno::NOENT) => continue,
            found => found?,
        };
        match kind {
            FileType::Directory => {
                let Ok(inner) = within(&directory, name) else { continue };
                let deeper = depth.checked_sub(1);
                give_all(&inner, group, deeper.ok_or_else(|| invalid("directories are nested too deep for fsGroup"))?)?;
                give_one(&inner, group, WRITE | ENTER)?;
            }
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                match openat(&directory, name, flags, Mode::empty()) {
                    Ok(file) => give_file(&file, group)?,
                    // It has gone, became something else, or is not ours to change.
                    Err(Errno::NOENT | Errno::LOOP | Errno::ACCESS | Errno::NXIO | Errno::PERM) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            // Opening a pipe or a device may do something.
            _ => match chownat(&directory, name, None, Some(Gid::from_raw(group)), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(()) | Err(Errno::NOENT | Errno::PERM) => {}
                Err(error) => return Err(error.into()),
            },
        }
    }
    Ok(())
}

fn give_file(file: &OwnedFd, group: u32) -> io::Result<()> {
    match FileType::from_raw_mode(fstat(file)?.st_mode) {
        FileType::RegularFile => give_one(file, group, WRITE),
        _ => Ok(()),
    }
}

/// The rights, and those of the group for everybody.
pub fn for_everybody(rights: u32) -> u32 {
    rights | (rights & 0o070) >> 3
}

/// Gives one file or directory to a group, and rights to it.
///
/// # Errors
/// What the system says.
pub fn give_one(file: impl AsFd, group: u32, rights: u32) -> io::Result<()> {
    let rights = match fchown(&file, None, Some(Gid::from_raw(group))) {
        Ok(()) => rights,
        Err(Errno::PERM) => for_everybody(rights),
        Err(error) => return Err(error.into()),
    };
    let mode = fstat(&file)?.st_mode as u32 & MODE;
    if mode | rights == mode {
        return Ok(());
    }
    match fchmod(&file, Mode::from_raw_mode((mode | rights) as RawMode)) {
        // Somebody else's, made by a container: its own matter.
        Ok(()) | Err(Errno::PERM) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
