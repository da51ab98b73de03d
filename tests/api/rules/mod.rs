//! Rules that concern more than one RPC.

mod admission;
mod audit;
mod auth;
mod clocks;
pub(crate) mod erasure;
mod health;
mod limits;
pub(crate) mod metrics;
mod numbers;
mod opt_out;
mod protocol;
mod reflection;
mod replicas;
mod retention;
mod retries;
mod slow_phones;
mod supervision;
mod verification;
