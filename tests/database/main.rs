//! What an operator can put beneath the service: a PostgreSQL that is restarted, a pooler, a standby, TLS, and fewer
//! sessions than callers. Each test has servers of its own, and fails where their programs are not installed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "tests fail by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod exhausted;
mod limits;
mod pgbouncer;
mod pooler;
mod restart;
mod standby;
mod standby_trust;
mod tls;
