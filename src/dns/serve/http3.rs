//! DNS over HTTP/3 (RFC 8484, RFC 9114): one connection of QUIC, one request and its response on each stream.

mod bounded;
#[cfg(test)]
mod tests;

use self::bounded::{BoundedStream, BoundedStreams};
use super::{
    ServeContext, ServeCounters,
    https::{self, respond},
    reply::Client,
    stream::DRAIN_TIMEOUT,
};
use crate::{
    dns::{answer::Transport, wire::MESSAGE_MAX},
    net::connections::{ConnectionSlot, Exchange},
};
use h3::{
    error::{Code, ConnectionError, StreamError},
    server::{self, RequestResolver, RequestStream},
};
use h3_quinn::BidiStream;
use hyper::{
    Request, Response,
    body::{Body, Buf, Bytes, Frame},
};
use quinn::{Connection, VarInt};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

/// Streams in one direction that a client may have open: control, and two of QPACK (RFC 9114 §6.2); one more for what we do
/// not know, which is ended at once.
pub(super) const UNI_STREAMS_MAX: u32 = 4;
/// Octets of a request: the longest head, and the largest query with some room for the frames that it may be cut into.
const REQUEST_OCTETS_MAX: usize = https::HEAD_OCTETS_MAX as usize + MESSAGE_MAX + (8 << 10);
/// Octets of a stream in one direction, as long as the connection lives: settings have less than a hundred.
const CONTROL_STREAM_OCTETS_MAX: usize = 16 << 10;
/// Requests of one connection that may be none: cut off, malformed, or given up before they were whole.
const REQUEST_FAULTS_MAX: usize = 1024;
/// How long a client may take to close a connection of which it has heard that it ends; its last replies arrive meanwhile.
/// It is no longer than half of the time for which a connection may be idle, so that the client is notified of the end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// h3 on quinn, with an end to what streams bring.
type Streams = BoundedStreams<h3_quinn::Connection>;
/// A request that has begun, and how its response goes back.
type Stream = RequestStream<BoundedStream<BidiStream<Bytes>>, Bytes>;

/// Why we end a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ConnectionEnd {
    /// The client or we have finished with it.
    Finished,
    /// Another one needs its place.
    Evicted,
    /// The client made too many mistakes.
    Excess,
}

/// One task for each request, until the client has finished, is idle, or has to make room.
pub(super) async fn serve(
    connection: Connection,
    place: ConnectionSlot,
    shared: Arc<ServeContext>,
    mut stopped: watch::Receiver<bool>,
) {
    let limits = &shared.limits;
    let streams =
        Streams::new(h3_quinn::Connection::new(connection.clone()), REQUEST_OCTETS_MAX, CONTROL_STREAM_OCTETS_MAX);
    let mut builder = server::builder();
    builder.max_field_section_size(https::HEAD_OCTETS_MAX.into()).send_grease(false);
    // It writes our settings, for which the client's part has to give room.
    let Ok(Ok(mut http)) = timeout(limits.tcp_slow, builder.build(streams)).await else { return };
    let (mut requests, mut asked, mut mistakes) = (JoinSet::new(), 0, 0);
    let mut deadline = Instant::now() + limits.tcp_idle;
    let end = loop {
        tokio::select! {
            accepted = http.accept() => match accepted {
                Ok(Some(resolver)) => {
                    asked += 1;
                    let client = Client { transport: Transport::Http3, source: connection.remote_address(), agreed: true };
                    requests.spawn(exchange(resolver, client, place.exchange(), Arc::clone(&shared)));
                    if limits.queries_per_connection != 0 && asked >= limits.queries_per_connection {
                        ServeCounters::count(shared.counters.exhausted.of(Transport::Http3));
                        break ConnectionEnd::Finished;
                    }
                }
                Ok(None) => break ConnectionEnd::Finished,
                Err(error) => {
                    if matches!(error, ConnectionError::Local { .. }) {
                        ServeCounters::count(shared.counters.protocol_errors.of(Transport::Http3));
                    }
                    return;
                }
            },
            Some(outcome) = requests.join_next() => {
                if let Err(error) = &outcome && error.is_panic() {
                    tracing::error!(%error, "a request over HTTP/3 was lost in a panic; please report it");
                }
                mistakes += usize::from(!outcome.unwrap_or(false));
                if mistakes > REQUEST_FAULTS_MAX {
                    ServeCounters::count(shared.counters.protocol_errors.of(Transport::Http3));
                    break ConnectionEnd::Excess;
                }
                if requests.is_empty() {
                    deadline = Instant::now() + limits.tcp_idle;
                }
            }
            () = place.evicted() => break ConnectionEnd::Evicted,
            _ = stopped.changed() => break ConnectionEnd::Finished,
            () = sleep_until(deadline), if requests.is_empty() => break ConnectionEnd::Finished,
        }
    };
    // Which requests are still answered (RFC 9114 §5.2).
    let _ = timeout(CLOSE_TIMEOUT, http.shutdown(0)).await;
    let rest = async { while requests.join_next().await.is_some() {} };
    let code = match end {
        ConnectionEnd::Finished => {
            // Each is bounded by what a slow client may take.
            rest.await;
            let _ = timeout(CLOSE_TIMEOUT.min(limits.tcp_idle / 2), connection.closed()).await;
            Code::H3_NO_ERROR
        }
        ConnectionEnd::Evicted => {
            let _ = timeout(DRAIN_TIMEOUT, rest).await;
            Code::H3_NO_ERROR
        }
        ConnectionEnd::Excess => Code::H3_EXCESSIVE_LOAD,
    };
    connection.close(VarInt::from_u64(code.value()).unwrap_or_default(), b"");
}

