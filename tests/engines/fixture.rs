//! An engine with a network and containers of one test's own, and what is made on it.

use crate::support::engines::{ContainerEngine, Kind, images};
use headless_dns::engine::{
    docker_api::HttpEngine,
    sandbox::{
        ATTEMPT_LABEL, ContainerDetails, ContainerId, ContainerSpec, ContainerState, Engine, EngineError,
        INSTANCE_LABEL, NetworkSpec, SandboxNetwork, SandboxSpec,
    },
};
use std::{
    cell::Cell,
    collections::BTreeMap,
    future::Future,
    net::{IpAddr, Ipv4Addr},
    sync::{
        OnceLock,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

/// The image of most containers here.
pub const APP: &str = "localhost/app:1";
/// How long a command in a container may take.
pub const EXEC: Duration = Duration::from_secs(20);

/// What one test has of an engine.
pub struct Fixture {
    pub engine: &'static ContainerEngine,
    pub client: HttpEngine,
    pub network: NetworkSpec,
    pub instance: String,
    next: Cell<u8>,
}

/// Runs a test on both engines at once, each with a network of its own; what it made is removed afterwards.
pub fn on_both<F: Future<Output = ()>>(test: impl Fn(&'static Fixture) -> F + Sync) {
    std::thread::scope(|scope| {
        for kind in [Kind::Docker, Kind::Podman] {
            let test = &test;
            scope.spawn(move || {
                let Some(engine) = ContainerEngine::shared(kind) else { return };
                static LOADED: [OnceLock<()>; 2] = [OnceLock::new(), OnceLock::new()];
                LOADED[kind as usize].get_or_init(|| images::load_app(engine, APP));
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    // A few of them, for the time of the tests.
                    let fixture: &'static Fixture = Box::leak(Box::new(Fixture::new(engine)));
                    fixture.client.ensure_sandbox_image().await.unwrap();
                    fixture.client.ensure_network(&fixture.network).await.unwrap();
                    test(fixture).await;
                    fixture.remove_all().await;
                });
            });
        }
    });
}

impl Fixture {
    fn new(engine: &'static ContainerEngine) -> Fixture {
        static COUNT: AtomicU8 = AtomicU8::new(1);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let instance = format!("test-{number}");
        let network = NetworkSpec {
            name: format!("headless-dns-{number}"),
            bridge: format!("hdns{number}"),
            subnets: vec![format!("10.{}.0.0/16", 100 + number).parse().unwrap()],
            gateways: vec![IpAddr::from([10, 100 + number, 0, 1])],
            mtu: Some(1400),
            labels: BTreeMap::from([(INSTANCE_LABEL.to_owned(), instance.clone())]),
        };
        Fixture { engine, client: HttpEngine::new(&engine.socket()), network, instance, next: Cell::new(2) }
    }

    /// Whether it is Podman.
    pub fn is_podman(&self) -> bool {
        self.engine.kind == Kind::Podman
    }

    /// An address that no test had yet.
    pub fn address(&self) -> IpAddr {
        let last = self.next.get();
        self.next.set(last + 1);
        let IpAddr::V4(gateway) = self.network.gateways[0] else { unreachable!() };
        let [a, b, ..] = gateway.octets();
        Ipv4Addr::new(a, b, 7, last).into()
    }

    fn labels(&self) -> BTreeMap<String, String> {
        let labels = [(INSTANCE_LABEL, self.instance.as_str()), (ATTEMPT_LABEL, "0"), ("odd", "a=b, \"c\"\n$d")];
        labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    /// A sandbox with an address.
    pub fn sandbox(&self, name: &str, address: IpAddr) -> SandboxSpec {
        SandboxSpec {
            name: format!("k8s_POD_{name}_default_{}_0", self.instance),
            labels: self.labels(),
            hostname: name.to_owned(),
            network: SandboxNetwork::Addresses { network: self.network.name.clone(), addresses: vec![address] },
            ports: Vec::new(),
            sysctls: BTreeMap::new(),
            shm_octets: None,
            host_pid: false,
            host_ipc: false,
        }
    }

    /// A container of the test's program that serves.
    pub fn container(&self, name: &str, sandbox: &ContainerId) -> ContainerSpec {
        ContainerSpec {
            name: format!("k8s_app_{name}_default_{}_0", self.instance),
            labels: self.labels(),
            sandbox: sandbox.clone(),
            hostname: name.to_owned(),
            image: APP.to_owned(),
            ..ContainerSpec::default()
        }
    }

    /// Makes and starts a sandbox.
    pub async fn start_sandbox(&self, spec: &SandboxSpec) -> Result<ContainerId, EngineError> {
        let id = self.client.create_sandbox(spec).await?;
        self.client.start(&id).await?;
        Ok(id)
    }

    /// Makes and starts a container.
    pub async fn start_container(&self, spec: &ContainerSpec) -> Result<ContainerId, EngineError> {
        let id = self.client.create_container(spec).await?;
        self.client.start(&id).await?;
        Ok(id)
    }

    /// A sandbox and a container that serves, both running.
    pub async fn pod(&self, name: &str) -> (ContainerId, ContainerId) {
        let sandbox = self.start_sandbox(&self.sandbox(name, self.address())).await.unwrap();
        let container = self.start_container(&self.container(name, &sandbox)).await.unwrap();
        (sandbox, container)
    }

    /// Runs the test's program in a container: exit code and what it wrote.
    pub async fn exec(&self, id: &ContainerId, words: &[&str]) -> (i32, String) {
        let command: Vec<String> = ["/app"].iter().chain(words).map(|word| (*word).to_owned()).collect();
        let (code, written) = self.client.exec(id, &command, EXEC, 100_000).await.unwrap();
        (code, String::from_utf8_lossy(&written).into_owned())
    }

    /// Everything about a container that is there.
    pub async fn inspect(&self, id: &ContainerId) -> ContainerDetails {
        self.client.inspect(id).await.unwrap().unwrap()
    }

    /// Waits until a container has ended.
    pub async fn ended(&self, id: &ContainerId) -> ContainerDetails {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let details = self.inspect(id).await;
            if details.summary.state == ContainerState::Exited {
                return details;
            }
            assert!(Instant::now() < end, "{details:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn remove_all(&self) {
        // Those that joined a sandbox first, which Podman wants.
        let mut found = self.client.list(&self.instance).await.unwrap();
        found.sort_by_key(|summary| summary.name.starts_with("k8s_POD_"));
        for summary in found {
            self.client.remove(&summary.id).await.unwrap();
        }
        assert_eq!(self.client.list(&self.instance).await.unwrap(), []);
        self.client.remove_network(&self.network.name).await.unwrap();
        self.client.remove_network(&self.network.name).await.unwrap();
    }
}
