//! Volumes whose files change together, as kubelet's `AtomicWriter` makes them: the files are in a directory of their own,
//! `..data` is a link to it, each file that containers see is a link through `..data`. A change is a new directory and one
//! rename of `..data`.

use super::{
    directory::{names, remove_directory},
    group,
};
use crate::control::{
    runtime::containers::spec::{FileEntry, ProjectedVolume},
    state::volumes::opened::{Opened, invalid},
};
use jiff::Timestamp;
use rustix::{
    fs::{AtFlags, Mode, OFlags, RawMode, fchmod, mkdirat, openat, readlinkat, renameat, symlinkat, unlinkat},
    io::Errno,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Read as _, Write as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

/// The link to the newest directory.
const DATA: &str = "..data";
/// The link that is renamed to [`DATA`], and those that are renamed to what containers see.
const NEW_LINK: &str = "..data_tmp";
/// Directories that a name is looked for for.
const NAMES_MAX: i64 = 1000;
/// The mode of directories.
const DIRECTORY_MODE: u32 = 0o755;

/// Makes the files of a volume what they must be; all of them at once, or none.
///
/// # Errors
/// A file cannot be written: containers go on to see what they saw.
pub fn write(directory: &Opened, volume: &ProjectedVolume) -> io::Result<()> {
    let current = current(directory)?;
    remove_left_overs(directory, current.as_deref())?;
    let is_same = match &current {
        Some(name) => is_same(&directory.enter(Path::new(name))?, volume)?,
        None => false,
    };
    if !is_same {
        let name = new_directory(directory)?;
        fill(&directory.enter(Path::new(&name))?, volume)?;
        link(directory, &name, DATA)?;
    }
    let visible: BTreeSet<&str> = volume.files.keys().filter_map(|path| path.split('/').next()).collect();
    for name in &visible {
        let target = format!("{DATA}/{name}");
        let is_right =
            readlinkat(directory, *name, Vec::new()).is_ok_and(|found| found.as_bytes() == target.as_bytes());
        if !is_right {
            link(directory, &target, name)?;
        }
    }
    // What containers see no more; nothing else is in there but what begins with two dots.
    for name in names(directory)? {
        if !name.starts_with("..") && !visible.contains(name.as_str()) {
            remove_directory(directory, &name)?;
        }
    }
    match current.filter(|_| !is_same) {
        Some(old) => remove_directory(directory, &old),
        None => Ok(()),
    }
}

/// The directory that `..data` leads to, if it is one of this volume's.
fn current(directory: &Opened) -> io::Result<Option<String>> {
    let target = match readlinkat(directory, DATA, Vec::new()) {
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::INVAL) => return Err(invalid("..data is no link; remove it")),
        found => found?,
    };
    let name = target.to_str().ok().filter(|name| name.starts_with("..") && name.len() > 2 && !name.contains('/'));
    let Some(name) = name else { return Ok(None) };
    match directory.enter(Path::new(name)) {
        Ok(_) => Ok(Some(name.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes what earlier runs did not end.
fn remove_left_overs(directory: &Opened, current: Option<&str>) -> io::Result<()> {
    for name in names(directory)? {
        if name.starts_with("..") && name != DATA && Some(name.as_str()) != current {
            remove_directory(directory, &name)?;
        }
    }
    Ok(())
}

/// Whether a directory holds these files and no others.
fn is_same(directory: &Opened, volume: &ProjectedVolume) -> io::Result<bool> {
    let mut expected: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::from([("", BTreeSet::new())]);
    for path in volume.files.keys() {
        let mut below = path.as_str();
        while let Some((above, name)) = below.rsplit_once('/').or(Some(("", below)).filter(|_| !below.is_empty())) {
            if !expected.entry(above).or_default().insert(name) {
                break;
            }
            below = above;
        }
    }
    for (path, children) in expected {
        let Some(place) = enter(directory, path)? else { return Ok(false) };
        let found = names(&place)?;
        if found.len() != children.len() || !found.iter().all(|name| children.contains(name.as_str())) {
            return Ok(false);
        }
        for name in children {
            let whole = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
            if let Some(entry) = volume.files.get(&whole)
                && !is_same_file(&place, name, entry, volume.group)?
            {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn is_same_file(directory: &Opened, name: &str, entry: &FileEntry, group: Option<i64>) -> io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match openat(directory, name, flags, Mode::empty()) {
        // It is there, but not for us: it is written again.
        Err(Errno::ACCESS | Errno::LOOP) => return Ok(false),
        outcome => File::from(outcome?),
    };
    let metadata = file.metadata()?;
    let mode = metadata.mode() & 0o777;
    let same_owner = match group {
        None => mode == entry.mode,
        Some(group) if i64::from(metadata.gid()) == group => mode == entry.mode | group::READ,
        Some(_) => mode == entry.mode | group::for_everybody(group::READ),
    };
    if !metadata.is_file() || !same_owner || metadata.len() != entry.content.len() as u64 {
        return Ok(false);
    }
    let mut content = Vec::with_capacity(entry.content.len());
    file.take(metadata.len()).read_to_end(&mut content)?;
    Ok(content == *entry.content)
}

/// A directory below another one; `None` if it is not there.
fn enter(directory: &Opened, path: &str) -> io::Result<Option<Opened>> {
    let mut place = directory.enter(Path::new("."))?;
    for part in path.split('/').filter(|part| !part.is_empty()) {
        place = match place.enter(Path::new(part)) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => {
                return Ok(None);
            }
            outcome => outcome?,
        };
    }
    Ok(Some(place))
}

/// Makes a directory that is called by the time, as kubelet's are.
fn new_directory(directory: &Opened) -> io::Result<String> {
    let now = Timestamp::now();
    for try_ in 0..NAMES_MAX {
        let number = i64::from(now.subsec_nanosecond()).saturating_add(try_);
        let name = format!("..{}.{number:09}", now.strftime("%Y_%m_%d_%H_%M_%S"));
        match mkdirat(directory, name.as_str(), Mode::from_raw_mode(0o700)) {
            Err(Errno::EXIST) => {}
            Ok(()) => return Ok(name),
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::Error::from(io::ErrorKind::AlreadyExists))
}

/// Writes all files into a new directory.
fn fill(directory: &Opened, volume: &ProjectedVolume) -> io::Result<()> {
    let group = volume.group.map(u32::try_from).transpose().map_err(|_| invalid("fsGroup is no group"))?;
    for (path, entry) in &volume.files {
        check(path)?;
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut place = directory.enter(Path::new("."))?;
        for part in above.split('/').filter(|part| !part.is_empty()) {
            match mkdirat(&place, part, Mode::from_raw_mode(0o700)) {
                Ok(()) => {
                    place = place.enter(Path::new(part))?;
                    open_to_all(&place, group)?;
                }
                Err(Errno::EXIST) => place = place.enter(Path::new(part))?,
                Err(error) => return Err(error.into()),
            }
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(&place, name, flags, Mode::from_raw_mode(0o600))?);
        file.write_all(&entry.content)?;
        fchmod(&file, Mode::from_raw_mode(entry.mode as RawMode))?;
        if let Some(group) = group {
            group::give_one(&file, group, group::READ)?;
        }
    }
    open_to_all(directory, group)
}

fn open_to_all(directory: &Opened, group: Option<u32>) -> io::Result<()> {
    fchmod(directory, Mode::from_raw_mode(DIRECTORY_MODE as RawMode))?;
    match group {
        Some(group) => group::give_one(directory, group, group::READ | group::ENTER),
        None => Ok(()),
    }
}

/// Whether a path only goes down; whoever made the volume has looked already.
fn check(path: &str) -> io::Result<()> {
    let goes_down = path.split('/').all(|part| !matches!(part, "" | "." | "..")) && !path.starts_with("..");
    match goes_down {
        true => Ok(()),
        false => Err(invalid("a path leads out of the volume")),
    }
}

/// Makes a link, in the place of whatever has that name.
fn link(directory: &Opened, target: &str, name: &str) -> io::Result<()> {
    match symlinkat(target, directory, name) {
        Err(Errno::EXIST) => {}
        outcome => return Ok(outcome?),
    }
    match unlinkat(directory, NEW_LINK, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    symlinkat(target, directory, NEW_LINK)?;
    match renameat(directory, NEW_LINK, directory, name) {
        Err(Errno::ISDIR) => {
            remove_directory(directory, name)?;
            Ok(renameat(directory, NEW_LINK, directory, name)?)
        }
        outcome => Ok(outcome?),
    }
}
