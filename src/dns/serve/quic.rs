//! QUIC (RFC 9000): endpoints and their connections; and DNS over it (RFC 9250), one query and its replies on each stream
//! that a client opens.

#[cfg(test)]
mod tests;

use super::{
    ServeContext, ServeCounters,
    counters::OpenGauge,
    frame::{self, Frame},
    reply::{Client, Reply},
    stream::DRAIN_TIMEOUT,
};
use crate::{
    dns::{
        answer::Transport,
        wire::{MESSAGE_MAX, query::Query},
    },
    net::connections::{Admission, ConnectionSlot, Connections, Exchange},
};
use quinn::{
    Connection, Endpoint, EndpointConfig, IdleTimeout, Incoming, RecvStream, SendStream, ServerConfig, TokioRuntime,
    TransportConfig, VarInt, crypto::rustls::QuicServerConfig,
};
use std::{io, net::UdpSocket, sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

/// Octets of a query with its length in front.
const QUERY_OCTETS_MAX: usize = 2 + MESSAGE_MAX;
/// What all streams of a connection may have sent before it is read: two of the largest queries.
const RECEIVE_WINDOW_OCTETS: u32 = 2 * QUERY_OCTETS_MAX as u32;
/// What of replies may be on its way to one client.
const SEND_OCTETS_MAX: u64 = 128 << 10;
/// What a stream takes beside its messages.
const STREAM_OVERHEAD_OCTETS: usize = 4096;
/// Connections that wait for their handshake to begin, and what of them may wait in memory.
const INCOMING_CONNECTIONS_MAX: usize = 256;
const INCOMING_OCTETS: u64 = 1 << 20;
/// How long after the stop and the last reply the end of connections may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a stream or a connection ends (RFC 9250 §4.3).
mod code {
    use quinn::VarInt;
    pub(super) const NO_ERROR: VarInt = VarInt::from_u32(0);
    pub(super) const INTERNAL_ERROR: VarInt = VarInt::from_u32(1);
    pub(super) const PROTOCOL_ERROR: VarInt = VarInt::from_u32(2);
    pub(super) const EXCESSIVE_LOAD: VarInt = VarInt::from_u32(4);
}

/// Streams in one direction that a client may open for DNS over QUIC (RFC 9250 §4.2): there is no use for any.
pub(super) const UNI_STREAMS_MAX: u32 = 0;

/// The end of a socket that speaks QUIC, with so many streams in one direction for each client; needs to be made within the
/// runtime.
pub(super) fn endpoint(
    socket: UdpSocket,
    crypto: Arc<rustls::ServerConfig>,
    uni_streams: u32,
    shared: &ServeContext,
) -> io::Result<Endpoint> {
    let limits = &shared.limits;
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(limits.quic_streams))
        .max_concurrent_uni_streams(VarInt::from_u32(uni_streams))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(QUERY_OCTETS_MAX as u32))
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW_OCTETS))
        .send_window(SEND_OCTETS_MAX)
        // A connection that is silent is gone; one that only keeps itself alive is ended by `connection`.
        .max_idle_timeout(Some(IdleTimeout::try_from(limits.tcp_idle).map_err(io::Error::other)?));
    let crypto = QuicServerConfig::try_from(crypto).map_err(io::Error::other)?;
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config
        .transport_config(Arc::new(transport))
        .max_incoming(INCOMING_CONNECTIONS_MAX)
        .incoming_buffer_size(INCOMING_OCTETS / 16)
        .incoming_buffer_size_total(INCOMING_OCTETS);
    Endpoint::new(EndpointConfig::default(), Some(config), socket, Arc::new(TokioRuntime))
}

/// An endpoint, and what goes over its connections.
pub(super) struct Listening<S> {
    pub(super) endpoint: Endpoint,
    pub(super) transport: Transport,
    /// Serves one connection until its end.
    pub(super) serve: S,
}

/// Accepts connections until the stop, then waits for them to end.
pub(super) async fn accept<S, F>(
    Listening { endpoint, transport, serve }: Listening<S>,
    shared: Arc<ServeContext>,
    connections: Arc<Connections>,
    mut stopped: watch::Receiver<bool>,
) -> io::Result<()>
where
    S: Fn(Connection, ConnectionSlot, Arc<ServeContext>, watch::Receiver<bool>) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            incoming = endpoint.accept() => match incoming {
                Some(incoming) => {
                    if let Some(incoming) = validated(incoming, &connections, &shared)
                        && let Some(place) = admit(&connections, &incoming, transport, &shared)
                    {
                        let (serve, shared, mut stopped) = (serve.clone(), Arc::clone(&shared), stopped.clone());
                        tasks.spawn(async move {
                            if let Some(connection) = handshake(incoming, &place, &shared, &mut stopped).await {
                                let _open = OpenGauge::new(&shared, transport);
                                serve(connection, place, shared, stopped).await;
                            } else {
                                ServeCounters::count(shared.counters.handshakes.of(transport));
                            }
                        });
                    }
                }
                None => return Err(io::Error::other("a QUIC endpoint is lost")),
            },
            Some(outcome) = tasks.join_next() => {
                if let Err(error) = outcome && error.is_panic() {
                    tracing::error!(%error, "a QUIC connection was lost in a panic; please report it");
                }
            }
            _ = stopped.changed() => break,
        }
    }
    endpoint.set_server_config(None);
    let _ = timeout(DRAIN_TIMEOUT + CLOSE_TIMEOUT, async { while tasks.join_next().await.is_some() {} }).await;
    endpoint.close(code::NO_ERROR, b"");
    let _ = timeout(CLOSE_TIMEOUT, endpoint.wait_idle()).await;
    Ok(())
}

