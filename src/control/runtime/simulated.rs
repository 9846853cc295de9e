//! Pods that only pretend to run, with delays and faults from settings and from annotations under
//! `simulation.headless-dns/`.
//!
//! A state machine without threads or clock: each pod has a few timers, and [`Simulated::poll`] carries out those that
//! are due.
//!
//! ```text
//! start ─→ ContainerCreating ─→ Running, not ready ─→ Ready ⇄ not ready
//!              (start-after)  ╲     (ready-after)       │ (unready-after, unready-for)
//!                              ╲                        ├─→ crashed ─→ restarted ─→ …   (crash-loop)
//!            ImagePullBackOff ←─╯ (start: "false")      ╰─→ Failed, Evicted, Succeeded  (fail-after, run-for, …)
//! ```

pub use super::behaviour::{Delays, check_annotations};
mod held_status;

use super::{
    PodReport, PodRuntime, Referenced, SetBack, What,
    address::AddressPools,
    back_off::{CRASHES_FORGOTTEN_AFTER, back_off},
    behaviour::{Behaviour, End},
    identity::PodIdentity,
    is_overwritten, status,
};
use held_status::HeldStatus;
use ipnet::IpNet;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    net::IpAddr,
    time::Duration,
};

/// How simulated pods behave unless their annotations say otherwise.
#[derive(Debug, Clone)]
pub struct SimulationSettings {
    /// Where pods' addresses come from; one address of each family that is listed.
    pub pod_cidrs: Vec<IpNet>,
    /// How long pods take.
    pub delays: Delays,
}

/// The simulation: all pods, their timers and the addresses.
#[derive(Debug)]
pub struct Simulated {
    settings: SimulationSettings,
    pools: AddressPools,
    pods: HashMap<String, Box<SimulatedPod>>,
    /// What is due when; the number keeps things that are due at one instant in the order in which they were asked for.
    timers: BTreeMap<Due, (String, PodStep)>,
    asked: u64,
    /// Uids of pods that could not start for want of an address, in order.
    starved: VecDeque<String>,
    /// Reports about pods that are not known.
    strangers: VecDeque<(Timestamp, PodReport)>,
}

type Due = (Timestamp, u64);

#[derive(Debug)]
struct SimulatedPod {
    pod: PodIdentity,
    behaviour: Behaviour,
    status: HeldStatus,
    /// What is to be freed when it has stopped.
    addresses: Vec<IpAddr>,
    /// How often in a row its container crashed after too short a time.
    crashes: u32,
    /// Whether it has waited for an address.
    starved: bool,
    /// Whether its container is restarted after a crash (restartPolicy is not Never).
    restarts: bool,
    timers: BTreeMap<PodStep, Due>,
}

/// One step of a pod. Each is due at most once at a time; asking again moves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum PodStep {
    /// Report that its containers are being created.
    Create,
    Start,
    Crash,
    Restart,
    Ready,
    Unready,
    End,
    Stopped,
}

impl Simulated {
    /// No pods yet.
    pub fn new(settings: SimulationSettings) -> Simulated {
        let pools = AddressPools::new(&settings.pod_cidrs);
        Simulated {
            settings,
            pools,
            pods: HashMap::new(),
            timers: BTreeMap::new(),
            asked: 0,
            starved: VecDeque::new(),
            strangers: VecDeque::new(),
        }
    }

    /// Other delays for pods that are started from now on; those that are known keep theirs.
    pub fn set_delays(&mut self, delays: Delays) {
        self.settings.delays = delays;
    }

    /// How many pods are known, stopping ones included.
    pub fn len(&self) -> usize {
        self.pods.len()
    }

    /// Whether there is no pod.
    pub fn is_empty(&self) -> bool {
        self.pods.is_empty()
    }

