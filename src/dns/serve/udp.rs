//! The UDP loop of one thread: receive a batch, answer it from one snapshot, send it.

use super::{
    ServeContext, ServeCounters,
    batch::{self, Batch},
    coalesce::{COALESCE_PAUSE, Coalescer},
    reply::{Client, Message},
    statistics::QueryCounters,
};
use crate::dns::answer::{QueryContext, Transport, Verdict, look_ahead};
use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

/// How long what has been received is still answered after the stop, however much more comes.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(100);
/// Pause after an error that would otherwise come back at once (out of memory, the interface is down).
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// Serves until the stop; an error means that the socket is lost.
pub(super) fn run(socket: &Arc<UdpSocket>, local: SocketAddr, shared: &Arc<ServeContext>) -> io::Result<()> {
    let mut batch = Batch::new(socket, usize::from(shared.limits.udp_payload));
    let mut random = fastrand::Rng::new();
    let query_counters = &*shared.statistics.alone(Transport::Udp);
    let mut pace = Coalescer::new(Instant::now());
    while !shared.stop.load(Ordering::Acquire) {
        if let Some((count, since)) = turn(socket, local, (shared, query_counters), &mut batch, &mut random, true)?
            && pace.came(count, since)
        {
            std::thread::park_timeout(COALESCE_PAUSE);
        }
    }
    let end = Instant::now() + DRAIN_TIMEOUT;
    while Instant::now() < end
        && turn(socket, local, (shared, query_counters), &mut batch, &mut random, false)?.is_some()
    {}
    Ok(())
}

/// One batch; says how many datagrams came when, if there was one.
fn turn(
    socket: &Arc<UdpSocket>,
    local: SocketAddr,
    (shared, query_counters): (&Arc<ServeContext>, &QueryCounters),
    batch: &mut Batch,
    random: &mut fastrand::Rng,
    wait: bool,
) -> io::Result<Option<(usize, Instant)>> {
    let count = match batch.receive(socket, wait) {
        Ok(count) => count,
        Err(error) => return after_error(error).map(|()| None),
    };
    // Loaded after the batch has been received: what was published before a query was sent is in its answer.
    let snapshot = shared.reader.load();
    // One look at the clock here and one after the sending, for all of the batch.
    let since = Instant::now();
    if count > 1 {
        look_ahead((0..count).map(|index| batch.packet(index)), &snapshot);
    }
    for index in 0..count {
        let destination = batch.destination(index);
        let Some(source) = batch.source(index).filter(|source| may_reply(*source, local, destination)) else {
            continue;
        };
        let (octets, reply) = batch.exchange(index);
        // A proxy speaks for another one; the reply goes back the way that the datagram came.
        let Some((source, start)) = shared.sender(source, octets) else { continue };
        let octets = &octets[start..];
        let client = Client { transport: Transport::Udp, source, agreed: false };
        let request = shared.request(client, random.u32(..));
        match shared.answer(query_counters, Message { octets, client, since }, &snapshot, request, reply) {
            // The last one only if the request asked for it; then what is written refuses.
            Some(Verdict::Reply(length)) => batch.set_reply(index, length),
            Some(Verdict::Forward(length)) => forward(socket, shared, (batch, index), (client, start), request, length),
            Some(verdict @ (Verdict::Transfer(_) | Verdict::Signed)) => {
                if let Some(length) = shared.datagram(client, &snapshot, verdict, octets, reply) {
                    query_counters.count_late(&reply[..length]);
                    batch.set_reply(index, length);
                }
            }
            Some(Verdict::Drop) | None => {}
        }
    }
    drop(snapshot);
    let (lost, reason) = batch.send(socket)?;
    query_counters.took(count, since.elapsed());
    for _ in 0..lost {
        unsent(shared, reason.as_ref().unwrap_or(&io::ErrorKind::Other.into()));
    }
    Ok(Some((count, since)))
}

