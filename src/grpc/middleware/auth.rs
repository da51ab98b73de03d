//! Authentication: every call needs an API key, except health checks and reflection. It is a tower layer and not a line in
//! each handler, so that no RPC can forget it.

use std::convert::Infallible;
use std::sync::Arc;

use http::{Request, Response};
use tonic::body::Body;

use crate::auth::KeyCache;
use crate::grpc::middleware::access_log::record_caller;
use crate::grpc::middleware::layer::{Inner, Middleware, MiddlewareLayer};
use crate::grpc::wire::extensions::RequestId;
use crate::grpc::wire::status;
use crate::net::Activity;

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
pub struct Auth {
    keys: KeyCache,
}

pub type AuthLayer = MiddlewareLayer<Auth>;

impl AuthLayer {
    #[must_use]
    pub fn new(keys: KeyCache) -> Self {
        Self::of(Auth { keys })
    }
}

impl Middleware for Auth {
    async fn call<S: Inner>(
        self: Arc<Self>,
        mut request: Request<Body>,
        mut inner: S,
    ) -> Result<Response<Body>, Infallible> {
        if is_open_service(request.uri().path()) {
            return inner.call(request).await;
        }
        match self.keys.authenticate(request.headers()).await {
            Ok(principal) => {
                record_caller(request.extensions(), &principal);
                if let Some(connection) = request.extensions().get::<Arc<Activity>>() {
                    connection.authenticated();
                }
                request.extensions_mut().insert(principal);
                inner.call(request).await
            }
            Err(error) => {
                let request_id = request.extensions().get::<RequestId>();
                let request_id = request_id.map(RequestId::as_str).unwrap_or_default();
                Ok(status::from_error(&error, request_id).into_http())
            }
        }
    }
}
