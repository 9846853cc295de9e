//! When to look at the directories again: file system events, settled, and a clock as safety net.
//!
//! An event is only a hint. What an editor, a partial write or a ConfigMap's symlink swap did is found out by the
//! re-scan, which compares contents; so nothing is lost when events are lost, it only takes until the next tick of the
//! clock.

use super::walk;
use crate::text::options::{self, options};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher, event};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Events that never fall silent are looked at after so many times the settling time.
const SETTLE_ROUNDS: u32 = 10;

options! {
    /// How directories are watched.
    #[derive(Eq)]
    pub struct Timing {
        /// How long events must be quiet before a re-scan.
        #[serde(deserialize_with = "options::text")]
        pub settle: Duration = Duration::from_millis(50), Duration::ZERO..=Duration::from_secs(10);
        /// How often everything is re-scanned without any event.
        #[serde(deserialize_with = "options::text")]
        pub rescan: Duration = Duration::from_secs(10), Duration::from_millis(100)..=Duration::from_secs(3600);
    }
}

/// A running watch; dropping it ends its thread.
#[derive(Debug)]
pub struct DirectoryWatch {
    wake: SyncSender<()>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Calls `on_hint` whenever something in or around one of the directories may have changed: `settle` after the last of
/// a flurry of events (or ten times `settle` after the first), and every `rescan` without any event. The directories
/// need not exist yet and may be replaced. Where the system cannot watch, the clock remains.
pub fn watch(
    directories: Vec<PathBuf>,
    timing: &Timing,
    on_hint: impl Fn() + Send + 'static,
) -> io::Result<DirectoryWatch> {
    let Timing { settle, rescan } = *timing;
    // Room for one: a second event before the first has been taken says nothing new.
    let (wake, woken) = sync_channel(1);
    let hint = wake.clone();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let directories: Vec<PathBuf> =
        directories.into_iter().map(|directory| std::path::absolute(&directory).unwrap_or(directory)).collect();
    let concerned = directories.clone();
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.map_or(true, |event| is_hint(&event, &concerned)) {
            // Full means that a wake-up is due anyway; closed that nobody wants one.
            let _ = hint.try_send(());
        }
    });
    let watcher = match watcher {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            tracing::warn!(%error, ?rescan, "the system watches no directories; changes are found by re-scanning only");
            None
        }
    };
    let mut armed = Armed::new(directories, watcher);
    // Armed before this call returns: whatever changes from now on is seen.
    armed.renew();
    let thread = std::thread::Builder::new()
        .name("watch".to_owned())
        .spawn(move || run(&woken, &stopped, &mut armed, settle, rescan, on_hint))?;
    Ok(DirectoryWatch { wake, stop, thread: Some(thread) })
}

