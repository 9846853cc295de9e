//! Messages over a stream (RFC 7766), whatever carries it: TCP (RFC 1035 §4.2.2) or TLS (RFC 7858).

use super::{
    ServeContext, ServeCounters, ServeLimits,
    frame::{self, Frame},
    reply::{Client, Reply, Started},
};
use crate::{
    dns::answer::Transport,
    net::connections::{ConnectionSlot, MemoryExhausted, MemoryShare},
};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::watch,
    task::{JoinSet, yield_now},
    time::{Instant, sleep_until, timeout},
};

/// How much is read at once.
const READ_OCTETS: usize = 4096;
/// Replies to pipelined queries are collected up to this size before they are written.
const WRITE_OCTETS: usize = 16 * 1024;
/// Buffers larger than this are given back while a connection is idle.
const IDLE_BUFFER_OCTETS_MAX: usize = 4096;
/// How long after the stop connections and queries that are on their way are still taken.
pub(super) const DRAIN_TIMEOUT: Duration = Duration::from_millis(100);
/// How long a connection that we end is still read, so that the last reply is not lost to a reset.
const LINGER_TIMEOUT: Duration = Duration::from_millis(200);

/// What a query that is waited for takes beside its octets.
const WAITER_OVERHEAD_OCTETS: usize = 2048;

/// Replies of one connection that may be waited for at a time; beyond, no more queries are read (RFC 7766 §6.2.1.1).
const WAITING_REPLIES_MAX: usize = 64;

/// A reply that was waited for, and what it holds.
type Late = (Reply, MemoryShare);

/// Why a wait ended.
enum Wait {
    Octets(usize),
    /// One that took longer than others, or nothing if it was lost.
    Reply(Option<Late>),
    TimedOut,
    Evicted,
    Stopped,
}

/// Reads, answers and writes until the client has finished, is too slow, or has to make room.
///
/// What takes longer than a look at the records is waited for beside: its reply comes when it is there, after those to
/// later queries if need be (RFC 7766 §7).
pub(super) async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    client: Client,
    place: &ConnectionSlot,
    shared: &Arc<ServeContext>,
    mut stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    let (mut input, mut output) = (Vec::new(), Vec::new());
    let mut received = place.share();
    // Queries that may still be asked.
    let mut left = Some(shared.limits.queries_per_connection).filter(|&most| most > 0).unwrap_or(u64::MAX);
    // Dropping it ends what nobody waits for any more.
    let mut waiting = JoinSet::new();
    let mut deadline = MessageDeadline { at: Instant::now() + shared.limits.tcp_idle, begun: false };
    // The client has shut its side, or sent what is no message: nothing more is read.
    let (mut finished, mut closing) = (false, false);
    // After the stop: until when queries that are on their way are still taken.
    let mut end = stopped.borrow_and_update().then(|| Instant::now() + DRAIN_TIMEOUT);
    loop {
        input.reserve(room(&input));
        let reading = !finished && waiting.len() < WAITING_REPLIES_MAX;
        let until = [end, deadline.if_it_counts(waiting.is_empty(), reading)].into_iter().flatten().min();
        let wait = tokio::select! {
            biased;
            Some(outcome) = waiting.join_next() => Wait::Reply(outcome.ok()),
            octets = stream.read_buf(&mut input), if reading => Wait::Octets(octets?),
            () = place.evicted() => Wait::Evicted,
            _ = stopped.changed(), if end.is_none() => Wait::Stopped,
            () = sleep_until(until.unwrap_or(deadline.at)), if until.is_some() => Wait::TimedOut,
        };
        match wait {
            Wait::TimedOut if deadline.begun && end.is_none() => {
                ServeCounters::count(shared.counters.slow.of(client.transport));
                break;
            }
            Wait::TimedOut | Wait::Evicted => break,
            Wait::Stopped => {
                end = Some(Instant::now() + DRAIN_TIMEOUT);
                continue;
            }
            Wait::Octets(0) => finished = true,
            Wait::Octets(_) => received.hold(large(&input)).map_err(out_of_memory)?,
            Wait::Reply(reply) => send_late(stream, (client, place), shared, reply, &mut output).await?,
        }
        let mut consumed = 0;
        if !closing {
            let left = (&mut waiting, &mut left);
            (consumed, closing) = answer_all(stream, (client, place), shared, &input, &mut output, left).await?;
            input.drain(..consumed);
        }
        finished |= closing;
        if finished && waiting.is_empty() {
            break;
        }
        let now = Instant::now();
        if input.is_empty() {
            input.shrink_to(IDLE_BUFFER_OCTETS_MAX);
            output.shrink_to(IDLE_BUFFER_OCTETS_MAX);
            received.hold(0).map_err(out_of_memory)?;
        }
        deadline.update(now, input.len(), consumed, &shared.limits);
        if waiting.is_empty() {
            if input.is_empty() { place.idle() } else { place.owes() }
        }
        // A client that never pauses would not notice the stop otherwise.
        if end.is_some_and(|end| now >= end) {
            break;
        }
    }
    if closing { linger(stream, &mut input).await } else { shut(stream, client.transport, finished).await }
}

