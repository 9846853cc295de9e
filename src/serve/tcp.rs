//! DNS over TCP (RFC 7766): a task per connection, and what it takes that slow, idle or many clients harm nobody.

use super::{
    Counters, Shared,
    connections::{Admission, Connections, Place},
    udp::is_lasting,
};
use crate::answer::{Request, Transport, Verdict};
use std::{cell::RefCell, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

/// Largest message of a stream.
const MESSAGE: usize = u16::MAX as usize;
/// How much is read at once.
const READ: usize = 4096;
/// Replies to pipelined queries are collected up to this size before they are written.
const WRITE: usize = 16 * 1024;
/// Buffers larger than this are given back while a connection is idle.
const KEPT: usize = 4096;
/// Pause before the next attempt when no connection can be accepted (no descriptors, no memory).
const PAUSE: Duration = Duration::from_millis(20);
/// How long after the stop connections and queries that are on their way are still taken.
const DRAIN: Duration = Duration::from_millis(100);
/// How long after that connections may take to end.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a connection that we end is still read, so that the last reply is not lost to a reset.
const LINGER: Duration = Duration::from_millis(200);

thread_local! {
    /// Where a reply is written before its length is known; one for each worker instead of one for each connection.
    static REPLY: RefCell<Box<[u8]>> = RefCell::new(vec![0; MESSAGE].into_boxed_slice());
}

/// Serves all listeners until the stop; an error means that one of them is lost.
pub(super) fn run(
    runtime: &Runtime,
    listeners: Vec<std::net::TcpListener>,
    shared: &Arc<Shared>,
    stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    let limits = &shared.limits;
    let connections = Arc::new(Connections::new(limits.tcp_connections, limits.tcp_connections_per_source));
    runtime.block_on(async {
        let mut accepting = JoinSet::new();
        for listener in listeners {
            let listener = TcpListener::from_std(listener)?;
            accepting.spawn(accept(listener, Arc::clone(shared), Arc::clone(&connections), stopped.clone()));
        }
        while let Some(outcome) = accepting.join_next().await {
            outcome.map_err(io::Error::other)??;
        }
        Ok(())
    })
}

/// Accepts connections until the stop, then waits for them to end.
async fn accept(
    listener: TcpListener,
    shared: Arc<Shared>,
    connections: Arc<Connections>,
    mut stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut tasks = JoinSet::new();
    let mut end = None;
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, source)) => {
                    let admission = connections.admit(source.ip());
                    if matches!(admission, Admission::Evicted(_)) {
                        Counters::count(&shared.counters.evicted);
                    }
                    match admission {
                        Admission::Free(place) | Admission::Evicted(place) => {
                            tasks.spawn(connection(stream, place, Arc::clone(&shared), stopped.clone()));
                        }
                        // Dropping the stream closes it.
                        Admission::Refused => refused(&shared, source),
                    }
                }
                Err(error) if is_lasting(&error) => return Err(error),
                Err(error) => after_error(&error, &connections).await,
            },
            Some(outcome) = tasks.join_next() => {
                if let Err(error) = outcome && error.is_panic() {
                    tracing::error!(%error, "a TCP connection was lost in a panic; please report it");
                }
            }
            _ = stopped.changed(), if end.is_none() => end = Some(Instant::now() + DRAIN),
            () = sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() => break,
        }
    }
    drop(listener);
    // Whatever is left after that is ended with the tasks.
    let _ = timeout(PATIENCE, async { while tasks.join_next().await.is_some() {} }).await;
    Ok(())
}

fn refused(shared: &Shared, source: SocketAddr) {
    if let Some(count) = Counters::count(&shared.counters.refused) {
        tracing::warn!(
            count,
            %source,
            "a TCP connection was refused: all those allowed (limits.tcpConnections, …PerSource) are busy"
        );
    }
}

/// What one connection could not do (ECONNABORTED, EPROTO, …) concerns nobody else; without descriptors or memory an
/// idle connection goes.
async fn after_error(error: &io::Error, connections: &Connections) {
    use io::ErrorKind as Kind;
    if !matches!(error.kind(), Kind::ConnectionAborted | Kind::ConnectionReset | Kind::Interrupted) {
        let evicted = connections.evict();
        tracing::warn!(%error, evicted, "accepting a TCP connection");
        tokio::time::sleep(PAUSE).await;
    }
}

async fn connection(mut stream: TcpStream, place: Place, shared: Arc<Shared>, stopped: watch::Receiver<bool>) {
    // Without it a reply could wait for the client's delayed acknowledgement. The system may refuse it on a dead
    // connection.
    let _ = stream.set_nodelay(true);
    // Errors of one connection (reset, timeout) are everyday; nobody can do anything about them.
    if let Err(error) = exchange(&mut stream, &place, &shared, stopped).await {
        tracing::trace!(%error, "a TCP connection ended");
    }
}

