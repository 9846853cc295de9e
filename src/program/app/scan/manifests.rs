//! The manifests: what differs goes to the control loop, and what the controller refuses is shown at its place.

use super::{Files, Findings, Part, ScanEnded};
use crate::{
    control::{
        controller::{Event, Refusal},
        runtime::simulated::check_annotations,
    },
    objects::{
        manifest::{Completeness, Manifests},
        object::ObjectKey,
    },
    program::{
        app::{
            advice::Advice,
            messages::{ControlRequest, ReplyDue, ask},
        },
        settings::{Settings, UndeclaredStorageClasses},
        telemetry,
    },
    text::diagnostic::{Diagnostic, has_error},
    web::metrics::ControlFigures,
};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender},
    },
    time::{Duration, Instant},
};

/// What the thread of manifests owns.
#[derive(Debug)]
pub(in crate::program::app) struct ManifestFiles {
    manifests: Manifests,
    /// What is said of refusals.
    advice: Advice,
    /// What the controller refused, until the object is declared anew or withdrawn.
    refused: BTreeMap<ObjectKey, Vec<Diagnostic>>,
    requests: SyncSender<ControlRequest>,
    /// How much was read when the controller was last notified.
    loaded: Completeness,
    /// Until the zones have been looked at once.
    zones_looked_at: Option<Receiver<()>>,
    findings: Findings,
    figures: Arc<ControlFigures>,
}

/// The manifests that the settings name, looked at as the runtime and the volumes of these settings would take them.
pub(in crate::program::app) fn manifests(settings: &Settings) -> Manifests {
    Manifests::new(settings.manifests.clone())
        .provisioning_undeclared(settings.undeclared_storage_classes == UndeclaredStorageClasses::Provision)
        .checking_annotations(check_annotations)
}

impl ManifestFiles {
    /// The first look waits for one message of `zones_looked_at`, or for the end of its sender: once all manifests are
    /// known, names of zones that nobody has looked for would be said not to exist.
    pub(in crate::program::app) fn new(
        settings: &Settings,
        requests: SyncSender<ControlRequest>,
        zones_looked_at: Receiver<()>,
        (findings, figures): (Findings, Arc<ControlFigures>),
    ) -> ManifestFiles {
        ManifestFiles {
            manifests: manifests(settings),
            advice: Advice::new(settings),
            refused: BTreeMap::new(),
            requests,
            loaded: Completeness::Nothing,
            zones_looked_at: Some(zones_looked_at),
            findings,
            figures,
        }
    }

    fn read(&mut self) -> Result<(), ScanEnded> {
        // The clock of what the files say starts when they are read.
        let known = Instant::now();
        self.manifests.set_served(ask(&self.requests, ControlRequest::CustomKinds).map_err(|_| ScanEnded)?);
        let changes = self.manifests.scan();
        telemetry::report(&changes.diagnostics);
        for key in changes.applied.iter().map(|declared| declared.object.key()).chain(changes.withdrawn.iter().cloned())
        {
            self.refused.remove(&key);
        }
        let (applied, withdrawn) = (changes.applied.len(), changes.withdrawn.len());
        let mut events: Vec<Event> = changes.withdrawn.into_iter().map(Event::Withdraw).collect();
        events.extend(changes.applied.into_iter().map(Event::Apply));
        events.extend(self.load());
        if events.is_empty() {
            return Ok(());
        }
        let refusals = ask(&self.requests, |reply| ControlRequest::Events(events, known, ReplyDue::Published, reply))
            .map_err(|_| ScanEnded)?;
        let refused = refusals.len();
        self.show(refusals);
        let (files, objects) = self.manifests.counts();
        tracing::info!(applied, withdrawn, refused, files, objects, "manifests read");
        Ok(())
    }

    /// The event that reports how much has been read, when that is more than before.
    fn load(&mut self) -> Option<Event> {
        let completeness = self.manifests.completeness();
        if completeness <= self.loaded {
            return None;
        }
        self.loaded = completeness;
        if completeness == Completeness::Whole {
            return Some(Event::Loaded);
        }
        tracing::warn!(
            "some manifests could not be read: what an earlier run took from manifests stays until all of them have \
             been read"
        );
        Some(Event::LoadedInPart)
    }

    /// Shows what was refused at its place in the manifest, or plainly when no manifest declares it.
    fn show(&mut self, refusals: Vec<Refusal>) {
        for refusal in refusals.iter().filter(|refusal| self.manifests.origin(&refusal.key).is_none()) {
            for error in &refusal.errors {
                tracing::warn!(object = %refusal.key, %error, "refused; what was there before goes on");
            }
        }
        let placed = self.advice.place(&refusals, &self.manifests);
        let all: Vec<Diagnostic> = placed.iter().flat_map(|(_, found)| found).cloned().collect();
        telemetry::report(&all);
        self.refused.extend(placed.into_iter().filter(|(_, found)| !found.is_empty()));
    }

    fn publish(&self) {
        let mut all = self.manifests.diagnostics();
        all.extend(self.refused.values().flatten().cloned());
        self.findings.publish(Part::Manifests, all);
    }
}

impl Files for ManifestFiles {
    fn scan(&mut self) -> Result<(), ScanEnded> {
        if let Some(zones) = self.zones_looked_at.take() {
            // Also if nobody will look at them any more.
            let _ = zones.recv();
        }
        self.read()?;
        self.publish();
        self.figures.scanned(!has_error(&self.findings.all()), self.findings.oldest_look());
        Ok(())
    }

    fn due_within(&self) -> Option<Duration> {
        self.manifests.rescan_within()
    }

    fn set_directories(&mut self, directories: Vec<PathBuf>) {
        self.manifests.set_directories(directories);
    }

    fn refused(&mut self, refusals: Vec<Refusal>) {
        self.show(refusals);
        self.publish();
    }
}
