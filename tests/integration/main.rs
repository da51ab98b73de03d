//! Everything below and around the API: the schema and its queries, the database server, the listeners, the program as
//! a process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "tests fail by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod crash;
mod database;
mod process;
mod store;
mod transport;
