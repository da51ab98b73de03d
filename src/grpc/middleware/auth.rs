//! Authentication: every call needs an API key, except health checks and reflection. It is a tower layer and not a line in
//! each handler, so that no RPC can forget it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use tonic::body::Body;
use tower::{Layer, Service};

use crate::auth::KeyCache;
use crate::grpc::middleware::access_log::RequestId;
use crate::grpc::wire::status;

/// Services that need no key: probes and tools have none.
const OPEN_SERVICES: [&str; 3] = [
    "/grpc.health.v1.Health/",
    "/grpc.reflection.v1.ServerReflection/",
    "/grpc.reflection.v1alpha.ServerReflection/",
];

/// Whether a path belongs to a service that needs no key.
pub(in crate::grpc) fn is_open_service(path: &str) -> bool {
    OPEN_SERVICES.iter().any(|service| path.starts_with(service))
}

/// Inserts the caller's [`Principal`](crate::domain::Principal) into the request's extensions, or rejects the call.
#[derive(Clone)]
pub struct AuthLayer {
    keys: KeyCache,
}

impl AuthLayer {
    /// A layer that authenticates with this cache.
    #[must_use]
    pub const fn new(keys: KeyCache) -> Self {
        Self { keys }
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = Auth<S>;

    fn layer(&self, inner: S) -> Auth<S> {
        Auth { keys: self.keys.clone(), inner }
    }
}

/// The service of [`AuthLayer`].
#[derive(Clone)]
pub struct Auth<S> {
    keys: KeyCache,
    inner: S,
}

impl<S> Service<Request<Body>> for Auth<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // The instance that was polled ready must be the one that is called; its clone serves the next call.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let keys = self.keys.clone();
        Box::pin(async move {
            if is_open_service(request.uri().path()) {
                return inner.call(request).await;
            }
            match keys.authenticate(request.headers()).await {
                Ok(principal) => {
                    crate::grpc::middleware::access_log::record_caller(request.extensions(), &principal);
                    request.extensions_mut().insert(principal);
                    inner.call(request).await
                }
                Err(error) => {
                    let request_id = request.extensions().get::<RequestId>();
                    let request_id = request_id.map(RequestId::as_str).unwrap_or_default();
                    Ok(status::from_error(&error, request_id).into_http())
                }
            }
        })
    }
}
