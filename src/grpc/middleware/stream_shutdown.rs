//! Answers without an end (watching health, an open reflection stream), which a drain must not wait for.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;
use tonic::body::Body;

use crate::grpc::wire::status;

/// The same answer, ended with `UNAVAILABLE` at `end`.
pub(in crate::grpc) fn until(end: CancellationToken, body: Body) -> Body {
    Body::new(Until { body, end: Box::pin(end.cancelled_owned()), is_over: false })
}

struct Until {
    body: Body,
    end: Pin<Box<WaitForCancellationFutureOwned>>,
    is_over: bool,
}

impl http_body::Body for Until {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        // What is there goes out first.
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame);
        }
        ready!(self.end.as_mut().poll(context));
        self.is_over = true;
        let mut trailers = HeaderMap::new();
        Poll::Ready(Some(
            status::shutting_down().add_header(&mut trailers).map(|()| Frame::trailers(trailers)),
        ))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
