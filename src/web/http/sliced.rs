//! Bodies of replies in slices: what of them waits in a connection is little, however large they are.
//!
//! A connection copies a part of a body whole before it sends anything of it, and keeps the memory for the next one.
//! So no part is larger than [`CHUNK_OCTETS`].

use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

/// Octets of a part of a body.
pub const CHUNK_OCTETS: usize = 16 * 1024;

/// A body in slices, and what is to live as long as it does.
#[derive(Debug)]
struct Sliced<T> {
    body: Body,
    rest: Bytes,
    _held: T,
}

impl<T: Unpin> hyper::body::Body for Sliced<T> {
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
        let length = self.rest.len().min(CHUNK_OCTETS);
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

/// The body in slices; what is held is dropped when it is gone.
pub fn sliced<T: Unpin + Send + 'static>(body: Body, held: T) -> Body {
    Body::new(Sliced { body, rest: Bytes::new(), _held: held })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::HttpBody as _;
    use http_body_util::BodyExt;
    use std::sync::Arc;

    #[tokio::test]
    async fn a_long_body_comes_in_slices_and_lets_go_of_what_it_holds() {
        let held = Arc::new(());
        let text = "x".repeat(3 * CHUNK_OCTETS + 1);
        let mut body = sliced(Body::from(text.clone()), Arc::clone(&held));
        assert_eq!(body.size_hint().exact(), Some(text.len() as u64));
        let mut lengths = Vec::new();
        while let Some(frame) = body.frame().await {
            lengths.push(frame.unwrap().into_data().unwrap().len());
        }
        assert_eq!((lengths, body.is_end_stream()), (vec![CHUNK_OCTETS, CHUNK_OCTETS, CHUNK_OCTETS, 1], true));
        assert_eq!(Arc::strong_count(&held), 2);
        drop(body);
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
