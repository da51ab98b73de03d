//! Ends streams at shutdown. A health watch or a reflection stream has no end, so a drain would wait for it
//! until its time limit.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;
use tonic::body::Body;

use crate::grpc::wire::status;

/// Ends a response body with status `UNAVAILABLE` when `shutdown` is cancelled.
pub(in crate::grpc) fn end_on_shutdown(shutdown: CancellationToken, body: Body) -> Body {
    Body::new(EndOnShutdown { body, shutdown: Box::pin(shutdown.cancelled_owned()), has_ended: false })
}

struct EndOnShutdown {
    body: Body,
    shutdown: Pin<Box<WaitForCancellationFutureOwned>>,
    has_ended: bool,
}

impl http_body::Body for EndOnShutdown {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        // Frames that are ready are sent first.
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame);
        }
        ready!(self.shutdown.as_mut().poll(context));
        self.has_ended = true;
        let mut trailers = HeaderMap::new();
        Poll::Ready(Some(
            status::shutting_down().add_header(&mut trailers).map(|()| Frame::trailers(trailers)),
        ))
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
