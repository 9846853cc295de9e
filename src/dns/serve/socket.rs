//! Making sockets: options first, then bind, so that a second server on the same address is noticed.

use super::{ListenError, batch};
use crate::dns::answer::Transport;
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
    time::Duration,
};

/// How many datagrams' worth of octets the system may hold for us; the system caps it (`net.core.rmem_max`).
const UDP_BUFFER_OCTETS: usize = 4 << 20;
/// Connections that wait to be accepted.
const TCP_BACKLOG: i32 = 1024;
/// How long a UDP thread waits for a packet before it looks whether it should stop.
const RECEIVE_WAIT: Duration = Duration::from_millis(100);
/// How long a UDP reply may wait for room in the send buffer before it is given up.
const SEND_WAIT: Duration = Duration::from_millis(100);
/// How many ports are tried until one is free for both UDP and TCP.
const PORT_ATTEMPTS: usize = 64;

/// The sockets of one address.
#[derive(Debug)]
pub(super) struct Bound {
    /// Where they are bound; the port is never 0.
    pub(super) address: SocketAddr,
    /// One for each UDP thread; the system spreads the clients over them.
    pub(super) udp: Vec<UdpSocket>,
    /// The listener, non-blocking.
    pub(super) tcp: TcpListener,
}

/// The socket of one address of an encrypted transport.
#[derive(Debug)]
pub(super) struct BoundEncrypted {
    pub(super) transport: Transport,
    /// Where it is bound; the port is never 0.
    pub(super) address: SocketAddr,
    pub(super) socket: EncryptedSocket,
}

/// What an encrypted transport is carried by.
#[derive(Debug)]
pub(super) enum EncryptedSocket {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

impl BoundEncrypted {
    pub(super) fn new(transport: Transport, address: SocketAddr) -> Result<BoundEncrypted, ListenError> {
        let refused = |source| ListenError { address, transport: transport.name(), source };
        let (socket, port) = if transport.is_over_udp() {
            let (udp, port) = quic_socket(address).map_err(refused)?;
            (EncryptedSocket::Udp(udp), port)
        } else {
            let (tcp, port) = listener(address, Presence::Now).map_err(refused)?;
            (EncryptedSocket::Tcp(tcp), port)
        };
        Ok(BoundEncrypted { transport, address: SocketAddr::new(address.ip(), port), socket })
    }
}

impl Bound {
    /// Binds one address, which need not be one of this machine yet.
    pub(super) fn ahead(address: SocketAddr, udp_threads: usize) -> Result<Bound, ListenError> {
        Bound::attempt(address, udp_threads, Presence::Whenever)
    }

    /// Binds one address; port 0 takes a port that is free for both transports.
    pub(super) fn new(address: SocketAddr, udp_threads: usize) -> Result<Bound, ListenError> {
        let attempts = if address.port() == 0 { PORT_ATTEMPTS } else { 1 };
        let mut outcome = Bound::attempt(address, udp_threads, Presence::Now);
        for _ in 1..attempts {
            match &outcome {
                // TCP had the port, but somebody else has it for UDP: take another.
                Err(error) if error.source.kind() == io::ErrorKind::AddrInUse => {
                    outcome = Bound::attempt(address, udp_threads, Presence::Now);
                }
                _ => break,
            }
        }
        outcome
    }

    fn attempt(address: SocketAddr, udp_threads: usize, presence: Presence) -> Result<Bound, ListenError> {
        let refused = |transport| move |source| ListenError { address, transport, source };
        let (tcp, port) = listener(address, presence).map_err(refused("tcp"))?;
        let address = SocketAddr::new(address.ip(), port);
        let udp = datagram_sockets(address, udp_threads.max(1), presence).map_err(refused("udp"))?;
        Ok(Bound { address, udp, tcp })
    }
}

/// Whether an address must be one of this machine when it is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    /// It must.
    Now,
    /// It may come later, and go, and come again (Linux only; elsewhere it must be there).
    Whenever,
}

impl Presence {
    /// To be called before the socket is bound.
    fn prepare(self, socket: &Socket, address: SocketAddr) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if self == Presence::Whenever {
            match address.is_ipv4() {
                true => socket.set_freebind_v4(true)?,
                false => socket.set_freebind_v6(true)?,
            }
        }
        let _ = (socket, address);
        Ok(())
    }
}

