//! From the socket to a call: TLS, bounds on connections and calls, the drain, Unix sockets. Mirrors `src/transport` and
//! `src/grpc/limits.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "tests fail by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod calls;
mod certificates;
mod clients;
mod compression;
mod connections;
mod drain;
mod floods;
mod frames;
mod panics;
mod tls;
mod unix;
