//! The directory of each pod: made, kept up to date, read, removed.

use super::{
    MESSAGE_OCTETS_MAX, PodFilesError,
    directory::{names, remove_directory},
    group, host_path, projected, sub_path,
};
use crate::{
    control::{
        runtime::containers::spec::{CONTAINERS, GroupOwnership, HOSTS, PodFiles, SubPath, VOLUMES},
        state::volumes::opened::{Opened, invalid},
    },
    engine::sandbox::{ATTEMPT_LABEL, CONTAINER_NAME_LABEL, ContainerSpec, Mount, POD_UID_LABEL},
    text::regular_file,
};
use rustix::{
    fs::{AtFlags, Mode, OFlags, RawMode, fchmod, mkdirat, openat, renameat, unlinkat},
    io::Errno,
};
use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::FileExt as _,
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, Once, PoisonError},
};

/// The longest name of a file.
const NAME_OCTETS_MAX: usize = 255;
/// The mode of directories that only this program's user enters.
const PRIVATE: u32 = 0o700;
/// The mode of the file that takes a termination message: whatever user the container has writes to it.
const MESSAGE_MODE: u32 = 0o666;
/// What a pod's directory is called while it is removed: this and its uid.
const GONE: &str = ".gone-";
/// What a directory is called while it is made: this and its name.
const NEW: &str = ".new-";
/// The directory of what volumes have got the pod's group, in the directory of a pod.
const GROUPS: &str = "groups";
/// The node's own file, which pods on its network see, and how much of it.
const HOSTS_OF_NODE: &str = "/etc/hosts";
const HOSTS_OCTETS_MAX: u64 = 1 << 20;

/// The directories of all pods. Calls about different pods run beside each other; those about one wait for each other.
#[derive(Debug)]
pub struct PodDirectories {
    root: PathBuf,
    pods: Mutex<HashMap<String, Arc<Mutex<Known>>>>,
    begun: Once,
}

/// What is known of one pod since its files were written.
#[derive(Debug, Default)]
struct Known {
    sub_paths: Option<Vec<SubPath>>,
}

impl PodDirectories {
    /// The directories below this one. Nothing is touched yet.
    pub fn new(pods_directory: &Path) -> PodDirectories {
        PodDirectories { root: pods_directory.to_owned(), pods: Mutex::default(), begun: Once::new() }
    }

    /// Makes the files of a pod what they must be. What is right already is left alone.
    ///
    /// # Errors
    /// In words for the event `FailedMount`. What was there before stays, but for what had been written by then.
    pub fn write(&self, uid: &str, files: &PodFiles) -> Result<(), String> {
        let known = self.known(uid);
        let mut known = lock(&known);
        self.write_files(uid, files).map_err(|error| error.to_string())?;
        known.sub_paths = Some(files.sub_paths.clone());
        Ok(())
    }

    /// Makes what an attempt of a container needs in the moment of its start: the file of its termination message, and the
    /// places below volumes that it mounts, none of which leads out of its volume now.
    ///
    /// # Errors
    /// In words for the event `Failed`.
    pub fn before_start(&self, spec: &ContainerSpec) -> Result<(), String> {
        let label = |name: &str| spec.labels.get(name).map(String::as_str).unwrap_or_default();
        let (uid, container) = (label(POD_UID_LABEL), label(CONTAINER_NAME_LABEL));
        let known = self.known(uid);
        let known = lock(&known);
        let Some(sub_paths) = &known.sub_paths else { return Err("the pod's files are not written yet".to_owned()) };
        let sources: Vec<&Path> = spec.mounts.iter().filter_map(source).collect();
        let needed = |place: &&SubPath| {
            place.container == container && sources.contains(&place.directory.join(&place.path).as_path())
        };
        for place in sub_paths.iter().filter(needed) {
            sub_path::make(&place.directory, &place.path).map_err(|error| {
                let (volume, container) = (place.volume.clone(), container.to_owned());
                PodFilesError::SubPath { volume, container, message: error.to_string() }.to_string()
            })?;
        }
        let directory = self.root.join(uid).join(CONTAINERS).join(container);
        if sources.iter().any(|source| source.parent() == Some(&directory)) {
            let attempt = label(ATTEMPT_LABEL).parse().unwrap_or(0);
            self.new_message(uid, container, attempt).map_err(|error| own(&directory, error).to_string())?;
        }
        Ok(())
    }

