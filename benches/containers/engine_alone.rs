//! The same three pods, one after another, by nothing but calls to the engine.

use crate::{IMAGE, report::Figures, support::engines::ContainerEngine};
use headless_dns::engine::{
    docker_api::HttpEngine,
    sandbox::{ContainerId, ContainerSpec, Engine as _, INSTANCE_LABEL, NetworkSpec, SandboxNetwork, SandboxSpec},
};
use std::{
    collections::BTreeMap,
    net::IpAddr,
    time::{Duration, Instant},
};

const INSTANCE: &str = "engine-alone";
const PODS: u8 = 3;

/// Measures it.
pub fn measure(engine: &ContainerEngine, figures: &mut Figures) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = HttpEngine::new(&engine.socket());
    runtime.block_on(async {
        client.ensure_sandbox_image().await.unwrap();
        client.ensure_network(&network()).await.unwrap();
        let begun = Instant::now();
        for number in 0..PODS {
            pod(&client, number, figures).await;
            if number == 0 {
                figures.milliseconds("engine alone, first pod", begun.elapsed());
            }
        }
        figures.milliseconds("engine alone, three pods", begun.elapsed());
        let mut all = client.list(INSTANCE).await.unwrap();
        // Those that joined a sandbox first, which Podman wants.
        all.sort_by_key(|one| one.name.starts_with("k8s_POD_"));
        for one in all {
            client.remove(&one.id).await.unwrap();
        }
        client.remove_network(&network().name).await.unwrap();
    });
}

async fn pod(client: &HttpEngine, number: u8, figures: &mut Figures) {
    let mut last = Instant::now();
    let mut took = || {
        let now = Instant::now();
        let took: Duration = now - last;
        last = now;
        took
    };
    let id = client.create_sandbox(&sandbox(number)).await.unwrap();
    figures.milliseconds("call: sandbox, create", took());
    client.start(&id).await.unwrap();
    figures.milliseconds("call: sandbox, start", took());
    let id = client.create_container(&container(number, &id)).await.unwrap();
    figures.milliseconds("call: container, create", took());
    client.start(&id).await.unwrap();
    figures.milliseconds("call: container, start", took());
    client.inspect(&id).await.unwrap();
    figures.milliseconds("call: inspect", took());
}

fn network() -> NetworkSpec {
    NetworkSpec {
        name: "headless-dns-alone".to_owned(),
        bridge: "hdns-alone".to_owned(),
        subnets: vec!["10.199.0.0/16".parse().unwrap()],
        gateways: vec![IpAddr::from([10, 199, 0, 1])],
        mtu: None,
        labels: labels(),
    }
}

fn labels() -> BTreeMap<String, String> {
    BTreeMap::from([(INSTANCE_LABEL.to_owned(), INSTANCE.to_owned())])
}

fn sandbox(number: u8) -> SandboxSpec {
    let addresses = vec![IpAddr::from([10, 199, 0, 2 + number])];
    SandboxSpec {
        name: format!("k8s_POD_alone-{number}"),
        labels: labels(),
        hostname: format!("alone-{number}"),
        network: SandboxNetwork::Addresses { network: network().name, addresses },
        ports: Vec::new(),
        sysctls: BTreeMap::new(),
        shm_octets: None,
        host_pid: false,
        host_ipc: false,
    }
}

fn container(number: u8, sandbox: &ContainerId) -> ContainerSpec {
    ContainerSpec {
        name: format!("k8s_app_alone-{number}"),
        labels: labels(),
        sandbox: sandbox.clone(),
        hostname: format!("alone-{number}"),
        image: IMAGE.to_owned(),
        ..ContainerSpec::default()
    }
}
