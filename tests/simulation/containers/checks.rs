//! What must always hold of commands, statuses and what the engine has.

use super::{
    engine::Fake,
    world::{Checked, Known, World},
};
use headless_dns::{
    control::runtime::containers::{Command, Observation, ProbeKind, spec},
    engine::sandbox::{ContainerId, ContainerState, SANDBOX_CONTAINER_NAME, SPEC_HASH_LABEL, SandboxNetwork},
};
use k8s_openapi::api::core::v1::{Container, ContainerStatus, PodStatus};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// How many commands of one pod within a second are a storm: twice what the runtime permits itself, since a second of ours
/// may fall into two of its own.
const COMMANDS_A_SECOND: usize = 2 * (20 + 4 * 10);

/// What is remembered of a history.
#[derive(Debug, Default)]
pub struct Checks {
    /// The runtime was told that these have ended.
    told_ended: BTreeMap<ContainerId, String>,
    /// Something failed for which a container is ended.
    failed: BTreeSet<ContainerId>,
    hooked: BTreeSet<ContainerId>,
    /// Since when a container is being ended, and whether it was asked.
    ending: BTreeMap<ContainerId, Duration>,
    asked: BTreeSet<ContainerId>,
    /// By when pods are to be gone.
    stops: BTreeMap<String, Duration>,
    /// Init containers that succeeded, by their sandbox.
    succeeded: BTreeSet<(ContainerId, String)>,
    /// Until when a container waits for its next start.
    back_offs: BTreeMap<(String, String), Duration>,
    times: BTreeMap<String, Vec<Duration>>,
    /// Made by a life of this program that had ended.
    pub zombies: BTreeSet<ContainerId>,
    stopped: BTreeSet<String>,
}

impl Checks {
    /// Something is told to the runtime.
    pub fn told(&mut self, observation: &Observation) {
        match observation {
            Observation::Inspected { uid, id, result: Ok(None) } => {
                drop(self.told_ended.insert(id.clone(), uid.clone()))
            }
            Observation::Inspected { uid, id, result: Ok(Some((details, _))) }
                if details.summary.state == ContainerState::Exited =>
            {
                self.told_ended.insert(id.clone(), uid.clone());
            }
            _ => {}
        }
    }

    pub fn crashed(&mut self) {
        self.told_ended.clear();
        self.back_offs.clear();
    }

    pub fn stopped_by(&mut self, uid: &str, end: Duration) {
        let known = self.stops.entry(uid.to_owned()).or_insert(end);
        *known = (*known).min(end);
    }

    pub fn probed(&mut self, id: &ContainerId, kind: ProbeKind, result: &Result<(), String>) {
        if result.is_err() && kind != ProbeKind::PreStop && kind != ProbeKind::Readiness {
            self.failed.insert(id.clone());
        }
    }
}

/// It is told that a container is being ended: its grace begins.
pub fn note_killing(world: &mut World, uid: &str, field: &str) {
    let at = world.runtime_time();
    let named = |fake: &&Fake| fake.uid == uid && field.ends_with(&format!("{{{}}}", fake.container));
    for fake in world.engine.containers.values().filter(named) {
        world.checks.ending.entry(fake.id.clone()).or_insert(at);
    }
}

fn containers(known: &Known) -> Vec<Container> {
    let spec = known.pod.spec.clone().unwrap_or_default();
    spec.init_containers.into_iter().flatten().chain(spec.containers).collect()
}

fn container(known: &Known, name: &str) -> Option<Container> {
    containers(known).into_iter().find(|container| container.name == name)
}

fn fail(rule: &str, what: impl std::fmt::Debug) -> Checked {
    Err(format!("[{rule}] {what:?}"))
}

