//! A control plane without a server: the real controller with simulated pods, under whatever clock its test plays.
// Each of those who include this file uses a part of it.
#![allow(dead_code)]

use headless_dns::{
    control::{
        controller::{Controller, ControllerSettings},
        records::RecordSettings,
        runtime::simulated::{Delays, Simulated, SimulationSettings},
    },
    dns::name::Name,
};
use std::time::Duration;

/// What a control plane is made of. By default its names are in `cluster.local` with a TTL of 5 seconds, it binds no claim
/// without a class, and its pods start, become ready and stop without delay.
pub struct ControlPlane {
    pub settings: ControllerSettings,
    pub simulation: SimulationSettings,
}

impl Default for ControlPlane {
    fn default() -> ControlPlane {
        let settings = ControllerSettings {
            service_cidrs: Vec::new(),
            records: RecordSettings::new(Name::parse("cluster.local").expect("a name"), 5),
            built_in_class: false,
            provision_undeclared: false,
            max_unavailable: false,
            seed: 1,
        };
        let delays = Delays {
            start_after: Duration::ZERO,
            ready_after: Duration::ZERO,
            stop_after: Duration::ZERO,
            ..Delays::default()
        };
        let simulation = SimulationSettings { pod_cidrs: Vec::new(), delays };
        ControlPlane { settings, simulation }.with_ranges(&["10.96.0.0/16"], &["10.244.0.0/16"])
    }
}

impl ControlPlane {
    /// Addresses of Services and of pods come from these ranges, the first of each family.
    pub fn with_ranges(mut self, services: &[&str], pods: &[&str]) -> ControlPlane {
        let parse = |ranges: &[&str]| ranges.iter().map(|range| range.parse().expect("a range")).collect();
        (self.settings.service_cidrs, self.simulation.pod_cidrs) = (parse(services), parse(pods));
        self
    }

    /// Milliseconds until a pod runs, from then until it is ready, and from its deletion until it is gone.
    pub fn with_delays(mut self, milliseconds: [u64; 3]) -> ControlPlane {
        let [start_after, ready_after, stop_after] = milliseconds.map(Duration::from_millis);
        self.simulation.delays = Delays { start_after, ready_after, stop_after, ..Delays::default() };
        self
    }

    /// The controller, over an empty cluster.
    pub fn controller(self) -> Controller<Simulated> {
        Controller::new(self.settings, Simulated::new(self.simulation))
    }
}