/// Hands a query to those who ask other servers; `known` octets of its reply are what to say if they cannot. They send
/// the reply from the address that was asked, and this thread goes on.
fn forward(
    socket: &Arc<UdpSocket>,
    shared: &Arc<ServeContext>,
    (batch, index): (&mut Batch, usize),
    (client, start): (Client, usize),
    request: QueryContext<'_>,
    known: usize,
) {
    let Some(forwarder) = &shared.forwarder else { return batch.set_reply(index, known) };
    let way_back = batch.way_back(index);
    let (packet, reply) = batch.exchange(index);
    let asked = shared.to_forward(client, &packet[start..], reply.get(..known).unwrap_or_default(), request);
    let (socket, counting) = (Arc::clone(socket), Arc::clone(shared));
    let send = move |reply: Vec<u8>| {
        counting.statistics.shared(Transport::Udp).count_late(&reply);
        if let Err(error) = batch::send_one(&socket, &way_back, &reply) {
            unsent(&counting, &error);
        }
    };
    if let Err(refusal) = forwarder.answer_later(asked, send) {
        let length = refusal.len().min(reply.len());
        reply[..length].copy_from_slice(&refusal[..length]);
        batch.set_reply(index, length);
    }
}

fn unsent(shared: &ServeContext, reason: &io::Error) {
    if let Some(count) = ServeCounters::count(&shared.counters.unsent) {
        tracing::warn!(count, %reason, "a UDP reply could not be sent; the client has to ask again");
    }
}

/// No client can be reached at port 0, and answering ourselves could go on for ever.
fn may_reply(source: SocketAddr, local: SocketAddr, destination: Option<IpAddr>) -> bool {
    let own = destination.unwrap_or(local.ip());
    source.port() != 0 && !(source.port() == local.port() && source.ip() == own)
}

/// Goes on after what passes by itself; returns what does not.
fn after_error(error: io::Error) -> io::Result<()> {
    use io::ErrorKind as Kind;
    match error.kind() {
        // The read timeout, a signal, or an ICMP error about an earlier reply, which concerns nobody here.
        Kind::WouldBlock
        | Kind::TimedOut
        | Kind::Interrupted
        | Kind::ConnectionRefused
        | Kind::ConnectionReset
        | Kind::HostUnreachable
        | Kind::NetworkUnreachable => Ok(()),
        Kind::OutOfMemory | Kind::NetworkDown => {
            std::thread::park_timeout(ERROR_PAUSE);
            Ok(())
        }
        _ if is_lasting(&error) => Err(error),
        _ => {
            tracing::warn!(%error, "receiving over UDP");
            std::thread::park_timeout(ERROR_PAUSE);
            Ok(())
        }
    }
}

/// Whether the descriptor itself is wrong, which no waiting mends.
#[cfg(unix)]
pub(super) fn is_lasting(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBADF | libc::ENOTSOCK | libc::EFAULT | libc::EINVAL))
}

