//! Ends streams that have no end of their own: at shutdown, since a drain would wait for them until its time limit, and if
//! they are idle for too long.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;
use tonic::body::Body;

use crate::admission::Permit;
use crate::error::Error;
use crate::grpc::wire::status;

/// Ends a response body with status `UNAVAILABLE` when `shutdown` is cancelled, and with `DEADLINE_EXCEEDED` when it has
/// had nothing to send for `idle_limit`. `permit` is released with the body.
pub(super) fn end_stream(
    shutdown: CancellationToken,
    idle_limit: Option<Duration>,
    permit: Permit,
    body: Body,
) -> Body {
    let idle = idle_limit.map(|limit| (limit, Box::pin(sleep(limit))));
    Body::new(EndStream {
        body,
        shutdown: Box::pin(shutdown.cancelled_owned()),
        idle,
        has_ended: false,
        _permit: permit,
    })
}

struct EndStream {
    body: Body,
    shutdown: Pin<Box<WaitForCancellationFutureOwned>>,
    idle: Option<(Duration, Pin<Box<Sleep>>)>,
    has_ended: bool,
    _permit: Permit,
}

impl http_body::Body for EndStream {
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
            if let Some((limit, idle)) = &mut self.idle {
                idle.as_mut().reset(Instant::now() + *limit);
            }
            return Poll::Ready(frame);
        }
        let is_idle = self.idle.as_mut().is_some_and(|(_, idle)| idle.as_mut().poll(context).is_ready());
        let end = if is_idle {
            status::from_error(&Error::DeadlineExceeded, "")
        } else {
            ready!(self.shutdown.as_mut().poll(context));
            status::from_error(&Error::StreamEnded, "")
        };
        self.has_ended = true;
        let mut trailers = HeaderMap::new();
        Poll::Ready(Some(end.add_header(&mut trailers).map(|()| Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
