//! What the state promises: the shape of the schema, the plans of the queries, and what an outage or a caller who goes
//! away may do to it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "tests fail by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod cancellation;
mod catalog;
mod checked_queries;
mod doors;
mod gathered;
mod hot;
mod migrations;
mod plans;
mod router;
mod sources;
mod spans;
mod unavailable;
