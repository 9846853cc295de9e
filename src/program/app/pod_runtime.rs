//! What runs the pods, as the settings say: the simulation, or containers. The control loop holds either.

use crate::control::runtime::{
    PodReport, PodRuntime, Referenced, SetBack,
    containers::{Command, Containers, NodeFacts, Observation},
    simulated::{Delays, Simulated},
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use std::time::Duration;

/// What runs the pods.
#[derive(Debug)]
pub(super) enum ChosenRuntime {
    Simulated(Box<Simulated>),
    Containers(Box<Containers>),
}

impl ChosenRuntime {
    /// Whether pods only pretend to run.
    pub(super) fn is_simulated(&self) -> bool {
        matches!(self, ChosenRuntime::Simulated(_))
    }

    /// Pods that start from now on behave so, if they are simulated.
    pub(super) fn set_delays(&mut self, delays: Delays) {
        if let ChosenRuntime::Simulated(simulated) = self {
            simulated.set_delays(delays);
        }
    }

    /// What is known of the node.
    pub(super) fn set_facts(&mut self, facts: NodeFacts) {
        if let ChosenRuntime::Containers(containers) = self {
            containers.set_facts(facts);
        }
    }

    /// What was seen of containers.
    pub(super) fn observe(&mut self, observations: Vec<Observation>, now: Timestamp) {
        if let ChosenRuntime::Containers(containers) = self {
            observations.into_iter().for_each(|observation| containers.observe(observation, now));
        }
    }

    /// What is to be done since the last call, and how many commands that makes in all.
    pub(super) fn take_commands(&mut self) -> (Vec<Command>, u64) {
        match self {
            ChosenRuntime::Simulated(_) => (Vec::new(), 0),
            ChosenRuntime::Containers(containers) => {
                let commands = containers.take_commands();
                (commands, containers.commands_given())
            }
        }
    }

    fn inner(&self) -> &dyn PodRuntime {
        match self {
            ChosenRuntime::Simulated(simulated) => &**simulated,
            ChosenRuntime::Containers(containers) => &**containers,
        }
    }

    fn inner_mut(&mut self) -> &mut dyn PodRuntime {
        match self {
            ChosenRuntime::Simulated(simulated) => &mut **simulated,
            ChosenRuntime::Containers(containers) => &mut **containers,
        }
    }
}

impl PodRuntime for ChosenRuntime {
    fn start(&mut self, pod: &Pod, referenced: Referenced, now: Timestamp) {
        self.inner_mut().start(pod, referenced, now);
    }

    fn resume(&mut self, pod: &Pod, referenced: Referenced, now: Timestamp) {
        self.inner_mut().resume(pod, referenced, now);
    }

    fn refreshed(&mut self, pod: &Pod, referenced: Referenced, now: Timestamp) {
        self.inner_mut().refreshed(pod, referenced, now);
    }

    fn stop(&mut self, pod: &Pod, grace: Duration, now: Timestamp) {
        self.inner_mut().stop(pod, grace, now);
    }

    fn overwritten(&mut self, pod: &Pod, now: Timestamp) {
        self.inner_mut().overwritten(pod, now);
    }

    fn poll(&mut self, now: Timestamp) -> Vec<PodReport> {
        self.inner_mut().poll(now)
    }

    fn next_due(&self) -> Option<Timestamp> {
        self.inner().next_due()
    }

    fn clock_set_back(&mut self, set_back: &SetBack) {
        self.inner_mut().clock_set_back(set_back);
    }
}
