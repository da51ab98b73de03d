//! Middleware around every call, from the outside in: access log, limits of the call, authentication,
//! admission control.

pub mod access_log;
pub mod admission;
pub mod auth;
mod content_type;
pub mod layer;
pub mod limits;
pub mod open_services;
mod stream_end;
pub(in crate::grpc) mod timeout;
mod tonic_status;
