//! Whether queries should come here: not before everything was read, and not once the server is about to end.

use crate::dns::zone::Reader;
use std::sync::Arc;
use tokio::sync::watch;

/// Where the server is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It answers, as well as it knows yet.
    Serving,
    /// A signal to end came; it still answers for `limits.lameDuck`.
    Ending,
}

/// The phase, for readers and for those that wait for it; cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::program::app) struct Readiness(Arc<watch::Sender<Phase>>);

impl Readiness {
    pub(in crate::program::app) fn new() -> Readiness {
        Readiness(Arc::new(watch::Sender::new(Phase::Serving)))
    }

    /// From now on the server is about to end.
    pub(in crate::program::app) fn end(&self) {
        self.0.send_replace(Phase::Ending);
    }

    /// Why queries should not come here, if so.
    pub(in crate::program::app) fn problem(&self, reader: &Reader) -> Option<&'static str> {
        if *self.0.borrow() == Phase::Ending {
            return Some("not ready: a signal to end came; queries are still answered for limits.lameDuck");
        }
        let synced = reader.load().is_synced();
        (!synced).then_some("not ready: manifests have not been read completely yet; what is unknown gets SERVFAIL")
    }

    /// Returns once the server is about to end.
    pub(super) async fn ended(&self) {
        // The sender is held by `self`, so this waits for the phase and nothing else.
        let _ = self.0.subscribe().wait_for(|phase| *phase == Phase::Ending).await;
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
        readiness.clone().end();
        assert!(readiness.problem(&reader).is_some_and(|problem| problem.contains("signal")));
    }
}
