//! Pods that only pretend to run, with delays and faults from settings and from annotations under `simulation.headless-dns/`.

use ipnet::IpNet;
use std::time::Duration;

/// How simulated pods behave unless their annotations say otherwise.
#[derive(Debug, Clone)]
pub struct SimulationSettings {
    /// Where pods' addresses come from; one address of each family that is listed.
    pub pod_cidrs: Vec<IpNet>,
    /// From creation to Running.
    pub start_after: Duration,
    /// From Running to Ready.
    pub ready_after: Duration,
    /// From deletion to being gone, unless the grace period is shorter.
    pub stop_after: Duration,
}
