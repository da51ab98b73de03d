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
use tonic::Status;
use tonic::body::Body;

use crate::admission::{Admission, CallPermit, Consumer, RETRY_AFTER, scope};
use crate::domain::Principal;
use crate::error::{Error, Result};
use crate::grpc::middleware::holding_body::holding;
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
}

pub type AdmissionLayer = MiddlewareLayer<AdmissionControl>;

impl AdmissionLayer {
    #[must_use]
    pub fn new(admission: Admission, db: Database, queue_timeout: Duration) -> Self {
        Self::of(AdmissionControl { admission, db, queue_timeout })
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
        let body = CountedBody { body, call: call.clone(), request_id: parts.extensions.get().cloned() };
        parts.extensions.insert(call.clone());
        let request = Request::from_parts(parts, Body::new(body));
        let response = scope(consumer, Some(call.clone()), inner.call(request)).await?;
        Ok(response.map(|body| holding(body, call)))
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

/// A request body whose bytes are counted. It ends with an error if there is no memory for them.
struct CountedBody {
    body: Body,
    call: Arc<CallPermit>,
    request_id: Option<RequestId>,
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
            && let Err(error) = self.call.add_bytes(data.len())
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
