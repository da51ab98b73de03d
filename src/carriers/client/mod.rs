//! The HTTP client of carriers: one request, its judgement, and the circuit breaker in front of it.

pub(super) mod api_client;
pub(super) mod circuit_breaker;
pub(super) mod http;