    fn take_over(&self, pod: &Pod, status: PodStatus) -> Box<SimulatedPod> {
        Box::new(SimulatedPod {
            pod: PodIdentity::of(pod),
            behaviour: Behaviour::of(pod, &self.settings.delays),
            status: status.into(),
            addresses: Vec::new(),
            crashes: 0,
            starved: false,
            restarts: pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()) != Some("Never"),
            timers: BTreeMap::new(),
        })
    }

    /// Puts a pod in its place. While nothing is due for it, it takes little memory.
    fn put(&mut self, mut pod: Box<SimulatedPod>) {
        if pod.timers.is_empty() {
            pod.status.compact();
        }
        self.pods.insert(pod.pod.uid.clone(), pod);
    }

    fn schedule(&mut self, pod: &mut SimulatedPod, step: PodStep, due: Timestamp) {
        self.cancel(pod, step);
        self.asked += 1;
        pod.timers.insert(step, (due, self.asked));
        self.timers.insert((due, self.asked), (pod.pod.uid.clone(), step));
    }

    fn cancel(&mut self, pod: &mut SimulatedPod, step: PodStep) {
        if let Some(due) = pod.timers.remove(&step) {
            self.timers.remove(&due);
        }
    }

    fn cancel_all(&mut self, pod: &mut SimulatedPod) {
        for due in std::mem::take(&mut pod.timers).into_values() {
            self.timers.remove(&due);
        }
    }

    /// Carries out one step that was due at `at`; returns what is to be reported.
    fn step(&mut self, pod: &mut SimulatedPod, step: PodStep, at: Timestamp, now: Timestamp) -> Option<What> {
        let before = pod.status.to_status();
        match step {
            PodStep::Create => {}
            PodStep::Start => self.start_containers(pod, at, now),
            PodStep::Ready => {
                status::set_ready(pod.status.edit(), true, at);
                if let Some(after) = pod.behaviour.unready_after {
                    self.schedule(pod, PodStep::Unready, cycle(at, after, now));
                }
            }
            PodStep::Unready => {
                status::set_ready(pod.status.edit(), false, at);
                if let Some(duration) = pod.behaviour.unready_for {
                    self.schedule(pod, PodStep::Ready, cycle(at, duration, now));
                }
            }
            PodStep::Crash => self.crash(pod, at, now),
            PodStep::Restart => {
                status::restart(pod.status.edit(), &pod.pod.uid, at);
                self.begin_run(pod, at, now);
            }
            PodStep::End => {
                self.cancel_all(pod);
                if let Some((_, end)) = pod.behaviour.end {
                    status::end(pod.status.edit(), end, at);
                }
            }
            PodStep::Stopped => return Some(What::Stopped),
        }
        let after = pod.status.edit();
        (step == PodStep::Create || before != *after).then(|| What::Status(Box::new(after.clone())))
    }

    fn start_containers(&mut self, pod: &mut SimulatedPod, at: Timestamp, now: Timestamp) {
        match self.pools.allocate() {
            Ok(addresses) => {
                status::set_addresses(pod.status.edit(), &addresses);
                pod.addresses = addresses;
            }
            Err(exhausted) => {
                status::wait(pod.status.edit(), "ContainerCreating", &format!("{exhausted}; waiting for one"));
                match std::mem::replace(&mut pod.starved, true) {
                    false => self.starved.push_back(pod.pod.uid.clone()),
                    // It was the first in the queue and keeps its place.
                    true => self.starved.push_front(pod.pod.uid.clone()),
                }
                return;
            }
        }
        if !pod.behaviour.starts {
            // A node has set up the pod's network by the time it pulls images, so the address is there.
            let message = "back-off pulling image: the pod is annotated with simulation.headless-dns/start: \"false\"";
            status::wait(pod.status.edit(), "ImagePullBackOff", message);
            return;
        }
        status::run(pod.status.edit(), &pod.pod.uid, at);
        if let Some((after, _)) = pod.behaviour.end {
            self.schedule(pod, PodStep::End, later(at, after));
        }
        self.begin_run(pod, at, now);
    }

    /// The timers of one run of the container. A crash at the instant of readiness comes first.
    fn begin_run(&mut self, pod: &mut SimulatedPod, at: Timestamp, now: Timestamp) {
        let (ready_after, crash_after) = (pod.behaviour.ready_after, pod.behaviour.crash_after);
        if let Some(after) = crash_after {
            self.schedule(pod, PodStep::Crash, cycle(at, after, now));
        }
        if pod.behaviour.ready && crash_after.is_none_or(|after| ready_after < after) {
            self.schedule(pod, PodStep::Ready, later(at, ready_after));
        }
    }

    fn crash(&mut self, pod: &mut SimulatedPod, at: Timestamp, now: Timestamp) {
        self.cancel(pod, PodStep::Ready);
        self.cancel(pod, PodStep::Unready);
        if !pod.restarts {
            self.cancel_all(pod);
            return status::end(pod.status.edit(), End::Failed(pod.behaviour.crash_code), at);
        }
        let ran_long = pod.behaviour.crash_after.is_some_and(|after| after >= CRASHES_FORGOTTEN_AFTER);
        pod.crashes = if ran_long { 1 } else { pod.crashes.saturating_add(1) };
        let delay = back_off(pod.crashes);
        status::crash(pod.status.edit(), &pod.pod.to_string(), pod.behaviour.crash_code, delay, at);
        self.schedule(pod, PodStep::Restart, cycle(at, delay, now));
    }

    /// A pod has gone: its addresses are free, and the first pod that waits for some tries again.
    fn forget(&mut self, mut pod: Box<SimulatedPod>, at: Timestamp) {
        self.cancel_all(&mut pod);
        self.pools.release(&pod.addresses);
        while let Some(uid) = self.starved.pop_front() {
            if let Some(mut next) = self.pods.remove(&uid) {
                self.schedule(&mut next, PodStep::Start, at);
                self.put(next);
                break;
            }
        }
    }

    /// The timers that a pod with this status would still have, each not before now.
    fn resume_timers(&mut self, pod: &mut SimulatedPod, now: Timestamp) {
        let status = pod.status.to_status();
        let first = status.container_statuses.iter().flatten().next();
        let started = status.start_time.as_ref().map_or(now, |time| time.0);
        match status.phase.as_deref() {
            Some("Failed" | "Succeeded") => {}
            Some("Running") => self.resume_running(pod, first, started, now),
            _ if first.is_none() => {
                pod.status = PodStatus::default().into();
                self.schedule(pod, PodStep::Create, now);
            }
            // It had everything but its image.
            _ if !pod.addresses.is_empty() => {}
            _ => {
                let due = later(started, pod.behaviour.start_after).max(now);
                self.schedule(pod, PodStep::Start, due);
            }
        }
    }

    fn resume_running(
        &mut self,
        pod: &mut SimulatedPod,
        first: Option<&ContainerStatus>,
        started: Timestamp,
        now: Timestamp,
    ) {
        let behaviour = pod.behaviour.clone();
        let ready = status::condition(pod.status.edit(), "Ready").cloned();
        let is_ready = ready.as_ref().is_some_and(|ready| ready.status == "True");
        let turned = ready.and_then(|ready| ready.last_transition_time).map_or(now, |time| time.0);
        if let Some((after, _)) = behaviour.end {
            let due = later(later(started, behaviour.start_after), after).max(now);
            self.schedule(pod, PodStep::End, due);
        }
        pod.crashes = first.map_or(0, |first| u32::try_from(first.restart_count).unwrap_or(0));
        let state = first.and_then(|first| first.state.as_ref());
        let Some(running) = state.and_then(|state| state.running.as_ref()) else {
            let last = first.and_then(|first| first.last_state.as_ref()).and_then(|last| last.terminated.as_ref());
            let crashed = last.and_then(|last| last.finished_at.as_ref()).map_or(now, |time| time.0);
            let waits = state.is_some_and(|state| state.waiting.is_some());
            pod.crashes = pod.crashes.saturating_add(1);
            let due = if waits { later(crashed, back_off(pod.crashes)).max(now) } else { now };
            return self.schedule(pod, PodStep::Restart, due);
        };
        let run_began = running.started_at.as_ref().map_or(now, |time| time.0);
        if let Some(after) = behaviour.crash_after {
            self.schedule(pod, PodStep::Crash, later(run_began, after).max(now));
        }
        let flapped = behaviour.unready_after.is_some() && turned > run_began;
        let ready_due = match (is_ready, flapped, behaviour.unready_for) {
            (true, ..) | (false, true, None) => None,
            (false, true, Some(duration)) => Some(later(turned, duration)),
            (false, false, _) => Some(later(run_began, behaviour.ready_after)),
        };
        let lives_to_be_ready = behaviour.crash_after.is_none_or(|after| behaviour.ready_after < after);
        if let Some(due) = ready_due.filter(|_| behaviour.ready && lives_to_be_ready) {
            self.schedule(pod, PodStep::Ready, due.max(now));
        }
        if let Some(after) = behaviour.unready_after.filter(|_| is_ready) {
            self.schedule(pod, PodStep::Unready, later(turned, after).max(now));
        }
    }
}