/// A command is given.
pub fn check_command(world: &mut World, command: &Command) -> Checked {
    let uid = match command {
        Command::List => return Ok(()),
        Command::InspectImage { uid, .. }
        | Command::PullImage { uid, .. }
        | Command::StartSandbox { uid, .. }
        | Command::WriteFiles { uid, .. }
        | Command::RemoveFiles { uid }
        | Command::StartContainer { uid, .. }
        | Command::Inspect { uid, .. }
        | Command::Kill { uid, .. }
        | Command::Remove { uid, .. }
        | Command::Probe { uid, .. } => uid.clone(),
    };
    if !world.is_engine_up() && world.time.is_zero() {
        return fail("engine is gone", command);
    }
    check_storm(world, &uid)?;
    match command {
        Command::StartSandbox { spec, .. } => {
            if let SandboxNetwork::Addresses { addresses, .. } = &spec.network {
                let holds = |fake: &&Fake| {
                    fake.uid != uid
                        && !world.checks.zombies.contains(&fake.id)
                        && fake.addresses.iter().any(|address| addresses.contains(address))
                };
                if let Some(other) = world.engine.containers.values().find(holds) {
                    return fail("an address is free only when its sandbox is gone", (command, other));
                }
            }
        }
        Command::StartContainer { uid, container, spec, .. } => check_start(world, uid, container, &spec.sandbox)?,
        Command::Probe { id, kind, attempt, .. } => {
            if world.checks.told_ended.contains_key(id) {
                return fail("probes only of what runs", command);
            }
            if world.engine.containers.get(id).is_some_and(|fake| fake.attempt != *attempt) {
                return fail("probes of the right attempt", command);
            }
            if *kind == ProbeKind::PreStop {
                world.checks.hooked.insert(id.clone());
                let at = world.runtime_time();
                world.checks.ending.entry(id.clone()).or_insert(at);
            }
        }
        Command::Kill { id, signal, .. } => check_kill(world, &uid, id, signal)?,
        Command::Remove { id, .. } => check_unharmed(world, &uid, id)?,
        _ => {}
    }
    Ok(())
}

fn check_storm(world: &mut World, uid: &str) -> Checked {
    let at = world.runtime_time();
    let times = world.checks.times.entry(uid.to_owned()).or_default();
    times.retain(|time| *time + Duration::from_secs(1) > at);
    times.push(at);
    if times.len() > COMMANDS_A_SECOND { fail("no storm of commands", (uid, times.len())) } else { Ok(()) }
}

fn check_start(world: &mut World, uid: &str, name: &str, sandbox: &ContainerId) -> Checked {
    let at = world.runtime_time();
    if let Some(until) = world.checks.back_offs.remove(&(uid.to_owned(), name.to_owned()))
        && at < until
    {
        return fail("back-off", (uid, name, at, until));
    }
    let Some(known) = world.pods.get(uid) else { return fail("starts only what is wanted", (uid, name)) };
    if known.stop.is_some() {
        return fail("starts nothing of a pod that stops", (uid, name));
    }
    let spec = known.pod.spec.clone().unwrap_or_default();
    for init in spec.init_containers.into_iter().flatten().take_while(|init| init.name != name) {
        let sidecar = init.restart_policy.is_some();
        let done = world.checks.succeeded.contains(&(sandbox.clone(), init.name.clone()))
            || world.engine.containers.values().any(|fake| {
                let here = fake.sandbox.as_ref() == Some(sandbox) && fake.container == init.name;
                here && (fake.exit_code == Some(0) || sidecar)
            });
        if done {
            world.checks.succeeded.insert((sandbox.clone(), init.name.clone()));
        } else {
            return fail("init containers come first", (uid, name, init.name));
        }
    }
    Ok(())
}

fn check_kill(world: &mut World, uid: &str, id: &ContainerId, signal: &str) -> Checked {
    if world.checks.told_ended.contains_key(id) {
        return fail("signals only to what runs", (id, signal));
    }
    check_unharmed(world, uid, id)?;
    let at = world.runtime_time();
    let Some(fake) = world.engine.containers.get(id).cloned() else { return Ok(()) };
    let began = *world.checks.ending.entry(id.clone()).or_insert(at);
    let known = world.pods.get(uid);
    let container = known.and_then(|known| container(known, &fake.container));
    let stop = world.checks.stops.get(uid).copied();
    if signal != "SIGKILL" {
        let has_hook = container.and_then(|container| container.lifecycle?.pre_stop).is_some();
        let in_time = stop.is_none_or(|end| at < end);
        if has_hook && in_time && !world.checks.hooked.contains(id) {
            return fail("preStop before TERM", (uid, &fake.container, id));
        }
        world.checks.asked.insert(id.clone());
        return Ok(());
    }
    let Some(known) = known else { return Ok(()) };
    let own = known.pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds).unwrap_or(30);
    let of_probe = |probe: Option<k8s_openapi::api::core::v1::Probe>| probe?.termination_grace_period_seconds;
    let shorter = container.map(|container| [of_probe(container.liveness_probe), of_probe(container.startup_probe)]);
    let grace = shorter.into_iter().flatten().flatten().chain([own]).min().unwrap_or(own);
    let grace = Duration::from_secs(grace.try_into().unwrap());
    let end = stop.map_or(began + grace, |stop| stop.min(began + grace));
    if !world.checks.asked.contains(id) && !grace.is_zero() && stop.is_none_or(|stop| stop > at) {
        return fail("TERM before KILL", (uid, &fake.container, id));
    }
    if at < end {
        return fail("KILL not before the grace is over", (uid, &fake.container, id, at, end));
    }
    Ok(())
}

