//! Middleware around every call, from the outside in: access log, limits of the call, authentication,
//! admission control.

pub mod access_log;
pub mod admission;
pub mod auth;
pub mod layer;
pub mod limits;
mod stream_shutdown;
mod timeout;