/// Why a wait for octets ended.
enum Wait {
    Octets(usize),
    TimedOut,
    Evicted,
    Stopped,
}

/// Reads, answers and writes until the client has finished, is too slow, or has to make room.
async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    place: &Place,
    shared: &Shared,
    mut stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    let (mut input, mut output) = (Vec::new(), Vec::new());
    // When the message that is incomplete has to be there, or the next one to begin.
    let mut deadline = Instant::now() + shared.limits.tcp_idle;
    let mut begun = false;
    // After the stop: until when queries that are on their way are still taken.
    let mut end = stopped.borrow_and_update().then(|| Instant::now() + DRAIN);
    loop {
        let wanted = missing(&input).clamp(READ / 2, READ);
        input.reserve(wanted);
        let wait = tokio::select! {
            biased;
            octets = stream.read_buf(&mut input) => Wait::Octets(octets?),
            () = place.evicted() => Wait::Evicted,
            _ = stopped.changed(), if end.is_none() => Wait::Stopped,
            () = sleep_until(end.map_or(deadline, |end| end.min(deadline))) => Wait::TimedOut,
        };
        match wait {
            Wait::Octets(0) | Wait::TimedOut | Wait::Evicted => break,
            Wait::Stopped => {
                end = Some(Instant::now() + DRAIN);
                continue;
            }
            Wait::Octets(_) => place.busy(),
        }
        let (consumed, closing) = answer_all(stream, shared, &input, &mut output).await?;
        if closing {
            return linger(stream, &mut input).await;
        }
        input.drain(..consumed);
        let now = Instant::now();
        if input.is_empty() {
            input.shrink_to(KEPT);
            output.shrink_to(KEPT);
            (begun, deadline) = (false, now + shared.limits.tcp_idle);
            place.idle();
        } else if consumed > 0 || !begun {
            // A message has begun; its time does not grow with each of its octets.
            (begun, deadline) = (true, now + shared.limits.tcp_slow);
        }
        // A client that never pauses would not notice the stop otherwise.
        if end.is_some_and(|end| now >= end) {
            break;
        }
    }
    stream.shutdown().await
}

/// How many octets are missing for the next message, as far as that is known.
fn missing(input: &[u8]) -> usize {
    match *input {
        [high, low, ..] => (2 + usize::from(u16::from_be_bytes([high, low]))).saturating_sub(input.len()),
        _ => READ,
    }
}

/// Answers every complete message of `input` and writes the replies. Returns how many octets were used up, and whether
/// the connection has to end because of a message that is none.
async fn answer_all<S: AsyncWrite + Unpin>(
    stream: &mut S,
    shared: &Shared,
    input: &[u8],
    output: &mut Vec<u8>,
) -> io::Result<(usize, bool)> {
    let mut consumed = 0;
    let mut closing = false;
    while let Some((&[high, low], rest)) = input[consumed..].split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let Some(message) = rest.get(..length) else { break };
        consumed += 2 + length;
        if length == 0 {
            closing = true;
            break;
        }
        answer_one(shared, message, output);
        if output.len() >= WRITE {
            write(stream, shared, output).await?;
        }
    }
    write(stream, shared, output).await?;
    Ok((consumed, closing))
}

/// Appends the reply with its length in front, so that both leave in one write (RFC 7766 §8).
fn answer_one(shared: &Shared, message: &[u8], output: &mut Vec<u8>) {
    REPLY.with_borrow_mut(|reply| {
        // Loaded for each message: what was published before a query was sent is in its answer.
        let snapshot = shared.reader.load();
        let request = Request::new(Transport::Tcp, shared.limits.udp_payload, fastrand::u32(..));
        if let Verdict::Reply(length) = shared.answer(message, &snapshot, request, reply) {
            let length = length.min(MESSAGE);
            output.extend_from_slice(&(length as u16).to_be_bytes());
            output.extend_from_slice(&reply[..length]);
        }
    });
}

/// Writes what has been collected, as long as the client takes it in time.
async fn write<S: AsyncWrite + Unpin>(stream: &mut S, shared: &Shared, output: &mut Vec<u8>) -> io::Result<()> {
    if output.is_empty() {
        return Ok(());
    }
    timeout(shared.limits.tcp_slow, stream.write_all(output)).await.map_err(io::Error::from)??;
    output.clear();
    Ok(())
}