/// Nothing that is well is ended.
fn check_unharmed(world: &World, uid: &str, id: &ContainerId) -> Checked {
    let Some(fake) = world.engine.containers.get(id).filter(|fake| fake.state == ContainerState::Running) else {
        return Ok(());
    };
    let Some(known) = world.pods.get(uid) else { return Ok(()) };
    let deadline = known.pod.spec.as_ref().is_some_and(|spec| spec.active_deadline_seconds.is_some());
    if known.stop.is_some() || known.has_ended() || deadline || world.checks.zombies.contains(id) {
        return Ok(());
    }
    let mains = known.pod.spec.as_ref().map(|spec| spec.containers.clone()).unwrap_or_default();
    let runs = |name: &str| {
        world
            .engine
            .containers
            .values()
            .any(|other| other.uid == uid && other.container == name && other.state == ContainerState::Running)
    };
    if fake.is_sandbox() {
        let policy = known.pod.spec.as_ref().and_then(|spec| spec.restart_policy.clone());
        let over = policy.as_deref() != Some("Always");
        let joined = world.engine.containers.values().any(|other| other.sandbox.as_ref() == Some(id));
        return if over || !joined { Ok(()) } else { fail("a sandbox that is well stays", fake) };
    }
    let hash = container(known, &fake.container).map(|container| spec::spec_hash(&container));
    let made_from = world.engine.details(id).and_then(|details| details.summary.labels.get(SPEC_HASH_LABEL).cloned());
    let changed = hash.is_some() && hash != made_from;
    let sandbox_is_dead = fake.sandbox.as_ref().is_some_and(|sandbox| !world.engine.runs(sandbox));
    let mains_are_over = mains.iter().all(|main| !runs(&main.name));
    if changed || sandbox_is_dead || mains_are_over || world.checks.failed.contains(id) {
        return Ok(());
    }
    fail("nothing that is well is ended", fake)
}

/// A container or sandbox was started.
pub fn check_started(world: &mut World, id: &ContainerId) -> Checked {
    let Some(fake) = world.engine.containers.get(id) else { return Ok(()) };
    // That it has ended since, the runtime learns later.
    let sidecar = world.pods.get(&fake.uid).and_then(|known| container(known, &fake.container));
    if let (Some(sandbox), Some(_)) = (&fake.sandbox, sidecar.and_then(|container| container.restart_policy)) {
        world.checks.succeeded.insert((sandbox.clone(), fake.container.clone()));
    }
    let alike = |other: &&Fake| {
        other.uid == fake.uid && other.container == fake.container && other.state == ContainerState::Running
    };
    let all: Vec<&Fake> = world.engine.containers.values().filter(alike).collect();
    if all.len() > 1 && !all.iter().any(|fake| world.checks.zombies.contains(&fake.id)) {
        return fail("one at a time", all);
    }
    if world.checks.stopped.contains(&fake.uid) && !world.checks.zombies.contains(id) {
        return fail("nothing of a pod that has stopped", fake);
    }
    Ok(())
}

/// The pod is said to have stopped.
pub fn check_stopped(world: &mut World, uid: &str) -> Checked {
    let left = |fake: &&Fake| fake.uid == uid && !world.checks.zombies.contains(&fake.id);
    if let Some(fake) = world.engine.containers.values().find(left) {
        return fail("nothing of a pod that has stopped", fake);
    }
    world.checks.told_ended.retain(|_, other| other != uid);
    world.checks.stopped.insert(uid.to_owned());
    Ok(())
}

fn all(status: &PodStatus) -> impl Iterator<Item = &ContainerStatus> {
    status.container_statuses.iter().chain(&status.init_container_statuses).flatten()
}

