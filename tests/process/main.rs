//! The program as operators run it: a process with its own PostgreSQL, its command line, its signals and its log.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "tests fail by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod demo;
mod deployment;
mod erase;
mod folder;
mod human;
mod log;
mod metrics;
mod operator;
mod scene;
mod serve;
mod traces;
mod transport;
mod usage;
mod verify;
