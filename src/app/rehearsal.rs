//! What a fresh start would give: the control plane under a simulated clock, in this thread, without sockets, disk or
//! memory of an earlier run.

use super::{StartError, controller_settings, simulated, surroundings, zones};
use crate::{
    controller::{Controller, Event, Refusal},
    diagnostic::Diagnostic,
    explain::{self, Explanation, Question, QuestionError, Surroundings},
    manifest::{Completeness, Manifests},
    runtime::simulated::Simulated,
    settings::Settings,
    zone::{Snapshot, file::ZoneFiles},
};
use jiff::{SignedDuration, Timestamp};

/// How much simulated time passes at most; pods that become ready later than that are not ready.
const HORIZON: SignedDuration = SignedDuration::from_mins(30);
/// Turns taken at most, so that pods that end again and again come to an end, too.
const TURNS: usize = 20_000;

/// A cluster that came to rest.
#[derive(Debug)]
pub struct Rehearsal {
    controller: Controller<Simulated>,
    snapshot: Snapshot,
    surroundings: Surroundings,
    diagnostics: Vec<Diagnostic>,
}

impl Rehearsal {
    /// Reads manifests and zones and lets the control plane run until nothing is due any more.
    ///
    /// # Errors
    /// If the settings give no zones.
    pub fn run(settings: &Settings) -> Result<Rehearsal, StartError> {
        let mut now = Timestamp::now();
        let end = now.saturating_add(HORIZON).unwrap_or(now);
        let mut snapshot = Snapshot::new(zones::specs(settings, &settings.listen, &[])?);
        let built_in = settings.cluster_domains().chain(&settings.reverse_zones).cloned().collect();
        let (files, mut diagnostics) = ZoneFiles::new(&settings.zones).beneath(built_in).scan();
        if let Some(files) = files {
            snapshot = snapshot.with_static_zones(files);
        }
        let mut manifests =
            Manifests::new(settings.manifests.clone()).provisioning_undeclared(settings.provision_undeclared);
        let applied = manifests.scan().applied;
        diagnostics.extend(manifests.diagnostics());

        let mut controller = Controller::new(controller_settings(settings), simulated(settings));
        let loaded = match manifests.completeness() {
            Completeness::Nothing => None,
            Completeness::Part => Some(Event::LoadedInPart),
            Completeness::Whole => Some(Event::Loaded),
        };
        for event in applied.into_iter().map(Event::Apply).chain(loaded) {
            controller.handle(event, now);
        }
        for _ in 0..TURNS {
            let turn = controller.turn(now);
            snapshot = snapshot.apply(&turn.delta);
            if turn.loaded {
                snapshot = snapshot.synced();
            }
            for Refusal { key, errors } in &turn.refusals {
                diagnostics.extend(errors.iter().filter_map(|error| manifests.diagnose(key, error)));
            }
            match turn.wake_at.filter(|at| *at <= end) {
                Some(at) => now = at.max(now),
                None => break,
            }
        }
        Ok(Rehearsal { controller, snapshot, surroundings: surroundings(settings), diagnostics })
    }

    /// What is wrong with manifests and zones.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Why a name gets its answer.
    ///
    /// # Errors
    /// If the name is no domain name.
    pub fn explain(&self, question: &Question) -> Result<Explanation, QuestionError> {
        explain::explain(question, &self.surroundings, self.controller.cluster(), &self.snapshot)
    }
}
