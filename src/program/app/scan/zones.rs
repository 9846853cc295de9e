//! The static zones: those that differ go to the control loop.

use super::{Files, Findings, Part, ScanEnded};
use crate::{
    dns::zone::file::ZoneFiles,
    program::{
        app::messages::{ControlRequest, ask},
        settings::Settings,
        telemetry,
    },
    text::diagnostic::Diagnostic,
};
use std::{
    path::PathBuf,
    sync::mpsc::{SyncSender, TrySendError},
};

/// What the thread of zones owns.
#[derive(Debug)]
pub(in crate::program::app) struct StaticZones {
    zones: ZoneFiles,
    diagnostics: Vec<Diagnostic>,
    requests: SyncSender<ControlRequest>,
    /// Has room for one message, which says that there has been a look.
    looked: SyncSender<()>,
    findings: Findings,
}

impl StaticZones {
    pub(in crate::program::app) fn new(
        settings: &Settings,
        requests: SyncSender<ControlRequest>,
        looked: SyncSender<()>,
        findings: Findings,
    ) -> StaticZones {
        let built_in = settings.cluster_domains().chain(&settings.reverse_zones).cloned().collect();
        let zones = ZoneFiles::new(&settings.zones).beneath(built_in);
        StaticZones { zones, diagnostics: Vec::new(), requests, looked, findings }
    }
}

impl Files for StaticZones {
    fn scan(&mut self) -> Result<(), ScanEnded> {
        let (zones, diagnostics) = self.zones.scan();
        let new: Vec<_> = diagnostics.iter().filter(|one| !self.diagnostics.contains(one)).cloned().collect();
        telemetry::report(&new);
        self.diagnostics.clone_from(&diagnostics);
        self.findings.publish(Part::Zones, diagnostics);
        if let Some(zones) = zones {
            tracing::info!(zones = zones.len(), "static zones read");
            ask(&self.requests, |reply| ControlRequest::Zones(zones, reply)).map_err(|_| ScanEnded)?;
        }
        // Only the first look is waited for; later messages find no room, or nobody.
        let (Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(()))) = self.looked.try_send(());
        Ok(())
    }

    fn set_directories(&mut self, directories: Vec<PathBuf>) {
        if let [directory] = directories.as_slice() {
            self.zones.set_directory(directory);
        }
    }
}
