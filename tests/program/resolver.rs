//! A caching resolver (unbound) in front of the program: what it has learnt too early, or from before a change, it
//! forgets in time.

use crate::support::{
    dig::{Dig, dig, eventually_dig},
    eventually, free_port, have,
    program::Program,
    web, write,
};
use std::{
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// TTL of records by default, in seconds.
const TTL: u64 = 5;
const POD: &str = "web-0.nginx.default.svc.cluster.local";
const SERVICE: &str = "nginx.default.svc.cluster.local";
const SRV: &str = "_web._tcp.nginx.default.svc.cluster.local";

/// A running resolver; ended when dropped.
struct Unbound {
    child: Child,
    address: SocketAddr,
    _directory: TempDir,
}

impl Drop for Unbound {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Unbound {
    /// Resolves the cluster's names by asking the program at `server`.
    fn start(server: SocketAddr) -> Unbound {
        // Somebody else may take the port first.
        eventually("a resolver that answers", || {
            let mut unbound = Unbound::spawn(server);
            let end = Instant::now() + Duration::from_secs(5);
            while Instant::now() < end {
                if unbound.child.try_wait().unwrap().is_some() {
                    return Err("it ended".to_owned());
                }
                let reply = dig(unbound.address, &["dns-version.cluster.local", "TXT", "+tries=1", "+time=1"]);
                if reply.answer.len() == 1 {
                    return Ok(unbound);
                }
            }
            Err("it does not answer".to_owned())
        })
    }

    fn spawn(server: SocketAddr) -> Unbound {
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let stub =
            |name: &str| format!("stub-zone:\n  name: \"{name}\"\n  stub-addr: {}@{}\n", server.ip(), server.port());
        let text = format!(
            "server:
  directory: \"{0}\"
  chroot: \"\"
  username: \"\"
  pidfile: \"\"
  use-syslog: no
  do-daemonize: no
  interface: 127.0.0.1
  port: {port}
  do-ip6: no
  do-not-query-localhost: no
  module-config: \"iterator\"
  qname-minimisation: yes
  local-zone: \"local.\" nodefault
  local-zone: \"10.in-addr.arpa.\" nodefault
remote-control:
  control-enable: no
{1}{2}",
            directory.path().display(),
            stub("cluster.local."),
            stub("10.in-addr.arpa."),
        );
        let file = directory.path().join("unbound.conf");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new("unbound");
        command.arg("-d").arg("-c").arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Unbound { child: command.spawn().unwrap(), address, _directory: directory }
    }

    /// How long until the answer is as it should be.
    fn until(&self, arguments: &[&str], good: impl Fn(&Dig) -> bool) -> Duration {
        let begun = Instant::now();
        eventually_dig(self.address, arguments, good);
        begun.elapsed()
    }
}

fn not_yet(reply: &Dig) -> bool {
    reply.status == "NXDOMAIN" && reply.answer.is_empty()
}

#[test]
fn a_peer_that_is_asked_for_too_early_and_one_that_moves() {
    if !have(&["unbound", "dig"]) {
        return;
    }
    let manifest = |image: &str| {
        let annotations = "      annotations:\n        simulation.headless-dns/ready-after: 2s\n";
        web(1, annotations, "").replace("nginx:1.29", image)
    };
    let program = Program::start(&[("web.yaml", &manifest("nginx:1"))]);
    let unbound = Unbound::start(program.address);

    // Asked too early, all three; and again, so that the resolver would have kept what it was told.
    for name in [[POD, "A"], [SERVICE, "A"], [SRV, "SRV"]] {
        for _ in 0..2 {
            let reply = dig(unbound.address, &name);
            assert!(not_yet(&reply), "{reply}");
        }
    }
    eventually_dig(program.address, &[POD, "A"], |reply| reply.answer.len() == 1);
    for name in [[POD, "A"], [SERVICE, "A"], [SRV, "SRV"]] {
        let waited = unbound.until(&name, |reply| reply.answer.len() == 1);
        assert!(waited < Duration::from_secs(1), "{name:?} after {waited:?}");
    }

    // The resolver knows the address; the pod is replaced by one with another.
    let old = dig(unbound.address, &[POD, "A"]).addresses();
    write(&program.manifest("web.yaml"), &manifest("nginx:2"));
    let moved =
        eventually_dig(program.address, &[POD, "A"], |reply| reply.answer.len() == 1 && reply.addresses() != old);
    for name in [POD, SERVICE] {
        let waited = unbound.until(&[name, "A"], |reply| reply.addresses() == moved.addresses());
        assert!(waited < Duration::from_secs(TTL), "{name} after {waited:?}");
    }
    // So does the way back.
    let pointer = format!("-x {}", moved.addresses().first().unwrap());
    let pointer: Vec<&str> = pointer.split(' ').collect();
    eventually_dig(unbound.address, &pointer, |reply| reply.answer.len() == 1);
}

/// A Service that is declared while the resolver has already learnt that it does not exist.
#[test]
fn a_service_that_is_declared_later() {
    if !have(&["unbound", "dig"]) {
        return;
    }
    let program = Program::start(&[]);
    let unbound = Unbound::start(program.address);
    assert!(not_yet(&dig(unbound.address, &[SERVICE, "A"])));
    write(&program.manifest("web.yaml"), &web(1, "", ""));
    eventually_dig(program.address, &[SERVICE, "A"], |reply| reply.answer.len() == 1);
    // Nobody had declared it: the negative TTL of the zone holds, 1 s, and a resolver counts whole seconds.
    let waited = unbound.until(&[SERVICE, "A"], |reply| reply.answer.len() == 1);
    assert!(waited < Duration::from_secs(3), "{waited:?}");
}