/// The connection again, unless its client has to show first that its address is its own (RFC 9000 §8.1.2). That costs a
/// round trip, so it is asked for only when places become few; but before any other connection has to go for this one.
fn validated(incoming: Incoming, connections: &Connections, shared: &ServeContext) -> Option<Incoming> {
    if incoming.remote_address_validated() || !connections.is_crowded(incoming.remote_address().ip()) {
        return Some(incoming);
    }
    ServeCounters::count(&shared.counters.retries);
    // Where it cannot be asked, the client has shown it already.
    incoming.retry().err().map(quinn::RetryError::into_incoming)
}

fn admit(
    connections: &Arc<Connections>,
    incoming: &Incoming,
    transport: Transport,
    shared: &ServeContext,
) -> Option<ConnectionSlot> {
    let source = incoming.remote_address();
    match connections.admit(source.ip()) {
        Admission::Free(place) => Some(place),
        Admission::Evicted(place) => {
            ServeCounters::count(shared.counters.evicted.of(transport));
            Some(place)
        }
        // Dropping it refuses it.
        Admission::Refused => {
            if let Some(count) = ServeCounters::count(shared.counters.refused.of(transport)) {
                tracing::warn!(
                    count,
                    %source,
                    transport = transport.name(),
                    "a QUIC connection was refused: all those allowed (limits.quicConnections, …PerSource) are busy"
                );
            }
            None
        }
    }
}

/// A connection once client and server have shaken hands; `None` if that takes too long, fails, or has to make room.
async fn handshake(
    incoming: Incoming,
    place: &ConnectionSlot,
    shared: &ServeContext,
    stopped: &mut watch::Receiver<bool>,
) -> Option<Connection> {
    tokio::select! {
        outcome = timeout(shared.limits.tls_handshake, incoming) => outcome.ok()?.ok(),
        () = place.evicted() => None,
        _ = stopped.changed() => None,
    }
}

/// One task for each stream, until the client has finished, is idle, or has to make room.
pub(super) async fn serve(
    connection: Connection,
    place: ConnectionSlot,
    shared: Arc<ServeContext>,
    mut stopped: watch::Receiver<bool>,
) {
    let limits = &shared.limits;
    let mut streams = JoinSet::new();
    let mut asked = 0;
    let mut deadline = Instant::now() + limits.tcp_idle;
    let reason = loop {
        tokio::select! {
            stream = connection.accept_bi() => {
                // An error means that the client has ended it, in whatever way.
                let Ok(stream) = stream else { return };
                asked += 1;
                let client = Client { transport: Transport::Quic, source: connection.remote_address(), agreed: true };
                let state = place.exchange();
                streams.spawn(exchange(stream, connection.clone(), (client, state), Arc::clone(&shared)));
                if limits.queries_per_connection != 0 && asked >= limits.queries_per_connection {
                    ServeCounters::count(shared.counters.exhausted.of(Transport::Quic));
                    break code::NO_ERROR;
                }
            }
            Some(outcome) = streams.join_next() => {
                if let Err(error) = outcome && error.is_panic() {
                    tracing::error!(%error, "a QUIC stream was lost in a panic; please report it");
                }
                if streams.is_empty() {
                    deadline = Instant::now() + limits.tcp_idle;
                }
            }
            () = place.evicted() => break code::EXCESSIVE_LOAD,
            _ = stopped.changed() => break code::NO_ERROR,
            () = sleep_until(deadline), if streams.is_empty() => break code::NO_ERROR,
        }
    };
    shared.count_large(Transport::Quic, &place);
    // Each is bounded by what a slow client may take; where another one needs the place, nobody waits for what is owed.
    let end = async { while streams.join_next().await.is_some() {} };
    match reason {
        // What it holds is needed now.
        code::EXCESSIVE_LOAD if place.has_to_go() => {}
        code::EXCESSIVE_LOAD => drop(timeout(DRAIN_TIMEOUT, end).await),
        _ => tokio::select! {
            () = end => {}
            () = place.evicted() => {}
        },
    }
    // The last replies have to arrive before the end of the connection does.
    connection.close(reason, b"");
}

