//! A server for the tests of this room: real sockets, and instead of answers an echo with a few whims.
#![allow(clippy::unwrap_used)]

use super::{Serving, Sockets};
use crate::{
    answer::{Request, Seen, Verdict},
    settings::Limits,
    zone::{self, Snapshot},
};
use std::{
    net::{SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

/// A message that begins so comes back as it is.
pub(super) const ECHO: u8 = 1;
/// A message that begins so makes the answer panic.
pub(super) const PANIC: u8 = 2;
/// A message that begins so gets no reply.
pub(super) const SILENCE: u8 = 3;

const PATIENCE: Duration = Duration::from_secs(10);

fn whim<'s>(packet: &[u8], _: &'s Snapshot, _: Request, out: &mut [u8], _: &mut Seen<'s>) -> Verdict {
    match packet[0] {
        PANIC => panic!("a query that panics, for the test"),
        SILENCE => Verdict::Drop,
        _ => {
            out[..packet.len()].copy_from_slice(packet);
            Verdict::Reply(packet.len())
        }
    }
}

/// Limits with which a test need not wait.
pub(super) fn fast_limits() -> Limits {
    Limits {
        udp_threads: 2,
        udp_payload: 1232,
        tcp_connections: 64,
        tcp_connections_per_source: 64,
        tcp_idle: Duration::from_millis(400),
        tcp_slow: Duration::from_millis(400),
        tls_handshake: Duration::from_millis(400),
        queries_per_connection: 0,
        https_streams: 20,
        quic_connections: 64,
        quic_connections_per_source: 64,
        quic_streams: 20,
        lame_duck: Duration::ZERO,
    }
}

/// Serves whims; returns the address as well.
pub(super) fn serve(listen: &str, limits: Limits) -> (Serving, SocketAddr) {
    let sockets = Sockets::bind(&[listen.parse().unwrap()], &limits).unwrap();
    let address = sockets.addresses()[0];
    let (_, reader) = zone::channel(Snapshot::new(Vec::new()));
    (sockets.serve_with(reader, limits, whim).unwrap(), address)
}

/// A client that waits for seconds, but not for ever.
pub(super) fn udp_client(server: SocketAddr) -> UdpSocket {
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let client = UdpSocket::bind(any).unwrap();
    client.connect(server).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

/// A client that waits for seconds, but not for ever.
pub(super) fn tcp_client(server: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(server).unwrap();
    client.set_nodelay(true).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

/// A message with its length in front.
pub(super) fn frame(message: &[u8]) -> Vec<u8> {
    let mut octets = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
    octets.extend_from_slice(message);
    octets
}
