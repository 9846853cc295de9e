//! Whether pods reach our DNS: one query from the network namespace of the first sandbox.

use crate::{
    engine::sandbox::NetworkSpec,
    program::app::messages::{ControlRequest, EngineState},
};
use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tokio::sync::mpsc;

/// How often is asked, and for how long each time is waited.
const ATTEMPTS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(1);
/// A query for the name servers of the root: any reply to it is good enough.
const QUERY: [u8; 17] = [0x48, 0x44, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];

/// Asks once, from the first sandbox.
#[derive(Debug)]
pub(super) struct DnsCheck {
    /// The network of sandboxes.
    pub network: NetworkSpec,
    /// Where DNS is served for pods.
    server: Option<IpAddr>,
    is_done: AtomicBool,
}

impl DnsCheck {
    pub(super) fn new(network: NetworkSpec, server: Option<IpAddr>) -> DnsCheck {
        DnsCheck { network, server, is_done: AtomicBool::new(false) }
    }

    /// Asks from this address in the network namespace of this process, in a thread of its own; says so if no reply comes.
    pub(super) fn ask_from(&self, pid: u32, address: IpAddr, observations: &mpsc::UnboundedSender<ControlRequest>) {
        let Some(server) = self.server.filter(|_| !self.is_done.swap(true, Ordering::AcqRel)) else { return };
        let observations = observations.clone();
        let work = move || match ask(pid, address, SocketAddr::new(server, 53)) {
            Ok(()) => tracing::debug!(%server, "DNS answers inside the pods' network"),
            Err(NoReply::Untried(error)) => {
                tracing::debug!(%error, "whether pods reach DNS could not be tried");
            }
            Err(NoReply::After(error)) => {
                let message = format!(
                    "pods get no answer from DNS at {server}:53 ({error}); permit UDP and TCP port 53 from the pods' network \
                     to this machine in its firewall (ufw, firewalld, nftables)"
                );
                tracing::error!("{message}");
                let _ = observations.send(ControlRequest::Engine(EngineState::DnsUnreachable(message)));
            }
        };
        // A thread that cannot be started leaves it untried.
        let _ = std::thread::Builder::new().name("dns-check".to_owned()).spawn(work);
    }
}

/// Why there is no reply.
enum NoReply {
    /// Nothing was asked: a right is missing, or the engine is not on this machine and its processes are not ours.
    Untried(io::Error),
    /// It was asked.
    After(io::Error),
}

/// Moves this thread into the network namespace of a process, and asks.
fn ask(pid: u32, address: IpAddr, server: SocketAddr) -> Result<(), NoReply> {
    enter(pid).map_err(NoReply::Untried)?;
    // In any other namespace than the pod's the address is not to be had.
    let socket = UdpSocket::bind(SocketAddr::new(address, 0)).map_err(NoReply::Untried)?;
    exchange(&socket, server).map_err(NoReply::After)
}

fn exchange(socket: &UdpSocket, server: SocketAddr) -> io::Result<()> {
    socket.connect(server)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut outcome = Err(io::ErrorKind::TimedOut.into());
    for _ in 0..ATTEMPTS {
        let mut reply = [0; 512];
        outcome = socket.send(&QUERY).and_then(|_| socket.recv(&mut reply)).map(|_| ());
        match &outcome {
            Ok(()) => return Ok(()),
            // The next one may find the server there. A refusal comes at once, so this waits for the reply that does not.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => drop(socket.recv(&mut reply)),
            Err(_) => {}
        }
    }
    outcome
}

#[cfg(target_os = "linux")]
fn enter(pid: u32) -> io::Result<()> {
    use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
    use std::os::fd::AsFd as _;
    let namespace = std::fs::OpenOptions::new().read(true).open(format!("/proc/{pid}/ns/net"))?;
    Ok(move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?)
}

#[cfg(not(target_os = "linux"))]
fn enter(_pid: u32) -> io::Result<()> {
    Err(io::ErrorKind::PermissionDenied.into())
}
