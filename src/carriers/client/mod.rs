//! The HTTP client that carriers share: one request per call, bounded, behind a circuit breaker.

pub(super) mod api_client;
pub(super) mod assessment;
pub(super) mod circuit_breaker;
pub(super) mod http;
