//! Between the contract's types and the domain's: decoding, validation, page tokens, encoding, statuses.

pub mod codec;
pub(super) mod convert;
pub mod page_token;
pub(super) mod request;
pub(super) mod scope;
pub mod status;
pub(super) mod unary;
