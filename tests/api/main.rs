//! Tests of the API through the generated client. They mirror `src/grpc/services`: one file per RPC, one test per rule.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "tests fail by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod api_keys;
mod carrier_webhooks;
mod carriers;
mod connections;
mod contact_rules;
mod conversations;
mod events;
mod freeze;
mod identities;
mod messages;
mod mirror;
mod router;
mod rules;
mod sandbox;