/// Why there is no answer on a stream.
enum StreamFault {
    /// The client broke a rule that ends the connection (RFC 9250 §4.3.3).
    Protocol(&'static str),
    /// This stream only.
    Stream(VarInt),
    /// The client has given it up.
    Cancelled,
}

/// One query and its replies.
async fn exchange(
    (mut send, mut receive): (SendStream, RecvStream),
    connection: Connection,
    (client, mut state): (Client, Exchange),
    shared: Arc<ServeContext>,
) {
    match replied(&mut send, &mut receive, (client, &mut state), &shared).await {
        Ok(()) => {
            // Until the client has all of it, so that an end of the connection does not come first.
            let _ = send.finish();
            let _ = timeout(shared.limits.tcp_slow, send.stopped()).await;
        }
        Err(StreamFault::Protocol(reason)) => {
            ServeCounters::count(shared.counters.protocol_errors.of(Transport::Quic));
            connection.close(code::PROTOCOL_ERROR, reason.as_bytes());
        }
        Err(StreamFault::Stream(code)) => {
            // Both fail only where the stream has ended already.
            let _ = receive.stop(code);
            let _ = send.reset(code);
        }
        Err(StreamFault::Cancelled) => {}
    }
}

async fn replied(
    send: &mut SendStream,
    receive: &mut RecvStream,
    (client, state): (Client, &mut Exchange),
    shared: &ServeContext,
) -> Result<(), StreamFault> {
    let stall_timeout = shared.limits.tcp_slow;
    let slow = |_| {
        ServeCounters::count(shared.counters.slow.of(Transport::Quic));
        StreamFault::Stream(code::EXCESSIVE_LOAD)
    };
    let octets = timeout(stall_timeout, received(receive, state)).await.map_err(slow)??;
    let query = query(&octets).map_err(StreamFault::Protocol)?;
    state.working();
    let mut output = Vec::new();
    // What is written counts until the client has all of it.
    let write = async |send: &mut SendStream, state: &mut Exchange, output: &mut Vec<u8>| {
        state
            .hold(STREAM_OVERHEAD_OCTETS + output.capacity())
            .map_err(|_| StreamFault::Stream(code::EXCESSIVE_LOAD))?;
        // Now it is the client's turn.
        state.owes();
        timeout(stall_timeout, send.write_all(output)).await.map_err(slow)?.map_err(|_| StreamFault::Cancelled)?;
        *output = Vec::new();
        Ok(())
    };
    match shared.reply(client, query).await {
        Reply::Message(reply) => frame::append(&mut output, &reply),
        Reply::Messages(mut replies) => {
            while let Some(reply) = replies.recv().await {
                frame::append(&mut output, &reply);
                write(send, state, &mut output).await?;
                state.working();
            }
        }
        Reply::Silence => return Err(StreamFault::Protocol("this is no DNS query")),
        Reply::Lost => return Err(StreamFault::Stream(code::INTERNAL_ERROR)),
    }
    write(send, state, &mut output).await
}

/// All octets that the client sends on a stream; at most one query.
async fn received(receive: &mut RecvStream, state: &mut Exchange) -> Result<Vec<u8>, StreamFault> {
    let mut octets = Vec::new();
    state.hold(STREAM_OVERHEAD_OCTETS).map_err(|_| StreamFault::Stream(code::EXCESSIVE_LOAD))?;
    while let Some(chunk) = receive.read_chunk(QUERY_OCTETS_MAX + 1, true).await.map_err(|_| StreamFault::Cancelled)? {
        octets.extend_from_slice(&chunk.bytes);
        if octets.len() > QUERY_OCTETS_MAX {
            return Err(StreamFault::Protocol("a stream has one query"));
        }
        state
            .hold(STREAM_OVERHEAD_OCTETS + octets.capacity())
            .map_err(|_| StreamFault::Stream(code::EXCESSIVE_LOAD))?;
    }
    Ok(octets)
}

/// The query in all that came on a stream; what RFC 9250 §4.2.1 and §5.5.2 forbid is an error.
fn query(octets: &[u8]) -> Result<&[u8], &'static str> {
    let frame = Frame::first(octets);
    let Frame::Message(message) = frame else { return Err("a stream has one whole query") };
    if frame.length() != octets.len() {
        return Err("a stream has one query");
    }
    if message.first_chunk() != Some(&[0, 0]) {
        return Err("the message id has to be 0");
    }
    if Query::parse(message).and_then(|query| query.edns).is_some_and(|edns| edns.keepalive) {
        return Err("there is no edns-tcp-keepalive over QUIC");
    }
    Ok(message)
}
