//! The directories themselves. What pods (or people) put into a volume is not trusted: no link in it is followed.

use super::{
    DIRECTORY, DeclaredPath, DirectoryPlan, Fallback, HostRoot, RECORDS, STARTS, VolumeDirectory, VolumeWork,
    host::PathKind, opened::invalid,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
};

/// The longest name of an object (RFC 1123 subdomain).
const NAME_OCTETS_MAX: usize = 253;

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
/// Only this program writes beside the volumes; a process that can put links into the state directory itself has its
/// power anyway. Below the root of declared paths others write as well: links that lie there are followed only within
/// it, and who exchanges a directory for a link in the very moment of its use gets an error.
#[derive(Debug)]
pub struct Volumes {
    /// The state directory; without one, volumes have no directories of their own.
    state: Option<PathBuf>,
    root: Option<HostRoot>,
    stuck: DirectoryPlan,
    /// Declared paths that are not used because of what is on the disk, and were reported.
    led_out: BTreeSet<VolumeDirectory>,
    fallbacks: Vec<Fallback>,
    /// Whether containers mount the directories.
    is_mounted: bool,
}

impl Volumes {
    /// The volumes of a state directory, and below a root those that are declared there. Nothing is touched yet.
    pub fn new(state_directory: Option<&Path>, root: Option<HostRoot>) -> Volumes {
        Volumes {
            state: state_directory.map(Path::to_owned),
            root,
            stuck: DirectoryPlan::default(),
            led_out: BTreeSet::new(),
            fallbacks: Vec::new(),
            is_mounted: false,
        }
    }

    /// The same volumes, which containers mount: a new directory is empty (databases insist on that) and anyone may write to
    /// it, as provisioners of local volumes make theirs, and starts are recorded beside the volumes, in [`RECORDS`].
    pub fn mounted_by_containers(self) -> Volumes {
        Volumes { is_mounted: true, ..self }
    }

    /// Carries out a plan. Volumes with work that could not be done wait with all of it for [`Volumes::retry`]; each
    /// that begins to wait is told of.
    pub fn carry_out(&mut self, plan: DirectoryPlan) -> Vec<VolumeError> {
        let mut errors = Vec::new();
        for (place, works) in plan.0 {
            if !self.stuck.of(&place).is_empty() {
                works.into_iter().for_each(|work| self.stuck.add(&place, work));
            } else if let Err(error) = self.work(&place, works) {
                errors.push(error);
            }
        }
        errors
    }

    /// Tries again what waits; returns what is wrong with the volumes that still do.
    pub fn retry(&mut self) -> Vec<VolumeError> {
        let stuck: BTreeMap<VolumeDirectory, Vec<VolumeWork>> = std::mem::take(&mut self.stuck.0);
        stuck.into_iter().filter_map(|(place, works)| self.work(&place, works).err()).collect()
    }

    /// Work that could not be done yet.
    pub fn stuck(&self) -> &DirectoryPlan {
        &self.stuck
    }

    /// Declared paths that a link leads out of the root, or that hold the state directory, since the last call; each
    /// once, until it is used again.
    pub fn take_fallbacks(&mut self) -> Vec<Fallback> {
        std::mem::take(&mut self.fallbacks)
    }

    /// Does the work of one volume; from the first piece that fails on it waits.
    fn work(&mut self, place: &VolumeDirectory, works: Vec<VolumeWork>) -> Result<(), VolumeError> {
        let mut works = works.into_iter();
        while let Some(work) = works.next() {
            if let Err(error) = self.piece(place, &work) {
                self.stuck.add(place, work);
                works.for_each(|work| self.stuck.add(place, work));
                return Err(error);
            }
        }
        Ok(())
    }

    fn piece(&mut self, place: &VolumeDirectory, work: &VolumeWork) -> Result<(), VolumeError> {
        match &place.declared {
            None => self.own_piece(&place.volume, work),
            Some(declared) => self.declared_piece(place, declared, work),
        }
    }

    /// Work on a declared directory, or on the volume's own if that one must not be used.
    fn declared_piece(
        &mut self,
        place: &VolumeDirectory,
        declared: &DeclaredPath,
        work: &VolumeWork,
    ) -> Result<(), VolumeError> {
        let failed = |path: &Path| failed(&place.volume, path);
        let make = declared.make && matches!(work, VolumeWork::Make | VolumeWork::Append { .. });
        let found = match &self.root {
            Some(root) => root.find(&declared.path, make, self.state.as_deref()),
            // The work is owed since an earlier run.
            None => Ok(PathKind::Refused("was allowed by hostPathRoot, which is not set any more".to_owned())),
        };
        match found.map_err(failed(Path::new(&declared.path)))? {
            PathKind::Directory(directory) => {
                self.led_out.remove(place);
                match work {
                    _ if self.is_mounted && self.record(&place.volume, work)? => Ok(()),
                    VolumeWork::Append { line, times } => {
                        let appended = directory.append_to(STARTS).and_then(|file| append(&file, line, *times));
                        appended.map_err(failed(&directory.path.join(STARTS)))
                    }
                    VolumeWork::Empty => directory.empty().map_err(failed(&directory.path)),
                    VolumeWork::Make | VolumeWork::Remove => Ok(()),
                }
            }
            PathKind::Missing(path) if matches!(work, VolumeWork::Append { .. }) => {
                let message = "this directory is not there, and the type of the volume is for one that is; make it";
                Err(failed(&path)(io::Error::new(io::ErrorKind::NotFound, message)))
            }
            // There is nothing to be emptied, and nobody needs it yet.
            PathKind::Missing(_) => Ok(()),
            PathKind::Refused(reason) => {
                if self.led_out.insert(place.clone()) {
                    let (volume, path) = (place.volume.clone(), declared.path.clone());
                    self.fallbacks.push(Fallback { volume, path, reason });
                }
                self.own_piece(&place.volume, work)
            }
        }
    }

