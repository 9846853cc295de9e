//! Single commands: what is done for each, and what is told of it.

use super::{Batch, PreparedEngine, Shared, bridge, dns_check::DnsCheck, lister::Lister, listing, probe};
use crate::{
    control::{
        runtime::containers::{Command, CommandError, Observation, Probe, StartStep},
        state::{pods::PodDirectories, volumes::VolumePaths},
    },
    engine::sandbox::{
        ContainerDetails, ContainerId, ContainerSpec, ContainerState, Engine, EngineError, ImageDetails, LogFrame,
        Mount, SandboxSpec,
    },
};
use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::sync::Semaphore;

/// The end of a log that stands in for a termination message: kubelet's limits.
const MESSAGE_LINES_MAX: usize = 80;
const MESSAGE_OCTETS_MAX: usize = 2048;
/// What is read of what an exec probe wrote: kubelet's limit.
const EXEC_OCTETS_MAX: usize = 10 << 10;

/// Carries commands out, each in a task of its own.
pub(super) struct Carrier<E> {
    shared: Arc<Shared<E>>,
    lister: Arc<Lister>,
    directories: Arc<PodDirectories>,
    claims: Arc<VolumePaths>,
    dns: Arc<DnsCheck>,
}

/// Why a command has no result.
enum Failed {
    /// It was refused: that is told.
    Refused(CommandError),
    /// The engine does not answer: nothing is known, and nothing is told but that.
    Lost(EngineError),
}

impl From<EngineError> for Failed {
    fn from(error: EngineError) -> Failed {
        match error.is_about_the_engine() {
            true => Failed::Lost(error),
            false => Failed::Refused(CommandError::Engine(error)),
        }
    }
}

impl<E: Engine> Carrier<E> {
    pub(super) fn new(shared: Arc<Shared<E>>, lister: Arc<Lister>, prepared: &PreparedEngine<E>) -> Carrier<E> {
        Carrier {
            shared,
            lister,
            directories: Arc::new(PodDirectories::new(&prepared.facts.pods_directory)),
            claims: Arc::clone(&prepared.claims),
            dns: Arc::new(prepared.dns_check()),
        }
    }

    /// Begins every command of a batch.
    pub(super) fn take(self: &Arc<Self>, batch: Batch) {
        let first = batch.given.saturating_sub(batch.commands.len() as u64) + 1;
        let numbered: Vec<(u64, Command)> = (first..).zip(batch.commands).collect();
        let makes =
            |command: &Command| matches!(command, Command::StartSandbox { .. } | Command::StartContainer { .. });
        self.shared.outstanding(|outstanding| {
            outstanding.given = batch.given;
            outstanding.making.extend(numbered.iter().filter(|(_, command)| makes(command)).map(|(number, _)| *number));
        });
        for (number, command) in numbered {
            let carrier = Arc::clone(self);
            tokio::spawn(async move {
                carrier.carry_out(command).await;
                carrier.shared.outstanding(|outstanding| outstanding.making.remove(&number));
            });
        }
    }

    /// Carries a command out and tells what was seen. What needs no engine is done while it is gone, too.
    async fn carry_out(&self, command: Command) {
        match command {
            Command::WriteFiles { uid, files } => {
                let (directories, of) = (Arc::clone(&self.directories), uid.clone());
                let result = self.on_disk(move || directories.write(&of, &files)).await;
                self.shared.observe(Observation::FilesWritten { uid, result });
            }
            Command::RemoveFiles { uid } => {
                let (directories, of) = (Arc::clone(&self.directories), uid.clone());
                let result = self.on_disk(move || directories.remove(&of)).await;
                self.shared.observe(Observation::FilesRemoved { uid, result });
            }
            Command::Probe { uid, container, attempt, id: _, kind, probe, timeout }
                if !matches!(probe, Probe::Exec(_)) =>
            {
                let result = match &probe {
                    // A pause takes no place of those that do something.
                    Probe::Sleep(pause) => {
                        tokio::time::sleep(*pause).await;
                        Ok(())
                    }
                    _ => {
                        let _place = self.place(&self.shared.places.probes).await;
                        probe::run(&probe, kind, timeout).await
                    }
                };
                self.shared.observe(Observation::Probed { uid, container, attempt, kind, result });
            }
            command => {
                let Some(era) = self.shared.connection.ready().await else { return };
                match self.ask_engine(command).await {
                    Ok(Some(observation)) => self.shared.observe(observation),
                    Ok(None) => listing::list(&self.shared, &self.lister, era).await,
                    Err(error) => self.shared.connection.fail(era, error),
                }
            }
        }
    }

