//! Admission control of calls: see [`crate::admission`].
//!
//! The layer comes after authentication, because limits are divided among organizations. Calls without a caller are health
//! and reflection, which are never rejected here.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use tonic::Status;
use tonic::body::Body;

use crate::admission::{Admission, CallPermit, Consumer, RETRY_AFTER, scope};
use crate::domain::Principal;
use crate::error::{Error, Result};
use crate::grpc::middleware::layer::{Inner, Middleware, MiddlewareLayer};
use crate::grpc::wire::extensions::RequestId;
use crate::grpc::wire::status;
use crate::store::Database;

/// Admits calls, and counts what they use until their responses are sent.
pub struct AdmissionControl {
    admission: Admission,
    db: Database,
    /// How long calls of a caller may wait for a database session before its new calls are rejected.
    queue_timeout: Duration,
    /// Maximum size of a request, in bytes.
    max_message: usize,
}

pub type AdmissionLayer = MiddlewareLayer<AdmissionControl>;

impl AdmissionLayer {
    #[must_use]
    pub fn new(admission: Admission, db: Database, queue_timeout: Duration, max_message: usize) -> Self {
        Self::of(AdmissionControl { admission, db, queue_timeout, max_message })
    }
}

impl Middleware for AdmissionControl {
    async fn call<S: Inner>(
        self: Arc<Self>,
        request: Request<Body>,
        mut inner: S,
    ) -> Result<Response<Body>, Infallible> {
        let Some(consumer) = request.extensions().get::<Principal>().map(Consumer::from) else {
            return inner.call(request).await;
        };
        let call = match self.admit(&consumer) {
            Ok(call) => Arc::new(call),
            Err(error) => {
                let request_id = request.extensions().get::<RequestId>();
                let request_id = request_id.map(RequestId::as_str).unwrap_or_default();
                return Ok(status::from_error(&error, request_id).into_http());
            }
        };
        let (mut parts, body) = request.into_parts();
        let body = CountedBody {
            body,
            call: call.clone(),
            request_id: parts.extensions.get().cloned(),
            max_message: self.max_message,
            prefix: [0; PREFIX_BYTES],
            prefix_read: 0,
        };
        parts.extensions.insert(call.clone());
        let request = Request::from_parts(parts, Body::new(body));
        let response = scope(consumer, Some(call.clone()), inner.call(request)).await?;
        // The call ends with the last byte of the response, or when its stream is reset. HTTP/2 drops the body when it has
        // taken all frames, and keeps those that the client's window is too small for.
        Ok(response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                frame.map_data(|bytes| Bytes::from_owner(CountedBytes { bytes, _call: call.clone() }))
            }))
        }))
    }
}

impl AdmissionControl {
    /// # Errors
    /// `Overloaded` if the consumer uses its share of calls, or its calls wait too long for the database.
    fn admit(&self, consumer: &Consumer) -> Result<CallPermit> {
        if self.db.is_saturated(consumer, self.queue_timeout) {
            return Err(Error::Overloaded { retry_after: RETRY_AFTER });
        }
        self.admission.begin_call(consumer)
    }
}

/// Bytes of a response. They count as part of the call until they are sent.
struct CountedBytes {
    bytes: Bytes,
    _call: Arc<CallPermit>,
}

impl AsRef<[u8]> for CountedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A request body whose message is counted as soon as its size is known, since the decoder reserves memory for all of it.
/// The body ends with an error if there is none.
struct CountedBody {
    body: Body,
    call: Arc<CallPermit>,
    request_id: Option<RequestId>,
    /// Maximum size of a message, in bytes. The decoder rejects a larger one.
    max_message: usize,
    /// The prefix of the message: whether it is compressed, and its size in 4 bytes.
    prefix: [u8; PREFIX_BYTES],
    prefix_read: usize,
}

/// What a compressed message may become: more than any text does. One that becomes larger is held for a moment only, since
/// no field allows it.
const COMPRESSION_RATIO: usize = 32;
/// Length of the prefix of a message (gRPC over HTTP/2, "Requests").
const PREFIX_BYTES: usize = 5;

impl CountedBody {
    /// Counts the message when its prefix is complete.
    fn count(&mut self, data: &[u8]) -> Result<()> {
        let missing = PREFIX_BYTES - self.prefix_read;
        if missing == 0 {
            return Ok(());
        }
        let read = missing.min(data.len());
        self.prefix[self.prefix_read..][..read].copy_from_slice(&data[..read]);
        self.prefix_read += read;
        if self.prefix_read < PREFIX_BYTES {
            return Ok(());
        }
        let [compressed, size @ ..] = self.prefix;
        let expansion = if compressed == 0 { 1 } else { COMPRESSION_RATIO };
        let size = (u32::from_be_bytes(size) as usize).saturating_mul(expansion);
        self.call.add_bytes(size.min(self.max_message))
    }
}

impl http_body::Body for CountedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
            && let Err(error) = self.count(data)
        {
            let request_id = self.request_id.as_ref().map(RequestId::as_str).unwrap_or_default();
            return Poll::Ready(Some(Err(status::from_error(&error, request_id))));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