    /// Work on a volume's own directory; none without a state directory.
    fn own_piece(&self, volume: &str, work: &VolumeWork) -> Result<(), VolumeError> {
        let Some(state) = &self.state else { return Ok(()) };
        let root = &state.join(DIRECTORY);
        let failed = |path: &Path| failed(volume, path);
        if !is_plain(volume) {
            return Err(failed(root)(invalid("the volume's name is no directory's name")));
        }
        let directory = root.join(volume);
        if self.is_mounted && self.record(volume, work)? {
            return Ok(());
        }
        match work {
            VolumeWork::Make => make(root, &directory, self.is_mounted).map_err(failed(&directory)),
            VolumeWork::Append { line, times } => {
                make(root, &directory, false).map_err(failed(&directory))?;
                let file = directory.join(STARTS);
                let mut options = OpenOptions::new();
                let opened = open_unlinked(options.append(true).create(true), &file);
                opened.and_then(|opened| append(&opened, line, *times)).map_err(failed(&file))
            }
            VolumeWork::Empty => {
                make(root, &directory, self.is_mounted).and_then(|()| empty(&directory)).map_err(failed(&directory))
            }
            VolumeWork::Remove => remove(root, &directory).map_err(failed(&directory)),
        }
    }

    /// What a piece of work means for the record of starts beside a volume. Whether that is all there is to do.
    fn record(&self, volume: &str, work: &VolumeWork) -> Result<bool, VolumeError> {
        let Some(state) = &self.state else { return Ok(matches!(work, VolumeWork::Append { .. })) };
        let records = state.join(RECORDS);
        let file = records.join(volume);
        if !is_plain(volume) {
            return Ok(false);
        }
        let outcome = match work {
            VolumeWork::Make => return Ok(false),
            VolumeWork::Append { line, times } => fs::create_dir_all(&records)
                .and_then(|()| open_unlinked(OpenOptions::new().append(true).create(true), &file))
                .and_then(|opened| append(&opened, line, *times)),
            VolumeWork::Empty | VolumeWork::Remove => match fs::remove_file(&file) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                outcome => outcome,
            },
        };
        outcome.map_err(failed(volume, &file))?;
        Ok(matches!(work, VolumeWork::Append { .. }))
    }
}

fn failed(volume: &str, path: &Path) -> impl FnOnce(io::Error) -> VolumeError + use<> {
    let (volume, path) = (volume.to_owned(), path.to_owned());
    move |source| VolumeError { volume, path, source }
}

/// Makes a volume's own directory in that of all volumes; a new one, if so, with the right of everybody to write there.
fn make(root: &Path, directory: &Path, for_anyone: bool) -> io::Result<()> {
    match is_own(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir_all(root)?,
        outcome => outcome?,
    }
    match fs::create_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => is_own(directory),
        #[cfg(unix)]
        Ok(()) if for_anyone => {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(directory, fs::Permissions::from_mode(0o777))
        }
        outcome => outcome,
    }
}

fn remove(root: &Path, directory: &Path) -> io::Result<()> {
    let outcome = is_own(root).and_then(|()| is_own(directory)).and_then(|()| fs::remove_dir_all(directory));
    match outcome {
        // Done in an earlier run.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// Whether a name is one of an object, and so stays within the directory that it is joined to.
fn is_plain(name: &str) -> bool {
    let plain = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || matches!(octet, b'-' | b'.');
    (1..=NAME_OCTETS_MAX).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(plain)
}

/// Whether it is a directory, and no link to one.
fn is_own(directory: &Path) -> io::Result<()> {
    match fs::symlink_metadata(directory)?.is_dir() {
        true => Ok(()),
        false => Err(invalid("this is no directory; move it away")),
    }
}

pub(super) fn empty(directory: &Path) -> io::Result<()> {
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
pub(super) fn append(file: &File, line: &str, times: u32) -> io::Result<()> {
    let before = file.metadata()?.len();
    let write = || {
        let mut out = BufWriter::new(file);
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
pub(super) fn open_unlinked(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
    let file = options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC).open(path)?;
    let metadata = file.metadata()?;
    match metadata.is_file() && metadata.nlink() == 1 {
        true => Ok(file),
        false => Err(invalid("this is no ordinary file of its own; move it away")),
    }
}

#[cfg(not(unix))]
pub(super) fn open_unlinked(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.is_file() => Err(invalid("this is no ordinary file; move it away")),
        _ => options.open(path),
    }
}
