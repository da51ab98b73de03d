//! Keeps iMessage conversations between humans and AI agents, and serves them over gRPC.

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod domain;
pub mod embedded;
pub mod erasure;
pub mod error;
pub mod fields;
#[cfg(test)]
mod fuzzing;
pub mod grpc;
pub mod health;
pub mod ingest;
pub mod line;
pub mod metrics;
pub mod minting;
pub mod outbound;
pub mod proto;
pub mod server;
pub mod shutdown;
pub mod store;
pub mod sweeper;
pub mod telemetry;
pub mod transport;
pub mod verification;
pub mod webhooks;
