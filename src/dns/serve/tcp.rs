//! TCP listeners: which connections are taken, and what keeps many of them from harming others.

use super::{
    ServeContext, ServeCounters,
    counters::OpenGauge,
    https,
    reply::Client,
    stream::{DRAIN_TIMEOUT, exchange},
    tls,
    udp::is_lasting,
};
use crate::{
    dns::answer::Transport,
    net::{
        accepting::AcceptErrors,
        connections::{Admission, ConnectionSlot, Connections},
    },
};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tokio_rustls::TlsAcceptor;

/// Pause before the next attempt when no connection can be accepted (no descriptors, no memory).
const ACCEPT_RETRY_PAUSE: Duration = Duration::from_millis(20);
/// How long after the last query that is taken connections may take to end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// What is spoken on the connections of a listener.
#[derive(Clone)]
pub(super) enum Speaks {
    Plain,
    Tls(TlsAcceptor),
    Https(TlsAcceptor),
}

impl Speaks {
    fn transport(&self) -> Transport {
        match self {
            Speaks::Plain => Transport::Tcp,
            Speaks::Tls(_) => Transport::Tls,
            Speaks::Https(_) => Transport::Https,
        }
    }
}

/// Accepts connections until the stop, then waits for them to end; an error means that the listener is lost.
pub(super) async fn accept(
    listener: TcpListener,
    speaks: Speaks,
    shared: Arc<ServeContext>,
    connections: Arc<Connections>,
    mut stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    let transport = speaks.transport();
    let mut tasks = JoinSet::new();
    let mut errors = AcceptErrors::default();
    let mut end = None;
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, source)) => {
                    let client = Client { transport, source, agreed: false };
                    let admission = match shared.is_proxy(source) {
                        true => connections.admit_unclaimed(),
                        false => connections.admit(source.ip()),
                    };
                    if matches!(admission, Admission::Evicted(_)) {
                        ServeCounters::count(shared.counters.evicted.of(transport));
                    }
                    match admission {
                        Admission::Free(place) | Admission::Evicted(place) => {
                            let (speaks, shared) = (speaks.clone(), Arc::clone(&shared));
                            tasks.spawn(connection(stream, speaks, client, place, shared, stopped.clone()));
                        }
                        // Dropping the stream closes it.
                        Admission::Refused => refused(&shared, client),
                    }
                }
                Err(error) if is_lasting(&error) => return Err(error),
                Err(error) => after_error(&error, &connections, &mut errors).await,
            },
            Some(outcome) = tasks.join_next() => {
                if let Err(error) = outcome && error.is_panic() {
                    tracing::error!(%error, "a TCP connection was lost in a panic; please report it");
                }
            }
            _ = stopped.changed(), if end.is_none() => end = Some(Instant::now() + DRAIN_TIMEOUT),
            () = sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() => break,
        }
    }
    drop(listener);
    // Whatever is left after that is ended with the tasks.
    let _ = timeout(CLOSE_TIMEOUT, async { while tasks.join_next().await.is_some() {} }).await;
    Ok(())
}

fn refused(shared: &ServeContext, Client { transport, source, .. }: Client) {
    if let Some(count) = ServeCounters::count(shared.counters.refused.of(transport)) {
        tracing::warn!(
            count,
            %source,
            "a TCP connection was refused: all those allowed (limits.tcpConnections, …PerSource) wait for answers"
        );
    }
}

/// What one connection could not do (ECONNABORTED, EPROTO, …) concerns no other; without descriptors or memory another
/// one goes.
async fn after_error(error: &io::Error, connections: &Connections, errors: &mut AcceptErrors) {
    use io::ErrorKind as Kind;
    if !matches!(error.kind(), Kind::ConnectionAborted | Kind::ConnectionReset | Kind::Interrupted) {
        let evicted = connections.evict();
        if let Some(count) = errors.count(std::time::Instant::now()) {
            tracing::warn!(%error, count, evicted, "TCP connections cannot be accepted");
        }
        tokio::time::sleep(ACCEPT_RETRY_PAUSE).await;
    }
}