/// One request and its response; says whether it was a request at all.
async fn exchange(
    resolver: RequestResolver<Streams, Bytes>,
    client: Client,
    state: Exchange,
    shared: Arc<ServeContext>,
) -> bool {
    let stall_timeout = shared.limits.tcp_slow;
    let slow = || ServeCounters::count(shared.counters.slow.of(Transport::Http3));
    let (head, mut stream) = match timeout(stall_timeout, resolver.resolve_request()).await {
        Ok(Ok(request)) => request,
        // The client has been told why: by a status (431), or by a code on the stream or the connection.
        Ok(Err(_)) => {
            ServeCounters::count(&shared.counters.http_errors);
            return false;
        }
        Err(_) => {
            slow();
            return false;
        }
    };
    let (parts, ()) = head.into_parts();
    let body = ReceivedBody { stream: &mut stream, octets: 0 };
    let response = respond(Request::from_parts(parts, body), client, &shared, Some(state)).await;
    if timeout(stall_timeout, send(&mut stream, response)).await.is_err() {
        slow();
        stream.stop_stream(Code::H3_EXCESSIVE_LOAD);
    }
    true
}

/// Sends a response; an error means that the client has given it up.
async fn send(stream: &mut Stream, response: Response<http_body_util::Full<Bytes>>) -> Result<(), StreamError> {
    let (parts, body) = response.into_parts();
    stream.send_response(Response::from_parts(parts, ())).await?;
    if let Some(octets) = http_body_util::BodyExt::collect(body).await.ok().map(|body| body.to_bytes()) {
        stream.send_data(octets).await?;
    }
    stream.finish().await
}

/// The body of a request, as it comes.
struct ReceivedBody<'s> {
    stream: &'s mut Stream,
    octets: usize,
}

impl Body for ReceivedBody<'_> {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        let this = self.get_mut();
        match ready!(this.stream.poll_recv_data(context)) {
            Ok(Some(mut data)) => {
                this.octets += data.remaining();
                Poll::Ready(Some(Ok(Frame::data(data.copy_to_bytes(data.remaining())))))
            }
            Ok(None) => Poll::Ready(None),
            // More than a query may have, of which the rest was not even received: that says it all.
            Err(_) if this.octets > MESSAGE_MAX => Poll::Ready(None),
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }
}