fn new_socket(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        // So that `[::]` and `0.0.0.0` can both be listed, and no address is seen in its IPv4-mapped form.
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn listener(address: SocketAddr, presence: Presence) -> io::Result<(TcpListener, u16)> {
    let socket = new_socket(address, Type::STREAM, Protocol::TCP)?;
    // A restart must not wait for connections that linger in TIME_WAIT; on Windows the option means something else.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    presence.prepare(&socket, address)?;
    socket.bind(&address.into())?;
    // Accepted connections have it from their listener (on Linux; see `tcp`): a call less for each of them.
    let _ = socket.set_tcp_nodelay(true);
    socket.listen(TCP_BACKLOG)?;
    socket.set_nonblocking(true)?;
    let listener = TcpListener::from(socket);
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}

/// QUIC sets the options that it needs by itself.
fn quic_socket(address: SocketAddr) -> io::Result<(UdpSocket, u16)> {
    let socket = new_socket(address, Type::DGRAM, Protocol::UDP)?;
    // Wishes, as below.
    let _ = socket.set_recv_buffer_size(UDP_BUFFER_OCTETS);
    let _ = socket.set_send_buffer_size(UDP_BUFFER_OCTETS);
    socket.bind(&address.into())?;
    let socket = UdpSocket::from(socket);
    let port = socket.local_addr()?.port();
    Ok((socket, port))
}

/// `count` sockets of one address. On Linux the system spreads clients over sockets that share an address with
/// SO_REUSEPORT; elsewhere the threads share one socket.
fn datagram_sockets(address: SocketAddr, count: usize, presence: Presence) -> io::Result<Vec<UdpSocket>> {
    let first = datagram_socket(address, false, presence)?;
    let mut sockets = Vec::with_capacity(count);
    if cfg!(target_os = "linux") {
        // The option comes after the bind of the first socket: with it before, another server that has set it too
        // would share the address without either noticing.
        first.set_reuse_port(true)?;
        for _ in 1..count {
            sockets.push(datagram_socket(address, true, presence)?.into());
        }
    } else {
        for _ in 1..count {
            sockets.push(first.try_clone()?.into());
        }
    }
    sockets.push(first.into());
    Ok(sockets)
}

fn datagram_socket(address: SocketAddr, reuse_port: bool, presence: Presence) -> io::Result<Socket> {
    let socket = new_socket(address, Type::DGRAM, Protocol::UDP)?;
    if reuse_port {
        #[cfg(unix)]
        socket.set_reuse_port(true)?;
    }
    // Both are wishes: a smaller buffer serves as well, only with less patience for bursts.
    let _ = socket.set_recv_buffer_size(UDP_BUFFER_OCTETS);
    let _ = socket.set_send_buffer_size(UDP_BUFFER_OCTETS);
    socket.set_read_timeout(Some(RECEIVE_WAIT))?;
    socket.set_write_timeout(Some(SEND_WAIT))?;
    batch::prepare(&socket, address)?;
    presence.prepare(&socket, address)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[test]
    fn one_port_for_both_transports_and_all_threads() {
        let bound = Bound::new(any(), 3).unwrap();
        assert_ne!(bound.address.port(), 0);
        assert_eq!(bound.tcp.local_addr().unwrap(), bound.address);
        assert_eq!(bound.udp.len(), 3);
        for udp in &bound.udp {
            assert_eq!(udp.local_addr().unwrap(), bound.address);
        }
    }

    #[test]
    fn a_second_server_is_noticed() {
        let bound = Bound::new(any(), 2).unwrap();
        let error = Bound::new(bound.address, 2).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&bound.address.to_string()), "{error}");
    }

    /// What `outcome` gives for a port of the system's choice that no other process has for the other transport or
    /// family just then: the connections of the tests that run beside this one take ports too.
    fn with_a_free_port<T>(outcome: impl Fn() -> Option<T>) -> T {
        (0..PORT_ATTEMPTS).find_map(|_| outcome()).unwrap()
    }

    #[test]
    fn a_server_that_shares_its_udp_port_is_noticed() {
        let kind = with_a_free_port(|| {
            let other = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
            other.set_reuse_port(true).unwrap();
            other.bind(&any().into()).unwrap();
            let error = Bound::new(other.local_addr().unwrap().as_socket().unwrap(), 2).unwrap_err();
            (error.transport == "udp").then(|| error.source.kind())
        });
        assert_eq!(kind, io::ErrorKind::AddrInUse);
    }

    #[test]
    fn both_wildcards_can_be_listed() {
        with_a_free_port(|| {
            let v4 = Bound::new("0.0.0.0:0".parse().unwrap(), 1).unwrap();
            match Bound::new(SocketAddr::new("::".parse().unwrap(), v4.address.port()), 1) {
                Ok(v6) => {
                    assert_eq!(v6.address.port(), v4.address.port());
                    Some(())
                }
                Err(error) if error.source.kind() == io::ErrorKind::AddrInUse => None,
                // A machine without IPv6.
                Err(_) => Some(()),
            }
        });
    }

    #[test]
    fn an_address_of_nobody_is_refused() {
        let error = Bound::new("192.0.2.1:0".parse().unwrap(), 1).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AddrNotAvailable);
    }
}