async fn connection(
    mut stream: TcpStream,
    speaks: Speaks,
    client: Client,
    place: ConnectionSlot,
    shared: Arc<ServeContext>,
    mut stopped: watch::Receiver<bool>,
) {
    let _open = OpenGauge::new(&shared, client.transport);
    // Without it a reply could wait for the client's delayed acknowledgement. The system may refuse it on a dead
    // connection; on Linux the listener has set it.
    if cfg!(not(target_os = "linux")) {
        let _ = stream.set_nodelay(true);
    }
    let client = match shared.is_proxy(client.source) {
        false => client,
        true => {
            let Some(client) = shared.behind_proxy(&mut stream, client, &place, &mut stopped).await else { return };
            match place.claim(client.source.ip()) {
                None => return refused(&shared, client),
                Some(true) => drop(ServeCounters::count(shared.counters.evicted.of(client.transport))),
                Some(false) => {}
            }
            client
        }
    };
    match speaks {
        Speaks::Plain => {
            let outcome = exchange(&mut stream, client, &place, &shared, stopped).await;
            shared.count_large(client.transport, &place);
            ended(client, outcome);
        }
        // Elsewhere, so that a connection without TLS takes no memory for it.
        speaks => Box::pin(encrypted(stream, speaks, client, place, shared, stopped)).await,
    }
}

async fn encrypted(
    stream: TcpStream,
    speaks: Speaks,
    client: Client,
    place: ConnectionSlot,
    shared: Arc<ServeContext>,
    mut stopped: watch::Receiver<bool>,
) {
    let (Speaks::Tls(acceptor) | Speaks::Https(acceptor)) = &speaks else { return };
    // Until the handshake is done something is owed: who only opens connections takes nobody's place.
    let handshake = tokio::select! {
        outcome = tls::accept(acceptor, stream, &shared) => outcome,
        () = place.evicted() => return,
        _ = stopped.changed() => return,
    };
    match (handshake, speaks) {
        (Ok(mut stream), Speaks::Tls(_)) => {
            let client = Client { agreed: stream.get_ref().1.alpn_protocol().is_some(), ..client };
            let outcome = exchange(&mut stream, client, &place, &shared, stopped).await;
            shared.count_large(client.transport, &place);
            ended(client, outcome);
        }
        (Ok(stream), _) => https::serve(stream, client, place, shared, stopped).await,
        (Err(error), _) => {
            ServeCounters::count(shared.counters.handshakes.of(client.transport));
            ended(client, Err(error));
        }
    }
}

