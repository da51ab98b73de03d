//! Values that middleware attaches to a request (`http::Extensions`) for inner layers and for `unary`, besides
//! the caller's [`crate::domain::Principal`].

use std::sync::Arc;

/// The id of a call in the log, in error details and in the `x-request-id` metadata.
#[derive(Debug, Clone)]
pub struct RequestId(Arc<str>);

impl RequestId {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: Into<Arc<str>>> From<T> for RequestId {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

/// The size in bytes from which a response is worth compressing. Present if the client accepts compressed responses.
#[derive(Debug, Clone, Copy)]
pub(in crate::grpc) struct CompressionThreshold(pub(in crate::grpc) usize);
