//! Keeps iMessage conversations between humans and AI agents, and serves them over gRPC.
//!
//! How a request travels: an API (`grpc`, `carrier_webhooks`) decodes and validates it, a use case (`messaging`, or the
//! handler itself for a plain read) applies the rules of `domain`, reads and writes through `store`, and reaches phones
//! through `carriers`. `server` assembles the parts; docs/architecture.md has the map and the glossary.

pub mod admission;
pub mod app;
pub mod auth;
pub mod carrier_webhooks;
pub mod carriers;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dev;
pub mod domain;
pub mod error;
#[cfg(test)]
mod fuzzing;
pub mod grpc;
pub mod maintenance;
pub mod messaging;
pub mod net;
pub mod proto;
pub mod server;
pub mod store;
pub mod telemetry;
mod validation;
