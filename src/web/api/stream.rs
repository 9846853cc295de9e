//! Bodies of replies that are sent while they are made: little of them waits in a connection, however long they are.

#[cfg(doc)]
use crate::web::http::CHUNK_OCTETS;
use axum::body::{Body, Bytes};
use hyper::body::Frame;
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};
use tokio::sync::mpsc;

/// The body was cut off before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cut off, since it was taken too slowly")]
pub struct Cut;

/// A body of what comes through a channel.
#[derive(Debug)]
struct Channel {
    parts: mpsc::Receiver<Bytes>,
    cut: Arc<AtomicBool>,
}

impl hyper::body::Body for Channel {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(match ready!(self.parts.poll_recv(context)) {
            Some(part) => Some(Ok(Frame::data(part))),
            // The connection breaks then, so that nobody takes a half for the whole.
            None if self.cut.swap(false, Ordering::Acquire) => Some(Err(Cut)),
            None => None,
        })
    }
}

/// Where parts of a body go, each at most [`CHUNK_OCTETS`] octets; the body ends when this is dropped.
#[derive(Debug)]
pub struct BodyParts {
    /// Has room for one part.
    pub sender: mpsc::Sender<Bytes>,
    cut: Arc<AtomicBool>,
}

impl BodyParts {
    /// Has the body end with an error.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::Release);
    }
}

/// A body and where its parts go.
pub fn channel() -> (BodyParts, Body) {
    let (sender, parts) = mpsc::channel(1);
    let cut = Arc::<AtomicBool>::default();
    let channel = Channel { parts, cut: Arc::clone(&cut) };
    (BodyParts { sender, cut }, Body::new(channel))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn what_is_cut_off_does_not_look_whole() {
        for is_cut in [false, true] {
            let (parts, body) = channel();
            parts.sender.send(Bytes::from_static(b"a")).await.unwrap();
            if is_cut {
                parts.cut();
            }
            drop(parts);
            assert_eq!(body.collect().await.is_err(), is_cut);
        }
    }
}
