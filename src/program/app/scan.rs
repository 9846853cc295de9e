//! The scan thread: reads manifests, static zones and the certificate on request, and sends what differs to the
//! control loop.

use super::{
    advice::Advice,
    cookies::CookieSecrets,
    messages::{ControlRequest, ReplyDue, Scan, ask},
};
use crate::{
    control::{
        controller::{Event, Refusal},
        runtime::simulated::check_annotations,
    },
    dns::zone::file::ZoneFiles,
    objects::{
        manifest::{Completeness, Manifests},
        object::ObjectKey,
    },
    program::{
        certificate::Certificate,
        settings::{Settings, UndeclaredStorageClasses},
        telemetry,
    },
    text::diagnostic::{Diagnostic, has_error},
    web::metrics::ControlFigures,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError, SyncSender},
    },
    time::Instant,
};

/// What the thread owns.
#[derive(Debug)]
pub(super) struct ScanThread {
    manifests: Manifests,
    zones: ZoneFiles,
    zone_diagnostics: Vec<Diagnostic>,
    /// Of the encrypted transports, where there are any.
    certificate: Option<Certificate>,
    /// What the API shows of it, in PEM; `None` where it shows none.
    shown_by_api: Option<Arc<str>>,
    /// What is said of refusals.
    advice: Advice,
    cookies: CookieSecrets,
    /// What the controller refused, until the object is declared anew or withdrawn.
    refused: BTreeMap<ObjectKey, Vec<Diagnostic>>,
    /// All current diagnostics, for readers.
    diagnostics: Arc<Mutex<Vec<Diagnostic>>>,
    requests: SyncSender<ControlRequest>,
    /// How much was read when the controller was last notified.
    loaded: Completeness,
    figures: Arc<ControlFigures>,
}

/// The thread is to end: it was stopped, or the control loop, its only reader, has ended.
struct ScanEnded;

/// The manifests that the settings name, looked at as the runtime and the volumes of these settings would take them.
pub(super) fn manifests(settings: &Settings) -> Manifests {
    Manifests::new(settings.manifests.clone())
        .provisioning_undeclared(settings.undeclared_storage_classes == UndeclaredStorageClasses::Provision)
        .checking_annotations(check_annotations)
}

impl ScanThread {
    pub(super) fn new(
        settings: &Settings,
        (certificate, cookies): (Option<Certificate>, CookieSecrets),
        requests: SyncSender<ControlRequest>,
        figures: Arc<ControlFigures>,
    ) -> ScanThread {
        let built_in = settings.cluster_domains().chain(&settings.reverse_zones).cloned().collect();
        ScanThread {
            manifests: manifests(settings),
            zones: ZoneFiles::new(&settings.zones).beneath(built_in),
            zone_diagnostics: Vec::new(),
            certificate,
            shown_by_api: None,
            advice: Advice::new(settings),
            cookies,
            refused: BTreeMap::new(),
            diagnostics: Arc::default(),
            requests,
            loaded: Completeness::Nothing,
            figures,
        }
    }

    /// Says that the API shows the certificate.
    pub(super) fn shown_by_api(mut self, is_shown: bool) -> ScanThread {
        self.shown_by_api = self.certificate.as_ref().filter(|_| is_shown).map(|certificate| certificate.pem().into());
        self
    }

    /// Where all diagnostics that hold can be read.
    pub(super) fn diagnostics(&self) -> Arc<Mutex<Vec<Diagnostic>>> {
        Arc::clone(&self.diagnostics)
    }

    /// Carries out requests until it is stopped.
    pub(super) fn run(mut self, scans: &Receiver<Scan>) {
        loop {
            // Some of what a scan found is carried out only when it still holds a little later.
            let next = match self.manifests.rescan_within() {
                Some(wait) => scans.recv_timeout(wait),
                None => scans.recv().map_err(RecvTimeoutError::from),
            };
            let outcome = match next {
                Err(RecvTimeoutError::Timeout) => self.scan(),
                Err(RecvTimeoutError::Disconnected) => return,
                Ok(scan) => self.obey(scan),
            };
            if outcome.is_err() {
                return;
            }
        }
    }

    fn obey(&mut self, scan: Scan) -> Result<(), ScanEnded> {
        match scan {
            Scan::Hint(waiting) => {
                waiting.store(false, Ordering::Release);
                self.scan()
            }
            Scan::Now(reply) => self.scan().map(|()| {
                // Who asked may have gone meanwhile.
                let _ = reply.send(());
            }),
            Scan::Refused(refusals) => {
                self.refuse(refusals);
                self.publish_diagnostics();
                Ok(())
            }
            Scan::Directories { manifests, zones } => {
                self.manifests.set_directories(manifests);
                self.zones.set_directory(&zones);
                Ok(())
            }
            Scan::Stop => Err(ScanEnded),
        }
    }

    fn scan(&mut self) -> Result<(), ScanEnded> {
        self.refresh_certificate()?;
        self.cookies.refresh();
        self.scan_zones()?;
        self.scan_manifests()?;
        self.figures.scanned(!has_error(&self.publish_diagnostics()));
        Ok(())
    }

    /// What clients are shown is also what pods find in `kube-root-ca.crt`.
    fn refresh_certificate(&mut self) -> Result<(), ScanEnded> {
        let Some(certificate) = &mut self.certificate else { return Ok(()) };
        let wrong = certificate.refresh();
        let pem = certificate.pem();
        telemetry::report(wrong.as_slice());
        if self.shown_by_api.as_deref().is_some_and(|shown| shown != pem) {
            let pem: Arc<str> = pem.into();
            self.shown_by_api = Some(Arc::clone(&pem));
            self.requests.send(ControlRequest::Certificate(pem)).map_err(|_| ScanEnded)?;
        }
        Ok(())
    }

    fn scan_zones(&mut self) -> Result<(), ScanEnded> {
        let (zones, diagnostics) = self.zones.scan();
        let new: Vec<_> = diagnostics.iter().filter(|one| !self.zone_diagnostics.contains(one)).cloned().collect();
        telemetry::report(&new);
        self.zone_diagnostics = diagnostics;
        let Some(zones) = zones else { return Ok(()) };
        tracing::info!(zones = zones.len(), "static zones read");
        ask(&self.requests, |reply| ControlRequest::Zones(zones, reply)).map_err(|_| ScanEnded)
    }

    fn scan_manifests(&mut self) -> Result<(), ScanEnded> {
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
        self.refuse(refusals);
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
    fn refuse(&mut self, refusals: Vec<Refusal>) {
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

    fn publish_diagnostics(&self) -> Vec<Diagnostic> {
        let mut all = self.manifests.diagnostics();
        all.extend(self.refused.values().flatten().cloned());
        all.extend(self.zone_diagnostics.iter().cloned());
        all.extend(self.certificate.as_ref().and_then(Certificate::wrong).cloned());
        self.diagnostics.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&all);
        all
    }
}
