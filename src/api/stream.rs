//! Bodies that are made while they are sent: nothing of them waits but what the client takes next.

use axum::body::{Body, Bytes};
use hyper::body::Frame;
use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::sync::mpsc;

/// Octets that are put together before they are sent.
pub const CHUNK: usize = 64 * 1024;

/// A body of parts that are made one after the other.
struct Parts(Box<dyn FnMut() -> Option<Bytes> + Send>);

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parts")
    }
}

impl hyper::body::Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready((self.0)().map(|part| Ok(Frame::data(part))))
    }
}

/// The body of what `next` makes, until it makes nothing more.
pub fn parts(next: impl FnMut() -> Option<Bytes> + Send + 'static) -> Body {
    Body::new(Parts(Box::new(next)))
}

/// A body of what comes through a channel.
#[derive(Debug)]
struct Channel(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Channel {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|part| part.map(|part| Ok(Frame::data(part))))
    }
}

/// The body of what is sent into a channel, which holds one part; it ends when the sender is dropped.
pub fn channel() -> (mpsc::Sender<Bytes>, Body) {
    let (sender, receiver) = mpsc::channel(1);
    (sender, Body::new(Channel(receiver)))
}