/// Says that nothing more comes. `finished` is whether the client has said so.
async fn shut<S: AsyncWrite + Unpin>(stream: &mut S, transport: Transport, finished: bool) -> io::Result<()> {
    match transport {
        // Nothing is left to be said or read, and closing, which follows, says that as well.
        Transport::Tcp if finished => Ok(()),
        // The end of TLS has to be written, which a client that takes nothing would put off for ever.
        _ => timeout(LINGER_TIMEOUT, stream.shutdown()).await.unwrap_or(Ok(())),
    }
}

/// When the message that is incomplete has to be there, or the next one to begin.
struct MessageDeadline {
    at: Instant,
    /// Whether a message has begun.
    begun: bool,
}

impl MessageDeadline {
    /// The deadline, unless the client waits for us: meanwhile it need not hurry. But it has to end a message that it has
    /// begun while we read.
    fn if_it_counts(&self, nothing_waits: bool, reading: bool) -> Option<Instant> {
        Some(self.at).filter(|_| nothing_waits || self.begun && reading)
    }

    /// After `consumed` octets of messages were answered and `left` ones are of a message that is incomplete.
    fn update(&mut self, now: Instant, left: usize, consumed: usize, limits: &ServeLimits) {
        if left == 0 {
            *self = MessageDeadline { at: now + limits.tcp_idle, begun: false };
        } else if consumed > 0 || !self.begun {
            // A message has begun; its time does not grow with each of its octets.
            *self = MessageDeadline { at: now + limits.tcp_slow, begun: true };
        }
    }
}

/// What a buffer counts: nothing, unless it is large.
fn large(buffer: &Vec<u8>) -> usize {
    if buffer.capacity() > 2 * READ_OCTETS { buffer.capacity() } else { 0 }
}

fn out_of_memory(_: MemoryExhausted) -> io::Error {
    io::ErrorKind::OutOfMemory.into()
}

/// Room to read into: what is missing for the next message, as far as that is known.
fn room(input: &[u8]) -> usize {
    match Frame::first(input) {
        Frame::Incomplete(missing) if input.len() >= 2 => missing.clamp(READ_OCTETS / 2, READ_OCTETS),
        _ => READ_OCTETS,
    }
}

