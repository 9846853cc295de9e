//! Bodies of replies in slices: what of them waits in a connection is little, whatever is told.
//!
//! A connection copies a part of a body whole before it sends anything of it, and keeps the memory for the next one.
//! So no part is larger than [`CHUNK`].

use super::budget::Share;
use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};
use tokio::sync::mpsc;

/// Octets of a part of a body.
pub const CHUNK: usize = 16 * 1024;

/// A body in slices, and what of the budget it takes until it is sent or given up.
#[derive(Debug)]
struct Sliced {
    body: Body,
    rest: Bytes,
    _share: Option<Share>,
}

impl hyper::body::Body for Sliced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        while self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                end => return Poll::Ready(end),
            }
        }
        let length = self.rest.len().min(CHUNK);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.body.size_hint().exact() {
            Some(octets) => SizeHint::with_exact(octets + self.rest.len() as u64),
            None => SizeHint::default(),
        }
    }
}

/// The body in slices; the share is given back when it is gone.
pub fn sliced(body: Body, share: Option<Share>) -> Body {
    Body::new(Sliced { body, rest: Bytes::new(), _share: share })
}

/// What is told was cut off before its end.
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

/// Where parts of a body go, each at most [`CHUNK`] octets; the body ends when this is dropped.
#[derive(Debug)]
pub struct Parts {
    /// Has room for one part.
    pub sender: mpsc::Sender<Bytes>,
    cut: Arc<AtomicBool>,
}

impl Parts {
    /// Has the body end with an error.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::Release);
    }
}

/// A body and where its parts go.
pub fn channel() -> (Parts, Body) {
    let (sender, parts) = mpsc::channel(1);
    let cut = Arc::<AtomicBool>::default();
    let channel = Channel { parts, cut: Arc::clone(&cut) };
    (Parts { sender, cut }, Body::new(channel))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::api::budget::Budget;
    use axum::body::HttpBody as _;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn a_long_body_comes_in_slices_and_gives_its_share_back() {
        let budget = Budget::new(100_000);
        let text = "x".repeat(3 * CHUNK + 1);
        let mut body = sliced(Body::from(text.clone()), Some(budget.take(text.len()).unwrap()));
        assert_eq!(body.size_hint().exact(), Some(text.len() as u64));
        let mut lengths = Vec::new();
        while let Some(frame) = body.frame().await {
            lengths.push(frame.unwrap().into_data().unwrap().len());
        }
        assert_eq!((lengths, body.is_end_stream()), (vec![CHUNK, CHUNK, CHUNK, 1], true));
        assert_eq!(budget.taken(), text.len());
        drop(body);
        assert_eq!(budget.taken(), 0);
    }

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
