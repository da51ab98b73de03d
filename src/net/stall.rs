//! Resets streams whose clients do not read their responses, which would stay in memory for as long as the connection.
//!
//! A body knows since when the client has not read: a large frame tells when it has been sent, and the next one is held back
//! until then. But a body is not polled while it waits, so that the timer belongs into the task of the stream, which hyper
//! gives to our executor. The two share [`Progress`] through a task-local.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Status;
use tonic::body::Body;

/// Maximum size of a frame that is given to HTTP/2 at once, in bytes: a client that reads this much within the limit is
/// slow, and not stalled.
const MAX_FRAME_BYTES: usize = 64 << 10;

/// Frames up to this size are not held back: their wait would cost more than their memory.
const MAX_UNTRACKED_BYTES: usize = 16 << 10;

/// Since when a frame of the response has not been sent; `None` while there is none.
#[derive(Debug, Default)]
pub(super) struct Progress(Mutex<Option<Instant>>);

impl Progress {
    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn blocked_since(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

tokio::task_local! {
    static PROGRESS: Arc<Progress>;
}

/// Runs the task of a stream. Dropping the stream, which resets it, if its response makes no progress for `limit`.
pub(super) async fn reset_if_stalled(stream: impl Future, limit: Duration) {
    let progress = Arc::<Progress>::default();
    let mut stream = pin!(PROGRESS.scope(progress.clone(), stream));
    let mut timer: Option<Pin<Box<Sleep>>> = None;
    poll_fn(|context| {
        if stream.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let Some(since) = progress.blocked_since() else { return Poll::Pending };
        let deadline = since + limit;
        let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(context).map(|()| tracing::debug!("a response that nobody reads was reset"))
    })
    .await;
}

/// Whether a frame that was given to HTTP/2 has been sent, or its stream was reset.
#[derive(Debug, Default)]
struct Unsent {
    is_released: AtomicBool,
    waker: AtomicWaker,
}

/// The bytes of a frame. HTTP/2 drops them when they are sent.
struct TrackedBytes {
    bytes: Bytes,
    unsent: Arc<Unsent>,
}

impl AsRef<[u8]> for TrackedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for TrackedBytes {
    fn drop(&mut self) {
        self.unsent.is_released.store(true, Ordering::Release);
        self.unsent.waker.wake();
    }
}

impl Unsent {
    fn poll_released(&self, context: &Context<'_>) -> Poll<()> {
        // Registered first, so that a release in between wakes the task.
        self.waker.register(context.waker());
        if self.is_released.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// A response body that records its progress, in frames of bounded size.
pub(super) struct ProgressBody<G> {
    body: Body,
    rest: Bytes,
    /// The last frame, if it was large.
    unsent: Option<Arc<Unsent>>,
    progress: Option<Arc<Progress>>,
    _guard: G,
}

impl<G> ProgressBody<G> {
    /// `guard` is dropped with the body.
    pub(super) fn new(body: Body, guard: G) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            unsent: None,
            progress: PROGRESS.try_with(Clone::clone).ok(),
            _guard: guard,
        }
    }
}

impl<G: Unpin> http_body::Body for ProgressBody<G> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if let Some(unsent) = &this.unsent {
            ready!(unsent.poll_released(context));
            this.unsent = None;
        }
        let polled = if this.rest.is_empty() {
            Pin::new(&mut this.body).poll_frame(context)
        } else {
            Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut this.rest)))))
        };
        let polled = match polled {
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(mut data) => {
                    if data.len() > MAX_FRAME_BYTES {
                        this.rest = data.split_off(MAX_FRAME_BYTES);
                    }
                    if data.len() > MAX_UNTRACKED_BYTES {
                        let unsent = this.unsent.insert(Arc::default()).clone();
                        data = Bytes::from_owner(TrackedBytes { bytes: data, unsent });
                    }
                    Poll::Ready(Some(Ok(Frame::data(data))))
                }
                Err(frame) => Poll::Ready(Some(Ok(frame))),
            },
            polled => polled,
        };
        if let Some(progress) = &this.progress {
            progress.set(matches!(polled, Poll::Ready(Some(Ok(_)))).then(Instant::now));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.rest.is_empty() { self.body.size_hint() } else { SizeHint::default() }
    }
}

impl<G> Drop for ProgressBody<G> {
    fn drop(&mut self) {
        if let Some(progress) = &self.progress {
            progress.set(None);
        }
    }
}
