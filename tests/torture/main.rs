//! Faults under a mixed load: PostgreSQL and the service are killed, the wire between them is cut and stalls, carriers fail.
//! Whoever calls writes down what was acknowledged ([`pair`]); after each round all of it must be there, nothing may have
//! been done twice, and the database must hold every invariant ([`check`]).
//!
//! `INKBOX_TORTURE_ROUNDS` says how many rounds each test has (few by default), `INKBOX_TORTURE_SEED` which ones: the seed
//! is printed. It decides on faults, their moments, and what each caller does; how all that falls into the service's
//! work is up to the machine, so a seed brings the same course back, not the same interleaving.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::too_many_lines,
    reason = "tests fail by panicking, and these tell how much they have done"
)]

#[path = "../support/mod.rs"]
mod support;

mod agent;
mod check;
mod course;
mod human;
mod kills;
mod lines;
mod load;
mod network;
mod pair;
mod phone;
mod settle;
mod site;
mod told;
