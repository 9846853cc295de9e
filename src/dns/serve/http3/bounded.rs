//! QUIC as HTTP/3 sees it, with an end to what one stream may bring.
//!
//! h3 keeps all of a frame that is not data until its last octet has come, whatever length the frame claims, and lets the
//! client send on meanwhile; and it goes through all pieces that it keeps whenever another one comes. So the streams that it
//! reads from end after so many octets, and after so many pieces.

use h3::{
    error::Code,
    quic::{
        Connection, ConnectionErrorIncoming, OpenStreams, RecvStream, SendStream, StreamErrorIncoming, StreamId,
        WriteBuf,
    },
};
use hyper::body::Bytes;
use std::task::{Context, Poll, ready};

/// Most pieces that a stream may come in: the largest query has some sixty where each packet brings one.
const PIECES_MAX: usize = 1024;

/// A connection, or what opens streams on one, whose streams are [`BoundedStream`]s.
pub(super) struct BoundedStreams<C> {
    inner: C,
    /// Most octets of a request.
    request: usize,
    /// Most octets of a stream in one direction: settings, and unknown types.
    control: usize,
}

impl<C> BoundedStreams<C> {
    /// At most `request` octets for each request with all of its frames, and `control` octets for each stream in one
    /// direction, as long as the connection lives.
    pub(super) fn new(inner: C, request: usize, control: usize) -> BoundedStreams<C> {
        BoundedStreams { inner, request, control }
    }
}

impl<C> OpenStreams<Bytes> for BoundedStreams<C>
where
    C: OpenStreams<Bytes>,
    C::BidiStream: RecvStream<Buf = Bytes>,
{
    type BidiStream = BoundedStream<C::BidiStream>;
    type SendStream = C::SendStream;

    fn poll_open_bidi(&mut self, context: &mut Context<'_>) -> Poll<Result<Self::BidiStream, StreamErrorIncoming>> {
        self.inner.poll_open_bidi(context).map_ok(|stream| BoundedStream::new(stream, self.request))
    }

    fn poll_open_send(&mut self, context: &mut Context<'_>) -> Poll<Result<Self::SendStream, StreamErrorIncoming>> {
        self.inner.poll_open_send(context)
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        self.inner.close(code, reason);
    }
}

impl<C> Connection<Bytes> for BoundedStreams<C>
where
    C: Connection<Bytes>,
    C::BidiStream: RecvStream<Buf = Bytes>,
    C::RecvStream: RecvStream<Buf = Bytes>,
{
    type RecvStream = BoundedStream<C::RecvStream>;
    type OpenStreams = BoundedStreams<C::OpenStreams>;

    fn poll_accept_recv(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::RecvStream, ConnectionErrorIncoming>> {
        self.inner.poll_accept_recv(context).map_ok(|stream| BoundedStream::new(stream, self.control))
    }

    fn poll_accept_bidi(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::BidiStream, ConnectionErrorIncoming>> {
        self.inner.poll_accept_bidi(context).map_ok(|stream| BoundedStream::new(stream, self.request))
    }

    fn opener(&self) -> Self::OpenStreams {
        BoundedStreams::new(self.inner.opener(), self.request, self.control)
    }
}

/// A stream from which only so much is received.
pub(super) struct BoundedStream<S> {
    inner: S,
    octets: usize,
    pieces: usize,
}

impl<S> BoundedStream<S> {
    fn new(inner: S, octets: usize) -> BoundedStream<S> {
        BoundedStream { inner, octets, pieces: PIECES_MAX }
    }
}

impl<S: RecvStream<Buf = Bytes>> RecvStream for BoundedStream<S> {
    type Buf = Bytes;

    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        let Some(data) = ready!(self.inner.poll_data(context))? else { return Poll::Ready(Ok(None)) };
        let (Some(octets), Some(pieces)) = (self.octets.checked_sub(data.len()), self.pieces.checked_sub(1)) else {
            (self.octets, self.pieces) = (0, 0);
            let error_code = Code::H3_EXCESSIVE_LOAD.value();
            self.inner.stop_sending(error_code);
            return Poll::Ready(Err(StreamErrorIncoming::StreamTerminated { error_code }));
        };
        (self.octets, self.pieces) = (octets, pieces);
        // A copy: a piece of a single octet would otherwise keep the whole packet that it came in.
        Poll::Ready(Ok(Some(Bytes::copy_from_slice(&data))))
    }

    fn stop_sending(&mut self, error_code: u64) {
        self.inner.stop_sending(error_code);
    }

    fn recv_id(&self) -> StreamId {
        self.inner.recv_id()
    }
}

impl<S: SendStream<Bytes>> SendStream<Bytes> for BoundedStream<S> {
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.inner.poll_ready(context)
    }

    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        self.inner.send_data(data)
    }

    fn poll_finish(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.inner.poll_finish(context)
    }

    fn reset(&mut self, reset_code: u64) {
        self.inner.reset(reset_code);
    }

    fn send_id(&self) -> StreamId {
        self.inner.send_id()
    }
}
