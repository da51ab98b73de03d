//! Middleware around every call, from the outside in: access log, limits, authentication.

pub mod access_log;
pub mod auth;
pub mod layer;
pub mod limits;
mod stream_shutdown;
mod timeout;
