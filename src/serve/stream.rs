//! Messages over a stream (RFC 7766), whatever carries it: TCP (RFC 1035 §4.2.2) or TLS (RFC 7858).

use super::{
    Counters, Shared,
    connections::Place,
    frame::{self, Frame},
    reply::{Begun, Client, Reply},
};
use std::{io, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

/// How much is read at once.
const READ: usize = 4096;
/// Replies to pipelined queries are collected up to this size before they are written.
const WRITE: usize = 16 * 1024;
/// Buffers larger than this are given back while a connection is idle.
const KEPT: usize = 4096;
/// How long after the stop connections and queries that are on their way are still taken.
pub(super) const DRAIN: Duration = Duration::from_millis(100);
/// How long a connection that we end is still read, so that the last reply is not lost to a reset.
const LINGER: Duration = Duration::from_millis(200);

/// Why a wait for octets ended.
enum Wait {
    Octets(usize),
    TimedOut,
    Evicted,
    Stopped,
}

/// Reads, answers and writes until the client has finished, is too slow, or has to make room.
pub(super) async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    client: Client,
    place: &Place,
    shared: &Shared,
    mut stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    let (mut input, mut output) = (Vec::new(), Vec::new());
    // Queries that may still be asked.
    let mut left = match shared.limits.queries_per_connection {
        0 => u64::MAX,
        most => most,
    };
    // When the message that is incomplete has to be there, or the next one to begin.
    let mut deadline = Instant::now() + shared.limits.tcp_idle;
    let mut begun = false;
    // After the stop: until when queries that are on their way are still taken.
    let mut end = stopped.borrow_and_update().then(|| Instant::now() + DRAIN);
    loop {
        input.reserve(room(&input));
        let wait = tokio::select! {
            biased;
            octets = stream.read_buf(&mut input) => Wait::Octets(octets?),
            () = place.evicted() => Wait::Evicted,
            _ = stopped.changed(), if end.is_none() => Wait::Stopped,
            () = sleep_until(end.map_or(deadline, |end| end.min(deadline))) => Wait::TimedOut,
        };
        match wait {
            Wait::TimedOut if begun && end.is_none() => {
                Counters::count(shared.counters.slow.of(client.transport));
                break;
            }
            Wait::Octets(0) | Wait::TimedOut | Wait::Evicted => break,
            Wait::Stopped => {
                end = Some(Instant::now() + DRAIN);
                continue;
            }
            Wait::Octets(_) => place.busy(),
        }
        let (consumed, closing) = answer_all(stream, client, shared, &input, &mut output, &mut left).await?;
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

/// Room to read into: what is missing for the next message, as far as that is known.
fn room(input: &[u8]) -> usize {
    match Frame::first(input) {
        Frame::Incomplete(missing) if input.len() >= 2 => missing.clamp(READ / 2, READ),
        _ => READ,
    }
}

/// Answers every complete message of `input` and writes the replies. Returns how many octets were used up, and whether
/// the connection has to end: because of a message that is none, or because none is `left`.
async fn answer_all<S: AsyncWrite + Unpin>(
    stream: &mut S,
    client: Client,
    shared: &Shared,
    input: &[u8],
    output: &mut Vec<u8>,
    left: &mut u64,
) -> io::Result<(usize, bool)> {
    let mut consumed = 0;
    let mut closing = false;
    loop {
        let frame = Frame::first(&input[consumed..]);
        consumed += frame.length();
        match frame {
            Frame::Message(message) => {
                answer_one(stream, client, shared, message, output).await?;
                *left -= 1;
                if *left == 0 {
                    Counters::count(shared.counters.exhausted.of(client.transport));
                    closing = true;
                }
            }
            Frame::Empty => {
                Counters::count(shared.counters.protocol_errors.of(client.transport));
                closing = true;
            }
            Frame::Incomplete(_) => break,
        }
        if output.len() >= WRITE {
            write(stream, client, shared, output).await?;
        }
        if closing {
            break;
        }
    }
    write(stream, client, shared, output).await?;
    Ok((consumed, closing))
}

/// Appends the reply with its length in front. What takes longer holds up the messages behind it, and no others.
async fn answer_one<S: AsyncWrite + Unpin>(
    stream: &mut S,
    client: Client,
    shared: &Shared,
    message: &[u8],
    output: &mut Vec<u8>,
) -> io::Result<()> {
    let Begun::Later(later) = shared.begin(client, message, |reply| frame::append(output, reply)) else {
        return Ok(());
    };
    write(stream, client, shared, output).await?;
    let reply = shared.finish(client, later).await;
    shared.count_late(client, &reply);
    match reply {
        Reply::Silence | Reply::Lost => {}
        Reply::Message(reply) => frame::append(output, &reply),
        Reply::Messages(mut replies) => {
            while let Some(reply) = replies.recv().await {
                frame::append(output, &reply);
                if output.len() >= WRITE {
                    write(stream, client, shared, output).await?;
                }
            }
        }
    }
    Ok(())
}

/// Writes what has been collected, as long as the client takes it in time.
async fn write<S: AsyncWrite + Unpin>(
    stream: &mut S,
    client: Client,
    shared: &Shared,
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
    let Ok(written) = timeout(shared.limits.tcp_slow, all).await else {
        Counters::count(shared.counters.slow.of(client.transport));
        return Err(io::ErrorKind::TimedOut.into());
    };
    written?;
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
    timeout(LINGER, discard).await.unwrap_or(Ok(()))
}
