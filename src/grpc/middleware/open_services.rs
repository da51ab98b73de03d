//! Limits of health and reflection, which need no API key. They are apart from the limits of other calls: probes must not be
//! rejected because the service is busy, and a client without an API key must not be able to exhaust it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

use crate::admission::{Consumer, Share, Shares};
use crate::error::Error;
use crate::grpc::middleware::layer::Inner;
use crate::grpc::middleware::stream_end::end_stream;
use crate::grpc::middleware::tonic_status;
use crate::grpc::wire::extensions::RequestId;
use crate::grpc::wire::status;
use crate::net::Activity;

/// Maximum size of a request, in bytes. A health check has the name of a service.
pub const MAX_REQUEST_BYTES: usize = 4 << 10;
/// Maximum number of streams (health watches and reflection), and of health checks, in progress. Clients at one address may
/// use a quarter. The two are apart, so that streams, which last, do not keep checks from being answered.
const MAX_CALLS: usize = 256;
/// The only method of these services that is no stream.
const HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";
/// Maximum time until a request is complete.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum time between two requests on a reflection stream. A health watch has no such limit: it waits for changes.
const REFLECTION_IDLE: Duration = Duration::from_mins(1);

pub(super) struct OpenServices {
    checks: Arc<Shares>,
    streams: Arc<Shares>,
    shutdown: CancellationToken,
}

impl OpenServices {
    pub(super) fn new(shutdown: CancellationToken) -> Self {
        let [checks, streams] = [(); 2].map(|()| Shares::new(MAX_CALLS, Share::default()));
        Self { checks, streams, shutdown }
    }

    pub(super) async fn call<S: Inner>(
        &self,
        request: Request<Body>,
        mut inner: S,
    ) -> Result<Response<Body>, Infallible> {
        let request_id = request.extensions().get::<RequestId>().cloned();
        let request_id = request_id.as_ref().map(RequestId::as_str).unwrap_or_default();
        let reject = |error: &Error| Ok(status::from_error(error, request_id).into_http());
        let peer = request.extensions().get::<Arc<Activity>>().and_then(|connection| connection.peer());
        let places = if request.uri().path() == HEALTH_CHECK { &self.checks } else { &self.streams };
        let permit = match places.acquire(&Consumer::Peer(peer), 1) {
            Ok(permit) => permit,
            Err(error) => return reject(&error),
        };
        let is_reflection = request.uri().path().starts_with("/grpc.reflection.");
        let idle_limit = is_reflection.then_some(REFLECTION_IDLE);
        let Ok(response) = timeout(REQUEST_TIMEOUT, inner.call(request)).await else {
            return reject(&Error::DeadlineExceeded);
        };
        let response = tonic_status::with_details(response?, MAX_REQUEST_BYTES, request_id);
        Ok(response.map(|body| end_stream(self.shutdown.clone(), idle_limit, permit, body)))
    }
}
