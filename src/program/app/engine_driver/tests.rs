//! The driver with an engine that is made of answers: what is told of commands, of an engine that goes and comes back,
//! and of lists.

use super::*;
use crate::{
    control::{
        runtime::containers::{CommandError, NodeFacts},
        state::volumes::VolumePaths,
    },
    engine::sandbox::{
        ATTEMPT_LABEL, CONTAINER_NAME_LABEL, ContainerDetails, ContainerId, ContainerSpec, ContainerState,
        ContainerSummary, EngineError, EngineEvent, EngineInfo, EngineKind, EngineVersion, ImageDetails, LogFrame,
        NetworkSpec, POD_UID_LABEL, SANDBOX_CONTAINER_NAME, SandboxNetwork, SandboxSpec,
    },
    program::{app::messages::EngineState, settings::Settings},
};
use jiff::Timestamp;
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, sync_channel},
    },
};

/// How long a test waits for what is to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// An engine that keeps sandboxes in memory and can be switched off.
#[derive(Debug, Default)]
struct FakeEngine {
    is_off: AtomicBool,
    refuses_subnets: AtomicBool,
    made: Mutex<BTreeMap<ContainerId, ContainerDetails>>,
}

impl FakeEngine {
    fn asked(&self) -> Result<(), EngineError> {
        match self.is_off.load(Ordering::Acquire) {
            true => Err(EngineError::Unreachable("connection refused".to_owned())),
            false => Ok(()),
        }
    }

    fn made(&self) -> std::sync::MutexGuard<'_, BTreeMap<ContainerId, ContainerDetails>> {
        self.made.lock().unwrap()
    }
}

impl Engine for FakeEngine {
    async fn version(&self) -> Result<EngineVersion, EngineError> {
        self.asked().map(|()| EngineVersion { kind: EngineKind::Podman, version: "4.3.1".to_owned() })
    }

    async fn info(&self) -> Result<EngineInfo, EngineError> {
        self.asked()?;
        Ok(EngineInfo {
            kind: EngineKind::Podman,
            version: "4.3.1".to_owned(),
            api_version: (1, 41),
            architecture: "amd64".to_owned(),
            rootless: false,
            cpus: 2,
            memory_octets: 1 << 30,
            time: None,
            kernel_version: String::new(),
            operating_system: String::new(),
        })
    }

    async fn ensure_network(&self, spec: &NetworkSpec) -> Result<(), EngineError> {
        self.asked()?;
        let first = spec.subnets.iter().any(|subnet| subnet.to_string().starts_with("10.244."));
        match first && self.refuses_subnets.load(Ordering::Acquire) {
            true => Err(EngineError::SubnetTaken("pool overlaps".to_owned())),
            false => Ok(()),
        }
    }

    async fn remove_network(&self, _name: &str) -> Result<(), EngineError> {
        self.asked()
    }

    async fn ensure_sandbox_image(&self) -> Result<(), EngineError> {
        self.asked()
    }

    async fn image(&self, _reference: &str) -> Result<Option<ImageDetails>, EngineError> {
        self.asked().map(|()| None)
    }

    async fn pull(&self, reference: &str, _auth: Option<&str>) -> Result<ImageDetails, EngineError> {
        self.asked()?;
        Err(EngineError::NotFound(format!("no such image: {reference}")))
    }

    async fn create_sandbox(&self, spec: &SandboxSpec) -> Result<ContainerId, EngineError> {
        self.asked()?;
        if self.made().values().any(|one| one.summary.name == spec.name) {
            return Err(EngineError::Conflict("the name is in use".to_owned()));
        }
        let id = ContainerId(format!("id-of-{}", spec.name));
        let summary = ContainerSummary {
            id: id.clone(),
            name: spec.name.clone(),
            labels: spec.labels.clone(),
            state: ContainerState::Created,
        };
        let details = ContainerDetails {
            summary,
            image: String::new(),
            image_id: String::new(),
            pid: None,
            started_at: None,
            finished_at: None,
            exit_code: None,
            oom_killed: false,
            error: None,
            addresses: Vec::new(),
        };
        self.made().insert(id.clone(), details);
        Ok(id)
    }

    async fn create_container(&self, spec: &ContainerSpec) -> Result<ContainerId, EngineError> {
        Err(EngineError::Refused { status: 500, message: format!("{} is not made here", spec.name) })
    }

    async fn start(&self, id: &ContainerId) -> Result<(), EngineError> {
        self.asked()?;
        if let Some(one) = self.made().get_mut(id) {
            one.summary.state = ContainerState::Running;
        }
        Ok(())
    }

    async fn kill(&self, id: &ContainerId, _signal: &str) -> Result<(), EngineError> {
        self.asked()?;
        Err(EngineError::Conflict(format!("container {id} is not running")))
    }

