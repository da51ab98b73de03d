//! The rules, told through the generated client. Mirrors `src/grpc`: one file an RPC, one test a rule.

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
mod freeze;
mod identities;
mod messages;
mod router;
mod rules;
mod sandbox;