/// Ends a connection on which octets may still be under way: closing it with octets unread would reset it and could
/// take the last replies with it.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, input: &mut Vec<u8>) -> io::Result<()> {
    stream.shutdown().await?;
    let discard = async {
        loop {
            input.clear();
            if stream.read_buf(input).await? == 0 {
                return Ok(());
            }
        }
    };
    timeout(LINGER, discard).await.unwrap_or(Ok(()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::{self, ECHO, PANIC, SILENCE, fast_limits, frame};
    use crate::settings::Limits;
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
        let (serving, address) = testing::serve("127.0.0.1:0", fast_limits());
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
        let (_serving, address) = testing::serve("127.0.0.1:0", fast_limits());
        let mut client = testing::tcp_client(address);
        let message = vec![ECHO; 65_535];
        for _ in 0..3 {
            client.write_all(&frame(&message)).unwrap();
            assert_eq!(read_reply(&mut client), message);
        }
    }

    #[test]
    fn a_client_that_shuts_its_side_gets_its_answers() {
        let (_serving, address) = testing::serve("127.0.0.1:0", fast_limits());
        let mut client = testing::tcp_client(address);
        let mut octets = [frame(&[ECHO, 1]), frame(&[ECHO, 2])].concat();
        octets.extend([0, 9, ECHO]); // and the beginning of one that never comes
        client.write_all(&octets).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_to_close(&mut client), [frame(&[ECHO, 1]), frame(&[ECHO, 2])].concat());
    }

    #[test]
    fn an_empty_frame_ends_its_own_connection_after_the_answers_before_it() {
        let (_serving, address) = testing::serve("127.0.0.1:0", fast_limits());
        let (mut client, mut other) = (testing::tcp_client(address), testing::tcp_client(address));
        client.write_all(&[frame(&[ECHO, 1]), frame(&[]), frame(&[ECHO, 2])].concat()).unwrap();
        assert_eq!(read_to_close(&mut client), frame(&[ECHO, 1]));
        other.write_all(&frame(&[ECHO, 3])).unwrap();
        assert_eq!(read_reply(&mut other), [ECHO, 3]);
    }

    #[test]
    fn silence_and_panics_leave_the_connection() {
        let (serving, address) = testing::serve("127.0.0.1:0", fast_limits());
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
        let limits = Limits { tcp_idle: Duration::from_secs(60), ..fast_limits() };
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
    fn over_the_limits_idle_connections_go_and_then_newcomers() {
        let limits = Limits { tcp_connections_per_source: 2, tcp_slow: Duration::from_secs(20), ..fast_limits() };
        let limits = Limits { tcp_idle: Duration::from_secs(20), ..limits };
        let (serving, address) = testing::serve("127.0.0.1:0", limits);
        let mut clients: Vec<_> = (0..2).map(|_| testing::tcp_client(address)).collect();
        for client in &mut clients {
            client.write_all(&frame(&[ECHO, 1])).unwrap();
            assert_eq!(read_reply(client), [ECHO, 1]);
        }
        // For a moment after its reply a connection is still busy; a newcomer in this moment is refused and comes
        // again.
        let mut third = testing::tcp_client(address);
        while serving.counters().evicted.load(Ordering::Relaxed) == 0 {
            if is_closed(&mut third) {
                third = testing::tcp_client(address);
            }
        }
        // Which of the two was idle for longer is a matter of microseconds.
        while clients.len() == 2 {
            clients.retain_mut(|client| !is_closed(client));
        }
        clients.push(third);
        let refused = serving.counters().refused.load(Ordering::Relaxed);
        // Both that are left begin a message: now nobody is idle.
        for client in &mut clients {
            client.write_all(&[frame(&[ECHO, 5]), vec![0, 2, ECHO]].concat()).unwrap();
            assert_eq!(read_reply(client), [ECHO, 5]);
        }
        assert_eq!(read_to_close(&mut testing::tcp_client(address)), b"");
        assert_eq!(serving.counters().refused.load(Ordering::Relaxed), refused + 1);
        for client in &mut clients {
            client.write_all(&[6]).unwrap();
            assert_eq!(read_reply(client), [ECHO, 6]);
        }
    }

    #[test]
    fn stop_answers_what_has_been_sent() {
        let (serving, address) = testing::serve("127.0.0.1:0", fast_limits());
        let mut clients: Vec<_> = (0..20).map(|_| testing::tcp_client(address)).collect();
        for client in &mut clients {
            client.write_all(&frame(&[ECHO, 7])).unwrap();
        }
        let begun = Instant::now();
        serving.stop();
        assert!(begun.elapsed() < Duration::from_secs(3));
        for client in &mut clients {
            assert_eq!(read_reply(client), [ECHO, 7]);
            assert_eq!(read_to_close(client), b"");
        }
    }
}