impl DirectoryWatch {
    /// Whether its thread has ended though nobody dropped the watch.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for DirectoryWatch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // Full: it is awake soon anyway; disconnected: it has ended.
        let _ = self.wake.try_send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Reading a file is no change of it, or our own scans would wake us for ever; and what else happens in the directory
/// above does not concern us.
fn is_hint(event: &notify::Event, directories: &[PathBuf]) -> bool {
    let changes = match event.kind {
        EventKind::Access(event::AccessKind::Close(event::AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    };
    let concerns = |path: &PathBuf| directories.iter().any(|own| path.starts_with(own) || own.starts_with(path));
    // Without a path: the system has lost events.
    changes && (event.paths.is_empty() || event.paths.iter().any(concerns))
}

fn run(
    woken: &Receiver<()>,
    stopped: &AtomicBool,
    armed: &mut Armed,
    settle: Duration,
    rescan: Duration,
    on_hint: impl Fn(),
) {
    loop {
        match woken.recv_timeout(rescan) {
            Ok(()) => settled(woken, stopped, settle),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if stopped.load(Ordering::Acquire) {
            return;
        }
        // First the watches, then the look: what appears in a directory that is new here is seen by one or the other.
        armed.renew();
        on_hint();
    }
}

/// Waits until events have been silent for `settle`, but not for ever, and not when the watch is to end.
fn settled(woken: &Receiver<()>, stopped: &AtomicBool, settle: Duration) {
    let end = Instant::now() + settle * SETTLE_ROUNDS;
    while !stopped.load(Ordering::Acquire) && Instant::now() < end {
        if woken.recv_timeout(settle).is_err() {
            return;
        }
    }
}

/// What the system watches for us.
struct Armed {
    directories: Vec<PathBuf>,
    watcher: Option<RecommendedWatcher>,
    /// Each watched path with the identity of what was there when the watch was set.
    watched: BTreeMap<PathBuf, Identity>,
    complained: bool,
}

/// What tells a directory from another one of the same name.
type Identity = (u64, u64);

impl Armed {
    fn new(directories: Vec<PathBuf>, watcher: Option<RecommendedWatcher>) -> Armed {
        Armed { directories, watcher, watched: BTreeMap::new(), complained: false }
    }

    /// Watches what is there now: each directory and those below it in which manifests are looked for, and the directory
    /// above it (or the nearest one that exists), so that its coming, going and replacement are noticed. The system is
    /// not asked for everything below a directory, since it would follow a link to `/proc` or `/` through all of it.
    fn renew(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        let wanted = wanted(&self.directories);
        self.watched.retain(|path, identity| {
            let keep = wanted.get(path) == Some(identity);
            if !keep {
                // A directory that is gone has taken its watch with it.
                let _ = watcher.unwatch(path);
            }
            keep
        });
        for (path, identity) in wanted {
            if self.watched.contains_key(&path) {
                continue;
            }
            match watcher.watch(&path, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(path, identity);
                }
                Err(error) => {
                    if !self.complained {
                        tracing::warn!(path = %path.display(), %error, "not watched; changes are found by re-scanning");
                        self.complained = true;
                    }
                }
            }
        }
    }
}

fn wanted(directories: &[PathBuf]) -> BTreeMap<PathBuf, Identity> {
    let identified = |path: PathBuf| identity(&path).map(|identity| (path, identity));
    directories
        .iter()
        .flat_map(|directory| {
            let above = directory.ancestors().skip(1).map(Path::to_owned).find_map(identified);
            walk::directories(directory).into_iter().filter_map(identified).chain(above)
        })
        .collect()
}

#[cfg(unix)]
fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_dir)?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(path: &Path) -> Option<Identity> {
    path.is_dir().then_some((0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, sync::mpsc::Receiver};

    const SETTLE: Duration = Duration::from_millis(10);
    const HINT_TIMEOUT: Duration = Duration::from_secs(10);
    const NEVER: Duration = Duration::from_secs(3600);

    fn hints(directory: &Path, rescan: Duration) -> (DirectoryWatch, Receiver<()>) {
        let (hint, hinted) = sync_channel(1024);
        let watch = watch(vec![directory.to_owned()], &Timing { settle: SETTLE, rescan }, move || {
            let _ = hint.try_send(());
        });
        (watch.unwrap(), hinted)
    }

    /// Does something and waits for the hint that follows from it; then lets things fall silent.
    fn expect_hint(hinted: &Receiver<()>, what: &str, act: impl FnOnce()) {
        while hinted.recv_timeout(SETTLE * 8).is_ok() {}
        act();
        assert!(hinted.recv_timeout(HINT_TIMEOUT).is_ok(), "no hint after: {what}");
    }

    #[test]
    fn everything_that_happens_to_files_gives_a_hint() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("manifests");
        let file = directory.join("web.yaml");
        let (_watch, hinted) = hints(&directory, NEVER);
        expect_hint(&hinted, "the directory comes later", || fs::create_dir(&directory).unwrap());
        expect_hint(&hinted, "a new file", || fs::write(&file, "a").unwrap());
        expect_hint(&hinted, "a changed file", || fs::write(&file, "b").unwrap());
        expect_hint(&hinted, "a file renamed into place", || {
            let other = root.path().join("elsewhere");
            fs::write(&other, "c").unwrap();
            fs::rename(&other, &file).unwrap();
        });
        expect_hint(&hinted, "a sub-directory", || fs::create_dir(directory.join("more")).unwrap());
        expect_hint(&hinted, "a file in it", || fs::write(directory.join("more/db.yaml"), "a").unwrap());
        expect_hint(&hinted, "a removed file", || fs::remove_file(&file).unwrap());
        expect_hint(&hinted, "the directory is replaced", || {
            fs::rename(&directory, root.path().join("old")).unwrap();
            fs::create_dir(&directory).unwrap();
        });
        expect_hint(&hinted, "a file in the new directory", || fs::write(&file, "d").unwrap());
        expect_hint(&hinted, "the directory goes", || fs::remove_dir_all(&directory).unwrap());
        expect_hint(&hinted, "and comes back", || fs::create_dir(&directory).unwrap());
        expect_hint(&hinted, "with a file", || fs::write(&file, "e").unwrap());
    }

    #[cfg(unix)]
    #[test]
    fn a_config_map_swap_gives_a_hint() {
        use std::os::unix::fs::symlink;
        let root = tempfile::tempdir().unwrap();
        let directory = root.path();
        for version in ["..1", "..2"] {
            fs::create_dir(directory.join(version)).unwrap();
            fs::write(directory.join(version).join("web.yaml"), version).unwrap();
        }
        symlink("..1", directory.join("..data")).unwrap();
        symlink("..data/web.yaml", directory.join("web.yaml")).unwrap();
        let (_watch, hinted) = hints(directory, NEVER);
        expect_hint(&hinted, "the swap", || {
            symlink("..2", directory.join("..data_tmp")).unwrap();
            fs::rename(directory.join("..data_tmp"), directory.join("..data")).unwrap();
        });
    }

    /// Directories that links lead to are watched, those below them as well, and none of the kernel's.
    #[cfg(unix)]
    #[test]
    fn behind_links() {
        use std::os::unix::fs::symlink;
        let root = tempfile::tempdir().unwrap();
        let (directory, other) = (root.path().join("manifests"), root.path().join("other"));
        fs::create_dir(&directory).unwrap();
        fs::create_dir_all(other.join("below")).unwrap();
        symlink(&other, directory.join("link")).unwrap();
        symlink(&directory, other.join("circle")).unwrap();
        symlink("/proc", directory.join("processes")).unwrap();
        let found = walk::directories(&directory);
        let found: Vec<_> =
            found.iter().map(|path| path.strip_prefix(&directory).unwrap().display().to_string()).collect();
        assert_eq!(found, ["", "link", "link/below"]);
        let (_watch, hinted) = hints(&directory, NEVER);
        expect_hint(&hinted, "a file behind the link", || fs::write(other.join("web.yaml"), "a").unwrap());
        expect_hint(&hinted, "a file below it", || fs::write(other.join("below/web.yaml"), "a").unwrap());
    }

    #[test]
    fn reading_gives_none() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("web.yaml");
        fs::write(&file, "a").unwrap();
        let (_watch, hinted) = hints(root.path(), NEVER);
        while hinted.recv_timeout(SETTLE * 8).is_ok() {}
        fs::read(&file).unwrap();
        fs::read_dir(root.path()).unwrap().for_each(drop);
        assert!(hinted.recv_timeout(SETTLE * 8).is_err());
    }

    #[test]
    fn a_neighbour_gives_none() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("manifests");
        fs::create_dir(&directory).unwrap();
        let (_watch, hinted) = hints(&directory, NEVER);
        while hinted.recv_timeout(SETTLE * 8).is_ok() {}
        fs::write(root.path().join("some.log"), "a").unwrap();
        assert!(hinted.recv_timeout(SETTLE * 8).is_err());
    }

    /// Events that never fall silent do not put the hint off for ever, and do not give one each.
    #[test]
    fn a_flurry_gives_few_hints() {
        let root = tempfile::tempdir().unwrap();
        let (_watch, hinted) = hints(root.path(), NEVER);
        let begun = Instant::now();
        let mut writes = 0;
        while begun.elapsed() < SETTLE * SETTLE_ROUNDS * 4 {
            fs::write(root.path().join("web.yaml"), writes.to_string()).unwrap();
            writes += 1;
        }
        let count = hinted.try_iter().count();
        assert!((1..writes / 2).contains(&count), "{count} hints after {writes} writes");
    }

    #[test]
    fn the_clock_gives_hints_without_events() {
        let root = tempfile::tempdir().unwrap();
        let (watch, hinted) = hints(root.path(), Duration::from_millis(20));
        for _ in 0..3 {
            hinted.recv_timeout(HINT_TIMEOUT).unwrap();
        }
        drop(watch);
        assert!(hinted.iter().count() < usize::MAX, "the thread has ended, so this ends");
    }
}