impl PodRuntime for Simulated {
    fn start(&mut self, pod: &Pod, _referenced: Referenced, now: Timestamp) {
        let uid = PodIdentity::of(pod).uid;
        if self.pods.contains_key(&uid) {
            return;
        }
        let mut simulated = self.take_over(pod, status::creating(pod, now));
        self.schedule(&mut simulated, PodStep::Create, now);
        let due = later(now, simulated.behaviour.start_after);
        self.schedule(&mut simulated, PodStep::Start, due);
        self.put(simulated);
    }

    fn resume(&mut self, pod: &Pod, referenced: Referenced, now: Timestamp) {
        let uid = PodIdentity::of(pod).uid;
        if self.pods.contains_key(&uid) {
            return;
        }
        let status = pod.status.clone().unwrap_or_default();
        let overwritten = is_overwritten(&pod.metadata);
        if !overwritten
            && status.container_statuses.is_none()
            && status.pod_ip.is_none()
            && status.phase.as_deref() != Some("Failed")
        {
            // It was never told about, so it had not begun.
            return self.start(pod, referenced, now);
        }
        let mut simulated = self.take_over(pod, status);
        simulated.addresses = self.pools.resume(&status::addresses(simulated.status.edit()));
        if !overwritten {
            self.resume_timers(&mut simulated, now);
        }
        self.put(simulated);
    }

