//! Randomised and measuring tests. Each has a short form, which runs in `make test`, and a long one in `make torture`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::similar_names,
    clippy::struct_excessive_bools,
    clippy::too_many_lines,
    unreachable_pub,
    reason = "tests fail by panicking, and long tests print what they did"
)]

#[path = "../support/mod.rs"]
mod support;

mod consumers;
mod events;
mod faults;
mod isolation;
mod length;
mod model;
mod neighbour;
mod overload;
