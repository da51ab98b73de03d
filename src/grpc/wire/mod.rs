//! The wire format: decoding and validating requests, page tokens, encoding responses and statuses. Imports neither
//! services nor middleware.

pub mod codec;
pub(super) mod convert;
pub mod extensions;
pub mod page_token;
pub(super) mod request;
pub mod status;
pub(super) mod unary;