/// Whether the descriptor itself is wrong, which no waiting mends.
#[cfg(not(unix))]
pub(super) fn is_lasting(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidInput
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{self, limits},
        *,
    };
    use crate::dns::serve::ServeLimits;
    use std::collections::HashSet;

    #[test]
    fn who_is_replied_to() {
        // source, bound address, destination of the packet
        let rows = [
            ("192.0.2.1:4000", "192.0.2.9:53", None, true),
            ("192.0.2.1:0", "192.0.2.9:53", None, false),
            ("192.0.2.9:53", "192.0.2.9:53", None, false),
            ("192.0.2.1:53", "192.0.2.9:53", None, true),
            ("192.0.2.1:53", "0.0.0.0:53", Some("192.0.2.9"), true),
            ("192.0.2.9:53", "0.0.0.0:53", Some("192.0.2.9"), false),
            ("[2001:db8::9]:53", "[::]:53", Some("2001:db8::9"), false),
        ];
        for (source, local, destination, expected) in rows {
            let destination = destination.map(|text| text.parse().unwrap());
            let got = may_reply(source.parse().unwrap(), local.parse().unwrap(), destination);
            assert_eq!(got, expected, "{source} to {local} ({destination:?})");
        }
    }

    #[test]
    fn errors_that_pass_and_errors_that_last() {
        for code in [libc::EINTR, libc::EAGAIN, libc::ECONNREFUSED, libc::EHOSTUNREACH, libc::ENETDOWN, libc::ENOMEM] {
            assert!(after_error(io::Error::from_raw_os_error(code)).is_ok(), "{code}");
        }
        for code in [libc::EBADF, libc::ENOTSOCK, libc::EFAULT] {
            assert!(after_error(io::Error::from_raw_os_error(code)).is_err(), "{code}");
        }
    }

    /// Every query of a burst is answered, each with its own content.
    #[test]
    fn a_burst_is_answered_in_full() {
        let (serving, address) = testing::serve("127.0.0.1:0", limits());
        let client = testing::udp_client(address);
        for round in 0..20_u8 {
            for number in 0..100_u8 {
                client.send(&[testing::ECHO, round, number]).unwrap();
            }
            let mut seen = HashSet::new();
            let mut buffer = [0; 512];
            for _ in 0..100 {
                let length = client.recv(&mut buffer).unwrap();
                assert_eq!((length, buffer[1]), (3, round));
                seen.insert(buffer[2]);
            }
            assert_eq!(seen.len(), 100);
        }
        assert!(!serving.failed());
        serving.stop();
    }

    /// Replies of all lengths to several clients leave together where they can, and none is joined, cut or misled.
    #[test]
    fn replies_that_leave_together_arrive_apart() {
        for (listen, ask) in [("127.0.0.1:0", "127.0.0.1"), ("0.0.0.0:0", "127.0.0.9"), ("[::]:0", "::1")] {
            if ask == "::1" && UdpSocket::bind("[::1]:0").is_err() {
                continue; // a machine without IPv6
            }
            let limits = ServeLimits { udp_payload: 4096, ..limits() };
            let (serving, address) = testing::serve(listen, limits);
            let address = SocketAddr::new(ask.parse().unwrap(), address.port());
            let clients: Vec<UdpSocket> = (0..5).map(|_| testing::udp_client(address)).collect();
            for round in 0..10_usize {
                let packet = |client: usize, number: usize| {
                    let length = [3, 90, 90, 91, 1232, 1233, 2000][(client + number * round) % 7];
                    let mut packet = vec![number as u8; length];
                    (packet[0], packet[1]) = (testing::ECHO, client as u8);
                    packet
                };
                for number in 0..40 {
                    for (index, client) in clients.iter().enumerate() {
                        client.send(&packet(index, number)).unwrap();
                    }
                }
                for (index, client) in clients.iter().enumerate() {
                    let mut expected: Vec<_> = (0..40).map(|number| packet(index, number)).collect();
                    let mut buffer = [0; 4096];
                    let mut got: Vec<Vec<u8>> = Vec::new();
                    for _ in 0..40 {
                        let length = client.recv(&mut buffer).unwrap();
                        got.push(buffer[..length].to_vec());
                    }
                    expected.sort_unstable();
                    got.sort_unstable();
                    assert_eq!(got, expected, "{listen}");
                }
            }
            assert_eq!(serving.counters().unsent.load(Ordering::Relaxed), 0);
        }
    }

    #[test]
    fn a_panic_loses_one_answer() {
        let (serving, address) = testing::serve("127.0.0.1:0", limits());
        let client = testing::udp_client(address);
        client.send(&[testing::ECHO, 1]).unwrap();
        client.send(&[testing::PANIC]).unwrap();
        client.send(&[testing::SILENCE]).unwrap();
        client.send(&[testing::ECHO, 2]).unwrap();
        let mut buffer = [0; 512];
        for expected in [1, 2] {
            assert_eq!((client.recv(&mut buffer).unwrap(), buffer[1]), (2, expected));
        }
        assert_eq!(serving.counters().panics.load(Ordering::Relaxed), 1);
        assert!(!serving.failed());
    }

    /// What waits in the socket when the stop comes is answered.
    #[test]
    fn stop_answers_what_has_been_received() {
        let (serving, address) = testing::serve("127.0.0.1:0", limits());
        let client = testing::udp_client(address);
        for number in 0..200_u8 {
            client.send(&[testing::ECHO, number]).unwrap();
        }
        serving.stop();
        let mut buffer = [0; 512];
        for _ in 0..200 {
            client.recv(&mut buffer).unwrap();
        }
    }

    /// A wildcard socket replies from the address that was asked: a connected client takes no other.
    #[test]
    fn replies_leave_from_the_address_that_was_asked() {
        for (listen, ask) in [("0.0.0.0:0", "127.0.0.7"), ("[::]:0", "::1")] {
            if ask == "::1" && UdpSocket::bind("[::1]:0").is_err() {
                continue; // a machine without IPv6
            }
            let (_serving, address) = testing::serve(listen, limits());
            let client = testing::udp_client(SocketAddr::new(ask.parse().unwrap(), address.port()));
            client.send(&[testing::ECHO, 9]).unwrap();
            let mut buffer = [0; 512];
            assert_eq!(client.recv(&mut buffer).unwrap(), 2, "{listen}");
        }
    }
}
