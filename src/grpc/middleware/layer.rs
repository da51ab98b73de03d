//! The tower plumbing that all middleware shares: a middleware implements [`Middleware::call`] and is added to the stack
//! as a [`MiddlewareLayer`].
//!
//! `axum::middleware::from_fn` would replace this file, but it boxes the inner service and both bodies on every call; here
//! a layer costs one allocation per call, for its future.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tonic::body::Body;
use tower::{Layer, Service};

/// The rest of the stack, as a middleware sees it. Errors are responses, too: each carries a gRPC status.
pub trait Inner:
    Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Send + 'static
{
}

impl<S> Inner for S where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Send + 'static
{
}

pub trait Middleware: Send + Sync + 'static {
    /// Answers a request, usually by calling `inner`. What runs before the future is returned also happens if the client
    /// disconnects before the future is polled.
    fn call<S: Inner>(
        self: Arc<Self>,
        request: Request<Body>,
        inner: S,
    ) -> impl Future<Output = Result<Response<Body>, Infallible>> + Send;
}

pub struct MiddlewareLayer<M>(Arc<M>);

impl<M> MiddlewareLayer<M> {
    pub(super) fn of(middleware: M) -> Self {
        Self(Arc::new(middleware))
    }
}

impl<M, S> Layer<S> for MiddlewareLayer<M> {
    type Service = MiddlewareService<M, S>;

    fn layer(&self, inner: S) -> MiddlewareService<M, S> {
        MiddlewareService { middleware: self.0.clone(), inner }
    }
}

pub struct MiddlewareService<M, S> {
    middleware: Arc<M>,
    inner: S,
}

/// Written out, because the derived implementation would require `M: Clone`.
impl<M, S: Clone> Clone for MiddlewareService<M, S> {
    fn clone(&self) -> Self {
        Self { middleware: self.middleware.clone(), inner: self.inner.clone() }
    }
}

impl<M: Middleware, S: Inner + Clone> Service<Request<Body>> for MiddlewareService<M, S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The instance that was polled ready is called, and its clone waits for the next request.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(self.middleware.clone().call(request, inner))
    }
}
