//! The directories themselves. What pods (or people) put into a volume is not trusted: no link in it is followed.

use super::{DIRECTORY, Plan, STARTS, Work};
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
};

/// The longest name of an object (RFC 1123 subdomain).
const LONGEST_NAME: usize = 253;

/// Why a volume's directory is not as it should be.
#[derive(Debug, thiserror::Error)]
#[error("volume {volume}: {path}: {source}; the work on this volume waits and is tried again every second")]
pub struct VolumeError {
    /// The volume's name.
    pub volume: String,
    /// Its directory, or what of it is in the way.
    pub path: PathBuf,
    /// What the system says.
    pub source: io::Error,
}

/// The directories of all volumes, and the work on them that could not be done yet.
///
/// Only this program writes beside the volumes; somebody who can put links into the state directory itself has its
/// power anyway.
#[derive(Debug)]
pub struct Volumes {
    root: PathBuf,
    stuck: Plan,
}

impl Volumes {
    /// The volumes of a state directory. Nothing is touched yet.
    pub fn new(state_directory: &Path) -> Volumes {
        Volumes { root: state_directory.join(DIRECTORY), stuck: Plan::default() }
    }

    /// Carries out a plan. Volumes with work that could not be done wait with all of it for [`Volumes::retry`]; each
    /// that begins to wait is told of.
    pub fn carry_out(&mut self, plan: Plan) -> Vec<VolumeError> {
        let mut errors = Vec::new();
        for (volume, works) in plan.0 {
            if !self.stuck.of(&volume).is_empty() {
                works.into_iter().for_each(|work| self.stuck.add(&volume, work));
            } else if let Err(error) = self.work(&volume, works) {
                errors.push(error);
            }
        }
        errors
    }

    /// Tries again what waits; returns what is wrong with the volumes that still do.
    pub fn retry(&mut self) -> Vec<VolumeError> {
        let stuck: BTreeMap<String, Vec<Work>> = std::mem::take(&mut self.stuck.0);
        stuck.into_iter().filter_map(|(volume, works)| self.work(&volume, works).err()).collect()
    }

    /// Work that could not be done yet.
    pub fn stuck(&self) -> &Plan {
        &self.stuck
    }

    /// Does the work of one volume; from the first piece that fails on it waits.
    fn work(&mut self, volume: &str, works: Vec<Work>) -> Result<(), VolumeError> {
        let mut works = works.into_iter();
        while let Some(work) = works.next() {
            if let Err(error) = self.piece(volume, &work) {
                self.stuck.add(volume, work);
                works.for_each(|work| self.stuck.add(volume, work));
                return Err(error);
            }
        }
        Ok(())
    }

    fn piece(&self, volume: &str, work: &Work) -> Result<(), VolumeError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| VolumeError { volume: volume.to_owned(), path, source }
        };
        if !is_plain(volume) {
            return Err(failed(&self.root)(invalid("the volume's name is no directory's name")));
        }
        let directory = self.root.join(volume);
        match work {
            Work::Make => self.make(&directory).map_err(failed(&directory)),
            Work::Append { line, times } => {
                self.make(&directory).map_err(failed(&directory))?;
                let file = directory.join(STARTS);
                append(&file, line, *times).map_err(failed(&file))
            }
            Work::Empty => self.make(&directory).and_then(|()| empty(&directory)).map_err(failed(&directory)),
            Work::Remove => self.remove(&directory).map_err(failed(&directory)),
        }
    }

    fn make(&self, directory: &Path) -> io::Result<()> {
        match is_own(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir_all(&self.root)?,
            outcome => outcome?,
        }
        match fs::create_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => is_own(directory),
            outcome => outcome,
        }
    }

    fn remove(&self, directory: &Path) -> io::Result<()> {
        let outcome = is_own(&self.root).and_then(|()| is_own(directory)).and_then(|()| fs::remove_dir_all(directory));
        match outcome {
            // Done in an earlier run.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        }
    }
}

/// Whether a name is one of an object, and so stays within the directory that it is joined to.
fn is_plain(name: &str) -> bool {
    let plain = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || matches!(octet, b'-' | b'.');
    (1..=LONGEST_NAME).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(plain)
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// Whether it is a directory, and no link to one.
fn is_own(directory: &Path) -> io::Result<()> {
    match fs::symlink_metadata(directory)?.is_dir() {
        true => Ok(()),
        false => Err(invalid("this is no directory; move it away")),
    }
}

fn empty(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // The type of a link is that of the link.
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

/// All lines, or none of them.
fn append(path: &Path, line: &str, times: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    let file = open_unlinked(&mut options, path)?;
    let before = file.metadata()?.len();
    let write = || {
        let mut out = BufWriter::new(&file);
        (0..times).try_for_each(|_| writeln!(out, "{line}"))?;
        out.flush()
    };
    let outcome = write();
    if outcome.is_err() {
        // Half a line, or some of several, would stand twice after the next try.
        file.set_len(before)?;
    }
    outcome
}

/// Opens an ordinary file that has this one name: neither a link to another place, nor another place's file under a
/// second name, nor a pipe that would have us wait.
#[cfg(unix)]
fn open_unlinked(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
    let file = options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC).open(path)?;
    let metadata = file.metadata()?;
    match metadata.is_file() && metadata.nlink() == 1 {
        true => Ok(file),
        false => Err(invalid("this is no ordinary file of its own; move it away")),
    }
}

#[cfg(not(unix))]
fn open_unlinked(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.is_file() => Err(invalid("this is no ordinary file; move it away")),
        _ => options.open(path),
    }
}