    /// What a simulated pod does is decided when it starts.
    fn refreshed(&mut self, _pod: &Pod, _referenced: Referenced, _now: Timestamp) {}

    fn stop(&mut self, pod: &Pod, grace: Duration, now: Timestamp) {
        let identity = PodIdentity::of(pod);
        let Some(mut simulated) = self.pods.remove(&identity.uid) else {
            return self.strangers.push_back((now, identity.report(What::Stopped)));
        };
        let due = later(now, simulated.behaviour.stop_after.min(grace));
        match simulated.timers.get(&PodStep::Stopped) {
            Some((earlier, _)) if *earlier <= due => {}
            _ => {
                self.cancel_all(&mut simulated);
                self.starved.retain(|starved| *starved != identity.uid);
                self.schedule(&mut simulated, PodStep::Stopped, due);
            }
        }
        self.put(simulated);
    }

    fn overwritten(&mut self, pod: &Pod, _now: Timestamp) {
        let uid = PodIdentity::of(pod).uid;
        if let Some(mut simulated) = self.pods.remove(&uid) {
            if !simulated.timers.contains_key(&PodStep::Stopped) {
                self.cancel_all(&mut simulated);
                self.starved.retain(|starved| *starved != uid);
            }
            simulated.status = pod.status.clone().unwrap_or_default().into();
            self.put(simulated);
        }
    }

    fn poll(&mut self, now: Timestamp) -> Vec<PodReport> {
        let mut reports: Vec<PodReport> = Vec::new();
        while let Some((_, report)) = self.strangers.pop_front_if(|(due, _)| *due <= now) {
            reports.push(report);
        }
        while let Some(entry) = self.timers.first_entry() {
            let due = *entry.key();
            if due.0 > now {
                break;
            }
            let (uid, step) = entry.remove();
            let Some(mut pod) = self.pods.remove(&uid) else { continue };
            pod.timers.remove(&step);
            let what = self.step(&mut pod, step, due.0, now);
            let gone = what == Some(What::Stopped);
            reports.extend(what.map(|what| pod.pod.report(what)));
            match gone {
                true => self.forget(pod, due.0),
                false => self.put(pod),
            }
        }
        reports
    }

    fn next_due(&self) -> Option<Timestamp> {
        let timer = self.timers.first_key_value().map(|((due, _), _)| *due);
        let stranger = self.strangers.front().map(|(due, _)| *due);
        timer.into_iter().chain(stranger).min()
    }

    fn clock_set_back(&mut self, set_back: &SetBack) {
        let timers = std::mem::take(&mut self.timers).into_iter();
        self.timers = timers.map(|((at, asked), step)| ((set_back.due(at), asked), step)).collect();
        for pod in self.pods.values_mut() {
            pod.timers.values_mut().for_each(|(at, _)| *at = set_back.due(*at));
            set_back.status(pod.status.edit());
        }
        self.strangers.iter_mut().for_each(|(at, _)| *at = set_back.due(*at));
    }
}

/// `from` plus `delay`, at most the last instant there is.
fn later(from: Timestamp, delay: Duration) -> Timestamp {
    from.checked_add(delay).unwrap_or(Timestamp::MAX)
}

/// As [`later`] for steps that come again and again: after a pause of the whole program they are not all made up for,
/// so one poll ends soon.
fn cycle(from: Timestamp, delay: Duration, now: Timestamp) -> Timestamp {
    let due = later(from, delay);
    if due < now { later(now, delay) } else { due }
}

#[cfg(test)]
mod tests;
