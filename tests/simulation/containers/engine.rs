//! An engine that only exists in memory: it does what the real ones do, with their ways to fail.

use headless_dns::{
    control::runtime::containers::{ContainerFound, Listing},
    engine::sandbox::{
        ATTEMPT_LABEL, CONTAINER_NAME_LABEL, ContainerDetails, ContainerId, ContainerSpec, ContainerState,
        ContainerSummary, EngineError, ImageDetails, POD_UID_LABEL, SANDBOX_CONTAINER_NAME, SPEC_HASH_LABEL,
        SandboxNetwork, SandboxSpec,
    },
};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// A container or sandbox that exists.
#[derive(Debug, Clone)]
pub struct Fake {
    pub id: ContainerId,
    pub uid: String,
    pub container: String,
    pub attempt: u32,
    pub sandbox: Option<ContainerId>,
    pub addresses: Vec<IpAddr>,
    pub state: ContainerState,
    pub exit_code: Option<i32>,
    name: String,
    labels: BTreeMap<String, String>,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
}

#[derive(Debug, Default)]
pub struct Engine {
    pub containers: BTreeMap<ContainerId, Fake>,
    pub images: BTreeSet<String>,
    /// Addresses that somebody has whom nobody knows.
    pub foreign: BTreeSet<IpAddr>,
    made: u64,
}

fn refused(message: &str) -> EngineError {
    EngineError::Refused { status: 500, message: message.to_owned() }
}

impl Engine {
    fn create(
        &mut self,
        name: &str,
        labels: &BTreeMap<String, String>,
        sandbox: Option<ContainerId>,
        addresses: Vec<IpAddr>,
    ) -> Result<ContainerId, EngineError> {
        if self.containers.values().any(|other| other.name == name) {
            return Err(EngineError::Conflict(format!("the name {name} is taken")));
        }
        self.made += 1;
        let id = ContainerId(format!("{:04x}", self.made));
        let label = |label: &str| labels.get(label).cloned().unwrap_or_default();
        let fake = Fake {
            id: id.clone(),
            uid: label(POD_UID_LABEL),
            container: label(CONTAINER_NAME_LABEL),
            attempt: label(ATTEMPT_LABEL).parse().unwrap(),
            sandbox,
            addresses,
            state: ContainerState::Created,
            exit_code: None,
            name: name.to_owned(),
            labels: labels.clone(),
            started_at: None,
            finished_at: None,
        };
        self.containers.insert(id.clone(), fake);
        Ok(id)
    }

    pub fn create_sandbox(&mut self, spec: &SandboxSpec) -> Result<ContainerId, EngineError> {
        let addresses = match &spec.network {
            SandboxNetwork::Host => Vec::new(),
            SandboxNetwork::Addresses { addresses, .. } => addresses.clone(),
        };
        self.create(&spec.name, &spec.labels, None, addresses)
    }

    pub fn create_container(&mut self, spec: &ContainerSpec) -> Result<ContainerId, EngineError> {
        if !self.runs(&spec.sandbox) {
            return Err(refused("cannot join the network of a container that does not run"));
        }
        self.create(&spec.name, &spec.labels, Some(spec.sandbox.clone()), Vec::new())
    }

    pub fn start(&mut self, id: &ContainerId, now: Timestamp) -> Result<(), EngineError> {
        let Some(fake) = self.containers.get(id) else { return Err(EngineError::NotFound(id.to_string())) };
        let taken = |address: &IpAddr| {
            let other = |other: &&Fake| other.id != *id && other.addresses.contains(address);
            self.foreign.contains(address)
                || self.containers.values().filter(other).any(|other| other.state == ContainerState::Running)
        };
        if fake.addresses.iter().any(taken) {
            return Err(EngineError::AddressTaken("Address already in use".to_owned()));
        }
        if fake.sandbox.as_ref().is_some_and(|sandbox| !self.runs(sandbox)) {
            return Err(refused("cannot join the network of a container that does not run"));
        }
        if let Some(fake) = self.containers.get_mut(id) {
            (fake.state, fake.started_at) = (ContainerState::Running, Some(now));
        }
        Ok(())
    }

    pub fn runs(&self, id: &ContainerId) -> bool {
        self.containers.get(id).is_some_and(|fake| fake.state == ContainerState::Running)
    }

    /// Its process ends.
    pub fn exit(&mut self, id: &ContainerId, code: i32, now: Timestamp) -> bool {
        match self.containers.get_mut(id).filter(|fake| fake.state == ContainerState::Running) {
            Some(fake) => {
                (fake.state, fake.exit_code, fake.finished_at) = (ContainerState::Exited, Some(code), Some(now));
                true
            }
            None => false,
        }
    }

    pub fn details(&self, id: &ContainerId) -> Option<ContainerDetails> {
        let fake = self.containers.get(id)?;
        Some(ContainerDetails {
            summary: ContainerSummary {
                id: fake.id.clone(),
                name: fake.name.clone(),
                labels: fake.labels.clone(),
                state: fake.state,
            },
            image: "app:1".to_owned(),
            image_id: "sha256:app".to_owned(),
            pid: None,
            started_at: fake.started_at,
            finished_at: fake.finished_at,
            exit_code: fake.exit_code,
            oom_killed: false,
            error: None,
            addresses: fake.addresses.clone(),
        })
    }

    pub fn image(&self, image: &str) -> Option<ImageDetails> {
        let known = self.images.contains(image) || image.starts_with("sha256:");
        known.then(|| ImageDetails { id: "sha256:app".to_owned(), ..ImageDetails::default() })
    }

    pub fn list(&self) -> Listing {
        let found = |fake: &Fake| {
            Some(ContainerFound {
                uid: fake.uid.clone(),
                container: fake.container.clone(),
                attempt: fake.attempt,
                spec_hash: fake.labels.get(SPEC_HASH_LABEL).cloned().unwrap_or_default(),
                details: self.details(&fake.id)?,
            })
        };
        Listing { containers: self.containers.values().filter_map(found).collect() }
    }
}

impl Fake {
    pub fn is_sandbox(&self) -> bool {
        self.container == SANDBOX_CONTAINER_NAME
    }
}
