//! The HTTP client that carriers share: one request per call, bounded, behind circuit breakers.

pub(super) mod api_client;
pub(super) mod assessment;
pub(super) mod call_class;
pub(super) mod circuit_breaker;
pub(super) mod http;
mod outcome_window;
mod state_machine;