    /// Removes the directory of a pod with everything in it.
    ///
    /// # Errors
    /// What could not be removed; the next call goes on with it.
    pub fn remove(&self, uid: &str) -> Result<(), String> {
        let known = self.known(uid);
        let mut known = lock(&known);
        let path = self.root.join(uid);
        let removed = self.open_root().and_then(|root| {
            check_name(uid)?;
            let gone = [GONE, uid].concat();
            // What an earlier try left there comes first.
            remove_directory(&root, &gone)?;
            match renameat(&root, uid, &root, gone.as_str()) {
                Ok(()) => remove_directory(&root, &gone),
                Err(Errno::NOENT) => Ok(()),
                Err(error) => Err(error.into()),
            }
        });
        removed.map_err(|error| own(&path, error).to_string())?;
        known.sub_paths = None;
        lock(&self.pods).remove(uid);
        Ok(())
    }

    /// The termination message in a file: its last [`MESSAGE_OCTETS_MAX`]. `None` if there is no such file, or it is none of
    /// these directories'.
    pub fn message(&self, file: &Path) -> Option<String> {
        let parts: Vec<Component<'_>> = file.strip_prefix(&self.root).ok()?.components().collect();
        let [
            Component::Normal(uid),
            Component::Normal(containers),
            Component::Normal(container),
            Component::Normal(name),
        ] = parts.as_slice()
        else {
            return None;
        };
        let mut directory = Opened::root(&self.root).ok()?;
        for part in [uid, containers, container] {
            directory = directory.enter(Path::new(part)).ok()?;
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut file = File::from(openat(&directory, *name, flags, Mode::empty()).ok()?);
        let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
        file.seek(SeekFrom::Start(metadata.len().saturating_sub(MESSAGE_OCTETS_MAX))).ok()?;
        let mut octets = Vec::new();
        file.take(MESSAGE_OCTETS_MAX).read_to_end(&mut octets).ok()?;
        Some(String::from_utf8_lossy(&octets).into_owned())
    }

    fn known(&self, uid: &str) -> Arc<Mutex<Known>> {
        Arc::clone(lock(&self.pods).entry(uid.to_owned()).or_default())
    }

    /// Opens the directory of all pods, made if it is not there; the first time, what earlier runs did not end is removed.
    fn open_root(&self) -> io::Result<Opened> {
        if let Some(above) = self.root.parent() {
            std::fs::create_dir_all(above)?;
        }
        match mkdirat(rustix::fs::CWD, &self.root, Mode::from_raw_mode(PRIVATE as RawMode)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let root = Opened::root(&self.root)?;
        self.begun.call_once(|| {
            // It is all that keeps others from what containers' volumes have in them.
            let private = fchmod(&root, Mode::from_raw_mode(PRIVATE as RawMode));
            let cleared = private.map_err(io::Error::from).and_then(|()| remove_left_overs(&root, GONE));
            if let Err(error) = cleared {
                tracing::warn!(directory = %self.root.display(), %error, "what is left of pods that are gone was not removed");
            }
        });
        Ok(root)
    }

    fn write_files(&self, uid: &str, files: &PodFiles) -> Result<(), PodFilesError> {
        let path = self.root.join(uid);
        let failed = |error| own(&path, error);
        for volume in &files.host_paths {
            host_path::prepare(&volume.path, &volume.kind).map_err(of_volume(&volume.volume))?;
        }
        let root = self.open_root().map_err(|error| own(&self.root, error))?;
        check_name(uid).map_err(failed)?;
        let pod = ensure(&root, uid, PRIVATE).map_err(failed)?;
        for (name, entry) in &files.plain {
            let write = || match files.with_hosts_of_node && name == HOSTS {
                true => write_in_place(&pod, name, &with_hosts_of_node(&entry.content)?, entry.mode),
                false => write_in_place(&pod, name, &entry.content, entry.mode),
            };
            write().map_err(|error| own(&path.join(name), error))?;
        }
        let volumes = ensure(&pod, VOLUMES, PRIVATE).map_err(failed)?;
        for (name, mode) in &files.directories {
            check_name(name).and_then(|()| ensure(&volumes, name, *mode)).map_err(of_volume(name))?;
        }
        for (name, volume) in &files.projected {
            let directory = check_name(name).and_then(|()| ensure(&volumes, name, 0o755));
            directory.and_then(|directory| projected::write(&directory, volume)).map_err(of_volume(name))?;
        }
        let groups = ensure(&pod, GROUPS, PRIVATE).map_err(failed)?;
        for one in &files.groups {
            give_group(&groups, one).map_err(of_volume(&one.volume))?;
        }
        ensure(&pod, CONTAINERS, PRIVATE).map_err(failed)?;
        Ok(())
    }

    /// Makes the file for the message of an attempt, unless it is there: the attempt may run already. Those before the last one
    /// are not asked for any more.
    fn new_message(&self, uid: &str, container: &str, attempt: u32) -> io::Result<()> {
        check_name(container)?;
        let containers = self.open_root()?.enter(Path::new(uid))?.enter(Path::new(CONTAINERS))?;
        let directory = ensure(&containers, container, PRIVATE)?;
        for name in names(&directory)? {
            if name.parse::<u32>().is_ok_and(|old| old.saturating_add(1) < attempt) {
                unlinkat(&directory, name.as_str(), AtFlags::empty())?;
            }
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&directory, attempt.to_string(), flags, Mode::from_raw_mode(0o600))?;
        Ok(fchmod(file, Mode::from_raw_mode(MESSAGE_MODE as RawMode))?)
    }
}

fn source(mount: &Mount) -> Option<&Path> {
    match mount {
        Mount::Bind { source, .. } => Some(source),
        Mount::Tmpfs { .. } => None,
    }
}

/// A thread that panicked leaves nothing half-done in memory.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn own(path: &Path, source: io::Error) -> PodFilesError {
    PodFilesError::Own { path: path.to_owned(), source }
}

fn of_volume(volume: &str) -> impl FnOnce(io::Error) -> PodFilesError + use<'_> {
    move |error| PodFilesError::Volume { volume: volume.to_owned(), message: error.to_string() }
}

