//! The threads that read files on request: manifests, static zones, and secrets, each in a thread of its own, so that
//! files that are slow to read (a large zone, a file system that does not answer) hold up nothing but their own kind.

mod manifests;
mod secrets;
mod zones;

pub(super) use self::{
    manifests::{ManifestFiles, manifests},
    secrets::Secrets,
    zones::StaticZones,
};
use super::messages::Scan;
use crate::{control::controller::Refusal, text::diagnostic::Diagnostic};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, SystemTime},
};

/// The thread is to end: it was stopped, or the control loop, its only reader, has ended.
pub(super) struct ScanEnded;

/// What one thread reads, again and again.
pub(super) trait Files {
    /// Reads all of it, has what differs carried out, and publishes what is wrong.
    fn scan(&mut self) -> Result<(), ScanEnded>;

    /// When the next scan is due though nobody asks for one.
    fn due_within(&self) -> Option<Duration> {
        None
    }

    /// Reads these directories from the next scan on.
    fn set_directories(&mut self, _: Vec<PathBuf>) {}

    /// Shows what was refused of what the files say.
    fn refused(&mut self, _: Vec<Refusal>) {}
}

/// Carries out requests until it is stopped.
pub(super) fn run(mut files: impl Files, scans: &Receiver<Scan>) {
    loop {
        // Some of what a scan found is carried out only when it still holds a little later.
        let next = match files.due_within() {
            Some(wait) => scans.recv_timeout(wait),
            None => scans.recv().map_err(RecvTimeoutError::from),
        };
        let outcome = match next {
            Err(RecvTimeoutError::Timeout) => files.scan(),
            Err(RecvTimeoutError::Disconnected) => return,
            Ok(scan) => obey(&mut files, scan),
        };
        if outcome.is_err() {
            return;
        }
    }
}

fn obey(files: &mut impl Files, scan: Scan) -> Result<(), ScanEnded> {
    match scan {
        Scan::Hint(waiting) => {
            waiting.store(false, Ordering::Release);
            files.scan()
        }
        Scan::Now(reply) => files.scan().map(|()| {
            // Who asked may have gone meanwhile.
            let _ = reply.send(());
        }),
        Scan::Refused(refusals) => {
            files.refused(refusals);
            Ok(())
        }
        Scan::Directories(directories) => {
            files.set_directories(directories);
            Ok(())
        }
        Scan::Stop => Err(ScanEnded),
    }
}

/// Whose diagnostics they are, in the order in which all are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Manifests,
    Zones,
    Secrets,
}

/// What each thread found at its last look; all clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Findings(Arc<Mutex<BTreeMap<Part, Finding>>>);

#[derive(Debug)]
struct Finding {
    diagnostics: Vec<Diagnostic>,
    at: SystemTime,
}

impl Findings {
    fn publish(&self, part: Part, diagnostics: Vec<Diagnostic>) {
        self.lock().insert(part, Finding { diagnostics, at: SystemTime::now() });
    }

    /// All diagnostics that hold.
    pub(super) fn all(&self) -> Vec<Diagnostic> {
        self.lock().values().flat_map(|finding| &finding.diagnostics).cloned().collect()
    }

    /// When that thread looked which has not looked for longest.
    fn oldest_look(&self) -> SystemTime {
        self.lock().values().map(|finding| finding.at).min().unwrap_or(SystemTime::UNIX_EPOCH)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Part, Finding>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::app::messages::{self, Hints, Scanners};
    use std::{
        path::Path,
        sync::mpsc::{SyncSender, sync_channel},
        thread::{JoinHandle, spawn},
    };

    const PATIENCE: Duration = Duration::from_secs(30);

    /// Files that say when a look begins, and that can be read only with leave.
    struct Slow {
        begun: SyncSender<()>,
        leave: Receiver<()>,
    }

    impl Files for Slow {
        fn scan(&mut self) -> Result<(), ScanEnded> {
            let _ = self.begun.send(());
            self.leave.recv().map_err(|_| ScanEnded)
        }
    }

    fn slow(scans: Receiver<Scan>) -> (Receiver<()>, SyncSender<()>, JoinHandle<()>) {
        let ((begun, begins), (give, leave)) = (sync_channel(9), sync_channel(9));
        (begins, give, spawn(move || run(Slow { begun, leave }, &scans)))
    }

    #[test]
    fn files_that_cannot_be_read_hold_up_their_own_kind_only() {
        let [zones, secrets, manifests] = [messages::scans(), messages::scans(), messages::scans()];
        let senders = Scanners { zones: zones.0, secrets: secrets.0, manifests: manifests.0 };
        let hints = Hints::new(&senders);
        let (begins, give, stuck) = slow(zones.1);
        let (others, leave, other) = slow(manifests.1);
        let secrets = spawn(move || drop(secrets.1));
        secrets.join().unwrap();
        // The first look at the zones never ends; hints still reach the manifests.
        for round in 0..20 {
            hints.hint();
            assert_eq!(others.recv_timeout(PATIENCE), Ok(()), "{round}");
            leave.send(()).unwrap();
        }
        assert_eq!((begins.recv_timeout(PATIENCE), begins.try_recv().is_err()), (Ok(()), true));
        drop((give, leave));
        stuck.join().unwrap();
        hints.hint();
        other.join().unwrap();
    }

    #[test]
    fn the_oldest_look_counts() {
        let findings = Findings::default();
        assert_eq!(findings.oldest_look(), SystemTime::UNIX_EPOCH);
        let error = |text: &str| vec![Diagnostic::error(Path::new(text), String::new())];
        findings.publish(Part::Secrets, error("c"));
        let first = findings.oldest_look();
        findings.publish(Part::Manifests, error("a"));
        assert_eq!(findings.oldest_look(), first);
        let paths: Vec<_> = findings.all().into_iter().map(|one| one.file).collect();
        assert_eq!(paths, [Path::new("a"), Path::new("c")]);
    }
}
