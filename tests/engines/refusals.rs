//! What an engine refuses, and what is made of its words: each engine has others.

use crate::{
    fixture::{Fixture, on_both},
    support::engines::images,
};
use headless_dns::engine::sandbox::{ContainerId, ContainerState, Engine, EngineError, PortBinding, Protocol};

/// The kind of an error, and whether it says something.
fn kind<T: std::fmt::Debug>(result: Result<T, EngineError>) -> &'static str {
    let Err(error) = result else { return "done" };
    assert!(!error.to_string().is_empty(), "{error:?}");
    match error {
        EngineError::NotFound(_) => "not found",
        EngineError::Conflict(_) => "conflict",
        EngineError::AddressTaken(_) => "address taken",
        EngineError::SubnetTaken(_) => "subnet taken",
        EngineError::PortTaken(_) => "port taken",
        EngineError::Refused { .. } => "refused",
        other => panic!("{other:?}"),
    }
}

#[test]
fn refusals() {
    on_both(async |fixture: &Fixture| {
        let client = &fixture.client;
        let address = fixture.address();
        let sandbox = fixture.start_sandbox(&fixture.sandbox("first", address)).await.unwrap();
        let absent = ContainerId("f".repeat(64));

        assert_eq!(kind(client.create_sandbox(&fixture.sandbox("first", fixture.address())).await), "conflict");
        assert_eq!(kind(fixture.start_sandbox(&fixture.sandbox("second", address)).await), "address taken");
        let mut spec = fixture.sandbox("elsewhere", fixture.address());
        spec.network = headless_dns::engine::sandbox::SandboxNetwork::Addresses {
            network: "absent".to_owned(),
            addresses: vec![fixture.address()],
        };
        assert_eq!(kind(fixture.start_sandbox(&spec).await), "not found");

        let mut network = fixture.network.clone();
        network.subnets = vec!["10.99.0.0/16".parse().unwrap()];
        network.gateways = vec!["10.99.0.1".parse().unwrap()];
        assert_eq!(kind(client.ensure_network(&network).await), "conflict");
        let mut network = fixture.network.clone();
        network.name.push('x');
        network.bridge.push('x');
        assert_eq!(kind(client.ensure_network(&network).await), "subnet taken");
        assert_eq!(kind(client.remove_network(&fixture.network.name).await), "conflict");
        assert_eq!(kind(client.remove_network("absent").await), "done");

        assert_eq!(kind(client.start(&absent).await), "not found");
        assert_eq!(kind(client.kill(&absent, "SIGTERM").await), "not found");
        assert_eq!(kind(client.remove(&absent).await), "done");
        assert_eq!(client.inspect(&absent).await, Ok(None));
        assert_eq!(kind(client.log_tail(&absent, 1, 1).await), "not found");
        assert_eq!(kind(client.kill(&sandbox, "SIGNONSENSE").await), "refused");
        // Nothing is reached from here but the engine says so, in its stream or with its status.
        assert_eq!(kind(client.pull("localhost:1/absent:1", None).await), "refused");
        assert_eq!(kind(client.pull("NOT A NAME", None).await), "refused");

        let mut spec = fixture.container("app", &sandbox);
        spec.image = "localhost/absent:1".to_owned();
        assert_eq!(kind(client.create_container(&spec).await), "not found");
        let mut spec = fixture.container("app", &sandbox);
        spec.command = Some(vec!["/no/such/program".to_owned()]);
        let id = client.create_container(&spec).await.unwrap();
        let refused = client.start(&id).await.unwrap_err().to_string();
        assert!(refused.contains("/no/such/program") && refused.contains("no such file"), "{refused}");
        assert_ne!(fixture.inspect(&id).await.summary.state, ContainerState::Running);
        assert_eq!(kind(client.create_container(&spec).await), "conflict");
        let mut spec = fixture.container("orphan", &absent);
        spec.name.push('o');
        assert_ne!(kind(fixture.start_container(&spec).await), "done");

        let port = PortBinding { host_address: None, host_port: 18080, port: 80, protocol: Protocol::Tcp };
        for (name, expected) in [("port-0", "done"), ("port-1", "port taken")] {
            let mut spec = fixture.sandbox(name, fixture.address());
            spec.ports = vec![port.clone()];
            assert_eq!(kind(fixture.start_sandbox(&spec).await), expected, "{name}");
        }
    });
}

/// A program for another machine.
#[test]
fn an_image_of_another_architecture() {
    on_both(async |fixture: &Fixture| {
        let (architecture, code) = if cfg!(target_arch = "x86_64") { ("arm64", 183) } else { ("amd64", 62) };
        let program = headless_dns::engine::sandbox_image::pause_program(architecture).unwrap();
        assert_eq!(program[18], code);
        let reference = "localhost/foreign:1";
        images::load(
            fixture.engine,
            &images::Image {
                reference,
                architecture,
                files: &[("pause", 0o755, &program)],
                config: serde_json::json!({"Entrypoint": ["/pause"]}),
                ..images::Image::default()
            },
        );
        assert_eq!(fixture.client.image(reference).await.unwrap().unwrap().architecture, architecture);
        let sandbox = fixture.start_sandbox(&fixture.sandbox("foreign", fixture.address())).await.unwrap();
        let mut spec = fixture.container("foreign", &sandbox);
        spec.image = reference.to_owned();
        match fixture.start_container(&spec).await {
            Err(error) => assert!(error.to_string().contains("exec format error"), "{error}"),
            // The kernel refused it after the engine had started it.
            Ok(id) => assert_ne!(fixture.ended(&id).await.exit_code, Some(0)),
        }
    });
}
