//! The world around the lifecycle: a controller that starts and deletes pods, a driver that carries out commands, an engine and
//! processes that do what they like, and a clock that jumps.

use super::{checks::Checks, engine::Engine, pods};
use fastrand::Rng;
use headless_dns::{
    control::runtime::{
        PodRuntime, Referenced, SetBack, What,
        containers::{Command, CommandError, Containers, KeyedData, NodeFacts, Observation, ProbeKind, StartStep},
    },
    engine::sandbox::{ContainerDetails, ContainerId, ContainerState, EngineError},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

pub type Checked = Result<(), String>;

/// Where the wall clock begins.
const BEGIN: i64 = 1_700_000_000;
/// So many events mean that a history never comes to an end.
const EVENTS_MAX: u32 = 100_000;
/// By then everything has converged: lost answers have been given up, and the longest back-off is over.
const CALM_MAX: Duration = Duration::from_secs(2500);

/// A pod as the controller has it.
#[derive(Debug, Clone)]
pub struct Known {
    pub pod: Pod,
    /// Stopping: when its grace ends by the runtime's clock.
    pub stop: Option<Duration>,
    pub overwritten: bool,
}

impl Known {
    pub fn status(&self) -> PodStatus {
        self.pod.status.clone().unwrap_or_default()
    }

    pub fn phase(&self) -> String {
        self.status().phase.unwrap_or_default()
    }

    pub fn has_ended(&self) -> bool {
        matches!(self.phase().as_str(), "Succeeded" | "Failed")
    }
}

/// What happens at some time.
#[derive(Debug, Clone)]
enum Event {
    /// A step of a command, of the life of this program that gave it, is carried out.
    Step(u32, Command, u8, Option<ContainerId>),
    /// An answer arrives.
    Deliver(u32, Box<Observation>),
    /// A process ends.
    Exit(ContainerId, i32),
    /// The driver asks for everything there is.
    Relist,
    /// The engine answers again.
    EngineBack,
    /// Somebody does something.
    Operation,
}

pub struct World {
    pub rng: Rng,
    pub engine: Engine,
    pub runtime: Containers,
    /// The true time since the beginning.
    pub time: Duration,
    /// How far the wall clock is ahead of it.
    skew: SignedDuration,
    /// How far it was set forward in all, which the runtime takes for time that passed.
    forward: Duration,
    queue: BTreeMap<(Duration, u64), Event>,
    queued: u64,
    life: u32,
    engine_up: bool,
    /// Faults in a hundred; none when it is calm.
    faults: u32,
    pub calm: bool,
    wrong_list: bool,
    crash_at: Vec<u64>,
    pub commands: u64,
    events: u32,
    pub pods: BTreeMap<String, Known>,
    config: Option<u32>,
    named: u32,
    pub checks: Checks,
    loud: bool,
}

fn facts() -> NodeFacts {
    NodeFacts {
        name: "node".to_owned(),
        addresses: vec!["10.9.0.1".parse().unwrap()],
        instance: "test".to_owned(),
        network: "net".to_owned(),
        dns_servers: vec!["10.9.0.1".parse().unwrap()],
        cluster_domain: "cluster.local".to_owned(),
        host_name_servers: Vec::new(),
        host_search: Vec::new(),
        host_options: Vec::new(),
        pods_directory: "/pods".into(),
        seccomp_profiles: BTreeMap::new(),
        millicores: 2000,
        memory_octets: 1 << 33,
        hostname_on_containers: false,
        at: Timestamp::from_second(BEGIN).unwrap(),
    }
}

fn new_runtime() -> Containers {
    Containers::new(facts(), vec!["10.9.0.0/28".parse().unwrap()])
}

impl World {
    pub fn new(seed: u64, loud: bool) -> World {
        let mut rng = Rng::with_seed(seed);
        let faults = [0, 0, 3, 10, 25][rng.usize(0..5)];
        let crash_at = (0..rng.usize(0..4)).map(|_| rng.u64(1..60)).collect();
        let mut engine = Engine::default();
        engine.images.extend(["app:1", "app:2"].map(str::to_owned));
        let mut world = World {
            engine,
            runtime: new_runtime(),
            time: Duration::ZERO,
            skew: SignedDuration::ZERO,
            forward: Duration::ZERO,
            queue: BTreeMap::new(),
            queued: 0,
            life: 0,
            engine_up: true,
            faults,
            calm: false,
            wrong_list: false,
            crash_at,
            commands: 0,
            events: 0,
            pods: BTreeMap::new(),
            config: rng.bool().then_some(0),
            named: 0,
            checks: Checks::default(),
            loud,
            rng,
        };
        let mut at = Duration::ZERO;
        for _ in 0..world.rng.usize(2..12) {
            world.later(at, Event::Operation);
            at += Duration::from_millis(world.rng.u64(0..20_000));
        }
        world.later(Duration::from_secs(5), Event::Relist);
        world
    }

    /// Nothing fails by chance, but this program is killed at this command.
    pub fn kill_at(&mut self, command: u64) {
        (self.faults, self.crash_at) = (0, vec![command]);
    }

    pub fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.time).unwrap();
        Timestamp::from_second(BEGIN).unwrap() + elapsed + self.skew
    }

    /// The time by the runtime's clock.
    pub fn runtime_time(&self) -> Duration {
        self.time + self.forward
    }

    fn later(&mut self, after: Duration, event: Event) {
        self.queued += 1;
        self.queue.insert((self.time + after, self.queued), event);
    }

    fn chance(&mut self) -> bool {
        !self.calm && self.rng.u32(0..100) < self.faults
    }

    /// How long the engine takes for something: seldom very long.
    fn delay(&mut self) -> Duration {
        let most = if self.chance() { 60_000 } else { [5, 100, 1500][self.rng.usize(0..3)] };
        Duration::from_millis(self.rng.u64(0..most))
    }

    fn say(&self, what: impl FnOnce() -> String) {
        if self.loud {
            println!("{:9.3} {}", self.time.as_secs_f64(), what());
        }
    }

    /// Plays the history to its end.
    pub fn play(&mut self) -> Checked {
        self.turn()?;
        let mut calm_since = None;
        loop {
            self.events += 1;
            if self.events > EVENTS_MAX {
                return Err(format!("[endless] {} events", self.events));
            }
            let quiet = !self.queue.values().any(|event| matches!(event, Event::Operation));
            if quiet && calm_since.is_none() {
                self.calm_down();
                calm_since = Some(self.time);
            }
            if let Some(since) = calm_since
                && self.events.is_multiple_of(8)
            {
                match self.check_rest() {
                    Ok(()) => return Ok(()),
                    Err(failure) if self.time > since + CALM_MAX => return Err(failure),
                    Err(_) => {}
                }
            }
            self.next()?;
        }
    }

    fn calm_down(&mut self) {
        self.say(|| "calm".to_owned());
        (self.calm, self.wrong_list) = (true, false);
        self.crash_at.clear();
        self.engine.foreign.clear();
        self.engine.images.extend(["absent:1", "app:latest"].map(str::to_owned));
        if self.config.is_none() {
            self.config = Some(1000);
            self.refresh_all();
        }
    }

    /// Lets the next thing happen.
    fn next(&mut self) -> Checked {
        let due = self.runtime.next_due().map(|due| {
            let after = due.duration_since(Timestamp::from_second(BEGIN).unwrap()) - self.skew;
            Duration::try_from(after).unwrap_or(Duration::ZERO).max(self.time)
        });
        let first = self.queue.first_key_value().map(|((at, _), _)| *at);
        match (due, first) {
            (Some(due), Some(first)) if due < first => self.time = due,
            (Some(due), None) => self.time = due,
            (_, Some(_)) => {
                if let Some(((at, _), event)) = self.queue.pop_first() {
                    self.time = at.max(self.time);
                    self.happen(event)?;
                }
            }
            (None, None) => return Err("[asleep] nothing is due, and nothing happens".to_owned()),
        }
        self.turn()
    }

    fn happen(&mut self, event: Event) -> Checked {
        match event {
            Event::Deliver(life, observation) if life == self.life => {
                self.say(|| format!("  <- {observation:?}"));
                self.checks.told(&observation);
                let now = self.now();
                self.runtime.observe(*observation, now);
            }
            Event::Deliver(..) => {}
            Event::Step(life, command, step, id) => self.step(life, command, step, id)?,
            Event::Exit(id, code) => {
                let now = self.now();
                if self.engine.exit(&id, code, now) {
                    self.say(|| format!("{id} exits with {code}"));
                    self.hint(&id);
                }
            }
            Event::Relist => {
                if self.engine_up {
                    self.list();
                }
                self.later(Duration::from_secs(5), Event::Relist);
            }
            Event::EngineBack => {
                self.say(|| "the engine is back".to_owned());
                self.engine_up = true;
                self.deliver(Duration::ZERO, Observation::EngineBack);
                self.list();
            }
            Event::Operation => super::operations::operate(self)?,
        }
        Ok(())
    }

    pub fn deliver(&mut self, after: Duration, observation: Observation) {
        self.later(after, Event::Deliver(self.life, Box::new(observation)));
    }

    /// An answer on its way: it may be lost, late, or come twice.
    fn answer(&mut self, life: u32, observation: Observation) {
        if life != self.life || !self.engine_up {
            return;
        }
        if self.rng.u32(0..4) == 0 && self.chance() {
            return self.say(|| "     (an answer is lost)".to_owned());
        }
        let delay = self.delay() / 4;
        // Of a start that failed nothing but its number says which try it was: the driver answers each once.
        let failed = matches!(
            observation,
            Observation::SandboxStarted { result: Err(_), .. } | Observation::ContainerStarted { result: Err(_), .. }
        );
        if !failed && self.chance() {
            let again = delay + self.delay();
            self.later(again, Event::Deliver(life, Box::new(observation.clone())));
        }
        self.later(delay, Event::Deliver(life, Box::new(observation)));
    }

    pub fn hint(&mut self, id: &ContainerId) {
        if self.engine_up && !self.chance() {
            let delay = self.delay() / 8;
            self.deliver(delay, Observation::Hint { id: id.clone() });
        }
    }

    fn list(&mut self) {
        let begun = self.runtime.commands_given();
        let mut listing = self.engine.list();
        if std::mem::take(&mut self.wrong_list) {
            let mut rng = self.rng.fork();
            listing.containers.retain(|_| rng.bool());
            self.say(|| "a list lacks something".to_owned());
        }
        let delay = self.delay() / 8;
        self.deliver(delay, Observation::Listed { listing, begun });
    }

    /// The next list lacks something.
    pub fn falsify_list(&mut self) {
        self.wrong_list = true;
    }

    /// The runtime acts, and what it says and wants is taken.
    fn turn(&mut self) -> Checked {
        let now = self.now();
        let reports = self.runtime.poll(now);
        let commands = self.runtime.take_commands();
        let before = self.commands;
        let crash = self.crash_at.iter().any(|at| (before..before + commands.len() as u64).contains(at));
        let kept = !crash || self.rng.bool();
        for report in reports.into_iter().filter(|_| kept) {
            self.say(|| format!("{} {:?}", report.name, report.what));
            match report.what {
                What::Status(status) => {
                    super::checks::check_status(self, &report.uid, &status)?;
                    if let Some(known) = self.pods.get_mut(&report.uid) {
                        (known.pod.status, known.overwritten) = (Some(*status), false);
                    }
                }
                What::Stopped => {
                    super::checks::check_stopped(self, &report.uid)?;
                    if self.pods.get(&report.uid).is_some_and(|known| known.stop.is_some()) {
                        self.pods.remove(&report.uid);
                    }
                }
                What::Event { reason, container: Some(container), .. } if reason == "Killing" => {
                    super::checks::note_killing(self, &report.uid, &container);
                }
                What::Event { .. } => {}
            }
        }
        for command in commands {
            let crashes = self.crash_at.contains(&self.commands);
            self.commands += 1;
            self.say(|| format!("-> {command:?}"));
            super::checks::check_command(self, &command)?;
            if crashes && self.rng.bool() {
                return self.crash();
            }
            let delay = self.delay();
            self.later(delay, Event::Step(self.life, command, 0, None));
            if crashes {
                return self.crash();
            }
        }
        Ok(())
    }

    /// This program is killed and started again.
    pub fn crash(&mut self) -> Checked {
        self.say(|| "we crash".to_owned());
        self.life += 1;
        self.runtime = new_runtime();
        self.checks.crashed();
        let now = self.now();
        let runtime_time = self.runtime_time();
        for (_, known) in self.pods.clone() {
            let referenced = self.referenced();
            self.runtime.resume(&known.pod, referenced, now);
            if let Some(end) = known.stop {
                self.runtime.stop(&known.pod, end.saturating_sub(runtime_time), now);
            }
        }
        if self.engine_up {
            let delay = self.delay();
            let listing = Observation::EngineBack;
            self.deliver(delay, listing);
        } else {
            self.deliver(Duration::ZERO, Observation::EngineGone("no socket".to_owned()));
        }
        Ok(())
    }

    /// The engine goes, perhaps with all its containers, and comes back.
    pub fn restart_engine(&mut self, with_containers: bool) {
        self.say(|| format!("the engine goes; its containers stay: {with_containers}"));
        self.engine_up = false;
        self.queue.retain(|_, event| !matches!(event, Event::Step(..)));
        let now = self.now();
        if !with_containers {
            let ids: Vec<ContainerId> = self.engine.containers.keys().cloned().collect();
            for id in ids {
                self.engine.exit(&id, 137, now);
            }
        }
        self.deliver(Duration::ZERO, Observation::EngineGone("connection refused".to_owned()));
        let back = Duration::from_millis(self.rng.u64(1..20_000));
        self.later(back, Event::EngineBack);
    }

    pub fn is_engine_up(&self) -> bool {
        self.engine_up
    }

    /// The wall clock jumps.
    pub fn step_clock(&mut self, by: SignedDuration) {
        self.say(|| format!("the clock jumps by {by:#}"));
        self.skew += by;
        match Duration::try_from(by) {
            Ok(forward) => self.forward += forward,
            Err(_) => {
                let set_back = SetBack::new(-by, self.now(), SignedDuration::ZERO);
                self.runtime.clock_set_back(&set_back);
                for known in self.pods.values_mut() {
                    if let Some(status) = &mut known.pod.status {
                        set_back.status(status);
                    }
                }
            }
        }
    }

    pub fn referenced(&self) -> Referenced {
        let mut referenced = Referenced::default();
        if let Some(version) = self.config {
            let data = BTreeMap::from([("key".to_owned(), version.to_string().into_bytes())]);
            referenced.config_maps.insert("conf".to_owned(), Arc::new(KeyedData { data }));
        }
        referenced
    }

    pub fn refresh_all(&mut self) {
        let now = self.now();
        for known in self.pods.values() {
            self.runtime.refreshed(&known.pod, self.referenced(), now);
        }
    }

    pub fn change_config(&mut self) {
        self.config = self.rng.bool().then(|| self.rng.u32(0..1000));
        self.refresh_all();
    }

    pub fn start_pod(&mut self) {
        self.named += 1;
        let (name, uid) = (format!("p{}", self.named), format!("uid-{}", self.named));
        let pod = pods::pod(&mut self.rng, &name, &uid);
        self.say(|| format!("start {}", serde_json::to_string(&pod).unwrap()));
        let now = self.now();
        self.runtime.start(&pod, self.referenced(), now);
        self.pods.insert(uid, Known { pod, stop: None, overwritten: false });
    }

    fn step(&mut self, life: u32, command: Command, step: u8, id: Option<ContainerId>) -> Checked {
        // A step that was not begun when its giver died, or while the engine is gone, is not carried out.
        if (life != self.life && (step > 0 || self.rng.bool())) || !self.engine_up {
            return Ok(());
        }
        let now = self.now();
        match command {
            Command::List => self.list(),
            Command::InspectImage { uid, container, image } => {
                let result = if self.chance() { Err(self.failure()) } else { Ok(self.engine.image(&image)) };
                self.answer(life, Observation::Image { uid, container, pulled: false, result });
            }
            Command::PullImage { uid, container, image, .. } => {
                let known = image.starts_with("app") || self.calm;
                let result = if self.chance() || !known {
                    Err(self.failure())
                } else {
                    self.engine.images.insert(image.clone());
                    Ok(self.engine.image(&image))
                };
                self.answer(life, Observation::Image { uid, container, pulled: true, result });
            }
            Command::StartSandbox { uid, attempt, spec } if step == 0 => {
                let made = if self.chance() {
                    Err(self.failure())
                } else {
                    self.engine.create_sandbox(&spec).map_err(CommandError::Engine)
                };
                match made {
                    Ok(id) => self.follow(life, Command::StartSandbox { uid, attempt, spec }, id),
                    Err(error) => {
                        self.answer(life, Observation::SandboxStarted { uid, attempt, id: None, result: Err(error) });
                    }
                }
            }
            Command::StartSandbox { uid, attempt, .. } => {
                let Some(id) = id else { return Ok(()) };
                let result = self.start(&id, now);
                if result.is_ok() {
                    super::checks::check_started(self, &id)?;
                }
                self.answer(life, Observation::SandboxStarted { uid, attempt, id: Some(id), result });
            }
            Command::StartContainer { uid, container, attempt, spec } if step == 0 => {
                let made = if self.chance() {
                    Err(self.failure())
                } else {
                    self.engine.create_container(&spec).map_err(CommandError::Engine)
                };
                match made {
                    Ok(id) => self.follow(life, Command::StartContainer { uid, container, attempt, spec }, id),
                    Err(error) => {
                        let result = Err((StartStep::Create, error));
                        self.answer(life, Observation::ContainerStarted { uid, container, attempt, id: None, result });
                    }
                }
            }
            Command::StartContainer { uid, container, attempt, .. } => {
                let Some(id) = id else { return Ok(()) };
                let result = self.start(&id, now);
                if result.is_ok() {
                    super::checks::check_started(self, &id)?;
                    self.behave(&uid, &container, &id);
                }
                let result = result.map_err(|error| (StartStep::Start, error));
                self.answer(life, Observation::ContainerStarted { uid, container, attempt, id: Some(id), result });
            }
            Command::Inspect { uid, id, .. } => {
                let result = match self.chance() {
                    true => Err(self.failure()),
                    false => Ok(self.engine.details(&id).map(|details| (details, Some("bye".to_owned())))),
                };
                self.answer(life, Observation::Inspected { uid, id, result });
            }
            Command::Kill { uid, id, signal } => {
                let result = self.kill(&id, &signal);
                self.answer(life, Observation::Killed { uid, id, result });
            }
            Command::Remove { uid, id } => {
                let result = if self.chance() { Err(self.failure()) } else { Ok(()) };
                if result.is_ok() {
                    self.engine.containers.remove(&id);
                }
                self.answer(life, Observation::Removed { uid, id, result });
            }
            Command::Probe { uid, container, attempt, id, kind, timeout, .. } => {
                let result = self.try_probe(&id, kind);
                self.checks.probed(&id, kind, &result);
                let observation = Observation::Probed { uid, container, attempt, kind, result };
                let delay = Duration::from_millis(self.rng.u64(0..3000)).min(timeout);
                self.later(delay, Event::Deliver(life, Box::new(observation)));
            }
            Command::WriteFiles { uid, .. } => {
                let result = if self.chance() { Err(CommandError::Files("no space left".to_owned())) } else { Ok(()) };
                self.answer(life, Observation::FilesWritten { uid, result });
            }
            Command::RemoveFiles { uid } => {
                let result = if self.chance() { Err(CommandError::Files("busy".to_owned())) } else { Ok(()) };
                self.answer(life, Observation::FilesRemoved { uid, result });
            }
        }
        Ok(())
    }

    /// The second step of a start comes after the first.
    fn follow(&mut self, life: u32, command: Command, id: ContainerId) {
        if life != self.life {
            self.checks.zombies.insert(id.clone());
        }
        let delay = self.delay();
        self.later(delay, Event::Step(life, command, 1, Some(id)));
    }

    fn start(&mut self, id: &ContainerId, now: Timestamp) -> Result<ContainerDetails, CommandError> {
        if self.chance() {
            return Err(self.failure());
        }
        self.engine.start(id, now).map_err(CommandError::Engine)?;
        self.engine.details(id).ok_or_else(|| CommandError::Engine(EngineError::NotFound(id.to_string())))
    }

    fn failure(&mut self) -> CommandError {
        CommandError::Engine(match self.rng.u8(0..4) {
            0 => EngineError::Unreachable("connection reset".to_owned()),
            1 => EngineError::TimedOut(Duration::from_secs(60)),
            _ => EngineError::Refused { status: 500, message: "no".to_owned() },
        })
    }

    fn kill(&mut self, id: &ContainerId, signal: &str) -> Result<(), CommandError> {
        if self.chance() {
            return Err(self.failure());
        }
        if !self.engine.runs(id) {
            return Err(CommandError::Engine(EngineError::Conflict("not running".to_owned())));
        }
        let after = Duration::from_millis(self.rng.u64(0..2500));
        match signal {
            "SIGKILL" => self.later(after / 50, Event::Exit(id.clone(), 137)),
            _ if self.rng.u8(0..4) > 0 => {
                let code = if self.rng.bool() { 0 } else { 143 };
                self.later(after, Event::Exit(id.clone(), code));
            }
            _ => {}
        }
        Ok(())
    }

    fn try_probe(&mut self, id: &ContainerId, kind: ProbeKind) -> Result<(), String> {
        let fails = !self.calm && self.rng.u8(0..100) < if kind == ProbeKind::PreStop { 20 } else { 10 };
        if fails || !self.engine.runs(id) { Err("exit code 1".to_owned()) } else { Ok(()) }
    }

    /// What a process does that has just been started.
    fn behave(&mut self, uid: &str, container: &str, id: &ContainerId) {
        let spec = self.pods.get(uid).and_then(|known| known.pod.spec.clone()).unwrap_or_default();
        let inits = spec.init_containers.unwrap_or_default();
        let runs_to_end = inits.iter().any(|init| init.name == container && init.restart_policy.is_none());
        let after = Duration::from_millis(self.rng.u64(0..3000));
        if runs_to_end {
            let code = i32::from(!self.calm && self.rng.u8(0..6) == 0);
            self.later(after, Event::Exit(id.clone(), code));
        } else if !self.calm && self.rng.u8(0..4) == 0 {
            let code = self.rng.i32(0..2);
            let after = after * self.rng.u32(0..10);
            self.later(after, Event::Exit(id.clone(), code));
        }
        self.hint(id);
    }

    /// A process ends by itself.
    pub fn exit_soon(&mut self, id: ContainerId, code: i32) {
        self.later(Duration::ZERO, Event::Exit(id, code));
    }

    pub fn some_container(&mut self, sandbox: bool) -> Option<ContainerId> {
        let all: Vec<&ContainerId> = self
            .engine
            .containers
            .values()
            .filter(|fake| fake.is_sandbox() == sandbox && fake.state == ContainerState::Running)
            .map(|fake| &fake.id)
            .collect();
        (!all.is_empty()).then(|| all[self.rng.usize(0..all.len())].clone())
    }

    fn check_rest(&self) -> Checked {
        super::checks::check_rest(self)
    }
}
