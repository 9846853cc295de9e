//! The whole server in this process: what follows from files, from a restart and from its end.
#![allow(clippy::unwrap_used)]

mod support;

use headless_dns::{
    app::{Server, StartError},
    settings::Settings,
};
use hickory_proto::op::ResponseCode;
use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr, TcpStream, UdpSocket},
    path::PathBuf,
    time::Duration,
};
use support::{
    dns::{self, A, PTR, Tcp, Udp},
    eventually, web, write,
};
use tempfile::TempDir;

const SERVICE: &str = "nginx.default.svc.cluster.local";

/// Settings with directories of their own, and pods that are ready after a moment.
struct Home {
    directory: TempDir,
    settings: Settings,
}

impl Home {
    fn new() -> Home {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("manifests")).unwrap();
        let mut settings = Settings::defaults();
        settings.listen = vec!["127.0.0.1:0".parse().unwrap()];
        settings.manifests = vec![directory.path().join("manifests")];
        settings.zones = directory.path().join("zones");
        settings.state_directory = None;
        settings.simulation.start_after = Duration::from_millis(5);
        settings.simulation.ready_after = Duration::from_millis(5);
        settings.simulation.stop_after = Duration::from_millis(5);
        settings.watch.settle = Duration::from_millis(10);
        Home { directory, settings }
    }

    fn manifest(&self, name: &str) -> PathBuf {
        self.directory.path().join("manifests").join(name)
    }

    fn start(&self) -> Server {
        Server::start(self.settings.clone()).unwrap()
    }
}

fn pod(ordinal: usize) -> String {
    format!("web-{ordinal}.{SERVICE}")
}

fn addresses(server: SocketAddr, name: &str) -> Result<BTreeSet<IpAddr>, ResponseCode> {
    let reply = Udp::new(server).ask(&[(name, A)]).remove(0);
    match dns::code(&reply) {
        ResponseCode::NoError => Ok(reply.answers.iter().filter_map(dns::address).collect()),
        code => Err(code),
    }
}

/// Waits until the service has so many addresses; returns those of its pods.
fn eventually_ready(server: SocketAddr, replicas: usize) -> Vec<IpAddr> {
    eventually(&format!("{replicas} pods"), || match addresses(server, SERVICE) {
        Ok(all) if all.len() == replicas => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let own = |ordinal| addresses(server, &pod(ordinal)).unwrap().into_iter().next().unwrap();
    (0..replicas).map(own).collect()
}

#[test]
fn files_become_answers_and_go() {
    let home = Home::new();
    write(&home.manifest("web.yaml"), &web(2, "", ""));
    let server = home.start();
    let address = server.addresses()[0];
    let pods = eventually_ready(address, 2);
    let reply = Tcp::new(address).ask(&[(&dns::reverse(pods[1]), PTR)]).remove(0);
    assert_eq!(reply.answers.iter().filter_map(dns::target).collect::<Vec<_>>(), [pod(1)]);

    write(&home.manifest("web.yaml"), &web(3, "", ""));
    assert_eq!(eventually_ready(address, 3)[..2], pods);
    // Moving an unchanged object to another file changes nothing.
    std::fs::rename(home.manifest("web.yaml"), home.manifest("other.yaml")).unwrap();
    server.control().rescan().unwrap();
    assert_eq!(eventually_ready(address, 3)[..2], pods);

    std::fs::remove_file(home.manifest("other.yaml")).unwrap();
    eventually("NXDOMAIN", || match addresses(address, &pod(0)) {
        Err(ResponseCode::NXDomain) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert!(!server.failed());
}

#[test]
fn what_the_controller_refuses_is_told_until_it_is_mended() {
    let home = Home::new();
    let file = home.manifest("web.yaml");
    write(&file, &web(1, "", ""));
    let server = home.start();
    let control = server.control();
    let pods = eventually_ready(server.addresses()[0], 1);
    assert_eq!(control.diagnostics().unwrap(), []);

    // The policy of pod management cannot be changed.
    write(&file, &web(1, "", "  podManagementPolicy: Parallel\n"));
    control.rescan().unwrap();
    let diagnostics = control.diagnostics().unwrap();
    assert!(diagnostics.iter().any(|one| one.file.ends_with("web.yaml")), "{diagnostics:?}");
    assert_eq!(eventually_ready(server.addresses()[0], 1), pods);

    write(&file, &web(1, "", ""));
    control.rescan().unwrap();
    assert_eq!(control.diagnostics().unwrap(), []);
}

#[test]
fn a_restart_finds_the_pods_as_they_were() {
    let mut home = Home::new();
    home.settings.state_directory = Some(home.directory.path().join("state"));
    write(&home.manifest("web.yaml"), &web(3, "", ""));
    let first = home.start();
    let before = eventually_ready(first.addresses()[0], 3);
    let serials = first.reader().load().serials();
    first.stop();

    let second = home.start();
    assert_eq!(eventually_ready(second.addresses()[0], 3), before);
    for (origin, serial) in second.reader().load().serials() {
        let earlier = serials.iter().find(|(name, _)| *name == origin).unwrap().1;
        assert!(serial.wrapping_sub(earlier) as i32 > 0, "{origin}: {earlier}, then {serial}");
    }
    second.stop();

    // What went while it was down is gone.
    std::fs::remove_file(home.manifest("web.yaml")).unwrap();
    let third = home.start();
    eventually("NXDOMAIN", || match addresses(third.addresses()[0], &pod(0)) {
        Err(ResponseCode::NXDomain) => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

#[test]
fn stop_frees_the_sockets() {
    let mut home = Home::new();
    let server = home.start();
    let address = server.addresses()[0];
    assert!(TcpStream::connect(address).is_ok());
    home.settings.listen = vec![address];
    let error = Server::start(home.settings.clone()).unwrap_err();
    assert!(matches!(error, StartError::Listen(_)) && !error.is_permission(), "{error}");
    let control = server.control();
    server.stop();
    assert!(TcpStream::connect(address).is_err());
    assert!(UdpSocket::bind(address).is_ok());
    assert!(control.rescan().is_err());
    home.start().stop();
}