    async fn remove(&self, id: &ContainerId) -> Result<(), EngineError> {
        self.asked()?;
        self.made().remove(id);
        Ok(())
    }

    async fn list(&self, _instance: &str) -> Result<Vec<ContainerSummary>, EngineError> {
        self.asked()?;
        Ok(self.made().values().map(|one| one.summary.clone()).collect())
    }

    async fn inspect(&self, id: &ContainerId) -> Result<Option<ContainerDetails>, EngineError> {
        self.asked()?;
        Ok(self.made().get(id).cloned())
    }

    async fn exec(
        &self,
        _id: &ContainerId,
        command: &[String],
        timeout: Duration,
        _octets: usize,
    ) -> Result<(i32, Vec<u8>), EngineError> {
        self.asked()?;
        match command.first().map(String::as_str) {
            Some("true") => Ok((0, Vec::new())),
            Some("sleep") => Err(EngineError::TimedOut(timeout)),
            _ => Ok((1, b"it is broken".to_vec())),
        }
    }

    async fn log_tail(&self, _id: &ContainerId, _lines: usize, _octets: usize) -> Result<Vec<LogFrame>, EngineError> {
        Ok(vec![LogFrame::Output(b"the end".to_vec())])
    }

    async fn watch(
        &self,
        _instance: &str,
        _since: Option<Timestamp>,
        hints: mpsc::Sender<EngineEvent>,
    ) -> Result<(), EngineError> {
        // Nothing happens by itself.
        hints.closed().await;
        Ok(())
    }
}

/// A driver that runs, and what it tells.
struct Bench {
    engine: Arc<FakeEngine>,
    driver: Driver,
    told: Receiver<ControlRequest>,
    given: u64,
    /// Ends the driver first.
    _thread: Thread,
    _directory: tempfile::TempDir,
}

fn prepared(engine: FakeEngine, directory: &Path) -> (PreparedEngine<FakeEngine>, Settings) {
    let mut settings = Settings::defaults();
    let claims = VolumePaths::new(directory, None).unwrap();
    let place = Place { socket: Path::new("/run/fake.sock"), state_directory: directory };
    (PreparedEngine::new(engine, place, &mut settings, claims).unwrap(), settings)
}

impl Bench {
    fn new() -> Bench {
        let directory = tempfile::tempdir().unwrap();
        let (prepared, _) = prepared(FakeEngine::default(), directory.path());
        let engine = Arc::clone(&prepared.engine);
        let ((driver, batches), (requests, told)) = (channel(), sync_channel(64));
        let thread = start(prepared, batches, requests).unwrap();
        Bench { engine, driver, told, given: 0, _thread: thread, _directory: directory }
    }

    fn command(&mut self, command: Command) {
        self.given += 1;
        self.driver.send(Batch { commands: vec![command], given: self.given });
    }

    /// The next thing that is told for which `wanted` gives something.
    fn next<T>(&self, wanted: impl Fn(&ControlRequest) -> Option<T>) -> T {
        let until = std::time::Instant::now() + PATIENCE;
        loop {
            let request = self.told.recv_timeout(until - std::time::Instant::now()).expect("something is told");
            if let Some(found) = wanted(&request) {
                return found;
            }
        }
    }

    fn observed<T>(&self, wanted: impl Fn(&Observation) -> Option<T>) -> T {
        self.next(|request| match request {
            ControlRequest::Observed(all) => all.iter().find_map(&wanted),
            _ => None,
        })
    }
}

fn sandbox(uid: &str) -> Command {
    let spec = SandboxSpec {
        name: format!("k8s_POD_{uid}"),
        labels: BTreeMap::from([
            (POD_UID_LABEL.to_owned(), uid.to_owned()),
            (CONTAINER_NAME_LABEL.to_owned(), SANDBOX_CONTAINER_NAME.to_owned()),
            (ATTEMPT_LABEL.to_owned(), "0".to_owned()),
        ]),
        hostname: uid.to_owned(),
        network: SandboxNetwork::Host,
        ports: Vec::new(),
        sysctls: BTreeMap::new(),
        shm_octets: None,
        host_pid: false,
        host_ipc: false,
    };
    Command::StartSandbox { uid: uid.to_owned(), attempt: 0, spec: Box::new(spec) }
}