    async fn place<'a>(&self, places: &'a Semaphore) -> Option<tokio::sync::SemaphorePermit<'a>> {
        // Never closed.
        places.acquire().await.ok()
    }

    /// Work on files, which may take its time; off the thread of everything else.
    async fn on_disk(&self, work: impl FnOnce() -> Result<(), String> + Send + 'static) -> Result<(), CommandError> {
        let _place = self.place(&self.shared.places.files).await;
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done.map_err(CommandError::Files),
            Err(error) => Err(CommandError::Files(format!("the work on the pod's files was given up: {error}"))),
        }
    }

    /// What was seen of a command to the engine; `Ok(None)` for a list.
    ///
    /// # Errors
    /// The engine as a whole does not answer.
    async fn ask_engine(&self, command: Command) -> Result<Option<Observation>, EngineError> {
        let Shared { engine, places, .. } = &*self.shared;
        Ok(Some(match command {
            Command::List => return Ok(None),
            Command::InspectImage { uid, container, image } => {
                let _place = self.place(&places.short).await;
                let result = told(engine.image(&image).await)?;
                Observation::Image { uid, container, pulled: false, result }
            }
            Command::PullImage { uid, container, image, credentials } => {
                let _place = self.place(&places.pulls).await;
                let credentials: Vec<String> = credentials.into_iter().map(|one| one.0).collect();
                let result = told(self.pull(&image, &credentials).await)?.map(Some);
                Observation::Image { uid, container, pulled: true, result }
            }
            Command::StartSandbox { uid, attempt, spec } => {
                let _place = self.place(&places.starts).await;
                let (id, result) = self.start_sandbox(&spec).await;
                let result = settled(result)?;
                Observation::SandboxStarted { uid, attempt, id, result }
            }
            Command::StartContainer { uid, container, attempt, spec } => {
                let _place = self.place(&places.starts).await;
                let (id, result) = self.start_container(&spec).await;
                let result = match result {
                    Ok(details) => Ok(details),
                    Err((step, Failed::Refused(error))) => Err((step, error)),
                    Err((_, Failed::Lost(error))) => return Err(error),
                };
                Observation::ContainerStarted { uid, container, attempt, id, result }
            }
            Command::Inspect { uid, id, message } => {
                let _place = self.place(&places.short).await;
                let result = told(self.inspect(&id, message).await)?;
                Observation::Inspected { uid, id, result }
            }
            Command::Kill { uid, id, signal } => {
                let _place = self.place(&places.short).await;
                let result = match engine.kill(&id, &signal).await {
                    // It has ended already: what the signal was for.
                    Err(EngineError::Conflict(_) | EngineError::NotFound(_)) => Ok(()),
                    other => told(other)?,
                };
                Observation::Killed { uid, id, result }
            }
            Command::Remove { uid, id } => {
                let _place = self.place(&places.short).await;
                let result = told(engine.remove(&id).await)?;
                Observation::Removed { uid, id, result }
            }
            Command::Probe { uid, container, attempt, id, kind, probe, timeout } => {
                let _place = self.place(&places.probes).await;
                let result = match &probe {
                    Probe::Exec(command) => self.exec(&id, command, timeout).await?,
                    other => probe::run(other, kind, timeout).await,
                };
                Observation::Probed { uid, container, attempt, kind, result }
            }
            // Carried out before.
            Command::WriteFiles { .. } | Command::RemoveFiles { .. } => return Ok(None),
        }))
    }

    /// Pulls with each credential in turn, without any if there is none.
    async fn pull(&self, image: &str, credentials: &[String]) -> Result<ImageDetails, EngineError> {
        let mut outcome = Err(EngineError::NotFound("nothing was tried".to_owned()));
        let tried: Vec<Option<&str>> = match credentials {
            [] => vec![None],
            some => some.iter().map(|one| Some(one.as_str())).collect(),
        };
        for auth in tried {
            outcome = self.shared.engine.pull(image, auth).await;
            if outcome.as_ref().is_ok() || outcome.as_ref().is_err_and(EngineError::is_about_the_engine) {
                break;
            }
        }
        outcome
    }

    async fn start_sandbox(&self, spec: &SandboxSpec) -> (Option<ContainerId>, Result<ContainerDetails, Failed>) {
        let engine = &self.shared.engine;
        let made = match engine.create_sandbox(spec).await {
            // Network or image were removed by hand.
            Err(EngineError::NotFound(_)) => match self.ensure().await {
                Ok(()) => engine.create_sandbox(spec).await,
                Err(error) => Err(error),
            },
            other => other,
        };
        let id = match self.made_or_taken(made, &spec.name, &spec.labels).await {
            Ok(Made::New(id)) => id,
            Ok(Made::Runs(details)) => return (Some(details.summary.id.clone()), Ok(*details)),
            Err(error) => return (None, Err(error.into())),
        };
        let mut started = engine.start(&id).await;
        if matches!(started, Err(EngineError::NotFound(_))) && self.ensure().await.is_ok() {
            started = engine.start(&id).await;
        }
        let result = match started {
            Ok(()) => {
                self.keep_bridge_address();
                self.details(&id).await
            }
            Err(error) => Err(error.into()),
        };
        if let Ok(details) = &result
            && let (Some(pid), Some(address)) = (details.pid, details.addresses.first())
        {
            self.dns.ask_from(pid, *address, &self.shared.observations);
        }
        (Some(id), result)
    }

    /// The bridge is made with the first sandbox and goes with the last one, so this is done with each.
    fn keep_bridge_address(&self) {
        let network = &self.dns.network;
        let gateway = network.gateways.iter().find_map(|gateway| match gateway {
            IpAddr::V4(gateway) => Some(*gateway),
            IpAddr::V6(_) => None,
        });
        let Some(gateway) = gateway.filter(|_| self.shared.bridge_changes.load(Ordering::Relaxed)) else { return };
        // Where the interface is not ours to change, DNS in pods still comes back by itself after half a minute.
        if let Err(error) = bridge::keep_address(&network.bridge, gateway) {
            tracing::debug!(bridge = network.bridge, %error, "its hardware address may change as pods come and go");
        }
    }

    async fn ensure(&self) -> Result<(), EngineError> {
        self.shared.engine.ensure_network(&self.dns.network).await?;
        self.shared.engine.ensure_sandbox_image().await
    }

    async fn start_container(
        &self,
        spec: &ContainerSpec,
    ) -> (Option<ContainerId>, Result<ContainerDetails, (StartStep, Failed)>) {
        let engine = &self.shared.engine;
        let create = |error| (StartStep::Create, error);
        if let Err(message) = self.prepare_mounts(spec).await {
            return (None, Err(create(Failed::Refused(CommandError::Files(message)))));
        }
        let made = engine.create_container(spec).await;
        let id = match self.made_or_taken(made, &spec.name, &spec.labels).await {
            Ok(Made::New(id)) => id,
            Ok(Made::Runs(details)) => return (Some(details.summary.id.clone()), Ok(*details)),
            Err(error) => return (None, Err(create(error.into()))),
        };
        let result = match engine.start(&id).await {
            Ok(()) => self.details(&id).await,
            Err(error) => Err(error.into()),
        };
        (Some(id), result.map_err(|error| (StartStep::Start, error)))
    }

    /// Makes what is made in the moment of a start. Then directories below `hostPathRoot` are looked at once more: what leads
    /// out of it by now is not mounted. Podman takes sources that are not there, so that is looked at, too.
    async fn prepare_mounts(&self, spec: &ContainerSpec) -> Result<(), String> {
        let bind = |mount: &Mount| match mount {
            Mount::Bind { source, .. } => Some(source.clone()),
            Mount::Tmpfs { .. } => None,
        };
        let sources: Vec<PathBuf> = spec.mounts.iter().filter_map(bind).collect();
        let (directories, claims, spec) = (Arc::clone(&self.directories), Arc::clone(&self.claims), spec.clone());
        let prepare = move || {
            directories.before_start(&spec)?;
            sources.iter().try_for_each(|source| claims.look(source))
        };
        match tokio::task::spawn_blocking(prepare).await {
            Ok(looked) => looked,
            Err(error) => Err(format!("the mounts could not be looked at: {error}")),
        }
    }

    /// A container that was made now; or, if there is one of that name, that one if it was made from the same.
    async fn made_or_taken(
        &self,
        made: Result<ContainerId, EngineError>,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<Made, EngineError> {
        let refused = match made {
            Ok(id) => return Ok(Made::New(id)),
            Err(EngineError::Conflict(message)) => EngineError::Conflict(message),
            Err(error) => return Err(error),
        };
        let all = self.shared.engine.list(&self.shared.instance).await?;
        let Some(standing) = all.into_iter().find(|one| one.name == name) else { return Err(refused) };
        let is_same = labels.iter().all(|(key, value)| standing.labels.get(key) == Some(value));
        if !is_same {
            return Err(refused);
        }
        match self.shared.engine.inspect(&standing.id).await? {
            Some(details) if details.summary.state == ContainerState::Created => Ok(Made::New(standing.id)),
            // It runs, or it has run: an attempt runs once.
            Some(details) => Ok(Made::Runs(Box::new(details))),
            None => Err(refused),
        }
    }

    async fn details(&self, id: &ContainerId) -> Result<ContainerDetails, Failed> {
        let gone = || EngineError::NotFound(format!("container {id} has gone while it was started"));
        Ok(self.shared.engine.inspect(id).await?.ok_or_else(gone)?)
    }

    async fn inspect(
        &self,
        id: &ContainerId,
        message: Option<(PathBuf, bool)>,
    ) -> Result<Option<(ContainerDetails, Option<String>)>, EngineError> {
        self.lister.forget(id);
        let Some(details) = self.shared.engine.inspect(id).await? else { return Ok(None) };
        let mut said = None;
        if let Some((file, from_log)) = message {
            let directories = Arc::clone(&self.directories);
            let read = tokio::task::spawn_blocking(move || directories.message(&file)).await;
            said = read.ok().flatten().filter(|text| !text.is_empty());
            if said.is_none() && from_log && details.exit_code != Some(0) {
                let frames = self.shared.engine.log_tail(id, MESSAGE_LINES_MAX, MESSAGE_OCTETS_MAX).await;
                // A log that cannot be read is no reason to say nothing of the container.
                said = frames.ok().map(|frames| end_of_log(&frames)).filter(|text| !text.is_empty());
            }
        }
        Ok(Some((details, said)))
    }

    /// Runs a command as a probe: its words if it fails.
    async fn exec(
        &self,
        id: &ContainerId,
        command: &[String],
        timeout: Duration,
    ) -> Result<Result<(), String>, EngineError> {
        match self.shared.engine.exec(id, command, timeout, EXEC_OCTETS_MAX).await {
            Ok((0, _)) => Ok(Ok(())),
            Ok((code, output)) if output.is_empty() => Ok(Err(format!("command exited with {code}"))),
            Ok((_, output)) => Ok(Err(String::from_utf8_lossy(&output).into_owned())),
            Err(EngineError::TimedOut(_)) => Ok(Err(format!("command {:?} timed out", command.join(" ")))),
            Err(error) if error.is_about_the_engine() => Err(error),
            Err(error) => Ok(Err(error.to_string())),
        }
    }
}

/// A container that is there.
enum Made {
    /// To be started.
    New(ContainerId),
    /// It was started before.
    Runs(Box<ContainerDetails>),
}

/// What is told of a call; an error of the engine as a whole is none.
fn told<T>(outcome: Result<T, EngineError>) -> Result<Result<T, CommandError>, EngineError> {
    settled(outcome.map_err(Failed::from))
}

fn settled<T>(outcome: Result<T, Failed>) -> Result<Result<T, CommandError>, EngineError> {
    match outcome {
        Ok(value) => Ok(Ok(value)),
        Err(Failed::Refused(error)) => Ok(Err(error)),
        Err(Failed::Lost(error)) => Err(error),
    }
}

/// The last octets of a log, from a character's beginning on.
fn end_of_log(frames: &[LogFrame]) -> String {
    let octets: Vec<u8> = frames
        .iter()
        .flat_map(|frame| match frame {
            LogFrame::Output(octets) | LogFrame::Error(octets) => octets.iter().copied(),
        })
        .collect();
    let from = octets.len().saturating_sub(MESSAGE_OCTETS_MAX);
    String::from_utf8_lossy(octets.get(from..).unwrap_or_default()).into_owned()
}
