//! Files that people name: looked at, opened without waiting, looked at again, and read up to a limit.
//!
//! A path may lead to anything: a named pipe without a writer, a device without end, a socket, a file of
//! the kernel's that shows this program's own memory. Only regular files are read, also through symbolic links. The look
//! before the opening keeps devices and pipes from noticing us; the look at what was opened is the one that counts,
//! since another process may have replaced the file between the two. `/dev/null` counts as an empty file.

#[cfg(test)]
mod tests;

use std::{
    fs::{self, File, Metadata},
    io::{self, Read as _},
    path::Path,
    sync::LazyLock,
};

/// The contents of a regular file of at most `limit` octets. This never waits for another process.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] if it is no regular file, with what it is; [`io::ErrorKind::FileTooLarge`] if it has
/// more octets; whatever the system says.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_with(path, limit, || {})
}

/// [`read`] for text.
///
/// # Errors
/// As [`read`], and [`io::ErrorKind::InvalidData`] if it is not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    let invalid = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8");
    String::from_utf8(read(path, limit)?).map_err(invalid)
}

/// Opens a regular file for reading.
///
/// # Errors
/// As [`read`], but for the size.
pub fn open(path: &Path) -> io::Result<File> {
    open_with(path, || {})
}

/// Whether a regular file stands at a path, without opening it.
///
/// # Errors
/// As [`open`].
pub fn look(path: &Path) -> io::Result<()> {
    admit(&fs::metadata(path)?)
}

/// What something is that is neither a regular file nor a directory on a disk, in words for people; `None` for these two.
pub fn special(metadata: &Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    if kind.is_file() || kind.is_dir() {
        return is_of_kernel(metadata).then_some("part of /proc or /sys, which the kernel makes up");
    }
    Some(special_kind(kind))
}

/// `between` is called between the look and the opening.
fn read_with(path: &Path, limit: u64, between: impl FnOnce()) -> io::Result<Vec<u8>> {
    let file = open_with(path, between)?;
    let large = || io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {}", size(limit)));
    if file.metadata()?.len() > limit {
        return Err(large());
    }
    // It may grow while it is read, and some that are read at all do not know their own length.
    let mut octets = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut octets)?;
    if octets.len() as u64 > limit { Err(large()) } else { Ok(octets) }
}

fn open_with(path: &Path, between: impl FnOnce()) -> io::Result<File> {
    look(path)?;
    between();
    let file = open_at_once(path)?;
    admit(&file.metadata()?)?;
    Ok(file)
}

/// Without waiting for a pipe's writer or a device's carrier, and without making a terminal the one that controls this
/// process.
#[cfg(unix)]
fn open_at_once(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    File::options().read(true).custom_flags(flags).open(path)
}

#[cfg(not(unix))]
fn open_at_once(path: &Path) -> io::Result<File> {
    File::open(path)
}

fn admit(metadata: &Metadata) -> io::Result<()> {
    let what = if metadata.is_dir() { Some("a directory") } else { special(metadata) };
    match what {
        None => Ok(()),
        Some(_) if is_null(metadata) => Ok(()),
        Some(what) => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {what}, and no regular file"))),
    }
}

#[cfg(unix)]
fn special_kind(kind: fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt as _;
    if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_char_device() || kind.is_block_device() {
        "a device"
    } else {
        "of a special kind"
    }
}

#[cfg(not(unix))]
fn special_kind(_: fs::FileType) -> &'static str {
    "of a special kind"
}

/// Whether it is the device that has nothing in it.
#[cfg(unix)]
fn is_null(metadata: &Metadata) -> bool {
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
    let is_same = |null: Metadata| null.file_type().is_char_device() && null.rdev() == metadata.rdev();
    metadata.file_type().is_char_device() && fs::metadata("/dev/null").is_ok_and(is_same)
}

#[cfg(not(unix))]
fn is_null(_: &Metadata) -> bool {
    false
}

/// Whether it lies on a file system of the kernel's: such files call themselves regular, some have no end or show secrets
/// of this process, and all of them look different at every reading.
#[cfg(unix)]
fn is_of_kernel(metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    /// The devices of these file systems, where they are mounted.
    static DEVICES: LazyLock<Vec<u64>> = LazyLock::new(|| {
        let device = |path: &str| fs::metadata(path).ok().map(|metadata| metadata.dev());
        let root = device("/");
        ["/proc", "/sys"].into_iter().filter_map(device).filter(|found| Some(*found) != root).collect()
    });
    DEVICES.contains(&metadata.dev())
}

#[cfg(not(unix))]
fn is_of_kernel(_: &Metadata) -> bool {
    false
}

/// A limit for people.
fn size(octets: u64) -> String {
    match octets {
        whole if whole >= 1 << 20 && whole.is_multiple_of(1 << 20) => format!("{} MiB", whole >> 20),
        whole if whole >= 1 << 10 && whole.is_multiple_of(1 << 10) => format!("{} KiB", whole >> 10),
        octets => format!("{octets} octets"),
    }
}