#[test]
fn commands_are_answered() {
    let mut bench = Bench::new();
    // Twice: what is there and was made from the same is taken.
    for _ in 0..2 {
        bench.command(sandbox("a"));
        let state = bench.observed(|one| match one {
            Observation::SandboxStarted { result, .. } => Some(result.clone().map(|details| details.summary.state)),
            _ => None,
        });
        assert_eq!(state, Ok(ContainerState::Running));
    }
    bench.command(Command::List);
    let listed = bench.observed(|one| match one {
        Observation::Listed { listing, begun } if *begun >= 3 => {
            Some(listing.containers.iter().map(|one| one.uid.clone()).collect::<Vec<_>>())
        }
        _ => None,
    });
    assert_eq!(listed, ["a"]);
    let id = ContainerId("id-of-k8s_POD_a".to_owned());
    // A command, and what is told of it.
    let exec = |word: &str| Command::Probe {
        uid: "a".to_owned(),
        container: "c".to_owned(),
        attempt: 0,
        id: id.clone(),
        kind: crate::control::runtime::containers::ProbeKind::Readiness,
        probe: crate::control::runtime::containers::Probe::Exec(vec![word.to_owned(), "5".to_owned()]),
        timeout: Duration::from_secs(1),
    };
    for (word, expected) in [
        ("true", Ok(())),
        ("false", Err("it is broken".to_owned())),
        ("sleep", Err("command \"sleep 5\" timed out".to_owned())),
    ] {
        bench.command(exec(word));
        let result = bench.observed(|one| match one {
            Observation::Probed { result, .. } => Some(result.clone()),
            _ => None,
        });
        assert_eq!(result, expected, "{word}");
    }
    bench.command(Command::PullImage {
        uid: "a".to_owned(),
        container: "c".to_owned(),
        image: "nowhere".to_owned(),
        credentials: Vec::new(),
    });
    let result = bench.observed(|one| match one {
        Observation::Image { pulled: true, result, .. } => Some(result.clone()),
        _ => None,
    });
    let refused = EngineError::NotFound("no such image: nowhere".to_owned());
    assert_eq!(result, Err(CommandError::Engine(refused)));
    // What has ended needs no signal.
    bench.command(Command::Kill { uid: "a".to_owned(), id: id.clone(), signal: "SIGTERM".to_owned() });
    let result = bench.observed(|one| match one {
        Observation::Killed { result, .. } => Some(result.clone()),
        _ => None,
    });
    assert_eq!(result, Ok(()));
    bench.command(Command::Inspect { uid: "a".to_owned(), id, message: Some(("/nowhere".into(), true)) });
    let message = bench.observed(|one| match one {
        Observation::Inspected { result: Ok(Some((_, message))), .. } => Some(message.clone()),
        _ => None,
    });
    assert_eq!(message.as_deref(), Some("the end"));
}

#[test]
fn an_engine_that_goes_and_comes_back() {
    let mut bench = Bench::new();
    bench.next(|request| matches!(request, ControlRequest::Engine(EngineState::There(..))).then_some(()));
    bench.engine.is_off.store(true, Ordering::Release);
    bench.command(sandbox("a"));
    bench.next(|request| matches!(request, ControlRequest::Engine(EngineState::Gone(_))).then_some(()));
    bench.observed(|one| matches!(one, Observation::EngineGone(_)).then_some(()));
    bench.engine.is_off.store(false, Ordering::Release);
    bench.next(|request| matches!(request, ControlRequest::Engine(EngineState::There(..))).then_some(()));
    bench.observed(|one| matches!(one, Observation::EngineBack).then_some(()));
    // What was commanded of it while it was gone was dropped.
    let listed = bench.observed(|one| match one {
        Observation::Listed { listing, .. } => Some(listing.containers.len()),
        _ => None,
    });
    assert_eq!(listed, 0);
    bench.command(sandbox("b"));
    bench.observed(|one| matches!(one, Observation::SandboxStarted { result: Ok(_), .. }).then_some(()));
}

#[test]
fn a_range_that_is_taken_is_left_to_others() {
    let directory = tempfile::tempdir().unwrap();
    let engine = FakeEngine { refuses_subnets: AtomicBool::new(true), ..FakeEngine::default() };
    let (first, settings) = prepared(engine, directory.path());
    assert!(!settings.pod_cidrs[0].to_string().starts_with("10.244."), "{:?}", settings.pod_cidrs);
    assert_eq!(first.facts.addresses, first.facts.dns_servers);
    assert!(settings.pod_cidrs[0].contains(&first.facts.addresses[0]));
    // The next start finds it as it was, whether the engine answers or not.
    let off = FakeEngine { is_off: AtomicBool::new(true), ..FakeEngine::default() };
    let (second, again) = prepared(off, directory.path());
    assert!(!second.is_connected());
    assert_eq!(again.pod_cidrs, settings.pod_cidrs);
    let named = |facts: &NodeFacts| (facts.instance.clone(), facts.network.clone());
    assert_eq!(named(&second.facts), named(&first.facts));
}
