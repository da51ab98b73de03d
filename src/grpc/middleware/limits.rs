//! Limits of each single call: its content type, its duration, and the size of its request. `admission` limits calls in
//! total.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

use crate::error::Error;
use crate::grpc::middleware::auth::is_open_service;
use crate::grpc::middleware::content_type;
use crate::grpc::middleware::layer::{Inner, Middleware, MiddlewareLayer};
use crate::grpc::middleware::open_services::OpenServices;
use crate::grpc::middleware::timeout::effective_timeout;
use crate::grpc::middleware::tonic_status;
use crate::grpc::wire::extensions::{CompressionThreshold, RequestId};
use crate::grpc::wire::status;

/// Bytes that HTTP/2 counts for each header in addition to name and value (RFC 9113, 6.5.2).
const HEADER_OVERHEAD: usize = 32;

/// Limits of one process. Each is a setting, see `config::server`.
#[derive(Debug, Clone, Copy)]
pub struct CallLimits {
    /// Maximum duration of a call, also if the client's deadline is later.
    pub max_duration: Duration,
    /// Maximum size of a decompressed request, in bytes.
    pub request: u32,
    /// Maximum size of a request's metadata, in bytes.
    pub metadata: u32,
    /// Size in bytes from which responses are compressed, if the client accepts it.
    pub compress_from: u32,
}

/// Enforces [`CallLimits`] and the deadline of each call. Health and reflection have limits of their own.
pub struct Limits {
    bounds: CallLimits,
    open_services: OpenServices,
}

pub type LimitsLayer = MiddlewareLayer<Limits>;

impl LimitsLayer {
    /// Streams end when `shutdown` is cancelled.
    #[must_use]
    pub fn new(limits: CallLimits, shutdown: CancellationToken) -> Self {
        Self::of(Limits { bounds: limits, open_services: OpenServices::new(shutdown) })
    }
}

impl Middleware for Limits {
    async fn call<S: Inner>(
        self: Arc<Self>,
        mut request: Request<Body>,
        mut inner: S,
    ) -> Result<Response<Body>, Infallible> {
        let request_id = request.extensions().get::<RequestId>().cloned();
        let request_id = request_id.as_ref().map(RequestId::as_str).unwrap_or_default();
        if !content_type::is_grpc(request.headers()) {
            return Ok(content_type::unsupported(request_id));
        }
        if is_open_service(request.uri().path()) {
            return self.open_services.call(request, inner).await;
        }
        let reject = |error: &Error| Ok(status::from_error(error, request_id).into_http());
        let limit = self.bounds.metadata as usize;
        if size_of(request.headers()) > limit {
            return reject(&Error::TooLarge { what: "request metadata", limit });
        }
        if request.headers().contains_key("grpc-accept-encoding") {
            let threshold = CompressionThreshold(self.bounds.compress_from as usize);
            request.extensions_mut().insert(threshold);
        }
        let limit = effective_timeout(request.headers(), self.bounds.max_duration);
        match timeout(limit, inner.call(request)).await {
            Ok(Ok(response)) => {
                Ok(tonic_status::with_details(response, self.bounds.request as usize, request_id))
            }
            Ok(Err(never)) => match never {},
            Err(_) => reject(&Error::DeadlineExceeded),
        }
    }
}

/// The size of metadata as HTTP/2 counts it, in bytes.
fn size_of(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + HEADER_OVERHEAD).sum()
}
