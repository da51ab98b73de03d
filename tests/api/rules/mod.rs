//! Rules that concern more than one RPC.

mod admission;
mod auth;
mod erasure;
mod limits;
pub(crate) mod metrics;
mod replicas;
mod retention;
mod slow_phones;
mod supervision;
mod verification;