/// Whether a name is one file's, and none that this room gives itself.
fn check_name(name: &str) -> io::Result<()> {
    let is_one = !name.is_empty() && name.len() <= NAME_OCTETS_MAX && !name.contains(['/', '\0']);
    match is_one && !name.starts_with('.') {
        true => Ok(()),
        false => Err(invalid("the name is no directory's name")),
    }
}

/// Enters a directory; makes it with this mode if it is not there.
pub(super) fn ensure(parent: &Opened, name: &str, mode: u32) -> io::Result<Opened> {
    match parent.enter(Path::new(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        outcome => return outcome,
    }
    let new = [NEW, name].concat();
    remove_directory(parent, &new)?;
    mkdirat(parent, new.as_str(), Mode::from_raw_mode(PRIVATE as RawMode))?;
    fchmod(parent.enter(Path::new(&new))?, Mode::from_raw_mode(mode as RawMode))?;
    renameat(parent, new.as_str(), parent, name)?;
    parent.enter(Path::new(name))
}

/// Writes an ordinary file that containers may have mounted: the file stays, its content changes.
pub(super) fn write_in_place(directory: &Opened, name: &str, content: &[u8], mode: u32) -> io::Result<()> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = File::from(openat(directory, name, flags, Mode::from_raw_mode(0o600))?);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(invalid("this is no ordinary file; remove it"));
    }
    fchmod(&file, Mode::from_raw_mode(mode as RawMode))?;
    let mut before = Vec::new();
    if metadata.len() == content.len() as u64 {
        (&mut file).take(metadata.len()).read_to_end(&mut before)?;
    }
    if metadata.len() != content.len() as u64 || before != content {
        // Never empty in between: a resolver may read it at any time.
        file.write_all_at(content, 0)?;
        file.set_len(content.len() as u64)?;
    }
    file.flush()
}

/// The first line, the node's own file, the rest.
fn with_hosts_of_node(content: &[u8]) -> io::Result<Vec<u8>> {
    let node = match regular_file::read(Path::new(HOSTS_OF_NODE), HOSTS_OCTETS_MAX) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        outcome => outcome?,
    };
    let end = content.iter().position(|octet| *octet == b'\n').map_or(content.len(), |end| end + 1);
    let (first, rest) = content.split_at_checked(end).unwrap_or((content, &[]));
    Ok([first, &node, rest].concat())
}

/// Gives the files of a volume their group, once in the life of a pod: containers may change it afterwards.
fn give_group(groups: &Opened, ownership: &GroupOwnership) -> io::Result<()> {
    check_name(&ownership.volume)?;
    let group = u32::try_from(ownership.group).map_err(|_| invalid("fsGroup is no group"))?;
    let done = ownership.group.to_string();
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    if let Ok(file) = openat(groups, ownership.volume.as_str(), flags, Mode::empty()) {
        let mut known = String::new();
        let is_read = File::from(file).take(32).read_to_string(&mut known).is_ok();
        if is_read && known == done {
            return Ok(());
        }
    }
    group::give(&ownership.directory, group, ownership.only_if_root_differs)?;
    write_in_place(groups, &ownership.volume, done.as_bytes(), 0o600)
}

/// Removes what begins with this.
fn remove_left_overs(directory: &Opened, prefix: &str) -> io::Result<()> {
    let names = names(directory)?;
    // One that cannot be removed keeps no other.
    let outcomes: Vec<_> =
        names.iter().filter(|name| name.starts_with(prefix)).map(|name| remove_directory(directory, name)).collect();
    outcomes.into_iter().collect()
}