/// Answers every complete message of `input`, as long as no more are waited for than may be, and writes the replies.
/// Returns how many octets were used up, and whether the connection has to end: because of a message that is none, or
/// because none is `left`.
async fn answer_all<S: AsyncWrite + Unpin>(
    stream: &mut S,
    (client, place): (Client, &ConnectionSlot),
    shared: &Arc<ServeContext>,
    input: &[u8],
    output: &mut Vec<u8>,
    (waiting, left): (&mut JoinSet<Late>, &mut u64),
) -> io::Result<(usize, bool)> {
    if matches!(Frame::first(input), Frame::Message(_)) {
        place.busy();
    }
    let mut consumed = 0;
    let mut closing = false;
    while !closing && waiting.len() < WAITING_REPLIES_MAX {
        let frame = Frame::first(&input[consumed..]);
        consumed += frame.length();
        match frame {
            Frame::Message(message) => {
                let begun = shared.begin(client, message, |reply| frame::append(output, reply));
                if let Started::Later(later) = begun {
                    let (shared, mut share) = (Arc::clone(shared), place.share());
                    share.hold(WAITER_OVERHEAD_OCTETS + message.len()).map_err(out_of_memory)?;
                    waiting.spawn(async move {
                        let reply = shared.finish(client, later).await;
                        let held = share.hold(WAITER_OVERHEAD_OCTETS + reply.octets());
                        (held.map_or(Reply::Lost, |()| reply), share)
                    });
                }
                *left -= 1;
                if *left == 0 {
                    ServeCounters::count(shared.counters.exhausted.of(client.transport));
                    closing = true;
                }
            }
            Frame::Empty => {
                ServeCounters::count(shared.counters.protocol_errors.of(client.transport));
                closing = true;
            }
            Frame::Incomplete(_) => break,
        }
        if output.len() >= WRITE_OCTETS {
            write(stream, (client, place), shared, output).await?;
            // However much one asks for at a time, others have their turn.
            yield_now().await;
        }
    }
    write(stream, (client, place), shared, output).await?;
    Ok((consumed, closing))
}

/// Writes a reply that took longer; the messages of a transfer one after the other.
async fn send_late<S: AsyncWrite + Unpin>(
    stream: &mut S,
    (client, place): (Client, &ConnectionSlot),
    shared: &ServeContext,
    late: Option<Late>,
    output: &mut Vec<u8>,
) -> io::Result<()> {
    if let Some((reply, _)) = &late {
        shared.count_late(client, reply);
    }
    match late.map(|(reply, _)| reply) {
        None | Some(Reply::Silence | Reply::Lost) => {}
        Some(Reply::Message(reply)) => frame::append(output, &reply),
        Some(Reply::Messages(mut replies)) => {
            while let Some(reply) = replies.recv().await {
                frame::append(output, &reply);
                if output.len() >= WRITE_OCTETS {
                    write(stream, (client, place), shared, output).await?;
                }
            }
        }
    }
    write(stream, (client, place), shared, output).await
}

/// Writes what has been collected, as long as the client takes it in time and no other client needs the place
/// meanwhile.
async fn write<S: AsyncWrite + Unpin>(
    stream: &mut S,
    (client, place): (Client, &ConnectionSlot),
    shared: &ServeContext,
    output: &mut Vec<u8>,
) -> io::Result<()> {
    if output.is_empty() {
        return Ok(());
    }
    let all = async {
        stream.write_all(output).await?;
        // TLS keeps what the socket below did not take.
        stream.flush().await
    };
    let octets = output.capacity();
    let mut stuck = false;
    let written = tokio::select! {
        biased;
        written = timeout(shared.limits.tcp_slow, all) => written,
        // Only looked at when the client has not taken all of it at once.
        () = async {
            stuck = true;
            place.owes();
            if place.hold(octets).is_ok() {
                place.evicted().await;
            }
        } => return Err(io::ErrorKind::ConnectionAborted.into()),
    };
    let Ok(written) = written else {
        ServeCounters::count(shared.counters.slow.of(client.transport));
        return Err(io::ErrorKind::TimedOut.into());
    };
    written?;
    if stuck {
        place.busy();
        place.hold(0).map_err(out_of_memory)?;
    }
    output.clear();
    Ok(())
}

/// Ends a connection on which octets may still be under way: closing it with octets unread would reset it and could
/// take the last replies with it.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, input: &mut Vec<u8>) -> io::Result<()> {
    let discard = async {
        stream.shutdown().await?;
        loop {
            input.clear();
            if stream.read_buf(input).await? == 0 {
                return Ok(());
            }
        }
    };
    timeout(LINGER_TIMEOUT, discard).await.unwrap_or(Ok(()))
}