/// A status is reported.
pub fn check_status(world: &mut World, uid: &str, status: &PodStatus) -> Checked {
    let at = world.runtime_time();
    let Some(known) = world.pods.get(uid) else { return Ok(()) };
    let before = known.status();
    for one in all(status) {
        let old = all(&before).find(|old| old.name == one.name);
        if old.is_some_and(|old| old.restart_count > one.restart_count) {
            return fail("restart counts only grow", (old, one));
        }
        let state = one.state.clone().unwrap_or_default();
        let parts = [state.running.is_some(), state.waiting.is_some(), state.terminated.is_some()];
        if parts.iter().filter(|part| **part).count() != 1 {
            return fail("a container is in one state", one);
        }
        let is_init = known.pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
        let runs_to_end = is_init.into_iter().any(|init| init.name == one.name && init.restart_policy.is_none());
        if one.ready && state.running.is_none() && !runs_to_end {
            return fail("only what runs is ready", one);
        }
        let message = state.waiting.and_then(|waiting| waiting.message).unwrap_or_default();
        let was = old.and_then(|old| old.state.clone()?.waiting?.message).unwrap_or_default();
        if let Some(pause) =
            message.strip_prefix("back-off ").and_then(|rest| rest.split_once('s')?.0.parse::<u64>().ok())
            && message != was
        {
            world.checks.back_offs.insert((uid.to_owned(), one.name.clone()), at + Duration::from_secs(pause));
        }
    }
    let phases = [before.phase.as_deref().unwrap_or("Pending"), status.phase.as_deref().unwrap_or_default()];
    let wrong = match phases {
        ["Succeeded" | "Failed", after] => after != phases[0],
        ["Running", after] => after == "Pending",
        _ => false,
    };
    if wrong {
        return fail("phases do not go back", phases);
    }
    let same = |(other, known): (&String, &Known)| {
        other != uid && !known.has_ended() && status.pod_ip.is_some() && known.status().pod_ip == status.pod_ip
    };
    if !matches!(phases[1], "Succeeded" | "Failed") && world.pods.iter().any(same) {
        return fail("each address has one pod", (uid, &status.pod_ip));
    }
    Ok(())
}

/// Nothing more is to be done: everything is as it must be.
pub fn check_rest(world: &World) -> Checked {
    for (uid, known) in &world.pods {
        if known.stop.is_some() {
            return fail("what is deleted goes", (uid, known.status(), &world.engine.containers));
        }
        check_pod_at_rest(world, uid, known)?;
    }
    for fake in world.engine.containers.values() {
        if !world.pods.contains_key(&fake.uid) {
            return fail("what belongs to no pod goes", fake);
        }
    }
    Ok(())
}

fn check_pod_at_rest(world: &World, uid: &str, known: &Known) -> Checked {
    let of_pod: Vec<&Fake> = world.engine.containers.values().filter(|fake| fake.uid == uid).collect();
    let sandboxes = of_pod.iter().filter(|fake| fake.is_sandbox()).count();
    for fake in &of_pod {
        let alike = of_pod.iter().filter(|other| other.container == fake.container).count();
        if alike > 2 || (fake.container == SANDBOX_CONTAINER_NAME && alike > 1) {
            return fail("one dead container is kept", &of_pod);
        }
    }
    let spec = known.pod.spec.clone().unwrap_or_default();
    let status = known.status();
    if known.has_ended() {
        let runs = of_pod.iter().any(|fake| fake.state == ContainerState::Running);
        return if runs || sandboxes > 0 { fail("what has ended does not run", (&status, of_pod)) } else { Ok(()) };
    }
    if spec.active_deadline_seconds.is_some() {
        return fail("deadlines are kept", status);
    }
    if known.overwritten {
        return Ok(());
    }
    let ready = status.conditions.iter().flatten().any(|one| one.type_ == "Ready" && one.status == "True");
    if !ready || status.phase.as_deref() != Some("Running") {
        return match spec.restart_policy.as_deref() {
            // One of several containers may have ended for good.
            Some("OnFailure" | "Never")
                if all(&status).any(|one| one.state.as_ref().is_some_and(|state| state.terminated.is_some()))
                    && status.phase.as_deref() == Some("Running") =>
            {
                Ok(())
            }
            _ => fail("pods become ready", (status, of_pod)),
        };
    }
    let runs = |container: &Container| {
        of_pod.iter().any(|fake| fake.container == container.name && fake.state == ContainerState::Running)
    };
    if !spec.containers.iter().all(runs) {
        return fail("what is ready runs", (status, of_pod));
    }
    Ok(())
}
