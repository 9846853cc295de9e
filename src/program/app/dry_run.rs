//! What a fresh start would give: the control plane under a simulated clock, in this thread, without sockets, disk or
//! memory of an earlier run.

use super::{StartError, advice::Advice, controller_settings, scan, simulated, surroundings, zones};
use crate::{
    control::{
        controller::{Controller, Event},
        explain::{self, ExplainQuestion, Explanation, QuestionError, ServerFacts},
        runtime::simulated::Simulated,
    },
    dns::zone::{Snapshot, file::ZoneFiles},
    objects::manifest::{Completeness, Manifests},
    program::settings::Settings,
    text::diagnostic::{self, Diagnostic},
};
use jiff::{SignedDuration, Timestamp};

/// How much simulated time passes at most; pods that become ready later than that are not ready.
const SIMULATED_TIME_MAX: SignedDuration = SignedDuration::from_mins(30);
/// Turns taken at most, so that pods that end again and again come to an end, too.
const TURNS_MAX: usize = 20_000;

/// A cluster that has taken all manifests, and perhaps came to rest.
#[derive(Debug)]
pub struct DryRun {
    controller: Controller<Simulated>,
    snapshot: Snapshot,
    surroundings: ServerFacts,
    manifests: Manifests,
    static_zones: usize,
    advice: Advice,
    diagnostics: Vec<Diagnostic>,
}

impl DryRun {
    /// Reads manifests and zones and has the control plane take every object, as `serve` does when it starts without an
    /// earlier state: whatever that refuses is in the diagnostics. No pod runs yet.
    ///
    /// # Errors
    /// If the settings give no zones.
    pub fn admit(settings: &Settings) -> Result<DryRun, StartError> {
        let mut rehearsal = DryRun::load(settings, Timestamp::now())?;
        rehearsal.turn(Timestamp::now());
        diagnostic::sort(&mut rehearsal.diagnostics);
        Ok(rehearsal)
    }

    /// Admits every object as [`DryRun::admit`] does, and lets the control plane run until nothing is due any more.
    ///
    /// # Errors
    /// If the settings give no zones.
    pub fn run(settings: &Settings) -> Result<DryRun, StartError> {
        let mut now = Timestamp::now();
        let end = now.saturating_add(SIMULATED_TIME_MAX).unwrap_or(now);
        let mut rehearsal = DryRun::load(settings, now)?;
        for _ in 0..TURNS_MAX {
            match rehearsal.turn(now).filter(|at| *at <= end) {
                Some(at) => now = at.max(now),
                None => break,
            }
        }
        Ok(rehearsal)
    }

    /// Reads everything and hands it to the control plane.
    fn load(settings: &Settings, now: Timestamp) -> Result<DryRun, StartError> {
        let mut snapshot = Snapshot::new(zones::specs(settings, &settings.listen, &[])?);
        let built_in = settings.cluster_domains().chain(&settings.reverse_zones).cloned().collect();
        let (files, mut diagnostics) = ZoneFiles::new(&settings.zones).beneath(built_in).scan();
        let static_zones = files.as_ref().map_or(0, Vec::len);
        if let Some(files) = files {
            snapshot = snapshot.with_static_zones(files);
        }
        let mut manifests = scan::manifests(settings);
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
        let (surroundings, advice) = (surroundings(settings), Advice::new(settings));
        Ok(DryRun { controller, snapshot, surroundings, manifests, static_zones, advice, diagnostics })
    }

    /// One turn of the control plane; returns when the next is due.
    fn turn(&mut self, now: Timestamp) -> Option<Timestamp> {
        let turn = self.controller.turn(now);
        self.snapshot = self.snapshot.apply(&turn.delta);
        if turn.loaded {
            self.snapshot = self.snapshot.synced();
        }
        let placed = self.advice.place(&turn.refusals, &self.manifests);
        self.diagnostics.extend(placed.into_iter().flat_map(|(_, found)| found));
        turn.wake_at
    }

    /// What was read.
    pub fn manifests(&self) -> &Manifests {
        &self.manifests
    }

    /// How many static zones were read.
    pub fn static_zones(&self) -> usize {
        self.static_zones
    }

    /// What is wrong with manifests and zones.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Why a name gets its answer.
    ///
    /// # Errors
    /// If the name is not a valid domain name.
    pub fn explain(&self, question: &ExplainQuestion) -> Result<Explanation, QuestionError> {
        explain::explain(question, &self.surroundings, self.controller.cluster(), &self.snapshot)
    }
}