/// Errors of one connection (reset, timeout) are everyday; no operator can do anything about them.
fn ended(client: Client, outcome: io::Result<()>) {
    if let Err(error) = outcome {
        let Client { transport, source, .. } = client;
        tracing::trace!(%error, %source, "a connection over {} ended", transport.name());
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, ECHO, PANIC, SILENCE, fast_limits, frame, limits};
    use crate::dns::serve::ServeLimits;
    use std::{
        io::{ErrorKind, Read, Write},
        net::{Shutdown, TcpStream},
        sync::atomic::Ordering,
        time::{Duration, Instant},
    };

    fn read_reply(client: &mut TcpStream) -> Vec<u8> {
        let mut length = [0; 2];
        client.read_exact(&mut length).unwrap();
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        client.read_exact(&mut message).unwrap();
        message
    }

    /// Reads until the server closes; returns what came.
    fn read_to_close(client: &mut TcpStream) -> Vec<u8> {
        let mut octets = Vec::new();
        match client.read_to_end(&mut octets) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
        }
        octets
    }

    /// Whether the server has closed by now; waits a moment for it.
    fn is_closed(client: &mut TcpStream) -> bool {
        client.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let outcome = client.read(&mut [0]);
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        !matches!(outcome, Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }

    #[test]
    fn octet_by_octet_and_several_in_one_segment() {
        let (serving, address) = testing::serve("127.0.0.1:0", limits());
        let mut client = testing::tcp_client(address);
        for octet in frame(&[ECHO, 1, 2, 3]) {
            client.write_all(&[octet]).unwrap();
        }
        assert_eq!(read_reply(&mut client), [ECHO, 1, 2, 3]);
        let queries: Vec<u8> = (0..200_u8).flat_map(|number| frame(&[ECHO, number])).collect();
        client.write_all(&queries).unwrap();
        for number in 0..200 {
            assert_eq!(read_reply(&mut client), [ECHO, number]);
        }
        // The cut goes anywhere, also through the length.
        let mut queries = queries;
        queries.extend(frame(&[ECHO; 3000]));
        let (first, second) = queries.split_at(401);
        client.write_all(first).unwrap();
        client.write_all(second).unwrap();
        for number in 0..200 {
            assert_eq!(read_reply(&mut client), [ECHO, number]);
        }
        assert_eq!(read_reply(&mut client), [ECHO; 3000]);
        serving.stop();
    }

    #[test]
    fn the_largest_messages_pass() {
        let (_serving, address) = testing::serve("127.0.0.1:0", limits());
        let mut client = testing::tcp_client(address);
        let message = vec![ECHO; 65_535];
        for _ in 0..3 {
            client.write_all(&frame(&message)).unwrap();
            assert_eq!(read_reply(&mut client), message);
        }
    }

    #[test]
    fn a_client_that_shuts_its_side_gets_its_answers() {
        let (_serving, address) = testing::serve("127.0.0.1:0", limits());
        let mut client = testing::tcp_client(address);
        let mut octets = [frame(&[ECHO, 1]), frame(&[ECHO, 2])].concat();
        octets.extend([0, 9, ECHO]); // and the beginning of one that never comes
        client.write_all(&octets).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_to_close(&mut client), [frame(&[ECHO, 1]), frame(&[ECHO, 2])].concat());
    }

    #[test]
    fn an_empty_frame_ends_its_own_connection_after_the_answers_before_it() {
        let (_serving, address) = testing::serve("127.0.0.1:0", limits());
        let (mut client, mut other) = (testing::tcp_client(address), testing::tcp_client(address));
        client.write_all(&[frame(&[ECHO, 1]), frame(&[]), frame(&[ECHO, 2])].concat()).unwrap();
        assert_eq!(read_to_close(&mut client), frame(&[ECHO, 1]));
        other.write_all(&frame(&[ECHO, 3])).unwrap();
        assert_eq!(read_reply(&mut other), [ECHO, 3]);
    }

    #[test]
    fn silence_and_panics_leave_the_connection() {
        let (serving, address) = testing::serve("127.0.0.1:0", limits());
        let mut client = testing::tcp_client(address);
        client.write_all(&[frame(&[SILENCE]), frame(&[PANIC]), frame(&[ECHO, 4])].concat()).unwrap();
        assert_eq!(read_reply(&mut client), [ECHO, 4]);
        assert_eq!(serving.counters().panics.load(Ordering::Relaxed), 1);
        assert!(!serving.failed());
    }

    #[test]
    fn idle_connections_are_closed() {
        let (_serving, address) = testing::serve("127.0.0.1:0", fast_limits());
        let mut client = testing::tcp_client(address);
        client.write_all(&frame(&[ECHO, 1])).unwrap();
        assert_eq!(read_reply(&mut client), [ECHO, 1]);
        let asked = Instant::now();
        assert_eq!(read_to_close(&mut client), b"");
        assert!(asked.elapsed() >= fast_limits().tcp_idle / 2);
    }

    /// One octet now and then does not keep a message alive for ever.
    #[test]
    fn a_message_that_dribbles_in_is_given_up() {
        let limits = ServeLimits { tcp_idle: Duration::from_secs(60), ..fast_limits() };
        let (_serving, address) = testing::serve("127.0.0.1:0", limits);
        let mut client = testing::tcp_client(address);
        client.write_all(&[0x01, 0x00]).unwrap();
        let begun = Instant::now();
        client.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        loop {
            assert!(begun.elapsed() < Duration::from_secs(10), "the connection is still open");
            if client.write_all(&[ECHO]).is_err() {
                break;
            }
            match client.read(&mut [0; 8]) {
                Ok(0) => break,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                    break;
                }
                Ok(_) => panic!("an answer to half a message"),
            }
        }
        assert!(begun.elapsed() >= fast_limits().tcp_slow / 2);
    }

    /// A client that asks and asks and reads nothing is let go, and holds no more than the sockets' buffers.
    #[test]
    fn a_client_that_does_not_read_is_given_up() {
        let (_serving, address) = testing::serve("127.0.0.1:0", fast_limits());
        let mut client = testing::tcp_client(address);
        client.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
        let query = frame(&vec![ECHO; 60_000]);
        let begun = Instant::now();
        while client.write_all(&query).is_ok() {
            assert!(begun.elapsed() < Duration::from_secs(10), "the server never stopped reading");
        }
    }

    #[test]
    fn over_the_limits_idle_connections_go_and_then_those_that_owe() {
        let limits = ServeLimits { tcp_connections_per_source: 2, ..limits() };
        let (serving, address) = testing::serve("127.0.0.1:0", limits);
        let mut clients: Vec<_> = (0..2).map(|_| testing::tcp_client(address)).collect();
        for client in &mut clients {
            client.write_all(&frame(&[ECHO, 1])).unwrap();
            assert_eq!(read_reply(client), [ECHO, 1]);
        }
        // For a moment after its reply a connection is still busy; a newcomer in this moment is refused and comes
        // again.
        let mut third = testing::tcp_client(address);
        while serving.counters().evicted.total() == 0 {
            if is_closed(&mut third) {
                third = testing::tcp_client(address);
            }
        }
        // Which of the two was idle for longer is a matter of microseconds.
        while clients.len() == 2 {
            clients.retain_mut(|client| !is_closed(client));
        }
        clients.push(third);
        // Both that are left begin a message and do not end it: the newcomer is let in, and one of them goes.
        for client in &mut clients {
            client.write_all(&[frame(&[ECHO, 5]), vec![0, 2, ECHO]].concat()).unwrap();
            assert_eq!(read_reply(client), [ECHO, 5]);
        }
        let mut newcomer = testing::tcp_client(address);
        newcomer.write_all(&frame(&[ECHO, 6])).unwrap();
        assert_eq!(read_reply(&mut newcomer), [ECHO, 6]);
        while clients.len() == 2 {
            clients.retain_mut(|client| !is_closed(client));
        }
        clients[0].write_all(&[7]).unwrap();
        assert_eq!(read_reply(&mut clients[0]), [ECHO, 7]);
    }

    /// A reply that nobody takes keeps nobody off, either.
    #[test]
    fn whoever_does_not_read_makes_room() {
        let limits = ServeLimits { tcp_connections: 1, ..limits() };
        let stall_timeout = limits.tcp_slow;
        let (serving, address) = testing::serve("127.0.0.1:0", limits);
        let mut deaf = testing::tcp_client(address);
        deaf.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
        let query = frame(&vec![ECHO; 60_000]);
        // Until neither side's buffers take any more.
        while deaf.write_all(&query).is_ok() {}
        let begun = Instant::now();
        let mut client = testing::tcp_client(address);
        client.write_all(&frame(&[ECHO, 8])).unwrap();
        assert_eq!(read_reply(&mut client), [ECHO, 8]);
        assert!(begun.elapsed() < stall_timeout / 2, "{:?}", begun.elapsed());
        assert_eq!(serving.counters().refused.total(), 0);
    }

    #[test]
    fn stop_answers_what_has_been_sent() {
        let (serving, address) = testing::serve("127.0.0.1:0", limits());
        let mut clients: Vec<_> = (0..20).map(|_| testing::tcp_client(address)).collect();
        for client in &mut clients {
            client.write_all(&frame(&[ECHO, 7])).unwrap();
        }
        let begun = Instant::now();
        serving.stop();
        assert!(begun.elapsed() < limits().tcp_idle / 2);
        for client in &mut clients {
            assert_eq!(read_reply(client), [ECHO, 7]);
            assert_eq!(read_to_close(client), b"");
        }
    }
}
