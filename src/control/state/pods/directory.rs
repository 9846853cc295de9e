//! What a directory of a pod has in it, and its removal.

use crate::control::state::volumes::opened::{Opened, file_type, invalid, within};
use rustix::{
    fs::{AtFlags, Dir, FileType, unlinkat},
    io::Errno,
};
use std::{io, path::Path};

/// The names in a directory. One that is not UTF-8 is none of ours and is left out.
pub(super) fn names(directory: &Opened) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        if let Ok(name) = entry?.file_name().to_str()
            && !matches!(name, "." | "..")
        {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// Removes a directory of this name with everything in it, or whatever else has the name.
pub(super) fn remove_directory(parent: &Opened, name: &str) -> io::Result<()> {
    let text = std::ffi::CString::new(name).map_err(|_| invalid("the name has a zero octet"))?;
    let is_directory = match file_type(parent, &text, FileType::Unknown) {
        Err(Errno::NOENT) => return Ok(()),
        found => found? == FileType::Directory,
    };
    if is_directory {
        // Refused if something is mounted there.
        within(parent, &text)?;
        parent.enter(Path::new(name))?.empty()?;
    }
    match unlinkat(parent, name, if is_directory { AtFlags::REMOVEDIR } else { AtFlags::empty() }) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
