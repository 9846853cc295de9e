//! Whether queries should come here: not before everything was read, and not once the server is about to end.

use crate::dns::zone::Reader;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::sync::watch;

/// Where the server is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It answers, as well as it knows yet.
    Serving,
    /// A signal to end came; it still answers for `limits.lameDuck`.
    Ending,
}

/// Whether the container engine answers; true where there is none. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::program::app) struct EngineHealth(Arc<AtomicBool>);

impl EngineHealth {
    /// Whether it does.
    pub(in crate::program::app) fn answers(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// From now on it does, or does not.
    pub(in crate::program::app) fn set(&self, answers: bool) {
        self.0.store(answers, Ordering::Release);
    }
}

/// The phase, for readers and for those that wait for it; cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::program::app) struct Readiness {
    phase: Arc<watch::Sender<Phase>>,
    engine: EngineHealth,
}

impl Readiness {
    pub(in crate::program::app) fn new() -> Readiness {
        let engine = EngineHealth(Arc::new(AtomicBool::new(true)));
        Readiness { phase: Arc::new(watch::Sender::new(Phase::Serving)), engine }
    }

    /// From now on the server is about to end.
    pub(in crate::program::app) fn end(&self) {
        self.phase.send_replace(Phase::Ending);
    }

    /// Where it is noted whether the container engine answers.
    pub(in crate::program::app) fn engine(&self) -> EngineHealth {
        self.engine.clone()
    }

    /// Why queries should not come here, if so.
    pub(in crate::program::app) fn problem(&self, reader: &Reader) -> Option<&'static str> {
        if *self.phase.borrow() == Phase::Ending {
            return Some("not ready: a signal to end came; queries are still answered for limits.lameDuck");
        }
        let synced = reader.load().is_synced();
        if !synced {
            return Some("not ready: manifests have not been read completely yet; what is unknown gets SERVFAIL");
        }
        (!self.engine.answers()).then_some(
            "not ready: the container engine does not answer; pods and their names stay as they are (see the log)",
        )
    }

    /// Returns once the server is about to end.
    pub(super) async fn ended(&self) {
        // The sender is held by `self`, so this waits for the phase and nothing else.
        let _ = self.phase.subscribe().wait_for(|phase| *phase == Phase::Ending).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::zone::{Snapshot, channel};

    #[test]
    fn ready_between_the_first_load_and_the_end() {
        let (mut publisher, reader) = channel(Snapshot::new(Vec::new()));
        let readiness = Readiness::new();
        assert!(readiness.problem(&reader).is_some_and(|problem| problem.contains("not been read")));
        publisher.publish(publisher.current().synced());
        assert_eq!(readiness.problem(&reader), None);
        readiness.engine().set(false);
        assert!(readiness.problem(&reader).is_some_and(|problem| problem.contains("engine")));
        readiness.engine().set(true);
        readiness.clone().end();
        assert!(readiness.problem(&reader).is_some_and(|problem| problem.contains("signal")));
    }
}
