//! Which files of a directory are manifests.
//!
//! Looked at: `.yaml`, `.yml` and `.json` in the directory and all below it, through symbolic links to files and
//! directories. Passed over: names that begin with a dot (editors' swap and lock files, and the `..data` and
//! `..2026_…` of a mounted ConfigMap, whose files are reached through the links beside them), and everything with
//! another ending (`x.yaml~`, `#x.yaml#`, `4913`, `x.tmp`). A file that two links reach is one file; links that lead
//! in circles end, and so do those that lead to a whole file system ([`MAX_ENTRIES`]). What has the name of a manifest
//! and is a pipe, a socket or a device is reported, and so is a directory of `/proc` or `/sys`; neither is opened.

use crate::text::regular_file::special;
use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

/// Most files that are read in all directories together.
pub const MAX_FILES: usize = 65_536;
/// Most entries of one directory and all below it that are looked at, manifests or not.
pub const MAX_ENTRIES: usize = 131_072;
/// Most directories that are watched of one and all below it; changes in others are found by re-scanning.
pub const MAX_WATCHED: usize = 4096;
/// Deepest sub-directory.
pub const MAX_DEPTH: usize = 32;

/// What walking a directory found.
#[derive(Debug, Default)]
pub(super) struct DirectoryListing {
    /// Manifests, as paths under the directory's own, in order.
    pub files: Vec<PathBuf>,
    /// What could not be looked at; what was known below it stays.
    pub unreadable: Vec<(PathBuf, String)>,
    /// The directory itself is not there.
    pub missing: bool,
    /// What the directory is instead, where it is neither one nor a regular file.
    pub special: Option<&'static str>,
    /// How many entries were looked at.
    entries: usize,
    /// There is more than is read: of what.
    full: Option<String>,
}

/// Lists one directory, or a single file. `seen` holds the real directories and files that this scan has met.
pub(super) fn list(root: &Path, seen: &mut BTreeSet<PathBuf>) -> DirectoryListing {
    let mut listing = DirectoryListing::default();
    match fs::metadata(root) {
        Ok(metadata) if special(&metadata).is_some() => listing.special = special(&metadata),
        Ok(metadata) if metadata.is_file() => listing.files.push(root.to_owned()),
        Ok(_) => walk(root, 0, seen, &mut listing),
        Err(error) if is_gone(&error) => listing.missing = true,
        Err(error) => listing.unreadable.push((root.to_owned(), error.to_string())),
    }
    if let Some(what) = listing.full.take() {
        listing.unreadable.push((root.to_owned(), format!("there are more than {what}; the others are not read")));
    }
    listing.files.sort();
    listing
}

/// Vanished between being listed and being opened, or a link to nowhere.
pub(super) fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn is_manifest(name: &Path) -> bool {
    name.extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known)))
}

fn walk(directory: &Path, depth: usize, seen: &mut BTreeSet<PathBuf>, listing: &mut DirectoryListing) {
    let real = match fs::canonicalize(directory) {
        Ok(real) => real,
        Err(error) if is_gone(&error) => {
            listing.missing |= depth == 0;
            return;
        }
        Err(error) => return listing.unreadable.push((directory.to_owned(), error.to_string())),
    };
    if listing.full.is_some() || !seen.insert(real.clone()) {
        return;
    }
    if depth > MAX_DEPTH {
        let message = format!("sub-directories are nested deeper than {MAX_DEPTH}");
        return listing.unreadable.push((directory.to_owned(), message));
    }
    let left = MAX_ENTRIES - listing.entries;
    let entries = match fs::read_dir(directory).and_then(|all| all.take(left + 1).collect::<Result<Vec<_>, _>>()) {
        Ok(entries) if entries.len() > left => {
            listing.full = Some(format!("{MAX_ENTRIES} entries of directories"));
            return;
        }
        Ok(entries) => entries,
        Err(error) if is_gone(&error) => {
            listing.missing |= depth == 0;
            return;
        }
        Err(error) => return listing.unreadable.push((directory.to_owned(), error.to_string())),
    };
    listing.entries += entries.len();
    // What is here itself comes before what links lead to, so that a file is known by its own path.
    let mut entries: Vec<(bool, PathBuf)> = entries
        .into_iter()
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
        .map(|entry| (entry.file_type().is_ok_and(|kind| kind.is_symlink()), entry.path()))
        .collect();
    entries.sort();
    for (linked, path) in entries {
        match fs::metadata(&path) {
            Ok(metadata) if let Some(what) = special(&metadata).filter(|_| metadata.is_dir() || is_manifest(&path)) => {
                listing.unreadable.push((path, format!("it is {what}, and neither a directory nor a regular file")));
            }
            Ok(metadata) if metadata.is_dir() => walk(&path, depth + 1, seen, listing),
            Ok(metadata) if metadata.is_file() && is_manifest(&path) => {
                let own = match path.file_name() {
                    Some(name) if !linked => Ok(real.join(name)),
                    _ => fs::canonicalize(&path),
                };
                if own.is_ok_and(|own| !seen.insert(own)) {
                    continue;
                }
                if listing.files.len() >= MAX_FILES {
                    listing.full = Some(format!("{MAX_FILES} manifests"));
                    return;
                }
                listing.files.push(path);
            }
            // Other files; links to nowhere.
            Ok(_) => {}
            Err(error) if is_gone(&error) => {}
            Err(error) if is_manifest(&path) => listing.unreadable.push((path, error.to_string())),
            Err(_) => {}
        }
    }
}

/// The first [`MAX_WATCHED`] directories in which [`list`] looks for manifests, each by one path: those least deep.
pub(super) fn directories(root: &Path) -> Vec<PathBuf> {
    let (mut found, mut seen, mut entries) = (Vec::new(), BTreeSet::new(), 0);
    let mut next = vec![root.to_owned()];
    for _ in 0..=MAX_DEPTH {
        let mut below = Vec::new();
        for directory in next {
            let metadata = fs::metadata(&directory).ok();
            if metadata.is_none_or(|metadata| !metadata.is_dir() || special(&metadata).is_some())
                || !fs::canonicalize(&directory).is_ok_and(|real| seen.insert(real))
            {
                continue;
            }
            for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
                entries += 1;
                if entries > MAX_ENTRIES {
                    return found;
                }
                let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
                if !is_hidden && entry.file_type().is_ok_and(|kind| kind.is_dir() || kind.is_symlink()) {
                    below.push(entry.path());
                }
            }
            found.push(directory);
            if found.len() == MAX_WATCHED {
                return found;
            }
        }
        next = below;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_neither_too_deep_nor_too_many() {
        let root = tempfile::tempdir().unwrap();
        let deep = |depth| root.path().join("d/".repeat(depth));
        fs::create_dir_all(deep(MAX_DEPTH + 1)).unwrap();
        for depth in [MAX_DEPTH, MAX_DEPTH + 1] {
            fs::write(deep(depth).join("a.yaml"), "").unwrap();
        }
        let found = list(root.path(), &mut BTreeSet::new());
        assert_eq!(found.files, [deep(MAX_DEPTH).join("a.yaml")]);
        let messages = found.unreadable.iter().map(|(_, message)| message.as_str()).collect::<Vec<_>>();
        assert_eq!(messages, ["sub-directories are nested deeper than 32"]);
        for number in 0..MAX_WATCHED {
            fs::create_dir(root.path().join(number.to_string())).unwrap();
        }
        assert_eq!(directories(root.path()).len(), MAX_WATCHED);
    }
}
